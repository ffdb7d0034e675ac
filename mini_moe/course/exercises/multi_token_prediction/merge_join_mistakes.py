"""Lesson 06, `merge`: the mistakes that people make with the two norms, and in putting the parts together."""

import torch
import torch.nn.functional as F

from mini_moe.course.checking.exercise import Mistake
from mini_moe.course.exercises.multi_token_prediction.merge_token_mistakes import later, merged, side_by_side
from mini_moe.layers import rms_norm
from mini_moe.mtp import merge

EPS = torch.finfo(torch.float32).eps  # the default of torch's own norm


def _unit(x, eps):
    """Divided by its root mean square, without a weight."""
    return F.rms_norm(x, x.shape[-1:], eps=eps)


def _raw(x, weight, eps):
    return x


def _weighed(x, weight, eps):
    return weight * x


def _each_or_both(norm):
    """Three functions: with this norm of the embedding, of the hidden state, and of both."""
    return merged(e_norm=norm), merged(h_norm=norm), merged(e_norm=norm, h_norm=norm)


def _together(weigh, own=None):
    """With one norm over both parts, for the mistakes; ``weigh(enorm, hnorm)`` are its weights."""

    def function(h, tokens, depth, table, h_weight, e_weight, w, eps=1e-6):
        both = torch.cat((F.embedding(later(tokens, depth), table), h), dim=-1)
        return F.linear(weigh(e_weight, h_weight) * _unit(both, own or eps), w)

    return function


def _halves(w):
    D = w.shape[0]
    return w[:, :D], w[:, D:]


MISTAKES = tuple(
    Mistake(name, says, function)
    for name, says, functions in (
        (
            "hidden state first",
            "The hidden state stands first, as equation 21 of the paper prints it. The published weights, and so ours, "
            "want the embedding first: `eh_proj`, e then h.",
            (merged(join=lambda e, h, w: side_by_side(h, e, w)),),
        ),
        (
            "norms exchanged",
            "The weights of the norms are exchanged: `enorm_D` belongs to the embedding, `hnorm_D` to the hidden "
            "state.",
            (lambda h, tokens, depth, table, hn, en, w, eps=1e-6: merge(h, tokens, depth, table, en, hn, w, eps),),
        ),
        (
            "parts and norms exchanged",
            "The hidden state stands first, as in equation 21 of the paper, and each part has the weights of the "
            "other's norm: here the embedding comes first, normed by `enorm_D`.",
            (
                lambda h, tokens, depth, table, hn, en, w, eps=1e-6: merged(join=lambda e, h, w: side_by_side(h, e, w))(
                    h, tokens, depth, table, en, hn, w, eps
                ),
            ),
        ),
        (
            "one norm's weights for both",
            "Both parts are normed with the same weights: `enorm_D` belongs to the embedding, `hnorm_D` to the hidden "
            "state.",
            (
                lambda h, tokens, depth, table, hn, en, w, eps=1e-6: merge(h, tokens, depth, table, en, en, w, eps),
                lambda h, tokens, depth, table, hn, en, w, eps=1e-6: merge(h, tokens, depth, table, hn, hn, w, eps),
            ),
        ),
        (
            "embedding not normed",
            "The embedding is not divided by its root mean square: beside the hidden state it would be small, or "
            "large. Each has a norm of its own.",
            (merged(e_norm=_raw), merged(e_norm=_weighed)),
        ),
        (
            "hidden state not normed",
            "The hidden state is not divided by its root mean square: beside the embedding it would be large, or "
            "small. Each has a norm of its own.",
            (merged(h_norm=_raw), merged(h_norm=_weighed)),
        ),
        (
            "neither normed",
            "Neither part is divided by its root mean square: the larger would drown the other. Each has a norm of its "
            "own.",
            (merged(e_norm=_raw, h_norm=_raw), merged(e_norm=_weighed, h_norm=_weighed)),
        ),
        (
            "normed together",
            "One norm goes over both parts: then the larger drowns the other. Norm each by itself, then put them side "
            "by side.",
            tuple(
                _together(weigh, own)
                for own in (None, EPS)
                for weigh in (
                    lambda e, h: torch.cat((e, h)),
                    lambda e, h: torch.cat((h, e)),
                    lambda e, h: 1,
                )
            ),
        ),
        (
            "normed after the product",
            "The result is normed: only the two parts are, before they meet. What comes next, a block, has norms of "
            "its own.",
            tuple(merged(join=lambda e, h, w, eps=eps: _unit(side_by_side(e, h, w), eps)) for eps in (EPS, 1e-6, 1e-5)),
        ),
        (
            "weight of a norm left out",
            "The weights of a norm are not used: `rms_norm` multiplies each feature by its own, by `enorm_D` for the "
            "embedding and by `hnorm_D` for the hidden state.",
            (
                *_each_or_both(lambda x, weight, eps: _unit(x, eps)),
                *_each_or_both(lambda x, weight, eps: _unit(x, EPS)),
            ),
        ),
        (
            "LayerNorm in place of RMSNorm",
            "The mean is subtracted: that is LayerNorm. RMSNorm only divides by the size, and `rms_norm` of lesson 01 "
            "does it.",
            tuple(
                function
                for own in (None, 1e-5)
                for function in _each_or_both(lambda x, w, eps, own=own: F.layer_norm(x, w.shape, w, eps=own or eps))
            ),
        ),
        (
            "length in place of root mean square",
            "It divides by the length, the root of the *sum* of squares: take the root of their *mean*, as `rms_norm` "
            "does.",
            _each_or_both(lambda x, weight, eps: weight * F.normalize(x, dim=-1)),
        ),
        (
            "eps outside the root",
            "`eps` is added to the root: it belongs under it, to the mean of the squares.",
            _each_or_both(lambda x, w, eps: w * x / (x.square().mean(dim=-1, keepdim=True).sqrt() + eps)),
        ),
        (
            "eps not handed on",
            "`eps` is not used: hand it on, to both norms, or each takes one of its own.",
            tuple(
                function
                for own in (1e-6, 0.0, 1e-5, 1e-8, EPS)
                for function in _each_or_both(lambda x, weight, eps, own=own: rms_norm(x, weight, own))
            ),
        ),
        (
            "scaled before the norm",
            "The embedding is multiplied by the root of D, or by another number, before its norm: that takes the size "
            "out again, all but eps. Look up, and norm.",
            tuple(
                merged(look_up=lambda tokens, table, by=by: by(table.shape[1]) * F.embedding(tokens, table))
                for by in (lambda D: D**0.5, lambda D: D**-0.5)
            ),
        ),
        (
            "added in place of joined",
            "The two parts are added, and what is of which is lost: put them side by side, 2 D numbers, and `eh_proj` "
            "learns how to mix them.",
            (
                merged(join=lambda e, h, w: e + h),
                *(merged(join=lambda e, h, w, i=i: F.linear(e + h, _halves(w)[i])) for i in (0, 1)),
                merged(join=lambda e, h, w: F.linear(e + h, sum(_halves(w)))),
                merged(join=lambda e, h, w: F.linear((e + h) / 2, sum(_halves(w)))),
                merged(join=lambda e, h, w: side_by_side(e + h, e + h, w)),
            ),
        ),
        (
            "multiplied in place of joined",
            "The two parts are multiplied, number by number: put them side by side, 2 D numbers.",
            (
                merged(join=lambda e, h, w: e * h),
                *(merged(join=lambda e, h, w, i=i: F.linear(e * h, _halves(w)[i])) for i in (0, 1)),
            ),
        ),
        (
            "without the matrix",
            "The two parts stand side by side, but `eh_proj` is not applied: it makes D numbers of 2 D.",
            (merged(join=lambda e, h, w: torch.cat((e, h), dim=-1)),),
        ),
        (
            "features interleaved",
            "The features of the two parts alternate: first come all of the embedding, then all of the hidden state, "
            "`torch.cat(..., dim=-1)`.",
            (
                merged(join=lambda e, h, w: F.linear(torch.stack((e, h), dim=-1).flatten(-2), w)),
                merged(join=lambda e, h, w: F.linear(torch.stack((h, e), dim=-1).flatten(-2), w)),
            ),
        ),
        (
            "matrix read in another order",
            "`eh_proj` is reshaped to (2 D, D), which puts its numbers in other places: transpose it, or use "
            "`F.linear`, which does.",
            (merged(join=lambda e, h, w: torch.cat((e, h), dim=-1) @ w.reshape(w.shape[1], w.shape[0])),),
        ),
        (
            "something added to the result",
            "The hidden state or the embedding is added to the result: there is no way around the matrix here. The "
            "block that comes next has residuals of its own.",
            (
                lambda h, *rest: h + merge(h, *rest),
                merged(join=lambda e, h, w: h + side_by_side(e, h, w)),
                merged(join=lambda e, h, w: e + side_by_side(e, h, w)),
            ),
        ),
    )
    for function in functions
)
