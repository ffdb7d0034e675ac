"""Lesson 00, `training_dollars`: hours to dollars."""

import math

import torch

from mini_moe.cost import training_dollars
from mini_moe.course.checking.exercise import Exercise, Mistake, Property, Wrong, agrees_with
from mini_moe.course.exercises.headlines.shared import digits, uses

ARGUMENTS = {"gpu_hours": "They are what is paid for.", "dollars_per_hour": "It is what each hour costs."}


def _cases_of_dollars(generator):
    yield 3.0, 2.0
    yield 0.0, 4.5
    for least, most in ((0.1, 0.9), (1, 1e3), (1e5, 1e6)):
        hours, rate = torch.rand(2, generator=generator, dtype=torch.float64).tolist()
        yield least + (most - least) * hours, 0.6 + 8 * rate
    yield 2_788_000, 3  # whole numbers, as the lesson has them


def _nothing_for_nothing(function, gpu_hours, dollars_per_hour):
    for hours, rate, what in ((gpu_hours, 0.0, "A free GPU"), (0.0, dollars_per_hour, "No hour at all")):
        try:
            got = function(hours, rate)
        except ZeroDivisionError:
            raise Wrong(f"It divides by zero: {what.lower()} must cost nothing.", mistake="divides by zero") from None
        if got != 0:
            raise Wrong(f"{what} must cost nothing: it costs {got:,.8g}.", mistake="nothing costs something")


def _twice(function, gpu_hours, dollars_per_hour):
    once = function(gpu_hours, dollars_per_hour)
    for what, got in (
        ("Twice the hours", function(2 * gpu_hours, dollars_per_hour)),
        ("Twice the rent", function(gpu_hours, 2 * dollars_per_hour)),
    ):
        if abs(got - 2 * once) > 1e-6 * abs(2 * once):
            raise Wrong(
                f"{what} must cost twice as much, {2 * once:,.8g}: it costs {got:,.8g}.", mistake="not in proportion"
            )


def _one_hour(function, *_):
    got = function(1.0, 1.0)
    if abs(got - 1) > 1e-6:
        raise Wrong(f"One hour at one dollar must cost one dollar: it costs {got:,.8g}.", mistake="another unit")


def _each_part(function, gpu_hours, dollars_per_hour):
    got, expected = function(gpu_hours, dollars_per_hour), gpu_hours * dollars_per_hour
    if abs(got - expected) > 1e-6 * abs(expected):
        raise Wrong(
            "An hour at a dollar is right, but parts of hours and dollars are not: is something rounded, or cut off?",
            got=got,
            expected=expected,
            mistake="not in proportion",
        )


EXERCISE = Exercise(
    reference=training_dollars,
    cases=_cases_of_dollars,
    properties=(
        Property("uses hours and rent", uses(training_dollars, ARGUMENTS)),
        Property("nothing costs nothing", _nothing_for_nothing),
        Property("twice as much costs twice as much", _twice),
        Property("an hour at a dollar costs a dollar", _one_hour),
        Property("parts of hours and dollars count", _each_part),
        Property("agrees with the library", agrees_with(training_dollars)),
        Property("is exact", digits(training_dollars)),
    ),
    mistakes=(
        Mistake(
            "divided",
            "The hours are divided by the rent: dollars are hours times dollars an hour.",
            lambda hours, rate: hours / rate,
        ),
        Mistake(
            "rent divided by hours",
            "The rent is divided by the hours: dollars are hours times dollars an hour.",
            lambda hours, rate: rate / hours,
        ),
        Mistake(
            "added", "Hours and dollars are added: their product is what is paid.", lambda hours, rate: hours + rate
        ),
        *(
            Mistake("a power", "One is raised to the power of the other: `*` multiplies, `**` does not.", power)
            for power in (lambda hours, rate: hours**rate, lambda hours, rate: rate**hours)
        ),
        *(
            Mistake("in thousands", "This is in thousands of dollars: give dollars.", thousands)
            for thousands in (lambda hours, rate: hours * rate / 1e3, lambda hours, rate: hours * rate // 1e3)
        ),
        *(
            Mistake("in millions", "This is in millions of dollars: give dollars.", millions)
            for millions in (lambda hours, rate: hours * rate / 1e6, lambda hours, rate: hours * rate // 1e6)
        ),
        Mistake("in cents", "This is in cents: give dollars.", lambda hours, rate: hours * rate * 100),
        Mistake(
            "times the number of GPUs",
            "The number of GPUs is in twice: `gpu_hours` already adds up the hours of all GPUs.",
            lambda hours, rate: hours * rate * 2048,
        ),
        Mistake(
            "one GPU only",
            "This is what one of 2,048 GPUs costs: `gpu_hours` adds up the hours of all, and all are paid.",
            lambda hours, rate: hours * rate / 2048,
        ),
        *(
            Mistake("rounded", "The result is rounded: give it as it is, and round where you print it.", rounded)
            for rounded in (
                lambda hours, rate: int(hours * rate),
                lambda hours, rate: round(hours * rate),
                lambda hours, rate: math.ceil(hours * rate),
                lambda hours, rate: round(hours * rate, 2),
                lambda hours, rate: round(hours * rate, -3),
            )
        ),
        *(
            Mistake("hours rounded", "The hours are rounded: a part of an hour costs its part.", rounded)
            for rounded in (
                lambda hours, rate: int(hours) * rate,
                lambda hours, rate: round(hours) * rate,
                lambda hours, rate: math.ceil(hours) * rate,
                lambda hours, rate: round(hours, 1) * rate,
                lambda hours, rate: round(hours, 2) * rate,
            )
        ),
        *(
            Mistake("rent rounded", "The rent is rounded: use it as it is.", rounded)
            for rounded in (
                lambda hours, rate: hours * int(rate),
                lambda hours, rate: hours * round(rate),
                lambda hours, rate: hours * math.ceil(rate),
                lambda hours, rate: hours * round(rate, 1),
                lambda hours, rate: hours * round(rate, 2),
            )
        ),
        Mistake(
            "hours and rent rounded",
            "Hours and rent are both rounded: parts of an hour and cents are paid, too.",
            lambda hours, rate: int(hours) * int(rate),
        ),
        Mistake(
            "at least an hour",
            "Less than an hour is paid as a whole one: a part of an hour costs its part.",
            lambda hours, rate: max(1.0, hours) * rate,
        ),
        Mistake(
            "hours taken for seconds",
            "The hours are divided by 3600: they are hours already.",
            lambda hours, rate: hours / 3600 * rate,
        ),
        Mistake(
            "hours taken for minutes",
            "The hours are divided by 60: they are hours already.",
            lambda hours, rate: hours / 60 * rate,
        ),
        Mistake(
            "rent by the day",
            "It is multiplied by 24: the rent is already for an hour.",
            lambda hours, rate: hours * rate * 24,
        ),
        Mistake(
            "hours made days",
            "The hours are divided by 24: the rent is for an hour, not for a day.",
            lambda hours, rate: hours * rate / 24,
        ),
        Mistake(
            "rate written in",
            "The rent is written in as $2: use the argument, for that figure is an assumption.",
            lambda hours, rate: hours * 2.0,
        ),
        Mistake(
            "the report's hours written in",
            "The hours are written in as the report's 2,788,000: use the argument.",
            lambda hours, rate: 2_788_000 * rate,
        ),
    ),
    hints=(
        "Look at the units: hours, and dollars per hour.",
        "hours x (dollars / hour) = dollars.",
        "return gpu_hours * dollars_per_hour",
    ),
    difficulty=1,
    minutes=1,
)
