"""Lesson 03, `route`: choosing experts, and weighing them."""

from unittest.mock import patch

import torch

from mini_moe.course.checking.exercise import Exercise, Property, Wrong, agrees_with, must_equal
from mini_moe.course.checking.observe import close
from mini_moe.course.exercises.mixture_of_experts.route_mistakes import MISTAKES, by_expert
from mini_moe.course.exercises.mixture_of_experts.route_options import OF_GROUPS, OF_NORMALIZE, OF_SCALE
from mini_moe.router import limit_to_groups, route

# `route` takes its options by keyword, and a case is a tuple of plain arguments. So cases call it with the options'
# defaults, and the properties of the options set them, and know the mistakes that only they can show.


def _cases_of_route(generator):
    for N, E, K in ((1, 4, 2), (2, 4, 2), (4, 8, 3), (8, 12, 4)):
        rank = torch.rand(N, E, generator=generator).argsort(dim=-1)
        scores = (rank + 0.2 + 0.6 * torch.rand(N, E, generator=generator)) / E  # in (0, 1), no two near each other
        scores = scores.round(decimals=2)
        bias = -0.6 - 0.3 * torch.rand(E, generator=generator)  # most biased scores are negative; unrounded: no ties
        bias[scores[0].argmin()] = 1.0  # lifts the last to the first place
        yield scores, bias, K


def _different_experts(function, scores, bias, top_k):
    _, experts = function(scores, bias, top_k)
    if not ((experts >= 0) & (experts < scores.shape[-1])).all():
        raise Wrong(f"An expert's number must be one of 0 to {scores.shape[-1] - 1}.")
    if (experts.sort(dim=-1).values.diff(dim=-1) == 0).any():
        raise Wrong(f"A token needs {top_k} *different* experts.")


def _best_chosen(function, scores, bias, top_k):
    _, experts = function(scores, bias, top_k)
    must_equal(
        experts.sort(dim=-1).values,
        (scores + bias).topk(top_k, dim=-1).indices.sort(dim=-1).values,
        f"The {top_k} experts with the highest scores + bias must be chosen, for each token.",
    )


def _weights_without_bias(function, scores, bias, top_k):
    weights, experts = function(scores, bias, top_k)
    chosen = scores.gather(-1, experts)
    must_equal(
        weights / weights.sum(dim=-1, keepdim=True),
        chosen / chosen.sum(dim=-1, keepdim=True),
        "The weights must stand to each other as the *scores* of the chosen experts do, without the bias.",
    )


def _weights_add_up(function, scores, bias, top_k):
    total = function(scores, bias, top_k)[0].sum(dim=-1)
    must_equal(total, torch.ones_like(total), "The weights of a token must add up to 1, if `scale` is 1.")


def _obeys(mistakes, *settings):
    """A property's test: the weights are right under each of the ``settings``, else which mistake they look like."""

    def test(function, *case):
        cases = (case, *_cases_of_route(torch.Generator().manual_seed(0)))  # the smallest fits several mistakes
        for options in settings:
            got, expected = (by_expert(f, **options)(*case) for f in (function, route))
            if not close(got, expected):
                with patch.dict(getattr(function, "__globals__", {}), limit_to_groups=limit_to_groups):
                    if close(by_expert(function, **options)(*case), expected):
                        raise Wrong(
                            "It is right, but the `limit_to_groups` that it calls is not: finish that one first, then "
                            "run this check again.",
                            mistake="limit_to_groups not finished",
                        )
                known = next((m for m in mistakes if same_under(settings, function, m.function, cases)), None)
                shown = f"With `{_written(options)}`, {_largest_difference(got, expected)}."
                raise Wrong(f"{known.says} {shown}" if known else shown, mistake=known and known.name)

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
    """Whether two routers agree on all cases under each of the settings."""
    return all(
        close(by_expert(one, **options)(*case), by_expert(other, **options)(*case))
        for options in settings
        for case in cases
    )


def _agrees_with_route(function, *case):
    agrees_with(by_expert(route))(by_expert(function), *case)
    for options in (*OF_NORMALIZE.settings, *OF_SCALE.settings, *OF_GROUPS.settings):
        try:
            agrees_with(by_expert(route, **options))(by_expert(function, **options), *case)
        except Wrong as wrong:
            raise Wrong(f"{wrong.message} This is with `{_written(options)}`.") from wrong


EXERCISE = Exercise(
    reference=route,
    cases=_cases_of_route,
    properties=(
        Property("each token gets K different experts", _different_experts),
        Property("the highest biased scores are chosen", _best_chosen),
        Property("the bias has no part in the weights", _weights_without_bias),
        Property("the weights of a token add up to 1", _weights_add_up),
        Property("not normalised, the weights are the scores", _obeys(OF_NORMALIZE.mistakes, *OF_NORMALIZE.settings)),
        Property("`scale` multiplies the weights, last", _obeys(OF_SCALE.mistakes, *OF_SCALE.settings)),
        Property("only experts of the best groups are chosen", _obeys(OF_GROUPS.mistakes, *OF_GROUPS.settings)),
        Property("agrees with the library, gradients too", _agrees_with_route),
    ),
    mistakes=MISTAKES,
    hints=(
        "Two things to keep apart: what chooses (scores + bias, limited to groups) and what weighs (the scores alone).",
        "`choice.topk(top_k, dim=-1).indices` are the experts, `scores_NE.gather(1, experts)` their scores. Divide by "
        "the sum, with `keepdim=True`, if `normalize` says so; `scale` comes last.",
        "choice = limit_to_groups(scores_NE.detach() + bias_E, n_group, topk_group); experts = choice.topk(top_k, "
        "dim=-1).indices; weights = scores_NE.gather(1, experts); then normalize; then return weights * scale and "
        "experts.",
    ),
    difficulty=2,
    minutes=12,
)
