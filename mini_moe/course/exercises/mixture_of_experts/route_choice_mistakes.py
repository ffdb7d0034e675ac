"""Lesson 03, `route`: the mistakes that people make in choosing experts."""

import torch

from mini_moe.course.checking.exercise import Mistake
from mini_moe.course.exercises.mixture_of_experts.route_parts import by_expert, choice_by, routed
from mini_moe.course.exercises.mixture_of_experts.shared import share
from mini_moe.router import route


def _everyone(scores, bias, top_k):
    return share(scores), torch.arange(scores.shape[-1]).expand_as(scores)


def _everyone_sorted(scores, bias, top_k):
    experts = (scores + bias).argsort(dim=-1, descending=True)
    return share(scores).gather(-1, experts), experts


def _zeros_for_the_rest(scores, bias, top_k):
    return by_expert(route)(scores, bias, top_k), torch.arange(scores.shape[-1]).expand_as(scores)


def _first_experts(scores, bias, top_k, n_group, topk_group):
    return torch.arange(top_k).expand(len(scores), -1)


OF_CHOICE = (
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
)
