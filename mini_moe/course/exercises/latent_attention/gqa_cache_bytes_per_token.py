"""Lesson 02, `gqa_cache_bytes_per_token`: the cache of grouped queries."""

import torch

from mini_moe.cost import gqa_cache_bytes_per_token
from mini_moe.course.checking.exercise import Exercise, Mistake, Property, Wrong, agrees_with


def _cases_of_cache(generator):
    def draw(low, high):
        return torch.randint(low, high + 1, (1,), generator=generator).item()

    yield 1, 1, 3, 1
    yield draw(2, 4), 7, draw(8, 10), 4
    yield draw(11, 99), draw(6, 10), 320, 1
    yield 126, 8, 128  # Llama-3.1-405B, with the default of 2 bytes


def _nothing_kept(function, *_):
    before, after = function(3001, 2, 3, 1), function(3001, 5, 7, 1)  # so many layers were not asked for before
    if before == gqa_cache_bytes_per_token(3001, 2, 3, 1) and after == before:
        raise Wrong(
            "Called again with other heads, it gives the old result: it keeps something from call to call.",
            mistake="kept from an earlier call",
        )


def _grows_with_each(function, n_layers, n_kv_heads, head_dim, bytes_per_element=2):
    sizes = {
        "layers": n_layers, "heads": n_kv_heads, "features of a head": head_dim, "bytes of a number": bytes_per_element
    }  # fmt: skip
    once = function(*sizes.values())
    for name, size in sizes.items():
        twice, *more = (function(*(sizes | {name: factor * size}).values()) for factor in (2, 3, 5, 9))
        if twice != 2 * once:
            no_effect = all(other == once for other in (twice, *more))  # told by name where nothing else is known
            raise Wrong(
                f"Twice as many {name} must take twice the memory, not {twice} bytes after {once}.",
                mistake=None if no_effect else "no product",
            )


def _one_of_each(function, *_):
    got = function(1, 1, 1, 1)
    if got != 2:
        raise Wrong(
            "One layer, one head, one feature, one byte for each number: a key and a value are 2 bytes, where this "
            f"gives {got}.",
            mistake="another number for one of each",
        )


def _to_the_byte(function, *_):
    sizes = 3, 5, 7, 2**24 + 1  # more than 32 bits can count, or float32 tell apart
    got, expected = function(*sizes), gqa_cache_bytes_per_token(*sizes)
    if got == (expected + 2**31) % 2**32 - 2**31:
        raise Wrong(
            f"Of {expected:,} bytes it counts {got:,}: numbers of 32 bits end at 2^31. Python's own integers do not.",
            mistake="numbers of 32 bits",
        )
    if got != expected and abs(got - expected) < expected / 100:
        raise Wrong(
            f"Of {expected:,} bytes it counts {got:,}: a floating number keeps only the first digits. Multiply "
            "integers.",
            mistake="rounded",
        )


def _numbers(n_layers, n_kv_heads, head_dim):
    """Keys and values of one token."""
    return n_layers * n_kv_heads * 2 * head_dim


EXERCISE = Exercise(
    reference=gqa_cache_bytes_per_token,
    cases=_cases_of_cache,
    properties=(
        Property("depends on what it is given alone", _nothing_kept),
        Property("is right to the byte", _to_the_byte),
        Property("twice of any of the four takes twice the memory", _grows_with_each),
        Property("a key and a value of one byte take two bytes", _one_of_each),
        Property("agrees with the library", agrees_with(gqa_cache_bytes_per_token)),
    ),
    mistakes=(
        Mistake(
            "value left out",
            "Half is missing: each head keeps a key *and* a value of each token.",
            lambda layers, heads, width, size=2: layers * heads * width * size,
        ),
        Mistake(
            "query cached",
            "Three vectors a head are counted: a query is used once, by its own token, and never kept.",
            lambda layers, heads, width, size=2: layers * heads * 3 * width * size,
        ),
        Mistake(
            "keys and values counted twice",
            "There is a factor 2 too many: one for a key and a value is right, and `bytes_per_element` brings its own.",
            lambda layers, heads, width, size=2: 2 * _numbers(layers, heads, width) * size,
        ),
        Mistake(
            "layers left out",
            "This is the cache of one layer: each layer has its own keys and values.",
            lambda layers, heads, width, size=2: _numbers(1, heads, width) * size,
        ),
        Mistake(
            "heads left out",
            "This is the cache of one head: each key-value head has a key and a value of its own.",
            lambda layers, heads, width, size=2: _numbers(layers, 1, width) * size,
        ),
        Mistake(
            "layers and heads left out",
            "This is the cache of one head in one layer: each layer has its own, and in it each key-value head.",
            lambda layers, heads, width, size=2: _numbers(1, 1, width) * size,
        ),
        Mistake(
            "features left out",
            "Keys and values are counted, not their numbers: each is `head_dim` numbers wide.",
            lambda layers, heads, width, size=2: _numbers(layers, heads, 1) * size,
        ),
        Mistake(
            "one vector a layer",
            "This is one vector for each layer, as latent attention keeps it: here each head keeps a key and a value.",
            lambda layers, heads, width, size=2: layers * width * size,
        ),
        Mistake(
            "width of a head divided again",
            "`head_dim` is divided by the heads: it is the width of one head already.",
            lambda layers, heads, width, size=2: _numbers(layers, heads, width // heads) * size,
        ),
        Mistake(
            "squared in place of doubled",
            "The width is squared: a key and a value are 2 * head_dim numbers.",
            lambda layers, heads, width, size=2: layers * heads * width**2 * size,
        ),
        *(
            Mistake(
                "heads and width added",
                "Heads and their width are added: every head is `head_dim` wide, so multiply.",
                lambda layers, heads, width, size=2, both=both: layers * both * (heads + width) * size,
            )
            for both in (1, 2)
        ),
        Mistake(
            "value shared by all heads",
            "A key is counted for each head, and one value for all of them: every key-value head has both.",
            lambda layers, heads, width, size=2: layers * (heads + 1) * width * size,
        ),
        Mistake(
            "2 added, not multiplied",
            "2 is added to the width: a key and a value are 2 * head_dim numbers.",
            lambda layers, heads, width, size=2: layers * heads * (2 + width) * size,
        ),
        Mistake(
            "heads squared",
            "The heads are counted twice over, as if each met each: a head keeps one key and one value of a token.",
            lambda layers, heads, width, size=2: _numbers(layers, heads, width) * heads * size,
        ),
        *(
            Mistake(
                "brackets forgotten",
                "Brackets are missing: the sum of a key and a value is what is multiplied, by layers, heads and bytes.",
                function,
            )
            for function in (
                lambda layers, heads, width, size=2: layers * heads * width + width * size,
                lambda layers, heads, width, size=2: layers * (heads * width + width * size),
                lambda layers, heads, width, size=2: layers * heads * (width + width * size),
                lambda layers, heads, width, size=2: layers * heads * width + heads * width * size,
            )
        ),
        Mistake(
            "numbers, not bytes",
            "This counts numbers: each takes `bytes_per_element` bytes.",
            lambda layers, heads, width, size=2: _numbers(layers, heads, width),
        ),
        *(
            Mistake(
                "bytes written in",
                "The bytes of a number are written in: use the argument, for caches are kept in 1, 2 or 4 bytes.",
                lambda layers, heads, width, size=2, own=own: _numbers(layers, heads, width) * own,
            )
            for own in (2, 4)
        ),
        Mistake(
            "bits",
            "This is in bits: the size of a number is given in bytes, and bytes are wanted.",
            lambda layers, heads, width, size=2: _numbers(layers, heads, width) * size * 8,
        ),
        *(
            Mistake(
                "divided by 8",
                "It divides by 8: `bytes_per_element` is in bytes, not in bits; nothing to convert.",
                eighth,
            )
            for eighth in (
                lambda layers, heads, width, size=2: _numbers(layers, heads, width) * size / 8,
                lambda layers, heads, width, size=2: _numbers(layers, heads, width) * size // 8,
            )
        ),
        *(
            Mistake(
                "rounded up to blocks",
                "The width of a head is rounded up to a power of two, or to a block of it: count what is kept.",
                lambda layers, heads, width, size=2, block=block: (
                    _numbers(layers, heads, -(-width // block) * block) * size
                ),
            )
            for block in (8, 16, 32, 64, 128, 256)
        ),
        *(
            Mistake(
                "another unit",
                "This is in thousands or millions of bytes: give bytes, and convert where you print them.",
                function,
            )
            for unit in (1000, 1024, 1000**2, 1024**2, 1000**3, 1024**3)
            for function in (
                lambda layers, heads, width, size=2, unit=unit: _numbers(layers, heads, width) * size / unit,
                lambda layers, heads, width, size=2, unit=unit: _numbers(layers, heads, width) * size // unit,
            )
        ),
    ),
    hints=(
        "Count the numbers that one head of one layer keeps of a token, then those of all heads and all layers. Then "
        "their bytes.",
        "A head keeps two vectors of head_dim numbers, a key and a value. Queries are not kept.",
        "Four steps: the numbers of one key and one value; of all key-value heads; of all layers; then their bytes. "
        "Each multiplies the step before by one of the arguments.",
    ),
    difficulty=1,
    minutes=4,
)
