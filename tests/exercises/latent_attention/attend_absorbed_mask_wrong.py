"""Wrong answers to `attend_absorbed`: the mask and the softmax, heads mixed, and memories that are expanded."""

import torch
import torch.nn.functional as F
from exercises.answers import Answers
from exercises.latent_attention.attend_absorbed_parts import absorb, attend, masked, scores_of, visible, weigh, width

from mini_moe.course.exercises.latent_attention.attend_absorbed import EXERCISE
from mini_moe.layers import causal_attention
from mini_moe.mla import attend_naive, expand

ANSWERS = Answers(EXERCISE)
wrong = ANSWERS.wrong


@wrong("one head's matrix for all", "in the query")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    q = torch.cat((q_nope @ w_uk[0], q_rope), dim=-1)
    return attend(q, memory, w_uv, width(q_nope, q_rope) ** -0.5)


@wrong("heads added up", "an index lost")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    C = w_uk.shape[-1]
    q = absorb(q_nope, q_rope, w_uk)
    mean = causal_attention(q, memory[:, None], memory[:, None, :, :C], width(q_nope, q_rope) ** -0.5)
    return torch.einsum("bhtc,hwc->btw", mean, w_uv)


@wrong("heads after positions", "ready for the output matrix")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    return attend(absorb(q_nope, q_rope, w_uk), memory, w_uv, width(q_nope, q_rope) ** -0.5).transpose(1, 2)


@wrong("memory cut at the wrong place")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    R = q_rope.shape[-1]
    key, latent = memory[..., :R], memory[..., R:]
    scores = (q_nope @ w_uk) @ latent[:, None].mT + q_rope @ key[:, None].mT
    weights = masked(scores * width(q_nope, q_rope) ** -0.5).softmax(-1)
    return weights @ latent[:, None] @ w_uv.mT


@wrong("mean over the wrong end of the memory")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    q = absorb(q_nope, q_rope, w_uk)
    values = memory[:, None, :, memory.shape[-1] - w_uk.shape[-1] :]
    return causal_attention(q, memory[:, None], values, width(q_nope, q_rope) ** -0.5) @ w_uv.mT


@wrong("latent normed again")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    latent, key = memory.tensor_split([w_uk.shape[-1]], dim=-1)
    memory = torch.cat((F.rms_norm(latent, latent.shape[-1:]), key), dim=-1)
    return attend(absorb(q_nope, q_rope, w_uk), memory, w_uv, width(q_nope, q_rope) ** -0.5)


@wrong("no mask", "softmax at once")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    content, position = scores_of(q_nope, q_rope, memory, w_uk)
    return weigh((content + position) * width(q_nope, q_rope) ** -0.5, memory, w_uv)


@wrong("no mask", "F.scaled_dot_product_attention and nothing more")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    H, _, C = w_uk.shape
    k = memory[:, None].expand(-1, H, -1, -1)
    return F.scaled_dot_product_attention(absorb(q_nope, q_rope, w_uk), k, k[..., :C]) @ w_uv.mT


@wrong("one position of the future seen")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    content, position = scores_of(q_nope, q_rope, memory, w_uk)
    scores = (content + position) * width(q_nope, q_rope) ** -0.5
    T, S = scores.shape[-2:]
    return weigh(scores.masked_fill(torch.ones(T, S).triu(S - T + 2).bool(), float("-inf")), memory, w_uv)


@wrong("mask starts at the first key", "is_causal, and its own scale")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    H, _, C = w_uk.shape
    k = memory[:, None].expand(-1, H, -1, -1)
    return F.scaled_dot_product_attention(absorb(q_nope, q_rope, w_uk), k, k[..., :C], is_causal=True) @ w_uv.mT


@wrong("mask starts at the first key", "is_causal")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    H, _, C = w_uk.shape
    k = memory[:, None].expand(-1, H, -1, -1)
    q, scale = absorb(q_nope, q_rope, w_uk), width(q_nope, q_rope) ** -0.5
    return F.scaled_dot_product_attention(q, k, k[..., :C], is_causal=True, scale=scale) @ w_uv.mT


@wrong("own position hidden")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    content, position = scores_of(q_nope, q_rope, memory, w_uk)
    scores = (content + position) * width(q_nope, q_rope) ** -0.5
    T, S = scores.shape[-2:]
    return weigh(scores.masked_fill(torch.ones(T, S).triu(S - T).bool(), -1e9), memory, w_uv)


@wrong("masked with 0", "tril of the scores")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    content, position = scores_of(q_nope, q_rope, memory, w_uk)
    scores = (content + position) * width(q_nope, q_rope) ** -0.5
    return weigh(scores.tril(scores.shape[-1] - scores.shape[-2]), memory, w_uv)


@wrong("softmax over the queries")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    content, position = scores_of(q_nope, q_rope, memory, w_uk)
    weights = masked((content + position) * width(q_nope, q_rope) ** -0.5).softmax(2)
    return weights @ memory[:, None, :, : w_uk.shape[-1]] @ w_uv.mT


@wrong("softmax over the heads")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    content, position = scores_of(q_nope, q_rope, memory, w_uk)
    weights = masked((content + position) * width(q_nope, q_rope) ** -0.5).softmax(1)
    return weights @ memory[:, None, :, : w_uk.shape[-1]] @ w_uv.mT


@wrong("expands the memory", "attend_naive")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    return attend_naive(q_nope, q_rope, memory, w_uk, w_uv)


@wrong("expands the memory", "expand")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    k, v = expand(memory, w_uk, w_uv)
    q = torch.cat((q_nope, q_rope), dim=-1)
    return F.scaled_dot_product_attention(q, k, v, attn_mask=visible(q.shape[2], k.shape[2]))


@wrong("expands the memory", "only its values")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    v = torch.einsum("bsc,hwc->bhsw", memory[..., : w_uk.shape[-1]], w_uv)
    q = absorb(q_nope, q_rope, w_uk)
    return causal_attention(q, memory[:, None], v, width(q_nope, q_rope) ** -0.5)


@wrong("expands the memory", "only its keys, head by head")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    latent, key = memory.tensor_split([w_uk.shape[-1]], dim=-1)
    results = []
    for h in range(len(w_uk)):
        scores = q_nope[:, h] @ (latent @ w_uk[h].T).mT + q_rope[:, h] @ key.mT
        weights = masked(scores * width(q_nope, q_rope) ** -0.5).softmax(-1)
        results.append(weights @ latent @ w_uv[h].T)
    return torch.stack(results, dim=1)


@wrong("expands the memory", "position by position, without a product of matrices")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    latent, key = memory.tensor_split([w_uk.shape[-1]], dim=-1)
    scores = torch.zeros(*q_nope.shape[:3], memory.shape[1])
    for s in range(memory.shape[1]):
        k = (latent[:, s, None, None] * w_uk).sum(-1)  # (B, H, P)
        scores[..., s] = (q_nope * k[:, :, None]).sum(-1) + (q_rope * key[:, None, None, s]).sum(-1)
    return weigh(masked(scores * width(q_nope, q_rope) ** -0.5), memory, w_uv)


@wrong("expands the memory", "written into one long tensor")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    (B, S, _), (H, P, C) = memory.shape, w_uk.shape
    k = memory.new_empty(B, H, S, width(q_nope, q_rope))
    torch.matmul(memory[:, None, :, :C], w_uk.mT)
    k[..., :P] = memory[:, None, :, :C] @ w_uk.mT
    k[..., P:] = memory[:, None, :, C:]
    q = torch.cat((q_nope, q_rope), dim=-1)
    return causal_attention(q, k, memory[:, None, :, :C], q.shape[-1] ** -0.5) @ w_uv.mT


@wrong("gradient missing", "the memory detached, for it is cached")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    return attend(absorb(q_nope, q_rope, w_uk), memory.detach(), w_uv, width(q_nope, q_rope) ** -0.5)


@wrong("raises RuntimeError", "the mean over the whole memory")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    q = absorb(q_nope, q_rope, w_uk)
    return causal_attention(q, memory[:, None], memory[:, None], width(q_nope, q_rope) ** -0.5) @ w_uv.mT
