"""Lesson 03, `mixture`: the layer's definition."""

import torch

from mini_moe.course.checking.exercise import Exercise, Property, Wrong, agrees_with, must_equal
from mini_moe.course.exercises.mixture_of_experts.mixture_mistakes import MISTAKES
from mini_moe.moe import mixture


class _Curve:
    """An expert that shows what it computes: sin(a x + b). Not a straight line, and not 0 at 0."""

    def __init__(self, a, b):
        self.a, self.b = round(a, 1), round(b, 1)

    def __call__(self, x):
        return torch.sin(self.a * x + self.b)

    def __repr__(self):
        return f"sin({self.a} x {'-' if self.b < 0 else '+'} {abs(self.b)})"


def _cases_of_mixture(generator):
    for N, D, E, K in ((1, 2, 3, 2), (3, 2, 4, 2), (6, 4, 6, 3)):
        heights = torch.rand(E + 1, generator=generator).mul(2).sub(1).tolist()
        *routed, shared = (_Curve(0.5 + 0.3 * i, height) for i, height in enumerate(heights))
        x = torch.randn(N, D, generator=generator).round(decimals=2)
        weights = (0.2 + 0.6 * torch.rand(N, K, generator=generator)).round(decimals=2)
        experts = torch.rand(N, E, generator=generator).topk(K, dim=-1).indices
        experts[0] = torch.arange(E - 1, E - 1 - K, -1)  # neither the first K, nor in ascending order
        yield x, weights, experts, routed, shared


def _shared_alone(function, x, weights, experts, routed, shared):
    must_equal(
        function(x, torch.zeros_like(weights), experts, routed, shared),
        shared(x),
        "Where all weights are 0 the shared expert works alone, once, with weight 1.",
    )


def _weights_multiply(function, x, weights, experts, routed, shared):
    def of_the_chosen(weights):
        return function(x, weights, experts, routed, shared) - shared(x)

    must_equal(
        of_the_chosen(2 * weights),
        2 * of_the_chosen(weights),
        "Twice the weights must make twice what the chosen experts add: a weight multiplies what its expert returns.",
    )


def _order_is_free(function, x, weights, experts, routed, shared):
    must_equal(
        function(x, weights.flip(-1), experts.flip(-1), routed, shared),
        function(x, weights, experts, routed, shared),
        "The order of a token's choices must not matter, as long as weights and experts change places together.",
    )


def _tokens_apart(function, x, weights, experts, routed, shared):
    must_equal(
        function(x[-1:], weights[-1:], experts[-1:], routed, shared),
        function(x, weights, experts, routed, shared)[-1:],
        "A token's result hangs on its neighbours: each goes to its own experts, with its own weights.",
    )


def _written_to_no_result(function, x, weights, experts, routed, shared):
    before = x.clone()
    function(x, weights, experts, routed, lambda x: x)
    if not torch.equal(x, before):
        raise Wrong(
            "With `shared=lambda x: x`, which returns the token itself, the input changes: `y = shared(x)`, then `y "
            "+= ...` writes into what `shared` returned, and the next expert reads it. Write `y = y + ...`.",
            mistake="adds into what `shared` returned",
        )


EXERCISE = Exercise(
    reference=mixture,
    cases=_cases_of_mixture,
    properties=(
        Property("the shared expert works with weight 1", _shared_alone),
        Property("a weight multiplies what its expert returns", _weights_multiply),
        Property("the order of the choices does not matter", _order_is_free),
        Property("each token goes to its own experts", _tokens_apart),
        Property("what `shared` returns is not written to", _written_to_no_result),
        Property("agrees with the library, gradients too", agrees_with(mixture)),
    ),
    mistakes=MISTAKES,
    hints=(
        "For each token: start with what the shared expert returns; add, for each choice, weight times what that "
        "expert returns.",
        "`for x_D, weights_K, experts_K in zip(x_ND, weights_NK, experts_NK.tolist())` goes through the tokens; an "
        "expert's number picks its function from `routed`. Collect rows in a list, and `torch.stack` them.",
        "y_D = shared(x_D), then y_D = y_D + weight * routed[expert](x_D) for weight, expert in zip(weights_K, "
        "experts_K).",
    ),
    difficulty=1,
    minutes=6,
)
