"""Lesson 07, `speedup`: how many times as many tokens a second one draft a pass gives."""

import math

import torch

from mini_moe.course.checking.exercise import Exercise, Illegal, Property, Wrong, agrees_with, refuses
from mini_moe.course.exercises.speculative_decoding.speedup_mistakes import MISTAKES
from mini_moe.speculative import speedup

NAN = float("nan")
NO_ACCEPTANCE = "It is a share of the drafts, from 0 for none to 1 for all."
NO_OVERHEAD = "Drafting and checking cannot take less than no time."
NO_NUMBER = "Every comparison with NaN is False: ask whether the value is allowed, not whether it is forbidden."


def _cases_of_speedup(generator):
    def draw(least, most):
        share = torch.rand(1, generator=generator, dtype=torch.float64).item()
        return least + (most - least) * share

    yield 0.5, 0.25
    yield draw(0.6, 0.9), draw(0.1, 0.3)
    yield draw(0.05, 0.2), draw(0.4, 0.7)  # it does not pay
    yield draw(0.3, 0.7), draw(1.2, 2.8)  # drafting costs more than a step
    yield draw(0.95, 0.99), draw(0.001, 0.01)
    yield draw(0.001, 0.01), draw(30, 50)
    yield 0.75, 0.75  # neither gained nor lost
    yield 1.0, draw(0.2, 0.4)
    yield 0.0, draw(0.6, 0.8)
    yield draw(0.2, 0.4), 0.0
    yield 1, 3  # whole numbers
    yield 0, 1
    yield 1, 0
    yield 0.0, 0.0


def _near(got, expected):
    return math.isclose(got, expected, rel_tol=1e-6, abs_tol=1e-12)


def _free_drafts(function, acceptance, overhead):
    if not _near(got := function(acceptance, 0.0), 1 + acceptance):
        raise Wrong(
            f"With drafts that cost nothing, and {acceptance:.6g} of them accepted, each step yields "
            f"{1 + acceptance:.6g} tokens in the time of one: here the result is {got:.6g}."
        )


def _useless_drafts(function, acceptance, overhead):
    if not _near(got := function(0.0, overhead), 1 / (1 + overhead)):
        raise Wrong(
            f"With no draft accepted, and an overhead of {overhead:.6g}, one token takes the time of "
            f"{1 + overhead:.6g} steps, and the result must be {1 / (1 + overhead):.6g}: here it is {got:.6g}."
        )


def _breaks_even(function, acceptance, overhead):
    if not _near(got := function(acceptance, acceptance), 1.0):
        raise Wrong(
            f"Where {acceptance:.6g} of the drafts are accepted, and {acceptance:.6g} of a step is spent on each, "
            f"nothing is won and nothing lost: the result must be 1, and is {got:.6g}."
        )


def _twice_the_time(function, acceptance, overhead):
    once, twice = function(acceptance, overhead), function(acceptance, 1 + 2 * overhead)
    if not _near(once, 2 * twice):
        raise Wrong(
            f"With an overhead of {1 + 2 * overhead:.6g} all takes twice as long as with {overhead:.6g}, so the result "
            f"must be half of {once:.6g}: here it is {twice:.6g}."
        )


def _with_acceptance(value, why, mistake):
    return lambda acceptance, overhead: Illegal((value, overhead), "acceptance", value, why=why, mistake=mistake)


def _with_overhead(value, why, mistake):
    return lambda acceptance, overhead: Illegal((acceptance, value), "overhead", value, why=why, mistake=mistake)


EXERCISE = Exercise(
    reference=speedup,
    cases=_cases_of_speedup,
    properties=(
        Property("drafts that cost nothing add what is accepted", _free_drafts),
        Property("drafts that are never right only cost", _useless_drafts),
        Property("acceptance and overhead that are equal give 1", _breaks_even),
        Property("twice the time gives half the result", _twice_the_time),
        Property("agrees with the library", agrees_with(speedup)),
        Property(
            "an acceptance outside 0 to 1 is refused",
            refuses(
                *(_with_acceptance(value, NO_ACCEPTANCE, "acceptance not refused") for value in (1.25, -0.25, 2, -1))
            ),
        ),
        Property(
            "a negative overhead is refused",
            refuses(
                *(_with_overhead(value, NO_OVERHEAD, "overhead not refused") for value in (-0.25, -1, -2, -0.01)),
            ),
        ),
        Property(
            "what is not a number is refused",
            refuses(*(give(NAN, NO_NUMBER, "NaN not refused") for give in (_with_acceptance, _with_overhead))),
        ),
    ),
    mistakes=MISTAKES,
    hints=(
        "Two things change when drafts are made: how many tokens a pass yields on average, and how long a pass takes. "
        "Say each of them, counting a plain step as 1.",
        "Every pass yields one token at least, and another one in that share of the passes whose draft is accepted. "
        "It takes the time of a step, and the overhead on top.",
        "Two checks, each with an error that tells the value. Then one line: a fraction with a sum of two above, the "
        "tokens of a pass, and a sum of two below, its time. Each sum in brackets.",
    ),
    difficulty=1,
    minutes=6,
)
