"""Wrong answers to `mixture`: loops that lose a choice or chain the experts, and results of another form."""

import torch
from exercises.answers import Answers

from mini_moe.course.exercises.mixture_of_experts.mixture import EXERCISE

ANSWERS = Answers(EXERCISE)
wrong = ANSWERS.wrong


@wrong("one token's choice for all", "weights, too")
def _(x_ND, weights_NK, experts_NK, routed, shared):
    y = torch.stack([shared(x) for x in x_ND])
    for weight, e in zip(weights_NK[0], experts_NK[0], strict=True):
        y = y + weight * torch.stack([routed[e](x) for x in x_ND])
    return y


@wrong("one token's choice for all", "the last's, left over from a loop")
def _(x_ND, weights_NK, experts_NK, routed, shared):
    for token in range(len(x_ND)):
        weights, experts = weights_NK[token], experts_NK[token]
    rows = []
    for x in x_ND:
        rows.append(shared(x) + sum(w * routed[e](x) for w, e in zip(weights, experts, strict=True)))
    return torch.stack(rows)


@wrong("first choice only", "a return in the loop")
def _(x_ND, weights_NK, experts_NK, routed, shared):
    def of_one(x, weights, experts):
        y = shared(x)
        for weight, e in zip(weights, experts, strict=True):
            y = y + weight * routed[e](x)
            return y

    return torch.stack([of_one(*row) for row in zip(x_ND, weights_NK, experts_NK, strict=True)])


@wrong("last choice only", "= in place of +=")
def _(x_ND, weights_NK, experts_NK, routed, shared):
    rows = []
    for x, weights, experts in zip(x_ND, weights_NK, experts_NK, strict=True):
        for weight, e in zip(weights, experts, strict=True):
            y = weight * routed[e](x)
        rows.append(y + shared(x))
    return torch.stack(rows)


@wrong("every expert called")
def _(x_ND, weights_NK, experts_NK, routed, shared):
    return torch.stack([sum(expert(x) for expert in routed) for x in x_ND]) + torch.stack([shared(x) for x in x_ND])


@wrong("one after the other", "the experts in a chain")
def _(x_ND, weights_NK, experts_NK, routed, shared):
    rows = []
    for x, weights, experts in zip(x_ND, weights_NK, experts_NK, strict=True):
        always = shared(x)
        for weight, e in zip(weights, experts, strict=True):
            x = weight * routed[e](x)
        rows.append(x + always)
    return torch.stack(rows)


@wrong("one after the other", "the shared one first")
def _(x_ND, weights_NK, experts_NK, routed, shared):
    rows = []
    for x, weights, experts in zip(torch.stack([shared(x) for x in x_ND]), weights_NK, experts_NK, strict=True):
        rows.append(x + sum(weight * routed[e](x) for weight, e in zip(weights, experts, strict=True)))
    return torch.stack(rows)


@wrong("one after the other", "the sum so far")
def _(x_ND, weights_NK, experts_NK, routed, shared):
    rows = []
    for x, weights, experts in zip(x_ND, weights_NK, experts_NK, strict=True):
        y = shared(x)
        for weight, e in zip(weights, experts, strict=True):
            y = y + weight * routed[e](y)
        rows.append(y)
    return torch.stack(rows)


@wrong("one after the other", "the token overwritten")
def _(x_ND, weights_NK, experts_NK, routed, shared):
    rows = []
    for x, weights, experts in zip(x_ND, weights_NK, experts_NK, strict=True):
        always = shared(x)
        for weight, e in zip(weights, experts, strict=True):
            x = x + weight * routed[e](x)
        rows.append(x + always)
    return torch.stack(rows)


@wrong("shared subtracted")
def _(x_ND, weights_NK, experts_NK, routed, shared):
    rows = []
    for x, weights, experts in zip(x_ND, weights_NK, experts_NK, strict=True):
        rows.append(sum(weight * routed[e](x) for weight, e in zip(weights, experts, strict=True)) - shared(x))
    return torch.stack(rows)


@wrong("input added", "started with x")
def _(x_ND, weights_NK, experts_NK, routed, shared):
    rows = []
    for x, weights, experts in zip(x_ND, weights_NK, experts_NK, strict=True):
        y = x + shared(x)
        for weight, e in zip(weights, experts, strict=True):
            y = y + weight * routed[e](x)
        rows.append(y)
    return torch.stack(rows)


@wrong("router detached", "tolist")
def _(x_ND, weights_NK, experts_NK, routed, shared):
    rows = []
    for x, weights, experts in zip(x_ND, weights_NK.tolist(), experts_NK.tolist(), strict=True):
        y = shared(x)
        for weight, e in zip(weights, experts, strict=True):
            y = y + weight * routed[e](x)
        rows.append(y)
    return torch.stack(rows)


@wrong("writes into what `shared` returned", "row by row")
def _(x_ND, weights_NK, experts_NK, routed, shared):
    rows = []
    for x, weights, experts in zip(x_ND, weights_NK, experts_NK, strict=True):
        y = shared(x)
        for weight, expert in zip(weights, experts, strict=True):
            y += weight * routed[expert](x)
        rows.append(y)
    return torch.stack(rows)


@wrong("wrong shape", "one row for each choice")
def _(x_ND, weights_NK, experts_NK, routed, shared):
    rows = []
    for x, weights, experts in zip(x_ND, weights_NK, experts_NK, strict=True):
        for weight, e in zip(weights, experts, strict=True):
            rows.append(weight * routed[e](x) + shared(x))
    return torch.stack(rows)


@wrong("wrong type", "a list of rows")
def _(x_ND, weights_NK, experts_NK, routed, shared):
    return [shared(x) for x in x_ND]


@wrong("raises TypeError", "a list of functions called")
def _(x_ND, weights_NK, experts_NK, routed, shared):
    return routed(x_ND) + shared(x_ND)
