"""Wrong answers to `sliced`."""

import torch
import torch.nn.functional as F
from exercises.answers import Answers
from exercises.dispatch.ffn import ffn
from exercises.dispatch.sliced_parts import rows_of

from mini_moe.course.exercises.dispatch.sliced import EXERCISE
from mini_moe.dispatch import sliced_linear, sort_by_expert

ANSWERS = Answers(EXERCISE)
wrong = ANSWERS.wrong


@wrong("divided by the number of choices")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    pair, ends = sort_by_expert(experts_NK, len(down))
    N, K = experts_NK.shape
    y = rows_of(x_ND[pair // K], gate_up, down, ends) * weights_NK.flatten()[pair].unsqueeze(-1)
    return y[pair.argsort()].view(N, K, -1).mean(1)


@wrong("input added")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    pair, ends = sort_by_expert(experts_NK, len(down))
    token = pair // experts_NK.shape[1]
    return x_ND.index_add(0, token, rows_of(x_ND[token], gate_up, down, ends) * weights_NK.flatten()[pair, None])


@wrong("gate and up exchanged")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    pair, ends = sort_by_expert(experts_NK, len(down))
    token = pair // experts_NK.shape[1]
    up, gate = sliced_linear(x_ND[token], gate_up, ends).chunk(2, dim=-1)
    y = sliced_linear(F.silu(gate) * up, down, ends)
    return torch.zeros_like(x_ND).index_add(0, token, y * weights_NK.flatten()[pair, None])


@wrong("silu in both halves")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    pair, ends = sort_by_expert(experts_NK, len(down))
    token = pair // experts_NK.shape[1]
    gate, up = F.silu(sliced_linear(x_ND[token], gate_up, ends)).chunk(2, dim=-1)
    y = sliced_linear(gate * up, down, ends)
    return torch.zeros_like(x_ND).index_add(0, token, y * weights_NK.flatten()[pair, None])


@wrong("no silu")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    pair, ends = sort_by_expert(experts_NK, len(down))
    token = pair // experts_NK.shape[1]
    gate, up = sliced_linear(x_ND[token], gate_up, ends).chunk(2, dim=-1)
    y = sliced_linear(gate * up, down, ends)
    return torch.zeros_like(x_ND).index_add(0, token, y * weights_NK.flatten()[pair, None])


@wrong("silu after the product")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    pair, ends = sort_by_expert(experts_NK, len(down))
    token = pair // experts_NK.shape[1]
    gate, up = sliced_linear(x_ND[token], gate_up, ends).chunk(2, dim=-1)
    y = sliced_linear(F.silu(gate * up), down, ends)
    return torch.zeros_like(x_ND).index_add(0, token, y * weights_NK.flatten()[pair, None])


@wrong("sigmoid in place of silu")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    pair, ends = sort_by_expert(experts_NK, len(down))
    token = pair // experts_NK.shape[1]
    gate, up = sliced_linear(x_ND[token], gate_up, ends).chunk(2, dim=-1)
    y = sliced_linear(F.sigmoid(gate) * up, down, ends)
    return torch.zeros_like(x_ND).index_add(0, token, y * weights_NK.flatten()[pair, None])


@wrong("added in place of multiplied")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    pair, ends = sort_by_expert(experts_NK, len(down))
    token = pair // experts_NK.shape[1]
    gate, up = sliced_linear(x_ND[token], gate_up, ends).chunk(2, dim=-1)
    y = sliced_linear(F.silu(gate) + up, down, ends)
    return torch.zeros_like(x_ND).index_add(0, token, y * weights_NK.flatten()[pair, None])


@wrong("gate and up interleaved")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    pair, ends = sort_by_expert(experts_NK, len(down))
    token = pair // experts_NK.shape[1]
    gate, up = sliced_linear(x_ND[token], gate_up, ends).unflatten(-1, (-1, 2)).unbind(-1)
    y = sliced_linear(F.silu(gate) * up, down, ends)
    return torch.zeros_like(x_ND).index_add(0, token, y * weights_NK.flatten()[pair, None])


@wrong("matrix not transposed", "down")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    pair, ends = sort_by_expert(experts_NK, len(down))
    token = pair // experts_NK.shape[1]
    gate, up = sliced_linear(x_ND[token], gate_up, ends).chunk(2, dim=-1)
    y = sliced_linear(F.silu(gate) * up, down.mT, ends)
    return torch.zeros_like(x_ND).index_add(0, token, y * weights_NK.flatten()[pair, None])


@wrong("matrix not transposed", "gate_up")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    pair, ends = sort_by_expert(experts_NK, len(down))
    token = pair // experts_NK.shape[1]
    gate, up = sliced_linear(x_ND[token], gate_up.mT, ends).chunk(2, dim=-1)
    y = sliced_linear(F.silu(gate) * up, down, ends)
    return torch.zeros_like(x_ND).index_add(0, token, y * weights_NK.flatten()[pair, None])


@wrong("gathered, not added")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    N, K = experts_NK.shape
    pair, ends = sort_by_expert(experts_NK, len(down))
    token = pair // K
    y = rows_of(x_ND[token], gate_up, down, ends) * weights_NK.flatten()[pair, None]
    return y[token].view(N, K, -1).sum(1)


@wrong("wrong token of a pair", "sorted back, but shaped (K, N)")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    N, K = experts_NK.shape
    pair, ends = sort_by_expert(experts_NK, len(down))
    token = pair // K
    y = rows_of(x_ND[token], gate_up, down, ends) * weights_NK.flatten()[pair, None]
    return y[pair.argsort()].view(K, N, -1).sum(0)


@wrong("weights sorted, rows sorted back")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    N, K = experts_NK.shape
    pair, ends = sort_by_expert(experts_NK, len(down))
    token = pair // K
    y = rows_of(x_ND[token], gate_up, down, ends)[pair.argsort()].view(N, K, -1)
    return (y * weights_NK.flatten()[pair].view(N, K, 1)).sum(1)


@wrong("weights laid flat by choice")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    N, K = experts_NK.shape
    pair, ends = sort_by_expert(experts_NK, len(down))
    token = pair // K
    y = rows_of(x_ND[token], gate_up, down, ends) * weights_NK.T.flatten()[pair, None]
    return torch.zeros_like(x_ND).index_add(0, token, y)


@wrong("wrong token of a pair", "added to the remainder")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    N, K = experts_NK.shape
    pair, ends = sort_by_expert(experts_NK, len(down))
    token = pair // K
    y = rows_of(x_ND[token], gate_up, down, ends) * weights_NK.flatten()[pair, None]
    return torch.zeros_like(x_ND).index_add(0, pair % K, y)


@wrong("wrong token of a pair", "added as if numbered by choice")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    N, K = experts_NK.shape
    pair, ends = sort_by_expert(experts_NK, len(down))
    token = pair // K
    y = rows_of(x_ND[token], gate_up, down, ends) * weights_NK.flatten()[pair, None]
    return torch.zeros_like(x_ND).index_add(0, pair % N, y)


@wrong("nothing added", "index_add not kept")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    N, K = experts_NK.shape
    pair, ends = sort_by_expert(experts_NK, len(down))
    token = pair // K
    y = rows_of(x_ND[token], gate_up, down, ends) * weights_NK.flatten()[pair, None]
    out = torch.zeros_like(x_ND)
    out.index_add(0, token, y)
    return out


@wrong("one expert for all", "the first")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    N, K = experts_NK.shape
    pair, ends = sort_by_expert(experts_NK, len(down))
    token = pair // K
    y = ffn(x_ND[token], gate_up[0], down[0]) * weights_NK.flatten()[pair, None]
    return torch.zeros_like(x_ND).index_add(0, token, y)


@wrong("another bend")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    N, K = experts_NK.shape
    pair, ends = sort_by_expert(experts_NK, len(down))
    token = pair // K
    gate, up = sliced_linear(x_ND[token], gate_up, ends).chunk(2, dim=-1)
    y = sliced_linear(F.gelu(gate, approximate="tanh") * up, down, ends)
    return torch.zeros_like(x_ND).index_add(0, token, y * weights_NK.flatten()[pair, None])


@wrong("no gate")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    N, K = experts_NK.shape
    pair, ends = sort_by_expert(experts_NK, len(down))
    token = pair // K
    gate, up = sliced_linear(x_ND[token], gate_up, ends).chunk(2, dim=-1)
    y = sliced_linear(F.silu(up), down, ends)
    return torch.zeros_like(x_ND).index_add(0, token, y * weights_NK.flatten()[pair, None])


@wrong("no way up")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    N, K = experts_NK.shape
    pair, ends = sort_by_expert(experts_NK, len(down))
    token = pair // K
    gate, up = sliced_linear(x_ND[token], gate_up, ends).chunk(2, dim=-1)
    y = sliced_linear(F.silu(gate), down, ends)
    return torch.zeros_like(x_ND).index_add(0, token, y * weights_NK.flatten()[pair, None])


@wrong("gradient missing", "gate weights detached")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    pair, ends = sort_by_expert(experts_NK, len(down))
    token = pair // experts_NK.shape[1]
    y = rows_of(x_ND[token], gate_up, down, ends) * weights_NK.detach().flatten()[pair, None]
    return torch.zeros_like(x_ND).index_add(0, token, y)
