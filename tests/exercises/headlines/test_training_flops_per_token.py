"""Answers to `training_flops_per_token`: wrong ones as learners write them, right ones each in another way."""

from fractions import Fraction

from exercises.answers import Claims
from exercises.headlines import training_flops_per_token_context_wrong, training_flops_per_token_wrong
from exercises.headlines.training_flops_per_token_parts import weights, width

from mini_moe import cost

ANSWERS = training_flops_per_token_wrong.ANSWERS + training_flops_per_token_context_wrong.ANSWERS
right = ANSWERS.right


class TestTrainingFlopsPerToken(Claims):
    answers = ANSWERS


@right("position by position")
def _(config, context):
    per_position = 6 * config.num_attention_heads * (config.qk_head_dim + config.v_head_dim)
    seen = sum(position + 0.5 for position in range(context))
    sequence = 6 * weights(config) * context + config.num_hidden_layers * per_position * seen
    return sequence / context


@right("forward and backward apart")
def _(config, context):
    def product(n):
        forward, to_input, to_weight = 2 * n, 2 * n, 2 * n
        return forward + to_input + to_weight

    embedding = config.vocab_size * config.hidden_size
    flops = product(cost.count_parameters(config)[1]) - product(embedding)
    for _ in range(config.num_hidden_layers):
        flops += product(config.num_attention_heads * config.qk_head_dim) * context * 0.5
        flops += product(config.num_attention_heads * config.v_head_dim) * context * 0.5
    return flops


@right("exact fractions, another name for the first argument")
def _(cfg, context):
    heads = cfg.num_attention_heads * (cfg.qk_nope_head_dim + cfg.qk_rope_head_dim + cfg.v_head_dim)
    return 6 * (weights(cfg) + cfg.num_hidden_layers * heads * Fraction(context, 2))


@right("in whole numbers")
def _(config, context):
    return 6 * weights(config) + 6 * config.num_hidden_layers * width(config) * context // 2


@right("a float from the start, with more arguments")
def _(config, context=4096, *, factor=6.0):
    return factor * (weights(config) + config.num_hidden_layers * width(config) * 0.5 * context)
