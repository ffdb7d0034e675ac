"""Lesson 03, `mixture`: the layer's definition."""

import torch

from mini_moe.course.checking.exercise import Exercise, Property, Wrong, agrees_with, must_equal
from mini_moe.course.exercises.mixture_of_experts.mixture_mistakes import MISTAKES
from mini_moe.moe import mixture


class _Curve:
    """An expert that shows what it computes: sin(a x + x[0] + b). Not a straight line, not 0 at 0, and for one token
    only: of a matrix, x[0] would be the first row."""

    def __init__(self, a, b):
        self.a, self.b = round(a, 1), round(b, 1)

    def __call__(self, x):
        return torch.sin(self.a * x + x[0] + self.b)

    def __repr__(self):
        return f"sin({self.a}x+x[0]{self.b:+})"


def _cases_of_mixture(generator):
    for N, D, E, K, dtype in (
        *((1, 2, 3, 2, torch.float32), (3, 2, 4, 2, torch.float32), (2, 1, 3, 1, torch.float32)),
        *((5, 4, 3, 3, torch.float32), (6, 4, 7, 3, torch.float64), (4, 3, 9, 4, torch.float32)),
    ):
        heights = torch.rand(E + 1, generator=generator).mul(2).sub(1).tolist()
        *routed, shared = (_Curve(0.5 + 0.3 * i, height) for i, height in enumerate(heights))
        x = torch.randn(D, N, generator=generator).round(decimals=2).T  # from N = 2 and D = 2 on not contiguous
        weights = (0.2 + 0.6 * torch.rand(N, K, generator=generator)).round(decimals=2)
        experts = torch.rand(N, E, generator=generator).topk(K, dim=-1).indices
        experts[0] = torch.arange(E - 1, E - 1 - K, -1)  # neither the first K, nor in ascending order
        if K > 3:
            weights = weights * torch.tensor([0.0, 2.5, 2.5, -2.5])  # no weight at all, large ones, negative ones
        yield x.to(dtype), weights.to(dtype), experts, routed, shared


def _asked_about_tokens(function, x, weights, experts, routed, shared):
    """Watch what each function is given. What `torch.vmap` gives them cannot be seen, and is let pass."""
    given = []

    def watched(expert, number=None):
        def watching(token):
            given.append((number, token.shape, token.detach().clone()))
            return expert(token)

        return watching

    rows, asked = x.tolist(), set()
    due = {(n, e) for n, chosen in enumerate(experts.tolist()) for e in (*chosen, None)}
    function(x, weights, experts, [watched(expert, e) for e, expert in enumerate(routed)], watched(shared))
    for number, shape, token in given:
        who = "the shared expert" if number is None else f"expert {number}"
        if shape != x.shape[1:]:
            raise Wrong(
                f"A tensor of shape {tuple(shape)} goes to {who}, a function of *one* token, of shape "
                f"{tuple(x.shape[1:])}: what it makes of a matrix is not said. Give it one row of `x_ND` at a time.",
                mistake="a matrix given to a function of one token",
            )
        try:
            places = {(n, number) for n, row in enumerate(rows) if row == token.tolist()}
        except RuntimeError:
            return
        if not places:
            raise Wrong(
                f"What goes to {who} is no row of `x_ND`: each works on the token itself, as it came.",
                mistake="given something else than a token",
            )
        if not places & due:
            raise Wrong(
                f"{who.capitalize()} is called with token {min(places)[0]}, which did not choose it: call the chosen "
                "only, or no work is saved.",
                mistake="calls who was not chosen",
            )
        asked |= places
    for n, number in sorted(due - asked, key=str):
        who = "The shared expert" if number is None else f"Expert {number}"
        raise Wrong(f"{who} is never called with token {n}, for which it should work.", mistake="an expert not called")


def _shared_ungated(function, x, weights, experts, routed, shared):
    must_equal(
        function(x, weights, experts, [torch.zeros_like] * len(routed), shared),
        torch.stack([shared(x_D) for x_D in x]),
        "Where all routed experts return 0, `shared(x)` must be left as it is: it has no gate, and nothing beside it.",
        "shared expert not as it is",
    )


def _weights_multiply(function, x, weights, experts, routed, shared):
    def of_the_chosen(weights):
        zeros = [torch.zeros_like] * len(routed)
        return function(x, weights, experts, routed, shared) - function(x, weights, experts, zeros, shared)

    must_equal(
        of_the_chosen(2 * weights),
        2 * of_the_chosen(weights),
        "Twice the weights must make twice what the chosen experts add: a weight multiplies what its expert returns.",
        "not in proportion to the weights",
    )


def _order_is_free(function, x, weights, experts, routed, shared):
    must_equal(
        function(x, weights.flip(-1), experts.flip(-1), routed, shared),
        function(x, weights, experts, routed, shared),
        "The order of a token's choices must not matter, as long as weights and experts change places together.",
        "order of the choices matters",
    )


def _tokens_apart(function, x, weights, experts, routed, shared):
    must_equal(
        function(x[-1:], weights[-1:], experts[-1:], routed, shared),
        function(x, weights, experts, routed, shared)[-1:],
        "A token's result depends on its neighbours: each goes to its own experts, with its own weights.",
        "tokens not apart",
    )


def _written_to_no_result(function, x, weights, experts, routed, shared):
    def nothing(token):
        return token

    for who, functions in ("shared", (routed, nothing)), ("an expert", ([nothing] * len(routed), shared)):
        given = x.clone()
        function(given, weights, experts, *functions)
        if not torch.equal(given, x):
            called = "`shared`" if who == "shared" else "an expert"
            raise Wrong(
                f"With {called} a `lambda x: x`, which returns the token itself, the input changes: what {called} "
                "returned is written into, by `+=` or `*=`, and others read it. Write `y = y + ...`.",
                mistake=f"writes into what {called} returned",
            )


EXERCISE = Exercise(
    reference=mixture,
    cases=_cases_of_mixture,
    properties=(
        Property("each works on single tokens, as they came", _asked_about_tokens),
        Property("the shared expert works with weight 1", _shared_ungated),
        Property("a weight multiplies what its expert returns", _weights_multiply),
        Property("the order of the choices does not matter", _order_is_free),
        Property("each token goes to its own experts", _tokens_apart),
        Property("what a function returns is not written to", _written_to_no_result),
        Property("agrees with the library, gradients too", agrees_with(mixture)),
    ),
    mistakes=MISTAKES,
    hints=(
        "For each token: start with the output of the shared expert; add, for each choice, the weight times the output "
        "of that expert.",
        "`for x_D, weights_K, experts_K in zip(x_ND, weights_NK, experts_NK.tolist())` goes through the tokens; an "
        "expert's number picks its function from `routed`. Collect rows in a list, and `torch.stack` them.",
        "In the loop over tokens: x (D,), its weights (K,), a list of K expert numbers, and the sum so far (D,). In an "
        "inner loop over its choices: one weight, a single number, times an output (D,), added to the sum. At the end: "
        "N sums of shape (D,), stacked to (N, D).",
    ),
    difficulty=1,
    minutes=8,
)
