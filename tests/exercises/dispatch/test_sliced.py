"""Answers to `sliced`: wrong ones as learners write them, right ones each in another way."""

import torch
from exercises.answers import Claims
from exercises.dispatch import sliced_more_wrong, sliced_wrong
from exercises.dispatch.ffn import ffn
from exercises.dispatch.sliced_parts import rows_of

from mini_moe.dispatch import sliced_linear, sort_by_expert

ANSWERS = sliced_wrong.ANSWERS + sliced_more_wrong.ANSWERS
right = ANSWERS.right


class TestSliced(Claims):
    answers = ANSWERS


@right("sorted back by argsort, summed over the choices")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    N, K = experts_NK.shape
    pair, ends = sort_by_expert(experts_NK, gate_up.shape[0])
    y = rows_of(x_ND.repeat_interleave(K, dim=0)[pair], gate_up, down, ends)
    return (y[pair.argsort()].view(N, K, -1) * weights_NK[..., None]).sum(dim=1)


@right("written to the places of the pairs")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    pair, ends = sort_by_expert(experts_NK, len(down))
    token = pair // experts_NK.size(1)
    choice = pair % experts_NK.size(1)
    y = x_ND.new_zeros(*experts_NK.shape, x_ND.shape[1])
    y[token, choice] = weights_NK[token, choice].unsqueeze(-1) * rows_of(x_ND[token], gate_up, down, ends)
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
        y.index_add_(0, n, ffn(x_ND[n], gate_up[e], down[e]) * weights_NK.reshape(-1, 1)[p])
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
    y = sliced_linear(gate * gate.sigmoid() * up * weights_NK.flatten()[pair].unsqueeze(1), down, ends)
    return torch.zeros_like(x_ND).scatter_add(0, token[:, None].expand_as(y), y)
