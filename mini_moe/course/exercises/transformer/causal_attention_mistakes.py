"""Lesson 01, `causal_attention`: the mistakes that people make with mask, scale and shapes."""

import torch

from mini_moe.course.checking.exercise import Mistake


def _hides(start):
    """A mask that is true from the diagonal ``start(T, S)`` on."""
    return lambda T, S: torch.ones(T, S, dtype=torch.bool).triu(start(T, S))


_FUTURE = _hides(lambda T, S: 1 + S - T)


def _zeros_hidden(own_kept):
    """Weights that are 0 in the future, and wherever else a score is 0; not at the own position if ``own_kept``."""

    def weigh(scores, future):
        own = torch.eye(scores.shape[-1], dtype=torch.bool)[-scores.shape[-2] :] & own_kept
        lower = scores.masked_fill(future, 0.0)
        return lower.masked_fill((lower == 0) & ~own, -torch.inf).softmax(dim=-1)

    return weigh


def _set(scores, hidden, number):
    return scores.masked_fill(hidden, number)


def _add(scores, hidden, number):
    return scores + torch.zeros_like(scores).masked_fill(hidden, number)


# Ways to hide for good: people set -inf, or a large number, or add one.
_WAYS = ((_set, -torch.inf), (_set, -1e9), (_add, -1e9))


def _attended(*, mask=_FUTURE, hide=_set, number=-torch.inf, dim=-1, factor=lambda q, scale: scale, change=lambda s: s):
    """Attention with one thing changed, for the mistakes."""

    def function(q, k, v, scale):
        scores = change(q @ k.transpose(-2, -1) * factor(q, scale))
        return hide(scores, mask(q.shape[-2], k.shape[-2]), number).softmax(dim=dim) @ v

    return function


def weighed(weigh):
    """Attention whose weights are ``weigh(scores, future)``, for the mistakes."""
    return lambda q, k, v, scale: weigh(q @ k.transpose(-2, -1) * scale, _FUTURE(q.shape[-2], k.shape[-2])) @ v


def _hidden_before_scaling(number):
    """Attention that hides first and scales then, for the mistakes."""

    def function(q, k, v, scale):
        hidden = _FUTURE(q.shape[-2], k.shape[-2])
        return ((q @ k.transpose(-2, -1)).masked_fill(hidden, number) * scale).softmax(dim=-1) @ v

    return function


MISTAKES = (
    Mistake(
        "no mask",
        "Every query sees the whole sequence: hide the positions after it, or the model reads the answer.",
        _attended(mask=_hides(lambda T, S: S)),
    ),
    *(
        Mistake(
            "own position hidden",
            "A query does not see its own position: hide only what comes strictly after it. (The first would see "
            "nothing at all, and a softmax over nothing is not a number.)",
            _attended(mask=mask, hide=hide, number=number),
        )
        for mask in (
            _hides(lambda T, S: S - T),
            _hides(lambda T, S: 0),
            lambda T, S: _hides(lambda T, S: S - T)(T, S) & (torch.arange(S) > 0),
        )
        for hide, number in _WAYS
    ),
    Mistake(
        "one position of the future seen",
        "A query sees the position right after it, which is the answer: the mask starts one too far.",
        _attended(mask=_hides(lambda T, S: 2 + S - T)),
    ),
    Mistake(
        "past hidden",
        "The mask is turned round: it hides the past and shows the future.",
        _attended(mask=lambda T, S: torch.ones(T, S, dtype=torch.bool).tril(S - T - 1)),
    ),
    *(
        Mistake(
            "mask inverted",
            "The mask is inverted: it hides what a query may see, and shows the rest.",
            _attended(mask=lambda T, S: ~_FUTURE(T, S), hide=hide, number=number),
        )
        for hide, number in _WAYS
    ),
    *(
        Mistake(
            "mask starts at the first key",
            "With more keys than queries the mask is off: the queries are the *last* T of the S positions, so the "
            "first query may see S - T + 1 of them.",
            _attended(mask=_hides(start), hide=hide, number=number),
        )
        for start in (lambda T, S: 1, lambda T, S: 1 + T - S)
        for hide, number in _WAYS
    ),
    *(
        Mistake(
            "mask of another shape",
            "It stops where there are more keys than queries: the mask needs a row for each of the T queries and a "
            "column for each of the S keys, (T, S). The queries are the *last* T of the S positions.",
            _attended(mask=mask),
        )
        for mask in (lambda T, S: _FUTURE(T, T), lambda T, S: _FUTURE(S, S))
    ),
    Mistake(
        "nothing hidden with more keys than queries",
        "With more keys than queries nothing is hidden: the queries are the *last* T of the S positions, so the "
        "first query may see S - T + 1 of them, not all.",
        _attended(mask=_hides(lambda T, S: 1 if T == S else S)),
    ),
    Mistake(
        "nothing hidden in a long sequence",
        "In a long sequence nothing is hidden: the mask must not have a size of its own. Make it from those of q and "
        "k.",
        _attended(mask=_hides(lambda T, S: 1 + S - T if S <= 16 else S)),
    ),
    Mistake(
        "a single query sees only itself",
        "A single query sees only its own position: it is the last of the S positions, so it sees all of them.",
        _attended(mask=lambda T, S: torch.arange(S) < S - 1 if T == 1 else _FUTURE(T, S)),
    ),
    *(
        Mistake(
            "scores of 0 hidden",
            "A score that happens to be 0 is hidden like the future's: hide by position, not by the number.",
            weighed(_zeros_hidden(own_kept)),
        )
        for own_kept in (False, True)
    ),
    Mistake(
        "masked with 0",
        "The future's scores are set to 0: exp(0) is 1, so it still has weight. Set them to -inf before the softmax.",
        _attended(number=0.0),
    ),
    *(
        Mistake(
            "masked with a number too small",
            "To hide by this number is not enough: scores can be of its size, too, and then the future counts. Take "
            "`float('-inf')`.",
            function,
        )
        for number in (1.0, 10.0, 20.0, 50.0, 100.0, 1000.0, 1e4, 65504.0, 1e5, 1e6)
        for function in (
            *(_attended(hide=hide, number=-number) for hide in (_set, _add)),
            _hidden_before_scaling(-number),
        )
    ),
    Mistake(
        "masked after the softmax",
        "The future is struck out after the softmax: the weights that remain no longer add up to 1.",
        weighed(lambda scores, future: scores.softmax(dim=-1).masked_fill(future, 0.0)),
    ),
    Mistake(
        "softmax over the queries",
        "The softmax runs over the queries: each query's weights over the *keys* add up to 1, the last dimension.",
        _attended(dim=-2),
    ),
    *(
        Mistake(
            "softmax over the heads",
            "The softmax runs over the heads or the batch: each query's weights over the *keys* add up to 1, the "
            "last dimension.",
            _attended(dim=dim, hide=hide, number=number),
        )
        for dim in (0, 1)
        for hide, number in _WAYS
    ),
    Mistake(
        "scale left out",
        "The scores are not multiplied by `scale`: wide heads then give large scores, and softmax picks one.",
        _attended(factor=lambda q, scale: 1.0),
    ),
    Mistake(
        "divided by the scale",
        "The scores are divided by `scale`: it is 1 / sqrt(features) already, so multiply.",
        _attended(factor=lambda q, scale: 1 / scale),
    ),
    Mistake(
        "scale of its own",
        "The scale is worked out from the width here: use the argument. Latent attention will need another.",
        _attended(factor=lambda q, scale: q.shape[-1] ** -0.5),
    ),
    *(
        Mistake(
            "scaled twice",
            "The scores are scaled twice: multiply by `scale` once, and by nothing else.",
            _attended(factor=factor),
        )
        for factor in (lambda q, scale: scale * scale, lambda q, scale: scale * q.shape[-1] ** -0.5)
    ),
    Mistake(
        "scores doubled",
        "The scores count double, as if the weights had been squared: multiply by `scale`, and by nothing else.",
        _attended(factor=lambda q, scale: 2 * scale),
    ),
    Mistake(
        "root of the scale",
        "The root of `scale` is taken: it is the factor itself, already 1 / sqrt(features).",
        _attended(factor=lambda q, scale: scale**0.5),
    ),
    Mistake(
        "scaled after the softmax",
        "`scale` is multiplied in after the softmax, so that the weights add up to `scale`: it belongs to the scores.",
        lambda q, k, v, scale: scale * _attended(factor=lambda q, scale: 1.0)(q, k, v, scale),
    ),
    Mistake(
        "scores clipped",
        "Large scores are cut off: softmax takes any, for it subtracts each row's maximum first.",
        _attended(change=lambda scores: scores.clamp(-50, 50)),
    ),
    Mistake(
        "scores averaged over the heads",
        "All heads have the same weights, from the scores of them all: each head attends by its own.",
        _attended(change=lambda scores: scores.mean(dim=1, keepdim=True)),
    ),
    Mistake(
        "query and key exchanged",
        "Queries and keys are exchanged: the scores are q @ k.transpose(-2, -1), a row for each query.",
        lambda q, k, v, scale: _attended()(k, q, v, scale),
    ),
    Mistake(
        "heads and positions mixed up",
        "Heads and positions are mixed up in the result: a `reshape` after `transpose` reads the numbers in another "
        "order. Give (B, H, T, features) as the product has it.",
        lambda q, k, v, scale: _attended()(q, k, v, scale).transpose(1, 2).reshape(*q.shape[:-1], -1),
    ),
)
