"""Lesson 04, `expert_load`: counting what each expert got."""

import torch
import torch.nn.functional as F

from mini_moe.balance import expert_load
from mini_moe.course.checking.exercise import Exercise, Mistake, Property, agrees_with, must_equal


def _cases_of_load(generator):
    yield torch.randint(0, 2, (1,), generator=generator).repeat(2), 3  # one expert twice, the last one never
    for shape, E in (((2, 5), 4), ((2, 3, 4), 6)):
        yield torch.randint(0, E, shape, generator=generator), E


def _every_choice_counts(function, experts, n_experts):
    total = function(experts, n_experts).sum(dim=-1)
    must_equal(
        total, torch.full_like(total, experts.shape[-1]), "Every choice counts once: a row of loads adds up to n."
    )


def _twice_as_many(function, experts, n_experts):
    must_equal(
        function(torch.cat((experts, experts), dim=-1), n_experts),
        2 * function(experts, n_experts),
        "The same choices made twice must give twice the load.",
    )


def _idle_in_place(function, experts, n_experts):
    idle = function(torch.zeros_like(experts), n_experts)[..., 1:]
    must_equal(
        idle,
        torch.zeros_like(idle),
        "If all tokens went to expert 0, the others would still have their place, with load 0.",
    )


def _rows_counted_apart(function, experts, n_experts):
    together = function(torch.stack((experts, torch.zeros_like(experts))), n_experts)
    must_equal(
        together[0], function(experts, n_experts), "A row's loads depend on the rows beside it: count each by itself."
    )


def chosen(experts, n_experts):
    """1 for each choice and the expert it fell on: (..., n, E)."""
    return F.one_hot(experts, n_experts).float()


def _counts(experts, n_experts):
    return chosen(experts, n_experts).sum(dim=-2)


def _pooled(experts, n_experts):
    return _counts(experts.flatten(), n_experts)


EXERCISE = Exercise(
    reference=expert_load,
    cases=_cases_of_load,
    properties=(
        Property("every choice counts once", _every_choice_counts),
        Property("twice the tokens make twice the load", _twice_as_many),
        Property("an idle expert keeps its place, with load 0", _idle_in_place),
        Property("each row is counted by itself", _rows_counted_apart),
        Property("agrees with the library", agrees_with(expert_load)),
    ),
    mistakes=(
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
            )
            for dtype in (torch.float32, torch.int64)
        ),
        *(
            Mistake(
                "idle experts left out",
                "Experts that nobody chose are missing at the end, so the width depends on the choices: give the "
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
        Mistake(
            "one expert too few",
            "One expert is missing: there are `n_experts` of them, 0 to n_experts - 1.",
            lambda experts, n_experts: _counts(experts, n_experts)[..., :-1],
        ),
        Mistake(
            "counts added up along the experts",
            "The counts are added up from expert to expert: that tells where each one's tokens begin or end. Here each "
            "expert has its own count.",
            lambda experts, n_experts: _counts(experts, n_experts).cumsum(dim=-1),
        ),
    ),
    hints=(
        "Start with a zero for each expert, then let every choice add 1 in its expert's place.",
        "`counts.scatter_add(-1, experts, ones)` adds up even where an index comes twice; `ones` has the shape of "
        "`experts`. A sum of one-hot rows over the choices, made float, is the same.",
        "counts = torch.zeros(*experts.shape[:-1], n_experts), then return counts.scatter_add(-1, experts, "
        "torch.ones_like(experts, dtype=counts.dtype))",
    ),
    difficulty=1,
    minutes=5,
)
