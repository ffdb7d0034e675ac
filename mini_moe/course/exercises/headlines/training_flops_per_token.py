"""Lesson 00, `training_flops_per_token`: the operations that a token costs."""

from mini_moe.cost import (
    count_parameters,
    training_flops_per_token,
)
from mini_moe.course.checking.exercise import Exercise, Mistake, Property, Wrong, agrees_with
from mini_moe.course.exercises.headlines.count_parameters import table
from mini_moe.course.exercises.headlines.shared import configs


def _cases_of_flops(generator):
    for context, config in zip((3, 6, 1024, 4096), configs(generator), strict=True):  # half of 3 is no integer
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
        multiplied = parameters(config) if parameters else count_parameters(config)[1] - table(config)
        wide = width(config) if width else config.num_attention_heads * (config.qk_head_dim + config.v_head_dim)
        positions = seen(context) if seen else context / 2
        return factor * multiplied + attention * (layers or config.num_hidden_layers) * wide * positions

    return function


def _wide(head):
    """The width of all heads, from that of one."""
    return lambda config: config.num_attention_heads * head(config)


EXERCISE = Exercise(
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
            "Both embedding and head are taken off: the head is a real product, D by vocabulary.",
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
