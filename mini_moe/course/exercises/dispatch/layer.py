"""Lesson 05: what `loop` and `sliced` must both hold, for they compute the same."""

import torch

from mini_moe.course.checking.exercise import Property, Wrong, must_equal
from mini_moe.course.exercises.dispatch.shared import (
    any_strides,
    equals,
    keeps_nothing,
    keeps_precision,
    must_cost_the_same,
    operations,
    takes_large,
)
from mini_moe.dispatch import sliced


def cases_of_layer(generator):
    """K = 1; K = E; all tokens to one expert; experts without tokens: the first, the last, between."""

    def shuffled(n_tokens, top_k, open_experts):
        return torch.stack([open_experts[torch.randperm(len(open_experts), generator=generator)[:top_k]]
                            for _ in range(n_tokens)])  # fmt: skip

    # Where all pairs, or those of each expert, are as many as features, weights run that lack `[:, None]`.
    for experts_NK, E, D, I in (
        (torch.tensor([[0]]), 1, 1, 1),
        (torch.tensor([[1]]), 2, 2, 1),
        (torch.tensor([[1, 0], [0, 1]]), 2, 2, 1),
        (torch.tensor([[1], [1]]), 3, 2, 2),
        (torch.tensor([[1, 2], [0, 1], [2, 0]]), 3, 2, 2),
        (torch.tensor([[1, 2, 0], [0, 2, 1], [2, 0, 1]]), 3, 2, 2),
        (torch.tensor([[2, 3], [3, 2], [0, 2]]), 4, 3, 2),
        (shuffled(5, 2, torch.tensor([0, 1, 3])), 5, 2, 2),
        (shuffled(6, 3, torch.arange(4)), 4, 3, 2),
    ):
        weights_NK = torch.rand(experts_NK.shape, generator=generator) + 0.2
        yield _with_experts(generator, weights_NK, experts_NK, E, D, I)
    # No gate weight is too small, or too negative, to count.
    weights_NK = torch.tensor([[0.0, -0.7], [0.03, 0.6], [0.5, 0.4], [-0.02, 0.9]])
    yield _with_experts(generator, weights_NK, torch.tensor([[0, 2], [1, 0], [2, 1], [1, 2]]), 3, 2, 3)


def _with_experts(generator, weights_NK, experts_NK, E, D, I):
    x_ND, gate_up, down = (
        torch.randn(shape, generator=generator) for shape in ((len(experts_NK), D), (E, 2 * I, D), (E, D, I))
    )
    return x_ND, weights_NK, experts_NK, gate_up, down


def _tokens_apart(function, x_ND, weights_NK, experts_NK, gate_up, down):
    alone = [
        function(x_1D, weights_1K, experts_1K, gate_up, down)
        for x_1D, weights_1K, experts_1K in zip(x_ND.split(1), weights_NK.split(1), experts_NK.split(1), strict=True)
    ]
    must_equal(
        function(x_ND, weights_NK, experts_NK, gate_up, down),
        torch.cat(alone),
        "In company a token gets another result than alone: it is left out, or given what is another's.",
        "tokens not kept apart",
    )


def _choices_add_up(function, x_ND, weights_NK, experts_NK, gate_up, down):
    alone = [
        function(x_ND, weights_N1, experts_N1, gate_up, down)
        for weights_N1, experts_N1 in zip(weights_NK.split(1, dim=1), experts_NK.split(1, dim=1), strict=True)
    ]
    must_equal(
        function(x_ND, weights_NK, experts_NK, gate_up, down),
        sum(alone),
        "A token's result must be the sum of what each of its choices gives alone.",
        "choices do not add up",
    )


def _weights_count(function, x_ND, weights_NK, experts_NK, gate_up, down):
    factor_N1 = 1 + torch.arange(1.0, len(x_ND) + 1)[:, None]
    must_equal(
        function(x_ND, factor_N1 * weights_NK, experts_NK, gate_up, down),
        factor_N1 * function(x_ND, weights_NK, experts_NK, gate_up, down),
        "A token's gate weights are made larger, 2 times, 3 times, and so on: its result must grow alike.",
        "not in proportion to the gate weights",
    )


def _closed_gate(function, x_ND, weights_NK, experts_NK, gate_up, down):
    gate, up = gate_up.chunk(2, dim=1)
    closed = torch.cat((torch.zeros_like(gate), up), dim=1)
    y_ND = function(x_ND, weights_NK, experts_NK, closed, down)
    must_equal(
        y_ND,
        torch.zeros_like(y_ND),
        "A gate of zeros, the upper half of `gate_up`, must let nothing through.",
        "a closed gate is passed",
    )


def _more_experts_same_work(function, x_ND, weights_NK, experts_NK, gate_up, down):
    E, K = len(down), experts_NK.shape[1]
    N = 2 * E
    x_ND, weights_NK = x_ND[:1].repeat(N, 1), weights_NK[:1].repeat(N, 1)

    def work(times):
        balanced_NK = (torch.arange(N)[:, None] + torch.arange(K)) % (times * E)
        return operations(
            function, x_ND, weights_NK, balanced_NK, gate_up.repeat(times, 1, 1), down.repeat(times, 1, 1)
        )

    must_cost_the_same(work(1), work(2), "each expert must compute its own tokens only, or choosing saves nothing.")


def _twins(times, x_ND, weights_NK, experts_NK, *matrices):
    tokens = [tensor.repeat(times, 1) for tensor in (x_ND, weights_NK, experts_NK)]
    return (*tokens, *matrices), (*(tensor.flip(0) for tensor in tokens), *matrices)


def _type_of_tokens(function, x_ND, weights_NK, experts_NK, gate_up, down):
    for tokens in (torch.bfloat16, torch.float64):
        names = f"{tokens}"[6:], f"{weights_NK.dtype}"[6:]
        with_types = "With {} tokens and experts and {} gate weights".format(*names)
        try:
            y_ND = function(x_ND.to(tokens), weights_NK, experts_NK, gate_up.to(tokens), down.to(tokens))
        except RuntimeError as error:
            says = f"{with_types} it stops: {str(error).splitlines()[0]}"
            raise Wrong(says, mistake="types not brought together") from error
        if y_ND.dtype != tokens:
            says = f"{with_types} the result is {f'{y_ND.dtype}'[6:]}: give it in the type of the tokens, {names[0]}."
            raise Wrong(says, mistake="not in the type of the tokens")


PROPERTIES_OF_LAYER = (
    Property("a call has no effect on the next", keeps_nothing(equals(sliced), _twins)),
    Property("no digits are lost on the way", keeps_precision(sliced)),
    Property("no token is dropped, and none gets another's result", _tokens_apart),
    Property("the choices of a token add up", _choices_add_up),
    Property("the gate weights multiply what comes back", _weights_count),
    Property("a closed gate lets nothing through", _closed_gate),
    Property("large numbers are taken", takes_large(sliced, lambda x_ND, *rest: (100 * x_ND, *rest))),
    Property("twice the experts to choose from cost no more operations", _more_experts_same_work),
    Property("inputs need not be contiguous", any_strides(equals(sliced))),
    Property("the result is in the type of the tokens", _type_of_tokens),
)
