"""Answers to `compress`: wrong ones as learners write them, right ones each in another way."""

import torch
import torch.nn.functional as F
from exercises.answers import Claims
from exercises.latent_attention import compress_inputs_wrong, compress_norm_wrong, compress_wrong

from mini_moe.layers import apply_rotary, rms_norm

ANSWERS = compress_wrong.ANSWERS + compress_norm_wrong.ANSWERS + compress_inputs_wrong.ANSWERS
right = ANSWERS.right


class TestCompress(Claims):
    answers = ANSWERS


@right("two products")
def _(x, w, norm, cos, sin, eps=1e-6):
    C = len(norm)
    return torch.cat((rms_norm(x @ w[:C].T, norm, eps), apply_rotary(x @ w[C:].T, cos, sin)), dim=-1)


@right("einsum and F.rms_norm")
def _(x, w, norm, cos, sin, eps=1e-6):
    both = torch.einsum("btd,ld->btl", x, w)
    latent, key = both.split([norm.numel(), both.shape[-1] - norm.numel()], dim=-1)
    latent = F.rms_norm(latent.double(), norm.shape, norm.double(), eps).to(x.dtype)
    return torch.cat((latent, apply_rotary(key, cos, sin)), dim=-1)


@right("token by token")
def _(x, w, norm, cos, sin, eps=1e-6):
    C = len(norm)
    tokens = []
    for t in range(x.shape[1]):
        latent, key = x[:, t] @ w[:C].T, x[:, t : t + 1] @ w[C:].T
        wide = latent.to(torch.promote_types(x.dtype, torch.float32))
        latent = norm * wide / (wide.pow(2).mean(-1, keepdim=True) + eps).sqrt()
        tokens.append(torch.cat((latent.to(x), apply_rotary(key, cos[t : t + 1], sin[t : t + 1])[:, 0]), dim=-1))
    return torch.stack(tokens, dim=1)


@right("written into an empty tensor, with complex numbers, float64 inside")
def _(x, w, norm, cos, sin, eps=1e-6):
    C = len(norm)
    both = x.double() @ w.double().T
    memory = torch.empty_like(both)
    memory[..., :C] = rms_norm(both[..., :C], norm.double(), eps)
    key = torch.complex(both[..., C::2], both[..., C + 1 :: 2])
    memory[..., C:] = torch.view_as_real(key * torch.complex(cos.double(), sin.double())).flatten(-2)
    return memory.to(x)


@right("the key rotated with an axis for heads")
def _(x, w, norm, cos, sin, eps=1e-6):
    kv = F.linear(x, w)
    latent, key = kv[:, :, : norm.shape[0]], kv[:, :, norm.shape[0] :]
    key = apply_rotary(key.unsqueeze(1), cos, sin).squeeze(1)
    return torch.cat([rms_norm(latent, norm, eps=eps), key], -1)


@right("a turn by view_as_complex of a copy, the norm through vector_norm")
def _(x, w, norm, cos, sin, eps=1e-6):
    latent, key = (x @ w.mT).split_with_sizes([len(norm), len(w) - len(norm)], dim=-1)
    wide = torch.promote_types(x.dtype, torch.float32)
    size = torch.linalg.vector_norm(latent.to(wide), dim=-1, keepdim=True)
    latent = latent.to(wide).div((size.square() / len(norm)).add(eps).sqrt()).mul(norm)
    pairs = torch.view_as_complex(key.to(wide).clone().unflatten(-1, (-1, 2)))
    turned = torch.view_as_real(pairs * torch.complex(cos.to(wide), sin.to(wide))).flatten(-2)
    return torch.cat((latent, turned), dim=-1).to(x.dtype)


@right("written into an empty tensor, with complex numbers, float64 inside")
def _(x, w, norm, cos, sin, eps=1e-6):
    C = len(norm)
    both = x.double() @ w.double().T
    memory = torch.empty_like(both)
    memory[..., :C] = rms_norm(both[..., :C], norm.double(), eps)
    key = torch.view_as_complex(both[..., C:].unflatten(-1, (-1, 2)).contiguous())
    memory[..., C:] = torch.view_as_real(key * torch.complex(cos.double(), sin.double())).flatten(-2)
    return memory.to(x)
