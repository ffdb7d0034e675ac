"""Lesson 01: what several of its functions must hold, each a property's test made for a reference."""

import torch
from torch import Tensor

from mini_moe.course.checking.exercise import Wrong, argument_label, must_equal
from mini_moe.course.checking.observe import close, copied, flatten


def inputs_kept(reference):
    """A call without gradients, where PyTorch forbids no writing, leaves its inputs as they are."""

    def test(function, *case):
        given = copied(case)
        with torch.no_grad():
            function(*given)
        for (path, now), (_, was) in zip(flatten(given), flatten(case), strict=True):
            if isinstance(was, Tensor) and not torch.equal(now, was):
                raise Wrong(
                    f"Where no gradient is wanted, it changes its input `{argument_label(reference, path)}`, which the "
                    "caller still needs: write to a copy.",
                    mistake="changes its input",
                )

    return test


def nothing_remembered(reference):
    """Who is right on an input is right on the next of the same shape, too: the same one, rolled by one."""

    def test(function, *case):
        rolled = copied(case, lambda tensor: tensor.roll(1, dims=0))
        if close(function(*case), reference(*case)) and not close(function(*rolled), reference(*rolled)):
            raise Wrong(
                "It is right on one input, and wrong on the next of the same shape: does it keep something of the "
                "first call, and find it again by the shape alone?",
                mistake="kept from an earlier call",
            )

    return test


def type_kept(reference):
    """With the first argument in bfloat16 and the others in float32, the result is right, and in bfloat16."""

    def test(function, x, *others):
        x = x.bfloat16()
        try:
            got = function(x, *others)
        except Exception as error:  # a NotImplementedError, too: PyTorch lacks some operations in 16 bits
            says = f"With x in bfloat16 it stops, with {type(error).__name__}: {str(error).splitlines()[0]}"
            raise Wrong(says, mistake="stops in bfloat16") from error
        if got.dtype != x.dtype:
            says = f"For x in bfloat16 it returns {got.dtype}: give the result back in the type of x, `.to(x.dtype)`."
            raise Wrong(says, mistake="wrong dtype")
        must_equal(got, reference(x, *others), "With x in bfloat16 its result is not what the formula gives.")

    return test
