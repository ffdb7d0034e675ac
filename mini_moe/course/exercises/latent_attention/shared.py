"""Lesson 02: what its exercises draw, and what several must hold, each a property's test made for a reference."""

import warnings

import torch
from torch import Tensor

from mini_moe.course.checking.exercise import Wrong, must_equal
from mini_moe.course.checking.observe import TOLERANCE, close, copied, doubled, flatten


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


def any_type(reference, *, wide=()):
    """Right in float64 and in bfloat16, and given back in that type.

    Beside bfloat16 the arguments numbered in ``wide`` stay float32. For functions that are right in float32: it comes
    last.
    """

    def test(function, *case):
        for dtype in (torch.float64, torch.bfloat16):
            typed = tuple(
                value.to(torch.promote_types(dtype, torch.float32) if i in wide else dtype)
                if isinstance(value, Tensor)
                else value
                for i, value in enumerate(case)
            )
            try:
                with warnings.catch_warnings(action="ignore"):  # of types that are mixed
                    got = function(*typed)
            except Exception as error:
                says = f"Given {dtype}, it stops, with {type(error).__name__}: {str(error).splitlines()[0]}"
                raise Wrong(says, mistake="stops in another type") from error
            results = (list(flatten(value)) for value in (got, reference(*typed), reference(*doubled(typed))))
            for (_, one), (_, other), (_, truth) in zip(*results, strict=True):
                if one.dtype != dtype:
                    raise Wrong(
                        f"Given {dtype}, it returns {one.dtype}: the result is to have the type of the inputs.",
                        mistake="wrong dtype",
                    )
                if not close(one, other) and not close(one, truth):
                    raise Wrong(
                        f"Right in float32, but given {dtype} it keeps fewer digits than that has: somewhere on the "
                        "way it computes in a narrower type.",
                        mistake="digits lost",
                    )

    return test
