"""Wrong answers to `sort_by_expert`: the pairs, and in what form both results are given."""

import torch
from exercises.answers import Answers

from mini_moe.course.exercises.dispatch.sort_by_expert import EXERCISE

ANSWERS = Answers(EXERCISE)
wrong = ANSWERS.wrong


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


@wrong("K taken for 2", "as in the example")
def _(experts_NK, n_experts):
    pairs = [2 * n + k for e in range(n_experts) for n, k in (experts_NK == e).nonzero().tolist()]
    return torch.tensor(pairs), experts_NK.flatten().bincount(minlength=n_experts).cumsum(0)


@wrong("first choices only", "numbered as pairs")
def _(experts_NK, n_experts):
    first = experts_NK[:, 0]
    return first.argsort() * experts_NK.shape[1], first.bincount(minlength=n_experts).cumsum(0)


@wrong("first choices only", "numbered as tokens, all counted")
def _(experts_NK, n_experts):
    return experts_NK[:, 0].argsort(), experts_NK.flatten().bincount(minlength=n_experts).cumsum(0)


@wrong("sorted within each token", "as pairs")
def _(experts_NK, n_experts):
    N, K = experts_NK.shape
    pair = experts_NK.argsort(dim=1) + torch.arange(0, N * K, K)[:, None]
    return pair.flatten(), experts_NK.flatten().bincount(minlength=n_experts).cumsum(0)


@wrong("not in the order of the experts", "a key that mixes them")
def _(experts_NK, n_experts):
    flat = experts_NK.flatten()
    key = flat * len(experts_NK) + torch.arange(len(flat))
    return key.argsort(), flat.bincount(minlength=n_experts).cumsum(0)


@wrong("not each pair once", "padded by the last")
def _(experts_NK, n_experts):
    flat = experts_NK.flatten()
    pair = flat.argsort()
    pair[0] = pair[-1]
    return pair, flat.bincount(minlength=n_experts).cumsum(0)


def with_key(key):
    """A sort by another key than the experts themselves."""

    def sort(experts_NK, n_experts):
        flat = experts_NK.flatten()
        return key(flat).argsort(stable=True), flat.bincount(minlength=n_experts).cumsum(0)

    return sort


wrong("large numbers", "sorted in int8")(with_key(lambda flat: flat.to(torch.int8)))
wrong("large numbers", "sorted in bfloat16")(with_key(lambda flat: flat.bfloat16()))
wrong("large numbers", "a key with too little room for the pairs")(
    with_key(lambda flat: 1000 * flat + torch.arange(len(flat)))
)


@wrong("contiguous inputs only")
def _(experts_NK, n_experts):
    flat = experts_NK.view(-1)
    return flat.argsort(), flat.bincount(minlength=n_experts).cumsum(0)


@wrong("changes its input", "sorted in place")
def _(experts_NK, n_experts):
    flat = experts_NK.view(-1)
    flat[:], pair = flat.clone().sort()
    return pair, flat.bincount(minlength=n_experts).cumsum(0)
