"""Lesson 03, `route`: the mistakes that people make, but for those that only an option shows."""

import torch
import torch.nn.functional as F

from mini_moe.course.checking.exercise import Mistake
from mini_moe.course.exercises.mixture_of_experts.route_choice_mistakes import OF_CHOICE
from mini_moe.course.exercises.mixture_of_experts.route_parts import routed
from mini_moe.course.exercises.mixture_of_experts.shared import share
from mini_moe.router import route


def _weighed(weigh):
    """The router whose weights are ``weigh(scores, bias, experts)``."""
    return routed(weigh=lambda s, b, experts, normalize, scale: weigh(s, b, experts))


def _ordered(order):
    """A change of order in which ``order(experts)`` are the places, for a learner is free to give any."""

    def reorder(function):
        def reordered(*case):
            weights, experts = function(*case)
            places = order(experts)
            return weights.gather(-1, places), experts.gather(-1, places)

        return reordered

    return reorder


# The orders in which people find the chosen: best first (`topk`), best last (`argsort`), by number (a mask or a loop).
_ORDERS = (
    lambda function: function,
    _ordered(lambda experts: torch.arange(experts.shape[-1]).flip(0).expand_as(experts)),
    _ordered(lambda experts: experts.argsort(dim=-1)),
)


_OF_WEIGHT = (
    *(
        Mistake(
            "bias in the weight",
            "The bias is in the gate weight: it should only choose. Gather the weights from the scores, at the chosen "
            "experts.",
            _weighed(weigh),
        )
        for weigh in (
            lambda s, b, experts: share((s + b).gather(-1, experts)),
            lambda s, b, experts: (s + b).gather(-1, experts),
            lambda s, b, experts: (s + b).gather(-1, experts).softmax(dim=-1),
            lambda s, b, experts: (s + b).softmax(dim=-1).gather(-1, experts),
            lambda s, b, experts: (s + b).gather(-1, experts) / (s + b).sum(dim=-1, keepdim=True),
        )
    ),
    *(
        Mistake(
            "normalised over all experts",
            "The weights are divided by the sum over *all* experts: divide by that of the chosen, so that they add up "
            "to 1.",
            _weighed(weigh),
        )
        for weigh in (
            lambda s, b, experts: s.gather(-1, experts) / s.sum(dim=-1, keepdim=True),
            lambda s, b, experts: s.gather(-1, experts) / (s + b).sum(dim=-1, keepdim=True),
        )
    ),
    Mistake(
        "sum of the biased scores",
        "The weights are divided by the sum of the *biased* scores: the bias has no part in the weights at all.",
        _weighed(lambda s, b, experts: s.gather(-1, experts) / (s + b).gather(-1, experts).sum(dim=-1, keepdim=True)),
    ),
    Mistake(
        "softmax over the chosen",
        "The weights are a softmax: the scores are affinities already, so divide those of the chosen by their sum.",
        _weighed(lambda s, b, experts: s.gather(-1, experts).softmax(dim=-1)),
    ),
    Mistake(
        "softmax over all",
        "The weights are a softmax over all experts: divide the scores of the chosen by their sum.",
        _weighed(lambda s, b, experts: s.softmax(dim=-1).gather(-1, experts)),
    ),
    *(
        Mistake(
            "sigmoid again",
            "The sigmoid is taken again: the scores have been through it in `affinities`.",
            _weighed(weigh),
        )
        for weigh in (
            lambda s, b, experts: share(s.sigmoid().gather(-1, experts)),
            lambda s, b, experts: s.sigmoid().gather(-1, experts),
        )
    ),
    Mistake(
        "not normalised",
        "The weights are not divided by their sum, as `normalize` asks by default.",
        _weighed(lambda s, b, experts: s.gather(-1, experts)),
    ),
    Mistake(
        "a single weight not normalised",
        "With K = 1 the weight is not divided by itself: then, too, the weights of a token add up to 1.",
        _weighed(lambda s, b, e: share(s.gather(-1, e)) if e.shape[-1] > 1 else s.gather(-1, e)),
    ),
    Mistake(
        "sum of the highest scores",
        "The weights are divided by the sum of the K highest scores: the bias may have chosen others. Divide by the "
        "sum of the chosen ones' scores.",
        _weighed(lambda s, b, e: s.gather(-1, e) / s.topk(e.shape[-1], dim=-1).values.sum(dim=-1, keepdim=True)),
    ),
    Mistake(
        "mean in place of sum",
        "The weights are divided by their mean: the sum makes them add up to 1.",
        _weighed(lambda s, b, experts: s.gather(-1, experts) / s.gather(-1, experts).mean(dim=-1, keepdim=True)),
    ),
    Mistake(
        "divided by the largest",
        "The weights are divided by the largest of them: divide by their sum.",
        _weighed(lambda s, b, experts: s.gather(-1, experts) / s.gather(-1, experts).amax(dim=-1, keepdim=True)),
    ),
    Mistake(
        "divided by their length",
        "The weights are divided by the root of the sum of their squares: divide by their sum.",
        _weighed(lambda s, b, experts: F.normalize(s.gather(-1, experts), dim=-1)),
    ),
    *(
        Mistake(
            "normalised over the tokens",
            "The weights are divided by a sum over tokens: each token's own add up to 1, `dim=-1, keepdim=True`.",
            _weighed(weigh),
        )
        for weigh in (
            lambda s, b, experts: s.gather(-1, experts) / s.gather(-1, experts).sum(dim=0, keepdim=True),
            lambda s, b, experts: s.gather(-1, experts) / s.gather(-1, experts).sum(),
        )
    ),
    Mistake(
        "scale added",
        "`scale` is added to the weights: multiply.",
        _weighed(lambda s, b, experts: share(s.gather(-1, experts)) + 1),
    ),
    Mistake(
        "equal weights",
        "Every chosen expert weighs the same, 1 / K: the weights are the scores of the chosen, divided by their sum. "
        "Else the router learns nothing.",
        _weighed(
            lambda s, b, experts: torch.full_like(s[:, : experts.shape[-1]], 1 / experts.shape[-1]) + 0 * s[:, :1]
        ),
    ),
    *(
        Mistake(
            "weights of other experts",
            "The weights belong to other experts than those returned: take the score *at* each chosen expert, "
            "`scores_NE.gather(1, experts_NK)`.",
            _weighed(weigh),
        )
        for weigh in (
            lambda s, b, experts: share(s.topk(experts.shape[-1], dim=-1).values),
            lambda s, b, experts: s.topk(experts.shape[-1], dim=-1).values,
            lambda s, b, experts: share(s[:, : experts.shape[-1]]),
        )
    ),
)

MISTAKES = (
    *(
        Mistake(mistake.name, mistake.says, reorder(mistake.function))
        for mistake in (*OF_CHOICE, *_OF_WEIGHT)
        for reorder in _ORDERS
    ),
    *(
        Mistake(
            "results exchanged",
            "The two results have changed places: the weights come first, then the numbers of the experts.",
            lambda *case, reorder=reorder: reorder(route)(*case)[::-1],
        )
        for reorder in _ORDERS
    ),
    # These two have right results, and are told by their gradients.
    Mistake(
        "router detached",
        "No gradient passes through the weights: detach for the choice alone, for they are the only way by which "
        "the router learns.",
        _weighed(lambda s, b, experts: share(s.gather(-1, experts)).detach()),
    ),
    Mistake(
        "sum detached",
        "The sum carries no gradient: no `.detach()` or `no_grad` there, for each score lowers the others' shares.",
        _weighed(lambda s, b, experts: s.gather(-1, experts) / s.gather(-1, experts).sum(-1, keepdim=True).detach()),
    ),
)
