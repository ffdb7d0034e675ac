"""Rotations as other models have them, for the mistakes of several lessons."""

import torch


def halves_turned(x, cos, sin):
    """Feature i paired with feature i + R / 2."""
    a, b = x.chunk(2, dim=-1)
    return torch.cat((a * cos - b * sin, a * sin + b * cos), dim=-1)


def not_interleaved(x, cos, sin):
    """Neighbours paired, but put back as all first features, then all second ones."""
    a, b = x[..., 0::2], x[..., 1::2]
    return torch.cat((a * cos - b * sin, a * sin + b * cos), dim=-1)
