"""A card: what the course answers to a learner, as text and as HTML.

A card says first *how it stands* (in a word, a mark and a colour), then *what it is about*, then *what to think of
next*. It is made of parts, and each part knows both its forms; `Card` only puts them together. Everything that comes
from outside is escaped; `backticks` in a sentence become code.
"""

import html
import re
from dataclasses import dataclass
from textwrap import indent

from mini_moe.course.display.style import STYLE

STATUSES = {
    "passed": ("✓", "Passed"),
    "wrong": ("✗", "Not right yet"),
    "open": ("○", "Not written yet"),
    "note": ("›", "Note"),
}
CLAIMS = {"held": ("✓", "holds"), "failed": ("✗", "does not hold"), "untried": ("○", "not tried yet")}


def inline(text):
    """A sentence as HTML: escaped, with `backticks` as code and *stars* as emphasis.

    >>> inline("is `a < b` so?")
    'is <code>a &lt; b</code> so?'
    """
    text = re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(text))
    return re.sub(r"(?<!\S)\*(\w+)\*", r"<em>\1</em>", text)


@dataclass(frozen=True)
class Says:
    """The sentence that matters most: the diagnosis, the hint, the praise."""

    sentence: str

    def text(self):
        return self.sentence

    def html(self):
        return f'<p class="mm-says">{inline(self.sentence)}</p>'


@dataclass(frozen=True)
class Claims:
    """What was claimed of the learner's function, in order, each with how it went (a key of `CLAIMS`)."""

    outcomes: tuple[tuple[str, str], ...]  # (claim, "held" | "failed" | "untried")

    def text(self):
        lines = []
        for claim, outcome in self.outcomes:
            mark, word = CLAIMS[outcome]
            lines.append(f"{mark} {claim}" if outcome == "held" else f"{mark} {claim} ({word})")
        return "\n".join(lines)

    def html(self):
        items = []
        for claim, outcome in self.outcomes:
            mark, word = CLAIMS[outcome]
            word = f'<span class="mm-word">({word})</span>'
            items.append(f'<li class="mm-{outcome}" data-mark="{mark}">{inline(claim)} {word}</li>')
        return f"<ul>{''.join(items)}</ul>"


@dataclass(frozen=True)
class Blocks:
    """Blocks of plain text under their labels, side by side where there is room: what came, what was expected."""

    labelled: tuple[tuple[str, str], ...]  # (label, content)

    def text(self):
        return "\n".join(f"{label}:\n{indent(content, '    ')}" for label, content in self.labelled)

    def html(self):
        blocks = (
            f'<div class="mm-block"><p class="mm-label">{inline(label)}</p>'
            f'<pre tabindex="0">{html.escape(content)}</pre></div>'
            for label, content in self.labelled
        )
        return f'<div class="mm-blocks">{"".join(blocks)}</div>'


@dataclass(frozen=True)
class Prose:
    """A paragraph under its label."""

    label: str
    content: str

    def text(self):
        return f"{self.label}:\n{indent(self.content, '    ')}"

    def html(self):
        return f'<p class="mm-label">{inline(self.label)}</p><p class="mm-prose">{inline(self.content)}</p>'


@dataclass(frozen=True)
class Footer:
    """What happens next."""

    sentence: str

    def text(self):
        return f"-> {self.sentence}"

    def html(self):
        return f'<p class="mm-foot">{inline(self.sentence)}</p>'


@dataclass(frozen=True)
class Card:
    """A titled answer; the last expression of a cell, or `display(card)`, shows it.

    >>> print(Card("route", "open", (Footer("Write it."),)))
    ○ Not written yet: route
    <BLANKLINE>
      -> Write it.
    """

    title: str
    status: str  # a key of STATUSES
    parts: tuple = ()

    def __post_init__(self):
        if self.status not in STATUSES:
            raise ValueError(f"status must be one of {', '.join(STATUSES)}, got {self.status!r}.")

    def __str__(self):
        mark, word = STATUSES[self.status]
        return "\n\n".join(
            [f"{mark} {word}: {self.title.replace('`', '')}"] + [indent(p.text(), "  ") for p in self.parts]
        )

    __repr__ = __str__

    def html(self):
        """The card as a fragment of HTML that needs nothing from outside."""
        mark, word = STATUSES[self.status]
        status = f'<span class="mm-status"><span aria-hidden="true">{mark}</span> {word}</span>'
        head = f'<p class="mm-head">{status} <span class="mm-title">{inline(self.title)}</span></p>'
        body = "".join(part.html() for part in self.parts)
        return f'{STYLE}<section class="mm mm-{self.status}">{head}{body}</section>'

    def _repr_mimebundle_(self, include=None, exclude=None):
        return {"text/plain": str(self), "text/html": self.html()}
