"""Wrong answers to `loop` and to `sliced`: which token meets which expert, and what is made of the results."""

import math

import torch
import torch.nn.functional as F
from exercises.answers import Answers
from exercises.dispatch.parts import by_expert, ffn, rows_of

from mini_moe.dispatch import sliced_linear, sort_by_expert

ANSWERS = Answers(exercise=None)
wrong = ANSWERS.wrong


@wrong("overwritten, not added", "by expert")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    y = torch.zeros_like(x_ND)
    for e in range(len(down)):
        token, choice = torch.where(experts_NK == e)
        y[token] = ffn(x_ND[token], gate_up[e], down[e]) * weights_NK[token, choice][:, None]
    return y


@wrong("overwritten, not added", "by choice")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    y = torch.zeros_like(x_ND)
    for n, x in enumerate(x_ND):
        for k, e in enumerate(experts_NK[n].tolist()):
            y[n] = weights_NK[n, k] * ffn(x, gate_up[e], down[e])
    return y


@wrong("overwritten, not added", "+=, a token standing twice")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    pair, ends = sort_by_expert(experts_NK, len(down))
    token = pair // experts_NK.shape[1]
    y = torch.zeros_like(x_ND)
    y[token] += rows_of(x_ND[token], gate_up, down, ends) * weights_NK.flatten()[pair, None]
    return y


@wrong("first choice only", "a column")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    pair, ends = sort_by_expert(experts_NK[:, :1], len(down))
    y = rows_of(x_ND[pair], gate_up, down, ends) * weights_NK[pair, 0, None]
    return torch.zeros_like(x_ND).index_add(0, pair, y)


@wrong("first choice only", "a return one step too deep")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    y = torch.zeros_like(x_ND)
    for k in range(experts_NK.shape[1]):
        for e in range(len(down)):
            mask = experts_NK[:, k] == e
            y[mask] += ffn(x_ND[mask], gate_up[e], down[e]) * weights_NK[mask, k, None]
        return y


@wrong("only two choices")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    y = torch.zeros_like(x_ND)
    for n, x in enumerate(x_ND):
        for e, w in zip(experts_NK[n, :2].tolist(), weights_NK[n, :2], strict=True):
            y[n] += w * ffn(x, gate_up[e], down[e])
    return y


def kept_to(capacity):
    """A loop in which each expert takes its first tokens only, as many as ``capacity(fair share)``."""

    def layer(x_ND, weights_NK, experts_NK, gate_up, down):
        room = capacity(experts_NK.numel() / len(down))
        y = torch.zeros_like(x_ND)
        for e in range(len(down)):
            token, choice = (index[:room] for index in torch.where(experts_NK == e))
            y[token] += ffn(x_ND[token], gate_up[e], down[e]) * weights_NK[token, choice][:, None]
        return y

    return layer


wrong("tokens dropped", "above the fair share")(kept_to(math.ceil))
wrong("tokens dropped", "above the fair share, rounded down")(kept_to(math.floor))
wrong("tokens dropped", "above a capacity of 1.25")(kept_to(lambda share: int(1.25 * share)))
wrong("tokens dropped", "above a capacity of 2, but not the first")(kept_to(lambda share: max(1, int(2 * share))))
wrong("tokens dropped", "all but the first")(kept_to(lambda share: 1))
wrong("tokens not kept apart", "above a capacity of two tokens")(kept_to(lambda share: 2))


@wrong("tokens dropped", "of sorted rows")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    pair, ends = sort_by_expert(experts_NK, len(down))
    K = experts_NK.shape[1]
    capacity = math.ceil(len(pair) / len(down))
    y, start = torch.zeros_like(x_ND), 0
    for e, end in enumerate(ends.tolist()):
        kept = pair[start : min(end, start + capacity)]
        y = y.index_add(0, kept // K, ffn(x_ND[kept // K], gate_up[e], down[e]) * weights_NK.flatten()[kept, None])
        start = end
    return y


@wrong("no choice", "the sum of all")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    return sum(ffn(x_ND, gate_up[e], down[e]) for e in range(len(down)))


@wrong("no choice", "the mean of all")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    return torch.stack([ffn(x_ND, w1, w2) for w1, w2 in zip(gate_up, down, strict=True)]).mean(0)


@wrong("no choice", "with all weights")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    y = torch.zeros_like(x_ND)
    for e in range(len(down)):
        for k in range(experts_NK.shape[1]):
            y += weights_NK[:, k : k + 1] * ffn(x_ND, gate_up[e], down[e])
    return y


@wrong("every expert for all", "masked")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    y = torch.zeros_like(x_ND)
    for e in range(len(down)):
        w = (weights_NK * (experts_NK == e)).sum(-1, keepdim=True)
        y = y + w * ffn(x_ND, gate_up[e], down[e])
    return y


@wrong("every expert for all", "one-hot and einsum")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    w = (F.one_hot(experts_NK, len(down)) * weights_NK[..., None]).sum(1)
    gate, up = torch.einsum("nd,eid->nei", x_ND, gate_up).chunk(2, dim=-1)
    return torch.einsum("nei,edi,ne->nd", F.silu(gate) * up, down, w)


@wrong("every expert for all", "all computed, then gathered")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    outs = torch.stack([ffn(x_ND, gate_up[e], down[e]) for e in range(len(down))], dim=1)
    chosen = outs.gather(1, experts_NK[..., None].expand(-1, -1, x_ND.shape[1]))
    return (chosen * weights_NK[..., None]).sum(1)


@wrong("every expert for all", "token by token, with where")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    rows = []
    for x, weights, experts in zip(x_ND, weights_NK, experts_NK, strict=True):
        y = torch.zeros_like(x)
        for e in range(len(down)):
            gate, up = (gate_up[e] @ x).chunk(2)
            y = y + torch.where(experts == e, weights, 0.0).sum() * (down[e] @ (F.silu(gate) * up))
        rows.append(y)
    return torch.stack(rows)


@wrong("every expert for all", "every expert that has a token")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    y = torch.zeros_like(x_ND)
    for e in experts_NK.unique():
        out = ffn(x_ND, gate_up[e], down[e])
        token, choice = torch.where(experts_NK == e)
        y[token] += out[token] * weights_NK[token, choice, None]
    return y


@wrong("every expert for all", "as slices of all tokens")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    E, N = len(down), len(x_ND)
    y = rows_of(x_ND.repeat(E, 1), gate_up, down, N * torch.arange(1, E + 1))
    weights_NE = torch.zeros(N, E).scatter(1, experts_NK, weights_NK)
    return (y.view(E, N, -1) * weights_NE.T[..., None]).sum(0)


@wrong("divided by the number of choices")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    rows = []
    for n, x in enumerate(x_ND):
        outs = [w * ffn(x, gate_up[e], down[e]) for w, e in zip(weights_NK[n], experts_NK[n], strict=True)]
        rows.append(torch.stack(outs).mean(0))
    return torch.stack(rows)


@wrong("input added")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    y = x_ND.clone()
    for e in range(len(down)):
        token, choice = torch.where(experts_NK == e)
        y.index_add_(0, token, ffn(x_ND[token], gate_up[e], down[e]) * weights_NK[token, choice, None])
    return y


@wrong("nothing added", "index_add not kept")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    y = torch.zeros_like(x_ND)
    for e in range(len(down)):
        token, choice = torch.where(experts_NK == e)
        y.index_add(0, token, ffn(x_ND[token], gate_up[e], down[e]) * weights_NK[token, choice, None])
    return y


@wrong("one expert for all", "the first")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    return by_expert(x_ND, weights_NK, experts_NK, gate_up[[0] * len(gate_up)], down[[0] * len(down)])


@wrong("one expert for all", "the first, on the way down")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    pair, ends = sort_by_expert(experts_NK, len(down))
    token = pair // experts_NK.shape[1]
    gate, up = sliced_linear(x_ND[token], gate_up, ends).chunk(2, dim=-1)
    y = (F.silu(gate) * up) @ down[0].T * weights_NK.flatten()[pair, None]
    return torch.zeros_like(x_ND).index_add(0, token, y)


@wrong("one expert for all", "the first, on the way up")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    return by_expert(x_ND, weights_NK, experts_NK, gate_up[:1].repeat(len(down), 1, 1), down)


@wrong("one expert for all", "the mean")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    pair, ends = sort_by_expert(experts_NK, len(down))
    token = pair // experts_NK.shape[1]
    y = ffn(x_ND[token], gate_up.mean(0), down.mean(0)) * weights_NK.flatten()[pair, None]
    return torch.zeros_like(x_ND).index_add(0, token, y)


@wrong("experts without tokens not counted")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    y = torch.zeros_like(x_ND)
    for i, e in enumerate(experts_NK.unique()):
        token, choice = torch.where(experts_NK == e)
        y[token] += ffn(x_ND[token], gate_up[i], down[i]) * weights_NK[token, choice, None]
    return y


@wrong("the next expert's matrices", "those of the one before")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    return by_expert(x_ND, weights_NK, experts_NK, gate_up.roll(1, 0), down.roll(1, 0))


@wrong("the next expert's matrices", "those of the one after")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    return by_expert(x_ND, weights_NK, experts_NK, gate_up.roll(-1, 0), down.roll(-1, 0))


@wrong("changes its input", "written to x")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    old = x_ND.clone()
    x_ND.zero_()
    for e in range(len(down)):
        token, choice = torch.where(experts_NK == e)
        x_ND.index_add_(0, token, ffn(old[token], gate_up[e], down[e]) * weights_NK[token, choice, None])
    return x_ND


@wrong("changes its input", "the choices sorted in place")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    y = by_expert(x_ND, weights_NK, experts_NK, gate_up, down)
    experts_NK.copy_(experts_NK.sort(dim=1, descending=True).values)
    return y


@wrong("wrong shape", "squeezed")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    return by_expert(x_ND, weights_NK, experts_NK, gate_up, down).squeeze()


@wrong("returns None")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    by_expert(x_ND, weights_NK, experts_NK, gate_up, down)
