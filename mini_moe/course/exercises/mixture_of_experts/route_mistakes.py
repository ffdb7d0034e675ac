"""Lesson 03, `route`: the mistakes that people make, but for those that only an option shows."""

import functools

import torch
import torch.nn.functional as F

from mini_moe.course.checking.exercise import Mistake
from mini_moe.router import limit_to_groups, route


def by_expert(function, **options):
    """``function`` as a matrix (N, E) of gate weights, 0 for who rests: the order of the choices is free."""

    @functools.wraps(route)  # whose parameters' names a message tells
    def dense(scores, bias, top_k):
        weights, experts = function(scores, bias, top_k, **options)
        return torch.zeros_like(scores).scatter_add(-1, experts, weights)

    return dense


def best_biased(scores, bias, top_k, n_group, topk_group):
    return limit_to_groups(scores + bias, n_group, topk_group).topk(top_k, dim=-1).indices


def score(scores, bias, experts, normalize, scale):
    weights = scores.gather(-1, experts)
    if normalize:
        weights = weights / weights.sum(dim=-1, keepdim=True)
    return weights * scale


def routed(*, choose=best_biased, weigh=score):
    """The router with one thing changed, for the mistakes."""

    def function(scores, bias, top_k, *, n_group=1, topk_group=1, normalize=True, scale=1.0):
        experts = choose(scores, bias, top_k, n_group, topk_group)
        return weigh(scores, bias, experts, normalize, scale), experts

    return function


def choice_by(value):
    """The router that chooses the highest of ``value(scores, bias)``."""
    return routed(choose=lambda s, b, k, n_group, topk_group: value(s, b).topk(k, dim=-1).indices.expand(len(s), -1))


def _weighed(weigh):
    """The router whose weights are ``weigh(scores, bias, experts)``."""
    return routed(weigh=lambda s, b, experts, normalize, scale: weigh(s, b, experts))


def share(weights):
    return weights / weights.sum(dim=-1, keepdim=True)


def _everyone(scores, bias, top_k):
    return share(scores), torch.arange(scores.shape[-1]).expand_as(scores)


def _everyone_sorted(scores, bias, top_k):
    experts = (scores + bias).argsort(dim=-1, descending=True)
    return share(scores).gather(-1, experts), experts


def _zeros_for_the_rest(scores, bias, top_k):
    return by_expert(route)(scores, bias, top_k), torch.arange(scores.shape[-1]).expand_as(scores)


def _first_experts(scores, bias, top_k, n_group, topk_group):
    return torch.arange(top_k).expand(len(scores), -1)


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


_OF_CHOICE_AND_WEIGHT = (
    Mistake(
        "bias ignored",
        "The bias is not used: the highest scores + bias are chosen, and only the weights go without it.",
        choice_by(lambda s, b: s),
    ),
    Mistake(
        "bias subtracted",
        "The bias has the wrong sign: it is *added* to the scores, so that an idle expert's positive bias lifts it.",
        choice_by(lambda s, b: s - b),
    ),
    *(
        Mistake(
            "bias multiplied",
            "The scores are multiplied by the bias: add it.",
            choice_by(value),
        )
        for value in (lambda s, b: s * b, lambda s, b: s * (1 + b))
    ),
    Mistake(
        "bias alone",
        "The bias alone chooses, so that every token gets the same experts: add it to the token's scores.",
        choice_by(lambda s, b: b.expand_as(s)),
    ),
    Mistake(
        "lowest chosen",
        "The experts with the *lowest* biased scores are chosen: take the highest, as `topk` does by default.",
        choice_by(lambda s, b: -(s + b)),
    ),
    Mistake(
        "always the first K",
        "Every token gets experts 0 to K - 1: choose for each token those with the highest biased scores.",
        routed(choose=_first_experts),
    ),
    *(
        Mistake(
            "one choice for the whole batch",
            "All tokens get the same experts: choose along the last dimension, for each token by itself.",
            choice_by(value),
        )
        for value in (lambda s, b: (s + b).mean(dim=0, keepdim=True), lambda s, b: (s + b)[:1])
    ),
    *(
        Mistake(
            "no top-k",
            "All experts are returned: that is no mixture of *few*. Choose K for each token; both results are (N, K).",
            function,
        )
        for function in (_everyone, _everyone_sorted)
    ),
    Mistake(
        "zeros for the rest",
        "The weights are a matrix over all experts, with zeros for those that rest: give the K chosen only, (N, K).",
        _zeros_for_the_rest,
    ),
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
            "scores changed before the choice",
            "The scores are changed before the bias is added, which changes the choice: they are affinities already, "
            "and normalising comes after it.",
            function,
        )
        for bend in (lambda s: s.softmax(dim=-1), torch.sigmoid, lambda s: s / s.sum(dim=-1, keepdim=True))
        for function in (
            choice_by(lambda s, b, bend=bend: bend(s) + b),
            lambda s, b, k, bend=bend: route(bend(s), b, k),
        )
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
            lambda s, b, experts: share(s.gather(-1, experts.sort(dim=-1).values)),
            lambda s, b, experts: share(s.gather(-1, experts).flip(-1)),
        )
    ),
)


MISTAKES = (
    *(
        Mistake(mistake.name, mistake.says, reorder(mistake.function))
        for mistake in _OF_CHOICE_AND_WEIGHT
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
