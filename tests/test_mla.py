"""Latent attention against its definition written out by loops, in float64 and over random shapes."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from oracles.gradients import assert_same_with_gradients, random

from mini_moe.config import Yarn, tiny
from mini_moe.layers import rotary_angles
from mini_moe.mla import (
    LatentCache,
    MultiHeadLatentAttention,
    attend_absorbed,
    attend_naive,
    compress,
    expand,
    sharpen,
)

FEW = st.integers(1, 4)
SEED = st.integers(0, 99)


def compress_written_out(x_BTD, w_LD, norm_C, cos, sin, eps):
    C, rows = len(norm_C), []
    for x_TD in x_BTD:
        for t, x_D in enumerate(x_TD):
            y = [w_D @ x_D for w_D in w_LD]
            root_mean_square = (sum(latent**2 for latent in y[:C]) / C + eps) ** 0.5
            memory = [weight * latent / root_mean_square for weight, latent in zip(norm_C, y[:C], strict=True)]
            for pair, (c, s) in enumerate(zip(cos[t], sin[t], strict=True)):
                a, b = y[C + 2 * pair], y[C + 2 * pair + 1]
                memory += [a * c - b * s, a * s + b * c]
            rows.append(torch.stack(memory))
    return torch.stack(rows).view(*x_BTD.shape[:2], -1)


@given(FEW, FEW, FEW, FEW, st.integers(1, 3), SEED)
def test_compress_equals_its_definition_written_out(B, T, D, C, pairs, seed):
    x, w, norm = (random(*shape, seed=seed + i) for i, shape in enumerate([(B, T, D), (C + 2 * pairs, D), (C,)]))
    angles = random(T, pairs, seed=seed + 3).detach()
    eps = [1e-6, 0.5][seed % 2]
    assert_same_with_gradients(
        compress(x, w, norm, angles.cos(), angles.sin(), eps),
        compress_written_out(x, w, norm, angles.cos(), angles.sin(), eps),
        (x, w, norm),
    )


@st.composite
def attentions(draw):
    """Queries without position and rotated, what is remembered, w_uk and w_uv; the queries are the last positions."""
    B, H, T, P, C, W = (draw(FEW) for _ in range(6))
    S, R, seed = T + draw(st.integers(0, 3)), 2 * draw(st.integers(1, 2)), draw(SEED)
    shapes = (B, H, T, P), (B, H, T, R), (B, S, C + R), (H, P, C), (H, W, C)
    return [random(*shape, seed=5 * seed + i) for i, shape in enumerate(shapes)]


def keys_and_values_written_out(memory_BSL, w_uk_HPC, w_uv_HWC):
    """By [batch][head][position]."""
    C = w_uk_HPC.shape[-1]
    keys = [[[torch.cat((w_uk @ m[:C], m[C:])) for m in row] for w_uk in w_uk_HPC] for row in memory_BSL]
    values = [[[w_uv @ m[:C] for m in row] for w_uv in w_uv_HWC] for row in memory_BSL]
    return keys, values


def stacked(nested):
    return torch.stack([stacked(inner) for inner in nested]) if isinstance(nested, list) else nested


@given(attentions())
def test_expand_equals_its_definition_written_out(case):
    memory, w_uk, w_uv = case[2:]
    keys, values = expand(memory, w_uk, w_uv)
    their_keys, their_values = keys_and_values_written_out(memory, w_uk, w_uv)
    assert_same_with_gradients(keys, stacked(their_keys), (memory, w_uk))
    assert_same_with_gradients(values, stacked(their_values), (memory, w_uv))


def attend_written_out(q_nope, q_rope, memory, w_uk, w_uv):
    keys, values = keys_and_values_written_out(memory, w_uk, w_uv)
    q = torch.cat((q_nope, q_rope), dim=-1)
    B, H, T, width = q.shape
    past = memory.shape[1] - T
    y = torch.zeros(B, H, T, w_uv.shape[1], dtype=q.dtype)
    for b in range(B):
        for h in range(H):
            for t in range(T):
                seen = range(past + t + 1)
                weights = [torch.exp(q[b, h, t] @ keys[b][h][s] / width**0.5) for s in seen]
                y[b, h, t] = sum(weights[s] * values[b][h][s] for s in seen) / sum(weights)
    return y


@pytest.mark.parametrize("attend", [attend_absorbed, attend_naive])
@given(case=attentions())
def test_attention_equals_the_softmax_written_out(attend, case):
    assert_same_with_gradients(attend(*case), attend_written_out(*case), case)


@given(attentions())
def test_absorbed_equals_naive(case):
    assert_same_with_gradients(attend_absorbed(*case), attend_naive(*case), case)


@given(attentions(), st.floats(1, 64), st.floats(0.1, 2), st.floats(0.1, 2))
def test_sharpened_queries_score_as_a_larger_scale_and_longer_rotated_features(case, factor, mscale, mscale_all_dim):
    """The published code multiplies the scale, and the rotated features of both query and key."""
    q_nope, q_rope, memory, w_uk, w_uv = case
    yarn = Yarn(factor=factor, original_max_position_embeddings=8, mscale=mscale, mscale_all_dim=mscale_all_dim)
    m, m_all = 1 + 0.1 * mscale * math.log(factor), 1 + 0.1 * mscale_all_dim * math.log(factor)
    (P, R), (T, S) = (q_nope.shape[-1], q_rope.shape[-1]), (q_nope.shape[-2], memory.shape[1])
    longer = torch.tensor(P * [1.0] + R * [m / m_all], dtype=torch.float64)
    keys, values = expand(memory, w_uk, w_uv)
    q, scale = torch.cat((q_nope, q_rope), dim=-1), m_all**2 / (P + R) ** 0.5
    seen = torch.ones(T, S, dtype=torch.bool).tril(S - T)
    theirs = F.scaled_dot_product_attention(q * longer, keys * longer, values, attn_mask=seen, scale=scale)
    ours = attend_absorbed(*sharpen(q_nope, q_rope, yarn), memory, w_uk, w_uv)
    assert_same_with_gradients(ours, theirs, case)


STRETCHED = Yarn(factor=4, original_max_position_embeddings=8, mscale=0.7, mscale_all_dim=1.3)


@st.composite
def layers(draw):
    """A layer of random widths, in float64, and its config."""
    config = tiny().replace(
        hidden_size=draw(FEW), num_attention_heads=draw(FEW), kv_lora_rank=draw(FEW), q_lora_rank=draw(st.none() | FEW),
        qk_nope_head_dim=2 * draw(FEW), qk_rope_head_dim=2 * draw(FEW), v_head_dim=draw(FEW),
        rope_scaling=draw(st.none() | st.just(STRETCHED)),
    )  # fmt: skip
    layer = MultiHeadLatentAttention(config).double()
    for i, parameter in enumerate(layer.parameters()):
        parameter.data = random(*parameter.shape, seed=i).detach()
    return layer, config


@given(layers(), FEW, st.lists(st.tuples(st.integers(1, 3), st.booleans()), min_size=1, max_size=5), SEED)
@torch.no_grad()
def test_a_cache_filled_piece_by_piece_equals_one_pass(case, B, pieces, seed):
    """Pieces of any length, each absorbed or naive."""
    layer, config = case
    T = sum(length for length, _ in pieces)
    x = random(B, T, config.hidden_size, seed=seed)
    cos, sin = rotary_angles(torch.arange(T), config.qk_rope_head_dim, config.rope_theta, config.rope_scaling)
    cache, start, ours = LatentCache(config, B, T + seed % 2, dtype=torch.float64), 0, []
    for length, absorbed in pieces:
        new = slice(start, start + length)
        ours.append(layer(x[:, new], (cos[new], sin[new]), cache, absorbed))
        start += length
    torch.testing.assert_close(torch.cat(ours, dim=1), layer(x, (cos, sin)))
    norm = layer.kv_a_layernorm
    remembered = compress(x, layer.kv_a_proj_with_mqa.weight, norm.weight, cos, sin, norm.eps)
    assert cache.length == T
    torch.testing.assert_close(cache.memory[:, :T], remembered)
    assert not cache.memory[:, T:].any()
