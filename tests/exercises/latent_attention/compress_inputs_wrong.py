"""Wrong answers to `compress` that are right on some inputs: another type, batch, size or default tells them."""

import torch
import torch.nn.functional as F
from exercises.answers import Answers

from mini_moe.course.exercises.latent_attention.compress import EXERCISE
from mini_moe.layers import apply_rotary, rms_norm, rotary_angles

ANSWERS = Answers(EXERCISE)
wrong = ANSWERS.wrong


def cut(x, w, norm):
    return F.linear(x, w).tensor_split([len(norm)], dim=-1)


@wrong("another default", "1e-5")
def _(x, w, norm, cos, sin, eps=1e-5):
    latent, key = cut(x, w, norm)
    return torch.cat((rms_norm(latent, norm, eps), apply_rotary(key, cos, sin)), dim=-1)


@wrong("another default", "1e-8")
def _(x, w, norm, cos, sin, eps=1e-8):
    latent, key = cut(x, w, norm)
    return torch.cat((rms_norm(latent, norm, eps), apply_rotary(key, cos, sin)), dim=-1)


@wrong("another default", "none")
def _(x, w, norm, cos, sin, eps):
    latent, key = cut(x, w, norm)
    return torch.cat((rms_norm(latent, norm, eps), apply_rotary(key, cos, sin)), dim=-1)


@wrong("eps not handed on", "none at all")
def _(x, w, norm, cos, sin, eps=1e-6):
    latent, key = cut(x, w, norm)
    latent = norm * latent / latent.pow(2).mean(dim=-1, keepdim=True).sqrt()
    return torch.cat((latent, apply_rotary(key, cos, sin)), dim=-1)


@wrong("eps as a lower bound")
def _(x, w, norm, cos, sin, eps=1e-6):
    latent, key = cut(x, w, norm)
    mean_square = latent.pow(2).mean(dim=-1, keepdim=True)
    latent = norm * latent / torch.maximum(mean_square, torch.tensor(eps)).sqrt()
    return torch.cat((latent, apply_rotary(key, cos, sin)), dim=-1)


@wrong("eps in the sum")
def _(x, w, norm, cos, sin, eps=1e-6):
    latent, key = cut(x, w, norm)
    total = (latent * latent).sum(dim=-1, keepdim=True) + eps
    return torch.cat((norm * latent * (len(norm) / total).sqrt(), apply_rotary(key, cos, sin)), dim=-1)


@wrong("C - 1 in place of C")
def _(x, w, norm, cos, sin, eps=1e-6):
    latent, key = cut(x, w, norm)
    variance = (latent * latent).sum(dim=-1, keepdim=True) / (len(norm) - 1)
    return torch.cat((norm * latent / torch.sqrt(variance + eps), apply_rotary(key, cos, sin)), dim=-1)


@wrong("weight as 1 + weight")
def _(x, w, norm, cos, sin, eps=1e-6):
    latent, key = cut(x, w, norm)
    latent = latent / torch.sqrt(latent.pow(2).mean(dim=-1, keepdim=True) + eps)
    return torch.cat((latent + norm * latent, apply_rotary(key, cos, sin)), dim=-1)


@wrong("key turned twice")
def _(x, w, norm, cos, sin, eps=1e-6):
    latent, key = cut(x, w, norm)
    twice = 2 * cos * cos - 1, 2 * sin * cos
    return torch.cat((rms_norm(latent, norm, eps), apply_rotary(key, *twice)), dim=-1)


@wrong("key from the token")
def _(x, w, norm, cos, sin, eps=1e-6):
    latent = x @ w[: len(norm)].T
    key = x[..., x.shape[-1] - (len(w) - len(norm)) :]
    return torch.cat((rms_norm(latent, norm, eps), apply_rotary(key, cos, sin)), dim=-1)


@wrong("w transposed")
def _(x, w, norm, cos, sin, eps=1e-6):
    latent, key = (x @ w).tensor_split([len(norm)], dim=-1)
    return torch.cat((rms_norm(latent, norm, eps), apply_rotary(key, cos, sin)), dim=-1)


@wrong("part of an input not used", "only the first pair turns")
def _(x, w, norm, cos, sin, eps=1e-6):
    latent, key = cut(x, w, norm)
    key = torch.cat((apply_rotary(key[..., :2], cos[:, :1], sin[:, :1]), key[..., 2:]), dim=-1)
    return torch.cat((rms_norm(latent, norm, eps), key), dim=-1)


@wrong("input not used", "angles of its own")
def _(x, w, norm, cos, sin, eps=1e-6):
    latent, key = cut(x, w, norm)
    angles = rotary_angles(torch.arange(x.shape[1]), key.shape[-1], theta=100.0)
    return torch.cat((rms_norm(latent, norm, eps), apply_rotary(key, *angles)), dim=-1)


@wrong("latent changes with position", "its first features turn")
def _(x, w, norm, cos, sin, eps=1e-6):
    latent, key = cut(x, w, norm)
    latent, key = rms_norm(latent, norm, eps), apply_rotary(key, cos, sin)
    if len(norm) > 1:
        latent = torch.cat((apply_rotary(latent[..., :2], cos[:, :1], sin[:, :1]), latent[..., 2:]), dim=-1)
    return torch.cat((latent, key), dim=-1)


@wrong("large latents changed", "cut off at 20")
def _(x, w, norm, cos, sin, eps=1e-6):
    latent, key = cut(x, w, norm)
    return torch.cat((rms_norm(latent.clamp(-20, 20), norm, eps), apply_rotary(key, cos, sin)), dim=-1)


@wrong("depends on other sequences", "the key of the first for all")
def _(x, w, norm, cos, sin, eps=1e-6):
    latent, key = cut(x, w, norm)
    key = apply_rotary(key, cos, sin)
    return torch.cat((rms_norm(latent, norm, eps), key[:1].repeat(len(x), 1, 1)), dim=-1)


@wrong("depends on other sequences", "a row of all tokens, each angle repeated on the spot")
def _(x, w, norm, cos, sin, eps=1e-6):
    latent, key = cut(x.flatten(0, 1), w, norm)
    key = apply_rotary(key, *(angle.repeat_interleave(len(x), dim=0) for angle in (cos, sin)))
    return torch.cat((rms_norm(latent, norm, eps), key), dim=-1).view(*x.shape[:2], -1)


@wrong("depends on other tokens", "the last token's size for all")
def _(x, w, norm, cos, sin, eps=1e-6):
    latent, key = cut(x, w, norm)
    size = torch.sqrt(latent.square().mean(dim=-1, keepdim=True) + eps)
    return torch.cat((norm * latent / size[:, -1:], apply_rotary(key, cos, sin)), dim=-1)


@wrong("wrong shape", "the sizes of 1 lost")
def _(x, w, norm, cos, sin, eps=1e-6):
    latent, key = cut(x, w, norm)
    return torch.cat((rms_norm(latent, norm, eps), apply_rotary(key, cos, sin)), dim=-1).squeeze()


@wrong("raises RuntimeError", "latent and key of one width")
def _(x, w, norm, cos, sin, eps=1e-6):
    latent, key = F.linear(x, w).chunk(2, dim=-1)
    return torch.cat((rms_norm(latent, norm, eps), apply_rotary(key, cos, sin)), dim=-1)


@wrong("size detached")
def _(x, w, norm, cos, sin, eps=1e-6):
    latent, key = cut(x, w, norm)
    with torch.no_grad():
        size = torch.sqrt(latent.square().mean(dim=-1, keepdim=True) + eps)
    return torch.cat((norm * latent / size, apply_rotary(key, cos, sin)), dim=-1)


@wrong("latent detached")
def _(x, w, norm, cos, sin, eps=1e-6):
    latent, key = cut(x, w, norm)
    return torch.cat((rms_norm(latent.data, norm, eps), apply_rotary(key, cos, sin)), dim=-1)


@wrong("key detached")
def _(x, w, norm, cos, sin, eps=1e-6):
    latent, key = cut(x, w, norm)
    return torch.cat((rms_norm(latent, norm, eps), apply_rotary(key.detach(), cos, sin)), dim=-1)


@wrong("changes its input", "angles given a place for the batch")
def _(x, w, norm, cos, sin, eps=1e-6):
    latent, key = cut(x, w, norm)
    return torch.cat((rms_norm(latent, norm, eps), apply_rotary(key, cos.unsqueeze_(0), sin.unsqueeze_(0))), dim=-1)


@wrong("rounded", "bfloat16 inside")
def _(x, w, norm, cos, sin, eps=1e-6):
    latent, key = cut(x.bfloat16(), w.bfloat16(), norm)
    return torch.cat((rms_norm(latent, norm, eps), apply_rotary(key, cos, sin)), dim=-1).to(x.dtype)


@wrong("needs contiguous inputs", "view")
def _(x, w, norm, cos, sin, eps=1e-6):
    B, T, D = x.shape
    latent, key = (x.view(B * T, D) @ w.T).view(B, T, -1).tensor_split([len(norm)], dim=-1)
    return torch.cat((rms_norm(latent, norm, eps), apply_rotary(key, cos, sin)), dim=-1)
