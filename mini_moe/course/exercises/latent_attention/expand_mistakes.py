"""Lesson 02, `expand`: the mistakes that people make."""

import torch
import torch.nn.functional as F

from mini_moe.course.checking.exercise import Mistake
from mini_moe.course.exercises.latent_attention.shared import of_heads
from mini_moe.course.exercises.latent_attention.shared_mistakes import EPS, unit
from mini_moe.mla import expand


def _beside(k, key):
    """Each head's ``k`` with the one ``key`` after it."""
    return torch.cat((k, key[:, None].expand(-1, k.shape[1], -1, -1)), dim=-1)


def _expanded(
    keys=lambda latent, key, w_uk, w_uv: _beside(of_heads(latent, w_uk), key),
    values=lambda latent, key, w_uk, w_uv: of_heads(latent, w_uv),
):
    """Expansion with ``keys`` and ``values`` made so, for the mistakes."""

    def function(memory, w_uk, w_uv):
        parts = *memory.tensor_split([w_uk.shape[-1]], dim=-1), w_uk, w_uv
        return keys(*parts), values(*parts)

    return function


def _by(of_keys=of_heads, of_values=of_heads):
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
        return _beside(of_heads(latent, w_uk), key), of_heads(latent, w_uv)

    return function


def _key_in_the_first_head_only(latent, key, w_uk, w_uv):
    first, *others = _beside(of_heads(latent, w_uk), key).unbind(1)
    P = w_uk.shape[1]
    return torch.stack([first, *(F.pad(k[..., :P], (0, key.shape[-1])) for k in others)], dim=1)


def _key_split(latent, key, w_uk, w_uv):
    H = len(w_uk)
    return torch.cat((of_heads(latent, w_uk), key.unflatten(-1, (H, -1)).transpose(1, 2)), dim=-1)


def _key_repeated(repeat):
    """With the rotated keys of all heads read from ``repeat(key, H)``, for the mistakes."""

    def keys(latent, key, w_uk, w_uv):
        (B, S, R), H = key.shape, len(w_uk)
        return torch.cat((of_heads(latent, w_uk), repeat(key, H).view(B, H, S, R)), dim=-1)

    return _expanded(keys=keys)


def _mixed(y):
    """(B, H, S, features), with the features as they come where (B, S, H, features) is only reshaped."""
    return y.transpose(1, 2).reshape(y.shape)


def _scaled(k):
    return k * k.shape[-1] ** -0.5


def _not_multiplied(latent, w):
    return latent[:, None].expand(-1, len(w), -1, -1)


# Products that take the features of a head from the wrong places.
_MIXED = (
    lambda latent, w: F.linear(latent, w.flatten(0, 1)).reshape(len(latent), len(w), -1, w.shape[1]),
    lambda latent, w: F.linear(latent, w.flatten(0, 1)).unflatten(-1, (-1, len(w))).permute(0, 3, 1, 2),
    lambda latent, w: F.linear(latent, w.transpose(0, 1).flatten(0, 1)).unflatten(-1, (len(w), -1)).transpose(1, 2),
)


MISTAKES = (
    Mistake(
        "rotated key left out",
        "The keys have only their own P features: after them comes the rotated key, the same in every head.",
        _expanded(keys=lambda latent, key, w_uk, w_uv: of_heads(latent, w_uk)),
    ),
    Mistake(
        "rotated key first",
        "The rotated key stands before a head's own features: queries are laid out with it last, and keys must be.",
        _expanded(
            keys=lambda latent, key, w_uk, w_uv: _beside(of_heads(latent, w_uk), key).roll(key.shape[-1], dims=-1)
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
            "The rotated key is repeated along sequences, positions or features, and then reshaped: what a head gets "
            "belongs to other tokens. Add a dimension for the heads and repeat along that.",
            _key_repeated(repeat),
        )
        for repeat in (
            lambda key, H: key.repeat_interleave(H, dim=1),
            lambda key, H: key.repeat(1, 1, H),
            lambda key, H: key.repeat(H, 1, 1),
        )
    ),
    Mistake(
        "rotated key beside the values",
        "The values have the rotated key, too: position decides where to look, not what is taken.",
        _expanded(values=lambda latent, key, w_uk, w_uv: _beside(of_heads(latent, w_uv), key)),
    ),
    *(
        Mistake(
            "latent beside the keys",
            "The latent itself stands in the keys: only the rotated key comes after a head's own features.",
            _expanded(keys=keys),
        )
        for keys in (
            lambda latent, key, w_uk, w_uv: _beside(of_heads(latent, w_uk), latent),
            lambda latent, key, w_uk, w_uv: _beside(of_heads(latent, w_uk), torch.cat((latent, key), dim=-1)),
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
        "keys scaled",
        "The keys are multiplied by (P + R)^-0.5: the scale belongs to the scores, in attention.",
        _expanded(keys=lambda latent, key, w_uk, w_uv: _scaled(_beside(of_heads(latent, w_uk), key))),
    ),
    Mistake(
        "rotated key detached",
        "The result is right, but no gradient passes through the rotated key: it would never learn.",
        _expanded(keys=lambda latent, key, w_uk, w_uv: _beside(of_heads(latent, w_uk), key.detach())),
    ),
    *(
        Mistake(
            "latent detached",
            "The result is right, but no gradient passes from it through the latent, of keys or of values: the latent "
            "would not learn what is needed there.",
            function,
        )
        for function in _alike_in_both(lambda latent, w: of_heads(latent.detach(), w))
    ),
    Mistake(
        "matrices exchanged",
        "The matrices are exchanged: w_uk makes keys, w_uv makes values.",
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
            "Keys and values come from the same matrix: w_uk makes keys, w_uv makes values.",
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
            _expanded(keys=lambda latent, key, w_uk, w_uv: _mixed(_beside(of_heads(latent, w_uk), key))),
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
            _by(of_values=lambda latent, w: of_heads(latent, w).transpose(1, 2)),
        )
    ),
    *(
        Mistake(
            "one head's matrix for all",
            "Every head uses the matrix of the first: head h has its own, `w[h]`.",
            function,
        )
        for function in _alike_in_both(lambda latent, w: of_heads(latent, w[:1].expand_as(w)))
    ),
    *(
        Mistake(
            "matrices of the heads added up",
            "The matrices of all heads are added up: keep the heads apart, `h` stays in the result.",
            function,
        )
        for function in (
            *_alike_in_both(lambda latent, w: of_heads(latent, w.sum(dim=0).expand_as(w))),
            _expanded(
                keys=lambda latent, key, w_uk, w_uv: torch.cat((F.linear(latent, w_uk.sum(dim=0)), key), dim=-1),
                values=lambda latent, key, w_uk, w_uv: F.linear(latent, w_uv.sum(dim=0)),
            ),
        )
    ),
    *(
        Mistake(
            "matrix left out",
            "The latent itself stands where a head's own features belong: w_uk makes them for the keys, w_uv for "
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
        for function in _alike_in_both(lambda latent, w: latent[:, None] @ w)
    ),
    *(
        Mistake(
            "latent normed again",
            "The latent is normed here: `compress` did that before it was remembered.",
            function,
        )
        for own in (1e-6, EPS)
        for function in _alike_in_both(lambda latent, w, own=own: of_heads(unit(latent, own), w))
    ),
)
