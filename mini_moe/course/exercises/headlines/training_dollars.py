"""Lesson 00, `training_dollars`: hours to dollars."""

import torch

from mini_moe.cost import (
    training_dollars,
)
from mini_moe.course.checking.exercise import Exercise, Mistake, Property, Wrong, agrees_with


def _cases_of_dollars(generator):
    yield 3.0, 2.0
    for scale in (1, 1e3, 1e6):
        hours, rate = torch.rand(2, generator=generator, dtype=torch.float64).tolist()
        yield scale * (0.1 + hours), 0.5 + 9 * rate


def _twice_the_hours(function, gpu_hours, dollars_per_hour):
    got, expected = function(2 * gpu_hours, dollars_per_hour), 2 * function(gpu_hours, dollars_per_hour)
    if abs(got - expected) > 1e-9 * abs(expected):
        raise Wrong(f"Twice the hours must cost twice as much, {expected:,.8g}: they cost {got:,.8g}.")


def _free(function, gpu_hours, dollars_per_hour):
    try:
        got = function(gpu_hours, 0.0)
    except ZeroDivisionError:
        raise Wrong("It divides by the rent: a free GPU must cost nothing.") from None
    if got != 0:
        raise Wrong(f"A free GPU must cost nothing: it costs {got:,.8g}.")


EXERCISE = Exercise(
    reference=training_dollars,
    cases=_cases_of_dollars,
    properties=(
        Property("twice the hours cost twice as much", _twice_the_hours),
        Property("a free GPU costs nothing", _free),
        Property("agrees with the library", agrees_with(training_dollars)),
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
            "in thousands", "This is in thousands of dollars: give dollars.", lambda hours, rate: hours * rate / 1e3
        ),
        Mistake("in millions", "This is in millions of dollars: give dollars.", lambda hours, rate: hours * rate / 1e6),
        Mistake(
            "times the number of GPUs",
            "The number of GPUs is in twice: `gpu_hours` already adds up the hours of all GPUs.",
            lambda hours, rate: hours * rate * 2048,
        ),
        *(
            Mistake("rounded", "The result is rounded: give it as it is, and round where you print it.", rounded)
            for rounded in (
                lambda hours, rate: int(hours * rate),
                lambda hours, rate: round(hours * rate),
                lambda hours, rate: round(hours * rate, 2),
            )
        ),
        Mistake(
            "hours taken for seconds",
            "The hours are divided by 3600: they are hours already.",
            lambda hours, rate: hours / 3600 * rate,
        ),
        Mistake(
            "rent by the day",
            "It is multiplied by 24: the rent is already for an hour.",
            lambda hours, rate: hours * rate * 24,
        ),
        Mistake("in cents", "This is in cents: give dollars.", lambda hours, rate: hours * rate * 100),
        Mistake(
            "added", "Hours and dollars are added: their product is what is paid.", lambda hours, rate: hours + rate
        ),
        Mistake(
            "rate written in",
            "The rent is written in as $2: use the argument, for that figure is an assumption.",
            lambda hours, rate: hours * 2.0,
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
