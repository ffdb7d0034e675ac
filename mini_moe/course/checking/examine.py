"""Examine a learner's function by an exercise: `examine` finds out, `card_of` tells it. Nothing is shown here."""

import contextlib
import hashlib
from dataclasses import dataclass, replace

import torch

from mini_moe.course.checking import portfolio
from mini_moe.course.checking.diagnose import general, recognise
from mini_moe.course.checking.exercise import Exercise, argument_label
from mini_moe.course.checking.form import well_formed
from mini_moe.course.checking.guard import TimeUp, attempt, fault, time_limit
from mini_moe.course.checking.observe import observe, same_outputs
from mini_moe.course.display.card import Blocks, Card, Claims, Footer, Says
from mini_moe.course.display.values import show, show_pair


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
    form = well_formed(exercise.reference, exercise.constants)
    tests = [(None, form)] + [(p.claim, p.test) for p in exercise.properties]
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
    known, got, expected = None, wrong.got, wrong.expected
    # A diagnosis that fails, or takes too long, stops no lesson: what the test said is told.
    with contextlib.suppress(Exception, TimeUp), time_limit():
        if wrong.mistake != "takes too long":
            known = recognise(exercise, function, cases)
            if known is None:
                wrong = general(wrong, exercise.reference, function, cases, outcome.case)
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
    mine = attempt(function, case)
    if mine is None:
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
