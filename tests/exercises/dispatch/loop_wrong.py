"""Wrong answers to `loop`."""

import math

import torch
import torch.nn.functional as F
from exercises.answers import Answers
from exercises.dispatch.ffn import ffn

from mini_moe.course.exercises.dispatch.loop import EXERCISE

ANSWERS = Answers(EXERCISE)
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
    y = torch.zeros_like(x_ND)
    for e in range(len(down)):
        mask = (experts_NK == e).any(dim=1)
        w = weights_NK[experts_NK == e]
        out = ffn(x_ND[mask], gate_up[e], down[e])
        out * w[:, None]
        y[mask] += out
    return y


@wrong("wrong gate weight", "always the first")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    y = torch.zeros_like(x_ND)
    for e in range(len(down)):
        token, _ = (experts_NK == e).nonzero(as_tuple=True)
        y[token] += ffn(x_ND[token], gate_up[e], down[e]) * weights_NK[token, 0].unsqueeze(-1)
    return y


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


@wrong("all weights of the token", "summed")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    y = torch.zeros_like(x_ND)
    for e in range(len(down)):
        token = (experts_NK == e).any(1).nonzero().flatten()
        y[token] += ffn(x_ND[token], gate_up[e], down[e]) * weights_NK[token].sum(-1, keepdim=True)
    return y


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
    weights_NK = weights_NK / weights_NK.sum(-1, keepdim=True)
    y = torch.zeros_like(x_ND)
    for e in range(len(down)):
        token, choice = torch.where(experts_NK == e)
        y[token] += ffn(x_ND[token], gate_up[e], down[e]) * weights_NK[token, choice][:, None]
    return y


@wrong("weights normalised again", "softmax")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    weights_NK = F.softmax(weights_NK, dim=-1)
    y = torch.zeros_like(x_ND)
    for e in range(len(down)):
        token, choice = torch.where(experts_NK == e)
        y[token] += ffn(x_ND[token], gate_up[e], down[e]) * weights_NK[token, choice][:, None]
    return y


@wrong("weight by the number of the expert")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    y = torch.zeros_like(x_ND)
    for e in range(len(down)):
        token = (experts_NK == e).any(1).nonzero().flatten()
        y[token] += ffn(x_ND[token], gate_up[e], down[e]) * weights_NK[token, e, None]
    return y


@wrong("weight on the input")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    y = torch.zeros_like(x_ND)
    for e in range(len(down)):
        token, choice = torch.where(experts_NK == e)
        rows = x_ND[token] * weights_NK[token, choice].unsqueeze(1)
        y[token] += ffn(rows, gate_up[e], down[e])
    return y


@wrong("weighted twice")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    y = torch.zeros_like(x_ND)
    for e in range(len(down)):
        token, choice = torch.where(experts_NK == e)
        w = weights_NK[token, choice, None]
        gate, up = (x_ND[token] @ gate_up[e].T).chunk(2, -1)
        y = y.index_add(0, token, (F.silu(gate) * up * w) @ down[e].T * w)
    return y


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


@wrong("first choice only", "a column")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    y = torch.zeros_like(x_ND)
    for e in range(len(down)):
        mask = experts_NK[:, 0] == e
        y[mask] = ffn(x_ND[mask], gate_up[e], down[e]) * weights_NK[mask, :1]
    return y


@wrong("first choice only", "a return one step too deep")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    y = torch.zeros_like(x_ND)
    for k in range(experts_NK.shape[1]):
        for e in range(len(down)):
            mask = experts_NK[:, k] == e
            y[mask] += ffn(x_ND[mask], gate_up[e], down[e]) * weights_NK[mask, k, None]
        return y


@wrong("tokens dropped", "above the fair share")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    capacity = math.ceil(experts_NK.numel() / len(down))
    y = torch.zeros_like(x_ND)
    for e in range(len(down)):
        token, choice = torch.where(experts_NK == e)
        token, choice = token[:capacity], choice[:capacity]
        y[token] += ffn(x_ND[token], gate_up[e], down[e]) * weights_NK[token, choice][:, None]
    return y


@wrong("tokens dropped", "above the fair share, rounded down")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    capacity = experts_NK.numel() // len(down)
    y = torch.zeros_like(x_ND)
    for e in range(len(down)):
        token, choice = torch.where(experts_NK == e)
        token, choice = token[:capacity], choice[:capacity]
        y[token] += ffn(x_ND[token], gate_up[e], down[e]) * weights_NK[token, choice][:, None]
    return y


@wrong("tokens dropped", "all but the first")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    rows = [0] * len(x_ND)
    for e in range(len(down)):
        found = (experts_NK == e).nonzero().tolist()
        if found:
            n, k = found[0]
            rows[n] = rows[n] + weights_NK[n, k] * ffn(x_ND[n], gate_up[e], down[e])
    return torch.stack([row + torch.zeros_like(x_ND[0]) for row in rows])


@wrong("no choice", "the sum of all")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    return sum(ffn(x_ND, gate_up[e], down[e]) for e in range(len(down)))
