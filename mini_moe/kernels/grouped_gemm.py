"""The grouped product in Triton: rows sorted by expert, each multiplied by the matrix of its own expert.

    y[j] = weight[e] x[j]  for ends[e - 1] <= j < ends[e]

``dispatch.sliced_linear`` computes the same with a product for each expert. A product with few rows leaves most of a
GPU idle, and each is launched by itself. Here all of them are one launch. The host cuts the rows into tiles, none with
rows of two experts (``tiles.tile_table``); a program takes one tile, looks up whose it is, and so knows which matrix to
read. No row is padded, no token dropped. The gradients are products of the same kind:

    grad x[j]       = weight[e]^T grad y[j]               the same kernel, with the matrices read transposed
    grad weight[e]  = sum over e's rows j of grad y[j] x[j]^T    a program for each tile of each matrix

What is simplified: all sizes of tiles are fixed. Measuring which are best, for each shape anew, is left out; so are
programs that stay and take one tile after another (as in Triton's own grouped product), which spares launching them.

On a GPU Triton compiles these kernels. With TRITON_INTERPRET=1 in the environment before this module is imported, its
interpreter runs them by NumPy: slow, but on any computer, and one can put a print into a kernel.

Source: after MegaBlocks, arXiv 2211.15841, section 5.1. Unlike MegaBlocks, which pads the rows of each expert to a
multiple of 128 (5.2), a tile may be short: its rows are masked.

Letters: E experts, J rows, D width of a row, O width of a result's row, Z tiles.
In the gradient of x the two widths change places.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.autograd.function import once_differentiable

from mini_moe.kernels.tiles import tile_table

DTYPES = (torch.float32, torch.float16, torch.bfloat16)


@triton.jit
def rows_kernel(
    x_JD, weight_EOD, y_JO, ends_E, expert_Z, row_Z, O, D, x_j, x_d, weight_e, weight_o, weight_d,
    TILE_J: tl.constexpr, TILE_O: tl.constexpr, TILE_D: tl.constexpr,
):  # fmt: skip
    """One tile of y: TILE_J rows of one expert by TILE_O columns. ``x_j`` is how far apart rows of x lie, and so on."""
    expert = tl.load(expert_Z + tl.program_id(0))
    # The tables are int64, so that places of rows are, too: 300,000 rows of width 7168 are more than int32 counts.
    j = tl.load(row_Z + tl.program_id(0)) + tl.arange(0, TILE_J)
    o = tl.program_id(1) * TILE_O + tl.arange(0, TILE_O)
    in_J = j < tl.load(ends_E + expert)
    in_O = o < O
    # tl.zeros would do on a GPU. It is itself written in Triton, and not interpreted if Triton was imported before.
    y = tl.full((TILE_J, TILE_O), 0.0, tl.float32)
    for first in range(0, D, TILE_D):
        d = first + tl.arange(0, TILE_D)
        in_D = d < D
        x = tl.load(x_JD + j[:, None] * x_j + d[None, :] * x_d, mask=in_J[:, None] & in_D[None, :], other=0.0)
        weight_DO = weight_EOD + expert * weight_e + d[:, None] * weight_d + o[None, :] * weight_o
        weight = tl.load(weight_DO, mask=in_D[:, None] & in_O[None, :], other=0.0)
        y = tl.dot(x, weight, y, input_precision="ieee")  # float32 stays float32; the default would be TF32
    tl.store(y_JO + j[:, None] * O + o[None, :], y.to(y_JO.dtype.element_ty), mask=in_J[:, None] & in_O[None, :])


@triton.jit
def weights_kernel(
    grad_JO, x_JD, grad_EOD, ends_E, O, D, grad_j, grad_o, x_j, x_d,
    TILE_J: tl.constexpr, TILE_O: tl.constexpr, TILE_D: tl.constexpr,
):  # fmt: skip
    """One tile of one expert's gradient: TILE_O by TILE_D, a sum over that expert's rows. No rows, no turn: zeros."""
    o = tl.program_id(0) * TILE_O + tl.arange(0, TILE_O)
    d = tl.program_id(1) * TILE_D + tl.arange(0, TILE_D)
    expert = tl.program_id(2).to(tl.int64)
    in_O = o < O
    in_D = d < D
    end = tl.load(ends_E + expert)
    grad_weight = tl.full((TILE_O, TILE_D), 0.0, tl.float32)
    for first in range(tl.load(ends_E + expert - 1, mask=expert > 0, other=0), end, TILE_J):
        j = first + tl.arange(0, TILE_J)
        in_J = j < end
        grad = tl.load(
            grad_JO + j[None, :] * grad_j + o[:, None] * grad_o, mask=in_O[:, None] & in_J[None, :], other=0.0
        )
        x = tl.load(x_JD + j[:, None] * x_j + d[None, :] * x_d, mask=in_J[:, None] & in_D[None, :], other=0.0)
        grad_weight = tl.dot(grad, x, grad_weight, input_precision="ieee")
    grad_OD = grad_EOD + expert * O * D + o[:, None] * D + d[None, :]
    tl.store(grad_OD, grad_weight.to(grad_EOD.dtype.element_ty), mask=in_O[:, None] & in_D[None, :])


INTERPRETED = not isinstance(rows_kernel, triton.JITFunction)

# Rows and columns of the result in a tile, and how far the sum goes at a time. On Hopper four warps multiply 64 rows at
# once, and experts often have few rows. Interpreted, small tiles let small examples have several.
ROWS, COLUMNS, DEPTH = (32, 32, 32) if INTERPRETED else (64, 128, 32)


def multiply_rows(x_JD: Tensor, weight_EOD: Tensor, ends_E: Tensor, expert_Z: Tensor, row_Z: Tensor) -> Tensor:
    """(J, O): each row of x times its expert's transposed matrix. Any strides: a transposed weight costs no copy."""
    y_JO = x_JD.new_empty(len(x_JD), weight_EOD.shape[1])
    if y_JO.numel():  # CUDA launches no empty grid
        O, D = weight_EOD.shape[1:]
        # Programs that start together have the same columns and often the same expert: its matrix is in cache.
        rows_kernel[(len(expert_Z), triton.cdiv(O, COLUMNS))](
            x_JD, weight_EOD, y_JO, ends_E, expert_Z, row_Z, O, D, *x_JD.stride(), *weight_EOD.stride(),
            TILE_J=ROWS, TILE_O=COLUMNS, TILE_D=DEPTH,
        )  # fmt: skip
    return y_JO


def multiply_weights(grad_JO: Tensor, x_JD: Tensor, ends_E: Tensor) -> Tensor:
    """(E, O, D): for each expert the sum over its rows of grad_j x_j^T."""
    E, O, D = len(ends_E), grad_JO.shape[1], x_JD.shape[1]
    grad_EOD = x_JD.new_empty(E, O, D)
    if grad_EOD.numel():
        weights_kernel[(triton.cdiv(O, ROWS), triton.cdiv(D, COLUMNS), E)](
            grad_JO, x_JD, grad_EOD, ends_E, O, D, *grad_JO.stride(), *x_JD.stride(),
            TILE_J=DEPTH, TILE_O=ROWS, TILE_D=COLUMNS,
        )  # fmt: skip
    return grad_EOD


class GroupedGemm(torch.autograd.Function):
    """The product and its gradients; each is one launch."""

    @staticmethod
    def forward(ctx, x_JD: Tensor, weight_EOD: Tensor, ends_E: Tensor, expert_Z: Tensor, row_Z: Tensor) -> Tensor:
        ctx.save_for_backward(x_JD, weight_EOD, ends_E, expert_Z, row_Z)
        return multiply_rows(x_JD, weight_EOD, ends_E, expert_Z, row_Z)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_JO: Tensor):
        x_JD, weight_EOD, *tables = ctx.saved_tensors
        grad_x = multiply_rows(grad_JO, weight_EOD.transpose(1, 2), *tables) if ctx.needs_input_grad[0] else None
        grad_weight = multiply_weights(grad_JO, x_JD, tables[0]) if ctx.needs_input_grad[1] else None
        return grad_x, grad_weight, None, None, None


def grouped_gemm(x_JD: Tensor, weight_EOD: Tensor, ends_E: Tensor) -> Tensor:
    """The grouped product, as ``dispatch.sliced_linear``, with gradients to x and weight. Sums are in float32.

    Args:
        x_JD: rows sorted by expert; float32, float16 or bfloat16.
        weight_EOD: a matrix for each expert, in the type of x.
        ends_E: integers, where each expert's rows end. Experts may have none; the last end is J.

    Returns:
        (J, O), in the type of x.

    Raises:
        ValueError: shapes, types or devices do not fit, ``ends_E`` does not cover the rows, or the tensors lie on a
            CPU while the kernels are compiled for a GPU.
    """
    check_arguments(x_JD, weight_EOD, ends_E)
    if INTERPRETED and x_JD.dtype == torch.bfloat16:  # NumPy has none: Triton's interpreter gets it wrong silently
        return grouped_gemm(x_JD.float(), weight_EOD.float(), ends_E).bfloat16()
    ends = ends_E.to("cpu", torch.int64)  # the host must know how many tiles there are: it waits for the GPU here, once
    steps = ends.diff(prepend=ends.new_zeros(1), append=ends.new_tensor([len(x_JD)]))
    if (steps < 0).any() or steps[-1] > 0:
        raise ValueError(f"ends_E must rise from 0 or more to the number of rows, {len(x_JD)}, got {ends.tolist()}.")
    tables = (table.to(x_JD.device) for table in (ends, *tile_table(ends, ROWS)))
    with torch.cuda.device_of(x_JD):  # Triton launches on the current device, wherever the tensors are
        return GroupedGemm.apply(x_JD, weight_EOD, *tables)


def check_arguments(x_JD: Tensor, weight_EOD: Tensor, ends_E: Tensor) -> None:
    """All that can be told without reading numbers.

    Raises:
        ValueError: shapes, types or devices do not fit, or the tensors lie on a CPU while the kernels are compiled.
    """
    if x_JD.ndim != 2 or weight_EOD.ndim != 3 or x_JD.shape[1] != weight_EOD.shape[2]:
        raise ValueError(
            "x_JD and weight_EOD must be of shapes (J, D) and (E, O, D), got "
            f"{tuple(x_JD.shape)} and {tuple(weight_EOD.shape)}."
        )
    if ends_E.shape != weight_EOD.shape[:1] or ends_E.dtype not in (torch.int32, torch.int64):
        raise ValueError(
            f"ends_E must be {len(weight_EOD)} integers, one for each matrix, got "
            f"{tuple(ends_E.shape)} of {ends_E.dtype}."
        )
    if x_JD.dtype not in DTYPES or weight_EOD.dtype != x_JD.dtype:
        raise ValueError(
            "x_JD and weight_EOD must have the same type, float32, float16 or bfloat16, got "
            f"{x_JD.dtype} and {weight_EOD.dtype}."
        )
    devices = [tensor.device for tensor in (x_JD, weight_EOD, ends_E)]
    if len(set(devices)) > 1:
        raise ValueError(f"x_JD, weight_EOD and ends_E must be on one device, got {', '.join(map(str, devices))}.")
    if not INTERPRETED and devices[0].type != "cuda":
        raise ValueError(
            f"x_JD must be on a GPU, got {devices[0]}. To run the kernels on a CPU, set TRITON_INTERPRET=1 in the "
            "environment before mini_moe.kernels.grouped_gemm is imported."
        )
