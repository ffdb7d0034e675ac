"""Lesson 04: what a learner is asked before the work, and once on the way."""

from mini_moe.course.display.quiz import Option, Quiz

QUIZZES = (
    Quiz(
        "no-balance",
        "A small model with 16 experts trains for 300 steps. Nothing keeps its experts equally busy: only the loss of "
        "the next token trains the router. What do you expect, beside a model whose experts are kept equally busy?",
        (
            Option("The load evens out by itself, for each expert finds its own tokens; the two models are alike.",
                   "Nothing sends a token to an expert that is not yet good at it, and one that gets no tokens gets no "
                   "gradient. You will see how far from even the load is."),
            Option("A few experts win early and get most of the tokens, and the model predicts clearly worse.",
                   "The first half, yes. The second is what most people expect, with good reason: experts that are "
                   "hardly used are memory without a purpose. But at this size you will look for it in vain."),
            Option("A few experts win early and get most of the tokens, and yet the model predicts about as well.",
                   "Only the chosen learn, and the router learns to choose who is good. But a few busy experts are "
                   "enough for so small a model in 300 steps: its loss does not tell that the others idle, so you have "
                   "to look at the load itself. That larger models lose nothing either does not follow.", right=True),
            Option("All experts become copies of one another, and the model is as good as one with a single expert.",
                   "They begin with different weights and see different tokens, so they differ. The trouble is that "
                   "some see hardly any."),
        ),
    ),
    Quiz(
        "auxiliary-loss-free",
        "An auxiliary loss is added to that of the next token, to steer something else. DeepSeek-V3 calls its way of "
        "balancing auxiliary-loss-free. Does it train without any auxiliary loss for balance?",
        (
            Option("Yes: the bias alone keeps the experts busy.", "The bias does the work over a whole batch. But one "
                   "sequence could still send all its tokens to a few experts, and a small loss guards against it."),
            Option("No: a very small loss within each sequence remains.", "Its weight is 0.0001, so small that it "
                   "hardly disturbs the model. The bias, moved without any gradient, does nearly all the work.",
                   right=True),
            Option("No: the bias is a parameter, and its gradient comes from such a loss.", "The bias is no parameter "
                   "and has no gradient. It moves by a fixed step, up or down, by the load alone."),
        ),
    ),
    Quiz(
        "when-to-move-the-bias",
        "Your function is right. Now somebody calls it inside the router, each time that tokens have been routed: the "
        "load is known there, and it is one line. But a batch is spread over 8 machines, each takes its part in 4 "
        "pieces one after the other, and to save memory each layer is computed a second time in the backward pass. "
        "What comes of it?",
        (
            Option("Nothing bad: the load is counted in the right place.", "Each count is right, but it is that of one "
                   "piece on one machine, and the bias moves at each."),
            Option("The bias moves too slowly, for each call sees few tokens.", "A step has the size γ, however few "
                   "tokens decided its direction. So the bias rather moves too fast."),
            Option("It moves eight times in a step, differently on each machine, and also between the first and the "
                   "second time that a layer is computed.", "4 pieces, each routed twice. The machines soon hold "
                   "different models, and the second time a token may choose other experts than those whose output "
                   "was used. So: count in the forward pass, add up over pieces and machines, and move the bias once, "
                   "after the optimizer's step.", right=True),
            Option("The gradient of the bias is counted twice.", "It has none: it takes part in the choice alone, and "
                   "the function is marked `no_grad`."),
        ),
    ),
)  # fmt: skip
