"""Lesson 01: wrong answers as beginners write them, each with its name; right ones, each written differently."""

import math

import torch
import torch.nn.functional as F
from exercises.answers import Answers, Claims

from mini_moe.course.exercises import transformer

ANSWERS = Answers(transformer)
wrong, right = ANSWERS.wrong, ANSWERS.right

NORM = transformer.RMS_NORM
ROTARY = transformer.APPLY_ROTARY
ATTENTION = transformer.CAUSAL_ATTENTION
SWIGLU = transformer.SWIGLU
BITS = transformer.BITS_PER_BYTE


class TestTransformer(Claims):
    answers = ANSWERS


# --- rms_norm ---------------------------------------------------------------------------------------------------------


@wrong(NORM, "mean subtracted", "F.layer_norm")
def _(x, weight, eps=1e-6):
    return F.layer_norm(x, (x.shape[-1],), weight=weight, eps=eps)


@wrong(NORM, "mean subtracted", "mean and std by hand")
def _(x, weight, eps=1e-6):
    mu = torch.mean(x, -1, keepdim=True)
    sigma = torch.std(x, -1, keepdim=True)
    return weight * (x - mu) / (sigma + eps)


@wrong(NORM, "mean subtracted", "unbiased variance")
def _(x, weight, eps=1e-6):
    mu = torch.mean(x, -1, keepdim=True)
    var = torch.var(x, -1, keepdim=True)
    return (x - mu) * torch.rsqrt(var + eps) * weight


@wrong(NORM, "divided by the standard deviation", "std plus eps")
def _(x, weight, eps=1e-6):
    return weight * x / (x.std(-1, keepdim=True) + eps)


@wrong(NORM, "divided by the standard deviation", "rsqrt of the variance")
def _(x, weight, eps=1e-6):
    var = ((x - x.mean(-1, keepdim=True)) ** 2).mean(-1, keepdim=True)
    return x * torch.rsqrt(var + eps) * weight


@wrong(NORM, "no square root")
def _(x, weight, eps=1e-6):
    mean_square = x.pow(2).mean(-1, keepdim=True)
    return x / (mean_square + eps) * weight


@wrong(NORM, "multiplied in place of divided")
def _(x, weight, eps=1e-6):
    rms = torch.sqrt(torch.mean(x**2, dim=-1, keepdim=True) + eps)
    return x * rms * weight


@wrong(NORM, "sum in place of mean", "eps under the root")
def _(x, weight, eps=1e-6):
    return x * torch.rsqrt((x * x).sum(-1, keepdim=True) + eps) * weight


@wrong(NORM, "sum in place of mean", "F.normalize")
def _(x, weight, eps=1e-6):
    return F.normalize(x, dim=-1) * weight


@wrong(NORM, "sum in place of mean", "torch.linalg.norm")
def _(x, weight, eps=1e-6):
    length = torch.linalg.norm(x, dim=-1, keepdim=True)
    return x / (length + eps) * weight


@wrong(NORM, "mean of absolute values", "root of the square, in the wrong order")
def _(x, weight, eps=1e-6):
    root = torch.sqrt(x**2).mean(-1, keepdim=True)
    return x / (root + eps) * weight


@wrong(NORM, "mean of absolute values", "without eps")
def _(x, weight, eps=1e-6):
    return x / torch.abs(x).mean(-1).unsqueeze(-1) * weight


@wrong(NORM, "square of the mean")
def _(x, weight, eps=1e-6):
    mean = x.mean(-1, keepdim=True)
    rms = torch.sqrt(mean**2 + eps)
    return x / rms * weight


@wrong(NORM, "weight left out")
def _(x, weight, eps=1e-6):
    ms = (x**2).mean(-1, keepdim=True)
    return x / torch.sqrt(ms + eps)


@wrong(NORM, "weight as 1 + weight")
def _(x, weight, eps=1e-6):
    y = x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps)
    return y + y * weight


@wrong(NORM, "weight added")
def _(x, weight, eps=1e-6):
    y = x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps)
    return y + weight


@wrong(NORM, "weight before the norm")
def _(x, weight, eps=1e-6):
    x = x * weight
    return x / torch.sqrt((x * x).mean(-1, keepdim=True) + eps)


@wrong(NORM, "eps outside the root")
def _(x, weight, eps=1e-6):
    rms = x.pow(2).mean(dim=-1, keepdim=True).sqrt()
    return weight * (x / (rms + eps))


@wrong(NORM, "eps as a lower bound", "of the mean square")
def _(x, weight, eps=1e-6):
    ms = torch.maximum(x.pow(2).mean(-1, keepdim=True), torch.tensor(eps))
    return weight * x * ms**-0.5


@wrong(NORM, "eps as a lower bound", "of the root")
def _(x, weight, eps=1e-6):
    rms = x.pow(2).mean(-1, keepdim=True).sqrt()
    return weight * x / torch.clamp(rms, min=eps)


@wrong(NORM, "eps left out")
def _(x, weight, eps=1e-6):
    rms = x.pow(2).mean(dim=-1, keepdim=True) ** 0.5
    return weight * x / rms


@wrong(NORM, "eps written in", "the default")
def _(x, weight, eps=1e-6):
    return x * torch.rsqrt((x**2).mean(-1, keepdim=True) + 1e-6) * weight


@wrong(NORM, "eps written in", "LayerNorm's")
def _(x, weight, eps=1e-6):
    return x * torch.rsqrt((x**2).mean(-1, keepdim=True) + 1e-5) * weight


@wrong(NORM, "eps written in", "torch's own")
def _(x, weight, eps=1e-6):
    return F.rms_norm(x, weight.shape, weight)


@wrong(NORM, "mean over everything")
def _(x, weight, eps=1e-6):
    rms = torch.sqrt(torch.mean(x**2) + eps)
    return x / rms * weight


@wrong(NORM, "mean over the wrong dimension", "the first")
def _(x, weight, eps=1e-6):
    return x * torch.rsqrt(torch.mean(x * x, 0) + eps) * weight


@wrong(NORM, "mean over the wrong dimension", "the second")
def _(x, weight, eps=1e-6):
    return x * torch.rsqrt(torch.mean(x * x, dim=1, keepdim=True) + eps) * weight


@wrong(NORM, "size detached", "no_grad")
def _(x, weight, eps=1e-6):
    with torch.no_grad():
        scale = torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps)
    return x * scale * weight


@wrong(NORM, "overwrites what the gradient needs", "x /=, which autograd still needed")
def _(x, weight, eps=1e-6):
    rms = torch.sqrt((x**2).mean(-1, keepdim=True) + eps).clone()
    x /= rms
    return x * weight


@wrong(NORM, "gradient missing", "a new tensor")
def _(x, weight, eps=1e-6):
    rows = [[value / math.sqrt(sum(v * v for v in row) / len(row) + eps) for value in row]
            for row in x.reshape(-1, x.shape[-1]).tolist()]  # fmt: skip
    return torch.tensor(rows).reshape(x.shape) * weight


@wrong(NORM, "changes its input", "squared in place, on the data")
def _(x, weight, eps=1e-6):
    normed = F.rms_norm(x, weight.shape, weight, eps)
    x.data.pow_(2)
    return normed


@wrong(NORM, "gradient missing", "weight.data")
def _(x, weight, eps=1e-6):
    return x * torch.rsqrt((x**2).mean(-1, keepdim=True) + eps) * weight.data


@wrong(NORM, "raises RuntimeError", "no keepdim")
def _(x, weight, eps=1e-6):
    return weight * x / torch.sqrt((x**2).mean(-1) + eps)


@wrong(NORM, "wrong shape", "the size alone")
def _(x, weight, eps=1e-6):
    return torch.sqrt((x**2).mean(-1) + eps)


@wrong(NORM, "wrong dtype", "left in float64")
def _(x, weight, eps=1e-6):
    x = x.double()
    return weight * x / torch.sqrt((x**2).mean(-1, keepdim=True) + eps)


@wrong(NORM, "returns None")
def _(x, weight, eps=1e-6):
    y = x / torch.sqrt((x**2).mean(-1, keepdim=True) + eps)
    y = y * weight


@right(NORM, "F.rms_norm")
def _(x, weight, eps=1e-6):
    return F.rms_norm(x, (x.shape[-1],), weight, eps)


@right(NORM, "float64 inside")
def _(x, weight, eps=1e-6):
    wide = x.double()
    return (weight.double() * wide / (wide.pow(2).mean(-1, keepdim=True) + eps).sqrt()).to(x.dtype)


@right(NORM, "einsum and a power")
def _(x, weight, eps=1e-6):
    mean = torch.einsum("...d,...d->...", x, x) / x.size(-1)
    return torch.einsum("...d,d,...->...d", x, weight, (mean + eps) ** -0.5)


@right(NORM, "row by row")
def _(x, weight, eps=1e-6):
    rows = []
    for row in x.reshape(-1, x.shape[-1]):
        rms = torch.sqrt(torch.dot(row, row) / len(row) + eps)
        rows.append(row / rms * weight)
    return torch.stack(rows).view_as(x)


@right(NORM, "the length, in place on its own copy")
def _(x, weight, eps=1e-6):
    y = x.clone()
    n = x.shape[-1]
    y *= n**0.5
    y /= torch.sqrt(torch.linalg.vector_norm(x, dim=-1, keepdim=True) ** 2 + n * eps)
    return y.mul_(weight)


# --- apply_rotary -----------------------------------------------------------------------------------------------------


@wrong(ROTARY, "halves paired", "rotate_half, as in other models")
def _(x, cos, sin):
    cos, sin = torch.cat((cos, cos), -1), torch.cat((sin, sin), -1)
    half = x.shape[-1] // 2
    x1, x2 = x[..., :half], x[..., half:]
    return x * cos + torch.cat((-x2, x1), dim=-1) * sin


@wrong(ROTARY, "halves paired", "with the angles of neighbours")
def _(x, cos, sin):
    cos, sin = cos.repeat_interleave(2, -1), sin.repeat_interleave(2, -1)
    half = x.shape[-1] // 2
    x1, x2 = x[..., :half], x[..., half:]
    return x * cos + torch.cat((-x2, x1), dim=-1) * sin


@wrong(ROTARY, "angles not side by side")
def _(x, cos, sin):
    rotated = torch.empty_like(x)
    rotated[..., ::2] = -x[..., 1::2]
    rotated[..., 1::2] = x[..., ::2]
    return x * torch.cat([cos, cos], dim=-1) + rotated * torch.cat([sin, sin], dim=-1)


@wrong(ROTARY, "turned backwards", "signs exchanged")
def _(x, cos, sin):
    out = torch.zeros_like(x)
    even, odd = x[..., ::2], x[..., 1::2]
    out[..., ::2] = even * cos + odd * sin
    out[..., 1::2] = odd * cos - even * sin
    return out


@wrong(ROTARY, "turned backwards", "the complex conjugate")
def _(x, cos, sin):
    z = torch.view_as_complex(x.unflatten(-1, (-1, 2)).contiguous())
    return torch.view_as_real(z * torch.complex(cos, -sin)).flatten(-2)


@wrong(ROTARY, "not interleaved again", "cat")
def _(x, cos, sin):
    even, odd = x[..., ::2], x[..., 1::2]
    return torch.cat([even * cos - odd * sin, even * sin + odd * cos], -1)


@wrong(ROTARY, "not interleaved again", "stacked along the wrong dimension")
def _(x, cos, sin):
    even, odd = x[..., ::2], x[..., 1::2]
    both = torch.stack([even * cos - odd * sin, even * sin + odd * cos], dim=-2)
    return both.reshape(x.shape)


@wrong(ROTARY, "cos and sin exchanged")
def _(x, cos, sin):
    cos, sin = sin, cos
    out = torch.zeros_like(x)
    out[..., ::2] = x[..., ::2] * cos - x[..., 1::2] * sin
    out[..., 1::2] = x[..., ::2] * sin + x[..., 1::2] * cos
    return out


@wrong(ROTARY, "both signs plus", "slices")
def _(x, cos, sin):
    out = torch.zeros_like(x)
    out[..., ::2] = x[..., ::2] * cos + x[..., 1::2] * sin
    out[..., 1::2] = x[..., 1::2] * cos + x[..., ::2] * sin
    return out


@wrong(ROTARY, "both signs plus", "the neighbours flipped, without a sign")
def _(x, cos, sin):
    pairs = x.reshape(*x.shape[:-1], -1, 2)
    return (pairs * cos[..., None] + pairs.flip(-1) * sin[..., None]).reshape(x.shape)


@wrong(ROTARY, "both signs minus", "a sin - b cos")
def _(x, cos, sin):
    a, b = x.reshape(*x.shape[:-1], -1, 2).unbind(-1)
    return torch.stack([a * cos - b * sin, a * sin - b * cos], -1).reshape(x.shape)


@wrong(ROTARY, "both signs minus", "b cos - a sin")
def _(x, cos, sin):
    pairs = x.reshape(*x.shape[:-1], -1, 2)
    return (pairs * cos[..., None] - pairs.flip(-1) * sin[..., None]).reshape(x.shape)


@wrong(ROTARY, "same factors in both")
def _(x, cos, sin):
    a, b = x.reshape(*x.shape[:-1], -1, 2).unbind(-1)
    first = a * cos - b * sin
    second = a * cos + b * sin
    return torch.stack([first, second], -1).reshape(x.shape)


@wrong(ROTARY, "the pair exchanged")
def _(x, cos, sin):
    b, a = x.unflatten(-1, (-1, 2)).unbind(-1)
    return torch.stack([b * sin + a * cos, b * cos - a * sin], -1).flatten(-2)


@wrong(ROTARY, "second feature from the turned first")
def _(x, cos, sin):
    out = [feature for feature in x.unbind(-1)]
    for i in range(0, len(out), 2):
        out[i] = out[i] * cos[..., i // 2] - out[i + 1] * sin[..., i // 2]
        out[i + 1] = out[i] * sin[..., i // 2] + out[i + 1] * cos[..., i // 2]
    return torch.stack(out, -1)


@wrong(ROTARY, "only multiplied by cos")
def _(x, cos, sin):
    return (x.unflatten(-1, (-1, 2)) * cos.unsqueeze(-1)).flatten(-2)


@wrong(ROTARY, "first by cos, second by sin")
def _(x, cos, sin):
    return (x.unflatten(-1, (-1, 2)) * torch.stack([cos, sin], -1)).flatten(-2)


@wrong(ROTARY, "nothing turned")
def _(x, cos, sin):
    return x.clone()


@wrong(ROTARY, "changes its input", "both written at once")
def _(x, cos, sin):
    a, b = x[..., ::2].clone(), x[..., 1::2].clone()
    x[..., ::2] = a * cos - b * sin
    x[..., 1::2] = a * sin + b * cos
    return x


@wrong(ROTARY, "wrong shape", "not flattened")
def _(x, cos, sin):
    a, b = x[..., ::2], x[..., 1::2]
    return torch.stack([a * cos - b * sin, a * sin + b * cos], dim=-1)


@wrong(ROTARY, "wrong type", "three results")
def _(x, cos, sin):
    return x, cos, sin


@wrong(ROTARY, "raises RuntimeError", "cos as wide as x")
def _(x, cos, sin):
    rotated = torch.stack([-x[..., 1::2], x[..., ::2]], -1).flatten(-2)
    return x * cos + rotated * sin


@right(ROTARY, "complex numbers")
def _(x, cos, sin):
    z = torch.view_as_complex(x.unflatten(-1, (-1, 2)).contiguous())
    return torch.view_as_real(z * torch.complex(cos, sin)).flatten(-2)


@right(ROTARY, "rotate_half for neighbours")
def _(x, cos, sin):
    cos, sin = cos.repeat_interleave(2, dim=-1), sin.repeat_interleave(2, dim=-1)
    rotated = torch.stack((-x[..., 1::2], x[..., 0::2]), dim=-1).reshape(x.shape)
    return x * cos + rotated * sin


@right(ROTARY, "a matrix for each pair")
def _(x, cos, sin):
    turn = torch.stack([torch.stack([cos, -sin], -1), torch.stack([sin, cos], -1)], -2)  # (T, R/2, 2, 2)
    return torch.einsum("tpij,...tpj->...tpi", turn, x.unflatten(-1, (-1, 2))).reshape(x.shape)


@right(ROTARY, "written into an empty tensor")
def _(x, cos, sin):
    out = torch.empty_like(x)
    out[..., 0::2] = x[..., 0::2] * cos - x[..., 1::2] * sin
    out[..., 1::2] = x[..., 0::2] * sin + x[..., 1::2] * cos
    return out


@right(ROTARY, "feature by feature, in float64")
def _(x, cos, sin):
    wide, c, s = x.double(), cos.double(), sin.double()
    features = []
    for i in range(0, x.shape[-1], 2):
        features.append(wide[..., i] * c[:, i // 2] - wide[..., i + 1] * s[:, i // 2])
        features.append(wide[..., i] * s[:, i // 2] + wide[..., i + 1] * c[:, i // 2])
    return torch.stack(features, dim=-1).to(x)


# --- causal_attention -------------------------------------------------------------------------------------------------


@wrong(ATTENTION, "no mask", "four lines")
def _(q, k, v, scale):
    scores = torch.matmul(q, k.mT)
    scores = scores * scale
    weights = F.softmax(scores, dim=-1)
    return torch.matmul(weights, v)


@wrong(ATTENTION, "no mask", "F.scaled_dot_product_attention")
def _(q, k, v, scale):
    return F.scaled_dot_product_attention(q, k, v, scale=scale)


@wrong(ATTENTION, "no mask", "the masked scores not kept")
def _(q, k, v, scale):
    scores = torch.einsum("bhtd,bhsd->bhts", q, k) * scale
    mask = torch.ones(q.size(2), k.size(2)).tril(k.size(2) - q.size(2))
    scores.masked_fill(mask == 0, float("-inf"))
    return F.softmax(scores, dim=-1) @ v


@wrong(ATTENTION, "own position hidden", "-inf")
def _(q, k, v, scale):
    T, S = q.size(-2), k.size(-2)
    mask = torch.tril(torch.ones(T, S), diagonal=S - T - 1)
    scores = (q @ k.mT * scale).masked_fill(mask == 0, -math.inf)
    return F.softmax(scores, -1) @ v


@wrong(ATTENTION, "own position hidden", "a large number")
def _(q, k, v, scale):
    T, S = q.size(-2), k.size(-2)
    visible = torch.arange(S)[None, :] < (torch.arange(T) + S - T)[:, None]
    scores = torch.where(visible, q @ k.mT * scale, torch.tensor(-1e9))
    return F.softmax(scores, -1) @ v


@wrong(ATTENTION, "one position of the future seen")
def _(q, k, v, scale):
    T, S = q.size(-2), k.size(-2)
    visible = torch.arange(S)[None, :] <= (torch.arange(T) + S - T + 1)[:, None]
    scores = torch.where(visible, q @ k.mT * scale, -torch.inf)
    return F.softmax(scores, -1) @ v


@wrong(ATTENTION, "past hidden")
def _(q, k, v, scale):
    T, S = q.size(-2), k.size(-2)
    keep = torch.triu(torch.ones(T, S), diagonal=S - T)
    scores = (q @ k.mT * scale).masked_fill(keep == 0, float("-inf"))
    return F.softmax(scores, -1) @ v


@wrong(ATTENTION, "mask inverted", "-inf")
def _(q, k, v, scale):
    T, S = q.size(-2), k.size(-2)
    mask = torch.tril(torch.ones(T, S, dtype=torch.bool), diagonal=S - T)
    scores = (q @ k.mT * scale).masked_fill(mask, float("-inf"))
    return F.softmax(scores, -1) @ v


@wrong(ATTENTION, "mask inverted", "a large number")
def _(q, k, v, scale):
    T, S = q.size(-2), k.size(-2)
    mask = torch.tril(torch.ones(T, S, dtype=torch.bool), diagonal=S - T)
    scores = (q @ k.mT * scale).masked_fill(mask, -1e9)
    return F.softmax(scores, -1) @ v


@wrong(ATTENTION, "mask starts at the first key", "is_causal")
def _(q, k, v, scale):
    return F.scaled_dot_product_attention(q, k, v, is_causal=True, scale=scale)


@wrong(ATTENTION, "mask starts at the first key", "tril")
def _(q, k, v, scale):
    scores = q @ k.mT * scale
    scores = scores.masked_fill(torch.ones_like(scores).tril() == 0, float("-inf"))
    return scores.softmax(-1) @ v


@wrong(ATTENTION, "masked with 0", "multiplied by the mask")
def _(q, k, v, scale):
    scores = q @ k.mT * scale
    scores = torch.tril(scores, diagonal=k.size(-2) - q.size(-2))
    return scores.softmax(-1) @ v


@wrong(ATTENTION, "masked with 0", "1e-9, a lost minus")
def _(q, k, v, scale):
    T, S = q.size(-2), k.size(-2)
    hidden = torch.ones(T, S).triu(S - T + 1).bool()
    return (q @ k.mT * scale).masked_fill(hidden, 1e-9).softmax(-1) @ v


@wrong(ATTENTION, "masked after the softmax")
def _(q, k, v, scale):
    weights = torch.softmax(torch.einsum("bhtd,bhsd->bhts", q, k) * scale, dim=-1)
    weights = weights.tril(k.size(-2) - q.size(-2))
    return torch.einsum("bhts,bhsd->bhtd", weights, v)


@wrong(ATTENTION, "softmax over the queries")
def _(q, k, v, scale):
    T, S = q.size(-2), k.size(-2)
    bias = torch.full((T, S), float("-inf")).triu(S - T + 1)
    return torch.softmax(q @ k.mT * scale + bias, dim=2) @ v


@wrong(ATTENTION, "softmax over the heads", "dim=1")
def _(q, k, v, scale):
    T, S = q.size(-2), k.size(-2)
    bias = torch.full((T, S), float("-inf")).triu(S - T + 1)
    return torch.softmax(q @ k.mT * scale + bias, dim=1) @ v


@wrong(ATTENTION, "softmax over the heads", "dim=0, a large number")
def _(q, k, v, scale):
    T, S = q.size(-2), k.size(-2)
    bias = torch.full((T, S), -1e9).triu(S - T + 1)
    return torch.softmax(q @ k.mT * scale + bias, dim=0) @ v


@wrong(ATTENTION, "scale left out")
def _(q, k, v, scale):
    S, T = k.size(-2), q.size(-2)
    bias = torch.full((T, S), float("-inf")).triu(S - T + 1)
    return torch.softmax(torch.matmul(q, k.transpose(2, 3)) + bias, dim=3) @ v


@wrong(ATTENTION, "divided by the scale")
def _(q, k, v, scale):
    S, T = k.size(-2), q.size(-2)
    bias = torch.full((T, S), float("-inf")).triu(S - T + 1)
    return torch.softmax(torch.matmul(q, k.transpose(2, 3)) / scale + bias, dim=3) @ v


@wrong(ATTENTION, "scale of its own", "the square root of d_k")
def _(q, k, v, scale):
    S, T, d_k = k.size(-2), q.size(-2), q.size(-1)
    bias = torch.full((T, S), float("-inf")).triu(S - T + 1)
    return torch.softmax(torch.matmul(q, k.transpose(2, 3)) / math.sqrt(d_k) + bias, dim=3) @ v


@wrong(ATTENTION, "scale of its own", "F.scaled_dot_product_attention's")
def _(q, k, v, scale):
    visible = torch.ones(q.size(-2), k.size(-2), dtype=torch.bool).tril(k.size(-2) - q.size(-2))
    return F.scaled_dot_product_attention(q, k, v, attn_mask=visible)


@wrong(ATTENTION, "scaled twice", "q and k")
def _(q, k, v, scale):
    q, k = q * scale, k * scale
    hidden = torch.ones(q.size(-2), k.size(-2), dtype=torch.bool).triu(k.size(-2) - q.size(-2) + 1)
    return (q @ k.mT).masked_fill(hidden, float("-inf")).softmax(-1) @ v


@wrong(ATTENTION, "scaled twice", "and by F.scaled_dot_product_attention")
def _(q, k, v, scale):
    visible = torch.ones(q.size(-2), k.size(-2), dtype=torch.bool).tril(k.size(-2) - q.size(-2))
    return F.scaled_dot_product_attention(scale * q, k, v, attn_mask=visible)


@wrong(ATTENTION, "root of the scale")
def _(q, k, v, scale):
    hidden = torch.ones(q.size(-2), k.size(-2), dtype=torch.bool).triu(k.size(-2) - q.size(-2) + 1)
    return (q @ k.mT * math.sqrt(scale)).masked_fill(hidden, float("-inf")).softmax(-1) @ v


@wrong(ATTENTION, "scaled after the softmax")
def _(q, k, v, scale):
    hidden = torch.ones(q.size(-2), k.size(-2), dtype=torch.bool).triu(k.size(-2) - q.size(-2) + 1)
    weights = (q @ k.mT).masked_fill(hidden, float("-inf")).softmax(-1) * scale
    return weights @ v


@wrong(ATTENTION, "query and key exchanged")
def _(q, k, v, scale):
    scores = k @ q.transpose(-1, -2) * scale
    hidden = torch.ones(q.size(-2), q.size(-2), dtype=torch.bool).triu(1)
    return scores.masked_fill(hidden, float("-inf")).softmax(dim=-1) @ v


@wrong(ATTENTION, "no softmax")
def _(q, k, v, scale):
    weights = torch.einsum("bhtd,bhsd->bhts", q, k) * scale
    visible = torch.ones(q.size(-2), k.size(-2)).tril(k.size(-2) - q.size(-2))
    return weights * visible @ v


@wrong(ATTENTION, "exponentials not divided by their sum")
def _(q, k, v, scale):
    weights = torch.exp(torch.einsum("bhtd,bhsd->bhts", q, k) * scale)
    visible = torch.ones(q.size(-2), k.size(-2)).tril(k.size(-2) - q.size(-2))
    return weights * visible @ v


@wrong(ATTENTION, "NaN or inf", "0 times infinity")
def _(q, k, v, scale):
    future = torch.ones(q.size(-2), k.size(-2)).triu(k.size(-2) - q.size(-2) + 1)
    return (q @ k.mT * scale + future * float("-inf")).softmax(-1) @ v


@wrong(ATTENTION, "raises RuntimeError", "a square mask")
def _(q, k, v, scale):
    T = q.size(-2)
    future = torch.ones(T, T, dtype=torch.bool).triu(1)
    return (q @ k.mT * scale).masked_fill(future, float("-inf")).softmax(-1) @ v


@wrong(ATTENTION, "raises RuntimeError", "k not transposed")
def _(q, k, v, scale):
    return (q @ k * scale).softmax(-1) @ v


@wrong(ATTENTION, "wrong shape", "the weights alone")
def _(q, k, v, scale):
    hidden = torch.ones(q.size(-2), k.size(-2), dtype=torch.bool).triu(k.size(-2) - q.size(-2) + 1)
    return (q @ k.mT * scale).masked_fill(hidden, float("-inf")).softmax(-1)


@wrong(ATTENTION, "changes its input", "q *=")
def _(q, k, v, scale):
    q *= scale
    hidden = torch.ones(q.size(-2), k.size(-2), dtype=torch.bool).triu(k.size(-2) - q.size(-2) + 1)
    return (q @ k.mT).masked_fill(hidden, float("-inf")).softmax(-1) @ v


@wrong(ATTENTION, "gradient missing", "weights detached")
def _(q, k, v, scale):
    hidden = torch.ones(q.size(-2), k.size(-2), dtype=torch.bool).triu(k.size(-2) - q.size(-2) + 1)
    weights = (q @ k.mT * scale).masked_fill(hidden, float("-inf")).softmax(-1)
    return weights.detach() @ v


@right(ATTENTION, "F.scaled_dot_product_attention")
def _(q, k, v, scale):
    visible = torch.ones(q.size(-2), k.size(-2), dtype=torch.bool).tril(k.size(-2) - q.size(-2))
    return F.scaled_dot_product_attention(query=q, key=k, value=v, attn_mask=visible, scale=scale)


@right(ATTENTION, "einsum, a large number, in place on its own scores")
def _(q, k, v, scale):
    scores = torch.einsum("bhtd,bhsd->bhts", q * scale, k)
    T, S = scores.shape[-2:]
    scores += torch.full((T, S), -1e9).triu_(1 + S - T)
    return torch.einsum("bhts,bhsd->bhtd", F.softmax(scores, -1), v)


@right(ATTENTION, "query by query")
def _(q, k, v, scale):
    T, S = q.shape[-2], k.shape[-2]
    rows = []
    for t in range(T):
        seen = S - T + t + 1
        scores = (k[:, :, :seen] * q[:, :, t : t + 1]).sum(-1) * scale
        weights = torch.softmax(scores, dim=-1)
        rows.append((weights.unsqueeze(-1) * v[:, :, :seen]).sum(-2))
    return torch.stack(rows, dim=-2)


@right(ATTENTION, "masked after the softmax, but divided again")
def _(q, k, v, scale):
    weights = (q @ k.mT * scale).softmax(-1).tril(k.size(-2) - q.size(-2))
    return weights / weights.sum(-1, keepdim=True) @ v


@right(ATTENTION, "exp and log, float64 inside")
def _(q, k, v, scale):
    positions = torch.arange(k.size(-2))
    scores = q.double() @ k.double().mT * scale
    scores = torch.where(positions <= positions[-q.size(-2) :, None], scores, -torch.inf)
    return (torch.exp(scores - torch.logsumexp(scores, -1, keepdim=True)) @ v.double()).float()


# --- swiglu -----------------------------------------------------------------------------------------------------------


@wrong(SWIGLU, "gate and up exchanged")
def _(x, w_gate, w_up, w_down):
    up = F.silu(x @ w_up.T)
    gate = x @ w_gate.T
    return (gate * up) @ w_down.T


@wrong(SWIGLU, "silu in both branches")
def _(x, w_gate, w_up, w_down):
    gate, up = (F.silu(x @ w.T) for w in (w_gate, w_up))
    return (gate * up) @ w_down.T


@wrong(SWIGLU, "sigmoid in place of silu")
def _(x, w_gate, w_up, w_down):
    gate = 1 / (1 + torch.exp(-(x @ w_gate.T)))
    return (gate * (x @ w_up.T)) @ w_down.T


@wrong(SWIGLU, "sign of the exponent")
def _(x, w_gate, w_up, w_down):
    z = x @ w_gate.T
    return (z * torch.sigmoid(-z) * (x @ w_up.T)) @ w_down.T


@wrong(SWIGLU, "relu in place of silu")
def _(x, w_gate, w_up, w_down):
    gate = (x @ w_gate.T).clamp(min=0)
    return (gate * (x @ w_up.T)) @ w_down.T


@wrong(SWIGLU, "gelu in place of silu", "exact")
def _(x, w_gate, w_up, w_down):
    z = x @ w_gate.T
    gate = 0.5 * z * (1 + torch.erf(z / math.sqrt(2)))
    return (gate * (x @ w_up.T)) @ w_down.T


@wrong(SWIGLU, "gelu in place of silu", "by tanh")
def _(x, w_gate, w_up, w_down):
    z = x @ w_gate.T
    gate = 0.5 * z * (1 + torch.tanh(math.sqrt(2 / math.pi) * (z + 0.044715 * z**3)))
    return (gate * (x @ w_up.T)) @ w_down.T


@wrong(SWIGLU, "tanh in place of silu")
def _(x, w_gate, w_up, w_down):
    return F.linear(F.linear(x, w_gate).tanh() * F.linear(x, w_up), w_down)


@wrong(SWIGLU, "no bend")
def _(x, w_gate, w_up, w_down):
    gate = F.linear(x, w_gate)
    up = F.linear(x, w_up)
    return F.linear(gate * up, w_down)


@wrong(SWIGLU, "added in place of multiplied")
def _(x, w_gate, w_up, w_down):
    hidden = F.silu(x @ w_gate.T)
    hidden = hidden + x @ w_up.T
    return hidden @ w_down.T


@wrong(SWIGLU, "silu after the product")
def _(x, w_gate, w_up, w_down):
    hidden = (x @ w_gate.T) * (x @ w_up.T)
    hidden = hidden * torch.sigmoid(hidden)
    return hidden @ w_down.T


@wrong(SWIGLU, "silu at the end")
def _(x, w_gate, w_up, w_down):
    hidden = (x @ w_gate.T) * (x @ w_up.T)
    y = hidden @ w_down.T
    return y * torch.sigmoid(y)


@wrong(SWIGLU, "input added")
def _(x, w_gate, w_up, w_down):
    residual = x
    x = F.silu(x @ w_gate.T) * (x @ w_up.T)
    return residual + x @ w_down.T


@wrong(SWIGLU, "no gate")
def _(x, w_gate, w_up, w_down):
    z = torch.einsum("...d,id->...i", x, w_up)
    return torch.einsum("...i,di->...d", z * z.sigmoid(), w_down)


@wrong(SWIGLU, "no way up")
def _(x, w_gate, w_up, w_down):
    z = torch.einsum("...d,id->...i", x, w_gate)
    return torch.einsum("...i,di->...d", z * z.sigmoid(), w_down)


@wrong(SWIGLU, "raises RuntimeError", "weights not transposed")
def _(x, w_gate, w_up, w_down):
    return (F.silu(x @ w_gate) * (x @ w_up)) @ w_down


@wrong(SWIGLU, "wrong shape", "not led back")
def _(x, w_gate, w_up, w_down):
    return F.silu(F.linear(x, w_gate)) * F.linear(x, w_up)


@wrong(SWIGLU, "wrong shape", "tokens laid flat")
def _(x, w_gate, w_up, w_down):
    x = x.reshape(-1, x.shape[-1])
    return (F.silu(x @ w_gate.T) * (x @ w_up.T)) @ w_down.T


@wrong(SWIGLU, "gradient missing", "the gate detached")
def _(x, w_gate, w_up, w_down):
    gate = F.silu(x @ w_gate.T).detach()
    return (gate * (x @ w_up.T)) @ w_down.T


@right(SWIGLU, "einsum and the exponential")
def _(x, w_gate, w_up, w_down):
    z = torch.einsum("...d,id->...i", x, w_gate)
    inner = z / (1 + torch.exp(-z)) * torch.einsum("...d,id->...i", x, w_up)
    return torch.einsum("...i,di->...d", inner, w_down)


@right(SWIGLU, "one product for both")
def _(x, w_gate, w_up, w_down):
    gate, up = (x @ torch.cat((w_gate, w_up)).T).chunk(2, dim=-1)
    return F.silu(gate).mul_(up) @ w_down.mT


@right(SWIGLU, "token by token, feature by feature")
def _(x, w_gate, w_up, w_down):
    results = []
    for token in x.reshape(-1, x.shape[-1]):
        y = torch.zeros_like(token)
        for gate, up, down in zip(w_gate, w_up, w_down.T, strict=True):
            y = y + F.silu(token @ gate) * (token @ up) * down
        results.append(y)
    return torch.stack(results).reshape(x.shape)


@right(SWIGLU, "float64 inside")
def _(x, w_gate, w_up, w_down):
    z = x.double() @ w_gate.double().T
    return (z * torch.special.expit(z) * (x.double() @ w_up.double().T) @ w_down.double().T).to(x.dtype)


# --- bits_per_byte ----------------------------------------------------------------------------------------------------


@wrong(BITS, "nats, not bits")
def _(nats, n_bytes):
    loss = nats / n_bytes
    return loss


@wrong(BITS, "multiplied by ln 2")
def _(nats, n_bytes):
    bits = nats * math.log(2)
    return bits / n_bytes


@wrong(BITS, "bits in all")
def _(nats, n_bytes):
    bits = nats * math.log2(math.e)
    return bits


@wrong(BITS, "perplexity", "of e")
def _(nats, n_bytes):
    return math.exp(nats / n_bytes)


@wrong(BITS, "perplexity", "of 2")
def _(nats, n_bytes):
    loss = nats / n_bytes
    return pow(2, loss)


@wrong(BITS, "logarithm of the nats", "shared out after")
def _(nats, n_bytes):
    bits = math.log(nats, 2)
    return bits / n_bytes


@wrong(BITS, "logarithm of the nats", "shared out before")
def _(nats, n_bytes):
    per_byte = nats / n_bytes
    return math.log2(per_byte)


@wrong(BITS, "divided by 8 again")
def _(nats, n_bytes):
    bits = nats / math.log(2)
    n_bits = 8 * n_bytes
    return bits / n_bits


@wrong(BITS, "multiplied by 8")
def _(nats, n_bytes):
    per_byte = nats / math.log(2) / n_bytes
    return per_byte * 8


@wrong(BITS, "divided by 2")
def _(nats, n_bytes):
    return nats / (2 * n_bytes)


@wrong(BITS, "bytes per bit")
def _(nats, n_bytes):
    bits = nats / math.log(2)
    return n_bytes / bits


@wrong(BITS, "base 10")
def _(nats, n_bytes):
    return nats * math.log10(math.e) / n_bytes


@wrong(BITS, "ln 2 with few digits", "0.693")
def _(nats, n_bytes):
    return nats / 0.693 / n_bytes


@wrong(BITS, "ln 2 with few digits", "1.4427")
def _(nats, n_bytes):
    return 1.4427 * nats / n_bytes


@wrong(BITS, "rounded", "to hundredths")
def _(nats, n_bytes):
    return round(nats / (math.log(2) * n_bytes), 2)


@wrong(BITS, "rounded", "as it is printed")
def _(nats, n_bytes):
    return float(f"{nats / (math.log(2) * n_bytes):.3f}")


@wrong(BITS, "wrong type", "a tensor")
def _(nats, n_bytes):
    return nats / (torch.log(torch.tensor(2.0)) * n_bytes)


@wrong(BITS, "raises OverflowError", "through the probability of the whole text")
def _(nats, n_bytes):
    return math.log2(math.exp(nats)) / n_bytes


@wrong(BITS, "raises TypeError", "a count that has no length")
def _(nats, n_bytes):
    return nats / math.log(2) / len(n_bytes)


@wrong(BITS, "returns None")
def _(nats, n_bytes):
    bits = nats / math.log(2)
    print(bits / n_bytes)


@right(BITS, "log2 of e")
def _(nats, n_bytes):
    return math.log2(math.e) * nats / n_bytes


@right(BITS, "through the mean probability of a byte")
def _(nats, n_bytes):
    probability = math.exp(-nats / n_bytes)
    return -math.log2(probability)


@right(BITS, "torch, then a number")
def _(nats, n_bytes):
    return (torch.tensor(nats, dtype=torch.float64) / n_bytes / torch.log(torch.tensor(2.0)).double()).item()


@right(BITS, "by keyword, constants by hand")
def _(nats, n_bytes):
    return nats / 0.6931471805599453 / float(n_bytes)
