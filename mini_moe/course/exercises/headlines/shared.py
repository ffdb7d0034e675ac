"""Lesson 00: the configurations that its exercises count."""

import functools

import torch

from mini_moe.config import ModelConfig, deepseek_v3, tiny


def configs(generator):
    """Configurations small enough to count by hand, then odd ones, then the published one."""

    def draw(low, high):
        return torch.randint(low, high + 1, (1,), generator=generator).item()

    smallest = ModelConfig(
        vocab_size=draw(5, 9), hidden_size=4, num_hidden_layers=2, intermediate_size=draw(5, 9), num_attention_heads=2,
        kv_lora_rank=draw(3, 5), qk_nope_head_dim=draw(2, 3), qk_rope_head_dim=2, v_head_dim=draw(4, 6),
        n_routed_experts=draw(3, 5), num_experts_per_tok=2, moe_intermediate_size=draw(2, 4),
    )  # fmt: skip
    yield smallest
    yield smallest.replace(q_lora_rank=draw(2, 9), n_shared_experts=2, num_hidden_layers=5, first_k_dense_replace=2)
    yield tiny().replace(n_shared_experts=0, v_head_dim=draw(33, 60), num_experts_per_tok=draw(1, 4))
    yield deepseek_v3()


def each(generator):
    for config in configs(generator):
        yield (config,)


@functools.cache
def parameters(module, config):
    """Parameters of a module that takes no memory; kept, for the largest has thousands of modules to build."""
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in module(config).parameters())
