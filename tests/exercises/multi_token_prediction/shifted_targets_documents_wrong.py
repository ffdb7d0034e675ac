"""Wrong answers to `shifted_targets`: documents, and what is to be refused."""

import torch
import torch.nn.functional as F
from exercises.answers import Answers
from exercises.multi_token_prediction.shifted_targets_parts import refuse_illegal

from mini_moe.course.exercises.multi_token_prediction.shifted_targets import EXERCISE
from mini_moe.data import IGNORE

ANSWERS = Answers(EXERCISE)
wrong = ANSWERS.wrong


def plain(tokens, depth):
    targets = torch.full_like(tokens, IGNORE, dtype=torch.int64)
    targets[:, : -depth - 1] = tokens[:, depth + 1 :]
    return targets


def learner_masks(mask):
    """A learner's answer that is right but for ``mask(targets, ids, depth)``, which may write to the targets."""

    def learner(tokens, depth, ids=None):
        refuse_illegal(tokens, depth, ids)
        targets = plain(tokens, depth)
        return targets if ids is None else mask(targets, ids, depth)

    return learner


def learner_refuses(refuse):
    """A learner's answer that is right but for what it refuses."""

    def learner(tokens, depth, ids=None):
        refuse(tokens, depth, ids)
        T = tokens.shape[1]
        ahead = min(depth + 1, T)
        targets = F.pad(tokens[:, ahead:].long(), (0, ahead), value=IGNORE)
        return targets if ids is None else targets.where(F.pad(ids[:, ahead:], (0, ahead)) == ids, IGNORE)

    return learner


@wrong("documents ignored")
@learner_masks
def _(targets, ids, depth):
    return targets


@wrong("documents ignored", "masked_fill not kept")
@learner_masks
def _(targets, ids, depth):
    ahead = depth + 1
    targets[:, :-ahead].masked_fill(ids[:, :-ahead] != ids[:, ahead:], IGNORE)
    return targets


@wrong("only neighbours compared")
@learner_masks
def _(targets, ids, depth):
    targets[:, :-1][ids[:, :-1] != ids[:, 1:]] = IGNORE
    return targets


@wrong("only neighbours compared", "diff")
@learner_masks
def _(targets, ids, depth):
    border = torch.diff(ids, dim=1, append=ids[:, -1:]) != 0
    return torch.where(border, IGNORE, targets)


@wrong("ids compared depth places on")
@learner_masks
def _(targets, ids, depth):
    for i in range(ids.shape[1] - depth):
        targets[:, i][ids[:, i] != ids[:, i + depth]] = IGNORE
    return targets


@wrong("ids compared depth + 2 places on")
@learner_masks
def _(targets, ids, depth):
    for i in range(ids.shape[1] - depth - 2):
        targets[:, i][ids[:, i] != ids[:, i + depth + 2]] = IGNORE
    return targets


@wrong("mask at the target's place")
@learner_masks
def _(targets, ids, depth):
    ahead = depth + 1
    targets[:, ahead:][ids[:, :-ahead] != ids[:, ahead:]] = IGNORE
    return targets


@wrong("mask at the target's place", "only the first token of a document")
@learner_masks
def _(targets, ids, depth):
    targets[:, 1:][ids[:, 1:] != ids[:, :-1]] = IGNORE
    return targets


@wrong("only the first document")
@learner_masks
def _(targets, ids, depth):
    return targets.masked_fill(ids != ids[:, 0, None], IGNORE)


@wrong("only the first document", "compared with the target's")
@learner_masks
def _(targets, ids, depth):
    targets[:, : -depth - 1][ids[:, depth + 1 :] != ids[:, :1]] = IGNORE
    return targets


@wrong("ids taken for numbers", "rising")
@learner_masks
def _(targets, ids, depth):
    targets[:, : -depth - 1][ids[:, depth + 1 :] > ids[:, : -depth - 1]] = IGNORE
    return targets


@wrong("ids taken for numbers", "falling")
@learner_masks
def _(targets, ids, depth):
    targets[:, : -depth - 1][ids[:, depth + 1 :] < ids[:, : -depth - 1]] = IGNORE
    return targets


@wrong("ids taken for numbers", "by one")
@learner_masks
def _(targets, ids, depth):
    targets[:, : -depth - 1][ids[:, depth + 1 :] == ids[:, : -depth - 1] + 1] = IGNORE
    return targets


@wrong("same and other exchanged")
@learner_masks
def _(targets, ids, depth):
    targets[:, : -depth - 1][ids[:, depth + 1 :] == ids[:, : -depth - 1]] = IGNORE
    return targets


@wrong("documents of one row for all", "the first's")
@learner_masks
def _(targets, ids, depth):
    border = ids[0, depth + 1 :] != ids[0, : -depth - 1]
    targets[:, : -depth - 1][:, border] = IGNORE
    return targets


@wrong("documents of one row for all", "any's")
@learner_masks
def _(targets, ids, depth):
    border = (ids[:, depth + 1 :] != ids[:, : -depth - 1]).any(0)
    targets[:, : -depth - 1][:, border] = IGNORE
    return targets


@wrong("targets left out", "on both sides of a border")
@learner_masks
def _(targets, ids, depth):
    targets[:, : -depth - 1][ids[:, depth + 1 :] != ids[:, : -depth - 1]] = IGNORE
    targets[:, 1:][ids[:, 1:] != ids[:, :-1]] = IGNORE
    return targets


@wrong("targets left out", "all of a text with more than one document")
@learner_masks
def _(targets, ids, depth):
    targets[(ids != ids[:, :1]).any(dim=1)] = IGNORE
    return targets


@wrong("numbers of documents matter", "in a small type")
@learner_masks
def _(targets, ids, depth):
    ids = ids.to(torch.uint8)
    targets[:, : -depth - 1][ids[:, depth + 1 :] != ids[:, : -depth - 1]] = IGNORE
    return targets


@wrong("changes its input", "the ids marked")
@learner_masks
def _(targets, ids, depth):
    border = ids[:, depth + 1 :] != ids[:, : -depth - 1]
    ids[:, : -depth - 1][border] = IGNORE
    targets[:, : -depth - 1][border] = IGNORE
    return targets


@wrong("raises TypeError", "None not asked for")
def _(tokens, depth, ids=None):
    targets = plain(tokens, depth)
    targets[:, : -depth - 1][ids[:, depth + 1 :] != ids[:, : -depth - 1]] = IGNORE
    return targets


@wrong("not refused", "nothing checked")
@learner_refuses
def _(tokens, depth, ids):
    pass


@wrong("not refused", "-1")
@learner_refuses
def _(tokens, depth, ids):
    if depth < -1:
        raise ValueError(f"got {depth}")
    if ids is not None and ids.shape != tokens.shape:
        raise ValueError(f"got {ids.shape}")


@wrong("not refused", "one row of ids")
@learner_refuses
def _(tokens, depth, ids):
    if depth < 0:
        raise ValueError(f"got {depth}")
    if ids is not None and (ids.ndim != 2 or ids.shape[1] != tokens.shape[1] or len(ids) > len(tokens)):
        raise ValueError(f"got {ids.shape}")


@wrong("another error than documented", "assert")
@learner_refuses
def _(tokens, depth, ids):
    assert depth >= 0
    assert ids is None or ids.shape == tokens.shape


@wrong("another error than documented", "IndexError")
@learner_refuses
def _(tokens, depth, ids):
    if depth < 0:
        raise IndexError(f"depth must be 0 or more, got {depth}")
    if ids is not None and ids.shape != tokens.shape:
        raise ValueError(f"got {ids.shape}")


@wrong("another error than documented", "what torch says")
def _(tokens, depth, ids=None):
    if ids is not None and ids.shape != tokens.shape:
        raise ValueError(f"document_ids must be {tokens.shape}, got {ids.shape}")
    targets = plain(tokens, depth)
    if ids is not None:
        targets[:, : -depth - 1][ids[:, depth + 1 :] != ids[:, : -depth - 1]] = IGNORE
    return targets


@wrong("error without the value")
@learner_refuses
def _(tokens, depth, ids):
    if depth < 0:
        raise ValueError("depth must be at least 0")
    if ids is not None and ids.shape != tokens.shape:
        raise ValueError("ids must be of the tokens' shape")
