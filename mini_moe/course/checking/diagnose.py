"""The mistakes that any exercise can meet, found without being declared, and how a declared one is recognised.

The built-in ones have stable names, which tests and statistics may rely on: those of `guard`, and "returns None",
"wrong type", "wrong number of results", "wrong shape", "wrong dtype", "NaN or inf", "changes its input",
"another result the second time", "input not used", "part of an input not used", "gradient missing",
"the same for every input".
"""

from numbers import Number

from torch import Tensor

from mini_moe.course.checking.effect import idle_part, same_for_all, unused
from mini_moe.course.checking.exercise import Wrong, argument_label
from mini_moe.course.checking.guard import attempt
from mini_moe.course.checking.observe import observe, same_outputs, unlike_gradients

MAY_BE_CONSTANT = (None, "wrong shape", "gradient missing", "input not used")  # what else a constant looks like
NOT_USED = "`{}` is not used: whatever it is, the result stays the same."


def well_formed(reference):
    """A property's test: the results have the form of the reference's, and the inputs are left alone."""

    def test(function, *case):
        mine, theirs = observe(function, case), observe(reference, case)
        _compare_forms(mine.outputs, theirs.outputs)
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


def general(wrong, reference, function, cases):
    """``wrong``, with what can be said truly of a function that makes no mistake that is known, if there is anything.

    Its message keeps the lead: an input that is not used need not be all that is wrong.
    """

    def label(path):
        return argument_label(reference, path)

    def with_more(says, mistake):
        return Wrong(f"{wrong.message} {says}", got=wrong.got, expected=wrong.expected, mistake=mistake)

    if wrong.mistake in MAY_BE_CONSTANT and same_for_all(function, reference, cases):
        return with_more("It is the same whatever is given: compute it from the arguments.", "the same for every input")
    if wrong.mistake is not None:
        return wrong
    if name := unused(function, reference, cases, label):
        return with_more(NOT_USED.format(name), "input not used")
    if part := idle_part(function, reference, cases, label):
        name, dim, active = part
        only = f"Of `{name}` only index {', '.join(map(str, active))} of dimension {dim} has an effect on the result."
        return with_more(only, "part of an input not used")
    return wrong


def recognise(exercise, function, cases):
    """The first declared mistake whose function does as ``function`` does on all the cases that it survives, or None.

    Results decide; gradients do only between functions whose results are all right.
    """
    mine = [attempt(function, case) for case in cases]
    right = [observe(exercise.reference, case) for case in cases]
    for mistake in exercise.mistakes:
        wrong = [attempt(mistake.function, case) for case in cases]
        if _looks_like([triple for triple in zip(mine, wrong, right, strict=True) if triple[1] is not None]):
            return mistake
    return None


def _looks_like(triples):
    if any(mine is None or not same_outputs(mine, wrong) for mine, wrong, _ in triples):
        return False
    if any(not same_outputs(wrong, right) for _, wrong, right in triples):
        return True
    return any(unlike_gradients(wrong, right) for _, wrong, right in triples) and not any(
        unlike_gradients(mine, wrong) for mine, wrong, _ in triples
    )
