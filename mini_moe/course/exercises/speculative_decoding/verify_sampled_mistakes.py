"""Lesson 07, `verify_sampled`: the mistakes that people make."""

import itertools

import torch

from mini_moe.course.checking.exercise import Mistake
from mini_moe.speculative import residual


def _less(p, q, chance):
    return chance * q < p


def _drafted(x_BV, draft_B):
    return x_BV.gather(1, draft_B[:, None])[:, 0]


def _second(p_B2V, q_BV, draft_B):
    return p_B2V[:, 1]


def _residual(p_B2V, q_BV, draft_B):
    return residual(p_B2V[:, 0], q_BV)


def verified(accept=_less, stays=_second, goes=_residual, of=None, verdict=lambda accepted: accepted):
    """`verify_sampled` with one thing changed, for the mistakes.

    Args:
        accept: ``accept(p_B, q_B, chance_B)``.
        stays, goes: ``stays(p_B2V, q_BV, draft_B)``, the distribution where the draft stays, and where it goes.
        of: ``of(p_B2V, q_BV, draft_B)``, what p_B and q_B are.
        verdict: what is made of which drafts are accepted.
    """

    def function(p_B2V, q_BV, draft_B, chance_B):
        case = p_B2V, q_BV, draft_B
        p_B, q_B = of(*case) if of else (_drafted(p_B2V[:, 0], draft_B), _drafted(q_BV, draft_B))
        accepted_B = verdict(accept(p_B, q_B, chance_B))
        return accepted_B, torch.where(accepted_B[:, None], stays(*case), goes(*case))

    return function


def _normal(x_BV):
    return x_BV / x_BV.sum(dim=-1, keepdim=True).clamp(min=1e-12)


def _without_draft(p_B2V, q_BV, draft_B):
    return p_B2V[:, 0].scatter(1, draft_B[:, None], 0.0)


def _if_likeliest(p_B2V, q_BV, draft_B, chance_B):
    likeliest_B = p_B2V[:, 0].argmax(dim=-1) == draft_B
    return likeliest_B, torch.where(likeliest_B[:, None], p_B2V[:, 1], residual(p_B2V[:, 0], q_BV))


def _greedy_and_drawn(p_B2V, q_BV, draft_B, chance_B):
    likeliest_B = p_B2V[:, 0].argmax(dim=-1) == draft_B
    likeliest_B &= chance_B * _drafted(q_BV, draft_B) < _drafted(p_B2V[:, 0], draft_B)
    return likeliest_B, torch.where(likeliest_B[:, None], p_B2V[:, 1], residual(p_B2V[:, 0], q_BV))


def _with_row(index, row):
    """All rows are given what stands in one of them, of the argument with this index."""

    def function(*case):
        case = list(case)
        case[index] = case[index][row : row + 1 or None].expand_as(case[index])
        p_B2V, q_BV, draft_B, chance_B = case
        return verified()(p_B2V, q_BV, draft_B, chance_B)

    return function


def _of_rows(of_p, of_q):
    """What stands in the first row decides: nowhere (0), the draft (1), the distribution (2) or both (3)."""

    def first(x_BV, draft_B, which):
        x_BV = x_BV[:1].expand_as(x_BV) if which & 2 else x_BV
        return _drafted(x_BV, draft_B[:1].expand_as(draft_B) if which & 1 else draft_B)

    return verified(of=lambda p, q, draft: (first(p[:, 0], draft, of_p), first(q, draft, of_q)))


def _verdict_alone_turned_round(*case):
    accepted_B, next_BV = verified()(*case)
    return ~accepted_B, next_BV


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
            (_if_likeliest, _greedy_and_drawn),
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
            (verified(stays=_residual, goes=_second), _verdict_alone_turned_round),
        ),
        (
            "residual where the draft stays",
            "A residual is returned where the draft stays, too: then the next token is drawn from what the model says "
            "at the draft, just as it is, `p_B2V[:, 1]`.",
            (
                verified(stays=_residual),
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
            (verified(goes=_second), verified(goes=lambda p, q, draft: residual(p[:, 1], q))),
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
            (verified(goes=_without_draft), verified(goes=lambda *case: _normal(_without_draft(*case)))),
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
                verified(goes=lambda p, q, draft: _normal((p[:, 0] - q).abs())),
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
            "p of the second place",
            "Whether the draft stays is decided by p at the second place, which is of the token *after* it. The draft "
            "was a guess for the first.",
            (
                verified(of=lambda p, q, draft: (_drafted(p[:, 1], draft), _drafted(q, draft))),
                lambda p, *rest: verified()(p.flip(1), *rest),
            ),
        ),
        (
            "p or q of another token",
            "p or q is taken at another token than the draft, such as the likeliest: both are to be those of "
            "`draft_B`.",
            (
                verified(of=lambda p, q, draft: (p[:, 0].amax(dim=-1), _drafted(q, draft))),
                verified(of=lambda p, q, draft: (_drafted(p[:, 0], draft), q.amax(dim=-1))),
                verified(of=lambda p, q, draft: (p[:, 0].amax(dim=-1), q.amax(dim=-1))),
                verified(of=lambda p, q, draft: (_drafted(p[:, 0], q.argmax(dim=-1)), q.amax(dim=-1))),
                verified(of=lambda p, q, draft: (p[:, 0].amax(dim=-1), _drafted(q, p[:, 0].argmax(dim=-1)))),
                verified(of=lambda p, q, draft: (_drafted(p[:, 0], draft), _drafted(q, p[:, 0].argmax(dim=-1)))),
                verified(of=lambda p, q, draft: (_drafted(p[:, 0], q.argmax(dim=-1)), _drafted(q, draft))),
            ),
        ),
        (
            "one row for all",
            "What stands in one row decides for all: each has its own p, q, draft and chance.",
            (
                *(_with_row(index, row) for index in (3, 2, 1, 0) for row in (0, -1)),
                *(_of_rows(*rows) for rows in itertools.product(range(4), repeat=2) if any(rows)),
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
