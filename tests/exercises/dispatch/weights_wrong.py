"""Wrong answers to `loop` and to `sliced`: what becomes of the gate weights."""

import torch
import torch.nn.functional as F
from exercises.answers import Answers
from exercises.dispatch.parts import by_expert, ffn, rows_of

from mini_moe.dispatch import sort_by_expert

ANSWERS = Answers(exercise=None)
wrong = ANSWERS.wrong


@wrong("gate weights left out", "index_add")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    y = torch.zeros_like(x_ND)
    for e in range(len(down)):
        token, _ = (experts_NK == e).nonzero(as_tuple=True)
        y = y.index_add(0, token, ffn(x_ND[token], gate_up[e], down[e]))
    return y


@wrong("gate weights left out", "found and forgotten")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    pair, ends = sort_by_expert(experts_NK, len(down))
    token = pair // experts_NK.shape[1]
    y = rows_of(x_ND[token], gate_up, down, ends)
    y * weights_NK.flatten()[pair, None]
    return torch.zeros_like(x_ND).index_add(0, token, y)


@wrong("wrong gate weight", "always the first")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    pair, ends = sort_by_expert(experts_NK, len(down))
    token = pair // experts_NK.shape[1]
    y = rows_of(x_ND[token], gate_up, down, ends) * weights_NK[token, :1]
    return torch.zeros_like(x_ND).index_add(0, token, y)


@wrong("wrong gate weight", "always the last")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    y = torch.zeros_like(x_ND)
    for e in range(len(down)):
        for k in range(experts_NK.shape[1]):
            token = (experts_NK[:, k] == e).nonzero().squeeze(1)
            y[token] += ffn(x_ND[token], gate_up[e], down[e]) * weights_NK[token, -1:]
    return y


@wrong("wrong gate weight", "always the first token's")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    y = torch.zeros_like(x_ND)
    for e in range(len(down)):
        for k in range(experts_NK.shape[1]):
            mask = experts_NK[:, k] == e
            y[mask] += ffn(x_ND[mask], gate_up[e], down[e]) * weights_NK[0, k]
    return y


@wrong("wrong gate weight", "the choices flipped")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    return by_expert(x_ND, weights_NK.flip(-1), experts_NK, gate_up, down)


@wrong("all weights of the token", "summed")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    pair, ends = sort_by_expert(experts_NK, len(down))
    token = pair // experts_NK.shape[1]
    y = torch.zeros_like(x_ND).index_add(0, token, rows_of(x_ND[token], gate_up, down, ends))
    return y * weights_NK.sum(dim=1, keepdim=True)


@wrong("all weights of the token", "averaged")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    y = torch.zeros_like(x_ND)
    for e in range(len(down)):
        token = (experts_NK == e).any(1).nonzero().flatten()
        y[token] += ffn(x_ND[token], gate_up[e], down[e]) * weights_NK[token].mean(-1)[:, None]
    return y


@wrong("all weights of the token", "the largest")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    y = torch.zeros_like(x_ND)
    for e in range(len(down)):
        token = (experts_NK == e).any(1).nonzero().flatten()
        y[token] += ffn(x_ND[token], gate_up[e], down[e]) * weights_NK[token].max(-1).values[:, None]
    return y


@wrong("weights normalised again", "by their sum")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    return by_expert(x_ND, weights_NK / weights_NK.sum(-1, keepdim=True), experts_NK, gate_up, down)


@wrong("weights normalised again", "softmax")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    return by_expert(x_ND, F.softmax(weights_NK, dim=-1), experts_NK, gate_up, down)


@wrong("weight on the input", "of a loop")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    y = torch.zeros_like(x_ND)
    for e in range(len(down)):
        token, choice = torch.where(experts_NK == e)
        rows = x_ND[token] * weights_NK[token, choice].unsqueeze(1)
        y[token] += ffn(rows, gate_up[e], down[e])
    return y


@wrong("weight on the input", "of sorted rows")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    pair, ends = sort_by_expert(experts_NK, len(down))
    token = pair // experts_NK.shape[1]
    x = x_ND[token] * weights_NK.flatten()[pair, None]
    return torch.zeros_like(x_ND).index_add(0, token, rows_of(x, gate_up, down, ends))


@wrong("weighted twice")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    y = torch.zeros_like(x_ND)
    for e in range(len(down)):
        token, choice = torch.where(experts_NK == e)
        w = weights_NK[token, choice, None]
        gate, up = (x_ND[token] @ gate_up[e].T).chunk(2, -1)
        y = y.index_add(0, token, (F.silu(gate) * up * w) @ down[e].T * w)
    return y


@wrong("weight of 0 passed over", "the experts found by their weight")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    weights_NE = torch.zeros(len(x_ND), len(down), dtype=x_ND.dtype).scatter(1, experts_NK, weights_NK.to(x_ND.dtype))
    y = torch.zeros_like(x_ND)
    for e in range(len(down)):
        token = weights_NE[:, e].nonzero().flatten()
        y[token] += weights_NE[token, e, None] * ffn(x_ND[token], gate_up[e], down[e])
    return y


@wrong("small weights passed over", "below 0")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    return by_expert(x_ND, weights_NK.relu(), experts_NK, gate_up, down)


@wrong("small weights passed over", "below a threshold, to save work")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    y = torch.zeros_like(x_ND)
    for e in range(len(down)):
        token, choice = torch.where((experts_NK == e) & (weights_NK > 0.1))
        y = y.index_add(0, token, ffn(x_ND[token], gate_up[e], down[e]) * weights_NK[token, choice, None])
    return y


@wrong("small weights passed over", "of either sign")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    return by_expert(x_ND, F.hardshrink(weights_NK, 0.025), experts_NK, gate_up, down)


@wrong("not in proportion to the gate weights", "a power of them")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    return by_expert(x_ND, weights_NK.abs() ** 1.5, experts_NK, gate_up, down)


@wrong("too few digits", "rounded to bfloat16")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    return by_expert(x_ND, weights_NK.bfloat16().to(x_ND.dtype), experts_NK, gate_up, down)


@wrong("gradient missing", "as numbers")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    y = torch.zeros_like(x_ND)
    for n in range(len(x_ND)):
        for w, e in zip(weights_NK[n].tolist(), experts_NK[n].tolist(), strict=True):
            y[n] += w * ffn(x_ND[n], gate_up[e], down[e])
    return y


@wrong("gradient missing", "detached")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    return by_expert(x_ND, weights_NK.detach(), experts_NK, gate_up, down)


@wrong("types not brought together", "in a loop")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    y = torch.zeros_like(x_ND)
    for e in range(len(down)):
        token, choice = torch.where(experts_NK == e)
        y.index_add_(0, token, ffn(x_ND[token], gate_up[e], down[e]) * weights_NK[token, choice, None])
    return y


@wrong("not in the type of the tokens", "y made in float32")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    y = torch.zeros(len(x_ND), x_ND.shape[1])
    for e in range(len(down)):
        token, choice = torch.where(experts_NK == e)
        y[token] += ffn(x_ND[token], gate_up[e], down[e]) * weights_NK[token, choice, None]
    return y


@wrong("not in the type of the tokens", "multiplied into float32")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    pair, ends = sort_by_expert(experts_NK, len(down))
    y = rows_of(x_ND[pair // experts_NK.shape[1]], gate_up, down, ends)
    y = torch.zeros_like(y).index_copy(0, pair, y).view(*experts_NK.shape, -1)
    return (y * weights_NK[..., None]).sum(1)


@wrong("not in the type of the tokens", "all in float32")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    return by_expert(x_ND.float(), weights_NK.float(), experts_NK, gate_up.float(), down.float())


@wrong("contiguous inputs only")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    pair, ends = sort_by_expert(experts_NK, len(down))
    token = pair // experts_NK.shape[1]
    y = rows_of(x_ND[token], gate_up, down, ends) * weights_NK.view(-1, 1)[pair]
    return torch.zeros_like(x_ND).index_add(0, token, y)
