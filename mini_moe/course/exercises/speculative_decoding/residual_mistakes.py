"""Lesson 07, `residual`: the mistakes that people make."""

import torch
import torch.nn.functional as F

from mini_moe.course.checking.exercise import Mistake
from mini_moe.speculative import residual


def _lacking(p, q):
    return (p - q).clamp(min=0)


def _sum(x):
    return x.sum(dim=-1, keepdim=True)


def _divided(x):
    return x / _sum(x)


def _both(*functions):
    """Each function as it is, and with p in rows where the two are equal: for the mistakes."""

    def mended(function):
        return lambda p, q: torch.where((p == q).all(dim=-1, keepdim=True), p, function(p, q))

    return (*functions, *map(mended, functions))


def _without(token):
    """p without one token, ``token(p, q)``."""
    return lambda p, q: _divided(p.scatter(-1, token(p, q)[:, None], 0.0))


def _or_p(condition):
    """What is lacking, divided by its sum, or p where ``condition(p, q)`` does not hold."""
    return lambda p, q: torch.where(condition(p, q), _divided(_lacking(p, q)), p)


MISTAKES = tuple(
    Mistake(name, says, function)
    for name, says, functions in (
        (
            "not normalised",
            "The rows do not add up to 1: what is lacking is only a part of p. Divide each row by its sum.",
            _both(_lacking),
        ),
        (
            "negative parts kept",
            "p - q is negative where q gave too much, and it adds up to 0, by which nothing can be divided: make the "
            "negative parts 0 first.",
            _both(
                lambda p, q: p - q,
                lambda p, q: (p - q) / _sum(p - q),
                lambda p, q: (p - q) / _sum(_lacking(p, q)),
                lambda p, q: (p - q) / _sum((p - q).abs()),
            ),
        ),
        (
            "negative after the division",
            "The negative parts become 0 only after the division: p - q adds up to 0, and nothing can be divided by "
            "that. First `clamp`, then the sum.",
            _both(
                lambda p, q: ((p - q) / _sum(p - q)).clamp(min=0),
                lambda p, q: ((p - q) / _sum(p - q)).nan_to_num().clamp(min=0),
            ),
        ),
        (
            "absolute difference",
            "What q gave too much of counts as if it lacked: not the size of p - q is wanted, but only what is "
            "positive of it.",
            _both(lambda p, q: _divided((p - q).abs()), lambda p, q: (p - q).abs()),
        ),
        (
            "squared difference",
            "The differences are squared: only what is positive of p - q is wanted, as it is.",
            _both(lambda p, q: _divided((p - q).square()), lambda p, q: _divided(_lacking(p, q).square())),
        ),
        (
            "softmax in place of dividing",
            "A softmax gives every token a share, also those of which nothing is lacking: divide by the sum, these are "
            "no logits.",
            _both(
                lambda p, q: _lacking(p, q).softmax(dim=-1),
                lambda p, q: (p - q).softmax(dim=-1),
                lambda p, q: _divided(_lacking(p, q)).softmax(dim=-1),
            ),
        ),
        (
            "softmax of what is lacking",
            "A softmax over the tokens that lack brings their shares near each other: divide by the sum, these are no "
            "logits.",
            _both(lambda p, q: (p - q).masked_fill(p <= q, -torch.inf).softmax(dim=-1)),
        ),
        (
            "what q gave too much of",
            "This is what q gave too *much* of: to be drawn is what it gave too little of, the positive part of p - q.",
            _both(lambda p, q: _divided(_lacking(q, p)), lambda p, q: _lacking(q, p)),
        ),
        (
            "p itself",
            "This is p itself: q has already given its share of it, in drafts that stayed. Draw what is lacking.",
            (lambda p, q: p.clone(),),
        ),
        (
            "q itself",
            "This is q itself: drafts drawn from it were already made, and what p wants more of is lacking.",
            (lambda p, q: q.clone(),),
        ),
        (
            "one token removed",
            "Only one token is removed from p, and the rest divided by its sum: that is right only for a q that is "
            "sure of that token. Take q from p, token by token.",
            _both(
                _without(lambda p, q: p.argmax(dim=-1)),
                _without(lambda p, q: q.argmax(dim=-1)),
                _without(lambda p, q: (q - p).argmax(dim=-1)),
            ),
        ),
        (
            "all of p where it is larger",
            "Where p is larger than q, all of p is kept: q has given a part of it. What is lacking is p - q.",
            _both(
                lambda p, q: _divided(torch.where(p > q, p, 0.0)),
                lambda p, q: _divided(torch.where(p >= q, p, 0.0)),
                lambda p, q: torch.where(p > q, p, 0.0),
            ),
        ),
        (
            "what both give",
            "min(p, q) is what drafts already give: after a rejection the rest of p is wanted, p - min(p, q).",
            _both(lambda p, q: _divided(torch.minimum(p, q)), torch.minimum),
        ),
        (
            "ratio in place of difference",
            "It divides p by q: that says how often a draft stays. What is lacking is the difference, p - q.",
            _both(
                lambda p, q: _divided(p / q),
                lambda p, q: _divided((p / q).clamp(max=1)),
                lambda p, q: _divided((p / q - 1).clamp(min=0)),
                lambda p, q: _divided((1 - q / p).clamp(min=0)),
            ),
        ),
        (
            "product in place of difference",
            "p is multiplied by 1 - q: what is lacking is the difference, p - q, where that is positive.",
            _both(lambda p, q: _divided(p * (1 - q)), lambda p, q: p * (1 - q)),
        ),
        (
            "lacking added to p",
            "What is lacking is added to p, or averaged with it: after a rejection nothing else is drawn.",
            _both(lambda p, q: _divided(p + _lacking(p, q)), lambda p, q: (p + residual(p, q)) / 2),
        ),
        (
            "only the largest lack",
            "One token gets all: that of which most is lacking. Each gets a share in proportion to what is lacking.",
            _both(lambda p, q: F.one_hot((p - q).argmax(dim=-1), p.shape[-1]).to(p.dtype)),
        ),
        (
            "all that lack alike",
            "All tokens that lack get the same share: each gets it in proportion to what is lacking.",
            _both(lambda p, q: _divided((p > q).to(p.dtype))),
        ),
        (
            "normalised over the whole batch",
            "It divides by the sum over all rows: each row is a distribution of its own, and divided by its own sum.",
            _both(
                lambda p, q: _lacking(p, q) / _lacking(p, q).sum(),
                lambda p, q: _lacking(p, q) / _lacking(p, q).sum() * len(p),
            ),
        ),
        (
            "normalised over the rows",
            "It sums over the rows, so that each token's column adds up to 1: sum over the vocabulary, `dim=-1`.",
            _both(
                lambda p, q: _lacking(p, q) / _lacking(p, q).sum(dim=0),
                lambda p, q: F.normalize(_lacking(p, q), p=1, dim=0),
            ),
        ),
        (
            "divided by something else",
            "Each row is divided, but not by its sum, so that it does not add up to 1.",
            _both(
                lambda p, q: _lacking(p, q) / _lacking(p, q).amax(dim=-1, keepdim=True),
                lambda p, q: F.normalize(_lacking(p, q)),
                lambda p, q: _lacking(p, q) / _sum((p - q).abs()),
                lambda p, q: _lacking(p, q) / _sum(torch.minimum(p, q)),
                lambda p, q: _lacking(p, q) / _lacking(p, q).mean(dim=-1, keepdim=True),
                lambda p, q: _lacking(p, q) / p,
            ),
        ),
        (
            "NaN where the two are equal",
            "In a row where p equals q nothing is lacking, and 0 / 0 is NaN: give p there, row by row, also where "
            "other rows differ.",
            (
                lambda p, q: _divided(_lacking(p, q)),
                lambda p, q: p.clone() if torch.equal(p, q) else _divided(_lacking(p, q)),
            ),
        ),
        (
            "zeros where the two are equal",
            "In a row where p equals q all shares are 0, from which nothing can be drawn: give p there, so that each "
            "row is a distribution.",
            (
                lambda p, q: _divided(_lacking(p, q)).nan_to_num(),
                lambda p, q: p.clone() if torch.equal(p, q) else _divided(_lacking(p, q)).nan_to_num(),
                *(
                    lambda p, q, least=least: _lacking(p, q) / (_sum(_lacking(p, q)) + least)
                    for least in (1e-12, 1e-10, 1e-9, 1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3)
                ),
                *(
                    lambda p, q, least=least: _lacking(p, q) / _sum(_lacking(p, q)).clamp(min=least)
                    for least in (1e-6, 1e-5, 1e-4, 1e-3)
                ),
            ),
        ),
        (
            "all alike where the two are equal",
            "In a row where p equals q all tokens get the same share: give p there.",
            (
                lambda p, q: torch.where(
                    (p == q).all(dim=-1, keepdim=True), torch.full_like(p, 1 / p.shape[-1]), residual(p, q)
                ),
            ),
        ),
        (
            "p in all rows, if one is equal",
            "One row in which p equals q makes p of all rows: ask in each row by itself.",
            (lambda p, q: p.clone() if (p == q).all(dim=-1).any() else residual(p, q),),
        ),
        (
            "p where single tokens do not lack",
            "Tokens of which nothing is lacking get their p, in rows whose others lack: p is for whole rows where the "
            "two are equal. Ask whether the row's *sum* is 0.",
            (
                _or_p(lambda p, q: p > q),
                _or_p(lambda p, q: p != q),
            ),
        ),
        (
            "nearly equal taken for equal",
            "Rows that differ by little are taken for equal: what is lacking may be little, and still it is all that "
            "is drawn. Ask whether its sum is positive.",
            tuple(
                _or_p(lambda p, q, least=least: _sum(_lacking(p, q)) > least) for least in (1e-5, 1e-4, 1e-3, 0.01, 0.1)
            ),
        ),
        (
            "something added to each token",
            "Each token keeps at least a little, also those of which nothing is lacking: 0 must stay 0 there. Only the "
            "sum may not be 0, in a row where the two are equal.",
            (
                *(
                    lambda p, q, least=least: _divided((p - q).clamp(min=least))
                    for least in (1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-9, 1e-10, 1e-12)
                ),
                *(
                    lambda p, q, more=more: _divided(_lacking(p, q) + more)
                    for more in (1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8)
                ),
            ),
        ),
    )
    for function in functions
)
