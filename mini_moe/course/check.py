"""Check a learner's function: `examine` finds out and says nothing, `check` shows a card and lets the lesson go on."""

import hashlib
import os
from dataclasses import dataclass, replace
from textwrap import wrap

import torch
from IPython.display import display

from mini_moe.course import exercises, portfolio
from mini_moe.course.card import Blocks, Card, Claims, Footer, Says
from mini_moe.course.diagnose import TimeUp, fault, recognise, time_limit, well_formed
from mini_moe.course.exercise import Exercise, argument_label
from mini_moe.course.look import in_book
from mini_moe.course.observe import observe, same_outputs
from mini_moe.course.show import show, show_pair


class ExerciseFailed(AssertionError):
    """An exercise did not pass while it was graded; the message is the card's text."""

    def _render_traceback_(self):
        """The lines that IPython shows: the card, not the way to it; short, for ``nbgrader validate`` cuts at 83."""
        lines = []
        for line in str(self).splitlines():
            inner = " " * (len(line) - len(line.lstrip()) + 2)
            lines += wrap(line, 80, subsequent_indent=inner, break_on_hyphens=False) or [""]
        return lines


def graded():
    """Is this the exam? nbgrader says so whenever it validates or autogrades; others by ``MINI_MOE_GRADING=1``."""
    return os.environ.get("MINI_MOE_GRADING") == "1" or "NBGRADER_EXECUTION" in os.environ


@dataclass(frozen=True)
class Outcome:
    """How a function did in an exercise; all from ``says`` on is None where there is nothing to tell."""

    exercise: Exercise
    status: str  # "passed", "wrong" or "open"
    held: tuple[str, ...]  # the claims that hold
    failed: str | None = None  # the claim that does not; None too if the form alone was wrong
    mistake: str | None = None  # the stable name of a known mistake
    says: str | None = None  # its diagnosis, else what the failed property says
    case: tuple | None = None  # the smallest input that shows it
    got: object = None
    expected: object = None


def seed_of(function):
    """A seed that is always the same for the same source: other attempts meet other inputs, a rerun the same."""
    try:
        text = portfolio.source_of(function)
    except ValueError:
        text = function.__name__
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6], "big")


def examine(exercise, function):
    """The `Outcome` on a function: its form first, then every property in order, on cases drawn for its source."""
    cases = list(exercise.cases(torch.Generator().manual_seed(seed_of(function))))
    tests = [(None, well_formed(exercise.reference))] + [(p.claim, p.test) for p in exercise.properties]
    held = ()
    for claim, test in tests:
        for case in cases:
            wrong = fault(test, function, case)
            if wrong:
                return _failing(exercise, function, cases, Outcome(exercise, "wrong", held, claim, case=case), wrong)
        held += (claim,) if claim else ()
    return Outcome(exercise, "passed", held)


def _failing(exercise, function, cases, outcome, wrong):
    """Complete an outcome by what is known of the fault: a declared mistake leads, then what the test said."""
    if wrong.mistake == "not written yet":
        return replace(outcome, status="open", mistake=wrong.mistake, says=wrong.message, case=None)
    known = recognise(exercise, function, cases) if wrong.mistake != "takes too long" else None
    got, expected = wrong.got, wrong.expected
    if got is None and expected is None and (known or wrong.mistake is None):
        got, expected = _results(exercise, function, outcome.case)
    return replace(
        outcome,
        mistake=known.name if known else wrong.mistake,
        says=known.says if known else wrong.message,
        got=got,
        expected=expected,
    )


def _results(exercise, function, case):
    """What the function returns and what it should; None where they agree: the fault showed on another input."""
    try:
        with time_limit():
            mine = observe(function, case)
    except (Exception, SystemExit, TimeUp):
        return None, None
    theirs = observe(exercise.reference, case)
    return (None, None) if same_outputs(mine, theirs) else (mine.outputs, theirs.outputs)


def card_of(outcome, footer):
    """The card that tells an outcome, ending with the sentence ``footer``."""
    exercise = outcome.exercise
    parts = []
    if outcome.status == "open":
        dots = "●" * exercise.difficulty + "○" * (3 - exercise.difficulty)
        minutes = "1 minute" if exercise.minutes == 1 else f"{exercise.minutes} minutes"
        parts.append(Says(f"About {minutes}, difficulty {dots} ({exercise.difficulty} of 3)."))
    elif outcome.says:
        parts.append(Says(outcome.says))
    claims = [property.claim for property in exercise.properties]
    outcomes = dict.fromkeys(claims, "untried") | dict.fromkeys(outcome.held, "held")
    if outcome.failed:
        outcomes[outcome.failed] = "failed"
    parts.append(Claims(tuple(outcomes.items())))
    if outcome.case is not None:
        labelled = ((argument_label(exercise.reference, f"[{i}]"), show(value)) for i, value in enumerate(outcome.case))
        inputs = "\n".join(f"{label}: {value}".replace("\n", "\n  ") for label, value in labelled)
        parts.append(Blocks((("The smallest input that shows it", inputs),)))
    if outcome.got is not None or outcome.expected is not None:
        got, expected = show_pair(outcome.got, outcome.expected)
        parts.append(Blocks((("Yours", got), ("Expected", expected))))
    return Card(f"`{exercise.name}`", outcome.status, (*parts, Footer(footer)))


def check(function):
    """Examine a function against the exercise of its name, show the card, and return what the lesson goes on with.

    That is the function itself if it passed (it is kept in the portfolio), else the library's, so that nobody stalls.
    Use it as ``route = check(route)``.

    Raises:
        ValueError: no exercise has the function's name.
        ExerciseFailed: it did not pass, and it is `graded`.
    """
    exercise = exercises.find(getattr(function, "__name__", repr(function)))
    name, grading = exercise.name, graded()
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
            until_then = "" if grading else f" Until then the lesson goes on with the library's `{name}`."
            footer = f'Stuck? `hint("{name}")` helps.{until_then}'
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
