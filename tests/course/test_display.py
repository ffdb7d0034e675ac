"""Cards, quizzes and explorers."""

import base64
import gzip
import html
import json
import re

import pytest

from mini_moe.course import Explore, exercises, quiz
from mini_moe.course.display.card import Blocks, Card, Claims, Says
from mini_moe.course.display.quiz import Option, Quiz

# Cards


def test_a_card_escapes_what_it_shows_and_says_its_status_in_words():
    card = Card("<b>", "wrong", (Says("`<i>`"), Claims((("<u>", "failed"),)), Blocks((("in", "<s>"),))))
    page = re.sub(r"<style>.*?</style>", "", card.html(), flags=re.DOTALL)
    assert not re.search(r"<[bius]>", page)
    assert "<code>&lt;i&gt;</code>" in page
    assert "Not right yet" in page
    assert "does not hold" in page
    assert set(card._repr_mimebundle_()) == {"text/plain", "text/html"}
    with pytest.raises(ValueError, match="status must be"):
        Card("", "fine")


# Quizzes


GUESS = Quiz("guess", "Is `1 < 2`?", (Option("yes", "So it is.", right=True), Option("<no>", "Look again.")))


def test_a_quiz_needs_no_script_and_its_text_gives_nothing_away(monkeypatch):
    monkeypatch.setattr(exercises, "QUIZZES", (GUESS,))
    shown = quiz("guess")._repr_mimebundle_()
    assert "<script" not in shown["text/html"]
    assert shown["text/html"].count('name="quiz-guess"') == 2
    assert "&lt;no&gt;" in shown["text/html"]
    assert shown["text/plain"] == "Is `1 < 2`?\n  (a) yes\n  (b) <no>"
    with pytest.raises(ValueError, match="Did you mean guess"):
        quiz("gues")


def test_a_quiz_has_exactly_one_right_option():
    with pytest.raises(ValueError, match="exactly one"):
        Quiz("guess", "?", (Option("a", ""), Option("b", "")))


# Explorers


def line(width, style):
    """A line."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(2, 1))
    axes.plot([0, 1], linewidth=width, linestyle=style)
    return figure


def test_an_explorer_draws_every_state_once_and_closes_its_figures(monkeypatch):
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    calls = []

    def counted(width):
        """A line."""
        calls.append(width)
        return line(width, "-")

    explorer = Explore(counted, width=(1, 2))
    first = explorer.draw(width=1)
    assert explorer.draw(width=1) == first == Explore(counted, width=(1,)).draw(width=1)
    assert 'alt="A line, width 1. ' in first
    assert calls == [1, 1]
    assert plt.get_fignums() == []


def test_an_explorer_without_a_kernel_holds_all_states_and_says_so(monkeypatch):
    monkeypatch.setenv("MINI_MOE_BOOK", "1")
    explorer = Explore(lambda n, name: f"<b>{n} {name}</b>", n=range(3), name=("a", "b"))
    page = explorer._repr_mimebundle_()["text/html"]
    assert page.count('type="range"') == 2
    assert "6 states" in page
    assert "computed when the book was built" in page
    (packed,) = re.findall(r'class="mm-states">([^<]*)<', page)
    states = json.loads(gzip.decompress(base64.b64decode(packed)))
    assert states == ["<b>0 a</b>", "<b>0 b</b>", "<b>1 a</b>", "<b>1 b</b>", "<b>2 a</b>", "<b>2 b</b>"]
    assert "http" not in page


def test_a_state_may_have_any_letters_in_its_name():
    odd = "<b>\"&'"
    page = Explore(lambda n: "", n=[odd]).static()
    (labels,) = re.findall(r"data-labels='([^']*)'", page)
    assert json.loads(html.unescape(labels)) == [odd]
    assert f"<output>{html.escape(odd)}</output>" in page


def test_an_explorer_that_cannot_draw_its_first_state_raises(monkeypatch):
    with pytest.raises(ZeroDivisionError):
        Explore(lambda n: 1 / n, n=[0]).live()
    with pytest.raises(ZeroDivisionError):
        Explore(lambda n: f"{1 / n}", n=[1, 0]).static()


def test_an_explorer_shows_what_went_wrong_behind_the_slider():
    widget = Explore(lambda n: f"{1 / n}", n=[2, 0]).live()
    slider, view = widget.children
    assert (slider.value, view.value) == (2, "0.5")
    slider.value = 0
    assert "ZeroDivisionError: division by zero" in view.value


def test_the_numbers_of_a_slider_stand_in_order_and_it_begins_at_the_first_given():
    slider, _ = Explore(lambda n: str(n), n=[2, 3, 1]).live().children
    assert [value for _, value in slider.options] == [1, 2, 3]
    assert slider.value == 2


def test_an_explorer_describes_its_state_and_its_figure():
    (described,) = re.findall(r'alt="([^"]*)"', Explore(line, width=[3], style=["-"]).draw(width=3, style="-"))
    assert described.startswith("A line, width 3, style -. ")
    assert "from 0 at 0" in described


@pytest.mark.parametrize("grid", [{}, {"width": []}, {"width": [1]}, {"width": [1], "style": ["-"], "colour": ["red"]}])
def test_a_grid_that_does_not_fit_the_function_is_refused(grid):
    with pytest.raises(ValueError, match="grid must"):
        Explore(line, **grid)
