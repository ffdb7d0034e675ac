"""Lesson 01, `causal_attention`: looking back, never ahead."""

import math

import torch

from mini_moe.course.checking.exercise import Exercise, Mistake, Property, Wrong, agrees_with, must_equal
from mini_moe.layers import causal_attention


def _cases_of_attention(generator):
    for B, H, T, S, width, wide in ((1, 1, 2, 2, 2, 1), (1, 2, 3, 3, 4, 2), (2, 2, 5, 5, 4, 6), (1, 2, 2, 6, 4, 3)):
        q = torch.randn(B, H, T, width, generator=generator)
        k, v = torch.randn(B, H, S, width, generator=generator), torch.randn(B, H, S, wide, generator=generator)
        yield q, k, v, 0.9 / math.sqrt(width)


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


def _hides(start):
    """A mask that is true from the diagonal ``start(T, S)`` on."""
    return lambda T, S: torch.ones(T, S, dtype=torch.bool).triu(start(T, S))


_FUTURE = _hides(lambda T, S: 1 + S - T)


def _attended(*, mask=_FUTURE, fill=float("-inf"), dim=-1, factor=lambda q, scale: scale):
    """Attention with one thing changed, for the mistakes."""

    def function(q, k, v, scale):
        scores = q @ k.transpose(-2, -1) * factor(q, scale)
        return scores.masked_fill(mask(q.shape[-2], k.shape[-2]), fill).softmax(dim=dim) @ v

    return function


def _weighed(weigh):
    """Attention whose weights are ``weigh(scores, future)``, for the mistakes."""
    return lambda q, k, v, scale: weigh(q @ k.transpose(-2, -1) * scale, _FUTURE(q.shape[-2], k.shape[-2])) @ v


EXERCISE = Exercise(
    reference=causal_attention,
    cases=_cases_of_attention,
    properties=(
        Property("no query sees what comes after it", _future_hidden),
        Property("a query sees its own position", _own_seen),
        Property("the weights of a query add up to 1", _mean_of_values),
        Property("agrees with the library, gradients too", agrees_with(causal_attention)),
    ),
    mistakes=(
        Mistake(
            "no mask",
            "Every query sees the whole sequence: hide the positions after it, or the model reads the answer.",
            _attended(mask=_hides(lambda T, S: S)),
        ),
        *(
            Mistake(
                "own position hidden",
                "A query does not see its own position: hide only what comes strictly after it. (The first would see "
                "nothing at all, and a softmax over nothing is not a number.)",
                _attended(mask=_hides(first), fill=fill),
            )
            for first in (lambda T, S: S - T, lambda T, S: 0)
            for fill in (float("-inf"), -1e9)
        ),
        Mistake(
            "one position of the future seen",
            "A query sees the position right after it, which is the answer: the mask starts one too far.",
            _attended(mask=_hides(lambda T, S: 2 + S - T)),
        ),
        Mistake(
            "past hidden",
            "The mask is turned round: it hides the past and shows the future.",
            _attended(mask=lambda T, S: torch.ones(T, S, dtype=torch.bool).tril(S - T - 1)),
        ),
        *(
            Mistake(
                "mask inverted",
                "The mask is inverted: it hides what a query may see, and shows the rest.",
                _attended(mask=lambda T, S: ~_FUTURE(T, S), fill=fill),
            )
            for fill in (float("-inf"), -1e9)
        ),
        Mistake(
            "mask starts at the first key",
            "With more keys than queries the mask is off: the queries are the *last* T of the S positions, so the "
            "first query may see S - T + 1 of them.",
            _attended(mask=_hides(lambda T, S: 1)),
        ),
        Mistake(
            "masked with 0",
            "The future's scores are set to 0: exp(0) is 1, so it still has weight. Set them to -inf before the "
            "softmax.",
            _attended(fill=0.0),
        ),
        Mistake(
            "masked after the softmax",
            "The future is struck out after the softmax: the weights that remain no longer add up to 1.",
            _weighed(lambda scores, future: scores.softmax(dim=-1).masked_fill(future, 0.0)),
        ),
        Mistake(
            "softmax over the queries",
            "The softmax runs over the queries: each query's weights over the *keys* add up to 1, the last dimension.",
            _attended(dim=-2),
        ),
        *(
            Mistake(
                "softmax over the heads",
                "The softmax runs over the heads or the batch: each query's weights over the *keys* add up to 1, the "
                "last dimension.",
                _attended(dim=dim, fill=fill),
            )
            for dim in (0, 1)
            for fill in (float("-inf"), -1e9)
        ),
        Mistake(
            "scale left out",
            "The scores are not multiplied by `scale`: wide heads then give large scores, and softmax picks one.",
            _attended(factor=lambda q, scale: 1.0),
        ),
        Mistake(
            "divided by the scale",
            "The scores are divided by `scale`: it is 1 / sqrt(features) already, so multiply.",
            _attended(factor=lambda q, scale: 1 / scale),
        ),
        Mistake(
            "scale of its own",
            "The scale is worked out from the width here: use the argument. Latent attention will need another.",
            _attended(factor=lambda q, scale: q.shape[-1] ** -0.5),
        ),
        *(
            Mistake(
                "scaled twice",
                "The scores are scaled twice: multiply by `scale` once, and by nothing else.",
                _attended(factor=factor),
            )
            for factor in (lambda q, scale: scale * scale, lambda q, scale: scale * q.shape[-1] ** -0.5)
        ),
        Mistake(
            "root of the scale",
            "The root of `scale` is taken: it is the factor itself, already 1 / sqrt(features).",
            _attended(factor=lambda q, scale: scale**0.5),
        ),
        Mistake(
            "scaled after the softmax",
            "`scale` is multiplied in after the softmax, so that the weights add up to `scale`: it belongs to the "
            "scores.",
            lambda q, k, v, scale: scale * _attended(factor=lambda q, scale: 1.0)(q, k, v, scale),
        ),
        Mistake(
            "query and key exchanged",
            "Queries and keys are exchanged: the scores are q @ k.transpose(-2, -1), a row for each query.",
            lambda q, k, v, scale: _attended()(k, q, v, scale),
        ),
        Mistake(
            "no softmax",
            "The scores weigh the values without a softmax: they may be negative and do not add up to 1.",
            _weighed(lambda scores, future: scores.masked_fill(future, 0.0)),
        ),
        Mistake(
            "exponentials not divided by their sum",
            "The exponentials are not divided by their sum: each query's weights have to add up to 1.",
            _weighed(lambda scores, future: scores.masked_fill(future, float("-inf")).exp()),
        ),
    ),
    hints=(
        "Four steps: scores, hide the future, softmax, weighted mean of the values.",
        "scores = q @ k.transpose(-2, -1) * scale is (B, H, T, S), and `torch.ones(T, S, dtype=bool).triu(1 + S - T)` "
        "is true where a key comes after a query.",
        "return scores.masked_fill(future, float('-inf')).softmax(dim=-1) @ v",
    ),
    difficulty=2,
    minutes=12,
)
