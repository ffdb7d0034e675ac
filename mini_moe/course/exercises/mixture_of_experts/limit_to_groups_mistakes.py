"""Lesson 03, `limit_to_groups`: the mistakes that people make."""

import torch

from mini_moe.course.checking.exercise import Mistake
from mini_moe.router import limit_to_groups


def two_best(groups):
    return groups.topk(min(2, groups.shape[-1]), dim=-1).values.sum(dim=-1)


def _best(worth, n):
    """True for the ``n`` best of each row."""
    return torch.zeros_like(worth, dtype=torch.bool).scatter(-1, worth.topk(n, dim=-1).indices, True)


def _two_different(groups):
    """The sum of the largest score and the largest other than it."""
    best = groups.amax(dim=-1, keepdim=True)
    second = groups.masked_fill(groups == best, float("-inf")).amax(dim=-1)
    return best[..., 0] + second.masked_fill(second.isinf(), 0)


def _limited(*, worth=two_best, keep=_best, fill=float("-inf")):
    """The limit with one thing changed, for the mistakes; ``keep(worth, topk_group)`` says which groups stay open."""

    def function(choice, n_group, topk_group):
        groups = choice.unflatten(-1, (n_group, -1))
        is_open = keep(worth(groups), topk_group)[..., None]
        return groups.masked_fill(~is_open, fill).flatten(1)

    return function


def _dealt(choice, n_group, topk_group):
    """Expert e in group e mod M, as cards are dealt."""
    turned = choice.unflatten(-1, (-1, n_group)).mT.flatten(1)
    return limit_to_groups(turned, n_group, topk_group).unflatten(-1, (n_group, -1)).mT.flatten(1)


def _worth_of_topk_group(choice, n_group, topk_group):
    def worth(groups):
        return groups.topk(min(topk_group, groups.shape[-1]), dim=-1).values.sum(dim=-1)

    return _limited(worth=worth)(choice, n_group, topk_group)


def _only_two_best(choice, n_group, topk_group):
    groups = limit_to_groups(choice, n_group, topk_group).unflatten(-1, (n_group, -1))
    return groups.masked_fill(~_best(groups, min(2, groups.shape[-1])), float("-inf")).flatten(1)


def _experts_alone(choice, n_group, topk_group):
    return choice.masked_fill(~_best(choice, topk_group * choice.shape[-1] // n_group), float("-inf"))


def _numbers_confused(choice, n_group, topk_group):
    kept = two_best(choice.unflatten(-1, (n_group, -1))).topk(topk_group, dim=-1).indices
    return torch.full_like(choice, float("-inf")).scatter(-1, kept, choice.gather(-1, kept))


MISTAKES = (
    Mistake(
        "masked with 0",
        "Closed experts get the score 0: biased scores may be negative, and then a closed expert wins. -inf is "
        "below all.",
        _limited(fill=0.0),
    ),
    *(
        Mistake(
            "a number in place of -inf",
            "Closed experts get a negative number, and scores may be lower: write -inf, `float('-inf')`, which is "
            "below every score and plain to see.",
            _limited(fill=fill),
        )
        for fill in (-1.0, -10.0, -1e2, -1e3, -1e4, -1e6, -1e8, -1e9, -1e10, -1e20, torch.finfo(torch.float32).min)
    ),
    Mistake(
        "0 times infinity",
        "0 times infinity is NaN, and so the scores that should stay are lost: fill -inf in by `masked_fill` or "
        "`torch.where`, in place of multiplying.",
        lambda choice, n_group, topk_group: (
            choice + limit_to_groups(choice, n_group, topk_group).isinf() * float("-inf")
        ),
    ),
    Mistake(
        "closed with +inf",
        "Closed experts get +inf, so they would all be chosen first: the minus is missing.",
        _limited(fill=float("inf")),
    ),
    Mistake(
        "a group is worth its best",
        "A group is worth its best expert alone here: add the *two* best, for a token takes several experts from it.",
        _limited(worth=lambda groups: groups.amax(dim=-1)),
    ),
    Mistake(
        "a group is worth all its experts",
        "A group is worth the sum or mean of all its experts here: only the two best count, for a token "
        "takes few experts from a group.",
        _limited(worth=lambda groups: groups.sum(dim=-1)),
    ),
    Mistake(
        "topk_group experts counted",
        "A group is worth its `topk_group` best here: that is a number of groups; of its experts, two count.",
        _worth_of_topk_group,
    ),
    *(
        Mistake(
            "more than two experts counted",
            "A group is worth three or four of its best experts here: add the *two* best.",
            _limited(worth=lambda groups, n=n: groups.topk(min(n, groups.shape[-1]), dim=-1).values.sum(dim=-1)),
        )
        for n in (3, 4)
    ),
    Mistake(
        "equal scores counted once",
        "Of two equal scores in a group only one is counted: the two best may be equal, and both count.",
        _limited(worth=_two_different),
    ),
    Mistake(
        "a group is worth its worst",
        "A group is worth its lowest scores here: `topk` or a descending sort gives the two best.",
        _limited(worth=lambda groups: -two_best(-groups)),
    ),
    *(
        Mistake(
            "another worth",
            "A group's worth is measured in another way: it is the sum of its two best scores, as they are.",
            _limited(worth=worth),
        )
        for worth in (
            lambda groups: groups[..., :2].sum(dim=-1),
            lambda groups: groups.topk(min(2, groups.shape[-1]), dim=-1).values.prod(dim=-1),
            lambda groups: groups.topk(min(2, groups.shape[-1]), dim=-1).values[..., -1],
            lambda groups: groups.amax(dim=-1) + groups.amin(dim=-1),
            lambda groups: groups.amax(dim=-1) - groups.amin(dim=-1),
            lambda groups: groups.median(dim=-1).values,
            lambda groups: groups.std(dim=-1),
            lambda groups: groups.logsumexp(dim=-1),
            lambda groups: groups.relu().sum(dim=-1),
            lambda groups: groups.sigmoid().sum(dim=-1),
            lambda groups: two_best(groups.sigmoid()),
            lambda groups: two_best(groups.abs()),
            lambda groups: groups.norm(dim=-1),
        )
    ),
    Mistake(
        "the worst groups kept",
        "The groups worth least stay open: those worth most should.",
        _limited(keep=lambda worth, n: _best(-worth, n)),
    ),
    Mistake(
        "mask inverted",
        "The mask is inverted: it closes the best groups and keeps the others.",
        _limited(keep=lambda worth, n: ~_best(worth, n)),
    ),
    Mistake(
        "n_group - topk_group kept",
        "As many groups stay open as should be closed: `topk_group` says how many to *keep*.",
        _limited(keep=lambda worth, n: _best(worth, worth.shape[-1] - n)),
    ),
    Mistake(
        "one group kept",
        "Only the best group stays open: keep the best `topk_group`.",
        _limited(keep=lambda worth, n: _best(worth, 1)),
    ),
    *(
        Mistake(
            "one choice of groups for all tokens",
            "The same groups stay open for every token: each token has its own best.",
            _limited(keep=lambda worth, n, common=common: _best(common(worth), n).expand_as(worth)),
        )
        for common in (lambda worth: worth.mean(dim=0, keepdim=True), lambda worth: worth[:1])
    ),
    Mistake(
        "experts dealt round",
        "The experts are dealt to the groups in turn, 0, 1, 2, 0, 1, 2: they stand in order, the first E / M "
        "together, so unflatten to (n_group, -1).",
        _dealt,
    ),
    Mistake(
        "n_group as the size of a group",
        "`n_group` is taken for the size of a group: it is their number, so unflatten to (n_group, -1).",
        lambda choice, n_group, topk_group: limit_to_groups(choice, choice.shape[-1] // n_group, topk_group),
    ),
    Mistake(
        "experts closed one by one",
        "The best experts stay open, wherever they are: they would lie in many groups. Choose groups, and keep "
        "these as a whole.",
        _experts_alone,
    ),
    Mistake(
        "only the two best kept",
        "Within an open group only the two best experts are left: they measure the group's worth; all its experts "
        "stay open.",
        _only_two_best,
    ),
    Mistake(
        "groups' numbers taken for experts'",
        "The numbers of the groups are used as if they were experts: a kept group opens all its E / M experts.",
        _numbers_confused,
    ),
    *(
        Mistake(
            "the mask alone",
            "This is the mask: give the scores themselves, and -inf where it closes.",
            lambda choice, n_group, topk_group, of=of: (
                of(limit_to_groups(choice, n_group, topk_group).isfinite()) + 0 * choice
            ),
        )
        for of in (lambda is_open: is_open, lambda is_open: is_open.log())
    ),
    Mistake(
        "nothing closed",
        "All groups stay open: operations such as `masked_fill` give a *new* tensor, to be kept and returned.",
        lambda choice, n_group, topk_group: choice.clone(),
    ),
)
