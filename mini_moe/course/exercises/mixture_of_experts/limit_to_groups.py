"""Lesson 03, `limit_to_groups`: few groups for each token."""

import torch

from mini_moe.course.checking.exercise import Exercise, Property, Wrong, agrees_with, must_equal
from mini_moe.course.checking.observe import close
from mini_moe.course.exercises.mixture_of_experts.limit_to_groups_mistakes import MISTAKES, two_best
from mini_moe.router import limit_to_groups

# The first has the best expert of all, the second the best two, the third the best sum.
_CONTEST = ((0.9, -0.6, -0.6, -0.6), (0.5, 0.4, -0.9, -0.9), (0.2, 0.2, 0.2, 0.2))


def _contest(N, n_group, size, generator):
    """Scores where each measure of a group's worth finds another winner, and each token has them in other places."""
    rows = [[_CONTEST[(n + m) % n_group][:size] for m in range(n_group)] for n in range(N)]
    return (torch.tensor(rows) + _apart((N, n_group, size), generator)).flatten(1)


def _apart(shape, generator):
    """0, 0.01, 0.02 ... in random order: short numbers that keep equal scores apart."""
    return 0.01 * torch.rand(shape, generator=generator).argsort(dim=-1)


def _cases_of_groups(generator):
    yield _contest(1, 2, 3, generator), 2, 1
    yield _contest(3, 3, 4, generator) - 1, 3, 1  # all scores negative
    one_large = torch.tensor([[3.0, 0.0, 1.4, 1.4], [1.4, 1.4, 3.0, 0.0]])  # worth more as a sum, not bent by a sigmoid
    yield one_large + _apart((2, 4), generator), 2, 1
    yield (
        torch.tensor([[0.5, 0.5, 0.1, 0.7, 0.2, 0.1], [0.3, 0.8, 0.1, 0.6, 0.1, 0.6]]),
        2,
        1,
    )  # equals: both count
    yield _contest(3, 3, 3, generator).bfloat16(), 3, 2
    yield torch.randn(4, 6, generator=generator, dtype=torch.float64), 3, 2
    yield torch.randn(4, 8, generator=generator), 4, 3
    yield torch.randn(8, 5, generator=generator).T, 4, 2  # not contiguous
    yield torch.randn(16, 15, generator=generator) - 0.5, 5, 2
    yield torch.randn(16, 15, generator=generator) - 0.5, 3, 1
    yield torch.randn(3, 256, generator=generator), 8, 4


def _kept_or_closed(function, choice, n_group, topk_group):
    limited = function(choice, n_group, topk_group)
    changed = limited[(limited != choice) & limited.ne(float("-inf"))]
    if changed.numel() == 0:
        return
    if changed.eq(float("inf")).any():
        raise Wrong(
            "Some closed experts get +inf, and would be chosen first. Fill in -inf itself: -inf times a negative score "
            "is +inf.",
            mistake="+inf by multiplying",
        )
    size = choice.shape[-1] // n_group
    ordered = (scores.unflatten(-1, (n_group, size)).sort(dim=-1).values for scores in (limited, choice))
    kept, given = (scores[limited.isfinite().unflatten(-1, (n_group, size))] for scores in ordered)
    if torch.equal(kept, given):
        raise Wrong(
            "Within an open group the scores change places: expert e must keep its own, in column e.",
            mistake="scores change places",
        )
    if changed.max() < choice.min():
        raise Wrong(
            f"Closed experts get {changed[0].item():.3g}: here it is below the others, but only -inf always is. Write "
            "`float('-inf')`.",
            mistake="closed with a finite score",
        )
    raise Wrong("A score either stays as it is or becomes -inf, below all others: a kept score may be negative.")


def _groups_as_a_whole(function, choice, n_group, topk_group):
    is_open = function(choice, n_group, topk_group).isfinite().unflatten(-1, (n_group, -1))
    if (is_open != is_open[..., :1]).any():
        raise Wrong(f"A group is open or closed as a whole. The {n_group} groups stand in order, equally large.")
    if (is_open[..., 0].sum(dim=-1) != topk_group).any():
        raise Wrong(f"For every token, {topk_group} of the {n_group} groups must stay open.")


def _best_two_decide(function, choice, n_group, topk_group):
    is_open = function(choice, n_group, topk_group).isfinite().unflatten(-1, (n_group, -1))[..., 0]
    worth = two_best(choice.unflatten(-1, (n_group, -1)))
    lowest_open = worth.masked_fill(~is_open, float("inf")).amin(dim=-1)
    highest_closed = worth.masked_fill(is_open, float("-inf")).amax(dim=-1)
    if (lowest_open < highest_closed).any():
        raise Wrong(
            "A group is closed whose two best scores add up to more than those of an open one.",
            mistake="other groups than the best",
        )


def _equals_too(function, choice, n_group, topk_group):
    equal = torch.full_like(choice, 0.5)
    is_open = function(equal, n_group, topk_group).isfinite().unflatten(-1, (n_group, -1)).all(dim=-1)
    number = is_open.sum(dim=-1)[0].item()
    if (is_open.sum(dim=-1) != topk_group).any():
        raise Wrong(
            f"Where all scores are equal {number} of {n_group} groups stay open: {topk_group} must, whichever. "
            "A threshold cannot tell equals apart; the places that `topk` gives can.",
            mistake="equal groups",
        )


def _groups_of_one(function, choice, n_group, topk_group):
    for scores in choice, choice[:, :1]:
        E = scores.shape[-1]
        message = (
            f"With {E} experts and `n_group={E}, topk_group=1` each is a group of its own, and worth its one score: "
            "there is no second one to add."
        )
        try:
            limited = function(scores, E, 1)
        except (RuntimeError, IndexError) as error:
            raise Wrong(message, mistake="groups of one expert") from error
        if not close(limited, limit_to_groups(scores, E, 1)):
            raise Wrong(message, mistake="groups of one expert")


def _all_open(function, choice, n_group, topk_group):
    must_equal(
        function(choice, n_group, n_group),
        choice,
        f"With `n_group={n_group}, topk_group={n_group}` all groups may stay open, and nothing must change.",
    )


EXERCISE = Exercise(
    reference=limit_to_groups,
    cases=_cases_of_groups,
    properties=(
        Property("a score stays as it is or becomes -inf", _kept_or_closed),
        Property("a group is open or closed as a whole", _groups_as_a_whole),
        Property("the two best scores decide a group's worth", _best_two_decide),
        Property("of equal groups no more and no fewer stay open", _equals_too),
        Property("groups of one expert work, too", _groups_of_one),
        Property("with all groups open nothing changes", _all_open),
        Property("agrees with the library, gradients too", agrees_with(limit_to_groups)),
    ),
    mistakes=MISTAKES,
    hints=(
        "Four steps: a dimension for the groups, the worth of each, the best groups, and -inf for all others.",
        "`groups = choice_NE.unflatten(-1, (n_group, -1))` is (N, M, E / M). The worth is the sum of "
        "`groups.topk(2, dim=-1).values`; of 1 where a group has only one. `closed.scatter(-1, kept, False)` opens "
        "what is kept, and `masked_fill` writes -inf where a mask is true.",
        "Scores in groups: (N, M, E / M), with M = n_group. The two best of each: (N, M, 2); their sum: (N, M). The "
        "places of the best: (N, topk_group). A mask, true where a group is closed: (N, M). With one dimension more, "
        "(N, M, 1), it fits the scores in groups. Back to a row for each token: (N, E).",
    ),
    difficulty=2,
    minutes=20,
)
