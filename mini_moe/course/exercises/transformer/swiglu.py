"""Lesson 01, `swiglu`: a feed-forward layer with a gate."""

import torch
import torch.nn.functional as F

from mini_moe.course.checking.exercise import Exercise, Mistake, Property, agrees_with, must_equal
from mini_moe.layers import swiglu


def _cases_of_swiglu(generator):
    for shape, inner in (((1, 2), 3), ((3, 4), 6), ((2, 3, 4), 4)):
        D = shape[-1]
        x, w_gate, w_up, w_down = (
            torch.randn(size, generator=generator) for size in (shape, (inner, D), (inner, D), (D, inner))
        )
        yield x, w_gate, w_up, w_down


def _closed_gate(function, x, w_gate, w_up, w_down):
    y = function(x, torch.zeros_like(w_gate), w_up, w_down)
    must_equal(y, torch.zeros_like(y), "A gate of zeros must let nothing through: silu(0) = 0.")


def _linear_up(function, x, w_gate, w_up, w_down):
    must_equal(
        function(x, w_gate, 2 * w_up, w_down),
        2 * function(x, w_gate, w_up, w_down),
        "Twice W_up must give twice the result: no bend on the way up.",
    )


def _positions_apart(function, x, w_gate, w_up, w_down):
    must_equal(
        function(x[:1], w_gate, w_up, w_down), function(x, w_gate, w_up, w_down)[:1], "Each token is worked on alone."
    )


def _gated(inner):
    """The layer with ``inner(gate, up)`` before the way down, for the mistakes."""
    return lambda x, w_gate, w_up, w_down: F.linear(inner(F.linear(x, w_gate), F.linear(x, w_up)), w_down)


EXERCISE = Exercise(
    reference=swiglu,
    cases=_cases_of_swiglu,
    properties=(
        Property("a closed gate lets nothing through", _closed_gate),
        Property("the way up is straight", _linear_up),
        Property("each token is worked on alone", _positions_apart),
        Property("agrees with the library, gradients too", agrees_with(swiglu)),
    ),
    mistakes=(
        Mistake(
            "gate and up exchanged",
            "The bend is in the wrong branch: silu belongs to the gate, W_up stays straight.",
            _gated(lambda gate, up: gate * F.silu(up)),
        ),
        Mistake(
            "silu in both branches",
            "silu bends both branches: it belongs to the gate, W_up stays straight.",
            _gated(lambda gate, up: F.silu(gate) * F.silu(up)),
        ),
        Mistake(
            "sigmoid in place of silu",
            "The gate is a sigmoid: silu(z) is z times the sigmoid of z.",
            _gated(lambda gate, up: torch.sigmoid(gate) * up),
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
            "The input is added to the result: the block around this layer does that.",
            lambda x, w_gate, w_up, w_down: x + _gated(lambda gate, up: F.silu(gate) * up)(x, w_gate, w_up, w_down),
        ),
        Mistake(
            "no gate",
            "The gate is missing: this is the older layer, W_down silu(W_up x).",
            _gated(lambda gate, up: F.silu(up)),
        ),
        Mistake(
            "no way up",
            "W_up is missing: the gate alone goes down.",
            _gated(lambda gate, up: F.silu(gate)),
        ),
    ),
    hints=(
        "Two products from the same x, of equal width; one is bent by silu; multiply them; one product back.",
        "`F.linear(x, w)` is x @ w.T, for any number of leading dimensions; `F.silu` is the bend.",
        "return F.linear(F.silu(F.linear(x, w_gate)) * F.linear(x, w_up), w_down)",
    ),
    difficulty=1,
    minutes=4,
)
