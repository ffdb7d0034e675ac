"""Wrong answers to `expert_load`: types, shapes and sizes."""

import torch
import torch.nn.functional as F
from exercises.answers import Answers

from mini_moe.course.exercises.balance.expert_load import EXERCISE

ANSWERS = Answers(EXERCISE)
wrong = ANSWERS.wrong


@wrong("counted in too small a type", "uint8")
def _(experts, n_experts):
    return F.one_hot(experts, n_experts).to(torch.uint8).sum(-2, dtype=torch.uint8).float()


@wrong("counted in too small a type", "bfloat16, one by one")
def _(experts, n_experts):
    load = torch.zeros(*experts.shape[:-1], n_experts, dtype=torch.bfloat16)
    return load.scatter_add(-1, experts, torch.ones(experts.shape, dtype=load.dtype)).float()


@wrong("counted in too small a type", "bfloat16, at the end")
def _(experts, n_experts):
    return F.one_hot(experts, n_experts).sum(-2).bfloat16().float()


@wrong("counted in too small a type", "float16")
def _(experts, n_experts):
    return torch.stack([(experts == e).half().sum(-1) for e in range(n_experts)], -1).float()


@wrong("counted in too small a type", "int16")
def _(experts, n_experts):
    return torch.stack([(experts == e).sum(-1, dtype=torch.int16) for e in range(n_experts)], -1).float()


@wrong("expert numbers in too small a type", "int8")
def _(experts, n_experts):
    small = experts.char().unsqueeze(-1)
    return (small == torch.arange(n_experts).char()).float().sum(-2)


@wrong("expert numbers in too small a type", "bfloat16")
def _(experts, n_experts):
    return torch.stack([(experts.bfloat16() == e).float().sum(-1) for e in torch.arange(n_experts).bfloat16()], -1)


@wrong("wrong shape", "dimensions of 1 dropped")
def _(experts, n_experts):
    return F.one_hot(experts, n_experts).sum(-2).float().squeeze()


@wrong("wrong shape", "four experts, as in the example")
def _(experts, n_experts):
    return F.one_hot(experts, max(4, n_experts)).sum(-2).float()


@wrong("wrong shape", "as many experts as choices")
def _(experts, n_experts):
    E = experts.shape[-1]
    return F.one_hot(experts % E, E).sum(-2).float()


@wrong("changes its input")
def _(experts, n_experts):
    numbers = experts.reshape(experts.shape[:-1].numel(), experts.shape[-1])
    numbers += n_experts * torch.arange(len(numbers))[:, None]
    return numbers.flatten().bincount(minlength=n_experts * len(numbers)).view(*experts.shape[:-1], -1).float()


@wrong("raises RuntimeError", "a view of what is not in order")
def _(experts, n_experts):
    rows = experts.view(experts.shape[:-1].numel(), experts.shape[-1])
    return F.one_hot(rows, n_experts).sum(1).view(*experts.shape[:-1], n_experts).float()


@wrong("raises ValueError", "two dimensions at most")
def _(experts, n_experts):
    if experts.ndim == 1:
        return F.one_hot(experts, n_experts).sum(0).float()
    B, n = experts.shape
    return F.one_hot(experts, n_experts).sum(1).float()


_kept = {}


@wrong("another result the second time")
def _(experts, n_experts):
    load = _kept.setdefault((*experts.shape, n_experts), torch.zeros(*experts.shape[:-1], n_experts))
    return load.scatter_add_(-1, experts, torch.ones(experts.shape)).clone()


@wrong("wrong dtype", "one_hot, summed")
def _(experts, n_experts):
    return F.one_hot(experts, n_experts).sum(dim=-2)


@wrong("wrong dtype", "zeros like the input")
def _(experts, n_experts):
    load = experts.new_zeros(*experts.shape[:-1], n_experts)
    return load.scatter_add(-1, experts, torch.ones_like(experts))


@wrong("wrong shape", "transposed")
def _(experts, n_experts):
    return torch.stack([(experts == e).float().sum(-1, keepdim=True) for e in range(n_experts)], dim=-1)


@wrong("wrong type", "a list")
def _(experts, n_experts):
    return [(experts == e).sum().item() for e in range(n_experts)]


@wrong("raises RuntimeError", "bincount of rows")
def _(experts, n_experts):
    return torch.bincount(experts, minlength=n_experts).float()
