"""Wrong answers to `speedup`, as learners write them."""

from exercises.answers import Answers

from mini_moe.course.exercises.speculative_decoding.speedup import EXERCISE

ANSWERS = Answers(EXERCISE)
wrong = ANSWERS.wrong


def _checked(acceptance, overhead):
    if not 0 <= acceptance <= 1:
        raise ValueError(f"acceptance must be from 0 to 1, got {acceptance}.")
    if not overhead >= 0:
        raise ValueError(f"overhead must be at least 0, got {overhead}.")


@wrong("brackets missing above")
def _(acceptance, overhead):
    _checked(acceptance, overhead)
    return 1 + acceptance / (1 + overhead)


@wrong("brackets missing below")
def _(acceptance, overhead):
    _checked(acceptance, overhead)
    return (1 + acceptance) / 1 + overhead


@wrong("brackets missing below", "nor any above")
def _(acceptance, overhead):
    return 1 + acceptance / 1 + overhead


@wrong("only the draft's token counted")
def _(acceptance, overhead):
    cost = 1 + overhead
    return acceptance / cost


@wrong("only the overhead counted")
def _(acceptance, overhead):
    return (1 + acceptance) / overhead


@wrong("only the overhead counted", "infinite where drafts are free")
def _(acceptance, overhead):
    _checked(acceptance, overhead)
    return (1 + acceptance) / overhead if overhead else float("inf")


@wrong("the step left out")
def _(acceptance, overhead):
    return acceptance / overhead


@wrong("brackets missing on both sides")
def _(acceptance, overhead):
    return 1 + acceptance / overhead + 1


@wrong("brackets missing on both sides", "and a 1")
def _(acceptance, overhead):
    return 1 + acceptance / overhead


@wrong("gain and cost subtracted")
def _(acceptance, overhead):
    _checked(acceptance, overhead)
    return 1 + acceptance - overhead


@wrong("gain and cost subtracted", "both sides whole")
def _(acceptance, overhead):
    return (1 + acceptance) - (1 + overhead)


@wrong("multiplied by the time")
def _(acceptance, overhead):
    tokens, time = 1 + acceptance, 1 + overhead
    return tokens * time


@wrong("upside down")
def _(acceptance, overhead):
    _checked(acceptance, overhead)
    return (1 + overhead) / (1 + acceptance)


@wrong("overhead left out")
def _(acceptance, overhead):
    _checked(acceptance, overhead)
    return 1 + acceptance


@wrong("acceptance left out", "two tokens always")
def _(acceptance, overhead):
    _checked(acceptance, overhead)
    return 2 / (1 + overhead)


@wrong("no token where the draft is rejected")
def _(acceptance, overhead):
    return (acceptance * 2 + (1 - acceptance) * 0) / (1 + overhead)


@wrong("two tokens for each accepted draft")
def _(acceptance, overhead):
    return ((1 - acceptance) * 1 + acceptance * 3) / (1 + overhead)


@wrong("share of the rejected")
def _(acceptance, overhead):
    rejected = 1 - acceptance
    return (1 + rejected) / (1 + overhead)


@wrong("two passes")
def _(acceptance, overhead):
    model, checking = 1, 1 + overhead
    return (1 + acceptance) / (model + checking)


@wrong("overhead twice", "drafting and checking")
def _(acceptance, overhead):
    drafting = checking = overhead
    return (1 + acceptance) / (1 + drafting + checking)


@wrong("overhead halved")
def _(acceptance, overhead):
    return (2 + 2 * acceptance) / (2 + overhead)


@wrong("overhead in some passes only", "the rejected")
def _(acceptance, overhead):
    time = acceptance * 1 + (1 - acceptance) * (1 + overhead)
    return (1 + acceptance) / time


@wrong("overhead in some passes only", "the accepted")
def _(acceptance, overhead):
    return (1 + acceptance) / (1 + acceptance * overhead)


@wrong("overhead as a saving")
def _(acceptance, overhead):
    _checked(acceptance, overhead)
    return (1 + acceptance) / (1 - overhead)


@wrong("only some tokens divided", "an accepted pass as if it were free")
def _(acceptance, overhead):
    return acceptance * 2 + (1 - acceptance) / (1 + overhead)


@wrong("only some tokens divided", "the model's own")
def _(acceptance, overhead):
    _checked(acceptance, overhead)
    return 1 / (1 + overhead) + acceptance


@wrong("multiplied by 1 - overhead")
def _(acceptance, overhead):
    tokens = 1 + acceptance
    return tokens - overhead * tokens


@wrong("times averaged")
def _(acceptance, overhead):
    per_token = (1 - acceptance) * (1 + overhead) + acceptance * (1 + overhead) / 2
    return 1 / per_token


@wrong("draft upon draft", "without an end")
def _(acceptance, overhead):
    return 1 / ((1 - acceptance) * (1 + overhead))


@wrong("draft upon draft", "theorem 3.8 with two drafts")
def _(alpha, c, gamma=2):
    tokens = gamma + 1 if alpha == 1 else (1 - alpha ** (gamma + 1)) / (1 - alpha)
    return tokens / (gamma * c + 1)


@wrong("raises ZeroDivisionError", "theorem 3.8 as it is printed")
def _(alpha, c):
    return (1 - alpha**2) / ((1 - alpha) * (c + 1))


@wrong("gain in place of the ratio")
def _(acceptance, overhead):
    _checked(acceptance, overhead)
    return (acceptance - overhead) / (1 + overhead)


@wrong("in per cent")
def _(acceptance, overhead):
    return (1 + acceptance) / (1 + overhead) * 100


@wrong("time saved")
def _(acceptance, overhead):
    with_drafts = (1 + overhead) / (1 + acceptance)
    return (1 - with_drafts) / 1


@wrong("whether it pays")
def _(acceptance, overhead):
    _checked(acceptance, overhead)
    return acceptance > overhead


@wrong("at least 1")
def _(acceptance, overhead):
    return max((1 + acceptance) / (1 + overhead), 1)


@wrong("0 where it does not pay")
def _(acceptance, overhead):
    times = (1 + acceptance) / (1 + overhead)
    return times if times > 1 else 0


@wrong("at most 1")
def _(acceptance, overhead):
    _checked(acceptance, overhead)
    return min((1 + acceptance) / (1 + overhead), 1.0)


@wrong("rounded", "two digits")
def _(acceptance, overhead):
    _checked(acceptance, overhead)
    return round((1 + acceptance) / (1 + overhead), 2)


@wrong("rounded", "//")
def _(acceptance, overhead):
    return (1 + acceptance) // (1 + overhead)


@wrong("acceptance not refused", "no check at all")
def _(acceptance, overhead):
    return (1 + acceptance) / (1 + overhead)


@wrong("acceptance not refused", "below 0")
def _(acceptance, overhead):
    if acceptance > 1:
        raise ValueError(f"acceptance must be at most 1, got {acceptance}.")
    return (1 + acceptance) / (1 + overhead)


@wrong("acceptance not refused", "clipped")
def _(acceptance, overhead):
    return (1 + min(max(acceptance, 0), 1)) / (1 + max(overhead, 0))


@wrong("acceptance not refused", "per cent made shares")
def _(acceptance, overhead):
    acceptance = acceptance / 100 if acceptance > 1 else acceptance
    if not 0 <= acceptance <= 1 or not overhead >= 0:
        raise ValueError(f"got {acceptance} and {overhead}.")
    return (1 + acceptance) / (1 + overhead)


@wrong("overhead not refused")
def _(acceptance, overhead):
    if not 0 <= acceptance <= 1:
        raise ValueError(f"acceptance must be from 0 to 1, got {acceptance}.")
    return (1 + acceptance) / (1 + overhead)


@wrong("NaN not refused", "of the acceptance")
def _(acceptance, overhead):
    if acceptance < 0 or acceptance > 1:
        raise ValueError(f"acceptance must be from 0 to 1, got {acceptance}.")
    if not overhead >= 0:
        raise ValueError(f"overhead must be at least 0, got {overhead}.")
    return (1 + acceptance) / (1 + overhead)


@wrong("NaN not refused", "of the overhead")
def _(acceptance, overhead):
    if not 0 <= acceptance <= 1:
        raise ValueError(f"acceptance must be from 0 to 1, got {acceptance}.")
    if overhead < 0:
        raise ValueError(f"overhead must be at least 0, got {overhead}.")
    return (1 + acceptance) / (1 + overhead)
