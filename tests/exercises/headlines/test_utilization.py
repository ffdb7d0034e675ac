"""Answers to `utilization`: wrong ones as learners write them, right ones each in another way."""

import math
from decimal import Decimal
from fractions import Fraction

import torch
from exercises.answers import Answers, Claims

from mini_moe.course.exercises.headlines.utilization import EXERCISE

ANSWERS = Answers(EXERCISE)
wrong, right = ANSWERS.wrong, ANSWERS.right


class TestUtilization(Claims):
    answers = ANSWERS


@wrong("hours taken for seconds")
def _(flops, gpu_hours, flops_per_second):
    possible = flops_per_second * gpu_hours
    return flops / possible


@wrong("hours made minutes")
def _(flops, gpu_hours, flops_per_second):
    return flops / (flops_per_second * gpu_hours * 60)


@wrong("hours divided by 3600")
def _(flops, gpu_hours, flops_per_second):
    seconds = gpu_hours / 3600
    return flops / (seconds * flops_per_second)


@wrong("hours divided by 3600", "by a missing bracket")
def _(flops, gpu_hours, flops_per_second):
    return flops / (flops_per_second * gpu_hours) * 3600


@wrong("hours taken for days")
def _(flops, gpu_hours, flops_per_second):
    seconds_in_a_day = 24 * 60 * 60
    return flops / (gpu_hours * seconds_in_a_day * flops_per_second)


@wrong("inverse")
def _(flops, gpu_hours, flops_per_second):
    possible = gpu_hours * 3600 * flops_per_second
    return possible / flops


@wrong("in per cent")
def _(flops, gpu_hours, flops_per_second):
    return 100 * flops / (gpu_hours * 3600 * flops_per_second)


@wrong("what was not used")
def _(flops, gpu_hours, flops_per_second):
    possible = gpu_hours * 3600 * flops_per_second
    return (possible - flops) / possible


@wrong("brackets missing", "all of them")
def _(flops, gpu_hours, flops_per_second):
    return flops / gpu_hours * 3600 * flops_per_second


@wrong("brackets missing", "the peak outside")
def _(flops, gpu_hours, flops_per_second):
    seconds = gpu_hours * 3600
    return flops / seconds * flops_per_second


@wrong("brackets missing", "the time outside")
def _(flops, gpu_hours, flops_per_second):
    return flops / flops_per_second * (gpu_hours * 3600)


@wrong("brackets missing", "and no seconds")
def _(flops, gpu_hours, flops_per_second):
    return flops / gpu_hours * flops_per_second


@wrong("brackets missing", "hours at the peak, times hours")
def _(flops, gpu_hours, flops_per_second):
    needed = flops / (flops_per_second * 3600)
    return needed * gpu_hours


@wrong("brackets missing", "the hours outside, and no seconds")
def _(flops, gpu_hours, flops_per_second):
    return flops / flops_per_second * gpu_hours


@wrong("peak left out")
def _(flops, gpu_hours, flops_per_second):
    reached = flops / (gpu_hours * 3600)
    return reached


@wrong("hours left out", "seconds at the peak")
def _(flops, gpu_hours, flops_per_second):
    return flops / flops_per_second


@wrong("hours left out", "hours at the peak")
def _(flops, gpu_hours, flops_per_second):
    hours = flops / flops_per_second / 3600
    return hours


@wrong("times the number of GPUs")
def _(flops, gpu_hours, flops_per_second):
    gpus = 2048
    return flops / (gpus * gpu_hours * 3600 * flops_per_second)


@wrong("one GPU only")
def _(flops, gpu_hours, flops_per_second):
    seconds = gpu_hours / 2048 * 3600
    return flops / (seconds * flops_per_second)


@wrong("multiplied by the tokens")
def _(flops, gpu_hours, flops_per_second):
    tokens = 14.8e12
    return flops * tokens / (gpu_hours * 3600 * flops_per_second)


@wrong("twice the peak")
def _(flops, gpu_hours, flops_per_second):
    in_eight_bits = 2 * flops_per_second
    return flops / (gpu_hours * 3600 * in_eight_bits)


@wrong("peak written in", "BF16")
def _(flops, gpu_hours, flops_per_second=989e12):
    flops_per_second = 989e12
    return flops / (gpu_hours * 3600 * flops_per_second)


@wrong("peak written in", "FP8")
def _(flops, gpu_hours, flops_per_second):
    return flops / (1979e12 * gpu_hours * 3600)


@wrong("hours written in", "of pre-training")
def _(flops, gpu_hours, flops_per_second):
    gpu_hours = 2_664_000
    return flops / (gpu_hours * 3600 * flops_per_second)


@wrong("hours written in", "of everything")
def _(flops, gpu_hours, flops_per_second):
    return flops / (2.788e6 * 3600 * flops_per_second)


@wrong("rounded", "down with //")
def _(flops, gpu_hours, flops_per_second):
    return flops // (gpu_hours * 3600 * flops_per_second)


@wrong("rounded", "to a per cent")
def _(flops, gpu_hours, flops_per_second):
    return round(flops / (gpu_hours * 3600 * flops_per_second), 2)


@wrong("rounded", "to a tenth of a per cent")
def _(flops, gpu_hours, flops_per_second):
    return float(f"{flops / (gpu_hours * 3600 * flops_per_second):.3f}")


@wrong("rounded", "to four digits")
def _(flops, gpu_hours, flops_per_second):
    return round(flops / (gpu_hours * 3600 * flops_per_second), 4)


@wrong("rounded", "to a tenth")
def _(flops, gpu_hours, flops_per_second):
    return round(flops / (gpu_hours * 3600 * flops_per_second), 1)


@wrong("rounded", "to 0 or 1")
def _(flops, gpu_hours, flops_per_second):
    return round(flops / (gpu_hours * 3600 * flops_per_second))


@wrong("rounded", "up")
def _(flops, gpu_hours, flops_per_second):
    return math.ceil(flops / (gpu_hours * 3600 * flops_per_second))


@wrong("at most 1")
def _(flops, gpu_hours, flops_per_second):
    return min(flops / (gpu_hours * 3600 * flops_per_second), 1)


@wrong("refuses a legal input", "more than the peak")
def _(flops, gpu_hours, flops_per_second):
    part = flops / (gpu_hours * 3600 * flops_per_second)
    if part > 1:
        raise ValueError(f"utilization must be at most 1, got {part}.")
    return part


@wrong("raises ZeroDivisionError", "nothing done")
def _(flops, gpu_hours, flops_per_second):
    needed = flops / flops_per_second / 3600
    return 1 / (gpu_hours / needed)


@wrong("wrong type", "formatted")
def _(flops, gpu_hours, flops_per_second):
    return f"{flops / (gpu_hours * 3600 * flops_per_second):.1%}"


@wrong("returns None", "printed")
def _(flops, gpu_hours, flops_per_second):
    print(flops / (gpu_hours * 3600 * flops_per_second))


@wrong("raises NameError", "a name that is not an argument")
def _(flops, gpu_hours, flops_per_second):
    return flops / (gpu_hours * 3600 * peak)  # noqa: F821


@wrong("the same for every input", "the published one by heart")
def _(flops, gpu_hours, flops_per_second):
    return 0.3894


@wrong("another unit", "half an hour")
def _(flops, gpu_hours, flops_per_second):
    return flops / (gpu_hours * 1800 * flops_per_second)


@wrong("not in proportion", "the square")
def _(flops, gpu_hours, flops_per_second):
    return (flops / (gpu_hours * 3600 * flops_per_second)) ** 2


@wrong("too few digits")
def _(flops, gpu_hours, flops_per_second):
    done, hours, peak = torch.tensor([float(flops), gpu_hours, flops_per_second])
    return (done / (hours * 3600 * peak)).item()


_done = []


@wrong("another result the second time", "added up")
def _(flops, gpu_hours, flops_per_second):
    _done.append(flops)
    return sum(_done) / (gpu_hours * 3600 * flops_per_second)


@right("the seconds first")
def _(flops, gpu_hours, flops_per_second):
    seconds = gpu_hours * 60 * 60
    possible = seconds * flops_per_second
    return flops / possible


@right("rates compared")
def _(flops, gpu_hours, flops_per_second):
    reached = flops / gpu_hours / 3600
    return reached / flops_per_second


@right("times compared")
def _(flops, gpu_hours, flops_per_second):
    at_the_peak = flops / flops_per_second / 3600
    return at_the_peak / gpu_hours


@right("exact fractions")
def _(flops, gpu_hours, flops_per_second):
    return Fraction(flops) / (Fraction(gpu_hours) * 3600 * Fraction(flops_per_second))


@right("decimals, other names")
def _(work, hours, peak):
    return float(Decimal(work) / (Decimal(hours) * 3600 * Decimal(peak)))


@right("torch, then a number")
def _(flops, gpu_hours, flops_per_second):
    possible = torch.tensor([gpu_hours, 3600, flops_per_second], dtype=torch.float64).prod().item()
    return flops / possible


@right("the peak per hour")
def _(flops, gpu_hours, flops_per_second):
    return flops / math.prod((gpu_hours, flops_per_second * 3600))
