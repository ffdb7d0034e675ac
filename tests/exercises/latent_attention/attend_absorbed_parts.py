"""What answers to `attend_absorbed` are made of."""

import torch

from mini_moe.layers import causal_attention


def attend(q, memory, w_uv, scale):
    """Absorbed attention from the query that meets the memory to the end."""
    C = w_uv.shape[-1]
    return causal_attention(q, memory[:, None], memory[:, None, :, :C], scale) @ w_uv.mT


def absorb(q_nope, q_rope, w_uk):
    """The query that meets the memory."""
    return torch.cat((torch.einsum("bhtp,hpc->bhtc", q_nope, w_uk), q_rope), dim=-1)


def visible(T, S):
    """What the last T of S positions may see."""
    return torch.ones(T, S, dtype=torch.bool).tril(S - T)


def scores_of(q_nope, q_rope, memory, w_uk):
    """The two parts of the scores, not scaled."""
    C = w_uk.shape[-1]
    by_content = torch.einsum("bhtp,hpc,bsc->bhts", q_nope, w_uk, memory[..., :C])
    return by_content, torch.einsum("bhtr,bsr->bhts", q_rope, memory[..., C:])


def weigh(scores, memory, w_uv):
    """From masked scores to the result."""
    mean = torch.einsum("bhts,bsc->bhtc", scores.softmax(-1), memory[..., : w_uv.shape[-1]])
    return torch.einsum("bhtc,hwc->bhtw", mean, w_uv)


def masked(scores):
    return scores.masked_fill(~visible(*scores.shape[-2:]), float("-inf"))


def width(q_nope, q_rope):
    return q_nope.shape[-1] + q_rope.shape[-1]
