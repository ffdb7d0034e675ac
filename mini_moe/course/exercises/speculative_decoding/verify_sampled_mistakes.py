"""Lesson 07, `verify_sampled`: the mistakes that people make."""

import itertools

import torch

from mini_moe.course.checking.exercise import Mistake
from mini_moe.course.exercises.speculative_decoding.verify_sampled_parts import (
    drafted,
    greedy_and_drawn,
    if_likeliest,
    normal,
    of_rows,
    residual_of_first,
    second,
    verdict_alone_turned_round,
    verified,
    with_row,
    without_draft,
)
from mini_moe.speculative import residual

MISTAKES = tuple(
    Mistake(name, says, function)
    for name, says, functions in (
        (
            "stays where the chance is greater",
            "The draft stays where the chance is *greater* than p / q: it is to stay where it is less, which is the "
            "more often, the greater p is.",
            (verified(lambda p, q, chance: chance * q > p), verified(lambda p, q, chance: chance * q >= p)),
        ),
        (
            "chance turned round",
            "The draft stays where the chance is greater than 1 - p / q: just as often, but for other draws than those "
            "that were agreed on. Compare the chance itself with p / q.",
            (verified(lambda p, q, chance: 1 - chance < p / q), verified(lambda p, q, chance: 1 - p / q <= chance)),
        ),
        (
            "q / p",
            "The chance is compared with q / p: it is the other way round. What the *model* finds likely is to stay, "
            "p / q.",
            (verified(lambda p, q, chance: chance * p < q),),
        ),
        (
            "equality lets it stay",
            "The draft stays also where the chance *equals* p / q. At p = 0 and a chance of 0, which may be drawn, an "
            "impossible token would be written: `<`, not `<=`.",
            (verified(lambda p, q, chance: chance * q <= p), verified(lambda p, q, chance: chance <= p / q)),
        ),
        (
            "only the likeliest stays",
            "A draft stays only if it is the model's *likeliest* token: that is for greedy decoding. Where tokens are "
            "drawn, the others have to have their share, too.",
            (if_likeliest, greedy_and_drawn),
        ),
        (
            "q left out",
            "The chance is compared with p alone: it must be p / q, for a token that q gives often comes often "
            "already.",
            (verified(lambda p, q, chance: chance < p),),
        ),
        (
            "p left out",
            "The chance is compared with q alone: then what the model thinks of the draft plays no part.",
            (verified(lambda p, q, chance: chance < q), verified(lambda p, q, chance: chance > q)),
        ),
        (
            "less of p and q",
            "The chance is compared with the lesser of p and q: it is the *ratio* p / q that says how often a draft "
            "may stay, or 1 if that is less.",
            (verified(lambda p, q, chance: chance < torch.minimum(p, q)),),
        ),
        (
            "p q",
            "p and q are multiplied: the more often q gives a token, the more seldom it may stay. Divide.",
            (verified(lambda p, q, chance: chance < p * q),),
        ),
        (
            "p - q",
            "The chance is compared with a difference of p and q: it is their ratio that says how often a draft may "
            "stay.",
            (
                verified(lambda p, q, chance: chance < p - q),
                verified(lambda p, q, chance: chance < (p - q).abs()),
                verified(lambda p, q, chance: chance < 1 - (q - p).clamp(min=0)),
            ),
        ),
        (
            "p / (p + q)",
            "The chance is compared with p / (p + q): a draft as likely to both would be rejected half of the time. It "
            "is p / q.",
            (verified(lambda p, q, chance: chance < p / (p + q)),),
        ),
        (
            "chance not used",
            "The chance plays no part, a fixed bound decides: then a draft of a given p and q always stays, or "
            "never. It must stay as *often* as p / q says.",
            (
                verified(lambda p, q, chance: p >= q),
                verified(lambda p, q, chance: p > q),
                verified(lambda p, q, chance: p > 0.5 * q),
                verified(lambda p, q, chance: p > 0.5),
                verified(lambda p, q, chance: p > 0),
            ),
        ),
        (
            "always the same verdict",
            "All drafts stay, or none, whatever p, q and the chance are: a draft stays where the chance is less than "
            "p / q.",
            (verified(lambda p, q, chance: p >= 0), verified(lambda p, q, chance: p < 0)),
        ),
        (
            "verdict and distribution do not fit",
            "What it says of the drafts, and which of the two distributions it returns, do not fit: where the draft "
            "stays the second place of p, else the residual.",
            (verified(stays=residual_of_first, goes=second), verdict_alone_turned_round),
        ),
        (
            "residual where the draft stays",
            "A residual is returned where the draft stays, too: then the next token is drawn from what the model says "
            "at the draft, just as it is, `p_B2V[:, 1]`.",
            (
                verified(stays=residual_of_first),
                verified(stays=lambda p, q, draft: residual(p[:, 1], q)),
                verified(stays=lambda p, q, draft: residual(p[:, 1], q), goes=lambda p, q, draft: residual(p[:, 1], q)),
            ),
        ),
        (
            "first place where the draft stays",
            "Where the draft stays, the first place of p comes back, which is what the draft was checked by. What "
            "follows the draft is said at the second.",
            (verified(stays=lambda p, q, draft: p[:, 0]),),
        ),
        (
            "second place where the draft goes",
            "Where the draft goes, the second place of p comes back, or its residual: what follows a token that will "
            "not be there. Its place is empty, and for that the first place counts.",
            (verified(goes=second), verified(goes=lambda p, q, draft: residual(p[:, 1], q))),
        ),
        (
            "p where the draft goes",
            "Where the draft goes, the first place of p comes back as it is: tokens that q gives too often would come "
            "too often still. Take the `residual`.",
            (
                verified(goes=lambda p, q, draft: p[:, 0]),
                verified(goes=lambda p, q, draft: p[:, 0], stays=lambda p, q, draft: p[:, 0]),
            ),
        ),
        (
            "q where the draft goes",
            "Where the draft goes, q comes back, and the next draw would be as doubtful as the draft was. Take the "
            "`residual`: what q gave too little of.",
            (verified(goes=lambda p, q, draft: q),),
        ),
        (
            "only the draft taken out",
            "Where the draft goes, p comes back without the draft alone: every token that q gives too often has to "
            "lose, and the share of each is p - q. Take the `residual`.",
            (verified(goes=without_draft), verified(goes=lambda *case: normal(without_draft(*case)))),
        ),
        (
            "residual of q",
            "The residual has p and q exchanged, q - p: it is what q gave too *little* of that is still due, p - q.",
            (verified(goes=lambda p, q, draft: residual(q, p[:, 0])),),
        ),
        (
            "residual not cut at 0",
            "The residual takes in the tokens that q gave too much of, by an absolute value or without a bound: cut "
            "the difference p - q off at 0.",
            (
                verified(goes=lambda p, q, draft: normal((p[:, 0] - q).abs())),
                verified(goes=lambda p, q, draft: p[:, 0] - q),
                verified(goes=lambda p, q, draft: (p[:, 0] - q).abs()),
                verified(goes=lambda p, q, draft: (p[:, 0] - q).softmax(dim=-1)),
            ),
        ),
        (
            "residual does not add up to 1",
            "The residual is no distribution, for it does not add up to 1: divide what is left of p - q by its sum.",
            (verified(goes=lambda p, q, draft: (p[:, 0] - q).clamp(min=0)),),
        ),
        (
            "residual by softmax",
            "The residual is made a distribution by a softmax, which gives even those tokens a share that have none "
            "left: divide by the sum.",
            (verified(goes=lambda p, q, draft: (p[:, 0] - q).clamp(min=0).softmax(dim=-1)),),
        ),
        (
            "a softmax of probabilities",
            "A softmax is taken of p or q: they are distributions already, and it would make them nearly even.",
            (
                lambda p, q, *rest: verified()(p.softmax(dim=-1), q.softmax(dim=-1), *rest),
                lambda p, q, *rest: verified()(p.softmax(dim=-1), q, *rest),
                lambda p, q, *rest: verified()(p, q.softmax(dim=-1), *rest),
                lambda p, q, draft, chance: (
                    verified()(p.softmax(dim=-1), q.softmax(dim=-1), draft, chance)[0],
                    verified()(p, q, draft, chance)[1],
                ),
            ),
        ),
        (
            "p of the second place",
            "Whether the draft stays is decided by p at the second place, which is of the token *after* it. The draft "
            "was a guess for the first.",
            (
                verified(of=lambda p, q, draft: (drafted(p[:, 1], draft), drafted(q, draft))),
                lambda p, *rest: verified()(p.flip(1), *rest),
            ),
        ),
        (
            "p or q of another token",
            "p or q is taken at another token than the draft, such as the likeliest: both are to be those of "
            "`draft_B`.",
            (
                verified(of=lambda p, q, draft: (p[:, 0].amax(dim=-1), drafted(q, draft))),
                verified(of=lambda p, q, draft: (drafted(p[:, 0], draft), q.amax(dim=-1))),
                verified(of=lambda p, q, draft: (p[:, 0].amax(dim=-1), q.amax(dim=-1))),
                verified(of=lambda p, q, draft: (drafted(p[:, 0], q.argmax(dim=-1)), q.amax(dim=-1))),
                verified(of=lambda p, q, draft: (p[:, 0].amax(dim=-1), drafted(q, p[:, 0].argmax(dim=-1)))),
                verified(of=lambda p, q, draft: (drafted(p[:, 0], draft), drafted(q, p[:, 0].argmax(dim=-1)))),
                verified(of=lambda p, q, draft: (drafted(p[:, 0], q.argmax(dim=-1)), drafted(q, draft))),
            ),
        ),
        (
            "one row for all",
            "What stands in one row decides for all: each has its own p, q, draft and chance.",
            (
                *(with_row(index, row) for index in (3, 2, 1, 0) for row in (0, -1)),
                *(of_rows(*rows) for rows in itertools.product(range(4), repeat=2) if any(rows)),
            ),
        ),
        (
            "one verdict for all",
            "All drafts stay or go together: each row is judged by itself, and so no `all` or `any`.",
            (
                verified(verdict=lambda accepted: accepted.all().expand_as(accepted)),
                verified(verdict=lambda accepted: accepted.any().expand_as(accepted)),
            ),
        ),
    )
    for function in functions
)
