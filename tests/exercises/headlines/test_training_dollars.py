"""Answers to `training_dollars`: wrong ones as learners write them, right ones each in another way."""

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
