"""The headlines under test, and the learner's verdict on each.

``verdict(number, words)`` shows a headline, what the primary sources support, and the learner's own words, which are
kept for the table of the last lesson. The headlines are told in the course's own words; no article is quoted.
"""

import json
from dataclasses import dataclass

from mini_moe.course.card import Card, Footer, Prose, Says
from mini_moe.files import home, write_atomically


@dataclass(frozen=True)
class Headline:
    """A headline of early 2025, and what the primary sources say of it."""

    text: str
    sources: str
    short: str  # the finding in a few words


HEADLINES = {
    1: Headline(
        "The cost of training fell from a hundred million dollars to five.",
        "$5.576 M is 2.788 M H800 hours at an assumed $2 an hour, for the final run only: research, failed runs, data "
        "and people are not in it (DeepSeek-V3 report, table 1). The hundred million was "
        "never counted alike.",
        "true sum, unlike things compared",
    ),
    2: Headline(
        "671 billion parameters, and only 37 billion of them at work.",
        "37.55 B per token with embedding and head. All 671 B must still be stored (DeepSeek-V3 report, section 4.2).",
        "true of work, not of memory",
    ),
    3: Headline(
        "A team of experts: only the specialist answers, so each answer takes less work.",
        "The work falls: 37 of 671 billion parameters are used for a token. But experts are chosen for each token, in "
        "each layer, and are no specialists for topics; balancing them and sending tokens to them costs something "
        "(DeepSeekMoE, section 4; DeepSeek-V3 report, sections 2.1.2 and 3.2).",
        "true of work, not of specialists",
    ),
    10: Headline(
        "It runs on a gaming card.",
        "The small models distilled from it do. The full model needs about 671 GB for its weights in FP8, and more to "
        "run.",
        "false for the model, true for its pupils",
    ),
    11: Headline(
        "Two thousand GPUs did what takes others a hundred thousand.",
        "2,048 H800 are stated, and hours that make 54 days. The hundred thousand is a cluster that "
        "somebody owns, not what one comparable run used. Llama 3.1 405B took 30.84 M H100 hours, eleven times "
        "as many.",
        "true count, wrong comparison",
    ),
    13: Headline(
        "Its use costs 95 % less.",
        "List prices of January 2025: R1 $0.55 in and $2.19 out per million tokens, o1 $15 and $60: 96 % less; about "
        "78 % less than GPT-4o. A price is what a seller asks, not what the work costs.",
        "true of prices",
    ),
    14: Headline(
        "A question to it takes a tenth of the energy.",
        "No primary source says so. One independent measurement of a distilled 70 B model found more "
        "energy a query, not less, because it answers at greater length.",
        "not shown",
    ),
}


def verdict(number, words=""):
    """The card of a headline; with ``words``, they are kept as your verdict.

    Raises:
        ValueError: there is no headline of that number.
    """
    if number not in HEADLINES:
        raise ValueError(f"number must be one of {', '.join(map(str, HEADLINES))}, got {number!r}.")
    headline, words = HEADLINES[number], words.strip()
    if not words:
        words = verdicts().get(str(number), "")
    else:
        write_atomically(_file(), (json.dumps(verdicts() | {str(number): words}, indent=2) + "\n").encode())
    parts = (Says(headline.text), Prose("What the primary sources support", headline.sources))
    if words:
        parts += (Prose("Your verdict", words), Footer("Kept for the table of the last lesson."))
    else:
        parts += (
            Footer(f'In your own words? `verdict({number}, "...")` keeps them for the table of the last lesson.'),
        )
    return Card(f"Headline {number}: {headline.short}", "note", parts)


def verdicts():
    """The kept words, by the headline's number as a string."""
    return json.loads(_file().read_text(encoding="utf-8")) if _file().exists() else {}


def _file():
    return home() / "verdicts.json"
