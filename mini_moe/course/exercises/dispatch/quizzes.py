"""Lesson 05: what a learner is asked before the work."""

from mini_moe.course.display.quiz import Option, Quiz

QUIZZES = (
    Quiz(
        "sparse-is-free",
        "A layer has 64 experts and each token chooses 2. Is it as fast as a dense layer of the size of those 2?",
        (
            Option("Yes: the multiplications are the same, so the time is.", "The multiplications are the same. But "
                   "tokens have to be sorted and copied, and 64 small products run below the speed of one large one."),
            Option("No: it takes 32 times as long, for all 64 experts must be computed.", "Each expert computes only "
                   "the tokens that chose it. All 64 for every token is what `loop` must avoid."),
            Option("No: somewhat slower, even at the same number of multiplications.", "Choosing, sorting and copying "
                   "cost time, small products use the machine badly, and the weights of all 64 experts have to be "
                   "read. You measure how much below.", right=True),
            Option("It is faster: fewer weights are used.", "For one token, yes. A batch of many tokens needs nearly "
                   "all experts, so nearly all weights are read."),
        ),
    ),
    Quiz(
        "why-sort",
        "Why sort the (token, expert) pairs by expert before the products?",
        (
            Option("So that each expert keeps no more tokens than it has room for.", "No token is dropped here: an "
                   "expert's slice is as long as it needs to be. Room is a limit of other designs."),
            Option("So that the rows of an expert stand side by side.", "A slice is then one product, read from "
                   "memory in order, and the pairs are searched once for all experts rather than once for "
                   "each.", right=True),
            Option("So that the result is more exact.", "The same products are added up, only in another order."),
            Option("So that fewer multiplications are needed.", "There are just as many: N K rows, each through one "
                   "expert. They run faster when they stand together."),
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
