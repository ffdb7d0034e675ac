"""Answers to `apply_rotary`: wrong ones as learners write them, right ones each in another way."""

import torch
from exercises.answers import Answers, Claims, drawn
from exercises.transformer import apply_rotary_wrong

from mini_moe.course.checking.examine import examine
from mini_moe.course.exercises.transformer.apply_rotary import EXERCISE

ANSWERS = Answers(EXERCISE)
wrong, right = ANSWERS.wrong, ANSWERS.right


@wrong("halves paired", "rotate_half, as in other models")
def _(x, cos, sin):
    cos, sin = torch.cat((cos, cos), -1), torch.cat((sin, sin), -1)
    half = x.shape[-1] // 2
    x1, x2 = x[..., :half], x[..., half:]
    return x * cos + torch.cat((-x2, x1), dim=-1) * sin


@wrong("halves paired", "with the angles of neighbours")
def _(x, cos, sin):
    cos, sin = cos.repeat_interleave(2, -1), sin.repeat_interleave(2, -1)
    half = x.shape[-1] // 2
    x1, x2 = x[..., :half], x[..., half:]
    return x * cos + torch.cat((-x2, x1), dim=-1) * sin


@wrong("angles not side by side")
def _(x, cos, sin):
    rotated = torch.empty_like(x)
    rotated[..., ::2] = -x[..., 1::2]
    rotated[..., 1::2] = x[..., ::2]
    return x * torch.cat([cos, cos], dim=-1) + rotated * torch.cat([sin, sin], dim=-1)


@wrong("turned backwards", "signs exchanged")
def _(x, cos, sin):
    out = torch.zeros_like(x)
    even, odd = x[..., ::2], x[..., 1::2]
    out[..., ::2] = even * cos + odd * sin
    out[..., 1::2] = odd * cos - even * sin
    return out


@wrong("turned backwards", "the complex conjugate")
def _(x, cos, sin):
    z = torch.view_as_complex(x.unflatten(-1, (-1, 2)).contiguous())
    return torch.view_as_real(z * torch.complex(cos, -sin)).flatten(-2)


@wrong("not interleaved again", "cat")
def _(x, cos, sin):
    even, odd = x[..., ::2], x[..., 1::2]
    return torch.cat([even * cos - odd * sin, even * sin + odd * cos], -1)


@wrong("not interleaved again", "stacked along the wrong dimension")
def _(x, cos, sin):
    even, odd = x[..., ::2], x[..., 1::2]
    both = torch.stack([even * cos - odd * sin, even * sin + odd * cos], dim=-2)
    return both.reshape(x.shape)


@wrong("cos and sin exchanged")
def _(x, cos, sin):
    cos, sin = sin, cos
    out = torch.zeros_like(x)
    out[..., ::2] = x[..., ::2] * cos - x[..., 1::2] * sin
    out[..., 1::2] = x[..., ::2] * sin + x[..., 1::2] * cos
    return out


@wrong("both signs plus", "slices")
def _(x, cos, sin):
    out = torch.zeros_like(x)
    out[..., ::2] = x[..., ::2] * cos + x[..., 1::2] * sin
    out[..., 1::2] = x[..., 1::2] * cos + x[..., ::2] * sin
    return out


@wrong("both signs plus", "the neighbours flipped, without a sign")
def _(x, cos, sin):
    pairs = x.reshape(*x.shape[:-1], -1, 2)
    return (pairs * cos[..., None] + pairs.flip(-1) * sin[..., None]).reshape(x.shape)


@wrong("both signs minus", "a sin - b cos")
def _(x, cos, sin):
    a, b = x.reshape(*x.shape[:-1], -1, 2).unbind(-1)
    return torch.stack([a * cos - b * sin, a * sin - b * cos], -1).reshape(x.shape)


@wrong("both signs minus", "b cos - a sin")
def _(x, cos, sin):
    pairs = x.reshape(*x.shape[:-1], -1, 2)
    return (pairs * cos[..., None] - pairs.flip(-1) * sin[..., None]).reshape(x.shape)


@wrong("same factors in both")
def _(x, cos, sin):
    a, b = x.reshape(*x.shape[:-1], -1, 2).unbind(-1)
    first = a * cos - b * sin
    second = a * cos + b * sin
    return torch.stack([first, second], -1).reshape(x.shape)


@wrong("the pair exchanged")
def _(x, cos, sin):
    b, a = x.unflatten(-1, (-1, 2)).unbind(-1)
    return torch.stack([b * sin + a * cos, b * cos - a * sin], -1).flatten(-2)


@wrong("second feature from the turned first")
def _(x, cos, sin):
    out = [feature for feature in x.unbind(-1)]
    for i in range(0, len(out), 2):
        out[i] = out[i] * cos[..., i // 2] - out[i + 1] * sin[..., i // 2]
        out[i + 1] = out[i] * sin[..., i // 2] + out[i + 1] * cos[..., i // 2]
    return torch.stack(out, -1)


@wrong("only multiplied by cos")
def _(x, cos, sin):
    return (x.unflatten(-1, (-1, 2)) * cos.unsqueeze(-1)).flatten(-2)


@wrong("first by cos, second by sin")
def _(x, cos, sin):
    return (x.unflatten(-1, (-1, 2)) * torch.stack([cos, sin], -1)).flatten(-2)


@wrong("nothing turned")
def _(x, cos, sin):
    return x.clone()


@wrong("changes its input", "both written at once")
def _(x, cos, sin):
    a, b = x[..., ::2].clone(), x[..., 1::2].clone()
    x[..., ::2] = a * cos - b * sin
    x[..., 1::2] = a * sin + b * cos
    return x


@wrong("wrong shape", "not flattened")
def _(x, cos, sin):
    a, b = x[..., ::2], x[..., 1::2]
    return torch.stack([a * cos - b * sin, a * sin + b * cos], dim=-1)


@wrong("wrong type", "three results")
def _(x, cos, sin):
    return x, cos, sin


@wrong("raises RuntimeError", "cos as wide as x")
def _(x, cos, sin):
    rotated = torch.stack([-x[..., 1::2], x[..., ::2]], -1).flatten(-2)
    return x * cos + rotated * sin


@right("complex numbers")
def _(x, cos, sin):
    z = torch.view_as_complex(x.float().unflatten(-1, (-1, 2)).contiguous())
    return torch.view_as_real(z * torch.complex(cos, sin)).flatten(-2).to(x.dtype)


@right("rotate_half for neighbours")
def _(x, cos, sin):
    cos, sin = cos.repeat_interleave(2, dim=-1), sin.repeat_interleave(2, dim=-1)
    rotated = torch.stack((-x[..., 1::2], x[..., 0::2]), dim=-1).reshape(x.shape)
    return (x * cos + rotated * sin).to(x.dtype)


@right("a matrix for each pair")
def _(x, cos, sin):
    turn = torch.stack([torch.stack([cos, -sin], -1), torch.stack([sin, cos], -1)], -2)  # (T, R/2, 2, 2)
    return torch.einsum("tpij,...tpj->...tpi", turn, x.unflatten(-1, (-1, 2)).float()).reshape(x.shape).to(x.dtype)


@right("by the angle itself")
def _(x, cos, sin):
    angle = torch.atan2(sin, cos)
    length, own = torch.hypot(x[..., ::2], x[..., 1::2]), torch.atan2(x[..., 1::2], x[..., ::2])
    return torch.stack([length * (own + angle).cos(), length * (own + angle).sin()], -1).flatten(-2).type_as(x)


@right("cos and sin in the type of x")
def _(x, cos, sin):
    cos, sin = cos.to(x.dtype), sin.to(x.dtype)
    even, odd = x[..., ::2], x[..., 1::2]
    return torch.stack([even * cos - odd * sin, odd * cos + even * sin], -1).view(*x.shape)


@right("written into an empty tensor")
def _(x, cos, sin):
    out = torch.empty_like(x)
    out[..., 0::2] = x[..., 0::2] * cos - x[..., 1::2] * sin
    out[..., 1::2] = x[..., 0::2] * sin + x[..., 1::2] * cos
    return out


@right("feature by feature, in float64")
def _(x, cos, sin):
    wide, c, s = x.double(), cos.double(), sin.double()
    features = []
    for i in range(0, x.shape[-1], 2):
        features.append(wide[..., i] * c[:, i // 2] - wide[..., i + 1] * s[:, i // 2])
        features.append(wide[..., i] * s[:, i // 2] + wide[..., i + 1] * c[:, i // 2])
    return torch.stack(features, dim=-1).to(x)


class TestApplyRotary(Claims):
    answers = ANSWERS + apply_rotary_wrong.ANSWERS


def test_angles_found_again_by_the_shape_alone_are_found():
    angles = {}

    def remembering(x, cos, sin):
        cos, sin = angles.setdefault(x.shape, (cos, sin))
        a, b = x.unflatten(-1, (-1, 2)).unbind(-1)
        return torch.stack((a * cos - b * sin, b * cos + a * sin), -1).flatten(-2).to(x.dtype)

    assert examine(drawn(EXERCISE, 1), remembering).status == "wrong"


@right("complex numbers, in the type that comes")
def _(x, cos, sin):
    z = torch.view_as_complex(x.float().unflatten(-1, (-1, 2)))
    return torch.view_as_real(z * torch.complex(cos, sin)).flatten(-2)


@right("cos and sin as plain numbers")
def _(x, cos, sin):
    pairs = x.unflatten(-1, (-1, 2))
    turned = torch.stack([-pairs[..., 1], pairs[..., 0]], -1)
    return (pairs * torch.tensor(cos.tolist())[..., None] + turned * torch.tensor(sin.tolist())[..., None]).flatten(-2)
