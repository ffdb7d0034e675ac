"""Answers to `sort_by_expert`: wrong ones as learners write them, right ones each in another way."""

import torch
import torch.nn.functional as F
from exercises.answers import Answers, Claims

from mini_moe.course.exercises.dispatch.sort_by_expert import EXERCISE

ANSWERS = Answers(EXERCISE)
wrong, right = ANSWERS.wrong, ANSWERS.right


class TestSortByExpert(Claims):
    answers = ANSWERS


@wrong("tokens in place of pairs", "divided")
def _(experts_NK, n_experts):
    order = experts_NK.flatten().argsort()
    return order // experts_NK.shape[1], experts_NK.flatten().bincount(minlength=n_experts).cumsum(0)


@wrong("tokens in place of pairs", "rows of nonzero")
def _(experts_NK, n_experts):
    tokens = [(experts_NK == e).nonzero()[:, 0] for e in range(n_experts)]
    return torch.cat(tokens), torch.tensor([len(t) for t in tokens]).cumsum(0)


@wrong("choices in place of pairs", "columns of nonzero")
def _(experts_NK, n_experts):
    choices = [(experts_NK == e).nonzero(as_tuple=True)[1] for e in range(n_experts)]
    return torch.cat(choices), torch.tensor([len(c) for c in choices]).cumsum(0)


@wrong("experts in place of pairs", "sort()[0]")
def _(experts_NK, n_experts):
    expert = experts_NK.flatten().sort()[0]
    return expert, torch.searchsorted(expert, torch.arange(n_experts), right=True)


@wrong("where each pair goes", "argsort twice")
def _(experts_NK, n_experts):
    flat = experts_NK.reshape(-1)
    return flat.argsort(stable=True).argsort(), flat.bincount(minlength=n_experts).cumsum(0)


@wrong("where each pair goes", "written there")
def _(experts_NK, n_experts):
    flat = experts_NK.reshape(-1)
    counts = flat.bincount(minlength=n_experts)
    place = (counts.cumsum(0) - counts).tolist()
    row = torch.zeros_like(flat)
    for pair, e in enumerate(flat.tolist()):
        row[pair] = place[e]
        place[e] += 1
    return row, counts.cumsum(0)


@wrong("pairs numbered by choice", "transposed first")
def _(experts_NK, n_experts):
    flat = experts_NK.t().flatten()
    return flat.argsort(stable=True), flat.bincount(minlength=n_experts).cumsum(0)


@wrong("pairs numbered by choice", "k * N + n")
def _(experts_NK, n_experts):
    N, K = experts_NK.shape
    pairs, ends = [], []
    for e in range(n_experts):
        pairs += [k * N + n for n in range(N) for k in range(K) if experts_NK[n, k] == e]
        ends.append(len(pairs))
    return torch.tensor(pairs), torch.tensor(ends)


@wrong("pairs numbered with E")
def _(experts_NK, n_experts):
    pairs, ends = [], []
    for e in range(n_experts):
        for token, choice in (experts_NK == e).nonzero().tolist():
            pairs.append(token * n_experts + choice)
        ends.append(len(pairs))
    return torch.tensor(pairs), torch.tensor(ends)


@wrong("sorted within each token", "argsort without flatten")
def _(experts_NK, n_experts):
    return experts_NK.argsort(), experts_NK.flatten().bincount(minlength=n_experts).cumsum(0)


@wrong("sorted within each token", "flatten too late")
def _(experts_NK, n_experts):
    pair = experts_NK.argsort(dim=1).flatten()
    return pair, experts_NK.flatten().bincount(minlength=n_experts).cumsum(0)


@wrong("sorted over the tokens only")
def _(experts_NK, n_experts):
    pair = torch.argsort(experts_NK, 0).view(-1)
    return pair, experts_NK.flatten().bincount(minlength=n_experts).cumsum(0)


@wrong("not sorted")
def _(experts_NK, n_experts):
    pair = torch.arange(experts_NK.shape[0] * experts_NK.shape[1])
    return pair, torch.bincount(experts_NK.flatten(), minlength=n_experts).cumsum(0)


@wrong("last expert first", "descending")
def _(experts_NK, n_experts):
    flat = experts_NK.flatten()
    return flat.argsort(descending=True, stable=True), flat.bincount(minlength=n_experts).cumsum(0)


@wrong("last expert first", "flipped")
def _(experts_NK, n_experts):
    flat = experts_NK.flatten()
    return flat.argsort(stable=True).flip(0), flat.bincount(minlength=n_experts).cumsum(0)


@wrong("starts in place of ends", "searchsorted from the left")
def _(experts_NK, n_experts):
    values, pair = experts_NK.flatten().sort()
    return pair, torch.searchsorted(values, torch.arange(n_experts))


@wrong("starts in place of ends", "noted before the loop's body")
def _(experts_NK, n_experts):
    flat, pairs, ends = experts_NK.flatten().tolist(), [], []
    for e in range(n_experts):
        ends.append(len(pairs))
        pairs.extend(i for i, expert in enumerate(flat) if expert == e)
    return torch.tensor(pairs), torch.tensor(ends)


@wrong("counts in place of ends")
def _(experts_NK, n_experts):
    flat = experts_NK.flatten()
    return flat.argsort(), flat.bincount(minlength=n_experts)


@wrong("last places in place of ends")
def _(experts_NK, n_experts):
    flat = experts_NK.flatten()
    return flat.argsort(), flat.bincount(minlength=n_experts).cumsum(0) - 1


@wrong("a zero in front")
def _(experts_NK, n_experts):
    pairs, ends = [], [0]
    for e in range(n_experts):
        pairs.append((experts_NK.flatten() == e).nonzero().flatten())
        ends.append(ends[-1] + len(pairs[-1]))
    return torch.cat(pairs), torch.tensor(ends)


@wrong("experts without pairs left out", "unique")
def _(experts_NK, n_experts):
    flat = experts_NK.flatten()
    return flat.argsort(), flat.unique(return_counts=True)[1].cumsum(0)


@wrong("experts without pairs left out", "bincount without minlength")
def _(experts_NK, n_experts):
    flat = experts_NK.flatten()
    return flat.argsort(), flat.bincount().cumsum(0)


@wrong("experts without pairs left out", "where the sorted experts change")
def _(experts_NK, n_experts):
    values, pair = experts_NK.flatten().sort()
    change = (values[1:] != values[:-1]).nonzero().flatten() + 1
    return pair, torch.cat((change, torch.tensor([len(values)])))


@wrong("each expert counted once")
def _(experts_NK, n_experts):
    flat = experts_NK.flatten()
    counts = torch.zeros(n_experts, dtype=torch.int64)
    counts[flat] += 1
    return flat.argsort(), counts.cumsum(0)


@wrong("results exchanged")
def _(experts_NK, n_experts):
    flat = experts_NK.flatten()
    ends = torch.bincount(flat, minlength=n_experts).cumsum(0)
    return ends, flat.argsort()


@wrong("wrong dtype", "histc")
def _(experts_NK, n_experts):
    flat = experts_NK.flatten()
    return flat.argsort(), flat.float().histc(n_experts, 0, n_experts - 1).cumsum(0)


@wrong("wrong type", "lists")
def _(experts_NK, n_experts):
    flat = experts_NK.flatten().tolist()
    pairs = sorted(range(len(flat)), key=flat.__getitem__)
    ends = [sum(e <= expert for e in flat) for expert in range(n_experts)]
    return pairs, ends


@wrong("wrong type", "the pairs alone")
def _(experts_NK, n_experts):
    return experts_NK.flatten().argsort(stable=True)


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
