"""The headlines under test, and the learner's verdict on each.

``verdict(number, words)`` shows a headline, what the primary sources support, and the learner's own words, which are
kept for the table of the last lesson. The headlines are told in the course's own words; no article is quoted.
"""

import json
from dataclasses import dataclass

from mini_moe.course.display.card import Card, Footer, Prose, Says
from mini_moe.course.occasion import in_book
from mini_moe.files import home, write_atomically


@dataclass(frozen=True)
class Headline:
    """A headline of early 2025, and what the primary sources say of it."""

    text: str
    sources: str
    short: str  # the finding in a few words
    lessons: tuple[str, ...]  # the numbers of those that test it, also of lessons that are not written yet


HEADLINES = {
    1: Headline(
        "The cost of training fell from a hundred million dollars to five.",
        "$5.576 million is 2.788 million H800 hours at an assumed rent of $2 an hour, for the official run only: the "
        "report itself leaves out earlier research and trial runs (DeepSeek-V3 report, table 1 and the text below "
        "it), and it says nothing of salaries or failed runs. The hundred million was said of GPT-4 (Wired, 17 April "
        "2023), without an account of what it covers.",
        "true sum, unlike things compared",
        ("00",),
    ),
    2: Headline(
        "671 billion parameters, and only 37 billion of them at work.",
        "671 billion parameters, of which 37 billion work on a token (DeepSeek-V3 report, section 4.2). All of them "
        "must still be stored.",
        "true of work, not of memory",
        ("00", "03"),
    ),
    3: Headline(
        "A team of experts: only the specialist answers, so each answer takes less work.",
        "The work falls: 37 of 671 billion parameters are used for a token. But nobody answers alone: experts are "
        "chosen for each token, in each layer. Which experts are busy differs by domain in a model of 16 billion "
        "parameters by DeepSeek (DeepSeek-V3 report, section 4.5.3) and in OLMoE (section 5 of its paper), hardly by "
        "topic in Mixtral (section 5). Keeping experts busy and sending tokens to them has a price (sections 2.1.2 and "
        "3.2 of the report).",
        "true of work; specialists of a kind, but none answers alone",
        ("03", "04", "05"),
    ),
    4: Headline(
        "It reads several words at once: twice as fast, at 90 % of the accuracy.",
        "It guesses one token ahead, and then checks the guess. 85 to 90 % is how often a guess is kept; it is no "
        "accuracy. The speed is 1.8 times (DeepSeek-V3 report, section 5.4.3). With a correct check the output does "
        "not change at all.",
        "nearly true of speed; no accuracy is given up",
        ("06", "07"),
    ),
    5: Headline(
        "Eight digits in place of 32: three quarters of the memory saved, no accuracy lost.",
        "Bits, not digits. The weights shrink by 75 % against FP32 and by 50 % against BF16; a master copy of them "
        "stays wide. The loss stays within 0.25 % of that of BF16, on models of about 16 and 230 billion parameters "
        "(DeepSeek-V3 report, section 3.3 and appendix B.1).",
        "true of bits, and against FP32",
        ("08", "09"),
    ),
    6: Headline(
        "GRPO, its way to learn from rewards, is why training became cheap.",
        "GRPO does without the critic, a second network that judges while the first learns (DeepSeekMath, section "
        "4.1). But all post-training took 5 of V3's 2,788 thousand hours, 0.18 % (DeepSeek-V3 report, table 1).",
        "true of the critic, not of the cost",
        ("10",),
    ),
    7: Headline(
        "With GRPO, models learn from each other, like a study group.",
        "It is one model. It answers the same question many times, and each answer is judged against the mean of its "
        "group (DeepSeekMath, section 4.1).",
        "one model, many answers",
        ("10",),
    ),
    8: Headline(
        "Distillation: to train on less data, but refined.",
        "The small models were fine-tuned on about 800 thousand samples, 600 thousand of them reasoning that the large "
        "one wrote and that was found right (DeepSeek-R1, sections 2.3.3 and 2.4). The large one had seen 14.8 "
        "trillion tokens (DeepSeek-V3 report, section 4.1).",
        "what teaches is a large model's answers",
        ("11",),
    ),
    9: Headline(
        "It learned to reason from reward alone.",
        "R1-Zero did: rewarded by rules, for a right result and the right form, it wrote longer answers, and more of "
        "them were right. R1 itself starts from a few thousand worked examples (DeepSeek-R1, sections 2.2 and 2.3).",
        "true of R1-Zero, not of R1",
        ("10", "11"),
    ),
    10: Headline(
        "It runs on a gaming card.",
        "Its pupils have 1.5 to 70 billion parameters (DeepSeek-R1, section 2.4); the smaller ones fit such a card. "
        "A byte for each of the full model's parameters makes 671 GB (DeepSeek-V3 report, section 4.2, has their "
        "number), and it needs more to run.",
        "false for the model, true for its smaller pupils",
        ("00", "13"),
    ),
    11: Headline(
        "Two thousand GPUs did what takes others a hundred thousand.",
        "2,048 H800 are stated, and hours that make 54 days (DeepSeek-V3 report, section 3.1 and table 1). The hundred "
        "thousand is the size of a whole cluster, not what one comparable run used. Llama 3.1 405B, of like quality "
        "(table 3), took 30.84 million H100 hours, eleven times as many (its model card).",
        "true count, wrong comparison",
        ("00", "12"),
    ),
    12: Headline(
        "It was done on restricted chips, thirty times cheaper.",
        "The H800 has the 16- and 8-bit arithmetic of an H100, in which models are trained. Its links to other GPUs "
        "are slower, 400 in place of 900 GB per second, and its 64-bit arithmetic is cut (Insights into DeepSeek-V3, "
        "section 4.1). The design works around the network (DeepSeek-V3 report, section 3), which names no price of a "
        "chip, only an assumed rent of $2 an hour.",
        "true of the links, not of the arithmetic that counts",
        ("12",),
    ),
    13: Headline(
        "Its use costs 95 % less.",
        "List prices of January 2025, without the discount for what is cached: R1 $0.55 in and $2.19 out per million "
        "tokens, o1 $15 and $60: 96 % less; about 78 % less than GPT-4o. A price is what a seller asks, not what the "
        "work costs: of one day in February 2025 DeepSeek tells that its GPUs would have cost $87,072 at a rent of $2 "
        "per hour, and all tokens $562,027 at R1's prices; not all were billed (its open-infra-index, day 6).",
        "true of prices",
        ("00", "02", "07"),
    ),
    14: Headline(
        "A question to it takes a tenth of the energy.",
        "No primary source says so. One independent measurement, of a distilled 70 B model on one GPU, found 87 % "
        "more energy for the same questions than Llama 3.3 70 B took, not less, because it answers at greater length "
        "(Chamberlin, 29 January 2025).",
        "not shown",
        ("00", "13"),
    ),
    15: Headline(
        "Its image model beats DALL-E 3.",
        "Its makers report 0.80 against 0.67 on GenEval, and a lead on DPG-Bench, with pictures of 384 pixels "
        "(Janus-Pro, figures 1 and 2). Both ask whether a picture shows what was ordered, not how good it looks.",
        "self-reported, and not of image quality",
        (),
    ),
}


def verdict(number, words=""):
    """Ask for your verdict on a headline; with ``words``, keep it, and show what the primary sources support.

    In the book, where nobody can answer, the sources are shown at once.

    Raises:
        ValueError: there is no headline of that number.
    """
    if number not in HEADLINES:
        raise ValueError(f"number must be one of {', '.join(map(str, HEADLINES))}, got {number!r}.")
    headline, words = HEADLINES[number], words.strip()
    if words:
        write_atomically(_file(), (json.dumps(verdicts() | {str(number): words}, indent=2) + "\n").encode())
    words = words or verdicts().get(str(number), "")
    if not words and not in_book():
        how = f'Write a sentence: `verdict({number}, "...")`. It is kept, and you see what the primary sources support.'
        return Card(f"Headline {number}: what do you say?", "note", (Says(headline.text), Footer(how)))
    parts = (Says(headline.text), Prose("What the primary sources support", headline.sources))
    if words:
        kept = "Kept for the table of the last lesson. Other words in the cell take its place."
        parts = (Says(headline.text), Prose("Your verdict", words), *parts[1:], Footer(kept))
    return Card(f"Headline {number}: {headline.short}", "note", parts)


def verdicts():
    """The kept words, by the headline's number as a string."""
    return json.loads(_file().read_text(encoding="utf-8")) if _file().exists() else {}


def _file():
    return home() / "verdicts.json"
