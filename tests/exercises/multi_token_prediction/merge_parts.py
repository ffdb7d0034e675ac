"""A merge in parts, of which each wrong answer changes one."""

import torch
import torch.nn.functional as F

from mini_moe.layers import rms_norm


def refuse_illegal(depth):
    if depth < 1:
        raise ValueError(f"depth must be 1 or more, got {depth}")


def later(tokens, depth):
    return F.pad(tokens, (0, depth))[:, depth:]


def learner_reads(read):
    """A learner's answer that is right but for ``read(tokens, depth)``, the tokens."""

    def learner(hidden, tokens, depth, embedding, hnorm, enorm, w, eps=1e-6):
        refuse_illegal(depth)
        e = rms_norm(embedding[read(tokens, depth)], enorm, eps)
        return F.linear(torch.cat([e, rms_norm(hidden, hnorm, eps)], -1), w)

    return learner


def learner_joins(join):
    """A learner's answer that is right but for ``join(e, h, enorm, hnorm, w, eps)``, all from the embedding on."""

    def learner(hidden, tokens, depth, embedding, hnorm, enorm, w, eps=1e-6):
        refuse_illegal(depth)
        return join(F.embedding(later(tokens, depth), embedding), hidden, enorm, hnorm, w, eps)

    return learner
