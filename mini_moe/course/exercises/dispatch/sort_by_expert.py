"""Lesson 05, `sort_by_expert`: each expert's rows together."""

import torch
import torch.nn.functional as F

from mini_moe.course.checking.exercise import Exercise, Mistake, Property, Wrong, must_equal
from mini_moe.course.exercises.dispatch.shared import any_strides, keeps_nothing, takes_many
from mini_moe.dispatch import sort_by_expert


def _cases_of_sort(generator):
    yield torch.tensor([[0]]), 1
    yield torch.tensor([[1]]), 2
    yield torch.tensor([[1, 0], [0, 1]]), 2
    yield torch.tensor([[2, 0], [0, 3], [3, 2]]), 4
    yield torch.tensor([[1], [1], [1]]), 3
    yield torch.tensor([[3], [0], [2], [0]]), 5
    for N, E, K in ((6, 4, 2), (5, 6, 3)):  # up to 16 pairs torch sorts stably, asked to or not, and so does a mistake
        yield torch.rand(N, E, generator=generator).topk(K).indices, E


def _each_pair_once(function, experts_NK, n_experts):
    pair_J, _ = function(experts_NK, n_experts)
    must_equal(
        pair_J.sort().values,
        torch.arange(experts_NK.numel()),
        "Each pair must come once: put in order, `pair_J` is 0, 1, 2, ... up to N K - 1.",
        "not each pair once",
    )


def _in_order(function, experts_NK, n_experts):
    pair_J, _ = function(experts_NK, n_experts)
    expert_J = experts_NK.flatten()[pair_J]
    wrong = (expert_J.diff() < 0).nonzero().flatten()
    if len(wrong):
        j = wrong[0].item()
        raise Wrong(
            f"In `pair_J`, pair {pair_J[j]}, of expert {expert_J[j]}, stands before pair {pair_J[j + 1]}, of expert "
            f"{expert_J[j + 1]}: those of expert 0 come first, in any order, then those of 1, ...",
            mistake="not in the order of the experts",
        )


def _ends_right(function, experts_NK, n_experts):
    _, ends_E = function(experts_NK, n_experts)
    expected = torch.stack([(experts_NK <= expert).sum() for expert in range(n_experts)])
    must_equal(
        ends_E,
        expected,
        "The pairs of expert e end where all those of experts 0 to e have been counted.",
        "ends not where the pairs end",
    )


def _all_right(function, *case):
    for test in (_each_pair_once, _in_order, _ends_right):
        test(function, *case)


# More experts, and more pairs, than 8 bits can number, or than bfloat16 and float16 can tell apart.
_HIGH = torch.tensor([299, 298, 130, 257, 258, 256, 256, 255, 257, 129, 0, 299, 127, 128, 261, 260, 259, 1])
_MANY = torch.arange(5001) * 7 // 3 % 3
_large = takes_many(
    _all_right,
    lambda experts_NK, n_experts: n_experts == 1,
    ("300 experts", _HIGH.view(9, 2), 300),
    ("5,001 pairs", _MANY.view(1667, 3), 3),
)


def _twins(times, experts_NK, n_experts):
    tall = experts_NK[:6].repeat(times, 1)
    return (tall, n_experts), (n_experts - 1 - tall, n_experts)


# Pairs of one expert may stand in any order. These are the ones people get: by token, by choice, and backwards.
_ORDERS = (
    lambda experts_NK: experts_NK.flatten().argsort(stable=True),
    lambda experts_NK: _as_pair(experts_NK.T.flatten().argsort(stable=True), *experts_NK.shape),
    lambda experts_NK: experts_NK.numel() - 1 - experts_NK.flatten().flip(0).argsort(stable=True),
)


def _as_pair(place, N, K):
    """The pair n K + k at ``place`` k N + n."""
    return place % N * K + place // N


def _ends(experts_NK, n_experts):
    return experts_NK.flatten().bincount(minlength=n_experts).cumsum(0)


def _with_pairs(change):
    """The function whose pairs are ``change(pairs, experts_NK)``, in each order, for the mistakes."""
    return tuple(
        lambda experts_NK, n_experts, order=order: (change(order(experts_NK), experts_NK), _ends(experts_NK, n_experts))
        for order in _ORDERS
    )


def _with_ends(change):
    """The function whose ends are ``change(counts)``, for the mistakes."""
    return tuple(
        lambda experts_NK, n_experts, order=order: (
            order(experts_NK),
            change(experts_NK.flatten().bincount(minlength=n_experts)),
        )
        for order in _ORDERS
    )


EXERCISE = Exercise(
    reference=sort_by_expert,
    cases=_cases_of_sort,
    properties=(
        Property("a call has no effect on the next", keeps_nothing(_all_right, _twins)),
        Property("each pair comes once", _each_pair_once),
        Property("pairs stand in the order of their experts", _in_order),
        Property("the ends tell where each expert's pairs end", _ends_right),
        Property("many experts and many pairs are taken", _large),
        Property("the choices need not be contiguous", any_strides(_all_right)),
    ),
    mistakes=tuple(
        Mistake(name, says, function)
        for name, says, functions in (
            (
                "tokens in place of pairs",
                "These are tokens, n: give the pairs, n K + k, which tell token and choice. The token is a division "
                "away, `pair // K`.",
                _with_pairs(lambda pair, experts_NK: pair // experts_NK.shape[1]),
            ),
            (
                "choices in place of pairs",
                "These are choices, k: give the pairs, n K + k, which tell token and choice.",
                _with_pairs(lambda pair, experts_NK: pair % experts_NK.shape[1]),
            ),
            (
                "experts in place of pairs",
                "These are the sorted experts themselves: give where each came from, the pair. `argsort` does.",
                _with_pairs(lambda pair, experts_NK: experts_NK.flatten()[pair]),
            ),
            (
                "where each pair goes",
                "This is the way back: it tells each pair its place. Wanted is which pair stands in each place.",
                _with_pairs(lambda pair, experts_NK: pair.argsort()),
            ),
            (
                "pairs numbered by choice",
                "The pairs are numbered k N + n: n K + k is their place in `experts_NK.flatten()`, the choices of a "
                "token side by side.",
                _with_pairs(
                    lambda pair, experts_NK: pair % experts_NK.shape[1] * len(experts_NK) + pair // experts_NK.shape[1]
                ),
            ),
            (
                "pairs numbered with E",
                "The pairs are numbered n E + k: a token has K choices, so it is n K + k, the place in "
                "`experts_NK.flatten()`.",
                tuple(
                    lambda experts_NK, n_experts, right=right: (
                        right(experts_NK, n_experts)[0] // experts_NK.shape[1] * n_experts
                        + right(experts_NK, n_experts)[0] % experts_NK.shape[1],
                        _ends(experts_NK, n_experts),
                    )
                    for right in _with_pairs(lambda pair, experts_NK: pair)
                ),
            ),
            (
                "K taken for 2",
                "The pairs are numbered n * 2 + k, as if each token had two choices: it has K, `experts_NK.shape[1]`.",
                _with_pairs(lambda pair, experts_NK: pair // experts_NK.shape[1] * 2 + pair % experts_NK.shape[1]),
            ),
            (
                "first choices only",
                "Only the first choice of each token is sorted: all N K pairs are, `experts_NK.flatten()`.",
                tuple(
                    lambda experts_NK, n_experts, step=step, ends=ends: (
                        sort_by_expert(experts_NK[:, :1], n_experts)[0] * step(experts_NK),
                        ends(experts_NK, n_experts),
                    )
                    for step in (lambda experts_NK: experts_NK.shape[1], lambda experts_NK: 1)
                    for ends in (_ends, lambda experts_NK, n_experts: _ends(experts_NK[:, :1], n_experts))
                ),
            ),
            (
                "sorted within each token",
                "Each token's choices are sorted by themselves: sort all pairs together, `experts_NK.flatten()`.",
                (
                    lambda experts_NK, n_experts: (
                        (
                            experts_NK.argsort(dim=-1) + experts_NK.shape[1] * torch.arange(len(experts_NK))[:, None]
                        ).flatten(),
                        _ends(experts_NK, n_experts),
                    ),
                    lambda experts_NK, n_experts: (experts_NK.argsort(dim=-1).flatten(), _ends(experts_NK, n_experts)),
                    lambda experts_NK, n_experts: (experts_NK.argsort(dim=-1), _ends(experts_NK, n_experts)),
                ),
            ),
            (
                "sorted over the tokens only",
                "Each column is sorted by itself: sort all pairs together, `experts_NK.flatten()`.",
                (
                    lambda experts_NK, n_experts: (experts_NK.argsort(dim=0).flatten(), _ends(experts_NK, n_experts)),
                    lambda experts_NK, n_experts: (experts_NK.argsort(dim=0), _ends(experts_NK, n_experts)),
                ),
            ),
            (
                "not sorted",
                "The pairs stand as they came: those of expert 0 have to come first, then those of expert 1, ...",
                (lambda experts_NK, n_experts: (torch.arange(experts_NK.numel()), _ends(experts_NK, n_experts)),),
            ),
            (
                "last expert first",
                "The order is turned round: the pairs of expert 0 come first.",
                _with_pairs(lambda pair, experts_NK: pair.flip(0)),
            ),
            (
                "starts in place of ends",
                "These are starts: expert 0 starts at 0, and *ends* where its pairs have been counted.",
                _with_ends(lambda count: count.cumsum(0) - count),
            ),
            (
                "counts in place of ends",
                "These are counts, how many pairs each expert has: add them up, `cumsum(0)`, to tell where they end.",
                _with_ends(lambda count: count),
            ),
            (
                "last places in place of ends",
                "These are the places of each expert's last pair: an end is the place after it, as slices have it.",
                _with_ends(lambda count: count.cumsum(0) - 1),
            ),
            (
                "a zero in front",
                "The first start, 0, stands in front of the ends: there are E of them, one for each expert.",
                _with_ends(lambda count: F.pad(count.cumsum(0), (1, 0))),
            ),
            (
                "experts without pairs left out",
                "Experts without pairs have no end: each of the E has one, the same as the expert before it. "
                "`bincount(minlength=n_experts)` counts them, too.",
                (
                    *_with_ends(lambda count: count[count > 0].cumsum(0)),
                    *_with_ends(lambda count: count[: int(count.nonzero().max()) + 1].cumsum(0)),
                ),
            ),
            (
                "no end without pairs",
                "The end of an expert without pairs is 0: it has the same as the expert before it, for its slice is "
                "empty. Add up the counts, `cumsum(0)`.",
                _with_ends(lambda count: count.cumsum(0) * (count > 0)),
            ),
            (
                "the next expert's ends",
                "The ends are off by one expert: the first is where the pairs of expert 0 end, not those of expert 1.",
                _with_ends(lambda count: count.cumsum(0)[1:])
                + _with_ends(lambda count: torch.cat((count.cumsum(0)[1:], count.sum()[None]))),
            ),
            (
                "last end left out",
                "The last expert's end is missing: there are E of them, one for each expert.",
                _with_ends(lambda count: count.cumsum(0)[:-1]),
            ),
            (
                "each expert counted once",
                "It counts which experts occur, not how often: an expert that 5 tokens chose has 5 pairs.",
                _with_ends(lambda count: count.clamp(max=1).cumsum(0)),
            ),
            (
                "results exchanged",
                "The two results are exchanged: first the pairs, then the ends.",
                tuple(lambda *case, right=right: right(*case)[::-1] for right in _with_ends(lambda n: n.cumsum(0))),
            ),
        )
        for function in functions
    ),
    hints=(
        "Lay the choices flat: pair n K + k stands at place n K + k. Sort, but keep where each came from; within an "
        "expert any order will do. Then count.",
        "`argsort` gives, for each place of the sorted row, where its value came from. `bincount` counts the pairs of "
        "each expert, and `cumsum` adds the counts up.",
        "Two lines. First the choices laid flat: N K numbers of experts. Then both results: from where each place of "
        "the sorted row was filled, N K numbers; and the counts added up, E numbers (tell `bincount` how many experts "
        "there are, or the last may be missing).",
    ),
    difficulty=1,
    minutes=12,
)
