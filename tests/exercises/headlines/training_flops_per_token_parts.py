"""What answers to `training_flops_per_token` are made of."""

from mini_moe import cost


def weights(config):
    """Active parameters that are multiplied."""
    return cost.count_parameters(config)[1] - config.vocab_size * config.hidden_size


def width(config):
    """Features of all heads' scores and means."""
    return config.num_attention_heads * (config.qk_head_dim + config.v_head_dim)


def flops(config, context):
    """The right answer."""
    return 6 * weights(config) + 3 * config.num_hidden_layers * width(config) * context
