"""Wrong answers to `speculate` that write the right text: what they read again, draft from, and leave changed."""

from exercises.answers import Answers

from mini_moe.course.exercises.speculative_decoding.speculate import EXERCISE

ANSWERS = Answers(EXERCISE)
wrong = ANSWERS.wrong


def learner_drafts(ask=lambda draft, text, prompt: draft(text), read=lambda extend, text, guess: None):
    """A learner's loop, with what is asked of ``draft``, and how it is checked: the model's two tokens."""

    def speculate(extend, draft, prompt, max_new_tokens):
        text = list(prompt)
        text.append(int(extend(text, 0)[-1].argmax()))
        while len(text) < len(prompt) + max_new_tokens:
            guess = ask(draft, text, prompt)
            says = read(extend, text, guess) or extend([text[-1], guess], len(text) - 1).argmax(dim=-1).tolist()
            text += says if says[0] == guess else says[:1]
        return text[len(prompt) : len(prompt) + max_new_tokens]

    return speculate


def last_two(logits):
    return logits[-2:].argmax(dim=-1).tolist()


wrong("draft without the last token")(learner_drafts(lambda draft, text, prompt: draft(text[:-1])))
wrong("draft without the prompt")(learner_drafts(lambda draft, text, prompt: draft(text[len(prompt) :])))
wrong("draft from a part of the text")(learner_drafts(lambda draft, text, prompt: draft(text[-1:])))
wrong("draft from another text", "the prompt")(learner_drafts(lambda draft, text, prompt: draft(prompt)))
wrong("draft from another text", "turned round")(learner_drafts(lambda draft, text, prompt: draft(text[::-1])))
wrong("draft not given a text")(learner_drafts(lambda draft, text, prompt: draft(text[-1])))
wrong("reads the whole text again")(
    learner_drafts(read=lambda extend, text, guess: last_two(extend([*text, guess], 0)))
)
wrong("reads again what the cache holds")(
    learner_drafts(read=lambda extend, text, guess: last_two(extend([*text[-2:], guess], len(text) - 2)))
)
wrong("something else than a new draft read", "another token")(
    learner_drafts(read=lambda extend, text, guess: last_two(extend([text[-1], text[-1]], len(text) - 1))[:1])
)


@wrong("never drafts")
def _(extend, draft, prompt, max_new_tokens):
    text = list(prompt)
    text.append(int(extend(text, 0)[-1].argmax()))
    while len(text) < len(prompt) + max_new_tokens:
        text.append(int(extend(text[-1:], len(text) - 1)[0].argmax()))
    return text[len(prompt) :]


@wrong("reads the whole text again", "and never drafts")
def _(extend, draft, prompt, max_new_tokens):
    text = list(prompt)
    for _ in range(max_new_tokens):
        text.append(int(extend(text, 0)[-1].argmax()))
    return text[len(prompt) :]


@wrong("no pass saved", "one token to a pass")
def _(extend, draft, prompt, max_new_tokens):
    text = list(prompt)
    text.append(int(extend(text, 0)[-1].argmax()))
    while len(text) < len(prompt) + max_new_tokens:
        guess, place = draft(text), len(text) - 1
        says = int(extend(text[-1:], place)[0].argmax())
        text.append(says)
        if says == guess:
            text.append(int(extend([guess], place + 1)[0].argmax()))
    return text[len(prompt) : len(prompt) + max_new_tokens]


@wrong("second token not taken")
def _(extend, draft, prompt, max_new_tokens):
    text = list(prompt)
    text.append(int(extend(text, 0)[-1].argmax()))
    while len(text) < len(prompt) + max_new_tokens:
        guess = draft(text)
        text.append(int(extend([text[-1], guess], len(text) - 1)[0].argmax()))
    return text[len(prompt) :]


@wrong("something else than a new draft read", "a draft made before the loop")
def _(extend, draft, prompt, max_new_tokens):
    text = list(prompt)
    text.append(int(extend(text, 0)[-1].argmax()))
    guess = draft(text)
    while len(text) < len(prompt) + max_new_tokens:
        says = extend([text[-1], guess], len(text) - 1).argmax(dim=-1).tolist()
        text += says if says[0] == guess else says[:1]
    return text[len(prompt) : len(prompt) + max_new_tokens]


@wrong("more than one draft to a pass")
def _(extend, draft, prompt, max_new_tokens):
    text = list(prompt)
    text.append(int(extend(text, 0)[-1].argmax()))
    while len(text) < len(prompt) + max_new_tokens:
        guess = draft(text)
        further = draft([*text, guess])
        says = extend([text[-1], guess, further], len(text) - 1).argmax(dim=-1).tolist()
        text.append(says[0])
        if says[0] == guess:
            text.append(says[1])
            if says[1] == further:
                text.append(says[2])
    return text[len(prompt) : len(prompt) + max_new_tokens]


@wrong("first token not taken from the prompt's pass")
def _(extend, draft, prompt, max_new_tokens):
    text = list(prompt)
    extend(text, 0)
    while len(text) < len(prompt) + max_new_tokens:
        guess = draft(text)
        says = extend([text[-1], guess], len(text) - 1).argmax(dim=-1).tolist()
        text += says if says[0] == guess else says[:1]
    return text[len(prompt) : len(prompt) + max_new_tokens]


@wrong("a pass too many")
def _(extend, draft, prompt, max_new_tokens):
    text = list(prompt)
    text.append(int(extend(text, 0)[-1].argmax()))
    while len(text) <= len(prompt) + max_new_tokens:
        guess = draft(text)
        says = extend([text[-1], guess], len(text) - 1).argmax(dim=-1).tolist()
        text += says if says[0] == guess else says[:1]
    return text[len(prompt) : len(prompt) + max_new_tokens]


@wrong("no pass saved", "as many passes as tokens")
def _(extend, draft, prompt, max_new_tokens):
    text = list(prompt)
    text.append(int(extend(text, 0)[-1].argmax()))
    for _ in range(max_new_tokens - 1):
        guess = draft(text)
        says = extend([text[-1], guess], len(text) - 1).argmax(dim=-1).tolist()
        text += says if says[0] == guess else says[:1]
    return text[len(prompt) : len(prompt) + max_new_tokens]


@wrong("changes its input")
def _(extend, draft, prompt, max_new_tokens):
    length, text = len(prompt), prompt
    text += [int(extend(text, 0)[-1].argmax())]
    while len(text) < length + max_new_tokens:
        guess = draft(text)
        says = extend([text[-1], guess], len(text) - 1).argmax(dim=-1).tolist()
        text += says if says[0] == guess else says[:1]
    return text[length : length + max_new_tokens]


@wrong("never ends", "the prompt grows with the text")
def _(extend, draft, prompt, max_new_tokens):
    text = prompt
    text.append(int(extend(text, 0)[-1].argmax()))
    while len(text) < len(prompt) + max_new_tokens:
        guess = draft(text)
        says = extend([text[-1], guess], len(text) - 1).argmax(dim=-1).tolist()
        text += says if says[0] == guess else says[:1]
    return text[len(prompt) : len(prompt) + max_new_tokens]


@wrong("never ends", "nothing taken where the draft is rejected")
def _(extend, draft, prompt, max_new_tokens):
    text = list(prompt)
    text.append(int(extend(text, 0)[-1].argmax()))
    while len(text) < len(prompt) + max_new_tokens:
        guess = draft(text)
        says = extend([text[-1], guess], len(text) - 1).argmax(dim=-1).tolist()
        text += says if says[0] == guess else []
    return text[len(prompt) : len(prompt) + max_new_tokens]


@wrong("counts on a list", "joined by +")
def _(extend, draft, prompt, max_new_tokens):
    new = [int(extend(prompt, 0)[-1].argmax())]
    while len(new) < max_new_tokens:
        guess = draft(prompt + new)
        says = extend([new[-1], guess], len(prompt) + len(new) - 1).argmax(dim=-1).tolist()
        new += says if says[0] == guess else says[:1]
    return new[:max_new_tokens]


@wrong("a hole in the cache", "the draft alone is read")
def _(extend, draft, prompt, max_new_tokens):
    text = list(prompt)
    text.append(int(extend(text, 0)[-1].argmax()))
    while len(text) < len(prompt) + max_new_tokens:
        text.append(int(extend([draft(text)], len(text))[0].argmax()))
    return text[len(prompt) :]


@wrong("token in place of the draft not taken")
def _(extend, draft, prompt, max_new_tokens):
    text = list(prompt)
    text.append(int(extend(text, 0)[-1].argmax()))
    while len(text) < len(prompt) + max_new_tokens:
        guess = draft(text)
        says = extend([text[-1], guess], len(text) - 1).argmax(dim=-1).tolist()
        text += says if says[0] == guess else [int(extend(text[-1:], len(text) - 1)[0].argmax())]
    return text[len(prompt) : len(prompt) + max_new_tokens]


@wrong("second token not taken", "but read once more")
def _(extend, draft, prompt, max_new_tokens):
    text = list(prompt)
    text.append(int(extend(text, 0)[-1].argmax()))
    while len(text) < len(prompt) + max_new_tokens:
        guess = draft(text)
        text.append(int(extend([text[-1], guess], len(text) - 1)[0].argmax()))
        if text[-1] == guess:
            text.append(int(extend([guess], len(text) - 1)[0].argmax()))
    return text[len(prompt) : len(prompt) + max_new_tokens]


@wrong("reads again what the cache holds", "where the draft was rejected")
def _(extend, draft, prompt, max_new_tokens):
    text, back = list(prompt), 1
    text.append(int(extend(text, 0)[-1].argmax()))
    while len(text) < len(prompt) + max_new_tokens:
        guess = draft(text)
        says = last_two(extend([*text[-back:], guess], len(text) - back))
        back = 1 if says[0] == guess else 2
        text += says if says[0] == guess else says[:1]
    return text[len(prompt) : len(prompt) + max_new_tokens]


@wrong("passes without a draft")
def _(extend, draft, prompt, max_new_tokens):
    text, good = list(prompt), True
    text.append(int(extend(text, 0)[-1].argmax()))
    while len(text) < len(prompt) + max_new_tokens:
        read = [text[-1], draft(text)] if good else [text[-1]]
        says = extend(read, len(text) - 1).argmax(dim=-1).tolist()
        good = good and says[0] == read[1]
        text += says if good else says[:1]
    return text[len(prompt) : len(prompt) + max_new_tokens]


@wrong("a pass too many", "the prompt but its last token read alone")
def _(extend, draft, prompt, max_new_tokens):
    text = list(prompt)
    if len(text) > 1:
        extend(text[:-1], 0)
    while len(text) < len(prompt) + max_new_tokens:
        guess = draft(text)
        says = last_two(extend([text[-1], guess], len(text) - 1))
        text += says if says[0] == guess else says[:1]
    return text[len(prompt) : len(prompt) + max_new_tokens]


@wrong("a pass too many", "also where one token is asked for")
def _(extend, draft, prompt, max_new_tokens):
    text = list(prompt)
    text.append(int(extend(text, 0)[-1].argmax()))
    while True:
        guess = draft(text)
        says = last_two(extend([text[-1], guess], len(text) - 1))
        text += says if says[0] == guess else says[:1]
        if len(text) >= len(prompt) + max_new_tokens:
            return text[len(prompt) : len(prompt) + max_new_tokens]
