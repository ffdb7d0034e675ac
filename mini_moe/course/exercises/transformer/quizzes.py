"""Lesson 01: what a learner is asked before the work."""

from mini_moe.course.display.quiz import Option, Quiz

QUIZZES = (
    Quiz(
        "model-against-xz",
        "A model of one million parameters trains on Python code for half a minute on this machine. Does it predict "
        "unseen code better than `xz -9` compresses it?",
        (
            Option("Yes, easily: a neural network beats any compressor.", "Not in half a minute. xz sees a whole file "
                   "and remembers every repeated piece exactly; the model must put all it knows into its weights."),
            Option("No, but it comes within a bit or two per byte.", "It learns the grammar of Python fast and its "
                   "names slowly. You measure the distance below.", right=True),
            Option("No: it is hardly better than knowing nothing, 8 bits a byte.", "Even counting letters gets under 5 "
                   "bits. The first seconds of training bring most."),
        ),
    ),
    Quiz(
        "why-bits-per-byte",
        "Model A has a loss of 3.0 nats a token, model B of 2.5. Which one predicts the text better?",
        (
            Option("B: its loss is lower.", "B may simply have shorter tokens: cutting a text into more pieces makes "
                   "each easier to guess, and there are more of them to pay for."),
            Option("A: a higher loss means it learned more.", "Loss is a cost; less is better, for the same tokens."),
            Option("One cannot say without their tokenizers.", "Add up the cost of the whole text and divide by "
                   "its bytes. That is the same unit for both, and for xz.", right=True),
        ),
    ),
    Quiz(
        "what-if-no-mask",
        "You forget the causal mask in training. What happens?",
        (
            Option("An error: shapes no longer fit.", "Shapes are the same. This is why it is such a costly mistake."),
            Option("The loss falls fast and far, and the model writes nonsense.", "It reads the next token from the "
                   "input during training, and when it writes there is nothing to read.", right=True),
            Option("The loss stays high.", "On the contrary: it is very good at copying the answer."),
        ),
    ),
)  # fmt: skip
