"""The form of an answer: its arguments, the kind, shape and type of its results, and that inputs are left alone.

What is found here has a stable name, on which tests and statistics may rely: "an argument renamed", "another default",
"returns None", "wrong type", "a float where a whole number belongs", "wrong number of results", "wrong shape",
"wrong dtype", "NaN or inf", "changes its input", "another result the second time", "input not used",
"gradient missing".
"""

import inspect
import typing
from inspect import Parameter
from numbers import Number

from torch import Tensor

from mini_moe.course.checking.effect import NOT_USED, unused
from mini_moe.course.checking.exercise import Wrong, argument_label
from mini_moe.course.checking.observe import observe, same_outputs


def well_formed(reference):
    """A property's test: the results have the form of the reference's, and the inputs are left alone."""

    def test(function, *case):
        _compare_arguments(function, reference)
        mine, theirs = observe(function, case), observe(reference, case)
        result = typing.get_type_hints(reference).get("return")
        _compare_forms(mine.outputs, theirs.outputs, whole=int in (result, *typing.get_args(result)))
        for path in mine.changed:
            if path not in theirs.changed:
                name = argument_label(reference, path)
                raise Wrong(
                    f"It changes its input `{name}`, which the caller still needs: write to a copy, or use the "
                    "operation without the underscore.",
                    mistake="changes its input",
                )
        again = observe(function, case)
        if not same_outputs(mine, again):
            raise Wrong(
                "Called again with the same input, it gives another result: it keeps something from call to call, in a "
                "global, or in a default value that it writes to.",
                got=again.outputs,
                expected=mine.outputs,
                mistake="another result the second time",
            )
        for path, gradient in theirs.gradients.items():
            if mine.gradients[path] is None and gradient is not None and gradient.any():
                name = argument_label(reference, path)
                if unused(function, reference, [case], lambda path: argument_label(reference, path)) == name:
                    raise Wrong(NOT_USED.format(name), mistake="input not used")
                raise Wrong(
                    f"No gradient reaches `{name}`: a `.detach()`, `.item()`, `.data`, `no_grad` or a new tensor cuts "
                    "it off, and nothing before it would ever learn.",
                    mistake="gradient missing",
                )

    return test


def _compare_arguments(function, reference):
    """Arguments that may be left out, or are given by name, must be called and be as they are in the statement."""
    try:
        given = inspect.signature(function).parameters
    except (TypeError, ValueError):  # a function of C has none to show
        return
    if any(argument.kind in (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD) for argument in given.values()):
        return
    for name, argument in inspect.signature(reference).parameters.items():
        if argument.default is Parameter.empty:
            continue
        if name not in given:
            says = (
                f"It has no argument `{name}`: keep the first line as it was given, lessons pass it by name."
            )
            raise Wrong(says, mistake="an argument renamed")
        if given[name].default != argument.default:
            now = "none" if given[name].default is Parameter.empty else repr(given[name].default)
            says = f"Where `{name}` is left out it must be {argument.default!r}; here its default is {now}."
            raise Wrong(says, mistake="another default")


def _compare_forms(got, expected, where="It returns", *, whole=False):
    if got is None and expected is not None:
        raise Wrong(f"{where} None: is there a `return`?", mistake="returns None")
    if _kind(got) != _kind(expected):
        raise Wrong(f"{where} {_kind(got)}, where {_kind(expected)} is expected.", mistake="wrong type")
    if isinstance(expected, (tuple, list)):
        if len(got) != len(expected):
            raise Wrong(
                f"{where} a tuple of {len(got)}, where one of {len(expected)} is expected.",
                mistake="wrong number of results",
            )
        for i, pair in enumerate(zip(got, expected, strict=True)):
            _compare_forms(*pair, where=f"As result {i + 1} of {len(expected)} it returns", whole=whole)
    if whole and isinstance(expected, int) and isinstance(got, float):
        raise Wrong(
            f"{where} a float, {got!r}, where a whole number belongs: `//` divides whole numbers, and `int` makes one.",
            mistake="a float where a whole number belongs",
        )
    if not isinstance(expected, Tensor):
        return
    if got.shape != expected.shape:
        raise Wrong(
            f"{where} the shape {tuple(got.shape)}, where {tuple(expected.shape)} is expected.",
            got=got,
            expected=expected,
            mistake="wrong shape",
        )
    if got.dtype != expected.dtype:
        raise Wrong(f"{where} {got.dtype}, where {expected.dtype} is expected.", mistake="wrong dtype")
    # Where the right result has infinities of its own, one in another place is no accident: the properties judge it.
    meant = expected.double().isinf().any()
    lost = got.double().isnan() if meant else ~got.double().isfinite()
    if (lost & expected.double().isfinite()).any():
        raise Wrong(
            f"{where} NaN or infinity: something divides by zero, takes the logarithm of zero, or a softmax of "
            "scores that are all -inf.",
            got=got,
            expected=expected,
            mistake="NaN or inf",
        )


def _kind(value):
    for types, kind in ((Tensor, "a tensor"), (Number, "a number"), ((tuple, list), "a tuple")):
        if isinstance(value, types):
            return kind
    return "None" if value is None else f"a value of type `{type(value).__name__}`"
