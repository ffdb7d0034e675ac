"""Lesson 07, `speculate`: the mistakes that people make."""

from mini_moe.course.checking.exercise import Mistake


def _place(text, prompt, passes):
    return len(text) - 1


def _grown(accepted, guess, says):
    return [guess, says[1]] if accepted else [says[0]]


def _equal(guess, logits, says):
    return guess == says[0]


def _new(text, prompt, count):
    return text[len(prompt) :][:count]


def _last_row(logits, prompt):
    return logits[-1].argmax()


def decoding(
    start=_place,
    grow=_grown,
    accept=_equal,
    result=_new,
    first=_last_row,
    read=lambda last, guess: [last, guess],
    end=lambda prompt, count: len(prompt) + count,
    choose=lambda row: row.argmax(),
):
    """Speculative decoding with one thing changed, for the mistakes.

    Args:
        start: ``start(text, prompt, passes)``, of a pass, from how many tokens there were before it.
        grow: ``grow(accepted, guess, says)``, the tokens that are added; ``says`` are the model's own two.
        accept: ``accept(guess, logits_2V, says)``.
        result: ``result(text, prompt, count)``.
        first: ``first(logits of the prompt, prompt)``, the first token.
        read: ``read(last token, guess)``, the tokens of a pass.
        end: ``end(prompt, count)``, how long the text is to be.
        choose: ``choose(logits_V)``, a token.
    """

    def function(extend, draft, prompt, count):
        text, passes = list(prompt), 0
        text.append(int(first(extend(text, 0), prompt)))
        while len(text) < end(prompt, count):
            guess = draft(text)
            logits_2V = extend(read(text[-1], guess), start(text, prompt, passes))
            says = [int(choose(row)) for row in logits_2V]
            text += grow(accept(guess, logits_2V, says), guess, says)
            passes += 1
        return result(text, prompt, count)

    return function


def _first_forgotten(extend, draft, prompt, count):
    text, new = list(prompt), []
    text.append(int(extend(text, 0)[-1].argmax()))
    while len(new) < count:
        guess = draft(text)
        says = extend([text[-1], guess], len(text) - 1).argmax(dim=-1).tolist()
        grown = _grown(guess == says[0], guess, says)
        text, new = text + grown, new + grown
    return new[:count]


def _longer(more):
    return lambda prompt, count: len(prompt) + count + more


def _rows_of_one(choose):
    return decoding(first=lambda logits, prompt: choose(logits[-1]), choose=choose)


def _last_of_equals(row):
    return len(row) - 1 - row.flip(0).argmax()


MISTAKES = tuple(
    Mistake(name, says, function)
    for name, says, functions in (
        (
            "cache not rolled back",
            "A rejected draft stays in the cache, and all that follows is written after it. `start` grows by 2 only if "
            "the draft was accepted, else by 1: it is the place of the text's last token.",
            (decoding(start=lambda text, prompt, passes: len(prompt) + 2 * passes),),
        ),
        (
            "start always one further",
            "`start` grows by 1 a pass, also where two tokens were added: what was accepted is thrown away from the "
            "cache. It is the place of the text's last token.",
            (decoding(start=lambda text, prompt, passes: len(prompt) + passes),),
        ),
        (
            "start one too small",
            "`start` is one too small: the last of n tokens stands at n - 1, and what the cache held from `start` on "
            "is forgotten.",
            (decoding(start=lambda text, prompt, passes: len(text) - 2),),
        ),
        (
            "start stays where it was",
            "`start` is the same in each pass, so the cache forgets what was read since: it is the place of the text's "
            "last token, which moves on.",
            (
                decoding(start=lambda text, prompt, passes: 0),
                decoding(start=lambda text, prompt, passes: len(prompt)),
            ),
        ),
        (
            "start counted without the prompt",
            "`start` counts the new tokens alone: it is a place in the whole text, prompt included.",
            (decoding(start=lambda text, prompt, passes: len(text) - 1 - len(prompt)),),
        ),
        (
            "rejected draft kept",
            "A draft that was rejected stays in the text: add it only where it is accepted.",
            (
                decoding(grow=lambda accepted, guess, says: [guess, says[1]]),
                decoding(grow=lambda accepted, guess, says: [guess, says[int(accepted)]]),
                decoding(grow=lambda accepted, guess, says: [guess, says[1]] if accepted else [guess]),
            ),
        ),
        (
            "token after a rejected draft kept",
            "Where the draft is rejected, the second row of logits is of what follows a token that does not stand in "
            "the text: only the first row counts then.",
            (
                decoding(grow=lambda accepted, guess, says: says),
                decoding(grow=lambda accepted, guess, says: [guess, says[1]] if accepted else [says[1]]),
            ),
        ),
        (
            "accepted draft left out",
            "Where the draft is accepted, it is missing in the text: it goes before the token that follows it.",
            (
                decoding(grow=lambda accepted, guess, says: says[1:] if accepted else says[:1]),
                decoding(grow=lambda accepted, guess, says: [says[1], guess] if accepted else says[:1]),
            ),
        ),
        (
            "accepted and rejected exchanged",
            "Two tokens are added where the draft is *rejected*, and one where it is accepted: it is the other way "
            "round.",
            (
                decoding(accept=lambda guess, logits, says: guess != says[0]),
                decoding(grow=lambda accepted, guess, says: [says[1]] if accepted else [guess, says[0]]),
                decoding(grow=lambda accepted, guess, says: [says[0]] if accepted else [guess, says[0]]),
            ),
        ),
        (
            "draft compared with the second row",
            "The draft is compared with the second row of logits, which is of the token *after* it: the first row, "
            "that of the last token, says what belongs in its place.",
            (
                decoding(accept=lambda guess, logits, says: guess == says[1]),
                decoding(
                    accept=lambda guess, logits, says: guess == says[1],
                    grow=lambda accepted, guess, says: [guess, says[0]] if accepted else [says[1]],
                ),
                decoding(
                    accept=lambda guess, logits, says: guess == says[1],
                    grow=lambda accepted, guess, says: [guess, says[0]] if accepted else [says[0]],
                ),
            ),
        ),
        (
            "draft read before the last token",
            "The draft is read before the text's last token: they stand in the order of the text, the draft last.",
            (decoding(read=lambda last, guess: [guess, last]),),
        ),
        (
            "last token read twice",
            "The text's last token is read in the draft's place, too: then the second row tells what follows another "
            "text than the one that is written.",
            (decoding(read=lambda last, guess: [last, last]),),
        ),
        (
            "all of equals accepted",
            "Where the highest logit comes twice, either token is accepted: the model writes only one of them, that "
            "which `argmax` takes. Compare the tokens.",
            (decoding(accept=lambda guess, logits, says: bool(logits[0, guess] == logits[0].max())),),
        ),
        (
            "among the best accepted",
            "A draft is accepted if it is *among* the likeliest tokens: then another text is written. It must be the "
            "one that the model itself would take.",
            tuple(
                decoding(accept=lambda guess, logits, says, k=k: guess in logits[0].argsort(descending=True)[:k])
                for k in (2, 3)
            ),
        ),
        (
            "last of equals",
            "Of equally likely tokens it takes the last: `argmax` takes the first, and so does the model alone.",
            (_rows_of_one(_last_of_equals),),
        ),
        (
            "the least likely taken",
            "It takes the tokens with the *lowest* logits: the likeliest has the highest.",
            (_rows_of_one(lambda row: row.argmin()),),
        ),
        (
            "first token from the prompt's start",
            "The first new token comes from the first row of the prompt's logits, which is of what follows the "
            "prompt's first token: take the last row.",
            (decoding(first=lambda logits, prompt: logits[0].argmax()),),
        ),
        (
            "too many tokens",
            "It returns more tokens than were asked for: an accepted draft may bring one too many, which is cut off.",
            (
                decoding(result=lambda text, prompt, count: text[len(prompt) :]),
                decoding(result=lambda text, prompt, count: text[len(prompt) :][: count + 1], end=_longer(1)),
            ),
        ),
        (
            "a token too few",
            "It returns a token less than was asked for: `max_new_tokens` of them, that after the prompt included.",
            (
                decoding(result=lambda text, prompt, count: text[len(prompt) :][: count - 1]),
                decoding(end=_longer(-1)),
            ),
        ),
        (
            "prompt returned, too",
            "The prompt stands before the new tokens: return these alone.",
            (
                decoding(result=lambda text, prompt, count: text),
                decoding(result=lambda text, prompt, count: text[: len(prompt) + count]),
            ),
        ),
        (
            "prompt counted among the new",
            "The prompt counts as part of what was asked for: `max_new_tokens` is the number of *new* tokens.",
            (
                decoding(result=lambda text, prompt, count: text[:count]),
                decoding(result=lambda text, prompt, count: text[len(prompt) : count]),
                decoding(end=lambda prompt, count: count),
                decoding(end=lambda prompt, count: count, result=lambda text, prompt, count: text[:count]),
                decoding(end=lambda prompt, count: count, result=lambda text, prompt, count: text[len(prompt) :]),
            ),
        ),
        (
            "first token missing",
            "The first new token is missing, that which the pass over the prompt has told.",
            (
                _first_forgotten,
                decoding(result=lambda text, prompt, count: text[len(prompt) + 1 :]),
                decoding(result=lambda text, prompt, count: text[len(prompt) + 1 :][:count]),
                decoding(result=lambda text, prompt, count: text[len(prompt) + 1 : len(prompt) + count]),
            ),
        ),
        (
            "cut at the wrong end",
            "If there is a token too many, the *first* is cut off: the last one is to go.",
            (decoding(result=lambda text, prompt, count: text[-count:]),),
        ),
    )
    for function in functions
)
