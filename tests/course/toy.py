"""A toy exercise, on which the machinery of the course is tried."""

import torch

from mini_moe.course.checking.examine import examine
from mini_moe.course.checking.exercise import Exercise, Mistake, Property, Wrong, agrees_with


def normalise(x, eps):
    """Divide rows by their sum."""
    return x / (x.sum(-1, keepdim=True) + eps)


reference = normalise


def rows_add_up(function, x, eps):
    total = function(x, eps).sum(-1)
    if (total - 1).abs().max() > 1e-3:
        raise Wrong("The rows do not add up to one.", got=total, expected=torch.ones_like(total))


def cases(generator):
    for size in ((1, 2), (2, 3), (4, 4)):
        yield torch.rand(size, generator=generator) + 0.1, 1e-9


TOY = Exercise(
    reference=reference,
    cases=cases,
    properties=(
        Property("every row adds up to one", rows_add_up),
        Property("results and gradients are the library's", agrees_with(reference)),
    ),
    mistakes=(
        Mistake("columns", "It divides by the sum of a column.", lambda x, eps: x / (x.sum(0, keepdim=True) + eps)),
        Mistake("sum detached", "The sum is detached.", lambda x, eps: x / (x.sum(-1, keepdim=True).detach() + eps)),
        Mistake("softmax", "It is a softmax.", lambda x, eps: x.softmax(-1)),
    ),
    hints=("Think of `sum`.", "Over which dimension?", "`keepdim=True`"),
    difficulty=1,
    minutes=3,
)


def verdict_on(function):
    return examine(TOY, function)


def toy_like(reference, *case, mistakes=()):
    """An exercise that only asks for agreement on one case."""
    return Exercise(
        reference=reference,
        cases=lambda generator: [case],
        properties=(Property("agrees", agrees_with(reference)),),
        mistakes=mistakes,
        hints=("", "", ""),
        difficulty=1,
        minutes=1,
    )
