"""Lesson 02: what a learner is asked before the work."""

from mini_moe.course.display.quiz import Option, Quiz

QUIZZES = (
    Quiz(
        "what-the-cache-holds",
        "While a model with latent attention writes, what does each layer keep of every token?",
        (
            Option("The keys and values of all heads.", "That is what plain attention keeps. With the 128 heads of "
                   "DeepSeek-V3 it would be 57 times as much; not to keep them is the whole point."),
            Option("The latent as it leaves its matrix, to be normed when it is needed.", "Then every new token would "
                   "have to norm the whole past again. The norm needs nothing but the token itself: do it once, and "
                   "keep the result."),
            Option("The normed latent alone, rotated by its position.", "Values are made from it, too, and would "
                   "change with the position. And to rotate the keys of the heads instead would put a turn between "
                   "the query and W_uk. So position travels beside the latent, in a small key of its own."),
            Option("The normed latent, and beside it one rotated key.", "Both are shared by all heads: 512 + 64 "
                   "numbers a layer in DeepSeek-V3.", right=True),
            Option("Latent, rotated key, and the compressed query.", "A query is asked once, by its own token, and "
                   "never again: nothing to keep."),
        ),
    ),
    Quiz(
        "does-latent-save-training",
        "The cache of DeepSeek-V3 is 57 times smaller than that of plain attention with as many heads. Does comparing "
        "queries with keys take less work in training, too?",
        (
            Option("Yes: 57 times smaller is 57 times faster.", "Training keeps no cache: all positions are there "
                   "at once. What shrinks is memory, and the time to read it for every token that is written."),
            Option("Yes, for queries are compared with latents in place of keys.", "That is the absorbed form, and it "
                   "is no shorter: a latent is 512 wide, a head's key 128 + 64. With many queries, as in training, it "
                   "is cheaper to expand."),
            Option("No: in training the latents are expanded, and each pair of positions costs what it did, or more.",
                   "Keys are expanded for every head and compared as ever, 128 + 64 features in place of 128. What is "
                   "saved is the cache, and reading it: that counts when text is written.", right=True),
        ),
    ),
    Quiz(
        "query-compression-and-cache",
        "In DeepSeek-V3 queries, too, pass through a latent, 1536 wide. What does this do to the cache?",
        (
            Option("It shrinks the cache further.", "Queries are never cached: each is asked once, by its own token."),
            Option("It adds 1536 numbers a token.", "The query's latent is forgotten with the query, as soon as its "
                   "token has looked around."),
            Option("Nothing: it saves memory for activations in training.", "Training has to hold what the backward "
                   "pass needs, and a narrow latent is less than the queries of all heads.", right=True),
            Option("Nothing, but the absorbed form could not do without it.", "W_uk folds into a query however it was "
                   "made. Smaller models do without it, with one matrix from the token to all queries."),
        ),
    ),
)  # fmt: skip
