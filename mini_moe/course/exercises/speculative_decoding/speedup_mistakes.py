"""Lesson 07, `speedup`: the mistakes that people make."""

import math
from functools import partial

from mini_moe.course.checking.exercise import Mistake


def _of(change):
    """The right result, changed, for the mistakes."""
    return lambda a, o: change((1 + a) / (1 + o))


def _harmonic(a, o):
    return 1 / ((1 + o) * (1 - a + a / 2))


MISTAKES = tuple(
    Mistake(name, says, function)
    for name, says, functions in (
        (
            "brackets missing above",
            "`1 + a / (1 + b)` divides only the `a`: the tokens of a pass, one and the accepted draft, are divided as "
            "a whole. Put them in brackets.",
            (lambda a, o: 1 + a / (1 + o),),
        ),
        (
            "brackets missing below",
            "`x / 1 + b` is `(x / 1) + b`: the overhead is added to the result. The time of a pass, a step and the "
            "overhead, goes below as a whole, in brackets.",
            (lambda a, o: 1 + a + o,),
        ),
        (
            "only the draft's token counted",
            "Above stands only the token that an accepted draft adds: every pass yields one of the model's own, too, "
            "even where the draft is rejected.",
            (lambda a, o: a / (1 + o),),
        ),
        (
            "only the overhead counted",
            "Below stands only the overhead: a pass takes the time of a plain step as well, and drafting and checking "
            "come on top.",
            (lambda a, o: (1 + a) / o, lambda a, o: 1 / o + a / o),
        ),
        (
            "the step left out",
            "What is won by drafts is divided by what they cost: the step itself, which yields a token and takes time, "
            "belongs on both sides. Above and below, 1 is missing.",
            (lambda a, o: a / o,),
        ),
        (
            "brackets missing on both sides",
            "Only the acceptance is divided, and only by the overhead: `a / b` comes before any `+`. All tokens of a "
            "pass go above, and all of its time below, each sum in brackets.",
            (lambda a, o: 1 + a / o, lambda a, o: 2 + a / o),
        ),
        (
            "gain and cost subtracted",
            "The overhead is subtracted from what is won: half as long is twice as many. Tokens are *divided* by time.",
            (lambda a, o: 1 + a - o, lambda a, o: a - o, lambda a, o: max(0, 1 + a - o)),
        ),
        (
            "multiplied by the time",
            "Tokens are multiplied by the time of a pass: it would be worth the more the longer it takes. Divide.",
            (lambda a, o: (1 + a) * (1 + o),),
        ),
        (
            "upside down",
            "The fraction stands on its head. Tokens per time are wanted: 1 and the acceptance above, 1 and the "
            "overhead below.",
            (lambda a, o: (1 + o) / (1 + a),),
        ),
        (
            "overhead left out",
            "These are the tokens of a pass: divide them by its time, which drafting and checking make longer.",
            (lambda a, o: 1 + a,),
        ),
        (
            "acceptance left out",
            "Every pass counts alike, however many drafts are right: it yields one token, and a second one only in "
            "the share of passes whose draft is accepted.",
            (lambda a, o: 2 / (1 + o), lambda a, o: 1 / (1 + o), lambda a, o: 1 + o),
        ),
        (
            "no token where the draft is rejected",
            "It counts two tokens for an accepted draft, and none for a rejected one: a pass without luck still "
            "yields one.",
            (lambda a, o: 2 * a / (1 + o),),
        ),
        (
            "two tokens for each accepted draft",
            "An accepted draft counts as two tokens beside the one of the pass: it adds one.",
            (lambda a, o: (1 + 2 * a) / (1 + o),),
        ),
        (
            "share of the rejected",
            "It counts a second token where the draft is *rejected*: `acceptance` is the share of the accepted ones.",
            (lambda a, o: (2 - a) / (1 + o), lambda a, o: (1 - a) / (1 + o)),
        ),
        (
            "two passes",
            "A pass is charged as two steps: the last token and the draft are read in one, which takes little longer. "
            "How much, the overhead says.",
            (lambda a, o: (1 + a) / (2 + o), lambda a, o: (1 + a) / 2 / (1 + o), lambda a, o: (1 + a) / (2 + 2 * o)),
        ),
        (
            "overhead twice",
            "The overhead is charged twice: it is what drafting *and* checking add to a pass, in sum.",
            (lambda a, o: (1 + a) / (1 + 2 * o), lambda a, o: (1 + a) / (1 + o) ** 2),
        ),
        (
            "overhead halved",
            "Only half of the overhead is charged: every pass pays all of it.",
            (lambda a, o: (1 + a) / (1 + o / 2),),
        ),
        (
            "overhead in some passes only",
            "The overhead is charged only in a share of the passes: drafting and checking cost the same, whether the "
            "draft is accepted or not.",
            (lambda a, o: (1 + a) / (1 + a * o), lambda a, o: (1 + a) / (1 + (1 - a) * o)),
        ),
        (
            "overhead as a saving",
            "The overhead makes a pass shorter here, 1 - overhead: it makes it longer.",
            (lambda a, o: (1 + a) / (1 - o),),
        ),
        (
            "only some tokens divided",
            "Only a part of the tokens is divided by the time of a pass: drafts are made in every pass, so all tokens "
            "are divided by it.",
            (
                lambda a, o: 1 / (1 + o) + a,
                lambda a, o: 2 * a + (1 - a) / (1 + o),
                lambda a, o: 2 * a / (1 + o) + (1 - a),
            ),
        ),
        (
            "multiplied by 1 - overhead",
            "It multiplies by 1 - overhead, which is near 1 / (1 + overhead) only for a small one: divide by the time "
            "of a pass.",
            (lambda a, o: (1 + a) * (1 - o), lambda a, o: max(0.0, (1 + a) * (1 - o))),
        ),
        (
            "times averaged",
            "It averages the times per token of passes with one token and with two. Rates are made of sums: all "
            "tokens, divided by all time.",
            (_harmonic,),
        ),
        (
            "draft upon draft",
            "It adds further tokens, acceptance times acceptance and so on: with one draft a pass yields two at most.",
            (
                lambda a, o: 1 / (1 - a) / (1 + o),
                lambda a, o: (1 + a + a * a) / (1 + o),
                lambda a, o: (1 + a + a * a) / (1 + 2 * o),
                lambda a, o: (1 + a) ** 2 / (1 + o),
            ),
        ),
        (
            "gain in place of the ratio",
            "This is how much *more* there is: how many times as many is wanted, 1 where drafts change nothing.",
            (lambda a, o: (1 + a) / (1 + o) - 1, lambda a, o: 100 * ((1 + a) / (1 + o) - 1)),
        ),
        (
            "in per cent",
            "This is in per cent: give the ratio itself, 1.2 where there are a fifth more.",
            (_of(lambda s: 100 * s),),
        ),
        (
            "time saved",
            "This is the share of the time that is saved: how many times as many tokens is wanted.",
            (lambda a, o: 1 - (1 + o) / (1 + a),),
        ),
        (
            "whether it pays",
            "It tells *whether* drafts pay: how many times as many tokens there are is wanted, a number.",
            (lambda a, o: a > o, lambda a, o: a >= o),
        ),
        (
            "at least 1",
            "Less than 1 becomes 1 here: give it as it is, for it shows that drafting costs more than it brings.",
            (_of(lambda s: max(1.0, s)),),
        ),
        (
            "0 where it does not pay",
            "It gives 0 where drafts do not pay: give the ratio, which is less than 1 there.",
            (lambda a, o: (1 + a) / (1 + o) if a > o else 0.0, lambda a, o: (1 + a) / (1 + o) if a >= o else 0.0),
        ),
        (
            "at most 1",
            "More than 1 becomes 1 here: up to 2 can come out, and more than 1 is what drafts are for.",
            (_of(lambda s: min(1.0, s)),),
        ),
        (
            "rounded",
            "The result is rounded: give it as it is, and round where you print it.",
            tuple(
                _of(whole)
                for whole in (math.floor, math.ceil, *(partial(round, ndigits=digits) for digits in (0, 1, 2, 3, 4)))
            ),
        ),
    )
    for function in functions
)
