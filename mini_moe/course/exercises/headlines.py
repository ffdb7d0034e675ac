"""Lesson 00, what did it cost: counting parameters, memory, operations and dollars."""

import functools

import torch

from mini_moe.config import ModelConfig, deepseek_v3, tiny
from mini_moe.cost import (
    attention_parameters,
    count_parameters,
    kv_cache_bytes_per_token,
    training_dollars,
    training_flops_per_token,
)
from mini_moe.course.exercise import Exercise, Mistake, Property, Wrong, agrees_with
from mini_moe.course.quiz import Option, Quiz
from mini_moe.mla import MultiHeadLatentAttention
from mini_moe.model import Transformer


def _configs(generator):
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


def _each(generator):
    for config in _configs(generator):
        yield (config,)


@functools.cache
def _parameters(module, config):
    """Parameters of a module that takes no memory; kept, for the largest has thousands of modules to build."""
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in module(config).parameters())


# --- attention_parameters ---------------------------------------------------------------------------------------------


def _heads_cost_the_same(function, config):
    one, two, three = (function(config.replace(num_attention_heads=heads)) for heads in (1, 2, 3))
    if three - two != two - one:
        raise Wrong(
            f"The second head adds {two - one:,} parameters, the third {three - two:,}. Every head has the same "
            "matrices; what all heads share is counted once."
        )


def _attention_is_real(function, config):
    real = _parameters(MultiHeadLatentAttention, config)
    if function(config) != real:
        raise Wrong("The layer itself holds another number.", got=function(config), expected=real)


def _attention(
    config, *, query_norm=1, latent_norm=None, asked=None, rotated=None, expanded=None, output=None, compressed=True
):
    """The count with one thing changed, for the mistakes."""
    D, H, C = config.hidden_size, config.num_attention_heads, config.kv_lora_rank
    P, R, W = config.qk_nope_head_dim, config.qk_rope_head_dim, config.v_head_dim
    Q = config.q_lora_rank if compressed else None
    asked = H * (P + R) if asked is None else asked
    queries = D * asked if Q is None else D * Q + query_norm * Q + Q * asked
    latent = D * (C + (R if rotated is None else rotated)) + (C if latent_norm is None else latent_norm)
    expansion = C * (H * (P + W) if expanded is None else expanded)
    return queries + latent + expansion + (H * W * D if output is None else output)


def _one_head(config):
    return _attention(config.replace(num_attention_heads=1))


def _biases(config):
    """A bias for each output of each matrix."""
    Q, H = config.q_lora_rank or 0, config.num_attention_heads
    latent = config.kv_lora_rank + config.qk_rope_head_dim
    heads = H * (config.qk_head_dim + config.qk_nope_head_dim + config.v_head_dim)
    return Q + latent + heads + config.hidden_size


ATTENTION_PARAMETERS = Exercise(
    lesson="headlines",
    reference=attention_parameters,
    cases=_each,
    properties=(
        Property("each head adds the same number", _heads_cost_the_same),
        Property("equals the parameters of the real layer", _attention_is_real),
        Property("agrees with the library", agrees_with(attention_parameters)),
    ),
    mistakes=(
        Mistake(
            "norms left out",
            "Only the matrices are counted: each latent also passes a norm, with one parameter a feature.",
            lambda config: _attention(config, query_norm=0, latent_norm=0),
        ),
        Mistake(
            "norm of the query's latent left out",
            "The norm of the query's latent is missing: where `q_lora_rank` is a number, it adds that many parameters.",
            lambda config: _attention(config, query_norm=0),
        ),
        Mistake(
            "norm of the latent left out",
            "The norm of the latent is missing: it has one parameter for each of its C features.",
            lambda config: _attention(config, latent_norm=0),
        ),
        Mistake(
            "rotated key normed",
            "The norm is taken to be C + R wide: it covers the latent alone, C features, not the rotated key.",
            lambda config: _attention(config, latent_norm=config.kv_lora_rank + config.qk_rope_head_dim),
        ),
        Mistake(
            "query compression ignored",
            "The queries go straight from D to the heads here: where `q_lora_rank` is a number, they pass a latent of "
            "that width first.",
            lambda config: _attention(config, compressed=False),
        ),
        Mistake(
            "queries without their rotated part",
            "The queries are P wide here: a head's query has a rotated part, too, so it is P + R wide.",
            lambda config: _attention(config, asked=config.num_attention_heads * config.qk_nope_head_dim),
        ),
        Mistake(
            "rotated key for every head",
            "The rotated key is counted once for every head: all heads share one, so it adds R columns, not H R.",
            lambda config: _attention(config, rotated=config.num_attention_heads * config.qk_rope_head_dim),
        ),
        Mistake(
            "rotated key left out",
            "The projection to the latent is C wide here: it also makes the rotated key, so it is C + R wide.",
            lambda config: _attention(config, rotated=0),
        ),
        Mistake(
            "rotated key expanded",
            "The expansion makes whole keys here, P + R wide: it makes only the part without position, P; the rotated "
            "key comes straight from D.",
            lambda config: _attention(
                config, expanded=config.num_attention_heads * (config.qk_head_dim + config.v_head_dim)
            ),
        ),
        Mistake(
            "values not expanded",
            "Only keys are expanded from the latent: the values of every head (W) come from it, too.",
            lambda config: _attention(config, expanded=config.num_attention_heads * config.qk_nope_head_dim),
        ),
        Mistake(
            "keys not expanded",
            "Only values are expanded from the latent: the keys of every head (P) come from it, too.",
            lambda config: _attention(config, expanded=config.num_attention_heads * config.v_head_dim),
        ),
        Mistake(
            "expansion left out",
            "The latent is never expanded: keys (P) and values (W) of every head come from it by a matrix.",
            lambda config: _attention(config, expanded=0),
        ),
        Mistake(
            "output projection left out",
            "The way back is missing: the heads' values, H W features, are projected to D.",
            lambda config: _attention(config, output=0),
        ),
        Mistake(
            "output square",
            "The way back is counted as D by D: it starts from the values of all heads, H W features, which need not "
            "be D.",
            lambda config: _attention(config, output=config.hidden_size**2),
        ),
        Mistake(
            "values as wide as keys",
            "The values are given the width of the keys, P + R: they have a width of their own, `v_head_dim`.",
            lambda config: _attention(config.replace(v_head_dim=config.qk_head_dim)),
        ),
        Mistake(
            "one head only",
            "This is attention with one head: queries, expansion and output grow with H.",
            _one_head,
        ),
        Mistake(
            "all layers",
            "This is the attention of all layers together: give that of one.",
            lambda config: config.num_hidden_layers * _attention(config),
        ),
        Mistake(
            "biases counted",
            "A bias is counted for each output: these matrices have none, m n parameters is all.",
            lambda config: _attention(config) + _biases(config),
        ),
        Mistake(
            "plain multi-head attention",
            "This is 4 D², attention before latents: here the matrices go through the widths of the configuration.",
            lambda config: 4 * config.hidden_size**2,
        ),
    ),
    hints=(
        "There are four stations: queries, latent, expansion, output. Count each from its two widths, then add.",
        "A matrix from m to n features has m n parameters. `q_lora_rank is None` decides between one matrix for the "
        "queries and two with a norm (q_lora_rank parameters) between them.",
        "latent = D * (C + R) + C; expansion = C * H * (P + W); output = H * W * D; queries = D * H * (P + R), or "
        "D * Q + Q + Q * H * (P + R) with Q = q_lora_rank.",
    ),
    difficulty=2,
    minutes=10,
)

# --- count_parameters -------------------------------------------------------------------------------------------------


def _total_is_real(function, config):
    real = _parameters(Transformer, config)
    if function(config)[0] != real:
        raise Wrong("The model itself holds another number in all.", got=function(config)[0], expected=real)


def _all_chosen(function, config):
    config = config.replace(num_experts_per_tok=config.n_routed_experts, n_group=1, topk_group=1)
    total, active = function(config)
    if active != total:
        raise Wrong(
            f"With every expert chosen (K = E) nothing rests, so active must be total: it is {active:,} of {total:,}."
        )


def _resting_expert(function, config):
    more = config.replace(n_routed_experts=config.n_routed_experts + config.n_group)
    grown = function(more)[1] - function(config)[1]
    sparse = config.num_hidden_layers - config.first_k_dense_replace
    expected = sparse * config.n_group * config.hidden_size
    if grown != expected:
        raise Wrong(
            "With more experts to choose from, K as before, a token's work grows only by their rows in the routers: "
            f"by {expected:,} with {config.n_group} more experts a layer, but yours grows by {grown:,}."
        )


def _count(
    config, *, embeddings=2, norms=None, attention=None, router=True, shared=True, matrices=3, expert=None, dense=None,
    sparse=None,
):  # fmt: skip
    """The two counts with one thing changed, for the mistakes."""
    D, E, K, layers = config.hidden_size, config.n_routed_experts, config.num_experts_per_tok, config.num_hidden_layers
    dense = config.first_k_dense_replace if dense is None else dense
    sparse = layers - config.first_k_dense_replace if sparse is None else sparse
    expert = matrices * D * (expert or config.moe_intermediate_size)
    total = embeddings * config.vocab_size * D + (2 * layers + 1 if norms is None else norms) * D
    total += (layers if attention is None else attention) * attention_parameters(config)
    total += dense * matrices * D * config.intermediate_size
    total += sparse * (router * E * D + (E + shared * config.n_shared_experts) * expert)
    return total, total - sparse * (E - K) * expert


def _active(change):
    """The two counts, the active one changed by ``change(config, total, active)``."""
    return lambda config: (_count(config)[0], change(config, *_count(config)))


def _table(config):
    return config.vocab_size * config.hidden_size


def _sparse(config):
    return config.num_hidden_layers - config.first_k_dense_replace


def _expert(config):
    return 3 * config.hidden_size * config.moe_intermediate_size


def _resting(config):
    return config.n_routed_experts - config.num_experts_per_tok


COUNT_PARAMETERS = Exercise(
    lesson="headlines",
    reference=count_parameters,
    cases=_each,
    properties=(
        Property("the total equals the parameters of the real model", _total_is_real),
        Property("with all experts chosen, active equals total", _all_chosen),
        Property("an expert that rests adds only its row in the router", _resting_expert),
        Property("agrees with the library", agrees_with(count_parameters)),
    ),
    mistakes=(
        Mistake(
            "exchanged",
            "The two counts are exchanged: return total first, then active.",
            lambda config: _count(config)[::-1],
        ),
        Mistake(
            "everything active",
            "Active equals total here: in each layer of experts, E - K routed experts rest.",
            _active(lambda config, total, active: total),
        ),
        *(
            Mistake(
                "active as a share K / E of everything",
                "All parameters are scaled by K / E: only the routed experts rest. Attention, embedding, norms, "
                "routers and shared experts work on every token.",
                _active(share),
            )
            for share in (
                lambda config, total, active: total * config.num_experts_per_tok / config.n_routed_experts,
                lambda config, total, active: total * config.num_experts_per_tok // config.n_routed_experts,
            )
        ),
        Mistake(
            "only K experts active",
            "Only the chosen experts are active here: attention, embedding, norms, routers, dense layers and shared "
            "experts work on every token, too.",
            _active(lambda config, total, active: _sparse(config) * config.num_experts_per_tok * _expert(config)),
        ),
        Mistake(
            "the chosen experts rest",
            "K experts are taken off the active count: those are the ones at work, the other E - K rest.",
            _active(
                lambda config, total, active: total - _sparse(config) * config.num_experts_per_tok * _expert(config)
            ),
        ),
        Mistake(
            "experts rest in one layer only",
            "The resting experts of one layer come off: they rest in every layer of experts.",
            _active(lambda config, total, active: total - _resting(config) * _expert(config)),
        ),
        Mistake(
            "experts rest in dense layers",
            "Resting experts are taken off every layer: the first `first_k_dense_replace` have none.",
            _active(
                lambda config, total, active: total - config.num_hidden_layers * _resting(config) * _expert(config)
            ),
        ),
        Mistake(
            "shared experts not in the active count",
            "The shared experts are left out of the active count: they work on every token.",
            _active(lambda config, total, active: active - _sparse(config) * config.n_shared_experts * _expert(config)),
        ),
        Mistake(
            "router rows rest",
            "The routers' rows for resting experts are taken off, too: a router scores all E experts for every token.",
            _active(lambda config, total, active: active - _sparse(config) * _resting(config) * config.hidden_size),
        ),
        Mistake(
            "embedding not in the active count",
            "The active count lacks V D parameters, the embedding or the head: here both are in it.",
            _active(lambda config, total, active: active - _table(config)),
        ),
        Mistake(
            "embedding and head not in the active count",
            "Embedding and head are left out of the active count: here both are in it.",
            _active(lambda config, total, active: active - 2 * _table(config)),
        ),
        Mistake(
            "one embedding matrix",
            "Embedding and head are counted as one: this model has a matrix for each.",
            lambda config: _count(config, embeddings=1),
        ),
        Mistake(
            "shared experts left out",
            "The shared experts are missing: `n_shared_experts` in each layer of experts, always at work.",
            lambda config: _count(config, shared=False),
        ),
        Mistake(
            "routers left out",
            "The routers are missing: each layer of experts has one, a row of D for each routed expert.",
            lambda config: _count(config, router=False),
        ),
        Mistake(
            "norms left out",
            "The norms are missing: two in every layer and one at the end, D parameters each.",
            lambda config: _count(config, norms=0),
        ),
        Mistake(
            "last norm left out",
            "The last norm is missing: after all layers there is one more, D parameters.",
            lambda config: _count(config, norms=2 * config.num_hidden_layers),
        ),
        Mistake(
            "one norm a layer",
            "Each layer is given one norm: it has two, before attention and before the feed-forward part.",
            lambda config: _count(config, norms=config.num_hidden_layers + 1),
        ),
        Mistake(
            "attention of one layer",
            "Attention is counted once: every layer has its own.",
            lambda config: _count(config, attention=1),
        ),
        Mistake(
            "attention left out",
            "Attention is missing: `attention_parameters(config)` in every layer.",
            lambda config: _count(config, attention=0),
        ),
        Mistake(
            "two matrices a feed-forward layer",
            "A feed-forward layer is counted with two matrices: SwiGLU has three, gate, up and down.",
            lambda config: _count(config, matrices=2),
        ),
        Mistake(
            "experts as wide as dense layers",
            "The experts are given `intermediate_size`, the width of a dense layer: theirs is `moe_intermediate_size`.",
            lambda config: _count(config, expert=config.intermediate_size),
        ),
        Mistake(
            "dense layers as wide as experts",
            "The dense layers are given `moe_intermediate_size`, the width of an expert: theirs is "
            "`intermediate_size`.",
            lambda config: _count(config.replace(intermediate_size=config.moe_intermediate_size)),
        ),
        Mistake(
            "dense layers left out",
            "The dense layers' SwiGLU is missing: the first `first_k_dense_replace` layers have one instead of "
            "experts.",
            lambda config: _count(config, dense=0),
        ),
        Mistake(
            "dense layers counted as experts",
            "Every layer has experts here: the first `first_k_dense_replace` have one dense layer instead.",
            lambda config: _count(config, dense=0, sparse=config.num_hidden_layers),
        ),
        Mistake(
            "experts in dense layers, too",
            "The first `first_k_dense_replace` layers are counted with a dense layer *and* with experts: they have "
            "only the dense one.",
            lambda config: _count(config, sparse=config.num_hidden_layers),
        ),
    ),
    hints=(
        "Write down the total first, in four lines: embeddings, what every layer has, the dense layers, the layers of "
        "experts. What a token does not use comes off at the end.",
        "One expert is 3 D I. A layer of experts holds E D (the router) and E + n_shared_experts experts; of these, "
        "E - K rest on each token.",
        "active = total - (num_hidden_layers - first_k_dense_replace) * (E - K) * 3 * D * I",
    ),
    difficulty=2,
    minutes=12,
)

# --- kv_cache_bytes_per_token -----------------------------------------------------------------------------------------


def _cases_of_cache(generator):
    for width, config in zip((1, 2, 4, 2), _configs(generator), strict=True):
        yield config, width


def _heads_do_not_matter(function, config, bytes_per_element):
    more = config.replace(num_attention_heads=3 * config.num_attention_heads)
    got, expected = function(more, bytes_per_element), function(config, bytes_per_element)
    if got != expected:
        raise Wrong(
            f"Three times the heads change the cache, from {expected:,} to {got:,}: all heads share one latent and one "
            "rotated key."
        )


@functools.cache
def _cached_numbers(config):
    with torch.device("meta"):
        return sum(layer.memory.numel() for layer in Transformer(config).new_cache(batch_size=1, capacity=1))


def _cache_is_real(function, config, bytes_per_element):
    got, expected = function(config, bytes_per_element), _cached_numbers(config) * bytes_per_element
    if got != expected:
        raise Wrong("The model's own cache takes another size.", got=got, expected=expected)


def _cache(numbers, *, layers=None, width=None):
    """The cache with ``numbers(config)`` kept in each layer, for the mistakes."""
    return lambda config, n: (layers or config.num_hidden_layers) * numbers(config) * (width or n)


def _kept(config):
    return config.kv_lora_rank + config.qk_rope_head_dim


KV_CACHE = Exercise(
    lesson="headlines",
    reference=kv_cache_bytes_per_token,
    cases=_cases_of_cache,
    properties=(
        Property("the number of heads makes no difference", _heads_do_not_matter),
        Property("equals the real cache of one token", _cache_is_real),
        Property("agrees with the library", agrees_with(kv_cache_bytes_per_token)),
    ),
    mistakes=(
        *(
            Mistake(
                "keys and values of every head",
                "This is the cache of plain multi-head attention, a key and a value for every head: latent attention "
                "keeps neither, it keeps what they are made from.",
                _cache(numbers),
            )
            for numbers in (
                lambda config: config.num_attention_heads * (config.qk_head_dim + config.v_head_dim),
                lambda config: config.num_attention_heads * 2 * config.qk_head_dim,
                lambda config: config.num_attention_heads * 2 * config.v_head_dim,
                lambda config: 2 * config.hidden_size,
            )
        ),
        Mistake(
            "latent for every head",
            "Latent and rotated key are counted for every head: all heads share one of each.",
            _cache(lambda config: config.num_attention_heads * _kept(config)),
        ),
        Mistake(
            "rotated key left out",
            "Only the latent is counted: the rotated key cannot be made from it, and is kept beside it.",
            _cache(lambda config: config.kv_lora_rank),
        ),
        Mistake(
            "latent left out",
            "Only the rotated key is counted: the latent, from which all else is made, is kept beside it.",
            _cache(lambda config: config.qk_rope_head_dim),
        ),
        Mistake(
            "rotated key for every head",
            "The rotated key is counted for every head: all heads share one.",
            _cache(lambda config: config.kv_lora_rank + config.num_attention_heads * config.qk_rope_head_dim),
        ),
        Mistake(
            "one layer only",
            "This is the cache of one layer: each layer keeps its own.",
            _cache(_kept, layers=1),
        ),
        Mistake(
            "counted twice, for keys and values",
            "This is twice the cache: keys and values come from the same latent, so there is no factor 2.",
            _cache(lambda config: 2 * _kept(config)),
        ),
        Mistake(
            "latent counted twice",
            "The latent is counted twice, for keys and for values: both are made from the same one.",
            _cache(lambda config: 2 * config.kv_lora_rank + config.qk_rope_head_dim),
        ),
        Mistake(
            "numbers, not bytes",
            "This counts numbers: each takes `bytes_per_element` bytes.",
            _cache(_kept, width=1),
        ),
        *(
            Mistake(
                "width written in",
                "The bytes of a number are written in: use `bytes_per_element`, for a cache may hold 1, 2 or 4.",
                _cache(_kept, width=width),
            )
            for width in (2, 4)
        ),
        Mistake(
            "bits, not bytes",
            "This is in bits, eight times as many: give bytes.",
            _cache(lambda config: 8 * _kept(config)),
        ),
        *(
            Mistake("in kilobytes", "This is in kilobytes: give bytes.", _cache(lambda config, k=k: _kept(config) / k))
            for k in (1000, 1024)
        ),
        Mistake(
            "the whole context",
            "This is the cache of the longest context: give that of one token.",
            _cache(lambda config: config.max_position_embeddings * _kept(config)),
        ),
        Mistake(
            "the query's latent cached",
            "The query's latent is counted, too: a query is used once, for its own token, and never again.",
            _cache(lambda config: _kept(config) + (config.q_lora_rank or 0)),
        ),
    ),
    hints=(
        "Ask of each quantity in attention: does a *later* token need it, and can it be made from something smaller?",
        "Later tokens need keys and values. Both are made from the latent, `kv_lora_rank` numbers; only the rotated "
        "part of the key, `qk_rope_head_dim` numbers for all heads, is kept beside it.",
        "num_hidden_layers * (kv_lora_rank + qk_rope_head_dim) * bytes_per_element",
    ),
    difficulty=1,
    minutes=5,
)

# --- training_flops_per_token -----------------------------------------------------------------------------------------


def _cases_of_flops(generator):
    for context, config in zip((3, 6, 1024, 4096), _configs(generator), strict=True):  # half of 3 is no integer
        yield config, context


def _linear_in_context(function, config, context):
    one, two, three = (function(config, factor * context) for factor in (1, 2, 3))
    if abs((three - two) - (two - one)) > 1e-6 * abs(three):
        raise Wrong(
            "The cost of a token must grow in a straight line with the context, for every position more is one more "
            f"to look at: twice the context adds {two - one:,.8g}, three times another {three - two:,.8g}."
        )


def _vocabulary(function, config, context):
    more = config.replace(vocab_size=config.vocab_size + 1)
    got, expected = function(more, context) - function(config, context), 6 * config.hidden_size
    if abs(got - expected) > 1e-6 * abs(function(config, context)) + 1e-9:
        raise Wrong(
            f"One more word in the vocabulary must cost 6 D = {expected:,} operations, a row more in the head, but "
            f"adds {got:,.8g}. The embedding's row is looked up, which multiplies nothing."
        )


def _flops(*, factor=6, attention=6, parameters=None, width=None, seen=None, layers=None):
    """The operations with one thing changed, for the mistakes."""

    def function(config, context):
        multiplied = parameters(config) if parameters else count_parameters(config)[1] - _table(config)
        wide = width(config) if width else config.num_attention_heads * (config.qk_head_dim + config.v_head_dim)
        positions = seen(context) if seen else context / 2
        return factor * multiplied + attention * (layers or config.num_hidden_layers) * wide * positions

    return function


def _wide(head):
    """The width of all heads, from that of one."""
    return lambda config: config.num_attention_heads * head(config)


TRAINING_FLOPS = Exercise(
    lesson="headlines",
    reference=training_flops_per_token,
    cases=_cases_of_flops,
    properties=(
        Property("the cost of a token is a straight line in the context", _linear_in_context),
        Property("a word more in the vocabulary costs 6 D", _vocabulary),
        Property("agrees with the library", agrees_with(training_flops_per_token)),
    ),
    mistakes=(
        Mistake(
            "forward pass only",
            "This is the forward pass: going back through each product costs twice as much again, so 6, not 2.",
            _flops(factor=2, attention=2),
        ),
        Mistake(
            "four in place of six",
            "Each product is counted with 4: it is 2 forward, and going back makes two gradients, 2 each, so 6.",
            _flops(factor=4, attention=4),
        ),
        Mistake(
            "additions left out",
            "Only multiplications are counted, 3 in place of 6: each comes with an addition, which counts, too.",
            _flops(factor=3, attention=3),
        ),
        Mistake(
            "attention forward only",
            "The matrices are counted forward and backward, attention only forward: it, too, is gone back through.",
            _flops(attention=2),
        ),
        Mistake(
            "the rule of thumb",
            "This is the rule of thumb, 6 for each active parameter: here the embedding comes off, and attention over "
            "the context is added.",
            _flops(attention=0, parameters=lambda config: count_parameters(config)[1]),
        ),
        *(
            Mistake(
                "all parameters",
                "Resting experts are counted: they take memory, but multiply nothing.",
                _flops(attention=attention, parameters=parameters),
            )
            for attention in (6, 0)
            for parameters in (
                lambda config: count_parameters(config)[0] - _table(config),
                lambda config: count_parameters(config)[0],
            )
        ),
        Mistake(
            "embedding multiplied",
            "The embedding is counted as a product: it is a table, and looking up multiplies nothing.",
            _flops(parameters=lambda config: count_parameters(config)[1]),
        ),
        Mistake(
            "head left out",
            "Both embedding and head are taken off: the head is a real product, D by vocabulary.",
            _flops(parameters=lambda config: count_parameters(config)[1] - 2 * _table(config)),
        ),
        Mistake(
            "every token sees the whole context",
            "Every token looks at the whole context here: it sees only what came before, half of it on average.",
            _flops(seen=lambda context: context),
        ),
        Mistake(
            "half rounded down",
            "Half of the context is rounded down by `//`: it is an average, so divide with `/`.",
            _flops(seen=lambda context: context // 2),
        ),
        *(
            Mistake(
                "own position counted exactly",
                "Near, and more exact than what is asked: here a token sees `context / 2` positions on average, "
                "whether or not its own counts.",
                _flops(seen=seen),
            )
            for seen in (lambda context: (context + 1) / 2, lambda context: (context - 1) / 2)
        ),
        Mistake(
            "attention left out",
            "Only products with weights are counted: scores and weighted means multiply, too, the more positions.",
            _flops(attention=0),
        ),
        Mistake(
            "attention in one layer",
            "Attention over the context is counted once: it happens in every layer.",
            _flops(layers=1),
        ),
        Mistake(
            "attention of one head",
            "Attention over the context is counted for one head: each of the H heads does it.",
            _flops(width=lambda config: config.qk_head_dim + config.v_head_dim),
        ),
        Mistake(
            "scores only",
            "Only the scores are counted, P + R for each head and position: the weighted mean of the values adds W.",
            _flops(width=_wide(lambda config: config.qk_head_dim)),
        ),
        Mistake(
            "weighted mean only",
            "Only the weighted mean of the values is counted, W for each head and position: the scores add P + R.",
            _flops(width=_wide(lambda config: config.v_head_dim)),
        ),
        Mistake(
            "rotated part left out",
            "The scores are taken over P features: a query and a key have R rotated ones, too.",
            _flops(width=_wide(lambda config: config.qk_nope_head_dim + config.v_head_dim)),
        ),
        *(
            Mistake(
                "attention of one width",
                "Attention is counted with one width for keys and values: scores take P + R for each head and "
                "position, values take W.",
                _flops(width=width),
            )
            for width in (
                lambda config: 2 * config.hidden_size,
                _wide(lambda config: 2 * config.qk_head_dim),
                _wide(lambda config: 2 * config.v_head_dim),
            )
        ),
        Mistake(
            "a whole sequence",
            "This is the cost of a whole sequence: divide by the context to have that of a token.",
            lambda config, context: _flops()(config, context) * context,
        ),
    ),
    hints=(
        "Two terms: products with weights, whatever the context, and attention, which grows with it.",
        "A product with n weights takes 2 n operations forward and 4 n backward. Which of the active parameters "
        "multiply nothing?",
        "6 * (active - vocab_size * hidden_size) + 6 * layers * heads * (qk_head_dim + v_head_dim) * context / 2",
    ),
    difficulty=3,
    minutes=10,
)

# --- training_dollars -------------------------------------------------------------------------------------------------


def _cases_of_dollars(generator):
    yield 3.0, 2.0
    for scale in (1, 1e3, 1e6):
        hours, rate = torch.rand(2, generator=generator, dtype=torch.float64).tolist()
        yield scale * (0.1 + hours), 0.5 + 9 * rate


def _twice_the_hours(function, gpu_hours, dollars_per_hour):
    got, expected = function(2 * gpu_hours, dollars_per_hour), 2 * function(gpu_hours, dollars_per_hour)
    if abs(got - expected) > 1e-9 * abs(expected):
        raise Wrong(f"Twice the hours must cost twice as much, {expected:,.8g}: they cost {got:,.8g}.")


def _free(function, gpu_hours, dollars_per_hour):
    try:
        got = function(gpu_hours, 0.0)
    except ZeroDivisionError:
        raise Wrong("It divides by the rent: a free GPU must cost nothing.") from None
    if got != 0:
        raise Wrong(f"A free GPU must cost nothing: it costs {got:,.8g}.")


TRAINING_DOLLARS = Exercise(
    lesson="headlines",
    reference=training_dollars,
    cases=_cases_of_dollars,
    properties=(
        Property("twice the hours cost twice as much", _twice_the_hours),
        Property("a free GPU costs nothing", _free),
        Property("agrees with the library", agrees_with(training_dollars)),
    ),
    mistakes=(
        Mistake(
            "divided",
            "The hours are divided by the rent: dollars are hours times dollars an hour.",
            lambda hours, rate: hours / rate,
        ),
        Mistake(
            "rent divided by hours",
            "The rent is divided by the hours: dollars are hours times dollars an hour.",
            lambda hours, rate: rate / hours,
        ),
        Mistake(
            "in thousands", "This is in thousands of dollars: give dollars.", lambda hours, rate: hours * rate / 1e3
        ),
        Mistake("in millions", "This is in millions of dollars: give dollars.", lambda hours, rate: hours * rate / 1e6),
        Mistake(
            "times the number of GPUs",
            "The number of GPUs is in twice: `gpu_hours` already adds up the hours of all GPUs.",
            lambda hours, rate: hours * rate * 2048,
        ),
        *(
            Mistake("rounded", "The result is rounded: give it as it is, and round where you print it.", rounded)
            for rounded in (
                lambda hours, rate: int(hours * rate),
                lambda hours, rate: round(hours * rate),
                lambda hours, rate: round(hours * rate, 2),
            )
        ),
        Mistake(
            "hours taken for seconds",
            "The hours are divided by 3600: they are hours already.",
            lambda hours, rate: hours / 3600 * rate,
        ),
        Mistake(
            "rent by the day",
            "It is multiplied by 24: the rent is already for an hour.",
            lambda hours, rate: hours * rate * 24,
        ),
        Mistake("in cents", "This is in cents: give dollars.", lambda hours, rate: hours * rate * 100),
        Mistake(
            "added", "Hours and dollars are added: their product is what is paid.", lambda hours, rate: hours + rate
        ),
        Mistake(
            "rate written in",
            "The rent is written in as $2: use the argument, for that figure is an assumption.",
            lambda hours, rate: hours * 2.0,
        ),
    ),
    hints=(
        "Look at the units: hours, and dollars per hour.",
        "hours x (dollars / hour) = dollars.",
        "return gpu_hours * dollars_per_hour",
    ),
    difficulty=1,
    minutes=1,
)

EXERCISES = (ATTENTION_PARAMETERS, COUNT_PARAMETERS, KV_CACHE, TRAINING_FLOPS, TRAINING_DOLLARS)

QUIZZES = (
    Quiz(
        "what-is-active",
        "DeepSeek-V3 has 671 billion parameters. How many multiply something when it reads one token?",
        (
            Option("All 671 billion: otherwise why keep them?", "All are stored, but 248 of the 256 experts of a layer "
                   "rest on any one token. Another token wakes others."),
            Option("About 37 billion.", "Eight of 256 experts a layer, the shared expert, attention and head: 37.55 "
                   "billion with the embedding. You count them in this lesson.", right=True),
            Option("671 / 256, about 2.6 billion: one expert.", "Eight experts are chosen, not one; and attention, "
                   "head and shared expert work on every token. They are 15 billion by themselves."),
        ),
    ),
    Quiz(
        "what-the-price-covers",
        "\"It was trained for $5.6 million.\" What does that figure cover?",
        (
            Option("Everything: people, data, failed attempts, machines.", "The report itself says that research, "
                   "ablations and data are not in it; nor are people."),
            Option("The electricity of the final run.", "It is more than that: the assumed rent of the GPUs."),
            Option("Renting the GPUs for the final run, at an assumed price.", "2.788 million GPU hours at an assumed "
                   "$2. Nobody paid that invoice: the company owns its machines.", right=True),
        ),
    ),
    Quiz(
        "what-fits-on-a-card",
        "Only 37 of 671 billion parameters work on a token. So a gaming card with 24 GB can run the full model?",
        (
            Option("Yes: only the active parameters must be in memory.", "The next token wakes other experts, in every "
                   "layer anew. Fetching them from a disk for each token would take seconds."),
            Option("No: all 671 billion must be at hand.", "671 GB at one byte each, some 28 such cards. What runs on "
                   "one card are the small models distilled from it.", right=True),
            Option("Yes, in 8 bits instead of 32.", "One byte a parameter is already what the 671 GB assume; in 32 "
                   "bits it would be 2,684 GB."),
        ),
    ),
)  # fmt: skip
