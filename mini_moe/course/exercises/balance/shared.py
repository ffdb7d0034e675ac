"""Lesson 04: numbers for the cases."""

import torch


def draw(low, high, generator):
    """A number between two others, with two digits."""
    return round(low + (high - low) * torch.rand(1, generator=generator).item(), 2)
