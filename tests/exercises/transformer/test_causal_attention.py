"""Answers to `causal_attention`: wrong ones as learners write them, right ones each in another way."""

import math

import torch
import torch.nn.functional as F
from exercises.answers import Answers, Claims
from exercises.transformer import causal_attention_wrong

from mini_moe.course.exercises.transformer.causal_attention import EXERCISE

ANSWERS = Answers(EXERCISE)
wrong, right = ANSWERS.wrong, ANSWERS.right


@wrong("no mask", "four lines")
def _(q, k, v, scale):
    scores = torch.matmul(q, k.mT)
    scores = scores * scale
    weights = F.softmax(scores, dim=-1)
    return torch.matmul(weights, v)


@wrong("no mask", "F.scaled_dot_product_attention")
def _(q, k, v, scale):
    return F.scaled_dot_product_attention(q, k, v, scale=scale)


@wrong("no mask", "the masked scores not kept")
def _(q, k, v, scale):
    scores = torch.einsum("bhtd,bhsd->bhts", q, k) * scale
    mask = torch.ones(q.size(2), k.size(2)).tril(k.size(2) - q.size(2))
    scores.masked_fill(mask == 0, float("-inf"))
    return F.softmax(scores, dim=-1) @ v


@wrong("own position hidden", "-inf")
def _(q, k, v, scale):
    T, S = q.size(-2), k.size(-2)
    mask = torch.tril(torch.ones(T, S), diagonal=S - T - 1)
    scores = (q @ k.mT * scale).masked_fill(mask == 0, -math.inf)
    return F.softmax(scores, -1) @ v


@wrong("own position hidden", "a large number")
def _(q, k, v, scale):
    T, S = q.size(-2), k.size(-2)
    visible = torch.arange(S)[None, :] < (torch.arange(T) + S - T)[:, None]
    scores = torch.where(visible, q @ k.mT * scale, torch.tensor(-1e9))
    return F.softmax(scores, -1) @ v


@wrong("one position of the future seen")
def _(q, k, v, scale):
    T, S = q.size(-2), k.size(-2)
    visible = torch.arange(S)[None, :] <= (torch.arange(T) + S - T + 1)[:, None]
    scores = torch.where(visible, q @ k.mT * scale, -torch.inf)
    return F.softmax(scores, -1) @ v


@wrong("past hidden")
def _(q, k, v, scale):
    T, S = q.size(-2), k.size(-2)
    keep = torch.triu(torch.ones(T, S), diagonal=S - T)
    scores = (q @ k.mT * scale).masked_fill(keep == 0, float("-inf"))
    return F.softmax(scores, -1) @ v


@wrong("mask inverted", "-inf")
def _(q, k, v, scale):
    T, S = q.size(-2), k.size(-2)
    mask = torch.tril(torch.ones(T, S, dtype=torch.bool), diagonal=S - T)
    scores = (q @ k.mT * scale).masked_fill(mask, float("-inf"))
    return F.softmax(scores, -1) @ v


@wrong("mask inverted", "a large number")
def _(q, k, v, scale):
    T, S = q.size(-2), k.size(-2)
    mask = torch.tril(torch.ones(T, S, dtype=torch.bool), diagonal=S - T)
    scores = (q @ k.mT * scale).masked_fill(mask, -1e9)
    return F.softmax(scores, -1) @ v


@wrong("mask starts at the first key", "is_causal")
def _(q, k, v, scale):
    return F.scaled_dot_product_attention(q, k, v, is_causal=True, scale=scale)


@wrong("mask starts at the first key", "tril")
def _(q, k, v, scale):
    scores = q @ k.mT * scale
    scores = scores.masked_fill(torch.ones_like(scores).tril() == 0, float("-inf"))
    return scores.softmax(-1) @ v


@wrong("masked with 0", "multiplied by the mask")
def _(q, k, v, scale):
    scores = q @ k.mT * scale
    scores = torch.tril(scores, diagonal=k.size(-2) - q.size(-2))
    return scores.softmax(-1) @ v


@wrong("masked with 0", "1e-9, a lost minus")
def _(q, k, v, scale):
    T, S = q.size(-2), k.size(-2)
    hidden = torch.ones(T, S).triu(S - T + 1).bool()
    return (q @ k.mT * scale).masked_fill(hidden, 1e-9).softmax(-1) @ v


@wrong("masked after the softmax")
def _(q, k, v, scale):
    weights = torch.softmax(torch.einsum("bhtd,bhsd->bhts", q, k) * scale, dim=-1)
    weights = weights.tril(k.size(-2) - q.size(-2))
    return torch.einsum("bhts,bhsd->bhtd", weights, v)


@wrong("softmax over the queries")
def _(q, k, v, scale):
    T, S = q.size(-2), k.size(-2)
    bias = torch.full((T, S), float("-inf")).triu(S - T + 1)
    return torch.softmax(q @ k.mT * scale + bias, dim=2) @ v


@wrong("softmax over the heads", "dim=1")
def _(q, k, v, scale):
    T, S = q.size(-2), k.size(-2)
    bias = torch.full((T, S), float("-inf")).triu(S - T + 1)
    return torch.softmax(q @ k.mT * scale + bias, dim=1) @ v


@wrong("softmax over the heads", "dim=0, a large number")
def _(q, k, v, scale):
    T, S = q.size(-2), k.size(-2)
    bias = torch.full((T, S), -1e9).triu(S - T + 1)
    return torch.softmax(q @ k.mT * scale + bias, dim=0) @ v


@wrong("scale left out")
def _(q, k, v, scale):
    S, T = k.size(-2), q.size(-2)
    bias = torch.full((T, S), float("-inf")).triu(S - T + 1)
    return torch.softmax(torch.matmul(q, k.transpose(2, 3)) + bias, dim=3) @ v


@wrong("divided by the scale")
def _(q, k, v, scale):
    S, T = k.size(-2), q.size(-2)
    bias = torch.full((T, S), float("-inf")).triu(S - T + 1)
    return torch.softmax(torch.matmul(q, k.transpose(2, 3)) / scale + bias, dim=3) @ v


@wrong("scale of its own", "the square root of d_k")
def _(q, k, v, scale):
    S, T, d_k = k.size(-2), q.size(-2), q.size(-1)
    bias = torch.full((T, S), float("-inf")).triu(S - T + 1)
    return torch.softmax(torch.matmul(q, k.transpose(2, 3)) / math.sqrt(d_k) + bias, dim=3) @ v


@wrong("scale of its own", "F.scaled_dot_product_attention's")
def _(q, k, v, scale):
    visible = torch.ones(q.size(-2), k.size(-2), dtype=torch.bool).tril(k.size(-2) - q.size(-2))
    return F.scaled_dot_product_attention(q, k, v, attn_mask=visible)


@wrong("scaled twice", "q and k")
def _(q, k, v, scale):
    q, k = q * scale, k * scale
    hidden = torch.ones(q.size(-2), k.size(-2), dtype=torch.bool).triu(k.size(-2) - q.size(-2) + 1)
    return (q @ k.mT).masked_fill(hidden, float("-inf")).softmax(-1) @ v


@wrong("scaled twice", "and by F.scaled_dot_product_attention")
def _(q, k, v, scale):
    visible = torch.ones(q.size(-2), k.size(-2), dtype=torch.bool).tril(k.size(-2) - q.size(-2))
    return F.scaled_dot_product_attention(scale * q, k, v, attn_mask=visible)


@wrong("root of the scale")
def _(q, k, v, scale):
    hidden = torch.ones(q.size(-2), k.size(-2), dtype=torch.bool).triu(k.size(-2) - q.size(-2) + 1)
    return (q @ k.mT * math.sqrt(scale)).masked_fill(hidden, float("-inf")).softmax(-1) @ v


@wrong("scaled after the softmax")
def _(q, k, v, scale):
    hidden = torch.ones(q.size(-2), k.size(-2), dtype=torch.bool).triu(k.size(-2) - q.size(-2) + 1)
    weights = (q @ k.mT).masked_fill(hidden, float("-inf")).softmax(-1) * scale
    return weights @ v


@wrong("query and key exchanged")
def _(q, k, v, scale):
    scores = k @ q.transpose(-1, -2) * scale
    hidden = torch.ones(q.size(-2), q.size(-2), dtype=torch.bool).triu(1)
    return scores.masked_fill(hidden, float("-inf")).softmax(dim=-1) @ v


@wrong("no softmax")
def _(q, k, v, scale):
    weights = torch.einsum("bhtd,bhsd->bhts", q, k) * scale
    visible = torch.ones(q.size(-2), k.size(-2)).tril(k.size(-2) - q.size(-2))
    return weights * visible @ v


@wrong("exponentials not divided by their sum")
def _(q, k, v, scale):
    weights = torch.exp(torch.einsum("bhtd,bhsd->bhts", q, k) * scale)
    visible = torch.ones(q.size(-2), k.size(-2)).tril(k.size(-2) - q.size(-2))
    return weights * visible @ v


@right("F.scaled_dot_product_attention")
def _(q, k, v, scale):
    visible = torch.ones(q.size(-2), k.size(-2), dtype=torch.bool).tril(k.size(-2) - q.size(-2))
    return F.scaled_dot_product_attention(query=q, key=k, value=v, attn_mask=visible, scale=scale)


@right("einsum, a large number, in place on its own scores")
def _(q, k, v, scale):
    scores = torch.einsum("bhtd,bhsd->bhts", q * scale, k)
    T, S = scores.shape[-2:]
    scores += torch.full((T, S), -1e9).triu_(1 + S - T)
    return torch.einsum("bhts,bhsd->bhtd", F.softmax(scores, -1), v)


@right("query by query")
def _(q, k, v, scale):
    T, S = q.shape[-2], k.shape[-2]
    rows = []
    for t in range(T):
        seen = S - T + t + 1
        scores = (k[:, :, :seen] * q[:, :, t : t + 1]).sum(-1) * scale
        weights = torch.softmax(scores, dim=-1)
        rows.append((weights.unsqueeze(-1) * v[:, :, :seen]).sum(-2))
    return torch.stack(rows, dim=-2)


@right("exp and log, float64 inside")
def _(q, k, v, scale):
    positions = torch.arange(k.size(-2))
    scores = q.double() @ k.double().mT * scale
    scores = torch.where(positions <= positions[-q.size(-2) :, None], scores, -torch.inf)
    return (torch.exp(scores - torch.logsumexp(scores, -1, keepdim=True)) @ v.double()).float()


@right("key by key, with a running maximum")
def _(q, k, v, scale):
    T, S = q.size(-2), k.size(-2)
    top, total = torch.full(q.shape[:-1], -torch.inf), torch.zeros(q.shape[:-1])
    y = torch.zeros(*q.shape[:-1], v.size(-1))
    for s in range(S):
        seen = torch.arange(S - T, S) >= s
        score = ((q * k[:, :, s : s + 1]).sum(-1) * scale).masked_fill(~seen, -torch.inf)
        higher = torch.maximum(top, score.detach())
        safe = higher.nan_to_num(neginf=0)
        keep, weight = (top - safe).exp(), (score - safe).exp()
        top, total, y = higher, total * keep + weight, y * keep[..., None] + weight[..., None] * v[:, :, s : s + 1]
    return y / total[..., None]


@right("the softmax by hand, row by row")
def _(q, k, v, scale):
    hidden = torch.arange(k.size(-2)) > torch.arange(k.size(-2))[-q.size(-2) :, None]
    scores = torch.einsum("bhtd,bhsd->bhts", q, k).mul(scale).masked_fill(hidden, torch.finfo(q.dtype).min)
    weights = (scores - scores.amax(-1, keepdim=True)).exp()
    return weights / weights.sum(-1, keepdim=True) @ v


@right("log_softmax, batch and heads joined")
def _(q, k, v, scale):
    (B, H, T, _), S = q.shape, k.size(2)
    scores = torch.bmm(q.reshape(B * H, T, -1) * scale, k.reshape(B * H, S, -1).mT)
    mask = torch.zeros(T, S).masked_fill(torch.ones(T, S).tril(S - T) == 0, -torch.inf)
    return torch.bmm((scores + mask).log_softmax(-1).exp(), v.reshape(B * H, S, -1)).view(B, H, T, -1)


class TestCausalAttention(Claims):
    answers = ANSWERS + causal_attention_wrong.ANSWERS


@right("hidden before it is scaled, the root of the scale in queries and keys")
def _(q, k, v, scale):
    root = scale**0.5
    hidden = torch.ones(q.shape[-2], k.shape[-2], dtype=torch.bool).triu(1 + k.shape[-2] - q.shape[-2])
    return ((q * root) @ (k * root).mT).masked_fill(hidden, -torch.inf).softmax(dim=-1) @ v


@right("-inf first, the scale after it")
def _(q, k, v, scale):
    hidden = torch.ones(q.shape[-2], k.shape[-2], dtype=torch.bool).triu(1 + k.shape[-2] - q.shape[-2])
    return ((q @ k.mT).masked_fill(hidden, float("-inf")) * scale).softmax(dim=-1) @ v
