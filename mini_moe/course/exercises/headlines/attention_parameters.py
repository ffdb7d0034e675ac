"""Lesson 00, `attention_parameters`: counting what one attention layer holds."""

from mini_moe.cost import (
    attention_parameters,
)
from mini_moe.course.checking.exercise import Exercise, Mistake, Property, Wrong, agrees_with
from mini_moe.course.exercises.headlines.shared import each, parameters
from mini_moe.mla import MultiHeadLatentAttention


def _heads_cost_the_same(function, config):
    one, two, three = (function(config.replace(num_attention_heads=heads)) for heads in (1, 2, 3))
    if three - two != two - one:
        raise Wrong(
            f"The second head adds {two - one:,} parameters, the third {three - two:,}. Every head has the same "
            "matrices; what all heads share is counted once."
        )


def _attention_is_real(function, config):
    real = parameters(MultiHeadLatentAttention, config)
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


EXERCISE = Exercise(
    reference=attention_parameters,
    cases=each,
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
