"""Lesson 05, `sliced_linear`: a product for each slice of rows."""

import torch

from mini_moe.course.checking.exercise import Exercise, Property, Wrong, agrees_with, must_equal
from mini_moe.course.checking.observe import close
from mini_moe.course.exercises.dispatch.shared import (
    any_strides,
    equals,
    keeps_nothing,
    keeps_precision,
    must_cost_the_same,
    operations,
    takes_large,
)
from mini_moe.course.exercises.dispatch.sliced_linear_mistakes import MISTAKES
from mini_moe.dispatch import sliced_linear


def _cases_of_sliced_linear(generator):
    for ends, out, D in (
        ((1,), 1, 1),
        ((0, 1), 1, 2),
        ((1, 3), 2, 2),
        ((2, 2, 3), 1, 2),
        ((0, 2, 5, 5), 2, 3),
        ((4, 4), 2, 3),
        ((1, 3, 6), 3, 3),
        ((2, 3, 3, 7), 4, 2),
    ):
        shapes = (ends[-1], D), (len(ends), out, D)
        yield *(torch.randn(shape, generator=generator) for shape in shapes), torch.tensor(ends)


def _rows_apart(function, x_JD, weight, ends_E):
    y = function(x_JD, weight, ends_E)
    changed = x_JD.clone()
    changed[-1] += 3
    must_equal(
        function(changed, weight, ends_E)[:-1],
        y[:-1],
        "Changing the last row changes the results before it: each row is worked on alone.",
        "rows not worked on alone",
    )


def _empty_passed_over(function, x_JD, weight, ends_E):
    unused = torch.full_like(weight[:1], 1e3)
    more = torch.cat((unused, weight[:1], unused, weight[1:])), torch.cat((ends_E.new_zeros(1), ends_E[:1], ends_E))
    must_equal(
        function(x_JD, *more),
        function(x_JD, weight, ends_E),
        "Experts without rows are put in between: the results must stay, for their matrices are nobody's.",
        "experts without rows not passed over",
    )


def _own_matrix(function, x_JD, weight, ends_E):
    """With a multiple of the unit matrix for each expert."""
    factor_E = torch.arange(1.0, len(ends_E) + 1)
    y_JD = function(x_JD, factor_E[:, None, None] * torch.eye(x_JD.shape[1]), ends_E)
    for j, row in enumerate(y_JD):
        own = sum(j >= end for end in ends_E.tolist())
        if close(row, factor_E[own] * x_JD[j]):
            continue
        for expert, factor in enumerate(factor_E):
            if close(row, factor * x_JD[j]):
                says = f"Row {j} is expert {own}'s, by `ends_E`, but is multiplied by the matrix of expert {expert}."
                raise Wrong(says, mistake="another expert's matrix")
        raise Wrong(
            f"Where every matrix is a multiple of the unit matrix, row {j} is no multiple of row {j} of `x_JD` as one "
            "of the experts' would be.",
            mistake="not a product with an expert's matrix",
        )


def _more_matrices_same_work(function, x_JD, weight, ends_E):
    E = len(ends_E)
    x_JD = x_JD[:1].repeat(2 * E, 1)
    must_cost_the_same(
        operations(function, x_JD, weight, 2 * torch.arange(1, E + 1)),
        operations(function, x_JD, weight.repeat(2, 1, 1), torch.arange(1, 2 * E + 1)),
        "each row must meet the matrix of its own expert only.",
    )


def _twins(times, x_JD, weight, ends_E):
    """The experts' numbers of rows as they are, and in the reverse order."""
    size_E = times * ends_E.diff(prepend=ends_E.new_zeros(1))
    x_JD = x_JD.repeat(times, 1)
    return (x_JD, weight, size_E.cumsum(0)), (x_JD, weight, size_E.flip(0).cumsum(0))


EXERCISE = Exercise(
    reference=sliced_linear,
    cases=_cases_of_sliced_linear,
    properties=(
        Property("a call has no effect on the next", keeps_nothing(equals(sliced_linear), _twins)),
        Property("no digits are lost on the way", keeps_precision(sliced_linear)),
        Property("each row is worked on alone", _rows_apart),
        Property("each row meets the matrix of its own expert", _own_matrix),
        Property("experts without rows are passed over", _empty_passed_over),
        Property("large numbers are taken", takes_large(sliced_linear, lambda x_JD, *rest: (100 * x_JD, *rest))),
        Property("twice the experts cost no more operations", _more_matrices_same_work),
        Property("inputs need not be contiguous", any_strides(equals(sliced_linear))),
        Property("agrees with the library, gradients too", agrees_with(sliced_linear)),
    ),
    mistakes=MISTAKES,
    hints=(
        "Expert e has the rows from ends[e - 1] (from 0, for the first) to ends[e]. One product for each, then join.",
        "`x_JD.split(sizes)` cuts the rows into slices of these sizes, also of size 0, and `torch.cat` joins them. "
        "The sizes are the differences of the ends.",
        "Two lines. First the sizes, a list of E numbers: each end less the end before it, and a 0 before the first. "
        "Then one list with a product for each slice and its matrix, side by side in a `zip`, joined along the rows.",
    ),
    difficulty=1,
    minutes=12,
)
