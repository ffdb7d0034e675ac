"""Lesson 06: what its exercises draw."""

import torch

from mini_moe.course.checking.exercise import Wrong
from mini_moe.course.checking.observe import TOLERANCE


def backwards(tensor):
    """The same numbers, in memory from the last dimension to the first: no view of it joins two dimensions."""
    return tensor.permute(*reversed(range(tensor.ndim))).contiguous().permute(*reversed(range(tensor.ndim)))


def documents(generator, *rows):
    """Document ids, any numbers, of texts whose documents, four at most, have the lengths in ``rows``.

    The ids of a row rise and fall, sometimes by one.

    >>> documents(torch.Generator().manual_seed(0), (2, 1)).diff()
    tensor([[ 0, -3]])
    """
    first = torch.randint(-50, 50, (len(rows),), generator=generator).tolist()
    steps = (0, -3, -2, 2), (0, 1, 5, 4), (0, 4, 3, 7), (0, -1, -4, -3)
    return torch.stack(
        [
            torch.tensor(steps[i % 4][: len(lengths)]).repeat_interleave(torch.tensor(lengths)) + first[i]
            for i, lengths in enumerate(rows)
        ]
    )


def exact(reference):
    """A property's test: the result, a tensor, is not rounded to a narrower type than it has."""

    def test(function, *case):
        got, expected = function(*case), reference(*case)
        near = torch.allclose(got, expected, rtol=TOLERANCE[torch.bfloat16], atol=0.02 * expected.abs().max())
        if near and torch.equal(got, got.bfloat16().to(got)) and not torch.equal(expected, expected.bfloat16().float()):
            raise Wrong(
                f"The result has only the digits of bfloat16, though it is {got.dtype}: somewhere on the way it was "
                "rounded. Compute in the type of the inputs, or in a wider one.",
                mistake="rounded",
            )

    return test
