"""Wrong answers to `training_flops_per_token`: the context, units, and what is counted beside or beyond."""

import torch
from exercises.answers import Answers
from exercises.headlines.training_flops_per_token_parts import flops, weights, width

from mini_moe.course.exercises.headlines.training_flops_per_token import EXERCISE

ANSWERS = Answers(EXERCISE)
wrong = ANSWERS.wrong


def attention(config, context):
    """Of the right answer, the part that grows with the context."""
    return flops(config, context) - flops(config, 0)


@wrong("recomputation counted")
def _(config, context):
    forward = 2 * weights(config) + config.num_hidden_layers * width(config) * context
    return forward + forward + 2 * forward


@wrong("recomputation counted", "of attention only")
def _(config, context):
    return flops(config, context) + attention(config, context) / 3


@wrong("recomputation counted", "of the matrices only")
def _(config, context):
    return flops(config, context) + 2 * weights(config)


@wrong("everything halved", "brackets misplaced")
def _(config, context):
    return (6 * weights(config) + 6 * config.num_hidden_layers * width(config) * context) / 2


@wrong("embedding taken off once", "brackets missing")
def _(config, context):
    table = config.vocab_size * config.hidden_size
    active = weights(config) + table
    return 6 * active - table + attention(config, context)


@wrong("norms taken off")
def _(config, context):
    norms = config.hidden_size * (1 + sum(2 for _ in range(config.num_hidden_layers)))
    return 6 * (weights(config) - norms) + attention(config, context)


@wrong("context clipped")
def _(config, context):
    return flops(config, min(context, config.max_position_embeddings))


@wrong("the longest context")
def _(config, context):
    return 6 * weights(config) + 3 * config.num_hidden_layers * width(config) * config.max_position_embeddings


@wrong("context written in")
def _(config, context=4096):
    context = 4096
    return 6 * weights(config) + 6 * config.num_hidden_layers * width(config) * context / 2


@wrong("in another unit", "billions")
def _(config, context):
    return flops(config, context) / 1e9


@wrong("in another unit", "trillions")
def _(config, context):
    return flops(config, context) * 1e-12


@wrong("attention in layers of experts only")
def _(config, context):
    total = 6 * weights(config)
    for _ in range(config.first_k_dense_replace, config.num_hidden_layers):
        total += 3 * width(config) * context
    return total


@wrong("values as wide as the part without position")
def _(config, context):
    return flops(config, 0) + attention(config.replace(v_head_dim=config.qk_nope_head_dim), context)


@wrong("attention over latents", "absorbed")
def _(config, context):
    H, C, R = config.num_attention_heads, config.kv_lora_rank, config.qk_rope_head_dim
    scores, means = C + R, C
    return 6 * weights(config) + 3 * config.num_hidden_layers * H * (scores + means) * context


@wrong("attention over latents", "absorbed, once for all heads")
def _(config, context):
    C, R = config.kv_lora_rank, config.qk_rope_head_dim
    return 6 * weights(config) + 3 * config.num_hidden_layers * (C + R + C) * context


@wrong("attention over latents", "the width of the cache")
def _(config, context):
    kept = config.kv_lora_rank + config.qk_rope_head_dim
    return 6 * weights(config) + 3 * config.num_hidden_layers * kept * context


@wrong("attention halved twice")
def _(config, context):
    seen = context / 2
    return 6 * weights(config) + 6 * config.num_hidden_layers * width(config) * seen / 2


@wrong("attention's backward pass counted alone")
def _(config, context):
    return flops(config, 0) + attention(config, context) * 2 / 3


@wrong("attention only")
def _(config, context):
    return attention(config, context)


@wrong("another unit", "divided by what is reached of the peak")
def _(config, context):
    return flops(config, context) / 0.39


@wrong("no straight line in the context", "squared")
def _(config, context):
    return 6 * weights(config) + 3 * config.num_hidden_layers * width(config) * context**2


@wrong("context miscounted", "the published layers and heads")
def _(config, context):
    return 6 * weights(config) + 3 * 61 * 128 * (config.qk_head_dim + config.v_head_dim) * context


@wrong("context miscounted", "softmax counted")
def _(config, context):
    return 6 * weights(config) + 3 * config.num_hidden_layers * (width(config) + config.num_attention_heads) * context


@wrong("vocab_size miscounted", "a word taken off, not its row")
def _(config, context):
    active = weights(config) + config.vocab_size * config.hidden_size
    return 6 * (active - config.vocab_size) + attention(config, context)


@wrong("input not used", "the chosen experts forgotten")
def _(config, context):
    moe_layers = config.num_hidden_layers - config.first_k_dense_replace
    chosen = moe_layers * config.num_experts_per_tok * 3 * config.hidden_size * config.moe_intermediate_size
    return 6 * (weights(config) - chosen) + attention(config, context)


@wrong("input not used", "the context forgotten")
def _(config, context):
    return 6 * weights(config) + 3 * config.num_hidden_layers * width(config)


@wrong("off by a constant")
def _(config, context):
    return flops(config, context) + 1


@wrong("too few digits")
def _(config, context):
    return torch.tensor(flops(config, context), dtype=torch.float64).float().item()


@wrong("an argument renamed")
def _(config, seq_len):
    return flops(config, seq_len)
