"""Answers to `mixture`: wrong ones as learners write them, right ones each in another way."""

import torch
from exercises.answers import Claims
from exercises.mixture_of_experts import mixture_functions, mixture_loops_wrong, mixture_wrong

ANSWERS = mixture_wrong.ANSWERS + mixture_loops_wrong.ANSWERS + mixture_functions.ANSWERS
right = ANSWERS.right


class TestMixture(Claims):
    answers = ANSWERS


@right("expert by expert, each of its tokens alone")
def _(x_ND, weights_NK, experts_NK, routed, shared):
    y = torch.stack([shared(x) for x in x_ND])
    for e, expert in enumerate(routed):
        for token, choice in (experts_NK == e).nonzero().tolist():
            said = (weights_NK[token, choice] * expert(x_ND[token])).to(y.dtype)
            y = y.index_add(0, torch.tensor([token]), said[None])
    return y


@right("expert by expert, its tokens by vmap")
def _(x_ND, weights_NK, experts_NK, routed, shared):
    y = torch.vmap(shared)(x_ND)
    for e, expert in enumerate(routed):
        token, choice = torch.where(experts_NK == e)
        if len(token):
            said = weights_NK[token, choice, None] * torch.vmap(expert)(x_ND[token])
            y = y.index_add(0, token, said.to(y.dtype))
    return y


@right("all that was said, then einsum in float64")
def _(x_ND, weights_NK, experts_NK, routed, shared):
    said = torch.stack(
        [torch.stack([routed[e](x) for e in chosen]) for x, chosen in zip(x_ND, experts_NK, strict=True)]
    )
    always = torch.stack([shared(x) for x in x_ND])
    return (torch.einsum("nk,nkd->nd", weights_NK.double(), said.double()) + always).to(x_ND.dtype)


@right("index by index, added in place")
def _(x_ND, weights_NK, experts_NK, routed, shared):
    y_ND = torch.zeros_like(x_ND)
    for n in range(x_ND.shape[0]):
        for k in range(experts_NK.shape[1]):
            y_ND[n] += weights_NK[n, k] * routed[int(experts_NK[n, k])](x_ND[n])
        y_ND[n] += shared(x_ND[n])
    return y_ND
