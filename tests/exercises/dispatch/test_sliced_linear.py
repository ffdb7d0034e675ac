"""Answers to `sliced_linear`: wrong ones as learners write them, right ones each in another way."""

import torch
from exercises.answers import Claims
from exercises.dispatch import products_wrong, slices_wrong

ANSWERS = slices_wrong.ANSWERS + products_wrong.ANSWERS
right = ANSWERS.right


class TestSlicedLinear(Claims):
    answers = ANSWERS


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
    return (own @ x_JD.double().unsqueeze(-1)).squeeze(-1).to(x_JD.dtype)


@right("only slices with rows, tensor_split")
def _(x_JD, weight, ends_E):
    slices = x_JD.tensor_split(ends_E[:-1])
    return torch.cat([rows @ w.mT for rows, w in zip(slices, weight, strict=True) if len(rows)])


@right("padded to the longest slice")
def _(x_JD, weight, ends_E):
    sizes = ends_E.diff(prepend=ends_E.new_zeros(1))
    expert = torch.arange(len(sizes)).repeat_interleave(sizes)
    place = torch.arange(len(x_JD)) - (ends_E - sizes)[expert]
    padded = x_JD.new_zeros(len(weight), sizes.max(), x_JD.shape[1]).index_put((expert, place), x_JD)
    return (padded @ weight.mT)[expert, place]


@right("row by row, in float64")
def _(x_JD, weight, ends_E):
    own = torch.searchsorted(ends_E, torch.arange(len(x_JD)), right=True)
    return torch.einsum("jd,jod->jo", x_JD.double(), weight.double()[own]).float()
