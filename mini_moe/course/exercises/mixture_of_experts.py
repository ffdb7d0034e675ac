"""Lesson 03, more parameters for the same work: affinities, choosing experts, their mixture, and splitting them."""

import dataclasses
import functools
from unittest.mock import patch

import torch
import torch.nn.functional as F

from mini_moe.config import ModelConfig, deepseek_v3, split_experts, tiny
from mini_moe.cost import count_parameters
from mini_moe.course.exercise import Exercise, Mistake, Property, Wrong, agrees_with, must_equal
from mini_moe.course.observe import close
from mini_moe.course.quiz import Option, Quiz
from mini_moe.moe import affinities, limit_to_groups, mixture, route

# --- affinities -------------------------------------------------------------------------------------------------------


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


AFFINITIES = Exercise(
    lesson="mixture_of_experts",
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

# --- limit_to_groups --------------------------------------------------------------------------------------------------

# The first has the best expert of all, the second the best two, the third the best sum.
_CONTEST = ((0.9, -0.6, -0.6, -0.6), (0.5, 0.4, -0.9, -0.9), (0.2, 0.2, 0.2, 0.2))


def _contest(N, n_group, size, generator):
    """Scores where each measure of a group's worth finds another winner, and each token has them in other places."""
    rows = [[_CONTEST[(n + m) % n_group][:size] for m in range(n_group)] for n in range(N)]
    return (torch.tensor(rows) + _apart((N, n_group, size), generator)).flatten(1)


def _apart(shape, generator):
    """0, 0.01, 0.02 ... in random order: short numbers that keep equal scores apart."""
    return 0.01 * torch.rand(shape, generator=generator).argsort(dim=-1)


def _cases_of_groups(generator):
    yield _contest(1, 2, 3, generator), 2, 1
    yield _contest(3, 3, 4, generator) - 1, 3, 1  # all scores negative
    one_large = torch.tensor([[3.0, 0.0, 1.4, 1.4], [1.4, 1.4, 3.0, 0.0]])  # worth more as a sum, not bent by a sigmoid
    yield one_large + _apart((2, 4), generator), 2, 1
    yield torch.randn(4, 8, generator=generator), 4, 3
    yield torch.randn(16, 15, generator=generator) - 0.5, 5, 2


def _kept_or_closed(function, choice, n_group, topk_group):
    limited = function(choice, n_group, topk_group)
    must_equal(
        limited,
        choice.masked_fill(limited != choice, float("-inf")),
        "A score either stays as it is or becomes -inf, below all others: a kept score may be negative.",
    )


def _groups_as_a_whole(function, choice, n_group, topk_group):
    is_open = function(choice, n_group, topk_group).isfinite().unflatten(-1, (n_group, -1))
    if (is_open != is_open[..., :1]).any():
        raise Wrong(f"A group is open or closed as a whole. The {n_group} groups stand in order, equally large.")
    if (is_open[..., 0].sum(dim=-1) != topk_group).any():
        raise Wrong(f"For every token, {topk_group} of the {n_group} groups must stay open.")


def _best_two_decide(function, choice, n_group, topk_group):
    is_open = function(choice, n_group, topk_group).isfinite().unflatten(-1, (n_group, -1))[..., 0]
    worth = _two_best(choice.unflatten(-1, (n_group, -1)))
    lowest_open = worth.masked_fill(~is_open, float("inf")).amin(dim=-1)
    highest_closed = worth.masked_fill(is_open, float("-inf")).amax(dim=-1)
    if (lowest_open < highest_closed).any():
        raise Wrong("A group is closed whose two best scores add up to more than those of an open one.")


def _groups_of_one(function, choice, n_group, topk_group):
    E = choice.shape[-1]
    message = (
        f"With `n_group={E}, topk_group={topk_group}` each of these {E} experts is a group of its own, and worth its "
        "one score: there is no second one to add."
    )
    try:
        limited = function(choice, E, topk_group)
    except (RuntimeError, IndexError) as error:
        raise Wrong(message, mistake="groups of one expert") from error
    if not close(limited, limit_to_groups(choice, E, topk_group)):
        raise Wrong(message, mistake="groups of one expert")


def _all_open(function, choice, n_group, topk_group):
    must_equal(
        function(choice, n_group, n_group),
        choice,
        f"With `n_group={n_group}, topk_group={n_group}` all groups may stay open, and nothing must change.",
    )


def _two_best(groups):
    return groups.topk(min(2, groups.shape[-1]), dim=-1).values.sum(dim=-1)


def _best(worth, n):
    """True for the ``n`` best of each row."""
    return torch.zeros_like(worth, dtype=torch.bool).scatter(-1, worth.topk(n, dim=-1).indices, True)


def _limited(*, worth=_two_best, keep=_best, fill=float("-inf")):
    """The limit with one thing changed, for the mistakes; ``keep(worth, topk_group)`` says which groups stay open."""

    def function(choice, n_group, topk_group):
        groups = choice.unflatten(-1, (n_group, -1))
        is_open = keep(worth(groups), topk_group)[..., None]
        return groups.masked_fill(~is_open, fill).flatten(1)

    return function


def _dealt(choice, n_group, topk_group):
    """Expert e in group e mod M, as cards are dealt."""
    turned = choice.unflatten(-1, (-1, n_group)).mT.flatten(1)
    return limit_to_groups(turned, n_group, topk_group).unflatten(-1, (n_group, -1)).mT.flatten(1)


def _worth_of_topk_group(choice, n_group, topk_group):
    def worth(groups):
        return groups.topk(min(topk_group, groups.shape[-1]), dim=-1).values.sum(dim=-1)

    return _limited(worth=worth)(choice, n_group, topk_group)


def _only_two_best(choice, n_group, topk_group):
    groups = limit_to_groups(choice, n_group, topk_group).unflatten(-1, (n_group, -1))
    return groups.masked_fill(~_best(groups, min(2, groups.shape[-1])), float("-inf")).flatten(1)


def _experts_alone(choice, n_group, topk_group):
    return choice.masked_fill(~_best(choice, topk_group * choice.shape[-1] // n_group), float("-inf"))


def _numbers_confused(choice, n_group, topk_group):
    kept = _two_best(choice.unflatten(-1, (n_group, -1))).topk(topk_group, dim=-1).indices
    return torch.full_like(choice, float("-inf")).scatter(-1, kept, choice.gather(-1, kept))


LIMIT_TO_GROUPS = Exercise(
    lesson="mixture_of_experts",
    reference=limit_to_groups,
    cases=_cases_of_groups,
    properties=(
        Property("a score stays as it is or becomes -inf", _kept_or_closed),
        Property("a group is open or closed as a whole", _groups_as_a_whole),
        Property("the two best scores decide a group's worth", _best_two_decide),
        Property("groups of one expert work, too", _groups_of_one),
        Property("with all groups open nothing changes", _all_open),
        Property("agrees with the library, gradients too", agrees_with(limit_to_groups)),
    ),
    mistakes=(
        Mistake(
            "masked with 0",
            "Closed experts get the score 0: biased scores may be negative, and then a closed expert wins. -inf is "
            "below all.",
            _limited(fill=0.0),
        ),
        *(
            Mistake(
                "a large number in place of -inf",
                "Closed experts get a large negative number: write -inf, `float('-inf')`, which is below every score "
                "and plain to see.",
                _limited(fill=fill),
            )
            for fill in (-1.0, -10.0, -1e2, -1e3, -1e4, -1e6, -1e8, -1e9, -1e10, -1e20, torch.finfo(torch.float32).min)
        ),
        Mistake(
            "closed with +inf",
            "Closed experts get +inf, so they would all be chosen first: the minus is missing.",
            _limited(fill=float("inf")),
        ),
        Mistake(
            "a group is worth its best",
            "A group is worth its best expert alone here: add the *two* best, for a token takes several experts from "
            "it.",
            _limited(worth=lambda groups: groups.amax(dim=-1)),
        ),
        Mistake(
            "a group is worth all its experts",
            "A group is worth the sum or mean of all its experts here: only the two best count; nobody will ask the "
            "others.",
            _limited(worth=lambda groups: groups.sum(dim=-1)),
        ),
        Mistake(
            "topk_group experts counted",
            "A group is worth its `topk_group` best here: that is a number of groups; of its experts, two count.",
            _worth_of_topk_group,
        ),
        Mistake(
            "a group is worth its worst",
            "A group is worth its lowest scores here: `topk` or a descending sort gives the two best.",
            _limited(worth=lambda groups: -_two_best(-groups)),
        ),
        *(
            Mistake(
                "another worth",
                "A group's worth is measured in another way: it is the sum of its two best scores, as they are.",
                _limited(worth=worth),
            )
            for worth in (
                lambda groups: groups[..., :2].sum(dim=-1),
                lambda groups: groups.topk(min(2, groups.shape[-1]), dim=-1).values.prod(dim=-1),
                lambda groups: groups.topk(min(2, groups.shape[-1]), dim=-1).values[..., -1],
                lambda groups: groups.amax(dim=-1) + groups.amin(dim=-1),
                lambda groups: groups.amax(dim=-1) - groups.amin(dim=-1),
                lambda groups: groups.median(dim=-1).values,
                lambda groups: groups.std(dim=-1),
                lambda groups: groups.logsumexp(dim=-1),
                lambda groups: groups.relu().sum(dim=-1),
                lambda groups: groups.sigmoid().sum(dim=-1),
                lambda groups: _two_best(groups.sigmoid()),
                lambda groups: _two_best(groups.abs()),
                lambda groups: groups.norm(dim=-1),
            )
        ),
        Mistake(
            "the worst groups kept",
            "The groups worth least stay open: those worth most should.",
            _limited(keep=lambda worth, n: _best(-worth, n)),
        ),
        Mistake(
            "mask inverted",
            "The mask is inverted: it closes the best groups and keeps the others.",
            _limited(keep=lambda worth, n: ~_best(worth, n)),
        ),
        Mistake(
            "n_group - topk_group kept",
            "As many groups stay open as should be closed: `topk_group` says how many to *keep*.",
            _limited(keep=lambda worth, n: _best(worth, worth.shape[-1] - n)),
        ),
        Mistake(
            "one group kept",
            "Only the best group stays open: keep the best `topk_group`.",
            _limited(keep=lambda worth, n: _best(worth, 1)),
        ),
        *(
            Mistake(
                "one choice of groups for all tokens",
                "The same groups stay open for every token: each token has its own best.",
                _limited(keep=lambda worth, n, common=common: _best(common(worth), n).expand_as(worth)),
            )
            for common in (lambda worth: worth.mean(dim=0, keepdim=True), lambda worth: worth[:1])
        ),
        Mistake(
            "experts dealt round",
            "The experts are dealt to the groups in turn, 0, 1, 2, 0, 1, 2: they stand in order, the first E / M "
            "together, so unflatten to (n_group, -1).",
            _dealt,
        ),
        Mistake(
            "n_group as the size of a group",
            "`n_group` is taken for the size of a group: it is their number, so unflatten to (n_group, -1).",
            lambda choice, n_group, topk_group: limit_to_groups(choice, choice.shape[-1] // n_group, topk_group),
        ),
        Mistake(
            "experts closed one by one",
            "The best experts stay open, wherever they are: they would lie in many groups. Choose groups, and keep "
            "these as a whole.",
            _experts_alone,
        ),
        Mistake(
            "only the two best kept",
            "Within an open group only the two best experts are left: they measure the group's worth; all its experts "
            "stay open.",
            _only_two_best,
        ),
        Mistake(
            "groups' numbers taken for experts'",
            "The numbers of the groups are used as if they were experts: a kept group opens all its E / M experts.",
            _numbers_confused,
        ),
        Mistake(
            "the mask alone",
            "This is the mask: give the scores themselves, and -inf where it closes.",
            lambda choice, n_group, topk_group: limit_to_groups(choice, n_group, topk_group).isfinite() + 0 * choice,
        ),
        Mistake(
            "nothing closed",
            "All groups stay open: operations such as `masked_fill` give a *new* tensor, to be kept and returned.",
            lambda choice, n_group, topk_group: choice.clone(),
        ),
    ),
    hints=(
        "Four steps: a dimension for the groups, the worth of each, the best groups, and -inf for all others.",
        "`groups = choice_NE.unflatten(-1, (n_group, -1))` is (N, M, E / M). The worth is the sum of "
        "`groups.topk(2, dim=-1).values`; of 1 where a group has only one. `closed.scatter(-1, kept, False)` opens "
        "what is kept.",
        "return groups.masked_fill(closed[..., None], float('-inf')).flatten(1), where closed is (N, M), true but for "
        "worth.topk(topk_group, dim=-1).indices.",
    ),
    difficulty=2,
    minutes=10,
)

# --- route ------------------------------------------------------------------------------------------------------------

# `route` takes its options by keyword, and a case is a tuple of plain arguments. So cases call it with the options'
# defaults, and the properties of the options set them, and know the mistakes that only they can show.


def _cases_of_route(generator):
    for N, E, K in ((1, 4, 2), (2, 4, 2), (4, 8, 3), (8, 12, 4)):
        rank = torch.rand(N, E, generator=generator).argsort(dim=-1)
        scores = (rank + 0.2 + 0.6 * torch.rand(N, E, generator=generator)) / E  # in (0, 1), no two near each other
        scores = scores.round(decimals=2)
        bias = -0.6 - 0.3 * torch.rand(E, generator=generator)  # most biased scores are negative; unrounded: no ties
        bias[scores[0].argmin()] = 1.0  # lifts the last to the first place
        yield scores, bias, K


def _by_expert(function, **options):
    """``function`` as a matrix (N, E) of gate weights, 0 for who rests: the order of the choices is free."""

    @functools.wraps(route)  # whose parameters' names a message tells
    def dense(scores, bias, top_k):
        weights, experts = function(scores, bias, top_k, **options)
        return torch.zeros_like(scores).scatter_add(-1, experts, weights)

    return dense


def _different_experts(function, scores, bias, top_k):
    _, experts = function(scores, bias, top_k)
    if not ((experts >= 0) & (experts < scores.shape[-1])).all():
        raise Wrong(f"An expert's number must be one of 0 to {scores.shape[-1] - 1}.")
    if (experts.sort(dim=-1).values.diff(dim=-1) == 0).any():
        raise Wrong(f"A token needs {top_k} *different* experts.")


def _best_chosen(function, scores, bias, top_k):
    _, experts = function(scores, bias, top_k)
    must_equal(
        experts.sort(dim=-1).values,
        (scores + bias).topk(top_k, dim=-1).indices.sort(dim=-1).values,
        f"The {top_k} experts with the highest scores + bias must be chosen, for each token.",
    )


def _weights_without_bias(function, scores, bias, top_k):
    weights, experts = function(scores, bias, top_k)
    chosen = scores.gather(-1, experts)
    must_equal(
        weights / weights.sum(dim=-1, keepdim=True),
        chosen / chosen.sum(dim=-1, keepdim=True),
        "The weights must stand to each other as the *scores* of the chosen experts do, without the bias.",
    )


def _weights_add_up(function, scores, bias, top_k):
    total = function(scores, bias, top_k)[0].sum(dim=-1)
    must_equal(total, torch.ones_like(total), "The weights of a token must add up to 1, if `scale` is 1.")


def _obeys(mistakes, *settings):
    """A property's test: the weights are right under each of the ``settings``, else which mistake they look like."""

    def test(function, *case):
        cases = (case, *_cases_of_route(torch.Generator().manual_seed(0)))  # the smallest fits several mistakes
        for options in settings:
            got, expected = (_by_expert(f, **options)(*case) for f in (function, route))
            if not close(got, expected):
                with patch.dict(getattr(function, "__globals__", {}), limit_to_groups=limit_to_groups):
                    if close(_by_expert(function, **options)(*case), expected):
                        raise Wrong(
                            "It is right, but the `limit_to_groups` that it calls is not: finish that one first, then "
                            "run this check again.",
                            mistake="limit_to_groups not finished",
                        )
                known = next((m for m in mistakes if same_under(settings, function, m.function, cases)), None)
                shown = f"With `{_written(options)}`, {_largest_difference(got, expected)}."
                raise Wrong(f"{known.says} {shown}" if known else shown, mistake=known and known.name)

    return test


def _written(options):
    return ", ".join(f"{name}={value}" for name, value in options.items())


def _largest_difference(got, expected):
    """Where two matrices of gate weights are least alike, in words."""
    token, expert = divmod((got - expected).abs().argmax().item(), got.shape[-1])
    given, due = got[token, expert].item(), expected[token, expert].item()
    rests = "" if given and due else " (0: not chosen)"
    return f"token {token} gives expert {expert} the weight {given:.3g} where {due:.3g} is due{rests}"


def same_under(settings, one, other, cases):
    """Whether two routers agree on all cases under each of the settings."""
    return all(
        close(_by_expert(one, **options)(*case), _by_expert(other, **options)(*case))
        for options in settings
        for case in cases
    )


def _agrees_with_route(function, *case):
    agrees_with(_by_expert(route))(_by_expert(function), *case)
    for options in (*OF_NORMALIZE.settings, *OF_SCALE.settings, *OF_GROUPS.settings):
        try:
            agrees_with(_by_expert(route, **options))(_by_expert(function, **options), *case)
        except Wrong as wrong:
            raise Wrong(f"{wrong.message} This is with `{_written(options)}`.") from wrong


def _best_biased(scores, bias, top_k, n_group, topk_group):
    return limit_to_groups(scores + bias, n_group, topk_group).topk(top_k, dim=-1).indices


def _score(scores, bias, experts, normalize, scale):
    weights = scores.gather(-1, experts)
    if normalize:
        weights = weights / weights.sum(dim=-1, keepdim=True)
    return weights * scale


def _routed(*, choose=_best_biased, weigh=_score):
    """The router with one thing changed, for the mistakes."""

    def function(scores, bias, top_k, *, n_group=1, topk_group=1, normalize=True, scale=1.0):
        experts = choose(scores, bias, top_k, n_group, topk_group)
        return weigh(scores, bias, experts, normalize, scale), experts

    return function


def _choice_by(value):
    """The router that chooses the highest of ``value(scores, bias)``."""
    return _routed(choose=lambda s, b, k, n_group, topk_group: value(s, b).topk(k, dim=-1).indices.expand(len(s), -1))


def _weighed(weigh):
    """The router whose weights are ``weigh(scores, bias, experts)``."""
    return _routed(weigh=lambda s, b, experts, normalize, scale: weigh(s, b, experts))


def _share(weights):
    return weights / weights.sum(dim=-1, keepdim=True)


def _everyone(scores, bias, top_k):
    return _share(scores), torch.arange(scores.shape[-1]).expand_as(scores)


def _everyone_sorted(scores, bias, top_k):
    experts = (scores + bias).argsort(dim=-1, descending=True)
    return _share(scores).gather(-1, experts), experts


def _zeros_for_the_rest(scores, bias, top_k):
    return _by_expert(route)(scores, bias, top_k), torch.arange(scores.shape[-1]).expand_as(scores)


def _first_experts(scores, bias, top_k, n_group, topk_group):
    return torch.arange(top_k).expand(len(scores), -1)


def _ordered(order):
    """A change of order in which ``order(experts)`` are the places, for a learner is free to give any."""

    def reorder(function):
        def reordered(*case):
            weights, experts = function(*case)
            places = order(experts)
            return weights.gather(-1, places), experts.gather(-1, places)

        return reordered

    return reorder


# The orders in which people find the chosen: best first (`topk`), best last (`argsort`), by number (a mask or a loop).
_ORDERS = (
    lambda function: function,
    _ordered(lambda experts: torch.arange(experts.shape[-1]).flip(0).expand_as(experts)),
    _ordered(lambda experts: experts.argsort(dim=-1)),
)


@dataclasses.dataclass(frozen=True)
class OfOption:
    """What can go wrong with an option, and the settings of options that show it."""

    settings: tuple[dict, ...]
    mistakes: tuple[Mistake, ...]


OF_NORMALIZE = OfOption(
    settings=({"normalize": False},),
    mistakes=(
        Mistake(
            "normalize ignored",
            "The weights are always divided by their sum: with `normalize=False` they are the scores as they are.",
            _routed(weigh=lambda s, b, experts, normalize, scale: _score(s, b, experts, True, scale)),
        ),
    ),
)
OF_SCALE = OfOption(
    settings=({"scale": 2.5}, {"scale": 2.5, "normalize": False}),
    mistakes=(
        Mistake(
            "scale left out",
            "`scale` is not used: multiply the weights by it, last.",
            _routed(weigh=lambda s, b, experts, normalize, scale: _score(s, b, experts, normalize, 1.0)),
        ),
        *(
            Mistake(
                "scaled before normalising",
                "`scale` is lost where the weights are divided by their sum: multiply by it last, outside the `if`, "
                "whether they were normalised or not.",
                function,
            )
            for function in (
                _routed(weigh=lambda s, b, experts, normalize, scale: _score(s * scale, b, experts, normalize, 1.0)),
                lambda s, b, k, scale=1.0, **options: route(s * scale, b, k, **options),
                lambda s, b, k, scale=1.0, **options: route(s * scale, b * scale, k, **options),
            )
        ),
        Mistake(
            "divided by scale",
            "The weights are divided by `scale`: multiply.",
            _routed(weigh=lambda s, b, experts, normalize, scale: _score(s, b, experts, normalize, 1 / scale)),
        ),
        Mistake(
            "scale only where normalised",
            "`scale` is multiplied in only where the weights are normalised: it stands outside the `if`.",
            _routed(weigh=lambda s, b, experts, normalize, scale: _score(s, b, experts, normalize, scale**normalize)),
        ),
        Mistake(
            "scaled twice",
            "The weights are multiplied by `scale` twice.",
            _routed(weigh=lambda s, b, experts, normalize, scale: _score(s, b, experts, normalize, scale**2)),
        ),
        Mistake(
            "scale added",
            "`scale` is added to the weights: multiply.",
            _routed(weigh=lambda s, b, experts, normalize, scale: _score(s, b, experts, normalize, 1.0) + scale),
        ),
    ),
)
OF_GROUPS = OfOption(
    settings=({"n_group": 2, "topk_group": 1}, {"n_group": 4, "topk_group": 3}),
    mistakes=(
        Mistake(
            "groups ignored",
            "The groups are ignored: choose from `limit_to_groups(scores + bias, n_group, topk_group)`, which is a new "
            "tensor.",
            _choice_by(lambda s, b: s + b),
        ),
        Mistake(
            "groups chosen without the bias",
            "The groups are limited by the scores alone: add the bias first, then limit.",
            _routed(
                choose=lambda s, b, k, n_group, topk_group: (
                    (limit_to_groups(s, n_group, topk_group) + b).topk(k, dim=-1).indices
                )
            ),
        ),
        Mistake(
            "experts chosen without the bias in groups",
            "Within the open groups the scores alone decide: the biased ones choose the experts, too.",
            _routed(
                choose=lambda s, b, k, n_group, topk_group: (
                    s.masked_fill(limit_to_groups(s + b, n_group, topk_group).isinf(), float("-inf"))
                    .topk(k, dim=-1)
                    .indices
                )
            ),
        ),
        Mistake(
            "closed experts at 0",
            "Closed experts get the score 0 and win where kept ones are negative: leave them at -inf for the choice.",
            _routed(
                choose=lambda s, b, k, n_group, topk_group: (
                    limit_to_groups(s + b, n_group, topk_group).nan_to_num(neginf=0.0).topk(k, dim=-1).indices
                )
            ),
        ),
        Mistake(
            "n_group - topk_group groups",
            "As many groups stay open as should be closed: `topk_group` says how many to *keep*.",
            _routed(
                choose=lambda s, b, k, n_group, topk_group: _best_biased(s, b, k, n_group, max(1, n_group - topk_group))
            ),
        ),
    ),
)

_OF_CHOICE_AND_WEIGHT = (
    Mistake(
        "bias ignored",
        "The bias is not used: the highest scores + bias are chosen, and only the weights go without it.",
        _choice_by(lambda s, b: s),
    ),
    Mistake(
        "bias subtracted",
        "The bias has the wrong sign: it is *added* to the scores, so that an idle expert's positive bias lifts it.",
        _choice_by(lambda s, b: s - b),
    ),
    *(
        Mistake(
            "bias multiplied",
            "The scores are multiplied by the bias: add it.",
            _choice_by(value),
        )
        for value in (lambda s, b: s * b, lambda s, b: s * (1 + b))
    ),
    Mistake(
        "bias alone",
        "The bias alone chooses, so that every token gets the same experts: add it to the token's scores.",
        _choice_by(lambda s, b: b.expand_as(s)),
    ),
    Mistake(
        "lowest chosen",
        "The experts with the *lowest* biased scores are chosen: take the highest, as `topk` does by default.",
        _choice_by(lambda s, b: -(s + b)),
    ),
    Mistake(
        "always the first K",
        "Every token gets experts 0 to K - 1: choose for each token those with the highest biased scores.",
        _routed(choose=_first_experts),
    ),
    *(
        Mistake(
            "one choice for the whole batch",
            "All tokens get the same experts: choose along the last dimension, for each token by itself.",
            _choice_by(value),
        )
        for value in (lambda s, b: (s + b).mean(dim=0, keepdim=True), lambda s, b: (s + b)[:1])
    ),
    *(
        Mistake(
            "no top-k",
            "All experts are returned: that is no mixture of *few*. Choose K for each token; both results are (N, K).",
            function,
        )
        for function in (_everyone, _everyone_sorted)
    ),
    Mistake(
        "zeros for the rest",
        "The weights are a matrix over all experts, with zeros for those that rest: give the K chosen only, (N, K).",
        _zeros_for_the_rest,
    ),
    *(
        Mistake(
            "bias in the weight",
            "The bias is in the gate weight: it should only choose. Gather the weights from the scores, at the chosen "
            "experts.",
            _weighed(weigh),
        )
        for weigh in (
            lambda s, b, experts: _share((s + b).gather(-1, experts)),
            lambda s, b, experts: (s + b).gather(-1, experts),
            lambda s, b, experts: (s + b).gather(-1, experts).softmax(dim=-1),
            lambda s, b, experts: (s + b).softmax(dim=-1).gather(-1, experts),
            lambda s, b, experts: (s + b).gather(-1, experts) / (s + b).sum(dim=-1, keepdim=True),
        )
    ),
    *(
        Mistake(
            "normalised over all experts",
            "The weights are divided by the sum over *all* experts: divide by that of the chosen, so that they add up "
            "to 1.",
            _weighed(weigh),
        )
        for weigh in (
            lambda s, b, experts: s.gather(-1, experts) / s.sum(dim=-1, keepdim=True),
            lambda s, b, experts: s.gather(-1, experts) / (s + b).sum(dim=-1, keepdim=True),
        )
    ),
    Mistake(
        "sum of the biased scores",
        "The weights are divided by the sum of the *biased* scores: the bias has no part in the weights at all.",
        _weighed(lambda s, b, experts: s.gather(-1, experts) / (s + b).gather(-1, experts).sum(dim=-1, keepdim=True)),
    ),
    Mistake(
        "softmax over the chosen",
        "The weights are a softmax: the scores are affinities already, so divide those of the chosen by their sum.",
        _weighed(lambda s, b, experts: s.gather(-1, experts).softmax(dim=-1)),
    ),
    Mistake(
        "softmax over all",
        "The weights are a softmax over all experts: divide the scores of the chosen by their sum.",
        _weighed(lambda s, b, experts: s.softmax(dim=-1).gather(-1, experts)),
    ),
    *(
        Mistake(
            "scores changed before the choice",
            "The scores are changed before the bias is added, which changes the choice: they are affinities already, "
            "and normalising comes after it.",
            function,
        )
        for bend in (lambda s: s.softmax(dim=-1), torch.sigmoid, lambda s: s / s.sum(dim=-1, keepdim=True))
        for function in (
            _choice_by(lambda s, b, bend=bend: bend(s) + b),
            lambda s, b, k, bend=bend: route(bend(s), b, k),
        )
    ),
    *(
        Mistake(
            "sigmoid again",
            "The sigmoid is taken again: the scores have been through it in `affinities`.",
            _weighed(weigh),
        )
        for weigh in (
            lambda s, b, experts: _share(s.sigmoid().gather(-1, experts)),
            lambda s, b, experts: s.sigmoid().gather(-1, experts),
        )
    ),
    Mistake(
        "not normalised",
        "The weights are not divided by their sum, as `normalize` asks by default.",
        _weighed(lambda s, b, experts: s.gather(-1, experts)),
    ),
    Mistake(
        "mean in place of sum",
        "The weights are divided by their mean: the sum makes them add up to 1.",
        _weighed(lambda s, b, experts: s.gather(-1, experts) / s.gather(-1, experts).mean(dim=-1, keepdim=True)),
    ),
    Mistake(
        "divided by the largest",
        "The weights are divided by the largest of them: divide by their sum.",
        _weighed(lambda s, b, experts: s.gather(-1, experts) / s.gather(-1, experts).amax(dim=-1, keepdim=True)),
    ),
    Mistake(
        "divided by their length",
        "The weights are divided by the root of the sum of their squares: divide by their sum.",
        _weighed(lambda s, b, experts: F.normalize(s.gather(-1, experts), dim=-1)),
    ),
    *(
        Mistake(
            "normalised over the tokens",
            "The weights are divided by a sum over tokens: each token's own add up to 1, `dim=-1, keepdim=True`.",
            _weighed(weigh),
        )
        for weigh in (
            lambda s, b, experts: s.gather(-1, experts) / s.gather(-1, experts).sum(dim=0, keepdim=True),
            lambda s, b, experts: s.gather(-1, experts) / s.gather(-1, experts).sum(),
        )
    ),
    Mistake(
        "equal weights",
        "Every chosen expert weighs the same, 1 / K: the weights are the scores of the chosen, divided by their sum. "
        "Else the router learns nothing.",
        _weighed(
            lambda s, b, experts: torch.full_like(s[:, : experts.shape[-1]], 1 / experts.shape[-1]) + 0 * s[:, :1]
        ),
    ),
    *(
        Mistake(
            "weights of other experts",
            "The weights belong to other experts than those returned: take the score *at* each chosen expert, "
            "`scores_NE.gather(1, experts_NK)`.",
            _weighed(weigh),
        )
        for weigh in (
            lambda s, b, experts: _share(s.topk(experts.shape[-1], dim=-1).values),
            lambda s, b, experts: s.topk(experts.shape[-1], dim=-1).values,
            lambda s, b, experts: _share(s[:, : experts.shape[-1]]),
            lambda s, b, experts: _share(s.gather(-1, experts.sort(dim=-1).values)),
            lambda s, b, experts: _share(s.gather(-1, experts).flip(-1)),
        )
    ),
)

ROUTE = Exercise(
    lesson="mixture_of_experts",
    reference=route,
    cases=_cases_of_route,
    properties=(
        Property("each token gets K different experts", _different_experts),
        Property("the highest biased scores are chosen", _best_chosen),
        Property("the bias has no part in the weights", _weights_without_bias),
        Property("the weights of a token add up to 1", _weights_add_up),
        Property("not normalised, the weights are the scores", _obeys(OF_NORMALIZE.mistakes, *OF_NORMALIZE.settings)),
        Property("`scale` multiplies the weights, last", _obeys(OF_SCALE.mistakes, *OF_SCALE.settings)),
        Property("only experts of the best groups are chosen", _obeys(OF_GROUPS.mistakes, *OF_GROUPS.settings)),
        Property("agrees with the library, gradients too", _agrees_with_route),
    ),
    mistakes=(
        *(
            Mistake(mistake.name, mistake.says, reorder(mistake.function))
            for mistake in _OF_CHOICE_AND_WEIGHT
            for reorder in _ORDERS
        ),
        *(
            Mistake(
                "results exchanged",
                "The two results have changed places: the weights come first, then the numbers of the experts.",
                lambda *case, reorder=reorder: reorder(route)(*case)[::-1],
            )
            for reorder in _ORDERS
        ),
        # These two have right results, and are told by their gradients.
        Mistake(
            "router detached",
            "No gradient passes through the weights: detach for the choice alone, for they are the only way by which "
            "the router learns.",
            _weighed(lambda s, b, experts: _share(s.gather(-1, experts)).detach()),
        ),
        Mistake(
            "sum detached",
            "The sum carries no gradient: no `.detach()` or `no_grad` there, for each score lowers the others' shares.",
            _weighed(
                lambda s, b, experts: s.gather(-1, experts) / s.gather(-1, experts).sum(-1, keepdim=True).detach()
            ),
        ),
    ),
    hints=(
        "Two things to keep apart: what chooses (scores + bias, limited to groups) and what weighs (the scores alone).",
        "`choice.topk(top_k, dim=-1).indices` are the experts, `scores_NE.gather(1, experts)` their scores. Divide by "
        "the sum, with `keepdim=True`, if `normalize` says so; `scale` comes last.",
        "choice = limit_to_groups(scores_NE.detach() + bias_E, n_group, topk_group); experts = choice.topk(top_k, "
        "dim=-1).indices; weights = scores_NE.gather(1, experts); then normalize; then return weights * scale and "
        "experts.",
    ),
    difficulty=2,
    minutes=12,
)

# --- mixture ----------------------------------------------------------------------------------------------------------


class _Curve:
    """An expert that shows what it computes: sin(a x + b). Not a straight line, and not 0 at 0."""

    def __init__(self, a, b):
        self.a, self.b = round(a, 1), round(b, 1)

    def __call__(self, x):
        return torch.sin(self.a * x + self.b)

    def __repr__(self):
        return f"sin({self.a} x {'-' if self.b < 0 else '+'} {abs(self.b)})"


def _cases_of_mixture(generator):
    for N, D, E, K in ((1, 2, 3, 2), (3, 2, 4, 2), (6, 4, 6, 3)):
        heights = torch.rand(E + 1, generator=generator).mul(2).sub(1).tolist()
        *routed, shared = (_Curve(0.5 + 0.3 * i, height) for i, height in enumerate(heights))
        x = torch.randn(N, D, generator=generator).round(decimals=2)
        weights = (0.2 + 0.6 * torch.rand(N, K, generator=generator)).round(decimals=2)
        experts = torch.rand(N, E, generator=generator).topk(K, dim=-1).indices
        experts[0] = torch.arange(E - 1, E - 1 - K, -1)  # neither the first K, nor in ascending order
        yield x, weights, experts, routed, shared


def _shared_alone(function, x, weights, experts, routed, shared):
    must_equal(
        function(x, torch.zeros_like(weights), experts, routed, shared),
        shared(x),
        "Where all weights are 0 the shared expert works alone, once, with weight 1.",
    )


def _weights_multiply(function, x, weights, experts, routed, shared):
    def of_the_chosen(weights):
        return function(x, weights, experts, routed, shared) - shared(x)

    must_equal(
        of_the_chosen(2 * weights),
        2 * of_the_chosen(weights),
        "Twice the weights must make twice what the chosen experts add: a weight multiplies what its expert returns.",
    )


def _order_is_free(function, x, weights, experts, routed, shared):
    must_equal(
        function(x, weights.flip(-1), experts.flip(-1), routed, shared),
        function(x, weights, experts, routed, shared),
        "The order of a token's choices must not matter, as long as weights and experts change places together.",
    )


def _tokens_apart(function, x, weights, experts, routed, shared):
    must_equal(
        function(x[-1:], weights[-1:], experts[-1:], routed, shared),
        function(x, weights, experts, routed, shared)[-1:],
        "A token's result hangs on its neighbours: each goes to its own experts, with its own weights.",
    )


def _written_to_no_result(function, x, weights, experts, routed, shared):
    before = x.clone()
    function(x, weights, experts, routed, lambda x: x)
    if not torch.equal(x, before):
        raise Wrong(
            "With `shared=lambda x: x`, which returns the token itself, the input changes: `y = shared(x)`, then `y "
            "+= ...` writes into what `shared` returned, and the next expert reads it. Write `y = y + ...`.",
            mistake="adds into what `shared` returned",
        )


def _mixed(combine):
    """The mixture whose rows are ``combine(x_D, weights_K, functions of the K chosen, shared)``, for the mistakes."""

    def function(x, weights, experts, routed, shared):
        chosen = [[routed[expert] for expert in row] for row in experts.tolist()]
        return torch.stack([combine(*row, shared) for row in zip(x, weights, chosen, strict=True)])

    return function


def _sum(x, weights, chosen):
    return sum(weight * expert(x) for weight, expert in zip(weights, chosen, strict=True))


def _chained(x, weights, chosen, shared):
    y = x
    for weight, expert in zip(weights, chosen, strict=True):
        y = weight * expert(y)
    return y + shared(x)


def _chained_sum(start):
    """Each expert works on the sum so far."""

    def combine(x, weights, chosen, shared):
        y = start(x, shared)
        for weight, expert in zip(weights, chosen, strict=True):
            y = y + weight * expert(y)
        return y

    return combine


MIXTURE = Exercise(
    lesson="mixture_of_experts",
    reference=mixture,
    cases=_cases_of_mixture,
    properties=(
        Property("the shared expert works with weight 1", _shared_alone),
        Property("a weight multiplies what its expert returns", _weights_multiply),
        Property("the order of the choices does not matter", _order_is_free),
        Property("each token goes to its own experts", _tokens_apart),
        Property("what `shared` returns is not written to", _written_to_no_result),
        Property("agrees with the library, gradients too", agrees_with(mixture)),
    ),
    mistakes=(
        Mistake(
            "shared left out",
            "The shared expert is missing: it works on every token, beside the chosen ones.",
            _mixed(lambda x, weights, chosen, shared: _sum(x, weights, chosen)),
        ),
        Mistake(
            "shared added K times",
            "The shared expert is added once for every choice: once for each token, outside the loop over its choices.",
            _mixed(lambda x, weights, chosen, shared: _sum(x, weights, chosen) + len(chosen) * shared(x)),
        ),
        *(
            Mistake(
                "shared gated",
                "The shared expert is multiplied by gate weights: it has no gate, its weight is always 1.",
                _mixed(
                    lambda x, weights, chosen, shared, gate=gate: _sum(x, weights, chosen) + gate(weights) * shared(x)
                ),
            )
            for gate in (
                lambda weights: weights.sum(),
                lambda weights: weights.mean(),
                lambda weights: weights[0],
                lambda weights: weights[-1],
                lambda weights: weights.amax(),
                lambda weights: 1 - weights.sum(),
            )
        ),
        *(
            Mistake(
                "shared scaled",
                "The shared expert is divided by a number: no gate, no share, it is added as it is.",
                _mixed(lambda x, weights, chosen, shared, n=n: _sum(x, weights, chosen) + shared(x) / n(chosen)),
            )
            for n in (len, lambda chosen: len(chosen) + 1, lambda chosen: 2)
        ),
        Mistake(
            "gate weights dropped",
            "The gate weights are not used: multiply what each chosen expert returns by its weight. They are also the "
            "only way by which the router learns.",
            _mixed(lambda x, weights, chosen, shared: sum(expert(x) for expert in chosen) + shared(x)),
        ),
        *(
            Mistake(
                "averaged",
                "It takes a mean: the weights say already how much each expert counts; add up, and divide by nothing.",
                _mixed(combine),
            )
            for combine in (
                lambda x, weights, chosen, shared: _sum(x, weights, chosen) / len(chosen) + shared(x),
                lambda x, weights, chosen, shared: (_sum(x, weights, chosen) + shared(x)) / len(chosen),
                lambda x, weights, chosen, shared: (_sum(x, weights, chosen) + shared(x)) / (len(chosen) + 1),
                lambda x, weights, chosen, shared: (_sum(x, weights, chosen) + shared(x)) / 2,
                lambda x, weights, chosen, shared: sum(expert(x) for expert in chosen) / len(chosen) + shared(x),
            )
        ),
        *(
            Mistake(
                "weights normalised again",
                "The weights are normalised once more: `route` has done so, if it was asked to, and scaled them after; "
                "use them as they are.",
                _mixed(lambda x, weights, chosen, shared, norm=norm: _sum(x, norm(weights), chosen) + shared(x)),
            )
            for norm in (_share, lambda weights: weights.softmax(dim=-1))
        ),
        Mistake(
            "weight squared",
            "The weight is multiplied in twice.",
            _mixed(lambda x, weights, chosen, shared: _sum(x, weights**2, chosen) + shared(x)),
        ),
        Mistake(
            "weight on the input",
            "The weight multiplies what goes *into* the expert: experts are not linear, so it makes a difference. "
            "Multiply what comes out.",
            _mixed(
                lambda x, weights, chosen, shared: (
                    sum(expert(weight * x) for weight, expert in zip(weights, chosen, strict=True)) + shared(x)
                )
            ),
        ),
        *(
            Mistake(
                "weights and experts out of step",
                "A weight meets another expert than its own: weights[n, k] belongs to experts[n, k].",
                function,
            )
            for function in (
                lambda x, weights, experts, *functions: mixture(x, weights, experts.flip(-1), *functions),
                lambda x, weights, experts, *functions: mixture(x, weights, experts.sort(dim=-1).values, *functions),
                lambda x, weights, experts, *functions: mixture(x, weights.roll(1, -1), experts, *functions),
            )
        ),
        Mistake(
            "number of the choice as the expert",
            "The k-th choice goes to expert k: look up its number first, `routed[experts[n, k]]`.",
            lambda x, weights, experts, *functions: mixture(
                x, weights, torch.arange(experts.shape[-1]).expand_as(experts), *functions
            ),
        ),
        Mistake(
            "experts counted from 1",
            "Expert e is looked up one place off: experts are counted from 0, `routed[e]`.",
            lambda x, weights, experts, routed, shared: mixture(x, weights, experts - 1, routed, shared),
        ),
        *(
            Mistake(
                "one token's choice for all",
                "All tokens use the choice of one of them: experts and weights have a row for each token.",
                function,
            )
            for row in (slice(1), slice(-1, None))
            for function in (
                lambda x, weights, experts, *functions, row=row: mixture(
                    x, weights[row].expand_as(weights), experts[row].expand_as(experts), *functions
                ),
                lambda x, weights, experts, *functions, row=row: mixture(
                    x, weights, experts[row].expand_as(experts), *functions
                ),
                lambda x, weights, experts, *functions, row=row: mixture(
                    x, weights[row].expand_as(weights), experts, *functions
                ),
            )
        ),
        Mistake(
            "first choice only",
            "Only the first of a token's experts is asked: add up all K.",
            _mixed(lambda x, weights, chosen, shared: weights[0] * chosen[0](x) + shared(x)),
        ),
        *(
            Mistake(
                "last choice only",
                "Only the last choice is left: each turn of the loop overwrites what was there; *add* to it.",
                _mixed(combine),
            )
            for combine in (
                lambda x, weights, chosen, shared: weights[-1] * chosen[-1](x) + shared(x),
                lambda x, weights, chosen, shared: weights[-1] * chosen[-1](x),
            )
        ),
        *(
            Mistake(
                "every expert asked",
                "All E experts are asked: only the chosen work on a token, or nothing is saved.",
                lambda x, weights, experts, routed, shared, total=total: total(x, routed) + shared(x),
            )
            for total in (
                lambda x, routed: sum(expert(x) for expert in routed),
                lambda x, routed: sum(expert(x) for expert in routed) / len(routed),
            )
        ),
        *(
            Mistake(
                "one after the other",
                "An expert works on what another returned: all work on the same token x, side by side.",
                _mixed(combine),
            )
            for combine in (
                _chained,
                _chained_sum(lambda x, shared: shared(x)),
                _chained_sum(lambda x, shared: x + shared(x)),
                lambda x, weights, chosen, shared: _chained_sum(lambda x, _: x)(x, weights, chosen, shared) + shared(x),
                lambda x, weights, chosen, shared: _sum(shared(x), weights, chosen),
                lambda x, weights, chosen, shared: _sum(shared(x), weights, chosen) + shared(x),
                lambda x, weights, chosen, shared: shared(_sum(x, weights, chosen)),
            )
        ),
        Mistake(
            "shared subtracted",
            "The shared expert is subtracted: add it.",
            _mixed(lambda x, weights, chosen, shared: _sum(x, weights, chosen) - shared(x)),
        ),
        *(
            Mistake(
                "input added",
                "The token itself is added to the result: the block around this layer does that.",
                _mixed(combine),
            )
            for combine in (
                lambda x, weights, chosen, shared: x + _sum(x, weights, chosen) + shared(x),
                lambda x, weights, chosen, shared: x + _sum(x, weights, chosen),
            )
        ),
        Mistake(
            "router detached",
            "The result is right, but no gradient reaches the weights: no `.item()`, `.tolist()` or `.detach()` on "
            "them, or the router never learns.",
            lambda x, weights, *rest: mixture(x, weights.detach(), *rest),
        ),
    ),
    hints=(
        "For each token: start with what the shared expert returns; add, for each choice, weight times what that "
        "expert returns.",
        "`for x_D, weights_K, experts_K in zip(x_ND, weights_NK, experts_NK.tolist())` goes through the tokens; an "
        "expert's number picks its function from `routed`. Collect rows in a list, and `torch.stack` them.",
        "y_D = shared(x_D), then y_D = y_D + weight * routed[expert](x_D) for weight, expert in zip(weights_K, "
        "experts_K).",
    ),
    difficulty=1,
    minutes=6,
)

# --- split_experts ----------------------------------------------------------------------------------------------------


def _cases_of_split(generator):
    def draw(low, high):
        return torch.randint(low, high + 1, (1,), generator=generator).item()

    smallest = ModelConfig(
        vocab_size=draw(5, 9), hidden_size=4, num_hidden_layers=2, intermediate_size=12, num_attention_heads=2,
        kv_lora_rank=3, qk_nope_head_dim=2, qk_rope_head_dim=2, v_head_dim=4,
        n_routed_experts=draw(3, 5), num_experts_per_tok=2, moe_intermediate_size=2 * draw(2, 4),
    )  # fmt: skip
    yield smallest, 2
    yield (
        smallest.replace(
            **{"n_routed_experts": 8, "n_group": 4, "topk_group": 2, "n_shared_experts": 2, "q_lora_rank": 5},
            **{"norm_topk_prob": False, "routed_scaling_factor": 1.5, "rms_norm_eps": 1e-5, "num_hidden_layers": 5},
            **{"moe_intermediate_size": 12, "first_k_dense_replace": 2, "max_position_embeddings": draw(64, 99)},
        ),
        3,
    )
    yield tiny().replace(n_shared_experts=0, num_experts_per_tok=draw(3, 5)), 4
    yield deepseek_v3(), 8


def _of_experts(config):
    """Parameters of the experts, all and those at work on a token: what changes between two configs of one frame."""
    routers = (config.num_hidden_layers - config.first_k_dense_replace) * config.n_routed_experts * config.hidden_size
    return tuple(count - routers for count in count_parameters(config))


def _many_to_choose(function, config, m):
    fine = function(config, m)
    for name in ("n_routed_experts", "num_experts_per_tok"):
        got, expected = getattr(fine, name), m * getattr(config, name)
        if got != expected:
            raise Wrong(f"`{name}` must be {m} times as many: {expected}, not {got}.")


def _as_much_work(function, config, m):
    got, expected = (_of_experts(c)[1] for c in (function(config, m), config))
    if got != expected:
        raise Wrong(
            f"A token must cost as much as before: without the routers, {expected} parameters worked on it; now it is "
            f"{got}."
        )


def _as_much_stored(function, config, m):
    got, expected = (_of_experts(c)[0] for c in (function(config, m), config))
    if got != expected:
        raise Wrong(
            f"As much must be stored as before: without the routers, the model had {expected} parameters; now it has "
            f"{got}."
        )


def _whole_width(function, config, m):
    width = function(config, m).moe_intermediate_size
    if not isinstance(width, int):
        raise Wrong(
            f"The inner width is {width!r}, a float: no matrix can be made of that width. `//` divides whole numbers.",
            mistake="inner width a float",
        )


def _the_rest_stays(function, config, m):
    fine = function(config, m)
    cut = ("n_routed_experts", "num_experts_per_tok", "n_shared_experts", "moe_intermediate_size")
    for field in dataclasses.fields(config):
        got, expected = getattr(fine, field.name), getattr(config, field.name)
        if field.name not in cut and got != expected:
            raise Wrong(f"`{field.name}` was {expected} and is {got}: only the experts may change.")


def _refuses_fractions(function, config, m):
    width = config.moe_intermediate_size
    m = next(m for m in range(2, width) if width % m)
    try:
        function(config, m)
    except ValueError:
        return
    raise Wrong(
        f"`m = {m}` does not divide the inner width, {width}: raise a ValueError. To round would compute less than "
        "before, and nobody would know.",
        mistake="rounded without an error",
    )


def _split(**changes):
    """The split with some fields' new values as ``field=lambda config, m: ...``, for the mistakes."""

    def function(config, m):
        return split_experts(config, m).replace(**{name: value(config, m) for name, value in changes.items()})

    return function


def _as_it_was(*names):
    return _split(**{name: lambda config, m, name=name: getattr(config, name) for name in names})


_DEFAULTS = {
    field.name: lambda config, m, default=field.default: default
    for field in dataclasses.fields(ModelConfig)
    if field.default is not dataclasses.MISSING and field.name != "n_shared_experts"
}


def _from_tiny(config, m):
    fine = split_experts(config, m)
    names = ("n_routed_experts", "num_experts_per_tok", "n_shared_experts", "moe_intermediate_size")
    return tiny().replace(**{name: getattr(fine, name) for name in names})


SPLIT_EXPERTS = Exercise(
    lesson="mixture_of_experts",
    reference=split_experts,
    cases=_cases_of_split,
    properties=(
        Property("m times the experts, m times as many chosen", _many_to_choose),
        Property("a token costs as much as before", _as_much_work),
        Property("as much is stored as before", _as_much_stored),
        Property("the inner width is a whole number", _whole_width),
        Property("all else stays as it is", _the_rest_stays),
        Property("an m that does not divide is refused", _refuses_fractions),
        Property("agrees with the library", agrees_with(split_experts)),
    ),
    mistakes=(
        Mistake(
            "K not multiplied",
            "K stays as it was: with experts m times smaller a token then gets only 1 / m of the work. Choose m times "
            "as many.",
            _as_it_was("num_experts_per_tok"),
        ),
        Mistake(
            "I not divided",
            "The inner width stays as it was: m times as many experts of full width are m times the parameters and the "
            "work. Divide it by m.",
            _as_it_was("moe_intermediate_size"),
        ),
        Mistake(
            "E not multiplied",
            "The number of experts stays as it was: each is cut in m, so there are m times as many.",
            _as_it_was("n_routed_experts"),
        ),
        Mistake(
            "shared experts not multiplied",
            "The shared experts shrink, too, for all have one inner width: there must be m times as many of them.",
            _as_it_was("n_shared_experts"),
        ),
        Mistake(
            "m shared experts",
            "There are m shared experts, whatever their number was: multiply it by m, and none stay none.",
            _split(n_shared_experts=lambda config, m: m),
        ),
        Mistake(
            "only E multiplied",
            "Only the number of experts grows: that stores m times as much. Cut them: I / m, and choose m times as "
            "many.",
            _as_it_was("num_experts_per_tok", "n_shared_experts", "moe_intermediate_size"),
        ),
        Mistake(
            "only I divided",
            "Only the inner width is divided: that throws away parameters. There must be m times as many experts, "
            "chosen and shared ones, too.",
            _as_it_was("num_experts_per_tok", "n_shared_experts", "n_routed_experts"),
        ),
        Mistake(
            "K and shared experts not multiplied",
            "K and the shared experts stay as they were: with experts m times smaller a token then gets only 1 / m of "
            "the work.",
            _as_it_was("num_experts_per_tok", "n_shared_experts"),
        ),
        Mistake(
            "I and shared experts as they were",
            "E and K grow while the experts stay as wide: m times the parameters, m times the work. Divide the inner "
            "width by m, and take m times the shared experts.",
            _as_it_was("moe_intermediate_size", "n_shared_experts"),
        ),
        Mistake(
            "I multiplied",
            "The inner width is multiplied: cutting an expert in m leaves each piece 1 / m of it.",
            _split(moe_intermediate_size=lambda config, m: config.moe_intermediate_size * m),
        ),
        *(
            Mistake(
                "dense layers cut",
                "`intermediate_size` is the width of the *dense* layers: the experts' is `moe_intermediate_size`, and "
                "only that is divided.",
                function,
            )
            for function in (
                _split(
                    intermediate_size=lambda config, m: config.intermediate_size // m,
                    moe_intermediate_size=lambda config, m: config.moe_intermediate_size,
                ),
                _split(intermediate_size=lambda config, m: config.intermediate_size // m),
            )
        ),
        Mistake(
            "hidden size divided",
            "`hidden_size` is divided: that is the model's width, which all layers share. Only the experts shrink, on "
            "the inside.",
            _split(hidden_size=lambda config, m: config.hidden_size // m),
        ),
        *(
            Mistake(
                "groups multiplied",
                "The groups grow in number, too: they stay, with m times as many experts in each.",
                function,
            )
            for function in (
                _split(n_group=lambda config, m: config.n_group * m, topk_group=lambda c, m: c.topk_group * m),
                _split(n_group=lambda config, m: config.n_group * m),
            )
        ),
        *(
            Mistake(
                "scaling factor changed",
                "`routed_scaling_factor` is changed: the gate weights are divided by their sum, whatever their number.",
                _split(routed_scaling_factor=value),
            )
            for value in (
                lambda config, m: config.routed_scaling_factor * m,
                lambda config, m: config.routed_scaling_factor / m,
            )
        ),
        *(
            Mistake(
                "other fields lost",
                "Fields that have nothing to do with experts are lost: `config.replace(...)` copies all others.",
                function,
            )
            for function in (_from_tiny, _split(**_DEFAULTS))
        ),
        Mistake(
            "nothing split",
            "It gives the config back as it came: `replace` makes a *new* one, to be returned.",
            lambda config, m: config,
        ),
    ),
    hints=(
        "What is stored is E times I, what is computed is K times I (and the shared experts times I). I becomes I / m, "
        "so what must happen to the others?",
        "`config.replace(field=value)` is a copy with changes. Four fields change: three grow by m, one shrinks. First "
        "see whether m divides it: `config.moe_intermediate_size % m`.",
        "return config.replace(n_routed_experts=config.n_routed_experts * m, num_experts_per_tok=..., "
        "n_shared_experts=..., moe_intermediate_size=config.moe_intermediate_size // m), after raising a ValueError "
        "where m does not divide.",
    ),
    difficulty=1,
    minutes=6,
)

EXERCISES = (AFFINITIES, ROUTE, LIMIT_TO_GROUPS, MIXTURE, SPLIT_EXPERTS)

QUIZZES = (
    Quiz(
        "what-is-an-expert",
        "What does one expert of a trained model know?",
        (
            Option("A topic: one knows law, another biology, a third Python.", "The name misleads. Nobody assigns "
                   "topics, and a study of a trained model found hardly any (Mixtral, arXiv 2401.04088, section 5)."),
            Option("Nothing that need have a name: it is a feed-forward network, chosen anew for each token in each "
                   "layer.", "Within one sentence every token goes to its own few, in every layer to others. What they "
                   "share out is what lowered the loss; often it follows the form of a token more than the topic.",
                   right=True),
            Option("A whole answer: each expert writes one, and the best is taken.", "No expert sees a text or writes "
                   "one. It takes one token's vector in one layer and returns another."),
        ),
    ),
    Quiz(
        "more-experts-same-work",
        "A layer has 8 experts, and each token uses 2. You make it 64 of the same size, and each token still uses 2. "
        "What grows?",
        (
            Option("Parameters and work, eightfold both.", "Work is what the *chosen* experts do, and these are still "
                   "2. The others rest."),
            Option("Nothing: 2 experts are 2 experts.", "The other 62 exist. They hold parameters, which must be "
                   "stored, loaded and trained."),
            Option("The parameters of the experts, eightfold; the work of a token hardly at all.", "Only the router "
                   "has more to do: a dot product for each expert. That is the bargain you measure below.", right=True),
        ),
    ),
    Quiz(
        "resting-experts",
        "DeepSeek-V3 uses 37 of its 671 billion parameters on a token. How much memory must hold weights while it "
        "writes text?",
        (
            Option("For 37 billion: the others rest.", "The next token wakes others, and in a batch most are wanted at "
                   "once. Fetching them from a disk each time would take far longer than the work itself."),
            Option("For all 671 billion.", "A mixture saves work, not memory: resting experts are stored, too. This is "
                   "why such models are served from many machines.", right=True),
            Option("For 671 - 37 = 634 billion.", "Every parameter is some token's: all must be at hand, those at "
                   "work and those at rest."),
        ),
    ),
)  # fmt: skip
