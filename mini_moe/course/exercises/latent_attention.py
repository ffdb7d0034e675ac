"""Lesson 02, why is a long context cheap: what a cache costs, and attention that remembers one small latent a token."""

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from mini_moe.cost import gqa_cache_bytes_per_token
from mini_moe.course.exercise import Exercise, Mistake, Property, Wrong, agrees_with, must_equal
from mini_moe.course.observe import flatten
from mini_moe.course.quiz import Option, Quiz
from mini_moe.layers import apply_rotary, causal_attention, rms_norm, rotary_angles
from mini_moe.mla import attend_absorbed, compress, expand

# --- gqa_cache_bytes_per_token ----------------------------------------------------------------------------------------


def _cases_of_cache(generator):
    def draw(low, high):
        return torch.randint(low, high + 1, (1,), generator=generator).item()

    yield 1, 1, 3, 1
    yield draw(2, 4), draw(3, 5), draw(6, 9), 4
    yield draw(11, 99), draw(6, 10), 64, 1
    yield 126, 8, 128  # Llama-3.1-405B, with the default of 2 bytes


def _one_of_each(function, *_):
    got = function(1, 1, 1, 1)
    if got != 2:
        raise Wrong(
            "One layer, one head, one feature, one byte for each number: a key and a value are 2 bytes, where this "
            f"gives {got}."
        )


def _grows_with_each(function, n_layers, n_kv_heads, head_dim, bytes_per_element=2):
    sizes = {
        "layers": n_layers, "heads": n_kv_heads, "features of a head": head_dim, "bytes of a number": bytes_per_element
    }  # fmt: skip
    once = function(*sizes.values())
    for name in sizes:
        twice = function(*(sizes | {name: 2 * sizes[name]}).values())
        must_equal(twice, 2 * once, f"Twice as many {name} must take twice the memory, not {twice} bytes after {once}.")


def _numbers(n_layers, n_kv_heads, head_dim):
    """Keys and values of one token."""
    return n_layers * n_kv_heads * 2 * head_dim


GQA_CACHE_BYTES_PER_TOKEN = Exercise(
    lesson="latent_attention",
    reference=gqa_cache_bytes_per_token,
    cases=_cases_of_cache,
    properties=(
        Property("a key and a value of one byte take two bytes", _one_of_each),
        Property("twice of any of the four takes twice the memory", _grows_with_each),
        Property("agrees with the library", agrees_with(gqa_cache_bytes_per_token)),
    ),
    mistakes=(
        Mistake(
            "value left out",
            "Half is missing: each head keeps a key *and* a value of each token.",
            lambda layers, heads, width, size=2: layers * heads * width * size,
        ),
        Mistake(
            "query cached",
            "Three vectors a head are counted: a query is used once, by its own token, and never kept.",
            lambda layers, heads, width, size=2: layers * heads * 3 * width * size,
        ),
        Mistake(
            "keys and values counted twice",
            "There is a factor 2 too many: one for a key and a value is right, and `bytes_per_element` brings its own.",
            lambda layers, heads, width, size=2: 2 * _numbers(layers, heads, width) * size,
        ),
        Mistake(
            "layers left out",
            "This is the cache of one layer: each layer has its own keys and values.",
            lambda layers, heads, width, size=2: _numbers(1, heads, width) * size,
        ),
        Mistake(
            "heads left out",
            "This is the cache of one head: each key-value head has a key and a value of its own.",
            lambda layers, heads, width, size=2: _numbers(layers, 1, width) * size,
        ),
        Mistake(
            "layers and heads left out",
            "This is the cache of one head in one layer: each layer has its own, and in it each key-value head.",
            lambda layers, heads, width, size=2: _numbers(1, 1, width) * size,
        ),
        Mistake(
            "features left out",
            "Keys and values are counted, not their numbers: each is `head_dim` numbers wide.",
            lambda layers, heads, width, size=2: _numbers(layers, heads, 1) * size,
        ),
        Mistake(
            "one vector a layer",
            "This is one vector for each layer, as latent attention keeps it: here each head keeps a key and a value.",
            lambda layers, heads, width, size=2: layers * width * size,
        ),
        Mistake(
            "width of a head divided again",
            "`head_dim` is divided by the heads: it is the width of one head already.",
            lambda layers, heads, width, size=2: _numbers(layers, heads, width // heads) * size,
        ),
        Mistake(
            "squared in place of doubled",
            "The width is squared: a key and a value are 2 * head_dim numbers.",
            lambda layers, heads, width, size=2: layers * heads * width**2 * size,
        ),
        *(
            Mistake(
                "heads and width added",
                "Heads and their width are added: every head is `head_dim` wide, so multiply.",
                lambda layers, heads, width, size=2, both=both: layers * both * (heads + width) * size,
            )
            for both in (1, 2)
        ),
        Mistake(
            "numbers, not bytes",
            "This counts numbers: each takes `bytes_per_element` bytes.",
            lambda layers, heads, width, size=2: _numbers(layers, heads, width),
        ),
        *(
            Mistake(
                "bytes written in",
                "The bytes of a number are written in: use the argument, for caches are kept in 1, 2 or 4 bytes.",
                lambda layers, heads, width, size=2, own=own: _numbers(layers, heads, width) * own,
            )
            for own in (2, 4)
        ),
        Mistake(
            "bits",
            "This is in bits: the size of a number is given in bytes, and bytes are wanted.",
            lambda layers, heads, width, size=2: _numbers(layers, heads, width) * size * 8,
        ),
        *(
            Mistake(
                "divided by 8",
                "It divides by 8: `bytes_per_element` is in bytes, not in bits; nothing to convert.",
                eighth,
            )
            for eighth in (
                lambda layers, heads, width, size=2: _numbers(layers, heads, width) * size / 8,
                lambda layers, heads, width, size=2: _numbers(layers, heads, width) * size // 8,
            )
        ),
        *(
            Mistake(
                "another unit",
                "This is in thousands or millions of bytes: give bytes, and convert where you print them.",
                function,
            )
            for unit in (1000, 1024, 1000**2, 1024**2, 1000**3, 1024**3)
            for function in (
                lambda layers, heads, width, size=2, unit=unit: _numbers(layers, heads, width) * size / unit,
                lambda layers, heads, width, size=2, unit=unit: _numbers(layers, heads, width) * size // unit,
            )
        ),
    ),
    hints=(
        "Count the numbers that one head of one layer keeps of a token; then all heads, all layers, and their bytes.",
        "A head keeps two vectors of head_dim numbers, a key and a value. Queries are not kept.",
        "return n_layers * n_kv_heads * 2 * head_dim * bytes_per_element",
    ),
    difficulty=1,
    minutes=3,
)

# --- compress ---------------------------------------------------------------------------------------------------------


def _cases_of_compress(generator):
    # A latent as wide as the key, or a key of one pair: only there can the latent be rotated by mistake.
    for B, T, D, C, R in ((1, 1, 2, 2, 2), (1, 3, 3, 6, 4), (2, 3, 5, 4, 4), (2, 4, 3, 6, 2)):
        yield *_tokens_and_weights(generator, B, T, D, C, R), 1e-6
    x, *weights = _tokens_and_weights(generator, 1, 2, 3, 4, 4)
    yield 0.1 * x, *weights, 1e-2  # where eps is not small


def _tokens_and_weights(generator, B, T, D, C, R):
    x, w = torch.randn(B, T, D, generator=generator), torch.randn(C + R, D, generator=generator)
    start = torch.randint(1, 40, (1,), generator=generator)
    return x, w, torch.rand(C, generator=generator) + 0.5, *rotary_angles(torch.arange(T) + start, R, theta=100.0)


def _latent_normed(function, x, w, norm, cos, sin, eps):
    latent = function(x, w, torch.ones_like(norm), cos, sin, 0.0)[..., : len(norm)]
    size = latent.square().mean(dim=-1).sqrt()
    must_equal(size, torch.ones_like(size), "With all weights of the norm 1, each latent must have root mean square 1.")


def _latent_without_position(function, x, w, norm, cos, sin, eps):
    turned, still = (function(x, w, norm, *angles, eps) for angles in ((cos, sin), _no_turn(cos)))
    must_equal(
        turned[..., : len(norm)],
        still[..., : len(norm)],
        "The latent changes with the position of its token: only the key is rotated.",
    )


def _no_turn(cos):
    return torch.ones_like(cos), torch.zeros_like(cos)


def _key_keeps_its_size(function, x, w, norm, cos, sin, eps):
    once, thrice = (function(factor * x, w, norm, cos, sin, eps)[..., len(norm) :] for factor in (1, 3))
    must_equal(thrice, 3 * once, "A token three times as large must give a key three times as large: it is not normed.")


def _key_turned(function, x, w, norm, cos, sin, eps):
    turned, still = (function(x, w, norm, *angles, eps)[..., len(norm) :] for angles in ((cos, sin), _no_turn(cos)))
    must_equal(turned, apply_rotary(still, cos, sin), "The key must turn by the angles of its token's position.")


def _tokens_apart(function, x, w, norm, cos, sin, eps):
    must_equal(
        function(x[:, :1], w, norm, cos[:1], sin[:1], eps),
        function(x, w, norm, cos, sin, eps)[:, :1],
        "What is remembered of a token depends on the tokens after it.",
    )


def _remembered(latent=rms_norm, key=apply_rotary):
    """Compression by ``latent(latent, norm, eps)`` and ``key(key, cos, sin)``, for the mistakes."""

    def function(x, w, norm, cos, sin, eps=1e-6):
        c, r = F.linear(x, w).tensor_split([len(norm)], dim=-1)
        return torch.cat((latent(c, norm, eps), key(r, cos, sin)), dim=-1)

    return function


def _as_it_is(latent, norm, eps):
    return latent


def _unit(x, eps):
    """Divided by its root mean square, without a weight."""
    return F.rms_norm(x, x.shape[-1:], eps=eps)


def _halves_turned(key, cos, sin):
    a, b = key.chunk(2, dim=-1)
    return torch.cat((a * cos - b * sin, a * sin + b * cos), dim=-1)


def _key_normed(norm_key):
    """With a key that is ``norm_key(key, norm, eps)`` before it turns, or after, for the mistakes."""

    def before(x, w, norm, cos, sin, eps=1e-6):
        return _remembered(key=lambda key, cos, sin: apply_rotary(norm_key(key, norm, eps), cos, sin))(
            x, w, norm, cos, sin, eps
        )

    def after(x, w, norm, cos, sin, eps=1e-6):
        return _remembered(key=lambda key, cos, sin: norm_key(apply_rotary(key, cos, sin), norm, eps))(
            x, w, norm, cos, sin, eps
        )

    return before, after


def _latent_turned(turn):
    """With a latent that is ``turn(latent, norm, eps, rotate)``, for the mistakes."""

    def function(x, w, norm, cos, sin, eps=1e-6):
        def latent(c, norm, eps):
            return turn(c, norm, eps, lambda y: apply_rotary(y, cos, sin))

        return _remembered(latent)(x, w, norm, cos, sin, eps)

    return function


def _normed_together(own_eps, key_normed):
    """With one root mean square for all of W x, which divides the key or not, for the mistakes."""

    def function(x, w, norm, cos, sin, eps=1e-6):
        both = F.linear(x, w)
        normed = _unit(both, eps if own_eps is None else own_eps)
        key = (normed if key_normed else both)[..., len(norm) :]
        return torch.cat((normed[..., : len(norm)] * norm, apply_rotary(key, cos, sin)), dim=-1)

    return function


def _normed_over(dim):
    """With a root mean square over ``dim`` of (B, T, C), for the mistakes."""
    return _remembered(lambda c, norm, eps: norm * c * (c.square().mean(dim=dim, keepdim=True) + eps).rsqrt())


def _latent_from_the_last_rows(x, w, norm, cos, sin, eps=1e-6):
    y, C = F.linear(x, w), len(norm)
    return torch.cat((rms_norm(y[..., -C:], norm, eps), apply_rotary(y[..., C:], cos, sin)), dim=-1)


def _key_from_the_latent(normed):
    """With a key that is the first features of ``normed(latent, norm, eps)``, for the mistakes."""

    def function(x, w, norm, cos, sin, eps=1e-6):
        latent = F.linear(x, w[: len(norm)])
        key = normed(latent, norm, eps)[..., : 2 * cos.shape[-1]]
        return torch.cat((rms_norm(latent, norm, eps), apply_rotary(key, cos, sin)), dim=-1)

    return function


def _half_a_key(start):
    """With a key of only the R/2 features from ``start(C, R/2)`` on, for the mistakes."""

    def function(x, w, norm, cos, sin, eps=1e-6):
        y, C, half = F.linear(x, w), len(norm), cos.shape[-1]
        key = y[..., start(C, half) :][..., :half]
        return torch.cat((rms_norm(y[..., :C], norm, eps), apply_rotary(key, cos, sin)), dim=-1)

    return function


def _not_interleaved(key, cos, sin):
    a, b = key[..., 0::2], key[..., 1::2]
    return torch.cat((a * cos - b * sin, a * sin + b * cos), dim=-1)


def _exchanged_in_memory(x, w, norm, cos, sin, eps=1e-6):
    return compress(x, w, norm, cos, sin, eps).roll(2 * cos.shape[-1], dims=-1)


def _key_from_the_first_rows(x, w, norm, cos, sin, eps=1e-6):
    return compress(x, w.roll(-2 * cos.shape[-1], dims=0), norm, cos, sin, eps)


def _key_first_all_along(x, w, norm, cos, sin, eps=1e-6):
    return _exchanged_in_memory(x, w.roll(-2 * cos.shape[-1], dims=0), norm, cos, sin, eps)


def _norm_and_turn_exchanged(x, w, norm, cos, sin, eps=1e-6):
    latent, key = F.linear(x, w).tensor_split([len(norm)], dim=-1)
    return torch.cat((apply_rotary(latent, cos, sin), rms_norm(key, norm, eps)), dim=-1)


_EPS = torch.finfo(torch.float32).eps  # the default of torch's own norm

COMPRESS = Exercise(
    lesson="latent_attention",
    reference=compress,
    cases=_cases_of_compress,
    properties=(
        Property("the latent is remembered normed", _latent_normed),
        Property("the latent is the same at every position", _latent_without_position),
        Property("the key is not normed", _key_keeps_its_size),
        Property("the key turns with its position", _key_turned),
        Property("each token is remembered by itself", _tokens_apart),
        Property("agrees with the library, gradients too", agrees_with(compress)),
    ),
    mistakes=(
        Mistake(
            "latent not normed",
            "The latent is remembered as it was before the norm: norm it first, once, and keep the result.",
            _remembered(_as_it_is),
        ),
        *(
            Mistake(
                "latent rotated as well",
                "The latent is rotated, too: values and keys are made from it, and must not depend on where the token "
                "stands. Position has its own place: only the last R numbers turn.",
                _latent_turned(turn),
            )
            for turn in (
                lambda latent, norm, eps, rotate: rotate(rms_norm(latent, norm, eps)),
                lambda latent, norm, eps, rotate: rms_norm(rotate(latent), norm, eps),
                lambda latent, norm, eps, rotate: rotate(latent),
            )
        ),
        *(
            Mistake(
                "norm and rotation exchanged",
                "The first part is rotated and the last is normed: the first C features are the latent, which is "
                "normed; the last R are the key, which turns.",
                function,
            )
            for function in (_norm_and_turn_exchanged, _key_first_all_along)
        ),
        *(
            Mistake(
                "latent and key normed together",
                "One norm goes over latent and key together: take the first C features alone, `len(norm_C)`.",
                _normed_together(own_eps, key_normed),
            )
            for own_eps in (None, _EPS, 1e-6)
            for key_normed in (True, False)
        ),
        *(
            Mistake(
                "key normed as well",
                "The key is normed, too: only the latent passes the norm.",
                function,
            )
            for norm_key in (
                lambda key, norm, eps: _unit(key, eps),
                lambda key, norm, eps: _unit(key, _EPS),
                lambda key, norm, eps: _unit(key, 1e-6),
                lambda key, norm, eps: rms_norm(key, norm[: key.shape[-1]], eps),
            )
            for function in _key_normed(norm_key)
        ),
        Mistake(
            "key not rotated",
            "The key is remembered unrotated: turn it now, once, by its own position.",
            _remembered(key=lambda key, cos, sin: key),
        ),
        Mistake(
            "key turned backwards",
            "The key turns the wrong way round: (a, b) becomes (a cos - b sin, a sin + b cos).",
            _remembered(key=lambda key, cos, sin: apply_rotary(key, cos, -sin)),
        ),
        Mistake(
            "cos and sin exchanged",
            "cos and sin are exchanged: `apply_rotary(key, cos, sin)`.",
            _remembered(key=lambda key, cos, sin: apply_rotary(key, sin, cos)),
        ),
        Mistake(
            "halves of the key paired",
            "Feature i of the key is paired with feature i + R/2: here neighbours are, as in `apply_rotary`.",
            _remembered(key=_halves_turned),
        ),
        Mistake(
            "key not interleaved again",
            "The pairs of the key turn rightly, but come out as all first features, then all second ones: each belongs "
            "back where it came from, as in `apply_rotary`.",
            _remembered(key=_not_interleaved),
        ),
        Mistake(
            "angles of the first token",
            "Every token turns by the angles of the first: each has a row of `cos` and `sin`.",
            _remembered(key=lambda key, cos, sin: apply_rotary(key, cos[:1], sin[:1])),
        ),
        *(
            Mistake(
                "key made of the latent",
                "The key is made of the latent, the first features of W x: the last R of W x are the key.",
                _key_from_the_latent(normed),
            )
            for normed in (_as_it_is, rms_norm)
        ),
        Mistake(
            "latent from the last rows",
            "The latent is cut from the end of W x: its first C features are the latent, its last R the key.",
            _latent_from_the_last_rows,
        ),
        *(
            Mistake(
                "R taken from cos",
                "Only half of the key is taken: `cos` and `sin` have an angle for each *pair*, R/2 of them. The key is "
                "all that comes after the first C features.",
                _half_a_key(start),
            )
            for start in (lambda C, half: C, lambda C, half: -half)
        ),
        Mistake(
            "key before the latent",
            "The key stands before the latent: the latent comes first, then the key.",
            _exchanged_in_memory,
        ),
        Mistake(
            "key from the first rows",
            "The first rows of W are taken for the key: they give the latent, the last R give the key.",
            _key_from_the_first_rows,
        ),
        *(
            Mistake(
                "token normed",
                "The token is normed before W: the block around attention does that. Here the latent is normed.",
                function,
            )
            for function in (
                lambda x, w, norm, cos, sin, eps=1e-6: compress(_unit(x, eps), w, norm, cos, sin, eps),
                lambda x, w, norm, cos, sin, eps=1e-6: _remembered(lambda latent, norm, eps: norm * latent)(
                    _unit(x, eps), w, norm, cos, sin, eps
                ),
                lambda x, w, norm, cos, sin, eps=1e-6: _remembered(_as_it_is)(_unit(x, eps), w, norm, cos, sin, eps),
                lambda x, w, norm, cos, sin, eps=1e-6: _remembered(_as_it_is)(_unit(x, _EPS), w, norm, cos, sin, eps),
            )
        ),
        Mistake(
            "only the product",
            "This is W x alone: its first C features are still to be normed, its last R to be rotated.",
            _remembered(_as_it_is, lambda key, cos, sin: key),
        ),
        *(
            Mistake(
                "norm over the tokens",
                "The latent's mean square is taken over tokens, too: each token is normed by itself, over `dim=-1`.",
                _normed_over(dim),
            )
            for dim in (None, (1, 2), 1, 0)
        ),
        Mistake(
            "weight of the norm left out",
            "The norm's weight is not used: multiply each feature of the latent by its own, `norm_C`.",
            _remembered(lambda latent, norm, eps: _unit(latent, eps)),
        ),
        Mistake(
            "weight without the norm",
            "The latent is multiplied by the norm's weight, but not divided by its root mean square.",
            _remembered(lambda latent, norm, eps: norm * latent),
        ),
        *(
            Mistake(
                "LayerNorm in place of RMSNorm",
                "The mean of the latent is subtracted: that is LayerNorm. RMSNorm only divides by the size.",
                _remembered(lambda latent, norm, eps, own=own: F.layer_norm(latent, norm.shape, norm, eps=own or eps)),
            )
            for own in (None, 1e-5)
        ),
        *(
            Mistake(
                "length in place of root mean square",
                "The latent is divided by its length, the root of the *sum* of squares: take the *mean*, as `rms_norm` "
                "does.",
                _remembered(size),
            )
            for size in (
                lambda latent, norm, eps: norm * F.normalize(latent, dim=-1),
                lambda latent, norm, eps: norm * latent * (latent.square().sum(dim=-1, keepdim=True) + eps).rsqrt(),
            )
        ),
        Mistake(
            "eps outside the root",
            "eps is added after the root: it stands under it, beside the mean square, as in `rms_norm`.",
            _remembered(lambda c, norm, eps: norm * c / (c.square().mean(dim=-1, keepdim=True).sqrt() + eps)),
        ),
        *(
            Mistake(
                "eps not handed on",
                "`eps` is not used: hand it on, `rms_norm(latent, norm_C, eps)`, or the norm takes one of its own.",
                _remembered(lambda latent, norm, eps, own=own: rms_norm(latent, norm, own)),
            )
            for own in (1e-6, 0.0, 1e-5, _EPS)
        ),
    ),
    hints=(
        "One product with W, cut in two; norm the first part, rotate the second, and put them side by side again.",
        "`F.linear(x, w).tensor_split([len(norm_C)], dim=-1)` gives latent and key. `rms_norm(latent, norm_C, eps)` "
        "and `apply_rotary(key, cos, sin)` are from lesson 01.",
        "return torch.cat((rms_norm(latent, norm_C, eps), apply_rotary(key, cos, sin)), dim=-1)",
    ),
    difficulty=2,
    minutes=8,
)

# --- expand -----------------------------------------------------------------------------------------------------------


def _memory_and_matrices(generator, B, H, S, P, R, C, W):
    memory = torch.randn(B, S, C + R, generator=generator)
    w_uk, w_uv = (torch.randn(H, width, C, generator=generator) / C**0.5 for width in (P, W))
    return memory, w_uk, w_uv


def _cases_of_expand(generator):
    # The third has square matrices, which run when they are transposed by mistake, and as many heads as positions.
    for sizes in ((1, 2, 1, 2, 2, 4, 3), (1, 2, 3, 2, 4, 3, 5), (2, 2, 2, 4, 2, 4, 4), (2, 2, 4, 3, 4, 5, 2)):
        yield _memory_and_matrices(generator, *sizes)


def _one_rotated_key(function, memory, w_uk, w_uv):
    H, P, C = w_uk.shape
    got = function(memory, w_uk, w_uv)[0][..., P:]
    must_equal(
        got,
        memory[:, None, :, C:].expand(-1, H, -1, -1),
        "After its own P features, every head's key must end with the one rotated key, unchanged.",
    )


def _heads_apart(function, memory, w_uk, w_uv):
    together, alone = function(memory, w_uk, w_uv), function(memory, w_uk[-1:], w_uv[-1:])
    for what, one, all_heads in zip(("keys", "values"), alone, together, strict=True):
        must_equal(
            all_heads[:, -1:],
            one,
            f"The last head's {what} are not what its own matrices give: each head has its own, [h] of the first "
            "dimension.",
        )


def _rotated_key_only_there(function, memory, w_uk, w_uv):
    P, C = w_uk.shape[1:]
    (k, v), (other_k, other_v) = (
        function(m, w_uk, w_uv) for m in (memory, memory + torch.arange(memory.shape[-1]).ge(C))
    )
    must_equal(other_v, v, "Another rotated key changes the values: they come from the latent alone.")
    must_equal(other_k[..., :P], k[..., :P], "Another rotated key changes the P features that come from the latent.")


def _positions_apart(function, memory, w_uk, w_uv):
    for what, first, together in zip(
        ("keys", "values"), function(memory[:, :1], w_uk, w_uv), function(memory, w_uk, w_uv), strict=True
    ):
        must_equal(together[:, :, :1], first, f"The {what} of a token depend on other tokens: expand each by itself.")


def _of_heads(latent, w):
    return torch.einsum("bsc,hpc->bhsp", latent, w)


def _beside(k, key):
    """Each head's ``k`` with the one ``key`` after it."""
    return torch.cat((k, key[:, None].expand(-1, k.shape[1], -1, -1)), dim=-1)


def _expanded(
    keys=lambda latent, key, w_uk, w_uv: _beside(_of_heads(latent, w_uk), key),
    values=lambda latent, key, w_uk, w_uv: _of_heads(latent, w_uv),
):
    """Expansion with ``keys`` and ``values`` made so, for the mistakes."""

    def function(memory, w_uk, w_uv):
        parts = *memory.tensor_split([w_uk.shape[-1]], dim=-1), w_uk, w_uv
        return keys(*parts), values(*parts)

    return function


def _by(of_keys=_of_heads, of_values=_of_heads):
    """Expansion with other products of the latent and the matrices, for the mistakes."""
    return _expanded(
        keys=lambda latent, key, w_uk, w_uv: _beside(of_keys(latent, w_uk), key),
        values=lambda latent, key, w_uk, w_uv: of_values(latent, w_uv),
    )


def _alike_in_both(product):
    """Expansions by ``product`` of keys and values, and of either, for the mistakes."""
    return _by(product, product), _by(of_keys=product), _by(of_values=product)


def _cut_from_the_wrong_end(latent_too, key_too):
    """With the last C features as the latent, the first R as the key, or both, for the mistakes."""

    def function(memory, w_uk, w_uv):
        C = w_uk.shape[-1]
        R = memory.shape[-1] - C
        latent = memory[..., R:] if latent_too else memory[..., :C]
        key = memory[..., :R] if key_too else memory[..., C:]
        return _beside(_of_heads(latent, w_uk), key), _of_heads(latent, w_uv)

    return function


def _key_in_the_first_head_only(latent, key, w_uk, w_uv):
    first, *others = _beside(_of_heads(latent, w_uk), key).unbind(1)
    P = w_uk.shape[1]
    return torch.stack([first, *(F.pad(k[..., :P], (0, key.shape[-1])) for k in others)], dim=1)


def _key_split(latent, key, w_uk, w_uv):
    H = len(w_uk)
    return torch.cat((_of_heads(latent, w_uk), key.unflatten(-1, (H, -1)).transpose(1, 2)), dim=-1)


def _key_repeated(repeat):
    """With the rotated keys of all heads read from ``repeat(key, H)``, for the mistakes."""

    def keys(latent, key, w_uk, w_uv):
        (B, S, R), H = key.shape, len(w_uk)
        return torch.cat((_of_heads(latent, w_uk), repeat(key, H).view(B, H, S, R)), dim=-1)

    return _expanded(keys=keys)


def _mixed(y):
    """(B, H, S, features), with the features as they come where (B, S, H, features) is only reshaped."""
    return y.transpose(1, 2).reshape(y.shape)


def _not_multiplied(latent, w):
    return latent[:, None].expand(-1, len(w), -1, -1)


# Products that take the features of a head from the wrong places.
_MIXED = (
    lambda latent, w: F.linear(latent, w.flatten(0, 1)).reshape(len(latent), len(w), -1, w.shape[1]),
    lambda latent, w: F.linear(latent, w.flatten(0, 1)).unflatten(-1, (-1, len(w))).permute(0, 3, 1, 2),
    lambda latent, w: F.linear(latent, w.transpose(0, 1).flatten(0, 1)).unflatten(-1, (len(w), -1)).transpose(1, 2),
)

EXPAND = Exercise(
    lesson="latent_attention",
    reference=expand,
    cases=_cases_of_expand,
    properties=(
        Property("every head's key ends with the one rotated key", _one_rotated_key),
        Property("each head has its own matrices", _heads_apart),
        Property("values come from the latent alone", _rotated_key_only_there),
        Property("each token is expanded by itself", _positions_apart),
        Property("agrees with the library, gradients too", agrees_with(expand)),
    ),
    mistakes=(
        Mistake(
            "rotated key left out",
            "The keys have only their own P features: after them comes the rotated key, the same in every head.",
            _expanded(keys=lambda latent, key, w_uk, w_uv: _of_heads(latent, w_uk)),
        ),
        Mistake(
            "rotated key first",
            "The rotated key stands before a head's own features: queries are laid out with it last, and keys must be.",
            _expanded(
                keys=lambda latent, key, w_uk, w_uv: _beside(_of_heads(latent, w_uk), key).roll(key.shape[-1], dims=-1)
            ),
        ),
        Mistake(
            "rotated key in the first head only",
            "Only the first head has the rotated key: all heads share it.",
            _expanded(keys=_key_in_the_first_head_only),
        ),
        Mistake(
            "rotated key split among the heads",
            "The rotated key is cut in a piece for each head: every head gets the whole of it.",
            _expanded(keys=_key_split),
        ),
        *(
            Mistake(
                "rotated key repeated in the wrong direction",
                "The rotated key is repeated along positions or features, and then reshaped: what a head gets belongs "
                "to other positions. Add a dimension for the heads and repeat along that.",
                _key_repeated(repeat),
            )
            for repeat in (lambda key, H: key.repeat_interleave(H, dim=1), lambda key, H: key.repeat(1, 1, H))
        ),
        Mistake(
            "rotated key beside the values",
            "The values have the rotated key, too: position decides where to look, not what is taken.",
            _expanded(values=lambda latent, key, w_uk, w_uv: _beside(_of_heads(latent, w_uv), key)),
        ),
        *(
            Mistake(
                "latent beside the keys",
                "The latent itself stands in the keys: only the rotated key comes after a head's own features.",
                _expanded(keys=keys),
            )
            for keys in (
                lambda latent, key, w_uk, w_uv: _beside(_of_heads(latent, w_uk), latent),
                lambda latent, key, w_uk, w_uv: _beside(_of_heads(latent, w_uk), torch.cat((latent, key), dim=-1)),
            )
        ),
        *(
            Mistake(
                "cut at the wrong place",
                "Latent or key is taken from the wrong end of the memory: the first C features are the latent, the "
                "last R the key.",
                _cut_from_the_wrong_end(latent_too, key_too),
            )
            for latent_too, key_too in ((True, True), (True, False), (False, True))
        ),
        Mistake(
            "matrices exchanged",
            "The matrices are exchanged: W_uk makes keys, W_uv makes values.",
            lambda memory, w_uk, w_uv: _expanded()(memory, w_uv, w_uk),
        ),
        Mistake(
            "keys and values exchanged",
            "The two results are exchanged: return keys first, then values.",
            lambda memory, w_uk, w_uv: _expanded()(memory, w_uk, w_uv)[::-1],
        ),
        *(
            Mistake(
                "one matrix for both",
                "Keys and values come from the same matrix: W_uk makes keys, W_uv makes values.",
                lambda memory, w_uk, w_uv, one=one: _expanded()(memory, *one(w_uk, w_uv)),
            )
            for one in (lambda w_uk, w_uv: (w_uk, w_uk), lambda w_uk, w_uv: (w_uv, w_uv))
        ),
        *(
            Mistake(
                "heads mixed up",
                "The features of different heads are mixed up: (B, S, H P) is first `unflatten(-1, (H, P))`, then "
                "`transpose(1, 2)`. A plain reshape reads on across heads and positions.",
                function,
            )
            for function in (
                *(function for product in _MIXED for function in _alike_in_both(product)),
                lambda memory, w_uk, w_uv: tuple(map(_mixed, expand(memory, w_uk, w_uv))),
                _expanded(keys=lambda latent, key, w_uk, w_uv: _mixed(_beside(_of_heads(latent, w_uk), key))),
            )
        ),
        *(
            Mistake(
                "heads after positions",
                "Positions come before heads here: attention wants (B, H, S, features), so `transpose(1, 2)`.",
                function,
            )
            for function in (
                lambda memory, w_uk, w_uv: tuple(y.transpose(1, 2) for y in _expanded()(memory, w_uk, w_uv)),
                _by(of_values=lambda latent, w: _of_heads(latent, w).transpose(1, 2)),
            )
        ),
        *(
            Mistake(
                "one head's matrix for all",
                "Every head uses the matrix of the first: head h has its own, `w[h]`.",
                function,
            )
            for function in _alike_in_both(lambda latent, w: _of_heads(latent, w[:1].expand_as(w)))
        ),
        *(
            Mistake(
                "matrices of the heads added up",
                "The matrices of all heads are added up: keep the heads apart, `h` stays in the result.",
                function,
            )
            for function in (
                *_alike_in_both(lambda latent, w: _of_heads(latent, w.sum(dim=0).expand_as(w))),
                _expanded(
                    keys=lambda latent, key, w_uk, w_uv: torch.cat((F.linear(latent, w_uk.sum(dim=0)), key), dim=-1),
                    values=lambda latent, key, w_uk, w_uv: F.linear(latent, w_uv.sum(dim=0)),
                ),
            )
        ),
        *(
            Mistake(
                "matrix left out",
                "The latent itself stands where a head's own features belong: W_uk makes them for the keys, W_uv for "
                "the values.",
                function,
            )
            for function in _alike_in_both(_not_multiplied)
        ),
        *(
            Mistake(
                "matrices transposed",
                "A matrix is used transposed, which runs only where it is square: it maps C to P, or to W, `w[h] @ c`.",
                function,
            )
            for function in _alike_in_both(lambda latent, w: torch.einsum("bsc,hcp->bhsp", latent, w))
        ),
        *(
            Mistake(
                "latent normed again",
                "The latent is normed here: `compress` did that before it was remembered.",
                function,
            )
            for own in (1e-6, _EPS)
            for function in _alike_in_both(lambda latent, w, own=own: _of_heads(_unit(latent, own), w))
        ),
    ),
    hints=(
        "Cut the memory in latent and key. The latent goes through each head's two matrices; the key is only copied.",
        "`torch.einsum('bsc,hpc->bhsp', latent, w_uk_HPC)` is every head's own features at once. "
        "`key[:, None].expand(-1, H, -1, -1)` shows the one key to all heads.",
        "k = torch.cat((k, key[:, None].expand(-1, H, -1, -1)), dim=-1), and v as k was before, with w_uv_HWC.",
    ),
    difficulty=2,
    minutes=10,
)

# --- attend_absorbed --------------------------------------------------------------------------------------------------


def _cases_of_absorbed(generator):
    # The third has square matrices, which run when they are transposed or left out by mistake.
    for B, H, T, S, P, R, C, W in (
        (1, 1, 2, 2, 3, 2, 4, 2), (1, 2, 1, 4, 2, 4, 3, 5), (2, 2, 3, 3, 4, 2, 4, 4), (2, 3, 2, 5, 5, 2, 3, 6)
    ):  # fmt: skip
        q_nope, q_rope = (torch.randn(B, H, T, width, generator=generator) for width in (P, R))
        yield q_nope, q_rope, *_memory_and_matrices(generator, B, H, S, P, R, C, W)


def _future_hidden(function, q_nope, q_rope, memory, w_uk, w_uv):
    other = torch.cat((memory[:, :-1], memory[:, -1:] + 3), dim=1)
    before, after = (function(q_nope, q_rope, m, w_uk, w_uv)[:, :, :-1] for m in (memory, other))
    must_equal(
        after,
        before,
        "Another last token changes the results before it: a query must not see what comes after.",
    )


def _own_seen(function, q_nope, q_rope, memory, w_uk, w_uv):
    other = torch.cat((memory[:, :-1], memory[:, -1:] + 3), dim=1)
    before, after = (function(q_nope, q_rope, m, w_uk, w_uv)[:, :, -1] for m in (memory, other))
    if torch.allclose(before, after):
        raise Wrong("Another last token does not change the last result: a query sees its own position, too.")


def _where_latents_agree(function, q_nope, q_rope, memory, w_uk, w_uv):
    C = w_uk.shape[-1]
    memory = torch.cat((memory[:, :1, :C].expand(-1, memory.shape[1], -1), memory[..., C:]), dim=-1)
    y = function(q_nope, q_rope, memory, w_uk, w_uv)
    must_equal(
        y,
        _of_heads(memory[:, -1:, :C], w_uv).expand_as(y),
        "Where all latents are the same c, every query must get W_uv c, wherever it looks.",
    )


def _as_expanded(function, q_nope, q_rope, memory, w_uk, w_uv):
    q = torch.cat((q_nope, q_rope), dim=-1)
    must_equal(
        function(q_nope, q_rope, memory, w_uk, w_uv),
        causal_attention(q, *expand(memory, w_uk, w_uv), q.shape[-1] ** -0.5),
        "It is not what attention over the expanded keys and values gives: only the order of the products may differ.",
    )


class _Origins(TorchDispatchMode):
    """Follows every operation on tensors, and tells ``watch`` the names of the inputs that its results come from.

    Args:
        inputs: pairs of a name and a tensor.
        watch: is called with a set of names.
    """

    def __init__(self, inputs, watch):
        super().__init__()
        self.watch = watch
        self.names, self.alive = {}, []  # by storage, which views share; alive, or its address could come again
        for name, tensor in inputs:
            self._note(tensor, {name})

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        result = operation(*args, **kwargs)
        if not str(operation).startswith(_ONLY_SHAPES):
            names = set().union(*map(self._of, _tensors((args, *kwargs.values()))))
            self.watch(names)
            for tensor in _tensors(result):
                self._note(tensor, names)
        return result

    def _of(self, tensor):
        return self.names.get(tensor.untyped_storage().data_ptr(), frozenset())

    def _note(self, tensor, names):
        self.alive.append(tensor)
        self.names[tensor.untyped_storage().data_ptr()] = self._of(tensor) | names


# Operations that take no more than shape and type from the tensors they are given.
_ONLY_SHAPES = ("aten.new_", "aten.empty_like", "aten.zeros_like", "aten.ones_like", "aten.full_like")


def _tensors(value):
    return [leaf for _, leaf in flatten(value) if isinstance(leaf, Tensor)]


_CURES = (
    ("keys", "w_uk_HPC", "Fold it into the query; then the query meets the memory as it is."),
    ("values", "w_uv_HWC", "Take the weighted mean of the latents first, and apply it to that, once."),
)


def _never_expands(function, q_nope, q_rope, memory, w_uk, w_uv):
    def watch(names):
        for what, matrix, cure in _CURES:
            if names >= {"memory", matrix} and "query" not in names:
                raise Wrong(
                    f"It makes {what} of the heads, for every position: `{matrix}` meets the memory before any query "
                    f"does. {cure}",
                    mistake="expands the memory",
                )

    # One query against a longer memory, as in writing: there an einsum of three, too, chooses the cheaper way.
    arguments = q_nope[:, :, -1:].clone(), q_rope[:, :, -1:].clone(), memory.repeat(1, 8, 1), w_uk, w_uv
    names = "query", "query", "memory", "w_uk_HPC", "w_uv_HWC"
    with _Origins(zip(names, arguments, strict=True), watch):
        function(*arguments)


def _right_scale(P, R, C, W):
    return (P + R) ** -0.5


def _scale_of_memory(P, R, C, W):
    return (C + R) ** -0.5


def _future(T, S):
    return 1 + S - T


def _folded(q, w_uk, w_uv):
    return q @ w_uk


def _back(mean, w_uk, w_uv):
    return mean @ w_uv.mT


def _absorbed(
    *, scale=_right_scale, rope_scale=None, hidden_from=_future, fill=float("-inf"), dim=-1, fold=_folded, back=_back
):
    """Absorbed attention with one thing changed, for the mistakes."""

    def function(q_nope, q_rope, memory, w_uk, w_uv):
        P, C = w_uk.shape[1:]
        sizes = P, q_rope.shape[-1], C, w_uv.shape[1]
        latent, key = memory[:, None].tensor_split([C], dim=-1)
        scores = fold(q_nope, w_uk, w_uv) @ latent.mT * scale(*sizes)
        scores = scores + q_rope @ key.mT * (rope_scale or scale)(*sizes)
        T, S = scores.shape[-2:]
        future = torch.ones(T, S, dtype=torch.bool).triu(hidden_from(T, S))
        return back(scores.masked_fill(future, fill).softmax(dim=dim) @ latent, w_uk, w_uv)

    return function


def _another_latent(change):
    """With ``change(latent)`` in place of the latent, for the mistakes."""

    def function(q_nope, q_rope, memory, w_uk, w_uv):
        C = w_uk.shape[-1]
        return _absorbed()(q_nope, q_rope, torch.cat((change(memory[..., :C]), memory[..., C:]), dim=-1), w_uk, w_uv)

    return function


def _mean_of_the_wrong_end(q_nope, q_rope, memory, w_uk, w_uv):
    C = w_uk.shape[-1]
    q = torch.cat((q_nope @ w_uk, q_rope), dim=-1)
    scale = (q_nope.shape[-1] + q_rope.shape[-1]) ** -0.5
    return causal_attention(q, memory[:, None], memory[:, None, :, -C:], scale) @ w_uv.mT


def _parts_exchanged(q_nope, q_rope, memory, w_uk, w_uv):
    C = w_uk.shape[-1]
    q = torch.cat((q_rope, q_nope @ w_uk), dim=-1)
    scale = (q_nope.shape[-1] + q_rope.shape[-1]) ** -0.5
    return causal_attention(q, memory[:, None], memory[:, None, :, :C], scale) @ w_uv.mT


def _two_softmaxes(share):
    """With the results of the two parts of the score added up, times ``share``, for the mistakes."""

    def function(q_nope, q_rope, memory, w_uk, w_uv):
        whole = _absorbed()
        by_content, by_position = (whole(q_nope * a, q_rope * b, memory, w_uk, w_uv) for a, b in ((1, 0), (0, 1)))
        return share * (by_content + by_position)

    return function


def _nothing(*sizes):
    return 0.0


ATTEND_ABSORBED = Exercise(
    lesson="latent_attention",
    reference=attend_absorbed,
    cases=_cases_of_absorbed,
    properties=(
        Property("no query sees what comes after it", _future_hidden),
        Property("a query sees its own position", _own_seen),
        Property("where all latents are the same, the result is their value", _where_latents_agree),
        Property("equals attention over the expanded keys and values", _as_expanded),
        Property("never makes the keys and values of the heads", _never_expands),
        Property("agrees with the library, gradients too", agrees_with(attend_absorbed)),
    ),
    mistakes=(
        Mistake(
            "scale of the part without position",
            "The scale is P^-0.5, of the features without position: the rotated ones add to the same score, so it is "
            "(P + R)^-0.5.",
            _absorbed(scale=lambda P, R, C, W: P**-0.5),
        ),
        Mistake(
            "scale of the memory",
            "The scale is (C + R)^-0.5, of the vectors that are multiplied here: it stays that of the form which this "
            "one equals, (P + R)^-0.5.",
            _absorbed(scale=_scale_of_memory),
        ),
        Mistake(
            "scale of the latent",
            "The scale is C^-0.5, of the latent: it stays that of a head's query, (P + R)^-0.5.",
            _absorbed(scale=lambda P, R, C, W: C**-0.5),
        ),
        Mistake(
            "scale of the values",
            "The scale is W^-0.5, of the values: scores are of queries and keys, so it is (P + R)^-0.5.",
            _absorbed(scale=lambda P, R, C, W: W**-0.5),
        ),
        Mistake(
            "scale of the rotated part",
            "The scale is R^-0.5, of the rotated features: it is that of a head's whole query, (P + R)^-0.5.",
            _absorbed(scale=lambda P, R, C, W: R**-0.5),
        ),
        *(
            Mistake(
                "a scale for each part",
                "The two parts of the score have a scale each: they are one product, cut in two, and share one scale, "
                "(P + R)^-0.5.",
                _absorbed(scale=one, rope_scale=other),
            )
            for one, other in (
                (lambda P, R, C, W: P**-0.5, lambda P, R, C, W: R**-0.5),
                (lambda P, R, C, W: C**-0.5, lambda P, R, C, W: R**-0.5),
            )
        ),
        *(
            Mistake(
                "only one part scaled",
                "One part of the score is scaled and the other is not: add them first, then scale the sum.",
                _absorbed(scale=one, rope_scale=other),
            )
            for one, other in ((_right_scale, lambda *sizes: 1.0), (lambda *sizes: 1.0, _right_scale))
        ),
        *(
            Mistake(
                "scale of other widths",
                "The scale is of other widths: it is that of a head's query in the form which this one equals, "
                "(P + R)^-0.5.",
                _absorbed(scale=scale),
            )
            for scale in (
                lambda P, R, C, W: (C + P) ** -0.5,
                lambda P, R, C, W: (W + R) ** -0.5,
                lambda P, R, C, W: (C + P + R) ** -0.5,
                lambda P, R, C, W: (P * R) ** -0.5,
                lambda P, R, C, W: P**-0.5 + R**-0.5,
            )
        ),
        Mistake(
            "scaled twice",
            "The scores are scaled twice, and once by the width of the memory: `F.scaled_dot_product_attention` scales "
            "by itself, unless it is given `scale`.",
            _absorbed(scale=lambda P, R, C, W: (P + R) ** -0.5 * (C + R) ** -0.5),
        ),
        Mistake(
            "scale left out",
            "The scores are not scaled: multiply them by (P + R)^-0.5.",
            _absorbed(scale=lambda *sizes: 1.0),
        ),
        *(
            Mistake(
                "scale is no inverse root",
                "The scores are to be divided by the root of P + R: not by P + R itself, and not multiplied.",
                _absorbed(scale=lambda P, R, C, W, power=power: (P + R) ** power),
            )
            for power in (-1, 0.5, 1)
        ),
        Mistake(
            "rotated part left out",
            "The scores come from the latents alone: the rotated query meets the rotated key, too.",
            _absorbed(rope_scale=_nothing),
        ),
        Mistake(
            "only the rotated part",
            "The scores come from the rotated parts alone: the query without position meets the latent, too.",
            _absorbed(scale=_nothing, rope_scale=_right_scale),
        ),
        Mistake(
            "parts of the query exchanged",
            "The rotated query stands first, and so meets the latent: the memory has the latent first, then the key.",
            _parts_exchanged,
        ),
        *(
            Mistake(
                "a softmax for each part",
                "Each part of the score has a softmax of its own: add the two parts, then take one.",
                _two_softmaxes(share),
            )
            for share in (1.0, 0.5)
        ),
        Mistake(
            "W_uk left out",
            "The query meets the latent as it is, without W_uk, which runs only where P = C: fold W_uk in, "
            "`q_nope @ w_uk`.",
            _absorbed(fold=lambda q, w_uk, w_uv: q),
        ),
        Mistake(
            "W_uk transposed",
            "W_uk is folded in transposed, which runs only where P = C: the query's P features have to become C, "
            "`q_nope @ w_uk`.",
            _absorbed(fold=lambda q, w_uk, w_uv: q @ w_uk.mT),
        ),
        Mistake(
            "W_uv left out",
            "This is the mean of the latents: W_uv makes a head's value of it, at the end.",
            _absorbed(back=lambda mean, w_uk, w_uv: mean),
        ),
        Mistake(
            "W_uv transposed",
            "W_uv is applied transposed, which runs only where C = W: it makes W features of C, `mean @ w_uv.mT`.",
            _absorbed(back=lambda mean, w_uk, w_uv: mean @ w_uv),
        ),
        Mistake(
            "W_uk on the way out",
            "W_uk makes the values: it belongs to the query; after the mean comes W_uv.",
            _absorbed(back=lambda mean, w_uk, w_uv: mean @ w_uk.mT),
        ),
        Mistake(
            "W_uv folded into the query",
            "W_uv is folded into the query: that is W_uk's place; W_uv comes after the mean.",
            _absorbed(fold=lambda q, w_uk, w_uv: q @ w_uv),
        ),
        Mistake(
            "matrices exchanged",
            "The matrices are exchanged: W_uk goes into the query, W_uv comes after the mean.",
            lambda q_nope, q_rope, memory, w_uk, w_uv: _absorbed()(q_nope, q_rope, memory, w_uv, w_uk),
        ),
        *(
            Mistake(
                "one head's matrix for all",
                "Every head uses the matrix of the first: head h has its own, `w[h]`.",
                _absorbed(**change),
            )
            for change in (
                {"fold": lambda q, w_uk, w_uv: q @ w_uk[0], "back": lambda mean, w_uk, w_uv: mean @ w_uv[0].mT},
                {"fold": lambda q, w_uk, w_uv: q @ w_uk[0]},
                {"back": lambda mean, w_uk, w_uv: mean @ w_uv[0].mT},
            )
        ),
        *(
            Mistake(
                "heads added up",
                "The heads are added up on the way: keep them apart, `h` stays in every result.",
                _absorbed(**change),
            )
            for change in (
                {"fold": lambda q, w_uk, w_uv: q @ w_uk.sum(dim=0)},
                {"back": lambda mean, w_uk, w_uv: mean @ w_uv.sum(dim=0).mT},
                {"fold": lambda q, w_uk, w_uv: (q @ w_uk).sum(dim=1, keepdim=True)},
                {"back": lambda mean, w_uk, w_uv: (mean @ w_uv.mT).sum(dim=1)},
                {"back": lambda mean, w_uk, w_uv: mean.sum(dim=1, keepdim=True) @ w_uv.mT},
            )
        ),
        Mistake(
            "heads after positions",
            "Positions come before heads in the result: it is to be (B, H, T, W).",
            _absorbed(back=lambda mean, w_uk, w_uv: (mean @ w_uv.mT).transpose(1, 2)),
        ),
        Mistake(
            "memory cut at the wrong place",
            "The memory is cut as if the key came first: its first C features are the latent, its last R the key.",
            lambda q_nope, q_rope, memory, w_uk, w_uv: _absorbed()(
                q_nope, q_rope, memory.roll(-q_rope.shape[-1], dims=-1), w_uk, w_uv
            ),
        ),
        Mistake(
            "mean over the wrong end of the memory",
            "The mean is taken over the last C features of the memory: the latent is the first C, and the rotated key "
            "says where to look, not what is taken.",
            _mean_of_the_wrong_end,
        ),
        *(
            Mistake(
                "latent normed again",
                "The latent is normed here: `compress` did that before it was remembered.",
                _another_latent(lambda latent, own=own: _unit(latent, own)),
            )
            for own in (1e-6, _EPS)
        ),
        *(
            Mistake(
                "no mask",
                "Every query sees all positions: hide those after it, as `causal_attention` does.",
                _absorbed(hidden_from=lambda T, S: S, scale=scale),
            )
            for scale in (_right_scale, _scale_of_memory)
        ),
        *(
            Mistake(
                "mask starts at the first key",
                "With more positions than queries the mask is off: the queries are the *last* T of the S positions.",
                _absorbed(hidden_from=lambda T, S: 1, scale=scale),
            )
            for scale in (_right_scale, _scale_of_memory)
        ),
        Mistake(
            "one position of the future seen",
            "A query sees the position right after it: the mask starts one too far.",
            _absorbed(hidden_from=lambda T, S: 2 + S - T),
        ),
        *(
            Mistake(
                "own position hidden",
                "A query does not see its own position: hide only what comes strictly after it.",
                _absorbed(hidden_from=first, fill=fill),
            )
            for first in (lambda T, S: S - T, lambda T, S: 0)
            for fill in (float("-inf"), -1e9)
        ),
        Mistake(
            "masked with 0",
            "The future's scores are set to 0: exp(0) is 1, so it still has weight. Set them to -inf.",
            _absorbed(fill=0.0),
        ),
        Mistake(
            "softmax over the queries",
            "The softmax runs over the queries: each query's weights over the *positions* add up to 1, the last "
            "dimension.",
            _absorbed(dim=-2),
        ),
        *(
            Mistake(
                "softmax over the heads",
                "The softmax runs over the heads or the batch: each query's weights over the *positions* add up to 1, "
                "the last dimension.",
                _absorbed(dim=dim, fill=fill),
            )
            for dim in (0, 1)
            for fill in (float("-inf"), -1e9)
        ),
    ),
    hints=(
        "To every head the memory is one shared key, C + R wide, and its first C features are one shared value. Which "
        "query fits that key?",
        "`torch.cat((q_nope @ w_uk, q_rope), dim=-1)` is that query, and `memory[:, None]` the key of all heads. "
        "`causal_attention` gives the mean of the latents, with the scale (P + R)^-0.5.",
        "return causal_attention(q, memory[:, None], memory[:, None, :, :C], scale) @ w_uv.mT",
    ),
    difficulty=3,
    minutes=15,
)

EXERCISES = (GQA_CACHE_BYTES_PER_TOKEN, COMPRESS, EXPAND, ATTEND_ABSORBED)

QUIZZES = (
    Quiz(
        "what-the-cache-holds",
        "While a model with latent attention writes, what does each layer keep of every token?",
        (
            Option("The keys and values of all heads.", "That is what plain attention keeps. With the 128 heads of "
                   "DeepSeek-V3 it would be 57 times as much; not to keep them is the whole point."),
            Option("The latent as it leaves its matrix, to be normed when it is needed.", "Then every new token would "
                   "have to norm the whole past again. The norm needs nothing but the token itself: do it once, and "
                   "keep the result."),
            Option("The normed latent alone, rotated by its position.", "Values are made from it, too, and would "
                   "change with the position. And to rotate the keys of the heads instead would put a turn between "
                   "the query and W_uk. So position travels beside the latent, in a small key of its own."),
            Option("The normed latent, and beside it one rotated key.", "Both are shared by all heads: 512 + 64 "
                   "numbers a layer in DeepSeek-V3.", right=True),
            Option("Latent, rotated key, and the compressed query.", "A query is asked once, by its own token, and "
                   "never again: nothing to keep."),
        ),
    ),
    Quiz(
        "does-latent-save-training",
        "The cache of DeepSeek-V3 is 57 times smaller than that of plain attention with as many heads. Does comparing "
        "queries with keys take less work in training, too?",
        (
            Option("Yes: 57 times smaller is 57 times faster.", "Training keeps no cache: all positions are there "
                   "at once. What shrinks is memory, and the time to read it for every token that is written."),
            Option("Yes, for queries are compared with latents in place of keys.", "That is the absorbed form, and it "
                   "is no shorter: a latent is 512 wide, a head's key 128 + 64. With many queries, as in training, it "
                   "is cheaper to expand."),
            Option("No: in training the latents are expanded, and each pair of positions costs what it did, or more.",
                   "Keys are expanded for every head and compared as ever, 128 + 64 features in place of 128. What is "
                   "saved is the cache, and reading it: that counts when text is written.", right=True),
        ),
    ),
    Quiz(
        "query-compression-and-cache",
        "In DeepSeek-V3 queries, too, pass through a latent, 1536 wide. What does this do to the cache?",
        (
            Option("It shrinks the cache further.", "Queries are never cached: each is asked once, by its own token."),
            Option("It adds 1536 numbers a token.", "The query's latent is forgotten with the query, as soon as its "
                   "token has looked around."),
            Option("Nothing: it saves memory for activations in training.", "Training has to hold what the backward "
                   "pass needs, and a narrow latent is less than the queries of all heads.", right=True),
            Option("Nothing, but the absorbed form could not do without it.", "W_uk folds into a query however it was "
                   "made. Smaller models do without it, with one matrix from the token to all queries."),
        ),
    ),
)  # fmt: skip
