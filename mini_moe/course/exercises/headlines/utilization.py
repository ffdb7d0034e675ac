"""Lesson 00, `utilization`: which part of the GPUs' peak a run made use of."""

import math

import torch

from mini_moe.cost import utilization
from mini_moe.course.checking.effect import NOT_USED
from mini_moe.course.checking.exercise import Exercise, Mistake, Property, Wrong, agrees_with
from mini_moe.course.exercises.headlines.shared import digits

ARGUMENTS = {
    "flops": "They are what the run had to do.",
    "gpu_hours": "They say how long the GPUs were at work.",
    "flops_per_second": "It says what a GPU could do in each second of that time.",
}


def _cases_of_utilization(generator):
    yield 7200.0, 1.0, 4.0
    yield 0.0, 2.5, 1e12  # hours in which nothing was computed
    for least, most in ((0.1, 0.9), (1, 1e3), (1e5, 1e6)):
        part, hours, peak = torch.rand(3, generator=generator, dtype=torch.float64).tolist()
        gpu_hours, flops_per_second = least + (most - least) * hours, 1e12 + 1e15 * peak
        yield (0.1 + 0.3 * part) * gpu_hours * 3600 * flops_per_second, gpu_hours, flops_per_second
    yield 37 * 10**23, 2_664_001, 988 * 10**12  # whole numbers, as the lesson has them
    yield 9e18, 2, 1e15  # more than the peak allows: then the hours or the peak cannot be right


def _uses_all(function, *case):
    if case[0] == 0:  # nothing was done, however long and however fast
        return
    for place, (name, why) in enumerate(ARGUMENTS.items()):
        others = [[*case[:place], factor * case[place], *case[place + 1 :]] for factor in (2, 0.5, 100)]
        if not any(function(*other) != function(*case) for other in others):
            raise Wrong(f"{NOT_USED.format(name)} {why}", mistake="input not used")


def _busy_all_the_time(function, flops, gpu_hours, flops_per_second):
    got = function(gpu_hours * 3600 * flops_per_second, gpu_hours, flops_per_second)
    if abs(got - 1) > 1e-6:
        raise Wrong(
            f"GPUs that work at their peak in every second have a utilization of 1: here it is {got:,.8g}.",
            mistake="another unit",
        )


def _in_proportion(function, flops, gpu_hours, flops_per_second):
    once = function(flops, gpu_hours, flops_per_second)
    for what, expected, got in (
        ("Twice the operations", 2 * once, function(2 * flops, gpu_hours, flops_per_second)),
        ("Twice the hours", once / 2, function(flops, 2 * gpu_hours, flops_per_second)),
        ("Twice the peak", once / 2, function(flops, gpu_hours, 2 * flops_per_second)),
    ):
        if abs(got - expected) > 1e-6 * abs(expected):
            raise Wrong(f"{what} must give {expected:,.8g}: the result is {got:,.8g}.", mistake="not in proportion")


def _part(of):
    """The utilization, changed as ``of`` says, for the mistakes."""
    return lambda flops, hours, peak: of(flops / (hours * 3600 * peak))


EXERCISE = Exercise(
    reference=utilization,
    cases=_cases_of_utilization,
    properties=(
        Property("uses operations, hours and peak", _uses_all),
        Property("is 1 for GPUs that work at their peak all the time", _busy_all_the_time),
        Property("grows with the operations, and falls with hours and peak", _in_proportion),
        Property("agrees with the library", agrees_with(utilization)),
        Property("is exact", digits(utilization)),
    ),
    mistakes=(
        Mistake(
            "hours taken for seconds",
            "The hours are multiplied by a rate per second: turn them into seconds first, 3600 for each.",
            lambda flops, hours, peak: flops / (hours * peak),
        ),
        Mistake(
            "hours made minutes",
            "The hours are turned into minutes, 60 for each: the peak is told per second, and an hour has 3600.",
            lambda flops, hours, peak: flops / (hours * 60 * peak),
        ),
        Mistake(
            "hours divided by 3600",
            "In effect the hours are divided by 3600: an hour has 3600 seconds, so multiply.",
            lambda flops, hours, peak: flops / (hours / 3600 * peak),
        ),
        Mistake(
            "hours taken for days",
            "Each hour is counted with the seconds of a day: an hour has 3600.",
            lambda flops, hours, peak: flops / (hours * 24 * 3600 * peak),
        ),
        Mistake(
            "inverse",
            "This is the inverse: what could have been done, divided by what was done. The larger one goes below.",
            lambda flops, hours, peak: hours * 3600 * peak / flops,
        ),
        Mistake(
            "in per cent", "This is in per cent: give the part itself, 0.25 for a quarter.", _part(lambda u: 100 * u)
        ),
        Mistake(
            "what was not used",
            "This is the part of the peak that was *not* used: give the part that was.",
            _part(lambda u: 1 - u),
        ),
        *(
            Mistake(
                "brackets missing",
                "`a / b * c` is `(a / b) * c`: what is to be divided by as a whole goes into brackets.",
                function,
            )
            for function in (
                lambda flops, hours, peak: flops / hours * 3600 * peak,
                lambda flops, hours, peak: flops / (hours * 3600) * peak,
                lambda flops, hours, peak: flops / peak * hours * 3600,
                lambda flops, hours, peak: flops / peak * hours,
                lambda flops, hours, peak: flops / hours * peak,
                lambda flops, hours, peak: flops / peak / 3600 * hours,
            )
        ),
        Mistake(
            "peak left out",
            "These are the operations in each second of a GPU: compare them with those of its peak.",
            lambda flops, hours, peak: flops / (hours * 3600),
        ),
        *(
            Mistake(
                "hours left out",
                "This is the time that the run would take at the peak: compare it with the time that it took.",
                needed,
            )
            for needed in (lambda flops, hours, peak: flops / peak, lambda flops, hours, peak: flops / peak / 3600)
        ),
        Mistake(
            "times the number of GPUs",
            "The number of GPUs is in twice: `gpu_hours` already adds up the hours of all GPUs.",
            _part(lambda u: u / 2048),
        ),
        Mistake(
            "one GPU only",
            "The hours are divided among 2,048 GPUs: `gpu_hours` adds up the hours of all, and all did the work.",
            _part(lambda u: u * 2048),
        ),
        Mistake(
            "multiplied by the tokens",
            "The operations are multiplied by the 14.8 trillion tokens: `flops` are already those of the whole run.",
            _part(lambda u: u * 14.8e12),
        ),
        Mistake(
            "twice the peak",
            "The peak is doubled, as for numbers of 8 bits: compare with the peak that is given.",
            _part(lambda u: u / 2),
        ),
        *(
            Mistake(
                "peak written in",
                "The peak is written in as that of an H800: use the argument, for other GPUs have another.",
                lambda flops, hours, peak, written=written: flops / (hours * 3600 * written),
            )
            for written in (989e12, 1979e12)
        ),
        *(
            Mistake(
                "hours written in",
                "The hours are written in as the report's: use the argument.",
                lambda flops, hours, peak, written=written: flops / (written * 3600 * peak),
            )
            for written in (2_664_000, 2_788_000)
        ),
        *(
            Mistake("rounded", "The result is rounded: give it as it is, and round where you print it.", _part(rounded))
            for rounded in (
                int,
                round,
                math.ceil,
                lambda u: round(u, 1),
                lambda u: round(u, 2),
                lambda u: round(u, 3),
                lambda u: round(u, 4),
            )
        ),
        Mistake(
            "at most 1",
            "More than 1 becomes 1 here: give it as it is, for it shows that the hours or the peak cannot be right.",
            _part(lambda u: min(1.0, u)),
        ),
    ),
    hints=(
        "Two numbers of operations are compared: those that the run needed, and those that the GPUs could have done. "
        "One of them is given.",
        "The peak is told per second, the time in hours. What has to happen to the hours before the two are "
        "multiplied?",
        "One line for the seconds that all GPUs worked; one for the operations that they could have done in these; "
        "and one that divides what was done by what could have been done.",
    ),
    difficulty=1,
    minutes=5,
)
