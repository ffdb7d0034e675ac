"""Lesson 05: what `loop` and `sliced` must both hold, and the operations that a product takes."""

import math

import torch
from torch.utils.flop_counter import FlopCounterMode

from mini_moe.course.checking.exercise import Property, Wrong, must_equal


def operations(function, *case):
    """Multiplications and additions in matrix products; torch counts all but those with a vector, which are added."""
    with_vectors = {torch.ops.aten.mv: lambda matrix, vector, **_: 2 * math.prod(matrix)}
    with FlopCounterMode(display=False, custom_mapping=with_vectors) as counter:
        function(*case)
    return counter.get_total_flops()


def must_cost_the_same(few, many, cure):
    """The work with some experts and with twice as many, at the same number of rows; ``cure`` ends the sentence."""
    if many > few:
        raise Wrong(
            f"With twice the experts, for as many rows, the matrix products take {many} operations in place of {few}: "
            f"{cure}",
            mistake="every expert for all",
        )


def cases_of_dispatch(generator):
    """K = 1; K = E; all tokens to one expert; experts without tokens: the first, the last, between."""

    def shuffled(n_tokens, top_k, open_experts):
        return torch.stack([open_experts[torch.randperm(len(open_experts), generator=generator)[:top_k]]
                            for _ in range(n_tokens)])  # fmt: skip

    # Where all pairs, or those of each expert, are as many as features, weights run that lack `[:, None]`.
    for experts_NK, E, D, I in (
        (torch.tensor([[1]]), 2, 2, 1),
        (torch.tensor([[1, 0], [0, 1]]), 2, 2, 1),
        (torch.tensor([[1], [1]]), 3, 2, 2),
        (torch.tensor([[1, 2], [0, 1], [2, 0]]), 3, 2, 2),
        (torch.tensor([[1, 2, 0], [0, 2, 1], [2, 0, 1]]), 3, 2, 2),
        (torch.tensor([[2, 3], [3, 0], [0, 2]]), 4, 3, 2),
        (shuffled(5, 2, torch.tensor([0, 1, 3])), 5, 2, 2),
        (shuffled(6, 3, torch.arange(4)), 4, 3, 2),
    ):
        x_ND = torch.randn(len(experts_NK), D, generator=generator)
        weights_NK = torch.rand(experts_NK.shape, generator=generator) + 0.2
        gate_up, down = (torch.randn(shape, generator=generator) for shape in ((E, 2 * I, D), (E, D, I)))
        yield x_ND, weights_NK, experts_NK, gate_up, down


def _weights_count(function, x_ND, weights_NK, experts_NK, gate_up, down):
    factor_N1 = 1 + torch.arange(1.0, len(x_ND) + 1)[:, None]
    must_equal(
        function(x_ND, factor_N1 * weights_NK, experts_NK, gate_up, down),
        factor_N1 * function(x_ND, weights_NK, experts_NK, gate_up, down),
        "A token's gate weights are made larger, 2 times, 3 times, and so on: its result must grow alike.",
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
    )


def _tokens_apart(function, x_ND, weights_NK, experts_NK, gate_up, down):
    alone = [
        function(x_1D, weights_1K, experts_1K, gate_up, down)
        for x_1D, weights_1K, experts_1K in zip(x_ND.split(1), weights_NK.split(1), experts_NK.split(1), strict=True)
    ]
    must_equal(
        function(x_ND, weights_NK, experts_NK, gate_up, down),
        torch.cat(alone),
        "In company a token gets another result than alone: it is left out, or given what is another's.",
    )


def _closed_gate(function, x_ND, weights_NK, experts_NK, gate_up, down):
    gate, up = gate_up.chunk(2, dim=1)
    closed = torch.cat((torch.zeros_like(gate), up), dim=1)
    y_ND = function(x_ND, weights_NK, experts_NK, closed, down)
    must_equal(y_ND, torch.zeros_like(y_ND), "A gate of zeros, the upper half of `gate_up`, must let nothing through.")


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


PROPERTIES_OF_DISPATCH = (
    Property("a closed gate lets nothing through", _closed_gate),
    Property("the gate weights multiply what comes back", _weights_count),
    Property("the choices of a token add up", _choices_add_up),
    Property("no token is dropped, and none gets another's result", _tokens_apart),
    Property("twice the experts to choose from cost no more operations", _more_experts_same_work),
)
