"""Lesson 01, `apply_rotary`: position as a turn."""

import torch

from mini_moe.course.checking.exercise import Exercise, Property, agrees_with, must_equal
from mini_moe.course.exercises.transformer.apply_rotary_mistakes import MISTAKES
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


CONSTANTS = ("cos", "sin")  # of one angle: who works with the angle is right

EXERCISE = Exercise(
    reference=apply_rotary,
    cases=_cases_of_rotary,
    properties=(
        Property("turned by 0, nothing changes", _no_turn),
        Property("turning keeps the length", _length_kept),
        Property("scores depend on the distance alone", _only_distance_counts),
        Property("agrees with the library, gradients too", agrees_with(apply_rotary, CONSTANTS)),
    ),
    mistakes=MISTAKES,
    constants=CONSTANTS,
    hints=(
        "Take the first of every pair, a = x[..., 0::2], and the second, b = x[..., 1::2]. Each is as wide as cos.",
        "The two results are a * cos - b * sin and a * sin + b * cos. Then they have to stand side by side again: "
        "`torch.stack` along a new last dimension, then flatten it.",
        "a, b, and the two results made of them: (..., T, R / 2) each. Stacked along a new last dimension: "
        "(..., T, R / 2, 2). The last two dimensions flattened: (..., T, R), each pair where it came from.",
    ),
    difficulty=2,
    minutes=15,
)
