"""Answers to `verify_sampled`: wrong ones as learners write them, right ones each in another way."""

import torch
from exercises.answers import Claims
from exercises.speculative_decoding import verify_sampled_drawn_wrong, verify_sampled_wrong

from mini_moe.speculative import residual

ANSWERS = verify_sampled_wrong.ANSWERS + verify_sampled_drawn_wrong.ANSWERS
right = ANSWERS.right


class TestVerifySampled(Claims):
    answers = ANSWERS


@right("by the ratio, rows and tokens by number")
def _(p_B2V, q_BV, draft_B, chance_B):
    rows = torch.arange(len(draft_B))
    accepted = chance_B < p_B2V[rows, 0, draft_B] / q_BV[rows, draft_B]
    return accepted, torch.where(accepted.unsqueeze(1), p_B2V[:, 1, :], residual(p_B2V[:, 0, :], q_BV))


@right("the ratio cut off at 1, under no_grad")
@torch.no_grad()
def _(p_B2V, q_BV, draft_B, chance_B):
    ratio_BV = p_B2V[:, 0] / q_BV
    stays_B = ratio_BV.gather(-1, draft_B.view(-1, 1)).view(-1).clamp(max=1.0)
    accepted_B = chance_B < stays_B
    next_BV = residual(p_B2V[:, 0], q_BV)
    next_BV[accepted_B] = p_B2V[accepted_B, 1]
    return accepted_B, next_BV


@right("row by row, with a residual of its own")
def _(p_B2V, q_BV, draft_B, chance_B):
    accepted, following = [], []
    for p_2V, q_V, draft, chance in zip(p_B2V, q_BV, draft_B.tolist(), chance_B, strict=True):
        stays = bool(chance * q_V[draft] < p_2V[0, draft])
        if stays:
            following.append(p_2V[1])
        else:
            left_V = torch.relu(p_2V[0] - q_V)
            following.append(left_V / left_V.sum())
        accepted.append(stays)
    return torch.tensor(accepted), torch.stack(following)


@right("by one-hot masks, in float64")
def _(p_B2V, q_BV, draft_B, chance_B):
    one = torch.nn.functional.one_hot(draft_B, q_BV.shape[-1]).double()
    p_B, q_B = (p_B2V[:, 0].double() * one).sum(-1), (q_BV.double() * one).sum(-1)
    accepted = p_B > chance_B.double() * q_B
    left = p_B2V[:, 0].double() - torch.minimum(p_B2V[:, 0], q_BV).double()
    left = left / left.sum(-1, keepdim=True).clamp(min=1e-30)
    mask = accepted[:, None].double()
    return accepted, (mask * p_B2V[:, 1].double() + (1 - mask) * left).to(p_B2V.dtype)


@right("what is rejected is asked, and tokens by einsum")
def _(p_B2V, q_BV, draft_B, chance_B):
    places = torch.eye(q_BV.shape[-1], dtype=q_BV.dtype)[draft_B]
    p_B = torch.einsum("bv,bv->b", p_B2V[:, 0], places)
    q_B = torch.einsum("bv,bv->b", q_BV, places)
    rejected_B = chance_B >= torch.clamp(p_B / q_B, max=1)
    lacking_BV = residual(p_B2V[:, 0], q_BV)
    return ~rejected_B, torch.stack([p_B2V[:, 1], lacking_BV])[rejected_B.long(), torch.arange(len(draft_B))]


@right("by logarithms")
def _(p_B2V, q_BV, draft_B, chance_B):
    at = draft_B[:, None]
    ratio_B1 = p_B2V[:, 0].log().gather(1, at) - q_BV.log().gather(1, at)
    accepted_B = chance_B.log() < ratio_B1[:, 0]
    return accepted_B, torch.where(accepted_B[:, None], p_B2V[:, 1], residual(p_B2V[:, 0], q_BV))
