"""Answers to `count_parameters`: wrong ones as learners write them, right ones each in another way."""

import numpy as np
import torch
from exercises.answers import Claims
from exercises.headlines import count_parameters_how_often_wrong, count_parameters_wrong
from exercises.headlines.count_parameters_parts import pieces, working

from mini_moe import cost

ANSWERS = count_parameters_wrong.ANSWERS + count_parameters_how_often_wrong.ANSWERS
right = ANSWERS.right


class TestCountParameters(Claims):
    answers = ANSWERS


@right("piece by piece")
def _(config):
    places = pieces(config)
    return sum(places.values()), working(config, places)


@right("by another model")
def _(config):
    """A token's part is a model that has only the experts it needs, but the routers of all."""
    total = sum(pieces(config).values())
    few = config.replace(n_routed_experts=config.num_experts_per_tok, n_group=1, topk_group=1)
    missing_rows = config.n_routed_experts - config.num_experts_per_tok
    moe_layers = config.num_hidden_layers - config.first_k_dense_replace
    return total, sum(pieces(few).values()) + moe_layers * missing_rows * config.hidden_size


@right("as a list of floats")
def _(config):
    D, E, K, S = config.hidden_size, config.n_routed_experts, config.num_experts_per_tok, config.n_shared_experts
    L, F = config.num_hidden_layers, config.first_k_dense_replace
    counts = []
    for experts in (E, K):
        of_a_layer = cost.attention_parameters(config) + D + D
        moe = E * D + (experts + S) * D * 3.0 * config.moe_intermediate_size
        dense = 3.0 * config.intermediate_size * D
        counts.append(D * (config.vocab_size + config.vocab_size + 1) + L * of_a_layer + F * dense + (L - F) * moe)
    return counts


@right("in numpy's whole numbers, active first")
def _(config):
    D, S = config.hidden_size, config.num_hidden_layers - config.first_k_dense_replace
    a_layer = np.int64(cost.attention_parameters(config)) + 2 * D
    shared = np.int64(3 * D * config.moe_intermediate_size) * config.n_shared_experts
    active = config.num_hidden_layers * a_layer + 3 * D * config.first_k_dense_replace * config.intermediate_size
    active += S * (shared + D * config.n_routed_experts) + D * (1 + 2 * config.vocab_size)
    expert = 3 * D * config.moe_intermediate_size
    total = active + S * np.int64(expert) * config.n_routed_experts
    return total, active + S * expert * config.num_experts_per_tok


@right("on the meta device, one layer after the other")
def _(config):
    def holds(*shape):
        return torch.empty(shape, device="meta").numel()

    D, width = config.hidden_size, config.moe_intermediate_size
    total = active = holds(2, config.vocab_size, D) + holds(D)
    for layer in range(config.num_hidden_layers):
        block = cost.attention_parameters(config) + holds(2, D)
        experts = resting = 0
        if layer >= config.first_k_dense_replace:
            experts = holds(config.n_routed_experts, D) + holds(config.n_shared_experts, 3, D, width)
            experts += holds(config.num_experts_per_tok, 3, D, width)
            resting = holds(config.n_routed_experts - config.num_experts_per_tok, 3, D, width)
        else:
            block += holds(3, D, config.intermediate_size)
        total, active = total + block + experts + resting, active + block + experts
    return total, active
