"""Lesson 03, `route`: choosing experts, and weighing them."""

from unittest.mock import patch

import torch

from mini_moe.course.checking.exercise import Exercise, Property, Wrong, agrees_with, must_equal, refuses
from mini_moe.course.checking.observe import close
from mini_moe.course.exercises.mixture_of_experts.route_illegal import ILLEGAL
from mini_moe.course.exercises.mixture_of_experts.route_mistakes import MISTAKES
from mini_moe.course.exercises.mixture_of_experts.route_options import OF_GROUPS, OF_NORMALIZE, OF_SCALE, allowed
from mini_moe.course.exercises.mixture_of_experts.route_parts import by_expert
from mini_moe.course.exercises.mixture_of_experts.shared import share
from mini_moe.router import limit_to_groups, route

# `route` takes its options by keyword, and a case is a tuple of plain arguments. So cases call it with the options'
# defaults, and the properties of the options set them, and know the mistakes that only they can show.


def _cases_of_route(generator):
    def draw(N, E, K, decimals=2):
        rank = torch.rand(N, E, generator=generator).argsort(dim=-1)
        scores = (rank + 0.2 + 0.6 * torch.rand(N, E, generator=generator)) / E  # in (0, 1), no two near each other
        if K == 1:
            scores = (1 + scores) / 2  # the gradient of s / s is 0 but for rounding, which grows as s shrinks
        scores = scores.round(decimals=decimals)
        bias = -0.6 - 0.3 * torch.rand(E, generator=generator)  # most biased scores are negative; unrounded: no ties
        bias[scores[0].argmin()] = 1.0  # lifts the last to the first place
        return scores, bias, K

    for N, E, K in (1, 4, 2), (2, 4, 2), (3, 5, 1), (5, 8, 1), (4, 8, 3), (8, 12, 3), (6, 16, 4):
        yield draw(N, E, K)
    yield draw(2, 300, 5, decimals=4)  # more experts than 8 bits count
    scores, bias, K = draw(4, 8, 2, decimals=4)
    yield scores.T.contiguous().T, bias.bfloat16(), K


def _place_is_nothing(function, scores, bias, top_k):
    must_equal(
        by_expert(function)(scores.flip(0), bias, top_k),
        by_expert(function)(scores, bias, top_k).flip(0),
        "With the tokens in reverse order their rows are not the same, in reverse order: a token's result depends on "
        "its place, or on an earlier call.",
        "depends on place or earlier calls",
    )


def _different_experts(function, scores, bias, top_k):
    _, experts = function(scores, bias, top_k)
    if not ((experts >= 0) & (experts < scores.shape[-1])).all():
        raise Wrong(f"An expert's number must be one of 0 to {scores.shape[-1] - 1}.", mistake="no such expert")
    if (experts.sort(dim=-1).values.diff(dim=-1) == 0).any():
        raise Wrong(f"A token needs {top_k} *different* experts.", mistake="an expert twice")


def _different_among_equals(function, scores, bias, top_k):
    says = (
        f"Where all scores are equal a token still needs {top_k} different experts, whichever: a threshold cannot tell "
        "equals apart; the places that `topk` gives can."
    )
    try:
        weights, experts = function(torch.full_like(scores, 0.5), torch.zeros_like(bias), top_k)
    except (RuntimeError, IndexError, ValueError) as error:
        raise Wrong(says, mistake="equal scores") from error
    if experts.shape != (len(scores), top_k) or (experts.sort(dim=-1).values.diff(dim=-1) == 0).any():
        raise Wrong(says, mistake="equal scores")


def _best_chosen(function, scores, bias, top_k):
    _, experts = function(scores, bias, top_k)
    must_equal(
        experts.sort(dim=-1).values,
        (scores + bias).topk(top_k, dim=-1).indices.sort(dim=-1).values,
        f"The {top_k} experts with the highest scores + bias must be chosen, for each token.",
        "other experts than the best",
    )


def _weights_without_bias(function, scores, bias, top_k):
    weights, experts = function(scores, bias, top_k)
    got, due = share(weights), share(scores.gather(-1, experts))
    if close(got.sort(dim=-1).values, due.sort(dim=-1).values):
        must_equal(
            got,
            due,
            "The weights of the right experts stand in another order than the experts: the k-th weight belongs to the "
            "k-th expert, so whoever sorts one must sort the other along.",
            "weights and experts out of step",
        )
    must_equal(
        got,
        due,
        "The weights must stand to each other as the *scores* of the chosen experts do, without the bias.",
        "weights not in proportion to the scores",
    )


def _beside_a_large_bias(function, scores, bias, top_k):
    first = torch.arange(scores.shape[-1]) < top_k
    must_equal(
        by_expert(function)(scores, bias.masked_fill(first, 1e4), top_k),
        share(scores * first),
        f"A bias of 10,000 on experts 0 to {top_k - 1} must choose them, and their weights stay exact: who takes the "
        "bias off again finds digits missing. Gather them from the scores.",
        "bias taken off again",
    )


def _weights_add_up(function, scores, bias, top_k):
    totals, extras = [], []
    for smaller in 1, 10:
        weights, experts = function(scores / smaller, bias, top_k)
        totals.append(weights.sum(dim=-1))
        chosen = (scores / smaller).gather(-1, experts).sum(dim=-1)
        extras.append(chosen / totals[-1] - chosen)
    if extras[1].min() > 1e-7 and torch.allclose(extras[1], extras[1].mean(), rtol=0.2):
        raise Wrong(
            f"The sum by which the weights are divided is about {extras[1].mean().item():.1g} too large: small scores "
            "then weigh too little. What is added against 0 / 0 must be much smaller, as 1e-20.",
            mistake="too much added to the sum",
        )
    for total in totals:
        must_equal(
            total,
            torch.ones_like(total),
            "The weights of a token must add up to 1, if `scale` is 1.",
            "weights do not add up to 1",
        )


def _obeys(option):
    """A property's test: the weights are right under an option's settings, else which mistake they look like."""

    def test(function, *case):
        cases = (case, *_cases_of_route(torch.Generator().manual_seed(0)))  # the smallest fits several mistakes
        for options in allowed(option.settings, case):
            got, expected = (by_expert(f, **options)(*case) for f in (function, route))
            if not close(got, expected):
                with patch.dict(getattr(function, "__globals__", {}), limit_to_groups=limit_to_groups):
                    if close(by_expert(function, **options)(*case), expected):
                        raise Wrong(
                            "It is right, but the `limit_to_groups` that it calls is not: finish that one first, then "
                            "run this check again.",
                            mistake="limit_to_groups not finished",
                        )
                alike = (m for m in option.mistakes if same_under(option.settings, function, m.function, cases))
                known = next(alike, None)
                shown = f"With `{_written(options)}`, {_largest_difference(got, expected)}."
                says, name = (f"{known.says} {shown}", known.name) if known else (shown, f"wrong with {option.name}")
                raise Wrong(says, mistake=name)

    return test


def _written(options):
    return ", ".join(f"{name}={value}" for name, value in options.items())


def _largest_difference(got, expected):
    """Where two matrices of gate weights are least alike, in words."""
    token, expert = divmod((got - expected).abs().argmax().item(), got.shape[-1])
    given, due = got[token, expert].item(), expected[token, expert].item()
    rests = "" if given and due else " (0: not chosen)"
    return f"token {token} gives expert {expert} the weight {given:.3g} where {due:.3g} is due{rests}"


def same_under(settings, one, other, cases):
    """Whether two routers agree on all cases under each of the settings that a case allows."""
    return all(
        close(by_expert(one, **options)(*case), by_expert(other, **options)(*case))
        for case in cases
        for options in allowed(settings, case)
    )


def _agrees_with_route(function, *case):
    agrees_with(by_expert(route))(by_expert(function), *case)
    for options in allowed((*OF_NORMALIZE.settings, *OF_SCALE.settings, *OF_GROUPS.settings), case):
        try:
            agrees_with(by_expert(route, **options))(by_expert(function, **options), *case)
        except Wrong as wrong:
            raise Wrong(f"{wrong.message} This is with `{_written(options)}`.") from wrong


EXERCISE = Exercise(
    reference=route,
    cases=_cases_of_route,
    properties=(
        Property("a token's place changes nothing", _place_is_nothing),
        Property("each token gets K different experts", _different_experts),
        Property("and of equal ones, too", _different_among_equals),
        Property("the highest biased scores are chosen", _best_chosen),
        Property("the bias has no part in the weights", _weights_without_bias),
        Property("the weights of a token add up to 1", _weights_add_up),
        Property("a large bias leaves the weights exact", _beside_a_large_bias),
        Property("not normalised, the weights are the scores", _obeys(OF_NORMALIZE)),
        Property("`scale` multiplies the weights, last", _obeys(OF_SCALE)),
        Property("only experts of the best groups are chosen", _obeys(OF_GROUPS)),
        Property("agrees with the library, gradients too", _agrees_with_route),
        Property("what no router can do is refused", refuses(*ILLEGAL)),
    ),
    mistakes=MISTAKES,
    hints=(
        "Two things to keep apart: what chooses (scores + bias, limited to groups) and what weighs (the scores alone).",
        "`choice.topk(top_k, dim=-1).indices` are the experts, `scores_NE.gather(1, experts)` their scores. Divide by "
        "the sum, with `keepdim=True`, if `normalize` says so; `scale` comes last.",
        "First a ValueError for each thing that the docstring lists under Raises. Scores for the choice, limited to "
        "groups: (N, E), with no gradient. The places of the best: (N, K), whole numbers. The plain scores at these "
        "places: (N, K). Their sum, which keeps its dimension: (N, 1). The weights, divided if `normalize`, then "
        "scaled: (N, K).",
    ),
    difficulty=2,
    minutes=22,
)
