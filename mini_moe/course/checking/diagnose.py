"""The mistakes that any exercise can meet, found without being declared, and how a declared one is recognised.

The built-in ones have stable names, which tests and statistics may rely on: those of `guard` and of `form`, and
"another default", "part of an input not used", "the same for every input".
"""

import inspect
from inspect import Parameter

from mini_moe.course.checking.effect import NOT_USED, idle_part, same_for_all, unused
from mini_moe.course.checking.exercise import Wrong, argument_label
from mini_moe.course.checking.guard import attempt
from mini_moe.course.checking.observe import observe, same_outputs, unlike_gradients

MAY_BE_CONSTANT = (None, "wrong shape", "gradient missing", "input not used")  # what else a constant looks like


def general(wrong, reference, function, cases, case):
    """``wrong``, with what can be said truly of a function that makes no mistake that is known, if there is anything.

    Its message keeps the lead: an input that is not used need not be all that is wrong.

    Args:
        case: the one that shows it; what it leaves out leads to the defaults.
    """

    def with_more(says, mistake):
        return Wrong(f"{wrong.message} {says}", got=wrong.got, expected=wrong.expected, mistake=mistake)

    if wrong.mistake in MAY_BE_CONSTANT and same_for_all(function, reference, cases):
        return with_more("It is the same whatever is given: compute it from the arguments.", "the same for every input")
    if says := _another_default(function, reference, case, 0 if wrong.mistake is None else len(case)):
        return with_more(says, "another default")
    if wrong.mistake is not None:
        return wrong
    if paths := unused(function, reference, cases):
        return with_more(NOT_USED.format(argument_label(reference, paths[0])), "input not used")
    if part := idle_part(function, reference, case):
        path, dim, active = part
        only = f"index {', '.join(map(str, active))} of dimension {dim}"
        says = f"Of `{argument_label(reference, path)}` only {only} has an effect on the result here."
        return with_more(says, "part of an input not used")
    return wrong


def _another_default(function, reference, case, given):
    """A sentence on the first argument, after so many ``given``, whose default is not the statement's, or None.

    Another one in the signature is none if it makes no difference, as a None that the body replaces.
    """
    try:
        own = inspect.signature(function).parameters
    except (TypeError, ValueError):  # a function of C has none to show
        return None
    if any(mine.kind in (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD) for mine in own.values()):
        return None
    stated = list(inspect.signature(reference).parameters.values())
    in_place = dict(zip((argument.name for argument in stated), own.values(), strict=False))
    for i, argument in enumerate(stated[given:], given):
        mine = own.get(argument.name) or in_place.get(argument.name)
        if mine is None or argument.default is Parameter.empty or mine.default == argument.default:
            continue
        before = (*case[:i], *(skipped.default for skipped in stated[len(case) : i]))
        left_out, given_it = attempt(function, before), attempt(function, (*before, argument.default))
        if left_out is None or given_it is None or not same_outputs(left_out, given_it):
            now = "there is no default" if mine.default is Parameter.empty else f"the default is {mine.default!r}"
            return f"Where `{argument.name}` is left out it must be {argument.default!r}; here {now}."
    return None


def recognise(exercise, function, cases):
    """The first declared mistake whose function does as ``function`` does on all the cases that it survives, or None.

    Results decide. Between functions whose results are all right, it decides whether they stop on the same cases, and
    then the gradients.
    """
    mine = [attempt(function, case) for case in cases]
    right = [observe(exercise.reference, case) for case in cases]
    for mistake in exercise.mistakes:
        wrong = [attempt(mistake.function, case) for case in cases]
        if _looks_like(list(zip(mine, wrong, right, strict=True))):
            return mistake
    return None


def _looks_like(triples):
    survived = [triple for triple in triples if triple[1] is not None]
    if not survived or any(mine is None or not same_outputs(mine, wrong) for mine, wrong, _ in survived):
        return False
    if any(not same_outputs(wrong, right) for _, wrong, right in survived):
        return True
    if len(survived) < len(triples) and all(mine is None for mine, wrong, _ in triples if wrong is None):
        return True
    return any(unlike_gradients(wrong, right) for _, wrong, right in survived) and not any(
        unlike_gradients(mine, wrong) for mine, wrong, _ in survived
    )
