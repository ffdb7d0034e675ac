"""Lesson 00: the configurations that its exercises count, and what must hold of every count."""

import functools
import inspect
import math

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from mini_moe.config import ModelConfig, Yarn, deepseek_v3, tiny
from mini_moe.course.checking.effect import NOT_USED
from mini_moe.course.checking.exercise import Wrong
from mini_moe.course.checking.observe import flatten
from mini_moe.model import Transformer


def configs(generator):
    """Configurations small enough to count by hand, then odd ones, the published one, and one beyond 32 bits."""

    def draw(low, high):
        return torch.randint(low, high + 1, (1,), generator=generator).item()

    smallest = ModelConfig(
        vocab_size=draw(5, 9), hidden_size=4, num_hidden_layers=2, intermediate_size=draw(5, 9), num_attention_heads=2,
        kv_lora_rank=draw(3, 5), qk_nope_head_dim=draw(2, 3), qk_rope_head_dim=2, v_head_dim=draw(4, 6),
        n_routed_experts=draw(3, 5), num_experts_per_tok=2, moe_intermediate_size=draw(2, 4),
    )  # fmt: skip
    yield smallest
    yield smallest.replace(q_lora_rank=draw(2, 9), n_shared_experts=2, num_hidden_layers=5, first_k_dense_replace=2)
    yield ModelConfig(
        vocab_size=1, hidden_size=1, num_hidden_layers=1, intermediate_size=1, num_attention_heads=1, kv_lora_rank=1,
        q_lora_rank=1, qk_nope_head_dim=1, qk_rope_head_dim=2, v_head_dim=1, n_routed_experts=1, num_experts_per_tok=1,
        n_shared_experts=0, moe_intermediate_size=1, first_k_dense_replace=0, max_position_embeddings=1,
    )  # fmt: skip
    yield smallest.replace(num_hidden_layers=3, first_k_dense_replace=3, hidden_size=draw(7, 9))  # all dense
    yield smallest.replace(n_routed_experts=12, n_group=4, topk_group=2, num_experts_per_tok=draw(3, 5))
    stretched = Yarn(factor=4, original_max_position_embeddings=64)
    yield tiny().replace(
        n_shared_experts=0, v_head_dim=draw(33, 60), num_experts_per_tok=draw(3, 4), rope_scaling=stretched
    )
    yield deepseek_v3()
    yield deepseek_v3().replace(q_lora_rank=None, hidden_size=40_009, num_attention_heads=301, v_head_dim=201)


def each(generator):
    for config in configs(generator):
        yield (config,)


def table(config):
    """Parameters of the embedding; as many as the output head's."""
    return config.vocab_size * config.hidden_size


def parameters(module):
    """Parameters of a module; nothing is allocated for one that is built on the meta device."""
    return sum(parameter.numel() for parameter in module.parameters())


class _Unfilled(TorchFunctionMode):
    """Leaves out ``normal_``: on the meta device it fills nothing, but loads PyTorch's compiler, for seconds."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        return None if func is nn.init.normal_ else func(*args, **(kwargs or {}))


@functools.cache
def model_parameters(config):
    """Parameters of the model itself, of which one layer of each kind is built: all of a kind are alike."""
    with torch.device("meta"), _Unfilled():
        model = Transformer(config.replace(num_hidden_layers=2, first_k_dense_replace=1))
    dense, sparse = map(parameters, model.layers)
    layers, first = config.num_hidden_layers, config.first_k_dense_replace
    return parameters(model) + (first - 1) * dense + (layers - first - 1) * sparse


def uses(reference, sizes):
    """A property's test: each of the ``sizes``, fields of the configuration or arguments, changes what it should."""

    def test(function, *case):
        if _large(case):
            return
        right, mine = _numbers(reference(*case)), _numbers(function(*case))
        for size in sizes:
            more = [larger for by in (1, 2, 100) if (larger := _larger(reference, case, size, by))]
            matters = any(_numbers(reference(*larger)) != right for larger in more)
            # One larger size alone may change nothing by coincidence.
            if len(more) > 1 and matters and not any(_numbers(function(*larger)) != mine for larger in more):
                raise Wrong(f"{NOT_USED.format(size)} {sizes[size]}", mistake="input not used")

    return test


def grows(reference, sizes, results=("the result",)):
    """A property's test: one more of each of the ``sizes`` adds as much as it should, which ``sizes`` explains."""

    def test(function, *case):
        if _large(case):
            return
        right, mine = _numbers(reference(*case)), _numbers(function(*case))
        wrong, ratios = [], {got / expected for got, expected in zip(mine, right, strict=True) if expected}
        for size in sizes:
            larger = _larger(reference, case, size)
            if larger is None:
                continue
            ends = _numbers(reference(*larger)), _numbers(function(*larger))
            for result, start, own_start, end, own_end in zip(results, right, mine, *ends, strict=True):
                expected, got = end - start, own_end - own_start
                if abs(got - expected) > 1e-6 * abs(end):  # `digits` tells who rounds
                    wrong.append((size, result, expected, got))
                if expected or got:
                    ratios.add(got / expected if expected else math.inf)
        if wrong and max(ratios) - min(ratios) < 1e-6 * abs(max(ratios)):
            raise Wrong(
                f"Yours is {max(ratios):.7g} times what it should be, whichever size grows: is it in another unit, or "
                "multiplied once too often?",
                mistake="another unit",
            )
        for size, result, expected, got in wrong[:1]:
            raise Wrong(
                f"With `{size}` one step larger, {result} must grow by {expected:,.10g}, and yours grows by "
                f"{got:,.10g}. {sizes[size]}",
                mistake=f"{size} miscounted",
            )

    return test


def equals(truth, what):
    """A property's test, for what passed `grows`: the result is what ``truth`` gives."""

    def test(function, *case):
        for got, expected in zip(_numbers(function(*case)), _numbers(truth(*case)), strict=True):
            if abs(got - expected) <= 1e-6 * abs(expected):
                continue
            if _large(case):
                says = f"Small models are counted right, but here {expected:,.12g} is expected: is a size cut off, or "
                says, mistake = says + "written in?", "wrong for large models"
            else:
                says = f"{what} {expected:,.12g}. Whichever size grows, yours adds the right number, and yet it is "
                says += f"{got - expected:+,.10g} off: is something counted that has no size?"
                mistake = "off by a constant"
            raise Wrong(says, got=got, expected=expected, mistake=mistake)

    return test


def digits(reference):
    """A property's test: no result is rounded to what a number of 32 bits holds."""

    def test(function, *case):
        for got, expected in zip(_numbers(function(*case)), _numbers(reference(*case)), strict=True):
            if abs(float(got) - float(expected)) > 1e-12 * abs(expected):
                raise Wrong(
                    "It is near, but only some seven digits are right, as in floats of 32 bits: use Python's own "
                    "numbers.",
                    got=got,
                    expected=expected,
                    mistake="too few digits",
                )

    return test


def _large(case):
    """Whether it is so large a model that who builds it to count it must not have to do so fifty times."""
    return any(isinstance(item, ModelConfig) and item.num_hidden_layers > 9 for item in case)


def _larger(reference, case, size, by=1):
    """The case, completed by defaults, with ``by`` steps more of a size, or None where there is no such case."""
    given = inspect.signature(reference).bind(*case)
    given.apply_defaults()
    if size in given.arguments:
        given.arguments[size] += by
        return given.args
    config = given.arguments["config"]
    step = {"qk_rope_head_dim": 2, "n_routed_experts": config.n_group}.get(size, 1)
    try:
        given.arguments["config"] = config.replace(**{size: getattr(config, size) + by * step})
    except (TypeError, ValueError):  # it is None, or the others do not allow more of it
        return None
    return given.args


def _numbers(results):
    return [number for _, number in flatten(results)]
