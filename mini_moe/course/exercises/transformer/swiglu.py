"""Lesson 01, `swiglu`: a feed-forward network with a gate."""

import torch
import torch.nn.functional as F

from mini_moe.course.checking.exercise import Exercise, Mistake, Property, Wrong, agrees_with, must_equal
from mini_moe.course.checking.observe import close
from mini_moe.layers import swiglu


def _cases_of_swiglu(generator):
    def draw(*shape):
        return torch.randn(shape, generator=generator)

    for shape, inner in (((1, 2), 3), ((3, 4), 6), ((2, 3, 4), 4), ((5,), 2), ((1, 1), 1)):
        D = shape[-1]
        yield draw(*shape), draw(inner, D), draw(inner, D), draw(D, inner)
    yield draw(4, 2, 3).mT, draw(2, 5).T, draw(2, 5).T, draw(5, 2).T  # not contiguous
    yield draw(2, 3).abs() + 1, 100 * draw(4, 3).abs() + 50, draw(4, 3), draw(3, 4)  # gates wide open


def _closed_gate(function, x, w_gate, w_up, w_down):
    y = function(x, torch.zeros_like(w_gate), w_up, w_down)
    must_equal(y, torch.zeros_like(y), "A gate of zeros must let nothing through: silu(0) = 0.")


def _open_and_shut(function, x, w_gate, w_up, w_down):
    """Gates of 200 and -200, for a single token; there is no gradient to compare, where silu(z) = z / (1 + exp(-z))."""
    x = x.reshape(-1, x.shape[-1])[:1]
    wide = (200 * x / x.square().sum()).expand_as(w_gate)
    if not close(function(x, wide, w_up, w_down), 200 * x @ w_up.T @ w_down.T):
        raise Wrong("A gate of 200 must let 200 times what is on the way up through: silu(200) = 200.",
                    mistake="a large gate is not itself")  # fmt: skip
    shut = function(x, -wide, w_up, w_down)
    if not close(shut, torch.zeros_like(shut)):
        raise Wrong("A gate of -200 must let nothing through: silu(-200) is nearly 0.", mistake="a low gate is open")


def _linear_up(function, x, w_gate, w_up, w_down):
    must_equal(
        function(x, w_gate, 2 * w_up, w_down),
        2 * function(x, w_gate, w_up, w_down),
        "Twice w_up must give twice the result: the way up is straight.",
    )


def _positions_apart(function, x, w_gate, w_up, w_down):
    tokens = x.reshape(-1, x.shape[-1])
    alone = torch.cat([function(token[None], w_gate, w_up, w_down) for token in tokens])
    if not close(alone, function(tokens, w_gate, w_up, w_down)):
        raise Wrong(
            "A token alone gives another result than the same token among others: each is worked on by itself.",
            mistake="depends on other tokens",
        )


def _gated(inner):
    """The network with ``inner(gate, up)`` before the way down, for the mistakes."""
    return lambda x, w_gate, w_up, w_down: F.linear(inner(F.linear(x, w_gate), F.linear(x, w_up)), w_down)


EXERCISE = Exercise(
    reference=swiglu,
    cases=_cases_of_swiglu,
    properties=(
        Property("each token is worked on alone", _positions_apart),
        Property("a gate of 0 lets nothing through", _closed_gate),
        Property("a large gate is itself, a low one shut", _open_and_shut),
        Property("the way up is straight", _linear_up),
        Property("agrees with the library, gradients too", agrees_with(swiglu)),
    ),
    mistakes=(
        Mistake(
            "gate and up exchanged",
            "The bend is in the wrong branch: silu belongs to the gate, w_up stays straight.",
            _gated(lambda gate, up: gate * F.silu(up)),
        ),
        Mistake(
            "silu in both branches",
            "silu bends both branches: it belongs to the gate, w_up stays straight.",
            _gated(lambda gate, up: F.silu(gate) * F.silu(up)),
        ),
        Mistake(
            "sigmoid in place of silu",
            "The gate is a sigmoid: silu(z) is z times the sigmoid of z.",
            _gated(lambda gate, up: torch.sigmoid(gate) * up),
        ),
        Mistake(
            "sigmoid of the other branch",
            "The gate is multiplied by the sigmoid of the way up: silu(z) is z times the sigmoid of the same z.",
            _gated(lambda gate, up: gate * torch.sigmoid(up)),
        ),
        Mistake(
            "silu before the gate",
            "silu bends x before w_gate: it bends what comes out, silu(w_gate x).",
            lambda x, w_gate, w_up, w_down: F.linear(F.linear(F.silu(x), w_gate) * F.linear(x, w_up), w_down),
        ),
        Mistake(
            "sign of the exponent",
            "The exponent has the wrong sign: silu(z) = z / (1 + exp(-z)), with a minus.",
            _gated(lambda gate, up: gate / (1 + gate.exp()) * up),
        ),
        Mistake(
            "relu in place of silu",
            "The gate is a relu: silu bends softly, and lets a little of the negative through.",
            _gated(lambda gate, up: torch.relu(gate) * up),
        ),
        Mistake(
            "negative gates cut off",
            "Where the gate is negative it is cut to 0: silu lets a little of the negative through.",
            _gated(lambda gate, up: torch.relu(F.silu(gate)) * up),
        ),
        *(
            Mistake(
                "gelu in place of silu",
                "The gate is a gelu: near, but this model uses silu(z) = z / (1 + exp(-z)).",
                _gated(lambda gate, up, gelu=gelu: gelu(gate) * up),
            )
            for gelu in (F.gelu, lambda z: F.gelu(z, approximate="tanh"), lambda z: z * torch.sigmoid(1.702 * z))
        ),
        Mistake(
            "tanh in place of silu",
            "The gate is a tanh: silu(z) = z / (1 + exp(-z)) grows on, and lets the positive through as it is.",
            _gated(lambda gate, up: torch.tanh(gate) * up),
        ),
        Mistake(
            "no bend",
            "There is no silu: without a bend, gate and up are only a product of two straight maps.",
            _gated(lambda gate, up: gate * up),
        ),
        Mistake(
            "brackets left out",
            "`z / 1 + exp(-z)` divides by 1 alone: write brackets, z / (1 + exp(-z)).",
            _gated(lambda gate, up: (gate + torch.exp(-gate)) * up),
        ),
        Mistake(
            "sigmoid multiplied in twice",
            "The sigmoid is multiplied in twice: silu(z) is z * sigmoid(z) already, with one of them.",
            _gated(lambda gate, up: F.silu(gate) * gate.sigmoid() * up),
        ),
        Mistake(
            "silu twice",
            "silu is applied twice to the gate: once is enough.",
            _gated(lambda gate, up: F.silu(F.silu(gate)) * up),
        ),
        *(
            Mistake(
                "large exponential",
                "exp(z) is infinite for a large z, and infinity divided by itself is not a number: with exp(-z), as in "
                "z / (1 + exp(-z)), it is 0 there.",
                _gated(bent),
            )
            for bent in (
                lambda gate, up: gate * gate.exp() / (1 + gate.exp()) * up,
                lambda gate, up: gate * (gate.exp() / (1 + gate.exp())) * up,
            )
        ),
        *(
            Mistake(
                "gate clipped",
                "The gate is cut off at a number: silu(z) grows on, and is z for large z.",
                _gated(lambda gate, up, limit=limit: F.silu(gate.clamp(max=limit)) * up),
            )
            for limit in (1.0, 5.0, 6.0, 7.0, 10.0, 20.0, 50.0)
        ),
        *(
            Mistake(
                "another bend than silu",
                "The gate has another bend: this model uses silu(z) = z / (1 + exp(-z)).",
                _gated(lambda gate, up, bent=bent: bent(gate) * up),
            )
            for bent in (
                F.hardswish,
                F.mish,
                F.elu,
                F.softplus,
                F.leaky_relu,
                F.hardtanh,
                F.relu6,
                F.logsigmoid,
                F.hardsigmoid,
                lambda z: torch.relu(z).square(),
                lambda z: z * torch.tanh(z),
            )
        ),
        *(
            Mistake(
                "softmax in place of silu",
                "The gate is a softmax, in which features compete: silu bends each by itself.",
                _gated(lambda gate, up, dim=dim: gate.softmax(dim=dim) * up),
            )
            for dim in (-1, 0)
        ),
        *(
            Mistake(
                "one gate for all features",
                "All inner features share one gate, a mean or a sum: each has its own.",
                _gated(bent),
            )
            for bent in (
                lambda gate, up: F.silu(gate).mean(dim=-1, keepdim=True) * up,
                lambda gate, up: F.silu(gate.mean(dim=-1, keepdim=True)) * up,
                lambda gate, up: F.silu(gate).sum(dim=-1, keepdim=True) * up,
                lambda gate, up: F.silu(gate.sum(dim=-1, keepdim=True)) * up,
            )
        ),
        Mistake(
            "1 added to the way up",
            "1 is added to the way up, as one other model does: here w_up x is multiplied as it is.",
            _gated(lambda gate, up: F.silu(gate) * (up + 1)),
        ),
        *(
            Mistake(
                "gate partly detached",
                "The result is right, but not its slope: z stands twice in silu(z) = z * sigmoid(z), and one of them "
                "carries no gradient. No `.detach()` or `no_grad` there.",
                _gated(bent),
            )
            for bent in (
                lambda gate, up: gate * gate.detach().sigmoid() * up,
                lambda gate, up: gate.detach() * gate.sigmoid() * up,
            )
        ),
        Mistake(
            "added in place of multiplied",
            "Gate and up are added: the gate *multiplies*, feature by feature.",
            _gated(lambda gate, up: F.silu(gate) + up),
        ),
        Mistake(
            "silu after the product",
            "silu is applied after the product: it bends the gate alone.",
            _gated(lambda gate, up: F.silu(gate * up)),
        ),
        Mistake(
            "silu at the end",
            "silu is applied at the very end: it bends the gate, and the way down is straight.",
            lambda x, w_gate, w_up, w_down: F.silu(F.linear(F.linear(x, w_gate) * F.linear(x, w_up), w_down)),
        ),
        Mistake(
            "input added",
            "The input is added to the result: the layer around this network does that.",
            lambda x, w_gate, w_up, w_down: x + _gated(lambda gate, up: F.silu(gate) * up)(x, w_gate, w_up, w_down),
        ),
        Mistake(
            "no gate",
            "The gate is missing: this is the older network, w_down silu(w_up x).",
            _gated(lambda gate, up: F.silu(up)),
        ),
        Mistake(
            "no way up",
            "w_up is missing: the gate alone goes down.",
            _gated(lambda gate, up: F.silu(gate)),
        ),
    ),
    hints=(
        "Follow the picture: two products of the same x, silu of the one, multiply, one product back.",
        "`F.linear(x, w)` is x @ w.T, for any number of leading dimensions; `F.silu` is the bend.",
        "x is (..., D). Gate and way up: (..., I) each. The silu of the gate, and its product with the way up: "
        "(..., I). After the way down: (..., D).",
    ),
    difficulty=1,
    minutes=5,
)
