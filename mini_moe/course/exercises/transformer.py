"""Lesson 01, how well can a small model predict real code: the parts of a Transformer, and bits per byte."""

import math

import torch
import torch.nn.functional as F

from mini_moe.course.exercise import Exercise, Mistake, Property, Wrong, agrees_with, must_equal
from mini_moe.course.quiz import Option, Quiz
from mini_moe.layers import apply_rotary, causal_attention, rms_norm, rotary_angles, swiglu
from mini_moe.train import bits_per_byte

# --- rms_norm ---------------------------------------------------------------------------------------------------------


def _cases_of_norm(generator):
    for shape in ((1, 2), (2, 3), (2, 3, 8)):
        x = torch.randn(shape, generator=generator) * 3 + 1
        yield x, torch.rand(shape[-1], generator=generator) + 0.5, 1e-6
    yield 1e-3 * torch.randn(2, 4, generator=generator), torch.ones(4), 1e-2  # where eps is not small


def _unit_size(function, x, weight, eps):
    y = function(x, torch.ones_like(weight), 0.0)
    size = y.square().mean(dim=-1).sqrt()
    must_equal(size, torch.ones_like(size), "With all weights 1, each vector must leave with root mean square 1.")


def _rows_apart(function, x, weight, eps):
    together = function(torch.stack((x, 5 * x + 1)), weight, eps)[0]
    must_equal(together, function(x, weight, eps), "A vector's result depends on its neighbours: norm each by itself.")


def _direction_kept(function, x, weight, eps):
    y = function(x, torch.ones_like(weight), eps)
    cosine = F.cosine_similarity(x, y, dim=-1)
    must_equal(cosine, torch.ones_like(cosine), "Only the length may change, not the direction: nothing is subtracted.")


def _root(x, eps, dim=-1):
    """The size that RMSNorm divides by."""
    return (x.square().mean(dim=dim, keepdim=True) + eps).sqrt()


def _norm(size):
    """The norm that divides by ``size(x, eps)``, for the mistakes."""
    return lambda x, weight, eps=1e-6: weight * x / size(x, eps)


def _centred(x):
    return x - x.mean(dim=-1, keepdim=True)


# Standard deviations as people write them: over n or n - 1, eps added to the variance or to the root.
_DEVIATIONS = tuple(
    size
    for n_less in (0, 1)
    for size in (
        lambda x, eps, n_less=n_less: (x.var(dim=-1, keepdim=True, correction=n_less) + eps).sqrt(),
        lambda x, eps, n_less=n_less: x.std(dim=-1, keepdim=True, correction=n_less) + eps,
        lambda x, eps, n_less=n_less: x.std(dim=-1, keepdim=True, correction=n_less),
    )
)


RMS_NORM = Exercise(
    lesson="transformer",
    reference=rms_norm,
    cases=_cases_of_norm,
    properties=(
        Property("each vector leaves with root mean square 1", _unit_size),
        Property("a vector keeps its direction", _direction_kept),
        Property("each vector is normed by itself", _rows_apart),
        Property("agrees with the library, gradients too", agrees_with(rms_norm)),
    ),
    mistakes=(
        *(
            Mistake(
                "mean subtracted",
                "The mean is subtracted: that is LayerNorm. RMSNorm only divides by the size.",
                lambda x, weight, eps=1e-6, size=size: weight * _centred(x) / size(x, eps),
            )
            for size in (*_DEVIATIONS, _root)
        ),
        *(
            Mistake(
                "divided by the standard deviation",
                "It divides by the standard deviation, which measures from the mean: take the root of the mean square "
                "of x itself.",
                _norm(size),
            )
            for size in _DEVIATIONS
        ),
        Mistake(
            "no square root",
            "It divides by the mean square: take the square root first.",
            _norm(lambda x, eps: x.square().mean(dim=-1, keepdim=True) + eps),
        ),
        Mistake(
            "multiplied in place of divided",
            "It multiplies by the root mean square: divide, or multiply by `torch.rsqrt`.",
            _norm(lambda x, eps: 1 / _root(x, eps)),
        ),
        *(
            Mistake(
                "sum in place of mean",
                "It divides by the length of the vector, the root of the *sum* of squares: the *mean* keeps each "
                "feature of size 1, whatever their number.",
                _norm(size),
            )
            for size in (
                lambda x, eps: (x.square().sum(dim=-1, keepdim=True) + eps).sqrt(),
                lambda x, eps: x.norm(dim=-1, keepdim=True) + eps,
                lambda x, eps: x.norm(dim=-1, keepdim=True),
            )
        ),
        *(
            Mistake(
                "mean of absolute values",
                "It divides by the mean of the absolute values: square, take the mean, then the root.",
                _norm(size),
            )
            for size in (
                lambda x, eps: x.abs().mean(dim=-1, keepdim=True) + eps,
                lambda x, eps: x.abs().mean(dim=-1, keepdim=True),
            )
        ),
        *(
            Mistake(
                "square of the mean",
                "It squares the mean: take the square of each feature first, then the mean of these.",
                _norm(size),
            )
            for size in (
                lambda x, eps: (x.mean(dim=-1, keepdim=True).square() + eps).sqrt(),
                lambda x, eps: x.mean(dim=-1, keepdim=True).abs() + eps,
            )
        ),
        Mistake(
            "weight left out",
            "The weight is not used: multiply each feature by its own, last.",
            lambda x, weight, eps=1e-6: x / _root(x, eps),
        ),
        Mistake(
            "weight as 1 + weight",
            "It multiplies by 1 + weight: some models store it so, here the weight itself starts at 1.",
            lambda x, weight, eps=1e-6: (1 + weight) * x / _root(x, eps),
        ),
        Mistake(
            "weight added",
            "The weight is added, as a bias would be: multiply each feature by its own.",
            lambda x, weight, eps=1e-6: x / _root(x, eps) + weight,
        ),
        Mistake(
            "weight before the norm",
            "The weight is multiplied in before the mean square is taken: norm x first, then multiply by the weight.",
            lambda x, weight, eps=1e-6: weight * x / _root(weight * x, eps),
        ),
        Mistake(
            "eps outside the root",
            "eps is added after the root: it stands under it, beside the mean square.",
            _norm(lambda x, eps: _root(x, 0.0) + eps),
        ),
        *(
            Mistake(
                "eps as a lower bound",
                "eps serves as a lower bound here: it is added, under the root, beside the mean square.",
                _norm(size),
            )
            for size in (
                lambda x, eps: x.square().mean(dim=-1, keepdim=True).clamp(min=eps).sqrt(),
                lambda x, eps: _root(x, 0.0).clamp(min=eps),
            )
        ),
        Mistake(
            "eps left out",
            "eps is not used: without it an all-zero vector divides by zero.",
            _norm(lambda x, eps: _root(x, 0.0)),
        ),
        *(
            Mistake(
                "eps written in",
                "eps is written in as a number: use the argument, for each model has its own.",
                _norm(lambda x, eps, own=own: _root(x, own)),
            )
            for own in (1e-6, 1e-5, 1e-8, torch.finfo(torch.float32).eps)
        ),
        Mistake(
            "mean over everything",
            "One mean is taken over all vectors: take it over the last dimension, `dim=-1, keepdim=True`.",
            _norm(lambda x, eps: (x.square().mean() + eps).sqrt()),
        ),
        *(
            Mistake(
                "mean over the wrong dimension",
                "The mean runs over another dimension than the last: that is where the features are, "
                "`dim=-1, keepdim=True`.",
                _norm(lambda x, eps, dim=dim: _root(x, eps, dim)),
            )
            for dim in (0, 1, -2)
        ),
        Mistake(
            "size detached",
            "The size carries no gradient: no `.detach()` or `no_grad` there, for x decides it, too.",
            _norm(lambda x, eps: _root(x, eps).detach()),
        ),
    ),
    hints=(
        "Three steps: the mean of the squares over the last dimension, one over its root, and a product.",
        "`x.square().mean(dim=-1, keepdim=True)` keeps a dimension of 1, so that it divides every feature of its row. "
        "`torch.rsqrt(z)` is 1 / sqrt(z).",
        "return weight * x * torch.rsqrt(x.square().mean(dim=-1, keepdim=True) + eps)",
    ),
    difficulty=1,
    minutes=5,
)

# --- apply_rotary -----------------------------------------------------------------------------------------------------


def _cases_of_rotary(generator):
    for shape in ((1, 2), (2, 4), (2, 3, 5, 8)):
        start = torch.randint(1, 40, (1,), generator=generator)
        cos, sin = rotary_angles(torch.arange(shape[-2]) + start, shape[-1], theta=100.0)
        yield torch.randn(shape, generator=generator), cos, sin


def _length_kept(function, x, cos, sin):
    got, expected = function(x, cos, sin).norm(dim=-1), x.norm(dim=-1)
    must_equal(got, expected, "Turning must not change the length of a vector.")


def _no_turn(function, x, cos, sin):
    must_equal(function(x, torch.ones_like(cos), torch.zeros_like(sin)), x, "Turned by 0, every vector must stay.")


def _only_distance_counts(function, x, cos, sin):
    positions, features = torch.arange(6), x.shape[-1]
    q, k = x.flatten()[:features], x.flatten()[-features:] + 1
    q, k = (function(v.expand(6, -1), *rotary_angles(positions, features, 100.0)) for v in (q, k))
    scores = q @ k.T
    must_equal(
        scores[3, 1], scores[5, 3], "q at 3 and k at 1 must score like q at 5 and k at 3: only the distance counts."
    )


def _pairwise(turn):
    """The turn that makes of each pair (a, b) the pair ``turn(a, b, cos, sin)``, for the mistakes."""
    return lambda x, cos, sin: torch.stack(turn(x[..., 0::2], x[..., 1::2], cos, sin), dim=-1).flatten(-2)


def _quarter(x):
    """Each pair (a, b) as (-b, a)."""
    return torch.stack((-x[..., 1::2], x[..., 0::2]), dim=-1).flatten(-2)


def _halves_turned(x, cos, sin):
    a, b = x.chunk(2, dim=-1)
    return torch.cat((a * cos - b * sin, a * sin + b * cos), dim=-1)


def _halves_quarter(x, cos, sin):
    a, b = x.chunk(2, dim=-1)
    cos, sin = (angles.repeat_interleave(2, dim=-1) for angles in (cos, sin))
    return x * cos + torch.cat((-b, a), dim=-1) * sin


def _not_interleaved(x, cos, sin):
    a, b = x[..., 0::2], x[..., 1::2]
    return torch.cat((a * cos - b * sin, a * sin + b * cos), dim=-1)


def _in_sequence(a, b, cos, sin):
    a = a * cos - b * sin
    return a, a * sin + b * cos


APPLY_ROTARY = Exercise(
    lesson="transformer",
    reference=apply_rotary,
    cases=_cases_of_rotary,
    properties=(
        Property("turned by 0, nothing changes", _no_turn),
        Property("turning keeps the length", _length_kept),
        Property("scores depend on the distance alone", _only_distance_counts),
        Property("agrees with the library, gradients too", agrees_with(apply_rotary)),
    ),
    mistakes=(
        *(
            Mistake(
                "halves paired",
                "Feature i is paired with feature i + R/2: many models do so, but the published weights of DeepSeek-V3 "
                "pair neighbours, (x0, x1), (x2, x3), ...",
                function,
            )
            for function in (_halves_turned, _halves_quarter)
        ),
        Mistake(
            "angles not side by side",
            "The pairs are right, but cos and sin are repeated as a whole: both features of a pair need the same "
            "angle, as `repeat_interleave(2, dim=-1)` lays them out.",
            lambda x, cos, sin: x * cos.repeat(1, 2) + _quarter(x) * sin.repeat(1, 2),
        ),
        Mistake(
            "turned backwards",
            "It turns the other way round: the minus sign belongs to the first of the pair, a cos - b sin.",
            _pairwise(lambda a, b, cos, sin: (a * cos + b * sin, b * cos - a * sin)),
        ),
        Mistake(
            "not interleaved again",
            "The pairs are turned rightly, but put back as all first features, then all second ones: each belongs back "
            "where it came from.",
            _not_interleaved,
        ),
        Mistake(
            "cos and sin exchanged",
            "cos and sin are exchanged: at angle 0, where cos is 1, nothing may change.",
            _pairwise(lambda a, b, cos, sin: (a * sin - b * cos, a * cos + b * sin)),
        ),
        Mistake(
            "both signs plus",
            "Both terms are added: a turn needs one minus, a cos - b sin, or lengths change.",
            _pairwise(lambda a, b, cos, sin: (a * cos + b * sin, a * sin + b * cos)),
        ),
        *(
            Mistake(
                "both signs minus",
                "Both features get a minus: a turn has only one, in the first, a cos - b sin; the second is "
                "a sin + b cos.",
                _pairwise(turn),
            )
            for turn in (
                lambda a, b, cos, sin: (a * cos - b * sin, a * sin - b * cos),
                lambda a, b, cos, sin: (a * cos - b * sin, b * cos - a * sin),
            )
        ),
        Mistake(
            "same factors in both",
            "The second of the pair takes cos and sin like the first: there they change places, a sin + b cos.",
            _pairwise(lambda a, b, cos, sin: (a * cos - b * sin, a * cos + b * sin)),
        ),
        Mistake(
            "the pair exchanged",
            "The two of a pair come out in exchanged places: first a cos - b sin, then a sin + b cos.",
            _pairwise(lambda a, b, cos, sin: (a * sin + b * cos, a * cos - b * sin)),
        ),
        Mistake(
            "second feature from the turned first",
            "The second of the pair is made from the first as it is *after* turning: keep the old value for it.",
            _pairwise(_in_sequence),
        ),
        Mistake(
            "only multiplied by cos",
            "Each feature is only multiplied by cos: the other of the pair, times sin, is missing.",
            _pairwise(lambda a, b, cos, sin: (a * cos, b * cos)),
        ),
        Mistake(
            "first by cos, second by sin",
            "The first is only multiplied by cos, the second by sin: each result is made of both, a cos - b sin and "
            "a sin + b cos.",
            _pairwise(lambda a, b, cos, sin: (a * cos, b * sin)),
        ),
        Mistake(
            "nothing turned",
            "It gives x back as it came: each pair has to turn by its angle.",
            lambda x, cos, sin: x + 0 * (cos.sum() + sin.sum()),
        ),
    ),
    hints=(
        "Take the first of every pair, a = x[..., 0::2], and the second, b = x[..., 1::2]. Each is as wide as cos.",
        "The two results are a * cos - b * sin and a * sin + b * cos. Then they have to stand side by side again: "
        "`torch.stack` along a new last dimension, then flatten it.",
        "return torch.stack((a * cos - b * sin, a * sin + b * cos), dim=-1).flatten(-2)",
    ),
    difficulty=2,
    minutes=8,
)

# --- causal_attention -------------------------------------------------------------------------------------------------


def _cases_of_attention(generator):
    for B, H, T, S, width, wide in ((1, 1, 2, 2, 2, 1), (1, 2, 3, 3, 4, 2), (2, 2, 5, 5, 4, 6), (1, 2, 2, 6, 4, 3)):
        q = torch.randn(B, H, T, width, generator=generator)
        k, v = torch.randn(B, H, S, width, generator=generator), torch.randn(B, H, S, wide, generator=generator)
        yield q, k, v, 0.9 / math.sqrt(width)


def _future_hidden(function, q, k, v, scale):
    y = function(q, k, v, scale)
    k, v = k.clone(), v.clone()
    k[..., -1, :] += 3
    v[..., -1, :] -= 5
    must_equal(
        function(q, k, v, scale)[..., :-1, :],
        y[..., :-1, :],
        "Changing the last key and value changes the results before it: a query must not see what comes after.",
    )


def _own_seen(function, q, k, v, scale):
    y = function(q, k, v, scale)
    v = v.clone()
    v[..., -1, :] += 5
    if torch.allclose(function(q, k, v, scale)[..., -1, :], y[..., -1, :]):
        raise Wrong("Changing the last value does not change the last result: a query sees its own position, too.")


def _mean_of_values(function, q, k, v, scale):
    y = function(q, k, torch.ones_like(v), scale)
    must_equal(y, torch.ones_like(y), "Where all values are 1, a weighted mean is 1: the weights must add up to 1.")


def _hides(start):
    """A mask that is true from the diagonal ``start(T, S)`` on."""
    return lambda T, S: torch.ones(T, S, dtype=torch.bool).triu(start(T, S))


_FUTURE = _hides(lambda T, S: 1 + S - T)


def _attended(*, mask=_FUTURE, fill=float("-inf"), dim=-1, factor=lambda q, scale: scale):
    """Attention with one thing changed, for the mistakes."""

    def function(q, k, v, scale):
        scores = q @ k.transpose(-2, -1) * factor(q, scale)
        return scores.masked_fill(mask(q.shape[-2], k.shape[-2]), fill).softmax(dim=dim) @ v

    return function


def _weighed(weigh):
    """Attention whose weights are ``weigh(scores, future)``, for the mistakes."""
    return lambda q, k, v, scale: weigh(q @ k.transpose(-2, -1) * scale, _FUTURE(q.shape[-2], k.shape[-2])) @ v


CAUSAL_ATTENTION = Exercise(
    lesson="transformer",
    reference=causal_attention,
    cases=_cases_of_attention,
    properties=(
        Property("no query sees what comes after it", _future_hidden),
        Property("a query sees its own position", _own_seen),
        Property("the weights of a query add up to 1", _mean_of_values),
        Property("agrees with the library, gradients too", agrees_with(causal_attention)),
    ),
    mistakes=(
        Mistake(
            "no mask",
            "Every query sees the whole sequence: hide the positions after it, or the model reads the answer.",
            _attended(mask=_hides(lambda T, S: S)),
        ),
        *(
            Mistake(
                "own position hidden",
                "A query does not see its own position: hide only what comes strictly after it. (The first would see "
                "nothing at all, and a softmax over nothing is not a number.)",
                _attended(mask=_hides(first), fill=fill),
            )
            for first in (lambda T, S: S - T, lambda T, S: 0)
            for fill in (float("-inf"), -1e9)
        ),
        Mistake(
            "one position of the future seen",
            "A query sees the position right after it, which is the answer: the mask starts one too far.",
            _attended(mask=_hides(lambda T, S: 2 + S - T)),
        ),
        Mistake(
            "past hidden",
            "The mask is turned round: it hides the past and shows the future.",
            _attended(mask=lambda T, S: torch.ones(T, S, dtype=torch.bool).tril(S - T - 1)),
        ),
        *(
            Mistake(
                "mask inverted",
                "The mask is inverted: it hides what a query may see, and shows the rest.",
                _attended(mask=lambda T, S: ~_FUTURE(T, S), fill=fill),
            )
            for fill in (float("-inf"), -1e9)
        ),
        Mistake(
            "mask starts at the first key",
            "With more keys than queries the mask is off: the queries are the *last* T of the S positions, so the "
            "first query may see S - T + 1 of them.",
            _attended(mask=_hides(lambda T, S: 1)),
        ),
        Mistake(
            "masked with 0",
            "The future's scores are set to 0: exp(0) is 1, so it still has weight. Set them to -inf before the "
            "softmax.",
            _attended(fill=0.0),
        ),
        Mistake(
            "masked after the softmax",
            "The future is struck out after the softmax: the weights that remain no longer add up to 1.",
            _weighed(lambda scores, future: scores.softmax(dim=-1).masked_fill(future, 0.0)),
        ),
        Mistake(
            "softmax over the queries",
            "The softmax runs over the queries: each query's weights over the *keys* add up to 1, the last dimension.",
            _attended(dim=-2),
        ),
        *(
            Mistake(
                "softmax over the heads",
                "The softmax runs over the heads or the batch: each query's weights over the *keys* add up to 1, the "
                "last dimension.",
                _attended(dim=dim, fill=fill),
            )
            for dim in (0, 1)
            for fill in (float("-inf"), -1e9)
        ),
        Mistake(
            "scale left out",
            "The scores are not multiplied by `scale`: wide heads then give large scores, and softmax picks one.",
            _attended(factor=lambda q, scale: 1.0),
        ),
        Mistake(
            "divided by the scale",
            "The scores are divided by `scale`: it is 1 / sqrt(features) already, so multiply.",
            _attended(factor=lambda q, scale: 1 / scale),
        ),
        Mistake(
            "scale of its own",
            "The scale is worked out from the width here: use the argument. Latent attention will need another.",
            _attended(factor=lambda q, scale: q.shape[-1] ** -0.5),
        ),
        *(
            Mistake(
                "scaled twice",
                "The scores are scaled twice: multiply by `scale` once, and by nothing else.",
                _attended(factor=factor),
            )
            for factor in (lambda q, scale: scale * scale, lambda q, scale: scale * q.shape[-1] ** -0.5)
        ),
        Mistake(
            "root of the scale",
            "The root of `scale` is taken: it is the factor itself, already 1 / sqrt(features).",
            _attended(factor=lambda q, scale: scale**0.5),
        ),
        Mistake(
            "scaled after the softmax",
            "`scale` is multiplied in after the softmax, so that the weights add up to `scale`: it belongs to the "
            "scores.",
            lambda q, k, v, scale: scale * _attended(factor=lambda q, scale: 1.0)(q, k, v, scale),
        ),
        Mistake(
            "query and key exchanged",
            "Queries and keys are exchanged: the scores are q @ k.transpose(-2, -1), a row for each query.",
            lambda q, k, v, scale: _attended()(k, q, v, scale),
        ),
        Mistake(
            "no softmax",
            "The scores weigh the values without a softmax: they may be negative and do not add up to 1.",
            _weighed(lambda scores, future: scores.masked_fill(future, 0.0)),
        ),
        Mistake(
            "exponentials not divided by their sum",
            "The exponentials are not divided by their sum: each query's weights have to add up to 1.",
            _weighed(lambda scores, future: scores.masked_fill(future, float("-inf")).exp()),
        ),
    ),
    hints=(
        "Four steps: scores, hide the future, softmax, weighted mean of the values.",
        "scores = q @ k.transpose(-2, -1) * scale is (B, H, T, S), and `torch.ones(T, S, dtype=bool).triu(1 + S - T)` "
        "is true where a key comes after a query.",
        "return scores.masked_fill(future, float('-inf')).softmax(dim=-1) @ v",
    ),
    difficulty=2,
    minutes=12,
)

# --- swiglu -----------------------------------------------------------------------------------------------------------


def _cases_of_swiglu(generator):
    for shape, inner in (((1, 2), 3), ((3, 4), 6), ((2, 3, 4), 4)):
        D = shape[-1]
        x, w_gate, w_up, w_down = (
            torch.randn(size, generator=generator) for size in (shape, (inner, D), (inner, D), (D, inner))
        )
        yield x, w_gate, w_up, w_down


def _closed_gate(function, x, w_gate, w_up, w_down):
    y = function(x, torch.zeros_like(w_gate), w_up, w_down)
    must_equal(y, torch.zeros_like(y), "A gate of zeros must let nothing through: silu(0) = 0.")


def _linear_up(function, x, w_gate, w_up, w_down):
    must_equal(
        function(x, w_gate, 2 * w_up, w_down),
        2 * function(x, w_gate, w_up, w_down),
        "Twice W_up must give twice the result: no bend on the way up.",
    )


def _positions_apart(function, x, w_gate, w_up, w_down):
    must_equal(
        function(x[:1], w_gate, w_up, w_down), function(x, w_gate, w_up, w_down)[:1], "Each token is worked on alone."
    )


def _gated(inner):
    """The layer with ``inner(gate, up)`` before the way down, for the mistakes."""
    return lambda x, w_gate, w_up, w_down: F.linear(inner(F.linear(x, w_gate), F.linear(x, w_up)), w_down)


SWIGLU = Exercise(
    lesson="transformer",
    reference=swiglu,
    cases=_cases_of_swiglu,
    properties=(
        Property("a closed gate lets nothing through", _closed_gate),
        Property("the way up is straight", _linear_up),
        Property("each token is worked on alone", _positions_apart),
        Property("agrees with the library, gradients too", agrees_with(swiglu)),
    ),
    mistakes=(
        Mistake(
            "gate and up exchanged",
            "The bend is in the wrong branch: silu belongs to the gate, W_up stays straight.",
            _gated(lambda gate, up: gate * F.silu(up)),
        ),
        Mistake(
            "silu in both branches",
            "silu bends both branches: it belongs to the gate, W_up stays straight.",
            _gated(lambda gate, up: F.silu(gate) * F.silu(up)),
        ),
        Mistake(
            "sigmoid in place of silu",
            "The gate is a sigmoid: silu(z) is z times the sigmoid of z.",
            _gated(lambda gate, up: torch.sigmoid(gate) * up),
        ),
        Mistake(
            "sign of the exponent",
            "The exponent has the wrong sign: silu(z) = z / (1 + exp(-z)), with a minus.",
            _gated(lambda gate, up: gate / (1 + gate.exp()) * up),
        ),
        Mistake(
            "relu in place of silu",
            "The gate is a relu: silu bends softly, and lets a little of the negative through.",
            _gated(lambda gate, up: torch.relu(gate) * up),
        ),
        *(
            Mistake(
                "gelu in place of silu",
                "The gate is a gelu: near, but this model uses silu(z) = z / (1 + exp(-z)).",
                _gated(lambda gate, up, gelu=gelu: gelu(gate) * up),
            )
            for gelu in (F.gelu, lambda z: F.gelu(z, approximate="tanh"), lambda z: z * torch.sigmoid(1.702 * z))
        ),
        Mistake(
            "tanh in place of silu",
            "The gate is a tanh: silu(z) = z / (1 + exp(-z)) grows on, and lets the positive through as it is.",
            _gated(lambda gate, up: torch.tanh(gate) * up),
        ),
        Mistake(
            "no bend",
            "There is no silu: without a bend, gate and up are only a product of two straight maps.",
            _gated(lambda gate, up: gate * up),
        ),
        Mistake(
            "added in place of multiplied",
            "Gate and up are added: the gate *multiplies*, feature by feature.",
            _gated(lambda gate, up: F.silu(gate) + up),
        ),
        Mistake(
            "silu after the product",
            "silu is applied after the product: it bends the gate alone.",
            _gated(lambda gate, up: F.silu(gate * up)),
        ),
        Mistake(
            "silu at the end",
            "silu is applied at the very end: it bends the gate, and the way down is straight.",
            lambda x, w_gate, w_up, w_down: F.silu(F.linear(F.linear(x, w_gate) * F.linear(x, w_up), w_down)),
        ),
        Mistake(
            "input added",
            "The input is added to the result: the block around this layer does that.",
            lambda x, w_gate, w_up, w_down: x + _gated(lambda gate, up: F.silu(gate) * up)(x, w_gate, w_up, w_down),
        ),
        Mistake(
            "no gate",
            "The gate is missing: this is the older layer, W_down silu(W_up x).",
            _gated(lambda gate, up: F.silu(up)),
        ),
        Mistake(
            "no way up",
            "W_up is missing: the gate alone goes down.",
            _gated(lambda gate, up: F.silu(gate)),
        ),
    ),
    hints=(
        "Two products from the same x, of equal width; one is bent by silu; multiply them; one product back.",
        "`F.linear(x, w)` is x @ w.T, for any number of leading dimensions; `F.silu` is the bend.",
        "return F.linear(F.silu(F.linear(x, w_gate)) * F.linear(x, w_up), w_down)",
    ),
    difficulty=1,
    minutes=4,
)

# --- bits_per_byte ----------------------------------------------------------------------------------------------------


def _cases_of_bits(generator):
    yield math.log(2), 1
    for _ in range(3):
        n_bytes = torch.randint(10, 10_000, (1,), generator=generator).item()
        yield n_bytes * torch.rand(1, generator=generator, dtype=torch.float64).item() * 3, n_bytes


def _one_coin(function, nats, n_bytes):
    got = function(math.log(2) * n_bytes, n_bytes)
    if not math.isclose(got, 1.0, rel_tol=1e-6):
        raise Wrong("ln 2 nats are one bit: ln 2 nats for each byte must be 1 bit a byte.", got=got, expected=1.0)


def _know_nothing(function, nats, n_bytes):
    got = function(math.log(256) * n_bytes, n_bytes)
    if not math.isclose(got, 8.0, rel_tol=1e-6):
        raise Wrong("To know nothing of a byte, 1 in 256, must cost 8 bits.", got=got, expected=8.0)


BITS_PER_BYTE = Exercise(
    lesson="transformer",
    reference=bits_per_byte,
    cases=_cases_of_bits,
    properties=(
        Property("ln 2 nats a byte are 1 bit a byte", _one_coin),
        Property("to know nothing costs 8 bits a byte", _know_nothing),
        Property("agrees with the library", agrees_with(bits_per_byte)),
    ),
    mistakes=(
        Mistake(
            "nats, not bits",
            "This is nats per byte: a bit is ln 2 = 0.693 nats, so divide by ln 2.",
            lambda nats, n_bytes: nats / n_bytes,
        ),
        Mistake(
            "multiplied by ln 2",
            "It multiplies by ln 2: a bit is smaller than a nat, so there are more of them; divide.",
            lambda nats, n_bytes: nats * math.log(2) / n_bytes,
        ),
        Mistake(
            "bits in all",
            "This is the bits of the whole text: divide by its bytes.",
            lambda nats, n_bytes: nats / math.log(2),
        ),
        *(
            Mistake(
                "perplexity",
                "This is a perplexity, the exponential of the loss: bits are on the scale of the loss itself.",
                lambda nats, n_bytes, base=base: base ** min(nats / n_bytes, 700),
            )
            for base in (math.e, 2)
        ),
        *(
            Mistake(
                "logarithm of the nats",
                "It takes the logarithm of the nats: they are logarithms already; only their unit changes, "
                "by the factor 1 / ln 2.",
                function,
            )
            for function in (
                lambda nats, n_bytes: math.log2(nats) / n_bytes,
                lambda nats, n_bytes: math.log2(nats / n_bytes),
            )
        ),
        Mistake(
            "divided by 8 again",
            "It divides by 8: the text's bytes are counted as bytes, and the model's cost as bits; nothing to convert.",
            lambda nats, n_bytes: nats / math.log(2) / n_bytes / 8,
        ),
        Mistake(
            "multiplied by 8",
            "It multiplies by 8: the cost is wanted for each byte, and `n_bytes` counts bytes; nothing to convert.",
            lambda nats, n_bytes: nats / math.log(2) / n_bytes * 8,
        ),
        Mistake(
            "divided by 2",
            "It divides by 2: a bit is ln 2 = 0.693 nats, so divide by the logarithm of 2.",
            lambda nats, n_bytes: nats / 2 / n_bytes,
        ),
        *(
            Mistake(
                "ln 2 with few digits",
                "ln 2 is written in with too few digits: `math.log(2)` has them all.",
                lambda nats, n_bytes, factor=factor: nats * factor / n_bytes,
            )
            for factor in (1 / 0.69, 1 / 0.693, 1 / 0.6931, 1 / 0.69315, 1 / 0.7, 1.44, 1.443, 1.4427)
        ),
        *(
            Mistake(
                "rounded",
                "The result is rounded: give it as it is, and round where you print it.",
                lambda nats, n_bytes, digits=digits: round(nats / math.log(2) / n_bytes, digits),
            )
            for digits in (0, 1, 2, 3, 4)
        ),
        Mistake(
            "bytes per bit",
            "The fraction stands on its head: bits go above, bytes below.",
            lambda nats, n_bytes: n_bytes * math.log(2) / nats,
        ),
        Mistake(
            "base 10",
            "It divides by ln 10: that gives digits. A bit is ln 2 nats.",
            lambda nats, n_bytes: nats / math.log(10) / n_bytes,
        ),
    ),
    hints=(
        "Change the unit of the cost first (nats to bits), then share it out over the bytes.",
        "One bit is ln 2 nats, so x nats are x / ln 2 bits.",
        "return nats / (math.log(2) * n_bytes)",
    ),
    difficulty=1,
    minutes=3,
)

EXERCISES = (RMS_NORM, APPLY_ROTARY, CAUSAL_ATTENTION, SWIGLU, BITS_PER_BYTE)

QUIZZES = (
    Quiz(
        "model-against-xz",
        "A model of one million parameters trains on Python code for half a minute on this machine. Does it predict "
        "unseen code better than `xz -9` compresses it?",
        (
            Option("Yes, easily: a neural network beats any compressor.", "Not in half a minute. xz sees a whole file "
                   "and remembers every repeated piece exactly; the model must put all it knows into its weights."),
            Option("No, but it comes within a bit or two per byte.", "It learns the grammar of Python fast and its "
                   "names slowly. You measure the distance below.", right=True),
            Option("No: it is hardly better than knowing nothing, 8 bits a byte.", "Even counting letters gets under 5 "
                   "bits. The first seconds of training bring most."),
        ),
    ),
    Quiz(
        "why-bits-per-byte",
        "Model A has a loss of 3.0 nats a token, model B of 2.5. Which one predicts the text better?",
        (
            Option("B: its loss is lower.", "B may simply have shorter tokens: cutting a text into more pieces makes "
                   "each easier to guess, and there are more of them to pay for."),
            Option("A: a higher loss means it learned more.", "Loss is a cost; less is better, for the same tokens."),
            Option("One cannot say without their tokenizers.", "Add up the cost of the whole text and divide by "
                   "its bytes. That is the same unit for both, and for xz.", right=True),
        ),
    ),
    Quiz(
        "what-if-no-mask",
        "You forget the causal mask in training. What happens?",
        (
            Option("An error: shapes no longer fit.", "Shapes are the same. This is why it is such a costly mistake."),
            Option("The loss falls fast and far, and the model writes nonsense.", "It reads the next token from the "
                   "input during training, and when it writes there is nothing to read.", right=True),
            Option("The loss stays high.", "On the contrary: it is very good at copying the answer."),
        ),
    ),
)  # fmt: skip
