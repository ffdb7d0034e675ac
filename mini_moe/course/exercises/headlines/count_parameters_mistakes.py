"""Mistakes that people make in `count_parameters` in both counts."""

from mini_moe.cost import attention_parameters, count_parameters
from mini_moe.course.checking.exercise import Mistake


def count(
    config, *, embeddings=2, norms=None, attention=None, router=True, stored=None, shared=None, matrices=3, expert=None,
    dense=None, sparse=None, more=0,
):  # fmt: skip
    """The two counts with one thing changed."""
    D, E, K, layers = config.hidden_size, config.n_routed_experts, config.num_experts_per_tok, config.num_hidden_layers
    dense = config.first_k_dense_replace if dense is None else dense
    sparse = layers - config.first_k_dense_replace if sparse is None else sparse
    shared = config.n_shared_experts if shared is None else shared
    expert = matrices * D * (expert or config.moe_intermediate_size)
    total = embeddings * config.vocab_size * D + (2 * layers + 1 if norms is None else norms) * D + more
    total += layers * attention_parameters(config) if attention is None else attention
    total += dense * matrices * D * config.intermediate_size
    total += sparse * (router * E * D + (E + shared) * expert)
    return total, total - sparse * (E - K) * expert


def _both(**changes):
    """Both counts, each of the ``changes`` a function of the configuration."""
    return lambda config: count(config, **{name: change(config) for name, change in changes.items()})


def sparse(config):
    return config.num_hidden_layers - config.first_k_dense_replace


def rest(config):
    return config.n_routed_experts - config.num_experts_per_tok


def _latents(config):
    return config.kv_lora_rank + (config.q_lora_rank or 0)


PARTS = (
    Mistake(
        "one embedding matrix",
        "Embedding and output head are counted as one: this model has a matrix for each.",
        _both(embeddings=lambda config: 1),
    ),
    Mistake(
        "embedding and head left out",
        "Embedding and output head are missing: V D parameters each.",
        _both(embeddings=lambda config: 0),
    ),
    Mistake(
        "positions counted",
        "A table of positions is counted: this model turns features by their position, which takes no parameters.",
        _both(more=lambda config: config.max_position_embeddings * config.hidden_size),
    ),
    Mistake(
        "norms left out",
        "The norms are missing: two in every layer and one at the end, D parameters each.",
        _both(norms=lambda config: 0),
    ),
    Mistake(
        "norms of the layers left out",
        "Only the last norm is counted: every layer has two more, before attention and before the feed-forward part.",
        _both(norms=lambda config: 1),
    ),
    Mistake(
        "last norm left out",
        "The last norm is missing: after all layers there is one more, D parameters.",
        _both(norms=lambda config: 2 * config.num_hidden_layers),
    ),
    Mistake(
        "one norm a layer",
        "Each layer is given one norm: it has two, before attention and before the feed-forward part.",
        _both(norms=lambda config: config.num_hidden_layers + 1),
    ),
    Mistake(
        "norms with a shift",
        "Each norm over D is counted twice, as with a scale and a shift: these norms only scale, D parameters.",
        _both(norms=lambda config: 2 * (2 * config.num_hidden_layers + 1)),
    ),
    Mistake(
        "attention of one layer",
        "Attention is counted once: every layer has its own.",
        _both(attention=attention_parameters),
    ),
    Mistake(
        "attention left out",
        "Attention is missing: `attention_parameters(config)` in every layer.",
        _both(attention=lambda config: 0),
    ),
    Mistake(
        "attention without the norms of its latents",
        "Attention is counted without the norms of its latents: `attention_parameters` has them in it.",
        _both(attention=lambda config: config.num_hidden_layers * (attention_parameters(config) - _latents(config))),
    ),
    Mistake(
        "plain multi-head attention",
        "Attention is counted as 4 D², as it was before latents: use `attention_parameters(config)`.",
        _both(attention=lambda config: config.num_hidden_layers * 4 * config.hidden_size**2),
    ),
    Mistake(
        "attention in layers of experts only",
        "The dense layers have no attention here: every layer has it, only the feed-forward parts differ.",
        _both(attention=lambda config: sparse(config) * attention_parameters(config)),
    ),
    Mistake(
        "two matrices a feed-forward layer",
        "A feed-forward layer is counted with two matrices: SwiGLU has three, gate, up and down.",
        _both(matrices=lambda config: 2),
    ),
    Mistake(
        "overflows 32 bits",
        "A large model's count runs over: 32 bits hold no more than 2,147,483,647. Python's own `int` has no end.",
        lambda config: tuple((n + 2**31) % 2**32 - 2**31 for n in count_parameters(config)),
    ),
)

LAYERS = (
    Mistake(
        "shared experts left out",
        "The shared experts are missing: `n_shared_experts` in each layer of experts, always at work.",
        _both(shared=lambda config: 0),
    ),
    Mistake(
        "no shared expert taken for one",
        "Where `n_shared_experts` is 0, one is counted: 0 is a number like others, and `or` takes it for missing.",
        _both(shared=lambda config: config.n_shared_experts or 1),
    ),
    Mistake(
        "only the chosen experts stored",
        "Only K routed experts are in the total: all E are stored, also those that rest on this token.",
        lambda config: count(config)[1:] * 2,
    ),
    Mistake(
        "routers left out",
        "The routers are missing: each layer of experts has one, a row of D for each routed expert.",
        _both(router=lambda config: False),
    ),
    Mistake(
        "one router for all layers",
        "One router is counted for the whole model: each layer of experts has its own.",
        _both(more=lambda config: (1 - sparse(config)) * config.n_routed_experts * config.hidden_size),
    ),
    Mistake(
        "routers in dense layers",
        "The dense layers have a router here, too: they have no experts to choose from.",
        _both(more=lambda config: config.first_k_dense_replace * config.n_routed_experts * config.hidden_size),
    ),
    Mistake(
        "rows for shared experts in the routers",
        "The routers have rows for the shared experts, too: these always work, so nothing scores them.",
        _both(more=lambda config: sparse(config) * config.n_shared_experts * config.hidden_size),
    ),
    Mistake(
        "rows for chosen experts only",
        "The routers have K rows here: a router scores all E routed experts, so it has E rows.",
        _both(more=lambda config: -sparse(config) * rest(config) * config.hidden_size),
    ),
    Mistake(
        "a bias in the routers",
        "E more are counted in each router, as for a bias: the one that steers the choice (lesson 04) is not learnt, "
        "so it is no parameter.",
        _both(more=lambda config: sparse(config) * config.n_routed_experts),
    ),
    Mistake(
        "experts as wide as dense layers",
        "The experts are given `intermediate_size`, the width of a dense layer: theirs is `moe_intermediate_size`.",
        _both(expert=lambda config: config.intermediate_size),
    ),
    Mistake(
        "dense layers as wide as experts",
        "The dense layers are given `moe_intermediate_size`, the width of an expert: theirs is `intermediate_size`.",
        lambda config: count(config.replace(intermediate_size=config.moe_intermediate_size)),
    ),
    Mistake(
        "dense layers left out",
        "The dense layers' SwiGLU is missing: the first `first_k_dense_replace` layers have one instead of experts.",
        _both(dense=lambda config: 0),
    ),
    Mistake(
        "dense layers counted as experts",
        "Every layer has experts here: the first `first_k_dense_replace` have one dense layer instead.",
        _both(dense=lambda config: 0, sparse=lambda config: config.num_hidden_layers),
    ),
    Mistake(
        "experts in dense layers, too",
        "The first `first_k_dense_replace` layers are counted with a dense layer *and* with experts: they have only "
        "the dense one.",
        _both(sparse=lambda config: config.num_hidden_layers),
    ),
    Mistake(
        "no dense layer taken for one",
        "Where `first_k_dense_replace` is 0, one dense layer is counted: 0 is a number like others, and `or` takes it "
        "for missing.",
        _both(
            dense=lambda config: config.first_k_dense_replace or 1,
            sparse=lambda config: config.num_hidden_layers - (config.first_k_dense_replace or 1),
        ),
    ),
    *(
        Mistake(
            "one dense layer more or fewer",
            "The number of dense layers is off by one: counted from 0, they have `layer < first_k_dense_replace`.",
            lambda config, dense=dense: count(
                config, dense=dense(config), sparse=config.num_hidden_layers - dense(config)
            ),
        )
        for dense in (
            lambda config: min(config.first_k_dense_replace + 1, config.num_hidden_layers),
            lambda config: max(config.first_k_dense_replace - 1, 0),
        )
    ),
    Mistake(
        "always a layer of experts",
        "Where all layers are dense, one with experts is counted all the same: `first_k_dense_replace` may be as large "
        "as `num_hidden_layers`.",
        _both(
            dense=lambda config: min(config.first_k_dense_replace, config.num_hidden_layers - 1),
            sparse=lambda config: max(1, sparse(config)),
        ),
    ),
)

MISTAKES = PARTS + LAYERS
