"""The published figures of DeepSeek-V3, and every count against a model built without memory."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from mini_moe import Transformer
from mini_moe.config import deepseek_v3, small, tiny
from mini_moe.cost import (
    attention_parameters,
    count_parameters,
    gqa_cache_bytes_per_token,
    kv_cache_bytes_per_token,
    training_dollars,
    training_flops_per_token,
    training_gpu_hours,
    utilization,
    weight_bytes,
)
from mini_moe.layers import causal_attention

V3 = deepseek_v3()


def test_published_figures_follow_from_the_published_configuration():
    total, active = count_parameters(V3)
    assert round(total / 1e9, 3) == 671.026
    assert round(active / 1e9, 2) == 37.55
    assert round((active - V3.vocab_size * V3.hidden_size) / 1e9, 2) == 36.63
    assert [round(weight_bytes(V3, bits) / 1e9) for bits in (32, 16, 8)] == [2684, 1342, 671]
    assert kv_cache_bytes_per_token(V3) == 70_272
    assert round(training_flops_per_token(V3, context=4096) / 1e9, 1) == 250.5
    assert training_dollars(2_788_000, 2.0) == 5_576_000


def test_routed_experts_hold_97_percent():
    rest = count_parameters(V3.replace(n_routed_experts=8, n_group=1, topk_group=1, num_experts_per_tok=8))[0]
    experts = 58 * 256 * 3 * 7168 * 2048
    assert experts / count_parameters(V3)[0] == pytest.approx(0.974, abs=5e-4)
    assert rest < 0.06 * count_parameters(V3)[0]


def test_hours_at_the_published_utilization_are_the_published_hours():
    flops = training_flops_per_token(V3, context=4096) * 14.8e12
    assert training_gpu_hours(flops, 989e12, 0.391) == pytest.approx(2_664_000, rel=0.01)


def test_figures_that_the_makers_published_later_are_met_within_half_a_per_cent():
    """arXiv 2505.09343, tables 1, 2 and 4, and the file README_WEIGHTS beside the weights."""
    flops = training_flops_per_token(V3, context=4096)
    days = 2_664_000 / 2048 / 24
    assert kv_cache_bytes_per_token(V3) / 1e3 == 70.272
    assert gqa_cache_bytes_per_token(n_layers=80, n_kv_heads=8, head_dim=128) / 1e3 == 327.680
    assert gqa_cache_bytes_per_token(n_layers=126, n_kv_heads=8, head_dim=128) / 1e3 == 516.096
    assert flops / 1e9 == pytest.approx(250, rel=0.005)
    assert 14.8e12 / days / 1e9 == pytest.approx(272.8, rel=0.005)
    assert utilization(flops * 14.8e12, 2_664_000, 989e12) == pytest.approx(0.3894, rel=0.005)
    per_gpu = flops * 272.8e9 / 86_400 / 2048  # operations per second, from their tokens per day
    assert per_gpu / 1e12 == pytest.approx(385, rel=0.005)
    assert utilization(per_gpu * 3600, 1, 989e12) == pytest.approx(0.3894, rel=0.005)
    expert = 3 * V3.hidden_size * V3.moe_intermediate_size
    module = attention_parameters(V3) + 257 * expert + 256 * V3.hidden_size
    assert round(module / 1e9, 1) == 11.5


def test_utilization_is_what_hours_were_computed_from():
    for part in (0.1, 0.39, 1.0, 1.5):
        hours = training_gpu_hours(3.7e24, 989e12, part)
        assert utilization(3.7e24, hours, 989e12) == pytest.approx(part, rel=1e-12)
    assert utilization(0.0, 2.5, 989e12) == 0


@pytest.mark.parametrize(
    "config", [tiny(), small(), V3, tiny().replace(q_lora_rank=24), tiny().replace(n_shared_experts=0)]
)
def test_the_count_equals_the_model(config):
    with torch.device("meta"):
        model = Transformer(config)
    assert count_parameters(config)[0] == sum(p.numel() for p in model.parameters())


def test_counted_flops_are_those_that_torch_counts():
    config, context = tiny().replace(first_k_dense_replace=4), 128  # torch does not count grouped products
    model = Transformer(config)
    with FlopCounterMode(display=False) as counter:
        model(torch.zeros(1, context, dtype=torch.int64)).logits.sum().backward()
    vectors = 4 * (2 * 128 + 64) + 128  # norms: counted as parameters, but no products
    products = counter.get_flop_counts()["Global"][torch.ops.aten.mm]
    assert products / context == training_flops_per_token(config, context=0) - 6 * vectors

    heads = [torch.zeros(1, 4, context, 32, requires_grad=True) for _ in range(3)]
    with FlopCounterMode(display=False) as counter:
        causal_attention(*heads, scale=1.0).sum().backward()
    attention = training_flops_per_token(config, context) - training_flops_per_token(config, context=0)
    layers, computed_though_hidden = 4, 2  # the plain definition computes the future, too, and hides it
    assert layers * counter.get_total_flops() / context == computed_though_hidden * attention
