"""Lesson 01, `apply_rotary`: position as a turn."""

import torch

from mini_moe.course.checking.exercise import Exercise, Property, agrees_with, must_equal
from mini_moe.course.exercises.transformer.apply_rotary_mistakes import MISTAKES
from mini_moe.course.exercises.transformer.shared import inputs_kept, nothing_remembered, type_kept
from mini_moe.layers import apply_rotary, rotary_angles


def _cases_of_rotary(generator):
    def draw(*shape):
        return torch.randn(shape, generator=generator)

    for x in (
        draw(1, 2),
        draw(2, 4),
        draw(3, 2, 6),
        draw(2, 3, 5, 8),
        draw(2, 5, 3, 4).transpose(1, 2),  # heads and positions exchanged, as a model does
        draw(2, 4, 7).mT,  # a pair does not lie side by side
    ):
        start = torch.randint(1, 40, (1,), generator=generator)
        yield x, *rotary_angles(torch.arange(x.shape[-2]) + start, x.shape[-1], theta=100.0)


def _length_kept(function, x, cos, sin):
    got, expected = function(x, cos, sin).norm(dim=-1), x.norm(dim=-1)
    must_equal(got, expected, "Turning must not change the length of a vector.")


def _no_turn(function, x, cos, sin):
    must_equal(function(x, torch.ones_like(cos), torch.zeros_like(sin)), x, "Turned by 0, every vector must stay.")


def _only_distance_counts(function, x, cos, sin):
    positions, features = torch.arange(6), x.shape[-1]
    q, k = x.flatten()[:features], x.flatten()[-features:] + 1
    q, k = (function(v.repeat(6, 1), *rotary_angles(positions, features, 100.0)) for v in (q, k))
    scores = q @ k.T
    must_equal(
        scores[3, 1], scores[5, 3], "q at 3 and k at 1 must score like q at 5 and k at 3: only the distance counts."
    )


def _agrees(function, x, cos, sin):
    """Gradients to x alone: cos and sin are of one angle, and who works with the angle is right."""
    agrees_with(lambda x: apply_rotary(x, cos, sin))(lambda x: function(x, cos, sin), x)


EXERCISE = Exercise(
    reference=apply_rotary,
    cases=_cases_of_rotary,
    properties=(
        Property("leaves its inputs as they are", inputs_kept(apply_rotary)),
        Property("remembers nothing", nothing_remembered(apply_rotary)),
        Property("turned by 0, nothing changes", _no_turn),
        Property("turning keeps the length", _length_kept),
        Property("scores depend on the distance alone", _only_distance_counts),
        Property("agrees with the library, the gradient to x too", _agrees),
        Property("gives back the type of x", type_kept(apply_rotary)),
    ),
    mistakes=MISTAKES,
    hints=(
        "Take the first of every pair, a = x[..., 0::2], and the second, b = x[..., 1::2]. Each is as wide as cos.",
        "The two results are a * cos - b * sin and a * sin + b * cos. Then they have to stand side by side again: "
        "`torch.stack` along a new last dimension, then flatten it. `y.to(x.dtype)` leads back to the type of x.",
        "return torch.stack((a * cos - b * sin, a * sin + b * cos), dim=-1).flatten(-2).to(x.dtype)",
    ),
    difficulty=2,
    minutes=8,
)
