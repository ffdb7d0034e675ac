"""Answers to `mixture`: wrong ones as learners write them, right ones each in another way."""

import torch
from exercises.answers import Claims
from exercises.mixture_of_experts import mixture_more_wrong, mixture_wrong

ANSWERS = mixture_wrong.ANSWERS + mixture_more_wrong.ANSWERS
right = ANSWERS.right


class TestMixture(Claims):
    answers = ANSWERS


@right("expert by expert, with a mask")
def _(x_ND, weights_NK, experts_NK, routed, shared):
    y = shared(x_ND)
    for e, expert in enumerate(routed):
        weight = (weights_NK * (experts_NK == e)).sum(-1, keepdim=True)
        y = y + weight * expert(x_ND)
    return y


@right("expert by expert, only its tokens")
def _(x_ND, weights_NK, experts_NK, routed, shared):
    y = torch.stack([shared(x) for x in x_ND])
    for e, expert in enumerate(routed):
        token, choice = torch.where(experts_NK == e)
        if len(token):
            y = y.index_add(0, token, weights_NK[token, choice, None] * expert(x_ND[token]))
    return y


@right("all outputs, then einsum")
def _(x_ND, weights_NK, experts_NK, routed, shared):
    outputs = torch.stack([torch.stack([expert(x) for expert in routed]) for x in x_ND])  # (N, E, D)
    chosen = outputs.take_along_dim(experts_NK[..., None], dim=1)
    return torch.einsum("nk,nkd->nd", weights_NK, chosen) + torch.stack([shared(x) for x in x_ND])


@right("index by index, added in place")
def _(x_ND, weights_NK, experts_NK, routed, shared):
    y_ND = torch.zeros_like(x_ND)
    for n in range(x_ND.shape[0]):
        for k in range(experts_NK.shape[1]):
            y_ND[n] += weights_NK[n, k] * routed[int(experts_NK[n, k])](x_ND[n])
        y_ND[n] += shared(x_ND[n])
    return y_ND
