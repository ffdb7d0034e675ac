"""Wrong answers to `count_parameters`: parts counted too often or too rarely, and numbers of another kind."""

import numpy as np
import torch
from exercises.answers import Answers
from exercises.headlines.count_parameters_parts import pieces, working

from mini_moe.course.exercises.headlines.count_parameters import EXERCISE

ANSWERS = Answers(EXERCISE)
wrong = ANSWERS.wrong


def both(config, places=None):
    """The two counts from `pieces`."""
    places = pieces(config) if places is None else places
    return sum(places.values()), working(config, places)


def moe_layers(config):
    return config.num_hidden_layers - config.first_k_dense_replace


def expert(config):
    return 3 * config.hidden_size * config.moe_intermediate_size


# In the active count alone


@wrong("shared experts scaled along", "not rounded")
def _(config):
    total, active = both(config)
    share = config.num_experts_per_tok / config.n_routed_experts
    return total, active - (1 - share) * moe_layers(config) * config.n_shared_experts * expert(config)


@wrong("shared experts scaled along", "rounded down")
def _(config):
    places, K, E = pieces(config), config.num_experts_per_tok, config.n_routed_experts
    experts = sum(n for place, n in places.items() if place.endswith(("routed", "shared")))
    total = sum(places.values())
    return total, total - experts + experts * K // E


@wrong("no chosen expert at work")
def _(config):
    places = pieces(config)
    return sum(places.values()), sum(n for place, n in places.items() if not place.endswith("routed"))


@wrong("one expert at work")
def _(config):
    return both(config)[0], both(config.replace(num_experts_per_tok=1))[1]


@wrong("open groups all active")
def _(config):
    open_to_it = config.n_routed_experts // config.n_group * config.topk_group
    return both(config)[0], both(config.replace(num_experts_per_tok=open_to_it))[1]


@wrong("shared experts twice at work")
def _(config):
    total, _ = both(config)
    resting = config.n_routed_experts - config.num_experts_per_tok - config.n_shared_experts
    return total, total - moe_layers(config) * resting * expert(config)


@wrong("routers not in the active count")
def _(config):
    places = pieces(config)
    without = {place: n for place, n in places.items() if not place.endswith("router")}
    return sum(places.values()), working(config, without)


@wrong("norms not in the active count", "but the last")
def _(config):
    places = pieces(config)
    without = {place: n for place, n in places.items() if not place.endswith("norms")}
    return sum(places.values()), working(config, without)


@wrong("norms not in the active count")
def _(config):
    places = pieces(config)
    without = {place: n for place, n in places.items() if "norm" not in place}
    return sum(places.values()), working(config, without)


@wrong("the resting part")
def _(config):
    total, active = both(config)
    return total, total - active


@wrong("the share at work")
def _(config):
    total, active = both(config)
    return total, active / total


# In both


@wrong("only the chosen experts stored")
def _(config):
    stored = working(config, pieces(config))
    return stored, stored


@wrong("embedding and head left out")
def _(config):
    places = pieces(config)
    del places["embedding"], places["head"]
    return both(config, places)


@wrong("positions counted")
def _(config):
    return both(config, pieces(config) | {"positions": config.max_position_embeddings * config.hidden_size})


@wrong("norms of the layers left out")
def _(config):
    return both(config, {place: n for place, n in pieces(config).items() if not place.endswith("norms")})


@wrong("norms with a shift")
def _(config):
    return both(config, {place: 2 * n if "norm" in place else n for place, n in pieces(config).items()})


@wrong("attention without the norms of its latents")
def _(config):
    latents = config.kv_lora_rank + (config.q_lora_rank or 0)
    return both(config, {p: n - latents if p.endswith("attention") else n for p, n in pieces(config).items()})


@wrong("plain multi-head attention")
def _(config):
    square = config.hidden_size**2
    return both(config, {p: 4 * square if p.endswith("attention") else n for p, n in pieces(config).items()})


@wrong("attention in layers of experts only")
def _(config):
    places = pieces(config)
    for layer in range(config.first_k_dense_replace):
        del places[f"{layer} attention"]
    return both(config, places)


@wrong("no shared expert taken for one")
def _(config):
    return both(config.replace(n_shared_experts=max(1, config.n_shared_experts)))


@wrong("one router for all layers")
def _(config):
    places = {place: n for place, n in pieces(config).items() if not place.endswith("router")}
    return both(config, places | {"router": config.n_routed_experts * config.hidden_size})


@wrong("routers in dense layers")
def _(config):
    routers = {
        f"{layer} router": config.n_routed_experts * config.hidden_size for layer in range(config.num_hidden_layers)
    }
    return both(config, pieces(config) | routers)


@wrong("rows for shared experts in the routers")
def _(config):
    rows = config.n_routed_experts + config.n_shared_experts
    return both(
        config, {p: rows * config.hidden_size if p.endswith("router") else n for p, n in pieces(config).items()}
    )


@wrong("rows for chosen experts only")
def _(config):
    rows = config.num_experts_per_tok
    return both(
        config, {p: rows * config.hidden_size if p.endswith("router") else n for p, n in pieces(config).items()}
    )


@wrong("a bias in the routers")
def _(config):
    E = config.n_routed_experts
    return both(config, {p: n + E if p.endswith("router") else n for p, n in pieces(config).items()})


@wrong("no dense layer taken for one")
def _(config):
    return both(config.replace(first_k_dense_replace=config.first_k_dense_replace or 1))


@wrong("always a layer of experts")
def _(config):
    return both(config.replace(first_k_dense_replace=min(config.first_k_dense_replace, config.num_hidden_layers - 1)))


@wrong("one dense layer more or fewer", "`<=`")
def _(config):
    first, layers = config.first_k_dense_replace, config.num_hidden_layers
    return both(config.replace(first_k_dense_replace=min(first + 1, layers)))


@wrong("one dense layer more or fewer", "counted from 1")
def _(config):
    return both(config.replace(first_k_dense_replace=max(config.first_k_dense_replace - 1, 0)))


# Of another kind


@wrong("overflows 32 bits")
def _(config):
    return tuple(np.int64(n).astype(np.int32) for n in both(config))


@wrong("too few digits")
def _(config):
    return tuple(int(torch.tensor(n, dtype=torch.float64).float()) for n in both(config))


@wrong("another unit", "billions")
def _(config):
    return tuple(n / 1e9 for n in both(config))


@wrong("wrong for large models", "64 experts stored at most")
def _(config):
    total, active = both(config)
    left_out = max(0, config.n_routed_experts - 64) * moe_layers(config) * expert(config)
    return total - left_out, active - left_out


@wrong("off by a constant", "in both")
def _(config):
    return both(config, pieces(config) | {"temperature": 1})


@wrong("active unlike total where all are chosen", "one more in the active count")
def _(config):
    total, active = both(config)
    return total, active + 1


@wrong("num_hidden_layers miscounted", "three norms a layer")
def _(config):
    return both(config, {place: n * 3 // 2 if place.endswith("norms") else n for place, n in pieces(config).items()})


@wrong("input not used", "the shared expert written in")
def _(config):
    return both(config.replace(n_shared_experts=1))


@wrong("input not used", "the published number of chosen experts")
def _(config):
    total, _ = both(config)
    return total, total - moe_layers(config) * (config.n_routed_experts - 8) * expert(config)


@wrong("input not used", "the queries' latent")
def _(config):
    return both(config.replace(q_lora_rank=None))


@wrong("the same for every input", "the example by heart")
def _(config):
    return 671_026_404_352, 37_552_282_624
