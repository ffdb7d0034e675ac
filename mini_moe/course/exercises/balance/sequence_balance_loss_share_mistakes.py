"""Lesson 04, `sequence_balance_loss`: the mistakes that people make with f, the fractions of the choices."""

from mini_moe.course.checking.exercise import Mistake
from mini_moe.course.exercises.balance.sequence_balance_loss_parts import (
    balance,
    f_of,
    gates,
    mask,
    normalised,
    p_of,
    share,
)

MISTAKES = (
    *(
        Mistake(
            "mean share times itself",
            "The mean share is multiplied by itself: f, the fraction of the choices that each expert *got*, has to be "
            "the other factor.",
            balance(f=lambda scores, experts, factor=factor: factor(scores, experts) * p_of(scores, experts)),
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
            balance(
                f=lambda scores, experts, soft=soft, per=per: (
                    share(soft(scores, experts).sum(dim=1), experts) * (experts.shape[-1] if per == "token" else 1)
                )
            ),
        )
        for soft in (
            lambda scores, experts: scores,
            lambda scores, experts: scores * mask(scores, experts),
            lambda scores, experts: normalised(scores) * mask(scores, experts),
            gates,
        )
        for per in ("token", "choice")
    ),
    *(
        Mistake(
            name,
            f"{what} At balance every f is 1, whatever E, K and T: f = E / (K T) * count.",
            balance(
                f=lambda scores, experts, factor=factor: (
                    mask(scores, experts).sum(dim=1) * factor(scores.shape[-1], *experts.shape[:0:-1])
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
            ("T left out", "T is missing in f, or the mean share is a sum over the tokens.", lambda E, K, T: E / K),
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
            "`//` cuts the fraction off: divide with `/`, for f is a fraction, such as 0.67.",
            balance(f=f),
        )
        for f in (
            lambda scores, experts: f_of(scores, experts).floor(),
            lambda scores, experts: mask(scores, experts).sum(dim=1) * (scores.shape[-1] // experts[0].numel()),
        )
    ),
    *(
        Mistake(
            "only the first choice counted",
            "f counts only the first choice of each token: all K of them count.",
            balance(
                f=lambda scores, experts, per=per: f_of(scores, experts[..., :1]) / (experts.shape[-1] if per else 1)
            ),
        )
        for per in (False, True)
    ),
    *(
        Mistake(
            "a busy expert counted once",
            "f notes only whether an expert was chosen, not how often: count its tokens.",
            balance(f=f),
        )
        for f in (
            lambda scores, experts: f_of(scores, experts).sign(),
            lambda scores, experts: share(f_of(scores, experts).sign(), experts),
        )
    ),
    *(
        Mistake(
            "chosen again from the scores",
            "It chooses the experts again, from the scores alone, as equation 18 of the paper does. Here those in "
            "`experts_BTK` are counted, which bias and groups had a part in.",
            lambda scores, experts, alpha, n=n: balance()(scores, scores.topk(n(experts)).indices, alpha),
        )
        for n in (lambda experts: experts.shape[-1], lambda experts: 1)
    ),
    *(
        Mistake(
            "over the whole batch",
            "f is taken over the whole batch: then one sequence may lean one way and the next the other. Take f "
            "and the mean share within each sequence, and the mean over sequences last.",
            balance(f=lambda scores, experts, per=per: per(f_of(scores, experts)).expand(len(scores), -1)),
        )
        for per in (lambda f: f.mean(dim=0), lambda f: f.sum(dim=0))
    ),
    *(
        Mistake(
            "a size written in",
            "The E or the T of the example is written in as a number: take E, K and T from the arguments' shapes.",
            balance(f=f),
        )
        for f in (
            lambda scores, experts: 2 / scores.shape[-1] * f_of(scores, experts),
            lambda scores, experts: scores.shape[1] / 2 * f_of(scores, experts),
        )
    ),
    Mistake(
        "B in place of T",
        "f is divided by B, the number of sequences, in place of T, the tokens of one sequence: f = E / (K T) * count.",
        balance(f=lambda scores, experts: scores.shape[1] / len(scores) * f_of(scores, experts)),
    ),
    *(
        Mistake(
            "one sequence's counts for all",
            "The counts of one sequence stand for all of them: count within each sequence.",
            balance(f=lambda scores, experts, at=at: f_of(scores, experts)[at].expand(len(scores), -1)),
        )
        for at in (0, -1)
    ),
    Mistake(
        "f squared",
        "f comes in twice: the loss is the sum of f times the mean share, each of them once.",
        balance(f=lambda scores, experts: f_of(scores, experts).square()),
    ),
    *(
        Mistake(
            "softmax of the counts",
            "The counts go through a softmax, which makes most of the busiest: f = E / (K T) * count.",
            balance(f=lambda scores, experts, what=what: scores.shape[-1] * what(scores, experts).softmax(dim=-1)),
        )
        for what in (f_of, lambda scores, experts: mask(scores, experts).sum(dim=1))
    ),
    *(
        Mistake(
            "only busy experts charged",
            "Experts with less than their share are left out: the sum runs over all of them, each with its own f.",
            balance(f=lambda scores, experts, charged=charged: charged(f_of(scores, experts))),
        )
        for charged in (
            lambda f: f * (f > 1),
            lambda f: f * (f >= 1),
        )
    ),
)
