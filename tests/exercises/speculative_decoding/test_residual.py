"""Answers to `residual`: wrong ones as learners write them, right ones each in another way."""

import torch
import torch.nn.functional as F
from exercises.answers import Claims
from exercises.speculative_decoding import residual_wrong

ANSWERS = residual_wrong.ANSWERS
wrong, right = ANSWERS.wrong, ANSWERS.right


class TestResidual(Claims):
    answers = ANSWERS


@wrong("NaN where the two are equal")
def _(p, q):
    lacking = torch.clamp(p - q, min=0)
    return lacking / lacking.sum(-1, keepdim=True)


@wrong("NaN where the two are equal", "in some rows only")
def _(p, q):
    lacking = torch.clamp(p - q, min=0)
    if lacking.sum() == 0:
        return p.clone()
    return lacking / lacking.sum(-1, keepdim=True)


@wrong("zeros where the two are equal", "something added to the sum")
def _(p, q):
    lacking = (p - q).clamp(min=0)
    return lacking / (lacking.sum(-1, keepdim=True) + 1e-8)


@wrong("zeros where the two are equal", "F.normalize")
def _(p, q):
    return F.normalize((p - q).clamp(min=0), p=1, dim=-1)


@wrong("zeros where the two are equal", "nan_to_num")
def _(p, q):
    lacking = (p - q).clamp(min=0)
    return torch.nan_to_num(lacking / lacking.sum(-1, keepdim=True))


@wrong("all alike where the two are equal")
def _(p, q):
    lacking = (p - q).clamp(min=0)
    lacking = torch.where(lacking.sum(-1, keepdim=True) > 0, lacking, 1.0)
    return lacking / lacking.sum(-1, keepdim=True)


@wrong("p in all rows, if one is equal")
def _(p, q):
    lacking = (p - q).clamp(min=0)
    total = lacking.sum(-1, keepdim=True)
    if not total.all():
        return p.clone()
    return lacking / total


@wrong("p where single tokens do not lack", "lacking nothing")
def _(p, q):
    lacking = (p - q).clamp(min=0)
    return torch.where(lacking > 0, lacking / lacking.sum(-1, keepdim=True), p)


@wrong("p where single tokens do not lack", "equal")
def _(p, q):
    lacking = (p - q).clamp(min=0)
    return torch.where(p == q, p, lacking / lacking.sum(-1, keepdim=True))


@wrong("nearly equal taken for equal")
def _(p, q):
    lacking = (p - q).clamp(min=0)
    total = lacking.sum(-1, keepdim=True)
    return torch.where(total < 1e-4, p, lacking / total)


@wrong("p, if one token is equal")
def _(p, q):
    lacking = (p - q).clamp(min=0)
    return torch.where((p == q).any(-1, keepdim=True), p, lacking / lacking.sum(-1, keepdim=True))


@wrong("something added to the sum")
def _(p, q):
    lacking = (p - q).clamp(min=0)
    return torch.where((p == q).all(-1, keepdim=True), p, lacking / (lacking.sum(-1, keepdim=True) + 1e-8))


@wrong("something added to each token", "clamped at it")
def _(p, q):
    lacking = (p - q).clamp(min=1e-10)
    return lacking / lacking.sum(-1, keepdim=True)


@wrong("something added to each token", "so that none is 0")
def _(p, q):
    lacking = (p - q).clamp(min=0) + 1e-6
    return lacking / lacking.sum(-1, keepdim=True)


@wrong("drawn though q gave enough", "p where the two are equal, else clamped too high")
def _(p, q):
    lacking = (p - q).clamp(min=1e-12)
    return torch.where((p == q).all(-1, keepdim=True), p, lacking / lacking.sum(-1, keepdim=True))


@wrong("wrong dtype", "float32 always")
def _(p, q):
    p, q = p.float(), q.float()
    lacking = (p - q).clamp(min=0)
    total = lacking.sum(-1, keepdim=True)
    return torch.where(total > 0, lacking / total, p)


@wrong("wrong dtype", "float64 always")
def _(p, q):
    lacking = (p - q).clamp(min=0).double()
    total = lacking.sum(-1, keepdim=True)
    return torch.where(total > 0, lacking / total, p.double())


@wrong("changes its input", "in place")
def _(p, q):
    before = p.clone()
    p -= q
    p.clamp_(min=0)
    total = p.sum(-1, keepdim=True)
    return torch.where(total > 0, p / total, before)


@wrong("another result the second time", "drawn from it")
def _(p, q):
    lacking = (p - q).clamp(min=0)
    lacking = torch.where(lacking.sum(-1, keepdim=True) > 0, lacking, p)
    return F.one_hot(torch.multinomial(lacking, 1)[:, 0], p.shape[-1]).to(p.dtype)


@wrong("wrong shape", "the likeliest token")
def _(p, q):
    return (p - q).clamp(min=0).argmax(-1)


@wrong("raises RuntimeError", "without keepdim")
def _(p, q):
    lacking = (p - q).clamp(min=0)
    return torch.where(lacking.sum(-1) > 0, lacking / lacking.sum(-1), p)


@wrong("refuses a legal input", "equal rows")
def _(p, q):
    total = (p - q).clamp(min=0).sum(-1, keepdim=True)
    if not total.all():
        raise ValueError("p and q are equal")
    return (p - q).clamp(min=0) / total


@wrong("returns None")
def _(p, q):
    lacking = (p - q).clamp(min=0)
    lacking.div_(lacking.sum(-1, keepdim=True))


@right("row by row")
def _(p, q):
    rows = []
    for model, draft in zip(p, q, strict=True):
        lacking = F.relu(model - draft)
        rows.append(lacking / lacking.sum() if lacking.any() else model)
    return torch.stack(rows)


@right("what is over, and masks")
def _(p, q):
    rest = p - torch.minimum(p, q)
    equal = (p == q).all(dim=-1)
    rest[equal] = p[equal]
    return rest / rest.sum(-1, keepdim=True)


@right("divided by what is rejected, without gradients")
@torch.no_grad()
def _(p, q):
    rejected = 1 - torch.minimum(p, q).sum(-1, keepdim=True)
    lacking = torch.maximum(p, q) - q
    return torch.where(rejected == 0, p, lacking / rejected)


@right("the sum kept above 0, and in float64")
def _(p, q):
    lacking = (p.double() - q.double()).clamp(min=0)
    total = lacking.sum(-1, keepdim=True)
    share = lacking / total.clamp(min=torch.finfo(torch.float64).tiny)
    return (share + p * (total == 0)).to(p.dtype)


@right("half of the absolute difference")
def _(p, q):
    far = (p - q).abs()
    lacking, total = (p - q + far) / 2, far.sum(-1, keepdim=True) / 2
    return torch.where(total > 0, lacking, p) / torch.where(total > 0, total, torch.ones_like(total))


@right("NaN replaced")
def _(p, q):
    lacking = (p - q).clamp(min=0)
    share = lacking / lacking.sum(-1, keepdim=True)
    return torch.where(share.isnan(), p, share)
