"""The same functions as in ``layers.py``, with backward passes of their own: fewer trips through memory.

On a CPU a training step spends more time in moving numbers than in multiplying them. What autograd derives from a
plain definition is right, but it keeps and rereads every intermediate result. Here the formulas of the gradients are
written out. The plain definitions are the oracles in the tests.

Letters: B batch, T tokens, S positions, H heads, D width, N rows, V vocabulary.
"""

import torch
from torch import Tensor

BLOCK = 64  # queries at a time: half of all pairs lie in the future, small blocks skip most of them


def type_of_products(x: Tensor) -> torch.dtype:
    """In which ``x`` is multiplied by matrices: autocast's inside autocast, else its own."""
    kind = x.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else x.dtype


class RotaryFunction(torch.autograd.Function):
    """``layers.apply_rotary``: to turn the pair (a, b) by an angle is to multiply a + ib by cos + i sin.

    dx is dy, turned back.
    """

    @staticmethod
    def forward(ctx, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        ctx.save_for_backward(cos, sin)
        return _turned(x, cos, sin)

    @staticmethod
    def backward(ctx, grad: Tensor):
        cos, sin = ctx.saved_tensors
        return _turned(grad, cos, -sin), None, None


def _turned(x, cos, sin):
    wide = x.to(torch.promote_types(x.dtype, cos.dtype))
    wide = wide.clone(memory_format=torch.contiguous_format)  # a view may begin at an odd place, which complex cannot
    pairs = torch.view_as_complex(wide.unflatten(-1, (-1, 2)))
    return torch.view_as_real(pairs * torch.complex(cos, sin)).flatten(-2).to(x.dtype)


class RMSNormFunction(torch.autograd.Function):
    """``layers.rms_norm``; inside autocast the result has autocast's type, which is what the next product wants.

    y = w n,  n = x r,  r = (mean(x^2) + eps)^-1/2
    dx = r (w dy - n mean(n w dy)),  dw = sum over rows of n dy
    """

    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor, eps: float) -> Tensor:
        x_ND = x.flatten(0, -2)
        x_ND = x_ND if x.dtype == torch.float64 else x_ND.float()
        r_N1 = torch.linalg.vector_norm(x_ND, dim=-1, keepdim=True).square().div(x.shape[-1]).add(eps).rsqrt()
        n_ND = x_ND * r_N1
        ctx.save_for_backward(n_ND, r_N1, weight)
        ctx.dtype = x.dtype
        return (weight * n_ND).to(type_of_products(x)).view_as(x)

    @staticmethod
    def backward(ctx, grad: Tensor):
        n_ND, r_N1, weight = ctx.saved_tensors
        grad_ND = grad.flatten(0, -2).to(n_ND.dtype)
        grad_n_ND = grad_ND * weight
        mean_N1 = (grad_n_ND * n_ND).mean(dim=-1, keepdim=True)
        grad_x_ND = torch.addcmul(grad_n_ND, n_ND, mean_N1, value=-1).mul_(r_N1)
        return grad_x_ND.to(ctx.dtype).view_as(grad), (grad_ND * n_ND).sum(dim=0), None


class CausalAttentionFunction(torch.autograd.Function):
    """``layers.causal_attention`` in blocks of queries, each against the positions it may see.

    dV = P^T dY,  dS = P (dP - sum(dP P)) with dP = dY V^T,  dQ = scale dS K,  dK = scale dS^T Q
    """

    @staticmethod
    def forward(ctx, q: Tensor, k: Tensor, v: Tensor, scale: float) -> Tensor:
        batch = q.shape[:2]
        q, k, v = q.flatten(0, 1) * scale, k.flatten(0, 1), v.flatten(0, 1)
        T, past = q.shape[1], k.shape[1] - q.shape[1]
        future = torch.full((BLOCK, BLOCK), float("-inf"), dtype=q.dtype, device=q.device).triu(1)
        y, kept = torch.empty_like(v[:, past:]), []
        for start in range(0, T, BLOCK):
            end = min(start + BLOCK, T)
            scores = q[:, start:end] @ k[:, : past + end].mT
            scores[..., past + start :] += future[: end - start, : end - start]
            kept.append(scores.softmax(dim=-1))
            y[:, start:end] = kept[-1] @ v[:, : past + end]
        ctx.save_for_backward(q, k, v, *kept)
        ctx.scale = scale
        return y.unflatten(0, batch)

    @staticmethod
    def backward(ctx, grad: Tensor):
        q, k, v, *kept = ctx.saved_tensors
        batch, grad = grad.shape[:2], grad.flatten(0, 1)
        grad_q, grad_k, grad_v = torch.empty_like(q), torch.zeros_like(k), torch.zeros_like(v)
        for start, p in zip(range(0, q.shape[1], BLOCK), kept, strict=True):
            rows, seen = slice(start, start + p.shape[1]), slice(0, p.shape[2])
            grad_v[:, seen].baddbmm_(p.mT, grad[:, rows])
            grad_p = grad[:, rows] @ v[:, seen].mT
            grad_s = torch._softmax_backward_data(grad_p, p, -1, p.dtype)
            grad_k[:, seen].baddbmm_(grad_s.mT, q[:, rows])
            grad_q[:, rows] = grad_s @ k[:, seen]
        return *((g.unflatten(0, batch)) for g in (grad_q * ctx.scale, grad_k, grad_v)), None
