"""The shape of a model: one frozen dataclass, and the presets of the course.

The fields bear the names of the published ``config.json`` of DeepSeek-V3, as in transformers'
``DeepseekV3Config``, so that a reader of either finds the way around the other.
"""

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass

_AT_LEAST_ONE = (
    *("vocab_size", "hidden_size", "num_hidden_layers", "intermediate_size", "num_attention_heads", "kv_lora_rank"),
    *("qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim", "n_routed_experts", "moe_intermediate_size", "n_group"),
    "max_position_embeddings",
)


def rules_of(config) -> Callable[[bool, str, str], None]:
    """``must`` for the fields of a dataclass: what does not hold is told by the field's name.

    Raises:
        ValueError: a field is not of the type it is annotated with. An integer may stand for a float.
    """
    for field in dataclasses.fields(config):
        wanted, value = field.type, getattr(config, field.name)
        fits = isinstance(value, int | float if wanted is float else wanted)  # 10000.0 may be written 10000
        if not fits or (isinstance(value, bool) and wanted is not bool):  # to Python, true is the number 1
            raise ValueError(f"{field.name} must be of type {getattr(wanted, '__name__', wanted)}, got {value!r}.")

    def must(holds, name, rule):
        if not holds:
            raise ValueError(f"{name} must be {rule}, got {getattr(config, name)}.")

    return must


@dataclass(frozen=True, kw_only=True)
class Yarn:
    """How a model that was trained on short texts is made to read long ones: the published ``rope_scaling``.

    ``layers.stretch`` slows the slow pairs of rotated features down, ``mla.sharpen`` keeps attention sharp.

    Raises:
        ValueError: a field is of another type, or out of its range.

    Source: Peng et al., arXiv 2309.00071, sections 3.2 and 3.4; DeepSeek-V3, arXiv 2412.19437, section 4.3.
    """

    factor: float  # the context becomes so many times longer; 1..
    original_max_position_embeddings: int  # tokens; the longest context of the training so far; 2 pi beta_slow..
    beta_fast: float = 32.0  # turns in that context; a pair with more of them keeps its speed; beta_slow..
    beta_slow: float = 1.0  # turns; a pair with fewer turns ``factor`` times slower; > 0
    mscale: float = 1.0  # how much sharper attention becomes by the rotated features, > 0
    mscale_all_dim: float = 1.0  # and by those without position, > 0

    def __post_init__(self):
        must = rules_of(self)
        must(1 <= self.factor < math.inf, "factor", "a number of at least 1")
        for name in ("beta_slow", "mscale", "mscale_all_dim"):
            must(0 < getattr(self, name) < math.inf, name, "a positive number")
        must(self.beta_slow <= self.beta_fast < math.inf, "beta_fast", f"at least beta_slow = {self.beta_slow}")
        shortest = math.ceil(2 * math.pi * self.beta_slow)  # the fastest pair, a radian a token, then turns so often
        long_enough = self.original_max_position_embeddings >= shortest
        must(long_enough, "original_max_position_embeddings", f"at least 2 pi beta_slow, {shortest}")


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """Everything that decides the model's parameters and its forward pass, and nothing else.

    Raises:
        ValueError: a field is of another type or out of its range, or two fields do not fit together.

    Source: DeepSeek-V3 (arXiv 2412.19437), section 4.2, and the published ``config.json``.
    """

    vocab_size: int  # tokens
    hidden_size: int  # D, features of the residual stream
    num_hidden_layers: int  # transformer blocks
    intermediate_size: int  # inner width of a dense feed-forward network

    num_attention_heads: int  # H
    kv_lora_rank: int  # width of the latent that is cached for keys and values
    q_lora_rank: int | None = None  # width of the query's latent; None: queries are not compressed
    qk_nope_head_dim: int  # features of a head's query and key that carry no position
    qk_rope_head_dim: int  # features that are rotated by position; even
    v_head_dim: int  # features of a head's value

    n_routed_experts: int  # E
    num_experts_per_tok: int  # K, 1..E
    n_shared_experts: int = 1  # always on; 0..
    moe_intermediate_size: int  # I, inner width of one expert
    first_k_dense_replace: int = 1  # so many first blocks have a dense feed-forward network; 0..layers
    n_group: int = 1  # groups of experts; divides E
    topk_group: int = 1  # groups that a token may choose from, 1..n_group
    norm_topk_prob: bool = True  # divide the chosen gate weights by their sum
    routed_scaling_factor: float = 1.0  # multiplies the gate weights
    num_nextn_predict_layers: int = 0  # modules of multi-token prediction; 0..

    max_position_embeddings: int = 4096  # tokens; the longest context
    rope_theta: float = 10000.0  # base of the rotary wavelengths
    rope_scaling: Yarn | None = None  # how the context was stretched after training; a dict of its fields will do
    rms_norm_eps: float = 1e-6
    initializer_range: float = 0.02  # standard deviation of the matrices' initial weights

    def __post_init__(self):
        if not isinstance(self.rope_scaling, Yarn | None):
            try:
                yarn = Yarn(**self.rope_scaling)  # as a run's record in JSON gives it back
            except TypeError:  # no dict, or not one of these fields
                told = f"rope_scaling must be None, a Yarn or a dict of its fields, got {self.rope_scaling!r}."
                raise ValueError(told) from None
            object.__setattr__(self, "rope_scaling", yarn)
        must = rules_of(self)
        for name in _AT_LEAST_ONE:
            must(getattr(self, name) >= 1, name, "at least 1")
        must(self.q_lora_rank is None or self.q_lora_rank >= 1, "q_lora_rank", "None or at least 1")
        must(self.qk_rope_head_dim % 2 == 0, "qk_rope_head_dim", "even: features rotate in pairs")
        for name in ("n_shared_experts", "num_nextn_predict_layers"):
            must(getattr(self, name) >= 0, name, "at least 0")
        layers, E, M = self.num_hidden_layers, self.n_routed_experts, self.n_group
        must(0 <= self.first_k_dense_replace <= layers, "first_k_dense_replace", f"from 0 to the {layers} layers")
        must(E % M == 0, "n_group", f"a divisor of n_routed_experts = {E}")
        must(1 <= self.topk_group <= M, "topk_group", f"from 1 to n_group = {M}")
        open_to_it = self.topk_group * E // M
        must(
            1 <= self.num_experts_per_tok <= open_to_it,
            "num_experts_per_tok",
            f"from 1 to {open_to_it}, the experts of the groups that are kept",
        )
        for name in ("routed_scaling_factor", "rope_theta", "rms_norm_eps", "initializer_range"):
            must(0 < getattr(self, name) < math.inf, name, "a positive number")
        must(self.rope_scaling is None or self.rope_theta > 1, "rope_theta", "above 1 where there is a rope_scaling")

    @property
    def qk_head_dim(self) -> int:
        """Features of one head's query and key."""
        return self.qk_nope_head_dim + self.qk_rope_head_dim

    def replace(self, **changes) -> "ModelConfig":
        """A copy with some fields changed.

        >>> tiny().replace(num_hidden_layers=2).num_hidden_layers
        2
        """
        return dataclasses.replace(self, **changes)


def split_experts(config: ModelConfig, m: int) -> ModelConfig:
    """Fine-grained experts: cut each into m thinner ones, and let m times as many work on a token. Except for the
    router, which has a row for each expert, as much is stored and as much is computed as before, by the routed experts
    and by the shared ones.

    The number of ways to choose grows: 2 of 8 are 28 combinations, 8 of 32 are 10,518,300.

    Raises:
        ValueError: m is below 1, or does not divide the inner width of an expert.

    Source: DeepSeekMoE, arXiv 2401.06066, section 3.1.

    >>> fine = split_experts(tiny(), 4)
    >>> fine.n_routed_experts, fine.num_experts_per_tok, fine.moe_intermediate_size, fine.n_shared_experts
    (32, 8, 16, 4)
    """
    if m < 1 or config.moe_intermediate_size % m:
        raise ValueError(f"m must divide moe_intermediate_size = {config.moe_intermediate_size}, got {m}.")
    return config.replace(
        n_routed_experts=config.n_routed_experts * m,
        num_experts_per_tok=config.num_experts_per_tok * m,
        n_shared_experts=config.n_shared_experts * m,
        moe_intermediate_size=config.moe_intermediate_size // m,
    )


def tiny() -> ModelConfig:
    """About 1 M parameters: trains in the time of a lesson."""
    return ModelConfig(
        vocab_size=1024,
        hidden_size=128,
        num_hidden_layers=4,
        intermediate_size=192,
        num_attention_heads=4,
        kv_lora_rank=64,
        qk_nope_head_dim=16,
        qk_rope_head_dim=16,
        v_head_dim=32,
        n_routed_experts=8,
        num_experts_per_tok=2,
        moe_intermediate_size=64,
        initializer_range=0.08,
    )


def small() -> ModelConfig:
    """About 11 M parameters: an evening on a laptop."""
    return ModelConfig(
        vocab_size=2048,
        hidden_size=256,
        num_hidden_layers=6,
        intermediate_size=640,
        num_attention_heads=8,
        kv_lora_rank=128,
        qk_nope_head_dim=16,
        qk_rope_head_dim=16,
        v_head_dim=32,
        n_routed_experts=16,
        num_experts_per_tok=4,
        moe_intermediate_size=128,
        initializer_range=0.06,
    )


def deepseek_v3() -> ModelConfig:
    """The published model, 671 B parameters: to be counted on the meta device, never allocated.

    This is the model as pre-trained, on 4,096 tokens at a time, which is what its headlines are about. It was then
    stretched, with ``rope_scaling=Yarn(factor=40, original_max_position_embeddings=4096)`` and
    ``max_position_embeddings=163840``; so says the published ``config.json``, which ``hf.config_from_hf`` reads.
    """
    return ModelConfig(
        vocab_size=129280,
        hidden_size=7168,
        num_hidden_layers=61,
        intermediate_size=18432,
        num_attention_heads=128,
        kv_lora_rank=512,
        q_lora_rank=1536,
        qk_nope_head_dim=128,
        qk_rope_head_dim=64,
        v_head_dim=128,
        n_routed_experts=256,
        num_experts_per_tok=8,
        n_shared_experts=1,
        moe_intermediate_size=2048,
        first_k_dense_replace=3,
        n_group=8,
        topk_group=4,
        routed_scaling_factor=2.5,
        initializer_range=0.006,
    )
