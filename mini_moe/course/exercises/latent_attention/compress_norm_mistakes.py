"""Lesson 02, `compress`: the mistakes that people make with the latent and its norm."""

import torch
import torch.nn.functional as F

from mini_moe.course.checking.exercise import Mistake
from mini_moe.course.exercises.latent_attention.shared_mistakes import EPS, unit
from mini_moe.layers import apply_rotary, rms_norm
from mini_moe.mla import compress


def remembered(latent=rms_norm, key=apply_rotary):
    """Compression by ``latent(latent, norm, eps)`` and ``key(key, cos, sin)``, for the mistakes."""

    def function(x, w, norm, cos, sin, eps=1e-6):
        c, r = F.linear(x, w).tensor_split([len(norm)], dim=-1)
        return torch.cat((latent(c, norm, eps), key(r, cos, sin)), dim=-1)

    return function


def as_it_is(latent, norm, eps):
    return latent


def _latent_turned(turn):
    """With a latent that is ``turn(latent, norm, eps, rotate)``, for the mistakes."""

    def function(x, w, norm, cos, sin, eps=1e-6):
        def latent(c, norm, eps):
            return turn(c, norm, eps, lambda y: apply_rotary(y, cos, sin))

        return remembered(latent)(x, w, norm, cos, sin, eps)

    return function


def _normed_together(own_eps, key_normed):
    """With one root mean square for all of w x, which divides the key or not, for the mistakes."""

    def function(x, w, norm, cos, sin, eps=1e-6):
        both = F.linear(x, w)
        normed = unit(both, eps if own_eps is None else own_eps)
        key = (normed if key_normed else both)[..., len(norm) :]
        return torch.cat((normed[..., : len(norm)] * norm, apply_rotary(key, cos, sin)), dim=-1)

    return function


def _by(size):
    """With a latent divided by ``size(latent, eps)``, for the mistakes."""
    return remembered(lambda c, norm, eps: norm * c / size(c, eps))


def _mean_square(c, dim=-1):
    return c.square().mean(dim=dim, keepdim=True)


def _sum_of_squares(c):
    return c.square().sum(dim=-1, keepdim=True)


def _variance(c, n_less):
    """`Tensor.var` over n - ``n_less``, which warns where that is 0."""
    return (c - c.mean(dim=-1, keepdim=True)).square().sum(dim=-1, keepdim=True) / (c.shape[-1] - n_less)


MISTAKES = (
    Mistake(
        "latent not normed",
        "The latent is remembered as it was before the norm: norm it first, once, and keep the result.",
        remembered(as_it_is),
    ),
    *(
        Mistake(
            "latent rotated as well",
            "The latent is rotated, too: values and keys are made from it, and must not depend on where the token "
            "stands. Position has its own place: only the last R numbers turn.",
            _latent_turned(turn),
        )
        for turn in (
            lambda latent, norm, eps, rotate: rotate(rms_norm(latent, norm, eps)),
            lambda latent, norm, eps, rotate: rms_norm(rotate(latent), norm, eps),
            lambda latent, norm, eps, rotate: rotate(latent),
        )
    ),
    *(
        Mistake(
            "latent and key normed together",
            "One norm goes over latent and key together: take the first C features alone, `len(norm_C)`.",
            _normed_together(own_eps, key_normed),
        )
        for own_eps in (None, EPS, 1e-6)
        for key_normed in (True, False)
    ),
    *(
        Mistake(
            "token normed",
            "The token is normed before w: the block around attention does that. Here the latent is normed.",
            function,
        )
        for function in (
            lambda x, w, norm, cos, sin, eps=1e-6: compress(unit(x, eps), w, norm, cos, sin, eps),
            lambda x, w, norm, cos, sin, eps=1e-6: remembered(lambda latent, norm, eps: norm * latent)(
                unit(x, eps), w, norm, cos, sin, eps
            ),
            lambda x, w, norm, cos, sin, eps=1e-6: remembered(as_it_is)(unit(x, eps), w, norm, cos, sin, eps),
            lambda x, w, norm, cos, sin, eps=1e-6: remembered(as_it_is)(unit(x, EPS), w, norm, cos, sin, eps),
        )
    ),
    *(
        Mistake(
            "norm over the tokens",
            "The latent's mean square is taken over tokens, too: each token is normed by itself, over `dim=-1`.",
            _by(lambda c, eps, dim=dim: (_mean_square(c, dim) + eps).sqrt()),
        )
        for dim in (None, (1, 2), 1, 0)
    ),
    Mistake(
        "weight of the norm left out",
        "The norm's weight is not used: multiply each feature of the latent by its own, `norm_C`.",
        remembered(lambda latent, norm, eps: unit(latent, eps)),
    ),
    Mistake(
        "weight as 1 + weight",
        "The latent is multiplied by 1 + norm_C: some models store it so, here the weight itself starts at 1.",
        remembered(lambda latent, norm, eps: rms_norm(latent, 1 + norm, eps)),
    ),
    Mistake(
        "weight without the norm",
        "The latent is multiplied by the norm's weight, but not divided by its root mean square.",
        remembered(lambda latent, norm, eps: norm * latent),
    ),
    *(
        Mistake(
            "LayerNorm in place of RMSNorm",
            "The mean of the latent is subtracted: that is LayerNorm. RMSNorm only divides by the size.",
            remembered(lambda latent, norm, eps, own=own: F.layer_norm(latent, norm.shape, norm, eps=own or eps)),
        )
        for own in (None, 1e-5)
    ),
    *(
        Mistake(
            "length in place of root mean square",
            "The latent is divided by its length, the root of the *sum* of squares: take the *mean*, as `rms_norm` "
            "does.",
            remembered(size),
        )
        for size in (
            lambda latent, norm, eps: norm * F.normalize(latent, dim=-1),
            lambda latent, norm, eps: norm * latent / latent.norm(dim=-1, keepdim=True),
            lambda latent, norm, eps: norm * latent * (_sum_of_squares(latent) + eps).rsqrt(),
        )
    ),
    *(
        Mistake(
            "divided by the standard deviation",
            "The latent is divided by its standard deviation, which measures from the mean: take the root of the mean "
            "square, as `rms_norm` does.",
            _by(lambda c, eps, size=size, n_less=n_less: size(_variance(c, n_less), eps)),
        )
        for n_less in (0, 1)
        for size in (
            lambda variance, eps: (variance + eps).sqrt(),
            lambda variance, eps: variance.sqrt() + eps,
            lambda variance, eps: variance.sqrt(),
        )
    ),
    *(
        Mistake(
            "no square root",
            "The latent is divided by its mean square: take the square root first, as `rms_norm` does.",
            _by(size),
        )
        for size in (lambda c, eps: _mean_square(c) + eps, lambda c, eps: _mean_square(c))
    ),
    *(
        Mistake(
            "mean of absolute values",
            "The latent is divided by the mean of its absolute values: square, take the mean, then the root.",
            _by(size),
        )
        for size in (
            lambda c, eps: c.abs().mean(dim=-1, keepdim=True) + eps,
            lambda c, eps: c.abs().mean(dim=-1, keepdim=True),
        )
    ),
    Mistake(
        "weight added",
        "The norm's weight is added, as a bias would be: multiply each feature of the latent by its own.",
        remembered(lambda latent, norm, eps: unit(latent, eps) + norm),
    ),
    Mistake(
        "weight before the norm",
        "The weight is multiplied in before the norm: norm the latent first, then multiply by `norm_C`.",
        remembered(lambda latent, norm, eps: unit(norm * latent, eps)),
    ),
    *(
        Mistake(
            "normed twice",
            "The latent is normed twice: once is enough, and weight and eps belong in once.",
            remembered(twice),
        )
        for twice in (
            lambda latent, norm, eps: rms_norm(rms_norm(latent, norm, eps), norm, eps),
            lambda latent, norm, eps: rms_norm(rms_norm(latent, torch.ones_like(norm), eps), norm, eps),
            lambda latent, norm, eps: rms_norm(rms_norm(latent, norm, eps), torch.ones_like(norm), eps),
        )
    ),
    Mistake(
        "memory normed as a whole",
        "The norm comes last, over latent and key together: norm the latent alone, before the two are put together.",
        lambda x, w, norm, cos, sin, eps=1e-6: unit(
            remembered(lambda latent, norm, eps: norm * latent)(x, w, norm, cos, sin), eps
        ),
    ),
    *(
        Mistake(
            "C - 1 in place of C",
            "The sum of squares is divided by C - 1, as for the deviation of a sample: the mean of C squares divides "
            "by C.",
            _by(lambda c, eps, least=least: (_sum_of_squares(c) / max(c.shape[-1] - 1, least) + eps).sqrt()),
        )
        for least in (0, 1)
    ),
    *(
        Mistake(
            "eps outside the root",
            "eps is added after the root: it stands under it, beside the mean square, as in `rms_norm`.",
            _by(size),
        )
        for size in (
            lambda c, eps: _mean_square(c).sqrt() + eps,
            lambda c, eps: c.norm(dim=-1, keepdim=True) / c.shape[-1] ** 0.5 + eps,
        )
    ),
    *(
        Mistake(
            "eps as a lower bound",
            "eps serves as a lower bound: it is added to the mean square, under the root, as in `rms_norm`.",
            _by(size),
        )
        for size in (
            lambda c, eps: _mean_square(c).clamp(min=eps).sqrt(),
            lambda c, eps: _mean_square(c).sqrt().clamp(min=eps),
        )
    ),
    Mistake(
        "eps in the sum",
        "eps is added to the sum of the squares, and so divided by C: it is added to their mean.",
        _by(lambda c, eps: ((_sum_of_squares(c) + eps) / c.shape[-1]).sqrt()),
    ),
    *(
        Mistake(
            "eps not handed on",
            "`eps` is not used: hand it on, `rms_norm(latent, norm_C, eps)`, or the norm takes one of its own.",
            remembered(lambda latent, norm, eps, own=own: rms_norm(latent, norm, own)),
        )
        for own in (1e-6, 0.0, 1e-5, EPS)
    ),
    Mistake(
        "size detached",
        "The result is right, but the latent's size carries no gradient: no `.detach()` or `no_grad` there, for w "
        "decides it, too.",
        _by(lambda c, eps: (_mean_square(c) + eps).sqrt().detach()),
    ),
    Mistake(
        "latent detached",
        "The result is right, but no gradient passes through the latent: the first C rows of w would never learn.",
        remembered(lambda latent, norm, eps: rms_norm(latent.detach(), norm, eps)),
    ),
)
