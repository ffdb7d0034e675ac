"""Lesson 04, `sequence_balance_loss`: the mistakes that people make."""

import torch.nn.functional as F

from mini_moe.course.checking.exercise import Mistake
from mini_moe.course.exercises.balance.shared import chosen


def _mask(scores, experts):
    """1 where a token chose an expert: (B, T, E)."""
    return chosen(experts, scores.shape[-1]).sum(dim=2)


def _normalised(scores, dim=-1):
    return scores / scores.sum(dim=dim, keepdim=True)


def _gates(scores, experts):
    return _normalised(scores * _mask(scores, experts))


def _share(count_BE, experts):
    """f of a count."""
    return count_BE * count_BE.shape[-1] / experts[0].numel()


def _f(scores, experts):
    return _share(_mask(scores, experts).sum(dim=1), experts)


def _p(scores, experts):
    return _normalised(scores).mean(dim=1)


def _balance(*, f=_f, p=_p, join=lambda f, p, alpha: alpha * (f * p).sum(dim=-1).mean()):
    """The loss with one thing changed, for the mistakes."""
    return lambda scores, experts, alpha: join(f(scores, experts), p(scores, experts), alpha)


def _straight_through(soft):
    """f of the right value, with the gradient of ``soft(scores, experts)``."""

    def f(scores, experts):
        slope = soft(scores, experts)
        return _share((_mask(scores, experts) + slope - slope.detach()).sum(dim=1), experts)

    return f


MISTAKES = (
    Mistake(
        "P detached",
        "P is detached: f is a count and has no gradient, so this loss trains nothing. Detach f, if anything.",
        _balance(p=lambda scores, experts: _p(scores.detach(), experts)),
    ),
    *(
        Mistake(
            "gradient through f",
            "The value is right, but a gradient runs through f, too: f counts tokens and is a constant; only P learns.",
            _balance(f=_straight_through(soft)),
        )
        for soft in (
            lambda scores, experts: scores,
            lambda scores, experts: scores * _mask(scores, experts),
            lambda scores, experts: _normalised(scores),
            lambda scores, experts: _normalised(scores) * _mask(scores, experts),
            lambda scores, experts: scores.softmax(dim=-1),
            lambda scores, experts: scores / scores.detach() * _mask(scores, experts),
            _gates,
        )
    ),
    Mistake(
        "sum of scores detached",
        "The sum by which the scores are divided is detached: it is part of P, and one expert's share falls as "
        "another's score rises.",
        _balance(p=lambda scores, experts: (scores / scores.sum(dim=-1, keepdim=True).detach()).mean(dim=1)),
    ),
    Mistake(
        "f times f",
        "f is multiplied by itself: it is a count, without gradient, and trains nothing. P has to be the other factor.",
        _balance(p=_f),
    ),
    *(
        Mistake(
            "P times P",
            "P is multiplied by itself: f, the share of tokens that each expert was *given*, has to be the other "
            "factor.",
            _balance(f=lambda scores, experts, factor=factor: factor(scores, experts) * _p(scores, experts)),
        )
        for factor in (
            lambda scores, experts: 1,
            lambda scores, experts: scores.shape[-1],
            lambda scores, experts: scores.shape[-1] / experts.shape[-1],
        )
    ),
    *(
        Mistake(
            "scores in place of counts",
            "f adds up scores or weights of tokens: it *counts* tokens, 1 for each choice, and has no gradient.",
            _balance(
                f=lambda scores, experts, soft=soft, per=per: (
                    _share(soft(scores, experts).sum(dim=1), experts) * (experts.shape[-1] if per == "token" else 1)
                )
            ),
        )
        for soft in (
            lambda scores, experts: scores,
            lambda scores, experts: scores * _mask(scores, experts),
            lambda scores, experts: _normalised(scores) * _mask(scores, experts),
            _gates,
        )
        for per in ("token", "choice")
    ),
    *(
        Mistake(
            "only chosen scores in P",
            "P takes the scores of the chosen experts only: it is the mean over *all* tokens of each expert's "
            "share, chosen or not. (To multiply count and share token by token comes to the same.)",
            _balance(p=p),
        )
        for p in (
            lambda scores, experts: (_normalised(scores) * _mask(scores, experts)).mean(dim=1),
            lambda scores, experts: (
                (_normalised(scores) * _mask(scores, experts)).sum(dim=1)
                / _mask(scores, experts).sum(dim=1).clamp(min=1)
            ),
            lambda scores, experts: _gates(scores, experts).mean(dim=1),
            lambda scores, experts: (scores * _mask(scores, experts)).mean(dim=1),
        )
    ),
    Mistake(
        "scores not divided by their sum",
        "The scores are not divided by their sum over the experts: without it, the loss falls when all scores do, "
        "and nothing gets more even.",
        _balance(p=lambda scores, experts: scores.mean(dim=1)),
    ),
    Mistake(
        "softmax of the scores",
        "P is a softmax of the scores: they are sigmoids already; divide them by their sum.",
        _balance(p=lambda scores, experts: scores.softmax(dim=-1).mean(dim=1)),
    ),
    Mistake(
        "divided by the sum after the mean",
        "The mean over tokens is taken first, and its sum divided by after: each *token's* scores are divided by "
        "their own sum, so that all tokens weigh the same.",
        _balance(p=lambda scores, experts: _normalised(scores.mean(dim=1))),
    ),
    *(
        Mistake(
            "divided by the wrong sum",
            "The scores are divided by the wrong sum: it runs over the experts, the last dimension, for each token "
            "by itself.",
            _balance(p=p),
        )
        for p in (
            lambda scores, experts: _normalised(scores, 0).mean(dim=1),
            lambda scores, experts: _normalised(scores, 1).mean(dim=1),
            lambda scores, experts: scores.mean(dim=1) / scores.sum(),
            lambda scores, experts: (scores / scores.gather(-1, experts).sum(dim=-1, keepdim=True)).mean(dim=1),
            lambda scores, experts: F.normalize(scores, dim=-1).mean(dim=1),
            lambda scores, experts: (scores / scores.amax(dim=-1, keepdim=True)).mean(dim=1),
        )
    ),
    *(
        Mistake(
            name,
            f"{what} At balance every f is 1, whatever E, K and T: f = E / (K T) * count.",
            _balance(
                f=lambda scores, experts, factor=factor: (
                    _mask(scores, experts).sum(dim=1) * factor(scores.shape[-1], *experts.shape[:0:-1])
                )
            ),
        )
        for name, what, factor in (
            (
                "E left out",
                "E is missing in f, or the products are averaged over the experts.",
                lambda E, K, T: 1 / (K * T),
            ),
            ("K left out", "f is not divided by K, the choices of a token.", lambda E, K, T: E / T),
            ("T left out", "T is missing in f, or P is a sum over the tokens.", lambda E, K, T: E / K),
            ("E and K left out", "f lacks the factor E / K.", lambda E, K, T: 1 / T),
            ("K and T left out", "f is not divided by K T, the choices.", lambda E, K, T: E),
            ("bare counts", "f is the bare count.", lambda E, K, T: 1),
            ("K multiplied", "f is multiplied by K: divide by it.", lambda E, K, T: E * K / T),
            ("E multiplied twice", "f is multiplied by E twice.", lambda E, K, T: E * E / (K * T)),
            ("K divided by twice", "f is divided by K twice.", lambda E, K, T: E / (K * K * T)),
            ("T divided by twice", "f is divided by T twice.", lambda E, K, T: E / (K * T * T)),
            ("f upside down", "The factor of f stands on its head.", lambda E, K, T: K * T / E),
        )
    ),
    *(
        Mistake(
            "f cut to a whole number",
            "`//` cuts the fraction off: divide with `/`, for f is a share, such as 0.67.",
            _balance(f=f),
        )
        for f in (
            lambda scores, experts: _f(scores, experts).floor(),
            lambda scores, experts: _mask(scores, experts).sum(dim=1) * (scores.shape[-1] // experts[0].numel()),
        )
    ),
    *(
        Mistake(
            "only the first choice counted",
            "f counts only the first choice of each token: all K of them count.",
            _balance(
                f=lambda scores, experts, per=per: _f(scores, experts[..., :1]) / (experts.shape[-1] if per else 1)
            ),
        )
        for per in (False, True)
    ),
    *(
        Mistake(
            "a busy expert counted once",
            "f notes only whether an expert was chosen, not how often: count its tokens.",
            _balance(f=f),
        )
        for f in (
            lambda scores, experts: _f(scores, experts).sign(),
            lambda scores, experts: _share(_f(scores, experts).sign(), experts),
        )
    ),
    *(
        Mistake(
            "chosen again from the scores",
            "It chooses the experts again, from the scores alone: count those in `experts_BTK`, which bias and "
            "groups had a part in.",
            lambda scores, experts, alpha, n=n: _balance()(scores, scores.topk(n(experts)).indices, alpha),
        )
        for n in (lambda experts: experts.shape[-1], lambda experts: 1)
    ),
    *(
        Mistake(
            "over the whole batch",
            "f is taken over the whole batch: then one sequence may lean one way and the next the other. Take f "
            "and P within each sequence, and the mean over sequences last.",
            _balance(f=lambda scores, experts, per=per: per(_f(scores, experts)).expand(len(scores), -1)),
        )
        for per in (lambda f: f.mean(dim=0), lambda f: f.sum(dim=0))
    ),
    *(
        Mistake(name, says, _balance(join=join))
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
                "f and P added",
                "f and P are added: their *product* makes the share of a busy expert cost more.",
                lambda f, p, alpha: alpha * (f + p).sum(dim=-1).mean(),
            ),
        )
    ),
    *(
        Mistake(
            "alpha written in",
            "`alpha` is written in as a number: use the argument.",
            _balance(join=lambda f, p, _, own=own: own * (f * p).sum(dim=-1).mean()),
        )
        for own in (1e-4, 1e-3, 1e-2)
    ),
)
