"""What the answers to `shifted_targets` share."""

import torch
import torch.nn.functional as F

from mini_moe.data import IGNORE


def refuse_illegal(tokens, depth, ids):
    if depth < 0:
        raise ValueError(f"depth must not be negative, got {depth}")
    if ids is not None and ids.shape != tokens.shape:
        raise ValueError(f"as many ids as tokens, please, got {ids.shape}")


def learner_moves(move):
    """A learner's answer that is right but for ``move(x, ahead, fill)``."""

    def learner(tokens, depth, ids=None):
        refuse_illegal(tokens, depth, ids)
        targets = move(tokens.long(), depth + 1, IGNORE)
        if ids is not None:
            ahead = min(depth + 1, tokens.shape[1])
            same = F.pad(ids[:, ahead:], (0, ahead)) == ids
            same[:, tokens.shape[1] - ahead :] = True  # nothing to take back there
            targets = torch.where(same, targets, IGNORE)
        return targets

    return learner
