"""Lesson 05: the mistakes that people make in `loop` and in `sliced` alike, with gate weights and choices."""

import math

import torch
import torch.nn.functional as F

from mini_moe.course.checking.exercise import Mistake
from mini_moe.course.exercises.dispatch.expert_mistakes import MISTAKES_OF_EXPERT, dispatched, fed
from mini_moe.dispatch import sliced, sliced_linear, sort_by_expert


def _weighted_before(x_ND, weights_NK, experts_NK, gate_up, down):
    """The gate weight multiplies the token before its expert sees it, not the result."""
    pair_J, ends_E = sort_by_expert(experts_NK, len(down))
    token_J = pair_J // experts_NK.shape[1]
    x_JD = x_ND[token_J] * weights_NK.flatten()[pair_J, None]
    gate, up = sliced_linear(x_JD, gate_up, ends_E).chunk(2, dim=-1)
    return torch.zeros_like(x_ND).index_add(0, token_J, sliced_linear(F.silu(gate) * up, down, ends_E))


def _with_capacity(capacity):
    """Each expert takes the first ``capacity(fair share)`` of its tokens and drops the others."""

    def function(x_ND, weights_NK, experts_NK, gate_up, down):
        chosen = F.one_hot(experts_NK.flatten(), len(down))
        place_NK = (chosen * chosen.cumsum(0)).sum(dim=1).view_as(experts_NK)  # 1, 2, ... within an expert
        room = capacity(experts_NK.numel() / len(down))
        return sliced(x_ND, weights_NK * (place_NK <= room), experts_NK, gate_up, down)

    return function


def _all_experts(weigh):
    """Every token through every expert, each with the weight ``weigh(weights_NK, E)``."""

    def function(x_ND, weights_NK, experts_NK, gate_up, down):
        E = len(down)
        weights_NE = weigh(weights_NK, E).expand(-1, E)
        return sliced(x_ND, weights_NE, torch.arange(E).expand(len(x_ND), E), gate_up, down)

    return function


def _overwrite(y_JD, x_ND, pair, token):
    return torch.zeros_like(x_ND).index_copy(0, token, y_JD)


MISTAKES_OF_LAYER = (
    Mistake(
        "gate weights left out",
        "The gate weights are not used: each result is multiplied by `weights_NK[token, choice]` before it is added.",
        fed(lambda x, w, e, gate_up, down: (x, torch.ones_like(w), e, gate_up, down)),
    ),
    *(
        Mistake(
            "wrong gate weight",
            "A result meets the gate weight of another choice: expert `experts_NK[n, k]` belongs to "
            "`weights_NK[n, k]`, the same row *and* the same column.",
            fed(lambda x, w, e, gate_up, down, change=change: (x, change(w), e, gate_up, down)),
        )
        for change in (
            lambda w: w[:, :1].expand_as(w),
            lambda w: w[:, -1:].expand_as(w),
            lambda w: w.flip(1),
            lambda w: w[:1].expand_as(w),
        )
    ),
    *(
        Mistake(
            "all weights of the token",
            "A result is multiplied by all of its token's weights together: only that of this choice counts, "
            "`weights_NK[token, choice]`.",
            fed(lambda x, w, e, gate_up, down, join=join: (x, join(w).expand_as(w), e, gate_up, down)),
        )
        for join in (
            lambda w: w.sum(dim=1, keepdim=True),
            lambda w: w.mean(dim=1, keepdim=True),
            lambda w: w.prod(dim=1, keepdim=True),
            lambda w: w.amax(dim=1, keepdim=True),
        )
    ),
    *(
        Mistake(
            "weights normalised again",
            "The gate weights are normalised here: take them as they are, the router has done what is to be done.",
            fed(lambda x, w, e, gate_up, down, change=change: (x, change(w), e, gate_up, down)),
        )
        for change in (lambda w: w / w.sum(dim=1, keepdim=True), lambda w: w.softmax(dim=1))
    ),
    Mistake(
        "weight on the input",
        "The gate weight multiplies the token on its way in: silu is no straight line, so weigh what comes out.",
        _weighted_before,
    ),
    Mistake(
        "weighted twice",
        "The gate weight is multiplied in twice: once is enough.",
        fed(lambda x, w, e, gate_up, down: (x, w * w, e, gate_up, down)),
    ),
    *(
        Mistake(
            "overwritten, not added",
            "A token's second result replaces the first: `y[token] = ...` keeps one of them, and so does `y[token] += "
            "...` where a token stands twice. Add: `y.index_add(0, token, rows)`.",
            function,
        )
        for function in (
            dispatched(collect=_overwrite),
            fed(lambda x, w, e, gate_up, down: (x, w[:, -1:], e[:, -1:], gate_up, down)),
        )
    ),
    Mistake(
        "first choice only",
        "Only the first choice of each token is computed: all K columns of `experts_NK` count.",
        fed(lambda x, w, e, gate_up, down: (x, w[:, :1], e[:, :1], gate_up, down)),
    ),
    Mistake(
        "only two choices",
        "Two choices of each token are computed, whatever K is: there are `experts_NK.shape[1]` of them.",
        fed(lambda x, w, e, gate_up, down: (x, w[:, :2], e[:, :2], gate_up, down)),
    ),
    Mistake(
        "weight of 0 passed over",
        "Choices whose gate weight is 0 are passed over: the result is right, but these weights get no gradient, and "
        "could never grow again.",
        fed(lambda x, w, e, gate_up, down: (x, w * (w != 0), e, gate_up, down)),
    ),
    *(
        Mistake(
            "small weights passed over",
            "Choices with a small or a negative gate weight are passed over: every choice counts, whatever its weight.",
            fed(lambda x, w, e, gate_up, down, kept=kept: (x, w * kept(w), e, gate_up, down)),
        )
        for kept in (lambda w: w > 0, lambda w: w > 0.025, lambda w: w >= 0.1, lambda w: w.abs() > 0.025)
    ),
    Mistake(
        "experts without tokens not counted",
        "Experts without tokens are passed over and the others numbered anew, but not their matrices: expert e's own "
        "are `gate_up[e]` and `down[e]`.",
        fed(lambda x, w, e, gate_up, down: (x, w, e.unique(return_inverse=True)[1], gate_up, down)),
    ),
    *(
        Mistake(
            "the next expert's matrices",
            "The experts are off by one: tokens meet the matrices of the expert before or after theirs.",
            fed(lambda x, w, e, gate_up, down, step=step: (x, w, (e + step) % len(down), gate_up, down)),
        )
        for step in (-1, 1)
    ),
    *(
        Mistake(
            "tokens dropped",
            "Where many tokens choose one expert, some are left out: here an expert takes all that come, however many.",
            _with_capacity(capacity),
        )
        for capacity in (
            math.ceil,
            math.floor,
            lambda share: max(1, math.floor(share)),
            lambda share: math.floor(1.25 * share),
            lambda share: max(1, math.floor(2 * share)),
            lambda share: 1,
        )
    ),
    *(
        Mistake(
            "no choice",
            "Every expert's result counts for every token: only those that the token chose may.",
            _all_experts(weigh),
        )
        for weigh in (
            lambda w, E: torch.ones_like(w[:, :1]),
            lambda w, E: torch.ones_like(w[:, :1]) / E,
            lambda w, E: w.sum(dim=1, keepdim=True),
        )
    ),
    Mistake(
        "divided by the number of choices",
        "The results are averaged over the choices: add them, their weights share out already.",
        lambda x, w, e, gate_up, down: sliced(x, w, e, gate_up, down) / e.shape[1],
    ),
    Mistake(
        "nothing added",
        "The result stays zero: `y.index_add(...)` leaves y as it is and returns the sum, so keep that, "
        "`y = y.index_add(...)`.",
        fed(lambda x, w, e, gate_up, down: (x, 0 * w, e, gate_up, down)),
    ),
    *(
        Mistake(
            "one expert for all",
            "Whichever expert they chose, all tokens meet one matrix: expert e's own are `gate_up[e]` and `down[e]`.",
            fed(change),
        )
        for change in (
            lambda x, w, e, gate_up, down: (x, w, torch.zeros_like(e), gate_up, down),
            lambda x, w, e, gate_up, down: (x, w, e, gate_up[:1].expand_as(gate_up), down),
            lambda x, w, e, gate_up, down: (x, w, e, gate_up, down[:1].expand_as(down)),
            lambda x, w, e, gate_up, down: (
                *(x, w, e),
                *(matrix.mean(dim=0, keepdim=True).expand_as(matrix) for matrix in (gate_up, down)),
            ),
        )
    ),
    Mistake(
        "input added",
        "The input is added to the result: the block around this layer does that, so begin with zeros.",
        lambda x, w, e, gate_up, down: x + sliced(x, w, e, gate_up, down),
    ),
    *MISTAKES_OF_EXPERT,
)
