"""What a lesson calls after each answer: `check` shows a card and lets the lesson go on, `hint` helps."""

import ast
import difflib
import sys
from textwrap import wrap

import executing
from IPython.display import display

from mini_moe.course import exercises
from mini_moe.course.checking import portfolio
from mini_moe.course.checking.examine import card_of, examine
from mini_moe.course.display.card import Card, Footer, Says
from mini_moe.course.display.values import show
from mini_moe.course.occasion import graded, in_book


class ExerciseFailed(AssertionError):
    """An exercise did not pass while it was graded; the message is the card's text."""

    def _render_traceback_(self):
        """The lines that IPython shows: the card, not the way to it; short, for ``nbgrader validate`` cuts at 83."""
        lines = []
        for line in str(self).splitlines():
            inner = " " * (len(line) - len(line.lstrip()) + 2)
            lines += wrap(line, 80, subsequent_indent=inner, break_on_hyphens=False) or [""]
        return lines


def check(function):
    """Examine a function against the exercise of its name, show the card, and return what the lesson goes on with.

    That is the function itself if it passed (it is kept in the portfolio), else the library's, so that nobody stalls.
    Use it as ``route = check(route)``. What is not a function with an exercise's name is told which name is expected;
    it is found in the call itself.

    Raises:
        ExerciseFailed: it did not pass, and it is `graded`.
    """
    name = getattr(function, "__name__", None)
    exercise = exercises.get(_asked_for(sys._getframe(1))) or exercises.get(name)
    if exercise is None or not callable(function) or name != exercise.name:
        passed, card = False, _another_name(function, exercise)
    elif function is exercise.reference:
        passed, card = False, _the_library_s(exercise.name)
    elif portfolio.is_kept(function):
        passed, card = not graded(), _the_portfolio_s(exercise.name)
    else:
        outcome = examine(exercise, function)
        passed, card = outcome.status == "passed", card_of(outcome, _what_next(outcome, function))
    if not passed and graded():
        raise ExerciseFailed(str(card))
    display(card)
    return function if passed or exercise is None else exercise.reference


def _asked_for(frame):
    """The name of which ``name = check(...)`` or ``check(name)`` speaks, in the frame that calls; else None."""
    call = executing.Source.executing(frame).node
    parent = getattr(call, "parent", None)
    target = parent.targets[0] if isinstance(parent, ast.Assign) else getattr(parent, "target", None)
    names = [node.id for node in (target, *getattr(call, "args", ())) if isinstance(node, ast.Name)]
    return names[0] if names else None


def _another_name(function, exercise):
    given = getattr(function, "__name__", None) if callable(function) else None
    if given is None:
        what = f"this is no function but {show(function)}"
    else:
        what = "this is a `lambda`" if given == "<lambda>" else f"the name of this one is `{given}`"
    if exercise is None:
        near = difflib.get_close_matches(str(given), [known.name for known in exercises.EXERCISES], n=1)
        says = f"No exercise is known by what stands here: {what}." + (f" Did you mean `{near[0]}`?" if near else "")
        return Card("`check`", "wrong", (Says(says), Footer("Write `def` with the name that the lesson gives.")))
    name = exercise.name
    says = f"A function written with `def {name}(...)` is expected: {what}."
    return Card(f"`{name}`", "wrong", (Says(says), Footer(f"Write it with `def`.{_until_then(name)}")))


def _the_library_s(name):
    what_next = "Run the cell that defines yours (if it shows an error, mend it first), then this one again."
    return Card(f"`{name}`", "note", (Says(f"This is the library's `{name}`, not yours."), Footer(what_next)))


def _the_portfolio_s(name):
    says = f"This is your `{name}` from the portfolio, which passed before; the lesson goes on with it."
    return Card(f"`{name}`", "note", (Says(says), Footer("What this notebook's cell holds was not checked.")))


def _what_next(outcome, function):
    name = outcome.exercise.name
    if outcome.status != "passed":
        return f'Stuck? `hint("{name}")` helps.{_until_then(name)}'
    return f"The lesson goes on with your `{name}`." + ("" if graded() or in_book() else _kept(function))


def _until_then(name):
    return "" if graded() else f" Until then the lesson goes on with the library's `{name}`."


def _kept(function):
    """Keep it in the portfolio, and say so; or say why not, for that must stop nobody."""
    try:
        portfolio.keep(function)
    except Exception as error:  # whatever it is, the lesson goes on
        return f" It could not be kept in your portfolio: {error}"
    return " It is kept in your portfolio, for the whole model at the end."


def hint(name, level=1):
    """The card of one of an exercise's three hints, each more direct than the one before.

    Raises:
        ValueError: no exercise has that name, or the level is not 1, 2 or 3.
    """
    exercise = exercises.find(name)
    if level not in (1, 2, 3):
        raise ValueError(f"level must be 1, 2 or 3, got {level!r}.")
    left = 3 - level
    if left:
        more = f'{left} more, and more direct: `hint("{name}", {level + 1})`'
    else:
        more = f"This was the last. The library's own is one line away: `{name}??` once the lesson goes on with it."
    return Card(f"Hint {level} of 3 for `{name}`", "note", (Says(exercise.hints[level - 1]), Footer(more)))
