"""Wrong answers to `sliced_linear`: how the products are made, and in what form they are given."""

import torch
import torch.nn.functional as F
from exercises.answers import Answers

from mini_moe.course.exercises.dispatch.sliced_linear import EXERCISE

ANSWERS = Answers(EXERCISE)
wrong = ANSWERS.wrong


@wrong("raises RuntimeError", "ends taken for sizes by split")
def _(x_JD, weight, ends_E):
    return torch.cat([F.linear(rows, w) for rows, w in zip(x_JD.split(ends_E.tolist()), weight, strict=True)])


@wrong("every expert for all", "all products, then the rows chosen")
def _(x_JD, weight, ends_E):
    expert = torch.searchsorted(ends_E, torch.arange(len(x_JD)), right=True)
    every = torch.einsum("jd,eod->jeo", x_JD, weight)
    return every[torch.arange(len(x_JD)), expert]


@wrong("every expert for all", "rows masked")
def _(x_JD, weight, ends_E):
    j, start = torch.arange(len(x_JD)), 0
    y = torch.zeros(len(x_JD), weight.shape[1])
    for end, w in zip(ends_E, weight, strict=True):
        mask = (j >= start) & (j < end)
        y = y + (x_JD * mask[:, None]) @ w.T
        start = end
    return y


@wrong("gradient missing", "weight.data")
def _(x_JD, weight, ends_E):
    sizes = torch.diff(ends_E, prepend=torch.tensor([0])).tolist()
    return torch.cat([rows @ w.T for rows, w in zip(x_JD.split(sizes), weight.data, strict=True)])


@wrong("wrong type", "a list of slices")
def _(x_JD, weight, ends_E):
    sizes = torch.diff(ends_E, prepend=torch.tensor([0])).tolist()
    return [rows @ w.T for rows, w in zip(x_JD.split(sizes), weight, strict=True)]


@wrong("wrong shape", "stacked")
def _(x_JD, weight, ends_E):
    sizes = torch.diff(ends_E, prepend=torch.tensor([0])).tolist()
    return torch.stack([rows @ w.T for rows, w in zip(x_JD.split(sizes), weight, strict=True)])


@wrong("divided by the root of D")
def _(x_JD, weight, ends_E):
    expert = torch.searchsorted(ends_E, torch.arange(len(x_JD)), right=True)
    return torch.einsum("jd,jod->jo", x_JD, weight[expert]) * x_JD.shape[1] ** -0.5


@wrong("rows not worked on alone", "averaged over the slice")
def _(x_JD, weight, ends_E):
    slices = x_JD.tensor_split(ends_E[:-1])
    means = [rows.mean(0).expand_as(rows) for rows in slices]
    return torch.cat([rows @ w.T for rows, w in zip(means, weight, strict=True)])


@wrong("not a product with an expert's matrix", "one added to the rows")
def _(x_JD, weight, ends_E):
    slices = (x_JD + 1).tensor_split(ends_E[:-1])
    return torch.cat([rows @ w.T for rows, w in zip(slices, weight, strict=True)])


@wrong("too few digits")
def _(x_JD, weight, ends_E):
    slices = x_JD.bfloat16().tensor_split(ends_E[:-1])
    return torch.cat([rows @ w.T for rows, w in zip(slices, weight.bfloat16(), strict=True)]).to(x_JD.dtype)


@wrong("large numbers", "cut off")
def _(x_JD, weight, ends_E):
    slices = x_JD.clamp(-20, 20).tensor_split(ends_E[:-1])
    return torch.cat([rows @ w.T for rows, w in zip(slices, weight, strict=True)])


@wrong("contiguous inputs only")
def _(x_JD, weight, ends_E):
    slices = x_JD.view(-1).tensor_split(ends_E[:-1] * x_JD.shape[1])
    return torch.cat([rows.view(-1, x_JD.shape[1]) @ w.T for rows, w in zip(slices, weight, strict=True)])


@wrong("changes its input", "ends made sizes")
def _(x_JD, weight, ends_E):
    ends_E[1:] = ends_E.diff()
    return torch.cat([rows @ w.T for rows, w in zip(x_JD.split(ends_E.tolist()), weight, strict=True)])


@wrong("wrong shape", "that of the rows")
def _(x_JD, weight, ends_E):
    y, start = torch.zeros_like(x_JD), 0
    for end, w in zip(ends_E.tolist(), weight, strict=True):
        y[start:end] = x_JD[start:end] @ w.T
        start = end
    return y
