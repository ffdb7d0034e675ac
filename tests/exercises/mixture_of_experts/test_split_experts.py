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
wrong("a shared expert out of nothing")(
    learner_splits(**E, **K, **I, n_shared_experts=lambda c, m: max(m, m * c.n_shared_experts))
)
wrong("added in place of multiplied", "shared experts")(
    learner_splits(**E, **K, **I, n_shared_experts=lambda c, m: c.n_shared_experts + m - 1)
)
wrong("added in place of multiplied", "the chosen")(
    learner_splits(**E, **S, **I, num_experts_per_tok=lambda c, m: c.num_experts_per_tok + m)
)
wrong("multiplied by m twice")(learner_splits(**K, **S, **I, n_routed_experts=lambda c, m: c.n_routed_experts * m**2))
wrong("another field changed", "the groups set back")(
    learner_splits(**E, **K, **S, **I, n_group=lambda c, m: 1, topk_group=lambda c, m: 1)
)
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
wrong("raises ValueError", "inner width a float, a single slash")(
    learner_splits(**E, **K, **S, moe_intermediate_size=lambda c, m: c.moe_intermediate_size / m)
)
wrong("rounded without an error", "//")(learner_splits(checked=False, **E, **K, **S, **I))
wrong("rounded without an error", "round")(
    learner_splits(checked=False, **E, **K, **S, moe_intermediate_size=lambda c, m: round(c.moe_intermediate_size / m))
)


@wrong("other fields lost", "from tiny")
def _(config, m):
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
    config.replace(n_routed_experts=config.n_routed_experts * m)
    return config


@wrong("raises FrozenInstanceError")
def _(config, m):
    config.n_routed_experts *= m
    config.num_experts_per_tok *= m
    config.moe_intermediate_size //= m
    return config


@wrong("another error than documented", "assert")
def _(config, m):
    assert config.moe_intermediate_size % m == 0
    return learner_splits(**E, **K, **S, **I)(config, m)


@wrong("another error than documented", "divided by 0")
def _(config, m):
    if config.moe_intermediate_size % m or m < 0:
        raise ValueError(f"m must divide {config.moe_intermediate_size}, got {m}")
    return learner_splits(**E, **K, **S, **I)(config, m)


@wrong("error without the value", "a negative m found by another rule")
def _(config, m):
    if m == 0 or config.moe_intermediate_size % m:
        raise ValueError(f"m must divide {config.moe_intermediate_size}, got {m}")
    return learner_splits(**E, **K, **S, **I)(config, m)


@wrong("error without the value")
def _(config, m):
    if m < 1 or config.moe_intermediate_size % m:
        raise ValueError("m must divide the inner width")
    return learner_splits(**E, **K, **S, **I)(config, m)


@wrong("refuses a legal input", "m = 1")
def _(config, m):
    if m <= 1:
        raise ValueError(f"m must be 2 or more, got {m}")
    return learner_splits(**E, **K, **S, **I)(config, m)


@wrong("refuses a legal input", "a width of 1")
def _(config, m):
    if m >= config.moe_intermediate_size:
        raise ValueError(f"nothing is left of the experts, got m = {m}")
    return learner_splits(**E, **K, **S, **I)(config, m)


@wrong("refuses a legal input", "more pieces than experts")
def _(config, m):
    if m > config.n_routed_experts:
        raise ValueError(f"m must be at most the number of experts, got {m}")
    return learner_splits(**E, **K, **S, **I)(config, m)


@wrong("changes its input", "frozen as it is")
def _(config, m):
    fine = learner_splits(**E, **K, **S, **I)(config, m)
    for name, value in vars(fine).items():
        object.__setattr__(config, name, value)
    return config


_split = {}


@wrong("inner width not from the config", "the first result for each m kept")
def _(config, m):
    return _split.setdefault(m, learner_splits(**E, **K, **S, **I)(config, m))


_widths = {}


@wrong("inner width not from the config", "the first width for each m kept")
def _(config, m):
    fine = learner_splits(**E, **K, **S, **I)(config, m)
    key = m, config.n_routed_experts, config.n_shared_experts
    return fine.replace(moe_intermediate_size=_widths.setdefault(key, fine.moe_intermediate_size))


@wrong("refuses a legal input", "the number of experts need not be divided")
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
    width, rest = divmod(config.moe_intermediate_size, m) if m > 0 else (0, 1)
    if rest:
        raise ValueError(f"no whole width: {config.moe_intermediate_size} / {m}")
    times_m = {
        name: getattr(config, name) * m for name in ("n_routed_experts", "num_experts_per_tok", "n_shared_experts")
    }
    return config.replace(moe_intermediate_size=width, **times_m)


@right("all fields in a dictionary")
def _(config, m):
    if m not in [d for d in range(1, config.moe_intermediate_size + 1) if config.moe_intermediate_size % d == 0]:
        raise ValueError(f"{m} is no divisor")
    fields = dict(vars(config))
    fields["moe_intermediate_size"] = int(fields["moe_intermediate_size"] / m)
    for name in ("n_routed_experts", "num_experts_per_tok", "n_shared_experts"):
        fields[name] *= m
    return ModelConfig(**fields)


@right("step by step, the same config for m = 1")
def _(config, m):
    if m == 1:
        return config
    if m <= 0:
        raise ValueError(f"m must be positive, got {m}")
    if config.moe_intermediate_size % m:
        raise ValueError(f"m must divide the inner width, got {m}")
    config = config.replace(n_routed_experts=m * config.n_routed_experts)
    config = config.replace(num_experts_per_tok=m * config.num_experts_per_tok)
    config = config.replace(n_shared_experts=m * config.n_shared_experts)
    return config.replace(moe_intermediate_size=config.moe_intermediate_size // m)
