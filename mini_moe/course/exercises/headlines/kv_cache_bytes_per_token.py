"""Lesson 00, `kv_cache_bytes_per_token`: what a token leaves in the cache."""

from mini_moe.cost import kv_cache_bytes_per_token
from mini_moe.course.checking.exercise import Exercise, Mistake, Property, Wrong, agrees_with
from mini_moe.course.exercises.headlines.shared import configs, digits, equals, grows, uses
from mini_moe.mla import LatentCache

NOT_KEPT = "It is not kept: the cache holds the latent and the rotated key alone."
SIZES = {
    "kv_lora_rank": "It is a number more in the latent of each layer.",
    "qk_rope_head_dim": "It is a number more in the rotated key of each layer.",
    "qk_nope_head_dim": NOT_KEPT,
    "v_head_dim": NOT_KEPT,
    "q_lora_rank": NOT_KEPT,
    "hidden_size": NOT_KEPT,
    "num_hidden_layers": "Each layer keeps a latent and a rotated key of its own.",
    "bytes_per_element": "Every number that is kept takes a byte more.",
    "first_k_dense_replace": "Dense layers keep as much as layers of experts.",
    "max_position_embeddings": "It is the longest context: the question is what one token keeps.",
}


def _cases_of_cache(generator):
    widths = ((1,), (), (4,), (3,), (2,), (), (2,), ())
    for width, config in zip(widths, configs(generator), strict=True):
        yield config, *width


def _heads_do_not_matter(function, config, *width):
    more = config.replace(num_attention_heads=3 * config.num_attention_heads)
    got, expected = function(more, *width), function(config, *width)
    if got != expected:
        raise Wrong(
            f"Three times the heads change the cache, from {expected:,} to {got:,}: all heads share one latent and one "
            "rotated key.",
            mistake="heads change the cache",
        )


def _in_proportion(function, config, bytes_per_element=2):
    got, expected = function(config, 2 * bytes_per_element), 2 * function(config, bytes_per_element)
    if got != expected:
        raise Wrong(
            f"Twice the bytes per number must take twice the memory, {expected:,}, and not {got:,}.",
            mistake="bytes_per_element miscounted",
        )


def _real_cache(config, bytes_per_element=2):
    one_layer = LatentCache(config, batch_size=1, capacity=1, device="meta").memory
    return config.num_hidden_layers * one_layer.numel() * bytes_per_element


def _cache(numbers, *, layers=None, width=None):
    """The cache with ``numbers(config)`` kept in each layer, for the mistakes."""
    return lambda config, n=2: (layers or config.num_hidden_layers) * numbers(config) * (width or n)


def _sum(size):
    """The cache as ``size(L, C, R, n)``: layers, latent, rotated key, bytes."""
    return lambda config, n=2: size(config.num_hidden_layers, config.kv_lora_rank, config.qk_rope_head_dim, n)


def _kept(config):
    return config.kv_lora_rank + config.qk_rope_head_dim


EXERCISE = Exercise(
    reference=kv_cache_bytes_per_token,
    cases=_cases_of_cache,
    properties=(
        Property("uses every size that matters", uses(kv_cache_bytes_per_token, SIZES)),
        Property("the number of heads makes no difference", _heads_do_not_matter),
        Property("twice the bytes per number take twice the memory", _in_proportion),
        Property("each size adds what is kept of it", grows(kv_cache_bytes_per_token, SIZES)),
        Property("equals the real cache of one token", equals(_real_cache, "The model's own cache takes")),
        Property("agrees with the library", agrees_with(kv_cache_bytes_per_token)),
        Property("is exact", digits(kv_cache_bytes_per_token)),
    ),
    mistakes=(
        *(
            Mistake(
                "keys and values of every head",
                "This is the cache of plain multi-head attention, a key and a value for every head: latent attention "
                "keeps neither, it keeps what they are made from.",
                _cache(numbers),
            )
            for numbers in (
                lambda config: config.num_attention_heads * (config.qk_head_dim + config.v_head_dim),
                lambda config: config.num_attention_heads * 2 * config.qk_head_dim,
                lambda config: config.num_attention_heads * 2 * config.v_head_dim,
                lambda config: 2 * config.hidden_size,
            )
        ),
        Mistake(
            "latent for every head",
            "Latent and rotated key are counted for every head: all heads share one of each.",
            _cache(lambda config: config.num_attention_heads * _kept(config)),
        ),
        Mistake(
            "rotated key left out",
            "Only the latent is counted: the rotated key cannot be made from it, and is kept beside it.",
            _cache(lambda config: config.kv_lora_rank),
        ),
        Mistake(
            "latent left out",
            "Only the rotated key is counted: the latent, from which all else is made, is kept beside it.",
            _cache(lambda config: config.qk_rope_head_dim),
        ),
        Mistake(
            "rotated key for every head",
            "The rotated key is counted for every head: all heads share one.",
            _cache(lambda config: config.kv_lora_rank + config.num_attention_heads * config.qk_rope_head_dim),
        ),
        Mistake(
            "one layer only",
            "This is the cache of one layer: each layer keeps its own.",
            _cache(_kept, layers=1),
        ),
        Mistake(
            "counted twice, for keys and values",
            "This is twice the cache: keys and values come from the same latent, so there is no factor 2.",
            _cache(lambda config: 2 * _kept(config)),
        ),
        Mistake(
            "latent counted twice",
            "The latent is counted twice, for keys and for values: both are made from the same one.",
            _cache(lambda config: 2 * config.kv_lora_rank + config.qk_rope_head_dim),
        ),
        Mistake(
            "numbers, not bytes",
            "This counts numbers: each takes `bytes_per_element` bytes.",
            _cache(_kept, width=1),
        ),
        *(
            Mistake(
                "width written in",
                "The bytes of a number are written in: use `bytes_per_element`, for a cache may hold 1, 2 or 4.",
                _cache(_kept, width=width),
            )
            for width in (2, 4)
        ),
        Mistake(
            "bits, not bytes",
            "This is in bits, eight times as many: give bytes.",
            _cache(lambda config: 8 * _kept(config)),
        ),
        *(
            Mistake("in kilobytes", "This is in kilobytes: give bytes.", _cache(lambda config, k=k: _kept(config) / k))
            for k in (1000, 1024)
        ),
        Mistake(
            "the whole context",
            "This is the cache of the longest context: give that of one token.",
            _cache(lambda config: config.max_position_embeddings * _kept(config)),
        ),
        Mistake(
            "the part without position kept",
            "The key's part without position, P, is counted in place of the rotated one, R: P comes back from the "
            "latent, R does not.",
            _cache(lambda config: config.kv_lora_rank + config.qk_nope_head_dim),
        ),
        Mistake(
            "the whole key kept",
            "The whole key, P + R, is counted beside the latent: its part without position, P, comes back from the "
            "latent.",
            _cache(lambda config: config.kv_lora_rank + config.qk_head_dim),
        ),
        Mistake(
            "half of the rotated key",
            "Half of the rotated key is counted: its features turn in pairs, and both of a pair are kept.",
            _cache(lambda config: config.kv_lora_rank + config.qk_rope_head_dim // 2),
        ),
        Mistake(
            "layers of experts only",
            "Only layers of experts keep something here: a dense layer has attention, too, and its cache.",
            lambda config, n=2: (config.num_hidden_layers - config.first_k_dense_replace) * _kept(config) * n,
        ),
        *(
            Mistake(
                "brackets missing",
                "Layers or bytes multiply only one of the two summands: `L * C + R * n` is not `L * (C + R) * n`.",
                _sum(size),
            )
            for size in (
                lambda L, C, R, n: L * C + R * n,
                lambda L, C, R, n: L * C * n + R * n,
                lambda L, C, R, n: L * C * n + R,
                lambda L, C, R, n: (L * C + R) * n,
                lambda L, C, R, n: L * (C + R * n),
                lambda L, C, R, n: C + R * L * n,
            )
        ),
        Mistake(
            "the key always in two bytes",
            "The rotated key takes 2 bytes a number here, whatever is asked: latent and key are kept alike, in "
            "`bytes_per_element` each.",
            _sum(lambda L, C, R, n: L * (C * n + R * 2)),
        ),
        *(
            Mistake(
                "bytes taken for bits",
                "It is divided by 8, as if `bytes_per_element` were bits: they are bytes.",
                _sum(size),
            )
            for size in (lambda L, C, R, n: L * (C + R) * n // 8, lambda L, C, R, n: L * (C + R) * n / 8)
        ),
        Mistake(
            "at least two bytes",
            "A number takes at least 2 bytes here: in eight bits it takes one.",
            _sum(lambda L, C, R, n: L * (C + R) * max(2, n)),
        ),
        Mistake(
            "the query's latent cached",
            "The query's latent is counted, too: a query is used once, for its own token, and never again.",
            _cache(lambda config: _kept(config) + (config.q_lora_rank or 0)),
        ),
    ),
    hints=(
        "Ask of each quantity in attention: does a *later* token need it, and can it be made from something smaller?",
        "Later tokens need keys and values. Both are made from the latent, `kv_lora_rank` numbers; only the rotated "
        "part of the key, `qk_rope_head_dim` numbers for all heads, is kept beside it.",
        "One line, a product of three: layers, a sum of two widths in brackets, and the bytes of a number.",
    ),
    difficulty=1,
    minutes=5,
)
