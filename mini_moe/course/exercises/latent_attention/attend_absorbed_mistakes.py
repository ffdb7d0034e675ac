"""Lesson 02, `attend_absorbed`: the mistakes that people make."""

import torch

from mini_moe.course.checking.exercise import Mistake
from mini_moe.course.exercises.latent_attention.shared_mistakes import EPS, unit
from mini_moe.layers import causal_attention


def _right_scale(P, R, C, W):
    return (P + R) ** -0.5


def _scale_of_memory(P, R, C, W):
    return (C + R) ** -0.5


def _future(T, S):
    return 1 + S - T


def _folded(q, w_uk, w_uv):
    return q @ w_uk


def _back(mean, w_uk, w_uv):
    return mean @ w_uv.mT


def _absorbed(
    *, scale=_right_scale, rope_scale=None, hidden_from=_future, fill=float("-inf"), dim=-1, fold=_folded, back=_back
):
    """Absorbed attention with one thing changed, for the mistakes."""

    def function(q_nope, q_rope, memory, w_uk, w_uv):
        P, C = w_uk.shape[1:]
        sizes = P, q_rope.shape[-1], C, w_uv.shape[1]
        latent, key = memory[:, None].tensor_split([C], dim=-1)
        scores = fold(q_nope, w_uk, w_uv) @ latent.mT * scale(*sizes)
        scores = scores + q_rope @ key.mT * (rope_scale or scale)(*sizes)
        T, S = scores.shape[-2:]
        future = torch.ones(T, S, dtype=torch.bool).triu(hidden_from(T, S))
        return back(scores.masked_fill(future, fill).softmax(dim=dim) @ latent, w_uk, w_uv)

    return function


def _another_latent(change):
    """With ``change(latent)`` in place of the latent, for the mistakes."""

    def function(q_nope, q_rope, memory, w_uk, w_uv):
        C = w_uk.shape[-1]
        return _absorbed()(q_nope, q_rope, torch.cat((change(memory[..., :C]), memory[..., C:]), dim=-1), w_uk, w_uv)

    return function


def _mean_of_the_wrong_end(q_nope, q_rope, memory, w_uk, w_uv):
    C = w_uk.shape[-1]
    q = torch.cat((q_nope @ w_uk, q_rope), dim=-1)
    scale = (q_nope.shape[-1] + q_rope.shape[-1]) ** -0.5
    return causal_attention(q, memory[:, None], memory[:, None, :, -C:], scale) @ w_uv.mT


def _parts_exchanged(q_nope, q_rope, memory, w_uk, w_uv):
    C = w_uk.shape[-1]
    q = torch.cat((q_rope, q_nope @ w_uk), dim=-1)
    scale = (q_nope.shape[-1] + q_rope.shape[-1]) ** -0.5
    return causal_attention(q, memory[:, None], memory[:, None, :, :C], scale) @ w_uv.mT


def _two_softmaxes(share):
    """With the results of the two parts of the score added up, times ``share``, for the mistakes."""

    def function(q_nope, q_rope, memory, w_uk, w_uv):
        whole = _absorbed()
        by_content, by_position = (whole(q_nope * a, q_rope * b, memory, w_uk, w_uv) for a, b in ((1, 0), (0, 1)))
        return share * (by_content + by_position)

    return function


def _nothing(*sizes):
    return 0.0


MISTAKES = (
    Mistake(
        "scale of the part without position",
        "The scale is P^-0.5, of the features without position: the rotated ones add to the same score, so it is "
        "(P + R)^-0.5.",
        _absorbed(scale=lambda P, R, C, W: P**-0.5),
    ),
    Mistake(
        "scale of the memory",
        "The scale is (C + R)^-0.5, of the vectors that are multiplied here: it stays that of the form which this "
        "one equals, (P + R)^-0.5.",
        _absorbed(scale=_scale_of_memory),
    ),
    Mistake(
        "scale of the latent",
        "The scale is C^-0.5, of the latent: it stays that of a head's query, (P + R)^-0.5.",
        _absorbed(scale=lambda P, R, C, W: C**-0.5),
    ),
    Mistake(
        "scale of the values",
        "The scale is W^-0.5, of the values: scores are of queries and keys, so it is (P + R)^-0.5.",
        _absorbed(scale=lambda P, R, C, W: W**-0.5),
    ),
    Mistake(
        "scale of the rotated part",
        "The scale is R^-0.5, of the rotated features: it is that of a head's whole query, (P + R)^-0.5.",
        _absorbed(scale=lambda P, R, C, W: R**-0.5),
    ),
    *(
        Mistake(
            "a scale for each part",
            "The two parts of the score have a scale each: they are one product, cut in two, and share one scale, "
            "(P + R)^-0.5.",
            _absorbed(scale=one, rope_scale=other),
        )
        for one, other in (
            (lambda P, R, C, W: P**-0.5, lambda P, R, C, W: R**-0.5),
            (lambda P, R, C, W: C**-0.5, lambda P, R, C, W: R**-0.5),
        )
    ),
    *(
        Mistake(
            "only one part scaled",
            "One part of the score is scaled and the other is not: add them first, then scale the sum.",
            _absorbed(scale=one, rope_scale=other),
        )
        for one, other in ((_right_scale, lambda *sizes: 1.0), (lambda *sizes: 1.0, _right_scale))
    ),
    *(
        Mistake(
            "scale of other widths",
            "The scale is of other widths: it is that of a head's query in the form which this one equals, "
            "(P + R)^-0.5.",
            _absorbed(scale=scale),
        )
        for scale in (
            lambda P, R, C, W: (C + P) ** -0.5,
            lambda P, R, C, W: (W + R) ** -0.5,
            lambda P, R, C, W: (C + P + R) ** -0.5,
            lambda P, R, C, W: (P * R) ** -0.5,
            lambda P, R, C, W: P**-0.5 + R**-0.5,
        )
    ),
    Mistake(
        "scaled twice",
        "The scores are scaled twice, and once by the width of the memory: `F.scaled_dot_product_attention` scales "
        "by itself, unless it is given `scale`.",
        _absorbed(scale=lambda P, R, C, W: (P + R) ** -0.5 * (C + R) ** -0.5),
    ),
    Mistake(
        "scale left out",
        "The scores are not scaled: multiply them by (P + R)^-0.5.",
        _absorbed(scale=lambda *sizes: 1.0),
    ),
    *(
        Mistake(
            "scale is no inverse root",
            "The scores are to be divided by the root of P + R: not by P + R itself, and not multiplied.",
            _absorbed(scale=lambda P, R, C, W, power=power: (P + R) ** power),
        )
        for power in (-1, 0.5, 1)
    ),
    Mistake(
        "rotated part left out",
        "The scores come from the latents alone: the rotated query meets the rotated key, too.",
        _absorbed(rope_scale=_nothing),
    ),
    Mistake(
        "only the rotated part",
        "The scores come from the rotated parts alone: the query without position meets the latent, too.",
        _absorbed(scale=_nothing, rope_scale=_right_scale),
    ),
    Mistake(
        "parts of the query exchanged",
        "The rotated query stands first, and so meets the latent: the memory has the latent first, then the key.",
        _parts_exchanged,
    ),
    *(
        Mistake(
            "a softmax for each part",
            "Each part of the score has a softmax of its own: add the two parts, then take one.",
            _two_softmaxes(share),
        )
        for share in (1.0, 0.5)
    ),
    Mistake(
        "W_uk left out",
        "The query meets the latent as it is, without W_uk, which runs only where P = C: fold W_uk in, "
        "`q_nope @ w_uk`.",
        _absorbed(fold=lambda q, w_uk, w_uv: q),
    ),
    Mistake(
        "W_uk transposed",
        "W_uk is folded in transposed, which runs only where P = C: the query's P features have to become C, "
        "`q_nope @ w_uk`.",
        _absorbed(fold=lambda q, w_uk, w_uv: q @ w_uk.mT),
    ),
    Mistake(
        "W_uv left out",
        "This is the mean of the latents: W_uv makes a head's value of it, at the end.",
        _absorbed(back=lambda mean, w_uk, w_uv: mean),
    ),
    Mistake(
        "W_uv transposed",
        "W_uv is applied transposed, which runs only where C = W: it makes W features of C, `mean @ w_uv.mT`.",
        _absorbed(back=lambda mean, w_uk, w_uv: mean @ w_uv),
    ),
    Mistake(
        "W_uk on the way out",
        "W_uk makes the values: it belongs to the query; after the mean comes W_uv.",
        _absorbed(back=lambda mean, w_uk, w_uv: mean @ w_uk.mT),
    ),
    Mistake(
        "W_uv folded into the query",
        "W_uv is folded into the query: that is W_uk's place; W_uv comes after the mean.",
        _absorbed(fold=lambda q, w_uk, w_uv: q @ w_uv),
    ),
    Mistake(
        "matrices exchanged",
        "The matrices are exchanged: W_uk goes into the query, W_uv comes after the mean.",
        lambda q_nope, q_rope, memory, w_uk, w_uv: _absorbed()(q_nope, q_rope, memory, w_uv, w_uk),
    ),
    *(
        Mistake(
            "one head's matrix for all",
            "Every head uses the matrix of the first: head h has its own, `w[h]`.",
            _absorbed(**change),
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
            _absorbed(**change),
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
        _absorbed(back=lambda mean, w_uk, w_uv: (mean @ w_uv.mT).transpose(1, 2)),
    ),
    Mistake(
        "memory cut at the wrong place",
        "The memory is cut as if the key came first: its first C features are the latent, its last R the key.",
        lambda q_nope, q_rope, memory, w_uk, w_uv: _absorbed()(
            q_nope, q_rope, memory.roll(-q_rope.shape[-1], dims=-1), w_uk, w_uv
        ),
    ),
    Mistake(
        "mean over the wrong end of the memory",
        "The mean is taken over the last C features of the memory: the latent is the first C, and the rotated key "
        "says where to look, not what is taken.",
        _mean_of_the_wrong_end,
    ),
    *(
        Mistake(
            "latent normed again",
            "The latent is normed here: `compress` did that before it was remembered.",
            _another_latent(lambda latent, own=own: unit(latent, own)),
        )
        for own in (1e-6, EPS)
    ),
    *(
        Mistake(
            "no mask",
            "Every query sees all positions: hide those after it, as `causal_attention` does.",
            _absorbed(hidden_from=lambda T, S: S, scale=scale),
        )
        for scale in (_right_scale, _scale_of_memory)
    ),
    *(
        Mistake(
            "mask starts at the first key",
            "With more positions than queries the mask is off: the queries are the *last* T of the S positions.",
            _absorbed(hidden_from=lambda T, S: 1, scale=scale),
        )
        for scale in (_right_scale, _scale_of_memory)
    ),
    Mistake(
        "one position of the future seen",
        "A query sees the position right after it: the mask starts one too far.",
        _absorbed(hidden_from=lambda T, S: 2 + S - T),
    ),
    *(
        Mistake(
            "own position hidden",
            "A query does not see its own position: hide only what comes strictly after it.",
            _absorbed(hidden_from=first, fill=fill),
        )
        for first in (lambda T, S: S - T, lambda T, S: 0)
        for fill in (float("-inf"), -1e9)
    ),
    Mistake(
        "masked with 0",
        "The future's scores are set to 0: exp(0) is 1, so it still has weight. Set them to -inf.",
        _absorbed(fill=0.0),
    ),
    Mistake(
        "softmax over the queries",
        "The softmax runs over the queries: each query's weights over the *positions* add up to 1, the last dimension.",
        _absorbed(dim=-2),
    ),
    *(
        Mistake(
            "softmax over the heads",
            "The softmax runs over the heads or the batch: each query's weights over the *positions* add up to 1, "
            "the last dimension.",
            _absorbed(dim=dim, fill=fill),
        )
        for dim in (0, 1)
        for fill in (float("-inf"), -1e9)
    ),
)
