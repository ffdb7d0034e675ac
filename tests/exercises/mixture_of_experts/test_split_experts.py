"""Answers to `split_experts`: wrong ones as learners write them, right ones each in another way."""

from exercises.answers import Answers, Claims, drawn

from mini_moe.config import ModelConfig, tiny
from mini_moe.course.checking.examine import examine
from mini_moe.course.exercises.mixture_of_experts.split_experts import EXERCISE

ANSWERS = Answers(EXERCISE)
wrong, right = ANSWERS.wrong, ANSWERS.right


class TestSplitExperts(Claims):
    answers = ANSWERS

    def test_a_sentence_tells_the_settings_that_the_printed_input_does_not(self, exercise):
        for mistake, settings in (("rounded without an error", "`m = 3`"),):
            outcome = examine(drawn(exercise, 1), self.answers.making(mistake))
            assert settings in outcome.says and outcome.got is None


def learner_splits(*, checked=True, **fields):
    """A learner's function with the fields that it is given, as functions of the config and m."""

    def split_experts(config, m):
        if checked and config.moe_intermediate_size % m != 0:
            raise ValueError(f"m must divide {config.moe_intermediate_size}, got {m}.")
        return config.replace(**{name: value(config, m) for name, value in fields.items()})

    return split_experts


E = {"n_routed_experts": lambda c, m: m * c.n_routed_experts}
K = {"num_experts_per_tok": lambda c, m: m * c.num_experts_per_tok}
S = {"n_shared_experts": lambda c, m: m * c.n_shared_experts}
I = {"moe_intermediate_size": lambda c, m: c.moe_intermediate_size // m}

wrong("K not multiplied", "forgotten")(learner_splits(**E, **S, **I))
wrong("I not divided", "forgotten")(learner_splits(**E, **K, **S))
wrong("E not multiplied", "forgotten")(learner_splits(**K, **S, **I))
wrong("shared experts not multiplied", "forgotten")(learner_splits(**E, **K, **I))
wrong("m shared experts", "one cut in m")(learner_splits(**E, **K, **I, n_shared_experts=lambda c, m: m))
wrong("only E multiplied", "more experts")(learner_splits(**E))
wrong("only I divided", "smaller experts")(learner_splits(**I))
wrong("K and shared experts not multiplied", "cut, but not chosen")(learner_splits(**E, **I))
wrong("I and shared experts as they were", "more of both")(learner_splits(**E, **K))
wrong("I multiplied", "times m")(
    learner_splits(**E, **K, **S, moe_intermediate_size=lambda c, m: c.moe_intermediate_size * m)
)
wrong("dense layers cut", "the wrong field")(
    learner_splits(**E, **K, **S, intermediate_size=lambda c, m: c.intermediate_size // m)
)
wrong("dense layers cut", "both")(
    learner_splits(**E, **K, **S, **I, intermediate_size=lambda c, m: c.intermediate_size // m)
)
wrong("hidden size divided", "too")(learner_splits(**E, **K, **S, **I, hidden_size=lambda c, m: c.hidden_size // m))
wrong("groups multiplied", "both")(
    learner_splits(**E, **K, **S, **I, n_group=lambda c, m: c.n_group * m, topk_group=lambda c, m: c.topk_group * m)
)
wrong("scaling factor changed", "divided")(
    learner_splits(**E, **K, **S, **I, routed_scaling_factor=lambda c, m: c.routed_scaling_factor / m)
)
wrong("inner width a float", "a single slash")(
    learner_splits(**E, **K, **S, moe_intermediate_size=lambda c, m: c.moe_intermediate_size / m)
)
wrong("rounded without an error", "//")(learner_splits(checked=False, **E, **K, **S, **I))
wrong("rounded without an error", "round")(
    learner_splits(checked=False, **E, **K, **S, moe_intermediate_size=lambda c, m: round(c.moe_intermediate_size / m))
)


@wrong("other fields lost", "from tiny")
def _(config, m):
    if config.moe_intermediate_size % m:
        raise ValueError
    fields = {name: value(config, m) for name, value in {**E, **K, **S, **I}.items()}
    return tiny().replace(**fields)


@wrong("other fields lost", "those with a default")
def _(config, m):
    names = ("vocab_size", "hidden_size", "num_hidden_layers", "intermediate_size", "num_attention_heads",
             "kv_lora_rank", "qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim")  # fmt: skip
    fields = {name: value(config, m) for name, value in {**E, **K, **S, **I}.items()}
    return ModelConfig(**{name: getattr(config, name) for name in names}, **fields)


@wrong("nothing split", "the copy not kept")
def _(config, m):
    if config.moe_intermediate_size % m:
        raise ValueError
    config.replace(n_routed_experts=config.n_routed_experts * m)
    return config


@wrong("raises FrozenInstanceError")
def _(config, m):
    config.n_routed_experts *= m
    config.num_experts_per_tok *= m
    config.moe_intermediate_size //= m
    return config


@wrong("raises AssertionError", "the wrong kind of error")
def _(config, m):
    assert config.moe_intermediate_size % m == 0
    return learner_splits(**E, **K, **S, **I)(config, m)


@wrong("raises ValueError", "the number of experts need not be divided")
def _(config, m):
    if config.n_routed_experts % m:
        raise ValueError(f"m must divide the experts, got {m}.")
    return learner_splits(**E, **K, **S, **I)(config, m)


@wrong("wrong type", "the numbers alone")
def _(config, m):
    return config.n_routed_experts * m, config.num_experts_per_tok * m, config.moe_intermediate_size // m


@wrong("returns None")
def _(config, m):
    config.replace(n_routed_experts=config.n_routed_experts * m)


@right("divmod")
def _(config, m):
    width, rest = divmod(config.moe_intermediate_size, m)
    if rest:
        raise ValueError(f"no whole width: {config.moe_intermediate_size} / {m}")
    times_m = {
        name: getattr(config, name) * m for name in ("n_routed_experts", "num_experts_per_tok", "n_shared_experts")
    }
    return config.replace(moe_intermediate_size=width, **times_m)


@right("all fields in a dictionary")
def _(config, m):
    if config.moe_intermediate_size != m * int(config.moe_intermediate_size / m):
        raise ValueError
    fields = dict(vars(config))
    fields["moe_intermediate_size"] = int(fields["moe_intermediate_size"] / m)
    for name in ("n_routed_experts", "num_experts_per_tok", "n_shared_experts"):
        fields[name] *= m
    return ModelConfig(**fields)


@right("step by step")
def _(config, m):
    if config.moe_intermediate_size % m:
        raise ValueError("m must divide the inner width")
    config = config.replace(n_routed_experts=m * config.n_routed_experts)
    config = config.replace(num_experts_per_tok=m * config.num_experts_per_tok)
    config = config.replace(n_shared_experts=m * config.n_shared_experts)
    return config.replace(moe_intermediate_size=config.moe_intermediate_size // m)
