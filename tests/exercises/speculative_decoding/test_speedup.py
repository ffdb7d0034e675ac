"""Answers to `speedup`: wrong ones as learners write them, right ones each in another way."""

import math
from fractions import Fraction

from exercises.answers import Claims
from exercises.speculative_decoding import speedup_wrong

ANSWERS = speedup_wrong.ANSWERS
wrong, right = ANSWERS.wrong, ANSWERS.right


class TestSpeedup(Claims):
    answers = ANSWERS


@wrong("refuses a legal input", "drafts that are free")
def _(acceptance, overhead):
    if overhead <= 0:
        raise ValueError(f"overhead must be positive, got {overhead}.")
    return (1 + acceptance) / (1 + overhead)


@wrong("refuses a legal input", "an overhead above 1")
def _(acceptance, overhead):
    if not (0 <= acceptance <= 1 and 0 <= overhead <= 1):
        raise ValueError(f"both must be shares, got {acceptance} and {overhead}.")
    return (1 + acceptance) / (1 + overhead)


@wrong("refuses a legal input", "all accepted")
def _(acceptance, overhead):
    if not 0 <= acceptance < 1:
        raise ValueError(f"acceptance must be from 0 to 1, got {acceptance}.")
    return (1 + acceptance) / (1 + overhead)


@wrong("error without the value")
def _(acceptance, overhead):
    if not 0 <= acceptance <= 1:
        raise ValueError("acceptance must be a share.")
    if not overhead >= 0:
        raise ValueError(f"overhead must be at least 0, got {overhead}.")
    return (1 + acceptance) / (1 + overhead)


@wrong("another error than documented")
def _(acceptance, overhead):
    assert 0 <= acceptance <= 1, acceptance
    assert overhead >= 0, overhead
    return (1 + acceptance) / (1 + overhead)


@wrong("returns None")
def _(acceptance, overhead):
    round((1 + acceptance) / (1 + overhead), 3)


@right("as the library has it, by other names")
def _(a, c):
    if not 0 <= a <= 1:
        raise ValueError(f"acceptance must be from 0 to 1, got {a}.")
    if not c >= 0:
        raise ValueError(f"overhead must be at least 0, got {c}.")
    return (1 + a) / (1 + c)


@right("passes of both kinds, and never more than twofold")
def _(acceptance, overhead):
    if math.isnan(acceptance) or acceptance < 0 or acceptance > 1:
        raise ValueError(f"{acceptance} is no share")
    if math.isnan(overhead) or overhead < 0:
        raise ValueError(f"{overhead} is no cost")
    tokens = 2 * acceptance + 1 * (1 - acceptance)
    return min(2.0, tokens / (1 + overhead))


@right("theorem 3.8, with its limit")
def _(acceptance, overhead):
    if not (1 >= acceptance >= 0 and overhead >= 0):
        raise ValueError(f"got acceptance={acceptance} and overhead={overhead}")
    if acceptance > 1 - 1e-9:
        return 2 / (1 + overhead)
    return (1 - acceptance**2) / (1 - acceptance) / (1 + overhead)


@right("in fractions")
def _(acceptance, overhead):
    for value, most in (acceptance, 1), (overhead, math.inf):
        if not 0 <= value <= most:
            raise ValueError(f"must be from 0 to {most}, got {value}")
    return float((1 + Fraction(acceptance)) / (1 + Fraction(overhead)))


@right("one and what is gained")
def _(acceptance, overhead):
    if not 0.0 <= acceptance <= 1.0:
        raise ValueError("acceptance: " + str(acceptance))
    if not overhead >= 0.0:
        raise ValueError("overhead: " + str(overhead))
    return 1 + (acceptance - overhead) / (1 + overhead)
