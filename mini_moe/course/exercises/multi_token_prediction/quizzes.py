"""Lesson 06: what a learner is asked before the work."""

from mini_moe.course.display.quiz import Option, Quiz

QUIZZES = (
    Quiz(
        "does-the-module-teach-the-model",
        "Two models train on the same tokens. One of them has a module that predicts one token further; the loss of "
        "the module is added to its own, with a weight of 0.3, and its gradient reaches every layer. Afterwards the "
        "module is taken off. How do the two compare at predicting the *next* token?",
        (
            Option("The one that had the module is much better: it has learned to think ahead.", "It is a reason that "
                   "DeepSeek gives for the module (V3 report, section 2.2: more to learn from each token, and plans "
                   "made early). In their ablation most benchmarks rise (table 4). But in the loss there is little to "
                   "be seen of it elsewhere; how much it is here, you measure."),
            Option("They are alike, or nearly so.", "In a public experiment with a mixture of experts and 15 billion "
                   "tokens, the loss fell from 2.940 to 2.927, for a fifth of the speed of training (marin, issue "
                   "5772). Somebody who wants a better model could train for longer instead. Yours is far smaller: the "
                   "measurement below decides for it.", right=True),
            Option("The one that had the module is much worse: it served two masters.", "The second task is near to "
                   "the first, and has the smaller weight. Does it cost anything? In a small model it might, and "
                   "the measurement below would show it; but the reports that we know tell of a small gain."),
            Option("They are equal, to the last digit: the module only reads what the model has thought.", "In the "
                   "forward pass it only reads. But its gradient flows back, through the hidden state into every "
                   "layer, and into the embedding and the head that the two share. Only a `.detach()` would keep it "
                   "out."),
        ),
    ),
    Quiz(
        "is-the-module-needed-to-write",
        "The model is trained, and is to write text. Is the module needed for that?",
        (
            Option("Yes: the model has learned to lean on it, and writes worse without it.", "No layer of the model "
                   "reads anything that the module has computed: it sits behind the last one. So nothing can be "
                   "missing there."),
            Option("Yes: without it every second token would be missing.", "The model itself predicts the next token "
                   "at each position, as it always did. The module only adds a guess at the one after."),
            Option("No: throw it away, and the model writes the same text, token by token.", "Its logits do not depend "
                   "on the module. Who keeps it can have the guesses checked, and so write faster; but not other "
                   "text, as long as each token is the most likely one.", right=True),
            Option("No, but then embedding and head have to be trained again, for they were shared.", "They are the "
                   "model's own, and were trained for its next token all along. The module has borrowed them."),
        ),
    ),
    Quiz(
        "what-acceptance-measures",
        "The module drafts a token, and the model checks it. In 8 of 10 cases the draft is accepted: it is the token "
        "that the model itself chooses there. What do these 80 % tell?",
        (
            Option("In 8 of 10 cases the module predicts how the text goes on.", "While the model writes there is no "
                   "such text: what comes next is what the model chooses. Beside a given text, too, a draft that "
                   "repeats the model's mistake is accepted, and one that is right where the model is wrong is not."),
            Option("In 8 of 10 cases the module agrees with the model.", "No more than that. A poor model that always "
                   "writes the same word is easy to guess, and its module would be accepted nearly always. How well "
                   "the text is predicted, the loss tells.", right=True),
            Option("The module is 80 % as good as the model.", "It is accepted where it agrees, however good either "
                   "of them is. And its task is another one: the token after the next, from a single block more."),
            Option("The text is written 1.8 times as fast.", "A pass that checks a draft yields 1.8 tokens on average, "
                   "if each is followed by a new draft. But it reads two tokens, and the module has to run, too: "
                   "what is left of the 1.8 you measure below."),
        ),
    ),
)  # fmt: skip
