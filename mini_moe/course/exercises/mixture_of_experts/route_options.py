"""Lesson 03, `route`: what can go wrong with an option, and the settings that show it."""

import dataclasses

from mini_moe.course.checking.exercise import Mistake
from mini_moe.course.exercises.mixture_of_experts.route_mistakes import best_biased, choice_by, routed, score
from mini_moe.router import limit_to_groups, route


@dataclasses.dataclass(frozen=True)
class OfOption:
    """What can go wrong with an option, and the settings of options that show it."""

    settings: tuple[dict, ...]
    mistakes: tuple[Mistake, ...]


OF_NORMALIZE = OfOption(
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
        Mistake(
            "scaled twice",
            "The weights are multiplied by `scale` twice.",
            routed(weigh=lambda s, b, experts, normalize, scale: score(s, b, experts, normalize, scale**2)),
        ),
        Mistake(
            "scale added",
            "`scale` is added to the weights: multiply.",
            routed(weigh=lambda s, b, experts, normalize, scale: score(s, b, experts, normalize, 1.0) + scale),
        ),
    ),
)


OF_GROUPS = OfOption(
    settings=({"n_group": 2, "topk_group": 1}, {"n_group": 4, "topk_group": 3}),
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
            "n_group - topk_group groups",
            "As many groups stay open as should be closed: `topk_group` says how many to *keep*.",
            routed(
                choose=lambda s, b, k, n_group, topk_group: best_biased(s, b, k, n_group, max(1, n_group - topk_group))
            ),
        ),
    ),
)
