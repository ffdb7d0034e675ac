"""Lesson 03, `split_experts`: many small experts."""

import dataclasses

import torch

from mini_moe.config import ModelConfig, deepseek_v3, split_experts, tiny
from mini_moe.cost import count_parameters
from mini_moe.course.checking.exercise import Exercise, Property, Wrong, agrees_with
from mini_moe.course.exercises.mixture_of_experts.split_experts_mistakes import MISTAKES


def _cases_of_split(generator):
    def draw(low, high):
        return torch.randint(low, high + 1, (1,), generator=generator).item()

    smallest = ModelConfig(
        vocab_size=draw(5, 9), hidden_size=4, num_hidden_layers=2, intermediate_size=12, num_attention_heads=2,
        kv_lora_rank=3, qk_nope_head_dim=2, qk_rope_head_dim=2, v_head_dim=4,
        n_routed_experts=draw(3, 5), num_experts_per_tok=2, moe_intermediate_size=2 * draw(2, 4),
    )  # fmt: skip
    yield smallest, 2
    yield (
        smallest.replace(
            **{"n_routed_experts": 8, "n_group": 4, "topk_group": 2, "n_shared_experts": 2, "q_lora_rank": 5},
            **{"norm_topk_prob": False, "routed_scaling_factor": 1.5, "rms_norm_eps": 1e-5, "num_hidden_layers": 5},
            **{"moe_intermediate_size": 12, "first_k_dense_replace": 2, "max_position_embeddings": draw(64, 99)},
        ),
        3,
    )
    yield tiny().replace(n_shared_experts=0, num_experts_per_tok=draw(3, 5)), 4
    yield deepseek_v3(), 8


def _of_experts(config):
    """Parameters of the experts, all and those at work on a token: what changes between two configs of one frame."""
    routers = (config.num_hidden_layers - config.first_k_dense_replace) * config.n_routed_experts * config.hidden_size
    return tuple(count - routers for count in count_parameters(config))


def _many_to_choose(function, config, m):
    fine = function(config, m)
    for name in ("n_routed_experts", "num_experts_per_tok"):
        got, expected = getattr(fine, name), m * getattr(config, name)
        if got != expected:
            raise Wrong(f"`{name}` must be {m} times as many: {expected}, not {got}.")


def _as_much_work(function, config, m):
    got, expected = (_of_experts(c)[1] for c in (function(config, m), config))
    if got != expected:
        raise Wrong(
            f"A token must cost as much as before: without the routers, {expected} parameters worked on it; now it is "
            f"{got}."
        )


def _as_much_stored(function, config, m):
    got, expected = (_of_experts(c)[0] for c in (function(config, m), config))
    if got != expected:
        raise Wrong(
            f"As much must be stored as before: without the routers, the model had {expected} parameters; now it has "
            f"{got}."
        )


def _whole_width(function, config, m):
    width = function(config, m).moe_intermediate_size
    if not isinstance(width, int):
        raise Wrong(
            f"The inner width is {width!r}, a float: no matrix can be made of that width. `//` divides whole numbers.",
            mistake="inner width a float",
        )


def _the_rest_stays(function, config, m):
    fine = function(config, m)
    cut = ("n_routed_experts", "num_experts_per_tok", "n_shared_experts", "moe_intermediate_size")
    for field in dataclasses.fields(config):
        got, expected = getattr(fine, field.name), getattr(config, field.name)
        if field.name not in cut and got != expected:
            raise Wrong(f"`{field.name}` was {expected} and is {got}: only the experts may change.")


def _refuses_fractions(function, config, m):
    width = config.moe_intermediate_size
    m = next(m for m in range(2, width) if width % m)
    try:
        function(config, m)
    except ValueError:
        return
    raise Wrong(
        f"`m = {m}` does not divide the inner width, {width}: raise a ValueError. To round would compute less than "
        "before, and nobody would know.",
        mistake="rounded without an error",
    )


EXERCISE = Exercise(
    reference=split_experts,
    cases=_cases_of_split,
    properties=(
        Property("m times the experts, m times as many chosen", _many_to_choose),
        Property("a token costs as much as before", _as_much_work),
        Property("as much is stored as before", _as_much_stored),
        Property("the inner width is a whole number", _whole_width),
        Property("all else stays as it is", _the_rest_stays),
        Property("an m that does not divide is refused", _refuses_fractions),
        Property("agrees with the library", agrees_with(split_experts)),
    ),
    mistakes=MISTAKES,
    hints=(
        "What is stored is E times I, what is computed is K times I (and the shared experts times I). I becomes I / m, "
        "so what must happen to the others?",
        "`config.replace(field=value)` is a copy with changes. Four fields change: three grow by m, one shrinks. First "
        "see whether m divides it: `config.moe_intermediate_size % m`.",
        "return config.replace(n_routed_experts=config.n_routed_experts * m, num_experts_per_tok=..., "
        "n_shared_experts=..., moe_intermediate_size=config.moe_intermediate_size // m), after raising a ValueError "
        "where m does not divide.",
    ),
    difficulty=1,
    minutes=6,
)
