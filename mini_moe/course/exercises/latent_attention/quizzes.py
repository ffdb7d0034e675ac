"""Lesson 02: what a learner is asked before the work."""

from mini_moe.course.display.quiz import Option, Quiz

QUIZZES = (
    Quiz(
        "what-limits-writing",
        "A model writes token 8,001 of a text. In every layer its query meets the keys and values of 8,000 tokens, "
        "which lie in the memory of a large GPU. What does the GPU spend most of this attention's time on?",
        (
            Option("Multiplying the query with keys, and weights with values.", "For each number of a key or value "
                   "that is one multiplication and one addition. A large GPU does hundreds of them in the time in "
                   "which it reads a byte: you will divide the one by the other."),
            Option("Reading the keys and values.", "Each number is read, used once, and not needed again before the "
                   "next token. How long the reading takes, and how long the arithmetic, you will compute for three "
                   "designs.", right=True),
            Option("Computing the keys and values of the 8,000 tokens.", "That would take by far the longest, and this "
                   "is why they are kept: none of them is computed again."),
            Option("The softmax of the scores.", "Each head has 8,000 scores, but 8,000 keys and values of 128 numbers "
                   "each: the softmax is the smaller part."),
        ),
    ),
    Quiz(
        "does-a-latent-save-work",
        "Suppose that in place of keys and values each layer keeps one short row per token, from which every head's "
        "key and value can be made when they are needed. Does attention then take fewer operations?",
        (
            Option("Yes: less is kept, so less is computed.", "What is kept shrinks. But in every head a query still "
                   "meets every token that it may see, and now keys and values have to be made of the rows, too."),
            Option("Yes in training, but not in writing.", "In training all keys are made at once and compared as "
                   "before; nothing becomes less. And there is no cache that could be smaller."),
            Option("Yes in writing, but not in training.", "Writing is where it pays, but not by fewer operations: the "
                   "memory is smaller, and reading it takes less time."),
            Option("No, neither in training nor in writing: it takes more.", "Making keys and values of the rows is "
                   "work on top. There is a way around it, which you will build; but then longer rows are compared. "
                   "What you get in return is a small cache.", right=True),
        ),
    ),
    Quiz(
        "query-compression-and-cache",
        "In DeepSeek-V3 the queries, too, are made from a short row, 1,536 numbers wide. What does this do to the "
        "cache?",
        (
            Option("It shrinks the cache further.", "Queries are never kept: each is asked once, by its own token."),
            Option("It adds 1,536 numbers per token.", "The query's row is forgotten together with the query, as soon "
                   "as its token has looked around."),
            Option("Nothing: it saves memory in training.", "Training has to hold what the backward pass needs, and a "
                   "narrow row is less than the queries of all heads (DeepSeek-V2, section 2.1.2).", right=True),
            Option("Nothing, but without it keys and values could not be made from a short row.", "The two are "
                   "independent: DeepSeek-V2-Lite makes its queries with a single matrix (DeepSeek-V2, appendix B.1), "
                   "and so does the small model of this course."),
        ),
    ),
    Quiz(
        "what-the-cache-holds",
        "The latent passes through an RMSNorm, and the small key is rotated. Both can be done once, before the cache, "
        "or each time the cache is read. What is best kept of each token?",
        (
            Option("Latent and key as they leave their matrix.", "Then every new token would have to norm and rotate "
                   "the whole past again."),
            Option("The normed latent, and the key before its rotation.", "A key's angle depends on its own position "
                   "alone, as in lesson 01. It does not change when another token looks at it, so rotate it once."),
            Option("The normed latent and the rotated key.", "Both are ready for use, and both are shared by all "
                   "heads: 512 + 64 numbers per layer in DeepSeek-V3.", right=True),
            Option("The normed latent, the rotated key, and the query.", "A query is asked once, by its own token, and "
                   "never again: nothing to keep."),
        ),
    ),
)  # fmt: skip
