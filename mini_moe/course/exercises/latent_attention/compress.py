"""Lesson 02, `compress`: what is remembered of a token."""

import torch

from mini_moe.course.checking.exercise import Exercise, Property, Wrong, agrees_with, must_equal
from mini_moe.course.checking.observe import close
from mini_moe.course.exercises.latent_attention import compress_key_mistakes, compress_norm_mistakes
from mini_moe.course.exercises.latent_attention.shared import any_layout, exact
from mini_moe.layers import apply_rotary, rotary_angles
from mini_moe.mla import compress


def _cases_of_compress(generator):
    # A latent as wide as the key, or a key of one pair: only there can the latent be rotated by mistake.
    for B, T, D, C, R in ((1, 1, 2, 2, 2), (1, 3, 3, 6, 4), (2, 3, 5, 4, 4), (2, 4, 3, 6, 2)):
        yield *_tokens_and_weights(generator, B, T, D, C, R), 1e-6
    yield *_tokens_and_weights(generator, 3, 2, 8, 4, 4), 1e-6  # w is square
    yield *_tokens_and_weights(generator, 2, 2, 1, 1, 2), 1e-6  # one feature each, and one pair
    x, *weights = _tokens_and_weights(generator, 1, 2, 3, 4, 4)
    yield 0.1 * x, *weights, 1e-2  # eps is not small
    x, *weights = _tokens_and_weights(generator, 3, 2, 4, 5, 6)
    x[0, 0] = 0
    yield 1e-3 * x, *weights  # nor is its default


def _tokens_and_weights(generator, B, T, D, C, R):
    x, w = torch.randn(B, T, D, generator=generator), torch.randn(C + R, D, generator=generator)
    start = torch.randint(1, 40, (1,), generator=generator)
    return x, w, torch.rand(C, generator=generator) + 0.5, *rotary_angles(torch.arange(T) + start, R, theta=100.0)


def _each_by_itself(function, x, w, norm, cos, sin, *eps):
    y = function(x, w, norm, cos, sin, *eps)
    if not close(function(x[-1:], w, norm, cos, sin, *eps), y[-1:]):
        raise Wrong(
            "Of a sequence alone it remembers something else than of the same sequence in a batch: each has its own "
            "tokens, and all have the same positions.",
            mistake="depends on other sequences",
        )
    if not close(function(x[:, :1], w, norm, cos[:1], sin[:1], *eps), y[:, :1]):
        raise Wrong(
            "Of a token alone it remembers something else than of the same token before others: compress each by "
            "itself.",
            mistake="depends on other tokens",
        )


def _latent_normed(function, x, w, norm, cos, sin, *_):
    def latents(x):
        return function(x, w, torch.ones_like(norm), cos, sin, 0.0)[..., : len(norm)]

    seen = x.any(dim=-1)  # a token of zeros has no size
    size = latents(x).square().mean(dim=-1).sqrt()[seen]
    must_equal(size, torch.ones_like(size), "With all weights of the norm 1, each latent must have root mean square 1.")
    if not close(latents(1e3 * x)[seen], latents(x)[seen]):
        raise Wrong(
            "With eps = 0, a token 1,000 times as large must leave the same latent: the norm takes out the size, and "
            "nothing is cut off.",
            mistake="large latents changed",
        )


def _latent_without_position(function, x, w, norm, cos, sin, *eps):
    turned, still = (function(x, w, norm, *angles, *eps) for angles in ((cos, sin), _no_turn(cos)))
    if not close(turned[..., : len(norm)], still[..., : len(norm)]):
        raise Wrong(
            "The latent changes with the position of its token: only the key is rotated.",
            mistake="latent changes with position",
        )


def _no_turn(cos):
    return torch.ones_like(cos), torch.zeros_like(cos)


def _key_keeps_its_size(function, x, w, norm, cos, sin, *eps):
    once, large = (function(size * x, w, norm, cos, sin, *eps)[..., len(norm) :] for size in (1, 1e3))
    must_equal(
        large, 1e3 * once, "A token 1,000 times as large must give a key 1,000 times as large: it is not normed."
    )


def _key_turned(function, x, w, norm, cos, sin, *eps):
    turned, still = (function(x, w, norm, *angles, *eps)[..., len(norm) :] for angles in ((cos, sin), _no_turn(cos)))
    if not close(turned.norm(dim=-1), still.norm(dim=-1)):
        raise Wrong("The key changes its length as it turns: a turn keeps it.", mistake="key changes its length")
    must_equal(turned, apply_rotary(still, cos, sin), "The key must turn by the angles of its token's position.")


CONSTANTS = ("cos", "sin")  # nothing is learned through the angles

EXERCISE = Exercise(
    reference=compress,
    cases=_cases_of_compress,
    properties=(
        Property("is as exact as its type", exact(compress)),
        Property("each token is remembered by itself", _each_by_itself),
        Property("the latent is remembered normed", _latent_normed),
        Property("the latent is the same at every position", _latent_without_position),
        Property("the key is not normed", _key_keeps_its_size),
        Property("the key turns with its position", _key_turned),
        Property("agrees with the library, gradients too", agrees_with(compress, CONSTANTS)),
        Property("takes inputs as they lie in memory", any_layout(compress)),
    ),
    mistakes=(*compress_norm_mistakes.MISTAKES, *compress_key_mistakes.MISTAKES),
    constants=CONSTANTS,
    hints=(
        "One product with w, cut in two; norm the first part, rotate the second, and put them side by side again.",
        "`F.linear` is the product, `len(norm_C)` tells where to cut it. `rms_norm` and `apply_rotary` are from lesson "
        "01, and `torch.cat` joins.",
        "First w x, (B, T, L), cut into the latent, (B, T, C), and the key, (B, T, R). Norm and rotation leave these "
        "shapes as they are. Joined along the last dimension they are (B, T, L) again.",
    ),
    difficulty=2,
    minutes=12,
)
