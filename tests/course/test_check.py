"""What a learner is told and what is kept."""

import functools
import inspect
import textwrap
from pathlib import Path

import nbformat
import pytest
import torch
from course.toy import TOY, reference
from nbclient import NotebookClient

from mini_moe.course import check, hint
from mini_moe.course.check import ExerciseFailed
from mini_moe.course.checking import portfolio
from mini_moe.course.checking.exercise import Exercise

# check and hint


def test_check_returns_the_passing_function_and_keeps_it(capsys):
    def normalise(x, eps):
        return x / (x.sum(-1, keepdim=True) + eps)

    assert check(normalise) is normalise
    assert portfolio.kept() == ["normalise"]
    shown = capsys.readouterr().out
    assert "Passed: normalise" in shown
    assert "your portfolio" in shown


def test_check_falls_back_to_the_library_and_says_so(capsys):
    def normalise(x, eps):
        return x.softmax(-1)

    assert check(normalise) is reference
    assert portfolio.kept() == []
    shown = capsys.readouterr().out
    assert "Not right yet: normalise" in shown
    assert shown.index("It is a softmax.") < shown.index("every row")
    assert "the library's `normalise`" in shown


def test_the_librarys_own_function_does_not_count_as_the_learners(capsys, monkeypatch):
    assert check(reference) is reference
    assert "not yours" in capsys.readouterr().out
    assert portfolio.kept() == []
    monkeypatch.setenv("MINI_MOE_GRADING", "1")
    with pytest.raises(ExerciseFailed, match="not yours"):
        check(reference)


def test_the_portfolios_function_is_taken_but_does_not_count_for_this_notebook(capsys, monkeypatch):

    def normalise(x, eps):
        return x / (x.sum(-1, keepdim=True) + eps)

    check(normalise)
    kept = portfolio.passed("normalise")
    capsys.readouterr()
    assert check(kept) is kept
    assert "from the portfolio" in capsys.readouterr().out
    monkeypatch.setenv("MINI_MOE_GRADING", "1")
    with pytest.raises(ExerciseFailed, match="was not checked"):
        check(kept)


def test_grading_raises_the_text_of_the_card_and_keeps_nothing(monkeypatch):
    monkeypatch.setenv("MINI_MOE_GRADING", "1")

    def normalise(x, eps):
        return x.softmax(-1)

    with pytest.raises(ExerciseFailed, match="Not right yet: normalise\n\n  It is a softmax"):
        check(normalise)

    def normalise(x, eps):
        return x / (x.sum(-1, keepdim=True) + eps)

    assert check(normalise) is normalise
    assert portfolio.kept() == []


class Callable:
    def __call__(self, x, eps):
        return reference(x, eps)


def right_by_another_name(x, eps):
    return x / (x.sum(-1, keepdim=True) + eps)


@pytest.mark.parametrize(
    ("given", "what"),
    [
        (lambda x, eps: reference(x, eps), "a `lambda`"),
        (right_by_another_name, "is `right_by_another_name`"),
        (Callable(), "no function but <"),
        (functools.partial(reference, eps=1e-9), "no function but functools.partial"),
        (None, "no function but None"),
        (torch.ones(2), "no function but shape (2,)"),
    ],
)
def test_what_bears_another_name_is_told_the_right_one_and_the_lesson_goes_on(given, what, capsys, monkeypatch):
    normalise = given
    normalise = check(normalise)
    assert normalise is reference
    shown = capsys.readouterr().out
    assert "`def normalise(...)` is expected" in shown and what in shown and "library's `normalise`" in shown
    assert portfolio.kept() == []
    monkeypatch.setenv("MINI_MOE_GRADING", "1")
    normalise = given
    with pytest.raises(ExerciseFailed, match="is expected"):
        check(normalise)


def test_the_expected_name_is_found_in_every_way_to_write_the_call(capsys):
    if normalise := check(lambda x, eps: x):
        assert normalise is reference
    normalise: object = check(lambda x, eps: x)
    assert normalise is reference
    (normalise,) = (check(lambda x, eps: x),)
    assert normalise is not reference, "no exercise is named here"
    assert capsys.readouterr().out.count("`def normalise(...)` is expected") == 2


def test_a_name_that_no_exercise_bears_stops_nobody_and_the_near_one_is_told(capsys, monkeypatch):
    def normalize(x, eps):
        return x

    assert check(normalize) is normalize
    assert "Did you mean `normalise`?" in capsys.readouterr().out
    monkeypatch.setenv("MINI_MOE_GRADING", "1")
    with pytest.raises(ExerciseFailed, match="Did you mean"):
        check(normalize)


def test_hints_grow_and_say_what_remains():
    assert "2 more" in str(hint("normalise"))
    assert "Over which dimension?" in str(hint("normalise", 2))
    assert "the last" in str(hint("normalise", 3))


@pytest.mark.parametrize("arguments", [("normalise", 0), ("normalise", 4), ("nothing", 1)])
def test_a_hint_that_does_not_exist_is_refused(arguments):
    with pytest.raises(ValueError, match="must be"):
        hint(*arguments)


def test_an_exercise_must_be_complete():
    with pytest.raises(ValueError, match="hints"):
        Exercise(**{**vars(TOY), "hints": ("one",)})
    with pytest.raises(ValueError, match="properties"):
        Exercise(**{**vars(TOY), "properties": ()})
    with pytest.raises(ValueError, match="difficulty"):
        Exercise(**{**vars(TOY), "difficulty": 4})


# In a real kernel


@pytest.mark.slow
def test_a_notebook_checks_keeps_and_explores(course):
    """Source of notebook cells, helpers and imports included, and an explorer's widget."""
    cells = [
        f"""
        import sys; sys.path.insert(0, {str(Path(__file__).parents[1])!r})
        import torch
        import torch.nn.functional as F
        from functools import partial as bind
        from course.toy import TOY
        from mini_moe.course import Explore, check, exercises
        exercises.EXERCISES = (TOY,)
        SCALE = 1.0
        x = torch.ones(3)
        """,
        """
        def total(x: torch.Tensor):
            return bind(F.relu, x)().sum(-1, keepdim=True) * SCALE
        """,
        """
        def normalise(x, eps):
            return x / (total(x) + eps)
        normalise = check(normalise)
        """,
        """
        def normalise(x, eps):
            return x / (total(x)
                        + y)
        normalise = check(normalise)
        """,
        """Explore(lambda n: f"<b>{n}</b>", n=[1, 2])""",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(textwrap.dedent(cell)) for cell in cells])
    NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    passed, crashed, explorer = (cell.outputs[0]["data"] for cell in notebook.cells[2:])
    assert "kept in your portfolio, for" in passed["text/plain"]
    assert "line 3, `+ y)`" in crashed["text/plain"]
    assert "NameError: name 'y' is not defined" in crashed["text/plain"]
    assert "application/vnd.jupyter.widget-view+json" in explorer
    assert "n: 1, 2" in explorer["text/plain"]

    text = (course / "portfolio" / "normalise.py").read_text()
    assert text.index("import torch\n") < text.index("SCALE = 1.0") < text.index("def total") < text.index("def norm")
    assert "x = " not in text.partition("def total")[0]
    normalise = portfolio.passed("normalise")
    assert torch.equal(normalise(torch.ones(1, 2), 0.0), torch.full((1, 2), 0.5))
    assert "def normalise" in inspect.getsource(normalise)


# The portfolio


def test_a_function_that_no_file_can_hold_is_not_kept_and_says_why(capsys):
    exec("def normalise(x, eps): return x / (x.sum(-1, keepdim=True) + eps)", space := {})
    assert check(space["normalise"]) is space["normalise"]
    assert "has no source" in capsys.readouterr().out
    with pytest.raises(ValueError, match="uses the global `DEVICE`"):
        portfolio.keep(needs_an_object)
    assert portfolio.kept() == []


DEVICE = object()


def needs_an_object():
    return DEVICE


def test_loading_what_is_not_kept_is_refused():
    with pytest.raises(ValueError, match="none yet"):
        portfolio.passed("route")
