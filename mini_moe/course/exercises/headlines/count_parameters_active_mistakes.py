"""Mistakes that people make in `count_parameters` in the active count alone."""

from mini_moe.course.checking.exercise import Mistake
from mini_moe.course.exercises.headlines.count_parameters_mistakes import count, rest, sparse
from mini_moe.course.exercises.headlines.shared import table


def _active(change):
    """The two counts, the active one changed by ``change(config, total, active)``."""
    return lambda config: (count(config)[0], change(config, *count(config)))


def _less(experts):
    """The two counts, the active one without ``experts(config)`` of each layer of experts."""
    return _active(lambda config, total, active: active - sparse(config) * experts(config) * _expert(config))


def _resting(experts):
    """The two counts, ``experts(config)`` of all layers together resting."""
    return _active(lambda config, total, active: total - experts(config) * _expert(config))


def _expert(config):
    return 3 * config.hidden_size * config.moe_intermediate_size


def _scaled_along(config, total, active):
    """Of all experts of a layer, the shared among them, the share K / E is at work."""
    share = config.num_experts_per_tok / config.n_routed_experts
    experts = sparse(config) * (config.n_routed_experts + config.n_shared_experts) * _expert(config)
    return total - experts + experts * share


MISTAKES = (
    Mistake(
        "exchanged",
        "The two counts are exchanged: return total first, then active.",
        lambda config: count(config)[::-1],
    ),
    Mistake(
        "everything active",
        "Active equals total here: in each layer of experts, E - K routed experts rest.",
        _active(lambda config, total, active: total),
    ),
    *(
        Mistake(
            "active as a share K / E of everything",
            "All parameters are scaled by K / E: only the routed experts rest. Attention, embedding, norms, routers "
            "and shared experts work on every token.",
            _active(share),
        )
        for share in (
            lambda config, total, active: total * config.num_experts_per_tok / config.n_routed_experts,
            lambda config, total, active: total * config.num_experts_per_tok // config.n_routed_experts,
        )
    ),
    *(
        Mistake(
            "shared experts scaled along",
            "Of the shared experts only a share K / E is active here: they all work on every token, only routed "
            "experts rest.",
            _active(share),
        )
        for share in (_scaled_along, lambda config, total, active: int(_scaled_along(config, total, active)))
    ),
    Mistake(
        "the resting part",
        "The second number is what rests, total less active: give what works.",
        _active(lambda config, total, active: total - active),
    ),
    Mistake(
        "the share at work",
        "The second number is a share, active by total: give the count.",
        _active(lambda config, total, active: active / total),
    ),
    Mistake(
        "only K experts active",
        "Only the chosen experts are active here: attention, embedding, norms, routers, dense layers and shared "
        "experts work on every token, too.",
        _active(lambda config, total, active: sparse(config) * config.num_experts_per_tok * _expert(config)),
    ),
    Mistake(
        "the chosen experts rest",
        "K experts are taken off the active count: those are the ones at work, the other E - K rest.",
        _resting(lambda config: sparse(config) * config.num_experts_per_tok),
    ),
    Mistake(
        "no chosen expert at work",
        "All routed experts are taken off the active count: K of each layer work on a token.",
        _resting(lambda config: sparse(config) * config.n_routed_experts),
    ),
    Mistake(
        "one expert at work",
        "One routed expert of each layer is active here: a token is sent to K of them.",
        _resting(lambda config: sparse(config) * (config.n_routed_experts - 1)),
    ),
    Mistake(
        "open groups all active",
        "All experts of the groups that a token may choose from are active here: it chooses K of them.",
        _resting(
            lambda config: (
                sparse(config) * config.n_routed_experts * (config.n_group - config.topk_group) // config.n_group
            )
        ),
    ),
    Mistake(
        "experts rest in one layer only",
        "The resting experts of one layer come off: they rest in every layer of experts.",
        _resting(rest),
    ),
    Mistake(
        "experts rest in dense layers",
        "Resting experts are taken off every layer: the first `first_k_dense_replace` have none.",
        _resting(lambda config: config.num_hidden_layers * rest(config)),
    ),
    Mistake(
        "shared experts not in the active count",
        "The shared experts are left out of the active count: they work on every token.",
        _less(lambda config: config.n_shared_experts),
    ),
    Mistake(
        "shared experts twice at work",
        "The shared experts work twice in the active count: they are not among the E routed ones, so E - K rest, "
        "however many are shared.",
        _less(lambda config: -config.n_shared_experts),
    ),
    Mistake(
        "router rows rest",
        "The routers' rows for resting experts are taken off, too: a router scores all E experts for every token.",
        _active(lambda config, total, active: active - sparse(config) * rest(config) * config.hidden_size),
    ),
    Mistake(
        "routers not in the active count",
        "The routers are left out of the active count: each scores all E experts for every token.",
        _active(lambda config, total, active: active - sparse(config) * config.n_routed_experts * config.hidden_size),
    ),
    *(
        Mistake(
            "norms not in the active count",
            "The norms are left out of the active count: they work on every token.",
            _active(
                lambda config, total, active, last=last: (
                    active - (2 * config.num_hidden_layers + last) * config.hidden_size
                )
            ),
        )
        for last in (1, 0)
    ),
    Mistake(
        "embedding not in the active count",
        "The active count lacks V D parameters, the embedding or the output head: here both are in it.",
        _active(lambda config, total, active: active - table(config)),
    ),
    Mistake(
        "embedding and head not in the active count",
        "Embedding and output head are left out of the active count: here both are in it.",
        _active(lambda config, total, active: active - 2 * table(config)),
    ),
)
