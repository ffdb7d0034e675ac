"""Answers to `kv_cache_bytes_per_token`: wrong ones as learners write them, right ones each in another way."""

import numpy as np
import torch
from exercises.answers import Claims
from exercises.headlines import kv_cache_bytes_per_token_bytes_wrong, kv_cache_bytes_per_token_wrong

ANSWERS = kv_cache_bytes_per_token_wrong.ANSWERS + kv_cache_bytes_per_token_bytes_wrong.ANSWERS
right = ANSWERS.right


class TestKvCacheBytesPerToken(Claims):
    answers = ANSWERS


@right("layer by layer")
def _(config, bytes_per_element=2):
    total = 0
    for _ in range(config.num_hidden_layers):
        total += bytes_per_element * config.kv_lora_rank
        total += bytes_per_element * config.qk_rope_head_dim
    return total


@right("from the tensors themselves")
def _(config, bytes_per_element=2):
    latents = torch.empty(config.num_hidden_layers, config.kv_lora_rank, device="meta")
    keys = torch.empty(config.num_hidden_layers, config.qk_rope_head_dim, device="meta")
    return (latents.numel() + keys.numel()) * bytes_per_element


@right("through bits, in numpy's whole numbers")
def _(config, bytes_per_element=2):
    widths = np.full(config.num_hidden_layers, config.kv_lora_rank + config.qk_rope_head_dim, dtype=np.int64)
    return widths.sum() * 8 * bytes_per_element // 8


@right("as a float, by other names")
def _(cfg, n=2):
    return float(n * cfg.num_hidden_layers) * (cfg.qk_rope_head_dim + cfg.kv_lora_rank)
