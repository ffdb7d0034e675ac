"""Lesson 03, `affinities`: the mistakes that people make."""

import torch
import torch.nn.functional as F

from mini_moe.course.checking.exercise import Mistake
from mini_moe.router import affinities


def _dots(x, centroids):
    return x.float() @ centroids.float().T


def _curved(curve):
    """Affinities that are ``curve`` of the dot products, for the mistakes."""
    return lambda x, centroids: curve(_dots(x, centroids))


MISTAKES = (
    *(
        Mistake(
            "softmax in place of sigmoid",
            "A softmax makes the experts compete: one's gain is another's loss. Here each is judged by itself, by "
            "a sigmoid.",
            _curved(curve),
        )
        for curve in (lambda dots: dots.softmax(dim=-1), lambda dots: dots.sigmoid().softmax(dim=-1))
    ),
    Mistake(
        "softmax over the tokens",
        "A softmax runs over the tokens, so that a token's affinity depends on its neighbours: take the sigmoid of "
        "each dot product.",
        _curved(lambda dots: dots.softmax(dim=0)),
    ),
    Mistake(
        "no sigmoid",
        "These are the dot products themselves: the sigmoid of each is its affinity, between 0 and 1.",
        _curved(lambda dots: dots),
    ),
    Mistake(
        "sigmoid twice",
        "The sigmoid is taken twice: all affinities then crowd between 0.5 and 0.73.",
        _curved(lambda dots: dots.sigmoid().sigmoid()),
    ),
    Mistake(
        "sign of the exponent",
        "The exponent has the wrong sign: sigmoid(z) = 1 / (1 + exp(-z)), so large ones come near 1.",
        _curved(lambda dots: torch.sigmoid(-dots)),
    ),
    *(
        Mistake(
            "another curve",
            "This curve is not the sigmoid: 1 / (1 + exp(-z)), which `torch.sigmoid` computes.",
            _curved(curve),
        )
        for curve in (
            *(torch.tanh, torch.relu, torch.exp, F.silu, F.softplus, F.logsigmoid, F.hardsigmoid),
            *(lambda dots: (1 + torch.tanh(dots)) / 2, lambda dots: dots.clamp(0, 1)),
        )
    ),
    Mistake(
        "normalised over the experts",
        "The affinities of a token are divided by their sum: not here. `route` divides those of the chosen.",
        _curved(lambda dots: dots.sigmoid() / dots.sigmoid().sum(dim=-1, keepdim=True)),
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
            lambda x, c, curve=curve: curve(torch.cdist(x.float(), c.float())),
        )
        for curve in (
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
    *(
        Mistake(
            "sigmoid before the product",
            "The sigmoid is taken of what goes into the product: it comes last.",
            function,
        )
        for function in (
            lambda x, c: _dots(x.float().sigmoid(), c),
            lambda x, c: _dots(x, c.float().sigmoid()),
            lambda x, c: _dots(x.float().sigmoid(), c.float().sigmoid()),
            lambda x, c: _dots(x.float().sigmoid(), c.float().sigmoid()).sigmoid(),
        )
    ),
    *(
        Mistake(
            "not in float32",
            "Somewhere it is rounded to 16 bits, too few for a choice between near scores. Convert both factors by "
            "`.float()` first, and let product, sigmoid and result stay in float32.",
            function,
        )
        for function in (
            lambda x, c: (x @ c.T).float().sigmoid(),
            lambda x, c: (x @ c.T).sigmoid().float(),
            lambda x, c: (x @ c.to(x.dtype).T).float().sigmoid(),
            lambda x, c: (x @ c.to(x.dtype).T).sigmoid().float(),
            lambda x, c: (x.to(c.dtype) @ c.T).float().sigmoid(),
            lambda x, c: _dots(x, c.to(x.dtype)).sigmoid(),
            lambda x, c: _dots(x.to(c.dtype), c).sigmoid(),
            lambda x, c: _dots(x, c).sigmoid().to(x.dtype).float(),
            lambda x, c: (x.bfloat16() @ c.bfloat16().T).float().sigmoid(),
            lambda x, c: _dots(x.bfloat16(), c.bfloat16()).sigmoid(),
            lambda x, c: (x.half() @ c.half().T).float().sigmoid(),
            lambda x, c: _dots(x.half(), c.half()).sigmoid(),
        )
    ),
    *(
        Mistake(
            "rounded",
            "The affinities are rounded, which also takes their gradient away: round where you print.",
            _curved(lambda dots, digits=digits: dots.sigmoid().round(decimals=digits)),
        )
        for digits in (0, 1, 2, 3, 4)
    ),
    Mistake(
        "centroids not transposed",
        "The centroids must be turned for the product, `centroids.T`: an expert is a row of theirs, and here a column "
        "is taken for it.",
        lambda x, c: (x.float() @ c.float()).sigmoid(),
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
        "No gradient passes at all: without it neither the centroids nor the layers before ever learn from the choice.",
        lambda x, c: affinities(x.detach(), c.detach()),
    ),
)
