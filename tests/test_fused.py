"""The hand-written backward passes against the plain definitions, in float64, and against numerical gradients."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from oracles.gradients import assert_same_with_gradients, random

from mini_moe import fused
from mini_moe.fused import CausalAttentionFunction, RMSNormFunction, RotaryFunction
from mini_moe.layers import apply_rotary, causal_attention, rms_norm, rotary_angles

small = st.integers(1, 5)


@given(small, small, st.integers(1, 9), st.sampled_from([1e-6, 0.1]), st.integers(0, 99))
def test_rms_norm_equals_its_definition(B, T, D, eps, seed):
    x, weight = random(B, T, D, seed=seed), random(D, seed=seed + 1)
    assert_same_with_gradients(RMSNormFunction.apply(x, weight, eps), rms_norm(x, weight, eps), (x, weight))


@given(small, small, small, st.integers(0, 99))
def test_rotary_equals_its_definition(H, T, pairs, seed):
    x = random(2, T, H, 2 * pairs, seed=seed).transpose(1, 2)
    cos, sin = (angle.double() for angle in rotary_angles(torch.arange(T) + seed, 2 * pairs, 10000.0))
    assert_same_with_gradients(RotaryFunction.apply(x, cos, sin), apply_rotary(x, cos, sin), (x,))


@given(small, small, small, st.integers(0, 99))
def test_rotary_turns_a_part_of_a_wider_row_wherever_it_begins(T, width, pairs, seed):
    row = random(1, T, width + 2 * pairs, seed=seed)
    cos, sin = (angle.double() for angle in rotary_angles(torch.arange(T) + seed, 2 * pairs, 10000.0))
    ours, theirs = (
        torch.cat((row[..., :width], turn(row[..., width:], cos, sin)), dim=-1)
        for turn in (RotaryFunction.apply, apply_rotary)
    )
    assert_same_with_gradients(ours, theirs, (row,))


@pytest.fixture(autouse=True, scope="module")
def small_blocks():
    """Blocks so small that random shapes are cut in many ways."""
    before, fused.BLOCK = fused.BLOCK, 3
    yield
    fused.BLOCK = before


@given(small, st.integers(1, 8), st.integers(0, 5), st.integers(1, 4), st.integers(1, 4), st.integers(0, 99))
def test_attention_equals_its_definition(H, T, past, features, width, seed):
    q, k = random(2, H, T, features, seed=seed), random(2, H, T + past, features, seed=seed + 1)
    v = random(2, H, T + past, width, seed=seed + 2)
    assert_same_with_gradients(CausalAttentionFunction.apply(q, k, v, 0.7), causal_attention(q, k, v, 0.7), (q, k, v))


def test_gradients_are_the_numerical_ones():
    q, k, v = (random(1, 2, 7, 3, seed=seed) for seed in range(3))
    assert torch.autograd.gradcheck(lambda *x: CausalAttentionFunction.apply(*x, 0.7), (q, k, v))
    assert torch.autograd.gradcheck(
        lambda *x: RMSNormFunction.apply(*x, 1e-3), (random(4, 5, seed=3), random(5, seed=4))
    )
