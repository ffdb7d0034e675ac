"""Lesson 03: what a learner is asked before the work."""

from mini_moe.course.display.quiz import Option, Quiz

QUIZZES = (
    Quiz(
        "what-is-an-expert",
        "What does one expert of a trained model know?",
        (
            Option("A topic: one knows law, another biology, a third Python.", "The name misleads. Nobody assigns "
                   "topics, and a study of a trained model found hardly any (Mixtral, arXiv 2401.04088, section 5)."),
            Option("Nothing that need have a name: it is a feed-forward network, chosen anew for each token in each "
                   "layer.", "Within one sentence every token goes to its own few, in every layer to others. What they "
                   "share out is what lowered the loss; often it follows the form of a token more than the topic.",
                   right=True),
            Option("A whole answer: each expert writes one, and the best is taken.", "No expert sees a text or writes "
                   "one. It takes one token's vector in one layer and returns another."),
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
            Option("The parameters of the experts, eightfold; the work of a token hardly at all.", "Only the router "
                   "has more to do: a dot product for each expert. That is the bargain you measure below.", right=True),
        ),
    ),
    Quiz(
        "resting-experts",
        "DeepSeek-V3 uses 37 of its 671 billion parameters on a token. How much memory must hold weights while it "
        "writes text?",
        (
            Option("For 37 billion: the others rest.", "The next token wakes others, and in a batch most are wanted at "
                   "once. Fetching them from a disk each time would take far longer than the work itself."),
            Option("For all 671 billion.", "A mixture saves work, not memory: resting experts are stored, too. This is "
                   "why such models are served from many machines.", right=True),
            Option("For 671 - 37 = 634 billion.", "Every parameter is some token's: all must be at hand, those at "
                   "work and those at rest."),
        ),
    ),
)  # fmt: skip
