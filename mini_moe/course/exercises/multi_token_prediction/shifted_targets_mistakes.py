"""Lesson 06, `shifted_targets`: the mistakes that people make."""

import torch
import torch.nn.functional as F

from mini_moe.course.checking.exercise import Mistake
from mini_moe.data import IGNORE


def moved(x, ahead, fill=IGNORE):
    """x_(i + ahead) at position i, and ``fill`` where there is none; ``ahead`` may be negative."""
    rest = x[:, max(ahead, 0) : max(x.shape[1] + min(ahead, 0), 0)].long()
    missing = x.shape[1] - rest.shape[1]
    return F.pad(rest, (0, missing) if ahead > 0 else (missing, 0), value=fill)


def other(ids, ahead):
    """Where position i + ``ahead`` is there, and of another document than i: (B, T)."""
    return (moved(ids, ahead) != ids) & moved(torch.ones_like(ids), ahead, 0).bool()


def targets(*, move=moved, ahead=lambda depth: depth + 1, mask=None, fill=IGNORE):
    """The targets with one thing changed, for the mistakes.

    Args:
        move: ``move(tokens, ahead)``, the text moved.
        ahead: by how many places, of the depth.
        mask: ``mask(ids, ahead)``, where documents are the reason that there is no target.
        fill: what stands there.
    """

    def function(tokens, depth, ids=None):
        result = move(tokens, ahead(depth)).long()
        if ids is None:
            return result
        return result.masked_fill((mask or other)(ids, ahead(depth)), fill)

    return function


def rolled(tokens, ahead):
    return tokens.roll(-ahead, dims=1)


def _overwritten(start):
    """Rolled, with IGNORE from ``start(T, depth)`` on."""

    def move(tokens, ahead):
        result = rolled(tokens, ahead).long()
        result[:, start(tokens.shape[1], ahead - 1) :] = IGNORE
        return result

    return move


def _last_repeated(tokens, ahead):
    T = tokens.shape[1]
    return tokens[:, (torch.arange(T) + ahead).clamp(max=T - 1)]


def _into_the_next_row(tokens, ahead):
    return moved(tokens.reshape(1, -1), ahead).view(tokens.shape)


def _around_all_rows(tokens, ahead):
    return tokens.reshape(-1).roll(-ahead).view(tokens.shape)


def _at_the_front(tokens, ahead):
    return moved(tokens, ahead).roll(min(ahead, tokens.shape[1]), dims=1)


def _never(ids, ahead):
    return torch.zeros_like(ids, dtype=torch.bool)


def _over_rows(tokens, ahead):
    return moved(tokens.T, ahead).T


def _cut_off(tokens, depth, ids=None):
    n = max(tokens.shape[1] - depth - 1, 0)
    return targets()(tokens, depth, ids)[:, :n]


def _too_long(tokens, depth, ids=None):
    missing = max(depth + 1 - tokens.shape[1], 0)
    return F.pad(targets()(tokens, depth, ids), (0, missing), value=IGNORE)


MISTAKES = tuple(
    Mistake(name, says, function)
    for name, says, functions in (
        (
            "token at i + depth",
            "It is off by one: the token at i + depth, which at depth 0 is the one that is read. To be predicted is "
            "the one after it, at i + depth + 1.",
            (
                targets(ahead=lambda depth: depth),
                targets(ahead=lambda depth: depth, mask=lambda ids, ahead: other(ids, ahead + 1)),
                targets(move=lambda tokens, ahead: tokens.roll(1 - ahead, dims=1)),
            ),
        ),
        (
            "token at i + depth + 2",
            "It is off by one: the token at i + depth + 2. Depth 0 predicts the next one, so it is i + depth + 1.",
            (
                targets(ahead=lambda depth: depth + 2),
                targets(ahead=lambda depth: depth + 2, mask=lambda ids, ahead: other(ids, ahead - 1)),
            ),
        ),
        (
            "always the next token",
            "`depth` is not used: the target is always the next token, as for the model itself. It is depth + 1 places "
            "on.",
            (
                targets(ahead=lambda depth: 1),
                targets(ahead=lambda depth: 1, mask=_never),
                targets(move=lambda tokens, ahead: moved(tokens, 1)),
            ),
        ),
        (
            "depth taken for 1",
            "`depth` is not used: the target is always two places on, as at depth 1. It is depth + 1 places on.",
            (targets(ahead=lambda depth: 2), targets(move=lambda tokens, ahead: moved(tokens, 2))),
        ),
        (
            "moved the wrong way",
            "The text is moved to the right: these tokens came *before* position i. To be predicted is what comes "
            "after it, so the text moves to the left.",
            (
                targets(ahead=lambda depth: -depth - 1),
                targets(move=lambda tokens, ahead: moved(tokens, -ahead)),
                targets(move=lambda tokens, ahead: rolled(tokens, -ahead)),
            ),
        ),
        (
            "wrapped around",
            "At the end stand tokens from the beginning: `roll` brings back what it pushes out. Where the text ends, "
            "the target is IGNORE.",
            (
                targets(move=rolled),
                targets(move=rolled, mask=lambda ids, ahead: rolled(ids, ahead) != ids),
                targets(move=rolled, mask=_never),
                targets(move=_around_all_rows),
            ),
        ),
        (
            "one target after the end",
            "One of the last depth + 1 positions has a target, though there the text has ended: as many as it moves, "
            "depth + 1, have none. (`[-0:]` is everything.)",
            tuple(
                targets(move=_overwritten(start), mask=mask)
                for start in (lambda T, depth: -depth, lambda T, depth: T - depth, lambda T, depth: max(T - depth, 0))
                for mask in (None, lambda ids, ahead: rolled(ids, ahead) != ids)
            ),
        ),
        (
            "last token repeated",
            "At the end the last token is repeated: there is nothing to predict, so the target is IGNORE.",
            (
                targets(move=_last_repeated),
                targets(move=_last_repeated, mask=lambda ids, ahead: _last_repeated(ids, ahead) != ids),
            ),
        ),
        (
            "next row's tokens",
            "At the end of a row stand tokens of the next one: each row is a text by itself. Do not lay the rows out "
            "as one.",
            (targets(move=_into_the_next_row),),
        ),
        (
            "moved over the batch",
            "It moves rows and not positions: the dimensions are (B, T), so move along `dim=1`.",
            (targets(move=_over_rows), targets(move=_over_rows, mask=_never)),
        ),
        (
            "IGNORE at the front",
            "IGNORE stands at the front, and so every target at a wrong position: t_(i + depth + 1) belongs at i, and "
            "those without a target are the last.",
            (
                targets(move=_at_the_front),
                targets(move=_at_the_front, mask=_never),
                lambda tokens, depth, ids=None: _at_the_front(
                    targets()(tokens, depth, ids).roll(depth + 1, dims=1), depth + 1
                ),
            ),
        ),
        (
            "positions without a target left out",
            "Positions without a target are left out: the result keeps the shape of the tokens, (B, T), with IGNORE "
            "there.",
            (_cut_off,),
        ),
        (
            "filled beyond T",
            "Where the text is shorter than depth + 1, the result is longer than the text: only T places are to be "
            "filled.",
            (_too_long,),
        ),
        (
            "another number than IGNORE",
            f"Where there is no target stands another number than IGNORE, which is {IGNORE}: a loss would take 0 for a "
            "token, and cross_entropy leaves only IGNORE out.",
            tuple(
                targets(move=lambda tokens, ahead, end=end: moved(tokens, ahead, end), fill=fill)
                for number in (0, -1, 1, 100, -1000)
                for end, fill in ((number, number), (number, IGNORE), (IGNORE, number))
            ),
        ),
        (
            "documents ignored",
            "The documents make no difference: where position i + depth + 1 is of another one, the target is IGNORE.",
            (targets(mask=_never),),
        ),
        (
            "only neighbours compared",
            "A position's document is compared with that of the *next* position: only the last token of a document "
            "loses its target. Compare with the target's own, at i + depth + 1.",
            (targets(mask=lambda ids, ahead: other(ids, 1)),),
        ),
        (
            "ids compared depth places on",
            "A position's document is compared with that at i + depth, one too few: a target just behind the border is "
            "kept. Its place is i + depth + 1.",
            (targets(mask=lambda ids, ahead: other(ids, ahead - 1)),),
        ),
        (
            "ids compared depth + 2 places on",
            "A position's document is compared with that at i + depth + 2, one too many: the last target of a "
            "document is lost. Its place is i + depth + 1.",
            (
                targets(mask=lambda ids, ahead: other(ids, ahead + 1)),
                targets(mask=lambda ids, ahead: moved(ids, ahead + 1) != ids),
            ),
        ),
        (
            "mask at the target's place",
            "IGNORE stands depth + 1 places too late, at the first positions of a document: these have targets. Those "
            "*before* the border have none.",
            (
                targets(mask=lambda ids, ahead: other(ids, -ahead)),
                targets(mask=lambda ids, ahead: other(ids, 1).long().roll(1, dims=1) > 0),
            ),
        ),
        (
            "only the first document",
            "Only the first document of a row keeps its targets: those within later ones count as well.",
            (
                targets(mask=lambda ids, ahead: ids != ids[:, :1]),
                targets(mask=lambda ids, ahead: other(ids, ahead) | (ids != ids[:, :1])),
                targets(mask=lambda ids, ahead: moved(ids, ahead) != ids[:, :1]),
            ),
        ),
        (
            "ids taken for numbers",
            "It asks which id is larger, or by how much: an id is only a name, and the next document may have any. Ask "
            "whether the two are the same.",
            tuple(
                targets(mask=lambda ids, ahead, change=change: other(ids, ahead) & change(moved(ids, ahead) - ids))
                for change in (
                    lambda step: step > 0,
                    lambda step: step < 0,
                    lambda step: step == 1,
                    lambda step: step.abs() == 1,
                    lambda step: step > 1,
                )
            ),
        ),
        (
            "same and other exchanged",
            "Targets of the *same* document are ignored, and those of others kept: it is the other way round.",
            (targets(mask=lambda ids, ahead: moved(ids, ahead, 10**6) == ids),),
        ),
        (
            "documents of one row for all",
            "One row's documents are taken for all rows: each text has its own.",
            (
                targets(mask=lambda ids, ahead: other(ids, ahead)[:1]),
                targets(mask=lambda ids, ahead: other(ids, ahead)[-1:]),
                targets(mask=lambda ids, ahead: other(ids, ahead).any(dim=0)),
            ),
        ),
    )
    for function in functions
)
