"""Wrong answers to `attend_absorbed`: scales, parts of the query, and the two matrices."""

import math

import torch
import torch.nn.functional as F
from exercises.answers import Answers
from exercises.latent_attention.attend_absorbed_parts import absorb, attend, masked, scores_of, visible, weigh, width

from mini_moe.course.exercises.latent_attention.attend_absorbed import EXERCISE
from mini_moe.layers import causal_attention

ANSWERS = Answers(EXERCISE)
wrong = ANSWERS.wrong


@wrong("scale of the part without position")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    return attend(absorb(q_nope, q_rope, w_uk), memory, w_uv, 1 / math.sqrt(q_nope.shape[-1]))


@wrong("scale of the memory", "by hand")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    q = absorb(q_nope, q_rope, w_uk)
    return attend(q, memory, w_uv, q.shape[-1] ** -0.5)


@wrong("scale of the memory", "F.scaled_dot_product_attention's own")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    H, _, C = w_uk.shape
    q = absorb(q_nope, q_rope, w_uk)
    k = memory[:, None].expand(-1, H, -1, -1)
    mean = F.scaled_dot_product_attention(q, k, k[..., :C], attn_mask=visible(q.shape[2], k.shape[2]))
    return mean @ w_uv.mT


@wrong("scale of the latent")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    return attend(absorb(q_nope, q_rope, w_uk), memory, w_uv, w_uk.shape[-1] ** -0.5)


@wrong("scale of the values")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    return attend(absorb(q_nope, q_rope, w_uk), memory, w_uv, w_uv.shape[1] ** -0.5)


@wrong("scale of the rotated part")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    return attend(absorb(q_nope, q_rope, w_uk), memory, w_uv, q_rope.shape[-1] ** -0.5)


@wrong("a scale for each part", "P and R")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    content, position = scores_of(q_nope, q_rope, memory, w_uk)
    scores = content / q_nope.shape[-1] ** 0.5 + position / q_rope.shape[-1] ** 0.5
    return weigh(masked(scores), memory, w_uv)


@wrong("a scale for each part", "C and R")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    content, position = scores_of(q_nope, q_rope, memory, w_uk)
    scores = content / w_uk.shape[-1] ** 0.5 + position / q_rope.shape[-1] ** 0.5
    return weigh(masked(scores), memory, w_uv)


@wrong("another scale", "the folded query and the whole one")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    return attend(absorb(q_nope, q_rope, w_uk), memory, w_uv, (w_uk.shape[-1] + q_nope.shape[-1]) ** -0.5)


@wrong("scaled twice")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    H, _, C = w_uk.shape
    q = absorb(q_nope, q_rope, w_uk) * width(q_nope, q_rope) ** -0.5
    k = memory[:, None].expand(-1, H, -1, -1)
    mean = F.scaled_dot_product_attention(q, k, k[..., :C], attn_mask=visible(q.shape[2], k.shape[2]))
    return mean @ w_uv.mT


@wrong("only one part scaled", "forgotten brackets")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    content, position = scores_of(q_nope, q_rope, memory, w_uk)
    scores = content + position * width(q_nope, q_rope) ** -0.5
    return weigh(masked(scores), memory, w_uv)


@wrong("only one part scaled", "the folded query")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    scale = width(q_nope, q_rope) ** -0.5
    return attend(absorb(q_nope * scale, q_rope, w_uk), memory, w_uv, 1.0)


@wrong("scale left out")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    content, position = scores_of(q_nope, q_rope, memory, w_uk)
    return weigh(masked(content + position), memory, w_uv)


@wrong("scale is no inverse root", "divided by the width")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    return attend(absorb(q_nope, q_rope, w_uk), memory, w_uv, 1 / width(q_nope, q_rope))


@wrong("scale is no inverse root", "multiplied by the root")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    return attend(absorb(q_nope, q_rope, w_uk), memory, w_uv, math.sqrt(width(q_nope, q_rope)))


@wrong("scale is no inverse root", "the power forgotten")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    return attend(absorb(q_nope, q_rope, w_uk), memory, w_uv, width(q_nope, q_rope))


@wrong("rotated part left out")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    content, _ = scores_of(q_nope, q_rope, memory, w_uk)
    return weigh(masked(content * width(q_nope, q_rope) ** -0.5), memory, w_uv)


@wrong("only the rotated part")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    _, position = scores_of(q_nope, q_rope, memory, w_uk)
    return weigh(masked(position * width(q_nope, q_rope) ** -0.5), memory, w_uv)


@wrong("parts of the query exchanged")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    q = torch.cat((q_rope, q_nope @ w_uk), dim=-1)
    return attend(q, memory, w_uv, width(q_nope, q_rope) ** -0.5)


@wrong("a softmax for each part", "added")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    parts = scores_of(q_nope, q_rope, memory, w_uk)
    return sum(weigh(masked(part * width(q_nope, q_rope) ** -0.5), memory, w_uv) for part in parts)


@wrong("a softmax for each part", "averaged")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    scale = width(q_nope, q_rope) ** -0.5
    weights = torch.stack([masked(part * scale).softmax(-1) for part in scores_of(q_nope, q_rope, memory, w_uk)])
    return weights.mean(0) @ memory[:, None, :, : w_uk.shape[-1]] @ w_uv.mT


@wrong("w_uk left out")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    q = torch.cat((q_nope, q_rope), dim=-1)
    return attend(q, memory, w_uv, q.shape[-1] ** -0.5)


@wrong("w_uk transposed")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    q = torch.cat((q_nope @ w_uk.transpose(1, 2), q_rope), dim=-1)
    return attend(q, memory, w_uv, width(q_nope, q_rope) ** -0.5)


@wrong("w_uv left out")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    C = w_uk.shape[-1]
    q = absorb(q_nope, q_rope, w_uk)
    return causal_attention(q, memory[:, None], memory[:, None, :, :C], width(q_nope, q_rope) ** -0.5)


@wrong("w_uv transposed")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    C = w_uk.shape[-1]
    q = absorb(q_nope, q_rope, w_uk)
    return causal_attention(q, memory[:, None], memory[:, None, :, :C], width(q_nope, q_rope) ** -0.5) @ w_uv


@wrong("w_uk on the way out")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    return attend(absorb(q_nope, q_rope, w_uk), memory, w_uk, width(q_nope, q_rope) ** -0.5)


@wrong("w_uv folded into the query")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    return attend(absorb(q_nope, q_rope, w_uv), memory, w_uv, width(q_nope, q_rope) ** -0.5)


@wrong("matrices exchanged")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    return attend(absorb(q_nope, q_rope, w_uv), memory, w_uk, width(q_nope, q_rope) ** -0.5)
