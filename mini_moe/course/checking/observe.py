"""Call a function and see all of it that can be compared with another: results, gradients, changed inputs.

Two functions that agree on their results may still train differently, as one that detaches does. So the gradients of
one fixed random projection of the results, sum_i <r_i, output_i>, are part of what is observed: a single backward
pass that sees every output at once.
"""

import copy
import dataclasses
import math
from dataclasses import dataclass
from numbers import Number

import torch
from torch import Tensor, nn

# Of the largest expected value, so much may be rounding: some hundred steps of the dtype, one step for eight bits.
TOLERANCE = {
    torch.float64: 1e-9,
    torch.float32: 1e-5,
    torch.float16: 4e-3,
    torch.bfloat16: 2e-2,
    torch.float8_e4m3fn: 0.125,
    torch.float8_e5m2: 0.25,
}
DIFFERENTIABLE = (torch.float64, torch.float32, torch.float16, torch.bfloat16)


@dataclass(frozen=True)
class Observation:
    """What one call showed.

    ``gradients`` and ``changed`` go by the path of an input in the case, such as ``[0]`` or ``[2].weight``.
    """

    outputs: object
    gradients: dict[str, Tensor | None]  # of each float tensor; None where no result depends on it
    changed: tuple[str, ...]  # the inputs that the call wrote to


def flatten(value, path=""):
    """Yield (path, leaf) of nested tuples and lists.

    >>> list(flatten((1, [2, 3])))
    [('[0]', 1), ('[1][0]', 2), ('[1][1]', 3)]
    """
    if isinstance(value, (tuple, list)):
        fields = getattr(value, "_fields", None)
        for i, item in enumerate(value):
            yield from flatten(item, f"{path}.{fields[i]}" if fields else f"{path}[{i}]")
    else:
        yield path, value


def copied(value, change=Tensor.clone):
    """A deep copy of a case, its tensors through ``change``."""
    if isinstance(value, Tensor):
        return change(value)
    if isinstance(value, (tuple, list)):
        items = [copied(item, change) for item in value]
        return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
    return copy.deepcopy(value)


def doubled(case):
    """A deep copy of a case in float64, its modules included."""
    case = copied(case, lambda tensor: tensor.double() if tensor.is_floating_point() else tensor.clone())
    for _, leaf in flatten(case):
        if isinstance(leaf, nn.Module):
            leaf.double()
    return case


def observe(function, case, *, gradients=True):
    """Call ``function`` on copies of the tuple ``case``; whatever it raises goes on to the caller.

    Without ``gradients`` none are recorded, as in a forward pass that only measures, and random numbers are others.

    >>> observe(lambda x: 2 * x, (torch.ones(2),)).outputs.tolist()
    [2.0, 2.0]
    """
    leaves = []

    def give(tensor):
        tensor = tensor.detach().clone()
        if not gradients or tensor.dtype not in DIFFERENTIABLE:
            return tensor
        leaves.append(tensor.requires_grad_())
        return tensor.clone()  # no longer a leaf: autograd forbids to write to a leaf, and writing is to be seen

    given = copied(case, give)
    with torch.set_grad_enabled(gradients), torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0 if gradients else 1)
        outputs = function(*given)
    changed = _changed(given, case)
    if not gradients:
        return Observation(outputs, {}, changed)
    paths = [path for path, leaf in flatten(case) if isinstance(leaf, Tensor) and leaf.dtype in DIFFERENTIABLE]
    return Observation(outputs, dict(zip(paths, _gradients(outputs, leaves), strict=True)), changed)


def _gradients(outputs, leaves):
    """Of sum_i <r_i, output_i> to each leaf, r_i standard normal and always the same.

    What is infinite does not count: it has no slope, whichever way it was made.
    """
    generator = torch.Generator().manual_seed(0)
    projections = []
    for _, output in flatten(outputs):
        if isinstance(output, Tensor) and output.dtype in DIFFERENTIABLE:
            direction = torch.randn(output.shape, generator=generator, dtype=torch.float64)
            if output.requires_grad:
                wide = output.double()
                projections.append(wide.where(wide.isfinite(), 0).mul(direction).sum())
    if not projections or not leaves:
        return [None] * len(leaves)
    return torch.autograd.grad(sum(projections), leaves, allow_unused=True)


def _changed(given, case):
    """Paths of what is no longer as it was: tensors, plain values, fields of a dataclass, the length of a list."""
    now, was = dict(flatten(given)), dict(flatten(case))
    return tuple(path for path in was if path not in now or not _identical(now[path], was[path]))


def _identical(now, was):
    if dataclasses.is_dataclass(was):
        return type(now) is type(was) and vars(now) == vars(was)
    if not isinstance(was, Tensor):  # a function or a module, copied, cannot be compared with what it was
        return now == was if isinstance(was, (Number, str)) else type(now) is type(was)
    if not isinstance(now, Tensor):
        return False
    now, was = now.detach().double(), was.detach().double()
    return now.shape == was.shape and bool(((now == was) | (now.isnan() & was.isnan())).all())


def close(got, expected):
    """Whether two leaves agree: floats within `TOLERANCE` of the coarser dtype, all else exactly."""
    if isinstance(got, Tensor) and isinstance(expected, Tensor):
        floats = got.is_floating_point()
        if got.shape != expected.shape or floats != expected.is_floating_point():
            return False
        if not floats:
            return bool((got == expected).all())
        tolerance = max(TOLERANCE.get(got.dtype, 0.0), TOLERANCE.get(expected.dtype, 0.0))
        got, expected = got.detach().double(), expected.detach().double()
        size = expected.nan_to_num(posinf=0, neginf=0).abs().max().item() if expected.numel() else 0.0
        # A tenth stands in for sums that cancel: their rounding is that of the summands, of size one or so.
        return torch.allclose(got, expected, rtol=tolerance, atol=tolerance * max(size, 0.1), equal_nan=True)
    if isinstance(got, Number) and isinstance(expected, Number):
        return math.isclose(got, expected, rel_tol=1e-6, abs_tol=1e-12) or (got != got and expected != expected)
    try:
        return type(got) is type(expected) and bool(got == expected)
    except Exception:  # whatever a learner's own type may do, a NumPy array for one
        return False


def same_outputs(one, other):
    """Whether two observations agree in every result."""
    pairs = list(flatten(one.outputs)), list(flatten(other.outputs))
    return len(pairs[0]) == len(pairs[1]) and all(close(a, b) for (_, a), (_, b) in zip(*pairs, strict=True))


def unlike_gradients(one, other):
    """The paths of the inputs to which the gradients differ; no gradient counts as zero."""
    return [
        path
        for path, gradient in other.gradients.items()
        if not close(_or_zero(one.gradients[path], gradient), _or_zero(gradient, one.gradients[path]))
    ]


def _or_zero(gradient, like):
    if gradient is None:
        return torch.zeros(()) if like is None else torch.zeros_like(like)
    return gradient
