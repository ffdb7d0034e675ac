"""Answers to `sliced_linear`: wrong ones as learners write them, right ones each in another way."""

from itertools import pairwise

import torch
import torch.nn.functional as F
from exercises.answers import Answers, Claims

from mini_moe.course.exercises.dispatch.sliced_linear import EXERCISE

ANSWERS = Answers(EXERCISE)
wrong, right = ANSWERS.wrong, ANSWERS.right


class TestSlicedLinear(Claims):
    answers = ANSWERS


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


@wrong("raises RuntimeError", "ends taken for sizes by split")
def _(x_JD, weight, ends_E):
    return torch.cat([F.linear(rows, w) for rows, w in zip(x_JD.split(ends_E.tolist()), weight, strict=True)])


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


@wrong("raises RuntimeError", "stacked")
def _(x_JD, weight, ends_E):
    sizes = torch.diff(ends_E, prepend=torch.tensor([0])).tolist()
    return torch.stack([rows @ w.T for rows, w in zip(x_JD.split(sizes), weight, strict=True)])


@right("written slice by slice")
def _(x_JD, weight, ends_E):
    y = x_JD.new_empty(x_JD.shape[0], weight.shape[1])
    start = 0
    for e in range(len(ends_E)):
        end = ends_E[e]
        y[start:end] = x_JD[start:end] @ weight[e].T
        start = end
    return y


@right("row by row, empty experts passed over")
def _(x_JD, weight, ends_E):
    rows, e = [], 0
    for j in range(len(x_JD)):
        while j >= ends_E[e]:
            e += 1
        rows.append(weight[e] @ x_JD[j])
    return torch.stack(rows)


@right("searchsorted and a copy of the matrix for each row")
def _(x_JD, weight, ends_E):
    expert = torch.searchsorted(ends_E, torch.arange(len(x_JD)), right=True)
    return torch.einsum("jd,jod->jo", x_JD, weight[expert])


@right("repeat_interleave, float64")
def _(x_JD, weight, ends_E):
    counts = torch.diff(ends_E, prepend=torch.zeros(1, dtype=torch.int64))
    own = weight.double().repeat_interleave(counts, dim=0)
    return (own @ x_JD.double().unsqueeze(-1)).squeeze(-1).float()


@right("only slices with rows, tensor_split")
def _(x_JD, weight, ends_E):
    slices = x_JD.tensor_split(ends_E[:-1])
    return torch.cat([rows @ w.mT for rows, w in zip(slices, weight, strict=True) if len(rows)])
