"""Answers to `expert_load`: wrong ones as learners write them, right ones each in another way."""

import torch
import torch.nn.functional as F
from exercises.answers import Claims
from exercises.balance import expert_load_wrong, expert_load_wrong_forms

ANSWERS = expert_load_wrong.ANSWERS + expert_load_wrong_forms.ANSWERS
right = ANSWERS.right


class TestExpertLoad(Claims):
    answers = ANSWERS


@right("one_hot")
def _(experts, n_experts):
    return F.one_hot(experts, num_classes=n_experts).sum(-2).to(torch.float32)


@right("bincount, row by row")
def _(experts, n_experts):
    n_rows = experts.shape[:-1].numel()
    rows = [torch.bincount(row, minlength=n_experts) for row in experts.reshape(n_rows, -1)]
    return torch.stack(rows).view(*experts.shape[:-1], n_experts).float()


@right("one bincount, rows told apart by an offset")
def _(experts, n_experts):
    rows = experts.reshape(experts.shape[:-1].numel(), experts.shape[-1])
    numbers = rows + n_experts * torch.arange(len(rows))[:, None]
    load = torch.bincount(numbers.flatten(), minlength=n_experts * len(rows))
    return load.float().reshape(*experts.shape[:-1], n_experts)


@right("a loop over the experts")
def _(experts, n_experts):
    return torch.stack([(experts == e).sum(-1) for e in range(n_experts)], -1).float()


@right("a loop over the choices")
def _(experts, n_experts):
    load = torch.zeros((*experts.shape[:-1], n_experts))
    for k in range(experts.shape[-1]):
        load += torch.where(experts[..., k : k + 1] == torch.arange(n_experts), 1.0, 0.0)
    return load


@right("einsum")
def _(experts, n_experts):
    return torch.einsum("...ne->...e", torch.eye(n_experts)[experts])


@right("lists")
def _(experts, n_experts):
    def load(rows):
        return [load(row) for row in rows] if rows and isinstance(rows[0], list) else list(map(rows.count, every))

    every = range(n_experts)
    return torch.tensor(load(experts.tolist()), dtype=torch.float32).reshape(*experts.shape[:-1], n_experts)


@right("sorted, and its borders searched")
def _(experts, n_experts):
    places = torch.arange(n_experts + 1).repeat(*experts.shape[:-1], 1)
    ends = torch.searchsorted(experts.sort(-1).values.contiguous(), places)
    return ends.diff().float()


@right("where the same tensor is written to")
def _(experts, n_experts):
    load = torch.zeros(*experts.shape[:-1], n_experts, dtype=torch.float64)
    return load.scatter_add_(-1, experts, torch.ones_like(experts, dtype=load.dtype)).float()


@right("bincount, row by row")
def _(experts, n_experts):
    rows = [torch.bincount(row, minlength=n_experts) for row in experts.reshape(-1, experts.shape[-1])]
    return torch.stack(rows).reshape(*experts.shape[:-1], n_experts).float()
