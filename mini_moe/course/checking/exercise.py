"""What a lesson declares: exercises, the properties they claim, and the mistakes they know.

An exercise is tested by *properties* first (the weights add up; a permutation changes nothing), because a property
says what matters, and a comparison with the library says only that two programs differ. `agrees_with` is the last
property of most exercises, never the only one.

What is found here has a stable name, on which tests and statistics may rely: "not refused" (where an `Illegal` has no
name of its own), "error without the value", "another error than documented", "wrong gradient",
"wrong in another order".
"""

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass, field

import torch

from mini_moe.course.checking.observe import close, copied, doubled, flatten, observe, same_outputs, unlike_gradients


class Wrong(Exception):
    """A property does not hold.

    Args:
        message: one sentence for the learner, in the present tense; `backticks` become code.
        got, expected: what came and what should have come; shown side by side. Without them, the results are.
        mistake: a stable name for the kind of mistake, where the message is already its diagnosis.
    """

    def __init__(self, message, *, got=None, expected=None, mistake=None):
        super().__init__(message)
        self.message, self.got, self.expected, self.mistake = message, got, expected, mistake


def must_equal(got, expected, message, mistake=None):
    """Raise `Wrong` with ``message`` unless the two are equal but for rounding.

    They are not shown: they may come from another input than the card's, for which it shows the results itself.
    """
    if not close(got, expected):
        raise Wrong(message, mistake=mistake)


@dataclass(frozen=True)
class Property:
    """``claim`` completes "Your function: ..."; ``test(function, *case)`` raises `Wrong` where it does not hold."""

    claim: str
    test: Callable


@dataclass(frozen=True)
class Mistake:
    """A mistake that people make: what it is called, what to tell who made it, and a function that makes it."""

    name: str
    says: str
    function: Callable


@dataclass(frozen=True, kw_only=True)
class Exercise:
    """One function to write.

    ``cases(generator)`` yields tuples of arguments, smallest first, random from the ``torch.Generator`` it is given.
    They must tell every mistake from the reference, and the reference must accept them all.
    """

    reference: Callable  # the library's function
    cases: Callable
    properties: tuple[Property, ...]
    mistakes: tuple[Mistake, ...]
    hints: tuple[str, str, str]  # of growing directness
    difficulty: int  # 1 (follow the formula), 2 (think) or 3 (think twice)
    minutes: int  # for somebody who knows PyTorch and has read the lesson so far
    constants: tuple[str, ...] = ()  # names of inputs that nothing is learned through: gradients to them do not count
    name: str = ""  # of the function to write; the reference's

    def __post_init__(self):
        if not self.name:
            object.__setattr__(self, "name", self.reference.__name__)
        if not self.properties:
            raise ValueError(f"properties of {self.name} must be one or more, got none.")
        if len(self.hints) != 3:
            raise ValueError(f"hints of {self.name} must be 3, got {len(self.hints)}.")
        if self.difficulty not in (1, 2, 3):
            raise ValueError(f"difficulty of {self.name} must be 1, 2 or 3, got {self.difficulty}.")


def argument_label(reference, path):
    """What a learner calls the input at ``path``: its parameter's name, then the way inside.

    >>> argument_label(lambda x, pair: None, "[1][0]")
    'pair[0]'
    """
    index, _, inside = path[1:].partition("]")
    names = list(inspect.signature(reference).parameters)
    return (names[int(index)] if int(index) < len(names) else f"argument {int(index) + 1}") + inside


@dataclass(frozen=True)
class Illegal:
    """An input that is to be refused: the arguments, and the value in them that no function can use."""

    arguments: tuple
    name: str  # of the value, as the statement calls it
    value: object
    options: dict = field(default_factory=dict)  # arguments by keyword
    why: str = ""  # a sentence for the learner whose function takes it
    mistake: str = "not refused"


def refuses(*illegal):
    """A property's test: each `Illegal` that ``illegal`` makes of a case is refused by a ValueError that tells it.

    One that is None, where a case offers nothing to spoil, is passed over.
    """

    def test(function, *case):
        for input in filter(None, (spoil(*case) for spoil in illegal)):
            given = f"`{input.name} = {input.value}`"
            try:
                function(*input.arguments, **input.options)
            except NotImplementedError:
                raise
            except ValueError as error:
                if not _numbers(input.value) <= _numbers(error):
                    says = f"{given} ends in a ValueError that does not tell the value: check first, and tell it."
                    raise Wrong(says, mistake="error without the value") from error
            except Exception as error:
                says = f"{given} must be refused by a ValueError, not by {type(error).__name__}."
                raise Wrong(f"{says} {input.why}".strip(), mistake="another error than documented") from error
            else:
                raise Wrong(f"{given} must be refused: raise a ValueError. {input.why}".strip(), mistake=input.mistake)

    return test


def _numbers(text):
    return set(re.findall(r"-?\d+", str(text)))


def agrees_with(reference, constants=()):
    """A property's test: results and gradients equal those of ``reference``.

    The reference is called in the case's own dtype and, if that differs, in float64: who rounds less than the library
    is right too. Gradients to ``constants`` do not count. Where the reference's results carry no gradient (it is used
    for inference only), the learner's may. Results are compared once more, the numbers in another order.
    """

    def test(function, *case):
        mine, theirs = observe(function, case), observe(reference, case)
        if not same_outputs(mine, theirs) and not same_outputs(mine, observe(reference, doubled(case))):
            for (path, got), (_, expected) in zip(flatten(mine.outputs), flatten(theirs.outputs), strict=True):
                if not close(got, expected):
                    raise Wrong(f"Its result{path} is not what the formula gives.", got=got, expected=expected)
        exact = observe(reference, doubled(case))
        learns = any(gradient is not None for gradient in theirs.gradients.values())
        suspects = [path for path in unlike_gradients(mine, theirs) if learns and path in unlike_gradients(mine, exact)]
        suspects = [path for path in suspects if argument_label(reference, path) not in constants]
        if suspects and not _right_in_float64(function, case, exact, suspects):
            path = suspects[0]
            raise Wrong(
                f"The result is right, but the gradient to `{argument_label(reference, path)}` is not: "
                "it would train differently.",
                got=_gradient(mine, path),
                expected=_gradient(theirs, path),
                mistake="wrong gradient",
            )
        rolled = copied(case, _rolled)
        again, due = observe(function, rolled), observe(reference, rolled)
        if not same_outputs(again, due) and not same_outputs(again, observe(reference, doubled(rolled))):
            raise Wrong(
                "It is right on this input, and wrong where its numbers come again in another order: does it keep "
                "something from an earlier call, or count on an order?",
                mistake="wrong in another order",
            )

    return test


def _rolled(tensor):
    """The same numbers in another order: for who keeps something by its shape, an input like one that was there."""
    return tensor.roll(1, dims=0) if tensor.is_floating_point() and tensor.ndim else tensor.clone()


def _right_in_float64(function, case, exact, paths):
    """Whether gradients differ by rounding alone, as where two large terms nearly cancel: then float64 mends them."""
    try:
        unlike = unlike_gradients(observe(function, doubled(case)), exact)
    except (RuntimeError, TypeError):  # it does not take float64, which nobody asked of it
        return False
    return not set(unlike) & set(paths)


def _gradient(observation, path):
    gradient = observation.gradients[path]
    return torch.zeros(()) if gradient is None else gradient
