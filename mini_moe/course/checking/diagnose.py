"""The mistakes that any exercise can meet, found without being declared, and how a declared one is recognised.

The built-in ones have stable names, which tests and statistics may rely on: "not written yet", "calls a stub",
"raises <Error>", "takes too long", "returns None", "wrong type", "wrong number of results", "wrong shape",
"wrong dtype", "NaN or inf", "changes its input", "gradient missing", "overwrites what the gradient needs".
"""

import signal
import threading
import traceback
from contextlib import contextmanager
from numbers import Number

from torch import Tensor

from mini_moe.course.checking.exercise import Wrong, argument_label
from mini_moe.course.checking.observe import copied, observe, same_outputs, unlike_gradients

LIMIT_SECONDS = 20


class TimeUp(BaseException):
    """The time limit of one call is over. No ``Exception``, so that ``except Exception`` in a loop does not eat it."""


@contextmanager
def time_limit():
    """Raise `TimeUp` in the body after `LIMIT_SECONDS`; only the main thread of a POSIX system can be interrupted."""
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "setitimer"):
        yield
        return

    def stop(_signal, _frame):
        raise TimeUp

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, LIMIT_SECONDS, 1)  # and every second, should a bare except eat the first
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def fault(test, function, case):
    """The `Wrong` that ``test(function, *case)`` raises, or that its crash amounts to, or None."""
    try:
        with time_limit():
            test(function, *copied(case))
    except Wrong as wrong:
        return wrong
    except (Exception, SystemExit, TimeUp) as error:
        return _crash(error, function)
    return None


def _crash(error, function):
    last = traceback.extract_tb(error.__traceback__)[-1]
    if isinstance(error, NotImplementedError) and (last.line or "").startswith("raise NotImplementedError"):
        if last.name != getattr(function, "__name__", last.name):
            says = f"It calls `{last.name}`, which is not written yet: finish that one first."
            return Wrong(says, mistake="calls a stub")
        return Wrong("The body still says `raise NotImplementedError()`.", mistake="not written yet")
    # The learner's own lines are those that run in the namespace of the learner's function.
    frames = zip(traceback.walk_tb(error.__traceback__), traceback.extract_tb(error.__traceback__), strict=True)
    own = [line for (frame, _), line in frames if frame.f_globals is getattr(function, "__globals__", None)]
    where = f"line {own[-1].lineno}, `{own[-1].line}`" if own else "the call itself"
    if isinstance(error, TimeUp):
        return Wrong(
            f"It still ran after {LIMIT_SECONDS} seconds, in {where}: is there a loop that never ends?",
            mistake="takes too long",
        )
    if "modified by an inplace operation" in str(error):
        return Wrong(
            "It writes into a tensor that the gradient still needs: make a new one, `x = x / y` in place of `x /= y`, "
            "or `torch.stack` in place of writing to slices.",
            mistake="overwrites what the gradient needs",
        )
    kind = type(error).__name__
    message = f": {str(error).splitlines()[0]}" if str(error) else "."
    return Wrong(f"It stops in {where}, with {kind}{message}", mistake=f"raises {kind}")


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
        for path, gradient in theirs.gradients.items():
            if mine.gradients[path] is None and gradient is not None and gradient.any():
                name = argument_label(reference, path)
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


def recognise(exercise, function, cases):
    """The first declared mistake whose function does as ``function`` does on all the cases that it survives, or None.

    Results decide; gradients do only between functions whose results are all right.
    """
    mine = [_survives(function, case) for case in cases]
    right = [observe(exercise.reference, case) for case in cases]
    for mistake in exercise.mistakes:
        wrong = [_survives(mistake.function, case) for case in cases]
        if _looks_like([triple for triple in zip(mine, wrong, right, strict=True) if triple[1] is not None]):
            return mistake
    return None


def _survives(function, case):
    try:
        with time_limit():
            return observe(function, case)
    except (Exception, SystemExit, TimeUp):
        return None


def _looks_like(triples):
    if any(mine is None or not same_outputs(mine, wrong) for mine, wrong, _ in triples):
        return False
    if any(not same_outputs(wrong, right) for _, wrong, right in triples):
        return True
    return any(unlike_gradients(wrong, right) for _, wrong, right in triples) and not any(
        unlike_gradients(mine, wrong) for mine, wrong, _ in triples
    )
