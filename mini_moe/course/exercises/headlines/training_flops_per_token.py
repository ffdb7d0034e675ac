"""Lesson 00, `training_flops_per_token`: the operations that a token costs."""

from mini_moe.cost import training_flops_per_token
from mini_moe.course.checking.exercise import Exercise, Property, Wrong, agrees_with
from mini_moe.course.exercises.headlines.shared import configs, digits, equals, grows, uses
from mini_moe.course.exercises.headlines.training_flops_per_token_mistakes import MISTAKES

MATRICES = "Each active parameter that it brings costs 6."
BOTH = "Each active parameter that it brings costs 6; scores or weighted means become wider or more, too."
SIZES = {
    "context": "A token then sees half a position more, 6 H (P + R + W) / 2 in each layer.",
    "vocab_size": "It is a row in the output head, 6 D; the embedding's row is looked up, which multiplies nothing.",
    "num_experts_per_tok": "One more expert is at work in each layer of experts, 6 for each of its parameters.",
    "n_routed_experts": "The expert rests; its row in each router works, 6 D.",
    "n_shared_experts": "One more expert is at work in each layer of experts, 6 for each of its parameters.",
    "intermediate_size": MATRICES,
    "moe_intermediate_size": MATRICES,
    "kv_lora_rank": f"{MATRICES} Scores and weighted means do not see the latent.",
    "q_lora_rank": f"{MATRICES} Scores and weighted means do not see the latent.",
    "v_head_dim": BOTH,
    "qk_nope_head_dim": BOTH,
    "qk_rope_head_dim": BOTH,
    "num_attention_heads": BOTH,
    "num_hidden_layers": BOTH,
    "hidden_size": MATRICES,
    "first_k_dense_replace": "A dense layer takes the place of a layer of experts; attention stays.",
    "max_position_embeddings": "It is the longest context: the one to count is `context`.",
    "topk_group": "Groups say which experts may be chosen, not how many work.",
}


def _cases_of_flops(generator):
    contexts = (3, 6, 7, 1, 20, 1024, 4096, 131_072)  # half of 3 is no integer; 7 is above the longest of its model
    for context, config in zip(contexts, configs(generator), strict=True):
        yield config, context


def _linear_in_context(function, config, context):
    one, two, three = (function(config, factor * context) for factor in (1, 2, 3))
    if abs((three - two) - (two - one)) > 1e-6 * abs(three):
        raise Wrong(
            "The cost of a token must grow in a straight line with the context, for every position more is one more "
            f"to look at: twice the context adds {two - one:,.8g}, three times another {three - two:,.8g}.",
            mistake="no straight line in the context",
        )


def _by_name(function, config, context):
    try:
        function(config, context=context)
    except TypeError:
        says = "The lesson goes on with `context=4096`: the second argument must keep its name, `context`."
        raise Wrong(says, mistake="an argument renamed") from None


EXERCISE = Exercise(
    reference=training_flops_per_token,
    cases=_cases_of_flops,
    properties=(
        Property("uses every size", uses(training_flops_per_token, SIZES)),
        Property("the cost of a token is a straight line in the context", _linear_in_context),
        Property(
            "each size adds what it should: one more word costs 6 D",
            grows(training_flops_per_token, SIZES),
        ),
        Property("counts nothing else", equals(training_flops_per_token, "The formula gives")),
        Property("agrees with the library", agrees_with(training_flops_per_token)),
        Property("is exact", digits(training_flops_per_token)),
        Property("takes `context` by its name", _by_name),
    ),
    mistakes=MISTAKES,
    hints=(
        "Two terms: products with weights, whatever the context, and attention, which grows with it.",
        "A product with n weights takes 2 n operations forward and 4 n backward. Which of the active parameters "
        "multiply nothing?",
        "One line for the active parameters without the embedding; one for the numbers of a query and a value in all "
        "heads together. Then a sum: operations per parameter times the first; and as many times layers, the second, "
        "and the positions that a token sees.",
    ),
    difficulty=3,
    minutes=18,
)
