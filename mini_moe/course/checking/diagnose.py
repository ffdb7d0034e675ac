"""The mistakes that any exercise can meet, found without being declared, and how a declared one is recognised.

The built-in ones have stable names, which tests and statistics may rely on: those of `guard` and of `form`, and
"part of an input not used", "the same for every input".
"""

from mini_moe.course.checking.effect import NOT_USED, idle_part, same_for_all, unused
from mini_moe.course.checking.exercise import Wrong, argument_label
from mini_moe.course.checking.guard import attempt
from mini_moe.course.checking.observe import observe, same_outputs, unlike_gradients

MAY_BE_CONSTANT = (None, "wrong shape", "gradient missing", "input not used")  # what else a constant looks like


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
