"""Wrong answers to `expand`."""

import torch
import torch.nn.functional as F
from exercises.answers import Answers
from exercises.latent_attention.expand_parts import heads, with_key

from mini_moe.course.exercises.latent_attention.expand import EXERCISE
from mini_moe.layers import rms_norm

ANSWERS = Answers(EXERCISE)
wrong = ANSWERS.wrong


@wrong("rotated key left out")
def _(memory, w_uk, w_uv):
    latent = memory[..., : w_uk.shape[-1]]
    return heads(latent, w_uk), heads(latent, w_uv)


@wrong("rotated key first")
def _(memory, w_uk, w_uv):
    C, H = w_uk.shape[-1], w_uk.shape[0]
    latent, key = memory[..., :C], memory[..., C:]
    key = key[:, None].repeat(1, H, 1, 1)
    return torch.cat((key, heads(latent, w_uk)), dim=-1), heads(latent, w_uv)


@wrong("rotated key in the first head only")
def _(memory, w_uk, w_uv):
    B, S, _ = memory.shape
    H, P, C = w_uk.shape
    k = torch.zeros(B, H, S, P + memory.shape[-1] - C)
    k[..., :P] = heads(memory[..., :C], w_uk)
    k[:, 0, :, P:] = memory[..., C:]
    return k, heads(memory[..., :C], w_uv)


@wrong("rotated key split among the heads")
def _(memory, w_uk, w_uv):
    B, S, _ = memory.shape
    H, _, C = w_uk.shape
    latent, key = memory[..., :C], memory[..., C:]
    key = key.view(B, S, H, -1).transpose(1, 2)
    return torch.cat((heads(latent, w_uk), key), dim=-1), heads(latent, w_uv)


@wrong("rotated key repeated in the wrong direction", "repeat_interleave")
def _(memory, w_uk, w_uv):
    B, S, _ = memory.shape
    H, _, C = w_uk.shape
    latent, key = memory[..., :C], memory[..., C:]
    key = key.repeat_interleave(H, dim=1).view(B, H, S, -1)
    return torch.cat((heads(latent, w_uk), key), dim=-1), heads(latent, w_uv)


@wrong("rotated key repeated in the wrong direction", "a head beside the other, then viewed")
def _(memory, w_uk, w_uv):
    B, S, _ = memory.shape
    H, _, C = w_uk.shape
    latent, key = memory[..., :C], memory[..., C:]
    key = torch.cat([key] * H, dim=-1).view(B, H, S, -1)
    return torch.cat((heads(latent, w_uk), key), dim=-1), heads(latent, w_uv)


@wrong("rotated key beside the values")
def _(memory, w_uk, w_uv):
    C = w_uk.shape[-1]
    return tuple(with_key(heads(memory[..., :C], w), memory[..., C:]) for w in (w_uk, w_uv))


@wrong("latent beside the keys", "in place of the rotated key")
def _(memory, w_uk, w_uv):
    latent = memory[..., : w_uk.shape[-1]]
    return with_key(heads(latent, w_uk), latent), heads(latent, w_uv)


@wrong("latent beside the keys", "the whole memory")
def _(memory, w_uk, w_uv):
    latent = memory[..., : w_uk.shape[-1]]
    return with_key(heads(latent, w_uk), memory), heads(latent, w_uv)


@wrong("cut at the wrong place", "key first")
def _(memory, w_uk, w_uv):
    C = w_uk.shape[-1]
    key, latent = memory[..., :-C], memory[..., -C:]
    return with_key(heads(latent, w_uk), key), heads(latent, w_uv)


@wrong("cut at the wrong place", "latent from the end")
def _(memory, w_uk, w_uv):
    C = w_uk.shape[-1]
    return with_key(heads(memory[..., -C:], w_uk), memory[..., C:]), heads(memory[..., -C:], w_uv)


@wrong("matrices exchanged")
def _(memory, w_uk, w_uv):
    C = w_uk.shape[-1]
    return with_key(heads(memory[..., :C], w_uv), memory[..., C:]), heads(memory[..., :C], w_uk)


@wrong("keys and values exchanged")
def _(memory, w_uk, w_uv):
    C = w_uk.shape[-1]
    k, v = with_key(heads(memory[..., :C], w_uk), memory[..., C:]), heads(memory[..., :C], w_uv)
    return v, k


@wrong("one matrix for both", "w_uk")
def _(memory, w_uk, w_uv):
    C = w_uk.shape[-1]
    k = heads(memory[..., :C], w_uk)
    return with_key(k, memory[..., C:]), k


@wrong("one matrix for both", "w_uv")
def _(memory, w_uk, w_uv):
    C = w_uk.shape[-1]
    v = heads(memory[..., :C], w_uv)
    return with_key(v, memory[..., C:]), v


@wrong("heads mixed up", "view to heads at once")
def _(memory, w_uk, w_uv):
    B, S, _ = memory.shape
    H, _, C = w_uk.shape
    latent, key = memory[..., :C], memory[..., C:]
    k = F.linear(latent, w_uk.flatten(0, 1)).view(B, H, S, -1)
    v = F.linear(latent, w_uv.flatten(0, 1)).view(B, H, S, -1)
    return with_key(k, key), v


@wrong("heads mixed up", "features before heads, in the values")
def _(memory, w_uk, w_uv):
    B, S, _ = memory.shape
    H, _, C = w_uk.shape
    latent, key = memory[..., :C], memory[..., C:]
    v = (latent @ w_uv.flatten(0, 1).T).view(B, S, -1, H)
    return with_key(heads(latent, w_uk), key), v.permute(0, 3, 1, 2)


@wrong("heads mixed up", "matrices flattened the other way, for the keys")
def _(memory, w_uk, w_uv):
    H, P, C = w_uk.shape
    latent, key = memory[..., :C], memory[..., C:]
    k = latent @ w_uk.permute(1, 0, 2).reshape(P * H, C).T
    return with_key(k.unflatten(-1, (H, P)).transpose(1, 2), key), heads(latent, w_uv)


@wrong("heads mixed up", "reshaped in place of transposed, with the rotated key")
def _(memory, w_uk, w_uv):
    B, S, _ = memory.shape
    H, _, C = w_uk.shape
    latent, key = memory[..., :C], memory[..., C:]
    k, v = (torch.einsum("bsc,hpc->bshp", latent, w) for w in (w_uk, w_uv))
    k = torch.cat((k, key.unsqueeze(2).expand(-1, -1, H, -1)), dim=-1)
    return k.reshape(B, H, S, -1), v.reshape(B, H, S, -1)


@wrong("heads after positions")
def _(memory, w_uk, w_uv):
    H, _, C = w_uk.shape
    latent, key = memory[..., :C], memory[..., C:]
    k, v = (torch.einsum("bsc,hpc->bshp", latent, w) for w in (w_uk, w_uv))
    return torch.cat((k, key.unsqueeze(2).expand(-1, -1, H, -1)), dim=-1), v


@wrong("one head's matrix for all", "keys and values")
def _(memory, w_uk, w_uv):
    H, _, C = w_uk.shape
    k, v = (torch.stack([memory[..., :C] @ w[0].T] * H, dim=1) for w in (w_uk, w_uv))
    return with_key(k, memory[..., C:]), v


@wrong("one head's matrix for all", "a loop that forgets its index, in the values")
def _(memory, w_uk, w_uv):
    C = w_uk.shape[-1]
    v = torch.stack([memory[..., :C] @ w_uv[0].T for h in range(len(w_uv))], dim=1)
    return with_key(heads(memory[..., :C], w_uk), memory[..., C:]), v


@wrong("matrices of the heads added up")
def _(memory, w_uk, w_uv):
    H, _, C = w_uk.shape
    k, v = (torch.einsum("bsc,hpc->bsp", memory[..., :C], w)[:, None].expand(-1, H, -1, -1) for w in (w_uk, w_uv))
    return with_key(k, memory[..., C:]), v


@wrong("matrices of the heads added up", "no heads left")
def _(memory, w_uk, w_uv):
    latent, key = memory.tensor_split([w_uk.shape[-1]], dim=-1)
    return torch.cat((torch.einsum("bsc,hpc->bsp", latent, w_uk), key), -1), torch.einsum("bsc,hpc->bsp", latent, w_uv)


@wrong("matrix left out", "the memory as keys, the latent as values")
def _(memory, w_uk, w_uv):
    H, _, C = w_uk.shape
    shown = memory[:, None].repeat(1, H, 1, 1)
    return shown, shown[..., :C]


@wrong("matrix left out", "in the values")
def _(memory, w_uk, w_uv):
    latent, key = memory.tensor_split([w_uk.shape[-1]], dim=-1)
    return with_key(heads(latent, w_uk), key), torch.stack([latent] * len(w_uv), dim=1)


@wrong("matrices transposed", "both")
def _(memory, w_uk, w_uv):
    latent, key = memory.tensor_split([w_uk.shape[-1]], dim=-1)
    return with_key(latent[:, None] @ w_uk, key), latent[:, None] @ w_uv


@wrong("matrices transposed", "in the values")
def _(memory, w_uk, w_uv):
    latent, key = memory.tensor_split([w_uk.shape[-1]], dim=-1)
    return with_key(heads(latent, w_uk), key), latent.unsqueeze(1) @ w_uv


@wrong("latent normed again")
def _(memory, w_uk, w_uv):
    latent, key = memory.tensor_split([w_uk.shape[-1]], dim=-1)
    latent = rms_norm(latent, torch.ones(latent.shape[-1]))
    return with_key(heads(latent, w_uk), key), heads(latent, w_uv)


@wrong("raises RuntimeError", "values from the whole memory")
def _(memory, w_uk, w_uv):
    latent, key = memory.tensor_split([w_uk.shape[-1]], dim=-1)
    return with_key(heads(latent, w_uk), key), heads(memory, w_uv)


@wrong("raises RuntimeError", "the key not shown to all heads")
def _(memory, w_uk, w_uv):
    latent, key = memory.tensor_split([w_uk.shape[-1]], dim=-1)
    return torch.cat((heads(latent, w_uk), key), dim=-1), heads(latent, w_uv)


@wrong("wrong type", "all in one")
def _(memory, w_uk, w_uv):
    latent, key = memory.tensor_split([w_uk.shape[-1]], dim=-1)
    return torch.cat((with_key(heads(latent, w_uk), key), heads(latent, w_uv)), dim=-1)


@wrong("gradient missing", "the shared key detached")
def _(memory, w_uk, w_uv):
    latent, key = memory.tensor_split([w_uk.shape[-1]], dim=-1)
    return with_key(heads(latent.detach(), w_uk), key.detach()), heads(latent.detach(), w_uv)
