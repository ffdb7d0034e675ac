"""The expert product: send each token through its chosen experts and add up what comes back.

    y_n = sum_k weights[n, k] * FFN_experts[n, k](x_n),   FFN_e(x) = W_down,e (silu(W_gate,e x) * W_up,e x)

Every path here computes just this, and has the same signature. ``loop`` asks each expert for its tokens in turn: read
it first. ``sliced`` sorts the (token, expert) pairs by expert once, so that each expert's rows are a slice.
``grouped`` sorts, too, and multiplies all slices by one call. Which is fastest depends on the machine and the
sizes: ``fastest`` measures it.

Source: MegaBlocks, arXiv 2211.15841, section 3 (the product over groups of unequal size, no token dropped).

Letters: N tokens, D model width, E experts, K experts per token, I inner width of an expert,
J rows (the (token, expert) pairs sorted by expert; in ``grouped`` with some padding).
"""

import statistics
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm.auto import tqdm

from mini_moe.config import ModelConfig

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


def sort_by_expert(experts_NK: Tensor, n_experts: int) -> tuple[Tensor, Tensor]:
    """Put the pairs (token, choice) in the order of their experts.

    Pair n K + k is the k-th choice of token n: its place in ``experts_NK.flatten()``.

    Returns:
        pair_J: the pairs, those of expert 0 first.
        ends_E: where each expert's pairs end; expert e has pair_J[ends_E[e - 1] : ends_E[e]].

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
    """Sort once, a product for each expert's slice, add each row to its token. Arguments as in ``loop``."""
    pair_J, ends_E = sort_by_expert(experts_NK, len(down))
    token_J = pair_J // experts_NK.shape[1]
    gate, up = sliced_linear(x_ND[token_J], gate_up, ends_E).chunk(2, dim=-1)
    y_JD = sliced_linear(F.silu(gate) * up, down, ends_E).to(x_ND.dtype)
    weight_J = weights_NK.flatten()[pair_J].to(x_ND.dtype)
    return torch.zeros_like(x_ND).index_add(0, token_J, y_JD * weight_J[:, None])


def grouped(x_ND: Tensor, weights_NK: Tensor, experts_NK: Tensor, gate_up: Tensor, down: Tensor) -> Tensor:
    """All experts at once: sort the pairs, two grouped products, sort back. Arguments as in ``loop``."""
    if x_ND.shape[1] % 8 or down.shape[2] % 8:
        raise ValueError(
            "hidden_size and moe_intermediate_size must be multiples of 8 for the grouped product, got "
            f"{x_ND.shape[1]} and {down.shape[2]}. Change them, or take the dispatch `sliced`."
        )
    pair_J, row_NK, ends_E = with_room(*sort_by_expert(experts_NK, len(down)))
    row_NK = row_NK.view_as(experts_NK)
    token_J = pair_J // experts_NK.shape[1]
    weights_J = weights_NK.new_zeros(len(pair_J)).scatter(0, row_NK.flatten(), weights_NK.flatten())
    x_JD = Spread.apply(x_ND, token_J, row_NK)
    gate, up = grouped_linear(x_JD, gate_up, ends_E).chunk(2, dim=-1)
    y_JD = grouped_linear(F.silu(gate) * up * weights_J[:, None].to(gate.dtype), down, ends_E)
    return Collect.apply(y_JD, token_J, row_NK).to(x_ND.dtype)


def with_room(pair_J: Tensor, ends_E: Tensor, multiple: int = 64) -> tuple[Tensor, Tensor, Tensor]:
    """Round the number of each expert's rows up to ``multiple``: the arguments are those that ``sort_by_expert`` gives.

    The rounding is for the CPU's matrix products, which are compiled anew for every shape not met before.

    Returns:
        pair_J: the pair n K + k of every row; 0 in rows that were added.
        row: where each pair went, in the order of the pairs.
        ends_E: int32, where each expert's rows end.
    """
    count_E = ends_E.diff(prepend=ends_E.new_zeros(1))
    room_E = (count_E + multiple - 1) // multiple * multiple
    shift_E = (room_E.cumsum(0) - room_E) - (ends_E - count_E)
    row_J = torch.arange(len(pair_J), device=pair_J.device) + shift_E.repeat_interleave(count_E)
    roomy = pair_J.new_zeros(int(room_E.sum())).scatter(0, row_J, pair_J)
    return roomy, torch.empty_like(pair_J).scatter(0, pair_J, row_J), room_E.cumsum(0).to(torch.int32)


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


PATHS: dict[str, Dispatch] = {"loop": loop, "sliced": sliced, "grouped": grouped}


def seconds(path: Dispatch, config: ModelConfig, n_tokens: int, precision: str = "float32", rounds: int = 5) -> float:
    """Median time of a forward and backward pass of one layer's experts, over random tokens and random choices.

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
    for _ in range(rounds + 2):  # the first two are not counted
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
