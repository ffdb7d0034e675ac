"""Wrong answers to `mtp_loss` that its defaults show: what a target costs."""

import math

import torch
import torch.nn.functional as F
from exercises.answers import Answers
from exercises.multi_token_prediction.mtp_loss_parts import learner_costs, wide

from mini_moe.course.exercises.multi_token_prediction.mtp_loss import EXERCISE
from mini_moe.data import IGNORE
from mini_moe.mtp import shifted_targets

ANSWERS = Answers(EXERCISE)
wrong = ANSWERS.wrong


@wrong("softmax before cross_entropy")
@learner_costs
def _(logits, targets):
    return F.cross_entropy(logits.softmax(dim=-1), targets)


@wrong("softmax over the positions")
def _(logits, tokens, *, depth=1, document_ids_BT=None):
    targets = shifted_targets(tokens, depth, document_ids_BT)
    there = targets != IGNORE
    logs = wide(logits).log_softmax(dim=1)[there].gather(1, targets[there][:, None])
    return -logs.sum() / there.sum().clamp(min=1)


@wrong("bits in place of nats")
@learner_costs
def _(logits, targets):
    return -logits.log_softmax(-1).gather(1, targets[:, None]).mean() / math.log(2)


@wrong("perplexity")
def _(logits, tokens, *, depth=1, document_ids_BT=None):
    targets = shifted_targets(tokens, depth, document_ids_BT)
    total = F.cross_entropy(wide(logits).mT, targets, ignore_index=IGNORE, reduction="sum")
    return (total / (targets != IGNORE).sum().clamp(min=1)).exp()


@wrong("sign turned")
@learner_costs
def _(logits, targets):
    return logits.log_softmax(-1).gather(1, targets[:, None]).mean()


@wrong("sign turned", "nll_loss of logarithms with a minus")
@learner_costs
def _(logits, targets):
    return F.nll_loss(-logits.log_softmax(-1), targets)


@wrong("probability in place of its logarithm", "nll_loss")
@learner_costs
def _(logits, targets):
    return F.nll_loss(logits.softmax(-1), targets)


@wrong("probability in place of its logarithm", "of being wrong")
@learner_costs
def _(logits, targets):
    return (1 - logits.softmax(-1).gather(1, targets[:, None])).mean()


@wrong("something added to the probability")
@learner_costs
def _(logits, targets):
    return -(logits.softmax(-1).gather(1, targets[:, None]) + 1e-8).log().mean()


@wrong("each token of the vocabulary by itself")
@learner_costs
def _(logits, targets):
    wanted = F.one_hot(targets, logits.shape[-1]).to(logits.dtype)
    return F.binary_cross_entropy_with_logits(logits, wanted)


@wrong("vocabulary and positions mixed up")
def _(logits, tokens, *, depth=1, document_ids_BT=None):
    targets = shifted_targets(tokens, depth, document_ids_BT)
    B, T, V = logits.shape
    total = F.cross_entropy(wide(logits).reshape(B, V, T), targets, ignore_index=IGNORE, reduction="sum")
    return total / (targets != IGNORE).sum().clamp(min=1)


@wrong("main loss added")
def _(logits, tokens, *, depth=1, document_ids_BT=None):
    def mean(depth):
        targets = shifted_targets(tokens, depth, document_ids_BT)
        total = F.cross_entropy(wide(logits).mT, targets, ignore_index=IGNORE, reduction="sum")
        return total / (targets != IGNORE).sum().clamp(min=1)

    return mean(0) + 0.3 * mean(depth)


@wrong("hits counted", "accuracy")
@learner_costs
def _(logits, targets):
    return (logits.argmax(-1) == targets).to(logits.dtype).mean()


@wrong("hits counted", "errors")
@learner_costs
def _(logits, targets):
    return (logits.argmax(-1) != targets).to(logits.dtype).mean()


@wrong("squared error")
@learner_costs
def _(logits, targets):
    return F.mse_loss(logits.softmax(-1), F.one_hot(targets, logits.shape[-1]).to(logits.dtype))


@wrong("logit in place of probability")
@learner_costs
def _(logits, targets):
    return F.nll_loss(logits, targets)


@wrong("lambda included")
@learner_costs
def _(logits, targets):
    return 0.3 * F.cross_entropy(logits, targets)


@wrong("computed in 16 bits", "widened after")
def _(logits, tokens, *, depth=1, document_ids_BT=None):
    targets = shifted_targets(tokens, depth, document_ids_BT).flatten()
    total = F.cross_entropy(logits.flatten(0, 1), targets, ignore_index=IGNORE, reduction="sum")
    loss = total / (targets != IGNORE).sum().clamp(min=1)
    return loss if loss.dtype == torch.float64 else loss.float()


@wrong("computed in 16 bits", "everything rounded to bfloat16")
def _(logits, tokens, *, depth=1, document_ids_BT=None):
    targets = shifted_targets(tokens, depth, document_ids_BT).flatten()
    rounded = wide(logits).bfloat16().to(wide(logits).dtype).flatten(0, 1)
    total = F.cross_entropy(rounded, targets, ignore_index=IGNORE, reduction="sum")
    return total / (targets != IGNORE).sum().clamp(min=1)


@wrong("computed in 16 bits", "and left there")
def _(logits, tokens, *, depth=1, document_ids_BT=None):
    targets = shifted_targets(tokens, depth, document_ids_BT).flatten()
    total = F.cross_entropy(logits.flatten(0, 1), targets, ignore_index=IGNORE, reduction="sum")
    return total / (targets != IGNORE).sum().clamp(min=1)


@wrong("fewer bits than float32", "the result rounded")
def _(logits, tokens, *, depth=1, document_ids_BT=None):
    targets = shifted_targets(tokens, depth, document_ids_BT).flatten()
    total = F.cross_entropy(wide(logits).flatten(0, 1), targets, ignore_index=IGNORE, reduction="sum")
    return (total.to(logits.dtype) / 7).to(total.dtype) / (targets != IGNORE).sum().clamp(min=1) * 7


@wrong("float64 narrowed")
def _(logits, tokens, *, depth=1, document_ids_BT=None):
    targets = shifted_targets(tokens, depth, document_ids_BT).flatten()
    total = F.cross_entropy(logits.float().flatten(0, 1), targets, ignore_index=IGNORE, reduction="sum")
    return total / (targets != IGNORE).sum().clamp(min=1)


@wrong("rounded")
def _(logits, tokens, *, depth=1, document_ids_BT=None):
    targets = shifted_targets(tokens, depth, document_ids_BT)
    total = F.cross_entropy(wide(logits).mT, targets, ignore_index=IGNORE, reduction="sum")
    return torch.round(total / (targets != IGNORE).sum().clamp(min=1), decimals=3)


@wrong("labels smoothed")
@learner_costs
def _(logits, targets):
    return F.cross_entropy(logits, targets, label_smoothing=0.1)


@wrong("only one text")
def _(logits, tokens, *, depth=1, document_ids_BT=None):
    targets = shifted_targets(tokens, depth, document_ids_BT)[0]
    total = F.cross_entropy(wide(logits)[0], targets, ignore_index=IGNORE, reduction="sum")
    return total / (targets != IGNORE).sum().clamp(min=1)


@wrong("only one target", "the first")
def _(logits, tokens, *, depth=1, document_ids_BT=None):
    targets = shifted_targets(tokens, depth, document_ids_BT)[:, 0]
    total = F.cross_entropy(wide(logits)[:, 0], targets, ignore_index=IGNORE, reduction="sum")
    return total / (targets != IGNORE).sum().clamp(min=1)
