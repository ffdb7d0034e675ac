"""Lesson 01: what a learner is asked before the work."""

from mini_moe.course.display.quiz import Option, Quiz

QUIZZES = (
    Quiz(
        "model-against-xz",
        "A model of one million parameters trains on Python code for half a minute on this machine. Does it predict "
        "unseen code better than `xz -9` compresses it?",
        (
            Option("Yes, easily: a neural network beats any compressor.", "Not in half a minute. xz remembers what it "
                   "has read and copies whatever comes again; the model must put all it knows into its weights."),
            Option("No, but it comes within a bit or two per byte.", "It learns the grammar of Python fast and its "
                   "names slowly. You measure the distance below, and who deserves the credit.", right=True),
            Option("No: it is hardly better than knowing nothing, 8 bits per byte.", "Counting how often each byte "
                   "occurs gets under 5 bits already, and a good way to cut the text into tokens under 4, untrained."),
        ),
    ),
    Quiz(
        "why-bits-per-byte",
        "Model A has a mean loss of 3.0 per token on a text, model B one of 2.5. Which one predicts the text better?",
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
        "In training, a model reads whole texts and guesses the next token at every position. You forget to hide from "
        "each position what comes after it. What happens?",
        (
            Option("An error: shapes no longer fit.", "The shapes are the same, so the mistake is hard to find."),
            Option("The loss falls fast and far, and the model writes nonsense.", "In training the next token "
                   "stands in the input, and it learns to copy it. When it writes, there is none.", right=True),
            Option("The loss stays high.", "On the contrary: it is very good at copying the answer."),
        ),
    ),
)  # fmt: skip
