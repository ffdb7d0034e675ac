"""A loss in parts, of which each wrong answer changes one."""

import torch
import torch.nn.functional as F

from mini_moe.data import IGNORE
from mini_moe.mtp import shifted_targets


def wide(logits):
    return logits if logits.dtype == torch.float64 else logits.float()


def learner_aims(aim):
    """A learner's answer that is right but for ``aim(tokens, depth, ids)``, the targets."""

    def learner(logits, tokens, *, depth=1, document_ids_BT=None):
        targets = aim(tokens, depth, document_ids_BT).long()
        total = F.cross_entropy(wide(logits).flatten(0, 1), targets.flatten(), ignore_index=IGNORE, reduction="sum")
        return total / (targets != IGNORE).sum().clamp(min=1)

    return learner


def learner_costs(cost):
    """A learner's answer that is right but for ``cost(logits, targets)``, from the flat ones that count."""

    def learner(logits, tokens, *, depth=1, document_ids_BT=None):
        targets = shifted_targets(tokens, depth, document_ids_BT)
        there = targets != IGNORE
        if not there.any():
            return wide(logits).sum() * 0
        return cost(wide(logits)[there], targets[there])

    return learner


def learner_divides(divide):
    """A learner's answer that is right but for ``divide(costs, there)``, both (B, T)."""

    def learner(logits, tokens, *, depth=1, document_ids_BT=None):
        targets = shifted_targets(tokens, depth, document_ids_BT)
        costs = F.cross_entropy(wide(logits).mT, targets, reduction="none", ignore_index=IGNORE)
        return divide(costs, targets != IGNORE)

    return learner


def learner_slices(of_logits, of_tokens):
    """A learner's answer that pairs two slices of the sequence and averages."""

    def learner(logits, tokens, *, depth=1, document_ids_BT=None):
        p, t = of_logits(wide(logits), depth), of_tokens(tokens, depth)
        n = min(p.shape[1], t.shape[1])
        if not n:
            return wide(logits).sum() * 0
        return F.cross_entropy(p[:, :n].flatten(0, 1), t[:, :n].flatten().long())

    return learner
