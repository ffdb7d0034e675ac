"""Lesson 03, `split_experts`: the mistakes that people make."""

import dataclasses

from mini_moe.config import ModelConfig, split_experts, tiny
from mini_moe.course.checking.exercise import Mistake


def _split(**changes):
    """The split with some fields' new values as ``field=lambda config, m: ...``, for the mistakes."""

    def function(config, m):
        return split_experts(config, m).replace(**{name: value(config, m) for name, value in changes.items()})

    return function


def _as_it_was(*names):
    return _split(**{name: lambda config, m, name=name: getattr(config, name) for name in names})


_DEFAULTS = {
    field.name: lambda config, m, default=field.default: default
    for field in dataclasses.fields(ModelConfig)
    if field.default is not dataclasses.MISSING and field.name != "n_shared_experts"
}


def _from_tiny(config, m):
    fine = split_experts(config, m)
    names = ("n_routed_experts", "num_experts_per_tok", "n_shared_experts", "moe_intermediate_size")
    return tiny().replace(**{name: getattr(fine, name) for name in names})


MISTAKES = (
    Mistake(
        "K not multiplied",
        "K stays as it was: with experts m times smaller a token then gets only 1 / m of the work. Choose m times "
        "as many.",
        _as_it_was("num_experts_per_tok"),
    ),
    Mistake(
        "I not divided",
        "The inner width stays as it was: m times as many experts of full width are m times the parameters and the "
        "work. Divide it by m.",
        _as_it_was("moe_intermediate_size"),
    ),
    Mistake(
        "E not multiplied",
        "The number of experts stays as it was: each is cut in m, so there are m times as many.",
        _as_it_was("n_routed_experts"),
    ),
    Mistake(
        "shared experts not multiplied",
        "The shared experts shrink, too, since all experts have the same inner width: there must be m times as many of "
        "them.",
        _as_it_was("n_shared_experts"),
    ),
    Mistake(
        "m shared experts",
        "There are m shared experts, whatever their number was: multiply it by m, and none stay none.",
        _split(n_shared_experts=lambda config, m: m),
    ),
    Mistake(
        "a shared expert out of nothing",
        "Where there is no shared expert it makes some: m times 0 is 0.",
        _split(n_shared_experts=lambda config, m: m * max(1, config.n_shared_experts)),
    ),
    *(
        Mistake(
            "added in place of multiplied",
            "A number of experts grows by a sum: each expert is cut in m, so there are m *times* as many.",
            _split(**{name: lambda config, m, name=name, extra=extra: getattr(config, name) + m - extra}),
        )
        for name in ("num_experts_per_tok", "n_shared_experts")
        for extra in (0, 1)
    ),
    *(
        Mistake(
            "multiplied by m twice",
            "A number of experts is multiplied by m twice: m times as many is enough.",
            _split(**{name: lambda config, m, name=name: getattr(config, name) * m * m for name in names}),
        )
        for names in (
            *(("n_routed_experts",), ("n_routed_experts", "num_experts_per_tok"), ("n_shared_experts",)),
            ("n_routed_experts", "num_experts_per_tok", "n_shared_experts"),
        )
    ),
    Mistake(
        "only E multiplied",
        "Only the number of experts grows: that stores m times as much. Cut them: I / m, and choose m times as many.",
        _as_it_was("num_experts_per_tok", "n_shared_experts", "moe_intermediate_size"),
    ),
    Mistake(
        "only I divided",
        "Only the inner width is divided: that throws away parameters. There must be m times as many experts, "
        "chosen and shared ones, too.",
        _as_it_was("num_experts_per_tok", "n_shared_experts", "n_routed_experts"),
    ),
    Mistake(
        "K and shared experts not multiplied",
        "K and the shared experts stay as they were: with experts m times smaller a token then gets only 1 / m of "
        "the work.",
        _as_it_was("num_experts_per_tok", "n_shared_experts"),
    ),
    Mistake(
        "I and shared experts as they were",
        "E and K grow while the experts stay as wide: m times the parameters, m times the work. Divide the inner "
        "width by m, and take m times the shared experts.",
        _as_it_was("moe_intermediate_size", "n_shared_experts"),
    ),
    Mistake(
        "I multiplied",
        "The inner width is multiplied: cutting an expert in m leaves each piece 1 / m of it.",
        _split(moe_intermediate_size=lambda config, m: config.moe_intermediate_size * m),
    ),
    *(
        Mistake(
            "dense layers cut",
            "`intermediate_size` is the width of the *dense* layers: the experts' is `moe_intermediate_size`, and "
            "only that is divided.",
            function,
        )
        for function in (
            _split(
                intermediate_size=lambda config, m: config.intermediate_size // m,
                moe_intermediate_size=lambda config, m: config.moe_intermediate_size,
            ),
            _split(intermediate_size=lambda config, m: config.intermediate_size // m),
        )
    ),
    Mistake(
        "hidden size divided",
        "`hidden_size` is divided: that is the model's width, which all layers share. Only the experts shrink, on "
        "the inside.",
        _split(hidden_size=lambda config, m: config.hidden_size // m),
    ),
    *(
        Mistake(
            "groups multiplied",
            "The groups grow in number, too: they stay, with m times as many experts in each.",
            function,
        )
        for function in (
            _split(n_group=lambda config, m: config.n_group * m, topk_group=lambda c, m: c.topk_group * m),
            _split(n_group=lambda config, m: config.n_group * m),
        )
    ),
    *(
        Mistake(
            "scaling factor changed",
            "`routed_scaling_factor` is changed: the gate weights are divided by their sum, whatever their number.",
            _split(routed_scaling_factor=value),
        )
        for value in (
            lambda config, m: config.routed_scaling_factor * m,
            lambda config, m: config.routed_scaling_factor / m,
        )
    ),
    *(
        Mistake(
            "other fields lost",
            "Fields that have nothing to do with experts are lost: `config.replace(...)` copies all others.",
            function,
        )
        for function in (_from_tiny, _split(**_DEFAULTS))
    ),
    Mistake(
        "nothing split",
        "It gives the config back as it came: `replace` makes a *new* one, to be returned.",
        lambda config, m: config,
    ),
)
