"""Wrong answers to `shifted_targets`: where the tokens are moved to, and what stands where there is none."""

import torch
import torch.nn.functional as F
from exercises.answers import Answers
from exercises.multi_token_prediction.shifted_targets_parts import learner_moves, refuse_illegal

from mini_moe.course.exercises.multi_token_prediction.shifted_targets import EXERCISE
from mini_moe.data import IGNORE

ANSWERS = Answers(EXERCISE)
wrong = ANSWERS.wrong


@wrong("token at i + depth", "slices")
@learner_moves
def _(x, ahead, fill):
    targets = torch.full_like(x, fill)
    depth = ahead - 1
    targets[:, : x.shape[1] - depth] = x[:, depth:]
    return targets


@wrong("token at i + depth", "everywhere")
def _(tokens, depth, ids=None):
    refuse_illegal(tokens, depth, ids)
    targets = torch.full(tokens.shape, IGNORE)
    for i in range(tokens.shape[1] - depth):
        targets[:, i] = tokens[:, i + depth]
        if ids is not None:
            targets[ids[:, i] != ids[:, i + depth], i] = IGNORE
    return targets


@wrong("token at i + depth + 2", "the inputs taken to be moved already")
def _(tokens, depth, ids=None):
    refuse_illegal(tokens, depth, ids)
    n = tokens.shape[1] - depth - 2
    targets = torch.full(tokens.shape, IGNORE)
    if n > 0:
        targets[:, :n] = tokens[:, depth + 2 :]
        if ids is not None:
            targets[:, :n][ids[:, :n] != ids[:, depth + 2 :]] = IGNORE
    return targets


@wrong("always the next token")
@learner_moves
def _(x, ahead, fill):
    return F.pad(x[:, 1:], (0, 1), value=fill)


@wrong("depth taken for 1")
@learner_moves
def _(x, ahead, fill):
    return F.pad(x[:, 2:], (0, min(2, x.shape[1])), value=fill)


@wrong("moved the wrong way", "a negative pad")
@learner_moves
def _(x, ahead, fill):
    return F.pad(x, (ahead, -ahead), value=fill) if ahead <= x.shape[1] else torch.full_like(x, fill)


@wrong("moved the wrong way", "roll")
@learner_moves
def _(x, ahead, fill):
    return torch.roll(x, ahead, dims=1)


@wrong("wrapped around", "roll")
@learner_moves
def _(x, ahead, fill):
    return torch.roll(x, -ahead, 1)


@wrong("wrapped around", "roll of all rows as one")
@learner_moves
def _(x, ahead, fill):
    return torch.roll(x, -ahead)


@wrong("wrapped around", "roll of the ids as well")
def _(tokens, depth, ids=None):
    refuse_illegal(tokens, depth, ids)
    targets = tokens.roll(-depth - 1, dims=-1).long()
    if ids is not None:
        targets[ids != ids.roll(-depth - 1, dims=-1)] = IGNORE
    return targets


@wrong("wrapped around", "and the documents forgotten")
def _(tokens, depth, ids=None):
    refuse_illegal(tokens, depth, ids)
    return tokens.roll(-depth - 1, dims=-1).long()


@wrong("one target after the end", "as many as depth overwritten")
@learner_moves
def _(x, ahead, fill):
    targets = x.roll(-ahead, dims=1)
    targets[:, x.shape[1] - ahead + 1 :] = fill
    return targets


@wrong("one target after the end", "everything at depth 0")
def _(tokens, depth, ids=None):
    refuse_illegal(tokens, depth, ids)
    targets = tokens.roll(-depth - 1, dims=1).long()
    if ids is not None:
        targets[ids.roll(-depth - 1, dims=1) != ids] = IGNORE
    targets[:, -depth:] = IGNORE
    return targets


@wrong("last token repeated", "clamp")
@learner_moves
def _(x, ahead, fill):
    T = x.shape[1]
    return x[:, torch.clamp(torch.arange(T) + ahead, max=T - 1)]


@wrong("next row's tokens")
@learner_moves
def _(x, ahead, fill):
    flat = x.flatten()[ahead:]
    return torch.cat((flat, flat.new_full((x.numel() - len(flat),), fill))).reshape(x.shape)


@wrong("moved over the batch")
@learner_moves
def _(x, ahead, fill):
    targets = torch.full_like(x, fill)
    targets[:-ahead] = x[ahead:]
    return targets


@wrong("IGNORE at the front")
@learner_moves
def _(x, ahead, fill):
    ahead = min(ahead, x.shape[1])
    return torch.cat((torch.full_like(x[:, :ahead], fill), x[:, ahead:]), dim=1)


@wrong("positions without a target left out")
def _(tokens, depth, ids=None):
    refuse_illegal(tokens, depth, ids)
    targets = tokens[:, depth + 1 :].long()
    if ids is not None:
        targets = targets.masked_fill(ids[:, depth + 1 :] != ids[:, : targets.shape[1]], IGNORE)
    return targets


@wrong("filled beyond T")
def _(tokens, depth, ids=None):
    refuse_illegal(tokens, depth, ids)
    targets = tokens[:, depth + 1 :].long()
    if ids is not None:
        targets = targets.masked_fill(ids[:, depth + 1 :] != ids[:, : -depth - 1], IGNORE)
    return F.pad(targets, (0, depth + 1), value=IGNORE)


@wrong("raises RuntimeError", "filled beyond T, and a mask of T places")
def _(tokens, depth, ids=None):
    refuse_illegal(tokens, depth, ids)
    targets = F.pad(tokens[:, depth + 1 :].long(), (0, depth + 1), value=IGNORE)
    if ids is not None:
        later = F.pad(ids[:, depth + 1 :], (0, depth + 1), value=IGNORE)
        targets = targets.masked_fill(later != ids, IGNORE)
    return targets


@wrong("another number than IGNORE", "0 at the end")
@learner_moves
def _(x, ahead, fill):
    targets = torch.zeros_like(x)
    targets[:, :-ahead] = x[:, ahead:]
    return targets


@wrong("another number than IGNORE", "-1")
def _(tokens, depth, ids=None):
    refuse_illegal(tokens, depth, ids)
    ahead = min(depth + 1, tokens.shape[1])
    targets = F.pad(tokens[:, ahead:].long(), (0, ahead), value=-1)
    if ids is not None:
        targets[F.pad(ids[:, ahead:], (0, ahead), value=10**6) != ids] = -1
    return targets


@wrong("another number than IGNORE", "0 for other documents")
def _(tokens, depth, ids=None):
    refuse_illegal(tokens, depth, ids)
    ahead = min(depth + 1, tokens.shape[1])
    n = tokens.shape[1] - ahead
    targets = tokens[:, ahead:].long()
    if ids is not None:
        targets = targets * (ids[:, :n] == ids[:, ahead:])
    return F.pad(targets, (0, ahead), value=IGNORE)


@wrong("wrong dtype", "of the tokens")
def _(tokens, depth, ids=None):
    refuse_illegal(tokens, depth, ids)
    ahead = depth + 1
    targets = torch.full_like(tokens, IGNORE)
    targets[:, :-ahead] = tokens[:, ahead:]
    if ids is not None:
        targets[:, :-ahead][ids[:, :-ahead] != ids[:, ahead:]] = IGNORE
    return targets


@wrong("wrong dtype", "float")
@learner_moves
def _(x, ahead, fill):
    targets = torch.ones(x.shape) * fill
    targets[:, :-ahead] = x[:, ahead:].float()
    return targets


@wrong("raises IndexError", "a text that ends")
@learner_moves
def _(x, ahead, fill):
    return torch.stack([x[:, i + ahead] for i in range(x.shape[1])], dim=1)


@wrong("raises RuntimeError", "T - ahead below 0, which a slice counts from the end")
@learner_moves
def _(x, ahead, fill):
    targets = torch.full_like(x, fill)
    targets[:, : x.shape[1] - ahead] = x[:, ahead:]
    return targets


@wrong("raises RuntimeError", "view")
def _(tokens, depth, ids=None):
    refuse_illegal(tokens, depth, ids)
    shape = tokens.shape
    rows = [row[depth + 1 :].tolist() for row in tokens.view(-1).view(shape)]
    targets = torch.tensor([(row + [IGNORE] * shape[1])[: shape[1]] for row in rows]).view(shape)
    if ids is not None:
        targets[:, : -depth - 1][ids[:, depth + 1 :] != ids[:, : -depth - 1]] = IGNORE
    return targets


@wrong("changes its input")
def _(tokens, depth, ids=None):
    refuse_illegal(tokens, depth, ids)
    ahead = depth + 1
    targets = tokens.long()
    targets[:, :-ahead] = tokens[:, ahead:].clone()
    targets[:, -ahead:] = IGNORE
    if ids is not None:
        targets[:, :-ahead][ids[:, :-ahead] != ids[:, ahead:]] = IGNORE
    return targets


@wrong("refuses a legal input", "depth 0")
def _(tokens, depth, ids=None):
    if depth < 1:
        raise ValueError(f"depth must be at least 1, got {depth}")
    return learner_moves(lambda x, ahead, fill: F.pad(x[:, ahead:], (0, ahead), value=fill))(tokens, depth, ids)


@wrong("refuses a legal input", "a short text")
def _(tokens, depth, ids=None):
    if not 0 <= depth < tokens.shape[1] - 1:
        raise ValueError(f"depth must be below {tokens.shape[1] - 1}, got {depth}")
    return learner_moves(lambda x, ahead, fill: F.pad(x[:, ahead:], (0, ahead), value=fill))(tokens, depth, ids)


@wrong("the same for every input", "all IGNORE, of one text")
def _(tokens, depth, ids=None):
    return torch.full((1, 2), IGNORE)


@wrong("returns None")
def _(tokens, depth, ids=None):
    targets = torch.full_like(tokens, IGNORE, dtype=torch.int64)
    targets[:, : -depth - 1] = tokens[:, depth + 1 :]
