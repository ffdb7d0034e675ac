"""Lesson 03, `mixture`: the mistakes that people make."""

import torch

from mini_moe.course.checking.exercise import Mistake
from mini_moe.course.exercises.mixture_of_experts.shared import share
from mini_moe.moe import mixture


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


MISTAKES = (
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
            _mixed(lambda x, weights, chosen, shared, gate=gate: _sum(x, weights, chosen) + gate(weights) * shared(x)),
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
        for norm in (share, lambda weights: weights.softmax(dim=-1))
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
        "weight looked up by expert",
        "The weight is looked up by the expert's number: `weights` has a column for each choice, weights[n, k].",
        lambda x, weights, experts, *functions: mixture(
            x, weights.gather(-1, experts % weights.shape[-1]), experts, *functions
        ),
    ),
    *(
        Mistake(
            "sum not begun anew",
            "The sum runs on from token to token: begin it anew for each, inside the loop over the tokens.",
            function,
        )
        for function in (
            lambda *case: mixture(*case).cumsum(dim=0),
            lambda x, weights, experts, routed, shared: (
                mixture(x, weights, experts, routed, torch.zeros_like).cumsum(dim=0)
                + mixture(x, 0 * weights, experts, routed, shared)
            ),
        )
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
        "Only the first of a token's experts is called: add up all K.",
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
            "every expert called",
            "All E experts are called: only the chosen work on a token, or no work is saved.",
            lambda x, weights, experts, routed, shared, total=total: torch.stack(
                [total(x_D, routed) + shared(x_D) for x_D in x]
            ),
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
    # From here on results are right, and gradients tell.
    *(
        Mistake(
            "tokens detached",
            "The result is right, but a part of the gradient to the tokens is lost: no `.detach()` or `no_grad` around "
            "an expert, for through each the layers before learn.",
            function,
        )
        for function in (
            lambda x, weights, experts, routed, shared: mixture(
                x, weights, experts, routed, lambda x: shared(x.detach())
            ),
            lambda x, weights, experts, routed, shared: mixture(
                x, weights, experts, [lambda x, expert=expert: expert(x.detach()) for expert in routed], shared
            ),
        )
    ),
    Mistake(
        "weight of 0 skipped",
        "A choice whose weight is 0 is passed over: the result is right, but that weight then gets no gradient, and "
        "stays 0 for ever.",
        lambda x, weights, *rest: mixture(x, weights.masked_fill(weights == 0, 0), *rest),
    ),
    Mistake(
        "router detached",
        "The result is right, but no gradient reaches the weights: no `.item()`, `.tolist()` or `.detach()` on "
        "them, or the router never learns.",
        lambda x, weights, *rest: mixture(x, weights.detach(), *rest),
    ),
)
