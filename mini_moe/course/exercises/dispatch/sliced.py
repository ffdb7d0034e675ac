"""Lesson 05, `sliced`: the layer over sorted rows."""

import torch

from mini_moe.course.checking.exercise import Exercise, Mistake, Property, agrees_with
from mini_moe.course.exercises.dispatch.expert_mistakes import dispatched, summed
from mini_moe.course.exercises.dispatch.layer import PROPERTIES_OF_LAYER, cases_of_layer
from mini_moe.course.exercises.dispatch.layer_mistakes import MISTAKES_OF_LAYER
from mini_moe.dispatch import sliced

EXERCISE = Exercise(
    reference=sliced,
    cases=cases_of_layer,
    properties=(*PROPERTIES_OF_LAYER, Property("agrees with the library, gradients too", agrees_with(sliced))),
    mistakes=(
        *MISTAKES_OF_LAYER,
        *(
            Mistake(
                "left in sorted order",
                "The results are left in the order of the experts: bring each row back to the token it came from, "
                "`index_add(0, token_J, rows)`.",
                dispatched(collect=collect),
            )
            for collect in (
                lambda y_JD, x_ND, pair, token: summed(y_JD, x_ND),
                lambda y_JD, x_ND, pair, token: y_JD.unflatten(0, (-1, len(x_ND))).sum(dim=0),
            )
        ),
        Mistake(
            "sorted again",
            "The results are sorted once more, in place of back: row j belongs to pair `pair_J[j]`, so write *to* that "
            "place, `y[pair_J] = rows`, or use `pair_J.argsort()`.",
            dispatched(collect=lambda y_JD, x_ND, pair, token: summed(y_JD[pair], x_ND)),
        ),
        Mistake(
            "gathered, not added",
            "`rows[token_J]` reads rows by number, but row j is to be added *to* token `token_J[j]`: "
            "`index_add(0, token_J, rows)`.",
            dispatched(collect=lambda y_JD, x_ND, pair, token: summed(y_JD[token], x_ND)),
        ),
        Mistake(
            "weights sorted, rows sorted back",
            "The rows are back in the order of the pairs, the gate weights in that of the experts: bring both into "
            "one order.",
            dispatched(weight=lambda weights_NK, pair, token: weights_NK.flatten()[pair[pair]]),
        ),
        Mistake(
            "weights laid flat by choice",
            "The gate weights are laid flat choice by choice: pair n K + k stands at that place of "
            "`weights_NK.flatten()`, the choices of a token side by side.",
            dispatched(weight=lambda weights_NK, pair, token: weights_NK.T.flatten()[pair]),
        ),
        Mistake(
            "weights not sorted",
            "The gate weights are not in the order of the rows: sort them alike, `weights_NK.flatten()[pair_J]`.",
            dispatched(weight=lambda weights_NK, pair, token: weights_NK.flatten()),
        ),
        Mistake(
            "weights sorted by size",
            "The gate weights are sorted by their own size: they go with their pairs, `weights_NK.flatten()[pair_J]`.",
            dispatched(weight=lambda weights_NK, pair, token: weights_NK.flatten().sort().values),
        ),
        Mistake(
            "weights by token",
            "The flat gate weights are looked up by the token: they are numbered by pair, "
            "`weights_NK.flatten()[pair_J]`.",
            dispatched(weight=lambda weights_NK, pair, token: weights_NK.flatten()[token]),
        ),
        Mistake(
            "weights sorted back",
            "The gate weights are sorted the other way: row j is pair `pair_J[j]`, so its weight is "
            "`weights_NK.flatten()[pair_J]`.",
            dispatched(weight=lambda weights_NK, pair, token: weights_NK.flatten()[pair.argsort()]),
        ),
        Mistake(
            "weights along the features",
            "The gate weights are laid along the D features, which runs only where there are D pairs: "
            "a weight belongs to a row, so make a column of them, `weight_J[:, None]`.",
            dispatched(weigh=lambda y_JD, weight_J: y_JD * weight_J),
        ),
        Mistake(
            "tokens not sorted",
            "The rows are not in the order of the pairs: slices would cut through the experts. Take `x_ND[token_J]`.",
            dispatched(source=lambda pair, N, K, E: torch.arange(len(pair)) // K),
        ),
        *(
            Mistake(
                "K taken for 2",
                "Pairs are divided by 2 for their token, as if each had two choices: it has K, `experts_NK.shape[1]`.",
                dispatched(token=token),
            )
            for token in (lambda pair, N, K, E: pair // 2, lambda pair, N, K, E: (pair // 2).clamp(max=N - 1))
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
            for function in (dispatched(token=of), dispatched(source=of), dispatched(target=of))
        ),
    ),
    hints=(
        "Sort the pairs; a pair's token is `pair // K`. Gather the tokens' rows, two grouped products with silu "
        "between, weigh each row, add each row to its token.",
        "Row j is token `token_J[j]`, with the weight `weights_NK.flatten()[pair_J][j]`. "
        "`torch.zeros_like(x_ND).index_add(0, token_J, rows)` adds up the rows of each token.",
        "Six lines: the pairs and the ends; the token of each pair, J numbers; gate and up, (J, I) each, from the "
        "first grouped product; the outputs, (J, D), from the second; the gate weight of each pair, J numbers in the "
        "type of x; and zeros like x, to which the outputs times the weights, as a column, are added at their tokens.",
    ),
    difficulty=3,
    minutes=20,
)
