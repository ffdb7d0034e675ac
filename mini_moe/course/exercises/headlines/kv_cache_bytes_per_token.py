"""Lesson 00, `kv_cache_bytes_per_token`: what a token leaves in the cache."""

import functools

import torch

from mini_moe.cost import (
    kv_cache_bytes_per_token,
)
from mini_moe.course.checking.exercise import Exercise, Mistake, Property, Wrong, agrees_with
from mini_moe.course.exercises.headlines.shared import configs
from mini_moe.model import Transformer


def _cases_of_cache(generator):
    for width, config in zip((1, 2, 4, 2), configs(generator), strict=True):
        yield config, width


def _heads_do_not_matter(function, config, bytes_per_element):
    more = config.replace(num_attention_heads=3 * config.num_attention_heads)
    got, expected = function(more, bytes_per_element), function(config, bytes_per_element)
    if got != expected:
        raise Wrong(
            f"Three times the heads change the cache, from {expected:,} to {got:,}: all heads share one latent and one "
            "rotated key."
        )


@functools.cache
def _cached_numbers(config):
    with torch.device("meta"):
        return sum(layer.memory.numel() for layer in Transformer(config).new_cache(batch_size=1, capacity=1))


def _cache_is_real(function, config, bytes_per_element):
    got, expected = function(config, bytes_per_element), _cached_numbers(config) * bytes_per_element
    if got != expected:
        raise Wrong("The model's own cache takes another size.", got=got, expected=expected)


def _cache(numbers, *, layers=None, width=None):
    """The cache with ``numbers(config)`` kept in each layer, for the mistakes."""
    return lambda config, n: (layers or config.num_hidden_layers) * numbers(config) * (width or n)


def _kept(config):
    return config.kv_lora_rank + config.qk_rope_head_dim


EXERCISE = Exercise(
    reference=kv_cache_bytes_per_token,
    cases=_cases_of_cache,
    properties=(
        Property("the number of heads makes no difference", _heads_do_not_matter),
        Property("equals the real cache of one token", _cache_is_real),
        Property("agrees with the library", agrees_with(kv_cache_bytes_per_token)),
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
            "the query's latent cached",
            "The query's latent is counted, too: a query is used once, for its own token, and never again.",
            _cache(lambda config: _kept(config) + (config.q_lora_rank or 0)),
        ),
    ),
    hints=(
        "Ask of each quantity in attention: does a *later* token need it, and can it be made from something smaller?",
        "Later tokens need keys and values. Both are made from the latent, `kv_lora_rank` numbers; only the rotated "
        "part of the key, `qk_rope_head_dim` numbers for all heads, is kept beside it.",
        "num_hidden_layers * (kv_lora_rank + qk_rope_head_dim) * bytes_per_element",
    ),
    difficulty=1,
    minutes=5,
)
