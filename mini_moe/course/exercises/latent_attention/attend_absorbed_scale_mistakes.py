"""Lesson 02, `attend_absorbed`: the mistakes that people make in the scores, and what all its mistakes are made of."""

import torch

from mini_moe.course.checking.exercise import Mistake


def right_scale(P, R, C, W):
    return (P + R) ** -0.5


def scale_of_memory(P, R, C, W):
    return (C + R) ** -0.5


def future(T, S):
    """What the last T of S positions may not see."""
    return torch.ones(T, S, dtype=torch.bool).triu(1 + S - T)


def softmax(scores, hidden):
    return scores.masked_fill(hidden, float("-inf")).softmax(dim=-1)


def _folded(q, w_uk, w_uv):
    return q @ w_uk


def _back(mean, w_uk, w_uv):
    return mean @ w_uv.mT


def absorbed(*, scale=right_scale, rope_scale=None, hides=future, weigh=softmax, fold=_folded, back=_back):
    """Absorbed attention with one thing changed, for the mistakes.

    Args:
        scale: of the part of the score without position; ``rope_scale`` of the other, if not the same.
        hides: (T, S) -> what is hidden.
        weigh: scores and what is hidden -> weights.
        fold, back: what w_uk and w_uv do to queries and mean.
    """

    def function(q_nope, q_rope, memory, w_uk, w_uv):
        P, C = w_uk.shape[1:]
        sizes = P, q_rope.shape[-1], C, w_uv.shape[1]
        latent, key = memory[:, None].tensor_split([C], dim=-1)
        scores = fold(q_nope, w_uk, w_uv) @ latent.mT * scale(*sizes)
        scores = scores + q_rope @ key.mT * (rope_scale or scale)(*sizes)
        return back(weigh(scores, hides(*scores.shape[-2:])) @ latent, w_uk, w_uv)

    return function


def _two_softmaxes(share):
    """With the results of the two parts of the score added up, times ``share``, for the mistakes."""

    def function(q_nope, q_rope, memory, w_uk, w_uv):
        whole = absorbed()
        by_content, by_position = (whole(q_nope * a, q_rope * b, memory, w_uk, w_uv) for a, b in ((1, 0), (0, 1)))
        return share * (by_content + by_position)

    return function


def _nothing(*sizes):
    return 0.0


def _one(*sizes):
    return 1.0


MISTAKES = (
    Mistake(
        "scale of the part without position",
        "The scale is P^-0.5, of the features without position: the rotated ones add to the same score, so it is "
        "(P + R)^-0.5.",
        absorbed(scale=lambda P, R, C, W: P**-0.5),
    ),
    Mistake(
        "scale of the memory",
        "The scale is (C + R)^-0.5, of the vectors that are multiplied here: it stays that of the form which this "
        "one equals, (P + R)^-0.5.",
        absorbed(scale=scale_of_memory),
    ),
    Mistake(
        "scale of the latent",
        "The scale is C^-0.5, of the latent: it stays that of a head's query, (P + R)^-0.5.",
        absorbed(scale=lambda P, R, C, W: C**-0.5),
    ),
    Mistake(
        "scale of the values",
        "The scale is W^-0.5, of the values: scores are of queries and keys, so it is (P + R)^-0.5.",
        absorbed(scale=lambda P, R, C, W: W**-0.5),
    ),
    Mistake(
        "scale of the rotated part",
        "The scale is R^-0.5, of the rotated features: it is that of a head's whole query, (P + R)^-0.5.",
        absorbed(scale=lambda P, R, C, W: R**-0.5),
    ),
    *(
        Mistake(
            "a scale for each part",
            "The two parts of the score have a scale each: they are one product, cut in two, and share one scale, "
            "(P + R)^-0.5.",
            absorbed(scale=one, rope_scale=other),
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
            absorbed(scale=one, rope_scale=other),
        )
        for one, other in ((right_scale, _one), (_one, right_scale))
    ),
    Mistake(
        "scaled twice",
        "The scores are scaled twice, and once by the width of the memory: `F.scaled_dot_product_attention` scales "
        "by itself, unless it is given `scale`.",
        absorbed(scale=lambda P, R, C, W: (P + R) ** -0.5 * (C + R) ** -0.5),
    ),
    Mistake(
        "scale left out",
        "The scores are not scaled: multiply them by (P + R)^-0.5.",
        absorbed(scale=_one),
    ),
    *(
        Mistake(
            "scale is no inverse root",
            "The scores are to be divided by the root of P + R: not by P + R itself, and not multiplied.",
            absorbed(scale=lambda P, R, C, W, power=power: (P + R) ** power),
        )
        for power in (-1, 0.5, 1)
    ),
    Mistake(
        "rotated part left out",
        "The scores come from the latents alone: the rotated query meets the rotated key, too.",
        absorbed(rope_scale=_nothing),
    ),
    Mistake(
        "only the rotated part",
        "The scores come from the rotated parts alone: the query without position meets the latent, too.",
        absorbed(scale=_nothing, rope_scale=right_scale),
    ),
    *(
        Mistake(
            "a softmax for each part",
            "Each part of the score has a softmax of its own: add the two parts, then take one.",
            _two_softmaxes(share),
        )
        for share in (1.0, 0.5)
    ),
)
