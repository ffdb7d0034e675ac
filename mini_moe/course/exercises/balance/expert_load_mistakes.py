"""Lesson 04, `expert_load`: the mistakes that people make."""

import torch
import torch.nn.functional as F

from mini_moe.course.checking.exercise import Mistake
from mini_moe.course.exercises.balance.shared import chosen


def _counts(experts, n_experts):
    return chosen(experts, n_experts).sum(dim=-2)


def _pooled(experts, n_experts):
    return _counts(experts.flatten(), n_experts)


def _closed_up(experts, n_experts):
    """The counts of the experts that a row has, at its front."""
    counts = _counts(experts, n_experts)
    return counts.gather(-1, (counts == 0).to(torch.int8).sort(dim=-1, stable=True).indices)


def _but_the_last(experts, n_experts):
    return torch.stack([(experts == expert).float().sum(dim=-1) for expert in range(n_experts - 1)], dim=-1)


MISTAKES = (
    *(
        Mistake(
            "a repeated expert counted once",
            "An expert chosen twice counts once. `load[experts] += 1` does so: it writes each place one time only. "
            "`scatter_add` adds up, and so does a sum of one-hot rows.",
            function,
        )
        for function in (
            lambda experts, n_experts: _counts(experts, n_experts).clamp(max=1),
            lambda experts, n_experts: _pooled(experts, n_experts).clamp(max=1),
            lambda experts, n_experts: (
                _pooled(experts, n_experts).clamp(max=1).expand(*experts.shape[:-1], -1)  # load[..., experts] += 1
            ),
        )
    ),
    *(
        Mistake(
            "all rows counted together",
            "All rows are counted together: only the *last* dimension of `experts` is counted, and each index "
            "before it, such as a sequence's, keeps loads of its own.",
            lambda experts, n_experts, pool=pool, dtype=dtype: pool(experts, n_experts).to(dtype),
        )
        for pool in (
            _pooled,
            lambda experts, n_experts: _pooled(experts, n_experts).expand(*experts.shape[:-1], -1),
            lambda experts, n_experts: _counts(experts, n_experts).flatten(0, -2).mean(dim=0),
            lambda experts, n_experts: _counts(experts.flatten(1), n_experts),
        )
        for dtype in (torch.float32, torch.int64)
    ),
    *(
        Mistake(
            "one row's counts for all",
            "The counts of one row stand in every row: each row is counted by itself, also where there are many.",
            lambda experts, n_experts, row=row: (
                _counts(experts, n_experts).flatten(0, -2)[row].expand(*experts.shape[:-1], -1)
            ),
        )
        for row in (0, -1)
    ),
    *(
        Mistake(
            "idle experts left out",
            "Experts that nobody chose are missing, so the width depends on the choices: give the "
            "number of experts, as `minlength` or `num_classes`.",
            lambda experts, n_experts, count=count, dtype=dtype: count(experts).to(dtype),
        )
        for count in (
            lambda experts: F.one_hot(experts).sum(dim=-2),
            lambda experts: experts.flatten().bincount(),
            lambda experts: experts.unique(return_counts=True)[1],
        )
        for dtype in (torch.float32, torch.int64)
    ),
    Mistake(
        "idle experts' places closed up",
        "Experts that nobody chose lose their place, and the counts of those behind them move up: `unique` lists the "
        "chosen ones only. The load of expert e stands at place e.",
        _closed_up,
    ),
    *(
        Mistake(
            "shares in place of counts",
            "These are shares: give the number of tokens, undivided. Whoever needs shares can divide.",
            function,
        )
        for function in (
            lambda experts, n_experts: chosen(experts, n_experts).mean(dim=-2),
            lambda experts, n_experts: chosen(experts, n_experts).mean(dim=-2) * n_experts,
            lambda experts, n_experts: _counts(experts, n_experts) / n_experts,
            lambda experts, n_experts: _counts(experts, n_experts) / experts.numel(),
            lambda experts, n_experts: _pooled(experts, n_experts) / experts.numel(),
        )
    ),
    *(
        Mistake(
            "only one choice counted",
            "Only one choice of each row is counted: all n of them are, the second as much as the first.",
            lambda experts, n_experts, place=place: _counts(experts[..., place], n_experts),
        )
        for place in (slice(1), slice(-1, None))
    ),
    *(
        Mistake(
            "summed over the wrong dimension",
            "The one-hot rows are summed over the wrong dimension: sum over the n choices, the last but one, "
            "`dim=-2`, so that the experts remain.",
            lambda experts, n_experts, dim=dim, dtype=dtype: chosen(experts, n_experts).sum(dim).to(dtype),
        )
        for dim in (0, 1, -1)
        for dtype in (torch.float32, torch.int64)
    ),
    *(
        Mistake(
            "loads sorted",
            "The loads are sorted by size, so nobody can tell whose they are: the load of expert e stands at place e.",
            lambda experts, n_experts, falling=falling: (
                _counts(experts, n_experts).sort(dim=-1, descending=falling).values
            ),
        )
        for falling in (True, False)
    ),
    Mistake(
        "nothing counted",
        "All loads are 0. Without an underscore at its end, an operation such as `scatter_add` leaves its tensor "
        "as it is and gives a new one: return that.",
        lambda experts, n_experts: 0 * _counts(experts, n_experts),
    ),
    Mistake(
        "expert numbers added",
        "It adds the numbers of the experts: each choice adds 1, whichever expert it is.",
        lambda experts, n_experts: _counts(experts, n_experts) * torch.arange(n_experts),
    ),
    Mistake(
        "experts numbered from 1",
        "The experts are numbered from 1 here: they are 0 to n_experts - 1, so expert 0 comes first.",
        lambda experts, n_experts: _counts(experts, n_experts + 1)[..., 1:],
    ),
    *(
        Mistake(
            "one expert too few",
            "The last expert is left out: there are `n_experts` of them, 0 to n_experts - 1.",
            function,
        )
        for function in (
            _but_the_last,
            lambda experts, n_experts: F.pad(_but_the_last(experts, n_experts), (0, 1)),
        )
    ),
    Mistake(
        "counts added up along the experts",
        "The counts are added up from expert to expert: that tells where each one's tokens begin or end. Here each "
        "expert has its own count.",
        lambda experts, n_experts: _counts(experts, n_experts).cumsum(dim=-1),
    ),
)
