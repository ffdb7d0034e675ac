"""Mistakes that people make in `attention_parameters`: each changes one of the four stations."""

from types import SimpleNamespace

from mini_moe.cost import attention_parameters
from mini_moe.course.checking.exercise import Mistake


def _queries(*, straight=None, asked=None, norm=None):
    """The station of the queries: straight, or through a latent, which asks the heads' features of it."""

    def station(s):
        wide = s.H * (s.P + s.R)
        if s.Q is None:
            return straight(s) if straight else s.D * wide
        return s.D * s.Q + (norm(s) if norm else s.Q) + s.Q * (asked(s) if asked else wide)

    return station


def _wide(wide):
    """The stations of queries that are ``wide``: without a latent, through one, and both."""
    straight = {"straight": lambda s: s.D * wide(s)}
    return [_queries(**changed) for changed in (straight, {"asked": wide}, straight | {"asked": wide})]


STATIONS = {
    "queries": _queries(),
    "latent": lambda s: s.D * (s.C + s.R) + s.C,
    "expansion": lambda s: s.C * s.H * (s.P + s.W),
    "output": lambda s: s.H * s.W * s.D,
}


def _letters(config):
    return SimpleNamespace(
        D=config.hidden_size, H=config.num_attention_heads, C=config.kv_lora_rank, Q=config.q_lora_rank,
        P=config.qk_nope_head_dim, R=config.qk_rope_head_dim, W=config.v_head_dim,
    )  # fmt: skip


def _with(**changed):
    """The count with some stations changed, or with more of them."""
    return lambda config: sum(station(_letters(config)) for station in (STATIONS | changed).values())


def _latent_of(width):
    """The count where queries that have no latent are given one, so wide."""
    return _with(queries=lambda s: _queries()(SimpleNamespace(**vars(s) | {"Q": s.Q or width(s)})))


def _biases(s):
    """A bias for each output of each matrix."""
    return (s.Q or 0) + s.H * (s.P + s.R) + s.C + s.R + s.H * (s.P + s.W) + s.D


LEFT_OUT = (
    Mistake(
        "norms left out",
        "Only the matrices are counted: each latent also passes a norm, with one parameter a feature.",
        _with(queries=_queries(norm=lambda s: 0), latent=lambda s: s.D * (s.C + s.R)),
    ),
    Mistake(
        "norm of the query's latent left out",
        "The norm of the query's latent is missing: where `q_lora_rank` is a number, it adds that many parameters.",
        _with(queries=_queries(norm=lambda s: 0)),
    ),
    Mistake(
        "norm of the latent left out",
        "The norm of the latent is missing: it has one parameter for each of its C features.",
        _with(latent=lambda s: s.D * (s.C + s.R)),
    ),
    Mistake(
        "queries left out",
        "The queries are missing: D to H (P + R), or through a latent where `q_lora_rank` is a number.",
        _with(queries=lambda s: 0),
    ),
    *(
        Mistake(
            "queries without their rotated part",
            "The queries are P wide here: a head's query has a rotated part, too, so it is P + R wide.",
            _with(queries=queries),
        )
        for queries in _wide(lambda s: s.H * s.P)
    ),
    Mistake(
        "latent left out",
        "The projection from D to the latent, C + R wide, is missing, and so is its norm.",
        _with(latent=lambda s: 0),
    ),
    Mistake(
        "rotated key left out",
        "The projection to the latent is C wide here: it also makes the rotated key, so it is C + R wide.",
        _with(latent=lambda s: s.D * s.C + s.C),
    ),
    Mistake(
        "values not expanded",
        "Only keys are expanded from the latent: the values of every head (W) come from it, too.",
        _with(expansion=lambda s: s.C * s.H * s.P),
    ),
    Mistake(
        "keys not expanded",
        "Only values are expanded from the latent: the keys of every head (P) come from it, too.",
        _with(expansion=lambda s: s.C * s.H * s.W),
    ),
    Mistake(
        "expansion left out",
        "The latent is never expanded: keys (P) and values (W) of every head come from it by a matrix.",
        _with(expansion=lambda s: 0),
    ),
    Mistake(
        "output projection left out",
        "The way back is missing: the heads' values, H W features, are projected to D.",
        _with(output=lambda s: 0),
    ),
)

QUERIES = (
    Mistake(
        "query compression ignored",
        "The queries go straight from D to the heads here: where `q_lora_rank` is a number, they pass a latent of "
        "that width first.",
        _with(queries=lambda s: s.D * s.H * (s.P + s.R)),
    ),
    *(
        Mistake(
            "a latent where there is none",
            "Where `q_lora_rank` is `None`, the queries are given a latent and a norm here: they have neither, only "
            "one matrix D x H (P + R).",
            latent,
        )
        for latent in (_latent_of(lambda s: s.D), _latent_of(lambda s: s.C), _latent_of(lambda s: 1))
    ),
    Mistake(
        "no queries without a latent",
        "Where `q_lora_rank` is `None`, no queries are counted: there is one matrix then, D x H (P + R).",
        _with(queries=_queries(straight=lambda s: 0)),
    ),
    *(
        Mistake(
            "a norm without a latent",
            "Where `q_lora_rank` is `None`, a norm is counted for the queries: without a latent there is none.",
            _with(queries=_queries(straight=lambda s, norm=norm: s.D * s.H * (s.P + s.R) + norm(s))),
        )
        for norm in (lambda s: s.D, lambda s: s.H * (s.P + s.R))
    ),
    *(
        Mistake(
            "queries square",
            "The queries are taken to be D wide in all: their matrix ends in H (P + R) features, which need not be D.",
            _with(queries=queries),
        )
        for queries in (*_wide(lambda s: s.D), lambda s: s.D**2)
    ),
    *(
        Mistake(
            "one rotated query for all heads",
            "The rotated part of the query is counted once: only the *key's* is shared, each head has its own query, "
            "P + R wide.",
            _with(queries=queries),
        )
        for queries in _wide(lambda s: s.H * s.P + s.R)
    ),
    *(
        Mistake(
            "queries normed in the wrong place",
            "The norm of the queries is given another width than Q: it stands on their latent, which has "
            "`q_lora_rank` features.",
            _with(queries=_queries(norm=norm)),
        )
        for norm in (lambda s: s.H * (s.P + s.R), lambda s: s.P + s.R, lambda s: s.D, lambda s: s.C)
    ),
)

WIDTHS = (
    Mistake(
        "rotated key normed",
        "The norm is taken to be C + R wide: it covers the latent alone, C features, not the rotated key.",
        _with(latent=lambda s: s.D * (s.C + s.R) + s.C + s.R),
    ),
    Mistake(
        "rotated key for every head",
        "The rotated key is counted once for every head: all heads share one, so it adds R columns, not H R.",
        _with(latent=lambda s: s.D * (s.C + s.H * s.R) + s.C),
    ),
    Mistake(
        "rotated key expanded",
        "The expansion makes whole keys here, P + R wide: it makes only the part without position, P; the rotated "
        "key comes straight from D.",
        _with(expansion=lambda s: s.C * s.H * (s.P + s.R + s.W)),
    ),
    Mistake(
        "output square",
        "The way back is counted as D by D: it starts from the values of all heads, H W features, which need not be D.",
        _with(output=lambda s: s.D**2),
    ),
    *(
        Mistake(
            "values as wide as keys",
            "The values are given a width of the keys, P or P + R: they have a width of their own, `v_head_dim`.",
            lambda config, wide=wide: _with()(config.replace(v_head_dim=wide(config))),
        )
        for wide in (lambda config: config.qk_head_dim, lambda config: config.qk_nope_head_dim)
    ),
    *(
        Mistake(
            "output from the width of keys",
            "The way back starts from the width of the keys here, P or P + R: it starts from the values, W for each "
            "head.",
            _with(output=lambda s, wide=wide: s.H * wide(s) * s.D),
        )
        for wide in (lambda s: s.P + s.R, lambda s: s.P)
    ),
    *(
        Mistake(
            "expansion with one width twice",
            "The expansion makes keys and values of one width here: the keys' part without position is P wide, the "
            "values are W wide.",
            _with(expansion=lambda s, wide=wide: s.C * s.H * 2 * wide(s)),
        )
        for wide in (lambda s: s.P, lambda s: s.W)
    ),
    Mistake(
        "one head only",
        "This is attention with one head: queries, expansion and output grow with H.",
        lambda config: _with()(config.replace(num_attention_heads=1)),
    ),
    *(
        Mistake(
            "one station for one head only",
            "One of queries, expansion and output is counted for a single head: each has H times the width of a head.",
            _with(**station),
        )
        for station in (
            *({"queries": queries} for queries in _wide(lambda s: s.P + s.R)),
            {"expansion": lambda s: s.C * (s.P + s.W)},
            {"output": lambda s: s.W * s.D},
        )
    ),
    *(
        Mistake(
            "brackets missing",
            "A product reaches only the first of two summands: `C * H * P + W` is not `C * H * (P + W)`.",
            _with(**station),
        )
        for station in (
            {"expansion": lambda s: s.C * s.H * s.P + s.W},
            {"expansion": lambda s: s.C * (s.H * s.P + s.W)},
            {"latent": lambda s: s.D * s.C + s.R + s.C},
            {"queries": _queries(straight=lambda s: s.D * s.H * s.P + s.R)},
        )
    ),
)

TOO_MUCH = (
    Mistake(
        "norms with a shift",
        "Each norm is counted twice, as with a scale and a shift: these norms only scale, one parameter a feature.",
        _with(queries=_queries(norm=lambda s: 2 * s.Q), latent=lambda s: s.D * (s.C + s.R) + 2 * s.C),
    ),
    *(
        Mistake(
            "norms of the layer counted",
            "Norms over D are counted, too: they belong to the layer around attention. Here only the latents' norms "
            "count.",
            _with(norms=lambda s, n=n: n * s.D),
        )
        for n in (1, 2)
    ),
    Mistake(
        "all layers",
        "This is the attention of all layers together: give that of one.",
        lambda config: config.num_hidden_layers * attention_parameters(config),
    ),
    Mistake(
        "biases counted",
        "A bias is counted for each output: these matrices have none, m n parameters is all.",
        _with(biases=_biases),
    ),
    Mistake(
        "plain multi-head attention",
        "This is 4 D², attention before latents: here the matrices go through the widths of the configuration.",
        lambda config: 4 * config.hidden_size**2,
    ),
    Mistake(
        "overflows 32 bits",
        "A large model's count runs over: 32 bits hold no more than 2,147,483,647. Python's own `int` has no end.",
        lambda config: (attention_parameters(config) + 2**31) % 2**32 - 2**31,
    ),
)

MISTAKES = LEFT_OUT + QUERIES + WIDTHS + TOO_MUCH
