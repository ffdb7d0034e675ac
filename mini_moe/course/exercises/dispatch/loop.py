"""Lesson 05, `loop`: asking each expert for its tokens."""

import torch
import torch.nn.functional as F

from mini_moe.course.checking.exercise import Exercise, Mistake, Property, agrees_with
from mini_moe.course.exercises.dispatch.expert_mistakes import fed
from mini_moe.course.exercises.dispatch.layer import PROPERTIES_OF_LAYER, cases_of_layer
from mini_moe.course.exercises.dispatch.layer_mistakes import MISTAKES_OF_LAYER
from mini_moe.dispatch import loop, sliced


def _stops_at_empty(x_ND, weights_NK, experts_NK, gate_up, down):
    idle = experts_NK.flatten().bincount(minlength=len(down)) == 0
    first_idle = idle.int().argmax() if idle.any() else len(down)
    return sliced(x_ND, weights_NK * (experts_NK < first_idle), experts_NK, gate_up, down)


def _only_token_0_is_none(x_ND, weights_NK, experts_NK, gate_up, down):
    after_0 = experts_NK[1:].flatten().bincount(minlength=len(down)) > 0
    return sliced(x_ND, weights_NK * after_0[experts_NK], experts_NK, gate_up, down)


def _one_token_is_none(x_ND, weights_NK, experts_NK, gate_up, down):
    several = experts_NK.flatten().bincount(minlength=len(down)) > 1
    return sliced(x_ND, weights_NK * several[experts_NK], experts_NK, gate_up, down)


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


EXERCISE = Exercise(
    reference=loop,
    cases=cases_of_layer,
    properties=(*PROPERTIES_OF_LAYER, Property("agrees with the library, gradients too", agrees_with(loop))),
    mistakes=(
        *MISTAKES_OF_LAYER,
        Mistake(
            "weight by the number of the expert",
            "The gate weight is looked up by the expert's number: the columns of `weights_NK` are choices, not "
            "experts. Find out as which choice each token took this expert.",
            fed(lambda x, w, e, gate_up, down: (x, w.gather(1, e), e, gate_up, down)),
        ),
        Mistake(
            "only as many experts as choices",
            "The loop runs over K experts: there are E of them, `len(down)`; K is how many a token has.",
            fed(lambda x, w, e, gate_up, down: (x, w * (e < e.shape[1]), e, gate_up, down)),
        ),
        *(
            Mistake(
                "an expert left out",
                "The first or the last expert is never asked: they are numbered from 0 to E - 1, `range(len(down))`.",
                fed(lambda x, w, e, gate_up, down, out=out: (x, w * (e != out(down)), e, gate_up, down)),
            )
            for out in (lambda down: 0, lambda down: len(down) - 1)
        ),
        Mistake(
            "highest expert left out",
            "The highest expert that was chosen is never asked: `range(n)` ends before n. Ask all, `range(len(down))`.",
            fed(lambda x, w, e, gate_up, down: (x, w * (e < e.max()), e, gate_up, down)),
        ),
        Mistake(
            "experts counted from 1",
            "The experts in `experts_NK` are taken to be numbered from 1: they are numbered from 0, so 0 is the first, "
            "and its matrices are `gate_up[0]` and `down[0]`.",
            fed(lambda x, w, e, gate_up, down: (x, w * (e > 0), (e - 1).clamp(min=0), gate_up, down)),
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
                fed(lambda x, w, e, gate_up, down, kept=kept: (x, w * (e == kept(down)), e, gate_up, down)),
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
            "a single token skipped",
            "An expert with just one token is skipped: compute whatever tokens there are, be it one.",
            _one_token_is_none,
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
        "For each expert: which tokens chose it, and as which choice? Compute only these rows, weigh them, add them.",
        "`token, choice = (experts_NK == expert).nonzero(as_tuple=True)` finds the rows and columns; "
        "`y.index_add(0, token, rows)` adds each row to its token. No tokens, no rows: nothing special to do.",
        "Before the loop: y, zeros like x. In the loop, four lines: tokens and choices of this expert; gate and up, "
        "each (rows, I), from one product with this expert's part of `gate_up`; the output, (rows, D), from one with "
        "its part of `down`; y with the weighed output added. The weights are a column, (rows, 1), in the type of x.",
    ),
    difficulty=2,
    minutes=18,
)
