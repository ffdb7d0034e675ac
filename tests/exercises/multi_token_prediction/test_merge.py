"""Answers to `merge`: wrong ones as learners write them, right ones each in another way."""

import torch
import torch.nn.functional as F
from exercises.answers import Claims
from exercises.multi_token_prediction import merge_join_wrong, merge_places_wrong
from exercises.multi_token_prediction.merge_parts import later, refuse_illegal

from mini_moe.layers import rms_norm

ANSWERS = merge_places_wrong.ANSWERS + merge_join_wrong.ANSWERS
right = ANSWERS.right


class TestMerge(Claims):
    answers = ANSWERS


@right("two products, added")
def _(hidden, tokens, depth, embedding, hnorm, enorm, w, eps=1e-6):
    refuse_illegal(depth)
    D = hidden.shape[-1]
    e = rms_norm(embedding[later(tokens, depth)], enorm, eps)
    return e @ w[:, :D].T + rms_norm(hidden, hnorm, eps) @ w[:, D:].T


@right("the whole table normed first")
def _(hidden, tokens, depth, embedding, hnorm, enorm, w, eps=1e-6):
    refuse_illegal(depth)
    table = rms_norm(embedding, enorm, eps)
    e = table[F.pad(tokens, (0, depth))[:, -tokens.shape[1] :]]
    return torch.einsum("btf,df->btd", torch.cat((e, rms_norm(hidden, hnorm, eps)), dim=-1), w)


@right("normed before it is moved, the end filled with token 0's")
def _(hidden, tokens, depth, embedding, hnorm, enorm, w, eps=1e-6):
    refuse_illegal(depth)
    B, T = tokens.shape
    e = rms_norm(F.embedding(tokens, embedding), enorm, eps)
    end = rms_norm(embedding[0], enorm, eps).expand(B, min(depth, T), -1)
    e = torch.cat((e[:, depth:], end), dim=1)
    return F.linear(torch.cat((e, rms_norm(hidden, hnorm, eps)), dim=-1), w)


@right("position by position")
def _(hidden, tokens, depth, embedding, hnorm, enorm, w, eps=1e-6):
    refuse_illegal(depth)
    T = tokens.shape[1]
    rows = []
    for i in range(T):
        token = tokens[:, i + depth] if i + depth < T else torch.zeros(len(tokens), dtype=torch.int64)
        parts = rms_norm(embedding[token], enorm, eps), rms_norm(hidden[:, i], hnorm, eps)
        rows.append(torch.cat(parts, dim=-1) @ w.T)
    return torch.stack(rows, dim=1)


@right("rolled and overwritten, one-hot, F.rms_norm")
def _(hidden, tokens, depth, embedding, hnorm, enorm, w, eps=1e-6):
    refuse_illegal(depth)
    tokens = tokens.roll(-depth, dims=1)
    tokens[:, max(tokens.shape[1] - depth, 0) :] = 0
    e = F.one_hot(tokens, len(embedding)).to(embedding) @ embedding
    e, h = F.rms_norm(e, enorm.shape, enorm, eps), F.rms_norm(hidden, hnorm.shape, hnorm, eps)
    return torch.cat((e, h), dim=-1) @ w.mT


@right("in float64")
def _(hidden, tokens, depth, embedding, hnorm, enorm, w, eps=1e-6):
    refuse_illegal(depth)
    e = embedding.double()[later(tokens, depth)]
    h = hidden.double()
    e = enorm * e / (e.square().mean(dim=-1, keepdim=True) + eps).sqrt()
    h = hnorm * h * (h.square().mean(dim=-1, keepdim=True) + eps).rsqrt()
    return F.linear(torch.cat((e, h), dim=-1), w.double()).to(hidden.dtype)
