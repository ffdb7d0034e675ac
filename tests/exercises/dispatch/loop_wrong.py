"""Wrong answers to `loop` alone: how it asks the experts in turn."""

import torch
from exercises.answers import Answers
from exercises.dispatch.parts import by_expert, ffn

from mini_moe.course.exercises.dispatch.loop import EXERCISE

ANSWERS = Answers(EXERCISE)
wrong = ANSWERS.wrong


@wrong("weight by the number of the expert")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    y = torch.zeros_like(x_ND)
    for e in range(len(down)):
        token = (experts_NK == e).any(1).nonzero().flatten()
        y[token] += ffn(x_ND[token], gate_up[e], down[e]) * weights_NK[token, e, None]
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


@wrong("stops at an empty expert", "break")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    y = torch.zeros_like(x_ND)
    for e in range(len(down)):
        token, choice = torch.where(experts_NK == e)
        if len(token) == 0:
            break
        y.index_add_(0, token, ffn(x_ND[token], gate_up[e], down[e]) * weights_NK[token, choice, None])
    return y


@wrong("token and choice exchanged")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    y = torch.zeros_like(x_ND)
    for e in range(len(down)):
        choice, token = torch.where(experts_NK == e)
        y.index_add_(0, token, ffn(x_ND[token], gate_up[e], down[e]) * weights_NK[token, choice, None])
    return y


@wrong("weights along the features", "no column made of them")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    y = torch.zeros_like(x_ND)
    for e in range(len(down)):
        token, choice = torch.where(experts_NK == e)
        y = y.index_add(0, token, ffn(x_ND[token], gate_up[e], down[e]) * weights_NK[token, choice])
    return y


@wrong("weights along the features", "empty experts skipped")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    y = torch.zeros_like(x_ND)
    for e in range(len(down)):
        token, choice = torch.where(experts_NK == e)
        if len(token) == 0:
            continue
        y[token] += weights_NK[token, choice] * ffn(x_ND[token], gate_up[e], down[e])
    return y


@wrong("raises RuntimeError", "an expert without tokens, stacked")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    y = torch.zeros_like(x_ND)
    for e in range(len(down)):
        token, choice = torch.where(experts_NK == e)
        rows = torch.stack([weights_NK[n, k] * ffn(x_ND[n], gate_up[e], down[e])
                            for n, k in zip(token, choice, strict=True)])  # fmt: skip
        y.index_add_(0, token, rows)
    return y


@wrong("raises IndexError", "an expert without tokens, its first one asked for")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    y = torch.zeros_like(x_ND)
    for e in range(len(down)):
        token, choice = torch.where(experts_NK == e)
        first = x_ND[token[0]]
        y = y.to(first.dtype)
        y.index_add_(0, token, ffn(x_ND[token], gate_up[e], down[e]) * weights_NK[token, choice, None])
    return y


@wrong("only one expert", "returned in the loop")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    y = torch.zeros_like(x_ND)
    for e in range(len(down)):
        token, choice = torch.where(experts_NK == e)
        y.index_add_(0, token, ffn(x_ND[token], gate_up[e], down[e]) * weights_NK[token, choice, None])
        return y


@wrong("only one expert", "made in the loop")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    y = torch.zeros_like(x_ND)
    for e in range(len(down)):
        token, choice = torch.where(experts_NK == e)
        y = torch.zeros_like(x_ND)
        y.index_add_(0, token, ffn(x_ND[token], gate_up[e], down[e]) * weights_NK[token, choice, None])
    return y


@wrong("a single token skipped", "len(token) <= 1")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    y = torch.zeros_like(x_ND)
    for e in range(len(down)):
        token, choice = torch.where(experts_NK == e)
        if len(token) <= 1:
            continue
        y.index_add_(0, token, ffn(x_ND[token], gate_up[e], down[e]) * weights_NK[token, choice, None])
    return y


@wrong("token 0 taken for none", "token.any()")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    y = torch.zeros_like(x_ND)
    for e in range(len(down)):
        token, choice = torch.where(experts_NK == e)
        if not token.any():
            continue
        y.index_add_(0, token, ffn(x_ND[token], gate_up[e], down[e]) * weights_NK[token, choice, None])
    return y


@wrong("an expert left out", "the first, as if they were numbered from 1")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    return by_expert(x_ND, weights_NK, experts_NK - 1, gate_up[1:], down[1:])


@wrong("highest expert left out", "range(max)")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    y = torch.zeros_like(x_ND)
    for e in range(experts_NK.max()):
        token, choice = torch.where(experts_NK == e)
        y.index_add_(0, token, ffn(x_ND[token], gate_up[e], down[e]) * weights_NK[token, choice, None])
    return y


@wrong("experts counted from 1")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    y = torch.zeros_like(x_ND)
    for number in range(1, len(down) + 1):
        token, choice = torch.where(experts_NK == number)
        out = ffn(x_ND[token], gate_up[number - 1], down[number - 1])
        y.index_add_(0, token, out * weights_NK[token, choice, None])
    return y


@wrong("raises IndexError", "experts counted from 1, and so is the last one's matrix")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    y = torch.zeros_like(x_ND)
    for e in range(1, len(down) + 1):
        token, choice = torch.where(experts_NK == e)
        y.index_add_(0, token, ffn(x_ND[token], gate_up[e], down[e]) * weights_NK[token, choice, None])
    return y


@wrong("refuses a legal input", "an expert without tokens")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    if len(experts_NK.unique()) < len(down):
        raise ValueError("every expert must have a token")
    return by_expert(x_ND, weights_NK, experts_NK, gate_up, down)


@wrong("tokens not kept apart", "an expert's rows added in reverse")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    y = torch.zeros_like(x_ND)
    for e in range(len(down)):
        token, choice = torch.where(experts_NK == e)
        out = ffn(x_ND[token], gate_up[e], down[e]) * weights_NK[token, choice, None]
        y.index_add_(0, token.flip(0), out)
    return y


@wrong("tokens not kept apart", "the weights transposed and reshaped")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    return by_expert(x_ND, weights_NK.T.reshape(experts_NK.shape), experts_NK, gate_up, down)
