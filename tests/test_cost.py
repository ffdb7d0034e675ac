"""The published figures of DeepSeek-V3, and every count against a model built without memory."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from mini_moe import Transformer
from mini_moe.config import deepseek_v3, small, tiny
from mini_moe.cost import (
    count_parameters,
    kv_cache_bytes_per_token,
    training_dollars,
    training_flops_per_token,
    training_gpu_hours,
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
