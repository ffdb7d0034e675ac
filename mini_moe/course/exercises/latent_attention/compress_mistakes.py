"""Lesson 02, `compress`: the mistakes that people make."""

import torch
import torch.nn.functional as F

from mini_moe.course.checking.exercise import Mistake
from mini_moe.layers import apply_rotary, rms_norm
from mini_moe.mla import compress


def _remembered(latent=rms_norm, key=apply_rotary):
    """Compression by ``latent(latent, norm, eps)`` and ``key(key, cos, sin)``, for the mistakes."""

    def function(x, w, norm, cos, sin, eps=1e-6):
        c, r = F.linear(x, w).tensor_split([len(norm)], dim=-1)
        return torch.cat((latent(c, norm, eps), key(r, cos, sin)), dim=-1)

    return function


def _as_it_is(latent, norm, eps):
    return latent


def unit(x, eps):
    """Divided by its root mean square, without a weight."""
    return F.rms_norm(x, x.shape[-1:], eps=eps)


def _halves_turned(key, cos, sin):
    a, b = key.chunk(2, dim=-1)
    return torch.cat((a * cos - b * sin, a * sin + b * cos), dim=-1)


def _key_normed(norm_key):
    """With a key that is ``norm_key(key, norm, eps)`` before it turns, or after, for the mistakes."""

    def before(x, w, norm, cos, sin, eps=1e-6):
        return _remembered(key=lambda key, cos, sin: apply_rotary(norm_key(key, norm, eps), cos, sin))(
            x, w, norm, cos, sin, eps
        )

    def after(x, w, norm, cos, sin, eps=1e-6):
        return _remembered(key=lambda key, cos, sin: norm_key(apply_rotary(key, cos, sin), norm, eps))(
            x, w, norm, cos, sin, eps
        )

    return before, after


def _latent_turned(turn):
    """With a latent that is ``turn(latent, norm, eps, rotate)``, for the mistakes."""

    def function(x, w, norm, cos, sin, eps=1e-6):
        def latent(c, norm, eps):
            return turn(c, norm, eps, lambda y: apply_rotary(y, cos, sin))

        return _remembered(latent)(x, w, norm, cos, sin, eps)

    return function


def _normed_together(own_eps, key_normed):
    """With one root mean square for all of W x, which divides the key or not, for the mistakes."""

    def function(x, w, norm, cos, sin, eps=1e-6):
        both = F.linear(x, w)
        normed = unit(both, eps if own_eps is None else own_eps)
        key = (normed if key_normed else both)[..., len(norm) :]
        return torch.cat((normed[..., : len(norm)] * norm, apply_rotary(key, cos, sin)), dim=-1)

    return function


def _normed_over(dim):
    """With a root mean square over ``dim`` of (B, T, C), for the mistakes."""
    return _remembered(lambda c, norm, eps: norm * c * (c.square().mean(dim=dim, keepdim=True) + eps).rsqrt())


def _latent_from_the_last_rows(x, w, norm, cos, sin, eps=1e-6):
    y, C = F.linear(x, w), len(norm)
    return torch.cat((rms_norm(y[..., -C:], norm, eps), apply_rotary(y[..., C:], cos, sin)), dim=-1)


def _key_from_the_latent(normed):
    """With a key that is the first features of ``normed(latent, norm, eps)``, for the mistakes."""

    def function(x, w, norm, cos, sin, eps=1e-6):
        latent = F.linear(x, w[: len(norm)])
        key = normed(latent, norm, eps)[..., : 2 * cos.shape[-1]]
        return torch.cat((rms_norm(latent, norm, eps), apply_rotary(key, cos, sin)), dim=-1)

    return function


def _half_a_key(start):
    """With a key of only the R/2 features from ``start(C, R/2)`` on, for the mistakes."""

    def function(x, w, norm, cos, sin, eps=1e-6):
        y, C, half = F.linear(x, w), len(norm), cos.shape[-1]
        key = y[..., start(C, half) :][..., :half]
        return torch.cat((rms_norm(y[..., :C], norm, eps), apply_rotary(key, cos, sin)), dim=-1)

    return function


def _not_interleaved(key, cos, sin):
    a, b = key[..., 0::2], key[..., 1::2]
    return torch.cat((a * cos - b * sin, a * sin + b * cos), dim=-1)


def _exchanged_in_memory(x, w, norm, cos, sin, eps=1e-6):
    return compress(x, w, norm, cos, sin, eps).roll(2 * cos.shape[-1], dims=-1)


def _key_from_the_first_rows(x, w, norm, cos, sin, eps=1e-6):
    return compress(x, w.roll(-2 * cos.shape[-1], dims=0), norm, cos, sin, eps)


def _key_first_all_along(x, w, norm, cos, sin, eps=1e-6):
    return _exchanged_in_memory(x, w.roll(-2 * cos.shape[-1], dims=0), norm, cos, sin, eps)


def _norm_and_turn_exchanged(x, w, norm, cos, sin, eps=1e-6):
    latent, key = F.linear(x, w).tensor_split([len(norm)], dim=-1)
    return torch.cat((apply_rotary(latent, cos, sin), rms_norm(key, norm, eps)), dim=-1)


EPS = torch.finfo(torch.float32).eps  # the default of torch's own norm


MISTAKES = (
    Mistake(
        "latent not normed",
        "The latent is remembered as it was before the norm: norm it first, once, and keep the result.",
        _remembered(_as_it_is),
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
            "norm and rotation exchanged",
            "The first part is rotated and the last is normed: the first C features are the latent, which is "
            "normed; the last R are the key, which turns.",
            function,
        )
        for function in (_norm_and_turn_exchanged, _key_first_all_along)
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
            "key normed as well",
            "The key is normed, too: only the latent passes the norm.",
            function,
        )
        for norm_key in (
            lambda key, norm, eps: unit(key, eps),
            lambda key, norm, eps: unit(key, EPS),
            lambda key, norm, eps: unit(key, 1e-6),
            lambda key, norm, eps: rms_norm(key, norm[: key.shape[-1]], eps),
        )
        for function in _key_normed(norm_key)
    ),
    Mistake(
        "key not rotated",
        "The key is remembered unrotated: turn it now, once, by its own position.",
        _remembered(key=lambda key, cos, sin: key),
    ),
    Mistake(
        "key turned backwards",
        "The key turns the wrong way round: (a, b) becomes (a cos - b sin, a sin + b cos).",
        _remembered(key=lambda key, cos, sin: apply_rotary(key, cos, -sin)),
    ),
    Mistake(
        "cos and sin exchanged",
        "cos and sin are exchanged: `apply_rotary(key, cos, sin)`.",
        _remembered(key=lambda key, cos, sin: apply_rotary(key, sin, cos)),
    ),
    Mistake(
        "halves of the key paired",
        "Feature i of the key is paired with feature i + R/2: here neighbours are, as in `apply_rotary`.",
        _remembered(key=_halves_turned),
    ),
    Mistake(
        "key not interleaved again",
        "The pairs of the key turn rightly, but come out as all first features, then all second ones: each belongs "
        "back where it came from, as in `apply_rotary`.",
        _remembered(key=_not_interleaved),
    ),
    Mistake(
        "angles of the first token",
        "Every token turns by the angles of the first: each has a row of `cos` and `sin`.",
        _remembered(key=lambda key, cos, sin: apply_rotary(key, cos[:1], sin[:1])),
    ),
    *(
        Mistake(
            "key made of the latent",
            "The key is made of the latent, the first features of W x: the last R of W x are the key.",
            _key_from_the_latent(normed),
        )
        for normed in (_as_it_is, rms_norm)
    ),
    Mistake(
        "latent from the last rows",
        "The latent is cut from the end of W x: its first C features are the latent, its last R the key.",
        _latent_from_the_last_rows,
    ),
    *(
        Mistake(
            "R taken from cos",
            "Only half of the key is taken: `cos` and `sin` have an angle for each *pair*, R/2 of them. The key is "
            "all that comes after the first C features.",
            _half_a_key(start),
        )
        for start in (lambda C, half: C, lambda C, half: -half)
    ),
    Mistake(
        "key before the latent",
        "The key stands before the latent: the latent comes first, then the key.",
        _exchanged_in_memory,
    ),
    Mistake(
        "key from the first rows",
        "The first rows of W are taken for the key: they give the latent, the last R give the key.",
        _key_from_the_first_rows,
    ),
    *(
        Mistake(
            "token normed",
            "The token is normed before W: the block around attention does that. Here the latent is normed.",
            function,
        )
        for function in (
            lambda x, w, norm, cos, sin, eps=1e-6: compress(unit(x, eps), w, norm, cos, sin, eps),
            lambda x, w, norm, cos, sin, eps=1e-6: _remembered(lambda latent, norm, eps: norm * latent)(
                unit(x, eps), w, norm, cos, sin, eps
            ),
            lambda x, w, norm, cos, sin, eps=1e-6: _remembered(_as_it_is)(unit(x, eps), w, norm, cos, sin, eps),
            lambda x, w, norm, cos, sin, eps=1e-6: _remembered(_as_it_is)(unit(x, EPS), w, norm, cos, sin, eps),
        )
    ),
    Mistake(
        "only the product",
        "This is W x alone: its first C features are still to be normed, its last R to be rotated.",
        _remembered(_as_it_is, lambda key, cos, sin: key),
    ),
    *(
        Mistake(
            "norm over the tokens",
            "The latent's mean square is taken over tokens, too: each token is normed by itself, over `dim=-1`.",
            _normed_over(dim),
        )
        for dim in (None, (1, 2), 1, 0)
    ),
    Mistake(
        "weight of the norm left out",
        "The norm's weight is not used: multiply each feature of the latent by its own, `norm_C`.",
        _remembered(lambda latent, norm, eps: unit(latent, eps)),
    ),
    Mistake(
        "weight without the norm",
        "The latent is multiplied by the norm's weight, but not divided by its root mean square.",
        _remembered(lambda latent, norm, eps: norm * latent),
    ),
    *(
        Mistake(
            "LayerNorm in place of RMSNorm",
            "The mean of the latent is subtracted: that is LayerNorm. RMSNorm only divides by the size.",
            _remembered(lambda latent, norm, eps, own=own: F.layer_norm(latent, norm.shape, norm, eps=own or eps)),
        )
        for own in (None, 1e-5)
    ),
    *(
        Mistake(
            "length in place of root mean square",
            "The latent is divided by its length, the root of the *sum* of squares: take the *mean*, as `rms_norm` "
            "does.",
            _remembered(size),
        )
        for size in (
            lambda latent, norm, eps: norm * F.normalize(latent, dim=-1),
            lambda latent, norm, eps: norm * latent * (latent.square().sum(dim=-1, keepdim=True) + eps).rsqrt(),
        )
    ),
    Mistake(
        "eps outside the root",
        "eps is added after the root: it stands under it, beside the mean square, as in `rms_norm`.",
        _remembered(lambda c, norm, eps: norm * c / (c.square().mean(dim=-1, keepdim=True).sqrt() + eps)),
    ),
    *(
        Mistake(
            "eps not handed on",
            "`eps` is not used: hand it on, `rms_norm(latent, norm_C, eps)`, or the norm takes one of its own.",
            _remembered(lambda latent, norm, eps, own=own: rms_norm(latent, norm, own)),
        )
        for own in (1e-6, 0.0, 1e-5, EPS)
    ),
)
