"""Wrong answers to `expand` that are right on some inputs, or in all but the rotated key or the gradient."""

import torch
import torch.nn.functional as F
from exercises.answers import Answers
from exercises.latent_attention.expand_parts import heads, with_key

from mini_moe.course.exercises.latent_attention.expand import EXERCISE
from mini_moe.layers import apply_rotary, rotary_angles

ANSWERS = Answers(EXERCISE)
wrong = ANSWERS.wrong


def parts(memory, w_uk, w_uv):
    """Each head's features for keys and for values, and the rotated key."""
    latent, key = memory.tensor_split([w_uk.shape[-1]], dim=-1)
    return heads(latent, w_uk), heads(latent, w_uv), key


@wrong("rotated key repeated in the wrong direction", "a batch after the other, then viewed")
def _(memory, w_uk, w_uv):
    k, v, key = parts(memory, w_uk, w_uv)
    key = torch.cat([key] * len(w_uk)).reshape(*k.shape[:3], -1)
    return torch.cat((k, key), dim=-1), v


@wrong("rotated key of another token", "the first sequence's")
def _(memory, w_uk, w_uv):
    k, v, key = parts(memory, w_uk, w_uv)
    return with_key(k, key[0].expand_as(key)), v


@wrong("rotated key of another token", "the last token's")
def _(memory, w_uk, w_uv):
    k, v, key = parts(memory, w_uk, w_uv)
    return with_key(k, key[:, -1:].repeat(1, key.shape[1], 1)), v


@wrong("rotated key not as it was", "shared among the heads")
def _(memory, w_uk, w_uv):
    k, v, key = parts(memory, w_uk, w_uv)
    return with_key(k, key / len(w_uk)), v


@wrong("rotated key not as it was", "rotated again")
def _(memory, w_uk, w_uv):
    k, v, key = parts(memory, w_uk, w_uv)
    return with_key(k, apply_rotary(key, *rotary_angles(torch.arange(key.shape[1]), key.shape[-1], 100.0))), v


@wrong("rotated key in the values")
def _(memory, w_uk, w_uv):
    k, v, key = parts(memory, w_uk, w_uv)
    return with_key(k, key), v + key.sum(dim=-1)[:, None, :, None]


@wrong("rotated key in a head's own features")
def _(memory, w_uk, w_uv):
    k, v, key = parts(memory, w_uk, w_uv)
    return with_key(k + key.mean(dim=-1)[:, None, :, None], key), v


@wrong("matrices of other heads", "in reverse")
def _(memory, w_uk, w_uv):
    k, v, key = parts(memory, w_uk, w_uv.flip(0))
    return with_key(k, key), v


@wrong("out of proportion", "a bias")
def _(memory, w_uk, w_uv):
    k, v, key = parts(memory, w_uk, w_uv)
    return with_key(k, key), v + 1


@wrong("keys scaled")
def _(memory, w_uk, w_uv):
    k, v, key = parts(memory, w_uk, w_uv)
    k = with_key(k, key)
    return k / k.shape[-1] ** 0.5, v


@wrong("depends on other sequences", "a batch that shares its latents")
def _(memory, w_uk, w_uv):
    k, v, key = parts(memory, w_uk, w_uv)
    return with_key(k, key), v - v.mean(dim=0) + v[0]


@wrong("depends on other tokens", "values of the past added up")
def _(memory, w_uk, w_uv):
    k, v, key = parts(memory, w_uk, w_uv)
    return with_key(k, key), v.flip(2).cumsum(dim=2).flip(2)


@wrong("out of proportion", "cut off at 50")
def _(memory, w_uk, w_uv):
    k, v, key = parts(memory, w_uk, w_uv)
    return with_key(k, key), v.clamp(-50, 50)


@wrong("matrices transposed", "wherever that runs")
def _(memory, w_uk, w_uv):
    k, v, key = parts(memory, w_uk, w_uv)
    if w_uv.shape[1] == w_uv.shape[2]:
        v = memory[:, None, :, : w_uv.shape[2]] @ w_uv
    return with_key(k, key), v


@wrong("wrong shape", "at most 64 tokens")
def _(memory, w_uk, w_uv):
    k, v, key = parts(memory[:, :64], w_uk, w_uv)
    return with_key(k, key), v


@wrong("wrong shape", "a single head without its dimension")
def _(memory, w_uk, w_uv):
    k, v, key = parts(memory, w_uk, w_uv)
    return with_key(k, key).squeeze(1), v.squeeze(1)


@wrong("wrong shape", "a rotated key of 2")
def _(memory, w_uk, w_uv):
    k, v, key = parts(memory, w_uk, w_uv)
    return with_key(k, key[..., :2]), v


@wrong("wrong shape", "values as wide as keys")
def _(memory, w_uk, w_uv):
    _, _, key = parts(memory, w_uk, w_uv)
    both = torch.cat((w_uk, w_uv), dim=1)
    k, v = heads(memory[..., : both.shape[-1]], both).chunk(2, dim=-1)
    return with_key(k, key), v


@wrong("rotated key detached")
def _(memory, w_uk, w_uv):
    k, v, key = parts(memory, w_uk, w_uv)
    return with_key(k, key.detach()), v


@wrong("latent detached", "in the values")
def _(memory, w_uk, w_uv):
    k, _, key = parts(memory, w_uk, w_uv)
    return with_key(k, key), heads(memory.detach()[..., : w_uv.shape[-1]], w_uv)


@wrong("latent detached", "in the keys")
def _(memory, w_uk, w_uv):
    _, v, key = parts(memory, w_uk, w_uv)
    return with_key(heads(memory.data[..., : w_uk.shape[-1]], w_uk), key), v


@wrong("gradient missing", "by way of numpy")
def _(memory, w_uk, w_uv):
    k, v, key = parts(*(torch.from_numpy(x.detach().numpy()) for x in (memory, w_uk, w_uv)))
    return with_key(k, key), v


@wrong("changes its input", "the rotated key turned on the spot")
def _(memory, w_uk, w_uv):
    memory[..., w_uk.shape[-1] :] *= 2
    k, v, key = parts(memory, w_uk, w_uv)
    return with_key(k, key / 2), v


@wrong("rounded", "bfloat16 inside")
def _(memory, w_uk, w_uv):
    k, v, key = parts(memory.bfloat16(), w_uk.bfloat16(), w_uv.bfloat16())
    return with_key(k, key).to(memory), v.to(memory)


@wrong("needs contiguous inputs", "a view of the matrices")
def _(memory, w_uk, w_uv):
    H, _, C = w_uk.shape
    latent, key = memory[..., :C], memory[..., C:]
    k, v = (F.linear(latent, w.view(-1, C)).unflatten(-1, (H, -1)).transpose(1, 2) for w in (w_uk, w_uv))
    return with_key(k, key), v


@wrong("needs contiguous inputs", "a view of the memory")
def _(memory, w_uk, w_uv):
    B, S, L = memory.shape
    k, v, key = parts(memory.view(1, B * S, L), w_uk, w_uv)
    k, v = (y.squeeze(0).unflatten(1, (B, S)).transpose(0, 1) for y in (with_key(k, key), v))
    return k, v
