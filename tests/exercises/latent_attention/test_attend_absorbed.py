"""Answers to `attend_absorbed`: wrong ones as learners write them, right ones each in another way."""

import math

import pytest
import torch
import torch.nn.functional as F
from exercises.answers import SEEDS, Claims, drawn
from exercises.latent_attention import (
    attend_absorbed_inputs_wrong,
    attend_absorbed_mask_wrong,
    attend_absorbed_wrong,
)
from exercises.latent_attention.attend_absorbed_parts import absorb, masked, scores_of, visible, weigh, width

from mini_moe.course.checking.examine import examine
from mini_moe.course.exercises.latent_attention.attend_absorbed import EXERCISE
from mini_moe.layers import causal_attention
from mini_moe.mla import attend_naive

ANSWERS = attend_absorbed_wrong.ANSWERS + attend_absorbed_mask_wrong.ANSWERS + attend_absorbed_inputs_wrong.ANSWERS
right = ANSWERS.right


class TestAttendAbsorbed(Claims):
    answers = ANSWERS


@pytest.mark.parametrize("seed", SEEDS)
def test_expanding_is_told_from_absorbing_by_what_is_made_and_not_by_the_result(seed):
    verdict = examine(drawn(EXERCISE, seed), attend_naive)
    assert verdict.failed == "never makes the keys and values of the heads"
    assert "equals attention over the expanded keys and values" in verdict.held


@right("einsum, two scores")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    content, position = scores_of(q_nope, q_rope, memory, w_uk)
    return weigh(masked((content + position) / math.sqrt(width(q_nope, q_rope))), memory, w_uv)


@right("head by head")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    latent, key = memory.tensor_split([w_uk.shape[-1]], dim=-1)
    results = memory.new_zeros(*q_nope.shape[:3], w_uv.shape[1])
    for h in range(q_nope.shape[1]):
        scores = q_nope[:, h] @ w_uk[h] @ latent.mT + q_rope[:, h] @ key.mT
        weights = masked(scores * width(q_nope, q_rope) ** -0.5).softmax(-1)
        results[:, h] = weights @ latent @ w_uv[h].T
    return results


@right("query by query and position by position")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    C, T, S = w_uk.shape[-1], q_nope.shape[2], memory.shape[1]
    q = absorb(q_nope, q_rope, w_uk) * width(q_nope, q_rope) ** -0.5
    results = []
    for t in range(T):
        seen = S - T + t + 1
        scores = torch.stack([(q[:, :, t] * memory[:, None, s]).sum(-1) for s in range(seen)], dim=-1)
        weights = scores.softmax(-1)
        mean = sum(weights[..., s, None] * memory[:, None, s, :C] for s in range(seen))
        results.append((mean[:, :, None] * w_uv).sum(-1))
    return torch.stack(results, dim=2)


@right("F.scaled_dot_product_attention over the memory shown to all heads")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    H, _, C = w_uk.shape
    q = torch.cat((q_nope @ w_uk, q_rope), dim=-1)
    k = memory[:, None].expand(-1, H, -1, -1)
    mask = visible(q.shape[2], k.shape[2])
    mean = F.scaled_dot_product_attention(q, k, k[..., :C], attn_mask=mask, scale=width(q_nope, q_rope) ** -0.5)
    return torch.einsum("bhtc,hwc->bhtw", mean, w_uv)


@right("grouped-query attention with one key, the mean of all the memory cut afterwards")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    q = absorb(q_nope, q_rope, w_uk)
    k = memory.unsqueeze(1)
    mean = F.scaled_dot_product_attention(
        q, k, k, attn_mask=visible(q.shape[2], k.shape[2]), scale=width(q_nope, q_rope) ** -0.5, enable_gqa=True
    )
    return mean[..., : w_uv.shape[-1]] @ w_uv.mT


@right("matrices widened to the memory")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    H, P, C = w_uk.shape
    R = q_rope.shape[-1]
    wide_uk = w_uk.new_zeros(H, P + R, C + R)
    wide_uk[:, :P, :C] = w_uk
    wide_uk[:, P:, C:] = torch.eye(R, dtype=w_uk.dtype)
    q = torch.cat((q_nope, q_rope), dim=-1)
    mean = causal_attention(q @ wide_uk, memory[:, None], memory[:, None], q.shape[-1] ** -0.5)
    return mean @ F.pad(w_uv, (0, R)).mT


@right("heads as more queries, float64 inside")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    B, H, T, _ = q_nope.shape
    q = torch.cat((q_nope.double() @ w_uk.double(), q_rope.double()), dim=-1)
    wide = memory.double()
    scores = (q.flatten(1, 2) @ wide.mT).view(B, H, T, -1) * width(q_nope, q_rope) ** -0.5
    mean = masked(scores).softmax(-1).flatten(1, 2) @ wide[..., : w_uk.shape[-1]]
    return (mean.view(B, H, T, -1) @ w_uv.double().mT).to(memory)


@right("an added mask, a softmax by hand")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    scores = sum(scores_of(q_nope, q_rope, memory, w_uk)) * width(q_nope, q_rope) ** -0.5
    scores = scores + masked(torch.zeros_like(scores))
    weights = (scores - scores.amax(dim=-1, keepdim=True)).exp()
    mean = (weights / weights.sum(dim=-1, keepdim=True)) @ memory[:, None, :, : w_uk.shape[-1]]
    return mean @ w_uv.mT


@right("-1e9 where it is hidden, the scale in w_uk")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    scale = width(q_nope, q_rope) ** -0.5
    scores = sum(scores_of(q_nope, q_rope * scale, memory, w_uk * scale))
    return weigh(torch.where(visible(*scores.shape[-2:]), scores, -1e9), memory, w_uv)
