"""What an input does to a result, found by changing it: what can be said truly of any function.

    reacts(function, case, changed) = the results on the case and on the changed case differ

An input is *unused* where the reference reacts to every change of it that was tried and the function to none. That is
another thing than an input to which no gradient flows: a detached one still has its effect.
"""

import contextlib
import dataclasses
from numbers import Number

import torch
from torch import Tensor

from mini_moe.course.checking.guard import attempt
from mini_moe.course.checking.observe import DIFFERENTIABLE, flatten, same_outputs

SHAKES = (1.0, -1.0, 100.0, -100.0)  # times a tensor's own size
NOT_USED = "`{}` has no effect on the result: is it used, and not kept from an earlier call?"


def unused(function, reference, cases):
    """The paths of the inputs that change nothing in the function's results, though the reference reacts to each."""
    effects = {}
    for case in cases:
        for path, changed in _changes(case):
            if _reacts(reference, case, changed):
                effects.setdefault(path, []).append(_reacts(function, case, changed))
    return [path for path, reacts in effects.items() if not any(reacts)]


def idle_part(function, reference, cases):
    """(path, dimension, the indices that have an effect), where part of a tensor has none though it should; else None.

    At least one index has its effect (an input without any is `unused`), and it is so in all cases: small changes and
    large ones are tried, up and down, for a function may move in steps.
    """
    found = {}
    for case in cases:
        for path, leaf in flatten(case):
            if isinstance(leaf, Tensor) and leaf.dtype in DIFFERENTIABLE:
                for dim, size in enumerate(leaf.shape):
                    if size > 1:
                        found.setdefault((path, dim), []).append(_active(function, reference, case, path, leaf, dim))
    for (path, dim), outcomes in found.items():
        if all(outcomes) and None not in outcomes:
            return path, dim, outcomes[0]
    return None


def _active(function, reference, case, path, leaf, dim):
    """The indices of a dimension with an effect; None where all have one, or where the reference does not need all."""
    active = []
    for index in range(leaf.shape[dim]):
        moved = [_put(case, path, _shaken(leaf, dim, index, size)) for size in SHAKES]
        if not any(_reacts(reference, case, changed) for changed in moved):
            return None
        active += [index] if any(_reacts(function, case, changed) for changed in moved) else []
    return active if len(active) < leaf.shape[dim] else None


def same_for_all(function, reference, cases):
    """Whether the results are the same on all cases, though those of the reference are not."""
    mine = [attempt(function, case) for case in cases]
    if len(cases) < 2 or None in mine or not all(same_outputs(mine[0], other) for other in mine[1:]):
        return False
    right = [attempt(reference, case) for case in cases]
    return not any(same_outputs(right[0], other) for other in right[1:])


def _reacts(function, case, changed):
    """Whether a function tells the two apart; where it fails on the changed case only, it does."""
    before, after = attempt(function, case), attempt(function, changed)
    if before is None or after is None:
        return before is not after
    return not same_outputs(before, after)


def _changes(case):
    """(path, the case with another value there), one or more for each input that can be changed."""
    for path, leaf in flatten(case):
        if isinstance(leaf, Tensor) and leaf.dtype in DIFFERENTIABLE:
            yield path, _put(case, path, _shaken(leaf))
        elif isinstance(leaf, bool):
            yield path, _put(case, path, not leaf)
        elif isinstance(leaf, Number):
            yield from ((path, _put(case, path, other)) for other in _others(leaf))
        elif dataclasses.is_dataclass(leaf):
            for field in dataclasses.fields(leaf):
                value = getattr(leaf, field.name)
                if isinstance(value, Number) and not isinstance(value, bool):
                    for other in _others(value):
                        with contextlib.suppress(ValueError):  # the other fields may not allow it
                            changed = dataclasses.replace(leaf, **{field.name: other})
                            yield f"{path}.{field.name}", _put(case, path, changed)


def _others(number):
    """Other numbers than this one, so far from it that a division would show."""
    return (number + 1, 2 * number, number + 7) if isinstance(number, int) else (1.5 * number + 0.1,)


def _shaken(tensor, dim=None, index=None, size=1.0):
    """A tensor with noise of ``size`` times its own added, all over or at one index; always the same noise."""
    tensor = tensor.detach()
    noise = torch.randn(tensor.shape, generator=torch.Generator().manual_seed(0)).to(tensor.dtype)
    if dim is not None:
        at = torch.arange(tensor.shape[dim]).eq(index).view(-1, *[1] * (tensor.ndim - dim - 1))
        noise = noise * at
    return tensor + noise * size * (0.1 + tensor.nan_to_num(neginf=0, posinf=0).abs().max())


def _put(case, path, value, at=""):
    """A copy of nested tuples and lists with ``value`` at ``path``."""
    if at == path:
        return value
    if isinstance(case, (tuple, list)):
        fields = getattr(case, "_fields", None)
        items = [_put(x, path, value, f"{at}.{fields[i]}" if fields else f"{at}[{i}]") for i, x in enumerate(case)]
        return type(case)(*items) if fields else type(case)(items)
    return case
