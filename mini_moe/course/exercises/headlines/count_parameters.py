"""Lesson 00, `count_parameters`: counting the model, stored and at work."""

from mini_moe.cost import count_parameters
from mini_moe.course.checking.exercise import Exercise, Property, Wrong, agrees_with
from mini_moe.course.exercises.headlines import count_parameters_active_mistakes, count_parameters_mistakes
from mini_moe.course.exercises.headlines.shared import digits, each, equals, grows, model_parameters, uses

ATTENTION = "`attention_parameters(config)` stands in every layer."
SIZES = {
    "num_experts_per_tok": "It leaves the total, and adds an expert at work to each layer of experts.",
    "n_routed_experts": "It is a row in each router, always at work, and an expert to store in each layer of experts.",
    "n_shared_experts": "In each layer of experts it is one more, stored and at work.",
    "first_k_dense_replace": "A dense layer takes the place of a layer of experts.",
    "num_hidden_layers": "A layer of experts is added: attention, two norms, router, experts.",
    "intermediate_size": "It adds 3 D in each dense layer.",
    "moe_intermediate_size": "It adds 3 D for each expert of each layer of experts.",
    "vocab_size": "It is a row of D in the embedding and one in the output head.",
    "num_attention_heads": ATTENTION,
    "kv_lora_rank": ATTENTION,
    "q_lora_rank": ATTENTION,
    "qk_nope_head_dim": ATTENTION,
    "qk_rope_head_dim": ATTENTION,
    "v_head_dim": ATTENTION,
    "hidden_size": "It is a row or column in every matrix that begins or ends in D, and a place in the norms over D.",
    "max_position_embeddings": "Positions take no parameters.",
    "topk_group": "Groups say which experts may be chosen, not how many there are.",
}


def _all_chosen(function, config):
    config = config.replace(num_experts_per_tok=config.n_routed_experts, n_group=1, topk_group=1)
    total, active = function(config)
    if active != total:
        raise Wrong(
            f"With every expert chosen (K = E) nothing rests, so active must be total: it is {active:,} of {total:,}.",
            mistake="active unlike total where all are chosen",
        )


def _model(config):
    return model_parameters(config), count_parameters(config)[1]


EXERCISE = Exercise(
    reference=count_parameters,
    cases=each,
    properties=(
        Property("uses every size", uses(count_parameters, SIZES)),
        Property("with all experts chosen, active equals total", _all_chosen),
        Property(
            "each size adds what it should",
            grows(count_parameters, SIZES, ("the total", "the active count")),
        ),
        Property("the total equals the parameters of the real model", equals(_model, "The model's own count is")),
        Property("agrees with the library", agrees_with(count_parameters)),
        Property("is exact", digits(count_parameters)),
    ),
    mistakes=count_parameters_active_mistakes.MISTAKES + count_parameters_mistakes.MISTAKES,
    hints=(
        "Write down the total first, line by line: the two tables, what every layer has, the dense layers, the layers "
        "of experts, the last norm. What a token does not use comes off at the end.",
        "One expert is 3 D I. A layer of experts holds E D (the router) and E + n_shared_experts experts; of these, "
        "E - K rest on each token.",
        "Total: a sum of five terms; but for the tables and the last norm, each is a number of layers times what one "
        "of them holds. Active: the total less one product of three: layers of experts, experts that rest in each, "
        "and the size of one.",
    ),
    difficulty=2,
    minutes=20,
)
