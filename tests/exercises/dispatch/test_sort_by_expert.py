"""Answers to `sort_by_expert`: wrong ones as learners write them, right ones each in another way."""

import torch
import torch.nn.functional as F
from exercises.answers import Claims
from exercises.dispatch import ends_wrong, pairs_wrong

ANSWERS = pairs_wrong.ANSWERS + ends_wrong.ANSWERS
right = ANSWERS.right


class TestSortByExpert(Claims):
    answers = ANSWERS


@right("lists, sorted")
def _(experts_NK, n_experts):
    flat = experts_NK.flatten().tolist()
    pairs = sorted(range(len(flat)), key=lambda i: flat[i])
    ends = [sum(e <= expert for e in flat) for expert in range(n_experts)]
    return torch.tensor(pairs), torch.tensor(ends)


@right("choice by choice within an expert")
def _(experts_NK, n_experts):
    N, K = experts_NK.shape
    pairs, ends = [], []
    for e in range(n_experts):
        pairs += [n * K + k for k in range(K) for n in range(N) if experts_NK[n, k] == e]
        ends.append(len(pairs))
    return torch.tensor(pairs), torch.tensor(ends)


@right("backwards within an expert, searchsorted")
def _(experts_NK, n_experts):
    flat = experts_NK.flatten()
    pair = flat.argsort(descending=True, stable=True).flip(0)
    return pair, torch.searchsorted(flat[pair], torch.arange(n_experts), right=True)


@right("one-hot, a place for each pair")
def _(experts_NK, n_experts):
    hot = F.one_hot(experts_NK.flatten(), n_experts)
    ends = hot.sum(0).cumsum(0)
    place = ((hot.cumsum(0) - 1 + ends - hot.sum(0)) * hot).sum(1)
    return torch.zeros_like(place).scatter(0, place, torch.arange(len(place))), ends


@right("where, expert by expert; a list of two")
def _(experts_NK, n_experts):
    found = [torch.where(experts_NK.reshape(-1) == e)[0].flip(0) for e in range(n_experts)]
    return [torch.cat(found), torch.tensor([len(f) for f in found]).cumsum(dim=0)]


@right("how many come before each pair")
def _(experts_NK, n_experts):
    flat = experts_NK.flatten()
    j = torch.arange(len(flat))
    before = (flat < flat[:, None]) | ((flat == flat[:, None]) & (j < j[:, None]))
    pair = torch.empty_like(flat)
    pair[before.sum(1)] = j
    return pair, (flat[:, None] <= torch.arange(n_experts)).sum(0)
