"""Answers to `gqa_cache_bytes_per_token`: wrong ones as learners write them, right ones each in another way."""

import math

import numpy as np
import torch
from exercises.answers import Answers, Claims

from mini_moe.course.exercises.latent_attention.gqa_cache_bytes_per_token import EXERCISE

ANSWERS = Answers(EXERCISE)
wrong, right = ANSWERS.wrong, ANSWERS.right


class TestGqaCacheBytesPerToken(Claims):
    answers = ANSWERS


@wrong("value left out")
def _(n_layers, n_kv_heads, head_dim, bytes_per_element=2):
    return n_layers * n_kv_heads * head_dim * bytes_per_element


@wrong("query cached")
def _(n_layers, n_kv_heads, head_dim, bytes_per_element=2):
    qkv = 3 * n_kv_heads * head_dim
    return n_layers * qkv * bytes_per_element


@wrong("keys and values counted twice", "2 for the pair and 2 for the bytes")
def _(n_layers, n_kv_heads, head_dim, bytes_per_element=2):
    key_and_value = 2 * head_dim
    return 2 * n_layers * n_kv_heads * key_and_value * bytes_per_element


@wrong("layers left out")
def _(n_layers, n_kv_heads, head_dim, bytes_per_element=2):
    keys = n_kv_heads * head_dim
    values = n_kv_heads * head_dim
    return (keys + values) * bytes_per_element


@wrong("heads left out", "as if head_dim were the width of the model")
def _(n_layers, n_kv_heads, head_dim, bytes_per_element=2):
    return n_layers * (head_dim + head_dim) * bytes_per_element


@wrong("layers and heads left out")
def _(n_layers, n_kv_heads, head_dim, bytes_per_element=2):
    return 2 * head_dim * bytes_per_element


@wrong("features left out")
def _(n_layers, n_kv_heads, head_dim, bytes_per_element=2):
    return 2 * n_layers * n_kv_heads * bytes_per_element


@wrong("one vector a layer")
def _(n_layers, n_kv_heads, head_dim, bytes_per_element=2):
    return n_layers * head_dim * bytes_per_element


@wrong("width of a head divided again")
def _(n_layers, n_kv_heads, head_dim, bytes_per_element=2):
    per_head = head_dim // n_kv_heads
    return n_layers * n_kv_heads * 2 * per_head * bytes_per_element


@wrong("heads left out", "head_dim divided by them")
def _(n_layers, n_kv_heads, head_dim, bytes_per_element=2):
    per_head = head_dim / n_kv_heads
    return n_layers * n_kv_heads * per_head * bytes_per_element * 2


@wrong("squared in place of doubled")
def _(n_layers, n_kv_heads, head_dim, bytes_per_element=2):
    return n_layers * n_kv_heads * head_dim**2 * bytes_per_element


@wrong("heads and width added", "twice")
def _(n_layers, n_kv_heads, head_dim, bytes_per_element=2):
    return n_layers * 2 * (n_kv_heads + head_dim) * bytes_per_element


@wrong("heads and width added", "once")
def _(n_layers, n_kv_heads, head_dim, bytes_per_element=2):
    return n_layers * (n_kv_heads + head_dim) * bytes_per_element


@wrong("numbers, not bytes")
def _(n_layers, n_kv_heads, head_dim, bytes_per_element=2):
    return math.prod((n_layers, n_kv_heads, 2, head_dim))


@wrong("bytes written in", "16 bits")
def _(n_layers, n_kv_heads, head_dim, bytes_per_element=2):
    return n_layers * n_kv_heads * 2 * head_dim * 2


@wrong("bytes written in", "32 bits")
def _(n_layers, n_kv_heads, head_dim, bytes_per_element=2):
    keys = values = torch.zeros(n_layers, n_kv_heads, head_dim)
    return keys.nbytes + values.nbytes


@wrong("bits")
def _(n_layers, n_kv_heads, head_dim, bytes_per_element=2):
    return n_layers * n_kv_heads * 2 * head_dim * 8 * bytes_per_element


@wrong("divided by 8", "/")
def _(n_layers, n_kv_heads, head_dim, bytes_per_element=2):
    return n_layers * n_kv_heads * 2 * head_dim * bytes_per_element / 8


@wrong("divided by 8", "//")
def _(n_layers, n_kv_heads, head_dim, bytes_per_element=2):
    bits = n_layers * n_kv_heads * 2 * head_dim * bytes_per_element
    return bits // 8


@wrong("another unit", "KiB")
def _(n_layers, n_kv_heads, head_dim, bytes_per_element=2):
    return n_layers * n_kv_heads * 2 * head_dim * bytes_per_element / 1024


@wrong("another unit", "MB")
def _(n_layers, n_kv_heads, head_dim, bytes_per_element=2):
    return n_layers * n_kv_heads * 2 * head_dim * bytes_per_element / 1e6


@wrong("another default", "4 bytes")
def _(n_layers, n_kv_heads, head_dim, bytes_per_element=4):
    return n_layers * n_kv_heads * 2 * head_dim * bytes_per_element


@wrong("another default", "none")
def _(n_layers, n_kv_heads, head_dim, bytes_per_element):
    return n_layers * n_kv_heads * 2 * head_dim * bytes_per_element


_kept = {}


@wrong("kept from an earlier call", "by the number of layers")
def _(n_layers, n_kv_heads, head_dim, bytes_per_element=2):
    if n_layers not in _kept:
        _kept[n_layers] = n_layers * n_kv_heads * 2 * head_dim * bytes_per_element
    return _kept[n_layers]


@wrong("rounded", "float32")
def _(n_layers, n_kv_heads, head_dim, bytes_per_element=2):
    return int(torch.tensor([n_layers, n_kv_heads, 2.0, head_dim, bytes_per_element]).prod())


@wrong("rounded", "bfloat16")
def _(n_layers, n_kv_heads, head_dim, bytes_per_element=2):
    sizes = torch.tensor([n_layers, n_kv_heads, 2, head_dim, bytes_per_element], dtype=torch.bfloat16)
    return round(sizes.prod().item())


@wrong("numbers of 32 bits")
def _(n_layers, n_kv_heads, head_dim, bytes_per_element=2):
    sizes = torch.tensor([n_layers, n_kv_heads, 2, head_dim, bytes_per_element], dtype=torch.int32)
    return sizes.prod(dtype=torch.int32).item()


@wrong("value shared by all heads")
def _(n_layers, n_kv_heads, head_dim, bytes_per_element=2):
    keys, value = n_kv_heads * head_dim, head_dim
    return n_layers * (keys + value) * bytes_per_element


@wrong("2 added, not multiplied")
def _(n_layers, n_kv_heads, head_dim, bytes_per_element=2):
    return n_layers * n_kv_heads * (head_dim + 2) * bytes_per_element


@wrong("heads squared")
def _(n_layers, n_kv_heads, head_dim, bytes_per_element=2):
    pairs = n_kv_heads * n_kv_heads
    return n_layers * pairs * 2 * head_dim * bytes_per_element


@wrong("brackets forgotten", "around key and value")
def _(n_layers, n_kv_heads, head_dim, bytes_per_element=2):
    key = value = head_dim
    return n_layers * n_kv_heads * key + value * bytes_per_element


@wrong("brackets forgotten", "before the bytes")
def _(n_layers, n_kv_heads, head_dim, bytes_per_element=2):
    keys = values = n_kv_heads * head_dim
    return n_layers * keys + values * bytes_per_element


@wrong("no product", "whole groups of 4")
def _(n_layers, n_kv_heads, head_dim, bytes_per_element=2):
    return n_layers * -(-n_kv_heads // 4) * 4 * 2 * head_dim * bytes_per_element


@wrong("another number for one of each", "four vectors a head")
def _(n_layers, n_kv_heads, head_dim, bytes_per_element=2):
    return n_layers * n_kv_heads * 5 * head_dim * bytes_per_element


@wrong("input not used", "a width written in")
def _(n_layers, n_kv_heads, head_dim, bytes_per_element=2):
    return n_layers * n_kv_heads * 2 * 64 * bytes_per_element


@wrong("input not used", "a width that is a power of two")
def _(n_layers, n_kv_heads, head_dim, bytes_per_element=2):
    return n_layers * n_kv_heads * 2 * 256 * bytes_per_element


@wrong("the same for every input", "the example's number")
def _(n_layers, n_kv_heads, head_dim, bytes_per_element=2):
    return 516096


@wrong("refuses a legal input", "caches of one byte")
def _(n_layers, n_kv_heads, head_dim, bytes_per_element=2):
    if bytes_per_element < 2:
        raise ValueError(f"no number has {bytes_per_element} bytes")
    return n_layers * n_kv_heads * 2 * head_dim * bytes_per_element


@wrong("returns None")
def _(n_layers, n_kv_heads, head_dim, bytes_per_element=2):
    print(n_layers * n_kv_heads * 2 * head_dim * bytes_per_element)


@right("key and value apart")
def _(n_layers, n_kv_heads, head_dim, bytes_per_element=2):
    key = value = n_kv_heads * head_dim * bytes_per_element
    return n_layers * (key + value)


@right("layer by layer")
def _(n_layers, n_kv_heads, head_dim, bytes_per_element=2):
    total = 0
    for _layer in range(n_layers):
        for _head in range(n_kv_heads):
            total += 2 * head_dim * bytes_per_element
    return total


@right("the shape of a real cache")
def _(n_layers, n_kv_heads, head_dim, bytes_per_element=2):
    return torch.empty(n_layers, 2, n_kv_heads, head_dim, device="meta").numel() * bytes_per_element


@right("by way of bits, and rounded down")
def _(n_layers, n_kv_heads, head_dim, bytes_per_element=2):
    return 2 * n_layers * n_kv_heads * head_dim * (8 * bytes_per_element) // 8


@right("a float, by way of bits")
def _(n_layers, n_kv_heads, head_dim, bytes_per_element=2):
    return 2 * n_layers * n_kv_heads * head_dim * (8 * bytes_per_element) / 8


@right("64 bits of numpy")
def _(n_layers, n_kv_heads, head_dim, bytes_per_element=2):
    return np.prod(np.array([n_layers, n_kv_heads, head_dim, 2 * bytes_per_element], dtype=np.int64))


@wrong("rounded up to blocks")
def _(n_layers, n_kv_heads, head_dim, bytes_per_element=2):
    padded = -(-head_dim // 64) * 64
    return n_layers * n_kv_heads * 2 * padded * bytes_per_element
