"""Wrong answers to `speculate`: what is written, where it stands, and what is returned."""

import torch
from exercises.answers import Answers

from mini_moe.course.exercises.speculative_decoding.speculate import EXERCISE
from mini_moe.speculative import verify_greedy

ANSWERS = Answers(EXERCISE)
wrong = ANSWERS.wrong


def learner_writes(
    grow=lambda accepted, guess, following: [guess, following] if accepted else [following],
    place=lambda text, prompt: len(text) - 1,
    result=lambda text, prompt, count: text[len(prompt) :][:count],
    verify=verify_greedy,
    count_of=lambda count: count,
    read=lambda text, guess: [text[-1], guess],
):
    """A learner's loop with `verify_greedy`, with one part of it written otherwise."""

    def speculate(extend, draft, prompt, max_new_tokens):
        text = list(prompt)
        text.append(extend(text, 0)[-1].argmax().item())
        while len(text) < len(prompt) + count_of(max_new_tokens):
            guess = draft(text)
            logits_2V = extend(read(text, guess), place(text, prompt))
            accepted_B, next_B = verify(logits_2V[None], torch.tensor([guess]))
            text += grow(accepted_B.item(), guess, next_B.item())
        return result(text, prompt, max_new_tokens)

    return speculate


wrong("start one too small")(learner_writes(place=lambda text, prompt: len(text) - 2))
wrong("start stays where it was", "at the text's beginning")(learner_writes(place=lambda text, prompt: 0))
wrong("start stays where it was", "at the prompt's end")(learner_writes(place=lambda text, prompt: len(prompt)))
wrong("start counted without the prompt")(learner_writes(place=lambda text, prompt: len(text) - len(prompt) - 1))
wrong("a hole in the cache", "start one too large")(learner_writes(place=lambda text, prompt: len(text)))
wrong("start below 0")(learner_writes(place=lambda text, prompt: -1))
wrong("rejected draft kept")(learner_writes(lambda accepted, guess, following: [guess, following]))
wrong("rejected draft kept", "alone")(
    learner_writes(lambda accepted, guess, following: [guess, following] if accepted else [guess])
)
wrong("accepted draft left out")(learner_writes(lambda accepted, guess, following: [following]))
wrong("accepted draft left out", "and put behind")(
    learner_writes(lambda accepted, guess, following: [following, guess] if accepted else [following])
)
wrong("accepted and rejected exchanged")(
    learner_writes(lambda accepted, guess, following: [following] if accepted else [guess, following])
)
wrong("too many tokens", "not cut")(learner_writes(result=lambda text, prompt, count: text[len(prompt) :]))
wrong("too many tokens", "one more asked for")(
    learner_writes(
        result=lambda text, prompt, count: text[len(prompt) : len(prompt) + count + 1], count_of=lambda n: n + 1
    )
)
wrong("accepted and rejected exchanged", "compared by `!=`")(
    learner_writes(
        lambda different, guess, following: [guess, following] if different else [following],
        verify=lambda logits, guess: (
            (logits[:, 0].argmax(-1) != guess),
            logits.argmax(-1)[:, int(logits[0, 0].argmax() != guess)],
        ),
    )
)
wrong("a token too few", "stopped early")(learner_writes(count_of=lambda count: count - 1))
wrong("a token too few", "cut at the last place")(
    learner_writes(result=lambda text, prompt, count: text[len(prompt) : len(prompt) + count - 1])
)
wrong("prompt returned, too")(learner_writes(result=lambda text, prompt, count: text[: len(prompt) + count]))
wrong("prompt returned, too", "not cut")(learner_writes(result=lambda text, prompt, count: text))
wrong("prompt counted among the new")(learner_writes(result=lambda text, prompt, count: text[:count]))
wrong("draft read before the last token")(learner_writes(read=lambda text, guess: [guess, text[-1]]))
wrong("last token read twice")(learner_writes(read=lambda text, guess: [text[-1]] * 2))
wrong("first token missing")(learner_writes(result=lambda text, prompt, count: text[len(prompt) + 1 :][:count]))
wrong("cut at the wrong end")(learner_writes(result=lambda text, prompt, count: text[-count:]))
wrong("returns None")(learner_writes(result=lambda text, prompt, count: None))
wrong("wrong type", "a tensor")(
    learner_writes(result=lambda text, prompt, count: torch.tensor(text[len(prompt) :][:count]))
)
wrong("the least likely taken")(
    lambda extend, *rest: learner_writes()(lambda tokens, start: -extend(tokens, start), *rest)
)
wrong("another result the second time")(
    lambda extend, *rest: learner_writes()(
        lambda tokens, start: torch.eye(extend.V)[extend(tokens, start).softmax(-1).multinomial(1)[:, 0]], *rest
    )
)


@wrong("cache not rolled back")
def _(extend, draft, prompt, max_new_tokens):
    text, start = list(prompt), len(prompt)
    text.append(int(extend(text, 0)[-1].argmax()))
    while len(text) < len(prompt) + max_new_tokens:
        guess = draft(text)
        logits = extend([text[-1], guess], start)
        start += 2
        if guess == int(logits[0].argmax()):
            text += [guess, int(logits[1].argmax())]
        else:
            text.append(int(logits[0].argmax()))
    return text[len(prompt) : len(prompt) + max_new_tokens]


@wrong("start always one further")
def _(extend, draft, prompt, max_new_tokens):
    text, start = list(prompt), len(prompt)
    text.append(int(extend(text, 0)[-1].argmax()))
    while len(text) < len(prompt) + max_new_tokens:
        guess = draft(text)
        says = extend([text[-1], guess], start).argmax(dim=-1).tolist()
        start += 1
        text += says if guess == says[0] else says[:1]
    return text[len(prompt) : len(prompt) + max_new_tokens]


@wrong("token after a rejected draft kept")
def _(extend, draft, prompt, max_new_tokens):
    text = list(prompt)
    text.append(int(extend(text, 0)[-1].argmax()))
    while len(text) < len(prompt) + max_new_tokens:
        text += extend([text[-1], draft(text)], len(text) - 1).argmax(dim=-1).tolist()
    return text[len(prompt) : len(prompt) + max_new_tokens]


@wrong("token after a rejected draft kept", "in the place of the draft")
def _(extend, draft, prompt, max_new_tokens):
    text = list(prompt)
    text.append(int(extend(text, 0)[-1].argmax()))
    while len(text) < len(prompt) + max_new_tokens:
        guess = draft(text)
        first, second = extend([text[-1], guess], len(text) - 1).argmax(dim=-1).tolist()
        text += [guess, second] if first == guess else [second]
    return text[len(prompt) : len(prompt) + max_new_tokens]


@wrong("draft compared with the second row")
def _(extend, draft, prompt, max_new_tokens):
    flipped = learner_writes(verify=lambda logits, guess: verify_greedy(logits.flip(1), guess))
    return flipped(extend, draft, prompt, max_new_tokens)


@wrong("all of equals accepted")
def _(extend, draft, prompt, max_new_tokens):
    new = [int(extend(prompt, 0)[-1].argmax())]
    while len(new) < max_new_tokens:
        guess = draft([*prompt, *new])
        first, second = extend([new[-1], guess], len(prompt) + len(new) - 1)
        new += [guess, int(second.argmax())] if first[guess] >= first.max() else [int(first.argmax())]
    return new[:max_new_tokens]


@wrong("among the best accepted")
def _(extend, draft, prompt, max_new_tokens):
    new = [int(extend(prompt, 0)[-1].argmax())]
    while len(new) < max_new_tokens:
        guess = draft([*prompt, *new])
        first, second = extend([new[-1], guess], len(prompt) + len(new) - 1)
        good = guess in first.argsort(descending=True)[:3].tolist()
        new += [guess, int(second.argmax())] if good else [int(first.argmax())]
    return new[:max_new_tokens]


@wrong("last of equals")
def _(extend, draft, prompt, max_new_tokens):
    def last_of_equals(logits):
        return (logits == logits.amax()).nonzero()[-1].item()

    new = [last_of_equals(extend(prompt, 0)[-1])]
    while len(new) < max_new_tokens:
        guess = draft([*prompt, *new])
        first, second = extend([new[-1], guess], len(prompt) + len(new) - 1)
        new.append(last_of_equals(first))
        if new[-1] == guess:
            new.append(last_of_equals(second))
    return new[:max_new_tokens]


@wrong("first token from the prompt's start")
def _(extend, draft, prompt, max_new_tokens):
    new = [int(extend(prompt, 0)[0].argmax())]
    while len(new) < max_new_tokens:
        guess = draft([*prompt, *new])
        says = extend([new[-1], guess], len(prompt) + len(new) - 1).argmax(dim=-1).tolist()
        new += says[: 1 + (says[0] == guess)]
    return new[:max_new_tokens]


@wrong("first token missing", "not counted")
def _(extend, draft, prompt, max_new_tokens):
    text, new = list(prompt), []
    text.append(int(extend(text, 0)[-1].argmax()))
    while len(new) < max_new_tokens:
        guess = draft(text)
        says = extend([text[-1], guess], len(text) - 1).argmax(dim=-1).tolist()
        says = says[: 1 + (says[0] == guess)]
        new += says
        text += says
    return new[:max_new_tokens]


@wrong("prompt counted among the new", "in the loop")
def _(extend, draft, prompt, max_new_tokens):
    text = list(prompt)
    text.append(int(extend(text, 0)[-1].argmax()))
    while len(text) < max_new_tokens:
        guess = draft(text)
        says = extend([text[-1], guess], len(text) - 1).argmax(dim=-1).tolist()
        text += says if says[0] == guess else says[:1]
    return text[len(prompt) :][:max_new_tokens]


@wrong("wrong type", "tokens that are tensors")
def _(extend, draft, prompt, max_new_tokens):
    text = list(prompt)
    text.append(extend(text, 0)[-1].argmax())
    while len(text) < len(prompt) + max_new_tokens:
        guess = draft(text)
        accepted_B, next_B = verify_greedy(extend([text[-1], guess], len(text) - 1)[None], torch.tensor([guess]))
        text += [guess, next_B[0]] if accepted_B else [next_B[0]]
    return text[len(prompt) :][:max_new_tokens]


@wrong("raises IndexError", "verify_greedy without a batch")
def _(extend, draft, prompt, max_new_tokens):
    text = list(prompt)
    text.append(int(extend(text, 0)[-1].argmax()))
    while len(text) < len(prompt) + max_new_tokens:
        guess = draft(text)
        accepted, following = verify_greedy(extend([text[-1], guess], len(text) - 1), guess)
        text += [guess, int(following)] if accepted else [int(following)]
    return text[len(prompt) :][:max_new_tokens]
