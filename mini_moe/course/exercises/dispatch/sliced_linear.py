"""Lesson 05, `sliced_linear`: a product for each slice of rows."""

from itertools import pairwise, takewhile

import torch
import torch.nn.functional as F

from mini_moe.course.checking.exercise import Exercise, Mistake, Property, agrees_with, must_equal
from mini_moe.course.exercises.dispatch.shared import must_cost_the_same, operations
from mini_moe.dispatch import sliced_linear


def _cases_of_sliced_linear(generator):
    for ends, out, D in (
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


def _own_matrix(function, x_JD, weight, ends_E):
    factor_E = torch.arange(1.0, len(ends_E) + 1)
    y_JD = function(x_JD, factor_E[:, None, None] * torch.eye(x_JD.shape[1]), ends_E)
    expert_J = [sum(j >= end for end in ends_E.tolist()) for j in range(len(x_JD))]
    must_equal(
        y_JD,
        factor_E[expert_J][:, None] * x_JD,
        "Where expert 0 multiplies by 1, expert 1 by 2, and so on, each row must come out so many times as large.",
    )


def _rows_apart(function, x_JD, weight, ends_E):
    y = function(x_JD, weight, ends_E)
    changed = x_JD.clone()
    changed[-1] += 3
    must_equal(function(changed, weight, ends_E)[:-1], y[:-1], "Changing the last row changes the results before it.")


def _empty_passed_over(function, x_JD, weight, ends_E):
    unused = torch.full_like(weight[:1], 1e3)
    must_equal(
        function(
            x_JD,
            torch.cat((unused, weight[:1], unused, weight[1:])),
            torch.cat((ends_E.new_zeros(1), ends_E[:1], ends_E)),
        ),
        function(x_JD, weight, ends_E),
        "Experts without rows are put in between: the results must stay, for their matrices are nobody's.",
    )


def _more_matrices_same_work(function, x_JD, weight, ends_E):
    E = len(ends_E)
    x_JD = x_JD[:1].repeat(2 * E, 1)
    must_cost_the_same(
        operations(function, x_JD, weight, 2 * torch.arange(1, E + 1)),
        operations(function, x_JD, weight.repeat(2, 1, 1), torch.arange(1, 2 * E + 1)),
        "each row must meet the matrix of its own expert only.",
    )


def _owner(change=lambda expert_J, ends_E: expert_J, right=True):
    """The product whose row j meets the matrix ``change(the right ones, ends)[j]``, for the mistakes."""

    def function(x_JD, weight, ends_E):
        expert_J = torch.searchsorted(ends_E, torch.arange(len(x_JD)), right=right)
        return torch.einsum("jd,jod->jo", x_JD, weight[change(expert_J, ends_E)])

    return function


def _between(bounds):
    """The product of rows start to end for each ``(start, end)`` of ``bounds(ends)``, one after the other."""

    def function(x_JD, weight, ends_E):
        pairs = zip(bounds(ends_E.tolist()), weight, strict=False)
        return torch.cat([F.linear(x_JD[start:end], w) for (start, end), w in pairs])

    return function


def _written(bounds):
    """The same, each written to its rows of a result that begins with zeros."""

    def function(x_JD, weight, ends_E):
        y = x_JD.new_zeros(len(x_JD), weight.shape[1])
        for (start, end), w in zip(bounds(ends_E.tolist()), weight, strict=False):
            y[start:end] = F.linear(x_JD[start:end], w)
        return y

    return function


def _as_sizes(ends):
    starts = [sum(ends[:e]) for e in range(len(ends))]
    return [(start, start + end) for start, end in zip(starts, ends, strict=True)]


EXERCISE = Exercise(
    reference=sliced_linear,
    cases=_cases_of_sliced_linear,
    properties=(
        Property("each row meets the matrix of its own expert", _own_matrix),
        Property("each row is worked on alone", _rows_apart),
        Property("experts without rows are passed over", _empty_passed_over),
        Property("twice the experts cost no more operations", _more_matrices_same_work),
        Property("agrees with the library, gradients too", agrees_with(sliced_linear)),
    ),
    mistakes=(
        Mistake(
            "experts without rows not counted",
            "Experts without rows are skipped and the others numbered anew: skip their matrices, too, so that rows and "
            "matrices stay together.",
            _owner(lambda expert, ends: expert.unique(return_inverse=True)[1]),
        ),
        *(
            Mistake(
                "ends taken for sizes",
                "`ends_E` is taken for sizes: it says where slices end. Their sizes are the differences, "
                "`ends_E.diff(prepend=...)`.",
                shape(_as_sizes),
            )
            for shape in (_between, _written)
        ),
        *(
            Mistake(
                "every slice starts at 0",
                "Every slice starts at row 0, or meets the last matrix: it starts where the one before it ends, and "
                "meets its own expert's.",
                shape(lambda ends: [(0, end) for end in ends]),
            )
            for shape in (_between, _written)
        ),
        *(
            Mistake(
                "first slice left out",
                "The first slice is lost: expert 0 has the rows from 0 to `ends_E[0]`.",
                shape(bounds),
            )
            for shape in (_between, _written)
            for bounds in (
                pairwise,
                lambda ends: pairwise((*ends, None)),
                lambda ends: [(0, 0), *pairwise(ends)],
            )
        ),
        *(
            Mistake(
                "last slice left out",
                "The last slice is lost: E slices need E ends and a start of 0 before them.",
                shape(lambda ends: pairwise((0, *ends[:-1]))),
            )
            for shape in (_between, _written)
        ),
        *(
            Mistake(
                "stops at an empty expert",
                "It stops at the first expert without rows: go on with the next.",
                shape(lambda ends: takewhile(lambda slice: slice[0] < slice[1], pairwise((0, *ends)))),
            )
            for shape in (_between, _written)
        ),
        Mistake(
            "only the last slice",
            "Only the last expert's rows are left: make the result before the loop, not in it.",
            _written(lambda ends: [*[(0, 0)] * (len(ends) - 1), (ends[-2], ends[-1])]),
        ),
        Mistake(
            "one row too few",
            "The last row of each slice is left out: a slice `x[start:end]` goes up to `end - 1` by itself.",
            _written(lambda ends: [(start, max(start, end - 1)) for start, end in pairwise((0, *ends))]),
        ),
        Mistake(
            "boundary on the wrong side",
            "The first row of a slice is given to the expert before: row `ends_E[e]` is the first that is *not* "
            "expert e's. `torch.searchsorted` wants `right=True`.",
            _owner(right=False),
        ),
        *(
            Mistake(
                "the next expert's matrix",
                "The matrices are off by one: rows meet that of the expert before or after theirs.",
                _owner(lambda expert, ends, step=step: (expert + step) % len(ends)),
            )
            for step in (-1, 1)
        ),
        Mistake(
            "matrices in reverse",
            "The matrices are taken in the reverse order: the first rows are expert 0's.",
            _owner(lambda expert, ends: len(ends) - 1 - expert),
        ),
        *(
            Mistake(
                "one matrix for all rows",
                "All rows meet the same matrix: each expert's rows have their own, `weight[e]`.",
                lambda x_JD, weight, ends_E, join=join: F.linear(x_JD, join(weight)),
            )
            for join in (
                lambda weight: weight.mean(dim=0),
                lambda weight: weight.sum(dim=0),
                lambda weight: weight[0],
            )
        ),
        Mistake(
            "weight not transposed",
            "The matrices are not transposed: each is (out, D), as `F.linear` takes it; with @ write `rows @ w.T`.",
            lambda x_JD, weight, ends_E: sliced_linear(x_JD, weight.transpose(1, 2), ends_E),
        ),
    ),
    hints=(
        "Expert e has the rows from ends[e - 1] (from 0, for the first) to ends[e]. One product for each, then join.",
        "`x_JD.split(sizes)` cuts the rows into slices of these sizes, also of size 0, and `torch.cat` joins them. "
        "The sizes are the differences of the ends.",
        "sizes = ends_E.diff(prepend=ends_E.new_zeros(1)).tolist(); "
        "return torch.cat([F.linear(rows, w) for rows, w in zip(x_JD.split(sizes), weight)])",
    ),
    difficulty=1,
    minutes=7,
)
