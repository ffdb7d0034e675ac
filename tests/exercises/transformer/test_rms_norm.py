"""Answers to `rms_norm`: wrong ones as learners write them, right ones each in another way."""

import math

import pytest
import torch
import torch.nn.functional as F
from exercises.answers import Answers, Claims, drawn
from exercises.transformer import rms_norm_wrong

from mini_moe.course.checking.examine import examine
from mini_moe.course.exercises.transformer.rms_norm import EXERCISE

ANSWERS = Answers(EXERCISE)
wrong, right = ANSWERS.wrong, ANSWERS.right


@wrong("mean subtracted", "F.layer_norm")
def _(x, weight, eps=1e-6):
    return F.layer_norm(x, (x.shape[-1],), weight=weight, eps=eps)


@wrong("mean subtracted", "mean and std by hand")
def _(x, weight, eps=1e-6):
    mu = torch.mean(x, -1, keepdim=True)
    sigma = torch.std(x, -1, keepdim=True)
    return weight * (x - mu) / (sigma + eps)


@wrong("mean subtracted", "unbiased variance")
def _(x, weight, eps=1e-6):
    mu = torch.mean(x, -1, keepdim=True)
    var = torch.var(x, -1, keepdim=True)
    return (x - mu) * torch.rsqrt(var + eps) * weight


@wrong("divided by the standard deviation", "std plus eps")
def _(x, weight, eps=1e-6):
    return weight * x / (x.std(-1, keepdim=True) + eps)


@wrong("divided by the standard deviation", "rsqrt of the variance")
def _(x, weight, eps=1e-6):
    var = ((x - x.mean(-1, keepdim=True)) ** 2).mean(-1, keepdim=True)
    return x * torch.rsqrt(var + eps) * weight


@wrong("no square root")
def _(x, weight, eps=1e-6):
    mean_square = x.pow(2).mean(-1, keepdim=True)
    return x / (mean_square + eps) * weight


@wrong("multiplied in place of divided")
def _(x, weight, eps=1e-6):
    rms = torch.sqrt(torch.mean(x**2, dim=-1, keepdim=True) + eps)
    return x * rms * weight


@wrong("sum in place of mean", "eps under the root")
def _(x, weight, eps=1e-6):
    return x * torch.rsqrt((x * x).sum(-1, keepdim=True) + eps) * weight


@wrong("sum in place of mean", "F.normalize")
def _(x, weight, eps=1e-6):
    return F.normalize(x, dim=-1) * weight


@wrong("sum in place of mean", "torch.linalg.norm")
def _(x, weight, eps=1e-6):
    length = torch.linalg.norm(x, dim=-1, keepdim=True)
    return x / (length + eps) * weight


@wrong("mean of absolute values", "root of the square, in the wrong order")
def _(x, weight, eps=1e-6):
    root = torch.sqrt(x**2).mean(-1, keepdim=True)
    return x / (root + eps) * weight


@wrong("mean of absolute values", "without eps")
def _(x, weight, eps=1e-6):
    return x / torch.abs(x).mean(-1).unsqueeze(-1) * weight


@wrong("square of the mean")
def _(x, weight, eps=1e-6):
    mean = x.mean(-1, keepdim=True)
    rms = torch.sqrt(mean**2 + eps)
    return x / rms * weight


@wrong("weight left out")
def _(x, weight, eps=1e-6):
    ms = (x**2).mean(-1, keepdim=True)
    return x / torch.sqrt(ms + eps)


@wrong("weight as 1 + weight")
def _(x, weight, eps=1e-6):
    y = x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps)
    return y + y * weight


@wrong("weight added")
def _(x, weight, eps=1e-6):
    y = x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps)
    return y + weight


@wrong("weight before the norm")
def _(x, weight, eps=1e-6):
    x = x * weight
    return x / torch.sqrt((x * x).mean(-1, keepdim=True) + eps)


@wrong("eps outside the root")
def _(x, weight, eps=1e-6):
    rms = x.pow(2).mean(dim=-1, keepdim=True).sqrt()
    return weight * (x / (rms + eps))


@wrong("eps as a lower bound", "of the mean square")
def _(x, weight, eps=1e-6):
    ms = torch.maximum(x.pow(2).mean(-1, keepdim=True), torch.tensor(eps))
    return weight * x * ms**-0.5


@wrong("eps as a lower bound", "of the root")
def _(x, weight, eps=1e-6):
    rms = x.pow(2).mean(-1, keepdim=True).sqrt()
    return weight * x / torch.clamp(rms, min=eps)


@wrong("eps left out")
def _(x, weight, eps=1e-6):
    rms = x.pow(2).mean(dim=-1, keepdim=True) ** 0.5
    return weight * x / rms


@wrong("eps written in", "the default")
def _(x, weight, eps=1e-6):
    return x * torch.rsqrt((x**2).mean(-1, keepdim=True) + 1e-6) * weight


@wrong("eps written in", "LayerNorm's")
def _(x, weight, eps=1e-6):
    return x * torch.rsqrt((x**2).mean(-1, keepdim=True) + 1e-5) * weight


@wrong("eps written in", "torch's own")
def _(x, weight, eps=1e-6):
    return F.rms_norm(x, weight.shape, weight)


@wrong("mean over everything")
def _(x, weight, eps=1e-6):
    rms = torch.sqrt(torch.mean(x**2) + eps)
    return x / rms * weight


@wrong("mean over the wrong dimension", "the first")
def _(x, weight, eps=1e-6):
    return x * torch.rsqrt(torch.mean(x * x, 0) + eps) * weight


@wrong("mean over the wrong dimension", "the second")
def _(x, weight, eps=1e-6):
    return x * torch.rsqrt(torch.mean(x * x, dim=1, keepdim=True) + eps) * weight


@wrong("size detached", "no_grad")
def _(x, weight, eps=1e-6):
    with torch.no_grad():
        scale = torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps)
    return x * scale * weight


@wrong("overwrites what the gradient needs", "x /=, which autograd still needed")
def _(x, weight, eps=1e-6):
    rms = torch.sqrt((x**2).mean(-1, keepdim=True) + eps).clone()
    x /= rms
    return x * weight


@wrong("gradient missing", "a new tensor")
def _(x, weight, eps=1e-6):
    rows = [[value / math.sqrt(sum(v * v for v in row) / len(row) + eps) for value in row]
            for row in x.reshape(-1, x.shape[-1]).tolist()]  # fmt: skip
    return torch.tensor(rows).reshape(x.shape) * weight


@wrong("changes its input", "squared in place, on the data")
def _(x, weight, eps=1e-6):
    normed = F.rms_norm(x, weight.shape, weight, eps)
    x.data.pow_(2)
    return normed


@wrong("gradient missing", "weight.data")
def _(x, weight, eps=1e-6):
    return x * torch.rsqrt((x**2).mean(-1, keepdim=True) + eps) * weight.data


@wrong("raises RuntimeError", "no keepdim")
def _(x, weight, eps=1e-6):
    return weight * x / torch.sqrt((x**2).mean(-1) + eps)


@wrong("wrong shape", "the size alone")
def _(x, weight, eps=1e-6):
    return torch.sqrt((x**2).mean(-1) + eps)


@wrong("wrong dtype", "left in float64")
def _(x, weight, eps=1e-6):
    x = x.double()
    return weight * x / torch.sqrt((x**2).mean(-1, keepdim=True) + eps)


@wrong("returns None")
def _(x, weight, eps=1e-6):
    y = x / torch.sqrt((x**2).mean(-1, keepdim=True) + eps)
    y = y * weight


@right("F.rms_norm")
def _(x, weight, eps=1e-6):
    return F.rms_norm(x, (x.shape[-1],), weight.to(x.dtype), eps)


@right("float64 inside")
def _(x, weight, eps=1e-6):
    wide = x.double()
    return (weight.double() * wide / (wide.pow(2).mean(-1, keepdim=True) + eps).sqrt()).to(x.dtype)


@right("einsum and a power")
def _(x, weight, eps=1e-6):
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    mean = torch.einsum("...d,...d->...", wide, wide) / x.size(-1)
    return torch.einsum("...d,d,...->...d", wide, weight, (mean + eps) ** -0.5).to(x.dtype)


@right("row by row")
def _(x, weight, eps=1e-6):
    rows = []
    for row in x.float().reshape(-1, x.shape[-1]):
        rms = torch.sqrt(torch.dot(row, row) / len(row) + eps)
        rows.append(row / rms * weight)
    return torch.stack(rows).view_as(x).to(x.dtype)


@right("the length, in place on its own copy")
def _(x, weight, eps=1e-6):
    y, n = x.float().clone(), x.shape[-1]
    length = torch.linalg.vector_norm(x.float(), dim=-1, keepdim=True)
    y *= n**0.5
    y /= torch.sqrt(length**2 + n * eps)
    return y.mul_(weight).to(x.dtype)


@right("back in the type of x before the weight, as Llama does")
def _(x, weight, eps=1e-6):
    wide = x.to(torch.float32)
    wide = wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + eps)
    return weight.to(x.dtype) * wide.to(x.dtype)


@right("no squares of large numbers, so no wider type")
def _(x, weight, eps=1e-6):
    largest = x.detach().abs().amax(-1, keepdim=True).clamp(min=1e-3)
    small = x / largest
    size = torch.sqrt(small.square().mean(-1, keepdim=True) + (eps / largest.float()) / largest.float())
    return (weight * (small / size)).to(x.dtype)


@pytest.mark.filterwarnings("ignore:std.*degrees of freedom", "ignore:var.*degrees of freedom")
class TestRmsNorm(Claims):
    answers = ANSWERS + rms_norm_wrong.ANSWERS


def test_a_size_found_again_by_the_shape_alone_is_found():
    sizes = {}

    def remembering(x, weight, eps=1e-6):
        if x.shape not in sizes:
            sizes[x.shape] = torch.sqrt(x.detach().pow(2).mean(-1, keepdim=True) + eps)
        return x / sizes[x.shape] * weight

    assert examine(drawn(EXERCISE, 1), remembering).status == "wrong"


@right("the formula as it stands, in whatever type x and the weight have")
def _(x, weight, eps=1e-6):
    return weight * x / torch.sqrt(torch.mean(x**2, dim=-1, keepdim=True) + eps)
