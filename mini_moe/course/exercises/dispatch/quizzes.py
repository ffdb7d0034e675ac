"""Lesson 05: what a learner is asked before the work."""

from mini_moe.course.display.quiz import Option, Quiz

QUIZZES = (
    Quiz(
        "sparse-is-free",
        "A layer has 64 experts, and each token goes through 4 of them. The alternative is a dense layer as large as "
        "those 4: the same multiplications for each token. Which is faster, forward and backward?",
        (
            Option("Neither: the multiplications are the same, so the time is.", "They are. But "
                   "tokens have to be fetched and brought back, and many small products take their place."),
            Option("The dense layer, 16 times as fast: for the other, all 64 experts must be computed.", "Each expert "
                   "computes only the tokens that chose it: no more multiplications than the dense layer. A careless "
                   "program can still be that slow, for another reason: you will find it below."),
            Option("The dense layer; by how much depends on the program.", "Fetching and bringing back cost time, and "
                   "so do many small products, and the gradients of all 64 experts. A good program loses a "
                   "small factor, a careless one a large one. You measure both below.", right=True),
            Option("The layer with experts: each expert is small, so its matrices fit the fast memory.", "One expert's "
                   "do, but all 64 take their turn, and there are sixteen times as many numbers to read and as many "
                   "gradients to write."),
        ),
    ),
    Quiz(
        "why-sort",
        "Why sort the (token, expert) pairs by expert before the products?",
        (
            Option("So that each expert keeps no more tokens than it has room for.", "No token is dropped here: an "
                   "expert's slice is as long as it needs to be. Room is a limit of other designs."),
            Option("So that the rows of an expert stand side by side.", "A slice is then one product, and a grouped "
                   "product can take many experts by one call. The pairs are looked through once, too, rather than "
                   "once for each expert: you will measure how little that brings.", right=True),
            Option("So that the result is more exact.", "The same products are added up, only in another order."),
            Option("So that fewer multiplications are needed.", "There are just as many: N K rows, each through one "
                   "expert. Where they stand is another matter."),
        ),
    ),
    Quiz(
        "empty-expert",
        "In some batch no token chooses expert 3. What should happen?",
        (
            Option("An error: a matrix product needs at least one row.", "A product of zero rows is allowed, and gives "
                   "zero rows. What breaks is code that did not expect it."),
            Option("Nothing: zero rows, no work, a gradient of zero.", "Its slice is empty, so nothing is multiplied "
                   "or added, and its weights get no gradient from this batch. Lesson 04 keeps it from staying "
                   "so.", right=True),
            Option("It is given some token all the same, so that it learns.", "That would change the result for that "
                   "token. Balancing makes an idle expert more attractive, step by step; it gives it nothing by "
                   "force."),
            Option("The experts after it move up by one.", "Then they would meet the rows of others. Its end is that "
                   "of expert 2, and so its slice is empty."),
        ),
    ),
)  # fmt: skip
