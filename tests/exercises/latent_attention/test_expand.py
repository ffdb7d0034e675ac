"""Answers to `expand`: wrong ones as learners write them, right ones each in another way."""

import torch
import torch.nn.functional as F
from exercises.answers import Claims
from exercises.latent_attention import expand_inputs_wrong, expand_wrong

ANSWERS = expand_wrong.ANSWERS + expand_inputs_wrong.ANSWERS
right = ANSWERS.right


class TestExpand(Claims):
    answers = ANSWERS


@right("einsum and repeat")
def _(memory, w_uk, w_uv):
    C = w_uk.shape[2]
    k = torch.einsum("bsc,hpc->bhsp", memory[..., :C], w_uk)
    v = torch.einsum("bsc,hwc->bhsw", memory[..., :C], w_uv)
    return torch.cat([k, memory[:, None, :, C:].repeat(1, k.shape[1], 1, 1)], dim=-1), v


@right("head by head")
def _(memory, w_uk, w_uv):
    C = w_uk.shape[2]
    latent, key = memory[..., :C], memory[..., C:]
    k = [torch.cat([latent @ w.T, key], dim=-1) for w in w_uk]
    v = [latent @ w.T for w in w_uv]
    return torch.stack(k, dim=1), torch.stack(v, dim=1)


@right("broadcast products, a list of two")
def _(memory, w_uk, w_uv):
    latent, key = memory.tensor_split([w_uk.shape[-1]], dim=-1)
    k, v = latent[:, None] @ w_uk.mT, latent[:, None] @ w_uv.mT
    return [torch.cat((k, key.unsqueeze(1).expand(*k.shape[:3], key.shape[-1])), dim=-1), v]


@right("one product, as the published weights lie")
def _(memory, w_uk, w_uv):
    H, P, C = w_uk.shape
    latent, key = memory[..., :C], memory[..., C:]
    both = F.linear(latent, torch.cat((w_uk, w_uv), dim=1).flatten(0, 1))
    k, v = both.view(*memory.shape[:2], H, -1).transpose(1, 2).split([P, w_uv.shape[1]], dim=-1)
    return torch.cat((k, key[:, None].expand(-1, H, -1, -1)), dim=-1), v


@right("one matrix with an identity for the rotated key")
def _(memory, w_uk, w_uv):
    H, P, C = w_uk.shape
    R = memory.shape[-1] - C
    whole = memory.new_zeros(H, P + R, C + R)
    whole[:, :P, :C] = w_uk
    whole[:, P:, C:] = torch.eye(R, dtype=memory.dtype)
    return torch.einsum("bsl,hkl->bhsk", memory, whole), torch.einsum("bsc,hwc->bhsw", memory[..., :C], w_uv)
