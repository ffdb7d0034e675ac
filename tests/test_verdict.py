"""The headlines are the fifteen of the course's list, and each lesson asks for a verdict on its own."""

import json
import re
from pathlib import Path

import pytest

from mini_moe.course import verdict
from mini_moe.course.display.verdict import HEADLINES, verdicts

MASTERS = sorted((Path(__file__).parent.parent / "solutions").glob("*.ipynb"))


def test_there_are_fifteen_headlines_in_their_order():
    assert list(HEADLINES) == list(range(1, 16))


@pytest.mark.parametrize("path", MASTERS, ids=lambda path: path.stem)
def test_a_lesson_asks_for_a_verdict_on_just_the_headlines_that_name_it(path):
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    code = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    asked = {int(number) for number in re.findall(r"^verdict\((\d+)", code, flags=re.MULTILINE)}
    assert asked == {number for number, headline in HEADLINES.items() if path.stem[:2] in headline.lessons}


@pytest.mark.parametrize("number", HEADLINES)
def test_a_headline_names_a_source_or_says_that_there_is_none(number):
    named = r"\([^)]+, (section|table|figure)|List prices of|No primary source"
    assert re.search(named, HEADLINES[number].sources)


def test_a_verdict_is_asked_before_the_sources_are_shown_and_kept():
    sources = HEADLINES[2].sources
    asked = str(verdict(2))
    assert HEADLINES[2].text in asked
    assert sources[:30] not in asked
    assert sources[:30] in str(verdict(2, " half true "))
    assert verdicts() == {"2": "half true"}
    again = str(verdict(2, ""))
    assert again.index("half true") < again.index(sources[:30])


def test_the_book_shows_the_sources_at_once(monkeypatch):
    monkeypatch.setenv("MINI_MOE_BOOK", "1")
    assert HEADLINES[2].sources[:30] in str(verdict(2, ""))


def test_an_unknown_headline_is_told_which_there_are():
    with pytest.raises(ValueError, match=r"number must be one of 1, 2, .*, 15, got 16"):
        verdict(16)
