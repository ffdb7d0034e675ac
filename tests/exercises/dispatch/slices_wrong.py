"""Wrong answers to `sliced_linear`: which rows meet which matrix."""

from itertools import pairwise

import torch
import torch.nn.functional as F
from exercises.answers import Answers

from mini_moe.course.exercises.dispatch.sliced_linear import EXERCISE

ANSWERS = Answers(EXERCISE)
wrong = ANSWERS.wrong


@wrong("experts without rows not counted", "empty slices filtered")
def _(x_JD, weight, ends_E):
    bounds = [0, *ends_E.tolist()]
    slices = [x_JD[a:b] for a, b in pairwise(bounds) if b > a]
    return torch.cat([rows @ weight[i].T for i, rows in enumerate(slices)])


@wrong("experts without rows not counted", "unique ends")
def _(x_JD, weight, ends_E):
    start, out = 0, []
    ends = [end for end in ends_E.unique().tolist() if end > 0]
    for end, w in zip(ends, weight, strict=False):
        out.append(F.linear(x_JD[start:end], w))
        start = end
    return torch.cat(out)


@wrong("ends taken for sizes", "the start moved by the end")
def _(x_JD, weight, ends_E):
    start, out = 0, []
    for end, w in zip(ends_E.tolist(), weight, strict=True):
        out.append(F.linear(x_JD[start : start + end], w))
        start += end
    return torch.cat(out)


@wrong("ends taken for sizes", "written")
def _(x_JD, weight, ends_E):
    start = 0
    y = torch.zeros(len(x_JD), weight.shape[1])
    for e, size in enumerate(ends_E.tolist()):
        y[start : start + size] = x_JD[start : start + size] @ weight[e].T
        start += size
    return y


@wrong("every slice starts at 0", "joined")
def _(x_JD, weight, ends_E):
    return torch.cat([x_JD[:end] @ w.T for end, w in zip(ends_E, weight, strict=True)])


@wrong("every slice starts at 0", "the start not moved")
def _(x_JD, weight, ends_E):
    start = 0
    y = torch.zeros(len(x_JD), weight.shape[1])
    for end, w in zip(ends_E, weight, strict=True):
        y[start:end] = x_JD[start:end] @ w.T
    return y


@wrong("first slice left out", "diff without prepend")
def _(x_JD, weight, ends_E):
    y = torch.zeros(len(x_JD), weight.shape[1])
    for e in range(1, len(ends_E)):
        a, b = ends_E[e - 1], ends_E[e]
        y[a:b] = x_JD[a:b] @ weight[e].T
    return y


@wrong("first slice left out", "ends taken for starts")
def _(x_JD, weight, ends_E):
    starts = [*ends_E.tolist(), len(x_JD)]
    return torch.cat([x_JD[starts[e] : starts[e + 1]] @ weight[e].T for e in range(len(weight))])


@wrong("first slice left out", "ends[-1] for the first")
def _(x_JD, weight, ends_E):
    y = torch.zeros(len(x_JD), weight.shape[1])
    for e in range(len(ends_E)):
        a, b = ends_E[e - 1], ends_E[e]
        y[a:b] = x_JD[a:b] @ weight[e].T
    return y


@wrong("last slice left out", "written")
def _(x_JD, weight, ends_E):
    y = torch.zeros(len(x_JD), weight.shape[1])
    starts = [0, *ends_E.tolist()]
    for e in range(len(ends_E) - 1):
        y[starts[e] : starts[e + 1]] = x_JD[starts[e] : starts[e + 1]] @ weight[e].T
    return y


@wrong("stops at an empty expert", "break")
def _(x_JD, weight, ends_E):
    y = torch.zeros(len(x_JD), weight.shape[1])
    start = 0
    for end, w in zip(ends_E.tolist(), weight, strict=True):
        if start == end:
            break
        y[start:end] = x_JD[start:end] @ w.T
        start = end
    return y


@wrong("only the last slice", "made in the loop")
def _(x_JD, weight, ends_E):
    start = 0
    for end, w in zip(ends_E.tolist(), weight, strict=True):
        y = torch.zeros(len(x_JD), weight.shape[1])
        y[start:end] = x_JD[start:end] @ w.T
        start = end
    return y


@wrong("one row too few")
def _(x_JD, weight, ends_E):
    y = torch.zeros(len(x_JD), weight.shape[1])
    start = 0
    for end, w in zip(ends_E.tolist(), weight, strict=True):
        for j in range(start, end - 1):
            y[j] = w @ x_JD[j]
        start = end
    return y


@wrong("boundary on the wrong side", "searchsorted")
def _(x_JD, weight, ends_E):
    expert = torch.searchsorted(ends_E, torch.arange(len(x_JD)))
    return torch.bmm(weight[expert], x_JD.unsqueeze(-1)).squeeze(-1)


@wrong("boundary on the wrong side", "a comparison")
def _(x_JD, weight, ends_E):
    rows, e = [], 0
    for j, x in enumerate(x_JD):
        while j > ends_E[e]:
            e += 1
        rows.append(weight[e] @ x)
    return torch.stack(rows)


@wrong("the next expert's matrix", "the one before")
def _(x_JD, weight, ends_E):
    bounds = [0, *ends_E.tolist()]
    return torch.cat([x_JD[bounds[e - 1] : bounds[e]] @ weight[e - 2].T for e in range(1, len(bounds))])


@wrong("the next expert's matrix", "the one after")
def _(x_JD, weight, ends_E):
    bounds = [0, *ends_E.tolist()]
    E = len(weight)
    return torch.cat([x_JD[bounds[e - 1] : bounds[e]] @ weight[e % E].T for e in range(1, E + 1)])


@wrong("matrices in reverse")
def _(x_JD, weight, ends_E):
    sizes = torch.diff(ends_E, prepend=torch.tensor([0])).tolist()
    return torch.cat([rows @ w.T for rows, w in zip(x_JD.split(sizes), weight.flip(0), strict=True)])


@wrong("one matrix for all rows", "the mean")
def _(x_JD, weight, ends_E):
    return F.linear(x_JD, weight.mean(0))


@wrong("one matrix for all rows", "the sum of all products")
def _(x_JD, weight, ends_E):
    return sum(x_JD @ w.T for w in weight)


@wrong("one matrix for all rows", "the first")
def _(x_JD, weight, ends_E):
    sizes = torch.diff(ends_E, prepend=torch.tensor([0])).tolist()
    return torch.cat([rows @ weight[0].T for rows in x_JD.split(sizes)])


@wrong("weight not transposed")
def _(x_JD, weight, ends_E):
    sizes = torch.diff(ends_E, prepend=torch.tensor([0])).tolist()
    return torch.cat([rows @ w for rows, w in zip(x_JD.split(sizes), weight, strict=True)])


@wrong("the next expert's matrix", "the one before, the first twice")
def _(x_JD, weight, ends_E):
    bounds = [0, *ends_E.tolist()]
    return torch.cat([x_JD[a:b] @ weight[max(e - 1, 0)].T for e, (a, b) in enumerate(pairwise(bounds))])


@wrong("a row for every expert")
def _(x_JD, weight, ends_E):
    sizes = torch.diff(ends_E, prepend=torch.tensor([0])).clamp(min=1)
    own = weight.repeat_interleave(sizes, dim=0)[: len(x_JD)]
    return torch.einsum("jd,jod->jo", x_JD, own)


@wrong("equal slices")
def _(x_JD, weight, ends_E):
    return torch.cat([F.linear(rows, w) for rows, w in zip(x_JD.tensor_split(len(ends_E)), weight, strict=True)])


@wrong("joined in reverse")
def _(x_JD, weight, ends_E):
    y, end = [], len(x_JD)
    for e in range(len(weight) - 1, -1, -1):
        start = ends_E[e - 1] if e else 0
        y.append(x_JD[start:end] @ weight[e].T)
        end = start
    return torch.cat(y)


@wrong("three experts only", "as in the example")
def _(x_JD, weight, ends_E):
    y, start = x_JD.new_zeros(len(x_JD), weight.shape[1]), 0
    for e in range(min(3, len(weight))):
        y[start : ends_E[e]] = x_JD[start : ends_E[e]] @ weight[e].T
        start = ends_E[e]
    return y


@wrong("single rows passed over")
def _(x_JD, weight, ends_E):
    y, start = x_JD.new_zeros(len(x_JD), weight.shape[1]), 0
    for end, w in zip(ends_E.tolist(), weight, strict=True):
        if end > start + 1:
            y[start:end] = x_JD[start:end] @ w.T
        start = end
    return y


@wrong("another expert's matrix", "the first two exchanged")
def _(x_JD, weight, ends_E):
    expert = torch.searchsorted(ends_E, torch.arange(len(x_JD)), right=True)
    if len(weight) > 2:
        expert = torch.tensor([1, 0, *range(2, len(weight))])[expert]
    return torch.einsum("jd,jod->jo", x_JD, weight[expert])
