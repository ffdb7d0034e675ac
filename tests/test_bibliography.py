"""Whatever paper a lesson or a docstring names, a reader finds in the book's bibliography."""

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ENTRIES = re.findall(r"^@\w+\{(\S+),$(.*?)^\}$", (ROOT / "book/references.bib").read_text("utf-8"), re.M | re.S)
SOURCES = sorted((ROOT / "solutions").glob("*.ipynb")) + sorted((ROOT / "mini_moe").rglob("*.py"))


def text_of(path: Path) -> str:
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        return "\n".join("".join(cell["source"]) for cell in json.loads(text)["cells"])
    return text


def arxiv_ids(text: str) -> set[str]:
    """
    >>> sorted(arxiv_ids("arXiv 2412.19437, table 1; https://arxiv.org/abs/1706.03762"))
    ['1706.03762', '2412.19437']
    """
    return set(re.findall(r"arxiv\S*\s*(\d{4}\.\d{4,5})", text, re.IGNORECASE))


def cited() -> set[str]:
    roles = re.findall(r"\{cite(?::\w+)?\}`([^`]+)`", (ROOT / "book/bibliography.md").read_text(encoding="utf-8"))
    return {key.strip() for role in roles for key in role.split(",")}


def test_every_arxiv_paper_that_is_named_has_an_entry():
    known = {eprint for _, fields in ENTRIES for eprint in re.findall(r"eprint\s*= \{(.+)\}", fields)}
    missing = {path.name: ids for path in SOURCES if (ids := arxiv_ids(text_of(path)) - known)}
    assert not missing, f"Not in book/references.bib: {missing}"


def test_every_lesson_names_a_paper():
    """Else the search above has lost its way."""
    masters = [path for path in SOURCES if path.suffix == ".ipynb"]
    assert masters and all(arxiv_ids(text_of(path)) for path in masters)


def test_entries_and_citations_of_the_bibliography_are_the_same():
    keys = [key for key, _ in ENTRIES]
    assert len(keys) == len(set(keys)) == (ROOT / "book/references.bib").read_text(encoding="utf-8").count("\n@")
    assert cited() == set(keys)


@pytest.mark.parametrize(("key", "fields"), ENTRIES, ids=[key for key, _ in ENTRIES])
def test_an_entry_says_who_what_and_when_and_links_to_its_paper(key, fields):
    values = dict(re.findall(r"^\s*(\w+)\s*= \{(.*)\},$", fields, re.M))
    assert {"title", "author", "year"} <= values.keys()
    assert values["year"] in key
    if "eprint" in values:
        assert values["url"] == f"https://arxiv.org/abs/{values['eprint']}"
