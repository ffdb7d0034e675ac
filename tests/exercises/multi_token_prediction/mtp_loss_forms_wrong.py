"""Wrong answers to `mtp_loss`: what only its options show, and what is wrong in form."""

import torch
import torch.nn.functional as F
from exercises.answers import Answers
from exercises.multi_token_prediction.mtp_loss_parts import learner_aims, learner_divides, wide

from mini_moe.course.exercises.multi_token_prediction.mtp_loss import EXERCISE
from mini_moe.data import IGNORE
from mini_moe.mtp import shifted_targets

ANSWERS = Answers(EXERCISE)
wrong = ANSWERS.wrong


def refuse_illegal(tokens, depth, ids):
    shifted_targets(tokens, depth, ids)


@wrong("depth ignored")
@learner_aims
def _(tokens, depth, ids):
    return shifted_targets(tokens, 1, ids)


@wrong("ahead by twice the depth")
@learner_aims
def _(tokens, depth, ids):
    targets = torch.full(tokens.shape, IGNORE)
    for i in range(tokens.shape[1] - 2 * depth):
        targets[:, i] = tokens[:, i + 2 * depth]
        if ids is not None:
            targets[ids[:, i] != ids[:, i + 2 * depth], i] = IGNORE
    return targets


@wrong("documents ignored", "not handed on")
@learner_aims
def _(tokens, depth, ids):
    return shifted_targets(tokens, depth)


@wrong("depth and documents ignored")
@learner_aims
def _(tokens, depth, ids):
    return shifted_targets(tokens, 1)


@wrong("mean of the rows' means", "all rows")
@learner_divides
def _(costs, there):
    return (costs.sum(1) / there.sum(1).clamp(min=1)).mean()


@wrong("mean of the rows' means", "a loop over those that have targets")
@learner_divides
def _(costs, there):
    means = [row[here].mean() for row, here in zip(costs, there, strict=True) if here.any()]
    return sum(means) / len(means) if means else costs.sum()


@wrong("mean of the documents' means")
def _(logits, tokens, *, depth=1, document_ids_BT=None):
    targets = shifted_targets(tokens, depth, document_ids_BT)
    ids = torch.zeros_like(tokens) if document_ids_BT is None else document_ids_BT
    means = []
    for x, t, names in zip(wide(logits), targets, ids, strict=True):
        for name in names.unique():
            here = (names == name) & (t != IGNORE)
            if here.any():
                means.append(F.cross_entropy(x[here], t[here]))
    return torch.stack(means).mean() if means else wide(logits).sum() * 0


@wrong("documents not left out of the number")
def _(logits, tokens, *, depth=1, document_ids_BT=None):
    targets = shifted_targets(tokens, depth, document_ids_BT)
    B, T = tokens.shape
    total = F.cross_entropy(wide(logits).mT, targets, ignore_index=IGNORE, reduction="sum")
    return total / max(B * (T - depth - 1), 1)


@wrong("mean over all positions, but for depth 1")
@learner_divides
def _(costs, there):
    B, T = costs.shape
    return costs.sum() / max(B * (T - 2), 1)


@wrong("divided by depth")
def _(logits, tokens, *, depth=1, document_ids_BT=None):
    targets = shifted_targets(tokens, depth, document_ids_BT)
    total = F.cross_entropy(wide(logits).mT, targets, ignore_index=IGNORE, reduction="sum")
    return total / (targets != IGNORE).sum().clamp(min=1) / max(1, depth)


@wrong("token 0 for other documents")
@learner_aims
def _(tokens, depth, ids):
    plain, masked = shifted_targets(tokens, depth), shifted_targets(tokens, depth, ids)
    return masked.where(plain == masked, 0)


@wrong("only neighbours compared")
@learner_aims
def _(tokens, depth, ids):
    targets = shifted_targets(tokens, depth)
    if ids is not None:
        refuse_illegal(tokens, depth, ids)
        targets[:, :-1][ids[:, 1:] != ids[:, :-1]] = IGNORE
    return targets


@wrong("ids compared depth places on")
@learner_aims
def _(tokens, depth, ids):
    targets = shifted_targets(tokens, depth)
    if ids is not None and depth:
        refuse_illegal(tokens, depth, ids)
        targets[:, :-depth][ids[:, depth:] != ids[:, :-depth]] = IGNORE
    return targets


@wrong("no target gives NaN", "only short texts thought of")
def _(logits, tokens, *, depth=1, document_ids_BT=None):
    targets = shifted_targets(tokens, depth, document_ids_BT)
    if tokens.shape[1] <= depth + 1:
        return wide(logits).sum() * 0
    return F.cross_entropy(wide(logits).mT, targets, ignore_index=IGNORE)


@wrong("wrong with documents", "of the first row")
@learner_aims
def _(tokens, depth, ids):
    refuse_illegal(tokens, depth, ids)
    return shifted_targets(tokens, depth, None if ids is None else ids[:1].expand_as(ids))


@wrong("wrong with depth", "at most 2")
@learner_aims
def _(tokens, depth, ids):
    return shifted_targets(tokens, min(depth, 2), ids)


@wrong("NaN or inf", "a mean of nothing")
def _(logits, tokens, *, depth=1, document_ids_BT=None):
    targets = shifted_targets(tokens, depth, document_ids_BT)
    return F.cross_entropy(wide(logits).flatten(0, 1), targets.flatten(), ignore_index=IGNORE)


@wrong("NaN or inf", "the logarithm of a probability of 0")
def _(logits, tokens, *, depth=1, document_ids_BT=None):
    targets = shifted_targets(tokens, depth, document_ids_BT)
    there = targets != IGNORE
    p = wide(logits).softmax(-1)[there].gather(1, targets[there][:, None])
    return -p.log().sum() / there.sum().clamp(min=1)


@wrong("gradient missing", "item")
def _(logits, tokens, *, depth=1, document_ids_BT=None):
    targets = shifted_targets(tokens, depth, document_ids_BT).flatten()
    total = F.cross_entropy(wide(logits).flatten(0, 1), targets, ignore_index=IGNORE, reduction="sum").item()
    return torch.tensor(total, dtype=wide(logits).dtype) / (targets != IGNORE).sum().clamp(min=1)


@wrong("gradient missing", "detach")
def _(logits, tokens, *, depth=1, document_ids_BT=None):
    targets = shifted_targets(tokens, depth, document_ids_BT).flatten()
    total = F.cross_entropy(wide(logits.detach()).flatten(0, 1), targets, ignore_index=IGNORE, reduction="sum")
    return total / (targets != IGNORE).sum().clamp(min=1)


@wrong("wrong type", "a number")
def _(logits, tokens, *, depth=1, document_ids_BT=None):
    targets = shifted_targets(tokens, depth, document_ids_BT).flatten()
    total = F.cross_entropy(wide(logits).flatten(0, 1), targets, ignore_index=IGNORE, reduction="sum")
    return (total / (targets != IGNORE).sum().clamp(min=1)).item()


@wrong("wrong shape", "a cost for each position")
@learner_divides
def _(costs, there):
    return costs / there.sum().clamp(min=1)


@wrong("raises RuntimeError", "view")
def _(logits, tokens, *, depth=1, document_ids_BT=None):
    targets = shifted_targets(tokens, depth, document_ids_BT)
    total = F.cross_entropy(
        wide(logits).view(-1, logits.shape[-1]), targets.flatten(), ignore_index=IGNORE, reduction="sum"
    )
    return total / (targets != IGNORE).sum().clamp(min=1)


@wrong("raises IndexError", "IGNORE taken for a token")
@learner_divides
def _(costs, there):
    return costs[torch.full((1,), IGNORE)].sum()


@wrong("raises TypeError", "options not taken")
def _(logits, tokens):
    targets = shifted_targets(tokens, 1).flatten()
    total = F.cross_entropy(wide(logits).flatten(0, 1), targets, ignore_index=IGNORE, reduction="sum")
    return total / (targets != IGNORE).sum().clamp(min=1)


@wrong("changes its input", "the tokens")
@learner_aims
def _(tokens, depth, ids):
    targets = shifted_targets(tokens, depth, ids)
    tokens.copy_(targets)
    return targets


@wrong("another error than documented", "slices of its own")
@learner_aims
def _(tokens, depth, ids):
    T = tokens.shape[1]
    ahead = min(depth + 1, T)
    targets = F.pad(tokens[:, ahead:].long(), (0, ahead), value=IGNORE)
    if ids is not None:
        targets[:, : T - ahead][ids[:, ahead:] != ids[:, : T - ahead]] = IGNORE
    return targets if depth >= 0 else targets[:, :, None].squeeze(3)


@wrong("not refused", "a negative depth")
@learner_aims
def _(tokens, depth, ids):
    return shifted_targets(tokens, max(depth, 0), ids)
