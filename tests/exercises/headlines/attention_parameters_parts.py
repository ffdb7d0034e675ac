"""What answers to `attention_parameters` are made of."""

import math


def weights(config):
    """The shapes of all matrices and norms of a layer, by name."""
    D, H, C, Q = config.hidden_size, config.num_attention_heads, config.kv_lora_rank, config.q_lora_rank
    asked = H * (config.qk_nope_head_dim + config.qk_rope_head_dim)
    queries = {"q": (D, asked)} if Q is None else {"q down": (D, Q), "q norm": (Q,), "q up": (Q, asked)}
    return queries | {
        "kv down": (D, C + config.qk_rope_head_dim),
        "kv norm": (C,),
        "keys up": (C, H * config.qk_nope_head_dim),
        "values up": (C, H * config.v_head_dim),
        "out": (H * config.v_head_dim, D),
    }


def numbers(shapes):
    """How many numbers tensors of these shapes hold."""
    return sum(math.prod(shape) for shape in shapes.values())
