"""Lesson 03, `affinities`: how well a token fits an expert."""

import torch
import torch.nn.functional as F

from mini_moe.course.checking.exercise import Exercise, Mistake, Property, Wrong, agrees_with, must_equal
from mini_moe.router import affinities


def _cases_of_affinities(generator):
    for N, E, D, dtype in (
        *((1, 2, 2, torch.float32), (1, 2, 3, torch.bfloat16)),  # in bfloat16 the type of the product matters
        *((2, 4, 3, torch.float32), (5, 3, 8, torch.float32), (4, 6, 16, torch.bfloat16)),
    ):
        x, centroids = (torch.randn(n, D, generator=generator).round(decimals=2) for n in (N, E))
        yield x.to(dtype), centroids.to(dtype)


def _within_one(function, x, centroids):
    s = function(x, centroids)
    if not ((s >= 0) & (s <= 1)).all():
        raise Wrong("An affinity must lie between 0 and 1: a sigmoid takes any number there.")


def _half_for_nothing(function, x, centroids):
    s = function(torch.zeros_like(x), centroids)
    must_equal(s, torch.full_like(s, 0.5), "A token of zeros fits every expert alike: sigmoid(0) = 1/2.")


def _experts_apart(function, x, centroids):
    must_equal(
        function(x, centroids[:1]),
        function(x, centroids)[:, :1],
        "Without the other experts, the first one's affinity changes: each must be judged by itself.",
    )


def _longer_is_surer(function, x, centroids):
    s = function(x, centroids)
    yes, no = s.square(), (1 - s).square()
    must_equal(
        function(2 * x, centroids),
        yes / (yes + no),
        "Twice the token must give twice the dot product: nothing is divided by its length.",
    )


def _in_float32(function, x, centroids):
    if x.dtype == torch.float32:
        return
    must_equal(
        function(x, centroids),
        function(x.float(), centroids.float()),
        "In bfloat16 the result must be that of the same numbers in float32: convert both *before* the product.",
    )


def _dots(x, centroids):
    return x.float() @ centroids.float().T


def _bent(bend):
    """Affinities that are ``bend`` of the dot products, for the mistakes."""
    return lambda x, centroids: bend(_dots(x, centroids))


EXERCISE = Exercise(
    reference=affinities,
    cases=_cases_of_affinities,
    properties=(
        Property("every affinity lies between 0 and 1", _within_one),
        Property("a token of zeros has affinity 1/2 to all", _half_for_nothing),
        Property("each expert is judged by itself", _experts_apart),
        Property("a longer token is surer", _longer_is_surer),
        Property("is computed in float32", _in_float32),
        Property("agrees with the library, gradients too", agrees_with(affinities)),
    ),
    mistakes=(
        *(
            Mistake(
                "softmax in place of sigmoid",
                "A softmax makes the experts compete: one's gain is another's loss. Here each is judged by itself, by "
                "a sigmoid.",
                _bent(bend),
            )
            for bend in (lambda dots: dots.softmax(dim=-1), lambda dots: dots.sigmoid().softmax(dim=-1))
        ),
        Mistake(
            "softmax over the tokens",
            "A softmax runs over the tokens, so that a token's affinity hangs on its neighbours: take the sigmoid of "
            "each dot product.",
            _bent(lambda dots: dots.softmax(dim=0)),
        ),
        Mistake(
            "no sigmoid",
            "These are the dot products themselves: the sigmoid of each is its affinity, between 0 and 1.",
            _bent(lambda dots: dots),
        ),
        Mistake(
            "sigmoid twice",
            "The sigmoid is taken twice: all affinities then crowd between 0.5 and 0.73.",
            _bent(lambda dots: dots.sigmoid().sigmoid()),
        ),
        Mistake(
            "sign of the exponent",
            "The exponent has the wrong sign: sigmoid(z) = 1 / (1 + exp(-z)), so large ones come near 1.",
            _bent(lambda dots: torch.sigmoid(-dots)),
        ),
        *(
            Mistake(
                "another bend",
                "This bend is no sigmoid: 1 / (1 + exp(-z)), which `torch.sigmoid` computes.",
                _bent(bend),
            )
            for bend in (
                *(torch.tanh, torch.relu, torch.exp, F.silu, F.softplus, F.logsigmoid, F.hardsigmoid),
                *(lambda dots: (1 + torch.tanh(dots)) / 2, lambda dots: dots.clamp(0, 1)),
            )
        ),
        Mistake(
            "normalised over the experts",
            "The affinities of a token are divided by their sum: not here. `route` divides those of the chosen.",
            _bent(lambda dots: dots.sigmoid() / dots.sigmoid().sum(dim=-1, keepdim=True)),
        ),
        *(
            Mistake(
                "cosine in place of dot product",
                "Lengths are divided out, which makes it a cosine: take the dot product as it is. A longer centroid is "
                "an expert that is sought more.",
                function,
            )
            for function in (
                lambda x, c: _dots(F.normalize(x.float()), F.normalize(c.float())).sigmoid(),
                lambda x, c: _dots(F.normalize(x.float()), F.normalize(c.float())),
                lambda x, c: _dots(F.normalize(x.float()), c).sigmoid(),
                lambda x, c: _dots(x, F.normalize(c.float())).sigmoid(),
            )
        ),
        *(
            Mistake(
                "distance in place of dot product",
                "It measures the distance to the centroid: here the fit is a dot product, x . e.",
                lambda x, c, bend=bend: bend(torch.cdist(x.float(), c.float())),
            )
            for bend in (
                lambda far: torch.sigmoid(-far),
                torch.sigmoid,
                lambda far: -far,
                lambda far: torch.sigmoid(-far.square()),
            )
        ),
        Mistake(
            "divided by the root of D",
            "The dot products are divided by the square root of the width: that belongs to attention.",
            lambda x, c: torch.sigmoid(_dots(x, c) / x.shape[-1] ** 0.5),
        ),
        Mistake(
            "mean in place of sum",
            "The products are averaged over the features: a dot product is their sum.",
            lambda x, c: torch.sigmoid(_dots(x, c) / x.shape[-1]),
        ),
        Mistake(
            "sigmoid before the sum",
            "The sigmoid is taken of each feature's product, and then summed: sum first, the sigmoid comes last.",
            lambda x, c: (x.float()[:, None] * c.float()).sigmoid().sum(dim=-1),
        ),
        Mistake(
            "sigmoid of the token",
            "The sigmoid is taken of the token, before the product: it comes last.",
            lambda x, c: _dots(x.float().sigmoid(), c),
        ),
        *(
            Mistake(
                "not in float32",
                "The product is computed in too few bits: bfloat16 keeps 8, too few for a choice between near scores. "
                "Convert both factors by `.float()` first.",
                function,
            )
            for function in (
                lambda x, c: (x @ c.T).float().sigmoid(),
                lambda x, c: (x @ c.T).sigmoid().float(),
                lambda x, c: (x.bfloat16() @ c.bfloat16().T).float().sigmoid(),
                lambda x, c: (x.half() @ c.half().T).float().sigmoid(),
            )
        ),
        Mistake(
            "transposed",
            "The result is turned round, (E, N): a row for each token, (N, E), is expected.",
            lambda x, c: _dots(c, x).sigmoid(),
        ),
        Mistake(
            "centroids detached",
            "No gradient reaches the centroids: they are what the router learns, so it would stay as it was drawn.",
            lambda x, c: affinities(x, c.detach()),
        ),
        Mistake(
            "tokens detached",
            "No gradient reaches the tokens: the layers before would not learn to make them easy to route.",
            lambda x, c: affinities(x.detach(), c),
        ),
        Mistake(
            "router detached",
            "No gradient passes at all: without it neither the centroids nor the layers before ever learn from the "
            "choice.",
            lambda x, c: affinities(x.detach(), c.detach()),
        ),
    ),
    hints=(
        "Two steps: the dot product of every token with every centroid, then the sigmoid of each. Mind the type.",
        "`x @ c.T` has a row for each token and a column for each expert. `.float()` on both factors, before the "
        "product, makes it exact enough.",
        "return (x_ND.float() @ centroids_ED.float().T).sigmoid()",
    ),
    difficulty=1,
    minutes=3,
)
