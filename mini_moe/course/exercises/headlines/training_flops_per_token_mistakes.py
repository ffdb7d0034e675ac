"""Mistakes that people make in `training_flops_per_token`."""

from mini_moe.cost import count_parameters
from mini_moe.course.checking.exercise import Mistake
from mini_moe.course.exercises.headlines.shared import table


def _flops(*, factor=6, attention=6, parameters=None, width=None, seen=None, layers=None):
    """The operations with one thing changed, for the mistakes."""

    def function(config, context):
        multiplied = parameters(config) if parameters else _multiplied(config)
        wide = width(config) if width else config.num_attention_heads * (config.qk_head_dim + config.v_head_dim)
        depth = config.num_hidden_layers if layers is None else layers
        positions = seen(context) if seen else context / 2
        return factor * multiplied + attention * depth * wide * positions

    return function


def _multiplied(config):
    """Active parameters but the embedding's."""
    return count_parameters(config)[1] - table(config)


def _wide(head):
    """The width of all heads, from that of one."""
    return lambda config: config.num_attention_heads * head(config)


MISTAKES = (
    Mistake(
        "forward pass only",
        "This is the forward pass: going back through each product costs twice as much again, so 6, not 2.",
        _flops(factor=2, attention=2),
    ),
    Mistake(
        "four in place of six",
        "Each product is counted with 4: it is 2 forward, and going back makes two gradients, 2 each, so 6 in all.",
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
            lambda config: count_parameters(config)[0] - table(config),
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
        "Both embedding and output head are taken off: the output head is a real product, D by vocabulary.",
        _flops(parameters=lambda config: count_parameters(config)[1] - 2 * table(config)),
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
    *(
        Mistake(
            "recomputation counted",
            "Each product is counted with 8, as where the forward pass is computed a second time: here it is 2 "
            "forward and 4 back, 6 in all.",
            _flops(factor=factor, attention=attention),
        )
        for factor, attention in ((8, 8), (8, 6), (6, 8))
    ),
    Mistake(
        "everything halved",
        "All of it is halved: a token sees half of the context, but every active parameter works on every token.",
        _flops(factor=3),
    ),
    Mistake(
        "embedding taken off once",
        "The embedding is taken off once, not six times: take it off the parameters before they are multiplied by 6.",
        lambda config, context: _flops()(config, context) + 5 * table(config),
    ),
    Mistake(
        "norms taken off",
        "The norms over D are taken off: by the rule here every active parameter costs 6, but the embedding's.",
        _flops(parameters=lambda config: _multiplied(config) - (2 * config.num_hidden_layers + 1) * config.hidden_size),
    ),
    Mistake(
        "context clipped",
        "The context ends at `max_position_embeddings` here: the cost is asked for the context that is given, "
        "however long.",
        lambda config, context: _flops()(config, min(context, config.max_position_embeddings)),
    ),
    Mistake(
        "the longest context",
        "This is the cost at `max_position_embeddings`: it is asked for `context`.",
        lambda config, context: _flops()(config, config.max_position_embeddings),
    ),
    Mistake(
        "context written in",
        "The context is written in as 4,096: use the argument `context`.",
        lambda config, context: _flops()(config, 4096),
    ),
    *(
        Mistake(
            "in another unit",
            "This is in thousands, millions, billions or trillions of operations: give operations.",
            lambda config, context, unit=unit: _flops()(config, context) / unit,
        )
        for unit in (1e3, 1e6, 1e9, 1e12)
    ),
    Mistake(
        "attention in layers of experts only",
        "Attention over the context is counted in layers of experts only: dense layers have attention, too.",
        lambda config, context: _flops(layers=config.num_hidden_layers - config.first_k_dense_replace)(config, context),
    ),
    Mistake(
        "values as wide as the part without position",
        "The values are taken to be P wide: they have a width of their own, W, `v_head_dim`.",
        _flops(width=_wide(lambda config: config.qk_head_dim + config.qk_nope_head_dim)),
    ),
    *(
        Mistake(
            "attention over latents",
            "Scores or means are taken over latents, C wide, as when text is generated: in training keys and "
            "values are expanded, P + R and W wide.",
            _flops(width=width),
        )
        for width in (
            _wide(lambda config: 2 * config.kv_lora_rank + config.qk_rope_head_dim),
            lambda config: 2 * config.kv_lora_rank + config.qk_rope_head_dim,
            lambda config: config.kv_lora_rank + config.qk_rope_head_dim,
        )
    ),
    Mistake(
        "attention halved twice",
        "Attention over the context is halved twice, or counted without additions: it is 6 H (P + R + W) for each "
        "of `context / 2` positions.",
        _flops(seen=lambda context: context / 4),
    ),
    Mistake(
        "attention's backward pass counted alone",
        "Attention over the context is counted with 4, its way back: with the 2 forward it is 6.",
        _flops(attention=4),
    ),
    Mistake(
        "attention only",
        "Only attention over the context is counted: every active parameter but the embedding's costs 6, too.",
        _flops(factor=0),
    ),
    Mistake(
        "a whole sequence",
        "This is the cost of a whole sequence: divide by the context to have that of a token.",
        lambda config, context: _flops()(config, context) * context,
    ),
)
