"""Wrong answers to `mtp_loss` that its defaults show: which target, and what the costs are divided by."""

import torch
import torch.nn.functional as F
from exercises.answers import Answers
from exercises.multi_token_prediction.mtp_loss_parts import (
    learner_aims,
    learner_costs,
    learner_divides,
    learner_slices,
    wide,
)

from mini_moe.course.exercises.multi_token_prediction.mtp_loss import EXERCISE
from mini_moe.data import IGNORE
from mini_moe.mtp import shifted_targets

ANSWERS = Answers(EXERCISE)
wrong = ANSWERS.wrong


@wrong("target of depth 0", "depth in place of depth + 1")
@learner_aims
def _(tokens, depth, ids):
    if depth < 1:
        return shifted_targets(tokens, depth, ids)
    return shifted_targets(tokens, depth - 1, ids)


@wrong("target of depth 0", "another default")
def _(logits, tokens, *, depth=0, document_ids_BT=None):
    targets = shifted_targets(tokens, depth, document_ids_BT).flatten()
    total = F.cross_entropy(wide(logits).flatten(0, 1), targets, ignore_index=IGNORE, reduction="sum")
    return total / (targets != IGNORE).sum().clamp(min=1)


@wrong("target one too far")
@learner_aims
def _(tokens, depth, ids):
    return shifted_targets(tokens, depth + 1, ids)


@wrong("tokens not moved")
@learner_aims
def _(tokens, depth, ids):
    return tokens


@wrong("wrapped around")
@learner_aims
def _(tokens, depth, ids):
    return tokens.roll(-depth - 1, dims=1)


@wrong("wrapped around", "all rows as one")
@learner_aims
def _(tokens, depth, ids):
    return tokens.flatten().roll(-depth - 1).view(tokens.shape) if tokens.is_contiguous() else tokens.roll(-depth - 1)


@wrong("last token repeated")
@learner_aims
def _(tokens, depth, ids):
    T = tokens.shape[1]
    return tokens[:, (torch.arange(T) + depth + 1).clamp(max=T - 1)]


@wrong("token 0 after the end", "F.pad")
@learner_aims
def _(tokens, depth, ids):
    return F.pad(tokens, (0, depth + 1))[:, depth + 1 :]


@wrong("logits moved the wrong way", "slices")
def _(logits, tokens, *, depth=1, document_ids_BT=None):
    return learner_slices(lambda x, depth: x[:, depth + 1 :], lambda x, depth: x[:, : -depth - 1])(
        logits, tokens, depth=depth
    )


@wrong("both moved")
def _(logits, tokens, *, depth=1, document_ids_BT=None):
    return learner_slices(lambda x, depth: x[:, depth + 1 :], lambda x, depth: x[:, depth + 1 :])(
        logits, tokens, depth=depth
    )


@wrong("logits moved by one, too")
def _(logits, tokens, *, depth=1, document_ids_BT=None):
    return learner_slices(lambda x, depth: x[:, 1:], lambda x, depth: x[:, depth + 1 :])(logits, tokens, depth=depth)


@wrong("mean over all positions", "mean of none")
@learner_divides
def _(costs, there):
    return costs.mean()


@wrong("mean over all positions", "numel")
@learner_divides
def _(costs, there):
    return costs.sum() / there.numel()


@wrong("divided by B (T - 1)")
@learner_divides
def _(costs, there):
    B, T = costs.shape
    return costs.sum() / max(B * (T - 1), 1)


@wrong("sum in place of mean")
@learner_costs
def _(logits, targets):
    return F.cross_entropy(logits, targets, reduction="sum")


@wrong("mean of a row, sum over rows")
@learner_divides
def _(costs, there):
    return (costs.sum(dim=1) / there.sum(dim=1).clamp(min=1)).sum()


@wrong("divided by the vocabulary")
@learner_costs
def _(logits, targets):
    wanted = F.one_hot(targets, logits.shape[-1])
    return -(wanted * logits.log_softmax(dim=-1)).mean()


@wrong("something added to the number", "1")
@learner_divides
def _(costs, there):
    return costs.sum() / (1 + there.sum())


@wrong("something added to the number", "little")
@learner_divides
def _(costs, there):
    return costs.sum() / (there.sum() + 1e-3)


@wrong("sum over each text")
@learner_divides
def _(costs, there):
    return costs.sum(dim=1).mean()


@wrong("logits moved to the right")
def _(logits, tokens, *, depth=1, document_ids_BT=None):
    targets = shifted_targets(tokens, depth, document_ids_BT)
    total = F.cross_entropy(wide(logits).roll(1, dims=1).mT, targets, ignore_index=IGNORE, reduction="sum")
    return total / (targets != IGNORE).sum().clamp(min=1)
