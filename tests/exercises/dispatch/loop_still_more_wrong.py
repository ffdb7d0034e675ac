"""Wrong answers to `loop`."""

import torch
import torch.nn.functional as F
from exercises.answers import Answers
from exercises.dispatch.ffn import ffn

from mini_moe.course.exercises.dispatch.loop import EXERCISE

ANSWERS = Answers(EXERCISE)
wrong = ANSWERS.wrong


@wrong("stops at an empty expert", "break")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    y = torch.zeros_like(x_ND)
    for e in range(len(down)):
        token, choice = torch.where(experts_NK == e)
        if len(token) == 0:
            break
        y.index_add_(0, token, ffn(x_ND[token], gate_up[e], down[e]) * weights_NK[token, choice, None])
    return y


@wrong("token and choice exchanged")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    y = torch.zeros_like(x_ND)
    for e in range(len(down)):
        choice, token = torch.where(experts_NK == e)
        y.index_add_(0, token, ffn(x_ND[token], gate_up[e], down[e]) * weights_NK[token, choice, None])
    return y


@wrong("weights along the features", "no column made of them")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    y = torch.zeros_like(x_ND)
    for e in range(len(down)):
        token, choice = torch.where(experts_NK == e)
        y = y.index_add(0, token, ffn(x_ND[token], gate_up[e], down[e]) * weights_NK[token, choice])
    return y


@wrong("weights along the features", "empty experts skipped")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    y = torch.zeros_like(x_ND)
    for e in range(len(down)):
        token, choice = torch.where(experts_NK == e)
        if len(token) == 0:
            continue
        y[token] += weights_NK[token, choice] * ffn(x_ND[token], gate_up[e], down[e])
    return y


@wrong("raises RuntimeError", "an expert without tokens, stacked")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    y = torch.zeros_like(x_ND)
    for e in range(len(down)):
        token, choice = torch.where(experts_NK == e)
        rows = torch.stack([weights_NK[n, k] * ffn(x_ND[n], gate_up[e], down[e])
                            for n, k in zip(token, choice, strict=True)])  # fmt: skip
        y.index_add_(0, token, rows)
    return y


@wrong("raises IndexError", "an expert without tokens, its first one asked for")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    y = torch.zeros_like(x_ND)
    for e in range(len(down)):
        token, choice = torch.where(experts_NK == e)
        assert token[0] >= 0
        y.index_add_(0, token, ffn(x_ND[token], gate_up[e], down[e]) * weights_NK[token, choice, None])
    return y


@wrong("gradient missing", "the experts detached")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    y = torch.zeros_like(x_ND)
    for e in range(len(down)):
        token, choice = torch.where(experts_NK == e)
        with torch.no_grad():
            out = ffn(x_ND[token], gate_up[e], down[e])
        y.index_add_(0, token, out * weights_NK[token, choice, None])
    return y


@wrong("gradient missing", "gate weights as numbers")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    y = torch.zeros_like(x_ND)
    for n in range(len(x_ND)):
        for w, e in zip(weights_NK[n].tolist(), experts_NK[n].tolist(), strict=True):
            y[n] += w * ffn(x_ND[n], gate_up[e], down[e])
    return y


@wrong("changes its input", "written to x")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    old = x_ND.clone()
    x_ND.zero_()
    for e in range(len(down)):
        token, choice = torch.where(experts_NK == e)
        x_ND.index_add_(0, token, ffn(old[token], gate_up[e], down[e]) * weights_NK[token, choice, None])
    return x_ND


@wrong("returns None")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    y = torch.zeros_like(x_ND)
    for e in range(len(down)):
        token, choice = torch.where(experts_NK == e)
        y.index_add_(0, token, ffn(x_ND[token], gate_up[e], down[e]) * weights_NK[token, choice, None])


@wrong("nothing added", "index_add not kept")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    y = torch.zeros_like(x_ND)
    for e in range(len(down)):
        token, choice = torch.where(experts_NK == e)
        y.index_add(0, token, ffn(x_ND[token], gate_up[e], down[e]) * weights_NK[token, choice, None])
    return y


@wrong("one expert for all", "the first")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    y = torch.zeros_like(x_ND)
    for e in range(len(down)):
        token, choice = torch.where(experts_NK == e)
        y.index_add_(0, token, ffn(x_ND[token], gate_up[0], down[0]) * weights_NK[token, choice, None])
    return y


@wrong("one expert for all", "the mean")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    y = torch.zeros_like(x_ND)
    for e in range(len(down)):
        token, choice = torch.where(experts_NK == e)
        y.index_add_(0, token, ffn(x_ND[token], gate_up.mean(0), down.mean(0)) * weights_NK[token, choice, None])
    return y


@wrong("another bend", "relu")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    y = torch.zeros_like(x_ND)
    for e in range(len(down)):
        token, choice = torch.where(experts_NK == e)
        gate, up = (x_ND[token] @ gate_up[e].T).chunk(2, dim=-1)
        y.index_add_(0, token, (gate.clamp(min=0) * up) @ down[e].T * weights_NK[token, choice, None])
    return y


@wrong("another bend", "gelu")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    y = torch.zeros_like(x_ND)
    for e in range(len(down)):
        token, choice = torch.where(experts_NK == e)
        gate, up = (x_ND[token] @ gate_up[e].T).chunk(2, dim=-1)
        y.index_add_(0, token, (F.gelu(gate) * up) @ down[e].T * weights_NK[token, choice, None])
    return y


@wrong("no gate", "silu(up)")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    y = torch.zeros_like(x_ND)
    for e in range(len(down)):
        token, choice = torch.where(experts_NK == e)
        gate, up = (x_ND[token] @ gate_up[e].T).chunk(2, dim=-1)
        y.index_add_(0, token, F.silu(up) @ down[e].T * weights_NK[token, choice, None])
    return y


@wrong("no way up", "silu(gate)")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    y = torch.zeros_like(x_ND)
    for e in range(len(down)):
        token, choice = torch.where(experts_NK == e)
        gate, up = (x_ND[token] @ gate_up[e].T).chunk(2, dim=-1)
        y.index_add_(0, token, F.silu(gate) @ down[e].T * weights_NK[token, choice, None])
    return y


@wrong("only one expert", "returned in the loop")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    y = torch.zeros_like(x_ND)
    for e in range(len(down)):
        token, choice = torch.where(experts_NK == e)
        y.index_add_(0, token, ffn(x_ND[token], gate_up[e], down[e]) * weights_NK[token, choice, None])
        return y


@wrong("only one expert", "made in the loop")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    y = torch.zeros_like(x_ND)
    for e in range(len(down)):
        token, choice = torch.where(experts_NK == e)
        y = torch.zeros_like(x_ND)
        y.index_add_(0, token, ffn(x_ND[token], gate_up[e], down[e]) * weights_NK[token, choice, None])
    return y


@wrong("token 0 taken for none", "token.any()")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    y = torch.zeros_like(x_ND)
    for e in range(len(down)):
        token, choice = torch.where(experts_NK == e)
        if not token.any():
            continue
        y.index_add_(0, token, ffn(x_ND[token], gate_up[e], down[e]) * weights_NK[token, choice, None])
    return y


@wrong("tokens dropped", "above a capacity of 1.25")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    y = torch.zeros_like(x_ND)
    for e in range(len(down)):
        token, choice = torch.where(experts_NK == e)
        capacity = int(1.25 * experts_NK.numel() / len(down))
        token, choice = token[:capacity], choice[:capacity]
        y.index_add_(0, token, ffn(x_ND[token], gate_up[e], down[e]) * weights_NK[token, choice, None])
    return y
