"""Multi-head latent attention: cache one small latent for all heads instead of every key and value.

    c_t  = RMSNorm(w_dkv h_t)                 the latent, kv_lora_rank wide, shared by all heads
    r_t  = RoPE(w_kr h_t)                     one rotated key for all heads, not normed
    k_th = [w_uk,h c_t ; r_t],  v_th = w_uv,h c_t
    q_th = [q_nope ; RoPE(q_rope)] from h_t, through a latent of its own where q_lora_rank is set

The cache holds [c_t ; r_t] only. *Naive* attention expands it to keys and values for every head. *Absorbed*
attention never does: q . (w_uk c) = (w_uk^T q) . c, so w_uk folds into the query, and w_uv is applied to the
weighted mean of latents. Few queries against a long cache are cheaper absorbed; training is cheaper naive.

Source: DeepSeek-V2, arXiv 2405.04434, section 2.1 and appendix C.

Departures:
1. Where the context was stretched (YaRN), the query is multiplied by what the published code puts into the scale and
   into the rotated features of query and key. The scores are the same, and neither attention nor cache has to know.

Letters: B batch, T new tokens, S positions in the cache, D model width, H heads, C latent width, R rotated features,
P features without position, W features of a value; L what is remembered of a token, C + R.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mini_moe.config import ModelConfig, Yarn
from mini_moe.fused import CausalAttentionFunction, RotaryFunction
from mini_moe.layers import RMSNorm, apply_rotary, causal_attention, rms_norm


def compress(x_BTD: Tensor, w_LD: Tensor, norm_C: Tensor, cos: Tensor, sin: Tensor, eps: float = 1e-6) -> Tensor:
    """What is remembered of each token: a latent, normed, and beside it one key, rotated.

        [latent ; key] = w x
        memory = [RMSNorm(latent) ; RoPE(key)]

    Args:
        x_BTD: the tokens.
        w_LD: w; its first C rows give the latent, the last R the key.
        norm_C: the norm's weight; its length tells where the latent ends.
        cos, sin: (T, R / 2), from ``rotary_angles``.

    Returns:
        (B, T, L), L = C + R

    Source: DeepSeek-V2, arXiv 2405.04434, equations 9 and 15; the norm: section 3.1.2.

    >>> x, w = torch.tensor([[[2.0]]]), torch.tensor([[3.0], [4.0], [1.0], [0.0]])  # latent (6, 8), key (2, 0)
    >>> quarter_turn = torch.tensor([[0.0]]), torch.tensor([[1.0]])
    >>> compress(x, w, torch.ones(2), *quarter_turn)  # the latent's root mean square is 7.07
    tensor([[[0.8485, 1.1314, 0.0000, 2.0000]]])
    """
    latent, key = F.linear(x_BTD, w_LD).tensor_split([len(norm_C)], dim=-1)
    return torch.cat((rms_norm(latent, norm_C, eps), apply_rotary(key, cos, sin)), dim=-1)


def expand(memory_BSL: Tensor, w_uk_HPC: Tensor, w_uv_HWC: Tensor) -> tuple[Tensor, Tensor]:
    """The keys and values of every head, from what is remembered.

        k_h = [w_uk,h latent ; key],  v_h = w_uv,h latent

    Args:
        memory_BSL: from ``compress``.
        w_uk_HPC, w_uv_HWC: each head's matrices; their last dimension tells where the latent ends.

    Returns:
        keys (B, H, S, P + R) and values (B, H, S, W); the R rotated features are the same in every head.

    Source: DeepSeek-V2, arXiv 2405.04434, equations 10, 11 and 17.

    >>> memory = torch.tensor([[[1.0, 2.0, 5.0, 6.0]]])  # latent (1, 2), key (5, 6)
    >>> k, v = expand(memory, torch.tensor([[[1.0, 1.0]], [[1.0, 0.0]]]), torch.tensor([[[0.0, 10.0]], [[0.0, 0.0]]]))
    >>> k.tolist(), v.tolist()
    ([[[[3.0, 5.0, 6.0]], [[1.0, 5.0, 6.0]]]], [[[[20.0]], [[0.0]]]])
    """
    H, _, C = w_uk_HPC.shape
    latent, key = memory_BSL.tensor_split([C], dim=-1)
    k, v = (F.linear(latent, w.flatten(0, 1)).unflatten(-1, (H, -1)).transpose(1, 2) for w in (w_uk_HPC, w_uv_HWC))
    return torch.cat((k, key[:, None].expand(-1, H, -1, -1)), dim=-1), v


def attend_absorbed(
    q_nope_BHTP: Tensor, q_rope_BHTR: Tensor, memory_BSL: Tensor, w_uk_HPC: Tensor, w_uv_HWC: Tensor
) -> Tensor:
    """Attention over what is remembered, without ever making the keys and values of the heads.

        q . (w_uk c) = (w_uk^T q) . c       so w_uk goes into the query,
        sum_j p_j (w_uv c_j) = w_uv (sum_j p_j c_j)      and w_uv is applied once, after the mean

    The scale is (P + R)^-0.5, the width of a head's query in the form that this one equals.

    Args:
        q_nope_BHTP, q_rope_BHTR: the queries of the last T of the S positions, without position and rotated.
        memory_BSL: from ``compress``.

    Returns:
        (B, H, T, W), equal to causal attention over ``expand(memory, w_uk, w_uv)``.

    Source: DeepSeek-V2, arXiv 2405.04434, section 2.1.2.
    """
    q_nope_BHTC = q_nope_BHTP @ w_uk_HPC
    key_B1SL = memory_BSL[:, None]  # to the heads they are one shared key
    scale = (q_nope_BHTP.shape[-1] + q_rope_BHTR.shape[-1]) ** -0.5
    latent_B1SC = key_B1SL[..., : w_uk_HPC.shape[-1]]
    mean_BHTC = causal_attention(torch.cat((q_nope_BHTC, q_rope_BHTR), dim=-1), key_B1SL, latent_B1SC, scale)
    return mean_BHTC @ w_uv_HWC.transpose(-2, -1)


def attend_naive(
    q_nope_BHTP: Tensor, q_rope_BHTR: Tensor, memory_BSL: Tensor, w_uk_HPC: Tensor, w_uv_HWC: Tensor
) -> Tensor:
    """The same by expanding first: cheaper where there are many queries, as in training. As ``attend_absorbed``."""
    q = torch.cat((q_nope_BHTP, q_rope_BHTR), dim=-1)
    return CausalAttentionFunction.apply(q, *expand(memory_BSL, w_uk_HPC, w_uv_HWC), q.shape[-1] ** -0.5)


def sharpen(q_nope: Tensor, q_rope: Tensor, yarn: Yarn) -> tuple[Tensor, Tensor]:
    """The queries of a stretched context: larger, for among more positions attention would grow blurred.

        q_nope * m(mscale_all_dim)^2,  q_rope * m(mscale)^2,   m(s) = 0.1 s ln(factor) + 1

    The published model has 1 for both, so all scores are multiplied by m(1)^2.

    Args:
        q_nope: (..., P), the features without position.
        q_rope: (..., R), those that are rotated, before or after.
        yarn: gives the factor and an s for each kind.

    Returns:
        q_nope and q_rope, each of its shape.

    Source: Peng et al., arXiv 2309.00071, section 3.4: m^2 is their 1 / t, and their s is the
    factor. An s of its own for each kind of features as in the published code.

    >>> q_nope, q_rope = sharpen(torch.ones(1), torch.ones(1), Yarn(factor=40, original_max_position_embeddings=4096))
    >>> q_nope, q_rope  # (0.1 * 3.69 + 1)^2
    (tensor([1.8739]), tensor([1.8739]))
    """
    m_nope, m_rope = (0.1 * mscale * math.log(yarn.factor) + 1 for mscale in (yarn.mscale_all_dim, yarn.mscale))
    return q_nope * m_nope**2, q_rope * m_rope**2


class LatentCache:
    """What one layer remembers of the past: the normed latent and the rotated key, side by side.

    Args:
        config: gives the two widths.
        batch_size: B
        capacity: positions that fit.

    Source: DeepSeek-V2, arXiv 2405.04434, section 2.1.3: (kv_lora_rank + qk_rope_head_dim) numbers per token and layer.
    """

    def __init__(self, config: ModelConfig, batch_size: int, capacity: int, *, device=None, dtype=None):
        width = config.kv_lora_rank + config.qk_rope_head_dim
        self.memory = torch.zeros(batch_size, capacity, width, device=device, dtype=dtype)
        self.length = 0

    def append(self, new: Tensor) -> Tensor:
        """Add (B, T, C + R) and return all that is remembered, (B, S, C + R).

        Raises:
            ValueError: the cache is too short for the new tokens.
        """
        end = self.length + new.shape[1]
        if end > self.memory.shape[1]:
            raise ValueError(f"cache capacity must be at least {end} positions, got {self.memory.shape[1]}.")
        self.memory[:, self.length : end] = new
        self.length = end
        return self.memory[:, :end]


class MultiHeadLatentAttention(nn.Module):
    """Latent attention with its weights, under their published names. Input and output: (B, T, D)."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.config = config
        D, H = config.hidden_size, config.num_attention_heads
        C, R, P, W = config.kv_lora_rank, config.qk_rope_head_dim, config.qk_nope_head_dim, config.v_head_dim
        if config.q_lora_rank is None:
            self.q_proj = nn.Linear(D, H * (P + R), bias=False)
        else:
            self.q_a_proj = nn.Linear(D, config.q_lora_rank, bias=False)
            self.q_a_layernorm = RMSNorm(config.q_lora_rank, config.rms_norm_eps)
            self.q_b_proj = nn.Linear(config.q_lora_rank, H * (P + R), bias=False)
        self.kv_a_proj_with_mqa = nn.Linear(D, C + R, bias=False)
        self.kv_a_layernorm = RMSNorm(C, config.rms_norm_eps)
        self.kv_b_proj = nn.Linear(C, H * (P + W), bias=False)
        self.o_proj = nn.Linear(H * W, D, bias=False)

    def forward(
        self, x_BTD: Tensor, rotary: tuple[Tensor, Tensor], cache: LatentCache | None = None, absorbed: bool = False
    ) -> Tensor:
        """Attend to the tokens of ``x_BTD`` and, with a cache, to all before them.

        Args:
            rotary: cos and sin of the new tokens' positions, from ``rotary_angles``.
            cache: is appended to.
            absorbed: which of the two equal ways of computing to take.
        """
        c = self.config
        memory_BSL = self._compress(x_BTD, rotary)
        if cache is not None:
            memory_BSL = cache.append(memory_BSL)
        q_nope, q_rope = self._queries(x_BTD)
        if c.rope_scaling is not None:
            q_nope, q_rope = sharpen(q_nope, q_rope, c.rope_scaling)
        w_uk_HPC, w_uv_HWC = self.kv_b_proj.weight.unflatten(0, (c.num_attention_heads, -1)).split(
            [c.qk_nope_head_dim, c.v_head_dim], dim=1
        )
        attend = attend_absorbed if absorbed else attend_naive
        y_BHTW = attend(q_nope, RotaryFunction.apply(q_rope, *rotary), memory_BSL, w_uk_HPC, w_uv_HWC)
        return self.o_proj(y_BHTW.transpose(1, 2).flatten(2))

    def _compress(self, x_BTD: Tensor, rotary: tuple[Tensor, Tensor]) -> Tensor:
        """``compress``, with the faster norm and rotation of ``fused.py``."""
        latent, key = self.kv_a_proj_with_mqa(x_BTD).tensor_split([self.config.kv_lora_rank], dim=-1)
        return torch.cat((self.kv_a_layernorm(latent), RotaryFunction.apply(key, *rotary)), dim=-1)

    def _queries(self, x_BTD: Tensor) -> tuple[Tensor, Tensor]:
        """-> (B, H, T, P) without position and (B, H, T, R) still to be rotated."""
        if self.config.q_lora_rank is None:
            q = self.q_proj(x_BTD)
        else:
            q = self.q_b_proj(self.q_a_layernorm(self.q_a_proj(x_BTD)))
        q = q.unflatten(-1, (self.config.num_attention_heads, -1)).transpose(1, 2)
        return q.split([self.config.qk_nope_head_dim, self.config.qk_rope_head_dim], dim=-1)
