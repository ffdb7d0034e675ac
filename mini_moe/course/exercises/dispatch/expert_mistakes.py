"""Lesson 05: the mistakes that people make in `loop` and in `sliced` alike, inside an expert."""

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


MISTAKES_OF_EXPERT = (
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
    *(
        Mistake(
            "gradient cut in the expert",
            "Gate or up is detached: the result is right, but part of `gate_up` would not learn, and the tokens get a "
            "part of their gradient only.",
            dispatched(inner=inner),
        )
        for inner in (
            lambda gate, up: F.silu(gate.detach()) * up,
            lambda gate, up: F.silu(gate) * up.detach(),
        )
    ),
)
