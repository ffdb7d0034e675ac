"""Lesson 00: what a learner is asked before the work."""

from mini_moe.course.display.quiz import Option, Quiz

QUIZZES = (
    Quiz(
        "what-is-active",
        "DeepSeek-V3 has 671 billion parameters. How many of them multiply something when it reads one token?",
        (
            Option("All 671 billion: otherwise why keep them?", "All are stored, but 248 of the 256 experts of a layer "
                   "rest on any one token. Another token wakes others."),
            Option("About 37 billion.", "Eight of 256 experts in a layer, the shared expert, attention and the output "
                   "head: 36.63 billion. You count them in this lesson.", right=True),
            Option("671 / 256, about 2.6 billion: one expert.", "Eight experts are chosen, not one; and attention, "
                   "the output head and the shared expert work on every token. They are 15 billion by themselves."),
        ),
    ),
    Quiz(
        "what-the-price-covers",
        "\"It was trained for $5.6 million.\" What does that figure cover?",
        (
            Option("Everything: people, data, failed attempts, machines.", "The report leaves out earlier research "
                   "and experiments on architectures, algorithms and data; and hours of GPUs hold no salaries."),
            Option("The electricity of the final run.", "It is more than that: the assumed rent of the GPUs."),
            Option("Renting the GPUs for the final run, at an assumed price.", "2.788 million GPU hours, times an "
                   "assumed $2. It is a price tag, not an invoice: the report does not say what was paid.", right=True),
        ),
    ),
    Quiz(
        "what-fits-on-a-card",
        "Can a gaming card with 24 GB of memory run the full model?",
        (
            Option("Yes: only what works on the token at hand must be in memory.", "The next token wakes other "
                   "experts, in every layer anew. Fetching them from a disk for each token would take seconds."),
            Option("No: all 671 billion must be at hand.", "671 GB at one byte each, some 28 such cards. What runs on "
                   "one card are the small models distilled from it.", right=True),
            Option("Yes, in 8 bits instead of 32.", "One byte per parameter is already what the 671 GB assume; in 32 "
                   "bits it would be 2,684 GB."),
        ),
    ),
)  # fmt: skip
