"""Lesson 01, `rms_norm`: the mistakes that people make."""

import torch

from mini_moe.course.checking.exercise import Mistake


def _mean_square(x, dim=-1):
    return x.square().mean(dim=dim, keepdim=True)


def _root(x, eps, dim=-1):
    """The size that RMSNorm divides by."""
    return (_mean_square(x, dim) + eps).sqrt()


def _sum(x):
    return x.square().sum(dim=-1, keepdim=True)


def _norm(size):
    """The norm that divides by ``size(x, eps)``, for the mistakes."""
    return lambda x, weight, eps=1e-6: weight * x / size(x, eps)


def _centred(x):
    return x - x.mean(dim=-1, keepdim=True)


def _deviation(x, n_less):
    """The standard deviation over n - ``n_less``. `Tensor.std` warns where that is 0."""
    return (_centred(x).square().sum(dim=-1, keepdim=True) / (x.shape[-1] - n_less)).sqrt()


# Standard deviations as people write them: over n or n - 1, eps added to the variance or to the root.
_DEVIATIONS = tuple(
    size
    for n_less in (0, 1)
    for size in (
        lambda x, eps, n_less=n_less: (_deviation(x, n_less).square() + eps).sqrt(),
        lambda x, eps, n_less=n_less: _deviation(x, n_less) + eps,
        lambda x, eps, n_less=n_less: _deviation(x, n_less),
    )
)


MISTAKES = (
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
    *(
        Mistake(
            "no square root",
            "It divides by the mean square: take the square root first.",
            _norm(size),
        )
        for size in (lambda x, eps: _mean_square(x) + eps, lambda x, eps: _mean_square(x))
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
            lambda x, eps: (_sum(x) + eps).sqrt(),
            lambda x, eps: _sum(x).sqrt() + eps,
            lambda x, eps: _sum(x).sqrt(),
            lambda x, eps: _sum(x).sqrt().clamp(min=1e-12),  # F.normalize
        )
    ),
    Mistake(
        "divided by the example's 2",
        "The sum of the squares is divided by 2, as in the example: divide by the number of features, as `mean` does.",
        _norm(lambda x, eps: (_sum(x) / 2 + eps).sqrt()),
    ),
    *(
        Mistake(
            "divided by another number than D",
            "The sum of the squares is divided by the number of vectors, or of all numbers: divide by that of the "
            "features, the last of the shape, as `mean(dim=-1)` does.",
            _norm(lambda x, eps, count=count: (_sum(x) / count(x) + eps).sqrt()),
        )
        for count in (len, torch.numel, lambda x: x.shape[-2] if x.ndim > 1 else x.shape[0])
    ),
    *(
        Mistake(
            "divided by D - 1",
            "The sum of the squares is divided by D - 1: a mean divides by D. Nothing is estimated here.",
            _norm(lambda x, eps, at_least=at_least: (_sum(x) / max(x.shape[-1] - 1, at_least) + eps).sqrt()),
        )
        for at_least in (0, 1)
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
    *(
        Mistake(
            "divided by the largest",
            "It divides by the largest feature: take the root of the mean of all squares.",
            _norm(size),
        )
        for size in (
            lambda x, eps: x.abs().amax(dim=-1, keepdim=True) + eps,
            lambda x, eps: x.abs().amax(dim=-1, keepdim=True),
            lambda x, eps: x.amax(dim=-1, keepdim=True) + eps,
        )
    ),
    Mistake(
        "sign lost",
        "The signs of x are lost, as in the root of x squared: divide x itself.",
        lambda x, weight, eps=1e-6: weight * x.abs() / _root(x, eps),
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
    *(
        Mistake(
            "eps outside the root",
            "eps is added after the root: it stands under it, beside the mean square.",
            _norm(size),
        )
        for size in (
            lambda x, eps: _root(x, 0.0) + eps,
            lambda x, eps: 1 / (1 / _root(x, 0.0) + eps),
            lambda x, eps: 1 / (1 / _root(x, 1e-30) + eps),
        )
    ),
    Mistake(
        "eps squared",
        "The square of eps is added: it stands under the root as it is, beside the mean square.",
        _norm(lambda x, eps: _root(x, eps * eps)),
    ),
    Mistake(
        "eps inside the mean",
        "eps is added to the sum of the squares, so only eps / D of it is left: add it to their mean.",
        _norm(lambda x, eps: ((_sum(x) + eps) / x.shape[-1]).sqrt()),
    ),
    *(
        Mistake(
            "eps added to the result",
            "eps is added to the result: without brackets, + comes last. It stands under the root.",
            lambda x, weight, eps=1e-6, own=own: weight * x / _root(x, own) + eps,
        )
        for own in (0.0, 1e-30)
    ),
    *(
        Mistake(
            "eps as a lower bound",
            "eps serves as a lower bound here: it is added, under the root, beside the mean square.",
            _norm(size),
        )
        for size in (
            lambda x, eps: _mean_square(x).clamp(min=eps).sqrt(),
            lambda x, eps: _root(x, 0.0).clamp(min=eps),
        )
    ),
    *(
        Mistake(
            "eps without effect",
            "eps has no effect, except perhaps on vectors that are all zeros: it is added always, under the root.",
            _norm(size),
        )
        for size in (
            lambda x, eps: _mean_square(x).where(_mean_square(x) > 0, eps).sqrt(),
            lambda x, eps: _root(x, 0.0).where(_mean_square(x) > 0, eps),
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
    *(
        Mistake(
            "mean over everything",
            "One mean is taken over several vectors: take it over the last dimension alone, `dim=-1, keepdim=True`.",
            _norm(size),
        )
        for size in (
            lambda x, eps: (x.square().mean() + eps).sqrt(),
            lambda x, eps: _root(x, eps, (-2, -1)),
            lambda x, eps: _root(x, eps, tuple(range(min(1, x.ndim - 1), x.ndim))),
        )
    ),
    *(
        Mistake(
            "mean over the wrong dimension",
            "The mean runs over another dimension than the last: that is where the features are, "
            "`dim=-1, keepdim=True`.",
            _norm(size),
        )
        for size in (
            lambda x, eps: _root(x, eps, 0),
            lambda x, eps: _root(x, eps, 1),
            lambda x, eps: _root(x, eps, -2),
            lambda x, eps: _root(x, eps, min(1, x.ndim - 1)),
        )
    ),
    *(
        Mistake(
            "the first vector's size for all",
            "All vectors are divided by the size of the first: each has its own, `dim=-1, keepdim=True`.",
            _norm(size),
        )
        for size in (
            lambda x, eps: _root(x.reshape(-1, x.shape[-1])[0], eps),
            lambda x, eps: _root(x[:1] if x.ndim > 1 else x, eps),
        )
    ),
    *(
        Mistake(
            "size detached",
            "The size carries no gradient: no `.detach()` or `no_grad` there, for x decides it, too.",
            _norm(size),
        )
        for size in (lambda x, eps: _root(x, eps).detach(), lambda x, eps: _root(x.detach(), eps))
    ),
)
