"""Lesson 01, `rms_norm`: one size for every feature vector."""

import torch
import torch.nn.functional as F

from mini_moe.course.checking.exercise import Exercise, Mistake, Property, agrees_with, must_equal
from mini_moe.layers import rms_norm


def _cases_of_norm(generator):
    for shape in ((1, 2), (2, 3), (2, 3, 8)):
        x = torch.randn(shape, generator=generator) * 3 + 1
        yield x, torch.rand(shape[-1], generator=generator) + 0.5, 1e-6
    yield 1e-3 * torch.randn(2, 4, generator=generator), torch.ones(4), 1e-2  # where eps is not small


def _unit_size(function, x, weight, eps):
    y = function(x, torch.ones_like(weight), 0.0)
    size = y.square().mean(dim=-1).sqrt()
    must_equal(size, torch.ones_like(size), "With all weights 1, each vector must leave with root mean square 1.")


def _rows_apart(function, x, weight, eps):
    together = function(torch.stack((x, 5 * x + 1)), weight, eps)[0]
    must_equal(together, function(x, weight, eps), "A vector's result depends on its neighbours: norm each by itself.")


def _direction_kept(function, x, weight, eps):
    y = function(x, torch.ones_like(weight), eps)
    cosine = F.cosine_similarity(x, y, dim=-1)
    must_equal(cosine, torch.ones_like(cosine), "Only the length may change, not the direction: nothing is subtracted.")


def _root(x, eps, dim=-1):
    """The size that RMSNorm divides by."""
    return (x.square().mean(dim=dim, keepdim=True) + eps).sqrt()


def _norm(size):
    """The norm that divides by ``size(x, eps)``, for the mistakes."""
    return lambda x, weight, eps=1e-6: weight * x / size(x, eps)


def _centred(x):
    return x - x.mean(dim=-1, keepdim=True)


# Standard deviations as people write them: over n or n - 1, eps added to the variance or to the root.
_DEVIATIONS = tuple(
    size
    for n_less in (0, 1)
    for size in (
        lambda x, eps, n_less=n_less: (x.var(dim=-1, keepdim=True, correction=n_less) + eps).sqrt(),
        lambda x, eps, n_less=n_less: x.std(dim=-1, keepdim=True, correction=n_less) + eps,
        lambda x, eps, n_less=n_less: x.std(dim=-1, keepdim=True, correction=n_less),
    )
)


EXERCISE = Exercise(
    reference=rms_norm,
    cases=_cases_of_norm,
    properties=(
        Property("each vector leaves with root mean square 1", _unit_size),
        Property("a vector keeps its direction", _direction_kept),
        Property("each vector is normed by itself", _rows_apart),
        Property("agrees with the library, gradients too", agrees_with(rms_norm)),
    ),
    mistakes=(
        *(
            Mistake(
                "mean subtracted",
                "The mean is subtracted: that is LayerNorm. RMSNorm only divides by the size.",
                lambda x, weight, eps=1e-6, size=size: weight * _centred(x) / size(x, eps),
            )
            for size in (*_DEVIATIONS, _root)
        ),
        *(
            Mistake(
                "divided by the standard deviation",
                "It divides by the standard deviation, which measures from the mean: take the root of the mean square "
                "of x itself.",
                _norm(size),
            )
            for size in _DEVIATIONS
        ),
        Mistake(
            "no square root",
            "It divides by the mean square: take the square root first.",
            _norm(lambda x, eps: x.square().mean(dim=-1, keepdim=True) + eps),
        ),
        Mistake(
            "multiplied in place of divided",
            "It multiplies by the root mean square: divide, or multiply by `torch.rsqrt`.",
            _norm(lambda x, eps: 1 / _root(x, eps)),
        ),
        *(
            Mistake(
                "sum in place of mean",
                "It divides by the length of the vector, the root of the *sum* of squares: the *mean* keeps each "
                "feature of size 1, whatever their number.",
                _norm(size),
            )
            for size in (
                lambda x, eps: (x.square().sum(dim=-1, keepdim=True) + eps).sqrt(),
                lambda x, eps: x.norm(dim=-1, keepdim=True) + eps,
                lambda x, eps: x.norm(dim=-1, keepdim=True),
            )
        ),
        *(
            Mistake(
                "mean of absolute values",
                "It divides by the mean of the absolute values: square, take the mean, then the root.",
                _norm(size),
            )
            for size in (
                lambda x, eps: x.abs().mean(dim=-1, keepdim=True) + eps,
                lambda x, eps: x.abs().mean(dim=-1, keepdim=True),
            )
        ),
        *(
            Mistake(
                "square of the mean",
                "It squares the mean: take the square of each feature first, then the mean of these.",
                _norm(size),
            )
            for size in (
                lambda x, eps: (x.mean(dim=-1, keepdim=True).square() + eps).sqrt(),
                lambda x, eps: x.mean(dim=-1, keepdim=True).abs() + eps,
            )
        ),
        Mistake(
            "weight left out",
            "The weight is not used: multiply each feature by its own, last.",
            lambda x, weight, eps=1e-6: x / _root(x, eps),
        ),
        Mistake(
            "weight as 1 + weight",
            "It multiplies by 1 + weight: some models store it so, here the weight itself starts at 1.",
            lambda x, weight, eps=1e-6: (1 + weight) * x / _root(x, eps),
        ),
        Mistake(
            "weight added",
            "The weight is added, as a bias would be: multiply each feature by its own.",
            lambda x, weight, eps=1e-6: x / _root(x, eps) + weight,
        ),
        Mistake(
            "weight before the norm",
            "The weight is multiplied in before the mean square is taken: norm x first, then multiply by the weight.",
            lambda x, weight, eps=1e-6: weight * x / _root(weight * x, eps),
        ),
        Mistake(
            "eps outside the root",
            "eps is added after the root: it stands under it, beside the mean square.",
            _norm(lambda x, eps: _root(x, 0.0) + eps),
        ),
        *(
            Mistake(
                "eps as a lower bound",
                "eps serves as a lower bound here: it is added, under the root, beside the mean square.",
                _norm(size),
            )
            for size in (
                lambda x, eps: x.square().mean(dim=-1, keepdim=True).clamp(min=eps).sqrt(),
                lambda x, eps: _root(x, 0.0).clamp(min=eps),
            )
        ),
        Mistake(
            "eps left out",
            "eps is not used: without it an all-zero vector divides by zero.",
            _norm(lambda x, eps: _root(x, 0.0)),
        ),
        *(
            Mistake(
                "eps written in",
                "eps is written in as a number: use the argument, for each model has its own.",
                _norm(lambda x, eps, own=own: _root(x, own)),
            )
            for own in (1e-6, 1e-5, 1e-8, torch.finfo(torch.float32).eps)
        ),
        Mistake(
            "mean over everything",
            "One mean is taken over all vectors: take it over the last dimension, `dim=-1, keepdim=True`.",
            _norm(lambda x, eps: (x.square().mean() + eps).sqrt()),
        ),
        *(
            Mistake(
                "mean over the wrong dimension",
                "The mean runs over another dimension than the last: that is where the features are, "
                "`dim=-1, keepdim=True`.",
                _norm(lambda x, eps, dim=dim: _root(x, eps, dim)),
            )
            for dim in (0, 1, -2)
        ),
        Mistake(
            "size detached",
            "The size carries no gradient: no `.detach()` or `no_grad` there, for x decides it, too.",
            _norm(lambda x, eps: _root(x, eps).detach()),
        ),
    ),
    hints=(
        "Three steps: the mean of the squares over the last dimension, one over its root, and a product.",
        "`x.square().mean(dim=-1, keepdim=True)` keeps a dimension of 1, so that it divides every feature of its row. "
        "`torch.rsqrt(z)` is 1 / sqrt(z).",
        "return weight * x * torch.rsqrt(x.square().mean(dim=-1, keepdim=True) + eps)",
    ),
    difficulty=1,
    minutes=5,
)
