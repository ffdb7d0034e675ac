"""Lesson 00, `attention_parameters`: counting what one attention layer holds."""

import functools

import torch

from mini_moe.cost import attention_parameters
from mini_moe.course.checking.exercise import Exercise, Property, agrees_with
from mini_moe.course.exercises.headlines.attention_parameters_mistakes import MISTAKES
from mini_moe.course.exercises.headlines.shared import digits, each, equals, grows, parameters, uses
from mini_moe.mla import MultiHeadLatentAttention

SIZES = {
    "q_lora_rank": "It is a column and a row of the two matrices for the queries, and a place in their norm.",
    "kv_lora_rank": "It is a column and a row of the two matrices around the latent, and a place in its norm.",
    "qk_nope_head_dim": "For each head it is a column for the queries and one in the expansion.",
    "qk_rope_head_dim": "For each head it is a column for the queries, and one for the key that all heads share.",
    "v_head_dim": "For each head it is a column in the expansion and a row in the output.",
    "num_attention_heads": "Every head has the same matrices; what all heads share is counted once.",
    "hidden_size": "It is a row of each matrix that starts from D, and a column of the output.",
}


@functools.cache
def _layer(config):
    with torch.device("meta"):
        return parameters(MultiHeadLatentAttention(config))


EXERCISE = Exercise(
    reference=attention_parameters,
    cases=each,
    properties=(
        Property("uses every width", uses(attention_parameters, SIZES)),
        Property("each width adds what its matrices hold", grows(attention_parameters, SIZES)),
        Property("equals the parameters of the real layer", equals(_layer, "The layer itself holds")),
        Property("agrees with the library", agrees_with(attention_parameters)),
        Property("is exact", digits(attention_parameters)),
    ),
    mistakes=MISTAKES,
    hints=(
        "There are four stations: queries, latent, expansion, output. Count each from its two widths, then add.",
        "A matrix from a to b features has a times b parameters. `q_lora_rank is None` decides between one matrix for "
        "the queries and two with a norm (q_lora_rank parameters) between them.",
        "Four lines and their sum. Latent: one matrix, one norm. Expansion: one matrix. Output: one matrix. Queries: "
        "one matrix; or, where they pass a latent, a matrix, a norm and a matrix.",
    ),
    difficulty=2,
    minutes=20,
)
