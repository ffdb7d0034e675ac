"""Each layer function against torch's own, or against its definition in float64."""

import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from oracles.gradients import assert_same_with_gradients, random

from mini_moe.layers import apply_rotary, causal_attention, rms_norm, rotary_angles, swiglu

small = st.integers(1, 6)


@given(rows=small, features=st.integers(1, 9), seed=st.integers(0, 99))
def test_rms_norm_equals_torchs(rows, features, seed):
    x, weight = random(rows, features, seed=seed), random(features, seed=seed + 1)
    assert_same_with_gradients(rms_norm(x, weight, 1e-5), F.rms_norm(x, (features,), weight, 1e-5), (x, weight))


def test_rms_norm_of_bfloat16_takes_its_mean_in_float32():
    x = (1 + random(4, 512, dtype=torch.float32).detach() / 64).bfloat16()
    ours, exact = rms_norm(x, torch.ones(512)), F.rms_norm(x.double(), (512,))
    assert (ours.double() - exact).abs().max() <= 2**-8 * exact.abs().max()


@given(tokens=small, pairs=small, seed=st.integers(0, 99))
def test_rotary_is_a_product_of_complex_numbers(tokens, pairs, seed):
    x = random(2, tokens, 2 * pairs, seed=seed)
    cos, sin = (angle.double() for angle in rotary_angles(torch.arange(tokens) + seed, 2 * pairs, 10000.0))
    as_complex = torch.view_as_complex(x.unflatten(-1, (-1, 2))) * torch.complex(cos, sin)
    assert_same_with_gradients(apply_rotary(x, cos, sin), torch.view_as_real(as_complex).flatten(-2), (x,))


@given(heads=small, queries=small, past=st.integers(0, 5), seed=st.integers(0, 99))
def test_causal_attention_equals_torchs(heads, queries, past, seed):
    q, k = random(2, heads, queries, 4, seed=seed), random(2, heads, queries + past, 4, seed=seed + 1)
    v = random(2, heads, queries + past, 3, seed=seed + 2)
    seen = torch.ones(queries, queries + past, dtype=torch.bool).tril(past)
    theirs = F.scaled_dot_product_attention(q, k, v, attn_mask=seen, scale=0.3)
    assert_same_with_gradients(causal_attention(q, k, v, 0.3), theirs, (q, k, v))


@given(rows=small, width=small, inner=small, seed=st.integers(0, 99))
def test_swiglu_equals_its_definition(rows, width, inner, seed):
    x, gate, up = (
        random(rows, width, seed=seed),
        random(inner, width, seed=seed + 1),
        random(inner, width, seed=seed + 2),
    )
    down = random(width, inner, seed=seed + 3)
    z = x @ gate.T
    assert_same_with_gradients(
        swiglu(x, gate, up, down), (z / (1 + (-z).exp()) * (x @ up.T)) @ down.T, (x, gate, up, down)
    )
