"""Lesson 01, `causal_attention`: the mistakes that people make with a softmax by hand."""

import torch

from mini_moe.course.checking.exercise import Mistake
from mini_moe.course.exercises.transformer.causal_attention_mistakes import weighed

# A softmax by hand begins with the exponentials of what is seen, made in either way.
_EXPONENTIALS = (
    lambda scores, future: scores.masked_fill(future, -torch.inf).exp(),
    lambda scores, future: scores.exp() * ~future,
)


def _divided(exponentials, more):
    """Attention by ``exponentials(scores, future)`` over their sum and ``more``, for the mistakes."""

    def weigh(scores, future):
        unscaled = exponentials(scores, future)
        return unscaled / (unscaled.sum(dim=-1, keepdim=True) + more)

    return weighed(weigh)


MISTAKES = (
    Mistake(
        "no softmax",
        "The scores weigh the values without a softmax: they may be negative and do not add up to 1.",
        weighed(lambda scores, future: scores.masked_fill(future, 0.0)),
    ),
    *(
        Mistake(
            "exponentials not divided by their sum",
            "The exponentials are not divided by their sum: each query's weights have to add up to 1.",
            weighed(exponentials),
        )
        for exponentials in _EXPONENTIALS
    ),
    *(
        Mistake(
            "no maximum subtracted",
            "Large scores overflow: exp(200) is infinite in float32. Subtract the largest score of each row first, as "
            "`softmax` does.",
            _divided(exponentials, more),
        )
        for exponentials in _EXPONENTIALS
        for more in (0.0, 1e-9)
    ),
    *(
        Mistake(
            "one maximum for all rows",
            "One maximum is subtracted from all scores: in a row that lies far below it, every exponential is 0. "
            "Subtract each row's own.",
            _divided(lambda scores, future: _EXPONENTIALS[0](scores - scores.max(), future), more),
        )
        for more in (0.0, 1e-9)
    ),
    *(
        Mistake(
            "maximum of what is hidden",
            "The maximum that is subtracted is that of all keys. Where a hidden one is far above, all that is seen "
            "becomes 0: hide *before* the softmax.",
            _divided(lambda scores, future: scores.softmax(dim=-1) * ~future, more),
        )
        for more in (0.0, 1e-9)
    ),
    *(
        Mistake(
            "something added to the sum",
            "Something is added to the sum of the exponentials, so the weights add up to less than 1: it is not "
            "needed, for the largest of them is exp(0) = 1.",
            _divided(
                lambda scores, future: _EXPONENTIALS[0](
                    scores - scores.masked_fill(future, -torch.inf).amax(-1, True), future
                ),
                more,
            ),
        )
        for more in (1.0, 1e-2, 1e-3, 1e-4)
    ),
)
