"""The expert product: send each token through its chosen experts and add up what comes back.

    y_n = sum_k weights[n, k] * FFN_experts[n, k](x_n),   FFN_e(x) = w_down,e (silu(w_gate,e x) * w_up,e x)

Every path here computes just this, and has the same signature. ``loop`` asks each expert for its tokens in turn: read
it first. ``sliced`` sorts the (token, expert) pairs by expert once, so that each expert's rows are a slice.
``grouped`` sorts the experts, too, by load, and multiplies several by one call. Which is fastest depends on the
machine and the sizes: ``fastest`` measures it.

Source: MegaBlocks, arXiv 2211.15841, section 4 (the product over groups of unequal size, no token dropped).

Letters: N tokens, D model width, E experts, K experts per token, I inner width of an expert,
J the (token, expert) pairs sorted by expert, U rows of the batches in ``grouped``: the pairs and some padding.
"""

import statistics
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm.auto import tqdm

from mini_moe.config import ModelConfig
from mini_moe.fused import type_of_products

ROOM = 32  # rows of an expert are a multiple of this

Dispatch = Callable[[Tensor, Tensor, Tensor, Tensor, Tensor], Tensor]


def loop(x_ND: Tensor, weights_NK: Tensor, experts_NK: Tensor, gate_up: Tensor, down: Tensor) -> Tensor:
    """One expert at a time: gather its tokens, compute, add to the result.

    Args:
        x_ND: the tokens.
        weights_NK: gate weights; float32 ones may go with bfloat16 tokens.
        experts_NK: int64, the experts of each token, no two of them alike.
        gate_up: (E, 2 I, D), the gate's rows above those of the up-projection.
        down: (E, D, I)

    Returns:
        (N, D), in the type of ``x_ND``, whatever the type of ``weights_NK``.
    """
    y_ND = torch.zeros_like(x_ND)
    for expert in range(len(down)):
        token, choice = (experts_NK == expert).nonzero(as_tuple=True)
        gate, up = F.linear(x_ND[token], gate_up[expert]).chunk(2, dim=-1)
        out = F.linear(F.silu(gate) * up, down[expert])
        y_ND = y_ND.index_add(0, token, out.to(y_ND.dtype) * weights_NK[token, choice, None].to(y_ND.dtype))
    return y_ND


def sort_by_expert(experts_NK: Tensor, n_experts: int) -> tuple[Tensor, Tensor]:
    """Put the pairs (token, choice) in the order of their experts.

    Pair n K + k is the k-th choice of token n: its place in ``experts_NK.flatten()``.

    Returns:
        pair_J: int64, the pairs, those of expert 0 first; those of one expert in any order.
        ends_E: int64, where each expert's pairs end; expert e has pair_J[ends_E[e - 1] : ends_E[e]].

    >>> sort_by_expert(torch.tensor([[2, 0], [0, 3]]), n_experts=4)  # expert 1 has none
    (tensor([1, 2, 0, 3]), tensor([2, 2, 3, 4]))
    """
    expert = experts_NK.flatten()
    return expert.argsort(stable=True), expert.bincount(minlength=n_experts).cumsum(0)


def sliced_linear(x_JD: Tensor, weight: Tensor, ends_E: Tensor) -> Tensor:
    """The grouped product: each slice of rows meets the matrix of its own expert.

        y[j] = weight[e] x[j]  for ends[e - 1] <= j < ends[e]

    Args:
        x_JD: rows sorted by expert.
        weight: (E, out, D)
        ends_E: from ``sort_by_expert``.

    Returns:
        (J, out)

    >>> rows, weight = torch.tensor([[1.0], [2.0], [3.0]]), torch.tensor([[[1.0]], [[7.0]], [[10.0]]])
    >>> sliced_linear(rows, weight, torch.tensor([2, 2, 3]))
    tensor([[ 1.],
            [ 2.],
            [30.]])
    """
    sizes = ends_E.diff(prepend=ends_E.new_zeros(1)).tolist()
    return torch.cat([F.linear(rows, w) for rows, w in zip(x_JD.split(sizes), weight, strict=True)])


def sliced(x_ND: Tensor, weights_NK: Tensor, experts_NK: Tensor, gate_up: Tensor, down: Tensor) -> Tensor:
    """Sort once, a product for each expert's slice, add each row to its token. Arguments and result as in ``loop``."""
    pair_J, ends_E = sort_by_expert(experts_NK, len(down))
    token_J = pair_J // experts_NK.shape[1]
    gate, up = sliced_linear(x_ND[token_J], gate_up, ends_E).chunk(2, dim=-1)
    y_JD = sliced_linear(F.silu(gate) * up, down, ends_E).to(x_ND.dtype)
    weight_J = weights_NK.flatten()[pair_J].to(x_ND.dtype)
    return torch.zeros_like(x_ND).index_add(0, token_J, y_JD * weight_J[:, None])


def grouped(x_ND: Tensor, weights_NK: Tensor, experts_NK: Tensor, gate_up: Tensor, down: Tensor) -> Tensor:
    """Sort once, then several experts in one batched product, forward and backward. Arguments as in ``loop``.

    With fewer pairs than fill a room, as in decoding, there is nothing to batch: ``sliced`` is faster then.
    """
    if experts_NK.numel() < ROOM:
        return sliced(x_ND, weights_NK, experts_NK, gate_up, down)
    return ExpertProduct.apply(x_ND, weights_NK, experts_NK, gate_up, down)


def with_room(experts_NK: Tensor, n_experts: int) -> tuple[list[Tensor], list[int], Tensor]:
    """Sort the experts by load and cut them into batches, within which all have as much room as the busiest.

    Neighbours in this order have about the same load, so little room stays empty, unless a few experts of one batch
    have nearly all the load. Room is a multiple of ROOM: the CPU's library prepares a product anew for every shape not
    met before.

    Returns:
        the experts of each batch, and the number of rows that each of them has.
        row_NK: the row of each pair, counted through all batches.
    """
    count_E = experts_NK.flatten().bincount(minlength=n_experts)
    order_E = count_E.argsort(stable=True)
    pair_J, ends_E = sort_by_expert(order_E.argsort()[experts_NK], n_experts)
    batch = max(4, n_experts // 4)
    place_E = torch.arange(n_experts, device=experts_NK.device)
    busiest_E = (place_E // batch * batch + batch - 1).clamp(max=n_experts - 1)
    count_E = count_E[order_E]
    room_E = (count_E[busiest_E] + ROOM - 1) // ROOM * ROOM
    shift_E = (room_E.cumsum(0) - room_E) - (ends_E - count_E)
    row_J = torch.arange(len(pair_J), device=experts_NK.device) + shift_E.repeat_interleave(count_E)
    row_NK = torch.empty_like(pair_J).scatter(0, pair_J, row_J).view_as(experts_NK)
    return list(order_E.split(batch)), room_E[::batch].tolist(), row_NK


class ExpertProduct(torch.autograd.Function):
    """``grouped``, with a backward pass of its own: autograd would keep, and pass through memory, a lot more.

    y = sum of a token's rows w_down h,  h = weight a up,  a = silu(gate),  (gate, up) = w_gate_up x
    dweight = dz . (a up),  dup = weight dz a,  dgate = silu'(gate) weight dz up  with dz = w_down^T dy
    """

    @staticmethod
    def forward(ctx, x_ND: Tensor, weights_NK: Tensor, experts_NK: Tensor, gate_up: Tensor, down: Tensor) -> Tensor:
        dtype = type_of_products(x_ND)
        experts, rooms, row_NK = with_room(experts_NK, len(down))
        sizes = [len(some) * room for some, room in zip(experts, rooms, strict=True)]
        pair_U = row_NK.new_zeros(sum(sizes)).scatter(
            0, row_NK.flatten(), torch.arange(row_NK.numel(), device=row_NK.device)
        )
        token_U = pair_U // row_NK.shape[1]
        weights_U = weights_NK.new_zeros(sum(sizes)).scatter(0, row_NK.flatten(), weights_NK.flatten()).to(dtype)
        x_typed, kept = x_ND.to(dtype), []
        y_UD = x_typed.new_empty(sum(sizes), x_ND.shape[1])
        rows = (t.split(sizes) for t in (token_U, weights_U, y_UD))
        for some, room, token, w, y in zip(experts, rooms, *rows, strict=True):
            w_gate_up, w_down = (matrices.index_select(0, some).to(dtype) for matrices in (gate_up, down))
            x = x_typed.index_select(0, token).view(len(some), room, x_ND.shape[1])
            gate_and_up = torch.bmm(x, w_gate_up.mT)
            gate, up = gate_and_up.chunk(2, dim=-1)
            h = F.silu(gate).mul_(up).mul_(w.view(len(some), room, 1))
            torch.bmm(h, w_down.mT, out=y.view_as(x))
            kept += x, gate_and_up, w_gate_up, w_down
        ctx.save_for_backward(row_NK, token_U, weights_U, gate_up, down, *kept)
        ctx.experts, ctx.sizes, ctx.dtypes = experts, sizes, (x_ND.dtype, weights_NK.dtype)
        return F.embedding_bag(row_NK, y_UD, mode="sum").to(x_ND.dtype)

    @staticmethod
    def backward(ctx, grad_ND: Tensor):
        row_NK, token_U, weights_U, gate_up, down, *kept = ctx.saved_tensors
        grad_ND = grad_ND.to(weights_U.dtype)
        grad_gate_up, grad_down, grad_weights_U = (torch.empty_like(t) for t in (gate_up, down, weights_U))
        grad_x_UD = grad_ND.new_empty(len(token_U), grad_ND.shape[1])
        rows = (t.split(ctx.sizes) for t in (token_U, weights_U, grad_weights_U, grad_x_UD))
        for some, x, gate_and_up, w_gate_up, w_down, token, w, grad_w, grad_x in zip(
            ctx.experts, *(kept[i::4] for i in range(4)), *rows, strict=True
        ):
            w, grad_w = (t.view(*x.shape[:2], 1) for t in (w, grad_w))
            gate, up = gate_and_up.chunk(2, dim=-1)
            a = F.silu(gate)
            au = a * up
            grad_y = grad_ND.index_select(0, token).view_as(x)
            dz = torch.bmm(grad_y, w_down)
            torch.sum(au * dz, dim=-1, keepdim=True, out=grad_w)
            grad_down.index_copy_(0, some, torch.bmm(grad_y.mT, au.mul_(w)).to(down.dtype))
            dz *= w
            grad_gate_and_up = torch.empty_like(gate_and_up)
            grad_gate, grad_up = grad_gate_and_up.chunk(2, dim=-1)
            torch.mul(dz, a, out=grad_up)
            torch.ops.aten.silu_backward.grad_input(dz.mul_(up), gate, grad_input=grad_gate)
            grad_gate_up.index_copy_(0, some, torch.bmm(grad_gate_and_up.mT, x).to(gate_up.dtype))
            torch.bmm(grad_gate_and_up, w_gate_up, out=grad_x.view_as(x))
        grad_x_ND = F.embedding_bag(row_NK, grad_x_UD, mode="sum").to(ctx.dtypes[0])
        return grad_x_ND, grad_weights_U[row_NK].to(ctx.dtypes[1]), None, grad_gate_up, grad_down


PATHS: dict[str, Dispatch] = {"loop": loop, "sliced": sliced, "grouped": grouped}


def seconds(path: Dispatch, config: ModelConfig, n_tokens: int, precision: str = "float32") -> float:
    """Median seconds of a forward and backward pass of one layer's experts, over random tokens and random choices.

    Args:
        precision: "float32", or "bfloat16" for autocast.
    """
    generator = torch.Generator().manual_seed(0)
    E, K, D, I = config.n_routed_experts, config.num_experts_per_tok, config.hidden_size, config.moe_intermediate_size
    experts_NK = torch.rand(n_tokens, E, generator=generator).topk(K).indices
    inputs = [
        torch.randn(shape, generator=generator).requires_grad_()
        for shape in ((n_tokens, D), (n_tokens, K), (E, 2 * I, D), (E, D, I))
    ]
    x_ND, weights_NK, gate_up, down = inputs
    times = []
    for _ in range(7):  # the first two are not counted
        start = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
            y_ND = path(x_ND, weights_NK, experts_NK, gate_up, down)
        torch.autograd.grad(y_ND.sum(), inputs)
        times.append(time.perf_counter() - start)
    return statistics.median(times[2:])


def fastest(config: ModelConfig, n_tokens: int, precision: str = "float32") -> str:
    """The name in ``PATHS`` of the path that takes the least time here, now, at these sizes: it is measured."""
    times = {
        name: seconds(path, config, n_tokens, precision)
        for name, path in tqdm(PATHS.items(), desc=f"timing the expert product, {precision}", leave=False)
    }
    return min(times, key=times.get)
