"""Lesson 00, `count_parameters`: counting the model, stored and at work."""

from mini_moe.cost import (
    attention_parameters,
    count_parameters,
)
from mini_moe.course.checking.exercise import Exercise, Mistake, Property, Wrong, agrees_with
from mini_moe.course.exercises.headlines.shared import each, parameters
from mini_moe.model import Transformer


def _total_is_real(function, config):
    real = parameters(Transformer, config)
    if function(config)[0] != real:
        raise Wrong("The model itself holds another number in all.", got=function(config)[0], expected=real)


def _all_chosen(function, config):
    config = config.replace(num_experts_per_tok=config.n_routed_experts, n_group=1, topk_group=1)
    total, active = function(config)
    if active != total:
        raise Wrong(
            f"With every expert chosen (K = E) nothing rests, so active must be total: it is {active:,} of {total:,}."
        )


def _resting_expert(function, config):
    more = config.replace(n_routed_experts=config.n_routed_experts + config.n_group)
    grown = function(more)[1] - function(config)[1]
    sparse = config.num_hidden_layers - config.first_k_dense_replace
    expected = sparse * config.n_group * config.hidden_size
    if grown != expected:
        raise Wrong(
            "With more experts to choose from, K as before, a token's work grows only by their rows in the routers: "
            f"by {expected:,} with {config.n_group} more experts a layer, but yours grows by {grown:,}."
        )


def _count(
    config, *, embeddings=2, norms=None, attention=None, router=True, shared=True, matrices=3, expert=None, dense=None,
    sparse=None,
):  # fmt: skip
    """The two counts with one thing changed, for the mistakes."""
    D, E, K, layers = config.hidden_size, config.n_routed_experts, config.num_experts_per_tok, config.num_hidden_layers
    dense = config.first_k_dense_replace if dense is None else dense
    sparse = layers - config.first_k_dense_replace if sparse is None else sparse
    expert = matrices * D * (expert or config.moe_intermediate_size)
    total = embeddings * config.vocab_size * D + (2 * layers + 1 if norms is None else norms) * D
    total += (layers if attention is None else attention) * attention_parameters(config)
    total += dense * matrices * D * config.intermediate_size
    total += sparse * (router * E * D + (E + shared * config.n_shared_experts) * expert)
    return total, total - sparse * (E - K) * expert


def _active(change):
    """The two counts, the active one changed by ``change(config, total, active)``."""
    return lambda config: (_count(config)[0], change(config, *_count(config)))


def table(config):
    return config.vocab_size * config.hidden_size


def _sparse(config):
    return config.num_hidden_layers - config.first_k_dense_replace


def _expert(config):
    return 3 * config.hidden_size * config.moe_intermediate_size


def _resting(config):
    return config.n_routed_experts - config.num_experts_per_tok


EXERCISE = Exercise(
    reference=count_parameters,
    cases=each,
    properties=(
        Property("the total equals the parameters of the real model", _total_is_real),
        Property("with all experts chosen, active equals total", _all_chosen),
        Property("an expert that rests adds only its row in the router", _resting_expert),
        Property("agrees with the library", agrees_with(count_parameters)),
    ),
    mistakes=(
        Mistake(
            "exchanged",
            "The two counts are exchanged: return total first, then active.",
            lambda config: _count(config)[::-1],
        ),
        Mistake(
            "everything active",
            "Active equals total here: in each layer of experts, E - K routed experts rest.",
            _active(lambda config, total, active: total),
        ),
        *(
            Mistake(
                "active as a share K / E of everything",
                "All parameters are scaled by K / E: only the routed experts rest. Attention, embedding, norms, "
                "routers and shared experts work on every token.",
                _active(share),
            )
            for share in (
                lambda config, total, active: total * config.num_experts_per_tok / config.n_routed_experts,
                lambda config, total, active: total * config.num_experts_per_tok // config.n_routed_experts,
            )
        ),
        Mistake(
            "only K experts active",
            "Only the chosen experts are active here: attention, embedding, norms, routers, dense layers and shared "
            "experts work on every token, too.",
            _active(lambda config, total, active: _sparse(config) * config.num_experts_per_tok * _expert(config)),
        ),
        Mistake(
            "the chosen experts rest",
            "K experts are taken off the active count: those are the ones at work, the other E - K rest.",
            _active(
                lambda config, total, active: total - _sparse(config) * config.num_experts_per_tok * _expert(config)
            ),
        ),
        Mistake(
            "experts rest in one layer only",
            "The resting experts of one layer come off: they rest in every layer of experts.",
            _active(lambda config, total, active: total - _resting(config) * _expert(config)),
        ),
        Mistake(
            "experts rest in dense layers",
            "Resting experts are taken off every layer: the first `first_k_dense_replace` have none.",
            _active(
                lambda config, total, active: total - config.num_hidden_layers * _resting(config) * _expert(config)
            ),
        ),
        Mistake(
            "shared experts not in the active count",
            "The shared experts are left out of the active count: they work on every token.",
            _active(lambda config, total, active: active - _sparse(config) * config.n_shared_experts * _expert(config)),
        ),
        Mistake(
            "router rows rest",
            "The routers' rows for resting experts are taken off, too: a router scores all E experts for every token.",
            _active(lambda config, total, active: active - _sparse(config) * _resting(config) * config.hidden_size),
        ),
        Mistake(
            "embedding not in the active count",
            "The active count lacks V D parameters, the embedding or the head: here both are in it.",
            _active(lambda config, total, active: active - table(config)),
        ),
        Mistake(
            "embedding and head not in the active count",
            "Embedding and head are left out of the active count: here both are in it.",
            _active(lambda config, total, active: active - 2 * table(config)),
        ),
        Mistake(
            "one embedding matrix",
            "Embedding and head are counted as one: this model has a matrix for each.",
            lambda config: _count(config, embeddings=1),
        ),
        Mistake(
            "shared experts left out",
            "The shared experts are missing: `n_shared_experts` in each layer of experts, always at work.",
            lambda config: _count(config, shared=False),
        ),
        Mistake(
            "routers left out",
            "The routers are missing: each layer of experts has one, a row of D for each routed expert.",
            lambda config: _count(config, router=False),
        ),
        Mistake(
            "norms left out",
            "The norms are missing: two in every layer and one at the end, D parameters each.",
            lambda config: _count(config, norms=0),
        ),
        Mistake(
            "last norm left out",
            "The last norm is missing: after all layers there is one more, D parameters.",
            lambda config: _count(config, norms=2 * config.num_hidden_layers),
        ),
        Mistake(
            "one norm a layer",
            "Each layer is given one norm: it has two, before attention and before the feed-forward part.",
            lambda config: _count(config, norms=config.num_hidden_layers + 1),
        ),
        Mistake(
            "attention of one layer",
            "Attention is counted once: every layer has its own.",
            lambda config: _count(config, attention=1),
        ),
        Mistake(
            "attention left out",
            "Attention is missing: `attention_parameters(config)` in every layer.",
            lambda config: _count(config, attention=0),
        ),
        Mistake(
            "two matrices a feed-forward layer",
            "A feed-forward layer is counted with two matrices: SwiGLU has three, gate, up and down.",
            lambda config: _count(config, matrices=2),
        ),
        Mistake(
            "experts as wide as dense layers",
            "The experts are given `intermediate_size`, the width of a dense layer: theirs is `moe_intermediate_size`.",
            lambda config: _count(config, expert=config.intermediate_size),
        ),
        Mistake(
            "dense layers as wide as experts",
            "The dense layers are given `moe_intermediate_size`, the width of an expert: theirs is "
            "`intermediate_size`.",
            lambda config: _count(config.replace(intermediate_size=config.moe_intermediate_size)),
        ),
        Mistake(
            "dense layers left out",
            "The dense layers' SwiGLU is missing: the first `first_k_dense_replace` layers have one instead of "
            "experts.",
            lambda config: _count(config, dense=0),
        ),
        Mistake(
            "dense layers counted as experts",
            "Every layer has experts here: the first `first_k_dense_replace` have one dense layer instead.",
            lambda config: _count(config, dense=0, sparse=config.num_hidden_layers),
        ),
        Mistake(
            "experts in dense layers, too",
            "The first `first_k_dense_replace` layers are counted with a dense layer *and* with experts: they have "
            "only the dense one.",
            lambda config: _count(config, sparse=config.num_hidden_layers),
        ),
    ),
    hints=(
        "Write down the total first, in four lines: embeddings, what every layer has, the dense layers, the layers of "
        "experts. What a token does not use comes off at the end.",
        "One expert is 3 D I. A layer of experts holds E D (the router) and E + n_shared_experts experts; of these, "
        "E - K rest on each token.",
        "active = total - (num_hidden_layers - first_k_dense_replace) * (E - K) * 3 * D * I",
    ),
    difficulty=2,
    minutes=12,
)
