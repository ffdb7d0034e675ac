"""Lesson 01, `apply_rotary`: position as a turn."""

import torch

from mini_moe.course.checking.exercise import Exercise, Mistake, Property, agrees_with, must_equal
from mini_moe.layers import apply_rotary, rotary_angles


def _cases_of_rotary(generator):
    for shape in ((1, 2), (2, 4), (2, 3, 5, 8)):
        start = torch.randint(1, 40, (1,), generator=generator)
        cos, sin = rotary_angles(torch.arange(shape[-2]) + start, shape[-1], theta=100.0)
        yield torch.randn(shape, generator=generator), cos, sin


def _length_kept(function, x, cos, sin):
    got, expected = function(x, cos, sin).norm(dim=-1), x.norm(dim=-1)
    must_equal(got, expected, "Turning must not change the length of a vector.")


def _no_turn(function, x, cos, sin):
    must_equal(function(x, torch.ones_like(cos), torch.zeros_like(sin)), x, "Turned by 0, every vector must stay.")


def _only_distance_counts(function, x, cos, sin):
    positions, features = torch.arange(6), x.shape[-1]
    q, k = x.flatten()[:features], x.flatten()[-features:] + 1
    q, k = (function(v.expand(6, -1), *rotary_angles(positions, features, 100.0)) for v in (q, k))
    scores = q @ k.T
    must_equal(
        scores[3, 1], scores[5, 3], "q at 3 and k at 1 must score like q at 5 and k at 3: only the distance counts."
    )


def _pairwise(turn):
    """The turn that makes of each pair (a, b) the pair ``turn(a, b, cos, sin)``, for the mistakes."""
    return lambda x, cos, sin: torch.stack(turn(x[..., 0::2], x[..., 1::2], cos, sin), dim=-1).flatten(-2)


def _quarter(x):
    """Each pair (a, b) as (-b, a)."""
    return torch.stack((-x[..., 1::2], x[..., 0::2]), dim=-1).flatten(-2)


def _halves_turned(x, cos, sin):
    a, b = x.chunk(2, dim=-1)
    return torch.cat((a * cos - b * sin, a * sin + b * cos), dim=-1)


def _halves_quarter(x, cos, sin):
    a, b = x.chunk(2, dim=-1)
    cos, sin = (angles.repeat_interleave(2, dim=-1) for angles in (cos, sin))
    return x * cos + torch.cat((-b, a), dim=-1) * sin


def _not_interleaved(x, cos, sin):
    a, b = x[..., 0::2], x[..., 1::2]
    return torch.cat((a * cos - b * sin, a * sin + b * cos), dim=-1)


def _in_sequence(a, b, cos, sin):
    a = a * cos - b * sin
    return a, a * sin + b * cos


EXERCISE = Exercise(
    reference=apply_rotary,
    cases=_cases_of_rotary,
    properties=(
        Property("turned by 0, nothing changes", _no_turn),
        Property("turning keeps the length", _length_kept),
        Property("scores depend on the distance alone", _only_distance_counts),
        Property("agrees with the library, gradients too", agrees_with(apply_rotary)),
    ),
    mistakes=(
        *(
            Mistake(
                "halves paired",
                "Feature i is paired with feature i + R/2: many models do so, but the published weights of DeepSeek-V3 "
                "pair neighbours, (x0, x1), (x2, x3), ...",
                function,
            )
            for function in (_halves_turned, _halves_quarter)
        ),
        Mistake(
            "angles not side by side",
            "The pairs are right, but cos and sin are repeated as a whole: both features of a pair need the same "
            "angle, as `repeat_interleave(2, dim=-1)` lays them out.",
            lambda x, cos, sin: x * cos.repeat(1, 2) + _quarter(x) * sin.repeat(1, 2),
        ),
        Mistake(
            "turned backwards",
            "It turns the other way round: the minus sign belongs to the first of the pair, a cos - b sin.",
            _pairwise(lambda a, b, cos, sin: (a * cos + b * sin, b * cos - a * sin)),
        ),
        Mistake(
            "not interleaved again",
            "The pairs are turned rightly, but put back as all first features, then all second ones: each belongs back "
            "where it came from.",
            _not_interleaved,
        ),
        Mistake(
            "cos and sin exchanged",
            "cos and sin are exchanged: at angle 0, where cos is 1, nothing may change.",
            _pairwise(lambda a, b, cos, sin: (a * sin - b * cos, a * cos + b * sin)),
        ),
        Mistake(
            "both signs plus",
            "Both terms are added: a turn needs one minus, a cos - b sin, or lengths change.",
            _pairwise(lambda a, b, cos, sin: (a * cos + b * sin, a * sin + b * cos)),
        ),
        *(
            Mistake(
                "both signs minus",
                "Both features get a minus: a turn has only one, in the first, a cos - b sin; the second is "
                "a sin + b cos.",
                _pairwise(turn),
            )
            for turn in (
                lambda a, b, cos, sin: (a * cos - b * sin, a * sin - b * cos),
                lambda a, b, cos, sin: (a * cos - b * sin, b * cos - a * sin),
            )
        ),
        Mistake(
            "same factors in both",
            "The second of the pair takes cos and sin like the first: there they change places, a sin + b cos.",
            _pairwise(lambda a, b, cos, sin: (a * cos - b * sin, a * cos + b * sin)),
        ),
        Mistake(
            "the pair exchanged",
            "The two of a pair come out in exchanged places: first a cos - b sin, then a sin + b cos.",
            _pairwise(lambda a, b, cos, sin: (a * sin + b * cos, a * cos - b * sin)),
        ),
        Mistake(
            "second feature from the turned first",
            "The second of the pair is made from the first as it is *after* turning: keep the old value for it.",
            _pairwise(_in_sequence),
        ),
        Mistake(
            "only multiplied by cos",
            "Each feature is only multiplied by cos: the other of the pair, times sin, is missing.",
            _pairwise(lambda a, b, cos, sin: (a * cos, b * cos)),
        ),
        Mistake(
            "first by cos, second by sin",
            "The first is only multiplied by cos, the second by sin: each result is made of both, a cos - b sin and "
            "a sin + b cos.",
            _pairwise(lambda a, b, cos, sin: (a * cos, b * sin)),
        ),
        Mistake(
            "nothing turned",
            "It gives x back as it came: each pair has to turn by its angle.",
            lambda x, cos, sin: x + 0 * (cos.sum() + sin.sum()),
        ),
    ),
    hints=(
        "Take the first of every pair, a = x[..., 0::2], and the second, b = x[..., 1::2]. Each is as wide as cos.",
        "The two results are a * cos - b * sin and a * sin + b * cos. Then they have to stand side by side again: "
        "`torch.stack` along a new last dimension, then flatten it.",
        "return torch.stack((a * cos - b * sin, a * sin + b * cos), dim=-1).flatten(-2)",
    ),
    difficulty=2,
    minutes=8,
)
