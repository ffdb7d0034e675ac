"""Lesson 02, `attend_absorbed`: the mistakes that people make in the mask and in the softmax."""

import torch
import torch.nn.functional as F

from mini_moe.course.checking.exercise import Mistake
from mini_moe.course.exercises.latent_attention.attend_absorbed_scale_mistakes import (
    absorbed,
    future,
    right_scale,
    scale_of_memory,
    softmax,
)


def _from(start):
    """A mask that hides from the diagonal ``start(T, S)`` on."""
    return lambda T, S: torch.ones(T, S, dtype=torch.bool).triu(start(T, S))


def _own_but_the_first(T, S):
    return _from(lambda T, S: S - T)(T, S) & (torch.arange(S) > 0)


def _filled(number, dim=-1):
    """A softmax over ``dim`` where what is hidden is ``number``."""
    return lambda scores, hidden: scores.masked_fill(hidden, number).softmax(dim=dim)


def _highest(scores):
    return F.one_hot(scores.argmax(dim=-1), scores.shape[-1]).to(scores)


_NUMBERS = (float("-inf"), -1e9)  # people take either


MISTAKES = (
    *(
        Mistake(
            "no mask",
            "Every query sees all positions: hide those after it, as `causal_attention` does.",
            absorbed(hides=_from(lambda T, S: S), scale=scale),
        )
        for scale in (right_scale, scale_of_memory)
    ),
    Mistake(
        "no mask beside a past",
        "With more positions than queries nothing is hidden: the queries are the last T of the S positions, and none "
        "of them may see what comes after it.",
        absorbed(hides=_from(lambda T, S: 1 if T == S else S)),
    ),
    *(
        Mistake(
            "mask starts at the first key",
            "With more positions than queries the mask is off: the queries are the *last* T of the S positions.",
            absorbed(hides=_from(start), scale=scale),
        )
        for start in (lambda T, S: 1, lambda T, S: 1 if T > 1 else S)
        for scale in (right_scale, scale_of_memory)
    ),
    Mistake(
        "one position of the future seen",
        "A query sees the position right after it: the mask starts one too far.",
        absorbed(hides=_from(lambda T, S: 2 + S - T)),
    ),
    *(
        Mistake(
            "own position hidden",
            "A query does not see its own position: hide only what comes strictly after it.",
            absorbed(hides=hides, weigh=_filled(number)),
        )
        for hides in (_from(lambda T, S: S - T), _from(lambda T, S: 0), _own_but_the_first)
        for number in _NUMBERS
    ),
    *(
        Mistake(
            "past hidden",
            "The mask is turned round: it hides the past, and shows the future.",
            absorbed(hides=lambda T, S: torch.ones(T, S, dtype=torch.bool).tril(S - T - 1), weigh=_filled(number)),
        )
        for number in _NUMBERS
    ),
    *(
        Mistake(
            "mask inverted",
            "The mask is inverted: it hides what a query may see, and shows the rest.",
            absorbed(hides=lambda T, S: ~future(T, S), weigh=_filled(number)),
        )
        for number in _NUMBERS
    ),
    Mistake(
        "masked with 0",
        "The future's scores are set to 0: exp(0) is 1, so it still has weight. Set them to -inf.",
        absorbed(weigh=_filled(0.0)),
    ),
    Mistake(
        "masked after the softmax",
        "The future is struck out after the softmax: the weights that remain no longer add up to 1.",
        absorbed(weigh=lambda scores, hidden: scores.softmax(dim=-1).masked_fill(hidden, 0.0)),
    ),
    Mistake(
        "softmax over the queries",
        "The softmax runs over the queries: each query's weights over the *positions* add up to 1, the last dimension.",
        absorbed(weigh=_filled(float("-inf"), dim=-2)),
    ),
    *(
        Mistake(
            "softmax over the heads",
            "The softmax runs over the heads or the batch: each query's weights over the *positions* add up to 1, "
            "the last dimension.",
            absorbed(weigh=_filled(number, dim)),
        )
        for dim in (0, 1)
        for number in _NUMBERS
    ),
    Mistake(
        "1 in the denominator",
        "1 is added to the sum that the exponentials are divided by, as if each query saw one empty position more.",
        absorbed(weigh=lambda scores, hidden: softmax(F.pad(scores, (1, 0)), F.pad(hidden, (1, 0)))[..., 1:]),
    ),
    Mistake(
        "only the best position",
        "Each query takes the latent with the highest score, and no other: softmax gives all of them a share.",
        absorbed(weigh=lambda scores, hidden: _highest(scores.masked_fill(hidden, float("-inf")))),
    ),
    Mistake(
        "no softmax",
        "The scores weigh the latents without a softmax: they may be negative and do not add up to 1.",
        absorbed(weigh=lambda scores, hidden: scores.masked_fill(hidden, 0.0)),
    ),
    Mistake(
        "weights detached",
        "The result is right, but no gradient passes through the weights: where to look would never be learnt.",
        absorbed(weigh=lambda scores, hidden: softmax(scores, hidden).detach()),
    ),
)
