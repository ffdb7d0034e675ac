"""Lesson 03, `route`: what can go wrong with an option, and the settings that show it."""

import dataclasses

import torch

from mini_moe.course.checking.exercise import Mistake
from mini_moe.course.exercises.mixture_of_experts.route_parts import best_biased, choice_by, routed, score
from mini_moe.router import limit_to_groups, route


@dataclasses.dataclass(frozen=True)
class OfOption:
    """What can go wrong with an option, and the settings of options that show it."""

    name: str
    settings: tuple[dict, ...]
    mistakes: tuple[Mistake, ...]


def allowed(settings, case):
    """Those of the ``settings`` that a router can obey on the case."""
    scores, _, top_k = case
    E = scores.shape[-1]
    for options in settings:
        n_group = options.get("n_group", 1)
        if E % n_group == 0 and top_k <= options.get("topk_group", 1) * E // n_group:
            yield options


def _evenly(scores, bias, top_k, n_group, topk_group):
    """The best of each open group, equally many from each where K can be so divided."""
    if top_k % topk_group:
        return best_biased(scores, bias, top_k, n_group, topk_group)
    groups = limit_to_groups(scores + bias, n_group, topk_group).unflatten(-1, (n_group, -1))
    best = groups.topk(top_k // topk_group, dim=-1)
    numbers = best.indices + torch.arange(n_group)[:, None] * groups.shape[-1]
    return numbers[best.values.isfinite()].view(len(scores), top_k)


OF_NORMALIZE = OfOption(
    name="normalize",
    settings=({"normalize": False},),
    mistakes=(
        Mistake(
            "normalize ignored",
            "The weights are always divided by their sum: with `normalize=False` they are the scores as they are.",
            routed(weigh=lambda s, b, experts, normalize, scale: score(s, b, experts, True, scale)),
        ),
    ),
)


OF_SCALE = OfOption(
    name="scale",
    settings=({"scale": 2.5}, {"scale": 2.5, "normalize": False}),
    mistakes=(
        Mistake(
            "scale left out",
            "`scale` is not used: multiply the weights by it, last.",
            routed(weigh=lambda s, b, experts, normalize, scale: score(s, b, experts, normalize, 1.0)),
        ),
        *(
            Mistake(
                "scaled before normalising",
                "`scale` is lost where the weights are divided by their sum: multiply by it last, outside the `if`, "
                "whether they were normalised or not.",
                function,
            )
            for function in (
                routed(weigh=lambda s, b, experts, normalize, scale: score(s * scale, b, experts, normalize, 1.0)),
                lambda s, b, k, scale=1.0, **options: route(s * scale, b, k, **options),
                lambda s, b, k, scale=1.0, **options: route(s * scale, b * scale, k, **options),
            )
        ),
        Mistake(
            "divided by scale",
            "The weights are divided by `scale`: multiply.",
            routed(weigh=lambda s, b, experts, normalize, scale: score(s, b, experts, normalize, 1 / scale)),
        ),
        Mistake(
            "scale only where normalised",
            "`scale` is multiplied in only where the weights are normalised: it stands outside the `if`.",
            routed(weigh=lambda s, b, experts, normalize, scale: score(s, b, experts, normalize, scale**normalize)),
        ),
        *(
            Mistake(
                "scaled twice",
                "The weights are multiplied by `scale` twice: once, and last, is enough.",
                routed(weigh=weigh),
            )
            for weigh in (
                lambda s, b, experts, normalize, scale: score(s, b, experts, normalize, scale**2),
                lambda s, b, experts, normalize, scale: score(s, b, experts, normalize, scale ** (1 + normalize)),
                lambda s, b, experts, normalize, scale: score(s, b, experts, normalize, scale ** (2 - normalize)),
            )
        ),
        *(
            Mistake(
                "scale in the choice",
                "`scale` changes which experts are chosen: it multiplies the weights, and has no part in the choice.",
                function,
            )
            for function in (
                lambda s, b, k, scale=1.0, **options: routed(
                    choose=lambda s, b, *rest: best_biased(s * scale, b, *rest)
                )(s, b, k, scale=scale, **options),
                lambda s, b, k, scale=1.0, normalize=True, **options: route(
                    s * scale, b, k, normalize=normalize, scale=scale if normalize else 1.0, **options
                ),
            )
        ),
    ),
)


OF_GROUPS = OfOption(
    name="groups",
    settings=(
        {"n_group": 2, "topk_group": 1},
        {"n_group": 4, "topk_group": 3},
        {"n_group": 4, "topk_group": 2},
        {"n_group": 4, "topk_group": 1},
        {"n_group": 2},
        {"n_group": 2, "topk_group": 2},
    ),
    mistakes=(
        Mistake(
            "groups ignored",
            "The groups are ignored: choose from `limit_to_groups(scores + bias, n_group, topk_group)`, which is a new "
            "tensor.",
            choice_by(lambda s, b: s + b),
        ),
        Mistake(
            "groups chosen without the bias",
            "The groups are limited by the scores alone: add the bias first, then limit.",
            routed(
                choose=lambda s, b, k, n_group, topk_group: (
                    (limit_to_groups(s, n_group, topk_group) + b).topk(k, dim=-1).indices
                )
            ),
        ),
        Mistake(
            "experts chosen without the bias in groups",
            "Within the open groups the scores alone decide: the biased ones choose the experts, too.",
            routed(
                choose=lambda s, b, k, n_group, topk_group: (
                    s.masked_fill(limit_to_groups(s + b, n_group, topk_group).isinf(), float("-inf"))
                    .topk(k, dim=-1)
                    .indices
                )
            ),
        ),
        Mistake(
            "closed experts at 0",
            "Closed experts get the score 0 and win where kept ones are negative: leave them at -inf for the choice.",
            routed(
                choose=lambda s, b, k, n_group, topk_group: (
                    limit_to_groups(s + b, n_group, topk_group).nan_to_num(neginf=0.0).topk(k, dim=-1).indices
                )
            ),
        ),
        Mistake(
            "one group kept",
            "Only the best group stays open, though a token may use `topk_group` groups.",
            routed(
                choose=lambda s, b, k, n_group, topk_group: best_biased(
                    s, b, k, n_group, 1 if k <= s.shape[-1] // n_group else topk_group
                )
            ),
        ),
        Mistake(
            "equally many from each group",
            "Equally many experts are taken from each open group: the K best of all open experts are chosen, wherever "
            "they stand.",
            routed(choose=_evenly),
        ),
        *(
            Mistake(
                "n_group - topk_group groups",
                "As many groups stay open as should be closed: `topk_group` says how many to *keep*.",
                routed(
                    choose=lambda s, b, k, n_group, topk_group, least=least: best_biased(
                        s, b, k, n_group, max(least, n_group - topk_group)
                    )
                ),
            )
            for least in (0, 1)
        ),
    ),
)
