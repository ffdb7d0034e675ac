"""What a lesson calls after each answer: `check` shows a card and lets the lesson go on, `hint` helps."""

import os

from IPython.display import display

from mini_moe.course import exercises
from mini_moe.course.checking import portfolio
from mini_moe.course.checking.examine import card_of, examine
from mini_moe.course.display.card import Card, Footer, Says
from mini_moe.course.display.style import in_book


class ExerciseFailed(AssertionError):
    """An exercise did not pass while it was graded; the message is the card's text."""


def check(function):
    """Examine a function against the exercise of its name, show the card, and return what the lesson goes on with.

    That is the function itself if it passed (it is kept in the portfolio), else the library's, so that nobody stalls.
    Use it as ``route = check(route)``.

    Raises:
        ValueError: no exercise has the function's name.
        ExerciseFailed: it did not pass, and ``MINI_MOE_GRADING=1`` says that this is the exam.
    """
    exercise = exercises.find(getattr(function, "__name__", repr(function)))
    name, grading = exercise.name, os.environ.get("MINI_MOE_GRADING") == "1"
    if function is exercise.reference:
        passed = False
        says = Says(f"This is the library's `{name}`, not yours.")
        card = Card(
            f"`{name}`",
            "note",
            (
                says,
                Footer("Run the cell that defines yours (if it shows an error, mend it first), then this one again."),
            ),
        )
    else:
        outcome = examine(exercise, function)
        passed = outcome.status == "passed"
        if not passed:
            footer = f'Stuck? `hint("{name}")` helps. Until then the lesson goes on with the library\'s `{name}`.'
        else:
            footer = f"The lesson goes on with your `{name}`." + ("" if grading or in_book() else _kept(function))
        card = card_of(outcome, footer)
    if grading and not passed:
        raise ExerciseFailed(str(card))
    display(card)
    return function if passed else exercise.reference


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
