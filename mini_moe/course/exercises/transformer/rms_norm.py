"""Lesson 01, `rms_norm`: one size for every feature vector."""

import torch
import torch.nn.functional as F

from mini_moe.course.checking.exercise import Exercise, Property, Wrong, agrees_with, must_equal
from mini_moe.course.checking.observe import close
from mini_moe.course.exercises.transformer.rms_norm_mistakes import MISTAKES
from mini_moe.layers import rms_norm


def _cases_of_norm(generator):
    def draw(*shape):
        return torch.randn(shape, generator=generator)

    def weight(features):
        return torch.rand(features, generator=generator) + 0.5

    for shape in ((1, 2), (2, 3), (2, 3, 8), (5,)):
        yield 3 * draw(*shape) + 1, weight(shape[-1]), 1e-6
    yield draw(2, 6, 3).mT, weight(6), 1e-6  # not contiguous
    yield 1e-3 * draw(2, 4), weight(4), 1e-2  # eps is not small
    yield 1e-3 * draw(3, 5), weight(5)  # nor is its default
    yield torch.cat((torch.zeros(1, 4), draw(1, 4))), weight(4), 1e-6
    yield 3e4 * draw(2, 7), weight(7), 1e-6
    one = draw(3, 1)  # one feature: only the sign is left
    yield one + one.sign(), weight(1), 1e-6


def _vectors(x):
    """The vectors of x that have a direction: (N, D)."""
    rows = x.reshape(-1, x.shape[-1])
    return rows[rows.any(dim=-1)]


def _rows_apart(function, x, weight, eps=1e-6):
    rows = x.reshape(-1, x.shape[-1])
    if not close(torch.cat([function(row[None], weight, eps) for row in rows]), function(rows, weight, eps)):
        raise Wrong(
            "A vector alone gives another result than the same vector among others: norm each by itself.",
            mistake="depends on other vectors",
        )


def _unit_size(function, x, weight, eps=1e-6):
    size = function(_vectors(x), torch.ones_like(weight), 0.0).square().mean(dim=-1).sqrt()
    must_equal(size, torch.ones_like(size), "With all weights 1, each vector must leave with root mean square 1.")


def _any_size(function, x, weight, eps=1e-6):
    vectors = _vectors(x)
    if not close(function(1e4 * vectors, weight, 0.0), function(vectors, weight, 0.0)):
        raise Wrong(
            "With eps = 0, x and 10,000 x must give the same: only the direction counts, and nothing is cut off.",
            mistake="depends on the size",
        )


def _direction_kept(function, x, weight, eps=1e-6):
    vectors = _vectors(x)
    cosine = F.cosine_similarity(vectors, function(vectors, torch.ones_like(weight), eps), dim=-1)
    must_equal(cosine, torch.ones_like(cosine), "Only the length may change, not the direction.")


EXERCISE = Exercise(
    reference=rms_norm,
    cases=_cases_of_norm,
    properties=(
        Property("each vector is normed by itself", _rows_apart),
        Property("each vector leaves with root mean square 1", _unit_size),
        Property("large vectors are nothing special", _any_size),
        Property("a vector keeps its direction", _direction_kept),
        Property("agrees with the library, gradients too", agrees_with(rms_norm)),
    ),
    mistakes=MISTAKES,
    hints=(
        "Three steps: the mean of the squares over the last dimension, one over its root, and a product.",
        "`x.square().mean(dim=-1, keepdim=True)` keeps a dimension of 1, so that it divides every feature of its row. "
        "`torch.rsqrt(z)` is 1 / sqrt(z).",
        "The mean of the squares is (..., 1), and so is one over its root, with eps under it. Times x, that is "
        "the normed x, (..., D). Times the weight, (D,), which fits the last dimension, it is the result.",
    ),
    difficulty=1,
    minutes=8,
)
