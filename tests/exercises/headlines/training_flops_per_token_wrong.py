"""Wrong answers to `training_flops_per_token`: passes, parameters and the heads' widths."""

from exercises.answers import Answers
from exercises.headlines.training_flops_per_token_parts import weights

from mini_moe import cost
from mini_moe.course.exercises.headlines.training_flops_per_token import EXERCISE

ANSWERS = Answers(EXERCISE)
wrong = ANSWERS.wrong


@wrong("forward pass only")
def _(config, context):
    matmuls = 2 * weights(config)
    scores = 2 * config.num_attention_heads * config.qk_head_dim * context / 2
    mean = 2 * config.num_attention_heads * config.v_head_dim * context / 2
    return matmuls + config.num_hidden_layers * (scores + mean)


@wrong("four in place of six", "forward and backward alike")
def _(config, context):
    width = config.num_attention_heads * (config.qk_head_dim + config.v_head_dim)
    forward = 2 * weights(config) + 2 * config.num_hidden_layers * width * context / 2
    backward = forward
    return forward + backward


@wrong("additions left out")
def _(config, context):
    width = config.num_attention_heads * (config.qk_head_dim + config.v_head_dim)
    forward = weights(config) + config.num_hidden_layers * width * context / 2
    backward = 2 * forward
    return forward + backward


@wrong("attention forward only")
def _(config, context):
    flops = 6 * weights(config)
    for _ in range(config.num_hidden_layers):
        flops += context * config.num_attention_heads * (config.qk_head_dim + config.v_head_dim)
    return flops


@wrong("the rule of thumb")
def _(config, context):
    total, active = cost.count_parameters(config)
    return 6 * active


@wrong("all parameters", "but the embedding")
def _(config, context):
    total, active = cost.count_parameters(config)
    n = total - config.vocab_size * config.hidden_size
    width = config.num_attention_heads * (config.qk_head_dim + config.v_head_dim)
    return 6 * n + 3 * config.num_hidden_layers * width * context


@wrong("all parameters", "the embedding, too")
def _(config, context):
    n = cost.count_parameters(config)[0]
    width = config.num_attention_heads * (config.qk_head_dim + config.v_head_dim)
    return 6 * (n + config.num_hidden_layers * width * context / 2)


@wrong("all parameters", "6 N of a dense model")
def _(config, context):
    N, _ = cost.count_parameters(config)
    return 6.0 * N


@wrong("all parameters", "6 N without the embedding")
def _(config, context):
    N, _ = cost.count_parameters(config)
    return 6.0 * (N - config.vocab_size * config.hidden_size)


@wrong("embedding multiplied")
def _(config, context):
    _, active = cost.count_parameters(config)
    width = config.num_attention_heads * (config.qk_head_dim + config.v_head_dim)
    attention = config.num_hidden_layers * width * context / 2
    return 6 * (active + attention)


@wrong("head left out")
def _(config, context):
    _, active = cost.count_parameters(config)
    body = active - 2 * (config.vocab_size * config.hidden_size)
    width = config.num_attention_heads * (config.qk_head_dim + config.v_head_dim)
    return 6 * body + 6 * config.num_hidden_layers * width * context / 2


@wrong("every token sees the whole context")
def _(config, context):
    width = config.num_attention_heads * (config.qk_head_dim + config.v_head_dim)
    return 6 * weights(config) + 6 * config.num_hidden_layers * width * context


@wrong("half rounded down")
def _(config, context):
    seen = context // 2
    width = config.num_attention_heads * (config.qk_head_dim + config.v_head_dim)
    return 6 * weights(config) + 6 * config.num_hidden_layers * width * seen


@wrong("own position counted exactly", "with its own")
def _(config, context):
    seen = sum(t + 1 for t in range(context)) / context
    width = config.num_attention_heads * (config.qk_head_dim + config.v_head_dim)
    return 6 * weights(config) + 6 * config.num_hidden_layers * width * seen


@wrong("own position counted exactly", "without its own")
def _(config, context):
    seen = sum(range(context)) / context
    width = config.num_attention_heads * (config.qk_head_dim + config.v_head_dim)
    return 6 * weights(config) + 6 * config.num_hidden_layers * width * seen


@wrong("attention left out")
def _(config, context):
    forward = 2 * weights(config)
    backward = 4 * weights(config)
    return forward + backward


@wrong("attention in one layer")
def _(config, context):
    width = config.num_attention_heads * (config.qk_head_dim + config.v_head_dim)
    return 6 * weights(config) + 6 * width * context / 2


@wrong("attention of one head")
def _(config, context):
    per_position = config.qk_nope_head_dim + config.qk_rope_head_dim + config.v_head_dim
    return 6 * weights(config) + 6 * config.num_hidden_layers * per_position * context / 2


@wrong("scores only")
def _(config, context):
    scores = config.num_attention_heads * config.qk_head_dim * context / 2
    return 6 * (weights(config) + config.num_hidden_layers * scores)


@wrong("weighted mean only")
def _(config, context):
    mean = config.num_attention_heads * config.v_head_dim * context / 2
    return 6 * (weights(config) + config.num_hidden_layers * mean)


@wrong("rotated part left out")
def _(config, context):
    width = config.num_attention_heads * (config.qk_nope_head_dim + config.v_head_dim)
    return 6 * weights(config) + 6 * config.num_hidden_layers * width * context / 2


@wrong("attention of one width", "the hidden size: 12 L D T, halved")
def _(config, context):
    return 6 * weights(config) + 12 * config.num_hidden_layers * config.hidden_size * context / 2


@wrong("attention of one width", "the key's")
def _(config, context):
    heads = 12 * config.num_attention_heads * config.qk_head_dim
    return 6 * weights(config) + config.num_hidden_layers * heads * context / 2


@wrong("attention of one width", "the value's")
def _(config, context):
    heads = 12 * config.num_attention_heads * config.v_head_dim
    return 6 * weights(config) + config.num_hidden_layers * heads * context / 2


@wrong("a whole sequence")
def _(config, context):
    width = config.num_attention_heads * (config.qk_head_dim + config.v_head_dim)
    matrices = 6 * weights(config) * context
    attention = 6 * config.num_hidden_layers * width * context**2 / 2
    return matrices + attention


@wrong("raises TypeError", "both counts at once")
def _(config, context):
    n = cost.count_parameters(config)
    return 6 * (n - config.vocab_size * config.hidden_size)


@wrong("returns None", "no return")
def _(config, context):
    flops = 6 * weights(config)
    flops += 3 * config.num_hidden_layers * context
