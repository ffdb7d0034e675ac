"""The form of an answer: the kind, shape and type of its results, its gradients, and that inputs are left alone.

What is found here has a stable name, on which tests and statistics may rely: "returns None", "wrong type",
"wrong number of results", "wrong shape", "wrong dtype", "NaN or inf", "changes its input",
"another result the second time", "input not used", "gradient missing".
"""

from numbers import Number

from torch import Tensor

from mini_moe.course.checking.effect import NOT_USED, unused
from mini_moe.course.checking.exercise import Wrong, argument_label
from mini_moe.course.checking.observe import observe, same_outputs


def well_formed(reference, constants=()):
    """A property's test: the results have the form of the reference's, and the inputs are left alone.

    Args:
        constants: names of inputs that nothing is learned through: no gradient need reach them.
    """

    def test(function, *case):
        mine, theirs = observe(function, case), observe(reference, case)
        _compare_forms(mine.outputs, theirs.outputs)
        again = observe(function, case, gradients=False)
        for path in mine.changed + again.changed:
            if path not in theirs.changed:
                name = argument_label(reference, path)
                raise Wrong(
                    f"It changes its input `{name}`, which the caller still needs: write to a copy, or use the "
                    "operation without the underscore.",
                    mistake="changes its input",
                )
        if not same_outputs(mine, again):
            raise Wrong(
                "Called again with the same input, it gives another result: it draws random numbers, or keeps "
                "something from call to call, in a global or in a default value that it writes to.",
                got=again.outputs,
                expected=mine.outputs,
                mistake="another result the second time",
            )
        for path, gradient in theirs.gradients.items():
            name = argument_label(reference, path)
            if name not in constants and mine.gradients[path] is None and gradient is not None and gradient.any():
                if path in unused(function, reference, [case]):
                    raise Wrong(NOT_USED.format(name), mistake="input not used")
                raise Wrong(
                    f"No gradient reaches `{name}`: a `.detach()`, `.item()`, `.data`, `no_grad` or a new tensor cuts "
                    "it off, and nothing before it would ever learn.",
                    mistake="gradient missing",
                )

    return test


def _compare_forms(got, expected, where="It returns"):
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
            _compare_forms(*pair, where=f"As result {i + 1} of {len(expected)} it returns")
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
            f"{where} NaN or infinity: something divides by zero, multiplies zero by infinity, takes the logarithm of "
            "zero, or a softmax of scores that are all -inf.",
            got=got,
            expected=expected,
            mistake="NaN or inf",
        )


def _kind(value):
    for types, kind in ((Tensor, "a tensor"), (Number, "a number"), ((tuple, list), "a tuple")):
        if isinstance(value, types):
            return kind
    return "None" if value is None else f"a value of type `{type(value).__name__}`"
