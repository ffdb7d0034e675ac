"""Wrong answers to `kv_cache_bytes_per_token`: another quantity is counted."""

import torch
from exercises.answers import Answers

from mini_moe.course.exercises.headlines.kv_cache_bytes_per_token import EXERCISE

ANSWERS = Answers(EXERCISE)
wrong = ANSWERS.wrong


@wrong("keys and values of every head", "each of its width")
def _(config, bytes_per_element=2):
    keys = config.num_attention_heads * (config.qk_nope_head_dim + config.qk_rope_head_dim)
    values = config.num_attention_heads * config.v_head_dim
    return config.num_hidden_layers * (keys + values) * bytes_per_element


@wrong("keys and values of every head", "the formula of every blog, with the key's width")
def _(config, bytes_per_element=2):
    return 2 * config.num_hidden_layers * config.num_attention_heads * config.qk_head_dim * bytes_per_element


@wrong("keys and values of every head", "the formula of every blog, with the value's width")
def _(config, bytes_per_element=2):
    head_dim = config.v_head_dim
    return 2 * config.num_hidden_layers * config.num_attention_heads * head_dim * bytes_per_element


@wrong("keys and values of every head", "the formula of every blog, with the hidden size")
def _(config, bytes_per_element=2):
    per_layer = config.hidden_size + config.hidden_size
    return sum(per_layer * bytes_per_element for _ in range(config.num_hidden_layers))


@wrong("latent for every head")
def _(config, bytes_per_element=2):
    total = 0
    for _layer in range(config.num_hidden_layers):
        for _head in range(config.num_attention_heads):
            total += (config.kv_lora_rank + config.qk_rope_head_dim) * bytes_per_element
    return total


@wrong("rotated key left out")
def _(config, bytes_per_element=2):
    latent_bytes = config.kv_lora_rank * bytes_per_element
    return latent_bytes * config.num_hidden_layers


@wrong("latent left out")
def _(config, bytes_per_element=2):
    key_bytes = config.qk_rope_head_dim * bytes_per_element
    return key_bytes * config.num_hidden_layers


@wrong("rotated key for every head")
def _(config, bytes_per_element=2):
    latent = config.kv_lora_rank
    rope = config.qk_rope_head_dim * config.num_attention_heads
    return bytes_per_element * config.num_hidden_layers * (latent + rope)


@wrong("one layer only")
def _(config, bytes_per_element=2):
    return bytes_per_element * (config.kv_lora_rank + config.qk_rope_head_dim)


@wrong("counted twice, for keys and values")
def _(config, bytes_per_element=2):
    k = config.kv_lora_rank + config.qk_rope_head_dim
    v = config.kv_lora_rank + config.qk_rope_head_dim
    return config.num_hidden_layers * (k + v) * bytes_per_element


@wrong("latent counted twice")
def _(config, bytes_per_element=2):
    k = config.kv_lora_rank + config.qk_rope_head_dim
    v = config.kv_lora_rank
    return config.num_hidden_layers * (k + v) * bytes_per_element


@wrong("numbers, not bytes")
def _(config, bytes_per_element=2):
    elements = config.num_hidden_layers * config.kv_lora_rank
    elements += config.num_hidden_layers * config.qk_rope_head_dim
    return elements


@wrong("width written in", "two bytes")
def _(config, bytes_per_element=2):
    bf16 = 2
    return config.num_hidden_layers * (config.kv_lora_rank + config.qk_rope_head_dim) * bf16


@wrong("width written in", "four bytes")
def _(config, bytes_per_element=2):
    itemsize = torch.zeros(1).element_size()
    return config.num_hidden_layers * (config.kv_lora_rank + config.qk_rope_head_dim) * itemsize


@wrong("bits, not bytes")
def _(config, bytes_per_element=2):
    bits = bytes_per_element * 8
    return config.num_hidden_layers * (config.kv_lora_rank + config.qk_rope_head_dim) * bits


@wrong("in kilobytes", "of 1024")
def _(config, bytes_per_element=2):
    size = config.num_hidden_layers * (config.kv_lora_rank + config.qk_rope_head_dim) * bytes_per_element
    return size / 2**10


@wrong("in kilobytes", "of 1000")
def _(config, bytes_per_element=2):
    size = config.num_hidden_layers * (config.kv_lora_rank + config.qk_rope_head_dim) * bytes_per_element
    return size / 1e3


@wrong("the whole context")
def _(config, bytes_per_element=2):
    per_position = config.num_hidden_layers * (config.kv_lora_rank + config.qk_rope_head_dim)
    return per_position * config.max_position_embeddings * bytes_per_element


@wrong("the query's latent cached")
def _(config, bytes_per_element=2):
    width = config.kv_lora_rank + config.qk_rope_head_dim
    if config.q_lora_rank is not None:
        width += config.q_lora_rank
    return config.num_hidden_layers * width * bytes_per_element


@wrong("raises TypeError", "the query's rank may be None")
def _(config, bytes_per_element=2):
    return config.num_hidden_layers * (config.kv_lora_rank + config.q_lora_rank) * bytes_per_element


@wrong("wrong type", "as a text with its unit")
def _(config, bytes_per_element=2):
    size = config.num_hidden_layers * (config.kv_lora_rank + config.qk_rope_head_dim) * bytes_per_element
    return f"{size} bytes"
