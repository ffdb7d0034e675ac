"""Lesson 07, `speculate`: a model whose cache forgives nothing, drafts as good as one likes, and a log of both.

The model's logits depend on *all* that its cache holds up to a token: who leaves a rejected draft there gets another
text. There is nothing to learn in it: they come from a hash.
"""

import hashlib
import random
from functools import lru_cache

import torch

from mini_moe.course.checking.exercise import Wrong

PASSES = 100  # more than any text here could need
KINDS = ("always right", "always wrong", "two of three right")


@lru_cache(1 << 16)
def _logits(seed, V, steps, text):
    """Of what follows a text: V numbers from -3 to 1, mostly negative, in so many steps that some may be equal."""
    digest = hashlib.sha256(repr((seed, text)).encode()).digest()
    draw = random.Random(digest)  # its own, and the same on every machine
    return tuple(4 * draw.randrange(steps) / steps - 3 for _ in range(V))


class Model:
    """``extend`` of a model with a cache, over V tokens. It keeps what it has read in ``memory``."""

    def __init__(self, seed, V, steps=10**6, log=None):
        self.seed, self.V, self.steps = seed, V, steps
        self.memory, self.passes, self.log = [], 0, log

    def __repr__(self):
        equal = ", some equally likely" if self.steps < 100 else ""
        return f"<model over {self.V} tokens{equal}>"

    def __call__(self, tokens, start):
        tokens, start = [int(token) for token in tokens], int(start)
        self.passes += 1
        if self.passes > PASSES:
            raise Wrong(
                f"It has called `extend` {PASSES} times, for a few tokens, and goes on. Does each pass add to the "
                "text, also where the draft was rejected? And is the text a list of its own, or does the prompt grow "
                "with it?",
                mistake="never ends",
            )
        if start < 0:
            says = f"`extend` is called with start = {start}: it is the place of a token in the text, counted from 0."
            raise Wrong(says, mistake="start below 0")
        if start > len(self.memory):
            held = "1 token" if len(self.memory) == 1 else f"{len(self.memory)} tokens"
            raise Wrong(
                f"`extend` is called with start = {start}, but the cache holds {held}: what stands between was never "
                "read. `start` is the place of the first token given, counted from 0.",
                mistake="a hole in the cache",
            )
        if self.log is not None:
            self.log.append(("read", start, tuple(tokens)))
        self.memory[start:] = tokens
        rows = [self._after(self.memory[: start + i + 1]) for i in range(len(tokens))]
        return torch.tensor(rows).reshape(len(rows), self.V)

    def anew(self, log=None):
        """The same model, its cache empty."""
        return Model(self.seed, self.V, self.steps, log)

    def ranked(self, text):
        """All tokens, the likeliest to follow a text first; of equal ones the first."""
        logits = self._after(text)
        return sorted(range(self.V), key=lambda token: (-logits[token], token))

    def written(self, prompt, count):
        """A prompt and ``count`` tokens after it, the likeliest each time."""
        text = list(prompt)
        for _ in range(count):
            text.append(self.ranked(text)[0])
        return text

    def _after(self, text):
        return _logits(self.seed, self.V, self.steps, tuple(text))


class Draft:
    """``draft`` of one of the ``KINDS``. Its wrong guesses are the second likeliest token or the least likely."""

    def __init__(self, model, kind, log=None):
        self.model, self.kind, self.log = model.anew(), kind, log

    def __repr__(self):
        return f"<drafts, {self.kind}>"

    def __call__(self, text):
        try:
            text = [int(token) for token in text]
        except TypeError as error:
            says = "`draft` takes a text, a list of tokens; it is given a single number."
            raise Wrong(says, mistake="draft not given a text") from error
        wrong = {"always right": False, "always wrong": True}.get(self.kind, len(text) % 3 == 0)
        ranked = self.model.ranked(text)
        guess = ranked[0] if not wrong else ranked[1 % len(ranked)] if len(text) % 2 else ranked[-1]
        if self.log is not None:
            self.log.append(("draft", tuple(text), guess))
        return guess


def watched(model, kind):
    """(extend, draft, log): what is read and drafted is written to the log in turn, as
    ("read", start, tokens) and ("draft", text, guess)."""
    log = []
    return model.anew(log), Draft(model, kind, log), log
