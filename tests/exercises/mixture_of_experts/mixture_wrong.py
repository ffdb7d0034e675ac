"""Wrong answers to `mixture`: the shared expert, the gate weights, and which expert is called."""

import torch
from exercises.answers import Answers

from mini_moe.course.exercises.mixture_of_experts.mixture import EXERCISE

ANSWERS = Answers(EXERCISE)
wrong = ANSWERS.wrong


@wrong("shared left out")
def _(x_ND, weights_NK, experts_NK, routed, shared):
    rows = []
    for n in range(len(x_ND)):
        rows.append(sum(weights_NK[n, k] * routed[experts_NK[n, k]](x_ND[n]) for k in range(experts_NK.shape[1])))
    return torch.stack(rows)


@wrong("shared added K times")
def _(x_ND, weights_NK, experts_NK, routed, shared):
    y = torch.zeros_like(x_ND)
    for n in range(len(x_ND)):
        for k in range(experts_NK.shape[1]):
            y[n] += weights_NK[n, k] * routed[experts_NK[n, k]](x_ND[n]) + shared(x_ND[n])
    return y


@wrong("shared gated", "every choice's weight")
def _(x_ND, weights_NK, experts_NK, routed, shared):
    y = torch.zeros_like(x_ND)
    for n in range(len(x_ND)):
        for k in range(experts_NK.shape[1]):
            y[n] += weights_NK[n, k] * (routed[experts_NK[n, k]](x_ND[n]) + shared(x_ND[n]))
    return y


@wrong("shared gated", "what is left to 1")
def _(x_ND, weights_NK, experts_NK, routed, shared):
    y = (1 - weights_NK.sum(-1, keepdim=True)) * torch.stack([shared(x) for x in x_ND])
    for n in range(len(x_ND)):
        for k in range(experts_NK.shape[1]):
            y[n] += weights_NK[n, k] * routed[experts_NK[n, k]](x_ND[n])
    return y


@wrong("shared scaled")
def _(x_ND, weights_NK, experts_NK, routed, shared):
    y = torch.stack([shared(x) for x in x_ND]) / experts_NK.shape[1]
    for n in range(len(x_ND)):
        for k in range(experts_NK.shape[1]):
            y[n] += weights_NK[n, k] * routed[experts_NK[n, k]](x_ND[n])
    return y


@wrong("gate weights dropped")
def _(x_ND, weights_NK, experts_NK, routed, shared):
    rows = []
    for x, experts in zip(x_ND, experts_NK, strict=True):
        y = shared(x)
        for e in experts:
            y = y + routed[e](x)
        rows.append(y)
    return torch.stack(rows)


@wrong("averaged", "over the choices")
def _(x_ND, weights_NK, experts_NK, routed, shared):
    rows = []
    for x, w, experts in zip(x_ND, weights_NK, experts_NK, strict=True):
        outs = torch.stack([routed[e](x) for e in experts])
        rows.append((w[:, None] * outs).mean(0) + shared(x))
    return torch.stack(rows)


@wrong("averaged", "without weights")
def _(x_ND, weights_NK, experts_NK, routed, shared):
    rows = []
    for x, experts in zip(x_ND, experts_NK, strict=True):
        rows.append(torch.stack([routed[e](x) for e in experts]).mean(0) + shared(x))
    return torch.stack(rows)


@wrong("weights normalised again", "divided")
def _(x_ND, weights_NK, experts_NK, routed, shared):
    weights_NK = weights_NK / weights_NK.sum(-1, keepdim=True)
    rows = []
    for x, w, experts in zip(x_ND, weights_NK, experts_NK, strict=True):
        rows.append(w @ torch.stack([routed[e](x) for e in experts]) + shared(x))
    return torch.stack(rows)


@wrong("weights normalised again", "softmax")
def _(x_ND, weights_NK, experts_NK, routed, shared):
    rows = []
    for x, w, experts in zip(x_ND, weights_NK.softmax(-1), experts_NK, strict=True):
        rows.append(w @ torch.stack([routed[e](x) for e in experts]) + shared(x))
    return torch.stack(rows)


@wrong("weight squared")
def _(x_ND, weights_NK, experts_NK, routed, shared):
    rows = []
    for x, w, experts in zip(x_ND, weights_NK, experts_NK, strict=True):
        outs = torch.stack([weight * routed[e](x) for weight, e in zip(w, experts, strict=True)])
        rows.append(w @ outs + shared(x))
    return torch.stack(rows)


@wrong("weight on the input")
def _(x_ND, weights_NK, experts_NK, routed, shared):
    rows = []
    for x, w, experts in zip(x_ND, weights_NK, experts_NK, strict=True):
        rows.append(sum(routed[e](x * weight) for weight, e in zip(w, experts, strict=True)) + shared(x))
    return torch.stack(rows)


@wrong("weights and experts out of step", "experts sorted")
def _(x_ND, weights_NK, experts_NK, routed, shared):
    rows = []
    for x, w, experts in zip(x_ND, weights_NK, experts_NK, strict=True):
        rows.append(w @ torch.stack([routed[e](x) for e in sorted(experts.tolist())]) + shared(x))
    return torch.stack(rows)


@wrong("weights and experts out of step", "a mask over the experts")
def _(x_ND, weights_NK, experts_NK, routed, shared):
    rows = []
    for n, x in enumerate(x_ND):
        y, k = shared(x), 0
        for e, expert in enumerate(routed):
            if e in experts_NK[n]:
                y = y + weights_NK[n, k] * expert(x)
                k += 1
        rows.append(y)
    return torch.stack(rows)


@wrong("number of the choice as the expert")
def _(x_ND, weights_NK, experts_NK, routed, shared):
    y = torch.stack([shared(x) for x in x_ND])
    for k in range(weights_NK.shape[1]):
        y = y + weights_NK[:, k : k + 1] * torch.stack([routed[k](x) for x in x_ND])
    return y


@wrong("experts counted from 1")
def _(x_ND, weights_NK, experts_NK, routed, shared):
    y = torch.stack([shared(x) for x in x_ND])
    for n in range(len(x_ND)):
        for k in range(experts_NK.shape[1]):
            y[n] += weights_NK[n, k] * routed[experts_NK[n, k] - 1](x_ND[n])
    return y


@wrong("one token's choice for all", "experts")
def _(x_ND, weights_NK, experts_NK, routed, shared):
    y = torch.stack([shared(x) for x in x_ND])
    for k, e in enumerate(experts_NK[0].tolist()):
        y = y + weights_NK[:, k, None] * torch.stack([routed[e](x) for x in x_ND])
    return y


@wrong("calls who was not chosen", "all, and takes the chosen")
def _(x_ND, weights_NK, experts_NK, routed, shared):
    outputs = torch.stack([torch.stack([expert(x) for expert in routed]) for x in x_ND])  # (N, E, D)
    chosen = outputs.take_along_dim(experts_NK[..., None], dim=1)
    return torch.einsum("nk,nkd->nd", weights_NK, chosen) + torch.stack([shared(x) for x in x_ND])


@wrong("calls who was not chosen", "all, with weight 0")
def _(x_ND, weights_NK, experts_NK, routed, shared):
    full = weights_NK.new_zeros(len(x_ND), len(routed)).scatter(1, experts_NK, weights_NK)
    return torch.stack(
        [
            shared(x) + sum(w * expert(x) for w, expert in zip(row, routed, strict=True))
            for x, row in zip(x_ND, full, strict=True)
        ]
    )
