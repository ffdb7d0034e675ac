"""Right answers to `loop` and to `sliced`, each written in another way."""

import torch
import torch.nn.functional as F
from exercises.answers import Answers
from exercises.dispatch.parts import ffn, rows_of

from mini_moe.dispatch import sliced_linear, sort_by_expert

ANSWERS = Answers(exercise=None)
right = ANSWERS.right


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
        hidden = gate * gate.sigmoid() * up * weights_NK[n, k, None].to(up.dtype)
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


@right("sorted back by argsort, summed over the choices")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    N, K = experts_NK.shape
    pair, ends = sort_by_expert(experts_NK, gate_up.shape[0])
    y = rows_of(x_ND.repeat_interleave(K, dim=0)[pair], gate_up, down, ends)
    return (y[pair.argsort()].view(N, K, -1) * weights_NK[..., None]).sum(dim=1).type_as(x_ND)


@right("written to the places of the pairs")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    pair, ends = sort_by_expert(experts_NK, len(down))
    token = pair // experts_NK.size(1)
    choice = pair % experts_NK.size(1)
    y = x_ND.new_zeros(*experts_NK.shape, x_ND.shape[1])
    rows = weights_NK[token, choice].unsqueeze(-1) * rows_of(x_ND[token], gate_up, down, ends)
    y[token, choice] = rows.to(x_ND.dtype)
    return y.sum(1)


@right("its own sort, backwards, and a loop over slices")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    expert, pair = experts_NK.flatten().flip(0).sort()
    pair = experts_NK.numel() - 1 - pair
    y, start = torch.zeros_like(x_ND), 0
    for e, count in enumerate(torch.bincount(expert, minlength=len(down)).tolist()):
        p = pair[start : start + count]
        start += count
        n = p.div(experts_NK.shape[1], rounding_mode="floor")
        y.index_add_(0, n, ffn(x_ND[n], gate_up[e], down[e]) * weights_NK.reshape(-1, 1)[p].to(y.dtype))
    return y


@right("the loop over experts again")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    y = torch.zeros_like(x_ND)
    for e in range(len(down)):
        token, choice = torch.where(experts_NK == e)
        y[token] += ffn(x_ND[token], gate_up[e], down[e]) * weights_NK[token, choice, None]
    return y


@right("the weight before the way down, scatter_add")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    pair, ends = sort_by_expert(experts_NK, len(down))
    token = torch.arange(len(x_ND)).repeat_interleave(experts_NK.shape[1])[pair]
    gate, up = sliced_linear(x_ND[token], gate_up, ends).tensor_split(2, dim=-1)
    weight = weights_NK.flatten()[pair].unsqueeze(1).to(x_ND.dtype)
    y = sliced_linear(gate * gate.sigmoid() * up * weight, down, ends)
    return torch.zeros_like(x_ND).scatter_add(0, token[:, None].expand_as(y), y)


@right("experts backwards, float32 at least, written in place")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    wide = torch.promote_types(x_ND.dtype, torch.float32)
    y = torch.zeros(x_ND.shape, dtype=wide)
    for e in reversed(range(len(down))):
        pairs = experts_NK.eq(e).nonzero()
        if not len(pairs):
            continue
        n, k = pairs.T
        out = ffn(x_ND[n].to(wide), gate_up[e].to(wide), down[e].to(wide))
        y.index_put_((n,), out * weights_NK[n, k].to(wide)[:, None], accumulate=True)
    return y.to(x_ND.dtype)


@right("a matrix of gate weights that adds up")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    pair, ends = sort_by_expert(experts_NK, len(down))
    token = torch.div(pair, experts_NK.shape[1], rounding_mode="floor")
    y = rows_of(x_ND[token], gate_up, down, ends)
    place = (torch.arange(len(x_ND))[:, None] == token) * weights_NK.reshape(-1)[pair]
    return place.to(y.dtype) @ y


@right("torch.where for the weights of an expert's tokens")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    y = torch.zeros_like(x_ND)
    for e in range(len(down)):
        mine = experts_NK == e
        token = mine.any(1).nonzero()[:, 0]
        w = torch.where(mine, weights_NK, 0).sum(1)[token].to(x_ND.dtype)
        rows = ffn(x_ND[token], gate_up[e], down[e]) * w[:, None]
        y = y.scatter_add(0, token[:, None].expand_as(rows), rows)
    return y
