"""A figure says what it shows."""

import re
from html import unescape
from urllib.parse import unquote

import matplotlib.pyplot as plt
import pytest

from mini_moe.course.figure import LONGEST, describe, image


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


def test_what_is_written_in_a_figure_is_told(axes):
    axes.imshow([[1, 2], [3, 4]])
    axes.text(0, 0, "half\nfull")
    axes.set_title("Share.")
    assert describe(axes.figure) == "Share. 2 rows of 2 coloured fields. half full."


def test_who_listens_is_not_told_for_ever(axes):
    axes.bar(range(1000), range(1000))
    assert LONGEST - 20 < len(describe(axes.figure)) <= LONGEST + 4


def test_an_image_holds_the_drawing_its_description_and_what_was_said_of_it(axes):
    axes.plot([0, 1], [0, 1])
    axes.set_title('less < "more"')
    figure = axes.figure
    first, again = image(figure, "A picture."), image(figure, "A picture.")
    assert first == again and not plt.get_fignums()
    described, drawing = re.fullmatch(
        r'<div .*?><img .*?alt="(.*?)" src="data:image/svg\+xml,(.*?)" style=".*?"></div>', first
    ).groups()
    assert unescape(described) == 'A picture. less < "more". A line: from 0 at 0 to 1 at 1.'
    assert "<svg" in unquote(drawing) and unquote(drawing).rstrip().endswith("</svg>")
