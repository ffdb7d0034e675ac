"""Lesson 06, `mtp_loss`: the mistakes that only another depth, or documents, can show, and inputs that show them."""

import dataclasses
import functools
from collections.abc import Callable

import torch

from mini_moe.course.checking.exercise import Mistake
from mini_moe.course.exercises.multi_token_prediction.mtp_loss_parts import by_position, lost, nats, wide
from mini_moe.course.exercises.multi_token_prediction.shared import documents
from mini_moe.course.exercises.multi_token_prediction.shifted_targets_mistakes import other, targets
from mini_moe.data import IGNORE
from mini_moe.mtp import mtp_loss, shifted_targets


@functools.cache
def cases_of_options():
    """(logits, tokens, depth, document ids), always the same."""
    generator = torch.Generator().manual_seed(6)

    def draw(B, T, V):
        tokens = torch.randint(0, V, (B, T), generator=generator)
        return 2 * torch.randn(B, T, V, generator=generator), tokens

    return (
        (*draw(1, 3, 4), 0, None),
        (*draw(2, 5, 3), 2, None),
        (*draw(3, 6, 4), 3, None),
        (*draw(1, 4, 3), 1, documents(generator, (3, 1))),
        (*draw(2, 6, 5), 1, documents(generator, (2, 4), (1, 5))),
        (*draw(3, 5, 4), 0, documents(generator, (3, 2), (1, 1, 3), (5,))),
        (*draw(2, 8, 3), 2, documents(generator, (4, 4), (7, 1))),
        (*draw(3, 7, 6), 1, documents(generator, (1, 2, 4), (3, 3, 1), (2, 2, 2, 1))),  # the last has no target
        (*draw(2, 4, 5), 5, None),  # no target at all,
        (*draw(2, 3, 4), 0, documents(generator, (1, 1, 1), (1, 1, 1))),  # for each of two reasons
    )


def _rows_with_targets(each, there, depth):
    """The mean over the rows that have targets, of their means."""
    means = _by_row(each, there, depth)[there.any(dim=1)]
    return means.mean() if len(means) else each.sum()


def _by_row(each, there, depth):
    return each.sum(dim=1) / there.sum(dim=1).clamp(min=1)


def _documents_apart(logits, tokens, depth, ids=None):
    """The mean over documents of the mean over the targets of each."""
    goal = shifted_targets(tokens, depth, ids)
    each, there = nats(wide(logits), goal), goal != IGNORE
    names = torch.zeros_like(tokens) if ids is None else ids
    marks = [(names == name) & there & (torch.arange(len(tokens)) == b)[:, None] for b in range(len(tokens))
             for name in names[b].unique()]  # fmt: skip
    means = [each[mark].mean() for mark in marks if mark.any()]
    return torch.stack(means).mean() if means else each.sum()


def _never_zero(each, there, depth):
    return each.sum() / there.sum()


def _zero_for_short_texts(each, there, depth):
    return each.sum() / (there.sum() if each.shape[1] > depth + 1 else 1)


_OF_OPTIONS = (
    (
        "depth ignored",
        "`depth` is not used: the targets are always those of depth 1.",
        (lambda logits, tokens, depth, ids=None: by_position(mtp_loss)(logits, tokens, 1, ids),),
    ),
    (
        "ahead by twice the depth",
        "The targets are 2 depth places on: that is right at depth 1 only. They are depth + 1 places on.",
        (lost(target=targets(ahead=lambda depth: 2 * depth)),),
    ),
    (
        "documents ignored",
        "The documents make no difference: where another one begins, there is no target. Hand the ids on.",
        (lambda logits, tokens, depth, ids=None: by_position(mtp_loss)(logits, tokens, depth),),
    ),
    (
        "depth and documents ignored",
        "Neither `depth` nor the documents are used: hand both on to `shifted_targets`.",
        (lambda logits, tokens, depth, ids=None: by_position(mtp_loss)(logits, tokens),),
    ),
    (
        "mean of the rows' means",
        "It takes the mean of each row, and then the mean of these: a row with few targets then counts as much as one "
        "with many. Add up all, and divide once.",
        (
            lost(share=lambda *parts: _by_row(*parts).mean()),
            lost(share=_rows_with_targets),
            lost(share=lambda each, there, depth: (each.sum(dim=1) / there.sum(dim=1)).mean()),
            lost(share=lambda each, there, depth: (each.sum(dim=1) / there.sum(dim=1)).nan_to_num().mean()),
        ),
    ),
    (
        "mean of the documents' means",
        "It takes the mean of each document, and then the mean of these: each *target* counts alike. Add up all, and "
        "divide once.",
        (_documents_apart,),
    ),
    (
        "documents not left out of the number",
        "It divides by the targets that there would be without documents: divide by those that are not IGNORE.",
        tuple(
            lost(share=lambda each, there, depth, least=least: each.sum() / max(_room(there, depth), least))
            for least in (0.1, 1)
        ),
    ),
    (
        "mean over all positions, but for depth 1",
        "It divides by B (T - 2), the number of targets at depth 1 in one document: count those that are not IGNORE.",
        (lost(share=lambda each, there, depth: each.sum() / max(_room(there, 1), 1)),),
    ),
    (
        "divided by depth",
        "The loss is divided by the depth: the mean over *depths* is taken elsewhere. Here it is over targets.",
        tuple(
            lost(share=lambda each, there, depth, by=by: each.sum() / there.sum().clamp(min=1) / by(depth))
            for by in (lambda depth: max(depth, 1), lambda depth: (depth + 1) / 2)
        ),
    ),
    (
        "token 0 for other documents",
        "Where another document begins it expects token 0: there is no target, so put IGNORE there.",
        (lost(target=targets(fill=0)),),
    ),
    (
        "only neighbours compared",
        "Only the last token of a document loses its target: compare a position's document with that of its target, "
        "depth + 1 places on.",
        (lost(target=targets(mask=lambda ids, ahead: other(ids, 1))),),
    ),
    (
        "ids compared depth places on",
        "A position's document is compared with that at i + depth: its target stands at i + depth + 1.",
        (lost(target=targets(mask=lambda ids, ahead: other(ids, ahead - 1))),),
    ),
    (
        "no target gives NaN",
        "Where depth or documents leave no target it divides by 0: the loss is then 0. Divide by at least 1.",
        (lost(share=_never_zero), lost(share=_zero_for_short_texts)),
    ),
)


def _room(there, depth):
    """How many targets there would be if each row were one document."""
    B, T = there.shape
    return B * max(T - depth - 1, 0)


@dataclasses.dataclass(frozen=True)
class _Options:
    """What `recognise` asks of an exercise."""

    reference: Callable
    mistakes: tuple[Mistake, ...]


OPTIONS = _Options(
    reference=by_position(mtp_loss),
    mistakes=tuple(Mistake(name, says, function) for name, says, functions in _OF_OPTIONS for function in functions),
)
