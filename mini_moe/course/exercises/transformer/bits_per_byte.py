"""Lesson 01, `bits_per_byte`: one measure for every tokenizer."""

import math
from functools import partial

import torch

from mini_moe.course.checking.exercise import Exercise, Mistake, Property, Wrong, agrees_with
from mini_moe.train import bits_per_byte


def _cases_of_bits(generator):
    def nats_a_byte(most):
        return torch.rand(1, generator=generator, dtype=torch.float64).item() * most

    yield math.log(2), 1
    for _ in range(3):
        n_bytes = torch.randint(10, 10_000, (1,), generator=generator).item()
        yield n_bytes * nats_a_byte(3), n_bytes
    yield 7 * (20 + nats_a_byte(5)), 7  # worse than to know nothing
    yield 1e9 * (1 + nats_a_byte(1)), 10**9
    yield 0.0, 3  # a model that is certain, and right


def _one_coin(function, nats, n_bytes):
    got = function(math.log(2) * n_bytes, n_bytes)
    if not math.isclose(got, 1.0, rel_tol=1e-6):
        raise Wrong("ln 2 nats are one bit: ln 2 nats per byte must be 1 bit per byte.", got=got, expected=1.0)


def _know_nothing(function, nats, n_bytes):
    got = function(math.log(256) * n_bytes, n_bytes)
    if not math.isclose(got, 8.0, rel_tol=1e-6):
        raise Wrong("To know nothing of a byte, 1 in 256, must cost 8 bits.", got=got, expected=8.0)


EXERCISE = Exercise(
    reference=bits_per_byte,
    cases=_cases_of_bits,
    properties=(
        Property("ln 2 nats per byte are 1 bit per byte", _one_coin),
        Property("to know nothing costs 8 bits per byte", _know_nothing),
        Property("agrees with the library", agrees_with(bits_per_byte)),
    ),
    mistakes=(
        Mistake(
            "nats, not bits",
            "This is nats per byte: a bit is ln 2 = 0.693 nats, so divide by ln 2.",
            lambda nats, n_bytes: nats / n_bytes,
        ),
        Mistake(
            "multiplied by ln 2",
            "It multiplies by ln 2: a bit is smaller than a nat, so there are more of them; divide.",
            lambda nats, n_bytes: nats * math.log(2) / n_bytes,
        ),
        Mistake(
            "bits in all",
            "This is the bits of the whole text: divide by its bytes.",
            lambda nats, n_bytes: nats / math.log(2),
        ),
        *(
            Mistake(
                "perplexity",
                "This is a perplexity, the exponential of the loss: bits are on the scale of the loss itself.",
                lambda nats, n_bytes, base=base: base ** min(nats / n_bytes, 700),
            )
            for base in (math.e, 2)
        ),
        *(
            Mistake(
                "logarithm of the nats",
                "It takes the logarithm of the nats: they are logarithms already; only their unit changes, "
                "by the factor 1 / ln 2.",
                function,
            )
            for function in (
                lambda nats, n_bytes: math.log2(nats) / n_bytes,
                lambda nats, n_bytes: math.log2(nats / n_bytes),
            )
        ),
        Mistake(
            "divided by 8 again",
            "It divides by 8: the text's bytes are counted as bytes, and the model's cost as bits; nothing to convert.",
            lambda nats, n_bytes: nats / math.log(2) / n_bytes / 8,
        ),
        Mistake(
            "multiplied by 8",
            "It multiplies by 8: the cost is wanted for each byte, and `n_bytes` counts bytes; nothing to convert.",
            lambda nats, n_bytes: nats / math.log(2) / n_bytes * 8,
        ),
        Mistake(
            "divided by 2",
            "It divides by 2: a bit is ln 2 = 0.693 nats, so divide by the logarithm of 2.",
            lambda nats, n_bytes: nats / 2 / n_bytes,
        ),
        *(
            Mistake(
                "ln 2 with few digits",
                "ln 2 is written in with too few digits: `math.log(2)` has them all.",
                lambda nats, n_bytes, factor=factor: nats * factor / n_bytes,
            )
            for factor in (1 / 0.69, 1 / 0.693, 1 / 0.6931, 1 / 0.69315, 1 / 0.7, 1.44, 1.443, 1.4427)
        ),
        *(
            Mistake(
                "rounded",
                "The result is rounded: give it as it is, and round where you print it.",
                lambda nats, n_bytes, whole=whole: whole(nats / math.log(2) / n_bytes),
            )
            for whole in (math.floor, math.ceil, *(partial(round, ndigits=digits) for digits in (0, 1, 2, 3, 4)))
        ),
        *(
            Mistake(
                "whole bits",
                "The bits of the text are rounded to whole ones before they are divided: they need not be whole.",
                lambda nats, n_bytes, whole=whole: whole(nats / math.log(2)) / n_bytes,
            )
            for whole in (math.ceil, math.floor, round)
        ),
        *(
            Mistake(
                "whole nats",
                "The nats are rounded to whole ones: they are a sum of logarithms, and need not be whole.",
                lambda nats, n_bytes, whole=whole: whole(nats) / (math.log(2) * n_bytes),
            )
            for whole in (math.floor, math.ceil, round, lambda nats: int(nats + 1e-9))
        ),
        Mistake(
            "ln 8",
            "It divides by ln 8, three bits at a time: a bit is ln 2 nats. That a byte has 8 bits plays no part.",
            lambda nats, n_bytes: nats / math.log(8) / n_bytes,
        ),
        Mistake(
            "multiplied by the bytes",
            "It multiplies by the bytes: `a / b * c` is (a / b) * c. Put brackets around what is below.",
            lambda nats, n_bytes: nats / math.log(2) * n_bytes,
        ),
        Mistake(
            "logarithm of the bytes",
            "`math.log(2 * n_bytes)` is the logarithm of both: only the 2 belongs into it, math.log(2) * n_bytes.",
            lambda nats, n_bytes: nats / math.log(2 * n_bytes),
        ),
        *(
            Mistake(
                "something added to the bytes",
                "Something is added to the number of bytes: a text has at least one, so nothing divides by 0.",
                lambda nats, n_bytes, more=more: nats / (math.log(2) * (n_bytes + more)),
            )
            for more in (1, 0.1, 1e-2, 1e-3, 1e-4, 1e-5)
        ),
        Mistake(
            "at most 8",
            "It never gives more than 8 bits: a model that is often wrong with confidence costs more.",
            lambda nats, n_bytes: min(8.0, nats / math.log(2) / n_bytes),
        ),
        *(
            Mistake(
                "what is saved",
                "This is what is saved, against the 8 bits of a byte: the cost itself is wanted.",
                saved,
            )
            for saved in (
                lambda nats, n_bytes: 8 - nats / math.log(2) / n_bytes,
                lambda nats, n_bytes: 1 - nats / math.log(2) / n_bytes / 8,
            )
        ),
        Mistake(
            "divided by ln 2 twice",
            "It divides by ln 2 twice: once makes bits of nats.",
            lambda nats, n_bytes: nats / math.log(2) ** 2 / n_bytes,
        ),
        Mistake(
            "sign turned",
            "It is negative: the minus of -ln p is in the nats already.",
            lambda nats, n_bytes: -nats / math.log(2) / n_bytes,
        ),
        Mistake(
            "bytes per bit",
            "The fraction stands on its head: bits go above, bytes below.",
            lambda nats, n_bytes: n_bytes * math.log(2) / nats,
        ),
        Mistake(
            "nats and bytes exchanged",
            "The two arguments are exchanged: the nats go above, ln 2 and the bytes below.",
            lambda nats, n_bytes: n_bytes / (math.log(2) * nats),
        ),
        Mistake(
            "base 10",
            "It divides by ln 10: that gives digits. A bit is ln 2 nats.",
            lambda nats, n_bytes: nats / math.log(10) / n_bytes,
        ),
        Mistake(
            "log10 of 2",
            "It divides by the logarithm of 2 to base 10: nats are natural, so by ln 2 = 0.693, `math.log(2)`.",
            lambda nats, n_bytes: nats / math.log10(2) / n_bytes,
        ),
        Mistake(
            "ln 3",
            "It divides by ln 3, which `math.log1p(2)` is: a bit is ln 2 nats, `math.log(2)`.",
            lambda nats, n_bytes: nats / math.log(3) / n_bytes,
        ),
    ),
    hints=(
        "Two steps: the cost of the text in bits in place of nats, then the share of one byte.",
        "A fair coin has p = 1/2, so one bit is -ln 1/2 = ln 2 nats, `math.log(2)`. How many bits are x nats?",
        "One line, a fraction. Above: the nats, one number. Below: the nats of one bit, times the number of bytes.",
    ),
    difficulty=1,
    minutes=3,
)
