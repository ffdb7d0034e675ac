"""Wrong answers to `residual`, as learners write them."""

import torch
import torch.nn.functional as F
from exercises.answers import Answers

from mini_moe.course.exercises.speculative_decoding.residual import EXERCISE

ANSWERS = Answers(EXERCISE)
wrong = ANSWERS.wrong


@wrong("not normalised")
def _(p, q):
    return torch.relu(p - q)


@wrong("not normalised", "p where the two are equal")
def _(p, q):
    lacking = (p - q).clamp(0)
    return torch.where(lacking.sum(-1, keepdim=True) == 0, p, lacking)


@wrong("negative parts kept", "divided by their sum")
def _(p, q):
    rest = p - q
    return rest / rest.sum(-1, keepdim=True)


@wrong("negative parts kept", "as they are")
def _(p, q):
    return p - q


@wrong("negative parts kept", "above, not below")
def _(p, q):
    total = (p - q).clamp(min=0).sum(-1, keepdim=True)
    return torch.where(total > 0, (p - q) / total, p)


@wrong("negative after the division")
def _(p, q):
    rest = (p - q) / (p - q).sum(dim=1, keepdim=True)
    return rest.clamp(min=0)


@wrong("absolute difference")
def _(p, q):
    far = (p - q).abs()
    total = far.sum(-1, keepdim=True)
    return torch.where(total > 0, far / total, p)


@wrong("absolute difference", "p where the two are equal left out")
def _(p, q):
    far = torch.abs(p - q)
    return far / far.sum(-1, keepdim=True)


@wrong("squared difference")
def _(p, q):
    far = (p - q) ** 2
    return far / far.sum(-1, keepdim=True)


@wrong("softmax in place of dividing")
def _(p, q):
    return F.softmax((p - q).clamp(min=0), dim=-1)


@wrong("softmax in place of dividing", "of the difference")
def _(p, q):
    return torch.where((p == q).all(-1, keepdim=True), p, torch.softmax(p - q, -1))


@wrong("softmax of what is lacking")
def _(p, q):
    lacking = torch.where(p > q, p - q, float("-inf"))
    return torch.where((p == q).all(-1, keepdim=True), p, lacking.softmax(-1))


@wrong("what q gave too much of")
def _(p, q):
    lacking = (q - p).clamp(min=0)
    total = lacking.sum(-1, keepdim=True)
    return torch.where(total > 0, lacking / total, p)


@wrong("what q gave too much of", "clamped on the other side")
def _(p, q):
    lacking = (p - q).clamp(max=0)
    return lacking / lacking.sum(-1, keepdim=True)


@wrong("p itself")
def _(p, q):
    return p / p.sum(-1, keepdim=True)


@wrong("q itself")
def _(p, q):
    return q.clone()


@wrong("one token removed", "the model's likeliest")
def _(p, q):
    rest = p.clone()
    rest[torch.arange(len(p)), p.argmax(-1)] = 0
    return rest / rest.sum(-1, keepdim=True)


@wrong("one token removed", "the likeliest draft")
def _(p, q):
    rest = p * (1 - F.one_hot(q.argmax(-1), p.shape[-1]).to(p.dtype))
    return torch.where((p == q).all(-1, keepdim=True), p, rest / rest.sum(-1, keepdim=True))


@wrong("all of p where it is larger")
def _(p, q):
    kept = p * (p > q)
    total = kept.sum(-1, keepdim=True)
    return torch.where(total > 0, kept / total, p)


@wrong("all of p where it is larger", "or as large")
def _(p, q):
    kept = p.masked_fill(p < q, 0)
    return kept / kept.sum(-1, keepdim=True)


@wrong("what both give")
def _(p, q):
    both = torch.minimum(p, q)
    return both / both.sum(-1, keepdim=True)


@wrong("ratio in place of difference")
def _(p, q):
    lacking = (p / q - 1).clamp(min=0)
    return lacking / lacking.sum(-1, keepdim=True)


@wrong("ratio in place of difference", "of how often a draft stays")
def _(p, q):
    chance = torch.clamp(p / q, max=1)
    return chance / chance.sum(-1, keepdim=True)


@wrong("product in place of difference")
def _(p, q):
    rest = p * (1 - q)
    return torch.where((p == q).all(-1, keepdim=True), p, rest / rest.sum(-1, keepdim=True))


@wrong("lacking added to p")
def _(p, q):
    more = p + (p - q).clamp(min=0)
    return more / more.sum(-1, keepdim=True)


@wrong("only the largest lack")
def _(p, q):
    return torch.zeros_like(p).scatter(1, (p - q).argmax(-1, keepdim=True), 1.0)


@wrong("all that lack alike")
def _(p, q):
    lacks = (p > q).to(p.dtype)
    return torch.where(lacks.any(-1, keepdim=True), lacks / lacks.sum(-1, keepdim=True), p)


@wrong("normalised over the whole batch")
def _(p, q):
    lacking = (p - q).clamp(min=0)
    return lacking / lacking.sum()


@wrong("normalised over the whole batch", "p where the two are equal")
def _(p, q):
    lacking = (p - q).clamp(min=0)
    return torch.where(lacking.sum(-1, keepdim=True) > 0, lacking / lacking.sum(), p)


@wrong("normalised over the rows")
def _(p, q):
    lacking = (p - q).clamp(min=0)
    return lacking / lacking.sum(0, keepdim=True)


@wrong("rounded", "two digits")
def _(p, q):
    lacking = (p - q).clamp(min=0)
    total = lacking.sum(-1, keepdim=True)
    return torch.where(total > 0, (lacking / total).round(decimals=2), p.round(decimals=2))


@wrong("rounded", "16 bits")
def _(p, q):
    lacking = (p.half() - q.half()).clamp(min=0)
    total = lacking.sum(-1, keepdim=True)
    return torch.where(total > 0, lacking / total, p.half()).to(p.dtype)


@wrong("divided by something else", "by its length")
def _(p, q):
    return F.normalize((p - q).relu(), dim=-1)


@wrong("divided by something else", "by all that differs")
def _(p, q):
    lacking = (p - q).clamp(min=0)
    total = (p - q).abs().sum(-1, keepdim=True)
    return torch.where(total > 0, lacking / total, p)


@wrong("divided by something else", "by what stays")
def _(p, q):
    return (p - q).clamp(min=0) / torch.minimum(p, q).sum(-1, keepdim=True)
