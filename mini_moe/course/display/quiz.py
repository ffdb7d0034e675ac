"""A quiz that explains: choosing an option opens what is to be said about it.

It is HTML and CSS alone, native radio buttons and ``:checked``, so it needs neither a kernel nor a script and works
in the published page, offline, by keyboard and with a screen reader. It is for learning: the explanations are in the
page's source, and nothing is graded.
"""

from dataclasses import dataclass

from mini_moe.course.display.card import inline
from mini_moe.course.display.style import STYLE


@dataclass(frozen=True)
class Option:
    """One answer, what to say to who chooses it, and whether it is right."""

    text: str
    says: str
    right: bool = False


@dataclass(frozen=True)
class Quiz:
    """A question and its options, one of them right; `backticks` in any text become code."""

    name: str
    question: str
    options: tuple[Option, ...]

    def __post_init__(self):
        if sum(option.right for option in self.options) != 1 or len(self.options) < 2:
            raise ValueError(f"options of {self.name!r} must be two or more, exactly one of them right.")

    def __str__(self):
        letters = "abcdefghijklmnopqrstuvwxyz"
        options = (f"  ({letter}) {option.text}" for letter, option in zip(letters, self.options, strict=False))
        return "\n".join([self.question, *options])

    __repr__ = __str__

    def html(self):
        """The quiz as a fragment of HTML that needs nothing from outside."""
        # A form of its own keeps the radio buttons apart from those of the same quiz shown elsewhere in the page.
        options = "".join(self._option(option) for option in self.options)
        return (
            f'{STYLE}<section class="mm mm-note"><p class="mm-head"><span class="mm-status">'
            '<span aria-hidden="true">?</span> What do you think?</span> <span>Choose one; you may change your mind.'
            f'</span></p><form onsubmit="return false"><fieldset><legend>{inline(self.question)}</legend>{options}'
            "</fieldset></form></section>"
        )

    def _option(self, option):
        kind, word = ("right", "✓ Right.") if option.right else ("not", "✗ Not quite.")
        # JupyterLab would take the arrow keys for its own.
        return (
            f'<label class="mm-option"><input type="radio" name="quiz-{inline(self.name)}" '
            f'onkeydown="event.stopPropagation()"><span>{inline(option.text)}</span>'
            f'<span class="mm-reveal mm-{kind}"><b>{word}</b> {inline(option.says)}</span></label>'
        )

    def _repr_mimebundle_(self, include=None, exclude=None):
        return {"text/plain": str(self), "text/html": self.html()}
