"""Lesson 04, `sequence_balance_loss`: the mistakes that people make."""

import torch.nn.functional as F

from mini_moe.course.checking.exercise import Mistake
from mini_moe.course.exercises.balance.sequence_balance_loss_parts import (
    balance,
    f_of,
    gates,
    mask,
    normalised,
    p_of,
    straight_through,
)
from mini_moe.course.exercises.balance.sequence_balance_loss_share_mistakes import MISTAKES as SHARE_MISTAKES

# What has a gradient and may stand for a count.
_SOFT_COUNTS = (
    lambda scores, experts: scores,
    lambda scores, experts: scores * mask(scores, experts),
    lambda scores, experts: normalised(scores),
    lambda scores, experts: normalised(scores) * mask(scores, experts),
    lambda scores, experts: scores.softmax(dim=-1),
    lambda scores, experts: scores / scores.detach() * mask(scores, experts),
    gates,
)

MISTAKES = (
    Mistake(
        "mean share detached",
        "The mean share is detached: f is a count and has no gradient, so this loss trains nothing. Detach f, if "
        "anything.",
        balance(p=lambda scores, experts: p_of(scores.detach(), experts)),
    ),
    *(
        Mistake(
            "gradient through f",
            "The value is right, but a gradient runs through f, too: f counts tokens and is a constant; only the mean "
            "share learns.",
            balance(f=straight_through(soft)),
        )
        for soft in _SOFT_COUNTS
    ),
    *(
        Mistake(
            "gradient through f, not through the mean share",
            "The gradient runs through f, and the mean share is detached. It has to be the other way round: f is a "
            "count, and only the mean share learns.",
            balance(f=straight_through(soft), p=lambda scores, experts: p_of(scores.detach(), experts)),
        )
        for soft in _SOFT_COUNTS
    ),
    Mistake(
        "sum of scores detached",
        "The sum by which the scores are divided is detached: an expert's share also falls "
        "because another's score rises.",
        balance(p=lambda scores, experts: (scores / scores.sum(dim=-1, keepdim=True).detach()).mean(dim=1)),
    ),
    Mistake(
        "f times f",
        "f is multiplied by itself: it is a count, without gradient, and trains nothing. The "
        "mean share has to be the other factor.",
        balance(p=f_of),
    ),
    *(
        Mistake(
            "only chosen scores in the mean share",
            "The mean share takes the scores of the chosen experts only: it is the mean over *all* tokens of each "
            "expert's share, chosen or not. (To multiply count and share token by token comes to the same.)",
            balance(p=p),
        )
        for p in (
            lambda scores, experts: (normalised(scores) * mask(scores, experts)).mean(dim=1),
            lambda scores, experts: (
                (normalised(scores) * mask(scores, experts)).sum(dim=1) / mask(scores, experts).sum(dim=1).clamp(min=1)
            ),
            lambda scores, experts: gates(scores, experts).mean(dim=1),
            lambda scores, experts: (scores * mask(scores, experts)).mean(dim=1),
        )
    ),
    *(
        Mistake(
            "only one token in the mean share",
            "The mean share is that of one token only: it is the mean over all tokens of a sequence.",
            balance(p=lambda scores, experts, at=at: normalised(scores)[:, at]),
        )
        for at in (0, -1)
    ),
    Mistake(
        "scores not divided by their sum",
        "The scores are not divided by their sum over the experts: without it, the loss falls when all scores do, "
        "and nothing gets more even.",
        balance(p=lambda scores, experts: scores.mean(dim=1)),
    ),
    Mistake(
        "softmax of the scores",
        "The shares are a softmax of the scores: they are sigmoids already; divide them by their sum.",
        balance(p=lambda scores, experts: scores.softmax(dim=-1).mean(dim=1)),
    ),
    Mistake(
        "divided by the sum after the mean",
        "The mean over tokens is taken first, and its sum divided by after: each *token's* scores are divided by "
        "their own sum, so that all tokens weigh the same.",
        balance(p=lambda scores, experts: normalised(scores.mean(dim=1))),
    ),
    *(
        Mistake(
            "divided by the wrong sum",
            "The scores are divided by the wrong sum: it runs over the experts, the last dimension, for each token "
            "by itself.",
            balance(p=p),
        )
        for p in (
            lambda scores, experts: normalised(scores, 0).mean(dim=1),
            lambda scores, experts: normalised(scores, 1).mean(dim=1),
            lambda scores, experts: scores.mean(dim=1) / scores.sum(),
            lambda scores, experts: (scores / scores.gather(-1, experts).sum(dim=-1, keepdim=True)).mean(dim=1),
            lambda scores, experts: F.normalize(scores, dim=-1).mean(dim=1),
            lambda scores, experts: (scores / scores.amax(dim=-1, keepdim=True)).mean(dim=1),
        )
    ),
    *(
        Mistake(name, says, balance(join=join))
        for name, says, join in (
            (
                "summed over sequences",
                "The losses of the sequences are added up: take their mean, so that a larger batch costs no more.",
                lambda f, p, alpha: alpha * (f * p).sum(),
            ),
            (
                "a loss for each sequence",
                "It gives a loss for each sequence: take their mean, for one loss in all.",
                lambda f, p, alpha: alpha * (f * p).sum(dim=-1),
            ),
            (
                "a loss for each sequence",
                "It gives a loss for each sequence: take their mean, for one loss in all.",
                lambda f, p, alpha: alpha * (f * p).sum(dim=-1).squeeze(0),
            ),
            *(
                (
                    "only one sequence",
                    "Only one sequence of the batch counts: take the mean of the losses of all.",
                    lambda f, p, alpha, at=at: alpha * (f * p).sum(dim=-1)[at],
                )
                for at in (0, -1)
            ),
            (
                "only the worst sequence",
                "Only the sequence with the largest loss counts: take the mean of the losses of all.",
                lambda f, p, alpha: alpha * (f * p).sum(dim=-1).max(),
            ),
            (
                "divided by the batch twice",
                "It is divided by the number of sequences twice: f counts within one sequence, K T choices, and "
                "the mean over sequences comes last.",
                lambda f, p, alpha: alpha * (f * p).sum(dim=-1).mean() / len(f),
            ),
            (
                "alpha left out",
                "`alpha` is not used: at its full size, this loss would drown the one that learns the language.",
                lambda f, p, alpha: (f * p).sum(dim=-1).mean(),
            ),
            (
                "alpha twice",
                "`alpha` is multiplied in twice: once, at the end.",
                lambda f, p, alpha: alpha * alpha * (f * p).sum(dim=-1).mean(),
            ),
            (
                "divided by alpha",
                "It is divided by `alpha`: multiply; `alpha` is small to make the loss small.",
                lambda f, p, alpha: (f * p).sum(dim=-1).mean() / alpha,
            ),
            (
                "sign turned round",
                "The sign is turned round: training makes a loss small, and this one must be small at balance.",
                lambda f, p, alpha: -alpha * (f * p).sum(dim=-1).mean(),
            ),
            (
                "0 at balance",
                "Something is subtracted so that balance costs 0: nearly as good, for a constant trains nothing, "
                "but the formula has it in; balance costs `alpha`.",
                lambda f, p, alpha: alpha * ((f * p).sum(dim=-1).mean() - 1),
            ),
            (
                "f and mean share added",
                "f and the mean share are added: their *product* makes the share of a busy expert cost more.",
                lambda f, p, alpha: alpha * (f + p).sum(dim=-1).mean(),
            ),
        )
    ),
    *(
        Mistake(
            "alpha written in",
            "`alpha` is written in as a number: use the argument.",
            balance(join=lambda f, p, _, own=own: own * (f * p).sum(dim=-1).mean()),
        )
        for own in (1e-4, 1e-3, 1e-2)
    ),
    *SHARE_MISTAKES,
)
