"""Lesson 00: wrong answers as beginners write them, each with its name; right ones, each written differently."""

import math
from fractions import Fraction

import torch
from exercises.answers import Answers, Claims

from mini_moe import cost
from mini_moe.course.exercises import headlines
from mini_moe.mla import MultiHeadLatentAttention

ANSWERS = Answers(headlines)
wrong, right = ANSWERS.wrong, ANSWERS.right

ATTENTION = headlines.ATTENTION_PARAMETERS
COUNT = headlines.COUNT_PARAMETERS
CACHE = headlines.KV_CACHE
FLOPS = headlines.TRAINING_FLOPS
DOLLARS = headlines.TRAINING_DOLLARS


class TestHeadlines(Claims):
    answers = ANSWERS


# --- attention_parameters ---------------------------------------------------------------------------------------------


@wrong(ATTENTION, "norms left out")
def _(config):
    d, h = config.hidden_size, config.num_attention_heads
    total = 0
    if config.q_lora_rank is None:
        total += d * h * config.qk_head_dim
    else:
        total += d * config.q_lora_rank
        total += config.q_lora_rank * h * config.qk_head_dim
    total += d * (config.kv_lora_rank + config.qk_rope_head_dim)
    total += config.kv_lora_rank * h * (config.qk_nope_head_dim + config.v_head_dim)
    total += h * config.v_head_dim * d
    return total


@wrong(ATTENTION, "norm of the query's latent left out")
def _(config):
    d, h, q = config.hidden_size, config.num_attention_heads, config.q_lora_rank
    queries = d * h * config.qk_head_dim if q is None else d * q + q * h * config.qk_head_dim
    latent = d * (config.kv_lora_rank + config.qk_rope_head_dim) + config.kv_lora_rank
    expansion = config.kv_lora_rank * h * (config.qk_nope_head_dim + config.v_head_dim)
    return queries + latent + expansion + h * config.v_head_dim * d


@wrong(ATTENTION, "norm of the latent left out")
def _(config):
    d, h, q, c = config.hidden_size, config.num_attention_heads, config.q_lora_rank, config.kv_lora_rank
    queries = d * h * config.qk_head_dim if q is None else d * q + q + q * h * config.qk_head_dim
    latent = d * (c + config.qk_rope_head_dim)
    return queries + latent + c * h * (config.qk_nope_head_dim + config.v_head_dim) + h * config.v_head_dim * d


@wrong(ATTENTION, "rotated key normed")
def _(config):
    d, h, q, c = config.hidden_size, config.num_attention_heads, config.q_lora_rank, config.kv_lora_rank
    queries = d * h * config.qk_head_dim if q is None else d * q + q + q * h * config.qk_head_dim
    wide = c + config.qk_rope_head_dim
    latent = d * wide + wide
    return queries + latent + c * h * (config.qk_nope_head_dim + config.v_head_dim) + h * config.v_head_dim * d


@wrong(ATTENTION, "query compression ignored")
def _(config):
    D = config.hidden_size
    H = config.num_attention_heads
    wq = D * H * (config.qk_nope_head_dim + config.qk_rope_head_dim)
    w_down = D * (config.kv_lora_rank + config.qk_rope_head_dim)
    norm = config.kv_lora_rank
    w_up = config.kv_lora_rank * H * (config.qk_nope_head_dim + config.v_head_dim)
    wo = H * config.v_head_dim * D
    return wq + w_down + norm + w_up + wo


@wrong(ATTENTION, "queries without their rotated part")
def _(config):
    D, H, C, P, R, W, Q = (
        config.hidden_size, config.num_attention_heads, config.kv_lora_rank, config.qk_nope_head_dim,
        config.qk_rope_head_dim, config.v_head_dim, config.q_lora_rank,
    )  # fmt: skip
    sizes = [D * (C + R), C, C * H * P, C * H * W, H * W * D]
    sizes += [D * Q, Q, Q * H * P] if Q else [D * H * P]
    return sum(sizes)


@wrong(ATTENTION, "rotated key for every head")
def _(config):
    D, H, Q = config.hidden_size, config.num_attention_heads, config.q_lora_rank
    per_head_rope = H * config.qk_rope_head_dim
    per_head_nope = H * config.qk_nope_head_dim
    n = (D * Q + Q + Q * (per_head_rope + per_head_nope)) if Q else D * (per_head_rope + per_head_nope)
    n += D * config.kv_lora_rank + D * per_head_rope + config.kv_lora_rank
    n += config.kv_lora_rank * (per_head_nope + H * config.v_head_dim)
    return n + D * H * config.v_head_dim


@wrong(ATTENTION, "rotated key left out")
def _(config):
    def linear(m, n):
        return m * n

    D, C, heads = config.hidden_size, config.kv_lora_rank, config.num_attention_heads
    q_out = heads * config.qk_head_dim
    if config.q_lora_rank is not None:
        q = linear(D, config.q_lora_rank) + config.q_lora_rank + linear(config.q_lora_rank, q_out)
    else:
        q = linear(D, q_out)
    kv = linear(D, C) + C + linear(C, heads * config.qk_nope_head_dim) + linear(C, heads * config.v_head_dim)
    return q + kv + linear(heads * config.v_head_dim, D)


@wrong(ATTENTION, "rotated key expanded")
def _(config):
    D, C, heads = config.hidden_size, config.kv_lora_rank, config.num_attention_heads
    count = D * (C + config.qk_rope_head_dim) + C
    if config.q_lora_rank is None:
        count += D * heads * config.qk_head_dim
    else:
        count += config.q_lora_rank * (D + 1 + heads * config.qk_head_dim)
    for _ in range(heads):
        count += C * config.qk_head_dim  # key
        count += C * config.v_head_dim  # value
    return count + heads * config.v_head_dim * D


@wrong(ATTENTION, "values not expanded")
def _(config):
    D, C, H = config.hidden_size, config.kv_lora_rank, config.num_attention_heads
    lora = config.q_lora_rank
    q = D * H * config.qk_head_dim if not lora else lora * (D + H * config.qk_head_dim) + lora
    return q + D * (C + config.qk_rope_head_dim) + C + C * H * config.qk_nope_head_dim + H * config.v_head_dim * D


@wrong(ATTENTION, "keys not expanded")
def _(config):
    D, C, H = config.hidden_size, config.kv_lora_rank, config.num_attention_heads
    lora = config.q_lora_rank
    q = D * H * config.qk_head_dim if not lora else lora * (D + H * config.qk_head_dim) + lora
    values = H * config.v_head_dim
    return q + D * (C + config.qk_rope_head_dim) + C + C * values + values * D


@wrong(ATTENTION, "expansion left out")
def _(config):
    D, H = config.hidden_size, config.num_attention_heads
    q_size = H * (config.qk_nope_head_dim + config.qk_rope_head_dim)
    if config.q_lora_rank is None:
        query = D * q_size
    else:
        query = D * config.q_lora_rank + config.q_lora_rank * q_size + config.q_lora_rank
    key_value = D * (config.kv_lora_rank + config.qk_rope_head_dim) + config.kv_lora_rank
    out = H * config.v_head_dim * D
    return query + key_value + out


@wrong(ATTENTION, "output projection left out")
def _(config):
    D, H = config.hidden_size, config.num_attention_heads
    q_size = H * (config.qk_nope_head_dim + config.qk_rope_head_dim)
    if config.q_lora_rank is None:
        query = D * q_size
    else:
        query = D * config.q_lora_rank + config.q_lora_rank * q_size + config.q_lora_rank
    key_value = D * (config.kv_lora_rank + config.qk_rope_head_dim) + config.kv_lora_rank
    key_value += config.kv_lora_rank * H * (config.qk_nope_head_dim + config.v_head_dim)
    return query + key_value


@wrong(ATTENTION, "output square")
def _(config):
    D, H, C = config.hidden_size, config.num_attention_heads, config.kv_lora_rank
    Q = config.q_lora_rank
    query = D * H * config.qk_head_dim if Q is None else D * Q + Q + Q * H * config.qk_head_dim
    latent = D * (C + config.qk_rope_head_dim) + C
    up = C * H * (config.qk_nope_head_dim + config.v_head_dim)
    w_o = D * D
    return query + latent + up + w_o


@wrong(ATTENTION, "values as wide as keys")
def _(config):
    D, H, C = config.hidden_size, config.num_attention_heads, config.kv_lora_rank
    head_dim = config.qk_head_dim
    Q = config.q_lora_rank
    query = D * H * head_dim if Q is None else D * Q + Q + Q * H * head_dim
    return (
        query + D * (C + config.qk_rope_head_dim) + C + C * H * (config.qk_nope_head_dim + head_dim) + H * head_dim * D
    )


@wrong(ATTENTION, "plain multi-head attention")
def _(config):
    w_q = w_k = w_v = w_o = config.hidden_size * config.hidden_size
    return w_q + w_k + w_v + w_o


@wrong(ATTENTION, "one head only")
def _(config):
    D, C, P, R = config.hidden_size, config.kv_lora_rank, config.qk_nope_head_dim, config.qk_rope_head_dim
    W, Q = config.v_head_dim, config.q_lora_rank
    queries = D * (P + R) if Q is None else D * Q + Q + Q * (P + R)
    return queries + D * (C + R) + C + C * (P + W) + W * D


@wrong(ATTENTION, "all layers")
def _(config):
    D, H, C, R = config.hidden_size, config.num_attention_heads, config.kv_lora_rank, config.qk_rope_head_dim
    total = 0
    for _layer in range(config.num_hidden_layers):
        if config.q_lora_rank is None:
            total += D * H * config.qk_head_dim
        else:
            total += config.q_lora_rank * (D + 1 + H * config.qk_head_dim)
        total += D * (C + R) + C + C * H * (config.qk_nope_head_dim + config.v_head_dim) + H * config.v_head_dim * D
    return total


@wrong(ATTENTION, "biases counted")
def _(config):
    def linear(m, n):
        return m * n + n

    D, H, C, R = config.hidden_size, config.num_attention_heads, config.kv_lora_rank, config.qk_rope_head_dim
    if config.q_lora_rank is None:
        n = linear(D, H * config.qk_head_dim)
    else:
        n = linear(D, config.q_lora_rank) + config.q_lora_rank + linear(config.q_lora_rank, H * config.qk_head_dim)
    n += linear(D, C + R) + C + linear(C, H * (config.qk_nope_head_dim + config.v_head_dim))
    return n + linear(H * config.v_head_dim, D)


@wrong(ATTENTION, "raises TypeError", "q_lora_rank taken for a number")
def _(config):
    D, H, C = config.hidden_size, config.num_attention_heads, config.kv_lora_rank
    queries = D * config.q_lora_rank + config.q_lora_rank + config.q_lora_rank * H * config.qk_head_dim
    latent = D * (C + config.qk_rope_head_dim) + C
    return queries + latent + C * H * (config.qk_nope_head_dim + config.v_head_dim) + H * config.v_head_dim * D


@wrong(ATTENTION, "raises AttributeError", "a field that is not there")
def _(config):
    return 4 * config.hidden_size * config.num_heads * config.head_dim


@wrong(ATTENTION, "returns None", "printed")
def _(config):
    print(4 * config.hidden_size**2)


@wrong(ATTENTION, "wrong type", "the parts")
def _(config):
    D, H, C = config.hidden_size, config.num_attention_heads, config.kv_lora_rank
    return D * H * config.qk_head_dim, D * (C + config.qk_rope_head_dim), H * config.v_head_dim * D


@right(ATTENTION, "built and counted")
def _(config):
    with torch.device("meta"):
        layer = MultiHeadLatentAttention(config)
    return sum(math.prod(weight.shape) for weight in layer.parameters())


@right(ATTENTION, "head by head")
def _(config):
    D, C, R, Q = config.hidden_size, config.kv_lora_rank, config.qk_rope_head_dim, config.q_lora_rank
    entry = D if Q is None else Q
    total = 0 if Q is None else Q * (D + 1)
    for _ in range(config.num_attention_heads):
        total += entry * (config.qk_nope_head_dim + R)
        total += C * config.qk_nope_head_dim
        total += C * config.v_head_dim
        total += config.v_head_dim * D
    return total + (D + 1) * C + D * R


@right(ATTENTION, "as a float, from a table of matrices")
def _(config):
    D, H, C = config.hidden_size, config.num_attention_heads, config.kv_lora_rank
    shapes = {
        "kv_down": (D, C + config.qk_rope_head_dim),
        "kv_norm": (1, C),
        "k_up": (C, H * config.qk_nope_head_dim),
        "v_up": (C, H * config.v_head_dim),
        "out": (H * config.v_head_dim, D),
    }
    if config.q_lora_rank:
        shapes["q_down"] = (D, config.q_lora_rank)
        shapes["q_norm"] = (config.q_lora_rank, 1)
        shapes["q_up"] = (config.q_lora_rank, H * config.qk_head_dim)
    else:
        shapes["q"] = (D, H * config.qk_head_dim)
    return float(sum(rows * columns for rows, columns in shapes.values()))


# --- count_parameters -------------------------------------------------------------------------------------------------
# The wrong ones share a true count, taken to pieces, where the mistake is in the active count alone.


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


@wrong(COUNT, "exchanged")
def _(config):
    places = pieces(config)
    total = sum(places.values())
    active = working(config, places)
    return active, total


@wrong(COUNT, "everything active")
def _(config):
    total = 0
    for n in pieces(config).values():
        total += n
    active = total
    return total, active


@wrong(COUNT, "active as a share K / E of everything", "rounded down")
def _(config):
    total = sum(pieces(config).values())
    share = Fraction(config.num_experts_per_tok, config.n_routed_experts)
    return total, int(share * total)


@wrong(COUNT, "active as a share K / E of everything", "not rounded")
def _(config):
    total = sum(pieces(config).values())
    sparsity = config.num_experts_per_tok / config.n_routed_experts
    return total, total * sparsity


@wrong(COUNT, "only K experts active")
def _(config):
    total = sum(pieces(config).values())
    active = 0
    for _ in range(config.first_k_dense_replace, config.num_hidden_layers):
        active += config.num_experts_per_tok * 3 * config.hidden_size * config.moe_intermediate_size
    return total, active


@wrong(COUNT, "the chosen experts rest")
def _(config):
    total = sum(pieces(config).values())
    expert = 3 * config.hidden_size * config.moe_intermediate_size
    moe_layers = config.num_hidden_layers - config.first_k_dense_replace
    return total, total - moe_layers * config.num_experts_per_tok * expert


@wrong(COUNT, "experts rest in one layer only")
def _(config):
    total = sum(pieces(config).values())
    idle = config.n_routed_experts - config.num_experts_per_tok
    return total, total - idle * 3 * config.hidden_size * config.moe_intermediate_size


@wrong(COUNT, "experts rest in dense layers")
def _(config):
    total = sum(pieces(config).values())
    idle = config.n_routed_experts - config.num_experts_per_tok
    active = total
    for _ in range(config.num_hidden_layers):
        active -= idle * 3 * config.hidden_size * config.moe_intermediate_size
    return total, active


@wrong(COUNT, "shared experts not in the active count")
def _(config):
    places = pieces(config)
    active = working(config, {place: n for place, n in places.items() if "shared" not in place})
    return sum(places.values()), active


@wrong(COUNT, "router rows rest")
def _(config):
    places = pieces(config)
    K, E = config.num_experts_per_tok, config.n_routed_experts
    active = sum(n // E * K if "rout" in place else n for place, n in places.items())
    return sum(places.values()), active


@wrong(COUNT, "embedding not in the active count")
def _(config):
    places = pieces(config)
    total = sum(places.values())
    del places["embedding"]
    return total, working(config, places)


@wrong(COUNT, "embedding and head not in the active count")
def _(config):
    places = pieces(config)
    total = sum(places.values())
    del places["embedding"], places["head"]
    return total, working(config, places)


@wrong(COUNT, "one embedding matrix")
def _(config):
    D, E, K = config.hidden_size, config.n_routed_experts, config.num_experts_per_tok
    total = config.vocab_size * D + D
    rest = 0
    for i in range(config.num_hidden_layers):
        total += cost.attention_parameters(config) + 2 * D
        if i < config.first_k_dense_replace:
            total += 3 * D * config.intermediate_size
        else:
            one = 3 * D * config.moe_intermediate_size
            total += E * D + (E + config.n_shared_experts) * one
            rest += (E - K) * one
    return total, total - rest


@wrong(COUNT, "shared experts left out")
def _(config):
    D, E, K = config.hidden_size, config.n_routed_experts, config.num_experts_per_tok
    dense, layers = config.first_k_dense_replace, config.num_hidden_layers
    common = 2 * config.vocab_size * D + D + layers * (cost.attention_parameters(config) + 2 * D)
    common += dense * 3 * D * config.intermediate_size + (layers - dense) * E * D
    experts = (layers - dense) * 3 * D * config.moe_intermediate_size
    return common + E * experts, common + K * experts


@wrong(COUNT, "routers left out")
def _(config):
    D, E, K, S = config.hidden_size, config.n_routed_experts, config.num_experts_per_tok, config.n_shared_experts
    dense, layers = config.first_k_dense_replace, config.num_hidden_layers
    common = 2 * config.vocab_size * D + D + layers * (cost.attention_parameters(config) + 2 * D)
    common += dense * 3 * D * config.intermediate_size
    experts = (layers - dense) * 3 * D * config.moe_intermediate_size
    return common + (E + S) * experts, common + (K + S) * experts


@wrong(COUNT, "norms left out")
def _(config):
    places = {place: n for place, n in pieces(config).items() if "norm" not in place}
    return sum(places.values()), working(config, places)


@wrong(COUNT, "last norm left out")
def _(config):
    D, E, K, S = config.hidden_size, config.n_routed_experts, config.num_experts_per_tok, config.n_shared_experts
    common = 2 * config.vocab_size * D
    experts = 0
    for layer in range(config.num_hidden_layers):
        common += D + cost.attention_parameters(config) + D
        if layer >= config.first_k_dense_replace:
            common += E * D
            experts += 3 * D * config.moe_intermediate_size
        else:
            common += 3 * D * config.intermediate_size
    return common + (E + S) * experts, common + (K + S) * experts


@wrong(COUNT, "one norm a layer")
def _(config):
    places = pieces(config)
    for layer in range(config.num_hidden_layers):
        places[f"{layer} norms"] = config.hidden_size
    return sum(places.values()), working(config, places)


@wrong(COUNT, "attention of one layer")
def _(config):
    D, E, K, S = config.hidden_size, config.n_routed_experts, config.num_experts_per_tok, config.n_shared_experts
    dense, layers = config.first_k_dense_replace, config.num_hidden_layers
    common = 2 * config.vocab_size * D + D + layers * 2 * D + cost.attention_parameters(config)
    common += dense * 3 * D * config.intermediate_size + (layers - dense) * E * D
    experts = (layers - dense) * 3 * D * config.moe_intermediate_size
    return common + (E + S) * experts, common + (K + S) * experts


@wrong(COUNT, "attention left out")
def _(config):
    places = {place: n for place, n in pieces(config).items() if "attention" not in place}
    return sum(places.values()), working(config, places)


@wrong(COUNT, "two matrices a feed-forward layer")
def _(config):
    D, E, K, S = config.hidden_size, config.n_routed_experts, config.num_experts_per_tok, config.n_shared_experts

    def mlp(width):
        return D * width + width * D

    total = active = 2 * config.vocab_size * D + D
    for layer in range(config.num_hidden_layers):
        block = cost.attention_parameters(config) + 2 * D
        if layer < config.first_k_dense_replace:
            both = block + mlp(config.intermediate_size)
            total, active = total + both, active + both
        else:
            total += block + E * D + (E + S) * mlp(config.moe_intermediate_size)
            active += block + E * D + (K + S) * mlp(config.moe_intermediate_size)
    return total, active


@wrong(COUNT, "experts as wide as dense layers")
def _(config):
    D, E, K, S = config.hidden_size, config.n_routed_experts, config.num_experts_per_tok, config.n_shared_experts
    ffn = 3 * D * config.intermediate_size
    total = active = 2 * config.vocab_size * D + D
    for layer in range(config.num_hidden_layers):
        block = cost.attention_parameters(config) + 2 * D
        if layer < config.first_k_dense_replace:
            total += block + ffn
            active += block + ffn
        else:
            total += block + E * D + (E + S) * ffn
            active += block + E * D + (K + S) * ffn
    return total, active


@wrong(COUNT, "dense layers as wide as experts")
def _(config):
    D, E, K, S = config.hidden_size, config.n_routed_experts, config.num_experts_per_tok, config.n_shared_experts
    ffn = 3 * D * config.moe_intermediate_size
    total = active = 2 * config.vocab_size * D + D
    for layer in range(config.num_hidden_layers):
        block = cost.attention_parameters(config) + 2 * D
        if layer < config.first_k_dense_replace:
            total += block + ffn
            active += block + ffn
        else:
            total += block + E * D + (E + S) * ffn
            active += block + E * D + (K + S) * ffn
    return total, active


@wrong(COUNT, "dense layers left out")
def _(config):
    places = {place: n for place, n in pieces(config).items() if not place.endswith("dense")}
    return sum(places.values()), working(config, places)


@wrong(COUNT, "dense layers counted as experts")
def _(config):
    places = pieces(config.replace(first_k_dense_replace=0))
    return sum(places.values()), working(config, places)


@wrong(COUNT, "experts in dense layers, too")
def _(config):
    D, E, K, S = config.hidden_size, config.n_routed_experts, config.num_experts_per_tok, config.n_shared_experts
    expert = 3 * D * config.moe_intermediate_size
    per_layer = cost.attention_parameters(config) + 2 * D + E * D + (E + S) * expert
    total = 2 * config.vocab_size * D + D + config.num_hidden_layers * per_layer
    total += config.first_k_dense_replace * 3 * D * config.intermediate_size
    return total, total - config.num_hidden_layers * (E - K) * expert


@wrong(COUNT, "wrong type", "the total alone")
def _(config):
    return sum(pieces(config).values())


@wrong(COUNT, "wrong number of results", "and the part that rests")
def _(config):
    places = pieces(config)
    total, active = sum(places.values()), working(config, places)
    return total, active, total - active


@right(COUNT, "piece by piece")
def _(config):
    places = pieces(config)
    return sum(places.values()), working(config, places)


@right(COUNT, "by another model")
def _(config):
    """A token's part is a model that has only the experts it needs, but the routers of all."""
    total = sum(pieces(config).values())
    few = config.replace(n_routed_experts=config.num_experts_per_tok, n_group=1, topk_group=1)
    missing_rows = config.n_routed_experts - config.num_experts_per_tok
    moe_layers = config.num_hidden_layers - config.first_k_dense_replace
    return total, sum(pieces(few).values()) + moe_layers * missing_rows * config.hidden_size


@right(COUNT, "as a list of floats")
def _(config):
    D, E, K, S = config.hidden_size, config.n_routed_experts, config.num_experts_per_tok, config.n_shared_experts
    L, F = config.num_hidden_layers, config.first_k_dense_replace
    counts = []
    for experts in (E, K):
        of_a_layer = cost.attention_parameters(config) + D + D
        moe = E * D + (experts + S) * D * 3.0 * config.moe_intermediate_size
        dense = 3.0 * config.intermediate_size * D
        counts.append(D * (config.vocab_size + config.vocab_size + 1) + L * of_a_layer + F * dense + (L - F) * moe)
    return counts


# --- kv_cache_bytes_per_token -----------------------------------------------------------------------------------------


@wrong(CACHE, "keys and values of every head", "each of its width")
def _(config, bytes_per_element=2):
    keys = config.num_attention_heads * (config.qk_nope_head_dim + config.qk_rope_head_dim)
    values = config.num_attention_heads * config.v_head_dim
    return config.num_hidden_layers * (keys + values) * bytes_per_element


@wrong(CACHE, "keys and values of every head", "the formula of every blog, with the key's width")
def _(config, bytes_per_element=2):
    return 2 * config.num_hidden_layers * config.num_attention_heads * config.qk_head_dim * bytes_per_element


@wrong(CACHE, "keys and values of every head", "the formula of every blog, with the value's width")
def _(config, bytes_per_element=2):
    head_dim = config.v_head_dim
    return 2 * config.num_hidden_layers * config.num_attention_heads * head_dim * bytes_per_element


@wrong(CACHE, "keys and values of every head", "the formula of every blog, with the hidden size")
def _(config, bytes_per_element=2):
    per_layer = config.hidden_size + config.hidden_size
    return sum(per_layer * bytes_per_element for _ in range(config.num_hidden_layers))


@wrong(CACHE, "latent for every head")
def _(config, bytes_per_element=2):
    total = 0
    for _layer in range(config.num_hidden_layers):
        for _head in range(config.num_attention_heads):
            total += (config.kv_lora_rank + config.qk_rope_head_dim) * bytes_per_element
    return total


@wrong(CACHE, "rotated key left out")
def _(config, bytes_per_element=2):
    latent_bytes = config.kv_lora_rank * bytes_per_element
    return latent_bytes * config.num_hidden_layers


@wrong(CACHE, "latent left out")
def _(config, bytes_per_element=2):
    key_bytes = config.qk_rope_head_dim * bytes_per_element
    return key_bytes * config.num_hidden_layers


@wrong(CACHE, "rotated key for every head")
def _(config, bytes_per_element=2):
    latent = config.kv_lora_rank
    rope = config.qk_rope_head_dim * config.num_attention_heads
    return bytes_per_element * config.num_hidden_layers * (latent + rope)


@wrong(CACHE, "one layer only")
def _(config, bytes_per_element=2):
    return bytes_per_element * (config.kv_lora_rank + config.qk_rope_head_dim)


@wrong(CACHE, "counted twice, for keys and values")
def _(config, bytes_per_element=2):
    k = config.kv_lora_rank + config.qk_rope_head_dim
    v = config.kv_lora_rank + config.qk_rope_head_dim
    return config.num_hidden_layers * (k + v) * bytes_per_element


@wrong(CACHE, "latent counted twice")
def _(config, bytes_per_element=2):
    k = config.kv_lora_rank + config.qk_rope_head_dim
    v = config.kv_lora_rank
    return config.num_hidden_layers * (k + v) * bytes_per_element


@wrong(CACHE, "numbers, not bytes")
def _(config, bytes_per_element=2):
    elements = config.num_hidden_layers * config.kv_lora_rank
    elements += config.num_hidden_layers * config.qk_rope_head_dim
    return elements


@wrong(CACHE, "width written in", "two bytes")
def _(config, bytes_per_element=2):
    bf16 = 2
    return config.num_hidden_layers * (config.kv_lora_rank + config.qk_rope_head_dim) * bf16


@wrong(CACHE, "width written in", "four bytes")
def _(config, bytes_per_element=2):
    itemsize = torch.zeros(1).element_size()
    return config.num_hidden_layers * (config.kv_lora_rank + config.qk_rope_head_dim) * itemsize


@wrong(CACHE, "bits, not bytes")
def _(config, bytes_per_element=2):
    bits = bytes_per_element * 8
    return config.num_hidden_layers * (config.kv_lora_rank + config.qk_rope_head_dim) * bits


@wrong(CACHE, "in kilobytes", "of 1024")
def _(config, bytes_per_element=2):
    size = config.num_hidden_layers * (config.kv_lora_rank + config.qk_rope_head_dim) * bytes_per_element
    return size / 2**10


@wrong(CACHE, "in kilobytes", "of 1000")
def _(config, bytes_per_element=2):
    size = config.num_hidden_layers * (config.kv_lora_rank + config.qk_rope_head_dim) * bytes_per_element
    return size / 1e3


@wrong(CACHE, "the whole context")
def _(config, bytes_per_element=2):
    per_position = config.num_hidden_layers * (config.kv_lora_rank + config.qk_rope_head_dim)
    return per_position * config.max_position_embeddings * bytes_per_element


@wrong(CACHE, "the query's latent cached")
def _(config, bytes_per_element=2):
    width = config.kv_lora_rank + config.qk_rope_head_dim
    if config.q_lora_rank is not None:
        width += config.q_lora_rank
    return config.num_hidden_layers * width * bytes_per_element


@wrong(CACHE, "raises TypeError", "the query's rank may be None")
def _(config, bytes_per_element=2):
    return config.num_hidden_layers * (config.kv_lora_rank + config.q_lora_rank) * bytes_per_element


@wrong(CACHE, "wrong type", "as a text with its unit")
def _(config, bytes_per_element=2):
    size = config.num_hidden_layers * (config.kv_lora_rank + config.qk_rope_head_dim) * bytes_per_element
    return f"{size} bytes"


@right(CACHE, "layer by layer")
def _(config, bytes_per_element=2):
    total = 0
    for _ in range(config.num_hidden_layers):
        total += bytes_per_element * config.kv_lora_rank
        total += bytes_per_element * config.qk_rope_head_dim
    return total


@right(CACHE, "from the tensors themselves")
def _(config, bytes_per_element=2):
    latents = torch.empty(config.num_hidden_layers, config.kv_lora_rank, device="meta")
    keys = torch.empty(config.num_hidden_layers, config.qk_rope_head_dim, device="meta")
    return (latents.numel() + keys.numel()) * bytes_per_element


@right(CACHE, "as a float, without a default")
def _(cfg, n):
    return float(n * cfg.num_hidden_layers) * (cfg.qk_rope_head_dim + cfg.kv_lora_rank)


# --- training_flops_per_token -----------------------------------------------------------------------------------------


def weights(config):
    """Active parameters that are multiplied."""
    return cost.count_parameters(config)[1] - config.vocab_size * config.hidden_size


@wrong(FLOPS, "forward pass only")
def _(config, context):
    matmuls = 2 * weights(config)
    scores = 2 * config.num_attention_heads * config.qk_head_dim * context / 2
    mean = 2 * config.num_attention_heads * config.v_head_dim * context / 2
    return matmuls + config.num_hidden_layers * (scores + mean)


@wrong(FLOPS, "four in place of six", "forward and backward alike")
def _(config, context):
    width = config.num_attention_heads * (config.qk_head_dim + config.v_head_dim)
    forward = 2 * weights(config) + 2 * config.num_hidden_layers * width * context / 2
    backward = forward
    return forward + backward


@wrong(FLOPS, "additions left out")
def _(config, context):
    width = config.num_attention_heads * (config.qk_head_dim + config.v_head_dim)
    forward = weights(config) + config.num_hidden_layers * width * context / 2
    backward = 2 * forward
    return forward + backward


@wrong(FLOPS, "attention forward only")
def _(config, context):
    flops = 6 * weights(config)
    for _ in range(config.num_hidden_layers):
        flops += context * config.num_attention_heads * (config.qk_head_dim + config.v_head_dim)
    return flops


@wrong(FLOPS, "the rule of thumb")
def _(config, context):
    total, active = cost.count_parameters(config)
    return 6 * active


@wrong(FLOPS, "all parameters", "but the embedding")
def _(config, context):
    total, active = cost.count_parameters(config)
    n = total - config.vocab_size * config.hidden_size
    width = config.num_attention_heads * (config.qk_head_dim + config.v_head_dim)
    return 6 * n + 3 * config.num_hidden_layers * width * context


@wrong(FLOPS, "all parameters", "the embedding, too")
def _(config, context):
    n = cost.count_parameters(config)[0]
    width = config.num_attention_heads * (config.qk_head_dim + config.v_head_dim)
    return 6 * (n + config.num_hidden_layers * width * context / 2)


@wrong(FLOPS, "all parameters", "6 N of a dense model")
def _(config, context):
    N, _ = cost.count_parameters(config)
    return 6.0 * N


@wrong(FLOPS, "all parameters", "6 N without the embedding")
def _(config, context):
    N, _ = cost.count_parameters(config)
    return 6.0 * (N - config.vocab_size * config.hidden_size)


@wrong(FLOPS, "embedding multiplied")
def _(config, context):
    _, active = cost.count_parameters(config)
    width = config.num_attention_heads * (config.qk_head_dim + config.v_head_dim)
    attention = config.num_hidden_layers * width * context / 2
    return 6 * (active + attention)


@wrong(FLOPS, "head left out")
def _(config, context):
    _, active = cost.count_parameters(config)
    body = active - 2 * (config.vocab_size * config.hidden_size)
    width = config.num_attention_heads * (config.qk_head_dim + config.v_head_dim)
    return 6 * body + 6 * config.num_hidden_layers * width * context / 2


@wrong(FLOPS, "every token sees the whole context")
def _(config, context):
    width = config.num_attention_heads * (config.qk_head_dim + config.v_head_dim)
    return 6 * weights(config) + 6 * config.num_hidden_layers * width * context


@wrong(FLOPS, "half rounded down")
def _(config, context):
    seen = context // 2
    width = config.num_attention_heads * (config.qk_head_dim + config.v_head_dim)
    return 6 * weights(config) + 6 * config.num_hidden_layers * width * seen


@wrong(FLOPS, "own position counted exactly", "with its own")
def _(config, context):
    seen = sum(t + 1 for t in range(context)) / context
    width = config.num_attention_heads * (config.qk_head_dim + config.v_head_dim)
    return 6 * weights(config) + 6 * config.num_hidden_layers * width * seen


@wrong(FLOPS, "own position counted exactly", "without its own")
def _(config, context):
    seen = sum(range(context)) / context
    width = config.num_attention_heads * (config.qk_head_dim + config.v_head_dim)
    return 6 * weights(config) + 6 * config.num_hidden_layers * width * seen


@wrong(FLOPS, "attention left out")
def _(config, context):
    forward = 2 * weights(config)
    backward = 4 * weights(config)
    return forward + backward


@wrong(FLOPS, "attention in one layer")
def _(config, context):
    width = config.num_attention_heads * (config.qk_head_dim + config.v_head_dim)
    return 6 * weights(config) + 6 * width * context / 2


@wrong(FLOPS, "attention of one head")
def _(config, context):
    per_position = config.qk_nope_head_dim + config.qk_rope_head_dim + config.v_head_dim
    return 6 * weights(config) + 6 * config.num_hidden_layers * per_position * context / 2


@wrong(FLOPS, "scores only")
def _(config, context):
    scores = config.num_attention_heads * config.qk_head_dim * context / 2
    return 6 * (weights(config) + config.num_hidden_layers * scores)


@wrong(FLOPS, "weighted mean only")
def _(config, context):
    mean = config.num_attention_heads * config.v_head_dim * context / 2
    return 6 * (weights(config) + config.num_hidden_layers * mean)


@wrong(FLOPS, "rotated part left out")
def _(config, context):
    width = config.num_attention_heads * (config.qk_nope_head_dim + config.v_head_dim)
    return 6 * weights(config) + 6 * config.num_hidden_layers * width * context / 2


@wrong(FLOPS, "attention of one width", "the hidden size: 12 L D T, halved")
def _(config, context):
    return 6 * weights(config) + 12 * config.num_hidden_layers * config.hidden_size * context / 2


@wrong(FLOPS, "attention of one width", "the key's")
def _(config, context):
    heads = 12 * config.num_attention_heads * config.qk_head_dim
    return 6 * weights(config) + config.num_hidden_layers * heads * context / 2


@wrong(FLOPS, "attention of one width", "the value's")
def _(config, context):
    heads = 12 * config.num_attention_heads * config.v_head_dim
    return 6 * weights(config) + config.num_hidden_layers * heads * context / 2


@wrong(FLOPS, "a whole sequence")
def _(config, context):
    width = config.num_attention_heads * (config.qk_head_dim + config.v_head_dim)
    matrices = 6 * weights(config) * context
    attention = 6 * config.num_hidden_layers * width * context**2 / 2
    return matrices + attention


@wrong(FLOPS, "raises TypeError", "both counts at once")
def _(config, context):
    n = cost.count_parameters(config)
    return 6 * (n - config.vocab_size * config.hidden_size)


@wrong(FLOPS, "returns None", "no return")
def _(config, context):
    flops = 6 * weights(config)
    flops += 3 * config.num_hidden_layers * context


@right(FLOPS, "position by position")
def _(config, context):
    per_position = 6 * config.num_attention_heads * (config.qk_head_dim + config.v_head_dim)
    seen = sum(position + 0.5 for position in range(context))
    sequence = 6 * weights(config) * context + config.num_hidden_layers * per_position * seen
    return sequence / context


@right(FLOPS, "forward and backward apart")
def _(config, context):
    def product(n):
        forward, to_input, to_weight = 2 * n, 2 * n, 2 * n
        return forward + to_input + to_weight

    embedding = config.vocab_size * config.hidden_size
    flops = product(cost.count_parameters(config)[1]) - product(embedding)
    for _ in range(config.num_hidden_layers):
        flops += product(config.num_attention_heads * config.qk_head_dim) * context * 0.5
        flops += product(config.num_attention_heads * config.v_head_dim) * context * 0.5
    return flops


@right(FLOPS, "exact fractions, the name of an argument changed")
def _(cfg, seq_len):
    heads = cfg.num_attention_heads * (cfg.qk_nope_head_dim + cfg.qk_rope_head_dim + cfg.v_head_dim)
    return 6 * (weights(cfg) + cfg.num_hidden_layers * heads * Fraction(seq_len, 2))


# --- training_dollars -------------------------------------------------------------------------------------------------


@wrong(DOLLARS, "divided")
def _(gpu_hours, dollars_per_hour):
    price = gpu_hours / dollars_per_hour
    return price


@wrong(DOLLARS, "rent divided by hours")
def _(gpu_hours, dollars_per_hour):
    return dollars_per_hour / gpu_hours


@wrong(DOLLARS, "in thousands")
def _(gpu_hours, dollars_per_hour):
    return gpu_hours / 1000 * dollars_per_hour


@wrong(DOLLARS, "in millions")
def _(gpu_hours, dollars_per_hour):
    millions_of_hours = gpu_hours / 1_000_000
    return millions_of_hours * dollars_per_hour


@wrong(DOLLARS, "in cents")
def _(gpu_hours, dollars_per_hour):
    cents_per_hour = 100 * dollars_per_hour
    return gpu_hours * cents_per_hour


@wrong(DOLLARS, "times the number of GPUs")
def _(gpu_hours, dollars_per_hour):
    gpus = 2048
    return gpus * gpu_hours * dollars_per_hour


@wrong(DOLLARS, "rounded", "to dollars, down")
def _(gpu_hours, dollars_per_hour):
    return int(gpu_hours * dollars_per_hour)


@wrong(DOLLARS, "rounded", "to dollars")
def _(gpu_hours, dollars_per_hour):
    return round(gpu_hours * dollars_per_hour)


@wrong(DOLLARS, "rounded", "to cents")
def _(gpu_hours, dollars_per_hour):
    return float(f"{gpu_hours * dollars_per_hour:.2f}")


@wrong(DOLLARS, "rounded", "down with //")
def _(gpu_hours, dollars_per_hour):
    return gpu_hours * dollars_per_hour // 1


@wrong(DOLLARS, "hours taken for seconds")
def _(gpu_hours, dollars_per_hour):
    hours = gpu_hours / (60 * 60)
    return hours * dollars_per_hour


@wrong(DOLLARS, "rent by the day")
def _(gpu_hours, dollars_per_hour):
    dollars_per_day = 24 * dollars_per_hour
    return gpu_hours * dollars_per_day


@wrong(DOLLARS, "added")
def _(gpu_hours, dollars_per_hour):
    return sum((gpu_hours, dollars_per_hour))


@wrong(DOLLARS, "rate written in")
def _(gpu_hours, dollars_per_hour=2.0):
    dollars_per_hour = 2.0
    return gpu_hours * dollars_per_hour


@wrong(DOLLARS, "wrong type", "formatted")
def _(gpu_hours, dollars_per_hour):
    return f"${gpu_hours * dollars_per_hour:,.0f}"


@wrong(DOLLARS, "returns None", "printed")
def _(gpu_hours, dollars_per_hour):
    print(gpu_hours * dollars_per_hour)


@wrong(DOLLARS, "raises NameError", "a name that is not an argument")
def _(gpu_hours, dollars_per_hour):
    return gpu_hours * dollars  # noqa: F821


@right(DOLLARS, "the other way round")
def _(gpu_hours, dollars_per_hour):
    return dollars_per_hour * gpu_hours


@right(DOLLARS, "exact fractions")
def _(gpu_hours, dollars_per_hour):
    return float(Fraction(gpu_hours) * Fraction(dollars_per_hour))


@right(DOLLARS, "sum of the days")
def _(gpu_hours, dollars_per_hour):
    days, rest = divmod(gpu_hours, 24)
    return days * 24 * dollars_per_hour + rest * dollars_per_hour


@right(DOLLARS, "torch, then a number")
def _(gpu_hours, dollars_per_hour):
    return torch.tensor([gpu_hours, dollars_per_hour], dtype=torch.float64).prod().item()
