"""Lesson 05: wrong answers as beginners write them, each with its name; right ones, each written differently."""

import math
from itertools import pairwise

import torch
import torch.nn.functional as F
from exercises.answers import Answers, Claims

from mini_moe.course.exercises import dispatch
from mini_moe.dispatch import sliced_linear, sort_by_expert

ANSWERS = Answers(dispatch)
wrong, right = ANSWERS.wrong, ANSWERS.right

LOOP = dispatch.LOOP
SORT = dispatch.SORT_BY_EXPERT
LINEAR = dispatch.SLICED_LINEAR
SLICED = dispatch.SLICED
TILES = dispatch.TILE_TABLE


class TestDispatch(Claims):
    answers = ANSWERS


def ffn(x, gate_up, down):
    """One expert, for the answers whose mistake is elsewhere."""
    gate, up = (x @ gate_up.T).chunk(2, dim=-1)
    return (F.silu(gate) * up) @ down.T


# --- loop -------------------------------------------------------------------------------------------------------------


@wrong(LOOP, "gate weights left out", "index_add")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    y = torch.zeros_like(x_ND)
    for e in range(len(down)):
        token, _ = (experts_NK == e).nonzero(as_tuple=True)
        y = y.index_add(0, token, ffn(x_ND[token], gate_up[e], down[e]))
    return y


@wrong(LOOP, "gate weights left out", "found and forgotten")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    y = torch.zeros_like(x_ND)
    for e in range(len(down)):
        mask = (experts_NK == e).any(dim=1)
        w = weights_NK[experts_NK == e]
        out = ffn(x_ND[mask], gate_up[e], down[e])
        out * w[:, None]
        y[mask] += out
    return y


@wrong(LOOP, "wrong gate weight", "always the first")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    y = torch.zeros_like(x_ND)
    for e in range(len(down)):
        token, _ = (experts_NK == e).nonzero(as_tuple=True)
        y[token] += ffn(x_ND[token], gate_up[e], down[e]) * weights_NK[token, 0].unsqueeze(-1)
    return y


@wrong(LOOP, "wrong gate weight", "always the last")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    y = torch.zeros_like(x_ND)
    for e in range(len(down)):
        for k in range(experts_NK.shape[1]):
            token = (experts_NK[:, k] == e).nonzero().squeeze(1)
            y[token] += ffn(x_ND[token], gate_up[e], down[e]) * weights_NK[token, -1:]
    return y


@wrong(LOOP, "wrong gate weight", "always the first token's")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    y = torch.zeros_like(x_ND)
    for e in range(len(down)):
        for k in range(experts_NK.shape[1]):
            mask = experts_NK[:, k] == e
            y[mask] += ffn(x_ND[mask], gate_up[e], down[e]) * weights_NK[0, k]
    return y


@wrong(LOOP, "all weights of the token", "summed")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    y = torch.zeros_like(x_ND)
    for e in range(len(down)):
        token = (experts_NK == e).any(1).nonzero().flatten()
        y[token] += ffn(x_ND[token], gate_up[e], down[e]) * weights_NK[token].sum(-1, keepdim=True)
    return y


@wrong(LOOP, "all weights of the token", "averaged")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    y = torch.zeros_like(x_ND)
    for e in range(len(down)):
        token = (experts_NK == e).any(1).nonzero().flatten()
        y[token] += ffn(x_ND[token], gate_up[e], down[e]) * weights_NK[token].mean(-1)[:, None]
    return y


@wrong(LOOP, "all weights of the token", "the largest")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    y = torch.zeros_like(x_ND)
    for e in range(len(down)):
        token = (experts_NK == e).any(1).nonzero().flatten()
        y[token] += ffn(x_ND[token], gate_up[e], down[e]) * weights_NK[token].max(-1).values[:, None]
    return y


@wrong(LOOP, "weights normalised again", "by their sum")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    weights_NK = weights_NK / weights_NK.sum(-1, keepdim=True)
    y = torch.zeros_like(x_ND)
    for e in range(len(down)):
        token, choice = torch.where(experts_NK == e)
        y[token] += ffn(x_ND[token], gate_up[e], down[e]) * weights_NK[token, choice][:, None]
    return y


@wrong(LOOP, "weights normalised again", "softmax")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    weights_NK = F.softmax(weights_NK, dim=-1)
    y = torch.zeros_like(x_ND)
    for e in range(len(down)):
        token, choice = torch.where(experts_NK == e)
        y[token] += ffn(x_ND[token], gate_up[e], down[e]) * weights_NK[token, choice][:, None]
    return y


@wrong(LOOP, "weight by the number of the expert")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    y = torch.zeros_like(x_ND)
    for e in range(len(down)):
        token = (experts_NK == e).any(1).nonzero().flatten()
        y[token] += ffn(x_ND[token], gate_up[e], down[e]) * weights_NK[token, e, None]
    return y


@wrong(LOOP, "weight on the input")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    y = torch.zeros_like(x_ND)
    for e in range(len(down)):
        token, choice = torch.where(experts_NK == e)
        rows = x_ND[token] * weights_NK[token, choice].unsqueeze(1)
        y[token] += ffn(rows, gate_up[e], down[e])
    return y


@wrong(LOOP, "weighted twice")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    y = torch.zeros_like(x_ND)
    for e in range(len(down)):
        token, choice = torch.where(experts_NK == e)
        w = weights_NK[token, choice, None]
        gate, up = (x_ND[token] @ gate_up[e].T).chunk(2, -1)
        y = y.index_add(0, token, (F.silu(gate) * up * w) @ down[e].T * w)
    return y


@wrong(LOOP, "overwritten, not added", "by expert")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    y = torch.zeros_like(x_ND)
    for e in range(len(down)):
        token, choice = torch.where(experts_NK == e)
        y[token] = ffn(x_ND[token], gate_up[e], down[e]) * weights_NK[token, choice][:, None]
    return y


@wrong(LOOP, "overwritten, not added", "by choice")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    y = torch.zeros_like(x_ND)
    for n, x in enumerate(x_ND):
        for k, e in enumerate(experts_NK[n].tolist()):
            y[n] = weights_NK[n, k] * ffn(x, gate_up[e], down[e])
    return y


@wrong(LOOP, "first choice only", "a column")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    y = torch.zeros_like(x_ND)
    for e in range(len(down)):
        mask = experts_NK[:, 0] == e
        y[mask] = ffn(x_ND[mask], gate_up[e], down[e]) * weights_NK[mask, :1]
    return y


@wrong(LOOP, "first choice only", "a return one step too deep")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    y = torch.zeros_like(x_ND)
    for k in range(experts_NK.shape[1]):
        for e in range(len(down)):
            mask = experts_NK[:, k] == e
            y[mask] += ffn(x_ND[mask], gate_up[e], down[e]) * weights_NK[mask, k, None]
        return y


@wrong(LOOP, "tokens dropped", "above the fair share")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    capacity = math.ceil(experts_NK.numel() / len(down))
    y = torch.zeros_like(x_ND)
    for e in range(len(down)):
        token, choice = torch.where(experts_NK == e)
        token, choice = token[:capacity], choice[:capacity]
        y[token] += ffn(x_ND[token], gate_up[e], down[e]) * weights_NK[token, choice][:, None]
    return y


@wrong(LOOP, "tokens dropped", "above the fair share, rounded down")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    capacity = experts_NK.numel() // len(down)
    y = torch.zeros_like(x_ND)
    for e in range(len(down)):
        token, choice = torch.where(experts_NK == e)
        token, choice = token[:capacity], choice[:capacity]
        y[token] += ffn(x_ND[token], gate_up[e], down[e]) * weights_NK[token, choice][:, None]
    return y


@wrong(LOOP, "tokens dropped", "all but the first")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    rows = [0] * len(x_ND)
    for e in range(len(down)):
        found = (experts_NK == e).nonzero().tolist()
        if found:
            n, k = found[0]
            rows[n] = rows[n] + weights_NK[n, k] * ffn(x_ND[n], gate_up[e], down[e])
    return torch.stack([row + torch.zeros_like(x_ND[0]) for row in rows])


@wrong(LOOP, "no choice", "the sum of all")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    return sum(ffn(x_ND, gate_up[e], down[e]) for e in range(len(down)))


@wrong(LOOP, "no choice", "the mean of all")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    outs = torch.stack([ffn(x_ND, w1, w2) for w1, w2 in zip(gate_up, down, strict=True)])
    return outs.mean(0)


@wrong(LOOP, "no choice", "with all weights")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    y = torch.zeros_like(x_ND)
    for e in range(len(down)):
        for k in range(experts_NK.shape[1]):
            y += weights_NK[:, k : k + 1] * ffn(x_ND, gate_up[e], down[e])
    return y


@wrong(LOOP, "every expert for all", "masked")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    y = torch.zeros_like(x_ND)
    for e in range(len(down)):
        w = (weights_NK * (experts_NK == e)).sum(-1, keepdim=True)
        y = y + w * ffn(x_ND, gate_up[e], down[e])
    return y


@wrong(LOOP, "every expert for all", "one-hot and einsum")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    w = (F.one_hot(experts_NK, len(down)) * weights_NK[..., None]).sum(1)
    gate, up = torch.einsum("nd,eid->nei", x_ND, gate_up).chunk(2, dim=-1)
    return torch.einsum("nei,edi,ne->nd", F.silu(gate) * up, down, w)


@wrong(LOOP, "every expert for all", "all computed, then gathered")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    outs = torch.stack([ffn(x_ND, gate_up[e], down[e]) for e in range(len(down))], dim=1)
    chosen = outs.gather(1, experts_NK[..., None].expand(-1, -1, x_ND.shape[1]))
    return (chosen * weights_NK[..., None]).sum(1)


@wrong(LOOP, "every expert for all", "token by token, with where")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    rows = []
    for x, weights, experts in zip(x_ND, weights_NK, experts_NK, strict=True):
        y = torch.zeros_like(x)
        for e in range(len(down)):
            gate, up = (gate_up[e] @ x).chunk(2)
            out = down[e] @ (F.silu(gate) * up)
            y = y + torch.where(experts == e, weights, 0.0).sum() * out
        rows.append(y)
    return torch.stack(rows)


@wrong(LOOP, "every expert for all", "every expert that has a token")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    y = torch.zeros_like(x_ND)
    for e in experts_NK.unique():
        out = ffn(x_ND, gate_up[e], down[e])
        token, choice = torch.where(experts_NK == e)
        y[token] += out[token] * weights_NK[token, choice, None]
    return y


@wrong(LOOP, "divided by the number of choices")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    rows = []
    for n, x in enumerate(x_ND):
        outs = [w * ffn(x, gate_up[e], down[e]) for w, e in zip(weights_NK[n], experts_NK[n], strict=True)]
        rows.append(torch.stack(outs).mean(0))
    return torch.stack(rows)


@wrong(LOOP, "input added")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    y = x_ND.clone()
    for e in range(len(down)):
        token, choice = torch.where(experts_NK == e)
        y.index_add_(0, token, ffn(x_ND[token], gate_up[e], down[e]) * weights_NK[token, choice, None])
    return y


@wrong(LOOP, "gate and up exchanged")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    y = torch.zeros_like(x_ND)
    for e in range(len(down)):
        token, choice = torch.where(experts_NK == e)
        up, gate = F.linear(x_ND[token], gate_up[e]).chunk(2, dim=-1)
        y.index_add_(0, token, F.linear(F.silu(gate) * up, down[e]) * weights_NK[token, choice, None])
    return y


@wrong(LOOP, "silu in both halves")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    y = torch.zeros_like(x_ND)
    for e in range(len(down)):
        token, choice = torch.where(experts_NK == e)
        gate, up = F.silu(x_ND[token] @ gate_up[e].T).chunk(2, dim=-1)
        y.index_add_(0, token, (gate * up) @ down[e].T * weights_NK[token, choice, None])
    return y


@wrong(LOOP, "no silu")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    y = torch.zeros_like(x_ND)
    for e in range(len(down)):
        token, choice = torch.where(experts_NK == e)
        gate, up = (x_ND[token] @ gate_up[e].T).chunk(2, dim=-1)
        y.index_add_(0, token, (gate * up) @ down[e].T * weights_NK[token, choice, None])
    return y


@wrong(LOOP, "silu after the product")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    y = torch.zeros_like(x_ND)
    for e in range(len(down)):
        token, choice = torch.where(experts_NK == e)
        gate, up = (x_ND[token] @ gate_up[e].T).chunk(2, dim=-1)
        y.index_add_(0, token, F.silu(gate * up) @ down[e].T * weights_NK[token, choice, None])
    return y


@wrong(LOOP, "sigmoid in place of silu")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    y = torch.zeros_like(x_ND)
    for e in range(len(down)):
        token, choice = torch.where(experts_NK == e)
        gate, up = (x_ND[token] @ gate_up[e].T).chunk(2, dim=-1)
        y.index_add_(0, token, (gate.sigmoid() * up) @ down[e].T * weights_NK[token, choice, None])
    return y


@wrong(LOOP, "added in place of multiplied")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    y = torch.zeros_like(x_ND)
    for e in range(len(down)):
        token, choice = torch.where(experts_NK == e)
        gate, up = (x_ND[token] @ gate_up[e].T).chunk(2, dim=-1)
        y.index_add_(0, token, (F.silu(gate) + up) @ down[e].T * weights_NK[token, choice, None])
    return y


@wrong(LOOP, "gate and up interleaved")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    y = torch.zeros_like(x_ND)
    for e in range(len(down)):
        token, choice = torch.where(experts_NK == e)
        both = x_ND[token] @ gate_up[e].T
        y.index_add_(0, token, (F.silu(both[:, ::2]) * both[:, 1::2]) @ down[e].T * weights_NK[token, choice, None])
    return y


@wrong(LOOP, "matrix not transposed", "down")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    y = torch.zeros_like(x_ND)
    for e in range(len(down)):
        token, choice = torch.where(experts_NK == e)
        gate, up = (x_ND[token] @ gate_up[e].T).chunk(2, dim=-1)
        y.index_add_(0, token, (F.silu(gate) * up) @ down[e] * weights_NK[token, choice, None])
    return y


@wrong(LOOP, "matrix not transposed", "gate_up")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    y = torch.zeros_like(x_ND)
    for e in range(len(down)):
        token, choice = torch.where(experts_NK == e)
        gate, up = (x_ND[token] @ gate_up[e]).chunk(2, dim=-1)
        y.index_add_(0, token, (F.silu(gate) * up) @ down[e].T * weights_NK[token, choice, None])
    return y


@wrong(LOOP, "raises RuntimeError", "nothing transposed")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    y = torch.zeros_like(x_ND)
    for e in range(len(down)):
        token, choice = torch.where(experts_NK == e)
        gate, up = (x_ND[token] @ gate_up[e]).chunk(2, dim=-1)
        y.index_add_(0, token, (F.silu(gate) * up) @ down[e] * weights_NK[token, choice, None])
    return y


@wrong(LOOP, "only as many experts as choices")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    y = torch.zeros_like(x_ND)
    for e in range(experts_NK.shape[1]):
        token, choice = torch.where(experts_NK == e)
        y.index_add_(0, token, ffn(x_ND[token], gate_up[e], down[e]) * weights_NK[token, choice, None])
    return y


@wrong(LOOP, "an expert left out", "the last")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    y = torch.zeros_like(x_ND)
    for e in range(len(down) - 1):
        token, choice = torch.where(experts_NK == e)
        y.index_add_(0, token, ffn(x_ND[token], gate_up[e], down[e]) * weights_NK[token, choice, None])
    return y


@wrong(LOOP, "an expert left out", "the first")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    y = torch.zeros_like(x_ND)
    for e in range(1, gate_up.shape[0]):
        token, choice = torch.where(experts_NK == e)
        y.index_add_(0, token, ffn(x_ND[token], gate_up[e], down[e]) * weights_NK[token, choice, None])
    return y


@wrong(LOOP, "stops at an empty expert", "break")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    y = torch.zeros_like(x_ND)
    for e in range(len(down)):
        token, choice = torch.where(experts_NK == e)
        if len(token) == 0:
            break
        y.index_add_(0, token, ffn(x_ND[token], gate_up[e], down[e]) * weights_NK[token, choice, None])
    return y


@wrong(LOOP, "token and choice exchanged")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    y = torch.zeros_like(x_ND)
    for e in range(len(down)):
        choice, token = torch.where(experts_NK == e)
        y.index_add_(0, token, ffn(x_ND[token], gate_up[e], down[e]) * weights_NK[token, choice, None])
    return y


@wrong(LOOP, "weights along the features", "no column made of them")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    y = torch.zeros_like(x_ND)
    for e in range(len(down)):
        token, choice = torch.where(experts_NK == e)
        y = y.index_add(0, token, ffn(x_ND[token], gate_up[e], down[e]) * weights_NK[token, choice])
    return y


@wrong(LOOP, "weights along the features", "empty experts skipped")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    y = torch.zeros_like(x_ND)
    for e in range(len(down)):
        token, choice = torch.where(experts_NK == e)
        if len(token) == 0:
            continue
        y[token] += weights_NK[token, choice] * ffn(x_ND[token], gate_up[e], down[e])
    return y


@wrong(LOOP, "raises RuntimeError", "an expert without tokens, stacked")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    y = torch.zeros_like(x_ND)
    for e in range(len(down)):
        token, choice = torch.where(experts_NK == e)
        rows = torch.stack([weights_NK[n, k] * ffn(x_ND[n], gate_up[e], down[e])
                            for n, k in zip(token, choice, strict=True)])  # fmt: skip
        y.index_add_(0, token, rows)
    return y


@wrong(LOOP, "raises IndexError", "an expert without tokens, its first one asked for")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    y = torch.zeros_like(x_ND)
    for e in range(len(down)):
        token, choice = torch.where(experts_NK == e)
        assert token[0] >= 0
        y.index_add_(0, token, ffn(x_ND[token], gate_up[e], down[e]) * weights_NK[token, choice, None])
    return y


@wrong(LOOP, "gradient missing", "the experts detached")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    y = torch.zeros_like(x_ND)
    for e in range(len(down)):
        token, choice = torch.where(experts_NK == e)
        with torch.no_grad():
            out = ffn(x_ND[token], gate_up[e], down[e])
        y.index_add_(0, token, out * weights_NK[token, choice, None])
    return y


@wrong(LOOP, "gradient missing", "gate weights as numbers")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    y = torch.zeros_like(x_ND)
    for n in range(len(x_ND)):
        for w, e in zip(weights_NK[n].tolist(), experts_NK[n].tolist(), strict=True):
            y[n] += w * ffn(x_ND[n], gate_up[e], down[e])
    return y


@wrong(LOOP, "changes its input", "written to x")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    old = x_ND.clone()
    x_ND.zero_()
    for e in range(len(down)):
        token, choice = torch.where(experts_NK == e)
        x_ND.index_add_(0, token, ffn(old[token], gate_up[e], down[e]) * weights_NK[token, choice, None])
    return x_ND


@wrong(LOOP, "returns None")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    y = torch.zeros_like(x_ND)
    for e in range(len(down)):
        token, choice = torch.where(experts_NK == e)
        y.index_add_(0, token, ffn(x_ND[token], gate_up[e], down[e]) * weights_NK[token, choice, None])


@wrong(LOOP, "nothing added", "index_add not kept")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    y = torch.zeros_like(x_ND)
    for e in range(len(down)):
        token, choice = torch.where(experts_NK == e)
        y.index_add(0, token, ffn(x_ND[token], gate_up[e], down[e]) * weights_NK[token, choice, None])
    return y


@wrong(LOOP, "one expert for all", "the first")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    y = torch.zeros_like(x_ND)
    for e in range(len(down)):
        token, choice = torch.where(experts_NK == e)
        y.index_add_(0, token, ffn(x_ND[token], gate_up[0], down[0]) * weights_NK[token, choice, None])
    return y


@wrong(LOOP, "one expert for all", "the mean")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    y = torch.zeros_like(x_ND)
    for e in range(len(down)):
        token, choice = torch.where(experts_NK == e)
        y.index_add_(0, token, ffn(x_ND[token], gate_up.mean(0), down.mean(0)) * weights_NK[token, choice, None])
    return y


@wrong(LOOP, "another bend", "relu")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    y = torch.zeros_like(x_ND)
    for e in range(len(down)):
        token, choice = torch.where(experts_NK == e)
        gate, up = (x_ND[token] @ gate_up[e].T).chunk(2, dim=-1)
        y.index_add_(0, token, (gate.clamp(min=0) * up) @ down[e].T * weights_NK[token, choice, None])
    return y


@wrong(LOOP, "another bend", "gelu")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    y = torch.zeros_like(x_ND)
    for e in range(len(down)):
        token, choice = torch.where(experts_NK == e)
        gate, up = (x_ND[token] @ gate_up[e].T).chunk(2, dim=-1)
        y.index_add_(0, token, (F.gelu(gate) * up) @ down[e].T * weights_NK[token, choice, None])
    return y


@wrong(LOOP, "no gate", "silu(up)")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    y = torch.zeros_like(x_ND)
    for e in range(len(down)):
        token, choice = torch.where(experts_NK == e)
        gate, up = (x_ND[token] @ gate_up[e].T).chunk(2, dim=-1)
        y.index_add_(0, token, F.silu(up) @ down[e].T * weights_NK[token, choice, None])
    return y


@wrong(LOOP, "no way up", "silu(gate)")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    y = torch.zeros_like(x_ND)
    for e in range(len(down)):
        token, choice = torch.where(experts_NK == e)
        gate, up = (x_ND[token] @ gate_up[e].T).chunk(2, dim=-1)
        y.index_add_(0, token, F.silu(gate) @ down[e].T * weights_NK[token, choice, None])
    return y


@wrong(LOOP, "only one expert", "returned in the loop")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    y = torch.zeros_like(x_ND)
    for e in range(len(down)):
        token, choice = torch.where(experts_NK == e)
        y.index_add_(0, token, ffn(x_ND[token], gate_up[e], down[e]) * weights_NK[token, choice, None])
        return y


@wrong(LOOP, "only one expert", "made in the loop")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    y = torch.zeros_like(x_ND)
    for e in range(len(down)):
        token, choice = torch.where(experts_NK == e)
        y = torch.zeros_like(x_ND)
        y.index_add_(0, token, ffn(x_ND[token], gate_up[e], down[e]) * weights_NK[token, choice, None])
    return y


@wrong(LOOP, "token 0 taken for none", "token.any()")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    y = torch.zeros_like(x_ND)
    for e in range(len(down)):
        token, choice = torch.where(experts_NK == e)
        if not token.any():
            continue
        y.index_add_(0, token, ffn(x_ND[token], gate_up[e], down[e]) * weights_NK[token, choice, None])
    return y


@wrong(LOOP, "tokens dropped", "above a capacity of 1.25")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    y = torch.zeros_like(x_ND)
    for e in range(len(down)):
        token, choice = torch.where(experts_NK == e)
        capacity = int(1.25 * experts_NK.numel() / len(down))
        token, choice = token[:capacity], choice[:capacity]
        y.index_add_(0, token, ffn(x_ND[token], gate_up[e], down[e]) * weights_NK[token, choice, None])
    return y


@right(LOOP, "tokens and choices in loops")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    rows = []
    for x, weights, experts in zip(x_ND, weights_NK, experts_NK, strict=True):
        y = torch.zeros_like(x)
        for w, e in zip(weights, experts, strict=True):
            gate, up = (gate_up[e] @ x).chunk(2)
            y = y + w * (down[e] @ (F.silu(gate) * up))
        rows.append(y)
    return torch.stack(rows)


@right(LOOP, "masks, written in place, empty experts skipped")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    y = torch.zeros_like(x_ND)
    for e in range(gate_up.shape[0]):
        mask = experts_NK == e
        if not mask.any():
            continue
        token = mask.any(dim=-1)
        w = (weights_NK * mask).sum(dim=-1)[token]
        y[token] += w.unsqueeze(-1) * ffn(x_ND[token], gate_up[e], down[e])
    return y


@right(LOOP, "choice by choice, only experts that occur")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    y = torch.zeros_like(x_ND)
    for k in range(experts_NK.shape[1]):
        for e in experts_NK[:, k].unique().tolist():
            mask = experts_NK[:, k] == e
            y[mask] += weights_NK[mask, k : k + 1] * ffn(x_ND[mask], gate_up[e], down[e])
    return y


@right(LOOP, "one-hot, the weight before the way down, index_put")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    chosen = F.one_hot(experts_NK, num_classes=len(down)).permute(2, 0, 1)
    y = torch.zeros_like(x_ND)
    for e, (n, k) in enumerate(mask.nonzero().unbind(-1) for mask in chosen):
        gate, up = torch.einsum("nd,id->ni", x_ND[n], gate_up[e]).chunk(2, -1)
        hidden = gate * gate.sigmoid() * up * weights_NK[n, k, None]
        y = y.index_put((n,), hidden @ down[e].mT, accumulate=True)
    return y


@right(LOOP, "each pair with a copy of its matrices, float64")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    gate, up = torch.einsum("nd,nkid->nki", x_ND.double(), gate_up.double()[experts_NK]).chunk(2, dim=-1)
    out = torch.einsum("nki,nkdi->nkd", F.silu(gate) * up, down.double()[experts_NK])
    return (weights_NK.double()[..., None] * out).sum(dim=1).to(x_ND.dtype)


@right(LOOP, "padded to the longest expert")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    places = [torch.where(experts_NK == e) for e in range(len(down))]
    longest = max(len(token) for token, _ in places)
    x = torch.stack([F.pad(x_ND[token], (0, 0, 0, longest - len(token))) for token, _ in places])
    gate, up = torch.bmm(x, gate_up.mT).chunk(2, dim=-1)
    out = torch.bmm(F.silu(gate) * up, down.mT)
    y = torch.zeros_like(x_ND)
    for e, (token, choice) in enumerate(places):
        y[token] += weights_NK[token, choice, None] * out[e, : len(token)]
    return y


# --- sort_by_expert ---------------------------------------------------------------------------------------------------


@wrong(SORT, "tokens in place of pairs", "divided")
def _(experts_NK, n_experts):
    order = experts_NK.flatten().argsort()
    return order // experts_NK.shape[1], experts_NK.flatten().bincount(minlength=n_experts).cumsum(0)


@wrong(SORT, "tokens in place of pairs", "rows of nonzero")
def _(experts_NK, n_experts):
    tokens = [(experts_NK == e).nonzero()[:, 0] for e in range(n_experts)]
    return torch.cat(tokens), torch.tensor([len(t) for t in tokens]).cumsum(0)


@wrong(SORT, "choices in place of pairs", "columns of nonzero")
def _(experts_NK, n_experts):
    choices = [(experts_NK == e).nonzero(as_tuple=True)[1] for e in range(n_experts)]
    return torch.cat(choices), torch.tensor([len(c) for c in choices]).cumsum(0)


@wrong(SORT, "experts in place of pairs", "sort()[0]")
def _(experts_NK, n_experts):
    expert = experts_NK.flatten().sort()[0]
    return expert, torch.searchsorted(expert, torch.arange(n_experts), right=True)


@wrong(SORT, "where each pair goes", "argsort twice")
def _(experts_NK, n_experts):
    flat = experts_NK.reshape(-1)
    return flat.argsort(stable=True).argsort(), flat.bincount(minlength=n_experts).cumsum(0)


@wrong(SORT, "where each pair goes", "written there")
def _(experts_NK, n_experts):
    flat = experts_NK.reshape(-1)
    counts = flat.bincount(minlength=n_experts)
    place = (counts.cumsum(0) - counts).tolist()
    row = torch.zeros_like(flat)
    for pair, e in enumerate(flat.tolist()):
        row[pair] = place[e]
        place[e] += 1
    return row, counts.cumsum(0)


@wrong(SORT, "pairs numbered by choice", "transposed first")
def _(experts_NK, n_experts):
    flat = experts_NK.t().flatten()
    return flat.argsort(stable=True), flat.bincount(minlength=n_experts).cumsum(0)


@wrong(SORT, "pairs numbered by choice", "k * N + n")
def _(experts_NK, n_experts):
    N, K = experts_NK.shape
    pairs, ends = [], []
    for e in range(n_experts):
        pairs += [k * N + n for n in range(N) for k in range(K) if experts_NK[n, k] == e]
        ends.append(len(pairs))
    return torch.tensor(pairs), torch.tensor(ends)


@wrong(SORT, "pairs numbered with E")
def _(experts_NK, n_experts):
    pairs, ends = [], []
    for e in range(n_experts):
        for token, choice in (experts_NK == e).nonzero().tolist():
            pairs.append(token * n_experts + choice)
        ends.append(len(pairs))
    return torch.tensor(pairs), torch.tensor(ends)


@wrong(SORT, "sorted within each token", "argsort without flatten")
def _(experts_NK, n_experts):
    return experts_NK.argsort(), experts_NK.flatten().bincount(minlength=n_experts).cumsum(0)


@wrong(SORT, "sorted within each token", "flatten too late")
def _(experts_NK, n_experts):
    pair = experts_NK.argsort(dim=1).flatten()
    return pair, experts_NK.flatten().bincount(minlength=n_experts).cumsum(0)


@wrong(SORT, "sorted over the tokens only")
def _(experts_NK, n_experts):
    pair = torch.argsort(experts_NK, 0).view(-1)
    return pair, experts_NK.flatten().bincount(minlength=n_experts).cumsum(0)


@wrong(SORT, "not sorted")
def _(experts_NK, n_experts):
    pair = torch.arange(experts_NK.shape[0] * experts_NK.shape[1])
    return pair, torch.bincount(experts_NK.flatten(), minlength=n_experts).cumsum(0)


@wrong(SORT, "last expert first", "descending")
def _(experts_NK, n_experts):
    flat = experts_NK.flatten()
    return flat.argsort(descending=True, stable=True), flat.bincount(minlength=n_experts).cumsum(0)


@wrong(SORT, "last expert first", "flipped")
def _(experts_NK, n_experts):
    flat = experts_NK.flatten()
    return flat.argsort(stable=True).flip(0), flat.bincount(minlength=n_experts).cumsum(0)


@wrong(SORT, "starts in place of ends", "searchsorted from the left")
def _(experts_NK, n_experts):
    values, pair = experts_NK.flatten().sort()
    return pair, torch.searchsorted(values, torch.arange(n_experts))


@wrong(SORT, "starts in place of ends", "noted before the loop's body")
def _(experts_NK, n_experts):
    flat, pairs, ends = experts_NK.flatten().tolist(), [], []
    for e in range(n_experts):
        ends.append(len(pairs))
        pairs.extend(i for i, expert in enumerate(flat) if expert == e)
    return torch.tensor(pairs), torch.tensor(ends)


@wrong(SORT, "counts in place of ends")
def _(experts_NK, n_experts):
    flat = experts_NK.flatten()
    return flat.argsort(), flat.bincount(minlength=n_experts)


@wrong(SORT, "last places in place of ends")
def _(experts_NK, n_experts):
    flat = experts_NK.flatten()
    return flat.argsort(), flat.bincount(minlength=n_experts).cumsum(0) - 1


@wrong(SORT, "a zero in front")
def _(experts_NK, n_experts):
    pairs, ends = [], [0]
    for e in range(n_experts):
        pairs.append((experts_NK.flatten() == e).nonzero().flatten())
        ends.append(ends[-1] + len(pairs[-1]))
    return torch.cat(pairs), torch.tensor(ends)


@wrong(SORT, "experts without pairs left out", "unique")
def _(experts_NK, n_experts):
    flat = experts_NK.flatten()
    return flat.argsort(), flat.unique(return_counts=True)[1].cumsum(0)


@wrong(SORT, "experts without pairs left out", "bincount without minlength")
def _(experts_NK, n_experts):
    flat = experts_NK.flatten()
    return flat.argsort(), flat.bincount().cumsum(0)


@wrong(SORT, "experts without pairs left out", "where the sorted experts change")
def _(experts_NK, n_experts):
    values, pair = experts_NK.flatten().sort()
    change = (values[1:] != values[:-1]).nonzero().flatten() + 1
    return pair, torch.cat((change, torch.tensor([len(values)])))


@wrong(SORT, "each expert counted once")
def _(experts_NK, n_experts):
    flat = experts_NK.flatten()
    counts = torch.zeros(n_experts, dtype=torch.int64)
    counts[flat] += 1
    return flat.argsort(), counts.cumsum(0)


@wrong(SORT, "results exchanged")
def _(experts_NK, n_experts):
    flat = experts_NK.flatten()
    ends = torch.bincount(flat, minlength=n_experts).cumsum(0)
    return ends, flat.argsort()


@wrong(SORT, "wrong dtype", "histc")
def _(experts_NK, n_experts):
    flat = experts_NK.flatten()
    return flat.argsort(), flat.float().histc(n_experts, 0, n_experts - 1).cumsum(0)


@wrong(SORT, "wrong type", "lists")
def _(experts_NK, n_experts):
    flat = experts_NK.flatten().tolist()
    pairs = sorted(range(len(flat)), key=flat.__getitem__)
    ends = [sum(e <= expert for e in flat) for expert in range(n_experts)]
    return pairs, ends


@wrong(SORT, "wrong type", "the pairs alone")
def _(experts_NK, n_experts):
    return experts_NK.flatten().argsort(stable=True)


@right(SORT, "lists, sorted")
def _(experts_NK, n_experts):
    flat = experts_NK.flatten().tolist()
    pairs = sorted(range(len(flat)), key=lambda i: flat[i])
    ends = [sum(e <= expert for e in flat) for expert in range(n_experts)]
    return torch.tensor(pairs), torch.tensor(ends)


@right(SORT, "choice by choice within an expert")
def _(experts_NK, n_experts):
    N, K = experts_NK.shape
    pairs, ends = [], []
    for e in range(n_experts):
        pairs += [n * K + k for k in range(K) for n in range(N) if experts_NK[n, k] == e]
        ends.append(len(pairs))
    return torch.tensor(pairs), torch.tensor(ends)


@right(SORT, "backwards within an expert, searchsorted")
def _(experts_NK, n_experts):
    flat = experts_NK.flatten()
    pair = flat.argsort(descending=True, stable=True).flip(0)
    return pair, torch.searchsorted(flat[pair], torch.arange(n_experts), right=True)


@right(SORT, "one-hot, a place for each pair")
def _(experts_NK, n_experts):
    hot = F.one_hot(experts_NK.flatten(), n_experts)
    ends = hot.sum(0).cumsum(0)
    place = ((hot.cumsum(0) - 1 + ends - hot.sum(0)) * hot).sum(1)
    return torch.zeros_like(place).scatter(0, place, torch.arange(len(place))), ends


@right(SORT, "where, expert by expert; a list of two")
def _(experts_NK, n_experts):
    found = [torch.where(experts_NK.reshape(-1) == e)[0].flip(0) for e in range(n_experts)]
    return [torch.cat(found), torch.tensor([len(f) for f in found]).cumsum(dim=0)]


# --- sliced_linear ----------------------------------------------------------------------------------------------------


@wrong(LINEAR, "experts without rows not counted", "empty slices filtered")
def _(x_JD, weight, ends_E):
    bounds = [0, *ends_E.tolist()]
    slices = [x_JD[a:b] for a, b in pairwise(bounds) if b > a]
    return torch.cat([rows @ weight[i].T for i, rows in enumerate(slices)])


@wrong(LINEAR, "experts without rows not counted", "unique ends")
def _(x_JD, weight, ends_E):
    start, out = 0, []
    ends = [end for end in ends_E.unique().tolist() if end > 0]
    for end, w in zip(ends, weight, strict=False):
        out.append(F.linear(x_JD[start:end], w))
        start = end
    return torch.cat(out)


@wrong(LINEAR, "ends taken for sizes", "the start moved by the end")
def _(x_JD, weight, ends_E):
    start, out = 0, []
    for end, w in zip(ends_E.tolist(), weight, strict=True):
        out.append(F.linear(x_JD[start : start + end], w))
        start += end
    return torch.cat(out)


@wrong(LINEAR, "raises RuntimeError", "ends taken for sizes by split")
def _(x_JD, weight, ends_E):
    return torch.cat([F.linear(rows, w) for rows, w in zip(x_JD.split(ends_E.tolist()), weight, strict=True)])


@wrong(LINEAR, "ends taken for sizes", "written")
def _(x_JD, weight, ends_E):
    start = 0
    y = torch.zeros(len(x_JD), weight.shape[1])
    for e, size in enumerate(ends_E.tolist()):
        y[start : start + size] = x_JD[start : start + size] @ weight[e].T
        start += size
    return y


@wrong(LINEAR, "every slice starts at 0", "joined")
def _(x_JD, weight, ends_E):
    return torch.cat([x_JD[:end] @ w.T for end, w in zip(ends_E, weight, strict=True)])


@wrong(LINEAR, "every slice starts at 0", "the start not moved")
def _(x_JD, weight, ends_E):
    start = 0
    y = torch.zeros(len(x_JD), weight.shape[1])
    for end, w in zip(ends_E, weight, strict=True):
        y[start:end] = x_JD[start:end] @ w.T
    return y


@wrong(LINEAR, "first slice left out", "diff without prepend")
def _(x_JD, weight, ends_E):
    y = torch.zeros(len(x_JD), weight.shape[1])
    for e in range(1, len(ends_E)):
        a, b = ends_E[e - 1], ends_E[e]
        y[a:b] = x_JD[a:b] @ weight[e].T
    return y


@wrong(LINEAR, "first slice left out", "ends taken for starts")
def _(x_JD, weight, ends_E):
    starts = [*ends_E.tolist(), len(x_JD)]
    return torch.cat([x_JD[starts[e] : starts[e + 1]] @ weight[e].T for e in range(len(weight))])


@wrong(LINEAR, "first slice left out", "ends[-1] for the first")
def _(x_JD, weight, ends_E):
    y = torch.zeros(len(x_JD), weight.shape[1])
    for e in range(len(ends_E)):
        a, b = ends_E[e - 1], ends_E[e]
        y[a:b] = x_JD[a:b] @ weight[e].T
    return y


@wrong(LINEAR, "last slice left out", "written")
def _(x_JD, weight, ends_E):
    y = torch.zeros(len(x_JD), weight.shape[1])
    starts = [0, *ends_E.tolist()]
    for e in range(len(ends_E) - 1):
        y[starts[e] : starts[e + 1]] = x_JD[starts[e] : starts[e + 1]] @ weight[e].T
    return y


@wrong(LINEAR, "stops at an empty expert", "break")
def _(x_JD, weight, ends_E):
    y = torch.zeros(len(x_JD), weight.shape[1])
    start = 0
    for end, w in zip(ends_E.tolist(), weight, strict=True):
        if start == end:
            break
        y[start:end] = x_JD[start:end] @ w.T
        start = end
    return y


@wrong(LINEAR, "only the last slice", "made in the loop")
def _(x_JD, weight, ends_E):
    start = 0
    for end, w in zip(ends_E.tolist(), weight, strict=True):
        y = torch.zeros(len(x_JD), weight.shape[1])
        y[start:end] = x_JD[start:end] @ w.T
        start = end
    return y


@wrong(LINEAR, "one row too few")
def _(x_JD, weight, ends_E):
    y = torch.zeros(len(x_JD), weight.shape[1])
    start = 0
    for end, w in zip(ends_E.tolist(), weight, strict=True):
        for j in range(start, end - 1):
            y[j] = w @ x_JD[j]
        start = end
    return y


@wrong(LINEAR, "boundary on the wrong side", "searchsorted")
def _(x_JD, weight, ends_E):
    expert = torch.searchsorted(ends_E, torch.arange(len(x_JD)))
    return torch.bmm(weight[expert], x_JD.unsqueeze(-1)).squeeze(-1)


@wrong(LINEAR, "boundary on the wrong side", "a comparison")
def _(x_JD, weight, ends_E):
    rows, e = [], 0
    for j, x in enumerate(x_JD):
        while j > ends_E[e]:
            e += 1
        rows.append(weight[e] @ x)
    return torch.stack(rows)


@wrong(LINEAR, "the next expert's matrix", "the one before")
def _(x_JD, weight, ends_E):
    bounds = [0, *ends_E.tolist()]
    return torch.cat([x_JD[bounds[e - 1] : bounds[e]] @ weight[e - 2].T for e in range(1, len(bounds))])


@wrong(LINEAR, "the next expert's matrix", "the one after")
def _(x_JD, weight, ends_E):
    bounds = [0, *ends_E.tolist()]
    E = len(weight)
    return torch.cat([x_JD[bounds[e - 1] : bounds[e]] @ weight[e % E].T for e in range(1, E + 1)])


@wrong(LINEAR, "matrices in reverse")
def _(x_JD, weight, ends_E):
    sizes = torch.diff(ends_E, prepend=torch.tensor([0])).tolist()
    return torch.cat([rows @ w.T for rows, w in zip(x_JD.split(sizes), weight.flip(0), strict=True)])


@wrong(LINEAR, "one matrix for all rows", "the mean")
def _(x_JD, weight, ends_E):
    return F.linear(x_JD, weight.mean(0))


@wrong(LINEAR, "one matrix for all rows", "the sum of all products")
def _(x_JD, weight, ends_E):
    return sum(x_JD @ w.T for w in weight)


@wrong(LINEAR, "one matrix for all rows", "the first")
def _(x_JD, weight, ends_E):
    sizes = torch.diff(ends_E, prepend=torch.tensor([0])).tolist()
    return torch.cat([rows @ weight[0].T for rows in x_JD.split(sizes)])


@wrong(LINEAR, "weight not transposed")
def _(x_JD, weight, ends_E):
    sizes = torch.diff(ends_E, prepend=torch.tensor([0])).tolist()
    return torch.cat([rows @ w for rows, w in zip(x_JD.split(sizes), weight, strict=True)])


@wrong(LINEAR, "every expert for all", "all products, then the rows chosen")
def _(x_JD, weight, ends_E):
    expert = torch.searchsorted(ends_E, torch.arange(len(x_JD)), right=True)
    every = torch.einsum("jd,eod->jeo", x_JD, weight)
    return every[torch.arange(len(x_JD)), expert]


@wrong(LINEAR, "every expert for all", "rows masked")
def _(x_JD, weight, ends_E):
    j, start = torch.arange(len(x_JD)), 0
    y = torch.zeros(len(x_JD), weight.shape[1])
    for end, w in zip(ends_E, weight, strict=True):
        mask = (j >= start) & (j < end)
        y = y + (x_JD * mask[:, None]) @ w.T
        start = end
    return y


@wrong(LINEAR, "gradient missing", "weight.data")
def _(x_JD, weight, ends_E):
    sizes = torch.diff(ends_E, prepend=torch.tensor([0])).tolist()
    return torch.cat([rows @ w.T for rows, w in zip(x_JD.split(sizes), weight.data, strict=True)])


@wrong(LINEAR, "wrong type", "a list of slices")
def _(x_JD, weight, ends_E):
    sizes = torch.diff(ends_E, prepend=torch.tensor([0])).tolist()
    return [rows @ w.T for rows, w in zip(x_JD.split(sizes), weight, strict=True)]


@wrong(LINEAR, "raises RuntimeError", "stacked")
def _(x_JD, weight, ends_E):
    sizes = torch.diff(ends_E, prepend=torch.tensor([0])).tolist()
    return torch.stack([rows @ w.T for rows, w in zip(x_JD.split(sizes), weight, strict=True)])


@right(LINEAR, "written slice by slice")
def _(x_JD, weight, ends_E):
    y = x_JD.new_empty(x_JD.shape[0], weight.shape[1])
    start = 0
    for e in range(len(ends_E)):
        end = ends_E[e]
        y[start:end] = x_JD[start:end] @ weight[e].T
        start = end
    return y


@right(LINEAR, "row by row, empty experts passed over")
def _(x_JD, weight, ends_E):
    rows, e = [], 0
    for j in range(len(x_JD)):
        while j >= ends_E[e]:
            e += 1
        rows.append(weight[e] @ x_JD[j])
    return torch.stack(rows)


@right(LINEAR, "searchsorted and a copy of the matrix for each row")
def _(x_JD, weight, ends_E):
    expert = torch.searchsorted(ends_E, torch.arange(len(x_JD)), right=True)
    return torch.einsum("jd,jod->jo", x_JD, weight[expert])


@right(LINEAR, "repeat_interleave, float64")
def _(x_JD, weight, ends_E):
    counts = torch.diff(ends_E, prepend=torch.zeros(1, dtype=torch.int64))
    own = weight.double().repeat_interleave(counts, dim=0)
    return (own @ x_JD.double().unsqueeze(-1)).squeeze(-1).float()


@right(LINEAR, "only slices with rows, tensor_split")
def _(x_JD, weight, ends_E):
    slices = x_JD.tensor_split(ends_E[:-1])
    return torch.cat([rows @ w.mT for rows, w in zip(slices, weight, strict=True) if len(rows)])


# --- sliced -----------------------------------------------------------------------------------------------------------


def rows_of(x_JD, gate_up, down, ends_E):
    """The two grouped products, for the answers whose mistake is elsewhere."""
    gate, up = sliced_linear(x_JD, gate_up, ends_E).chunk(2, dim=-1)
    return sliced_linear(F.silu(gate) * up, down, ends_E)


@wrong(SLICED, "left in sorted order", "reshaped")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    pair, ends = sort_by_expert(experts_NK, len(down))
    N, K = experts_NK.shape
    y = rows_of(x_ND[pair // K], gate_up, down, ends) * weights_NK.flatten()[pair].unsqueeze(-1)
    return y.view(N, K, -1).sum(1)


@wrong(SLICED, "left in sorted order", "reshaped the other way")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    pair, ends = sort_by_expert(experts_NK, len(down))
    N, K = experts_NK.shape
    y = rows_of(x_ND[pair // K], gate_up, down, ends) * weights_NK.flatten()[pair].unsqueeze(-1)
    return y.view(K, N, -1).sum(0)


@wrong(SLICED, "wrong shape", "the rows as they are")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    pair, ends = sort_by_expert(experts_NK, len(down))
    y = rows_of(x_ND[pair // experts_NK.shape[1]], gate_up, down, ends)
    return y * weights_NK.flatten()[pair, None]


@wrong(SLICED, "sorted again")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    pair, ends = sort_by_expert(experts_NK, len(down))
    N, K = experts_NK.shape
    y = rows_of(x_ND[pair // K], gate_up, down, ends) * weights_NK.flatten()[pair].unsqueeze(-1)
    return y[pair].view(N, K, -1).sum(1)


@wrong(SLICED, "weights not sorted")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    pair, ends = sort_by_expert(experts_NK, len(down))
    token = pair // experts_NK.shape[1]
    y = rows_of(x_ND[token], gate_up, down, ends) * weights_NK.reshape(-1, 1)
    return torch.zeros_like(x_ND).index_add(0, token, y)


@wrong(SLICED, "weights by token")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    pair, ends = sort_by_expert(experts_NK, len(down))
    token = pair // experts_NK.shape[1]
    y = rows_of(x_ND[token], gate_up, down, ends) * weights_NK.reshape(-1, 1)[token]
    return torch.zeros_like(x_ND).index_add(0, token, y)


@wrong(SLICED, "weights sorted back")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    pair, ends = sort_by_expert(experts_NK, len(down))
    token = pair // experts_NK.shape[1]
    weights = torch.empty(len(pair)).scatter(0, pair, weights_NK.flatten())
    y = rows_of(x_ND[token], gate_up, down, ends) * weights[:, None]
    return torch.zeros_like(x_ND).index_add(0, token, y)


@wrong(SLICED, "weights along the features")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    pair, ends = sort_by_expert(experts_NK, len(down))
    token = pair // experts_NK.shape[1]
    y = rows_of(x_ND[token], gate_up, down, ends) * weights_NK.flatten()[pair]
    return torch.zeros_like(x_ND).index_add(0, token, y)


@wrong(SLICED, "tokens not sorted")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    pair, ends = sort_by_expert(experts_NK, len(down))
    K = experts_NK.shape[1]
    y = rows_of(x_ND.repeat_interleave(K, 0), gate_up, down, ends) * weights_NK.flatten()[pair, None]
    return torch.zeros_like(x_ND).index_add(0, pair // K, y)


@wrong(SLICED, "wrong token of a pair", "the remainder")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    pair, ends = sort_by_expert(experts_NK, len(down))
    token = pair % experts_NK.shape[1]
    y = rows_of(x_ND[token], gate_up, down, ends) * weights_NK.flatten()[pair, None]
    return torch.zeros_like(x_ND).index_add(0, token, y)


@wrong(SLICED, "wrong token of a pair", "divided by the experts")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    pair, ends = sort_by_expert(experts_NK, len(down))
    token = pair // len(down)
    y = rows_of(x_ND[token], gate_up, down, ends) * weights_NK.flatten()[pair, None]
    return torch.zeros_like(x_ND).index_add(0, token, y)


@wrong(SLICED, "wrong token of a pair", "x repeated as a whole")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    pair, ends = sort_by_expert(experts_NK, len(down))
    K = experts_NK.shape[1]
    y = rows_of(x_ND.repeat(K, 1)[pair], gate_up, down, ends) * weights_NK.flatten()[pair, None]
    return torch.zeros_like(x_ND).index_add(0, pair // K, y)


@wrong(SLICED, "wrong token of a pair", "divided by the tokens")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    pair, ends = sort_by_expert(experts_NK, len(down))
    token = torch.div(pair, len(x_ND), rounding_mode="floor")
    y = rows_of(x_ND[token], gate_up, down, ends) * weights_NK.flatten()[pair, None]
    return torch.zeros_like(x_ND).index_add(0, token, y)


@wrong(SLICED, "raises IndexError", "the pair for the token")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    pair, ends = sort_by_expert(experts_NK, len(down))
    y = rows_of(x_ND[pair], gate_up, down, ends) * weights_NK.flatten()[pair, None]
    return torch.zeros_like(x_ND).index_add(0, pair, y)


@wrong(SLICED, "gate weights left out")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    pair, ends = sort_by_expert(experts_NK, len(down))
    token = pair // experts_NK.shape[1]
    return torch.zeros_like(x_ND).index_add(0, token, rows_of(x_ND[token], gate_up, down, ends))


@wrong(SLICED, "wrong gate weight")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    pair, ends = sort_by_expert(experts_NK, len(down))
    token = pair // experts_NK.shape[1]
    y = rows_of(x_ND[token], gate_up, down, ends) * weights_NK[token, :1]
    return torch.zeros_like(x_ND).index_add(0, token, y)


@wrong(SLICED, "all weights of the token")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    pair, ends = sort_by_expert(experts_NK, len(down))
    token = pair // experts_NK.shape[1]
    y = torch.zeros_like(x_ND).index_add(0, token, rows_of(x_ND[token], gate_up, down, ends))
    return y * weights_NK.sum(dim=1, keepdim=True)


@wrong(SLICED, "weights normalised again")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    pair, ends = sort_by_expert(experts_NK, len(down))
    token = pair // experts_NK.shape[1]
    weights = F.normalize(weights_NK, p=1, dim=1).flatten()[pair]
    return torch.zeros_like(x_ND).index_add(0, token, rows_of(x_ND[token], gate_up, down, ends) * weights[:, None])


@wrong(SLICED, "weight on the input")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    pair, ends = sort_by_expert(experts_NK, len(down))
    token = pair // experts_NK.shape[1]
    x = x_ND[token] * weights_NK.flatten()[pair, None]
    return torch.zeros_like(x_ND).index_add(0, token, rows_of(x, gate_up, down, ends))


@wrong(SLICED, "weighted twice")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    pair, ends = sort_by_expert(experts_NK, len(down))
    token = pair // experts_NK.shape[1]
    w = weights_NK.flatten()[pair, None]
    gate, up = sliced_linear(x_ND[token], gate_up, ends).chunk(2, -1)
    y = sliced_linear(F.silu(gate) * up * w, down, ends)
    return torch.zeros_like(x_ND).index_add(0, token, y * w)


@wrong(SLICED, "overwritten, not added", "=")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    pair, ends = sort_by_expert(experts_NK, len(down))
    token = pair // experts_NK.shape[1]
    y = torch.zeros_like(x_ND)
    y[token] = rows_of(x_ND[token], gate_up, down, ends) * weights_NK.flatten()[pair, None]
    return y


@wrong(SLICED, "overwritten, not added", "+=, a token standing twice")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    pair, ends = sort_by_expert(experts_NK, len(down))
    token = pair // experts_NK.shape[1]
    y = torch.zeros_like(x_ND)
    y[token] += rows_of(x_ND[token], gate_up, down, ends) * weights_NK.flatten()[pair, None]
    return y


@wrong(SLICED, "first choice only")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    pair, ends = sort_by_expert(experts_NK[:, :1], len(down))
    y = rows_of(x_ND[pair], gate_up, down, ends) * weights_NK[pair, 0, None]
    return torch.zeros_like(x_ND).index_add(0, pair, y)


@wrong(SLICED, "tokens dropped")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    pair, ends = sort_by_expert(experts_NK, len(down))
    K = experts_NK.shape[1]
    capacity = math.ceil(len(pair) / len(down))
    y, start = torch.zeros_like(x_ND), 0
    for e, end in enumerate(ends.tolist()):
        kept = pair[start : min(end, start + capacity)]
        out = ffn(x_ND[kept // K], gate_up[e], down[e]) * weights_NK.flatten()[kept, None]
        y = y.index_add(0, kept // K, out)
        start = end
    return y


@wrong(SLICED, "no choice")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    E, N = len(down), len(x_ND)
    y = rows_of(x_ND.repeat(E, 1), gate_up, down, N * torch.arange(1, E + 1))
    return y.view(E, N, -1).sum(0)


@wrong(SLICED, "every expert for all")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    E, N = len(down), len(x_ND)
    y = rows_of(x_ND.repeat(E, 1), gate_up, down, N * torch.arange(1, E + 1))
    weights_NE = torch.zeros(N, E).scatter(1, experts_NK, weights_NK)
    return (y.view(E, N, -1) * weights_NE.T[..., None]).sum(0)


@wrong(SLICED, "divided by the number of choices")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    pair, ends = sort_by_expert(experts_NK, len(down))
    N, K = experts_NK.shape
    y = rows_of(x_ND[pair // K], gate_up, down, ends) * weights_NK.flatten()[pair].unsqueeze(-1)
    return y[pair.argsort()].view(N, K, -1).mean(1)


@wrong(SLICED, "input added")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    pair, ends = sort_by_expert(experts_NK, len(down))
    token = pair // experts_NK.shape[1]
    return x_ND.index_add(0, token, rows_of(x_ND[token], gate_up, down, ends) * weights_NK.flatten()[pair, None])


@wrong(SLICED, "gate and up exchanged")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    pair, ends = sort_by_expert(experts_NK, len(down))
    token = pair // experts_NK.shape[1]
    up, gate = sliced_linear(x_ND[token], gate_up, ends).chunk(2, dim=-1)
    y = sliced_linear(F.silu(gate) * up, down, ends)
    return torch.zeros_like(x_ND).index_add(0, token, y * weights_NK.flatten()[pair, None])


@wrong(SLICED, "silu in both halves")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    pair, ends = sort_by_expert(experts_NK, len(down))
    token = pair // experts_NK.shape[1]
    gate, up = F.silu(sliced_linear(x_ND[token], gate_up, ends)).chunk(2, dim=-1)
    y = sliced_linear(gate * up, down, ends)
    return torch.zeros_like(x_ND).index_add(0, token, y * weights_NK.flatten()[pair, None])


@wrong(SLICED, "no silu")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    pair, ends = sort_by_expert(experts_NK, len(down))
    token = pair // experts_NK.shape[1]
    gate, up = sliced_linear(x_ND[token], gate_up, ends).chunk(2, dim=-1)
    y = sliced_linear(gate * up, down, ends)
    return torch.zeros_like(x_ND).index_add(0, token, y * weights_NK.flatten()[pair, None])


@wrong(SLICED, "silu after the product")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    pair, ends = sort_by_expert(experts_NK, len(down))
    token = pair // experts_NK.shape[1]
    gate, up = sliced_linear(x_ND[token], gate_up, ends).chunk(2, dim=-1)
    y = sliced_linear(F.silu(gate * up), down, ends)
    return torch.zeros_like(x_ND).index_add(0, token, y * weights_NK.flatten()[pair, None])


@wrong(SLICED, "sigmoid in place of silu")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    pair, ends = sort_by_expert(experts_NK, len(down))
    token = pair // experts_NK.shape[1]
    gate, up = sliced_linear(x_ND[token], gate_up, ends).chunk(2, dim=-1)
    y = sliced_linear(F.sigmoid(gate) * up, down, ends)
    return torch.zeros_like(x_ND).index_add(0, token, y * weights_NK.flatten()[pair, None])


@wrong(SLICED, "added in place of multiplied")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    pair, ends = sort_by_expert(experts_NK, len(down))
    token = pair // experts_NK.shape[1]
    gate, up = sliced_linear(x_ND[token], gate_up, ends).chunk(2, dim=-1)
    y = sliced_linear(F.silu(gate) + up, down, ends)
    return torch.zeros_like(x_ND).index_add(0, token, y * weights_NK.flatten()[pair, None])


@wrong(SLICED, "gate and up interleaved")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    pair, ends = sort_by_expert(experts_NK, len(down))
    token = pair // experts_NK.shape[1]
    gate, up = sliced_linear(x_ND[token], gate_up, ends).unflatten(-1, (-1, 2)).unbind(-1)
    y = sliced_linear(F.silu(gate) * up, down, ends)
    return torch.zeros_like(x_ND).index_add(0, token, y * weights_NK.flatten()[pair, None])


@wrong(SLICED, "matrix not transposed", "down")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    pair, ends = sort_by_expert(experts_NK, len(down))
    token = pair // experts_NK.shape[1]
    gate, up = sliced_linear(x_ND[token], gate_up, ends).chunk(2, dim=-1)
    y = sliced_linear(F.silu(gate) * up, down.mT, ends)
    return torch.zeros_like(x_ND).index_add(0, token, y * weights_NK.flatten()[pair, None])


@wrong(SLICED, "matrix not transposed", "gate_up")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    pair, ends = sort_by_expert(experts_NK, len(down))
    token = pair // experts_NK.shape[1]
    gate, up = sliced_linear(x_ND[token], gate_up.mT, ends).chunk(2, dim=-1)
    y = sliced_linear(F.silu(gate) * up, down, ends)
    return torch.zeros_like(x_ND).index_add(0, token, y * weights_NK.flatten()[pair, None])


@wrong(SLICED, "gathered, not added")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    N, K = experts_NK.shape
    pair, ends = sort_by_expert(experts_NK, len(down))
    token = pair // K
    y = rows_of(x_ND[token], gate_up, down, ends) * weights_NK.flatten()[pair, None]
    return y[token].view(N, K, -1).sum(1)


@wrong(SLICED, "wrong token of a pair", "sorted back, but shaped (K, N)")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    N, K = experts_NK.shape
    pair, ends = sort_by_expert(experts_NK, len(down))
    token = pair // K
    y = rows_of(x_ND[token], gate_up, down, ends) * weights_NK.flatten()[pair, None]
    return y[pair.argsort()].view(K, N, -1).sum(0)


@wrong(SLICED, "weights sorted, rows sorted back")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    N, K = experts_NK.shape
    pair, ends = sort_by_expert(experts_NK, len(down))
    token = pair // K
    y = rows_of(x_ND[token], gate_up, down, ends)[pair.argsort()].view(N, K, -1)
    return (y * weights_NK.flatten()[pair].view(N, K, 1)).sum(1)


@wrong(SLICED, "weights laid flat by choice")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    N, K = experts_NK.shape
    pair, ends = sort_by_expert(experts_NK, len(down))
    token = pair // K
    y = rows_of(x_ND[token], gate_up, down, ends) * weights_NK.T.flatten()[pair, None]
    return torch.zeros_like(x_ND).index_add(0, token, y)


@wrong(SLICED, "wrong token of a pair", "added to the remainder")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    N, K = experts_NK.shape
    pair, ends = sort_by_expert(experts_NK, len(down))
    token = pair // K
    y = rows_of(x_ND[token], gate_up, down, ends) * weights_NK.flatten()[pair, None]
    return torch.zeros_like(x_ND).index_add(0, pair % K, y)


@wrong(SLICED, "wrong token of a pair", "added as if numbered by choice")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    N, K = experts_NK.shape
    pair, ends = sort_by_expert(experts_NK, len(down))
    token = pair // K
    y = rows_of(x_ND[token], gate_up, down, ends) * weights_NK.flatten()[pair, None]
    return torch.zeros_like(x_ND).index_add(0, pair % N, y)


@wrong(SLICED, "nothing added", "index_add not kept")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    N, K = experts_NK.shape
    pair, ends = sort_by_expert(experts_NK, len(down))
    token = pair // K
    y = rows_of(x_ND[token], gate_up, down, ends) * weights_NK.flatten()[pair, None]
    out = torch.zeros_like(x_ND)
    out.index_add(0, token, y)
    return out


@wrong(SLICED, "one expert for all", "the first")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    N, K = experts_NK.shape
    pair, ends = sort_by_expert(experts_NK, len(down))
    token = pair // K
    y = ffn(x_ND[token], gate_up[0], down[0]) * weights_NK.flatten()[pair, None]
    return torch.zeros_like(x_ND).index_add(0, token, y)


@wrong(SLICED, "another bend")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    N, K = experts_NK.shape
    pair, ends = sort_by_expert(experts_NK, len(down))
    token = pair // K
    gate, up = sliced_linear(x_ND[token], gate_up, ends).chunk(2, dim=-1)
    y = sliced_linear(F.gelu(gate, approximate="tanh") * up, down, ends)
    return torch.zeros_like(x_ND).index_add(0, token, y * weights_NK.flatten()[pair, None])


@wrong(SLICED, "no gate")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    N, K = experts_NK.shape
    pair, ends = sort_by_expert(experts_NK, len(down))
    token = pair // K
    gate, up = sliced_linear(x_ND[token], gate_up, ends).chunk(2, dim=-1)
    y = sliced_linear(F.silu(up), down, ends)
    return torch.zeros_like(x_ND).index_add(0, token, y * weights_NK.flatten()[pair, None])


@wrong(SLICED, "no way up")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    N, K = experts_NK.shape
    pair, ends = sort_by_expert(experts_NK, len(down))
    token = pair // K
    gate, up = sliced_linear(x_ND[token], gate_up, ends).chunk(2, dim=-1)
    y = sliced_linear(F.silu(gate), down, ends)
    return torch.zeros_like(x_ND).index_add(0, token, y * weights_NK.flatten()[pair, None])


@wrong(SLICED, "gradient missing", "gate weights detached")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    pair, ends = sort_by_expert(experts_NK, len(down))
    token = pair // experts_NK.shape[1]
    y = rows_of(x_ND[token], gate_up, down, ends) * weights_NK.detach().flatten()[pair, None]
    return torch.zeros_like(x_ND).index_add(0, token, y)


@right(SLICED, "sorted back by argsort, summed over the choices")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    N, K = experts_NK.shape
    pair, ends = sort_by_expert(experts_NK, gate_up.shape[0])
    y = rows_of(x_ND.repeat_interleave(K, dim=0)[pair], gate_up, down, ends)
    return (y[pair.argsort()].view(N, K, -1) * weights_NK[..., None]).sum(dim=1)


@right(SLICED, "written to the places of the pairs")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    pair, ends = sort_by_expert(experts_NK, len(down))
    token = pair // experts_NK.size(1)
    choice = pair % experts_NK.size(1)
    y = x_ND.new_zeros(*experts_NK.shape, x_ND.shape[1])
    y[token, choice] = weights_NK[token, choice].unsqueeze(-1) * rows_of(x_ND[token], gate_up, down, ends)
    return y.sum(1)


@right(SLICED, "its own sort, backwards, and a loop over slices")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    expert, pair = experts_NK.flatten().flip(0).sort()
    pair = experts_NK.numel() - 1 - pair
    y, start = torch.zeros_like(x_ND), 0
    for e, count in enumerate(torch.bincount(expert, minlength=len(down)).tolist()):
        p = pair[start : start + count]
        start += count
        n = p.div(experts_NK.shape[1], rounding_mode="floor")
        y.index_add_(0, n, ffn(x_ND[n], gate_up[e], down[e]) * weights_NK.reshape(-1, 1)[p])
    return y


@right(SLICED, "the loop over experts again")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    y = torch.zeros_like(x_ND)
    for e in range(len(down)):
        token, choice = torch.where(experts_NK == e)
        y[token] += ffn(x_ND[token], gate_up[e], down[e]) * weights_NK[token, choice, None]
    return y


@right(SLICED, "the weight before the way down, scatter_add")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    pair, ends = sort_by_expert(experts_NK, len(down))
    token = torch.arange(len(x_ND)).repeat_interleave(experts_NK.shape[1])[pair]
    gate, up = sliced_linear(x_ND[token], gate_up, ends).tensor_split(2, dim=-1)
    y = sliced_linear(gate * gate.sigmoid() * up * weights_NK.flatten()[pair].unsqueeze(1), down, ends)
    return torch.zeros_like(x_ND).scatter_add(0, token[:, None].expand_as(y), y)


# --- tile_table -------------------------------------------------------------------------------------------------------


@wrong(TILES, "tiles span experts", "searchsorted")
def _(ends_E, block):
    row = torch.arange(0, ends_E[-1].item(), block)
    return torch.searchsorted(ends_E, row, right=True), row


@wrong(TILES, "tiles span experts", "row by row")
def _(ends_E, block):
    experts, rows, e = [], [], 0
    for row in range(int(ends_E[-1])):
        while row >= ends_E[e]:
            e += 1
        if row % block == 0:
            experts.append(e)
            rows.append(row)
    return torch.tensor(experts), torch.tensor(rows)


@wrong(TILES, "a tile for no rows", "at least one")
def _(ends_E, block):
    experts, rows, start = [], [], 0
    for e, end in enumerate(ends_E.tolist()):
        for i in range(max(1, math.ceil((end - start) / block))):
            experts.append(e)
            rows.append(start + i * block)
        start = end
    return torch.tensor(experts), torch.tensor(rows)


@wrong(TILES, "last rows dropped", "rounded down")
def _(ends_E, block):
    experts, rows, start = [], [], 0
    for e, end in enumerate(ends_E.tolist()):
        for i in range((end - start) // block):
            experts.append(e)
            rows.append(start + i * block)
        start = end
    return torch.tensor(experts, dtype=torch.int64), torch.tensor(rows, dtype=torch.int64)


@wrong(TILES, "last rows dropped", "only full tiles")
def _(ends_E, block):
    experts, rows, start = [], [], 0
    for e, end in enumerate(ends_E.tolist()):
        while start + block <= end:
            experts.append(e)
            rows.append(start)
            start += block
        start = end
    return torch.tensor(experts).long(), torch.tensor(rows).long()


@wrong(TILES, "last rows dropped except of few")
def _(ends_E, block):
    experts, rows, start = [], [], 0
    for e, end in enumerate(ends_E.tolist()):
        if end > start:
            for i in range(max(1, (end - start) // block)):
                experts.append(e)
                rows.append(start + i * block)
        start = end
    return torch.tensor(experts), torch.tensor(rows)


@wrong(TILES, "one tile too many", "everywhere")
def _(ends_E, block):
    experts, rows, start = [], [], 0
    for e, end in enumerate(ends_E.tolist()):
        for i in range((end - start) // block + 1):
            experts.append(e)
            rows.append(start + i * block)
        start = end
    return torch.tensor(experts), torch.tensor(rows)


@wrong(TILES, "one tile too many", "except of no rows")
def _(ends_E, block):
    experts, rows, start = [], [], 0
    for e, end in enumerate(ends_E.tolist()):
        count = end - start
        for i in range(count // block + 1 if count else 0):
            experts.append(e)
            rows.append(start + i * block)
        start = end
    return torch.tensor(experts), torch.tensor(rows)


@wrong(TILES, "one tile each")
def _(ends_E, block):
    starts = torch.cat((torch.zeros(1, dtype=torch.int64), ends_E[:-1]))
    expert = (ends_E > starts).nonzero().flatten()
    return expert, starts[expert]


@wrong(TILES, "one tile a row")
def _(ends_E, block):
    row = torch.arange(int(ends_E[-1]))
    return torch.searchsorted(ends_E, row, right=True), row


@wrong(TILES, "ends taken for counts")
def _(ends_E, block):
    experts, rows, start = [], [], 0
    for e, end in enumerate(ends_E.tolist()):
        for i in range(math.ceil(end / block)):
            experts.append(e)
            rows.append(start + i * block)
        start = end
    return torch.tensor(experts), torch.tensor(rows)


@wrong(TILES, "rows counted within the expert")
def _(ends_E, block):
    experts, rows, start = [], [], 0
    for e, end in enumerate(ends_E.tolist()):
        for row in range(0, end - start, block):
            experts.append(e)
            rows.append(row)
        start = end
    return torch.tensor(experts), torch.tensor(rows)


@wrong(TILES, "numbers of tiles", "within the expert")
def _(ends_E, block):
    experts, rows, start = [], [], 0
    for e, end in enumerate(ends_E.tolist()):
        for i in range(math.ceil((end - start) / block)):
            experts.append(e)
            rows.append(i)
        start = end
    return torch.tensor(experts), torch.tensor(rows)


@wrong(TILES, "numbers of tiles", "of all")
def _(ends_E, block):
    counts = torch.diff(ends_E, prepend=torch.tensor([0]))
    expert = torch.arange(len(ends_E)).repeat_interleave(torch.ceil(counts / block).long())
    return expert, torch.arange(len(expert))


@wrong(TILES, "not times the block")
def _(ends_E, block):
    experts, rows, start = [], [], 0
    for e, end in enumerate(ends_E.tolist()):
        for i in range(math.ceil((end - start) / block)):
            experts.append(e)
            rows.append(start + i)
        start = end
    return torch.tensor(experts), torch.tensor(rows)


@wrong(TILES, "as if all tiles were full")
def _(ends_E, block):
    counts = torch.diff(ends_E, prepend=torch.tensor([0]))
    expert = torch.arange(len(ends_E)).repeat_interleave(torch.ceil(counts / block).long())
    return expert, torch.arange(len(expert)) * block


@wrong(TILES, "tiles not counted anew")
def _(ends_E, block):
    experts, rows, start, i = [], [], 0, 0
    for e, end in enumerate(ends_E.tolist()):
        for _ in range(math.ceil((end - start) / block)):
            experts.append(e)
            rows.append(start + i * block)
            i += 1
        start = end
    return torch.tensor(experts), torch.tensor(rows)


@wrong(TILES, "every expert starts at 0")
def _(ends_E, block):
    experts, rows, start = [], [], 0
    for e, end in enumerate(ends_E.tolist()):
        for row in range(start, end, block):
            experts.append(e)
            rows.append(row)
    return torch.tensor(experts), torch.tensor(rows)


@wrong(TILES, "boundary on the wrong side")
def _(ends_E, block):
    rows = [torch.arange(a, b, block) for a, b in pairwise((0, *ends_E.tolist()))]
    row = torch.cat(rows)
    return torch.searchsorted(ends_E, row), row


@wrong(TILES, "counted from the end")
def _(ends_E, block):
    experts, rows, start = [], [], 0
    for e, end in enumerate(ends_E.tolist()):
        n_tiles = math.ceil((end - start) / block)
        start = end
        for i in range(n_tiles):
            experts.append(e)
            rows.append(start + i * block)
    return torch.tensor(experts), torch.tensor(rows)


@wrong(TILES, "same start for all tiles")
def _(ends_E, block):
    counts = torch.diff(ends_E, prepend=torch.tensor([0]))
    tiles = -(-counts // block)
    return torch.arange(len(ends_E)).repeat_interleave(tiles), (ends_E - counts).repeat_interleave(tiles)


@wrong(TILES, "ends of tiles", "cut off")
def _(ends_E, block):
    experts, rows, start = [], [], 0
    for e, end in enumerate(ends_E.tolist()):
        while start < end:
            start = min(start + block, end)
            experts.append(e)
            rows.append(start)
    return torch.tensor(experts), torch.tensor(rows)


@wrong(TILES, "ends of tiles", "not cut off")
def _(ends_E, block):
    experts, rows, start = [], [], 0
    for e, end in enumerate(ends_E.tolist()):
        while start < end:
            start += block
            experts.append(e)
            rows.append(start)
        start = end
    return torch.tensor(experts), torch.tensor(rows)


@wrong(TILES, "experts numbered anew")
def _(ends_E, block):
    experts, rows, start = [], [], 0
    ends = [end for end in ends_E.unique().tolist() if end]
    for e, end in enumerate(ends):
        for row in range(start, end, block):
            experts.append(e)
            rows.append(row)
        start = end
    return torch.tensor(experts), torch.tensor(rows)


@wrong(TILES, "results exchanged")
def _(ends_E, block):
    experts, rows, start = [], [], 0
    for e, end in enumerate(ends_E.tolist()):
        for row in range(start, end, block):
            experts.append(e)
            rows.append(row)
        start = end
    return torch.tensor(rows), torch.tensor(experts)


@wrong(TILES, "wrong type", "lists")
def _(ends_E, block):
    experts, rows, start = [], [], 0
    for e, end in enumerate(ends_E.tolist()):
        for row in range(start, end, block):
            experts.append(e)
            rows.append(row)
        start = end
    return experts, rows


@wrong(TILES, "wrong type", "one tensor of pairs")
def _(ends_E, block):
    table, start = [], 0
    for e, end in enumerate(ends_E.tolist()):
        table += [(e, row) for row in range(start, end, block)]
        start = end
    return torch.tensor(table)


@wrong(TILES, "wrong dtype", "a quotient left a float")
def _(ends_E, block):
    counts = torch.diff(ends_E, prepend=torch.tensor([0]))
    tiles = torch.ceil(counts / block)
    expert = torch.arange(len(ends_E)).repeat_interleave(tiles.long())
    place = torch.arange(len(expert)) - (tiles.cumsum(0) - tiles)[expert]
    return expert, (ends_E - counts)[expert] + place * block


@wrong(TILES, "no rows not foreseen", "floats")
def _(ends_E, block):
    experts, rows, start = [], [], 0
    for e, end in enumerate(ends_E.tolist()):
        for row in range(start, end, block):
            experts.append(e)
            rows.append(row)
        start = end
    return torch.tensor(experts), torch.tensor(rows)


@wrong(TILES, "no rows not foreseen", "columns of nothing")
def _(ends_E, block):
    table, start = [], 0
    for e, end in enumerate(ends_E.tolist()):
        table += [(e, row) for row in range(start, end, block)]
        start = end
    return tuple(torch.tensor(table).unbind(1))


@right(TILES, "two loops")
def _(ends_E, block):
    experts, rows, start = [], [], 0
    for e, end in enumerate(ends_E.tolist()):
        for row in range(start, end, block):
            experts.append(e)
            rows.append(row)
        start = end
    return torch.tensor(experts, dtype=torch.int64), torch.tensor(rows, dtype=torch.int64)


@right(TILES, "rows that begin a tile, searchsorted")
def _(ends_E, block):
    row = torch.arange(int(ends_E[-1]))
    expert = torch.searchsorted(ends_E, row, right=True)
    first = F.pad(ends_E, (1, 0))[expert]
    begins = (row - first) % block == 0
    return expert[begins], row[begins]


@right(TILES, "cat of aranges, math.ceil")
def _(ends_E, block):
    starts = [0, *ends_E[:-1].tolist()]
    rows = [torch.arange(a, b, block) for a, b in zip(starts, ends_E.tolist(), strict=True)]
    return torch.cat([torch.full_like(r, e) for e, r in enumerate(rows)]), torch.cat(rows)


@right(TILES, "the last tile first")
def _(ends_E, block):
    counts = torch.diff(ends_E, prepend=torch.tensor([0]))
    table = [(e, int(end - count) + i * block)
             for e, (end, count) in enumerate(zip(ends_E, counts, strict=True))
             for i in range(-(-int(count) // block))]  # fmt: skip
    return tuple(torch.tensor(table[::-1], dtype=torch.int64).view(-1, 2).unbind(1))


@right(TILES, "a grid of all tiles there could be")
def _(ends_E, block):
    counts = torch.diff(ends_E, prepend=torch.tensor([0]))
    offsets = torch.arange(0, int(counts.max()), block)
    mask = offsets < counts[:, None]
    return mask.nonzero()[:, 0], ((ends_E - counts)[:, None] + offsets)[mask]
