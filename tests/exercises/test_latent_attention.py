"""Lesson 02: wrong answers as beginners write them, each with its name; right ones, each written differently."""

import math

import pytest
import torch
import torch.nn.functional as F
from exercises.answers import SEEDS, Answers, Claims, drawn

from mini_moe.course.check import examine
from mini_moe.course.exercises import latent_attention
from mini_moe.layers import apply_rotary, causal_attention, rms_norm
from mini_moe.mla import attend_naive, expand

ANSWERS = Answers(latent_attention)
wrong, right = ANSWERS.wrong, ANSWERS.right

CACHE = latent_attention.GQA_CACHE_BYTES_PER_TOKEN
COMPRESS = latent_attention.COMPRESS
EXPAND = latent_attention.EXPAND
ABSORBED = latent_attention.ATTEND_ABSORBED


class TestLatentAttention(Claims):
    answers = ANSWERS


# --- gqa_cache_bytes_per_token ----------------------------------------------------------------------------------------


@wrong(CACHE, "value left out")
def _(n_layers, n_kv_heads, head_dim, bytes_per_element=2):
    return n_layers * n_kv_heads * head_dim * bytes_per_element


@wrong(CACHE, "query cached")
def _(n_layers, n_kv_heads, head_dim, bytes_per_element=2):
    qkv = 3 * n_kv_heads * head_dim
    return n_layers * qkv * bytes_per_element


@wrong(CACHE, "keys and values counted twice", "2 for the pair and 2 for the bytes")
def _(n_layers, n_kv_heads, head_dim, bytes_per_element=2):
    key_and_value = 2 * head_dim
    return 2 * n_layers * n_kv_heads * key_and_value * bytes_per_element


@wrong(CACHE, "layers left out")
def _(n_layers, n_kv_heads, head_dim, bytes_per_element=2):
    keys = n_kv_heads * head_dim
    values = n_kv_heads * head_dim
    return (keys + values) * bytes_per_element


@wrong(CACHE, "heads left out", "as if head_dim were the width of the model")
def _(n_layers, n_kv_heads, head_dim, bytes_per_element=2):
    return n_layers * (head_dim + head_dim) * bytes_per_element


@wrong(CACHE, "layers and heads left out")
def _(n_layers, n_kv_heads, head_dim, bytes_per_element=2):
    return 2 * head_dim * bytes_per_element


@wrong(CACHE, "features left out")
def _(n_layers, n_kv_heads, head_dim, bytes_per_element=2):
    return 2 * n_layers * n_kv_heads * bytes_per_element


@wrong(CACHE, "one vector a layer")
def _(n_layers, n_kv_heads, head_dim, bytes_per_element=2):
    return n_layers * head_dim * bytes_per_element


@wrong(CACHE, "width of a head divided again")
def _(n_layers, n_kv_heads, head_dim, bytes_per_element=2):
    per_head = head_dim // n_kv_heads
    return n_layers * n_kv_heads * 2 * per_head * bytes_per_element


@wrong(CACHE, "heads left out", "head_dim divided by them")
def _(n_layers, n_kv_heads, head_dim, bytes_per_element=2):
    per_head = head_dim / n_kv_heads
    return n_layers * n_kv_heads * per_head * bytes_per_element * 2


@wrong(CACHE, "squared in place of doubled")
def _(n_layers, n_kv_heads, head_dim, bytes_per_element=2):
    return n_layers * n_kv_heads * head_dim**2 * bytes_per_element


@wrong(CACHE, "heads and width added", "twice")
def _(n_layers, n_kv_heads, head_dim, bytes_per_element=2):
    return n_layers * 2 * (n_kv_heads + head_dim) * bytes_per_element


@wrong(CACHE, "heads and width added", "once")
def _(n_layers, n_kv_heads, head_dim, bytes_per_element=2):
    return n_layers * (n_kv_heads + head_dim) * bytes_per_element


@wrong(CACHE, "numbers, not bytes")
def _(n_layers, n_kv_heads, head_dim, bytes_per_element=2):
    return math.prod((n_layers, n_kv_heads, 2, head_dim))


@wrong(CACHE, "bytes written in", "16 bits")
def _(n_layers, n_kv_heads, head_dim, bytes_per_element=2):
    return n_layers * n_kv_heads * 2 * head_dim * 2


@wrong(CACHE, "bytes written in", "32 bits")
def _(n_layers, n_kv_heads, head_dim, bytes_per_element=2):
    keys = values = torch.zeros(n_layers, n_kv_heads, head_dim)
    return keys.nbytes + values.nbytes


@wrong(CACHE, "bits")
def _(n_layers, n_kv_heads, head_dim, bytes_per_element=2):
    return n_layers * n_kv_heads * 2 * head_dim * 8 * bytes_per_element


@wrong(CACHE, "divided by 8", "/")
def _(n_layers, n_kv_heads, head_dim, bytes_per_element=2):
    return n_layers * n_kv_heads * 2 * head_dim * bytes_per_element / 8


@wrong(CACHE, "divided by 8", "//")
def _(n_layers, n_kv_heads, head_dim, bytes_per_element=2):
    bits = n_layers * n_kv_heads * 2 * head_dim * bytes_per_element
    return bits // 8


@wrong(CACHE, "another unit", "KiB")
def _(n_layers, n_kv_heads, head_dim, bytes_per_element=2):
    return n_layers * n_kv_heads * 2 * head_dim * bytes_per_element / 1024


@wrong(CACHE, "another unit", "MB")
def _(n_layers, n_kv_heads, head_dim, bytes_per_element=2):
    return n_layers * n_kv_heads * 2 * head_dim * bytes_per_element / 1e6


@wrong(CACHE, "returns None")
def _(n_layers, n_kv_heads, head_dim, bytes_per_element=2):
    print(n_layers * n_kv_heads * 2 * head_dim * bytes_per_element)


@right(CACHE, "key and value apart")
def _(n_layers, n_kv_heads, head_dim, bytes_per_element=2):
    key = value = n_kv_heads * head_dim * bytes_per_element
    return n_layers * (key + value)


@right(CACHE, "layer by layer")
def _(n_layers, n_kv_heads, head_dim, bytes_per_element=2):
    total = 0
    for _layer in range(n_layers):
        for _head in range(n_kv_heads):
            total += 2 * head_dim * bytes_per_element
    return total


@right(CACHE, "the shape of a real cache")
def _(n_layers, n_kv_heads, head_dim, bytes_per_element=2):
    return torch.empty(n_layers, 2, n_kv_heads, head_dim, device="meta").numel() * bytes_per_element


@right(CACHE, "a float, by way of bits")
def _(n_layers, n_kv_heads, head_dim, bytes_per_element=2):
    return 2 * n_layers * n_kv_heads * head_dim * (8 * bytes_per_element) / 8


# --- compress ---------------------------------------------------------------------------------------------------------


@wrong(COMPRESS, "latent not normed", "split")
def _(x, w, norm, cos, sin, eps=1e-6):
    latent, key = (x @ w.T).split([len(norm), w.shape[0] - len(norm)], dim=-1)
    return torch.cat([latent, apply_rotary(key, cos, sin)], dim=-1)


@wrong(COMPRESS, "latent not normed", "the normed one not kept")
def _(x, w, norm, cos, sin, eps=1e-6):
    C = norm.shape[0]
    both = F.linear(x, w)
    latent, key = both[..., :C], both[..., C:]
    rms_norm(latent, norm, eps)
    return torch.cat([latent, apply_rotary(key, cos, sin)], dim=-1)


@wrong(COMPRESS, "latent rotated as well", "after the norm")
def _(x, w, norm, cos, sin, eps=1e-6):
    C = len(norm)
    both = F.linear(x, w)
    latent = rms_norm(both[..., :C], norm, eps)
    return torch.cat((apply_rotary(latent, cos, sin), apply_rotary(both[..., C:], cos, sin)), dim=-1)


@wrong(COMPRESS, "latent rotated as well", "the whole memory at the end")
def _(x, w, norm, cos, sin, eps=1e-6):
    C = len(norm)
    both = F.linear(x, w)
    memory = torch.cat((rms_norm(both[..., :C], norm, eps), both[..., C:]), dim=-1)
    if cos.shape[-1] != 1:  # neighbours turn by the same angles, repeated
        latent, key = memory[..., :C], memory[..., C:]
        return torch.cat((apply_rotary(latent, cos, sin), apply_rotary(key, cos, sin)), dim=-1)
    return apply_rotary(memory, cos, sin)


@wrong(COMPRESS, "latent rotated as well", "before the norm")
def _(x, w, norm, cos, sin, eps=1e-6):
    C = len(norm)
    both = F.linear(x, w)
    latent, key = (apply_rotary(part, cos, sin) for part in (both[..., :C], both[..., C:]))
    return torch.cat((rms_norm(latent, norm, eps), key), dim=-1)


@wrong(COMPRESS, "latent rotated as well", "and not normed")
def _(x, w, norm, cos, sin, eps=1e-6):
    C = len(norm)
    both = F.linear(x, w)
    return torch.cat([apply_rotary(part, cos, sin) for part in (both[..., :C], both[..., C:])], dim=-1)


@wrong(COMPRESS, "norm and rotation exchanged", "only where C = R")
def _(x, w, norm, cos, sin, eps=1e-6):
    latent, key = torch.tensor_split(F.linear(x, w), (len(norm),), dim=-1)
    return torch.cat((apply_rotary(latent, cos, sin), rms_norm(key, norm, eps)), dim=-1)


@wrong(COMPRESS, "latent and key normed together", "weights of 1 for the key")
def _(x, w, norm, cos, sin, eps=1e-6):
    R = w.shape[0] - len(norm)
    both = rms_norm(F.linear(x, w), torch.cat((norm, torch.ones(R))), eps)
    return torch.cat((both[..., :-R], apply_rotary(both[..., -R:], cos, sin)), dim=-1)


@wrong(COMPRESS, "latent and key normed together", "F.rms_norm")
def _(x, w, norm, cos, sin, eps=1e-6):
    both = F.linear(x, w)
    both = F.rms_norm(both, both.shape[-1:])
    latent, key = both.tensor_split([len(norm)], dim=-1)
    return torch.cat((norm * latent, apply_rotary(key, cos, sin)), dim=-1)


@wrong(COMPRESS, "latent and key normed together", "only the latent divided")
def _(x, w, norm, cos, sin, eps=1e-6):
    both = F.linear(x, w)
    size = torch.sqrt((both**2).mean(-1, keepdim=True) + eps)
    latent, key = both.tensor_split([len(norm)], dim=-1)
    return torch.cat((norm * latent / size, apply_rotary(key, cos, sin)), dim=-1)


@wrong(COMPRESS, "key normed as well", "by itself")
def _(x, w, norm, cos, sin, eps=1e-6):
    latent, key = F.linear(x, w).tensor_split([len(norm)], dim=-1)
    key = key / (key.pow(2).mean(-1, keepdim=True) + eps).sqrt()
    return torch.cat((rms_norm(latent, norm, eps), apply_rotary(key, cos, sin)), dim=-1)


@wrong(COMPRESS, "key normed as well", "with weights of its own")
def _(x, w, norm, cos, sin, eps=1e-6):
    latent, key = F.linear(x, w).tensor_split([len(norm)], dim=-1)
    key = apply_rotary(key, cos, sin)
    return torch.cat((rms_norm(latent, norm, eps), rms_norm(key, torch.ones(key.shape[-1]))), dim=-1)


@wrong(COMPRESS, "key normed as well", "with the latent's weights")
def _(x, w, norm, cos, sin, eps=1e-6):
    latent, key = F.linear(x, w).tensor_split([len(norm)], dim=-1)
    latent, key = rms_norm(latent, norm, eps), rms_norm(key, norm[: key.shape[-1]], eps)
    return torch.cat((latent, apply_rotary(key, cos, sin)), dim=-1)


@wrong(COMPRESS, "key not rotated")
def _(x, w, norm, cos, sin, eps=1e-6):
    latent, key = F.linear(x, w).tensor_split([len(norm)], dim=-1)
    return torch.cat((rms_norm(latent, norm, eps), key), dim=-1)


@wrong(COMPRESS, "key turned backwards", "a cos + b sin")
def _(x, w, norm, cos, sin, eps=1e-6):
    latent, key = F.linear(x, w).tensor_split([len(norm)], dim=-1)
    a, b = key[..., 0::2], key[..., 1::2]
    key = torch.stack((a * cos + b * sin, b * cos - a * sin), dim=-1).flatten(-2)
    return torch.cat((rms_norm(latent, norm, eps), key), dim=-1)


@wrong(COMPRESS, "cos and sin exchanged")
def _(x, w, norm, cos, sin, eps=1e-6):
    latent, key = F.linear(x, w).tensor_split([len(norm)], dim=-1)
    return torch.cat((rms_norm(latent, norm, eps), apply_rotary(key, sin, cos)), dim=-1)


@wrong(COMPRESS, "halves of the key paired")
def _(x, w, norm, cos, sin, eps=1e-6):
    latent, key = F.linear(x, w).tensor_split([len(norm)], dim=-1)
    cos, sin = cos.repeat(1, 2), sin.repeat(1, 2)
    half = key.shape[-1] // 2
    rotated = torch.cat((-key[..., half:], key[..., :half]), dim=-1)
    return torch.cat((rms_norm(latent, norm, eps), key * cos + rotated * sin), dim=-1)


@wrong(COMPRESS, "key not interleaved again")
def _(x, w, norm, cos, sin, eps=1e-6):
    latent, key = F.linear(x, w).tensor_split([len(norm)], dim=-1)
    a, b = key.unflatten(-1, (-1, 2)).unbind(-1)
    return torch.cat((rms_norm(latent, norm, eps), a * cos - b * sin, a * sin + b * cos), dim=-1)


@wrong(COMPRESS, "key made of the latent", "normed")
def _(x, w, norm, cos, sin, eps=1e-6):
    C = len(norm)
    latent = rms_norm(x @ w[:C].T, norm, eps)
    return torch.cat((latent, apply_rotary(latent[..., : w.shape[0] - C], cos, sin)), dim=-1)


@wrong(COMPRESS, "key made of the latent", "not normed")
def _(x, w, norm, cos, sin, eps=1e-6):
    C = len(norm)
    latent = x @ w[:C].T
    return torch.cat((rms_norm(latent, norm, eps), apply_rotary(latent[..., : w.shape[0] - C], cos, sin)), dim=-1)


@wrong(COMPRESS, "key made of the latent", "a slice from the wrong end")
def _(x, w, norm, cos, sin, eps=1e-6):
    both, R = F.linear(x, w), 2 * cos.shape[-1]
    return torch.cat((rms_norm(both[..., :-R], norm, eps), apply_rotary(both[..., :R], cos, sin)), dim=-1)


@wrong(COMPRESS, "latent from the last rows")
def _(x, w, norm, cos, sin, eps=1e-6):
    both, C = F.linear(x, w), len(norm)
    return torch.cat((rms_norm(both[..., -C:], norm, eps), apply_rotary(both[..., C:], cos, sin)), dim=-1)


@wrong(COMPRESS, "only the product")
def _(x, w, norm, cos, sin, eps=1e-6):
    return x @ w.T


@wrong(COMPRESS, "norm over the tokens", "one mean of all")
def _(x, w, norm, cos, sin, eps=1e-6):
    latent, key = F.linear(x, w).tensor_split([len(norm)], dim=-1)
    latent = norm * latent / torch.sqrt(torch.mean(latent**2) + eps)
    return torch.cat((latent, apply_rotary(key, cos, sin)), dim=-1)


@wrong(COMPRESS, "norm over the tokens", "dim=1")
def _(x, w, norm, cos, sin, eps=1e-6):
    latent, key = F.linear(x, w).tensor_split([len(norm)], dim=-1)
    latent = norm * latent / torch.sqrt((latent**2).mean(1, keepdim=True) + eps)
    return torch.cat((latent, apply_rotary(key, cos, sin)), dim=-1)


@wrong(COMPRESS, "eps outside the root")
def _(x, w, norm, cos, sin, eps=1e-6):
    latent, key = F.linear(x, w).tensor_split([len(norm)], dim=-1)
    latent = norm * latent / (latent.pow(2).mean(-1, keepdim=True).sqrt() + eps)
    return torch.cat((latent, apply_rotary(key, cos, sin)), dim=-1)


@wrong(COMPRESS, "token normed", "by F.rms_norm, and nothing else")
def _(x, w, norm, cos, sin, eps=1e-6):
    latent, key = F.linear(F.rms_norm(x, x.shape[-1:]), w).tensor_split([len(norm)], dim=-1)
    return torch.cat((latent, apply_rotary(key, cos, sin)), dim=-1)


@wrong(COMPRESS, "angles of the first token")
def _(x, w, norm, cos, sin, eps=1e-6):
    C = len(norm)
    tokens = []
    for token in F.linear(x, w).split(1, dim=1):
        tokens.append(
            torch.cat((rms_norm(token[..., :C], norm, eps), apply_rotary(token[..., C:], cos[0], sin[0])), -1)
        )
    return torch.cat(tokens, dim=1)


@wrong(COMPRESS, "R taken from cos", "counted from C")
def _(x, w, norm, cos, sin, eps=1e-6):
    C, R = norm.shape[0], cos.shape[-1]
    latent, key = x @ w[:C].T, x @ w[C : C + R].T
    return torch.cat((rms_norm(latent, norm, eps), apply_rotary(key, cos, sin)), dim=-1)


@wrong(COMPRESS, "R taken from cos", "counted from the end")
def _(x, w, norm, cos, sin, eps=1e-6):
    both, R = F.linear(x, w), cos.shape[-1]
    latent, key = both[..., : len(norm)], both[..., -R:]
    return torch.cat((rms_norm(latent, norm, eps), apply_rotary(key, cos, sin)), dim=-1)


@wrong(COMPRESS, "raises RuntimeError", "R taken from cos, for a split")
def _(x, w, norm, cos, sin, eps=1e-6):
    latent, key = F.linear(x, w).split([len(norm), cos.shape[-1]], dim=-1)
    return torch.cat((rms_norm(latent, norm, eps), apply_rotary(key, cos, sin)), dim=-1)


@wrong(COMPRESS, "key before the latent")
def _(x, w, norm, cos, sin, eps=1e-6):
    latent, key = F.linear(x, w).tensor_split([len(norm)], dim=-1)
    return torch.cat((apply_rotary(key, cos, sin), rms_norm(latent, norm, eps)), dim=-1)


@wrong(COMPRESS, "key from the first rows")
def _(x, w, norm, cos, sin, eps=1e-6):
    R = w.shape[0] - len(norm)
    w_key, w_latent = w[:R], w[R:]
    return torch.cat((rms_norm(x @ w_latent.T, norm, eps), apply_rotary(x @ w_key.T, cos, sin)), dim=-1)


@wrong(COMPRESS, "norm and rotation exchanged", "key first all along")
def _(x, w, norm, cos, sin, eps=1e-6):
    R = 2 * cos.shape[-1]
    both = F.linear(x, w)
    return torch.cat((apply_rotary(both[..., :R], cos, sin), rms_norm(both[..., R:], norm, eps)), dim=-1)


@wrong(COMPRESS, "token normed", "and the latent")
def _(x, w, norm, cos, sin, eps=1e-6):
    x = rms_norm(x, torch.ones(x.shape[-1]), eps)
    latent, key = F.linear(x, w).tensor_split([len(norm)], dim=-1)
    return torch.cat((rms_norm(latent, norm, eps), apply_rotary(key, cos, sin)), dim=-1)


@wrong(COMPRESS, "token normed", "in place of the latent")
def _(x, w, norm, cos, sin, eps=1e-6):
    x = x * torch.rsqrt(x.square().mean(-1, keepdim=True) + eps)
    latent, key = F.linear(x, w).tensor_split([len(norm)], dim=-1)
    return torch.cat((norm * latent, apply_rotary(key, cos, sin)), dim=-1)


@wrong(COMPRESS, "weight of the norm left out")
def _(x, w, norm, cos, sin, eps=1e-6):
    latent, key = F.linear(x, w).tensor_split([len(norm)], dim=-1)
    latent = latent / torch.sqrt((latent**2).mean(-1, keepdim=True) + eps)
    return torch.cat((latent, apply_rotary(key, cos, sin)), dim=-1)


@wrong(COMPRESS, "weight without the norm")
def _(x, w, norm, cos, sin, eps=1e-6):
    latent, key = F.linear(x, w).tensor_split([len(norm)], dim=-1)
    return torch.cat((latent * norm, apply_rotary(key, cos, sin)), dim=-1)


@wrong(COMPRESS, "LayerNorm in place of RMSNorm")
def _(x, w, norm, cos, sin, eps=1e-6):
    latent, key = F.linear(x, w).tensor_split([len(norm)], dim=-1)
    return torch.cat((F.layer_norm(latent, (len(norm),), norm, eps=eps), apply_rotary(key, cos, sin)), dim=-1)


@wrong(COMPRESS, "length in place of root mean square")
def _(x, w, norm, cos, sin, eps=1e-6):
    latent, key = F.linear(x, w).tensor_split([len(norm)], dim=-1)
    latent = latent / torch.linalg.vector_norm(latent, dim=-1, keepdim=True)
    return torch.cat((norm * latent, apply_rotary(key, cos, sin)), dim=-1)


@wrong(COMPRESS, "eps not handed on", "the default")
def _(x, w, norm, cos, sin, eps=1e-6):
    latent, key = F.linear(x, w).tensor_split([len(norm)], dim=-1)
    return torch.cat((rms_norm(latent, norm), apply_rotary(key, cos, sin)), dim=-1)


@wrong(COMPRESS, "eps not handed on", "torch's own")
def _(x, w, norm, cos, sin, eps=1e-6):
    latent, key = F.linear(x, w).tensor_split([len(norm)], dim=-1)
    return torch.cat((F.rms_norm(latent, (len(norm),), norm), apply_rotary(key, cos, sin)), dim=-1)


@wrong(COMPRESS, "gradient missing", "detached, for it is to be cached")
def _(x, w, norm, cos, sin, eps=1e-6):
    latent, key = F.linear(x, w).tensor_split([len(norm)], dim=-1)
    return torch.cat((rms_norm(latent, norm, eps), apply_rotary(key, cos, sin)), dim=-1).detach()


@wrong(COMPRESS, "wrong type", "latent and key apart")
def _(x, w, norm, cos, sin, eps=1e-6):
    latent, key = F.linear(x, w).tensor_split([len(norm)], dim=-1)
    return rms_norm(latent, norm, eps), apply_rotary(key, cos, sin)


@wrong(COMPRESS, "wrong shape", "the latent alone")
def _(x, w, norm, cos, sin, eps=1e-6):
    return rms_norm(F.linear(x, w)[..., : len(norm)], norm, eps)


@wrong(COMPRESS, "raises RuntimeError", "W not transposed")
def _(x, w, norm, cos, sin, eps=1e-6):
    latent, key = (x @ w).tensor_split([len(norm)], dim=-1)
    return torch.cat((rms_norm(latent, norm, eps), apply_rotary(key, cos, sin)), dim=-1)


@right(COMPRESS, "two products")
def _(x, w, norm, cos, sin, eps=1e-6):
    C = len(norm)
    return torch.cat((rms_norm(x @ w[:C].T, norm, eps), apply_rotary(x @ w[C:].T, cos, sin)), dim=-1)


@right(COMPRESS, "einsum and F.rms_norm")
def _(x, w, norm, cos, sin, eps=1e-6):
    both = torch.einsum("btd,ld->btl", x, w)
    latent, key = both.split([norm.numel(), both.shape[-1] - norm.numel()], dim=-1)
    return torch.cat((F.rms_norm(latent, norm.shape, norm, eps), apply_rotary(key, cos, sin)), dim=-1)


@right(COMPRESS, "token by token")
def _(x, w, norm, cos, sin, eps=1e-6):
    C = len(norm)
    tokens = []
    for t in range(x.shape[1]):
        latent, key = x[:, t] @ w[:C].T, x[:, t : t + 1] @ w[C:].T
        latent = norm * latent / (latent.pow(2).mean(-1, keepdim=True) + eps).sqrt()
        tokens.append(torch.cat((latent, apply_rotary(key, cos[t : t + 1], sin[t : t + 1])[:, 0]), dim=-1))
    return torch.stack(tokens, dim=1)


@right(COMPRESS, "written into an empty tensor, with complex numbers, float64 inside")
def _(x, w, norm, cos, sin, eps=1e-6):
    C = len(norm)
    both = x.double() @ w.double().T
    memory = torch.empty_like(both)
    memory[..., :C] = rms_norm(both[..., :C], norm.double(), eps)
    key = torch.view_as_complex(both[..., C:].unflatten(-1, (-1, 2)).contiguous())
    memory[..., C:] = torch.view_as_real(key * torch.complex(cos.double(), sin.double())).flatten(-2)
    return memory.to(x)


@right(COMPRESS, "the key rotated with an axis for heads")
def _(x, w, norm, cos, sin, eps=1e-6):
    kv = F.linear(x, w)
    latent, key = kv[:, :, : norm.shape[0]], kv[:, :, norm.shape[0] :]
    key = apply_rotary(key.unsqueeze(1), cos, sin).squeeze(1)
    return torch.cat([rms_norm(latent, norm, eps=eps), key], -1)


# --- expand -----------------------------------------------------------------------------------------------------------


def heads(latent, w):
    """Each head's features, in a loop."""
    return torch.stack([latent @ w_h.T for w_h in w], dim=1)


def with_key(k, key):
    """Keys with the rotated key of all heads after them."""
    return torch.cat((k, key.unsqueeze(1).expand(-1, k.shape[1], -1, -1)), dim=-1)


@wrong(EXPAND, "rotated key left out")
def _(memory, w_uk, w_uv):
    latent = memory[..., : w_uk.shape[-1]]
    return heads(latent, w_uk), heads(latent, w_uv)


@wrong(EXPAND, "rotated key first")
def _(memory, w_uk, w_uv):
    C, H = w_uk.shape[-1], w_uk.shape[0]
    latent, key = memory[..., :C], memory[..., C:]
    key = key[:, None].repeat(1, H, 1, 1)
    return torch.cat((key, heads(latent, w_uk)), dim=-1), heads(latent, w_uv)


@wrong(EXPAND, "rotated key in the first head only")
def _(memory, w_uk, w_uv):
    B, S, _ = memory.shape
    H, P, C = w_uk.shape
    k = torch.zeros(B, H, S, P + memory.shape[-1] - C)
    k[..., :P] = heads(memory[..., :C], w_uk)
    k[:, 0, :, P:] = memory[..., C:]
    return k, heads(memory[..., :C], w_uv)


@wrong(EXPAND, "rotated key split among the heads")
def _(memory, w_uk, w_uv):
    B, S, _ = memory.shape
    H, _, C = w_uk.shape
    latent, key = memory[..., :C], memory[..., C:]
    key = key.view(B, S, H, -1).transpose(1, 2)
    return torch.cat((heads(latent, w_uk), key), dim=-1), heads(latent, w_uv)


@wrong(EXPAND, "rotated key repeated in the wrong direction", "repeat_interleave")
def _(memory, w_uk, w_uv):
    B, S, _ = memory.shape
    H, _, C = w_uk.shape
    latent, key = memory[..., :C], memory[..., C:]
    key = key.repeat_interleave(H, dim=1).view(B, H, S, -1)
    return torch.cat((heads(latent, w_uk), key), dim=-1), heads(latent, w_uv)


@wrong(EXPAND, "rotated key repeated in the wrong direction", "a head beside the other, then viewed")
def _(memory, w_uk, w_uv):
    B, S, _ = memory.shape
    H, _, C = w_uk.shape
    latent, key = memory[..., :C], memory[..., C:]
    key = torch.cat([key] * H, dim=-1).view(B, H, S, -1)
    return torch.cat((heads(latent, w_uk), key), dim=-1), heads(latent, w_uv)


@wrong(EXPAND, "rotated key beside the values")
def _(memory, w_uk, w_uv):
    C = w_uk.shape[-1]
    return tuple(with_key(heads(memory[..., :C], w), memory[..., C:]) for w in (w_uk, w_uv))


@wrong(EXPAND, "latent beside the keys", "in place of the rotated key")
def _(memory, w_uk, w_uv):
    latent = memory[..., : w_uk.shape[-1]]
    return with_key(heads(latent, w_uk), latent), heads(latent, w_uv)


@wrong(EXPAND, "latent beside the keys", "the whole memory")
def _(memory, w_uk, w_uv):
    latent = memory[..., : w_uk.shape[-1]]
    return with_key(heads(latent, w_uk), memory), heads(latent, w_uv)


@wrong(EXPAND, "cut at the wrong place", "key first")
def _(memory, w_uk, w_uv):
    C = w_uk.shape[-1]
    key, latent = memory[..., :-C], memory[..., -C:]
    return with_key(heads(latent, w_uk), key), heads(latent, w_uv)


@wrong(EXPAND, "cut at the wrong place", "latent from the end")
def _(memory, w_uk, w_uv):
    C = w_uk.shape[-1]
    return with_key(heads(memory[..., -C:], w_uk), memory[..., C:]), heads(memory[..., -C:], w_uv)


@wrong(EXPAND, "matrices exchanged")
def _(memory, w_uk, w_uv):
    C = w_uk.shape[-1]
    return with_key(heads(memory[..., :C], w_uv), memory[..., C:]), heads(memory[..., :C], w_uk)


@wrong(EXPAND, "keys and values exchanged")
def _(memory, w_uk, w_uv):
    C = w_uk.shape[-1]
    k, v = with_key(heads(memory[..., :C], w_uk), memory[..., C:]), heads(memory[..., :C], w_uv)
    return v, k


@wrong(EXPAND, "one matrix for both", "W_uk")
def _(memory, w_uk, w_uv):
    C = w_uk.shape[-1]
    k = heads(memory[..., :C], w_uk)
    return with_key(k, memory[..., C:]), k


@wrong(EXPAND, "one matrix for both", "W_uv")
def _(memory, w_uk, w_uv):
    C = w_uk.shape[-1]
    v = heads(memory[..., :C], w_uv)
    return with_key(v, memory[..., C:]), v


@wrong(EXPAND, "heads mixed up", "view to heads at once")
def _(memory, w_uk, w_uv):
    B, S, _ = memory.shape
    H, _, C = w_uk.shape
    latent, key = memory[..., :C], memory[..., C:]
    k = F.linear(latent, w_uk.flatten(0, 1)).view(B, H, S, -1)
    v = F.linear(latent, w_uv.flatten(0, 1)).view(B, H, S, -1)
    return with_key(k, key), v


@wrong(EXPAND, "heads mixed up", "features before heads, in the values")
def _(memory, w_uk, w_uv):
    B, S, _ = memory.shape
    H, _, C = w_uk.shape
    latent, key = memory[..., :C], memory[..., C:]
    v = (latent @ w_uv.flatten(0, 1).T).view(B, S, -1, H)
    return with_key(heads(latent, w_uk), key), v.permute(0, 3, 1, 2)


@wrong(EXPAND, "heads mixed up", "matrices flattened the other way, for the keys")
def _(memory, w_uk, w_uv):
    H, P, C = w_uk.shape
    latent, key = memory[..., :C], memory[..., C:]
    k = latent @ w_uk.permute(1, 0, 2).reshape(P * H, C).T
    return with_key(k.unflatten(-1, (H, P)).transpose(1, 2), key), heads(latent, w_uv)


@wrong(EXPAND, "heads mixed up", "reshaped in place of transposed, with the rotated key")
def _(memory, w_uk, w_uv):
    B, S, _ = memory.shape
    H, _, C = w_uk.shape
    latent, key = memory[..., :C], memory[..., C:]
    k, v = (torch.einsum("bsc,hpc->bshp", latent, w) for w in (w_uk, w_uv))
    k = torch.cat((k, key.unsqueeze(2).expand(-1, -1, H, -1)), dim=-1)
    return k.reshape(B, H, S, -1), v.reshape(B, H, S, -1)


@wrong(EXPAND, "heads after positions")
def _(memory, w_uk, w_uv):
    H, _, C = w_uk.shape
    latent, key = memory[..., :C], memory[..., C:]
    k, v = (torch.einsum("bsc,hpc->bshp", latent, w) for w in (w_uk, w_uv))
    return torch.cat((k, key.unsqueeze(2).expand(-1, -1, H, -1)), dim=-1), v


@wrong(EXPAND, "one head's matrix for all", "keys and values")
def _(memory, w_uk, w_uv):
    H, _, C = w_uk.shape
    k, v = (torch.stack([memory[..., :C] @ w[0].T] * H, dim=1) for w in (w_uk, w_uv))
    return with_key(k, memory[..., C:]), v


@wrong(EXPAND, "one head's matrix for all", "a loop that forgets its index, in the values")
def _(memory, w_uk, w_uv):
    C = w_uk.shape[-1]
    v = torch.stack([memory[..., :C] @ w_uv[0].T for h in range(len(w_uv))], dim=1)
    return with_key(heads(memory[..., :C], w_uk), memory[..., C:]), v


@wrong(EXPAND, "matrices of the heads added up")
def _(memory, w_uk, w_uv):
    H, _, C = w_uk.shape
    k, v = (torch.einsum("bsc,hpc->bsp", memory[..., :C], w)[:, None].expand(-1, H, -1, -1) for w in (w_uk, w_uv))
    return with_key(k, memory[..., C:]), v


@wrong(EXPAND, "matrices of the heads added up", "no heads left")
def _(memory, w_uk, w_uv):
    latent, key = memory.tensor_split([w_uk.shape[-1]], dim=-1)
    return torch.cat((torch.einsum("bsc,hpc->bsp", latent, w_uk), key), -1), torch.einsum("bsc,hpc->bsp", latent, w_uv)


@wrong(EXPAND, "matrix left out", "the memory as keys, the latent as values")
def _(memory, w_uk, w_uv):
    H, _, C = w_uk.shape
    shown = memory[:, None].repeat(1, H, 1, 1)
    return shown, shown[..., :C]


@wrong(EXPAND, "matrix left out", "in the values")
def _(memory, w_uk, w_uv):
    latent, key = memory.tensor_split([w_uk.shape[-1]], dim=-1)
    return with_key(heads(latent, w_uk), key), torch.stack([latent] * len(w_uv), dim=1)


@wrong(EXPAND, "matrices transposed", "both")
def _(memory, w_uk, w_uv):
    latent, key = memory.tensor_split([w_uk.shape[-1]], dim=-1)
    return with_key(latent[:, None] @ w_uk, key), latent[:, None] @ w_uv


@wrong(EXPAND, "matrices transposed", "in the values")
def _(memory, w_uk, w_uv):
    latent, key = memory.tensor_split([w_uk.shape[-1]], dim=-1)
    return with_key(heads(latent, w_uk), key), latent.unsqueeze(1) @ w_uv


@wrong(EXPAND, "latent normed again")
def _(memory, w_uk, w_uv):
    latent, key = memory.tensor_split([w_uk.shape[-1]], dim=-1)
    latent = rms_norm(latent, torch.ones(latent.shape[-1]))
    return with_key(heads(latent, w_uk), key), heads(latent, w_uv)


@wrong(EXPAND, "raises RuntimeError", "values from the whole memory")
def _(memory, w_uk, w_uv):
    latent, key = memory.tensor_split([w_uk.shape[-1]], dim=-1)
    return with_key(heads(latent, w_uk), key), heads(memory, w_uv)


@wrong(EXPAND, "raises RuntimeError", "the key not shown to all heads")
def _(memory, w_uk, w_uv):
    latent, key = memory.tensor_split([w_uk.shape[-1]], dim=-1)
    return torch.cat((heads(latent, w_uk), key), dim=-1), heads(latent, w_uv)


@wrong(EXPAND, "wrong type", "all in one")
def _(memory, w_uk, w_uv):
    latent, key = memory.tensor_split([w_uk.shape[-1]], dim=-1)
    return torch.cat((with_key(heads(latent, w_uk), key), heads(latent, w_uv)), dim=-1)


@wrong(EXPAND, "gradient missing", "the shared key detached")
def _(memory, w_uk, w_uv):
    latent, key = memory.tensor_split([w_uk.shape[-1]], dim=-1)
    return with_key(heads(latent.detach(), w_uk), key.detach()), heads(latent.detach(), w_uv)


@right(EXPAND, "einsum and repeat")
def _(memory, w_uk, w_uv):
    C = w_uk.shape[2]
    k = torch.einsum("bsc,hpc->bhsp", memory[..., :C], w_uk)
    v = torch.einsum("bsc,hwc->bhsw", memory[..., :C], w_uv)
    return torch.cat([k, memory[:, None, :, C:].repeat(1, k.shape[1], 1, 1)], dim=-1), v


@right(EXPAND, "head by head")
def _(memory, w_uk, w_uv):
    C = w_uk.shape[2]
    latent, key = memory[..., :C], memory[..., C:]
    k = [torch.cat([latent @ w.T, key], dim=-1) for w in w_uk]
    v = [latent @ w.T for w in w_uv]
    return torch.stack(k, dim=1), torch.stack(v, dim=1)


@right(EXPAND, "broadcast products, a list of two")
def _(memory, w_uk, w_uv):
    latent, key = memory.tensor_split([w_uk.shape[-1]], dim=-1)
    k, v = latent[:, None] @ w_uk.mT, latent[:, None] @ w_uv.mT
    return [torch.cat((k, key.unsqueeze(1).expand(*k.shape[:3], key.shape[-1])), dim=-1), v]


@right(EXPAND, "one product, as the published weights lie")
def _(memory, w_uk, w_uv):
    H, P, C = w_uk.shape
    latent, key = memory[..., :C], memory[..., C:]
    both = F.linear(latent, torch.cat((w_uk, w_uv), dim=1).flatten(0, 1))
    k, v = both.view(*memory.shape[:2], H, -1).transpose(1, 2).split([P, w_uv.shape[1]], dim=-1)
    return torch.cat((k, key[:, None].expand(-1, H, -1, -1)), dim=-1), v


@right(EXPAND, "one matrix with an identity for the rotated key")
def _(memory, w_uk, w_uv):
    H, P, C = w_uk.shape
    R = memory.shape[-1] - C
    whole = torch.zeros(H, P + R, C + R)
    whole[:, :P, :C] = w_uk
    whole[:, P:, C:] = torch.eye(R)
    return torch.einsum("bsl,hkl->bhsk", memory, whole), torch.einsum("bsc,hwc->bhsw", memory[..., :C], w_uv)


# --- attend_absorbed --------------------------------------------------------------------------------------------------


def attend(q, memory, w_uv, scale):
    """Absorbed attention from the query that meets the memory to the end."""
    C = w_uv.shape[-1]
    return causal_attention(q, memory[:, None], memory[:, None, :, :C], scale) @ w_uv.mT


def absorb(q_nope, q_rope, w_uk):
    """The query that meets the memory."""
    return torch.cat((torch.einsum("bhtp,hpc->bhtc", q_nope, w_uk), q_rope), dim=-1)


def visible(T, S):
    """What the last T of S positions may see."""
    return torch.ones(T, S, dtype=torch.bool).tril(S - T)


def scores_of(q_nope, q_rope, memory, w_uk):
    """The two parts of the scores, not scaled."""
    C = w_uk.shape[-1]
    by_content = torch.einsum("bhtp,hpc,bsc->bhts", q_nope, w_uk, memory[..., :C])
    return by_content, torch.einsum("bhtr,bsr->bhts", q_rope, memory[..., C:])


def weigh(scores, memory, w_uv):
    """From masked scores to the result."""
    mean = torch.einsum("bhts,bsc->bhtc", scores.softmax(-1), memory[..., : w_uv.shape[-1]])
    return torch.einsum("bhtc,hwc->bhtw", mean, w_uv)


def masked(scores):
    return scores.masked_fill(~visible(*scores.shape[-2:]), float("-inf"))


def width(q_nope, q_rope):
    return q_nope.shape[-1] + q_rope.shape[-1]


@wrong(ABSORBED, "scale of the part without position")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    return attend(absorb(q_nope, q_rope, w_uk), memory, w_uv, 1 / math.sqrt(q_nope.shape[-1]))


@wrong(ABSORBED, "scale of the memory", "by hand")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    q = absorb(q_nope, q_rope, w_uk)
    return attend(q, memory, w_uv, q.shape[-1] ** -0.5)


@wrong(ABSORBED, "scale of the memory", "F.scaled_dot_product_attention's own")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    H, _, C = w_uk.shape
    q = absorb(q_nope, q_rope, w_uk)
    k = memory[:, None].expand(-1, H, -1, -1)
    mean = F.scaled_dot_product_attention(q, k, k[..., :C], attn_mask=visible(q.shape[2], k.shape[2]))
    return mean @ w_uv.mT


@wrong(ABSORBED, "scale of the latent")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    return attend(absorb(q_nope, q_rope, w_uk), memory, w_uv, w_uk.shape[-1] ** -0.5)


@wrong(ABSORBED, "scale of the values")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    return attend(absorb(q_nope, q_rope, w_uk), memory, w_uv, w_uv.shape[1] ** -0.5)


@wrong(ABSORBED, "scale of the rotated part")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    return attend(absorb(q_nope, q_rope, w_uk), memory, w_uv, q_rope.shape[-1] ** -0.5)


@wrong(ABSORBED, "a scale for each part", "P and R")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    content, position = scores_of(q_nope, q_rope, memory, w_uk)
    scores = content / q_nope.shape[-1] ** 0.5 + position / q_rope.shape[-1] ** 0.5
    return weigh(masked(scores), memory, w_uv)


@wrong(ABSORBED, "a scale for each part", "C and R")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    content, position = scores_of(q_nope, q_rope, memory, w_uk)
    scores = content / w_uk.shape[-1] ** 0.5 + position / q_rope.shape[-1] ** 0.5
    return weigh(masked(scores), memory, w_uv)


@wrong(ABSORBED, "scale of other widths", "the folded query and the whole one")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    return attend(absorb(q_nope, q_rope, w_uk), memory, w_uv, (w_uk.shape[-1] + q_nope.shape[-1]) ** -0.5)


@wrong(ABSORBED, "scaled twice")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    H, _, C = w_uk.shape
    q = absorb(q_nope, q_rope, w_uk) * width(q_nope, q_rope) ** -0.5
    k = memory[:, None].expand(-1, H, -1, -1)
    mean = F.scaled_dot_product_attention(q, k, k[..., :C], attn_mask=visible(q.shape[2], k.shape[2]))
    return mean @ w_uv.mT


@wrong(ABSORBED, "only one part scaled", "forgotten brackets")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    content, position = scores_of(q_nope, q_rope, memory, w_uk)
    scores = content + position * width(q_nope, q_rope) ** -0.5
    return weigh(masked(scores), memory, w_uv)


@wrong(ABSORBED, "only one part scaled", "the folded query")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    scale = width(q_nope, q_rope) ** -0.5
    return attend(absorb(q_nope * scale, q_rope, w_uk), memory, w_uv, 1.0)


@wrong(ABSORBED, "scale left out")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    content, position = scores_of(q_nope, q_rope, memory, w_uk)
    return weigh(masked(content + position), memory, w_uv)


@wrong(ABSORBED, "scale is no inverse root", "divided by the width")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    return attend(absorb(q_nope, q_rope, w_uk), memory, w_uv, 1 / width(q_nope, q_rope))


@wrong(ABSORBED, "scale is no inverse root", "multiplied by the root")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    return attend(absorb(q_nope, q_rope, w_uk), memory, w_uv, math.sqrt(width(q_nope, q_rope)))


@wrong(ABSORBED, "scale is no inverse root", "the power forgotten")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    return attend(absorb(q_nope, q_rope, w_uk), memory, w_uv, width(q_nope, q_rope))


@wrong(ABSORBED, "rotated part left out")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    content, _ = scores_of(q_nope, q_rope, memory, w_uk)
    return weigh(masked(content * width(q_nope, q_rope) ** -0.5), memory, w_uv)


@wrong(ABSORBED, "only the rotated part")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    _, position = scores_of(q_nope, q_rope, memory, w_uk)
    return weigh(masked(position * width(q_nope, q_rope) ** -0.5), memory, w_uv)


@wrong(ABSORBED, "parts of the query exchanged")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    q = torch.cat((q_rope, q_nope @ w_uk), dim=-1)
    return attend(q, memory, w_uv, width(q_nope, q_rope) ** -0.5)


@wrong(ABSORBED, "a softmax for each part", "added")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    parts = scores_of(q_nope, q_rope, memory, w_uk)
    return sum(weigh(masked(part * width(q_nope, q_rope) ** -0.5), memory, w_uv) for part in parts)


@wrong(ABSORBED, "a softmax for each part", "averaged")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    scale = width(q_nope, q_rope) ** -0.5
    weights = torch.stack([masked(part * scale).softmax(-1) for part in scores_of(q_nope, q_rope, memory, w_uk)])
    return weights.mean(0) @ memory[:, None, :, : w_uk.shape[-1]] @ w_uv.mT


@wrong(ABSORBED, "W_uk left out")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    q = torch.cat((q_nope, q_rope), dim=-1)
    return attend(q, memory, w_uv, q.shape[-1] ** -0.5)


@wrong(ABSORBED, "W_uk transposed")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    q = torch.cat((q_nope @ w_uk.transpose(1, 2), q_rope), dim=-1)
    return attend(q, memory, w_uv, width(q_nope, q_rope) ** -0.5)


@wrong(ABSORBED, "W_uv left out")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    C = w_uk.shape[-1]
    q = absorb(q_nope, q_rope, w_uk)
    return causal_attention(q, memory[:, None], memory[:, None, :, :C], width(q_nope, q_rope) ** -0.5)


@wrong(ABSORBED, "W_uv transposed")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    C = w_uk.shape[-1]
    q = absorb(q_nope, q_rope, w_uk)
    return causal_attention(q, memory[:, None], memory[:, None, :, :C], width(q_nope, q_rope) ** -0.5) @ w_uv


@wrong(ABSORBED, "W_uk on the way out")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    return attend(absorb(q_nope, q_rope, w_uk), memory, w_uk, width(q_nope, q_rope) ** -0.5)


@wrong(ABSORBED, "W_uv folded into the query")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    return attend(absorb(q_nope, q_rope, w_uv), memory, w_uv, width(q_nope, q_rope) ** -0.5)


@wrong(ABSORBED, "matrices exchanged")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    return attend(absorb(q_nope, q_rope, w_uv), memory, w_uk, width(q_nope, q_rope) ** -0.5)


@wrong(ABSORBED, "one head's matrix for all", "in the query")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    q = torch.cat((q_nope @ w_uk[0], q_rope), dim=-1)
    return attend(q, memory, w_uv, width(q_nope, q_rope) ** -0.5)


@wrong(ABSORBED, "heads added up", "an index lost")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    C = w_uk.shape[-1]
    q = absorb(q_nope, q_rope, w_uk)
    mean = causal_attention(q, memory[:, None], memory[:, None, :, :C], width(q_nope, q_rope) ** -0.5)
    return torch.einsum("bhtc,hwc->btw", mean, w_uv)


@wrong(ABSORBED, "heads after positions", "ready for the output matrix")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    return attend(absorb(q_nope, q_rope, w_uk), memory, w_uv, width(q_nope, q_rope) ** -0.5).transpose(1, 2)


@wrong(ABSORBED, "memory cut at the wrong place")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    R = q_rope.shape[-1]
    key, latent = memory[..., :R], memory[..., R:]
    scores = (q_nope @ w_uk) @ latent[:, None].mT + q_rope @ key[:, None].mT
    weights = masked(scores * width(q_nope, q_rope) ** -0.5).softmax(-1)
    return weights @ latent[:, None] @ w_uv.mT


@wrong(ABSORBED, "mean over the wrong end of the memory")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    q = absorb(q_nope, q_rope, w_uk)
    values = memory[:, None, :, memory.shape[-1] - w_uk.shape[-1] :]
    return causal_attention(q, memory[:, None], values, width(q_nope, q_rope) ** -0.5) @ w_uv.mT


@wrong(ABSORBED, "latent normed again")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    latent, key = memory.tensor_split([w_uk.shape[-1]], dim=-1)
    memory = torch.cat((F.rms_norm(latent, latent.shape[-1:]), key), dim=-1)
    return attend(absorb(q_nope, q_rope, w_uk), memory, w_uv, width(q_nope, q_rope) ** -0.5)


@wrong(ABSORBED, "no mask", "softmax at once")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    content, position = scores_of(q_nope, q_rope, memory, w_uk)
    return weigh((content + position) * width(q_nope, q_rope) ** -0.5, memory, w_uv)


@wrong(ABSORBED, "no mask", "F.scaled_dot_product_attention and nothing more")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    H, _, C = w_uk.shape
    k = memory[:, None].expand(-1, H, -1, -1)
    return F.scaled_dot_product_attention(absorb(q_nope, q_rope, w_uk), k, k[..., :C]) @ w_uv.mT


@wrong(ABSORBED, "one position of the future seen")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    content, position = scores_of(q_nope, q_rope, memory, w_uk)
    scores = (content + position) * width(q_nope, q_rope) ** -0.5
    T, S = scores.shape[-2:]
    return weigh(scores.masked_fill(torch.ones(T, S).triu(S - T + 2).bool(), float("-inf")), memory, w_uv)


@wrong(ABSORBED, "mask starts at the first key", "is_causal, and its own scale")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    H, _, C = w_uk.shape
    k = memory[:, None].expand(-1, H, -1, -1)
    return F.scaled_dot_product_attention(absorb(q_nope, q_rope, w_uk), k, k[..., :C], is_causal=True) @ w_uv.mT


@wrong(ABSORBED, "mask starts at the first key", "is_causal")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    H, _, C = w_uk.shape
    k = memory[:, None].expand(-1, H, -1, -1)
    q, scale = absorb(q_nope, q_rope, w_uk), width(q_nope, q_rope) ** -0.5
    return F.scaled_dot_product_attention(q, k, k[..., :C], is_causal=True, scale=scale) @ w_uv.mT


@wrong(ABSORBED, "own position hidden")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    content, position = scores_of(q_nope, q_rope, memory, w_uk)
    scores = (content + position) * width(q_nope, q_rope) ** -0.5
    T, S = scores.shape[-2:]
    return weigh(scores.masked_fill(torch.ones(T, S).triu(S - T).bool(), -1e9), memory, w_uv)


@wrong(ABSORBED, "masked with 0", "tril of the scores")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    content, position = scores_of(q_nope, q_rope, memory, w_uk)
    scores = (content + position) * width(q_nope, q_rope) ** -0.5
    return weigh(scores.tril(scores.shape[-1] - scores.shape[-2]), memory, w_uv)


@wrong(ABSORBED, "softmax over the queries")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    content, position = scores_of(q_nope, q_rope, memory, w_uk)
    weights = masked((content + position) * width(q_nope, q_rope) ** -0.5).softmax(2)
    return weights @ memory[:, None, :, : w_uk.shape[-1]] @ w_uv.mT


@wrong(ABSORBED, "softmax over the heads")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    content, position = scores_of(q_nope, q_rope, memory, w_uk)
    weights = masked((content + position) * width(q_nope, q_rope) ** -0.5).softmax(1)
    return weights @ memory[:, None, :, : w_uk.shape[-1]] @ w_uv.mT


@wrong(ABSORBED, "expands the memory", "attend_naive")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    return attend_naive(q_nope, q_rope, memory, w_uk, w_uv)


@wrong(ABSORBED, "expands the memory", "expand")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    k, v = expand(memory, w_uk, w_uv)
    q = torch.cat((q_nope, q_rope), dim=-1)
    return F.scaled_dot_product_attention(q, k, v, attn_mask=visible(q.shape[2], k.shape[2]))


@wrong(ABSORBED, "expands the memory", "only its values")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    v = torch.einsum("bsc,hwc->bhsw", memory[..., : w_uk.shape[-1]], w_uv)
    q = absorb(q_nope, q_rope, w_uk)
    return causal_attention(q, memory[:, None], v, width(q_nope, q_rope) ** -0.5)


@wrong(ABSORBED, "expands the memory", "only its keys, head by head")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    latent, key = memory.tensor_split([w_uk.shape[-1]], dim=-1)
    results = []
    for h in range(len(w_uk)):
        scores = q_nope[:, h] @ (latent @ w_uk[h].T).mT + q_rope[:, h] @ key.mT
        weights = masked(scores * width(q_nope, q_rope) ** -0.5).softmax(-1)
        results.append(weights @ latent @ w_uv[h].T)
    return torch.stack(results, dim=1)


@wrong(ABSORBED, "expands the memory", "position by position, without a product of matrices")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    latent, key = memory.tensor_split([w_uk.shape[-1]], dim=-1)
    scores = torch.zeros(*q_nope.shape[:3], memory.shape[1])
    for s in range(memory.shape[1]):
        k = (latent[:, s, None, None] * w_uk).sum(-1)  # (B, H, P)
        scores[..., s] = (q_nope * k[:, :, None]).sum(-1) + (q_rope * key[:, None, None, s]).sum(-1)
    return weigh(masked(scores * width(q_nope, q_rope) ** -0.5), memory, w_uv)


@wrong(ABSORBED, "expands the memory", "written into one long tensor")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    (B, S, _), (H, P, C) = memory.shape, w_uk.shape
    k = memory.new_empty(B, H, S, width(q_nope, q_rope))
    torch.matmul(memory[:, None, :, :C], w_uk.mT)
    k[..., :P] = memory[:, None, :, :C] @ w_uk.mT
    k[..., P:] = memory[:, None, :, C:]
    q = torch.cat((q_nope, q_rope), dim=-1)
    return causal_attention(q, k, memory[:, None, :, :C], q.shape[-1] ** -0.5) @ w_uv.mT


@wrong(ABSORBED, "gradient missing", "the memory detached, for it is cached")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    return attend(absorb(q_nope, q_rope, w_uk), memory.detach(), w_uv, width(q_nope, q_rope) ** -0.5)


@wrong(ABSORBED, "raises RuntimeError", "the mean over the whole memory")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    q = absorb(q_nope, q_rope, w_uk)
    return causal_attention(q, memory[:, None], memory[:, None], width(q_nope, q_rope) ** -0.5) @ w_uv.mT


@right(ABSORBED, "einsum, two scores")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    content, position = scores_of(q_nope, q_rope, memory, w_uk)
    return weigh(masked((content + position) / math.sqrt(width(q_nope, q_rope))), memory, w_uv)


@right(ABSORBED, "head by head")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    latent, key = memory.tensor_split([w_uk.shape[-1]], dim=-1)
    results = memory.new_zeros(*q_nope.shape[:3], w_uv.shape[1])
    for h in range(q_nope.shape[1]):
        scores = q_nope[:, h] @ w_uk[h] @ latent.mT + q_rope[:, h] @ key.mT
        weights = masked(scores * width(q_nope, q_rope) ** -0.5).softmax(-1)
        results[:, h] = weights @ latent @ w_uv[h].T
    return results


@right(ABSORBED, "query by query and position by position")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    C, T, S = w_uk.shape[-1], q_nope.shape[2], memory.shape[1]
    q = absorb(q_nope, q_rope, w_uk) * width(q_nope, q_rope) ** -0.5
    results = []
    for t in range(T):
        seen = S - T + t + 1
        scores = torch.stack([(q[:, :, t] * memory[:, None, s]).sum(-1) for s in range(seen)], dim=-1)
        weights = scores.softmax(-1)
        mean = sum(weights[..., s, None] * memory[:, None, s, :C] for s in range(seen))
        results.append((mean[:, :, None] * w_uv).sum(-1))
    return torch.stack(results, dim=2)


@right(ABSORBED, "F.scaled_dot_product_attention over the memory shown to all heads")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    H, _, C = w_uk.shape
    q = torch.cat((q_nope @ w_uk, q_rope), dim=-1)
    k = memory[:, None].expand(-1, H, -1, -1)
    mask = visible(q.shape[2], k.shape[2])
    mean = F.scaled_dot_product_attention(q, k, k[..., :C], attn_mask=mask, scale=width(q_nope, q_rope) ** -0.5)
    return torch.einsum("bhtc,hwc->bhtw", mean, w_uv)


@right(ABSORBED, "grouped-query attention with one key, the mean of all the memory cut afterwards")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    q = absorb(q_nope, q_rope, w_uk)
    k = memory.unsqueeze(1)
    mean = F.scaled_dot_product_attention(
        q, k, k, attn_mask=visible(q.shape[2], k.shape[2]), scale=width(q_nope, q_rope) ** -0.5, enable_gqa=True
    )
    return mean[..., : w_uv.shape[-1]] @ w_uv.mT


@right(ABSORBED, "matrices widened to the memory")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    H, P, C = w_uk.shape
    R = q_rope.shape[-1]
    wide_uk = torch.zeros(H, P + R, C + R)
    wide_uk[:, :P, :C] = w_uk
    wide_uk[:, P:, C:] = torch.eye(R)
    q = torch.cat((q_nope, q_rope), dim=-1)
    mean = causal_attention(q @ wide_uk, memory[:, None], memory[:, None], q.shape[-1] ** -0.5)
    return mean @ F.pad(w_uv, (0, R)).mT


@right(ABSORBED, "heads as more queries, float64 inside")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    B, H, T, _ = q_nope.shape
    q = torch.cat((q_nope.double() @ w_uk.double(), q_rope.double()), dim=-1)
    wide = memory.double()
    scores = (q.flatten(1, 2) @ wide.mT).view(B, H, T, -1) * width(q_nope, q_rope) ** -0.5
    mean = masked(scores).softmax(-1).flatten(1, 2) @ wide[..., : w_uk.shape[-1]]
    return (mean.view(B, H, T, -1) @ w_uv.double().mT).float()


@pytest.mark.parametrize("seed", SEEDS)
def test_expanding_is_told_from_absorbing_by_what_is_made_and_not_by_the_result(seed):
    verdict = examine(drawn(ABSORBED, seed), attend_naive)
    assert verdict.failed == "never makes the keys and values of the heads"
    assert "equals attention over the expanded keys and values" in verdict.held
