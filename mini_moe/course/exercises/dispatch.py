"""Lesson 05, where does the speed go: asking each expert for its tokens, sorting, grouped products, tiles."""

import math
from itertools import pairwise, takewhile

import torch
import torch.nn.functional as F
from torch.utils.flop_counter import FlopCounterMode

from mini_moe.course.exercise import Exercise, Mistake, Property, Wrong, agrees_with, must_equal
from mini_moe.course.quiz import Option, Quiz
from mini_moe.dispatch import loop, sliced, sliced_linear, sort_by_expert
from mini_moe.kernels.tiles import tile_table


def _operations(function, *case):
    """Multiplications and additions in matrix products; torch counts all but those with a vector, which are added."""
    with_vectors = {torch.ops.aten.mv: lambda matrix, vector, **_: 2 * math.prod(matrix)}
    with FlopCounterMode(display=False, custom_mapping=with_vectors) as counter:
        function(*case)
    return counter.get_total_flops()


def _must_cost_the_same(few, many, cure):
    """The work with some experts and with twice as many, at the same number of rows; ``cure`` ends the sentence."""
    if many > few:
        raise Wrong(
            f"With twice the experts, for as many rows, the matrix products take {many} operations in place of {few}: "
            f"{cure}",
            mistake="every expert for all",
        )


# --- loop and sliced: what both compute -------------------------------------------------------------------------------


def _cases_of_dispatch(generator):
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
        return _operations(
            function, x_ND, weights_NK, balanced_NK, gate_up.repeat(times, 1, 1), down.repeat(times, 1, 1)
        )

    _must_cost_the_same(work(1), work(2), "each expert must compute its own tokens only, or choosing saves nothing.")


_PROPERTIES_OF_DISPATCH = (
    Property("a closed gate lets nothing through", _closed_gate),
    Property("the gate weights multiply what comes back", _weights_count),
    Property("the choices of a token add up", _choices_add_up),
    Property("no token is dropped, and none gets another's result", _tokens_apart),
    Property("twice the experts to choose from cost no more operations", _more_experts_same_work),
)


def _fed(change):
    """The right function, fed with changed arguments, for the mistakes."""
    return lambda *case: sliced(*change(*case))


def _dispatched(
    *,
    token=lambda pair, N, K, E: pair // K,
    source=None,
    target=None,
    inner=lambda gate, up: F.silu(gate) * up,
    weight=lambda weights_NK, pair, token: weights_NK.flatten()[pair],
    weigh=lambda y_JD, weight_J: y_JD * weight_J[:, None],
    collect=lambda y_JD, x_ND, pair, token: torch.zeros_like(x_ND).index_add(0, token, y_JD),
):
    """The way over sorted pairs with one step changed, for the mistakes.

    ``token`` tells the token of a pair; ``source`` that which is read and ``target`` that which is added to, if other.
    """

    def function(x_ND, weights_NK, experts_NK, gate_up, down):
        pair_J, ends_E = sort_by_expert(experts_NK, len(down))
        source_J, target_J = (of(pair_J, *experts_NK.shape, len(down)) for of in (source or token, target or token))
        gate, up = sliced_linear(x_ND[source_J], gate_up, ends_E).chunk(2, dim=-1)
        y_JD = weigh(sliced_linear(inner(gate, up), down, ends_E), weight(weights_NK, pair_J, target_J))
        return collect(y_JD, x_ND, pair_J, target_J)

    return function


def _summed(y_JD, x_ND):
    """Each K rows of ``y_JD`` added up, as if they were one token's."""
    return y_JD.unflatten(0, (len(x_ND), -1)).sum(dim=1)


def _weighted_before(x_ND, weights_NK, experts_NK, gate_up, down):
    """The gate weight multiplies the token before its expert sees it, not the result."""
    pair_J, ends_E = sort_by_expert(experts_NK, len(down))
    token_J = pair_J // experts_NK.shape[1]
    x_JD = x_ND[token_J] * weights_NK.flatten()[pair_J, None]
    gate, up = sliced_linear(x_JD, gate_up, ends_E).chunk(2, dim=-1)
    return torch.zeros_like(x_ND).index_add(0, token_J, sliced_linear(F.silu(gate) * up, down, ends_E))


def _with_capacity(capacity):
    """Each expert takes the first ``capacity(fair share)`` of its tokens and drops the others."""

    def function(x_ND, weights_NK, experts_NK, gate_up, down):
        chosen = F.one_hot(experts_NK.flatten(), len(down))
        place_NK = (chosen * chosen.cumsum(0)).sum(dim=1).view_as(experts_NK)  # 1, 2, ... within an expert
        room = capacity(experts_NK.numel() / len(down))
        return sliced(x_ND, weights_NK * (place_NK <= room), experts_NK, gate_up, down)

    return function


def _all_experts(weigh):
    """Every token through every expert, each with the weight ``weigh(weights_NK, E)``."""

    def function(x_ND, weights_NK, experts_NK, gate_up, down):
        E = len(down)
        weights_NE = weigh(weights_NK, E).expand(-1, E)
        return sliced(x_ND, weights_NE, torch.arange(E).expand(len(x_ND), E), gate_up, down)

    return function


def _overwrite(y_JD, x_ND, pair, token):
    return torch.zeros_like(x_ND).index_copy(0, token, y_JD)


_MISTAKES_OF_DISPATCH = (
    Mistake(
        "gate weights left out",
        "The gate weights are not used: each result is multiplied by `weights_NK[token, choice]` before it is added.",
        _fed(lambda x, w, e, gate_up, down: (x, torch.ones_like(w), e, gate_up, down)),
    ),
    *(
        Mistake(
            "wrong gate weight",
            "A result meets the gate weight of another choice: expert `experts_NK[n, k]` belongs to "
            "`weights_NK[n, k]`, the same row *and* the same column.",
            _fed(lambda x, w, e, gate_up, down, change=change: (x, change(w), e, gate_up, down)),
        )
        for change in (
            lambda w: w[:, :1].expand_as(w),
            lambda w: w[:, -1:].expand_as(w),
            lambda w: w.flip(1),
            lambda w: w[:1].expand_as(w),
        )
    ),
    *(
        Mistake(
            "all weights of the token",
            "A result is multiplied by all of its token's weights together: only that of this choice counts, "
            "`weights_NK[token, choice]`.",
            _fed(lambda x, w, e, gate_up, down, join=join: (x, join(w).expand_as(w), e, gate_up, down)),
        )
        for join in (
            lambda w: w.sum(dim=1, keepdim=True),
            lambda w: w.mean(dim=1, keepdim=True),
            lambda w: w.prod(dim=1, keepdim=True),
            lambda w: w.amax(dim=1, keepdim=True),
        )
    ),
    *(
        Mistake(
            "weights normalised again",
            "The gate weights are normalised here: take them as they are, the router has done what is to be done.",
            _fed(lambda x, w, e, gate_up, down, change=change: (x, change(w), e, gate_up, down)),
        )
        for change in (lambda w: w / w.sum(dim=1, keepdim=True), lambda w: w.softmax(dim=1))
    ),
    Mistake(
        "weight on the input",
        "The gate weight multiplies the token on its way in: silu is no straight line, so weigh what comes out.",
        _weighted_before,
    ),
    Mistake(
        "weighted twice",
        "The gate weight is multiplied in twice: once is enough.",
        _fed(lambda x, w, e, gate_up, down: (x, w * w, e, gate_up, down)),
    ),
    *(
        Mistake(
            "overwritten, not added",
            "A token's second result replaces the first: `y[token] = ...` keeps one of them, and so does `y[token] += "
            "...` where a token stands twice. Add: `y.index_add(0, token, rows)`.",
            function,
        )
        for function in (
            _dispatched(collect=_overwrite),
            _fed(lambda x, w, e, gate_up, down: (x, w[:, -1:], e[:, -1:], gate_up, down)),
        )
    ),
    Mistake(
        "first choice only",
        "Only the first choice of each token is computed: all K columns of `experts_NK` count.",
        _fed(lambda x, w, e, gate_up, down: (x, w[:, :1], e[:, :1], gate_up, down)),
    ),
    *(
        Mistake(
            "tokens dropped",
            "Where many tokens choose one expert, some are left out: here an expert takes all that come, however many.",
            _with_capacity(capacity),
        )
        for capacity in (
            math.ceil,
            math.floor,
            lambda share: max(1, math.floor(share)),
            lambda share: math.floor(1.25 * share),
            lambda share: 1,
        )
    ),
    *(
        Mistake(
            "no choice",
            "Every expert's result counts for every token: only those that the token chose may.",
            _all_experts(weigh),
        )
        for weigh in (
            lambda w, E: torch.ones_like(w[:, :1]),
            lambda w, E: torch.ones_like(w[:, :1]) / E,
            lambda w, E: w.sum(dim=1, keepdim=True),
        )
    ),
    Mistake(
        "divided by the number of choices",
        "The results are averaged over the choices: add them, their weights share out already.",
        lambda x, w, e, gate_up, down: sliced(x, w, e, gate_up, down) / e.shape[1],
    ),
    Mistake(
        "nothing added",
        "The result stays zero: `y.index_add(...)` leaves y as it is and returns the sum, so keep that, "
        "`y = y.index_add(...)`.",
        _fed(lambda x, w, e, gate_up, down: (x, 0 * w, e, gate_up, down)),
    ),
    *(
        Mistake(
            "one expert for all",
            "All tokens meet the same expert's matrices: expert e's own are `gate_up[e]` and `down[e]`.",
            _fed(
                lambda x, w, e, gate_up, down, join=join: (
                    x,
                    w,
                    e,
                    join(gate_up).expand_as(gate_up),
                    join(down).expand_as(down),
                )
            ),
        )
        for join in (lambda weight: weight[:1], lambda weight: weight.mean(dim=0, keepdim=True))
    ),
    Mistake(
        "input added",
        "The input is added to the result: the block around this layer does that, so begin with zeros.",
        lambda x, w, e, gate_up, down: x + sliced(x, w, e, gate_up, down),
    ),
    Mistake(
        "gate and up exchanged",
        "The bend is in the wrong half: the first I rows of `gate_up` are the gate and get silu, the others stay "
        "straight.",
        _dispatched(inner=lambda gate, up: gate * F.silu(up)),
    ),
    Mistake(
        "silu in both halves",
        "silu bends both halves: it belongs to the gate alone. Split first, then bend.",
        _dispatched(inner=lambda gate, up: F.silu(gate) * F.silu(up)),
    ),
    Mistake(
        "no silu",
        "There is no silu: without a bend, gate and up are only a product of two straight maps.",
        _dispatched(inner=lambda gate, up: gate * up),
    ),
    Mistake(
        "silu after the product",
        "silu is applied to gate times up: it bends the gate alone.",
        _dispatched(inner=lambda gate, up: F.silu(gate * up)),
    ),
    Mistake(
        "sigmoid in place of silu",
        "The gate is a sigmoid: silu(z) is z times the sigmoid of z.",
        _dispatched(inner=lambda gate, up: torch.sigmoid(gate) * up),
    ),
    *(
        Mistake(
            "another bend",
            "The gate is bent by another function, a relu or a gelu: these experts use silu(z) = z / (1 + exp(-z)).",
            _dispatched(inner=lambda gate, up, bend=bend: bend(gate) * up),
        )
        for bend in (torch.relu, F.gelu, lambda z: F.gelu(z, approximate="tanh"))
    ),
    Mistake(
        "no gate",
        "The gate is missing: the upper half of `gate_up`, bent by silu, multiplies the lower half.",
        _dispatched(inner=lambda gate, up: F.silu(up)),
    ),
    Mistake(
        "no way up",
        "The up-projection is missing: the gate multiplies it, the lower half of `gate_up`.",
        _dispatched(inner=lambda gate, up: F.silu(gate)),
    ),
    Mistake(
        "added in place of multiplied",
        "Gate and up are added: the gate *multiplies*, feature by feature.",
        _dispatched(inner=lambda gate, up: F.silu(gate) + up),
    ),
    Mistake(
        "gate and up interleaved",
        "Every other row is taken for the gate: the gate is the first half of `gate_up`, the up-projection the second.",
        _fed(lambda x, w, e, gate_up, down: (x, w, e, torch.cat((gate_up[:, ::2], gate_up[:, 1::2]), dim=1), down)),
    ),
    *(
        Mistake(
            "matrix not transposed",
            "A product with an expert's matrix is not transposed: both are out by in, as `F.linear` takes them; with @ "
            "write `x @ gate_up[e].T` and `h @ down[e].T`.",
            _fed(change),
        )
        for change in (
            lambda x, w, e, gate_up, down: (x, w, e, gate_up.mT, down),
            lambda x, w, e, gate_up, down: (x, w, e, gate_up, down.mT),
        )
    ),
)

# --- loop -------------------------------------------------------------------------------------------------------------


def _stops_at_empty(x_ND, weights_NK, experts_NK, gate_up, down):
    idle = experts_NK.flatten().bincount(minlength=len(down)) == 0
    first_idle = idle.int().argmax() if idle.any() else len(down)
    return sliced(x_ND, weights_NK * (experts_NK < first_idle), experts_NK, gate_up, down)


def _only_token_0_is_none(x_ND, weights_NK, experts_NK, gate_up, down):
    after_0 = experts_NK[1:].flatten().bincount(minlength=len(down)) > 0
    return sliced(x_ND, weights_NK * after_0[experts_NK], experts_NK, gate_up, down)


def _one_by_one(*, order=lambda token, choice: (token, choice), weigh=lambda out, weight: out * weight[:, None]):
    """The loop with one step changed, for the mistakes."""

    def function(x_ND, weights_NK, experts_NK, gate_up, down):
        y_ND = torch.zeros_like(x_ND)
        for expert in range(len(down)):
            token, choice = order(*(experts_NK == expert).nonzero(as_tuple=True))
            gate, up = F.linear(x_ND[token], gate_up[expert]).chunk(2, dim=-1)
            out = F.linear(F.silu(gate) * up, down[expert])
            y_ND = y_ND.index_add(0, token, weigh(out, weights_NK[token, choice]))
        return y_ND

    return function


LOOP = Exercise(
    lesson="dispatch",
    reference=loop,
    cases=_cases_of_dispatch,
    properties=(*_PROPERTIES_OF_DISPATCH, Property("agrees with the library, gradients too", agrees_with(loop))),
    mistakes=(
        *_MISTAKES_OF_DISPATCH,
        Mistake(
            "weight by the number of the expert",
            "The gate weight is looked up by the expert's number: the columns of `weights_NK` are choices, not "
            "experts. Find out as which choice each token took this expert.",
            _fed(lambda x, w, e, gate_up, down: (x, w.gather(1, e), e, gate_up, down)),
        ),
        Mistake(
            "only as many experts as choices",
            "The loop runs over K experts: there are E of them, `len(down)`; K is how many a token has.",
            _fed(lambda x, w, e, gate_up, down: (x, w * (e < e.shape[1]), e, gate_up, down)),
        ),
        *(
            Mistake(
                "an expert left out",
                "The first or the last expert is never asked: they are numbered from 0 to E - 1, `range(len(down))`.",
                _fed(lambda x, w, e, gate_up, down, out=out: (x, w * (e != out(down)), e, gate_up, down)),
            )
            for out in (lambda down: 0, lambda down: len(down) - 1)
        ),
        Mistake(
            "stops at an empty expert",
            "It stops at the first expert without tokens: go on with the next, `continue`, or compute with no rows, "
            "which is no error.",
            _stops_at_empty,
        ),
        *(
            Mistake(
                "only one expert",
                "Only the first or the last expert's results are left: make y before the loop, and return it after.",
                _fed(lambda x, w, e, gate_up, down, kept=kept: (x, w * (e == kept(down)), e, gate_up, down)),
            )
            for kept in (lambda down: 0, lambda down: len(down) - 1)
        ),
        Mistake(
            "token 0 taken for none",
            "An expert whose only token is number 0 is skipped: `token.any()` asks whether a number is not 0. Ask for "
            "`len(token)`, or do not ask.",
            _only_token_0_is_none,
        ),
        Mistake(
            "token and choice exchanged",
            "Token and choice are exchanged: `nonzero(as_tuple=True)` gives rows, the tokens, first, then columns, "
            "the choices.",
            _one_by_one(order=lambda token, choice: (choice, token)),
        ),
        Mistake(
            "weights along the features",
            "The gate weights are laid along the D features, which runs only where an expert has D tokens: a "
            "weight belongs to a row, so make a column of them, `weights_NK[token, choice, None]`.",
            _one_by_one(weigh=lambda out, weight: out * weight),
        ),
    ),
    hints=(
        "For each expert: which tokens chose it, and as which choice? Compute those rows only, weigh, add them to y.",
        "`token, choice = (experts_NK == expert).nonzero(as_tuple=True)` finds the rows and columns; "
        "`y.index_add(0, token, rows)` adds each row to its token. No tokens, no rows: nothing special to do.",
        "gate, up = F.linear(x_ND[token], gate_up[expert]).chunk(2, dim=-1); "
        "out = F.linear(F.silu(gate) * up, down[expert]) * weights_NK[token, choice, None]",
    ),
    difficulty=2,
    minutes=12,
)

# --- sort_by_expert ---------------------------------------------------------------------------------------------------


def _cases_of_sort(generator):
    yield torch.tensor([[1]]), 2
    yield torch.tensor([[1, 0], [0, 1]]), 2
    yield torch.tensor([[2, 0], [0, 3], [3, 2]]), 4
    yield torch.tensor([[1], [1], [1]]), 3
    yield torch.tensor([[3], [0], [2], [0]]), 5
    for N, E, K in ((6, 4, 2), (5, 6, 3)):  # up to 16 pairs torch sorts stably, asked to or not, and so does a mistake
        yield torch.rand(N, E, generator=generator).topk(K).indices, E


def _each_pair_once(function, experts_NK, n_experts):
    pair_J, _ = function(experts_NK, n_experts)
    must_equal(
        pair_J.sort().values,
        torch.arange(experts_NK.numel()),
        "Each pair must come once: put in order, `pair_J` is 0, 1, 2, ... up to N K - 1.",
    )


def _in_order(function, experts_NK, n_experts):
    pair_J, _ = function(experts_NK, n_experts)
    expert_J = experts_NK.flatten()[pair_J]
    must_equal(
        expert_J,
        expert_J.sort().values,
        f"In the order of `pair_J`, the pairs belong to the experts {', '.join(map(str, expert_J.tolist()))}: those of "
        "expert 0 come first, in any order, then those of 1, ...",
    )


def _ends_right(function, experts_NK, n_experts):
    _, ends_E = function(experts_NK, n_experts)
    expected = torch.stack([(experts_NK <= expert).sum() for expert in range(n_experts)])
    must_equal(ends_E, expected, "The pairs of expert e end where all those of experts 0 to e have been counted.")


# Pairs of one expert may stand in any order. These are the ones people get: by token, by choice, and backwards.
_ORDERS = (
    lambda experts_NK: experts_NK.flatten().argsort(stable=True),
    lambda experts_NK: _as_pair(experts_NK.T.flatten().argsort(stable=True), *experts_NK.shape),
    lambda experts_NK: experts_NK.numel() - 1 - experts_NK.flatten().flip(0).argsort(stable=True),
)


def _as_pair(place, N, K):
    """The pair n K + k at ``place`` k N + n."""
    return place % N * K + place // N


def _ends(experts_NK, n_experts):
    return experts_NK.flatten().bincount(minlength=n_experts).cumsum(0)


def _with_pairs(change):
    """The function whose pairs are ``change(pairs, experts_NK)``, in each order, for the mistakes."""
    return tuple(
        lambda experts_NK, n_experts, order=order: (change(order(experts_NK), experts_NK), _ends(experts_NK, n_experts))
        for order in _ORDERS
    )


def _with_ends(change):
    """The function whose ends are ``change(counts)``, for the mistakes."""
    return tuple(
        lambda experts_NK, n_experts, order=order: (
            order(experts_NK),
            change(experts_NK.flatten().bincount(minlength=n_experts)),
        )
        for order in _ORDERS
    )


SORT_BY_EXPERT = Exercise(
    lesson="dispatch",
    reference=sort_by_expert,
    cases=_cases_of_sort,
    properties=(
        Property("each pair comes once", _each_pair_once),
        Property("pairs stand in the order of their experts", _in_order),
        Property("the ends tell where each expert's pairs end", _ends_right),
    ),
    mistakes=tuple(
        Mistake(name, says, function)
        for name, says, functions in (
            (
                "tokens in place of pairs",
                "These are tokens, n: give the pairs, n K + k, which tell token and choice. The token is a division "
                "away, `pair // K`.",
                _with_pairs(lambda pair, experts_NK: pair // experts_NK.shape[1]),
            ),
            (
                "choices in place of pairs",
                "These are choices, k: give the pairs, n K + k, which tell token and choice.",
                _with_pairs(lambda pair, experts_NK: pair % experts_NK.shape[1]),
            ),
            (
                "experts in place of pairs",
                "These are the sorted experts themselves: give where each came from, the pair. `argsort` does.",
                _with_pairs(lambda pair, experts_NK: experts_NK.flatten()[pair]),
            ),
            (
                "where each pair goes",
                "This is the way back: it tells each pair its place. Wanted is which pair stands in each place.",
                _with_pairs(lambda pair, experts_NK: pair.argsort()),
            ),
            (
                "pairs numbered by choice",
                "The pairs are numbered k N + n: n K + k is their place in `experts_NK.flatten()`, the choices of a "
                "token side by side.",
                _with_pairs(
                    lambda pair, experts_NK: pair % experts_NK.shape[1] * len(experts_NK) + pair // experts_NK.shape[1]
                ),
            ),
            (
                "pairs numbered with E",
                "The pairs are numbered n E + k: a token has K choices, so it is n K + k, the place in "
                "`experts_NK.flatten()`.",
                tuple(
                    lambda experts_NK, n_experts, right=right: (
                        right(experts_NK, n_experts)[0] // experts_NK.shape[1] * n_experts
                        + right(experts_NK, n_experts)[0] % experts_NK.shape[1],
                        _ends(experts_NK, n_experts),
                    )
                    for right in _with_pairs(lambda pair, experts_NK: pair)
                ),
            ),
            (
                "sorted within each token",
                "Each token's choices are sorted by themselves: sort all pairs together, `experts_NK.flatten()`.",
                (
                    lambda experts_NK, n_experts: (experts_NK.argsort(dim=-1).flatten(), _ends(experts_NK, n_experts)),
                    lambda experts_NK, n_experts: (experts_NK.argsort(dim=-1), _ends(experts_NK, n_experts)),
                ),
            ),
            (
                "sorted over the tokens only",
                "Each column is sorted by itself: sort all pairs together, `experts_NK.flatten()`.",
                (
                    lambda experts_NK, n_experts: (experts_NK.argsort(dim=0).flatten(), _ends(experts_NK, n_experts)),
                    lambda experts_NK, n_experts: (experts_NK.argsort(dim=0), _ends(experts_NK, n_experts)),
                ),
            ),
            (
                "not sorted",
                "The pairs stand as they came: those of expert 0 have to come first, then those of expert 1, ...",
                (lambda experts_NK, n_experts: (torch.arange(experts_NK.numel()), _ends(experts_NK, n_experts)),),
            ),
            (
                "last expert first",
                "The order is turned round: the pairs of expert 0 come first.",
                _with_pairs(lambda pair, experts_NK: pair.flip(0)),
            ),
            (
                "starts in place of ends",
                "These are starts: expert 0 starts at 0, and *ends* where its pairs have been counted.",
                _with_ends(lambda count: count.cumsum(0) - count),
            ),
            (
                "counts in place of ends",
                "These are counts, how many pairs each expert has: add them up, `cumsum(0)`, to tell where they end.",
                _with_ends(lambda count: count),
            ),
            (
                "last places in place of ends",
                "These are the places of each expert's last pair: an end is the place after it, as slices have it.",
                _with_ends(lambda count: count.cumsum(0) - 1),
            ),
            (
                "a zero in front",
                "The first start, 0, stands in front of the ends: there are E of them, one for each expert.",
                _with_ends(lambda count: F.pad(count.cumsum(0), (1, 0))),
            ),
            (
                "experts without pairs left out",
                "Experts without pairs have no end: each of the E has one, the same as the expert before it. "
                "`bincount(minlength=n_experts)` counts them, too.",
                (
                    *_with_ends(lambda count: count[count > 0].cumsum(0)),
                    *_with_ends(lambda count: count[: int(count.nonzero().max()) + 1].cumsum(0)),
                ),
            ),
            (
                "each expert counted once",
                "It counts which experts occur, not how often: an expert that 5 tokens chose has 5 pairs.",
                _with_ends(lambda count: count.clamp(max=1).cumsum(0)),
            ),
            (
                "results exchanged",
                "The two results are exchanged: first the pairs, then the ends.",
                tuple(lambda *case, right=right: right(*case)[::-1] for right in _with_ends(lambda n: n.cumsum(0))),
            ),
        )
        for function in functions
    ),
    hints=(
        "Lay the choices flat: pair n K + k stands at place n K + k. Sort, but keep where each came from; within an "
        "expert any order will do. Then count.",
        "`argsort` gives, for each place of the sorted row, where its value came from. `bincount` counts the pairs of "
        "each expert, and `cumsum` adds the counts up.",
        "expert = experts_NK.flatten(); return expert.argsort(stable=True), "
        "expert.bincount(minlength=n_experts).cumsum(0)",
    ),
    difficulty=1,
    minutes=7,
)

# --- sliced_linear ----------------------------------------------------------------------------------------------------


def _cases_of_sliced_linear(generator):
    for ends, out, D in (
        ((0, 1), 1, 2),
        ((1, 3), 2, 2),
        ((2, 2, 3), 1, 2),
        ((0, 2, 5, 5), 2, 3),
        ((4, 4), 2, 3),
        ((1, 3, 6), 3, 3),
        ((2, 3, 3, 7), 4, 2),
    ):
        shapes = (ends[-1], D), (len(ends), out, D)
        yield *(torch.randn(shape, generator=generator) for shape in shapes), torch.tensor(ends)


def _own_matrix(function, x_JD, weight, ends_E):
    factor_E = torch.arange(1.0, len(ends_E) + 1)
    y_JD = function(x_JD, factor_E[:, None, None] * torch.eye(x_JD.shape[1]), ends_E)
    expert_J = [sum(j >= end for end in ends_E.tolist()) for j in range(len(x_JD))]
    must_equal(
        y_JD,
        factor_E[expert_J][:, None] * x_JD,
        "Where expert 0 multiplies by 1, expert 1 by 2, and so on, each row must come out so many times as large.",
    )


def _rows_apart(function, x_JD, weight, ends_E):
    y = function(x_JD, weight, ends_E)
    changed = x_JD.clone()
    changed[-1] += 3
    must_equal(function(changed, weight, ends_E)[:-1], y[:-1], "Changing the last row changes the results before it.")


def _empty_passed_over(function, x_JD, weight, ends_E):
    unused = torch.full_like(weight[:1], 1e3)
    must_equal(
        function(
            x_JD,
            torch.cat((unused, weight[:1], unused, weight[1:])),
            torch.cat((ends_E.new_zeros(1), ends_E[:1], ends_E)),
        ),
        function(x_JD, weight, ends_E),
        "Experts without rows are put in between: the results must stay, for their matrices are nobody's.",
    )


def _more_matrices_same_work(function, x_JD, weight, ends_E):
    E = len(ends_E)
    x_JD = x_JD[:1].repeat(2 * E, 1)
    _must_cost_the_same(
        _operations(function, x_JD, weight, 2 * torch.arange(1, E + 1)),
        _operations(function, x_JD, weight.repeat(2, 1, 1), torch.arange(1, 2 * E + 1)),
        "each row must meet the matrix of its own expert only.",
    )


def _owner(change=lambda expert_J, ends_E: expert_J, right=True):
    """The product whose row j meets the matrix ``change(the right ones, ends)[j]``, for the mistakes."""

    def function(x_JD, weight, ends_E):
        expert_J = torch.searchsorted(ends_E, torch.arange(len(x_JD)), right=right)
        return torch.einsum("jd,jod->jo", x_JD, weight[change(expert_J, ends_E)])

    return function


def _between(bounds):
    """The product of rows start to end for each ``(start, end)`` of ``bounds(ends)``, one after the other."""

    def function(x_JD, weight, ends_E):
        pairs = zip(bounds(ends_E.tolist()), weight, strict=False)
        return torch.cat([F.linear(x_JD[start:end], w) for (start, end), w in pairs])

    return function


def _written(bounds):
    """The same, each written to its rows of a result that begins with zeros."""

    def function(x_JD, weight, ends_E):
        y = x_JD.new_zeros(len(x_JD), weight.shape[1])
        for (start, end), w in zip(bounds(ends_E.tolist()), weight, strict=False):
            y[start:end] = F.linear(x_JD[start:end], w)
        return y

    return function


def _as_sizes(ends):
    starts = [sum(ends[:e]) for e in range(len(ends))]
    return [(start, start + end) for start, end in zip(starts, ends, strict=True)]


SLICED_LINEAR = Exercise(
    lesson="dispatch",
    reference=sliced_linear,
    cases=_cases_of_sliced_linear,
    properties=(
        Property("each row meets the matrix of its own expert", _own_matrix),
        Property("each row is worked on alone", _rows_apart),
        Property("experts without rows are passed over", _empty_passed_over),
        Property("twice the experts cost no more operations", _more_matrices_same_work),
        Property("agrees with the library, gradients too", agrees_with(sliced_linear)),
    ),
    mistakes=(
        Mistake(
            "experts without rows not counted",
            "Experts without rows are skipped and the others numbered anew: skip their matrices, too, so that rows and "
            "matrices stay together.",
            _owner(lambda expert, ends: expert.unique(return_inverse=True)[1]),
        ),
        *(
            Mistake(
                "ends taken for sizes",
                "`ends_E` is taken for sizes: it says where slices end. Their sizes are the differences, "
                "`ends_E.diff(prepend=...)`.",
                shape(_as_sizes),
            )
            for shape in (_between, _written)
        ),
        *(
            Mistake(
                "every slice starts at 0",
                "Every slice starts at row 0, or meets the last matrix: it starts where the one before it ends, and "
                "meets its own expert's.",
                shape(lambda ends: [(0, end) for end in ends]),
            )
            for shape in (_between, _written)
        ),
        *(
            Mistake(
                "first slice left out",
                "The first slice is lost: expert 0 has the rows from 0 to `ends_E[0]`.",
                shape(bounds),
            )
            for shape in (_between, _written)
            for bounds in (
                pairwise,
                lambda ends: pairwise((*ends, None)),
                lambda ends: [(0, 0), *pairwise(ends)],
            )
        ),
        *(
            Mistake(
                "last slice left out",
                "The last slice is lost: E slices need E ends and a start of 0 before them.",
                shape(lambda ends: pairwise((0, *ends[:-1]))),
            )
            for shape in (_between, _written)
        ),
        *(
            Mistake(
                "stops at an empty expert",
                "It stops at the first expert without rows: go on with the next.",
                shape(lambda ends: takewhile(lambda slice: slice[0] < slice[1], pairwise((0, *ends)))),
            )
            for shape in (_between, _written)
        ),
        Mistake(
            "only the last slice",
            "Only the last expert's rows are left: make the result before the loop, not in it.",
            _written(lambda ends: [*[(0, 0)] * (len(ends) - 1), (ends[-2], ends[-1])]),
        ),
        Mistake(
            "one row too few",
            "The last row of each slice is left out: a slice `x[start:end]` goes up to `end - 1` by itself.",
            _written(lambda ends: [(start, max(start, end - 1)) for start, end in pairwise((0, *ends))]),
        ),
        Mistake(
            "boundary on the wrong side",
            "The first row of a slice is given to the expert before: row `ends_E[e]` is the first that is *not* "
            "expert e's. `torch.searchsorted` wants `right=True`.",
            _owner(right=False),
        ),
        *(
            Mistake(
                "the next expert's matrix",
                "The matrices are off by one: rows meet that of the expert before or after theirs.",
                _owner(lambda expert, ends, step=step: (expert + step) % len(ends)),
            )
            for step in (-1, 1)
        ),
        Mistake(
            "matrices in reverse",
            "The matrices are taken in the reverse order: the first rows are expert 0's.",
            _owner(lambda expert, ends: len(ends) - 1 - expert),
        ),
        *(
            Mistake(
                "one matrix for all rows",
                "All rows meet the same matrix: each expert's rows have their own, `weight[e]`.",
                lambda x_JD, weight, ends_E, join=join: F.linear(x_JD, join(weight)),
            )
            for join in (
                lambda weight: weight.mean(dim=0),
                lambda weight: weight.sum(dim=0),
                lambda weight: weight[0],
            )
        ),
        Mistake(
            "weight not transposed",
            "The matrices are not transposed: each is (out, D), as `F.linear` takes it; with @ write `rows @ w.T`.",
            lambda x_JD, weight, ends_E: sliced_linear(x_JD, weight.transpose(1, 2), ends_E),
        ),
    ),
    hints=(
        "Expert e has the rows from ends[e - 1] (from 0, for the first) to ends[e]. One product for each, then join.",
        "`x_JD.split(sizes)` cuts the rows into slices of these sizes, also of size 0, and `torch.cat` joins them. "
        "The sizes are the differences of the ends.",
        "sizes = ends_E.diff(prepend=ends_E.new_zeros(1)).tolist(); "
        "return torch.cat([F.linear(rows, w) for rows, w in zip(x_JD.split(sizes), weight)])",
    ),
    difficulty=1,
    minutes=7,
)

# --- sliced -----------------------------------------------------------------------------------------------------------

SLICED = Exercise(
    lesson="dispatch",
    reference=sliced,
    cases=_cases_of_dispatch,
    properties=(*_PROPERTIES_OF_DISPATCH, Property("agrees with the library, gradients too", agrees_with(sliced))),
    mistakes=(
        *_MISTAKES_OF_DISPATCH,
        *(
            Mistake(
                "left in sorted order",
                "The results are left in the order of the experts: bring each row back to the token it came from, "
                "`index_add(0, token_J, rows)`.",
                _dispatched(collect=collect),
            )
            for collect in (
                lambda y_JD, x_ND, pair, token: _summed(y_JD, x_ND),
                lambda y_JD, x_ND, pair, token: y_JD.unflatten(0, (-1, len(x_ND))).sum(dim=0),
            )
        ),
        Mistake(
            "sorted again",
            "The results are sorted once more, in place of back: row j belongs to pair `pair_J[j]`, so write *to* that "
            "place, `y[pair_J] = rows`, or use `pair_J.argsort()`.",
            _dispatched(collect=lambda y_JD, x_ND, pair, token: _summed(y_JD[pair], x_ND)),
        ),
        Mistake(
            "gathered, not added",
            "`rows[token_J]` reads rows by number, but row j is to be added *to* token `token_J[j]`: "
            "`index_add(0, token_J, rows)`.",
            _dispatched(collect=lambda y_JD, x_ND, pair, token: _summed(y_JD[token], x_ND)),
        ),
        Mistake(
            "weights sorted, rows sorted back",
            "The rows are back in the order of the pairs, the gate weights in that of the experts: bring both into "
            "one order.",
            _dispatched(weight=lambda weights_NK, pair, token: weights_NK.flatten()[pair[pair]]),
        ),
        Mistake(
            "weights laid flat by choice",
            "The gate weights are laid flat choice by choice: pair n K + k stands at that place of "
            "`weights_NK.flatten()`, the choices of a token side by side.",
            _dispatched(weight=lambda weights_NK, pair, token: weights_NK.T.flatten()[pair]),
        ),
        Mistake(
            "weights not sorted",
            "The gate weights are not in the order of the rows: sort them alike, `weights_NK.flatten()[pair_J]`.",
            _dispatched(weight=lambda weights_NK, pair, token: weights_NK.flatten()),
        ),
        Mistake(
            "weights by token",
            "The flat gate weights are looked up by the token: they are numbered by pair, "
            "`weights_NK.flatten()[pair_J]`.",
            _dispatched(weight=lambda weights_NK, pair, token: weights_NK.flatten()[token]),
        ),
        Mistake(
            "weights sorted back",
            "The gate weights are sorted the other way: row j is pair `pair_J[j]`, so its weight is "
            "`weights_NK.flatten()[pair_J]`.",
            _dispatched(weight=lambda weights_NK, pair, token: weights_NK.flatten()[pair.argsort()]),
        ),
        Mistake(
            "weights along the features",
            "The gate weights are laid along the D features, which runs only where there are D pairs: "
            "a weight belongs to a row, so make a column of them, `weight_J[:, None]`.",
            _dispatched(weigh=lambda y_JD, weight_J: y_JD * weight_J),
        ),
        Mistake(
            "tokens not sorted",
            "The rows are not in the order of the pairs: slices would cut through the experts. Take `x_ND[token_J]`.",
            _dispatched(source=lambda pair, N, K, E: torch.arange(len(pair)) // K),
        ),
        *(
            Mistake(
                "wrong token of a pair",
                "The token of a pair is worked out wrongly: pair n K + k is the k-th choice of token n, so "
                "n = `pair // K`; and pairs in their own order have the shape (N, K, D), not (K, N, D).",
                function,
            )
            for of in (
                lambda pair, N, K, E: pair % K,
                lambda pair, N, K, E: pair // E,
                lambda pair, N, K, E: pair % N,
                lambda pair, N, K, E: pair // N,
            )
            for function in (_dispatched(token=of), _dispatched(source=of), _dispatched(target=of))
        ),
    ),
    hints=(
        "Sort the pairs; a pair's token is `pair // K`. Gather the tokens' rows, two grouped products with silu "
        "between, weigh each row, add each row to its token.",
        "Row j is token `token_J[j]`, with the weight `weights_NK.flatten()[pair_J][j]`. "
        "`torch.zeros_like(x_ND).index_add(0, token_J, rows)` adds up the rows of each token.",
        "gate, up = sliced_linear(x_ND[token_J], gate_up, ends_E).chunk(2, dim=-1); "
        "y_JD = sliced_linear(F.silu(gate) * up, down, ends_E) * weights_NK.flatten()[pair_J, None]",
    ),
    difficulty=3,
    minutes=12,
)

# --- tile_table -------------------------------------------------------------------------------------------------------


def _cases_of_tiles(generator):
    yield torch.tensor([0, 1]), 2
    yield torch.tensor([1, 3]), 1
    yield torch.tensor([3, 3, 8]), 4
    yield torch.tensor([0, 0, 7, 7]), 3
    yield torch.tensor([4, 8, 8, 16]), 4
    yield torch.tensor([5]), 2
    counts = torch.randint(0, 9, (6,), generator=generator)
    yield counts.cumsum(0) + 2, 3


def _tiles_of(function, ends_E, block):
    """Expert, first row and end of each tile, the end being where the tile or the expert is over."""
    ends = ends_E.tolist()
    for expert, row in zip(*(result.tolist() for result in function(ends_E, block)), strict=True):
        if not 0 <= expert < len(ends):
            raise Wrong(f"A tile belongs to expert {expert}: there are the experts 0 to {len(ends) - 1}.")
        yield expert, row, min(row + block, ends[expert])


def _at_home(function, ends_E, block):
    bounds = list(pairwise((0, *ends_E.tolist())))
    for expert, row, _ in _tiles_of(function, ends_E, block):
        start, end = bounds[expert]
        if not start <= row < end:
            has = f"rows {start} to {end - 1}" if start < end else "no rows"
            raise Wrong(f"A tile of expert {expert} starts at row {row}, but this expert has {has}.")


def _each_row_once(function, ends_E, block):
    times = [0] * int(ends_E[-1])
    for _, row, end in _tiles_of(function, ends_E, block):
        for j in range(row, end):
            times[j] += 1
    for j, n in enumerate(times):
        if n != 1:
            raise Wrong(f"Row {j} is in {n or 'no'} tile{'s' * (n > 1)}: each must be in one, or its result is wrong.")


def _no_rows(function, ends_E, block):
    where = "Without any rows, where `ends_E` is 0 throughout,"
    try:
        results = function(torch.zeros_like(ends_E), block)
    except Exception as error:
        raise Wrong(
            f"{where} it stops, with {type(error).__name__}: {error}", mistake="no rows not foreseen"
        ) from error
    if any(len(result) or result.dtype != torch.int64 for result in results):
        raise Wrong(
            f"{where} both results must be empty and still int64: of an empty list `torch.tensor` makes floats, unless "
            "it is told `dtype=torch.int64`.",
            mistake="no rows not foreseen",
        )


def _up(count, block):
    """Tiles that ``count`` rows need."""
    return (count + block - 1) // block


def _tiled(
    *,
    tiles=lambda count, end, block: _up(count, block),
    expert=lambda expert_Z: expert_Z,
    row=lambda start, end, place, block: start + place * block,
):
    """The table with one step changed, for the mistakes; ``place`` is a tile's number within its expert."""

    def function(ends_E, block):
        count_E = ends_E.diff(prepend=ends_E.new_zeros(1))
        tiles_E = tiles(count_E, ends_E, block)
        expert_Z = torch.arange(len(ends_E)).repeat_interleave(tiles_E)
        place_Z = torch.arange(len(expert_Z)) - (tiles_E.cumsum(0) - tiles_E)[expert_Z]
        return expert(expert_Z), row((ends_E - count_E)[expert_Z], ends_E[expert_Z], place_Z, block)

    return function


def _spanning(right):
    """Tiles of ``block`` rows from the first row to the last, each given to the expert of its first row."""

    def function(ends_E, block):
        row_Z = torch.arange(0, int(ends_E[-1]), block)
        return torch.searchsorted(ends_E, row_Z, right=right), row_Z

    return function


TILE_TABLE = Exercise(
    lesson="dispatch",
    reference=tile_table,
    cases=_cases_of_tiles,
    properties=(
        Property("each tile starts at a row of its own expert", _at_home),
        Property("each row is in one tile", _each_row_once),
        Property("no rows at all make empty results, of int64 all the same", _no_rows),
    ),
    mistakes=(
        *(
            Mistake(
                "tiles span experts",
                "The rows are cut as if they were all one expert's: each expert's first row starts a new tile, for a "
                "tile is multiplied by one matrix.",
                _spanning(right),
            )
            for right in (True, False)
        ),
        Mistake(
            "a tile for no rows",
            "An expert without rows has a tile: it has none, 0 rows need 0 tiles.",
            _tiled(tiles=lambda count, end, block: _up(count, block).clamp(min=1)),
        ),
        Mistake(
            "last rows dropped",
            "The number of tiles is rounded down, and an expert's last rows are in none: round up, "
            "`(count + block - 1) // block`.",
            _tiled(tiles=lambda count, end, block: count // block),
        ),
        Mistake(
            "last rows dropped except of few",
            "The number of tiles is rounded down, if to no less than 1: round up, `(count + block - 1) // block`.",
            _tiled(tiles=lambda count, end, block: (count // block).clamp(min=1) * (count > 0)),
        ),
        *(
            Mistake(
                "one tile too many",
                "`count // block + 1` is one too many where the rows fill their tiles, or where there are none: round "
                "up, `(count + block - 1) // block`.",
                _tiled(tiles=tiles),
            )
            for tiles in (
                lambda count, end, block: count // block + 1,
                lambda count, end, block: (count // block + 1) * (count > 0),
            )
        ),
        Mistake(
            "one tile each",
            "Each expert has one tile, however many its rows: a tile holds `block` rows at most.",
            _tiled(tiles=lambda count, end, block: count.clamp(max=1)),
        ),
        Mistake(
            "one tile a row",
            "Each row has a tile of its own: a tile holds `block` rows.",
            _tiled(tiles=lambda count, end, block: count, row=lambda start, end, place, block: start + place),
        ),
        Mistake(
            "ends taken for counts",
            "`ends_E` is taken for the numbers of rows: these are the differences, `ends_E.diff(prepend=...)`.",
            _tiled(tiles=lambda count, end, block: _up(end, block)),
        ),
        Mistake(
            "rows counted within the expert",
            "The rows are counted from each expert's own first: count through all rows, so add where the expert "
            "starts.",
            _tiled(row=lambda start, end, place, block: place * block),
        ),
        *(
            Mistake(
                "numbers of tiles",
                "These are numbers of tiles: tile z of an expert starts `z * block` rows after the expert's first.",
                _tiled(row=row),
            )
            for row in (
                lambda start, end, place, block: torch.arange(len(place)),
                lambda start, end, place, block: place,
            )
        ),
        Mistake(
            "not times the block",
            "The next tile of an expert starts one row after the last: it starts `block` rows after.",
            _tiled(row=lambda start, end, place, block: start + place),
        ),
        Mistake(
            "as if all tiles were full",
            "Tile z starts at row `z * block` only if all tiles before are full: the last of each expert may have "
            "fewer rows.",
            _tiled(row=lambda start, end, place, block: torch.arange(len(place)) * block),
        ),
        Mistake(
            "tiles not counted anew",
            "Tiles are counted through all experts: within each expert they are counted anew, its first tile starts at "
            "its first row.",
            _tiled(row=lambda start, end, place, block: start + torch.arange(len(place)) * block),
        ),
        Mistake(
            "every expert starts at 0",
            "Every expert's tiles start at row 0: its rows start where those of the expert before end.",
            _tiled(tiles=lambda count, end, block: _up(end, block), row=lambda start, end, place, block: place * block),
        ),
        Mistake(
            "boundary on the wrong side",
            "An expert's first tile is given to an expert before: row `ends_E[e]` is the first that is *not* expert "
            "e's. `torch.searchsorted` wants `right=True`.",
            lambda ends_E, block: (
                torch.searchsorted(ends_E, tile_table(ends_E, block)[1]),
                tile_table(ends_E, block)[1],
            ),
        ),
        Mistake(
            "counted from the end",
            "The rows are counted from where the expert's rows end: they start where those of the expert before end.",
            _tiled(row=lambda start, end, place, block: end + place * block),
        ),
        Mistake(
            "same start for all tiles",
            "All tiles of an expert start at its first row: each starts `block` rows after the one before it.",
            _tiled(row=lambda start, end, place, block: start),
        ),
        *(
            Mistake(
                "ends of tiles",
                "These are the rows where tiles end: give the first row of each.",
                _tiled(row=row),
            )
            for row in (
                lambda start, end, place, block: torch.minimum(start + (place + 1) * block, end),
                lambda start, end, place, block: torch.minimum(start + (place + 1) * block, end) - 1,
                lambda start, end, place, block: start + (place + 1) * block,
            )
        ),
        Mistake(
            "experts numbered anew",
            "The experts that have rows are numbered anew: keep their numbers, for they say which matrix a tile meets.",
            _tiled(expert=lambda expert_Z: expert_Z.unique(return_inverse=True)[1]),
        ),
        Mistake(
            "results exchanged",
            "The two results are exchanged: first the experts, then the rows.",
            lambda *case: tile_table(*case)[::-1],
        ),
    ),
    hints=(
        "An expert with n rows needs n / block tiles, rounded up. Its first tile starts where its rows start, the next "
        "`block` rows later.",
        "With loops: `for row in range(start, end, block)` for each expert. Without: `repeat_interleave(tiles_E)` "
        "writes each expert as often as it has tiles, and a tile's place within its expert is its number less that of "
        "the expert's first tile.",
        "start = 0; for expert, end in enumerate(ends_E.tolist()): collect (expert, row) for row in "
        "range(start, end, block); then start = end. Make two tensors of the two columns, with dtype=torch.int64, "
        "or empty ones would be floats.",
    ),
    difficulty=2,
    minutes=12,
)

EXERCISES = (LOOP, SORT_BY_EXPERT, SLICED_LINEAR, SLICED, TILE_TABLE)

QUIZZES = (
    Quiz(
        "sparse-is-free",
        "A layer has 64 experts and each token chooses 2. Is it as fast as a dense layer of the size of those 2?",
        (
            Option("Yes: the multiplications are the same, so the time is.", "The multiplications are the same. But "
                   "tokens have to be sorted and copied, and 64 small products run below the speed of one large one."),
            Option("No: it takes 32 times as long, for all 64 experts must be computed.", "Each expert computes only "
                   "the tokens that chose it. All 64 for every token is what `loop` must avoid."),
            Option("No: somewhat slower, even at the same number of multiplications.", "Choosing, sorting and copying "
                   "cost time, small products use the machine badly, and the weights of all 64 experts have to be "
                   "read. You measure how much below.", right=True),
            Option("It is faster: fewer weights are used.", "For one token, yes. A batch of many tokens needs nearly "
                   "all experts, so nearly all weights are read."),
        ),
    ),
    Quiz(
        "why-sort",
        "Why sort the (token, expert) pairs by expert before the products?",
        (
            Option("So that each expert keeps no more tokens than it has room for.", "No token is dropped here: an "
                   "expert's slice is as long as it needs to be. Room is a limit of other designs."),
            Option("So that the rows of an expert stand side by side.", "A slice is then one product, read from "
                   "memory in order, and the pairs are searched once for all experts rather than once for "
                   "each.", right=True),
            Option("So that the result is more exact.", "The same products are added up, only in another order."),
            Option("So that fewer multiplications are needed.", "There are just as many: N K rows, each through one "
                   "expert. They run faster when they stand together."),
        ),
    ),
    Quiz(
        "empty-expert",
        "In some batch no token chooses expert 3. What should happen?",
        (
            Option("An error: a matrix product needs at least one row.", "A product of zero rows is allowed, and gives "
                   "zero rows. What breaks is code that did not expect it."),
            Option("Nothing: zero rows, no work, a gradient of zero.", "Its slice is empty, so nothing is multiplied "
                   "or added, and its weights get no gradient from this batch. Lesson 04 keeps it from staying "
                   "so.", right=True),
            Option("It is given some token all the same, so that it learns.", "That would change the result for that "
                   "token. Balancing makes an idle expert more attractive, step by step; it gives it nothing by "
                   "force."),
            Option("The experts after it move up by one.", "Then they would meet the rows of others. Its end is that "
                   "of expert 2, and so its slice is empty."),
        ),
    ),
)  # fmt: skip
