"""What a model costs: parameters, memory and operations from its configuration alone; hours and dollars from these.

All are a few products. None of these functions builds a model.

Source: DeepSeek-V3, arXiv 2412.19437, table 1 and section 4.2; DeepSeek-V2, arXiv 2405.04434, section 2.1. The
makers' own figures for cache, operations and utilization are in arXiv 2505.09343, tables 1, 2 and 4.
"""

from mini_moe.config import ModelConfig


def attention_parameters(config: ModelConfig) -> int:
    """Parameters of the attention in one layer, with the norms of its latents.

        queries     from D to H (P + R) features; where q_lora_rank is Q and not
                    None, by way of Q features with a norm over them
        latent      from D to C + R features, with a norm over the C
        expansion   from C to H (P + W) features
        output      from H W to D features

    D hidden_size, H num_attention_heads, C kv_lora_rank, Q q_lora_rank,
    P qk_nope_head_dim, R qk_rope_head_dim, W v_head_dim.

    Source: arXiv 2405.04434, equations 9 to 19.

    >>> from mini_moe.config import deepseek_v3, tiny
    >>> attention_parameters(tiny())
    55360
    >>> attention_parameters(deepseek_v3())
    187107328
    """
    D, H, C = config.hidden_size, config.num_attention_heads, config.kv_lora_rank
    P, R, W = config.qk_nope_head_dim, config.qk_rope_head_dim, config.v_head_dim
    if config.q_lora_rank is None:
        queries = D * H * (P + R)
    else:
        queries = D * config.q_lora_rank + config.q_lora_rank + config.q_lora_rank * H * (P + R)
    latent = D * (C + R) + C
    expansion = C * H * (P + W)
    output = H * W * D
    return queries + latent + expansion + output


def count_parameters(config: ModelConfig) -> tuple[int, int]:
    """All parameters, and those at work on one token.

        embedding, output head   V rows of D numbers each
        every layer              attention, and two norms over D
        a dense layer            SwiGLU: three matrices between D and
                                 intermediate_size features
        a layer of experts       a router, E rows of D numbers; E routed and
                                 the shared experts, each a SwiGLU between D
                                 and moe_intermediate_size features
        at the end               one norm over D

    A token uses all of this but, in each layer of experts, the E - K that it
    was not sent to.

    Returns:
        total, active: the active count has the embedding and the output head in it.

    >>> from mini_moe.config import deepseek_v3, tiny
    >>> count_parameters(tiny())
    (1225088, 782720)
    >>> count_parameters(deepseek_v3())
    (671026404352, 37552282624)
    """
    D, E, K = config.hidden_size, config.n_routed_experts, config.num_experts_per_tok
    sparse_layers = config.num_hidden_layers - config.first_k_dense_replace
    expert = 3 * D * config.moe_intermediate_size
    total = (
        2 * config.vocab_size * D
        + config.num_hidden_layers * (attention_parameters(config) + 2 * D)
        + config.first_k_dense_replace * 3 * D * config.intermediate_size
        + sparse_layers * (E * D + (E + config.n_shared_experts) * expert)
        + D
    )
    return total, total - sparse_layers * (E - K) * expert


def weight_bytes(config: ModelConfig, bits_per_parameter: int) -> int:
    """Bytes to hold every weight, also of the experts that rest.

    >>> from mini_moe.config import deepseek_v3
    >>> weight_bytes(deepseek_v3(), bits_per_parameter=8) / 1e9
    671.026404352
    """
    return count_parameters(config)[0] * bits_per_parameter // 8


def kv_cache_bytes_per_token(config: ModelConfig, bytes_per_element: int = 2) -> int:
    """Memory that each token of the context keeps while text is generated.

    Latent attention keeps, in every layer, one latent (kv_lora_rank) and one
    rotated key (qk_rope_head_dim), whatever the number of heads.

    Source: arXiv 2405.04434, table 1.

    >>> from mini_moe.config import deepseek_v3
    >>> kv_cache_bytes_per_token(deepseek_v3())
    70272
    """
    return config.num_hidden_layers * (config.kv_lora_rank + config.qk_rope_head_dim) * bytes_per_element


def gqa_cache_bytes_per_token(n_layers: int, n_kv_heads: int, head_dim: int, bytes_per_element: int = 2) -> int:
    """The same for attention that caches keys and values themselves, as most models do.

        layers * key-value heads * (a key + a value) * bytes

    Multi-head attention (MHA) has a key-value head for each query head; grouped-query attention (GQA) shares each
    among several query heads, so it has fewer.

    Source: GQA, arXiv 2305.13245; compared in DeepSeek-V2, arXiv 2405.04434, table 1.

    >>> gqa_cache_bytes_per_token(n_layers=126, n_kv_heads=8, head_dim=128)  # Llama-3.1-405B
    516096
    """
    return n_layers * n_kv_heads * 2 * head_dim * bytes_per_element


def training_flops_per_token(config: ModelConfig, context: int) -> float:
    """Floating-point operations to train on one token, forward and backward.

        matrices    a multiplication and an addition for each active parameter,
                    and backward twice as many; none for the embedding,
                    which is looked up
        attention   as many for each number of a query (P + R) and of a value
                    (W), in each head of each layer, for each earlier position;
                    a token sees context / 2 of these on average

    Returns:
        FLOPs per token, averaged over a sequence of ``context`` tokens.

    >>> from mini_moe.config import deepseek_v3
    >>> training_flops_per_token(deepseek_v3(), context=4096) / 1e9
    250.455926784
    """
    active = count_parameters(config)[1] - config.vocab_size * config.hidden_size
    width = config.num_attention_heads * (config.qk_head_dim + config.v_head_dim)
    return 6 * active + 6 * config.num_hidden_layers * width * context / 2


def training_gpu_hours(flops: float, flops_per_second: float, utilization: float) -> float:
    """Hours of one GPU for so many operations.

    Args:
        flops_per_second: the GPU's peak.
        utilization: the part of the peak that is reached, 0 to 1.

    >>> training_gpu_hours(3.6e18, flops_per_second=1e15, utilization=0.5)
    2.0
    """
    return flops / (flops_per_second * utilization) / 3600


def utilization(flops: float, gpu_hours: float, flops_per_second: float) -> float:
    """Model FLOPs utilization (MFU): what a run computed, as a part of what its GPUs could have computed.

    Args:
        flops: operations that the model needs for the whole run, and no others.
        gpu_hours: hours of one GPU, over all GPUs.
        flops_per_second: the peak of one GPU. It depends on the width of the numbers; by custom it is that of BF16.

    Source: PaLM, arXiv 2204.02311, appendix B.

    >>> utilization(1.8e18, gpu_hours=2, flops_per_second=1e15)  # in the 2 hours it could have done 7.2e18
    0.25
    """
    return flops / (gpu_hours * 3600 * flops_per_second)


def training_dollars(gpu_hours: float, dollars_per_hour: float) -> float:
    """The rent of the GPUs for a run.

    Args:
        gpu_hours: hours of one GPU, over all GPUs.
        dollars_per_hour: rent of one GPU for an hour.

    >>> training_dollars(2_788_000, dollars_per_hour=2.0)
    5576000.0
    """
    return gpu_hours * dollars_per_hour
