"""Decoding: the same model, its weights prepared once, so that a step is few and large operations.

One token at a time, a small model spends its time on calling operations, not on multiplying: some hundred of them a
layer, a few microseconds each. So here

1. the weight of a norm is multiplied into the matrices after it, and the norm is a division,

       RMSNorm(x) w = x / sqrt(|x|^2 + D eps) (sqrt(D) norm w)

2. everything that attention wants of x comes from one product: key, latent and queries; all that rotate, together;
3. attention is absorbed (``mla.attend_absorbed``), with the heads as rows of one product; two matrices in a row are
   one, where that is hardly larger;
4. router and shared expert share a product, and so do gate and up-projection;
5. a product with the matrices of the chosen experts is a weighted sum of their rows, all in one table: nothing is
   sorted, nothing copied, and two tokens cost little more than one;
6. a product of two rows is computed as two products of one, side by side, on machines where that is faster;
7. the cache is written in place, at a place of its own for each row of the batch: rows may be of unequal length, and
   are shortened by counting less of them.

``Transformer`` is the definition, and the oracle in the tests. Everything is computed in float32, or float64.

Letters: B batch, T new tokens of a row, N = B T, S positions in the cache, D model width, H heads, C latent width,
R rotated features, P features without position, W features of a value, L = C + R, E experts, K experts per token,
I inner width, V vocabulary. Rows come as (G, M, D), N = G M: G groups that are multiplied side by side.
"""

import functools
import math
import statistics
import time
from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mini_moe.block import Block
from mini_moe.layers import FeedForward, rotary_angles
from mini_moe.mla import LatentCache, MultiHeadLatentAttention, sharpen
from mini_moe.model import Transformer
from mini_moe.moe import MoE
from mini_moe.router import limit_to_groups

CHEAP = 2**15  # so many numbers are read while a product is called


def times(x_GMD: Tensor, w_1DO: Tensor, plus_GMO: Tensor | None = None) -> Tensor:
    """x w + plus."""
    G = x_GMD.size(0)
    w_GDO = w_1DO if G == 1 else w_1DO.expand(G, -1, -1)
    return torch.bmm(x_GMD, w_GDO) if plus_GMO is None else torch.baddbmm(plus_GMO, x_GMD, w_GDO)


@functools.cache
def _ends(rows: int, length: int, device: torch.device) -> Tensor:
    with torch.inference_mode(False):
        return torch.arange(0, rows * length + 1, length, device=device)


def weighted_sums(table_RO: Tensor, rows_BJ: Tensor, weights_BJ: Tensor) -> Tensor:
    """For each b the sum over j of weight times the row of the table that is named: a product that copies no matrix."""
    return torch.embedding_bag(
        table_RO,
        rows_BJ.flatten(),
        _ends(*rows_BJ.shape, rows_BJ.device),
        mode=0,  # the sum
        per_sample_weights=weights_BJ.flatten(),
        include_last_offset=True,
    )[0]


def side_by_side(x_BTD: Tensor) -> Tensor:
    """As (G, M, D): a few rows in a group each, many in one."""
    N, D = x_BTD.shape[:2].numel(), x_BTD.shape[2]
    return x_BTD.reshape((N, 1, D) if few() >= N else (1, N, D))


@functools.cache
def few() -> int:
    """How many rows are multiplied sooner side by side, a thread to each, than together: 1 or 2, by the clock."""
    w_1DO, seconds = torch.ones(1, 256, 256), {1: [], 2: []}
    for _ in range(50):
        for groups, taken in seconds.items():
            x_GMD, start = torch.ones(groups, 2 // groups, 256), time.perf_counter()
            times(x_GMD, w_1DO)
            taken.append(time.perf_counter() - start)
    return min(seconds, key=lambda groups: statistics.median(seconds[groups]))


def normed(x: Tensor, floor: Tensor) -> Tensor:
    """RMSNorm(x) / sqrt(D), for a floor of sqrt(D eps)."""
    return x / torch.hypot(torch.linalg.vector_norm(x, dim=-1, keepdim=True), floor)


def _prepared(weight: Tensor) -> Tensor:
    """Wide enough to compute with, and no part of the model any more."""
    return weight.detach().to(torch.promote_types(weight.dtype, torch.float32), copy=True)


def _turned(weight: Tensor) -> Tensor:
    """A matrix (out, in), or some, as ``times`` wants it: (1, in, out), the numbers that are multiplied together."""
    return weight.mT.contiguous().view(-1, *weight.mT.shape[-2:])


def _table(w_EIO: Tensor) -> tuple[Tensor, Tensor]:
    """The rows of all matrices in one table, (E I, O); and which of them are whose, (E, I)."""
    E, I, O = w_EIO.shape
    return w_EIO.view(E * I, O), torch.arange(E * I, device=w_EIO.device).view(E, I)


class Norm:
    """A norm of which only the division is left: the matrices after it have taken up its weight."""

    def __init__(self, norm: nn.Module):
        self.weight = _prepared(norm.weight) * math.sqrt(len(norm.weight))
        self.floor = self.weight.new_tensor(math.sqrt(len(norm.weight) * norm.eps))

    def into(self, *weights: Tensor) -> Tensor:
        """The matrices after it, one below the other, with what the division leaves out; as ``times`` wants them."""
        return _turned(torch.cat([_prepared(weight) for weight in weights]) * self.weight)

    def __call__(self, x: Tensor) -> Tensor:
        return normed(x, self.floor)


class Step(NamedTuple):
    """What all layers have in common: where the new tokens stand, and what they may see."""

    shape: tuple[int, int]  # B and T
    rotation: Tensor  # (N, 1, R / 2), complex: the angle of each token's position
    place: Tensor  # (N,): row of each token in the cache
    mask: Tensor | None  # (B, T H, S): 0 where a query may see, else -inf; None: everything


class Attention:
    """``MultiHeadLatentAttention``, absorbed, with the norm before it and the sum after it."""

    def __init__(self, norm: nn.Module, attention: MultiHeadLatentAttention):
        c = attention.config
        H, P, R, C = c.num_attention_heads, c.qk_nope_head_dim, c.qk_rope_head_dim, c.kv_lora_rank
        query = attention.q_proj if c.q_lora_rank is None else attention.q_b_proj
        q_nope, q_rope = _prepared(query.weight).unflatten(0, (H, -1)).split([P, R], dim=1)
        if c.rope_scaling is not None:
            q_nope, q_rope = sharpen(q_nope, q_rope, c.rope_scaling)
        q_nope, q_rope = (c.qk_head_dim**-0.5 * part.flatten(0, 1) for part in (q_nope, q_rope))
        latent, key = attention.kv_a_proj_with_mqa.weight.split([C, R])
        self.norm, self.latent_norm, self.query_norm = Norm(norm), Norm(attention.kv_a_layernorm), None
        w_uk, w_uv = _prepared(attention.kv_b_proj.weight).unflatten(0, (H, -1)).split([P, c.v_head_dim], dim=1)
        w_out = _prepared(attention.o_proj.weight)
        D, I = len(w_out), q_nope.shape[1]
        self.w_uk = self.w_uv = None
        if H * P * (I + C) + CHEAP >= H * C * I:
            q_nope = torch.einsum("hpc,hpi->hci", w_uk, q_nope.unflatten(0, (H, P))).flatten(0, 1)
        else:
            self.w_uk = w_uk.contiguous()
        if H * c.v_head_dim * (D + C) + CHEAP >= H * C * D:
            w_out = torch.einsum("dhw,hwc->dhc", w_out.unflatten(1, (H, -1)), w_uv).flatten(1)
        else:
            self.w_uv = _turned(w_uv)
        self.w_out = _turned(w_out)
        if c.q_lora_rank is None:
            self.w_in = self.norm.into(key, q_rope, latent, q_nope)
            self.widths = [(1 + H) * R, C, len(q_nope)]
        else:
            self.w_in = self.norm.into(key, latent, attention.q_a_proj.weight)
            self.query_norm = Norm(attention.q_a_layernorm)
            self.w_query = self.query_norm.into(q_rope, q_nope)
            self.widths, self.query_widths = [R, C, c.q_lora_rank], [H * R, len(q_nope)]
        self.heads, self.pairs = H, R // 2

    def __call__(self, x_GMD: Tensor, step: Step, memory: Tensor, keys: Tensor, latents: Tensor) -> Tensor:
        """Add to x what its tokens find.

        Args:
            memory: (B capacity, L), the whole cache, to be written.
            keys, latents: (B, L, S) and (B, S, C), what is read of it.
        """
        (B, T), H = step.shape, self.heads
        rotated, latent, q_nope = times(self.norm(x_GMD), self.w_in).split_with_sizes(self.widths, dim=-1)
        if self.query_norm is not None:
            queries = times(self.query_norm(q_nope), self.w_query)
            q_rope, q_nope = queries.split_with_sizes(self.query_widths, dim=-1)
            rotated = torch.cat((rotated, q_rope), dim=-1)
        pairs = torch.view_as_complex(rotated.reshape(B * T, 1 + H, self.pairs, 2))
        rotated = torch.view_as_real(pairs * step.rotation).flatten(2)  # (N, 1 + H, R), the key first
        latent = (self.latent_norm(latent) * self.latent_norm.weight).view(B * T, -1)
        memory.index_copy_(0, step.place, torch.cat((latent, rotated[:, 0]), dim=-1))
        q_NHC = q_nope.reshape(B * T, H, -1)
        if self.w_uk is not None:
            q_NHC = torch.bmm(q_NHC.transpose(0, 1), self.w_uk).transpose(0, 1)
        q = torch.cat((q_NHC, rotated[:, 1:]), dim=-1).view(B, T * H, -1)
        scores = torch.bmm(q, keys) if step.mask is None else torch.baddbmm(step.mask, q, keys)
        y_NHC = torch.bmm(scores.softmax(dim=-1), latents).view(B * T, H, -1)
        if self.w_uv is not None:
            y_NHC = torch.bmm(y_NHC.transpose(0, 1), self.w_uv).transpose(0, 1)
        return times(y_NHC.reshape(*x_GMD.shape[:2], -1), self.w_out, x_GMD)


class Dense:
    """``FeedForward``, with the norm before it and the sum after it."""

    def __init__(self, norm: nn.Module, mlp: FeedForward):
        self.norm = Norm(norm)
        self.w_gate_up = self.norm.into(mlp.gate_proj.weight, mlp.up_proj.weight)
        self.w_down = _turned(_prepared(mlp.down_proj.weight))

    def __call__(self, x_GMD: Tensor) -> tuple[Tensor, None]:
        gate, up = times(self.norm(x_GMD), self.w_gate_up).chunk(2, dim=-1)
        return times(F.silu(gate) * up, self.w_down, x_GMD), None


class Sparse:
    """``MoE``, with the norm before it and the sum after it."""

    def __init__(self, norm: nn.Module, mlp: MoE):
        self.config, self.norm = mlp.config, Norm(norm)
        read_of_x = [mlp.gate.weight]
        if self.config.n_shared_experts:
            read_of_x += mlp.shared_experts.gate_proj.weight, mlp.shared_experts.up_proj.weight
            self.w_shared = _turned(_prepared(mlp.shared_experts.down_proj.weight))
        self.w_in = self.norm.into(*read_of_x)
        self.bias = _prepared(mlp.gate.e_score_correction_bias)
        self.w_gate_up, self.rows_up = _table(self.norm.into(mlp.experts.gate_up_proj))
        self.w_down, self.rows_down = _table(_turned(_prepared(mlp.experts.down_proj)))
        width = self.config.n_shared_experts * self.config.moe_intermediate_size
        self.widths = [self.config.n_routed_experts, width, width]

    def __call__(self, x_GMD: Tensor) -> tuple[Tensor, Tensor]:
        normed_GMD = self.norm(x_GMD)
        logits, gate, up = times(normed_GMD, self.w_in).split_with_sizes(self.widths, dim=-1)
        weights_NK, experts_NK = self._route(logits.sigmoid().view(-1, self.widths[0]))
        y_GMD = x_GMD + self._routed(normed_GMD, weights_NK, experts_NK).view_as(x_GMD)
        if self.config.n_shared_experts:
            y_GMD = times(F.silu(gate) * up, self.w_shared, y_GMD)
        return y_GMD, experts_NK

    def _route(self, scores_NE: Tensor) -> tuple[Tensor, Tensor]:
        """``router.route``, without what a configuration that was checked does not need."""
        c, choice_NE = self.config, scores_NE + self.bias
        if c.n_group > 1:
            choice_NE = limit_to_groups(choice_NE, c.n_group, c.topk_group)
        experts_NK = choice_NE.topk(c.num_experts_per_tok, dim=-1).indices
        weights_NK = scores_NE.gather(1, experts_NK)
        if c.norm_topk_prob:
            weights_NK = weights_NK / weights_NK.sum(dim=-1, keepdim=True)
        return weights_NK if c.routed_scaling_factor == 1 else weights_NK * c.routed_scaling_factor, experts_NK

    def _routed(self, normed_GMD: Tensor, weights_NK: Tensor, experts_NK: Tensor) -> Tensor:
        """What the chosen experts make of each token, (N, D)."""
        (N, K), D = experts_NK.shape, normed_GMD.shape[-1]
        experts_J = experts_NK.flatten()
        rows_JD = normed_GMD.view(N, 1, D).expand(N, K, D).reshape(N * K, D)
        gate, up = weighted_sums(self.w_gate_up, self.rows_up.index_select(0, experts_J), rows_JD).chunk(2, dim=-1)
        hidden_JI = F.silu(gate) * up * weights_NK.view(N * K, 1)
        rows_of_token = self.rows_down.index_select(0, experts_J).view(N, -1)
        return weighted_sums(self.w_down, rows_of_token, hidden_JI.view(N, -1))


class Stack:
    """Blocks, prepared, each with a cache; and how much of the cache counts, row by row.

    Args:
        blocks: of a ``Transformer``, or its prediction module alone.
        capacity: positions of a row that fit.
    """

    def __init__(self, blocks: Sequence[Block], batch_size: int, capacity: int):
        self.layers = [
            (
                Attention(block.input_layernorm, block.self_attn),
                (Sparse if block.sparse else Dense)(block.post_attention_layernorm, block.mlp),
            )
            for block in blocks
        ]
        c, like = blocks[0].self_attn.config, self.layers[0][0].w_in
        self.config = c
        width = c.kv_lora_rank + c.qk_rope_head_dim
        self.memory = like.new_zeros(len(blocks), batch_size, capacity, width)
        self.places = self.memory.flatten(1, 2).unbind()  # of each layer, all rows one after the other
        self.length = [0] * batch_size
        self.experts = []  # of the last step: (N, K) for each layer that has any
        self.positions = torch.arange(capacity, device=like.device)
        cos, sin = rotary_angles(self.positions, c.qk_rope_head_dim, c.rope_theta, c.rope_scaling)
        self.rotation = torch.complex(cos.to(like.dtype), sin.to(like.dtype))[:, None]
        self.first_place = torch.arange(0, batch_size * capacity, capacity, device=like.device)[:, None]

    def adopt(self, caches: list[LatentCache]) -> None:
        """Go on from what the model remembers of a prompt."""
        self.length = [caches[0].length] * len(self.length)
        for memory, cache in zip(self.memory, caches, strict=True):
            memory[:, : cache.length] = cache.memory[:, : cache.length]

    def __call__(self, x_BTD: Tensor) -> Tensor:
        """Take T further tokens of each row through all blocks; their places follow what counts of its row."""
        B, T, D = x_BTD.shape
        step, self.experts = self._step(B, T), []
        self.length = [length + T for length in self.length]
        x_GMD = side_by_side(x_BTD)
        seen = self.memory[:, :, : max(self.length)]
        keys, latents = seen.mT.unbind(), seen[..., : self.config.kv_lora_rank].unbind()
        for (attend, feed_forward), *cache in zip(self.layers, self.places, keys, latents, strict=True):
            x_GMD, experts = feed_forward(attend(x_GMD, step, *cache))
            if experts is not None:
                self.experts.append(experts)
        return x_GMD.view(B, T, D)

    def _step(self, B: int, T: int) -> Step:
        seen, H = max(self.length) + T, self.config.num_attention_heads
        places = [list(range(length, length + T)) for length in self.length]
        position_BT = torch.tensor(places, device=self.positions.device)
        mask = None
        if T > 1 or min(self.length) < seen - T:
            late_BT1S = self.positions[:seen] > position_BT[:, :, None, None]
            mask = self.memory.new_zeros(B, T, H, seen).masked_fill_(late_BT1S, -math.inf).view(B, T * H, seen)
        position_N = position_BT.flatten()
        place_N = position_N if B == 1 else (position_BT + self.first_place).flatten()
        return Step((B, T), self.rotation.index_select(0, position_N), place_N, mask)


class Decoder:
    """A model, ready to decode. The weights are copied: what becomes of the model afterwards does not matter here.

    Args:
        capacity: positions of a row that fit, those of the prompt among them.
    """

    def __init__(self, model: Transformer, batch_size: int, capacity: int):
        self.model = model
        self.stack = Stack(model.layers, batch_size, capacity)
        self.embedding, self.norm = _prepared(model.embed_tokens.weight), Norm(model.norm)
        self.head = _turned(_prepared(model.lm_head.weight))

    def read(self, prompt_BT: Tensor) -> tuple[Tensor, Tensor]:
        """Logits after the prompt, (B, 1, V), and the hidden states of all its tokens; by the model's own attention."""
        cache = self.model.new_cache(*prompt_BT.shape)
        output = self.model(prompt_BT, cache)
        self.stack.adopt(cache)
        return _prepared(output.logits[:, -1:]), _prepared(output.hidden)

    def extend(self, tokens_BT: Tensor) -> tuple[Tensor, Tensor]:
        """Logits, (B, T, V), and hidden states, (B, T, D), of T further tokens of each row, which now count."""
        x_BTD = self.stack(F.embedding(tokens_BT, self.embedding))
        hidden_BTD = self.norm(x_BTD) * self.norm.weight
        return self.logits(hidden_BTD), hidden_BTD

    def logits(self, hidden_BTD: Tensor) -> Tensor:
        """What the head makes of hidden states."""
        return times(side_by_side(hidden_BTD), self.head).view(*hidden_BTD.shape[:2], -1)
