"""Answers to `loop`: wrong ones as learners write them, right ones each in another way."""

import torch
import torch.nn.functional as F
from exercises.answers import Claims
from exercises.dispatch import loop_more_wrong, loop_still_more_wrong, loop_wrong
from exercises.dispatch.ffn import ffn

ANSWERS = loop_wrong.ANSWERS + loop_more_wrong.ANSWERS + loop_still_more_wrong.ANSWERS
right = ANSWERS.right


class TestLoop(Claims):
    answers = ANSWERS


@right("tokens and choices in loops")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    rows = []
    for x, weights, experts in zip(x_ND, weights_NK, experts_NK, strict=True):
        y = torch.zeros_like(x)
        for w, e in zip(weights, experts, strict=True):
            gate, up = (gate_up[e] @ x).chunk(2)
            y = y + w * (down[e] @ (F.silu(gate) * up))
        rows.append(y)
    return torch.stack(rows)


@right("masks, written in place, empty experts skipped")
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


@right("choice by choice, only experts that occur")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    y = torch.zeros_like(x_ND)
    for k in range(experts_NK.shape[1]):
        for e in experts_NK[:, k].unique().tolist():
            mask = experts_NK[:, k] == e
            y[mask] += weights_NK[mask, k : k + 1] * ffn(x_ND[mask], gate_up[e], down[e])
    return y


@right("one-hot, the weight before the way down, index_put")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    chosen = F.one_hot(experts_NK, num_classes=len(down)).permute(2, 0, 1)
    y = torch.zeros_like(x_ND)
    for e, (n, k) in enumerate(mask.nonzero().unbind(-1) for mask in chosen):
        gate, up = torch.einsum("nd,id->ni", x_ND[n], gate_up[e]).chunk(2, -1)
        hidden = gate * gate.sigmoid() * up * weights_NK[n, k, None]
        y = y.index_put((n,), hidden @ down[e].mT, accumulate=True)
    return y


@right("each pair with a copy of its matrices, float64")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    gate, up = torch.einsum("nd,nkid->nki", x_ND.double(), gate_up.double()[experts_NK]).chunk(2, dim=-1)
    out = torch.einsum("nki,nkdi->nkd", F.silu(gate) * up, down.double()[experts_NK])
    return (weights_NK.double()[..., None] * out).sum(dim=1).to(x_ND.dtype)


@right("padded to the longest expert")
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
