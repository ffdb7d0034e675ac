"""Lesson 07, `verify_greedy`: the mistakes that people make."""

import torch

from mini_moe.course.checking.exercise import Mistake
from mini_moe.course.exercises.speculative_decoding.verify_greedy_parts import (
    always,
    among,
    by_logits,
    by_verdict,
    chosen,
    counts,
    every_draft,
    exchanged,
    last_of_equals,
    likely,
    near_best,
    of_draft,
    one_verdict,
    right,
    second_best,
    verified,
    where_right,
)

_SECOND_PLACE = (lambda says, draft: says[:, 1] == draft,)

MISTAKES = tuple(
    Mistake(name, says, function)
    for name, says, functions in (
        (
            "compared with the second place",
            "The draft is compared with the second place, where the model says what comes *after* the draft. What it "
            "says itself in the draft's place stands at the first.",
            (verified(*_SECOND_PLACE), verified(*_SECOND_PLACE, where_right)),
        ),
        (
            "places exchanged",
            "The two places are exchanged: the first is that of the last token, whose logits judge the draft; the "
            "second is that of the draft.",
            (verified(*_SECOND_PLACE, exchanged), verified(choose=lambda x: chosen(x).flip(1))),
        ),
        (
            "looked for at both places",
            "The draft is looked for at both places: only the first says what belongs in its place; the second says "
            "what comes after it.",
            tuple(
                verified(accept, after)
                for accept in (
                    lambda says, draft: (says == draft[:, None]).any(dim=1),
                    lambda says, draft: (says == draft[:, None]).all(dim=1),
                )
                for after in (by_verdict, where_right)
            ),
        ),
        (
            "places compared with each other",
            "What the model says at the two places is compared with each other: compare the *draft* with the first.",
            (
                verified(lambda says, draft: says[:, 0] == says[:, 1]),
                verified(lambda says, draft: says[:, 0] == says[:, 1], where_right),
            ),
        ),
        (
            "next token from the other place",
            "The next token is taken from the wrong place: after an accepted draft it stands at the second, in place "
            "of a rejected one at the first.",
            (verified(after=exchanged),),
        ),
        (
            "always the first place",
            "The next token is always that of the first place: where the draft is accepted, it *is* the draft, which "
            "would be written twice. Take the second place there.",
            (verified(after=lambda accepted, first, second, draft: first),),
        ),
        (
            "always the second place",
            "The next token is always that of the second place: where the draft is rejected, it follows a token that "
            "is not in the text. Take the first place there.",
            (verified(after=lambda accepted, first, second, draft: second),),
        ),
        (
            "the draft as the next token",
            "The next token is the draft itself: the token *after* it is wanted where it is accepted, and that in its "
            "place where it is rejected.",
            (verified(after=lambda accepted, first, second, draft: draft.clone()),),
        ),
        (
            "the rejected draft kept",
            "A rejected draft comes back as the next token: it is dropped, and what the model says at the first place "
            "takes its place.",
            (verified(after=lambda accepted, first, second, draft: torch.where(accepted, second, draft)),),
        ),
        (
            "the second best in place of a rejected draft",
            "In place of a rejected draft comes the model's *second* choice: its first choice was not the draft, so it "
            "is this that belongs there.",
            (
                second_best(lambda x: x.topk(min(2, x.shape[-1])).indices),
                second_best(lambda x: x.argsort(dim=-1, descending=True, stable=True)[:, :2]),
                second_best(lambda x: x.argsort(dim=-1, stable=True)[:, -2:].flip(-1)),
            ),
        ),
        (
            "nothing in place of a rejected draft",
            "Where the draft is rejected there is no next token, only a filler: every pass yields one of the model's "
            "own, there from the first place.",
            tuple(
                verified(
                    after=lambda accepted, first, second, draft, filler=filler: torch.where(accepted, second, filler)
                )
                for filler in (-1, 0, -100)
            ),
        ),
        (
            "nothing after an accepted draft",
            "Where the draft is accepted there is no next token, only a filler: the second place says what follows it, "
            "and that is what drafts are for.",
            tuple(
                verified(
                    after=lambda accepted, first, second, draft, filler=filler: torch.where(accepted, filler, first)
                )
                for filler in (-1, 0, -100)
            ),
        ),
        (
            "rejected in place of accepted",
            "It is True where the draft is *not* what the model says: it is accepted where the two are equal.",
            (
                verified(lambda says, draft: says[:, 0] != draft),
                verified(lambda says, draft: says[:, 0] != draft, exchanged),
            ),
        ),
        (
            "always the same verdict",
            "All drafts are accepted here, or none, right ones as wrong ones: compare each with the *token* that the "
            "model says, `argmax`.",
            tuple(verified(always(verdict), after) for verdict in (True, False) for after in (by_verdict, where_right)),
        ),
        (
            "values compared",
            "The draft is compared with the highest *logit*: compare it with the token that has it, `argmax`.",
            by_logits(lambda logits, draft: logits.amax(dim=-1) == draft),
        ),
        (
            "among the best",
            "It is enough to be among the model's best few: then a text is written that it would not write itself. "
            "Only its first choice counts.",
            tuple(function for k in (2, 3, 4, 5, 10) for function in by_logits(among(k))),
        ),
        (
            "by a threshold",
            "It asks whether the draft is probable enough: a token below the threshold may be the model's choice, and "
            "one above it may not. Compare the draft with the choice.",
            tuple(
                function
                for least in (0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
                for function in by_logits(likely(least))
            ),
        ),
        (
            "nearly as likely",
            "A draft that is nearly as likely as the model's choice is accepted: the text would not be that without "
            "drafts. Only the choice itself counts.",
            tuple(function for part in (0.1, 0.25, 0.3, 0.5, 0.75) for function in by_logits(near_best(part))),
        ),
        (
            "accepted if all are",
            "One wrong draft rejects those of all rows: each row is a text of its own.",
            one_verdict(torch.all),
        ),
        (
            "accepted if any is",
            "One right draft accepts those of all rows: each row is a text of its own.",
            one_verdict(torch.any),
        ),
        (
            "the first row decides",
            "The first row's verdict holds for all: each row is a text of its own.",
            one_verdict(lambda accepted: accepted[0]),
        ),
        (
            "all rows before accepted, too",
            "A draft counts only where those of all rows before are accepted, as in a chain of drafts: the rows are "
            "texts of their own, with one draft each.",
            (verified(lambda says, draft: right(says, draft).cumprod(dim=0).bool()),),
        ),
        (
            "the first row's logits for all",
            "The logits of the first row judge all drafts: each row has its own.",
            (verified(choose=lambda x: chosen(x[:1].expand_as(x))),),
        ),
        (
            "every draft with every row",
            "`(B, 1) == (B,)` compares every row with every draft, (B, B): both sides need the shape (B,).",
            (
                verified(every_draft),
                verified(every_draft, lambda accepted, *tokens: where_right(accepted, *tokens)),
                verified(
                    every_draft,
                    lambda accepted, first, second, _: torch.where(accepted, second[:, None], first[:, None]),
                ),
            ),
        ),
        (
            "all of equals accepted",
            "Where the model's highest logit comes twice, either token is accepted: the model says only one, the "
            "first, which `argmax` takes. Compare the tokens.",
            by_logits(lambda logits, draft: of_draft(logits, draft) == logits.amax(dim=-1)),
        ),
        (
            "last of equals",
            "Of equal logits the last is chosen: `argmax` takes the first, and so does decoding without drafts.",
            (
                verified(choose=last_of_equals),
                verified(choose=lambda x: torch.stack((last_of_equals(x[:, 0]), chosen(x[:, 1])), dim=1)),
                verified(choose=lambda x: torch.stack((chosen(x[:, 0]), last_of_equals(x[:, 1])), dim=1)),
            ),
        ),
        (
            "rounded to 16 bits",
            "The logits are rounded to 16 bits before the choice, in which near ones become equal and large ones "
            "infinite: compare them as they are.",
            (verified(choose=lambda x: chosen(x.bfloat16())), verified(choose=lambda x: chosen(x.half()))),
        ),
        (
            "exp of large numbers",
            "exp of a large logit is infinite, and of a very negative one 0, so that choices become equal or NaN: "
            "logits are compared as they are.",
            tuple(
                verified(choose=choose)
                for exp in (torch.exp, lambda x: x.exp() / x.exp().sum(dim=-1, keepdim=True))
                for choose in (
                    lambda x, exp=exp: chosen(exp(x)),
                    lambda x, exp=exp: torch.stack((chosen(exp(x[:, 0])), chosen(x[:, 1])), dim=1),
                )
            ),
        ),
        (
            "the least likely chosen",
            "The token with the *lowest* logit is chosen: the model says that with the highest, `argmax`.",
            (verified(choose=lambda x: x.argmin(dim=-1)),),
        ),
        (
            "chosen over another axis",
            "The highest logit is sought over the places or the rows: a token is chosen over the vocabulary, "
            "`argmax(dim=-1)`.",
            (
                verified(choose=lambda x: x.argmax(dim=1)),
                verified(choose=lambda x: x.argmax(dim=0)),
                verified(choose=lambda x: x.argmax(dim=0).T),
            ),
        ),
        (
            "summed up over the rows",
            "This sums up: give True or False for each row, (B,), for each goes on by itself. Whoever needs a rate "
            "takes the mean.",
            tuple(
                counts(count)
                for count in (
                    lambda accepted: accepted.sum(),
                    lambda accepted: accepted.float().mean(),
                    lambda accepted: 1 + accepted.long(),
                    lambda accepted: accepted.all(),
                    lambda accepted: accepted.sum(dim=0, keepdim=True),
                )
            ),
        ),
        (
            "results exchanged",
            "The two results are exchanged: first where the draft is accepted, then the next token.",
            (lambda logits, draft: verified()(logits, draft)[::-1],),
        ),
    )
    for function in functions
)
