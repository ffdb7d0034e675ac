"""Lesson 05, `sliced_linear`: the mistakes that people make."""

from itertools import pairwise, takewhile

import torch
import torch.nn.functional as F

from mini_moe.course.checking.exercise import Mistake
from mini_moe.dispatch import sliced_linear


def _owner(change=lambda expert_J, ends_E: expert_J, right=True):
    """The product whose row j meets the matrix ``change(the right ones, ends)[j]``, for the mistakes."""

    def function(x_JD, weight, ends_E):
        expert_J = torch.searchsorted(ends_E, torch.arange(len(x_JD)), right=right)
        return torch.einsum("jd,jod->jo", x_JD, weight[change(expert_J, ends_E)])

    return function


def _between(bounds, order=lambda weight: weight):
    """The product of rows start to end for each ``(start, end)`` of ``bounds(ends)``, one after the other."""

    def function(x_JD, weight, ends_E):
        pairs = zip(bounds(ends_E.tolist()), order(weight), strict=False)
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


MISTAKES = (
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
            _owner(lambda expert, ends, step=step, fit=fit: fit(expert + step, len(ends))),
        )
        for step in (-1, 1)
        for fit in (lambda expert, E: expert % E, lambda expert, E: expert.clamp(0, E - 1))
    ),
    Mistake(
        "a row for every expert",
        "Each expert is given one row or more: those without rows have an empty slice.",
        _owner(
            lambda expert, ends: torch.arange(len(ends)).repeat_interleave(
                ends.diff(prepend=ends.new_zeros(1)).clamp(min=1)
            )[: len(expert)]
        ),
    ),
    Mistake(
        "equal slices",
        "The rows are shared out alike, so many for each expert: expert e has those from `ends_E[e - 1]` to "
        "`ends_E[e]`.",
        lambda x_JD, weight, ends_E: torch.cat(
            [F.linear(rows, w) for rows, w in zip(x_JD.tensor_split(len(weight)), weight, strict=True)]
        ),
    ),
    Mistake(
        "joined in reverse",
        "The slices are put together from the last expert's to the first's: keep the order of the rows.",
        _between(lambda ends: reversed(list(pairwise((0, *ends)))), order=lambda weight: weight.flip(0)),
    ),
    Mistake(
        "three experts only",
        "Only the first three experts' rows are computed, as in the example: there are `len(ends_E)`.",
        _written(lambda ends: list(pairwise((0, *ends)))[:3]),
    ),
    Mistake(
        "single rows passed over",
        "Experts with one row are passed over: a slice of one row is a slice.",
        _written(lambda ends: [(a, b if b - a > 1 else a) for a, b in pairwise((0, *ends))]),
    ),
    Mistake(
        "divided by the root of D",
        "The results are divided by the square root of D, as attention's scores are: this is the plain product.",
        lambda x_JD, weight, ends_E: sliced_linear(x_JD, weight, ends_E) / x_JD.shape[1] ** 0.5,
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
)
