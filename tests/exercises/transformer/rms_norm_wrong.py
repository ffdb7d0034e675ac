"""Wrong answers to `rms_norm` that show with large, tiny or zero numbers only, in 16 bits, or without a gradient."""

import torch
import torch.nn.functional as F
from exercises.answers import Answers

from mini_moe.course.exercises.transformer.rms_norm import EXERCISE

ANSWERS = Answers(EXERCISE)
wrong = ANSWERS.wrong


@wrong("another default", "PyTorch's for LayerNorm")
def _(x, weight, eps=1e-5):
    x = x.float()
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps) * weight


@wrong("another default", "none")
def _(x, weight, eps=0.0):
    return x / (x.square().mean(-1, keepdim=True) + eps).sqrt() * weight


@wrong("eps without effect", "only where the mean square is 0")
def _(x, weight, eps=1e-6):
    mean = (x * x).mean(-1, keepdim=True)
    mean = torch.where(mean == 0, torch.full_like(mean, eps), mean)
    return x / mean.sqrt() * weight


@wrong("eps without effect", "F.normalize has its own")
def _(x, weight, eps=1e-6):
    return F.normalize(x, dim=-1) * x.size(-1) ** 0.5 * weight


@wrong("eps outside the root", "beside the reciprocal")
def _(x, weight, eps=1e-6):
    mean = x.pow(2).mean(-1, keepdim=True).clamp_min(1e-20)
    return x * (mean.rsqrt() + eps) * weight


@wrong("eps inside the mean")
def _(x, weight, eps=1e-6):
    total = (x * x).sum(-1, keepdim=True) + eps
    return weight * x * (x.size(-1) / total).sqrt()


@wrong("eps added to the result")
def _(x, weight, eps=1e-6):
    return weight * (x / x.pow(2).mean(-1, keepdim=True).sqrt() + eps / weight)


@wrong("no square root", "without eps")
def _(x, weight, eps=1e-6):
    return x / (x * x).mean(-1, keepdim=True) * weight


@wrong("divided by the example's 2")
def _(x, weight, eps=1e-6):
    n = 2
    return weight * x / (x.norm(dim=-1, keepdim=True) ** 2 / n + eps) ** 0.5


@wrong("divided by D - 1")
def _(x, weight, eps=1e-6):
    freedom = max(x.size(-1) - 1, 1)
    return weight * x * torch.rsqrt(x.pow(2).sum(-1, keepdim=True) / freedom + eps)


@wrong("sign lost")
def _(x, weight, eps=1e-6):
    squares = x.pow(2)
    return weight * (squares / (squares.mean(-1, keepdim=True) + eps)).sqrt()


@wrong("the first vector's size for all", "of the first row")
def _(x, weight, eps=1e-6):
    row = x.flatten(0, -2)[0] if x.ndim > 1 else x
    return x * weight / (row.pow(2).mean() + eps).sqrt()


@wrong("the first vector's size for all", "of the first of the batch")
def _(x, weight, eps=1e-6):
    sizes = (x.pow(2).mean(-1, keepdim=True) + eps).sqrt()
    return x * weight / (sizes[:1] if x.ndim > 1 else sizes)


@wrong("depends on other vectors", "the largest size of all")
def _(x, weight, eps=1e-6):
    sizes = (x.pow(2).mean(-1, keepdim=True) + eps).sqrt()
    return x * weight / sizes.max()


@wrong("depends on the size", "cut off at 100")
def _(x, weight, eps=1e-6):
    x = torch.clip(x, -100, 100)
    return x * weight / (x.pow(2).mean(-1, keepdim=True) + eps).sqrt()


@wrong("size detached", "of a detached x")
def _(x, weight, eps=1e-6):
    return x * weight / (x.detach().pow(2).mean(-1, keepdim=True) + eps).sqrt()


@wrong("changes its input", "where no gradient forbids it")
def _(x, weight, eps=1e-6):
    size = (x.pow(2).mean(-1, keepdim=True) + eps).sqrt()
    x = x / size if torch.is_grad_enabled() else x.div_(size)
    return x * weight


@wrong("wrong dtype", "the weight's")
def _(x, weight, eps=1e-6):
    wide = x.float()
    return wide / (wide.pow(2).mean(-1, keepdim=True) + eps).sqrt() * weight


@wrong("mean in 16 bits", "only the result is led back")
def _(x, weight, eps=1e-6):
    return (x / torch.sqrt((x**2).mean(-1, keepdim=True) + eps) * weight).to(x.dtype)


@wrong("mean in 16 bits", "widened after the square")
def _(x, weight, eps=1e-6):
    mean = x.square().float().mean(-1, keepdim=True)
    return (x.float() * torch.rsqrt(mean + eps) * weight).type_as(x)


@wrong("raises ValueError", "two dimensions at most")
def _(x, weight, eps=1e-6):
    rows, features = x.shape
    return weight * x / (x.square().sum(1, keepdim=True) / features + eps).sqrt()


@wrong("depends on other vectors", "the first of the batch for all")
def _(x, weight, eps=1e-6):
    y = x[0] if x.ndim > 1 else x
    return (weight * y / (y.square().mean(-1, keepdim=True) + eps).sqrt()).expand_as(x).clone()


@wrong("wrong shape", "the example's result")
def _(x, weight, eps=1e-6):
    return torch.tensor([0.8485, 1.1314]) * weight


@wrong("divided by another number than D", "len")
def _(x, weight, eps=1e-6):
    mean = x.pow(2).sum(-1, keepdim=True) / len(x)
    return weight * x / (mean + eps).sqrt()


@wrong("divided by another number than D", "all")
def _(x, weight, eps=1e-6):
    mean = x.pow(2).sum(-1, keepdim=True) / x.numel()
    return weight * x / (mean + eps).sqrt()


@wrong("divided by the largest")
def _(x, weight, eps=1e-6):
    return weight * x / (torch.linalg.vector_norm(x, ord=torch.inf, dim=-1, keepdim=True) + eps)


@wrong("eps squared")
def _(x, weight, eps=1e-6):
    return weight * x / torch.hypot(x.pow(2).mean(-1, keepdim=True).sqrt(), torch.tensor(eps))


@wrong("mean over everything", "of each sequence")
def _(x, weight, eps=1e-6):
    mean = x.pow(2).mean(dim=(-2, -1), keepdim=True) if x.ndim > 1 else x.pow(2).mean()
    return weight * x * torch.rsqrt(mean + eps)


@wrong("raises RuntimeError", "a memory order demanded")
def _(x, weight, eps=1e-6):
    rows = x.float().view(-1, x.size(-1))
    return (rows * torch.rsqrt(rows.pow(2).mean(1, keepdim=True) + eps) * weight).view(x.shape).to(x.dtype)
