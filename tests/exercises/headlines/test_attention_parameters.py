"""Answers to `attention_parameters`: wrong ones as learners write them, right ones each in another way."""

import math
from fractions import Fraction

import numpy as np
import torch
from exercises.answers import Claims
from exercises.headlines import attention_parameters_widths_wrong, attention_parameters_wrong
from exercises.headlines.attention_parameters_parts import weights

from mini_moe.mla import MultiHeadLatentAttention

ANSWERS = attention_parameters_wrong.ANSWERS + attention_parameters_widths_wrong.ANSWERS
right = ANSWERS.right


class TestAttentionParameters(Claims):
    answers = ANSWERS


@right("built and counted")
def _(config):
    with torch.device("meta"):
        layer = MultiHeadLatentAttention(config)
    return sum(math.prod(weight.shape) for weight in layer.parameters())


@right("head by head")
def _(config):
    D, C, R, Q = config.hidden_size, config.kv_lora_rank, config.qk_rope_head_dim, config.q_lora_rank
    entry = D if Q is None else Q
    total = 0 if Q is None else Q * (D + 1)
    for _ in range(config.num_attention_heads):
        total += entry * (config.qk_nope_head_dim + R)
        total += C * config.qk_nope_head_dim
        total += C * config.v_head_dim
        total += config.v_head_dim * D
    return total + (D + 1) * C + D * R


@right("as a float, from a table of matrices")
def _(config):
    D, H, C = config.hidden_size, config.num_attention_heads, config.kv_lora_rank
    shapes = {
        "kv_down": (D, C + config.qk_rope_head_dim),
        "kv_norm": (1, C),
        "k_up": (C, H * config.qk_nope_head_dim),
        "v_up": (C, H * config.v_head_dim),
        "out": (H * config.v_head_dim, D),
    }
    if config.q_lora_rank:
        shapes["q_down"] = (D, config.q_lora_rank)
        shapes["q_norm"] = (config.q_lora_rank, 1)
        shapes["q_up"] = (config.q_lora_rank, H * config.qk_head_dim)
    else:
        shapes["q"] = (D, H * config.qk_head_dim)
    return float(sum(rows * columns for rows, columns in shapes.values()))


@right("in numpy's whole numbers")
def _(config):
    return np.array([math.prod(shape) for shape in weights(config).values()], dtype=np.int64).sum()


@right("in fractions, made whole")
def _(config):
    heads, D = Fraction(config.num_attention_heads), config.hidden_size
    from_latent = config.qk_nope_head_dim + config.v_head_dim
    total = config.kv_lora_rank * (1 + D + heads * from_latent) + D * (
        config.qk_rope_head_dim + heads * config.v_head_dim
    )
    match config.q_lora_rank:
        case None:
            return int(total + D * heads * config.qk_head_dim)
        case Q:
            return int(total + Q * (D + 1 + heads * config.qk_head_dim))
