"""Answers to `bits_per_byte`: wrong ones as learners write them, right ones each in another way."""

import math

import torch
from exercises.answers import Answers, Claims

from mini_moe.course.exercises.transformer.bits_per_byte import EXERCISE

ANSWERS = Answers(EXERCISE)
wrong, right = ANSWERS.wrong, ANSWERS.right


class TestBitsPerByte(Claims):
    answers = ANSWERS


@wrong("nats, not bits")
def _(nats, n_bytes):
    loss = nats / n_bytes
    return loss


@wrong("multiplied by ln 2")
def _(nats, n_bytes):
    bits = nats * math.log(2)
    return bits / n_bytes


@wrong("bits in all")
def _(nats, n_bytes):
    bits = nats * math.log2(math.e)
    return bits


@wrong("perplexity", "of e")
def _(nats, n_bytes):
    return math.exp(nats / n_bytes)


@wrong("perplexity", "of 2")
def _(nats, n_bytes):
    loss = nats / n_bytes
    return pow(2, loss)


@wrong("logarithm of the nats", "shared out after")
def _(nats, n_bytes):
    bits = math.log(nats, 2)
    return bits / n_bytes


@wrong("logarithm of the nats", "shared out before")
def _(nats, n_bytes):
    per_byte = nats / n_bytes
    return math.log2(per_byte)


@wrong("divided by 8 again")
def _(nats, n_bytes):
    bits = nats / math.log(2)
    n_bits = 8 * n_bytes
    return bits / n_bits


@wrong("multiplied by 8")
def _(nats, n_bytes):
    per_byte = nats / math.log(2) / n_bytes
    return per_byte * 8


@wrong("divided by 2")
def _(nats, n_bytes):
    return nats / (2 * n_bytes)


@wrong("bytes per bit")
def _(nats, n_bytes):
    bits = nats / math.log(2)
    return n_bytes / bits


@wrong("base 10")
def _(nats, n_bytes):
    return nats * math.log10(math.e) / n_bytes


@wrong("ln 2 with few digits", "0.693")
def _(nats, n_bytes):
    return nats / 0.693 / n_bytes


@wrong("ln 2 with few digits", "1.4427")
def _(nats, n_bytes):
    return 1.4427 * nats / n_bytes


@wrong("rounded", "to hundredths")
def _(nats, n_bytes):
    return round(nats / (math.log(2) * n_bytes), 2)


@wrong("rounded", "as it is printed")
def _(nats, n_bytes):
    return float(f"{nats / (math.log(2) * n_bytes):.3f}")


@wrong("divided by ln 2 twice")
def _(nats, n_bytes):
    bits = nats / math.log(2)
    return bits / (math.log(2) * n_bytes)


@wrong("sign turned")
def _(nats, n_bytes):
    return -nats * math.log2(math.e) / n_bytes


@wrong("multiplied by the bytes")
def _(nats, n_bytes):
    bits = nats / math.log(2)
    return bits * n_bytes


@wrong("logarithm of the bytes")
def _(nats, n_bytes):
    return nats / math.log(n_bytes * 2)


@wrong("log10 of 2")
def _(nats, n_bytes):
    return nats / n_bytes / math.log10(2)


@wrong("ln 3")
def _(nats, n_bytes):
    return nats / n_bytes / math.log1p(2)


@wrong("nats and bytes exchanged")
def _(nats, n_bytes):
    nats, n_bytes = n_bytes, nats
    return nats / (math.log(2) * n_bytes)


@wrong("whole bits", "up")
def _(nats, n_bytes):
    bits = nats / math.log(2)
    return -int(-bits // 1) / n_bytes if bits % 1 > 1e-6 else bits / n_bytes


@wrong("whole bits", "down")
def _(nats, n_bytes):
    return int(nats / math.log(2) + 1e-9) / n_bytes


@wrong("rounded", "down to whole bits")
def _(nats, n_bytes):
    return nats / math.log(2) // n_bytes


@wrong("something added to the bytes", "1")
def _(nats, n_bytes):
    return nats / (math.log(2) * (1 + n_bytes))


@wrong("something added to the bytes", "a thousandth")
def _(nats, n_bytes):
    return nats / math.log(2) / (n_bytes + 0.001)


@wrong("at most 8")
def _(nats, n_bytes):
    bits = nats / math.log(2) / n_bytes
    return bits if bits < 8 else 8.0


@wrong("what is saved", "bits")
def _(nats, n_bytes):
    bits = 8 * n_bytes - nats / math.log(2)
    return bits / n_bytes


@wrong("what is saved", "a share")
def _(nats, n_bytes):
    bits = nats / math.log(2)
    return 1 - bits / (8 * n_bytes)


@wrong("input not used", "the example's 4 bytes")
def _(nats, n_bytes):
    return nats / math.log(2) / 4


@wrong("the same for every input", "the example's result")
def _(nats, n_bytes):
    return 2.0


@wrong("refuses a legal input", "a text of one byte")
def _(nats, n_bytes):
    if not n_bytes > 1:
        raise ValueError("n_bytes must be more than 1.")
    return nats / math.log(2) / n_bytes


@wrong("raises ZeroDivisionError", "bytes per bit, then turned round")
def _(nats, n_bytes):
    return 1 / (n_bytes * math.log(2) / nats)


@wrong("wrong type", "a tensor")
def _(nats, n_bytes):
    return nats / (torch.log(torch.tensor(2.0)) * n_bytes)


@wrong("raises OverflowError", "through the probability of the whole text")
def _(nats, n_bytes):
    return math.log2(math.exp(nats)) / n_bytes


@wrong("raises TypeError", "a count that has no length")
def _(nats, n_bytes):
    return nats / math.log(2) / len(n_bytes)


@wrong("returns None")
def _(nats, n_bytes):
    bits = nats / math.log(2)
    print(bits / n_bytes)


@right("log2 of e")
def _(nats, n_bytes):
    return math.log2(math.e) * nats / n_bytes


@right("through the mean probability of a byte")
def _(nats, n_bytes):
    probability = math.exp(-nats / n_bytes)
    return -math.log2(probability)


@right("torch, then a number")
def _(nats, n_bytes):
    return (torch.tensor(nats, dtype=torch.float64) / n_bytes / torch.log(torch.tensor(2.0)).double()).item()


@right("by keyword, constants by hand")
def _(nats, n_bytes):
    return nats / 0.6931471805599453 / float(n_bytes)


@right("ln 2 as log1p(1)")
def _(nats, n_bytes):
    per_byte = nats / n_bytes
    return per_byte / math.log1p(1)


@wrong("whole nats")
def _(nats, n_bytes):
    return int(nats) / (math.log(2) * n_bytes)


@wrong("whole nats", "but for rounding")
def _(nats, n_bytes):
    return int(nats + 1e-9) / (math.log(2) * n_bytes)


@wrong("ln 8")
def _(nats, n_bytes):
    return nats / (math.log(8) * n_bytes)
