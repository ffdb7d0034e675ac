"""Wrong answers to `compress`: the norm and its weight, rows of the matrix, and results of another form."""

import torch
import torch.nn.functional as F
from exercises.answers import Answers

from mini_moe.course.exercises.latent_attention.compress import EXERCISE
from mini_moe.layers import apply_rotary, rms_norm

ANSWERS = Answers(EXERCISE)
wrong = ANSWERS.wrong


@wrong("only the product")
def _(x, w, norm, cos, sin, eps=1e-6):
    return x @ w.T


@wrong("norm over the tokens", "one mean of all")
def _(x, w, norm, cos, sin, eps=1e-6):
    latent, key = F.linear(x, w).tensor_split([len(norm)], dim=-1)
    latent = norm * latent / torch.sqrt(torch.mean(latent**2) + eps)
    return torch.cat((latent, apply_rotary(key, cos, sin)), dim=-1)


@wrong("norm over the tokens", "dim=1")
def _(x, w, norm, cos, sin, eps=1e-6):
    latent, key = F.linear(x, w).tensor_split([len(norm)], dim=-1)
    latent = norm * latent / torch.sqrt((latent**2).mean(1, keepdim=True) + eps)
    return torch.cat((latent, apply_rotary(key, cos, sin)), dim=-1)


@wrong("eps outside the root")
def _(x, w, norm, cos, sin, eps=1e-6):
    latent, key = F.linear(x, w).tensor_split([len(norm)], dim=-1)
    latent = norm * latent / (latent.pow(2).mean(-1, keepdim=True).sqrt() + eps)
    return torch.cat((latent, apply_rotary(key, cos, sin)), dim=-1)


@wrong("token normed", "by F.rms_norm, and nothing else")
def _(x, w, norm, cos, sin, eps=1e-6):
    latent, key = F.linear(F.rms_norm(x, x.shape[-1:]), w).tensor_split([len(norm)], dim=-1)
    return torch.cat((latent, apply_rotary(key, cos, sin)), dim=-1)


@wrong("angles of the first token")
def _(x, w, norm, cos, sin, eps=1e-6):
    C = len(norm)
    tokens = []
    for token in F.linear(x, w).split(1, dim=1):
        tokens.append(
            torch.cat((rms_norm(token[..., :C], norm, eps), apply_rotary(token[..., C:], cos[0], sin[0])), -1)
        )
    return torch.cat(tokens, dim=1)


@wrong("R taken from cos", "counted from C")
def _(x, w, norm, cos, sin, eps=1e-6):
    C, R = norm.shape[0], cos.shape[-1]
    latent, key = x @ w[:C].T, x @ w[C : C + R].T
    return torch.cat((rms_norm(latent, norm, eps), apply_rotary(key, cos, sin)), dim=-1)


@wrong("R taken from cos", "counted from the end")
def _(x, w, norm, cos, sin, eps=1e-6):
    both, R = F.linear(x, w), cos.shape[-1]
    latent, key = both[..., : len(norm)], both[..., -R:]
    return torch.cat((rms_norm(latent, norm, eps), apply_rotary(key, cos, sin)), dim=-1)


@wrong("raises RuntimeError", "R taken from cos, for a split")
def _(x, w, norm, cos, sin, eps=1e-6):
    latent, key = F.linear(x, w).split([len(norm), cos.shape[-1]], dim=-1)
    return torch.cat((rms_norm(latent, norm, eps), apply_rotary(key, cos, sin)), dim=-1)


@wrong("key before the latent")
def _(x, w, norm, cos, sin, eps=1e-6):
    latent, key = F.linear(x, w).tensor_split([len(norm)], dim=-1)
    return torch.cat((apply_rotary(key, cos, sin), rms_norm(latent, norm, eps)), dim=-1)


@wrong("key from the first rows")
def _(x, w, norm, cos, sin, eps=1e-6):
    R = w.shape[0] - len(norm)
    w_key, w_latent = w[:R], w[R:]
    return torch.cat((rms_norm(x @ w_latent.T, norm, eps), apply_rotary(x @ w_key.T, cos, sin)), dim=-1)


@wrong("norm and rotation exchanged", "key first all along")
def _(x, w, norm, cos, sin, eps=1e-6):
    R = 2 * cos.shape[-1]
    both = F.linear(x, w)
    return torch.cat((apply_rotary(both[..., :R], cos, sin), rms_norm(both[..., R:], norm, eps)), dim=-1)


@wrong("token normed", "and the latent")
def _(x, w, norm, cos, sin, eps=1e-6):
    x = rms_norm(x, torch.ones(x.shape[-1]), eps)
    latent, key = F.linear(x, w).tensor_split([len(norm)], dim=-1)
    return torch.cat((rms_norm(latent, norm, eps), apply_rotary(key, cos, sin)), dim=-1)


@wrong("token normed", "in place of the latent")
def _(x, w, norm, cos, sin, eps=1e-6):
    x = x * torch.rsqrt(x.square().mean(-1, keepdim=True) + eps)
    latent, key = F.linear(x, w).tensor_split([len(norm)], dim=-1)
    return torch.cat((norm * latent, apply_rotary(key, cos, sin)), dim=-1)


@wrong("weight of the norm left out")
def _(x, w, norm, cos, sin, eps=1e-6):
    latent, key = F.linear(x, w).tensor_split([len(norm)], dim=-1)
    latent = latent / torch.sqrt((latent**2).mean(-1, keepdim=True) + eps)
    return torch.cat((latent, apply_rotary(key, cos, sin)), dim=-1)


@wrong("weight without the norm")
def _(x, w, norm, cos, sin, eps=1e-6):
    latent, key = F.linear(x, w).tensor_split([len(norm)], dim=-1)
    return torch.cat((latent * norm, apply_rotary(key, cos, sin)), dim=-1)


@wrong("LayerNorm in place of RMSNorm")
def _(x, w, norm, cos, sin, eps=1e-6):
    latent, key = F.linear(x, w).tensor_split([len(norm)], dim=-1)
    return torch.cat((F.layer_norm(latent, (len(norm),), norm, eps=eps), apply_rotary(key, cos, sin)), dim=-1)


@wrong("length in place of root mean square")
def _(x, w, norm, cos, sin, eps=1e-6):
    latent, key = F.linear(x, w).tensor_split([len(norm)], dim=-1)
    latent = latent / torch.linalg.vector_norm(latent, dim=-1, keepdim=True)
    return torch.cat((norm * latent, apply_rotary(key, cos, sin)), dim=-1)


@wrong("eps not handed on", "the default")
def _(x, w, norm, cos, sin, eps=1e-6):
    latent, key = F.linear(x, w).tensor_split([len(norm)], dim=-1)
    return torch.cat((rms_norm(latent, norm), apply_rotary(key, cos, sin)), dim=-1)


@wrong("eps not handed on", "torch's own")
def _(x, w, norm, cos, sin, eps=1e-6):
    latent, key = F.linear(x, w).tensor_split([len(norm)], dim=-1)
    return torch.cat((F.rms_norm(latent, (len(norm),), norm), apply_rotary(key, cos, sin)), dim=-1)


@wrong("gradient missing", "detached, for it is to be cached")
def _(x, w, norm, cos, sin, eps=1e-6):
    latent, key = F.linear(x, w).tensor_split([len(norm)], dim=-1)
    return torch.cat((rms_norm(latent, norm, eps), apply_rotary(key, cos, sin)), dim=-1).detach()


@wrong("wrong type", "latent and key apart")
def _(x, w, norm, cos, sin, eps=1e-6):
    latent, key = F.linear(x, w).tensor_split([len(norm)], dim=-1)
    return rms_norm(latent, norm, eps), apply_rotary(key, cos, sin)


@wrong("wrong shape", "the latent alone")
def _(x, w, norm, cos, sin, eps=1e-6):
    return rms_norm(F.linear(x, w)[..., : len(norm)], norm, eps)


@wrong("divided by the standard deviation")
def _(x, w, norm, cos, sin, eps=1e-6):
    latent, key = F.linear(x, w).tensor_split([len(norm)], dim=-1)
    latent = norm * latent / (latent.var(dim=-1, keepdim=True, unbiased=False) + eps).sqrt()
    return torch.cat((latent, apply_rotary(key, cos, sin)), dim=-1)


@wrong("no square root")
def _(x, w, norm, cos, sin, eps=1e-6):
    latent, key = F.linear(x, w).tensor_split([len(norm)], dim=-1)
    latent = norm * latent / (latent.pow(2).mean(dim=-1, keepdim=True) + eps)
    return torch.cat((latent, apply_rotary(key, cos, sin)), dim=-1)


@wrong("mean of absolute values")
def _(x, w, norm, cos, sin, eps=1e-6):
    latent, key = F.linear(x, w).tensor_split([len(norm)], dim=-1)
    latent = norm * latent / (latent.abs().mean(dim=-1, keepdim=True) + eps)
    return torch.cat((latent, apply_rotary(key, cos, sin)), dim=-1)


@wrong("weight added")
def _(x, w, norm, cos, sin, eps=1e-6):
    latent, key = F.linear(x, w).tensor_split([len(norm)], dim=-1)
    latent = rms_norm(latent, torch.ones_like(norm), eps) + norm
    return torch.cat((latent, apply_rotary(key, cos, sin)), dim=-1)


@wrong("weight before the norm")
def _(x, w, norm, cos, sin, eps=1e-6):
    latent, key = F.linear(x, w).tensor_split([len(norm)], dim=-1)
    latent = rms_norm(latent * norm, torch.ones_like(norm), eps)
    return torch.cat((latent, apply_rotary(key, cos, sin)), dim=-1)


@wrong("normed twice")
def _(x, w, norm, cos, sin, eps=1e-6):
    latent, key = F.linear(x, w).tensor_split([len(norm)], dim=-1)
    latent = rms_norm(rms_norm(latent, norm, eps), norm, eps)
    return torch.cat((latent, apply_rotary(key, cos, sin)), dim=-1)


@wrong("memory normed as a whole")
def _(x, w, norm, cos, sin, eps=1e-6):
    latent, key = F.linear(x, w).tensor_split([len(norm)], dim=-1)
    memory = torch.cat((norm * latent, apply_rotary(key, cos, sin)), dim=-1)
    return rms_norm(memory, torch.ones(memory.shape[-1]), eps)


@wrong("key changes its length", "two plus signs")
def _(x, w, norm, cos, sin, eps=1e-6):
    latent, key = F.linear(x, w).tensor_split([len(norm)], dim=-1)
    a, b = key[..., 0::2], key[..., 1::2]
    key = torch.stack((a * cos + b * sin, a * sin + b * cos), dim=-1).flatten(-2)
    return torch.cat((rms_norm(latent, norm, eps), key), dim=-1)
