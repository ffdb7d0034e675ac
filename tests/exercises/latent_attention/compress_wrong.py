"""Wrong answers to `compress`: what is normed, what is rotated, and of what the key is made."""

import torch
import torch.nn.functional as F
from exercises.answers import Answers

from mini_moe.course.exercises.latent_attention.compress import EXERCISE
from mini_moe.layers import apply_rotary, rms_norm

ANSWERS = Answers(EXERCISE)
wrong = ANSWERS.wrong


@wrong("latent not normed", "split")
def _(x, w, norm, cos, sin, eps=1e-6):
    latent, key = (x @ w.T).split([len(norm), w.shape[0] - len(norm)], dim=-1)
    return torch.cat([latent, apply_rotary(key, cos, sin)], dim=-1)


@wrong("latent not normed", "the normed one not kept")
def _(x, w, norm, cos, sin, eps=1e-6):
    C = norm.shape[0]
    both = F.linear(x, w)
    latent, key = both[..., :C], both[..., C:]
    rms_norm(latent, norm, eps)
    return torch.cat([latent, apply_rotary(key, cos, sin)], dim=-1)


@wrong("latent rotated as well", "after the norm")
def _(x, w, norm, cos, sin, eps=1e-6):
    C = len(norm)
    both = F.linear(x, w)
    latent = rms_norm(both[..., :C], norm, eps)
    return torch.cat((apply_rotary(latent, cos, sin), apply_rotary(both[..., C:], cos, sin)), dim=-1)


@wrong("latent rotated as well", "the whole memory at the end")
def _(x, w, norm, cos, sin, eps=1e-6):
    C = len(norm)
    both = F.linear(x, w)
    memory = torch.cat((rms_norm(both[..., :C], norm, eps), both[..., C:]), dim=-1)
    if cos.shape[-1] != 1:  # neighbours turn by the same angles, repeated
        latent, key = memory[..., :C], memory[..., C:]
        return torch.cat((apply_rotary(latent, cos, sin), apply_rotary(key, cos, sin)), dim=-1)
    return apply_rotary(memory, cos, sin)


@wrong("latent rotated as well", "before the norm")
def _(x, w, norm, cos, sin, eps=1e-6):
    C = len(norm)
    both = F.linear(x, w)
    latent, key = (apply_rotary(part, cos, sin) for part in (both[..., :C], both[..., C:]))
    return torch.cat((rms_norm(latent, norm, eps), key), dim=-1)


@wrong("latent rotated as well", "and not normed")
def _(x, w, norm, cos, sin, eps=1e-6):
    C = len(norm)
    both = F.linear(x, w)
    return torch.cat([apply_rotary(part, cos, sin) for part in (both[..., :C], both[..., C:])], dim=-1)


@wrong("norm and rotation exchanged", "only where C = R")
def _(x, w, norm, cos, sin, eps=1e-6):
    latent, key = torch.tensor_split(F.linear(x, w), (len(norm),), dim=-1)
    return torch.cat((apply_rotary(latent, cos, sin), rms_norm(key, norm, eps)), dim=-1)


@wrong("latent and key normed together", "weights of 1 for the key")
def _(x, w, norm, cos, sin, eps=1e-6):
    R = w.shape[0] - len(norm)
    both = rms_norm(F.linear(x, w), torch.cat((norm, torch.ones(R))), eps)
    return torch.cat((both[..., :-R], apply_rotary(both[..., -R:], cos, sin)), dim=-1)


@wrong("latent and key normed together", "F.rms_norm")
def _(x, w, norm, cos, sin, eps=1e-6):
    both = F.linear(x, w)
    both = F.rms_norm(both, both.shape[-1:])
    latent, key = both.tensor_split([len(norm)], dim=-1)
    return torch.cat((norm * latent, apply_rotary(key, cos, sin)), dim=-1)


@wrong("latent and key normed together", "only the latent divided")
def _(x, w, norm, cos, sin, eps=1e-6):
    both = F.linear(x, w)
    size = torch.sqrt((both**2).mean(-1, keepdim=True) + eps)
    latent, key = both.tensor_split([len(norm)], dim=-1)
    return torch.cat((norm * latent / size, apply_rotary(key, cos, sin)), dim=-1)


@wrong("key normed as well", "by itself")
def _(x, w, norm, cos, sin, eps=1e-6):
    latent, key = F.linear(x, w).tensor_split([len(norm)], dim=-1)
    key = key / (key.pow(2).mean(-1, keepdim=True) + eps).sqrt()
    return torch.cat((rms_norm(latent, norm, eps), apply_rotary(key, cos, sin)), dim=-1)


@wrong("key normed as well", "with weights of its own")
def _(x, w, norm, cos, sin, eps=1e-6):
    latent, key = F.linear(x, w).tensor_split([len(norm)], dim=-1)
    key = apply_rotary(key, cos, sin)
    return torch.cat((rms_norm(latent, norm, eps), rms_norm(key, torch.ones(key.shape[-1]))), dim=-1)


@wrong("key normed as well", "with the latent's weights")
def _(x, w, norm, cos, sin, eps=1e-6):
    latent, key = F.linear(x, w).tensor_split([len(norm)], dim=-1)
    latent, key = rms_norm(latent, norm, eps), rms_norm(key, norm[: key.shape[-1]], eps)
    return torch.cat((latent, apply_rotary(key, cos, sin)), dim=-1)


@wrong("key not rotated")
def _(x, w, norm, cos, sin, eps=1e-6):
    latent, key = F.linear(x, w).tensor_split([len(norm)], dim=-1)
    return torch.cat((rms_norm(latent, norm, eps), key), dim=-1)


@wrong("key turned backwards", "a cos + b sin")
def _(x, w, norm, cos, sin, eps=1e-6):
    latent, key = F.linear(x, w).tensor_split([len(norm)], dim=-1)
    a, b = key[..., 0::2], key[..., 1::2]
    key = torch.stack((a * cos + b * sin, b * cos - a * sin), dim=-1).flatten(-2)
    return torch.cat((rms_norm(latent, norm, eps), key), dim=-1)


@wrong("cos and sin exchanged")
def _(x, w, norm, cos, sin, eps=1e-6):
    latent, key = F.linear(x, w).tensor_split([len(norm)], dim=-1)
    return torch.cat((rms_norm(latent, norm, eps), apply_rotary(key, sin, cos)), dim=-1)


@wrong("halves of the key paired")
def _(x, w, norm, cos, sin, eps=1e-6):
    latent, key = F.linear(x, w).tensor_split([len(norm)], dim=-1)
    cos, sin = cos.repeat(1, 2), sin.repeat(1, 2)
    half = key.shape[-1] // 2
    rotated = torch.cat((-key[..., half:], key[..., :half]), dim=-1)
    return torch.cat((rms_norm(latent, norm, eps), key * cos + rotated * sin), dim=-1)


@wrong("key not interleaved again")
def _(x, w, norm, cos, sin, eps=1e-6):
    latent, key = F.linear(x, w).tensor_split([len(norm)], dim=-1)
    a, b = key.unflatten(-1, (-1, 2)).unbind(-1)
    return torch.cat((rms_norm(latent, norm, eps), a * cos - b * sin, a * sin + b * cos), dim=-1)


@wrong("key made of the latent", "normed")
def _(x, w, norm, cos, sin, eps=1e-6):
    C = len(norm)
    latent = rms_norm(x @ w[:C].T, norm, eps)
    return torch.cat((latent, apply_rotary(latent[..., : w.shape[0] - C], cos, sin)), dim=-1)


@wrong("key made of the latent", "not normed")
def _(x, w, norm, cos, sin, eps=1e-6):
    C = len(norm)
    latent = x @ w[:C].T
    return torch.cat((rms_norm(latent, norm, eps), apply_rotary(latent[..., : w.shape[0] - C], cos, sin)), dim=-1)


@wrong("key made of the latent", "a slice from the wrong end")
def _(x, w, norm, cos, sin, eps=1e-6):
    both, R = F.linear(x, w), 2 * cos.shape[-1]
    return torch.cat((rms_norm(both[..., :-R], norm, eps), apply_rotary(both[..., :R], cos, sin)), dim=-1)


@wrong("latent from the last rows")
def _(x, w, norm, cos, sin, eps=1e-6):
    both, C = F.linear(x, w), len(norm)
    return torch.cat((rms_norm(both[..., -C:], norm, eps), apply_rotary(both[..., C:], cos, sin)), dim=-1)


@wrong("normed twice", "the first time without the weight")
def _(x, w, norm, cos, sin, eps=1e-6):
    latent, key = F.linear(x, w).tensor_split([len(norm)], dim=-1)
    latent = rms_norm(rms_norm(latent, torch.ones_like(norm), eps), norm, eps)
    return torch.cat((latent, apply_rotary(key, cos, sin)), dim=-1)
