"""Wrong answers to `sliced`."""

import math

import torch
import torch.nn.functional as F
from exercises.answers import Answers
from exercises.dispatch.ffn import ffn
from exercises.dispatch.sliced_parts import rows_of

from mini_moe.course.exercises.dispatch.sliced import EXERCISE
from mini_moe.dispatch import sliced_linear, sort_by_expert

ANSWERS = Answers(EXERCISE)
wrong = ANSWERS.wrong


@wrong("left in sorted order", "reshaped")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    pair, ends = sort_by_expert(experts_NK, len(down))
    N, K = experts_NK.shape
    y = rows_of(x_ND[pair // K], gate_up, down, ends) * weights_NK.flatten()[pair].unsqueeze(-1)
    return y.view(N, K, -1).sum(1)


@wrong("left in sorted order", "reshaped the other way")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    pair, ends = sort_by_expert(experts_NK, len(down))
    N, K = experts_NK.shape
    y = rows_of(x_ND[pair // K], gate_up, down, ends) * weights_NK.flatten()[pair].unsqueeze(-1)
    return y.view(K, N, -1).sum(0)


@wrong("wrong shape", "the rows as they are")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    pair, ends = sort_by_expert(experts_NK, len(down))
    y = rows_of(x_ND[pair // experts_NK.shape[1]], gate_up, down, ends)
    return y * weights_NK.flatten()[pair, None]


@wrong("sorted again")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    pair, ends = sort_by_expert(experts_NK, len(down))
    N, K = experts_NK.shape
    y = rows_of(x_ND[pair // K], gate_up, down, ends) * weights_NK.flatten()[pair].unsqueeze(-1)
    return y[pair].view(N, K, -1).sum(1)


@wrong("weights not sorted")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    pair, ends = sort_by_expert(experts_NK, len(down))
    token = pair // experts_NK.shape[1]
    y = rows_of(x_ND[token], gate_up, down, ends) * weights_NK.reshape(-1, 1)
    return torch.zeros_like(x_ND).index_add(0, token, y)


@wrong("weights by token")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    pair, ends = sort_by_expert(experts_NK, len(down))
    token = pair // experts_NK.shape[1]
    y = rows_of(x_ND[token], gate_up, down, ends) * weights_NK.reshape(-1, 1)[token]
    return torch.zeros_like(x_ND).index_add(0, token, y)


@wrong("weights sorted back")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    pair, ends = sort_by_expert(experts_NK, len(down))
    token = pair // experts_NK.shape[1]
    weights = torch.empty(len(pair)).scatter(0, pair, weights_NK.flatten())
    y = rows_of(x_ND[token], gate_up, down, ends) * weights[:, None]
    return torch.zeros_like(x_ND).index_add(0, token, y)


@wrong("weights along the features")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    pair, ends = sort_by_expert(experts_NK, len(down))
    token = pair // experts_NK.shape[1]
    y = rows_of(x_ND[token], gate_up, down, ends) * weights_NK.flatten()[pair]
    return torch.zeros_like(x_ND).index_add(0, token, y)


@wrong("tokens not sorted")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    pair, ends = sort_by_expert(experts_NK, len(down))
    K = experts_NK.shape[1]
    y = rows_of(x_ND.repeat_interleave(K, 0), gate_up, down, ends) * weights_NK.flatten()[pair, None]
    return torch.zeros_like(x_ND).index_add(0, pair // K, y)


@wrong("wrong token of a pair", "the remainder")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    pair, ends = sort_by_expert(experts_NK, len(down))
    token = pair % experts_NK.shape[1]
    y = rows_of(x_ND[token], gate_up, down, ends) * weights_NK.flatten()[pair, None]
    return torch.zeros_like(x_ND).index_add(0, token, y)


@wrong("wrong token of a pair", "divided by the experts")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    pair, ends = sort_by_expert(experts_NK, len(down))
    token = pair // len(down)
    y = rows_of(x_ND[token], gate_up, down, ends) * weights_NK.flatten()[pair, None]
    return torch.zeros_like(x_ND).index_add(0, token, y)


@wrong("wrong token of a pair", "x repeated as a whole")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    pair, ends = sort_by_expert(experts_NK, len(down))
    K = experts_NK.shape[1]
    y = rows_of(x_ND.repeat(K, 1)[pair], gate_up, down, ends) * weights_NK.flatten()[pair, None]
    return torch.zeros_like(x_ND).index_add(0, pair // K, y)


@wrong("wrong token of a pair", "divided by the tokens")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    pair, ends = sort_by_expert(experts_NK, len(down))
    token = torch.div(pair, len(x_ND), rounding_mode="floor")
    y = rows_of(x_ND[token], gate_up, down, ends) * weights_NK.flatten()[pair, None]
    return torch.zeros_like(x_ND).index_add(0, token, y)


@wrong("raises IndexError", "the pair for the token")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    pair, ends = sort_by_expert(experts_NK, len(down))
    y = rows_of(x_ND[pair], gate_up, down, ends) * weights_NK.flatten()[pair, None]
    return torch.zeros_like(x_ND).index_add(0, pair, y)


@wrong("gate weights left out")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    pair, ends = sort_by_expert(experts_NK, len(down))
    token = pair // experts_NK.shape[1]
    return torch.zeros_like(x_ND).index_add(0, token, rows_of(x_ND[token], gate_up, down, ends))


@wrong("wrong gate weight")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    pair, ends = sort_by_expert(experts_NK, len(down))
    token = pair // experts_NK.shape[1]
    y = rows_of(x_ND[token], gate_up, down, ends) * weights_NK[token, :1]
    return torch.zeros_like(x_ND).index_add(0, token, y)


@wrong("all weights of the token")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    pair, ends = sort_by_expert(experts_NK, len(down))
    token = pair // experts_NK.shape[1]
    y = torch.zeros_like(x_ND).index_add(0, token, rows_of(x_ND[token], gate_up, down, ends))
    return y * weights_NK.sum(dim=1, keepdim=True)


@wrong("weights normalised again")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    pair, ends = sort_by_expert(experts_NK, len(down))
    token = pair // experts_NK.shape[1]
    weights = F.normalize(weights_NK, p=1, dim=1).flatten()[pair]
    return torch.zeros_like(x_ND).index_add(0, token, rows_of(x_ND[token], gate_up, down, ends) * weights[:, None])


@wrong("weight on the input")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    pair, ends = sort_by_expert(experts_NK, len(down))
    token = pair // experts_NK.shape[1]
    x = x_ND[token] * weights_NK.flatten()[pair, None]
    return torch.zeros_like(x_ND).index_add(0, token, rows_of(x, gate_up, down, ends))


@wrong("weighted twice")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    pair, ends = sort_by_expert(experts_NK, len(down))
    token = pair // experts_NK.shape[1]
    w = weights_NK.flatten()[pair, None]
    gate, up = sliced_linear(x_ND[token], gate_up, ends).chunk(2, -1)
    y = sliced_linear(F.silu(gate) * up * w, down, ends)
    return torch.zeros_like(x_ND).index_add(0, token, y * w)


@wrong("overwritten, not added", "=")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    pair, ends = sort_by_expert(experts_NK, len(down))
    token = pair // experts_NK.shape[1]
    y = torch.zeros_like(x_ND)
    y[token] = rows_of(x_ND[token], gate_up, down, ends) * weights_NK.flatten()[pair, None]
    return y


@wrong("overwritten, not added", "+=, a token standing twice")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    pair, ends = sort_by_expert(experts_NK, len(down))
    token = pair // experts_NK.shape[1]
    y = torch.zeros_like(x_ND)
    y[token] += rows_of(x_ND[token], gate_up, down, ends) * weights_NK.flatten()[pair, None]
    return y


@wrong("first choice only")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    pair, ends = sort_by_expert(experts_NK[:, :1], len(down))
    y = rows_of(x_ND[pair], gate_up, down, ends) * weights_NK[pair, 0, None]
    return torch.zeros_like(x_ND).index_add(0, pair, y)


@wrong("tokens dropped")
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


@wrong("no choice")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    E, N = len(down), len(x_ND)
    y = rows_of(x_ND.repeat(E, 1), gate_up, down, N * torch.arange(1, E + 1))
    return y.view(E, N, -1).sum(0)


@wrong("every expert for all")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    E, N = len(down), len(x_ND)
    y = rows_of(x_ND.repeat(E, 1), gate_up, down, N * torch.arange(1, E + 1))
    weights_NE = torch.zeros(N, E).scatter(1, experts_NK, weights_NK)
    return (y.view(E, N, -1) * weights_NE.T[..., None]).sum(0)
