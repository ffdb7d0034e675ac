"""Two ways to compute the same thing, compared in values and in gradients."""

import torch


def random(*shape, seed=0, dtype=torch.float64):
    """Standard normal numbers that want a gradient."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype).requires_grad_()


def assert_same_with_gradients(ours, theirs, inputs):
    """Same values, and the same gradients to every input."""
    torch.testing.assert_close(ours, theirs)
    direction = torch.randn_like(ours)
    for one, other in zip(
        torch.autograd.grad((ours * direction).sum(), inputs),
        torch.autograd.grad((theirs * direction).sum(), inputs),
        strict=True,
    ):
        torch.testing.assert_close(one, other)
