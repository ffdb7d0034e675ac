"""Lesson 02, `compress`: the mistakes that people make with the key, and in cutting w x in two."""

import torch
import torch.nn.functional as F

from mini_moe.course.checking.exercise import Mistake
from mini_moe.course.exercises.latent_attention.compress_norm_mistakes import as_it_is, remembered
from mini_moe.course.exercises.latent_attention.shared_mistakes import EPS, unit
from mini_moe.course.exercises.rotary import halves_turned, not_interleaved
from mini_moe.layers import apply_rotary, rms_norm
from mini_moe.mla import compress


def _key_normed(norm_key):
    """With a key that is ``norm_key(key, norm, eps)`` before it turns, or after, for the mistakes."""

    def before(x, w, norm, cos, sin, eps=1e-6):
        return remembered(key=lambda key, cos, sin: apply_rotary(norm_key(key, norm, eps), cos, sin))(
            x, w, norm, cos, sin, eps
        )

    def after(x, w, norm, cos, sin, eps=1e-6):
        return remembered(key=lambda key, cos, sin: norm_key(apply_rotary(key, cos, sin), norm, eps))(
            x, w, norm, cos, sin, eps
        )

    return before, after


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


def _exchanged_in_memory(x, w, norm, cos, sin, eps=1e-6):
    return compress(x, w, norm, cos, sin, eps).roll(2 * cos.shape[-1], dims=-1)


def _key_from_the_first_rows(x, w, norm, cos, sin, eps=1e-6):
    return compress(x, w.roll(-2 * cos.shape[-1], dims=0), norm, cos, sin, eps)


def _key_first_all_along(x, w, norm, cos, sin, eps=1e-6):
    return _exchanged_in_memory(x, w.roll(-2 * cos.shape[-1], dims=0), norm, cos, sin, eps)


def _norm_and_turn_exchanged(x, w, norm, cos, sin, eps=1e-6):
    latent, key = F.linear(x, w).tensor_split([len(norm)], dim=-1)
    return torch.cat((apply_rotary(latent, cos, sin), rms_norm(key, norm, eps)), dim=-1)


MISTAKES = (
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
        remembered(key=lambda key, cos, sin: key),
    ),
    Mistake(
        "key turned twice",
        "The key turns by twice its angle: turn it once.",
        remembered(key=lambda key, cos, sin: apply_rotary(apply_rotary(key, cos, sin), cos, sin)),
    ),
    Mistake(
        "key detached",
        "The result is right, but no gradient passes through the key: the last R rows of w would never learn.",
        remembered(key=lambda key, cos, sin: apply_rotary(key.detach(), cos, sin)),
    ),
    Mistake(
        "key turned backwards",
        "The key turns the wrong way round: (a, b) becomes (a cos - b sin, a sin + b cos).",
        remembered(key=lambda key, cos, sin: apply_rotary(key, cos, -sin)),
    ),
    Mistake(
        "cos and sin exchanged",
        "cos and sin are exchanged: `apply_rotary(key, cos, sin)`.",
        remembered(key=lambda key, cos, sin: apply_rotary(key, sin, cos)),
    ),
    Mistake(
        "halves of the key paired",
        "Feature i of the key is paired with feature i + R/2: here neighbours are, as in `apply_rotary`.",
        remembered(key=halves_turned),
    ),
    Mistake(
        "key not interleaved again",
        "The pairs of the key turn rightly, but come out as all first features, then all second ones: each belongs "
        "back where it came from, as in `apply_rotary`.",
        remembered(key=not_interleaved),
    ),
    Mistake(
        "angles of the first token",
        "Every token turns by the angles of the first: each has a row of `cos` and `sin`.",
        remembered(key=lambda key, cos, sin: apply_rotary(key, cos[:1], sin[:1])),
    ),
    *(
        Mistake(
            "key made of the latent",
            "The key is made of the latent, the first features of w x: the last R of w x are the key.",
            _key_from_the_latent(normed),
        )
        for normed in (as_it_is, rms_norm)
    ),
    Mistake(
        "key from the token",
        "The key is cut from the token itself: it is the last R numbers of w x.",
        lambda x, w, norm, cos, sin, eps=1e-6: torch.cat(
            (rms_norm(F.linear(x, w[: len(norm)]), norm, eps), apply_rotary(x[..., -2 * cos.shape[-1] :], cos, sin)),
            dim=-1,
        ),
    ),
    Mistake(
        "w transposed",
        "w is used transposed, which runs only where it is square: it makes L numbers of D, `F.linear(x, w)` or "
        "`x @ w.T`.",
        lambda x, w, norm, cos, sin, eps=1e-6: compress(x, w.T, norm, cos, sin, eps),
    ),
    Mistake(
        "latent from the last rows",
        "The latent is cut from the end of w x: its first C features are the latent, its last R the key.",
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
        "The first rows of w are taken for the key: they give the latent, the last R give the key.",
        _key_from_the_first_rows,
    ),
    Mistake(
        "only the product",
        "This is w x alone: its first C features are still to be normed, its last R to be rotated.",
        remembered(as_it_is, lambda key, cos, sin: key),
    ),
)
