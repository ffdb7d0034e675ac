"""What answers to `count_parameters` are made of."""

from mini_moe import cost


def pieces(config):
    """Parameters by their place, layer by layer; the experts of a layer as (number, size of one)."""
    D = config.hidden_size
    places = {"embedding": config.vocab_size * D, "head": config.vocab_size * D, "last norm": D}
    for layer in range(config.num_hidden_layers):
        places[f"{layer} attention"] = cost.attention_parameters(config)
        places[f"{layer} norms"] = 2 * D
        if layer < config.first_k_dense_replace:
            places[f"{layer} dense"] = 3 * D * config.intermediate_size
        else:
            size = 3 * D * config.moe_intermediate_size
            places[f"{layer} router"] = D * config.n_routed_experts
            places[f"{layer} routed"] = config.n_routed_experts * size
            places[f"{layer} shared"] = config.n_shared_experts * size
    return places


def working(config, places):
    """Of `pieces`, what works on a token."""
    return sum(
        n * config.num_experts_per_tok // config.n_routed_experts if place.endswith("routed") else n
        for place, n in places.items()
    )
