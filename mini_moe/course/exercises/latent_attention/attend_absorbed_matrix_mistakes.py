"""Lesson 02, `attend_absorbed`: the mistakes that people make with matrices, memory and heads."""

import torch

from mini_moe.course.checking.exercise import Mistake
from mini_moe.course.exercises.latent_attention.attend_absorbed_scale_mistakes import absorbed
from mini_moe.course.exercises.latent_attention.shared_mistakes import EPS, unit
from mini_moe.layers import causal_attention


def _another_latent(change):
    """With ``change(latent)`` in place of the latent, for the mistakes."""

    def function(q_nope, q_rope, memory, w_uk, w_uv):
        C = w_uk.shape[-1]
        return absorbed()(q_nope, q_rope, torch.cat((change(memory[..., :C]), memory[..., C:]), dim=-1), w_uk, w_uv)

    return function


def _attended(
    query=lambda q_nope, q_rope: torch.cat((q_nope, q_rope), dim=-1),
    key=lambda memory: memory[:, None],
    value=lambda memory, C: memory[:, None, :, :C],
):
    """By `causal_attention`, with another query, key or value, for the mistakes."""

    def function(q_nope, q_rope, memory, w_uk, w_uv):
        scale = (q_nope.shape[-1] + q_rope.shape[-1]) ** -0.5
        q = query(q_nope @ w_uk, q_rope)
        return causal_attention(q, key(memory), value(memory, w_uk.shape[-1]), scale) @ w_uv.mT

    return function


def _read_on(y):
    return y.transpose(1, 2).reshape(y.shape)


MISTAKES = (
    Mistake(
        "parts of the query exchanged",
        "The rotated query stands first, and so meets the latent: the memory has the latent first, then the key.",
        _attended(query=lambda q_nope, q_rope: torch.cat((q_rope, q_nope), dim=-1)),
    ),
    Mistake(
        "w_uk left out",
        "The query meets the latent as it is, without w_uk, which runs only where P = C: fold w_uk in, "
        "`q_nope @ w_uk`.",
        absorbed(fold=lambda q, w_uk, w_uv: q),
    ),
    Mistake(
        "w_uk transposed",
        "w_uk is folded in transposed, which runs only where P = C: the query's P features have to become C, "
        "`q_nope @ w_uk`.",
        absorbed(fold=lambda q, w_uk, w_uv: q @ w_uk.mT),
    ),
    Mistake(
        "w_uv left out",
        "This is the mean of the latents: w_uv makes a head's value of it, at the end.",
        absorbed(back=lambda mean, w_uk, w_uv: mean),
    ),
    Mistake(
        "w_uv transposed",
        "w_uv is applied transposed, which runs only where C = W: it makes W features of C, `mean @ w_uv.mT`.",
        absorbed(back=lambda mean, w_uk, w_uv: mean @ w_uv),
    ),
    Mistake(
        "w_uk on the way out",
        "w_uk makes the values: it belongs to the query; after the mean comes w_uv.",
        absorbed(back=lambda mean, w_uk, w_uv: mean @ w_uk.mT),
    ),
    Mistake(
        "w_uv folded into the query",
        "w_uv is folded into the query: that is w_uk's place; w_uv comes after the mean.",
        absorbed(fold=lambda q, w_uk, w_uv: q @ w_uv),
    ),
    Mistake(
        "matrices exchanged",
        "The matrices are exchanged: w_uk goes into the query, w_uv comes after the mean.",
        lambda q_nope, q_rope, memory, w_uk, w_uv: absorbed()(q_nope, q_rope, memory, w_uv, w_uk),
    ),
    *(
        Mistake(
            "one head's matrix for all",
            "Every head uses the matrix of the first: head h has its own, `w[h]`.",
            absorbed(**change),
        )
        for change in (
            {"fold": lambda q, w_uk, w_uv: q @ w_uk[0], "back": lambda mean, w_uk, w_uv: mean @ w_uv[0].mT},
            {"fold": lambda q, w_uk, w_uv: q @ w_uk[0]},
            {"back": lambda mean, w_uk, w_uv: mean @ w_uv[0].mT},
        )
    ),
    *(
        Mistake(
            "heads added up",
            "The heads are added up on the way: keep them apart, `h` stays in every result.",
            absorbed(**change),
        )
        for change in (
            {"fold": lambda q, w_uk, w_uv: q @ w_uk.sum(dim=0)},
            {"back": lambda mean, w_uk, w_uv: mean @ w_uv.sum(dim=0).mT},
            {"fold": lambda q, w_uk, w_uv: (q @ w_uk).sum(dim=1, keepdim=True)},
            {"back": lambda mean, w_uk, w_uv: (mean @ w_uv.mT).sum(dim=1)},
            {"back": lambda mean, w_uk, w_uv: mean.sum(dim=1, keepdim=True) @ w_uv.mT},
        )
    ),
    Mistake(
        "heads after positions",
        "Positions come before heads in the result: it is to be (B, H, T, W).",
        absorbed(back=lambda mean, w_uk, w_uv: (mean @ w_uv.mT).transpose(1, 2)),
    ),
    Mistake(
        "heads mixed up",
        "Heads and positions are exchanged in memory, and then read in the old shape: a `reshape` reads on across "
        "heads. The result is (B, H, T, W) as it is.",
        absorbed(back=lambda mean, w_uk, w_uv: _read_on(mean @ w_uv.mT)),
    ),
    Mistake(
        "memory cut at the wrong place",
        "The memory is cut as if the key came first: its first C features are the latent, its last R the key.",
        lambda q_nope, q_rope, memory, w_uk, w_uv: absorbed()(
            q_nope, q_rope, memory.roll(-q_rope.shape[-1], dims=-1), w_uk, w_uv
        ),
    ),
    Mistake(
        "mean over the wrong end of the memory",
        "The mean is taken over the last C features of the memory: the latent is the first C, and the rotated key "
        "says where to look, not what is taken.",
        _attended(value=lambda memory, C: memory[:, None, :, -C:]),
    ),
    *(
        Mistake(
            "latent normed again",
            "The latent is normed here: `compress` did that before it was remembered.",
            _another_latent(lambda latent, own=own: unit(latent, own)),
        )
        for own in (1e-6, EPS)
    ),
    Mistake(
        "memory without a place for the heads",
        "The memory has no dimension for the heads: in a batch its sequences are taken for heads. All heads share it, "
        "`memory[:, None]`.",
        _attended(key=lambda memory: memory, value=lambda memory, C: memory[..., :C]),
    ),
    Mistake(
        "mean cut to P features",
        "Where P is less than C, only the first P features of the mean pass through w_uv: the latent is C wide, as "
        "`w_uv.shape[-1]` tells.",
        absorbed(back=lambda mean, w_uk, w_uv: mean[..., : w_uk.shape[1]] @ w_uv[..., : w_uk.shape[1]].mT),
    ),
    Mistake(
        "averaged latents detached",
        "The result is right, but no gradient passes through the latents that are averaged: the memory would learn "
        "where it is looked at, and not what it gives.",
        _attended(value=lambda memory, C: memory[:, None, :, :C].detach()),
    ),
    Mistake(
        "memory detached in the scores",
        "The result is right, but no gradient passes through the memory in the scores: it would learn what it gives, "
        "and not where it is looked at.",
        _attended(key=lambda memory: memory[:, None].detach()),
    ),
)
