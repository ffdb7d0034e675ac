"""Lesson 07: what a learner is asked before the work."""

from mini_moe.course.display.quiz import Option, Quiz

QUIZZES = (
    Quiz(
        "two-to-four-times",
        "A public pull request adds speculative decoding with *one* drafted token to a pass, and claims 2 to 4 times "
        "the speed. Can that be?",
        (
            Option("Yes, if the module is good: at an acceptance of 90 % it is 4 times or so.", "Acceptance is a "
                   "share of drafts, and there is one draft to a pass: at 90 %, 100 passes give 190 tokens. That is "
                   "1.9 times as many, before anything is paid for the drafts."),
            Option("Yes, on a large enough model: there the draft costs next to nothing beside a pass.", "That brings "
                   "the overhead to 0, no further. A pass still gives two tokens at most, on a model of any size, and "
                   "costs at least what it cost before."),
            Option("No: at best it is twice, and that only if every draft is right and costs nothing.", "A pass gives "
                   "one token, and a second where the draft is accepted: (1 + acceptance) / (1 + overhead) is 2 at "
                   "acceptance 1 and overhead 0. For 4 times there must be three drafted tokens to a pass, or more, or "
                   "the comparison is not with the same program without drafts.", right=True),
            Option("No: it can never be faster, for the model still has to compute each token itself.", "It does "
                   "compute each of them, but two in one pass. Where a pass takes its time from reading the weights, "
                   "which one token needs as much as two, a pass over two costs little more."),
        ),
    ),
    Quiz(
        "two-tokens-more-experts",
        "In a dense model, a pass over two tokens reads the same weights as a pass over one. What about a mixture of "
        "8 experts, of which each token wakes 2?",
        (
            Option("The same holds: the weights are read once, whichever tokens there are.", "It holds for attention "
                   "and for a shared expert, which every token goes through. Of the routed experts only those are "
                   "read that some token has chosen, and a second token may choose others."),
            Option("Twice as many experts are read, always 4 in place of 2.", "Only if the two have no expert in "
                   "common. Whoever both have chosen is read once. If they choose independently, all four are "
                   "different in 15 of 28 cases only."),
            Option("All 8 experts are read as soon as there is more than one token.", "Two tokens wake 4 at most. "
                   "It takes many until nearly all are awake. In a large batch that is so, and further tokens then "
                   "wake hardly any."),
            Option("The experts of both are read: 3.5 on average, if they choose independently.", "An expert sleeps if "
                   "neither has chosen it, in (6/8)² of the cases: so 8 (1 - 9/16) = 3.5 are awake. Tokens that follow "
                   "each other may choose alike, which makes it fewer, but never fewer than 2: a second token is "
                   "dearer here than in a dense model.", right=True),
        ),
    ),
    Quiz(
        "bad-drafts",
        "At each place the likeliest token is written. Now the drafts are bad: nearly all of them are wrong. What "
        "happens to the text?",
        (
            Option("It gets worse, here and there: some of the bad drafts slip through.", "None does: a draft stays "
                   "only if it is the very token that the model finds likeliest there, and then it is no bad one."),
            Option("Nothing: it is the same, token for token, and only takes longer.", "A rejected draft is replaced "
                   "by the model's own token, and forgotten in the cache, too. Such a pass gives one token, as without "
                   "drafts, and the work for the draft was for nothing. Only rounding may tip the scales where two "
                   "tokens are all but equally likely.", right=True),
            Option("It stays as good on average, but other words stand in it.", "So it is where tokens are *drawn*: "
                   "their distribution is the model's own, while a single text may be another. Here nothing is left "
                   "to chance: the likeliest token is one and the same."),
            Option("It has gaps: where a draft was rejected, no token is written.", "The pass has read the last token, "
                   "too, and its logits tell what belongs in the draft's place. So each pass gives at least one "
                   "token."),
        ),
    ),
)  # fmt: skip
