"""Lesson 07, `speculate`: one text, written with one drafted token to a pass."""

import itertools

import torch

from mini_moe.course.checking.exercise import Exercise, Property, Wrong, agrees_with
from mini_moe.course.exercises.speculative_decoding.speculate_mistakes import MISTAKES
from mini_moe.course.exercises.speculative_decoding.speculate_toy import KINDS, Draft, Model, watched
from mini_moe.speculative import speculate

RIGHT, WRONG, SOME = KINDS
MORE = 6  # tokens, in texts that are too short to show what was meant


def _cases_of_speculate(generator):
    for V, length, max_new_tokens, kind, steps in (
        *((2, 1, 1, RIGHT, 10**6), (3, 3, 2, RIGHT, 10**6), (4, 1, 3, WRONG, 10**6), (4, 2, 4, RIGHT, 10**6)),
        *((5, 3, 6, SOME, 10**6), (3, 4, 7, WRONG, 10**6), (7, 5, 10, SOME, 10**6), (6, 2, 13, RIGHT, 10**6)),
        *((12, 7, 15, SOME, 10**6), (8, 3, 14, SOME, 2), (6, 4, 12, WRONG, 2), (1, 2, 5, RIGHT, 10**6)),
    ):
        model = Model(int(torch.randint(10**9, (), generator=generator)), V, steps)
        prompt = torch.randint(V, (length,), generator=generator).tolist()
        yield model, Draft(model, kind), prompt, max_new_tokens


def _drafts_change_nothing(function, extend, draft, prompt, max_new_tokens):
    due = extend.written(prompt, max_new_tokens)[len(prompt) :]
    for kind in sorted(KINDS, key=lambda kind: kind != draft.kind):
        model, drafts, _ = watched(extend, kind)
        if list(function(model, drafts, list(prompt), max_new_tokens)) != due:
            raise Wrong(
                f"With drafts that are {kind} it writes another text than the model alone, taking its likeliest token "
                "each time: drafts may change how soon the text comes, never what it says."
            )


def _prompt_left_alone(function, extend, draft, prompt, max_new_tokens):
    given = list(prompt)
    function(extend, draft, given, max_new_tokens)
    if given != list(prompt):
        raise Wrong(
            "The list `prompt` is no longer what it was, and the caller still needs it: make a list of your own, "
            "`list(prompt)`.",
            mistake="changes its input",
        )


def _known(text, known, start, tokens):
    """How many tokens of ``text`` are known after a pass, and how many that pass has read in vain."""
    fit = 0
    while fit < len(tokens) and text[start + fit : start + fit + 1] == [tokens[fit]]:
        fit += 1
    return (max(known, start + fit + 1) if fit else known), len(tokens) - fit


def _reads_what_is_new(function, extend, draft, prompt, max_new_tokens):
    for kind in (RIGHT, WRONG, SOME):
        model, drafts, log = watched(extend, kind)
        text = extend.written(prompt, max_new_tokens + 2 * len(prompt) + 10)
        function(model, drafts, list(prompt), max_new_tokens)
        known, held, reads, guess, rejected = len(prompt), 0, 0, None, False
        for what, *seen in log:
            if what == "draft":
                guess = seen[1]
                continue
            start, tokens = seen
            if start < held:
                raise _read_again(start, tokens, held, known, reads, guess, rejected)
            if reads and len(tokens) > 2:
                raise Wrong(
                    f"A pass reads {len(tokens)} tokens. Here it is two: the last one of the text, and one draft.",
                    mistake="more than one draft to a pass",
                )
            if reads and len(tokens) == 2 and tokens[1] != guess:
                raise Wrong(
                    f"A pass reads {list(tokens)}, where the second should be the draft"
                    + (", which was not asked for since the last pass." if guess is None else f", {guess}."),
                    mistake="something else than a new draft read",
                )
            known, in_vain = _known(text, known, start, tokens)
            held, reads, guess, rejected = start + len(tokens) - in_vain, reads + 1, None, in_vain > 0


def _read_again(start, tokens, held, known, reads, guess, rejected):
    """The `Wrong` of a pass that begins before the end of what the cache holds and needs no change."""
    if start == 0 and held > 1:
        return Wrong(
            "A pass reads the text from its beginning, though the cache holds all of it but the last token: begin with "
            "that one, and give its place as `start`.",
            mistake="reads the whole text again",
        )
    again = start == known - 2 and len(tokens) == (1 if guess is None else 2)
    if again and reads == 1:
        return Wrong(
            "The pass over the prompt tells the first new token already, in its last row of logits: take it, or the "
            "prompt's last token is read twice.",
            mistake="first token not taken from the prompt's pass",
        )
    if again and rejected:
        return Wrong(
            "Where the draft is rejected, the same pass tells what belongs in its place, in its first row: take it. "
            "Here the last token is read once more to get it.",
            mistake="token in place of the draft not taken",
        )
    if again:
        return Wrong(
            "Where the draft is accepted, the pass tells one more token, in its second row: take it, too. Here the "
            "draft is read once more to get it, and no pass is saved.",
            mistake="second token not taken",
        )
    return Wrong(
        f"A pass reads from place {start} on, though the cache holds {held} tokens that are right: begin with the last "
        "token of the text, the only one that was not read yet.",
        mistake="reads again what the cache holds",
    )


def _drafts_from_the_text(function, extend, draft, prompt, max_new_tokens):
    if extend.V < 4 or len(prompt) < 2:
        return  # one part of so plain a text may be the same as another
    count = max_new_tokens + MORE
    model, drafts, log = watched(extend, RIGHT)
    text = extend.written(prompt, count + 10)
    function(model, drafts, list(prompt), count)
    known, pairs = len(prompt), []
    for what, *seen in log:
        if what == "read":
            known, _ = _known(text, known, *seen)
        elif known < len(prompt) + count:
            pairs.append((list(seen[0]), text[:known]))
    if any(given != due for given, due in pairs):
        raise _drafted_from(pairs, len(prompt))


def _drafted_from(pairs, length):
    """The `Wrong` of drafts made from the first of each of the pairs, in place of the second, a text that begins with a
    prompt of this length."""
    if all(given == due[:-1] for given, due in pairs):
        return Wrong(
            "`draft` is given the text without its last token, and so guesses that one, which is known. Give it the "
            "text with all that is known so far.",
            mistake="draft without the last token",
        )
    if all(given == due[length:] for given, due in pairs):
        return Wrong(
            "`draft` is given the new tokens alone: the prompt is part of the text that it is to continue.",
            mistake="draft without the prompt",
        )
    given, due = next(pair for pair in pairs if pair[0] != pair[1])
    if all(given == due[len(due) - len(given) :] for given, due in pairs):
        return Wrong(
            f"`draft` is given the last {len(given)} of {len(due)} tokens: it is to continue the whole text.",
            mistake="draft from a part of the text",
        )
    return Wrong(
        f"`draft` is given {given}, where the text so far is {due}: then its guess is for another place.",
        mistake="draft from another text",
    )


def _saves_passes(function, extend, draft, prompt, max_new_tokens):
    for count, kind in itertools.product((max_new_tokens + MORE, max_new_tokens), KINDS):
        passes, logs = [], []
        for decode in (function, speculate):
            model, drafts, log = watched(extend, kind)
            decode(model, drafts, list(prompt), count)
            passes.append(model.passes)
            logs.append(log)
        mine, enough = passes
        if mine <= enough:
            continue
        tokens = "1 token" if count == 1 else f"{count} tokens"
        so = f"With drafts that are {kind} it takes {mine} passes for {tokens}, where {enough} suffice"
        if count > 1 and not any(what == "draft" for what, *_ in logs[0]):
            raise Wrong(f"{so}: it never asks `draft`, and so gets one token of a pass.", mistake="never drafts")
        if mine >= count > enough:
            raise Wrong(
                f"{so}. Read last token and draft in *one* pass: it tells whether the draft is right, and what follows "
                "it.",
                mistake="no pass saved",
            )
        if any(what == "read" and len(seen[1]) == 1 for what, *seen in logs[0][1:]):
            raise Wrong(
                f"{so}: a pass reads one token alone, where a draft might have brought a second. Each one is asked for "
                "anew, whatever became of those before.",
                mistake="passes without a draft",
            )
        raise Wrong(
            f"{so}: stop as soon as there are enough tokens, and let each pass tell at least one.",
            mistake="a pass too many",
        )


def _takes_any_sequence(function, extend, draft, prompt, max_new_tokens):
    due = extend.written(prompt, max_new_tokens)[len(prompt) :]
    try:
        right = list(function(extend, draft, tuple(prompt), max_new_tokens)) == due
    except (AttributeError, TypeError):
        right = False
    if not right:
        raise Wrong(
            "It is right where the prompt is a list, and not where it is a tuple of the same tokens: begin with a list "
            "of your own, `list(prompt)`.",
            mistake="counts on a list",
        )


EXERCISE = Exercise(
    reference=speculate,
    cases=_cases_of_speculate,
    properties=(
        Property("drafts, good or bad, change nothing in the text", _drafts_change_nothing),
        Property("the prompt is left as it was", _prompt_left_alone),
        Property("each pass reads only what is new", _reads_what_is_new),
        Property("a draft is made from the whole text so far", _drafts_from_the_text),
        Property("right drafts save passes", _saves_passes),
        Property("a prompt may be a tuple", _takes_any_sequence),
        Property("agrees with the library", agrees_with(speculate)),
    ),
    mistakes=MISTAKES,
    hints=(
        "The pass over the prompt gives the first token. From then on the last token of the text is always one that "
        "the model has not read. Each pass reads it, and a guess after it. Where does that last token stand, if the "
        "text has n tokens?",
        "`verify_greedy` takes a batch: `logits_2V[None]` is a batch of one. If the draft is accepted, the text grows "
        "by the draft and the next token, else by the next token alone. `start` follows from the text's length: so a "
        "rejected draft is overwritten by itself. The last pass may give one token more than was asked for.",
        "Before the loop: a list of the prompt's tokens, and one pass over it, of whose logits (length, V) the last "
        "row gives a token. While there are too few: a guess from the whole list; logits (2, V) of two tokens, read "
        "from the place of the last one, the list's length - 1; two results of `verify_greedy`, each (1,); one or two "
        "tokens more. At the end: what comes after the prompt, cut to the number asked for.",
    ),
    difficulty=3,
    minutes=25,
)
