"""Lesson 03, `affinities`: how well a token fits an expert."""

import torch

from mini_moe.course.checking.exercise import Exercise, Property, Wrong, agrees_with, must_equal
from mini_moe.course.exercises.mixture_of_experts.affinities_mistakes import MISTAKES
from mini_moe.router import affinities


def _cases_of_affinities(generator):
    def draw(*shape):
        return torch.randn(*shape, generator=generator).round(decimals=2)

    yield draw(1, 2), draw(2, 2)
    for N, E, D in (1, 2, 3), (2, 4, 3), (1, 1, 1), (5, 3, 8), (4, 6, 16):
        yield draw(N, D), draw(E, D)
        # A router's tokens may be bfloat16 while its centroids are not. There the type of the product matters.
        yield draw(N, D).bfloat16(), draw(E, D).bfloat16()
        yield draw(N, D).bfloat16(), draw(E, D)
        yield draw(N, D), draw(E, D).bfloat16()
    yield draw(4, 3).T, draw(4, 5).T  # neither is contiguous
    yield draw(2, 300), 0.1 * draw(3, 300)


def _within_one(function, x, centroids):
    s = function(x, centroids)
    if not ((s >= 0) & (s <= 1)).all():
        raise Wrong("An affinity must lie between 0 and 1: a sigmoid takes any number there.")


def _half_for_nothing(function, x, centroids):
    s = function(torch.zeros_like(x), centroids)
    must_equal(s, torch.full_like(s, 0.5), "A token of zeros fits every expert alike: sigmoid(0) = 1/2.")


def _tokens_apart(function, x, centroids):
    must_equal(
        function(x.flip(0), centroids),
        function(x, centroids).flip(0),
        "With the tokens in reverse order the rows must be the same, in reverse order.",
    )


def _experts_apart(function, x, centroids):
    must_equal(
        function(x, centroids[:1]),
        function(x, centroids)[:, :1],
        "Without the other experts, the first one's affinity changes: each must be judged by itself.",
    )


def _in_float32(function, x, centroids):
    for of_x, of_centroids in (
        *((torch.bfloat16, torch.bfloat16), (torch.bfloat16, torch.float32), (torch.float32, torch.bfloat16)),
        *((torch.float16, torch.float32), (torch.float64, torch.float64)),
    ):
        given = x.to(of_x), centroids.to(of_centroids)
        s = function(*given)
        types = f"With tokens in {of_x} and centroids in {of_centroids} the result"
        if s.dtype != torch.float32:
            raise Wrong(f"{types} is {s.dtype}, not float32.", mistake="wrong dtype")
        try:
            must_equal(s, function(*(tensor.float() for tensor in given)), "")
        except Wrong:
            raise Wrong(
                f"{types} differs from that of the same numbers in float32: convert both before the product.",
                mistake="fewer bits than float32",
            ) from None


def _tells_large_numbers_apart(function, x, centroids):
    ones = torch.ones(1, 2)
    small, large = (function(torch.tensor([token]), ones) for token in ([2.0, -1.0], [70_000.0, -69_999.0]))
    must_equal(small, torch.tensor([[1.0]]).sigmoid(), "The token (2, -1) fits the centroid (1, 1) by 1: sigmoid(1).")
    try:
        must_equal(large, small, "")
    except Wrong:
        raise Wrong(
            "The token (70000, -69999) fits the centroid (1, 1) by 1, as (2, -1) does, yet its affinity is "
            f"{large.item():.3g}, not {small.item():.3g}: float32 tells these numbers apart.",
            mistake="fewer bits than float32",
        ) from None


def _sure_at_the_ends(function, x, centroids):
    s = function(torch.tensor([[20.0], [100.0], [-20.0], [-100.0]]), torch.ones(1, 1)).flatten()
    if s.isnan().any():
        raise Wrong(
            "A dot product of 100 or -100 gives NaN: exp of a large number is infinite, and infinity / infinity is no "
            "number. Write 1 / (1 + exp(-z)), or `torch.sigmoid`.",
            mistake="exp overflows",
        )
    for z, got in zip((20, 100, -20, -100), s.tolist(), strict=True):
        if not abs(got - (z > 0)) < 1e-6:
            raise Wrong(
                f"A dot product of {z} gives {got:.3g}, where the sigmoid gives {int(z > 0)}, but for rounding.",
                mistake="large dot products",
            )


def _longer_is_surer(function, x, centroids):
    s = function(x, centroids)
    yes, no = s.square(), (1 - s).square()
    must_equal(
        function(2 * x, centroids),
        yes / (yes + no),
        "Twice the token must give twice the dot product, before the sigmoid.",
    )


EXERCISE = Exercise(
    reference=affinities,
    cases=_cases_of_affinities,
    properties=(
        Property("every affinity lies between 0 and 1", _within_one),
        Property("a token of zeros has affinity 1/2 to all", _half_for_nothing),
        Property("each token is judged by itself", _tokens_apart),
        Property("each expert is judged by itself", _experts_apart),
        Property("is computed in float32", _in_float32),
        Property("tells large numbers apart", _tells_large_numbers_apart),
        Property("large dot products give 0 and 1", _sure_at_the_ends),
        Property("a longer token is surer", _longer_is_surer),
        Property("agrees with the library, gradients too", agrees_with(affinities)),
    ),
    mistakes=MISTAKES,
    hints=(
        "Two steps: the dot product of every token with every centroid, then the sigmoid of each. Mind the type.",
        "`x @ c.T` has a row for each token and a column for each expert. `.float()` on both factors, before the "
        "product, makes it exact enough.",
        "Both converted first: (N, D) and (E, D), float32. The second one transposed: (D, E). Their product: (N, E). "
        "The sigmoid of each number leaves the shape as it is.",
    ),
    difficulty=1,
    minutes=4,
)
