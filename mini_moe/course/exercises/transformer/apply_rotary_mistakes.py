"""Lesson 01, `apply_rotary`: the mistakes that people make."""

import torch

from mini_moe.course.checking.exercise import Mistake


def _pairwise(turn):
    """The turn that makes of each pair (a, b) the pair ``turn(a, b, cos, sin)``, for the mistakes."""
    return lambda x, cos, sin: torch.stack(turn(x[..., 0::2], x[..., 1::2], cos, sin), dim=-1).flatten(-2)


_turned = _pairwise(lambda a, b, cos, sin: (a * cos - b * sin, a * sin + b * cos))


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


def _halves_interleaved(x, cos, sin):
    a, b = x.chunk(2, dim=-1)
    return torch.stack((a * cos - b * sin, a * sin + b * cos), dim=-1).flatten(-2)


def _not_interleaved(x, cos, sin):
    a, b = x[..., 0::2], x[..., 1::2]
    return torch.cat((a * cos - b * sin, a * sin + b * cos), dim=-1)


def _in_sequence(a, b, cos, sin):
    a = a * cos - b * sin
    return a, a * sin + b * cos


def _by_tangent(x, cos, sin):
    angle = torch.atan(sin / cos)
    return _turned(x, angle.cos(), angle.sin())


def _reshaped(x, cos, sin):
    """Heads and positions "exchanged" by a reshape, which keeps the order in memory."""
    rows = x.reshape(x.shape[0] if x.ndim > 2 else 1, len(cos), -1, x.shape[-1])
    return _turned(rows, cos[:, None], sin[:, None]).reshape(x.shape)


MISTAKES = (
    *(
        Mistake(
            "halves paired",
            "Feature i is paired with feature i + R/2: many models do so, but the published weights of DeepSeek-V3 "
            "pair neighbours, (x0, x1), (x2, x3), ...",
            function,
        )
        for function in (_halves_turned, _halves_quarter, _halves_interleaved)
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
            "Both features get a minus: a turn has only one, in the first, a cos - b sin; the second is a sin + b cos.",
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
    *(
        Mistake(
            "one of the pair not turned",
            "One feature of each pair comes back as it was: both turn, a cos - b sin and a sin + b cos.",
            _pairwise(turn),
        )
        for turn in (
            lambda a, b, cos, sin: (a * cos - b * sin, b.expand_as(a * sin)),
            lambda a, b, cos, sin: (a.expand_as(b * cos), a * sin + b * cos),
        )
    ),
    *(
        Mistake(
            "each with itself",
            "Each feature is multiplied by cos and by sin, and the other of the pair is left out: a cos - b sin and "
            "a sin + b cos.",
            _pairwise(turn),
        )
        for turn in (
            lambda a, b, cos, sin: (a * cos - a * sin, b * sin + b * cos),
            lambda a, b, cos, sin: (a * cos + a * sin, b * cos + b * sin),
            lambda a, b, cos, sin: (a * cos - a * sin, b * cos - b * sin),
        )
    ),
    Mistake(
        "turned twice",
        "Each pair turns by twice its angle: turn it once.",
        lambda x, cos, sin: _turned(_turned(x, cos, sin), cos, sin),
    ),
    *(
        Mistake(
            "rounded",
            "The result is rounded: give it as it is, and round where you print it.",
            lambda x, cos, sin, digits=digits: _turned(x, cos, sin).round(decimals=digits),
        )
        for digits in (0, 1, 2, 3, 4)
    ),
    *(
        Mistake(
            "part of x detached",
            "The result is right, but x takes part in it without its gradient, in one feature of the pair or in one of "
            "the terms: no `.detach()` or `no_grad` there.",
            _pairwise(turn),
        )
        for turn in (
            lambda a, b, cos, sin: (a * cos - b.detach() * sin, a * sin + b.detach() * cos),
            lambda a, b, cos, sin: (a.detach() * cos - b * sin, a.detach() * sin + b * cos),
            lambda a, b, cos, sin: (a * cos - b.detach() * sin, a.detach() * sin + b * cos),
            lambda a, b, cos, sin: (a.detach() * cos - b * sin, a * sin + b.detach() * cos),
            lambda a, b, cos, sin: (a * cos - b * sin, (a * sin + b * cos).detach()),
            lambda a, b, cos, sin: ((a * cos - b * sin).detach(), a * sin + b * cos),
        )
    ),
    Mistake(
        "half a turn lost",
        "The tangent, sin / cos, is the same for an angle and for one half a turn further: use cos and sin themselves.",
        _by_tangent,
    ),
    Mistake(
        "reshaped, not transposed",
        "A reshape keeps the order in memory: it does not bring positions beside their angles, and what stands in "
        "other places is turned. cos and sin fit the last two dimensions of x as they are.",
        _reshaped,
    ),
    *(
        Mistake(
            "a cos left out",
            "One of the two is not multiplied by cos before the other's part is added: a cos - b sin and "
            "a sin + b cos.",
            _pairwise(turn),
        )
        for turn in (
            lambda a, b, cos, sin: (a * cos - b * sin, a * sin + b),
            lambda a, b, cos, sin: (a - b * sin, a * sin + b * cos),
            lambda a, b, cos, sin: (a - b * sin, a * sin + b),
        )
    ),
)
