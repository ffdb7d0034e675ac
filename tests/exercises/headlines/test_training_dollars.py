"""Answers to `training_dollars`: wrong ones as learners write them, right ones each in another way."""

import math
from decimal import Decimal
from fractions import Fraction

import torch
from exercises.answers import Answers, Claims

from mini_moe.course.exercises.headlines.training_dollars import EXERCISE

ANSWERS = Answers(EXERCISE)
wrong, right = ANSWERS.wrong, ANSWERS.right


class TestTrainingDollars(Claims):
    answers = ANSWERS


@wrong("divided")
def _(gpu_hours, dollars_per_hour):
    price = gpu_hours / dollars_per_hour
    return price


@wrong("rent divided by hours")
def _(gpu_hours, dollars_per_hour):
    return dollars_per_hour / gpu_hours


@wrong("in thousands")
def _(gpu_hours, dollars_per_hour):
    return gpu_hours / 1000 * dollars_per_hour


@wrong("in millions")
def _(gpu_hours, dollars_per_hour):
    millions_of_hours = gpu_hours / 1_000_000
    return millions_of_hours * dollars_per_hour


@wrong("in cents")
def _(gpu_hours, dollars_per_hour):
    cents_per_hour = 100 * dollars_per_hour
    return gpu_hours * cents_per_hour


@wrong("times the number of GPUs")
def _(gpu_hours, dollars_per_hour):
    gpus = 2048
    return gpus * gpu_hours * dollars_per_hour


@wrong("rounded", "to dollars, down")
def _(gpu_hours, dollars_per_hour):
    return int(gpu_hours * dollars_per_hour)


@wrong("rounded", "to dollars")
def _(gpu_hours, dollars_per_hour):
    return round(gpu_hours * dollars_per_hour)


@wrong("rounded", "to cents")
def _(gpu_hours, dollars_per_hour):
    return float(f"{gpu_hours * dollars_per_hour:.2f}")


@wrong("rounded", "down with //")
def _(gpu_hours, dollars_per_hour):
    return gpu_hours * dollars_per_hour // 1


@wrong("hours taken for seconds")
def _(gpu_hours, dollars_per_hour):
    hours = gpu_hours / (60 * 60)
    return hours * dollars_per_hour


@wrong("rent by the day")
def _(gpu_hours, dollars_per_hour):
    dollars_per_day = 24 * dollars_per_hour
    return gpu_hours * dollars_per_day


@wrong("added")
def _(gpu_hours, dollars_per_hour):
    return sum((gpu_hours, dollars_per_hour))


@wrong("rate written in")
def _(gpu_hours, dollars_per_hour=2.0):
    dollars_per_hour = 2.0
    return gpu_hours * dollars_per_hour


@wrong("wrong type", "formatted")
def _(gpu_hours, dollars_per_hour):
    return f"${gpu_hours * dollars_per_hour:,.0f}"


@wrong("returns None", "printed")
def _(gpu_hours, dollars_per_hour):
    print(gpu_hours * dollars_per_hour)


@wrong("raises NameError", "a name that is not an argument")
def _(gpu_hours, dollars_per_hour):
    return gpu_hours * dollars  # noqa: F821


@wrong("rounded", "up to dollars")
def _(gpu_hours, dollars_per_hour):
    return math.ceil(dollars_per_hour * gpu_hours)


@wrong("rounded", "to thousands")
def _(gpu_hours, dollars_per_hour):
    return round(dollars_per_hour * gpu_hours, -3)


@wrong("hours rounded", "a begun hour is paid whole")
def _(gpu_hours, dollars_per_hour):
    return -(-gpu_hours // 1) * dollars_per_hour


@wrong("hours rounded", "down")
def _(gpu_hours, dollars_per_hour):
    whole, _ = divmod(gpu_hours, 1)
    return whole * dollars_per_hour


@wrong("hours rounded", "to a tenth")
def _(gpu_hours, dollars_per_hour):
    return round(gpu_hours, 1) * dollars_per_hour


@wrong("rent rounded", "to dollars")
def _(gpu_hours, dollars_per_hour):
    return gpu_hours * math.floor(dollars_per_hour)


@wrong("rent rounded", "to cents")
def _(gpu_hours, dollars_per_hour):
    return gpu_hours * float(f"{dollars_per_hour:.2f}")


@wrong("hours and rent rounded")
def _(gpu_hours, dollars_per_hour):
    return math.floor(gpu_hours) * math.floor(dollars_per_hour)


@wrong("at least an hour")
def _(gpu_hours, dollars_per_hour):
    if gpu_hours < 1:
        return dollars_per_hour
    return gpu_hours * dollars_per_hour


@wrong("a power")
def _(gpu_hours, dollars_per_hour):
    return gpu_hours**dollars_per_hour


@wrong("one GPU only")
def _(gpu_hours, dollars_per_hour):
    gpus = 2048
    return gpu_hours / gpus * dollars_per_hour


@wrong("hours taken for minutes")
def _(gpu_hours, dollars_per_hour):
    return dollars_per_hour * gpu_hours / 60


@wrong("hours made days")
def _(gpu_hours, dollars_per_hour):
    days = gpu_hours / 24
    return days * dollars_per_hour


@wrong("the report's hours written in")
def _(gpu_hours, dollars_per_hour):
    gpu_hours = 2_788_000
    return gpu_hours * dollars_per_hour


@wrong("the same for every input", "the example by heart")
def _(gpu_hours, dollars_per_hour):
    return 5_576_000.0


@wrong("input not used", "the hours given back")
def _(gpu_hours, dollars_per_hour):
    return gpu_hours


@wrong("nothing costs something", "zero taken for missing")
def _(gpu_hours, dollars_per_hour):
    return gpu_hours * (dollars_per_hour or 2.0)


@wrong("nothing costs something", "a fee")
def _(gpu_hours, dollars_per_hour):
    return gpu_hours * dollars_per_hour + 1


@wrong("divides by zero")
def _(gpu_hours, dollars_per_hour):
    return gpu_hours / (1 / dollars_per_hour)


@wrong("refuses a legal input", "no hours")
def _(gpu_hours, dollars_per_hour):
    if not gpu_hours > 0:
        raise ValueError(f"gpu_hours must be positive, got {gpu_hours}.")
    return gpu_hours * dollars_per_hour


@wrong("not in proportion", "a discount")
def _(gpu_hours, dollars_per_hour):
    return gpu_hours * dollars_per_hour * (0.9 if gpu_hours > 1e6 else 1.0)


@wrong("another unit", "twice")
def _(gpu_hours, dollars_per_hour):
    return gpu_hours * dollars_per_hour + dollars_per_hour * gpu_hours


@wrong("not in proportion", "the rent to eighths")
def _(gpu_hours, dollars_per_hour):
    return gpu_hours * round(8 * dollars_per_hour) / 8


@wrong("too few digits")
def _(gpu_hours, dollars_per_hour):
    hours, rent = torch.tensor([gpu_hours, dollars_per_hour])
    return (hours * rent).item()


_spent = []


@wrong("another result the second time", "added up")
def _(gpu_hours, dollars_per_hour):
    _spent.append(gpu_hours * dollars_per_hour)
    return sum(_spent)


@right("the other way round")
def _(gpu_hours, dollars_per_hour):
    return dollars_per_hour * gpu_hours


@right("exact fractions")
def _(gpu_hours, dollars_per_hour):
    return float(Fraction(gpu_hours) * Fraction(dollars_per_hour))


@right("sum of the days")
def _(gpu_hours, dollars_per_hour):
    days, rest = divmod(gpu_hours, 24)
    return days * 24 * dollars_per_hour + rest * dollars_per_hour


@right("torch, then a number")
def _(gpu_hours, dollars_per_hour):
    return torch.tensor([gpu_hours, dollars_per_hour], dtype=torch.float64).prod().item()


@right("decimals")
def _(gpu_hours, dollars_per_hour):
    return float(Decimal(gpu_hours) * Decimal(dollars_per_hour))


@right("whole hours and the rest")
def _(gpu_hours, dollars_per_hour):
    rest, whole = math.modf(gpu_hours)
    return math.fsum((whole * dollars_per_hour, rest * dollars_per_hour))
