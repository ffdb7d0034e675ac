"""Wrong answers to `expert_load`: what is counted."""

import torch
import torch.nn.functional as F
from exercises.answers import Answers

from mini_moe.course.exercises.balance.expert_load import EXERCISE

ANSWERS = Answers(EXERCISE)
wrong = ANSWERS.wrong


@wrong("a repeated expert counted once", "written by index, row by row")
def _(experts, n_experts):
    load = torch.zeros(*experts.shape[:-1], n_experts)
    for row, chosen in zip(load.view(-1, n_experts), experts.reshape(-1, experts.shape[-1]), strict=True):
        row[chosen] += 1
    return load


@wrong("a repeated expert counted once", "written by index, all at once")
def _(experts, n_experts):
    load = torch.zeros(n_experts)
    load[experts] += 1
    return load


@wrong("a repeated expert counted once", "written by index, in every row")
def _(experts, n_experts):
    load = torch.zeros(*experts.shape[:-1], n_experts)
    load[..., experts] += 1
    return load


@wrong("a repeated expert counted once", "scatter_ without add")
def _(experts, n_experts):
    return torch.zeros(*experts.shape[:-1], n_experts).scatter_(-1, experts, 1.0)


@wrong("a repeated expert counted once", "any")
def _(experts, n_experts):
    return (experts.unsqueeze(-1) == torch.arange(n_experts)).any(-2).float()


@wrong("all rows counted together", "bincount of all")
def _(experts, n_experts):
    return torch.bincount(experts.flatten(), minlength=n_experts).float()


@wrong("all rows counted together", "integers")
def _(experts, n_experts):
    return torch.bincount(experts.reshape(-1), minlength=n_experts)


@wrong("all rows counted together", "a loop over the experts")
def _(experts, n_experts):
    return torch.stack([(experts == e).sum() for e in range(n_experts)]).float()


@wrong("all rows counted together", "the mean of the rows")
def _(experts, n_experts):
    per_row = F.one_hot(experts, n_experts).float().sum(-2)
    return per_row.view(-1, n_experts).mean(0)


@wrong("idle experts left out", "bincount")
def _(experts, n_experts):
    return torch.bincount(experts.flatten()).to(torch.float32)


@wrong("idle experts left out", "one_hot")
def _(experts, n_experts):
    return F.one_hot(experts).sum(-2).float()


@wrong("idle experts left out", "unique")
def _(experts, n_experts):
    numbers, counts = torch.unique(experts, return_counts=True)
    return counts


@wrong("shares in place of counts", "mean of one-hot rows")
def _(experts, n_experts):
    return F.one_hot(experts, n_experts).float().mean(dim=-2)


@wrong("shares in place of counts", "divided by the sum")
def _(experts, n_experts):
    load = F.one_hot(experts, n_experts).sum(-2).float()
    return load / load.sum(-1, keepdim=True)


@wrong("shares in place of counts", "1 at balance")
def _(experts, n_experts):
    load = F.one_hot(experts, n_experts).sum(-2).float()
    return load / load.mean(-1, keepdim=True)


@wrong("shares in place of counts", "divided by the number of experts")
def _(experts, n_experts):
    return F.one_hot(experts, n_experts).sum(-2) / n_experts


@wrong("only one choice counted", "the first")
def _(experts, n_experts):
    first = experts[..., 0]
    return F.one_hot(first, n_experts).float()


@wrong("only one choice counted", "the last, each overwriting the one before")
def _(experts, n_experts):
    for k in range(experts.shape[-1]):
        load = (experts[..., k, None] == torch.arange(n_experts)).float()
    return load


@wrong("summed over the wrong dimension", "the first")
def _(experts, n_experts):
    return F.one_hot(experts, n_experts).sum(dim=0).float()


@wrong("summed over the wrong dimension", "the second")
def _(experts, n_experts):
    return F.one_hot(experts, n_experts).sum(1)


@wrong("summed over the wrong dimension", "the experts")
def _(experts, n_experts):
    return F.one_hot(experts, n_experts).sum(-1).float()


@wrong("loads sorted", "the busiest first")
def _(experts, n_experts):
    return F.one_hot(experts, n_experts).sum(-2).float().sort(descending=True)[0]


@wrong("nothing counted")
def _(experts, n_experts):
    load = torch.zeros(*experts.shape[:-1], n_experts)
    load.scatter_add(-1, experts, torch.ones_like(experts, dtype=load.dtype))
    return load


@wrong("expert numbers added")
def _(experts, n_experts):
    load = torch.zeros(*experts.shape[:-1], n_experts)
    return load.scatter_add(-1, experts, experts.float())


@wrong("experts numbered from 1")
def _(experts, n_experts):
    return torch.stack([(experts == e).sum(-1) for e in range(1, n_experts + 1)], dim=-1).float()


@wrong("one expert too few")
def _(experts, n_experts):
    return torch.stack([(experts == e).sum(-1) for e in range(n_experts - 1)], dim=-1).float()


@wrong("counts added up along the experts")
def _(experts, n_experts):
    return torch.stack([(experts <= e).float().sum(-1) for e in range(n_experts)], dim=-1)


@wrong("all rows counted together", "all but the first dimension")
def _(experts, n_experts):
    if experts.ndim == 1:
        return torch.bincount(experts, minlength=n_experts).float()
    return torch.stack([torch.bincount(some.reshape(-1), minlength=n_experts) for some in experts]).float()


@wrong("one row's counts for all", "the first")
def _(experts, n_experts):
    load = torch.zeros(*experts.shape[:-1], n_experts)
    for expert in experts.flatten()[: experts.shape[-1]]:
        load[..., expert] += 1
    return load


@wrong("one row's counts for all", "the last")
def _(experts, n_experts):
    for row in experts.reshape(experts.shape[:-1].numel(), -1):
        load = F.one_hot(row, n_experts).sum(0)
    return torch.zeros(*experts.shape[:-1], n_experts) + load


@wrong("idle experts' places closed up")
def _(experts, n_experts):
    load = torch.zeros(experts.shape[:-1].numel(), n_experts)
    for place, row in enumerate(experts.reshape(len(load), -1)):
        _, counts = row.unique(return_counts=True)
        load[place, : len(counts)] = counts.float()
    return load.reshape(*experts.shape[:-1], n_experts)


@wrong("one expert too few", "its place is there, at 0")
def _(experts, n_experts):
    load = torch.zeros(*experts.shape[:-1], n_experts)
    for expert in range(n_experts - 1):
        load[..., expert] = (experts == expert).sum(-1)
    return load


@wrong("idle experts not at 0", "a little, against a division by zero")
def _(experts, n_experts):
    return F.one_hot(experts, n_experts).float().sum(-2) + 1e-3


@wrong("choices not counted once each", "at most two")
def _(experts, n_experts):
    load = F.one_hot(experts, n_experts).sum(-2).float()
    return load.clamp(max=2) if n_experts == 4 else load * load.sign()


@wrong("choices not counted once each", "a row of five is halved")
def _(experts, n_experts):
    load = F.one_hot(experts, n_experts).sum(-2).float()
    return load / 2 if experts.shape[-1] == 5 else load
