"""A figure says what it shows."""

import subprocess
import sys
from datetime import datetime
from html.parser import HTMLParser
from urllib.parse import unquote

import matplotlib.pyplot as plt
import pytest

from mini_moe.course.display.figure import LONGEST, describe, image


@pytest.fixture
def axes():
    plt.switch_backend("agg")
    _, axes = plt.subplots()
    yield axes
    plt.close("all")


def test_titles_and_axes_are_told(axes):
    axes.set(title="Speed", xlabel="tokens", ylabel="time (ms)")
    assert describe(axes.figure) == "Speed. Horizontal: tokens. Vertical: time (ms)."


@pytest.mark.parametrize("way", ["bar", "barh"])
def test_bars_are_told_by_name_and_length(axes, way):
    getattr(axes, way)(["one\nand two", "three"], [1.5, 20], label="ours")
    assert describe(axes.figure) == "ours: one and two 1.5, three 20."


def test_bars_without_names_are_told_by_place(axes):
    axes.bar([10, 12], [1, 2])
    axes.set_xticks([])
    assert describe(axes.figure) == "Bars: 10 1, 12 2."


def test_a_line_is_told_from_end_to_end_and_a_level_across_the_axes_is_not(axes):
    axes.plot([1, 2, 3], [9, 5, 7], label="loss")
    axes.axhline(6)
    assert describe(axes.figure) == "loss: from 9 at 1 to 7 at 3."


def test_lines_of_one_colour_have_one_name(axes):
    for seed, label in enumerate(("ours", None)):
        axes.plot([0, 1], [seed, 2], color="gray", label=label)
    assert describe(axes.figure) == "ours: from 0 at 0 to 2 at 1. ours: from 1 at 0 to 2 at 1."


def test_what_is_written_in_a_figure_is_told(axes):
    axes.imshow([[1, 2], [3, 4]])
    axes.text(0, 0, "half\nfull")
    axes.set_title("Share.")
    assert describe(axes.figure) == "Share. 2 rows of 2 coloured fields. half full."


def test_who_listens_is_not_told_for_ever(axes):
    axes.bar(range(1000), range(1000))
    assert LONGEST - 20 < len(describe(axes.figure)) <= LONGEST + 4


def test_places_without_numbers_are_told_by_their_names(axes):
    axes.plot(["a", "b"], [1, 2], label="words")
    assert describe(axes.figure) == "words: from 1 at a to 2 at b."


def test_a_row_of_dots_is_told_by_its_name_and_reach(axes):
    axes.plot([3, 1, 2], [0, 0, 0], "o", label="seeds")
    axes.set_yticks([0, 1], ["dense", "experts"])
    assert describe(axes.figure) == "seeds: dense 1 to 3."


def test_what_is_written_is_told_by_its_row(axes):
    axes.imshow([[1, 2], [3, 4]])
    axes.set_yticks([0, 1], ["digits", "keywords"])
    for row in range(2):
        for column in range(2):
            axes.text(column, row, f"{row}.{column}")
    assert describe(axes.figure) == "2 rows of 2 coloured fields. digits: 0.0, 0.1; keywords: 1.0, 1.1."


def test_dates_dots_and_gaps_are_told(axes):
    axes.plot([datetime(2026, 1, 1), datetime(2026, 1, 2)], [float("nan"), 12345])
    assert "12,345" in describe(axes.figure) and "nan" not in describe(axes.figure)
    axes.scatter([1, 2], [3, 4])
    assert "2 dots" in describe(axes.figure)


class Images(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.found = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        if tag == "img":
            self.found.append(dict(attributes))


def test_an_image_holds_the_drawing_its_description_and_what_was_said_of_it(axes):
    axes.plot([0, 1], [0, 1])
    axes.set_title('less < "more"')
    figure = axes.figure
    first, again = image(figure, "A picture."), image(figure, "A picture.")
    assert first == again and not plt.get_fignums()
    (shown,) = Images(first).found
    assert shown["alt"] == 'A picture. less < "more". A line: from 0 at 0 to 1 at 1.'
    assert shown["class"] == "mm-figure"
    drawing = unquote(shown["src"].removeprefix("data:image/svg+xml,"))
    assert "<svg" in drawing and drawing.rstrip().endswith("</svg>")


def test_in_the_book_a_figure_shows_itself_as_an_image(monkeypatch):
    code = """
import os; os.environ["MINI_MOE_BOOK"] = "1"
import matplotlib; matplotlib.use("agg")
import matplotlib.pyplot as plt
import mini_moe.course
figure, axes = plt.subplots(); axes.set_title("seen")
assert 'alt="seen."' in figure._repr_html_()
"""
    subprocess.run([sys.executable, "-c", code], check=True)
