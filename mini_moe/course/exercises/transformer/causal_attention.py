"""Lesson 01, `causal_attention`: looking back, never ahead."""

import math

import torch

from mini_moe.course.checking.exercise import Exercise, Property, Wrong, agrees_with, must_equal
from mini_moe.course.exercises.transformer import causal_attention_mistakes, causal_attention_softmax_mistakes
from mini_moe.layers import causal_attention


def _cases_of_attention(generator):
    def draw(*shape):
        return torch.randn(shape, generator=generator)

    for B, H, T, S, width, wide in (
        (1, 1, 2, 2, 2, 1),
        (1, 1, 2, 3, 1, 1),
        (1, 2, 3, 3, 4, 2),
        (1, 2, 2, 6, 4, 3),
        (3, 2, 1, 4, 2, 5),
        (1, 1, 1, 1, 1, 1),
        (2, 1, 3, 40, 5, 2),
    ):
        yield draw(B, H, T, width), draw(B, H, S, width), draw(B, H, S, wide), 0.9 / math.sqrt(width)
    # Heads and positions lie in memory the other way round, as in a model.
    yield *(draw(2, 5, 3, width).transpose(1, 2) for width in (4, 4, 6)), 0.4
    yield from (_ties(draw, generator), _far_apart(draw))


def _ties(draw, generator):
    """Scores of 0, many of them equal."""
    q, k = (torch.randint(-1, 2, (2, 3, T, 2), generator=generator).float() for T in (3, 4))
    return q, k, draw(2, 3, 4, 1), 0.5


def _far_apart(draw):
    """Each query's weights are 1 and 0, for its scores are at least 200 apart, below -2 million and above 200 million.

    The first query of the first head is hidden a score that is far above what it sees; the second sees none above -2
    million. All are whole numbers, so that nothing is rounded, whichever way it is computed.
    """
    q, k = torch.tensor([400.0, -(2.0**22), 400.0, -(2.0**22)]), torch.tensor([1.0, 2.0, 3.0, 100.0])
    return torch.stack((q, -q))[None, ..., None], k.expand(1, 2, 4)[..., None].clone(), draw(1, 2, 4, 2), 0.5


def _future_hidden(function, q, k, v, scale):
    y = function(q, k, v, scale)
    k, v = k.clone(), v.clone()
    k[..., -1, :] += 3
    v[..., -1, :] -= 5
    must_equal(
        function(q, k, v, scale)[..., :-1, :],
        y[..., :-1, :],
        "Changing the last key and value changes the results before it: a query must not see what comes after.",
    )


def _own_seen(function, q, k, v, scale):
    y = function(q, k, v, scale)
    v = v.clone()
    v[..., -1, :] += 5
    if torch.allclose(function(q, k, v, scale)[..., -1, :], y[..., -1, :]):
        raise Wrong("Changing the last value does not change the last result: a query sees its own position, too.")


def _mean_of_values(function, q, k, v, scale):
    y = function(q, k, torch.ones_like(v), scale)
    must_equal(y, torch.ones_like(y), "Where all values are 1, a weighted mean is 1: the weights must add up to 1.")


def _plain_mean(function, q, k, v, scale):
    T, S = q.shape[-2], k.shape[-2]
    means = [v[..., : S - T + 1 + t, :].mean(dim=-2) for t in range(T)]
    must_equal(
        function(q, k, v, 0.0),
        torch.stack(means, dim=-2),
        "With scale = 0 all scores are equal: each query must get the plain mean of the values that it sees.",
    )


EXERCISE = Exercise(
    reference=causal_attention,
    cases=_cases_of_attention,
    properties=(
        Property("no query sees what comes after it", _future_hidden),
        Property("a query sees its own position", _own_seen),
        Property("the weights of a query add up to 1", _mean_of_values),
        Property("equal scores give the plain mean", _plain_mean),
        Property("agrees with the library, gradients too", agrees_with(causal_attention)),
    ),
    mistakes=(*causal_attention_mistakes.MISTAKES, *causal_attention_softmax_mistakes.MISTAKES),
    hints=(
        "Four steps: scores, hide the future, softmax, weighted mean of the values.",
        "The scores are products of q with k transposed, `k.transpose(-2, -1)`, times the scale. `torch.ones(T, S, "
        "dtype=torch.bool).triu(d)` is true from diagonal d on, where column - row is d or more: which d leaves the "
        "first query S - T + 1 keys? `masked_fill` sets what is hidden to `float('-inf')`.",
        "The scores are (B, H, T, S). The mask is (T, S), for all heads the same, and true from diagonal 1 + S - T on. "
        "Masked scores, and their softmax over the last dimension, stay (B, H, T, S). Times v, (B, H, S, features): "
        "(B, H, T, features).",
    ),
    difficulty=2,
    minutes=25,
)
