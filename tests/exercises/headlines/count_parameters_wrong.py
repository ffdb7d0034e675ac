"""Wrong answers to `count_parameters`: what works on a token, and whole parts left out or of another size."""

from fractions import Fraction

from exercises.answers import Answers
from exercises.headlines.count_parameters_parts import pieces, working

from mini_moe import cost
from mini_moe.course.exercises.headlines.count_parameters import EXERCISE

ANSWERS = Answers(EXERCISE)
wrong = ANSWERS.wrong


# The wrong ones share a true count, taken to pieces, where the mistake is in the active count alone.


@wrong("exchanged")
def _(config):
    places = pieces(config)
    total = sum(places.values())
    active = working(config, places)
    return active, total


@wrong("everything active")
def _(config):
    total = 0
    for n in pieces(config).values():
        total += n
    active = total
    return total, active


@wrong("active as a share K / E of everything", "rounded down")
def _(config):
    total = sum(pieces(config).values())
    share = Fraction(config.num_experts_per_tok, config.n_routed_experts)
    return total, int(share * total)


@wrong("active as a share K / E of everything", "not rounded")
def _(config):
    total = sum(pieces(config).values())
    sparsity = config.num_experts_per_tok / config.n_routed_experts
    return total, total * sparsity


@wrong("only K experts active")
def _(config):
    total = sum(pieces(config).values())
    active = 0
    for _ in range(config.first_k_dense_replace, config.num_hidden_layers):
        active += config.num_experts_per_tok * 3 * config.hidden_size * config.moe_intermediate_size
    return total, active


@wrong("the chosen experts rest")
def _(config):
    total = sum(pieces(config).values())
    expert = 3 * config.hidden_size * config.moe_intermediate_size
    moe_layers = config.num_hidden_layers - config.first_k_dense_replace
    return total, total - moe_layers * config.num_experts_per_tok * expert


@wrong("experts rest in one layer only")
def _(config):
    total = sum(pieces(config).values())
    idle = config.n_routed_experts - config.num_experts_per_tok
    return total, total - idle * 3 * config.hidden_size * config.moe_intermediate_size


@wrong("experts rest in dense layers")
def _(config):
    total = sum(pieces(config).values())
    idle = config.n_routed_experts - config.num_experts_per_tok
    active = total
    for _ in range(config.num_hidden_layers):
        active -= idle * 3 * config.hidden_size * config.moe_intermediate_size
    return total, active


@wrong("shared experts not in the active count")
def _(config):
    places = pieces(config)
    active = working(config, {place: n for place, n in places.items() if "shared" not in place})
    return sum(places.values()), active


@wrong("router rows rest")
def _(config):
    places = pieces(config)
    K, E = config.num_experts_per_tok, config.n_routed_experts
    active = sum(n // E * K if "rout" in place else n for place, n in places.items())
    return sum(places.values()), active


@wrong("embedding not in the active count")
def _(config):
    places = pieces(config)
    total = sum(places.values())
    del places["embedding"]
    return total, working(config, places)


@wrong("embedding and head not in the active count")
def _(config):
    places = pieces(config)
    total = sum(places.values())
    del places["embedding"], places["head"]
    return total, working(config, places)


@wrong("one embedding matrix")
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


@wrong("shared experts left out")
def _(config):
    D, E, K = config.hidden_size, config.n_routed_experts, config.num_experts_per_tok
    dense, layers = config.first_k_dense_replace, config.num_hidden_layers
    common = 2 * config.vocab_size * D + D + layers * (cost.attention_parameters(config) + 2 * D)
    common += dense * 3 * D * config.intermediate_size + (layers - dense) * E * D
    experts = (layers - dense) * 3 * D * config.moe_intermediate_size
    return common + E * experts, common + K * experts


@wrong("routers left out")
def _(config):
    D, E, K, S = config.hidden_size, config.n_routed_experts, config.num_experts_per_tok, config.n_shared_experts
    dense, layers = config.first_k_dense_replace, config.num_hidden_layers
    common = 2 * config.vocab_size * D + D + layers * (cost.attention_parameters(config) + 2 * D)
    common += dense * 3 * D * config.intermediate_size
    experts = (layers - dense) * 3 * D * config.moe_intermediate_size
    return common + (E + S) * experts, common + (K + S) * experts


@wrong("norms left out")
def _(config):
    places = {place: n for place, n in pieces(config).items() if "norm" not in place}
    return sum(places.values()), working(config, places)


@wrong("last norm left out")
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


@wrong("one norm a layer")
def _(config):
    places = pieces(config)
    for layer in range(config.num_hidden_layers):
        places[f"{layer} norms"] = config.hidden_size
    return sum(places.values()), working(config, places)


@wrong("attention of one layer")
def _(config):
    D, E, K, S = config.hidden_size, config.n_routed_experts, config.num_experts_per_tok, config.n_shared_experts
    dense, layers = config.first_k_dense_replace, config.num_hidden_layers
    common = 2 * config.vocab_size * D + D + layers * 2 * D + cost.attention_parameters(config)
    common += dense * 3 * D * config.intermediate_size + (layers - dense) * E * D
    experts = (layers - dense) * 3 * D * config.moe_intermediate_size
    return common + (E + S) * experts, common + (K + S) * experts


@wrong("attention left out")
def _(config):
    places = {place: n for place, n in pieces(config).items() if "attention" not in place}
    return sum(places.values()), working(config, places)


@wrong("two matrices a feed-forward layer")
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


@wrong("experts as wide as dense layers")
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


@wrong("dense layers as wide as experts")
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


@wrong("dense layers left out")
def _(config):
    places = {place: n for place, n in pieces(config).items() if not place.endswith("dense")}
    return sum(places.values()), working(config, places)


@wrong("dense layers counted as experts")
def _(config):
    places = pieces(config.replace(first_k_dense_replace=0))
    return sum(places.values()), working(config, places)


@wrong("experts in dense layers, too")
def _(config):
    D, E, K, S = config.hidden_size, config.n_routed_experts, config.num_experts_per_tok, config.n_shared_experts
    expert = 3 * D * config.moe_intermediate_size
    per_layer = cost.attention_parameters(config) + 2 * D + E * D + (E + S) * expert
    total = 2 * config.vocab_size * D + D + config.num_hidden_layers * per_layer
    total += config.first_k_dense_replace * 3 * D * config.intermediate_size
    return total, total - config.num_hidden_layers * (E - K) * expert


@wrong("wrong type", "the total alone")
def _(config):
    return sum(pieces(config).values())


@wrong("wrong number of results", "and the part that rests")
def _(config):
    places = pieces(config)
    total, active = sum(places.values()), working(config, places)
    return total, active, total - active
