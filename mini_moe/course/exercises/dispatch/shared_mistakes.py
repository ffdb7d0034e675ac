"""Lesson 05: the mistakes that people make in `loop` and in `sliced` alike."""

import math

import torch
import torch.nn.functional as F

from mini_moe.course.checking.exercise import Mistake
from mini_moe.dispatch import sliced, sliced_linear, sort_by_expert


def fed(change):
    """The right function, fed with changed arguments, for the mistakes."""
    return lambda *case: sliced(*change(*case))


def dispatched(
    *,
    token=lambda pair, N, K, E: pair // K,
    source=None,
    target=None,
    inner=lambda gate, up: F.silu(gate) * up,
    weight=lambda weights_NK, pair, token: weights_NK.flatten()[pair],
    weigh=lambda y_JD, weight_J: y_JD * weight_J[:, None],
    collect=lambda y_JD, x_ND, pair, token: torch.zeros_like(x_ND).index_add(0, token, y_JD),
):
    """The way over sorted pairs with one step changed, for the mistakes.

    ``token`` tells the token of a pair; ``source`` that which is read and ``target`` that which is added to, if other.
    """

    def function(x_ND, weights_NK, experts_NK, gate_up, down):
        pair_J, ends_E = sort_by_expert(experts_NK, len(down))
        source_J, target_J = (of(pair_J, *experts_NK.shape, len(down)) for of in (source or token, target or token))
        gate, up = sliced_linear(x_ND[source_J], gate_up, ends_E).chunk(2, dim=-1)
        y_JD = weigh(sliced_linear(inner(gate, up), down, ends_E), weight(weights_NK, pair_J, target_J))
        return collect(y_JD, x_ND, pair_J, target_J)

    return function


def summed(y_JD, x_ND):
    """Each K rows of ``y_JD`` added up, as if they were one token's."""
    return y_JD.unflatten(0, (len(x_ND), -1)).sum(dim=1)


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


MISTAKES_OF_DISPATCH = (
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
            "All tokens meet the same expert's matrices: expert e's own are `gate_up[e]` and `down[e]`.",
            fed(
                lambda x, w, e, gate_up, down, join=join: (
                    x,
                    w,
                    e,
                    join(gate_up).expand_as(gate_up),
                    join(down).expand_as(down),
                )
            ),
        )
        for join in (lambda weight: weight[:1], lambda weight: weight.mean(dim=0, keepdim=True))
    ),
    Mistake(
        "input added",
        "The input is added to the result: the block around this layer does that, so begin with zeros.",
        lambda x, w, e, gate_up, down: x + sliced(x, w, e, gate_up, down),
    ),
    Mistake(
        "gate and up exchanged",
        "The bend is in the wrong half: the first I rows of `gate_up` are the gate and get silu, the others stay "
        "straight.",
        dispatched(inner=lambda gate, up: gate * F.silu(up)),
    ),
    Mistake(
        "silu in both halves",
        "silu bends both halves: it belongs to the gate alone. Split first, then bend.",
        dispatched(inner=lambda gate, up: F.silu(gate) * F.silu(up)),
    ),
    Mistake(
        "no silu",
        "There is no silu: without a bend, gate and up are only a product of two straight maps.",
        dispatched(inner=lambda gate, up: gate * up),
    ),
    Mistake(
        "silu after the product",
        "silu is applied to gate times up: it bends the gate alone.",
        dispatched(inner=lambda gate, up: F.silu(gate * up)),
    ),
    Mistake(
        "sigmoid in place of silu",
        "The gate is a sigmoid: silu(z) is z times the sigmoid of z.",
        dispatched(inner=lambda gate, up: torch.sigmoid(gate) * up),
    ),
    *(
        Mistake(
            "another bend",
            "The gate is bent by another function, a relu or a gelu: these experts use silu(z) = z / (1 + exp(-z)).",
            dispatched(inner=lambda gate, up, bend=bend: bend(gate) * up),
        )
        for bend in (torch.relu, F.gelu, lambda z: F.gelu(z, approximate="tanh"))
    ),
    Mistake(
        "no gate",
        "The gate is missing: the upper half of `gate_up`, bent by silu, multiplies the lower half.",
        dispatched(inner=lambda gate, up: F.silu(up)),
    ),
    Mistake(
        "no way up",
        "The up-projection is missing: the gate multiplies it, the lower half of `gate_up`.",
        dispatched(inner=lambda gate, up: F.silu(gate)),
    ),
    Mistake(
        "added in place of multiplied",
        "Gate and up are added: the gate *multiplies*, feature by feature.",
        dispatched(inner=lambda gate, up: F.silu(gate) + up),
    ),
    Mistake(
        "gate and up interleaved",
        "Every other row is taken for the gate: the gate is the first half of `gate_up`, the up-projection the second.",
        fed(lambda x, w, e, gate_up, down: (x, w, e, torch.cat((gate_up[:, ::2], gate_up[:, 1::2]), dim=1), down)),
    ),
    *(
        Mistake(
            "matrix not transposed",
            "A product with an expert's matrix is not transposed: both are out by in, as `F.linear` takes them; with @ "
            "write `x @ gate_up[e].T` and `h @ down[e].T`.",
            fed(change),
        )
        for change in (
            lambda x, w, e, gate_up, down: (x, w, e, gate_up.mT, down),
            lambda x, w, e, gate_up, down: (x, w, e, gate_up, down.mT),
        )
    ),
)
