"""Run a learner's code, which may raise, exit or never end, and say what became of it.

What is found here has a stable name, on which tests and statistics may rely: "not written yet", "calls a stub",
"raises <Error>", "refuses a legal input", "takes too long", "overwrites what the gradient needs",
"writes into a slice".
"""

import inspect
import signal
import threading
import traceback
from contextlib import contextmanager

from mini_moe.course.checking.exercise import Wrong
from mini_moe.course.checking.observe import copied, observe

LIMIT_SECONDS = 20


class TimeUp(BaseException):
    """The time limit of one call is over. No ``Exception``, so that ``except Exception`` in a loop does not eat it."""


@contextmanager
def time_limit():
    """Raise `TimeUp` in the body after `LIMIT_SECONDS`; only the main thread of a POSIX system can be interrupted.

    A limit inside another one is none of its own: the outer one holds for all of its body.
    """
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "setitimer") or _limited():
        yield
        return

    def stop(_signal, frame):
        if not _imports(frame):
            raise TimeUp

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, LIMIT_SECONDS, 1)  # and every second: an import may eat the first
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _limited():
    return signal.getitimer(signal.ITIMER_REAL)[0] > 0


def _imports(frame):
    """Is this in the middle of an import? Cut there, it would leave half a module behind, for good."""
    while frame is not None and frame.f_code.co_filename != "<frozen importlib._bootstrap>":
        frame = frame.f_back
    return frame is not None


def attempt(function, case):
    """What `observe` sees of one call, or None if it raises, exits or takes too long."""
    try:
        with time_limit():
            return observe(function, case)
    except (Exception, SystemExit):
        return None
    except TimeUp:
        if _limited():  # that was the time of more than this call
            raise
        return None


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
    function = inspect.unwrap(function)  # under a decorator stands the learner's own
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
    if "is a view and is being modified inplace" in str(error):
        return Wrong(
            f"In {where} it writes into what `unbind`, `split` or `chunk` gave: that is a window on another tensor, "
            "and the gradient forbids it. Make new tensors and put them together, by `torch.stack` or `torch.cat`.",
            mistake="writes into a slice",
        )
    if "modified by an inplace operation" in str(error):
        return Wrong(
            "It writes into a tensor that the gradient still needs: make a new one, `x = x / y` in place of `x /= y`, "
            "or `torch.stack` in place of writing to slices.",
            mistake="overwrites what the gradient needs",
        )
    begins = "assert " if isinstance(error, AssertionError) else "raise "
    if own and own[-1] == last and (last.line or "").startswith(begins):
        return Wrong(
            f"It refuses an input that is legal, in {where}: is the condition before it the right one?",
            mistake="refuses a legal input",
        )
    kind = type(error).__name__
    message = f": {str(error).splitlines()[0]}" if str(error) else "."
    return Wrong(f"It stops in {where}, with {kind}{message}", mistake=f"raises {kind}")
