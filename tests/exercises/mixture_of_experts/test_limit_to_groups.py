"""Answers to `limit_to_groups`: wrong ones as learners write them, right ones each in another way."""

import math

import torch
import torch.nn.functional as F
from exercises.answers import Answers, Claims, drawn

from mini_moe.course.checking.examine import examine
from mini_moe.course.exercises.mixture_of_experts.limit_to_groups import EXERCISE

ANSWERS = Answers(EXERCISE)
wrong, right = ANSWERS.wrong, ANSWERS.right


class TestLimitToGroups(Claims):
    answers = ANSWERS

    def test_a_sentence_tells_the_settings_that_the_printed_input_does_not(self, exercise):
        for mistake, settings in (("groups of one expert", "`n_group=6, topk_group=1`"),):
            outcome = examine(drawn(exercise, 1), self.answers.making(mistake))
            assert settings in outcome.says and outcome.got is None


def learner_groups(worth, close=lambda groups, closed: groups.masked_fill(closed, -math.inf)):
    """A learner's function with the worth and the closing that it is given."""

    def limit_to_groups(choice_NE, n_group, topk_group):
        N, E = choice_NE.shape
        groups = choice_NE.reshape(N, n_group, E // n_group)
        best = worth(groups).topk(topk_group, dim=1).indices
        closed = torch.ones(N, n_group).scatter(1, best, 0.0).bool()
        return close(groups, closed.unsqueeze(-1)).reshape(N, E)

    return limit_to_groups


def two_best(groups):
    return groups.topk(min(2, groups.size(-1)))[0].sum(-1)


def closing(value):
    return lambda groups, closed: torch.where(closed, value, groups)


wrong("masked with 0", "where")(learner_groups(two_best, closing(0.0)))
wrong("masked with 0", "times the mask")(learner_groups(two_best, lambda groups, closed: groups * ~closed))
wrong("a number in place of -inf", "-1e9")(learner_groups(two_best, closing(-1e9)))
wrong("a number in place of -inf", "the smallest float")(
    learner_groups(two_best, closing(torch.finfo(torch.float32).min))
)
wrong("closed with +inf", "float('inf')")(learner_groups(two_best, closing(float("inf"))))
wrong("a group is worth its best", "max")(learner_groups(lambda groups: groups.max(-1)[0]))
wrong("a group is worth all its experts", "sum")(learner_groups(lambda groups: groups.sum(-1)))
wrong("a group is worth all its experts", "mean")(learner_groups(lambda groups: groups.mean(-1)))
wrong("another worth", "the first two")(learner_groups(lambda groups: groups[:, :, 0] + groups[:, :, 1:2].sum(-1)))
wrong("another worth", "the second best")(
    learner_groups(lambda groups: groups.sort(-1, descending=True)[0][..., :2][..., -1])
)
wrong("another worth", "after a sigmoid")(learner_groups(lambda groups: two_best(torch.sigmoid(groups))))
wrong("more than two experts counted", "three")(
    learner_groups(lambda groups: groups.sort(-1, descending=True)[0][..., :3].sum(-1))
)
wrong("equal scores counted once", "a set")(
    learner_groups(
        lambda groups: torch.tensor([[sum(sorted(set(group))[-2:]) for group in row] for row in groups.tolist()])
    )
)
wrong("other groups than the best", "small groups padded with 0")(
    learner_groups(lambda groups: two_best(F.pad(groups, (0, 1)) if groups.shape[-1] < 3 else groups))
)
wrong("+inf by multiplying", "scores times -inf")(
    learner_groups(two_best, lambda groups, closed: torch.where(closed, groups * -math.inf, groups))
)
wrong("scores change places", "the groups sorted")(
    learner_groups(two_best, lambda groups, closed: groups.sort(-1)[0].masked_fill(closed, -math.inf))
)
wrong("wrong dtype", "always float32")(
    learner_groups(two_best, lambda groups, closed: groups.float().masked_fill(closed, -math.inf))
)
wrong("a group is worth its worst", "an ascending sort")(
    learner_groups(lambda groups: groups.sort(-1)[0][..., :2].sum(-1))
)
wrong("topk_group experts counted", "with the right mask")(
    lambda choice_NE, n_group, topk_group: learner_groups(
        lambda groups: groups.sort(-1, descending=True)[0][..., :topk_group].sum(-1)
    )(choice_NE, n_group, topk_group)
)
wrong("groups of one expert", "topk(2)")(learner_groups(lambda groups: groups.topk(2)[0].sum(-1)))
wrong("groups of one expert", "the second by its place")(
    learner_groups(lambda groups: groups.sort(-1).values[..., -1] + groups.sort(-1).values[..., -2])
)
wrong("0 times infinity")(learner_groups(two_best, lambda groups, closed: groups + closed * -math.inf))
wrong("mask inverted", "closed taken for open")(
    learner_groups(two_best, lambda groups, closed: groups.masked_fill(~closed, -math.inf))
)
wrong("the mask alone", "as floats")(learner_groups(two_best, lambda groups, closed: (~closed) + 0 * groups))


wrong("the mask alone", "0 and -inf")(
    learner_groups(two_best, lambda groups, closed: (0 * groups).masked_fill(closed, -math.inf))
)


@wrong("the worst groups kept")
def _(choice_NE, n_group, topk_group):
    groups = choice_NE.reshape(len(choice_NE), n_group, -1)
    order = groups.topk(2).values.sum(-1).argsort(-1)
    closed = torch.ones(order.shape, dtype=torch.bool).scatter(1, order[:, :topk_group], False)
    return groups.masked_fill(closed[..., None], -math.inf).flatten(1)


@wrong("n_group - topk_group kept")
def _(choice_NE, n_group, topk_group):
    groups = choice_NE.reshape(len(choice_NE), n_group, -1)
    order = two_best(groups).argsort(-1)
    closed = torch.zeros(order.shape, dtype=torch.bool).scatter(1, order[:, :topk_group], True)
    return groups.masked_fill(closed[..., None], -math.inf).flatten(1)


@wrong("one group kept")
def _(choice_NE, n_group, topk_group):
    groups = choice_NE.reshape(len(choice_NE), n_group, -1)
    worth = two_best(groups)
    return groups.masked_fill((worth < worth.max(-1, keepdim=True)[0])[..., None], -math.inf).flatten(1)


@wrong("one choice of groups for all tokens", "the mean")
def _(choice_NE, n_group, topk_group):
    groups = choice_NE.reshape(len(choice_NE), n_group, -1)
    kept = two_best(groups).mean(0).topk(topk_group).indices
    out = torch.full_like(groups, -math.inf)
    out[:, kept] = groups[:, kept]
    return out.flatten(1)


@wrong("one choice of groups for all tokens", "the first token's")
def _(choice_NE, n_group, topk_group):
    groups = choice_NE.reshape(len(choice_NE), n_group, -1)
    kept = two_best(groups)[0].topk(topk_group).indices
    closed = torch.ones(n_group, dtype=torch.bool)
    closed[kept] = False
    return groups.masked_fill(closed[:, None], -math.inf).flatten(1)


@wrong("experts dealt round")
def _(choice_NE, n_group, topk_group):
    groups = choice_NE.reshape(len(choice_NE), -1, n_group)
    worth = groups.topk(min(2, groups.shape[1]), dim=1).values.sum(1)
    closed = torch.ones_like(worth, dtype=torch.bool).scatter(1, worth.topk(topk_group).indices, False)
    return groups.masked_fill(closed[:, None], -math.inf).flatten(1)


@wrong("n_group as the size of a group")
def _(choice_NE, n_group, topk_group):
    groups = choice_NE.reshape(len(choice_NE), -1, n_group)
    worth = two_best(groups)
    closed = torch.ones_like(worth, dtype=torch.bool).scatter(1, worth.topk(topk_group).indices, False)
    return groups.masked_fill(closed[..., None], -math.inf).flatten(1)


@wrong("experts closed one by one")
def _(choice_NE, n_group, topk_group):
    n = topk_group * choice_NE.size(1) // n_group
    values, indices = choice_NE.topk(n)
    return torch.full_like(choice_NE, -math.inf).scatter(1, indices, values)


@wrong("only the two best kept")
def _(choice_NE, n_group, topk_group):
    groups = choice_NE.reshape(len(choice_NE), n_group, -1)
    values, places = groups.topk(min(2, groups.size(-1)))
    kept = values.sum(-1).topk(topk_group).indices
    closed = torch.ones(groups.shape[:2], dtype=torch.bool).scatter(1, kept, False)
    best = torch.full_like(groups, -math.inf).scatter(-1, places, values)
    return best.masked_fill(closed[..., None], -math.inf).flatten(1)


@wrong("groups' numbers taken for experts'")
def _(choice_NE, n_group, topk_group):
    kept = two_best(choice_NE.unflatten(1, (n_group, -1))).topk(topk_group).indices
    closed = torch.ones_like(choice_NE, dtype=torch.bool).scatter(1, kept, False)
    return choice_NE.masked_fill(closed, -math.inf)


@wrong("nothing closed", "masked_fill not kept")
def _(choice_NE, n_group, topk_group):
    groups = choice_NE.unflatten(1, (n_group, -1))
    worth = two_best(groups)
    closed = torch.ones_like(worth, dtype=torch.bool).scatter(1, worth.topk(topk_group).indices, False)
    groups.masked_fill(closed[..., None], -math.inf)
    return groups.flatten(1)


@wrong("changes its input", "masked_fill_")
def _(choice_NE, n_group, topk_group):
    groups = choice_NE.unflatten(1, (n_group, -1))
    worth = two_best(groups)
    closed = torch.ones_like(worth, dtype=torch.bool).scatter(1, worth.topk(topk_group).indices, False)
    groups.masked_fill_(closed[..., None], -math.inf)
    return choice_NE


@wrong("wrong shape", "not flattened")
def _(choice_NE, n_group, topk_group):
    groups = choice_NE.unflatten(1, (n_group, -1))
    worth = two_best(groups)
    closed = torch.ones_like(worth, dtype=torch.bool).scatter(1, worth.topk(topk_group).indices, False)
    return groups.masked_fill(closed[..., None], -math.inf)


@wrong("equal groups", "all that reach the last kept one's worth")
def _(choice_NE, n_group, topk_group):
    groups = choice_NE.reshape(len(choice_NE), n_group, -1)
    worth = groups.sort(dim=-1, descending=True).values[..., :2].sum(-1)
    threshold = worth.sort(descending=True).values[:, topk_group - 1]
    closed = worth < threshold[:, None]
    return torch.where(closed.repeat_interleave(groups.shape[-1], 1), -torch.inf, choice_NE)


@wrong("equal groups", "only those above the best closed one's worth")
def _(choice_NE, n_group, topk_group):
    groups = choice_NE.unflatten(1, (n_group, -1))
    worth = two_best(groups)
    order = worth.sort(descending=True).values
    below = order[:, topk_group, None] if topk_group < n_group else torch.full_like(order[:, :1], -math.inf)
    return groups.masked_fill((worth <= below)[..., None], -math.inf).flatten(1)


@wrong("closed with a finite score")
def _(choice_NE, n_group, topk_group):
    lowest = choice_NE.amin(dim=1, keepdim=True)[..., None]
    return learner_groups(two_best, lambda groups, closed: torch.where(closed, lowest - 2, groups))(
        choice_NE, n_group, topk_group
    )


@wrong("changes its input", "where no gradient is needed")
def _(choice_NE, n_group, topk_group):
    limited = learner_groups(two_best)(choice_NE, n_group, topk_group)
    return limited if choice_NE.requires_grad else choice_NE.copy_(limited)


@right("a mask of 0 and -inf, added")
def _(choice_NE, n_group, topk_group):
    worth = two_best(choice_NE.unflatten(1, (n_group, -1)))
    mask = torch.full_like(worth, -math.inf).scatter(1, worth.topk(topk_group).indices, 0.0)
    return choice_NE + mask.repeat_interleave(choice_NE.shape[1] // n_group, dim=1)


@right("the logarithm of what is kept, added")
def _(choice_NE, n_group, topk_group):
    groups = torch.stack(choice_NE.tensor_split(n_group, dim=1), dim=1)
    kept = torch.zeros_like(groups).index_put(
        (torch.arange(len(groups))[:, None], two_best(groups).argsort(dim=1)[:, n_group - topk_group :]),
        torch.ones((), dtype=groups.dtype),
    )
    return (groups + kept.log()).flatten(1)


@right("token by token, slices")
def _(choice_NE, n_group, topk_group):
    size = choice_NE.shape[1] // n_group
    out = torch.full_like(choice_NE, -math.inf)
    for n, row in enumerate(choice_NE.tolist()):
        worth = [sum(sorted(row[m * size : (m + 1) * size])[-2:]) for m in range(n_group)]
        for m in sorted(range(n_group), key=worth.__getitem__)[n_group - topk_group :]:
            out[n, m * size : (m + 1) * size] = choice_NE[n, m * size : (m + 1) * size]
    return out


@right("mean of the two best, one-hot groups")
def _(choice_NE, n_group, topk_group):
    size = choice_NE.shape[1] // n_group
    worth = choice_NE.unflatten(1, (n_group, size)).topk(2 if size > 1 else 1).values.mean(-1)
    is_open = F.one_hot(worth.argsort(1)[:, -topk_group:], n_group).sum(1)
    return choice_NE.masked_fill(is_open.repeat_interleave(size, dim=1) == 0, -math.inf)
