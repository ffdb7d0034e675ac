"""Multi-head latent attention: cache one small latent for all heads instead of every key and value.

    c_t  = RMSNorm(W_dkv h_t)                 the latent, kv_lora_rank wide, shared by all heads
    r_t  = RoPE(W_kr h_t)                     one rotated key for all heads, not normed
    k_th = [W_uk,h c_t ; r_t],  v_th = W_uv,h c_t
    q_th = [q_nope ; RoPE(q_rope)] from h_t, through a latent of its own where q_lora_rank is set

The cache holds [c_t ; r_t] only. *Naive* attention expands it to keys and values for every head. *Absorbed*
attention never does: q . (W_uk c) = (W_uk^T q) . c, so W_uk folds into the query, and W_uv is applied to the
weighted mean of latents. Few queries against a long cache are cheaper absorbed; training is cheaper naive.

Source: DeepSeek-V2, arXiv 2405.04434, section 2.1 and appendix C.

Departures:
1. No YaRN: the scale is qk_head_dim^-0.5, without the factor for stretched contexts.

Letters: B batch, T new tokens, S positions in the cache, D model width, H heads, C latent width, R rotated features,
P features without position, W features of a value.
"""

import torch
from torch import Tensor, nn

from mini_moe.config import ModelConfig
from mini_moe.fused import CausalAttentionFunction, apply_rotary_as_complex
from mini_moe.layers import RMSNorm, causal_attention


class LatentCache:
    """What one layer remembers of the past: the normed latent and the rotated key, side by side.

    Args:
        config: gives the two widths.
        batch_size: B
        capacity: positions that fit.

    Source: DeepSeek-V2, arXiv 2405.04434, section 2.1.3: (kv_lora_rank + qk_rope_head_dim) numbers a token and layer.
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
        q_nope, q_rope = self._queries(x_BTD)
        latent, k_rope = self.kv_a_proj_with_mqa(x_BTD).split(
            [self.config.kv_lora_rank, self.config.qk_rope_head_dim], dim=-1
        )
        memory = torch.cat((self.kv_a_layernorm(latent), apply_rotary_as_complex(k_rope, *rotary)), dim=-1)
        if cache is not None:
            memory = cache.append(memory)
        attend = self._attend_absorbed if absorbed else self._attend_naive
        y_BHTW = attend(q_nope, apply_rotary_as_complex(q_rope, *rotary), memory)
        return self.o_proj(y_BHTW.transpose(1, 2).flatten(2))

    def _queries(self, x_BTD: Tensor) -> tuple[Tensor, Tensor]:
        """-> (B, H, T, P) without position and (B, H, T, R) still to be rotated."""
        if self.config.q_lora_rank is None:
            q = self.q_proj(x_BTD)
        else:
            q = self.q_b_proj(self.q_a_layernorm(self.q_a_proj(x_BTD)))
        q = q.unflatten(-1, (self.config.num_attention_heads, -1)).transpose(1, 2)
        return q.split([self.config.qk_nope_head_dim, self.config.qk_rope_head_dim], dim=-1)

    def _attend_naive(self, q_nope: Tensor, q_rope: Tensor, memory: Tensor) -> Tensor:
        """Expand the latents to the keys and values of every head. -> (B, H, T, W)"""
        c = self.config
        latent, k_rope = memory.split([c.kv_lora_rank, c.qk_rope_head_dim], dim=-1)
        kv = self.kv_b_proj(latent).unflatten(-1, (c.num_attention_heads, -1)).transpose(1, 2)
        k_nope, v = kv.split([c.qk_nope_head_dim, c.v_head_dim], dim=-1)
        k_rope = k_rope[:, None].expand(-1, c.num_attention_heads, -1, -1)
        q, k = torch.cat((q_nope, q_rope), dim=-1), torch.cat((k_nope, k_rope), dim=-1)
        return CausalAttentionFunction.apply(q, k, v, c.qk_head_dim**-0.5)

    def _attend_absorbed(self, q_nope: Tensor, q_rope: Tensor, memory: Tensor) -> Tensor:
        """Score against the latents themselves: to the heads they are one shared key. -> (B, H, T, W)"""
        c = self.config
        w_H = self.kv_b_proj.weight.unflatten(0, (c.num_attention_heads, -1))
        w_uk_HPC, w_uv_HWC = w_H.split([c.qk_nope_head_dim, c.v_head_dim], dim=1)
        q = torch.cat((q_nope @ w_uk_HPC, q_rope), dim=-1)  # (B, H, T, C + R)
        key = memory[:, None]  # (B, 1, S, C + R)
        y_BHTC = causal_attention(q, key, key[..., : c.kv_lora_rank], c.qk_head_dim**-0.5)
        return y_BHTC @ w_uv_HWC.transpose(-2, -1)
