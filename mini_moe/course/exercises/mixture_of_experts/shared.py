"""Lesson 03: what several of its exercises share."""

import torch
from torch import Tensor

from mini_moe.course.checking.exercise import Property, Wrong
from mini_moe.course.checking.observe import close, copied, flatten


def must_match(got, expected, message, mistake):
    """Raise `Wrong` unless the two are equal but for rounding; as `must_equal`, with a name for the mistake."""
    if not close(got, expected):
        raise Wrong(message, mistake=mistake)


def _leaves_alone(function, *case):
    given = copied(case)
    function(*given)
    for (_, now), (_, was) in zip(flatten(given), flatten(case), strict=True):
        if isinstance(was, Tensor) and not torch.equal(now, was):
            raise Wrong(
                "Given tensors that need no gradient it writes into them, and the caller still needs them: make new "
                "ones.",
                mistake="changes its input",
            )


LEAVES_ALONE = Property("the caller's tensors stay as they are", _leaves_alone)


def share(weights):
    """Each weight, divided by the sum of its row."""
    return weights / weights.sum(dim=-1, keepdim=True)
