"""Lesson 07, `residual`: the mistakes that people make in what is lacking, and in dividing it."""

import torch
import torch.nn.functional as F

from mini_moe.course.checking.exercise import Mistake
from mini_moe.course.exercises.speculative_decoding.residual_parts import both, divided, lacking, total, without
from mini_moe.speculative import residual

MISTAKES = tuple(
    Mistake(name, says, function)
    for name, says, functions in (
        (
            "not normalised",
            "The rows do not add up to 1: what is lacking is only a part of p. Divide each row by its sum.",
            both(lacking),
        ),
        (
            "negative parts kept",
            "p - q is negative where q gave too much, and it adds up to 0, by which nothing can be divided: make the "
            "negative parts 0 first.",
            both(
                lambda p, q: p - q,
                lambda p, q: (p - q) / total(p - q),
                lambda p, q: (p - q) / total(lacking(p, q)),
                lambda p, q: (p - q) / total((p - q).abs()),
            ),
        ),
        (
            "negative after the division",
            "The negative parts become 0 only after the division: p - q adds up to 0, and nothing can be divided by "
            "that. First `clamp`, then the sum.",
            both(
                lambda p, q: ((p - q) / total(p - q)).clamp(min=0),
                lambda p, q: ((p - q) / total(p - q)).nan_to_num().clamp(min=0),
            ),
        ),
        (
            "absolute difference",
            "What q gave too much of counts as if it lacked: not the size of p - q is wanted, but only what is "
            "positive of it.",
            both(lambda p, q: divided((p - q).abs()), lambda p, q: (p - q).abs()),
        ),
        (
            "squared difference",
            "The differences are squared: only what is positive of p - q is wanted, as it is.",
            both(lambda p, q: divided((p - q).square()), lambda p, q: divided(lacking(p, q).square())),
        ),
        (
            "softmax in place of dividing",
            "A softmax gives every token a share, also those of which nothing is lacking: divide by the sum, these are "
            "no logits.",
            both(
                lambda p, q: lacking(p, q).softmax(dim=-1),
                lambda p, q: (p - q).softmax(dim=-1),
                lambda p, q: divided(lacking(p, q)).softmax(dim=-1),
            ),
        ),
        (
            "softmax of what is lacking",
            "A softmax over the tokens that lack brings their shares near each other: divide by the sum, these are no "
            "logits.",
            both(lambda p, q: (p - q).masked_fill(p <= q, -torch.inf).softmax(dim=-1)),
        ),
        (
            "what q gave too much of",
            "This is what q gave too *much* of: to be drawn is what it gave too little of, the positive part of p - q.",
            both(lambda p, q: divided(lacking(q, p)), lambda p, q: lacking(q, p)),
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
            both(
                without(lambda p, q: p.argmax(dim=-1)),
                without(lambda p, q: q.argmax(dim=-1)),
                without(lambda p, q: (q - p).argmax(dim=-1)),
            ),
        ),
        (
            "all of p where it is larger",
            "Where p is larger than q, all of p is kept: q has given a part of it. What is lacking is p - q.",
            both(
                lambda p, q: divided(torch.where(p > q, p, 0.0)),
                lambda p, q: divided(torch.where(p >= q, p, 0.0)),
                lambda p, q: torch.where(p > q, p, 0.0),
            ),
        ),
        (
            "what both give",
            "min(p, q) is what drafts already give: after a rejection the rest of p is wanted, p - min(p, q).",
            both(lambda p, q: divided(torch.minimum(p, q)), torch.minimum),
        ),
        (
            "ratio in place of difference",
            "It divides p by q: that says how often a draft stays. What is lacking is the difference, p - q.",
            both(
                lambda p, q: divided(p / q),
                lambda p, q: divided((p / q).clamp(max=1)),
                lambda p, q: divided((p / q - 1).clamp(min=0)),
                lambda p, q: divided((1 - q / p).clamp(min=0)),
            ),
        ),
        (
            "product in place of difference",
            "p is multiplied by 1 - q: what is lacking is the difference, p - q, where that is positive.",
            both(lambda p, q: divided(p * (1 - q)), lambda p, q: p * (1 - q)),
        ),
        (
            "lacking added to p",
            "What is lacking is added to p, or averaged with it: after a rejection nothing else is drawn.",
            both(lambda p, q: divided(p + lacking(p, q)), lambda p, q: (p + residual(p, q)) / 2),
        ),
        (
            "only the largest lack",
            "One token gets all: that of which most is lacking. Each gets a share in proportion to what is lacking.",
            both(lambda p, q: F.one_hot((p - q).argmax(dim=-1), p.shape[-1]).to(p.dtype)),
        ),
        (
            "all that lack alike",
            "All tokens that lack get the same share: each gets it in proportion to what is lacking.",
            both(lambda p, q: divided((p > q).to(p.dtype))),
        ),
        (
            "normalised over the whole batch",
            "It divides by the sum over all rows: each row is a distribution of its own, and divided by its own sum.",
            both(
                lambda p, q: lacking(p, q) / lacking(p, q).sum(),
                lambda p, q: lacking(p, q) / lacking(p, q).sum() * len(p),
            ),
        ),
        (
            "normalised over the rows",
            "It sums over the rows, so that each token's column adds up to 1: sum over the vocabulary, `dim=-1`.",
            both(
                lambda p, q: lacking(p, q) / lacking(p, q).sum(dim=0),
                lambda p, q: F.normalize(lacking(p, q), p=1, dim=0),
            ),
        ),
        (
            "rounded",
            "The shares are rounded, to a few digits or to 16 bits: give them as they are, and round where you print.",
            (
                *(lambda p, q, digits=digits: residual(p, q).round(decimals=digits) for digits in (0, 1, 2, 3, 4)),
                lambda p, q: residual(p, q).half().to(p.dtype),
                lambda p, q: residual(p, q).bfloat16().to(p.dtype),
                lambda p, q: residual(p.half(), q.half()).to(p.dtype),
                lambda p, q: residual(p.bfloat16(), q.bfloat16()).to(p.dtype),
            ),
        ),
        (
            "divided by something else",
            "Each row is divided, but not by its sum, so that it does not add up to 1.",
            both(
                lambda p, q: lacking(p, q) / lacking(p, q).amax(dim=-1, keepdim=True),
                lambda p, q: F.normalize(lacking(p, q)),
                lambda p, q: lacking(p, q) / total((p - q).abs()),
                lambda p, q: lacking(p, q) / total(torch.minimum(p, q)),
                lambda p, q: lacking(p, q) / lacking(p, q).mean(dim=-1, keepdim=True),
                lambda p, q: lacking(p, q) / p,
            ),
        ),
    )
    for function in functions
)
