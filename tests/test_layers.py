"""Each layer function against torch's own, or against its definition in float64."""

import itertools
import math

import torch
import torch.nn.functional as F
from hypothesis import example, given
from hypothesis import strategies as st
from oracles.gradients import assert_same_with_gradients, random
from transformers import DeepseekV3Config
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

from mini_moe.config import Yarn
from mini_moe.layers import apply_rotary, causal_attention, rms_norm, rotary_angles, stretch, swiglu

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


@st.composite
def stretches(draw):
    """How a context is stretched, the number of pairs, and the base of their wavelengths."""
    slow = draw(st.floats(0.25, 2))
    yarn = Yarn(
        factor=draw(st.floats(1, 64)), original_max_position_embeddings=draw(st.integers(13, 100_000)),
        beta_fast=slow * draw(st.floats(1, 64)), beta_slow=slow,
    )  # fmt: skip
    return yarn, draw(st.integers(1, 32)), draw(st.floats(1000, 1e6))


@given(stretches())
@example((Yarn(factor=4, original_max_position_embeddings=99_999, beta_fast=999, beta_slow=0.3), 2, 1000.0))
def test_stretch_equals_transformers(case):
    yarn, pairs, theta = case
    rope = {"rope_type": "yarn", "rope_theta": theta, **vars(yarn)}
    length = round(yarn.factor * yarn.original_max_position_embeddings)
    config = DeepseekV3Config(qk_rope_head_dim=2 * pairs, max_position_embeddings=length, rope_parameters=rope)
    theirs, factor = ROPE_INIT_FUNCTIONS["yarn"](config)
    ours = stretch(theta ** (-torch.arange(pairs) / pairs), theta, yarn)
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=0)
    assert factor == 1  # mscale and mscale_all_dim are the same


@given(stretches(), st.floats(1.5, 1e6))
def test_fast_pairs_keep_their_speed_and_slow_ones_turn_factor_times_slower(case, theta):
    """Those between lie on a straight line."""
    yarn, pairs, _ = case
    speeds = [theta ** (-i / pairs) for i in range(pairs)]
    slowed = stretch(torch.tensor(speeds, dtype=torch.float64), theta, yarn).tolist()
    shares, turns = [], [yarn.original_max_position_embeddings * speed / (2 * math.pi) for speed in speeds]
    for i in range(pairs):
        if turns[i] > 1.0001 * yarn.beta_fast:
            assert math.isclose(slowed[i], speeds[i], rel_tol=1e-6)
        if turns[i] < 0.9999 * yarn.beta_slow:
            assert math.isclose(slowed[i], speeds[i] / yarn.factor, rel_tol=1e-6)
        shares.append(slowed[i] / speeds[i])
    assert all(later <= share + 1e-12 for share, later in itertools.pairwise(shares))
    inside = [i for i in range(1, pairs - 1) if 1 / yarn.factor < shares[i + 1] - 1e-9 and shares[i - 1] < 1 - 1e-9]
    assert all(math.isclose(shares[i - 1] + shares[i + 1], 2 * shares[i], abs_tol=1e-6) for i in inside)


def test_the_angles_of_a_stretched_context_grow_with_the_slowed_speed():
    yarn = Yarn(factor=40, original_max_position_embeddings=4096)
    cos, sin = rotary_angles(torch.arange(3), 64, 10000.0, yarn)
    speed = stretch(10000.0 ** (-torch.arange(32) / 32), 10000.0, yarn)
    torch.testing.assert_close(torch.atan2(sin, cos)[1:], torch.stack((speed, 2 * speed)))
    assert speed[0] == 1 and math.isclose(speed[-1] * 40 * 10000 ** (31 / 32), 1, rel_tol=1e-6)


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
