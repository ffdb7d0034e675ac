"""Lesson 06, `mtp_loss`: the loss in parts, of which each mistake changes one."""

import torch
import torch.nn.functional as F

from mini_moe.data import IGNORE
from mini_moe.mtp import shifted_targets


def by_position(function):
    """``function`` with its options as plain arguments, as cases have them."""

    def plain(logits_BTV, tokens_BT, depth=1, document_ids_BT=None):
        return function(logits_BTV, tokens_BT, depth=depth, document_ids_BT=document_ids_BT)

    return plain


def wide(logits):
    return logits if logits.dtype == torch.float64 else logits.float()


def nats(logits, targets):
    """-ln p of each target, 0 where there is none: (B, T)."""
    return F.cross_entropy(logits.mT, targets, ignore_index=IGNORE, reduction="none")


def mean(each, there, depth):
    return each.sum() / there.sum().clamp(min=1)


def lost(*, target=shifted_targets, cost=nats, share=mean, widen=wide):
    """The loss with one thing changed, for the mistakes.

    Args:
        target: ``target(tokens, depth, ids)``.
        cost: ``cost(logits, targets)`` of each position, 0 where there is no target.
        share: ``share(costs, there, depth)``; ``there`` are the positions that have a target.
        widen: ``widen(logits)``, to float32 at least.
    """

    def function(logits, tokens, depth=1, ids=None):
        targets = target(tokens, depth, ids)
        return share(cost(widen(logits), targets), targets != IGNORE, depth)

    return function
