"""How a master becomes a page, and when it is made anew."""

import ast
import json
import os
import re
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest

from mini_moe.course.publish import book

ROOT = Path(__file__).parent.parent
MASTERS = sorted((ROOT / "solutions").glob("*.ipynb"))


def cells_of(notebook):
    return {cell.id: cell.source for cell in notebook.cells}


def view_of(master):
    return book.reader_view(master.read_text(encoding="utf-8"))


def test_a_reader_sees_the_stub_then_hints_and_solution_folded():
    view = view_of(ROOT / "solutions" / "03_mixture_of_experts.ipynb")
    cells = {cell.id: cell for cell in view.cells}
    order = [cell.id for cell in view.cells]
    at = order.index("route-code")
    assert order[at - 3 : at + 2] == ["route", "route-code-given", "route-code-hints", "route-code", "check-route"]
    assert cells["route-code-hints"].source.count("<details") == 3
    assert "hide-input" in cells["route-code"].metadata["tags"]
    assert 'hint("' not in cells["route"].source
    nbformat.validate(view)


@pytest.mark.parametrize("master", MASTERS, ids=lambda path: path.stem)
def test_a_reader_is_given_what_a_learner_gets(master):
    lesson = cells_of(nbformat.read(ROOT / "lessons" / master.name, as_version=4))
    given = {name: text for name, text in cells_of(view_of(master)).items() if name.endswith("-given")}
    assert len(given) >= 3
    for name, text in given.items():
        assert text == f"````python\n{lesson[name.removesuffix('-given')]}\n````"


@pytest.mark.parametrize("master", MASTERS, ids=lambda path: path.stem)
def test_the_view_runs_the_code_of_the_master_without_its_marks(master):
    notebooks = nbformat.read(master, as_version=4), view_of(master)
    first, second = ([cell.source for cell in notebook.cells if cell.cell_type == "code"] for notebook in notebooks)
    assert [ast.dump(ast.parse(code)) for code in first] == [ast.dump(ast.parse(code)) for code in second]
    assert any("### BEGIN SOLUTION" in code for code in first)
    assert not any(re.search("(BEGIN|END) SOLUTION", code) for code in second)


class Words(HTMLParser):
    """What is read of a fragment, without its marks."""

    def __init__(self, text):
        super().__init__()
        self.text = ""
        self.feed(text)

    def handle_data(self, data):
        self.text += data


def test_hints_are_read_as_they_are_written(monkeypatch):
    toy = SimpleNamespace(name="route", hints=("is `a < b`?", "&amp;", "</details>"))
    monkeypatch.setattr(book.exercises, "EXERCISES", (toy,))
    hints = cells_of(view_of(ROOT / "solutions" / "03_mixture_of_experts.ipynb"))["route-code-hints"]
    assert all(said in Words(hints).text for said in ("is a < b?", "&amp;", "</details>"))
    assert hints.count("</details>") == 3


@pytest.mark.parametrize("master", MASTERS, ids=lambda path: path.stem)
def test_every_lesson_leads_to_the_glossary(master):
    assert "(../book/glossary.md)" in view_of(master).cells[1].source


# ---- what is kept, and what is not


@pytest.fixture
def folder(tmp_path):
    """A book of one page, in a folder with a blank in its name."""
    root = tmp_path / "a book"
    (root / "book").mkdir(parents=True)
    (root / "book" / "_toc.yml").write_text("format: jb-book\nroot: book/page\n")
    config = {
        "title": "toy", "only_build_toc_files": True, "repository": {"url": "https://github.com/o/r"},
        "execute": {"execute_notebooks": "cache", "run_in_temp": True},
        "sphinx": {"extra_extensions": ["mini_moe.course.publish.book"], "config": {"html_static_path": []}},
    }  # fmt: skip
    (root / "book" / "_config.yml").write_text(json.dumps(config))
    return root


def write_page(root, code):
    header = "---\nfile_format: mystnb\nkernelspec:\n  name: python3\n---\n# A page\n\n[here]({repository})\n"
    (root / "book" / "page.md").write_text(f"{header}\n```{{code-cell}} python\n{code}\n```\n")


@pytest.mark.slow
def test_a_page_that_fails_fails_every_build_until_it_is_mended(folder, monkeypatch):
    monkeypatch.delenv("GITHUB_REPOSITORY", raising=False)
    write_page(folder, "1 / 0")
    assert book.build(folder) and book.build(folder)
    assert not (folder / "book/_build/html" / book.DOWNLOAD).exists()
    write_page(folder, "print(6 * 7)")
    assert book.build(folder) == 0
    page = (folder / "book/_build/html/book/page.html").read_text(encoding="utf-8")
    assert ">42" in page and 'href="https://github.com/o/r"' in page
    first = (folder / "book/_build/html" / book.DOWNLOAD).read_bytes()
    assert book.build(folder) == 0
    assert (folder / "book/_build/html" / book.DOWNLOAD).read_bytes() == first


def test_pages_are_executed_again_when_what_they_compute_with_has_changed(tmp_path, monkeypatch):
    (tmp_path / "mini_moe" / "artifacts").mkdir(parents=True)
    seen = set()
    for name in ("mini_moe/a.py", "mini_moe/artifacts/a.json", "constraints.txt"):
        for text in ("1", "2"):
            (tmp_path / name).write_text(text)
            seen.add(book.digest(tmp_path, *book.COMPUTED_WITH))
    (tmp_path / "mini_moe/a.py").rename(tmp_path / "mini_moe/b.py")
    seen.add(book.digest(tmp_path, *book.COMPUTED_WITH))
    monkeypatch.setattr(book, "version", lambda package: "another")
    seen.add(book.digest(tmp_path, *book.COMPUTED_WITH))
    assert len(seen) == 8
    os.utime(tmp_path / "constraints.txt", (0, 0))
    (tmp_path / "README.md").write_text("not computed with")
    assert book.digest(tmp_path, *book.COMPUTED_WITH) in seen
