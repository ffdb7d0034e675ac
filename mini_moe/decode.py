"""Decoding: the same model, its weights prepared once, so that a step is few and large operations.

One token at a time, a small model spends its time on calling operations, not on multiplying: some hundred of them a
layer, a few microseconds each. So here

1. the weight of a norm is multiplied into the matrices after it, and the norm is a division,

       RMSNorm(x) w = x / sqrt(|x|^2 + D eps) (sqrt(D) norm w)

2. everything that attention wants of x comes from one product: latent, key and queries, and of each feature that is
   rotated a second one, turned by a right angle, so that a rotation is  a cos + turned(a) sin;
3. attention is absorbed (``mla.attend_absorbed``), with the heads as rows of one product;
4. router and shared expert share a product, and so do gate and up-projection;
5. the matrices of the chosen experts are picked out and multiplied at once, without sorting. Only where there are more
   (token, expert) pairs than experts is ``dispatch.sliced`` cheaper;
6. the cache is written in place, at a place of its own for each row of the batch: rows may be of unequal length, and
   are shortened by counting less of them.

``Transformer`` is the definition, and the oracle in the tests. Everything is computed in float32, or float64.

Letters: B batch, T new tokens of a row, N = B T, S positions in the cache, D model width, H heads, C latent width,
R rotated features, P features without position, W features of a value, L = C + R, E experts, K experts per token,
I inner width, V vocabulary.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mini_moe.block import Block
from mini_moe.config import ModelConfig
from mini_moe.dispatch import sliced
from mini_moe.layers import FeedForward, rotary_angles
from mini_moe.mla import LatentCache, MultiHeadLatentAttention, sharpen
from mini_moe.model import Transformer
from mini_moe.moe import MoE
from mini_moe.router import limit_to_groups

FEW = 2  # so many rows are multiplied side by side, a thread to each


def times(x_ND: Tensor, w_DO: Tensor, plus_NO: Tensor | None = None) -> Tensor:
    """x w + plus. A library's product of two rows takes longer than two products of one row each, side by side."""
    if len(x_ND) > FEW:
        return x_ND @ w_DO if plus_NO is None else torch.addmm(plus_NO, x_ND, w_DO)
    w_NDO = w_DO.expand(len(x_ND), *w_DO.shape)
    if plus_NO is None:
        return torch.bmm(x_ND[:, None], w_NDO)[:, 0]
    return torch.baddbmm(plus_NO[:, None], x_ND[:, None], w_NDO)[:, 0]


def normed(x_ND: Tensor, eps: float) -> Tensor:
    """RMSNorm(x) / sqrt(D)."""
    size_N1 = torch.linalg.vector_norm(x_ND, dim=-1, keepdim=True)
    return x_ND / torch.hypot(size_N1, size_N1.new_tensor(math.sqrt(x_ND.shape[-1] * eps)))


def _prepared(weight: Tensor) -> Tensor:
    """Wide enough to compute with, and no part of the model any more."""
    return weight.detach().to(torch.promote_types(weight.dtype, torch.float32))


def _behind(norm: nn.Module, weight: Tensor) -> Tensor:
    """The matrix after a norm, (out, in), with what ``normed`` leaves out; transposed."""
    scale_D = _prepared(norm.weight) * math.sqrt(len(norm.weight))
    return (_prepared(weight) * scale_D).mT.contiguous()


def _and_turned(w: Tensor) -> Tensor:
    """(heads, R, in) -> (heads, 2, R, in): each rotated feature, and the one that goes with its sine."""
    turned = w.unflatten(1, (-1, 2)).flip(2) * w.new_tensor([-1, 1])[:, None]
    return torch.stack((w, turned.flatten(1, 2)), dim=1)


class Step(NamedTuple):
    """What all layers have in common: where the new tokens stand, and what they may see."""

    shape: tuple[int, int]  # B and T
    rotation: Tensor  # (N, 1, 2, R): cosine and sine of each token's position
    place: Tensor  # (N,): row of each token in the cache
    seen: int  # positions of the cache that are read
    mask: Tensor | None  # (B, T H, S): 0 where a query may see, else -inf; None: everything


class Attention:
    """``MultiHeadLatentAttention``, absorbed, with the norm before it and the sum after it."""

    def __init__(self, norm: nn.Module, attention: MultiHeadLatentAttention):
        c = attention.config
        self.config, self.eps = c, c.rms_norm_eps
        H, P, R, C = c.num_attention_heads, c.qk_nope_head_dim, c.qk_rope_head_dim, c.kv_lora_rank
        latent, key = attention.kv_a_proj_with_mqa.weight.split([C, R])
        query = attention.q_proj if c.q_lora_rank is None else attention.q_b_proj
        q_nope, q_rope = _prepared(query.weight).unflatten(0, (H, -1)).split([P, R], dim=1)
        if c.rope_scaling is not None:
            q_nope, q_rope = sharpen(q_nope, q_rope, c.rope_scaling)
        scale = c.qk_head_dim**-0.5
        read_of_x = torch.cat((_prepared(latent), _and_turned(_prepared(key)[None]).flatten(0, 2)))
        queries = scale * torch.cat((_and_turned(q_rope).flatten(0, 2), q_nope.flatten(0, 1)))
        self.w_query = None
        if c.q_lora_rank is None:
            read_of_x = torch.cat((read_of_x, queries))
        else:
            read_of_x = torch.cat((read_of_x, _prepared(attention.q_a_proj.weight)))
            self.w_query = _behind(attention.q_a_layernorm, queries)
        self.w_in = _behind(norm, read_of_x)
        self.latent_norm = _prepared(attention.kv_a_layernorm.weight) * math.sqrt(C)
        w_uk, w_uv = _prepared(attention.kv_b_proj.weight).unflatten(0, (H, -1)).split([P, c.v_head_dim], dim=1)
        self.w_uk, self.w_uv = w_uk.contiguous(), w_uv.mT.contiguous()
        self.w_out = _prepared(attention.o_proj.weight).mT.contiguous()

    def __call__(self, x_ND: Tensor, step: Step, memory_BSL: Tensor) -> Tensor:
        c, (B, T) = self.config, step.shape
        H, R, C = c.num_attention_heads, c.qk_rope_head_dim, c.kv_lora_rank
        read = times(normed(x_ND, self.eps), self.w_in)
        if self.w_query is not None:
            read, q_latent = read.split([C + 2 * R, c.q_lora_rank], dim=-1)
            read = torch.cat((read, times(normed(q_latent, self.eps), self.w_query)), dim=-1)
        latent, rotated, q_nope = read.tensor_split([C, C + (1 + H) * 2 * R], dim=-1)
        rotated = (rotated.unflatten(-1, (1 + H, 2, R)) * step.rotation).sum(dim=2)  # (N, 1 + H, R), the key first
        new = torch.cat((normed(latent, self.eps) * self.latent_norm, rotated[:, 0]), dim=-1)
        memory_BSL.flatten(0, 1).index_copy_(0, step.place, new)
        q_HNC = torch.bmm(q_nope.unflatten(-1, (H, -1)).transpose(0, 1), self.w_uk)
        q = torch.cat((q_HNC.transpose(0, 1), rotated[:, 1:]), dim=-1).view(B, T * H, C + R)
        memory = memory_BSL[:, : step.seen]
        scores = torch.bmm(q, memory.mT) if step.mask is None else torch.baddbmm(step.mask, q, memory.mT)
        y_NHC = torch.bmm(scores.softmax(dim=-1), memory[..., :C]).view(B * T, H, C)
        y_HNW = torch.bmm(y_NHC.transpose(0, 1), self.w_uv)
        return times(y_HNW.transpose(0, 1).flatten(1), self.w_out, x_ND)


class Dense:
    """``FeedForward``, with the norm before it and the sum after it."""

    def __init__(self, norm: nn.Module, mlp: FeedForward):
        self.eps = norm.eps
        self.w_gate_up = _behind(norm, torch.cat((mlp.gate_proj.weight, mlp.up_proj.weight)))
        self.w_down = _prepared(mlp.down_proj.weight).mT.contiguous()

    def __call__(self, x_ND: Tensor) -> tuple[Tensor, None]:
        gate, up = times(normed(x_ND, self.eps), self.w_gate_up).chunk(2, dim=-1)
        return times(F.silu(gate) * up, self.w_down, x_ND), None


class Sparse:
    """``MoE``, with the norm before it and the sum after it."""

    def __init__(self, norm: nn.Module, mlp: MoE):
        self.config, self.eps = mlp.config, norm.eps
        E, shared = self.config.n_routed_experts, getattr(mlp, "shared_experts", None)
        read_of_x = [mlp.gate.weight]
        if shared is not None:
            read_of_x += shared.gate_proj.weight, shared.up_proj.weight
            self.w_shared = _prepared(shared.down_proj.weight).mT.contiguous()
        self.w_in = _behind(norm, torch.cat(read_of_x))
        self.bias = _prepared(mlp.gate.e_score_correction_bias)
        self.w_gate_up = _behind(norm, mlp.experts.gate_up_proj)
        self.w_down = _prepared(mlp.experts.down_proj).mT.contiguous()
        self.inner = (self.w_in.shape[1] - E) // 2

    def __call__(self, x_ND: Tensor) -> tuple[Tensor, Tensor]:
        E = self.config.n_routed_experts
        n_ND = normed(x_ND, self.eps)
        logits, gate, up = times(n_ND, self.w_in).split([E, self.inner, self.inner], dim=-1)
        weights_NK, experts_NK = self._route(logits.sigmoid())
        y_ND = self._routed(x_ND, n_ND, weights_NK, experts_NK)
        if self.inner:
            y_ND = times(F.silu(gate) * up, self.w_shared, y_ND)
        return y_ND, experts_NK

    def _route(self, scores_NE: Tensor) -> tuple[Tensor, Tensor]:
        """``router.route``, without what a configuration that was checked does not need."""
        c, choice_NE = self.config, scores_NE + self.bias
        if c.n_group > 1:
            choice_NE = limit_to_groups(choice_NE, c.n_group, c.topk_group)
        experts_NK = choice_NE.topk(c.num_experts_per_tok, dim=-1).indices
        weights_NK = scores_NE.gather(1, experts_NK)
        if c.norm_topk_prob:
            weights_NK = weights_NK / (weights_NK.sum(dim=-1, keepdim=True) + 1e-20)
        return weights_NK if c.routed_scaling_factor == 1 else weights_NK * c.routed_scaling_factor, experts_NK

    def _routed(self, x_ND: Tensor, n_ND: Tensor, weights_NK: Tensor, experts_NK: Tensor) -> Tensor:
        """x + what the chosen experts make of it."""
        (N, K), D = experts_NK.shape, x_ND.shape[1]
        if N * K > len(self.w_down):
            return x_ND + sliced(n_ND, weights_NK, experts_NK, self.w_gate_up.mT, self.w_down.mT)
        pairs = experts_NK.flatten()
        rows = n_ND[:, None].expand(N, K, D).reshape(N * K, 1, D)
        gate, up = torch.bmm(rows, self.w_gate_up.index_select(0, pairs)).chunk(2, dim=-1)
        hidden = F.silu(gate) * up * weights_NK.view(N * K, 1, 1)
        w_down = self.w_down.index_select(0, pairs).view(N, -1, D)  # a token's experts, one below the other: they add up
        return torch.baddbmm(x_ND[:, None], hidden.view(N, 1, -1), w_down)[:, 0]


class Stack:
    """Blocks, prepared, each with a cache; and how much of the cache counts, row by row.

    Args:
        blocks: of a ``Transformer``, or its prediction module alone.
        capacity: positions of a row that fit.
    """

    def __init__(self, blocks: Sequence[Block], config: ModelConfig, batch_size: int, capacity: int):
        self.config = config
        self.layers = [
            (
                Attention(block.input_layernorm, block.self_attn),
                (Sparse if block.sparse else Dense)(block.post_attention_layernorm, block.mlp),
            )
            for block in blocks
        ]
        like = self.layers[0][0].w_in
        width = config.kv_lora_rank + config.qk_rope_head_dim
        self.memory = [like.new_zeros(batch_size, capacity, width) for _ in blocks]
        self.length = [0] * batch_size
        self.experts = []  # of the last step: (N, K) for each layer that has any
        positions = torch.arange(capacity, device=like.device)
        angles = rotary_angles(positions, config.qk_rope_head_dim, config.rope_theta, config.rope_scaling)
        self.rotation = torch.stack([angle.repeat_interleave(2, dim=-1) for angle in angles], dim=1).to(like.dtype)
        self.first_row = torch.arange(0, batch_size * capacity, capacity, device=like.device)

    def adopt(self, caches: list[LatentCache]) -> None:
        """Go on from what the model remembers of a prompt."""
        self.length = [caches[0].length] * len(self.length)
        for memory, cache in zip(self.memory, caches, strict=True):
            memory[:, : cache.length] = cache.memory[:, : cache.length]

    def __call__(self, x_BTD: Tensor) -> Tensor:
        """Take T further tokens of each row through all blocks; their places follow what counts of its row."""
        step, self.experts = self._step(*x_BTD.shape[:2]), []
        x_ND = x_BTD.flatten(0, 1)
        for (attend, feed_forward), memory in zip(self.layers, self.memory, strict=True):
            x_ND, experts = feed_forward(attend(x_ND, step, memory))
            if experts is not None:
                self.experts.append(experts)
        self.length = [length + step.shape[1] for length in self.length]
        return x_ND.view_as(x_BTD)

    def _step(self, B: int, T: int) -> Step:
        device, H = self.first_row.device, self.config.num_attention_heads
        position_N = torch.tensor([n for length in self.length for n in range(length, length + T)], device=device)
        seen = max(self.length) + T
        mask = None
        if T > 1 or min(self.length) < seen - T:
            late_NS = torch.arange(seen, device=device) > position_N[:, None]
            mask_NS = torch.zeros_like(late_NS, dtype=self.rotation.dtype).masked_fill_(late_NS, -math.inf)
            mask = mask_NS.repeat_interleave(H, dim=0).view(B, T * H, seen)
        place_N = position_N if B == 1 else position_N + self.first_row.repeat_interleave(T)
        return Step((B, T), self.rotation[position_N][:, None], place_N, seen, mask)


class Decoder:
    """A model, ready to decode. The weights are copied: what happens to the model afterwards does not matter here.

    Args:
        capacity: positions of a row that fit, those of the prompt among them.
    """

    def __init__(self, model: Transformer, batch_size: int, capacity: int):
        self.model = model
        self.stack = Stack(model.layers, model.config, batch_size, capacity)
        self.embedding = _prepared(model.embed_tokens.weight)
        self.norm, self.eps = _prepared(model.norm.weight) * math.sqrt(model.config.hidden_size), model.norm.eps
        self.head = _prepared(model.lm_head.weight).mT.contiguous()

    def read(self, prompt_BT: Tensor) -> tuple[Tensor, Tensor]:
        """Logits after the prompt, (B, 1, V), and the hidden state of all its tokens; by the model's own attention."""
        cache = self.model.new_cache(*prompt_BT.shape)
        output = self.model(prompt_BT, cache)
        self.stack.adopt(cache)
        return _prepared(output.logits[:, -1:]), _prepared(output.hidden)

    def extend(self, tokens_BT: Tensor) -> tuple[Tensor, Tensor]:
        """Logits, (B, T, V), and hidden states of T further tokens of each row, which now count."""
        x_BTD = self.stack(F.embedding(tokens_BT, self.embedding))
        hidden_ND = normed(x_BTD.flatten(0, 1), self.eps) * self.norm
        return times(hidden_ND, self.head).unflatten(0, tokens_BT.shape), hidden_ND.view_as(x_BTD)
