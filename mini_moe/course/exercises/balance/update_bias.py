"""Lesson 04, `update_bias`: a bias that steers the choice."""

import torch

from mini_moe.balance import update_bias
from mini_moe.course.checking.exercise import Exercise, Illegal, Property, Wrong, agrees_with, refuses
from mini_moe.course.checking.observe import close
from mini_moe.course.exercises.balance.shared import backwards, draw
from mini_moe.course.exercises.balance.update_bias_mistakes import MISTAKES
from mini_moe.course.exercises.balance.update_bias_parts import excess

# Loads of the parts of a batch. In most, an expert has just the mean load, however that is rounded: means, parts and
# experts are powers of 2. In the eight columns, three of four parts find the second expert idle, and it is busy all the
# same; and there are experts between the mean and the median, and between the mean and the middle of the extremes.
_PARTS = (
    ((2, 1),),
    ((127, 129, 128, 128),),
    ((7, 0, 1, 0), (0, 5, 3, 0)),
    (
        (10, 9, 1, 0, 0, 0, 0, 0),
        (10, 0, 2, 0, 0, 0, 0, 0),
        (2, 0, 4, 4, 3, 2, 1, 0),
        (4, 0, 1, 3, 3, 3, 1, 1),
    ),
    ((1, 3), (1, 3)),  # as many parts as experts
    ((3, 0), (1, 0), (0, 2), (1, 1)),  # and more
    ((3, 1, 2, 2), (1, 3, 2, 2)),  # even, but in parts
    ((3,), (5,)),
)


def _cases_of_bias(generator):
    for parts in _PARTS:
        loads = torch.tensor(parts, dtype=torch.float32)
        loads = backwards(loads[:, torch.randperm(loads.shape[1], generator=generator)])
        bias = torch.randn(loads.shape[1], generator=generator).round(decimals=2)
        yield bias, loads, draw(0.6, 0.9, generator)


def _against_the_load(function, bias, loads, gamma):
    moved = function(bias, loads, gamma) - bias
    busy, idle = excess(loads) > 0, excess(loads) < 0
    if (moved[busy] >= 0).any():
        raise Wrong(
            "An expert with more than the mean load must get a smaller bias, so that fewer tokens choose it.",
            mistake="a busy expert not lowered",
        )
    if (moved[idle] <= 0).any():
        raise Wrong(
            "An expert with less than the mean load must get a larger bias, so that more tokens choose it.",
            mistake="an idle expert not raised",
        )


def _steps_of_one_size(function, bias, loads, gamma):
    moved = (function(bias, loads, gamma) - bias)[excess(loads) != 0].abs()
    if not close(moved, torch.full_like(moved, gamma)):
        raise Wrong(
            f"However near or far an expert is from the mean, its bias moves by `gamma`, here {gamma}.",
            mistake="a step of another size than gamma",
        )


def _still_at_balance(function, bias, loads, gamma):
    even = excess(loads) == 0
    if not close(function(bias, loads, gamma)[even], bias[even]):
        raise Wrong("An expert with just the mean load keeps its bias.", mistake="not still at the mean load")


def _only_the_sum(function, bias, loads, gamma):
    if not close(function(bias, loads, gamma), function(bias, loads.sum(dim=0, keepdim=True), gamma)):
        raise Wrong(
            "The same batch in one part gives another bias: add up the loads of the parts first, then take one step.",
            mistake="parts not added up first",
        )


def _lift(loads, mean):
    """The same number of tokens for each expert and part: with them, the mean load is ``mean`` or just below."""
    return ((mean - loads.sum(dim=0).mean()) / len(loads)).floor()


def _only_the_distance(function, bias, loads, gamma):
    more = _lift(loads, mean=2**15)  # where int16 ends
    if not close(function(bias, loads + more, gamma), function(bias, loads, gamma)):
        raise Wrong(
            f"If every expert had {more:,.0f} tokens more in each part, it would be as far from the mean as it is, but "
            "now another bias comes out. Are loads added up in a type too small for them, as int16 or bfloat16?",
            mistake="added up in too small a type",
        )


def _of_shape(spoil):
    """What makes loads of an illegal shape from legal ones."""

    def illegal(bias, loads, gamma):
        loads = spoil(loads)
        if loads.ndim == 2 and loads.shape[1] == len(bias):
            return None
        why = "There is a row for each part and a column for each expert."
        return Illegal((bias, loads, gamma), "loads_AE.shape", tuple(loads.shape), why=why)

    return illegal


_WRONG_SHAPES = (
    lambda loads: loads[0],
    lambda loads: loads[None],
    lambda loads: loads.sum(),
    lambda loads: loads.T,
    lambda loads: loads[:, :1],
    lambda loads: loads[:, 1:],
    lambda loads: torch.cat((loads, loads), dim=1),
)


EXERCISE = Exercise(
    reference=update_bias,
    cases=_cases_of_bias,
    properties=(
        Property("a busy expert's bias falls, an idle one's rises", _against_the_load),
        Property("every step has the size gamma", _steps_of_one_size),
        Property("an expert with just the mean load keeps its bias", _still_at_balance),
        Property("only the sum of the parts counts", _only_the_sum),
        Property("agrees with the library", agrees_with(update_bias)),
        Property("the same number more for each expert changes nothing", _only_the_distance),
        Property("loads of another shape are refused", refuses(*map(_of_shape, _WRONG_SHAPES))),
    ),
    mistakes=MISTAKES,
    hints=(
        "Add up the parts first. Then each expert is above the mean load, below it, or just there.",
        "`loads_AE.sum(dim=0)` is the load of the whole batch. `torch.sign` gives 1, 0 or -1: which way round must "
        "the difference be, so that a busy expert's bias falls? `.to(bias_E.dtype)` keeps the dtype.",
        "Four lines. A condition on the two shapes, and the error that tells the shape. The sum over the parts, (E,). "
        "And the old bias plus gamma times the sign of a difference, between each expert's load and the mean load.",
    ),
    difficulty=1,
    minutes=5,
)
