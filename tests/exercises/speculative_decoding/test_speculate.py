"""Answers to `speculate`: wrong ones as learners write them, right ones each in another way."""

import torch
from exercises.answers import Claims
from exercises.speculative_decoding import speculate_passes_wrong, speculate_wrong

from mini_moe.speculative import verify_greedy

ANSWERS = speculate_wrong.ANSWERS + speculate_passes_wrong.ANSWERS
right = ANSWERS.right


class TestSpeculate(Claims):
    answers = ANSWERS


@right("with verify_greedy, the new tokens apart")
def _(extend, draft, prompt, max_new_tokens):
    prompt = list(prompt)
    new = [extend(prompt, 0)[-1].argmax().item()]
    while len(new) < max_new_tokens:
        guess = draft(prompt + new)
        logits = extend([new[-1], guess], len(prompt) + len(new) - 1)
        accepted, following = verify_greedy(logits.unsqueeze(0), torch.tensor([guess]))
        if accepted.item():
            new.append(guess)
        new.append(following.item())
    return new[:max_new_tokens]


@right("without a draft where one token is missing")
def _(extend, draft, prompt, max_new_tokens):
    text, end = list(prompt), len(prompt) + max_new_tokens
    text.append(int(extend(prompt, 0)[-1].argmax()))
    while len(text) < end:
        read = [text[-1]] if len(text) == end - 1 else [text[-1], draft(text)]
        says = extend(read, len(text) - 1).argmax(dim=-1).tolist()
        text.append(says[0])
        if len(read) == 2 and says[0] == read[1]:
            text.append(says[1])
    return text[len(prompt) :]


@right("the cache's length counted, a tuple returned")
def _(extend, draft, prompt, max_new_tokens):
    last = int(torch.argmax(extend(list(prompt), 0)[len(prompt) - 1]))
    held, new = len(prompt), [last]
    while True:
        if len(new) >= max_new_tokens:
            return tuple(new[:max_new_tokens])
        guess = draft(tuple(prompt) + tuple(new))
        first, second = extend((last, guess), held).max(dim=-1).indices.tolist()
        held += 1
        new.append(first)
        if first == guess:
            held += 1
            new.append(second)
        last = new[-1]


@right("a draft after the prompt already")
def _(extend, draft, prompt, max_new_tokens):
    text, held = list(prompt), 0
    while len(text) < len(prompt) + max_new_tokens:
        guess = draft(text)
        says = extend([*text[held:], guess], held)[-2:].argmax(dim=-1).tolist()
        held = len(text)
        if says[0] == guess:
            held += 1
            text.append(guess)
            text.append(says[1])
        else:
            text.append(says[0])
    return text[len(prompt) : len(prompt) + max_new_tokens]


@right("by recursion, with a draft more than needed")
def _(extend, draft, prompt, max_new_tokens):
    def go_on(text, guess, left):
        if left <= 0:
            return text
        logits = extend([text[-1], guess], len(text) - 1)
        grown = [int(logits[0].argmax())]
        if grown[0] == guess:
            grown.append(int(logits[1].argmax()))
        text = [*text, *grown[:left]]
        return go_on(text, draft(text), left - len(grown))

    text = [*prompt, int(extend(prompt, 0)[-1].argmax())]
    return go_on(text, draft(text), max_new_tokens - 1)[len(prompt) :]
