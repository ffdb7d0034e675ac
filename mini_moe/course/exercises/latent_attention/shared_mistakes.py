"""Lesson 02: what the mistakes of several exercises are made of."""

import torch
import torch.nn.functional as F

EPS = torch.finfo(torch.float32).eps  # the default of torch's own norm


def unit(x, eps):
    """Divided by its root mean square, without a weight."""
    return F.rms_norm(x, x.shape[-1:], eps=eps)
