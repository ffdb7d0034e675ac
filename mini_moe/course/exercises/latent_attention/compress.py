"""Lesson 02, `compress`: what is remembered of a token."""

import torch

from mini_moe.course.checking.exercise import Exercise, Property, agrees_with, must_equal
from mini_moe.course.exercises.latent_attention.compress_mistakes import MISTAKES
from mini_moe.layers import apply_rotary, rotary_angles
from mini_moe.mla import compress


def _cases_of_compress(generator):
    # A latent as wide as the key, or a key of one pair: only there can the latent be rotated by mistake.
    for B, T, D, C, R in ((1, 1, 2, 2, 2), (1, 3, 3, 6, 4), (2, 3, 5, 4, 4), (2, 4, 3, 6, 2)):
        yield *_tokens_and_weights(generator, B, T, D, C, R), 1e-6
    x, *weights = _tokens_and_weights(generator, 1, 2, 3, 4, 4)
    yield 0.1 * x, *weights, 1e-2  # where eps is not small


def _tokens_and_weights(generator, B, T, D, C, R):
    x, w = torch.randn(B, T, D, generator=generator), torch.randn(C + R, D, generator=generator)
    start = torch.randint(1, 40, (1,), generator=generator)
    return x, w, torch.rand(C, generator=generator) + 0.5, *rotary_angles(torch.arange(T) + start, R, theta=100.0)


def _latent_normed(function, x, w, norm, cos, sin, eps):
    latent = function(x, w, torch.ones_like(norm), cos, sin, 0.0)[..., : len(norm)]
    size = latent.square().mean(dim=-1).sqrt()
    must_equal(size, torch.ones_like(size), "With all weights of the norm 1, each latent must have root mean square 1.")


def _latent_without_position(function, x, w, norm, cos, sin, eps):
    turned, still = (function(x, w, norm, *angles, eps) for angles in ((cos, sin), _no_turn(cos)))
    must_equal(
        turned[..., : len(norm)],
        still[..., : len(norm)],
        "The latent changes with the position of its token: only the key is rotated.",
    )


def _no_turn(cos):
    return torch.ones_like(cos), torch.zeros_like(cos)


def _key_keeps_its_size(function, x, w, norm, cos, sin, eps):
    once, thrice = (function(factor * x, w, norm, cos, sin, eps)[..., len(norm) :] for factor in (1, 3))
    must_equal(thrice, 3 * once, "A token three times as large must give a key three times as large: it is not normed.")


def _key_turned(function, x, w, norm, cos, sin, eps):
    turned, still = (function(x, w, norm, *angles, eps)[..., len(norm) :] for angles in ((cos, sin), _no_turn(cos)))
    must_equal(turned, apply_rotary(still, cos, sin), "The key must turn by the angles of its token's position.")


def _tokens_apart(function, x, w, norm, cos, sin, eps):
    must_equal(
        function(x[:, :1], w, norm, cos[:1], sin[:1], eps),
        function(x, w, norm, cos, sin, eps)[:, :1],
        "What is remembered of a token depends on the tokens after it.",
    )


EXERCISE = Exercise(
    reference=compress,
    cases=_cases_of_compress,
    properties=(
        Property("the latent is remembered normed", _latent_normed),
        Property("the latent is the same at every position", _latent_without_position),
        Property("the key is not normed", _key_keeps_its_size),
        Property("the key turns with its position", _key_turned),
        Property("each token is remembered by itself", _tokens_apart),
        Property("agrees with the library, gradients too", agrees_with(compress)),
    ),
    mistakes=MISTAKES,
    hints=(
        "One product with W, cut in two; norm the first part, rotate the second, and put them side by side again.",
        "`F.linear(x, w).tensor_split([len(norm_C)], dim=-1)` gives latent and key. `rms_norm(latent, norm_C, eps)` "
        "and `apply_rotary(key, cos, sin)` are from lesson 01.",
        "return torch.cat((rms_norm(latent, norm_C, eps), apply_rotary(key, cos, sin)), dim=-1)",
    ),
    difficulty=2,
    minutes=8,
)
