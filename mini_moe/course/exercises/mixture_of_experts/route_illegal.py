"""Lesson 03, `route`: what is to be refused."""

import torch

from mini_moe.course.checking.exercise import Illegal


def _bias(shape):
    def spoil(scores, bias, top_k):
        given = shape(*scores.shape)
        return Illegal(
            (scores, torch.zeros(given), top_k),
            "bias_E.shape",
            given,
            why="The bias must have one number for each expert, and may not be stretched to it.",
        )

    return spoil


def _option(name, value, **others):
    """An option that is illegal beside ``others``, if these fit the number of experts."""

    def spoil(scores, bias, top_k):
        E = scores.shape[-1]
        options = {**others, name: value(E)}
        if E % others.get("n_group", 1) == 0:
            return Illegal((scores, bias, top_k), name, options[name], options)

    return spoil


def _top_k(value, why="", mistake="not refused", **options):
    def spoil(scores, bias, top_k):
        E = scores.shape[-1]
        if E % options.get("n_group", 1) == 0:
            return Illegal((scores, bias, value(E)), "top_k", value(E), options, why, mistake)

    return spoil


ILLEGAL = (
    *(_bias(shape) for shape in (lambda N, E: (E - 1,), lambda N, E: (E + 1,), lambda N, E: (1,))),
    *(_bias(shape) for shape in (lambda N, E: (1, E), lambda N, E: (N, E))),
    _option("n_group", lambda E: next(n for n in range(2, E) if E % n)),
    *(_option("n_group", value) for value in (lambda E: 2 * E, lambda E: 0, lambda E: -1, lambda E: -2)),
    *(_option("topk_group", lambda E, number=number: number, n_group=2) for number in (0, -1, 3)),
    *(_top_k(value) for value in (lambda E: 0, lambda E: -1, lambda E: E + 1)),
    _top_k(
        lambda E: E // 2 + 1,
        "Fewer experts are open, so closed ones would be chosen.",
        "closed experts chosen",
        n_group=2,
        topk_group=1,
    ),
)
