"""Lesson 05: properties that several of its exercises claim, whatever they compute."""

import math

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from mini_moe.course.checking.exercise import Wrong, must_equal
from mini_moe.course.checking.observe import close


def operations(function, *case):
    """Multiplications and additions in matrix products; torch counts all but those with a vector, which are added."""
    with_vectors = {torch.ops.aten.mv: lambda matrix, vector, **_: 2 * math.prod(matrix)}
    with FlopCounterMode(display=False, custom_mapping=with_vectors) as counter:
        function(*case)
    return counter.get_total_flops()


def must_cost_the_same(few, many, cure):
    """The work with some experts and with twice as many, at the same number of rows; ``cure`` ends the sentence.

    None at all are counted where a width of 1 makes a product elementwise: that tells nothing.
    """
    if many > few > 0:
        raise Wrong(
            f"With twice the experts, for as many rows, the matrix products take {many} operations in place of {few}: "
            f"{cure}",
            mistake="every expert for all",
        )


def right(test, function, case):
    """Whether a function passes a property's test on a case."""
    try:
        test(function, *case)
    except Wrong:
        return False
    return True


def equals(reference):
    """A property's test: the result, a tensor, is the reference's."""
    return lambda function, *case: must_equal(function(*case), reference(*case), "")


def keeps_nothing(test, twins):
    """A property's test: a call has no effect on the next.

    ``twins(times, *case)`` are two inputs of the same sizes, which are no case's and grow with ``times``.
    Only who is right on whichever twin comes first, and wrong on the other, is told; ``test`` finds what is wrong.
    """

    def property_test(function, *case):
        (one, other), (before, after) = twins(17, *case), twins(18, *case)
        if [right(test, function, twin) for twin in (one, other, after, before)] == [True, False, True, False]:
            raise Wrong(
                "The first input of some sizes gets its result, and the next, of the same sizes, a wrong one: it keeps "
                "something from call to call, in a global, or in a default value that it writes to.",
                mistake="keeps something from call to call",
            )

    return property_test


def any_strides(test):
    """A property's test: what passes ``test`` passes it with inputs that are not contiguous, too."""

    def property_test(function, *case):
        case = tuple(_not_contiguous(value) if isinstance(value, Tensor) else value for value in case)
        try:
            if right(test, function, case):
                return
        except RuntimeError as error:
            says = f"it stops: {str(error).splitlines()[0]}"
        else:
            says = "its result is wrong: what lies in memory is in another order."
        says = f"With inputs that are not contiguous, as transposed ones are, {says}"
        raise Wrong(says, mistake="contiguous inputs only")

    return property_test


def _not_contiguous(tensor):
    """The same values, with other strides where there are two dimensions."""
    return tensor if tensor.ndim < 2 else tensor.transpose(-1, -2).contiguous().transpose(-1, -2)


def takes_many(test, smallest, *inputs):
    """A property's test: ``test`` is passed with large inputs, too, each ``(what there is much of, *case)``.

    They are the same whatever the case, and tried with the one of which ``smallest(*case)`` holds.
    """

    def property_test(function, *case):
        for what, *large in inputs if smallest(*case) else ():
            try:
                test(function, *large)
            except Wrong as wrong:
                says = f"With {what} it is wrong. {wrong.message} Are there numbers of too few bits?"
                raise Wrong(says, mistake="large numbers") from wrong

    return property_test


def keeps_precision(reference):
    """A property's test: the result is not nearly right, as it is where something is rounded to 16 bits on the way."""

    def test(function, *case):
        got, expected = function(*case), reference(*case)
        near = torch.isclose(got, expected, rtol=2e-2, atol=1e-2 * expected.abs().max().item())
        exact = torch.isclose(got, expected, rtol=2e-5, atol=1e-6)
        if near.all() and 2 * exact.sum() < exact.numel() and expected.numel() > 3 and not close(got, expected):
            raise Wrong(
                "It is right to two or three digits only, as where something is rounded to bfloat16 or float16 on the "
                "way: keep the type of the inputs.",
                got=got,
                expected=expected,
                mistake="too few digits",
            )

    return test


def takes_large(reference, enlarge):
    """A property's test: who is right on a case is so on the one that ``enlarge`` makes of it, of large numbers."""

    def test(function, *case):
        large = enlarge(*case)
        if right(equals(reference), function, case) and not right(equals(reference), function, large):
            raise Wrong(
                "It is right for these numbers, and wrong for others a hundred times as large: something is cut off, "
                "or overflows.",
                mistake="large numbers",
            )

    return test
