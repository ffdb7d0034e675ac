"""Lesson 03: what a learner is asked before the work."""

from mini_moe.course.display.quiz import Option, Quiz

QUIZZES = (
    Quiz(
        "what-is-an-expert",
        "Someone asks a model with experts a question about biology. Which experts work on the answer?",
        (
            Option("The one for biology; the experts for law and for Python rest.", "The name misleads: nobody gives "
                   "experts a topic. Which ones are busy does differ with the kind of text in DeepSeek's own models of "
                   "16 billion parameters (V3 report, section 4.5.3, figure 9) and in OLMoE (arXiv 2409.02060, section "
                   "5.3), hardly in Mixtral (arXiv 2401.04088, section 5). But none of them answers alone."),
            Option("A few for each token, perhaps others for the next token, and others in the next layer.",
                   "An expert is a part of one layer, and the choice is made anew for each token in each layer. So "
                   "very many experts take part in an answer, and none sees the question as a whole.", right=True),
            Option("All of them: each writes an answer, and the best is taken.", "No expert writes an answer. It takes "
                   "one token's vector in one layer and returns another vector."),
        ),
    ),
    Quiz(
        "more-experts-same-work",
        "A layer has 8 experts, and each token uses 2. You make it 64 of the same size, and each token still uses 2. "
        "What grows?",
        (
            Option("Parameters and work, eightfold both.", "Work is what the *chosen* experts do, and these are still "
                   "2. The others rest."),
            Option("Nothing: 2 experts are 2 experts.", "The other 62 exist. They hold parameters, which must be "
                   "stored, loaded and trained."),
            Option("The parameters of the experts, eightfold; the work per token hardly at all.", "Only the router "
                   "has more to do: a dot product for each expert. What this is worth you measure below, and whether "
                   "the time stays the same, too.", right=True),
        ),
    ),
    Quiz(
        "resting-experts",
        "DeepSeek-V3 uses 37 of its 671 billion parameters on a token. How much memory must hold weights while it "
        "writes text?",
        (
            Option("For 37 billion: the others rest.", "The next token uses others, and in a batch most are needed at "
                   "once. Fetching them from a disk each time would take far longer than the work itself."),
            Option("For all 671 billion.", "A mixture saves work, not memory: resting experts are stored, too. This is "
                   "why such models are served from many machines.", right=True),
            Option("For 671 - 37 = 634 billion.", "Those at work are needed as much as those at rest: the next token "
                   "may turn them round."),
        ),
    ),
)  # fmt: skip
