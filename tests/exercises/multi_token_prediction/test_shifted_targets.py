"""Answers to `shifted_targets`: wrong ones as learners write them, right ones each in another way."""

import torch
import torch.nn.functional as F
from exercises.answers import Claims
from exercises.multi_token_prediction import shifted_targets_documents_wrong, shifted_targets_wrong
from exercises.multi_token_prediction.shifted_targets_parts import refuse_illegal

from mini_moe.data import IGNORE

ANSWERS = shifted_targets_wrong.ANSWERS + shifted_targets_documents_wrong.ANSWERS
right = ANSWERS.right


class TestShiftedTargets(Claims):
    answers = ANSWERS


@right("one position after the other")
def _(tokens, depth, ids=None):
    refuse_illegal(tokens, depth, ids)
    B, T = tokens.shape
    targets = torch.full((B, T), IGNORE)
    for b in range(B):
        for i in range(T - depth - 1):
            if ids is None or ids[b, i] == ids[b, i + depth + 1]:
                targets[b, i] = tokens[b, i + depth + 1]
    return targets


@right("filled up, then where")
def _(tokens, depth, ids=None):
    refuse_illegal(tokens, depth, ids)
    T = tokens.shape[1]
    ahead = min(depth + 1, T)
    targets = F.pad(tokens[:, ahead:].long(), (0, ahead), value=IGNORE)
    if ids is None:
        return targets
    return torch.where(F.pad(ids[:, ahead:], (0, ahead)) == ids, targets, IGNORE)


@right("rolled, and the end overwritten")
def _(tokens, depth, ids=None):
    refuse_illegal(tokens, depth, ids)
    targets = tokens.to(torch.int64).roll(-depth - 1, dims=1)
    if ids is not None:
        targets[ids.roll(-depth - 1, dims=1) != ids] = IGNORE
    targets[:, max(tokens.shape[1] - depth - 1, 0) :] = IGNORE
    return targets


@right("gathered by index")
def _(tokens, depth, ids=None):
    refuse_illegal(tokens, depth, ids)
    T = tokens.shape[1]
    place = torch.arange(T) + depth + 1
    there = (place < T).expand_as(tokens)
    place = place.clamp(max=T - 1)
    if ids is not None:
        there = there & (ids[:, place] == ids)
    return tokens[:, place].long().masked_fill(~there, IGNORE)


@right("every border on the way looked for")
def _(tokens, depth, ids=None):
    refuse_illegal(tokens, depth, ids)
    x = tokens.long()
    for _ in range(depth + 1):
        x = torch.cat((x[:, 1:], torch.full_like(x[:, :1], IGNORE)), dim=1)
    if ids is not None:
        border = F.pad(ids[:, 1:] != ids[:, :-1], (0, 1))
        crossed = torch.zeros_like(border)
        for step in range(min(depth + 1, tokens.shape[1])):
            crossed |= F.pad(border[:, step:], (0, step))
        x = x.masked_fill(crossed, IGNORE)
    return x


@right("lists")
def _(tokens, depth, ids=None):
    refuse_illegal(tokens, depth, ids)
    names = (ids if ids is not None else torch.zeros_like(tokens)).tolist()
    rows = [
        [
            row[i + depth + 1] if i + depth + 1 < len(row) and name[i] == name[i + depth + 1] else IGNORE
            for i in range(len(row))
        ]
        for row, name in zip(tokens.tolist(), names, strict=True)
    ]
    return torch.tensor(rows)
