"""Lesson 02: what its exercises draw, and what several must hold, each a property's test made for a reference."""

import torch

from mini_moe.course.checking.exercise import Wrong, must_equal
from mini_moe.course.checking.observe import TOLERANCE, copied, flatten


def memory_and_matrices(generator, B, H, S, P, R, C, W):
    """What `expand` takes."""
    memory = torch.randn(B, S, C + R, generator=generator)
    w_uk, w_uv = (torch.randn(H, width, C, generator=generator) / C**0.5 for width in (P, W))
    return memory, w_uk, w_uv


def of_heads(latent, w):
    """Each head's features, (B, H, S, P)."""
    return torch.einsum("bsc,hpc->bhsp", latent, w)


def exact(reference):
    """The results are not rounded to a narrower type than they have."""

    def test(function, *case):
        for (_, got), (_, expected) in zip(flatten(function(*case)), flatten(reference(*case)), strict=True):
            narrow = got.bfloat16().to(got)
            near = torch.allclose(got, expected, rtol=TOLERANCE[torch.bfloat16], atol=0.02 * expected.abs().max())
            if near and torch.equal(got, narrow) and not torch.equal(expected, expected.bfloat16().to(expected)):
                raise Wrong(
                    f"Its results have only the digits of bfloat16, though they are {got.dtype}: somewhere on the way "
                    "they were rounded. Compute in the type of the inputs, or in a wider one.",
                    mistake="rounded",
                )

    return test


def any_layout(reference):
    """Inputs that lie in memory in another order are as good."""

    def last_dimension_first(tensor):
        order = range(tensor.ndim - 1, -1, -1)
        return tensor.permute(*order).contiguous().permute(*order)

    def test(function, *case):
        case = copied(case, last_dimension_first)
        try:
            got = function(*case)
        except RuntimeError as error:
            if "view size is not compatible" not in str(error):
                raise
            raise Wrong(
                "It stops where an input is not contiguous, as a transposed tensor or a slice is: `view` needs the "
                "numbers in order. Use `reshape` or `flatten`.",
                mistake="needs contiguous inputs",
            ) from error
        for (_, one), (_, other) in zip(flatten(got), flatten(reference(*case)), strict=True):
            must_equal(one, other, "Where an input is not contiguous, the result is not what the formula gives.")

    return test
