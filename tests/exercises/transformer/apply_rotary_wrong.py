"""Wrong answers to `apply_rotary` that leave one thing as it was, or show in some types and memory orders only."""

import torch
from exercises.answers import Answers

from mini_moe.course.exercises.transformer.apply_rotary import EXERCISE

ANSWERS = Answers(EXERCISE)
wrong = ANSWERS.wrong


@wrong("halves paired", "only on the way in")
def _(x, cos, sin):
    a, b = x.reshape(*x.shape[:-1], 2, -1).unbind(-2)
    return torch.stack([a * cos - b * sin, a * sin + b * cos], -1).reshape(x.shape)


@wrong("one of the pair not turned", "the second")
def _(x, cos, sin):
    out = x.clone()
    out[..., ::2] = x[..., ::2] * cos - x[..., 1::2] * sin
    return out


@wrong("one of the pair not turned", "the first")
def _(x, cos, sin):
    out = x.clone()
    out[..., 1::2] = x[..., ::2] * sin + x[..., 1::2] * cos
    return out


@wrong("turned twice")
def _(x, cos, sin):
    for _ in range(2):
        a, b = x[..., ::2], x[..., 1::2]
        x = torch.stack([a * cos - b * sin, a * sin + b * cos], -1).flatten(-2)
    return x


@wrong("rounded", "its gradient passed on")
def _(x, cos, sin):
    a, b = x[..., ::2], x[..., 1::2]
    y = torch.stack([a * cos - b * sin, a * sin + b * cos], -1).flatten(-2).to(x.dtype)
    return y + (torch.round(y, decimals=3) - y).detach()


@wrong("part of x detached", "the first of the pair")
def _(x, cos, sin):
    a, b = x[..., ::2].data, x[..., 1::2]
    return torch.stack([a * cos - b * sin, a * sin + b * cos], -1).flatten(-2)


@wrong("part of x detached", "the neighbour")
def _(x, cos, sin):
    with torch.no_grad():
        rotated = torch.stack([-x[..., 1::2], x[..., ::2]], -1).flatten(-2)
    return x * cos.repeat_interleave(2, -1) + rotated * sin.repeat_interleave(2, -1)


@wrong("writes into a slice", "of unbind")
def _(x, cos, sin):
    a, b = x.clone().unflatten(-1, (-1, 2)).unbind(-1)
    old = a.clone()
    a.mul_(cos).sub_(b * sin)
    b.mul_(cos).add_(old * sin)
    return torch.stack((a, b), -1).flatten(-2)


@wrong("changes its input", "where no gradient forbids it")
def _(x, cos, sin):
    out = x.clone() if torch.is_grad_enabled() else x
    out[..., ::2], out[..., 1::2] = (
        x[..., ::2] * cos - x[..., 1::2] * sin,
        x[..., ::2] * sin + x[..., 1::2] * cos,
    )
    return out


@wrong("input not used", "sin made from cos, without its sign")
def _(x, cos, sin):
    sin = (1 - cos.square()).clamp(min=0).sqrt()
    a, b = x[..., ::2], x[..., 1::2]
    return torch.stack([a * cos - b * sin, a * sin + b * cos], -1).flatten(-2)


@wrong("part of an input not used", "the first position's angles for all")
def _(x, cos, sin):
    a, b = x[..., ::2], x[..., 1::2]
    return torch.stack([a * cos[0] - b * sin[0], a * sin[0] + b * cos[0]], -1).flatten(-2)


@wrong("part of an input not used", "the first of the batch for all")
def _(x, cos, sin):
    y = x if x.ndim == 2 else x[:1].expand(x.shape)
    a, b = y[..., ::2], y[..., 1::2]
    return torch.stack([a * cos - b * sin, a * sin + b * cos], -1).flatten(-2)


@wrong("raises ValueError", "four dimensions or none")
def _(x, cos, sin):
    B, H, T, R = x.shape
    a, b = x.reshape(B, H, T, -1, 2).unbind(-1)
    return torch.stack([a * cos - b * sin, a * sin + b * cos], -1).reshape(B, H, T, R)


@wrong("each with itself")
def _(x, cos, sin):
    cos, sin = cos.repeat_interleave(2, -1), sin.repeat_interleave(2, -1)
    return x * cos + x * sin


@wrong("half a turn lost")
def _(x, cos, sin):
    angle = torch.atan(sin / cos)
    z = torch.complex(x[..., ::2], x[..., 1::2]) * torch.polar(torch.ones_like(angle), angle)
    return torch.view_as_real(z).flatten(-2)


@wrong("reshaped, not transposed")
def _(x, cos, sin):
    rows = x.reshape(x.shape[0] if x.dim() > 2 else 1, cos.shape[0], -1, x.shape[-1])
    a, b = rows[..., 0::2], rows[..., 1::2]
    c, s = cos[None, :, None], sin[None, :, None]
    return torch.stack((a * c - b * s, a * s + b * c), dim=-1).reshape(x.shape)


@wrong("a cos left out", "of the second")
def _(x, cos, sin):
    a, b = x[..., 0::2], x[..., 1::2]
    return torch.stack((a * cos - b * sin, a * sin + b), dim=-1).flatten(-2)
