"""Lesson 04: what its exercises share."""

import torch
import torch.nn.functional as F


def draw(low, high, generator):
    """A number between two others, with two digits."""
    return round(low + (high - low) * torch.rand(1, generator=generator).item(), 2)


def backwards(tensor):
    """The same numbers, in memory from the last dimension to the first: no view of it joins two dimensions."""
    return tensor.permute(*reversed(range(tensor.ndim))).contiguous().permute(*reversed(range(tensor.ndim)))


def chosen(experts, n_experts):
    """1 for each choice and the expert it fell on: (..., n, E)."""
    return F.one_hot(experts, n_experts).float()
