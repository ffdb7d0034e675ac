"""Wrong answers to `loop`."""

import torch
import torch.nn.functional as F
from exercises.answers import Answers
from exercises.dispatch.ffn import ffn

from mini_moe.course.exercises.dispatch.loop import EXERCISE

ANSWERS = Answers(EXERCISE)
wrong = ANSWERS.wrong


@wrong("no choice", "the mean of all")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    outs = torch.stack([ffn(x_ND, w1, w2) for w1, w2 in zip(gate_up, down, strict=True)])
    return outs.mean(0)


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
            out = down[e] @ (F.silu(gate) * up)
            y = y + torch.where(experts == e, weights, 0.0).sum() * out
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


@wrong("gate and up exchanged")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    y = torch.zeros_like(x_ND)
    for e in range(len(down)):
        token, choice = torch.where(experts_NK == e)
        up, gate = F.linear(x_ND[token], gate_up[e]).chunk(2, dim=-1)
        y.index_add_(0, token, F.linear(F.silu(gate) * up, down[e]) * weights_NK[token, choice, None])
    return y


@wrong("silu in both halves")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    y = torch.zeros_like(x_ND)
    for e in range(len(down)):
        token, choice = torch.where(experts_NK == e)
        gate, up = F.silu(x_ND[token] @ gate_up[e].T).chunk(2, dim=-1)
        y.index_add_(0, token, (gate * up) @ down[e].T * weights_NK[token, choice, None])
    return y


@wrong("no silu")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    y = torch.zeros_like(x_ND)
    for e in range(len(down)):
        token, choice = torch.where(experts_NK == e)
        gate, up = (x_ND[token] @ gate_up[e].T).chunk(2, dim=-1)
        y.index_add_(0, token, (gate * up) @ down[e].T * weights_NK[token, choice, None])
    return y


@wrong("silu after the product")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    y = torch.zeros_like(x_ND)
    for e in range(len(down)):
        token, choice = torch.where(experts_NK == e)
        gate, up = (x_ND[token] @ gate_up[e].T).chunk(2, dim=-1)
        y.index_add_(0, token, F.silu(gate * up) @ down[e].T * weights_NK[token, choice, None])
    return y


@wrong("sigmoid in place of silu")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    y = torch.zeros_like(x_ND)
    for e in range(len(down)):
        token, choice = torch.where(experts_NK == e)
        gate, up = (x_ND[token] @ gate_up[e].T).chunk(2, dim=-1)
        y.index_add_(0, token, (gate.sigmoid() * up) @ down[e].T * weights_NK[token, choice, None])
    return y


@wrong("added in place of multiplied")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    y = torch.zeros_like(x_ND)
    for e in range(len(down)):
        token, choice = torch.where(experts_NK == e)
        gate, up = (x_ND[token] @ gate_up[e].T).chunk(2, dim=-1)
        y.index_add_(0, token, (F.silu(gate) + up) @ down[e].T * weights_NK[token, choice, None])
    return y


@wrong("gate and up interleaved")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    y = torch.zeros_like(x_ND)
    for e in range(len(down)):
        token, choice = torch.where(experts_NK == e)
        both = x_ND[token] @ gate_up[e].T
        y.index_add_(0, token, (F.silu(both[:, ::2]) * both[:, 1::2]) @ down[e].T * weights_NK[token, choice, None])
    return y


@wrong("matrix not transposed", "down")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    y = torch.zeros_like(x_ND)
    for e in range(len(down)):
        token, choice = torch.where(experts_NK == e)
        gate, up = (x_ND[token] @ gate_up[e].T).chunk(2, dim=-1)
        y.index_add_(0, token, (F.silu(gate) * up) @ down[e] * weights_NK[token, choice, None])
    return y


@wrong("matrix not transposed", "gate_up")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    y = torch.zeros_like(x_ND)
    for e in range(len(down)):
        token, choice = torch.where(experts_NK == e)
        gate, up = (x_ND[token] @ gate_up[e]).chunk(2, dim=-1)
        y.index_add_(0, token, (F.silu(gate) * up) @ down[e].T * weights_NK[token, choice, None])
    return y


@wrong("raises RuntimeError", "nothing transposed")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    y = torch.zeros_like(x_ND)
    for e in range(len(down)):
        token, choice = torch.where(experts_NK == e)
        gate, up = (x_ND[token] @ gate_up[e]).chunk(2, dim=-1)
        y.index_add_(0, token, (F.silu(gate) * up) @ down[e] * weights_NK[token, choice, None])
    return y


@wrong("only as many experts as choices")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    y = torch.zeros_like(x_ND)
    for e in range(experts_NK.shape[1]):
        token, choice = torch.where(experts_NK == e)
        y.index_add_(0, token, ffn(x_ND[token], gate_up[e], down[e]) * weights_NK[token, choice, None])
    return y


@wrong("an expert left out", "the last")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    y = torch.zeros_like(x_ND)
    for e in range(len(down) - 1):
        token, choice = torch.where(experts_NK == e)
        y.index_add_(0, token, ffn(x_ND[token], gate_up[e], down[e]) * weights_NK[token, choice, None])
    return y


@wrong("an expert left out", "the first")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    y = torch.zeros_like(x_ND)
    for e in range(1, gate_up.shape[0]):
        token, choice = torch.where(experts_NK == e)
        y.index_add_(0, token, ffn(x_ND[token], gate_up[e], down[e]) * weights_NK[token, choice, None])
    return y
