"""Lesson 04: what a learner is asked before the work."""

from mini_moe.course.display.quiz import Option, Quiz

QUIZZES = (
    Quiz(
        "no-balance",
        "Nothing keeps the experts equally busy: only the loss of the next token trains the router. What happens?",
        (
            Option("The load evens out by itself, for each expert finds its own subject.", "Nothing sends a token to "
                   "an expert that is not yet good at it. One that gets no tokens gets no gradient, and stays bad."),
            Option("A few experts win early, get trained, and win still more.", "Only the chosen learn, and the router "
                   "learns to choose who is good. Most of the model's memory is then paid for and never used: this is "
                   "called collapse.", right=True),
            Option("All experts become copies of one another.", "They begin with different weights and see different "
                   "tokens, so they differ. The trouble is that most of them see hardly any."),
            Option("The loss grows without bound.", "It falls, a little less than it could: the model works like a "
                   "smaller one. So look at the load; the loss alone will not tell you."),
        ),
    ),
    Quiz(
        "auxiliary-loss-free",
        "DeepSeek-V3 calls its way of balancing auxiliary-loss-free. Does it train without any auxiliary loss for "
        "balance?",
        (
            Option("Yes: the bias alone keeps the experts busy.", "The bias does the work over a whole batch. But one "
                   "sequence could still send all its tokens to a few experts, and a small loss guards against it."),
            Option("No: a very small loss within each sequence remains.", "Its weight is 1e-4, so small that it hardly "
                   "disturbs the model. The bias, moved without any gradient, does nearly all the work.", right=True),
            Option("No: the bias is a parameter, and its gradient comes from such a loss.", "The bias is no parameter "
                   "and has no gradient. It moves by a fixed step, up or down, by the load alone."),
        ),
    ),
    Quiz(
        "when-to-move-the-bias",
        "A batch is spread over 8 machines, each works on it in 4 micro-batches, and blocks are computed again in the "
        "backward pass. When does the bias move?",
        (
            Option("After each micro-batch, so that it reacts quickly.", "Then micro-batches of one step are routed by "
                   "different biases, and the step is no longer `gamma`. A few tokens also say little about the load."),
            Option("In each forward pass of the router, where the load is known.", "A block that is computed again "
                   "for the backward pass would count its tokens twice, and even choose other experts the second "
                   "time."),
            Option("On each machine, after the optimizer step, by the tokens that it saw.", "The machines would soon "
                   "hold different biases, and so different models. They add up their loads first."),
            Option("Once after the optimizer step, by the load of all micro-batches on all machines.", "One sum, one "
                   "sign, one step of `gamma`, the same everywhere, and outside of any gradient.", right=True),
            Option("In the backward pass, by its gradient.", "It has none: it takes part in the choice alone, and a "
                   "choice cannot be differentiated."),
        ),
    ),
)  # fmt: skip
