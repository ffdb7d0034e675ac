"""Lesson 03, `split_experts`: many small experts."""

import dataclasses

import torch

from mini_moe.config import ModelConfig, deepseek_v3, split_experts, tiny
from mini_moe.cost import count_parameters
from mini_moe.course.checking.exercise import Exercise, Illegal, Property, Wrong, agrees_with, refuses
from mini_moe.course.exercises.mixture_of_experts.split_experts_mistakes import MISTAKES


def _cases_of_split(generator):
    def draw(low, high):
        return torch.randint(low, high + 1, (1,), generator=generator).item()

    smallest = ModelConfig(
        vocab_size=draw(5, 9), hidden_size=4, num_hidden_layers=2, intermediate_size=12, num_attention_heads=2,
        kv_lora_rank=3, qk_nope_head_dim=2, qk_rope_head_dim=2, v_head_dim=4,
        n_routed_experts=draw(3, 5), num_experts_per_tok=2, moe_intermediate_size=2 * draw(2, 4),
    )  # fmt: skip
    all_set = smallest.replace(
        **{"n_routed_experts": 8, "n_group": 4, "topk_group": 2, "n_shared_experts": 2, "q_lora_rank": 5},
        **{"norm_topk_prob": False, "routed_scaling_factor": 1.5, "rms_norm_eps": 1e-5, "num_hidden_layers": 5},
        **{"moe_intermediate_size": 12, "first_k_dense_replace": 2, "max_position_embeddings": draw(64, 99)},
    )
    yield smallest, 2
    yield all_set, 3
    yield all_set, 2
    yield smallest, 1  # which changes nothing
    yield all_set, 12  # to a width of 1, and more pieces than experts
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


def _the_rest_stays(function, config, m):
    fine = function(config, m)
    cut = ("n_routed_experts", "num_experts_per_tok", "n_shared_experts", "moe_intermediate_size")
    for field in dataclasses.fields(config):
        got, expected = getattr(fine, field.name), getattr(config, field.name)
        if field.name not in cut and got != expected:
            raise Wrong(
                f"`{field.name}` was {expected} and is {got}: only the experts may change.",
                mistake="another field changed",
            )


def _keeps_nothing(function, config, m):
    wider = config.replace(moe_intermediate_size=35 * config.moe_intermediate_size)
    function(config, m)
    if function(wider, m).moe_intermediate_size == function(config, m).moe_intermediate_size:
        raise Wrong(
            f"Two configs, of inner widths {config.moe_intermediate_size} and {wider.moe_intermediate_size}, get the "
            "same inner width: compute it from the config, and keep nothing from call to call.",
            mistake="inner width not from the config",
        )


def _illegal(m_of, why, mistake="not refused"):
    """An m that is to be refused, as a function of a case."""

    def spoil(config, m):
        m = m_of(config.moe_intermediate_size)
        return Illegal((config, m), "m", m, why=why.format(I=config.moe_intermediate_size), mistake=mistake)

    return spoil


_ROUNDED = "It does not divide the inner width, {I}. To round would compute less than before, and nobody would know."
_NO_NUMBER = "An expert can be cut in 1, 2, 3 or more pieces."
_refuses_others = refuses(
    _illegal(lambda I: next(m for m in range(2, I) if I % m), _ROUNDED, "rounded without an error"),
    _illegal(lambda I: I + 1, _ROUNDED, "rounded without an error"),
    _illegal(lambda I: 2 * I, _ROUNDED, "rounded without an error"),
    *(_illegal(lambda I, m=m: m, _NO_NUMBER) for m in (0, -1, -2)),
    _illegal(lambda I: -I, _NO_NUMBER),
)


EXERCISE = Exercise(
    reference=split_experts,
    cases=_cases_of_split,
    properties=(
        Property("the inner width comes from the config", _keeps_nothing),
        Property("what is not of experts stays as it is", _the_rest_stays),
        Property("m times the experts, m times as many chosen", _many_to_choose),
        Property("a token costs as much as before", _as_much_work),
        Property("as much is stored as before", _as_much_stored),
        Property("agrees with the library", agrees_with(split_experts)),
        Property("an m that does not divide is refused", _refuses_others),
    ),
    mistakes=MISTAKES,
    hints=(
        "What is stored is E times I, what is computed is K times I (and the shared experts times I). I becomes I / m, "
        "so what must happen to the others?",
        "`config.replace(field=value)` is a copy with changes. Four fields change: three grow by m, one shrinks. First "
        "see whether m divides it: `config.moe_intermediate_size % m`.",
        "No tensors here, only whole numbers: m below 1, or a remainder, is refused; then one copy of the config with "
        "four new numbers, three of them m times as large, and the inner width m times as small (`//`, so that it "
        "stays a whole number).",
    ),
    difficulty=1,
    minutes=6,
)
