"""Answers to `count_parameters`: wrong ones as learners write them, right ones each in another way."""

from exercises.answers import Claims
from exercises.headlines import count_parameters_wrong
from exercises.headlines.count_parameters_parts import pieces, working

from mini_moe import cost

ANSWERS = count_parameters_wrong.ANSWERS
right = ANSWERS.right


class TestCountParameters(Claims):
    answers = ANSWERS


# The wrong ones share a true count, taken to pieces, where the mistake is in the active count alone.


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
