"""Wrong answers to `causal_attention`: softmaxes by hand, masks that fit some sizes or scores only, mixed-up heads."""

import torch
import torch.nn.functional as F
from exercises.answers import Answers

from mini_moe.course.exercises.transformer.causal_attention import EXERCISE

ANSWERS = Answers(EXERCISE)
wrong = ANSWERS.wrong


def visible(q, k):
    """(T, S): which keys a query may see."""
    return torch.ones(q.size(-2), k.size(-2), dtype=torch.bool).tril(k.size(-2) - q.size(-2))


def scored(q, k, scale):
    return torch.einsum("bhtd,bhsd->bhts", q, k) * scale


@wrong("no maximum subtracted", "the hidden set to 0 after exp")
def _(q, k, v, scale):
    weights = torch.exp(scored(q, k, scale)).masked_fill(~visible(q, k), 0)
    return weights @ v / weights.sum(-1, keepdim=True)


@wrong("no maximum subtracted", "exp(-inf) is 0, and a small number below")
def _(q, k, v, scale):
    scores = torch.where(visible(q, k), scored(q, k, scale), -torch.inf)
    return scores.exp() / (scores.exp().sum(-1, keepdim=True) + 1e-9) @ v


@wrong("one maximum for all rows", "the hidden scores, too")
def _(q, k, v, scale):
    scores = scored(q, k, scale)
    weights = (scores - scores.max()).exp() * visible(q, k)
    return weights / weights.sum(-1, keepdim=True) @ v


@wrong("one maximum for all rows", "of those that are seen")
def _(q, k, v, scale):
    scores = torch.where(visible(q, k), scored(q, k, scale), -torch.inf)
    weights = torch.exp(scores - torch.max(scores))
    return weights / weights.sum(-1, keepdim=True) @ v


@wrong("maximum of what is hidden", "masked after the softmax, and divided again")
def _(q, k, v, scale):
    weights = F.softmax(scored(q, k, scale), -1).tril(k.size(-2) - q.size(-2))
    return weights / weights.sum(-1, keepdim=True) @ v


@wrong("maximum of what is hidden", "by hand")
def _(q, k, v, scale):
    scores = scored(q, k, scale)
    weights = (scores - scores.amax(-1, keepdim=True)).exp() * visible(q, k)
    return weights / (weights.sum(-1, keepdim=True) + 1e-12) @ v


@wrong("something added to the sum")
def _(q, k, v, scale):
    scores = torch.where(visible(q, k), scored(q, k, scale), -torch.inf)
    weights = (scores - scores.max(-1, keepdim=True).values).exp()
    return weights / (1e-3 + weights.sum(-1, keepdim=True)) @ v


@wrong("exponentials not divided by their sum", "exp(-inf) is 0")
def _(q, k, v, scale):
    return torch.where(visible(q, k), scored(q, k, scale), -torch.inf).exp() @ v


@wrong("masked with a number too small", "-100")
def _(q, k, v, scale):
    return scored(q, k, scale).masked_fill(~visible(q, k), -100).softmax(-1) @ v


@wrong("masked with a number too small", "-10,000 added")
def _(q, k, v, scale):
    bias = (1 - visible(q, k).float()) * -10_000
    return (scored(q, k, scale) + bias).softmax(-1) @ v


@wrong("masked with a number too small", "float16's lowest")
def _(q, k, v, scale):
    lowest = torch.finfo(torch.float16).min
    return torch.where(visible(q, k), scored(q, k, scale), lowest).softmax(-1) @ v


@wrong("masked with a number too small", "a million")
def _(q, k, v, scale):
    return torch.where(visible(q, k), scored(q, k, scale), -1e6).softmax(-1) @ v


@wrong("own position hidden", "but for the first")
def _(q, k, v, scale):
    T, S = q.size(-2), k.size(-2)
    seen = torch.ones(T, S, dtype=torch.bool).tril(S - T - 1)
    seen[:, 0] = True
    return F.scaled_dot_product_attention(q, k, v, attn_mask=seen, scale=scale)


@wrong("own position hidden", "a large number added")
def _(q, k, v, scale):
    T, S = q.size(-2), k.size(-2)
    return (scored(q, k, scale) - 1e9 * torch.ones(T, S).triu(S - T)).softmax(-1) @ v


@wrong("nothing hidden with more keys than queries")
def _(q, k, v, scale):
    scores = scored(q, k, scale)
    if scores.size(-1) == scores.size(-2):
        scores = scores + torch.full_like(scores, -torch.inf).triu(1)
    return scores.softmax(-1) @ v


@wrong("mask starts at the first key", "T - S in place of S - T")
def _(q, k, v, scale):
    T, S = q.size(-2), k.size(-2)
    hidden = torch.ones(T, S, dtype=torch.bool).triu(T - S + 1)
    return scored(q, k, scale).masked_fill(hidden, -1e9).softmax(-1) @ v


@wrong("nothing hidden in a long sequence")
def _(q, k, v, scale):
    hidden = torch.zeros(q.size(-2), k.size(-2), dtype=torch.bool)
    hidden[:, :32] = ~visible(q, k)[:, :32]
    return scored(q, k, scale).masked_fill(hidden, -torch.inf).softmax(-1) @ v


@wrong("a single query sees only itself")
def _(q, k, v, scale):
    if q.size(2) == 1:
        return v[:, :, -1:]
    return F.scaled_dot_product_attention(q, k, v, attn_mask=visible(q, k), scale=scale)


@wrong("scores of 0 hidden", "the triangle's and others")
def _(q, k, v, scale):
    scores = scored(q, k, scale).tril(k.size(-2) - q.size(-2))
    return scores.masked_fill(scores == 0, -torch.inf).softmax(-1) @ v


@wrong("scores of 0 hidden", "not the own")
def _(q, k, v, scale):
    scores = scored(q, k, scale) * visible(q, k)
    own = visible(q, k) & ~torch.ones_like(visible(q, k)).tril(k.size(-2) - q.size(-2) - 1)
    return torch.where((scores != 0) | own, scores, -torch.inf).softmax(-1) @ v


@wrong("part of an input not used", "a window of three")
def _(q, k, v, scale):
    near = visible(q, k).triu(k.size(-2) - q.size(-2) - 2)
    return F.scaled_dot_product_attention(q, k, v, attn_mask=near, scale=scale)


@wrong("part of an input not used", "the first of the batch for all")
def _(q, k, v, scale):
    weights = torch.where(visible(q, k), scored(q, k, scale), -torch.inf).softmax(-1)
    return weights[0] @ v


@wrong("input not used", "the mean of what is seen")
def _(q, k, v, scale):
    seen = visible(q, k).float()
    return (seen / seen.sum(-1, keepdim=True)).expand(*q.shape[:2], -1, -1) @ v


@wrong("scores doubled", "the weights squared")
def _(q, k, v, scale):
    weights = torch.where(visible(q, k), scored(q, k, scale), -torch.inf).softmax(-1).square()
    return weights / weights.sum(-1, keepdim=True) @ v


@wrong("scores clipped")
def _(q, k, v, scale):
    scores = scored(q, k, scale).clip(-88, 88)
    return torch.where(visible(q, k), scores, -torch.inf).softmax(-1) @ v


@wrong("scores averaged over the heads")
def _(q, k, v, scale):
    scores = scored(q, k, scale).mean(dim=1, keepdim=True)
    return torch.where(visible(q, k), scores, -torch.inf).softmax(-1) @ v


@wrong("heads and positions mixed up")
def _(q, k, v, scale):
    y = F.scaled_dot_product_attention(q, k, v, attn_mask=visible(q, k), scale=scale)
    return y.transpose(1, 2).contiguous().view(*y.shape)


@wrong("wrong shape", "heads beside the features")
def _(q, k, v, scale):
    return F.scaled_dot_product_attention(q, k, v, attn_mask=visible(q, k), scale=scale).transpose(1, 2)


@wrong("changes its input", "where no gradient forbids it")
def _(q, k, v, scale):
    q = q * scale if torch.is_grad_enabled() else q.mul_(scale)
    return F.scaled_dot_product_attention(q, k, v, attn_mask=visible(q, k), scale=1.0)


@wrong("raises RuntimeError", "a memory order demanded")
def _(q, k, v, scale):
    B, H, T, _ = q.shape
    scores = q.view(B * H, T, -1) @ k.view(B * H, k.size(2), -1).mT * scale
    weights = scores.masked_fill(~visible(q, k), -torch.inf).softmax(-1)
    return (weights @ v.view(B * H, k.size(2), -1)).view(B, H, T, -1)


@wrong("NaN or inf", "0 times infinity")
def _(q, k, v, scale):
    future = torch.ones(q.size(-2), k.size(-2)).triu(k.size(-2) - q.size(-2) + 1)
    return (q @ k.mT * scale + future * float("-inf")).softmax(-1) @ v


@wrong("mask of another shape", "square, of the queries")
def _(q, k, v, scale):
    T = q.size(-2)
    future = torch.ones(T, T, dtype=torch.bool).triu(1)
    return (q @ k.mT * scale).masked_fill(future, float("-inf")).softmax(-1) @ v


@wrong("mask of another shape", "square, of the keys")
def _(q, k, v, scale):
    S = k.size(-2)
    seen = torch.tril(torch.ones(S, S)) == 1
    return torch.where(seen, scored(q, k, scale), -torch.inf).softmax(-1) @ v


@wrong("raises RuntimeError", "k not transposed")
def _(q, k, v, scale):
    return (q @ k * scale).softmax(-1) @ v


@wrong("wrong shape", "the weights alone")
def _(q, k, v, scale):
    hidden = torch.ones(q.size(-2), k.size(-2), dtype=torch.bool).triu(k.size(-2) - q.size(-2) + 1)
    return (q @ k.mT * scale).masked_fill(hidden, float("-inf")).softmax(-1)


@wrong("changes its input", "q *=")
def _(q, k, v, scale):
    q *= scale
    hidden = torch.ones(q.size(-2), k.size(-2), dtype=torch.bool).triu(k.size(-2) - q.size(-2) + 1)
    return (q @ k.mT).masked_fill(hidden, float("-inf")).softmax(-1) @ v


@wrong("gradient missing", "weights detached")
def _(q, k, v, scale):
    hidden = torch.ones(q.size(-2), k.size(-2), dtype=torch.bool).triu(k.size(-2) - q.size(-2) + 1)
    weights = (q @ k.mT * scale).masked_fill(hidden, float("-inf")).softmax(-1)
    return weights.detach() @ v


@wrong("masked with a number too small", "before scaling")
def _(q, k, v, scale):
    hidden = torch.ones(q.shape[-2], k.shape[-2], dtype=torch.bool).triu(1 + k.shape[-2] - q.shape[-2])
    return ((q @ k.mT).masked_fill(hidden, -100.0) * scale).softmax(-1) @ v
