"""The expert product: send each token through its chosen experts and add up what comes back.

    y_n = sum_k weights[n, k] * FFN_experts[n, k](x_n),   FFN_e(x) = W_down,e (silu(W_gate,e x) * W_up,e x)

Every function here computes just this, and has the same signature. ``loop`` is the definition, one expert after the
other: read it first, it is the oracle in the tests. ``grouped`` sorts the (token, expert) pairs by expert, so that each
expert's rows stand together, and multiplies all groups by one call.

Source: MegaBlocks, arXiv 2211.15841, section 3 (the product over groups of unequal size, no token dropped).

Letters: N tokens, D model width, E experts, K experts per token, I inner width of an expert, P pairs (N * K).
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

Dispatch = Callable[[Tensor, Tensor, Tensor, Tensor, Tensor], Tensor]


def loop(x_ND: Tensor, weights_NK: Tensor, experts_NK: Tensor, gate_up: Tensor, down: Tensor) -> Tensor:
    """One expert at a time: gather its tokens, compute, add to the result.

    Args:
        x_ND: the tokens.
        weights_NK: gate weights.
        experts_NK: int64, the experts of each token.
        gate_up: (E, 2 I, D), the gate's rows above those of the up-projection.
        down: (E, D, I)

    Returns:
        (N, D), in the type of ``x_ND``.
    """
    y_ND = torch.zeros_like(x_ND)
    for expert in range(len(down)):
        token, choice = (experts_NK == expert).nonzero(as_tuple=True)
        gate, up = F.linear(x_ND[token], gate_up[expert]).chunk(2, dim=-1)
        out = F.linear(F.silu(gate) * up, down[expert])
        y_ND = y_ND.index_add(0, token, out.to(y_ND.dtype) * weights_NK[token, choice, None].to(y_ND.dtype))
    return y_ND


def grouped(x_ND: Tensor, weights_NK: Tensor, experts_NK: Tensor, gate_up: Tensor, down: Tensor) -> Tensor:
    """All experts at once: sort the pairs by expert, two grouped products, sort back. Arguments as in ``loop``."""
    K = experts_NK.shape[1]
    expert_P, order_P = experts_NK.flatten().sort(stable=True)
    place_NK = torch.empty_like(order_P).scatter(0, order_P, torch.arange(len(order_P), device=x_ND.device)).view(-1, K)
    ends_E = torch.searchsorted(expert_P, torch.arange(len(down), device=x_ND.device), right=True).to(torch.int32)
    x_PD = Spread.apply(x_ND, order_P, place_NK)
    gate, up = grouped_linear(x_PD, gate_up, ends_E).chunk(2, dim=-1)
    y_PD = grouped_linear(F.silu(gate) * up, down, ends_E)
    return Gather.apply(y_PD, weights_NK.to(y_PD.dtype), order_P, place_NK).to(x_ND.dtype)


def grouped_linear(x_PD: Tensor, weight: Tensor, ends_E: Tensor) -> Tensor:
    """Rows ends[e - 1] to ends[e] of x times the transposed matrix e of ``weight``, (E, out, in)."""
    if torch.is_autocast_enabled(x_PD.device.type):
        dtype = torch.get_autocast_dtype(x_PD.device.type)
        x_PD, weight = x_PD.to(dtype), weight.to(dtype)
    return F.grouped_mm(x_PD, weight.transpose(1, 2), offs=ends_E)


class Spread(torch.autograd.Function):
    """Row p of the result is the token of pair p. Backward, a token gathers the gradients of its K pairs.

    Autograd's own backward of ``x[index]`` adds row by row; to gather and sum is one read of memory.
    """

    @staticmethod
    def forward(ctx, x_ND: Tensor, order_P: Tensor, place_NK: Tensor) -> Tensor:
        ctx.save_for_backward(place_NK)
        return x_ND[order_P // place_NK.shape[1]]

    @staticmethod
    def backward(ctx, grad_PD: Tensor):
        (place_NK,) = ctx.saved_tensors
        return grad_PD[place_NK].sum(dim=1), None, None


class Gather(torch.autograd.Function):
    """The way back: each token takes the weighted sum of the rows of its K pairs."""

    @staticmethod
    def forward(ctx, y_PD: Tensor, weights_NK: Tensor, order_P: Tensor, place_NK: Tensor) -> Tensor:
        ctx.save_for_backward(y_PD, weights_NK, order_P, place_NK)
        return (y_PD[place_NK] * weights_NK[..., None]).sum(dim=1)

    @staticmethod
    def backward(ctx, grad_ND: Tensor):
        y_PD, weights_NK, order_P, place_NK = ctx.saved_tensors
        token_P = order_P // place_NK.shape[1]
        grad_y_PD = grad_ND[token_P] * weights_NK.flatten()[order_P, None]
        grad_weights_NK = (y_PD[place_NK] * grad_ND[:, None]).sum(dim=-1)
        return grad_y_PD, grad_weights_NK, None, None
