"""The expert product: send each token through its chosen experts and add up what comes back.

    y_n = sum_k weights[n, k] * FFN_experts[n, k](x_n),   FFN_e(x) = W_down,e (silu(W_gate,e x) * W_up,e x)

Every function here computes just this, and has the same signature. ``loop`` is the definition, one expert after the
other: read it first, it is the oracle in the tests. ``grouped`` sorts the (token, expert) pairs by expert, so that each
expert's rows stand together, and multiplies all groups by one call.

Source: MegaBlocks, arXiv 2211.15841, section 3 (the product over groups of unequal size, no token dropped).

Letters: N tokens, D model width, E experts, K experts per token, I inner width of an expert,
J rows (the (token, expert) pairs sorted by expert, and some padding).
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
    if x_ND.shape[1] % 8 or down.shape[2] % 8:
        raise ValueError(
            "hidden_size and moe_intermediate_size must be multiples of 8 for the grouped product, got "
            f"{x_ND.shape[1]} and {down.shape[2]}. Change them, or take the dispatch `loop`."
        )
    pair_J, row_NK, ends_E = sort_by_expert(experts_NK, len(down))
    token_J = pair_J // experts_NK.shape[1]
    weights_J = weights_NK.new_zeros(len(pair_J)).scatter(0, row_NK.flatten(), weights_NK.flatten())
    x_JD = Spread.apply(x_ND, token_J, row_NK)
    gate, up = grouped_linear(x_JD, gate_up, ends_E).chunk(2, dim=-1)
    y_JD = grouped_linear(F.silu(gate) * up * weights_J[:, None].to(gate.dtype), down, ends_E)
    return Collect.apply(y_JD, token_J, row_NK).to(x_ND.dtype)


def sort_by_expert(experts_NK: Tensor, n_experts: int, multiple: int = 64) -> tuple[Tensor, Tensor, Tensor]:
    """Give each pair a row, so that an expert's rows stand together, their number rounded up to ``multiple``.

    The rounding is for the CPU's matrix products, which are compiled anew for every shape not met before.

    Returns:
        pair_J: the pair n K + k of every row; 0 in rows that were added.
        row_NK: where each pair went.
        ends_E: int32, where each expert's rows end.
    """
    expert, order = experts_NK.flatten().sort(stable=True)
    count_E = expert.bincount(minlength=n_experts)
    room_E = (count_E + multiple - 1) // multiple * multiple
    ends_E = room_E.cumsum(0)
    shift_E = (ends_E - room_E) - (count_E.cumsum(0) - count_E)
    row = torch.arange(len(order), device=order.device) + shift_E[expert]
    pair_J = order.new_zeros(int(ends_E[-1])).scatter(0, row, order)
    row_NK = torch.empty_like(order).scatter(0, order, row).view_as(experts_NK)
    return pair_J, row_NK, ends_E.to(torch.int32)


def grouped_linear(x_JD: Tensor, weight: Tensor, ends_E: Tensor) -> Tensor:
    """Rows ends[e - 1] to ends[e] of x times the transposed matrix e of ``weight``, (E, out, in)."""
    if torch.is_autocast_enabled(x_JD.device.type):
        dtype = torch.get_autocast_dtype(x_JD.device.type)
        x_JD, weight = x_JD.to(dtype), weight.to(dtype)
    return F.grouped_mm(x_JD, weight.transpose(1, 2), offs=ends_E)


class Spread(torch.autograd.Function):
    """Row j of the result is the token of row j. Backward, a token sums the gradients of its K rows."""

    @staticmethod
    def forward(ctx, x_ND: Tensor, token_J: Tensor, row_NK: Tensor) -> Tensor:
        ctx.save_for_backward(row_NK)
        return x_ND.index_select(0, token_J)

    @staticmethod
    def backward(ctx, grad_JD: Tensor):
        (row_NK,) = ctx.saved_tensors
        return F.embedding_bag(row_NK, grad_JD, mode="sum"), None, None


class Collect(torch.autograd.Function):
    """The way back, the transpose of ``Spread``: each token sums its K rows."""

    @staticmethod
    def forward(ctx, y_JD: Tensor, token_J: Tensor, row_NK: Tensor) -> Tensor:
        ctx.save_for_backward(token_J)
        return F.embedding_bag(row_NK, y_JD, mode="sum")

    @staticmethod
    def backward(ctx, grad_ND: Tensor):
        (token_J,) = ctx.saved_tensors
        return grad_ND.index_select(0, token_J), None, None
