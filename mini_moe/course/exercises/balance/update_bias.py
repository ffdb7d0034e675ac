"""Lesson 04, `update_bias`: a bias that steers the choice."""

import torch

from mini_moe.balance import update_bias
from mini_moe.course.checking.exercise import Exercise, Property, Wrong, agrees_with, must_equal
from mini_moe.course.exercises.balance.shared import draw
from mini_moe.course.exercises.balance.update_bias_mistakes import MISTAKES, excess

# Loads of the parts of a batch. In all but the first, an expert has just the mean load, however that is rounded: means,
# parts and experts are powers of 2. In the last, three of four parts find the second expert idle, and it is busy all
# the same; and there are experts between the mean and the median, and between the mean and the middle of the extremes.
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
)


def _cases_of_bias(generator):
    for parts in _PARTS:
        loads = torch.tensor(parts, dtype=torch.float32)
        loads = loads[:, torch.randperm(loads.shape[1], generator=generator)]
        bias = torch.randn(loads.shape[1], generator=generator).round(decimals=2)
        yield bias, loads, draw(0.6, 0.9, generator)


def _against_the_load(function, bias, loads, gamma):
    moved = function(bias, loads, gamma) - bias
    busy, idle = excess(loads) > 0, excess(loads) < 0
    if (moved[busy] >= 0).any():
        raise Wrong("An expert with more than the mean load must get a smaller bias, so that fewer tokens choose it.")
    if (moved[idle] <= 0).any():
        raise Wrong("An expert with less than the mean load must get a larger bias, so that more tokens choose it.")


def _steps_of_one_size(function, bias, loads, gamma):
    moved = (function(bias, loads, gamma) - bias)[excess(loads) != 0].abs()
    must_equal(
        moved,
        torch.full_like(moved, gamma),
        "However near or far an expert is from the mean, its bias moves by `gamma`.",
    )


def _still_at_balance(function, bias, loads, gamma):
    even = excess(loads) == 0
    must_equal(function(bias, loads, gamma)[even], bias[even], "An expert with just the mean load keeps its bias.")


def _only_the_sum(function, bias, loads, gamma):
    must_equal(
        function(bias, loads, gamma),
        function(bias, loads.sum(dim=0, keepdim=True), gamma),
        "The same batch in one part gives another bias: add up the loads of the parts first, then take one step.",
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
    ),
    mistakes=MISTAKES,
    hints=(
        "Add up the parts first. Then each expert is above the mean load, below it, or just there.",
        "`loads_AE.sum(dim=0)` is the load of the whole batch. `torch.sign` gives 1, 0 or -1: which way round must "
        "the difference be, so that a busy expert's bias falls?",
        "load_E = loads_AE.sum(dim=0), then return bias_E + gamma * torch.sign(load_E.mean() - load_E)",
    ),
    difficulty=1,
    minutes=6,
)
