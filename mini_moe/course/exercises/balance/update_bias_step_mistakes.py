"""Lesson 04, `update_bias`: the mistakes that people make with `gamma` and the old bias."""

import torch

from mini_moe.course.checking.exercise import Mistake
from mini_moe.course.exercises.balance.update_bias_parts import excess, wanted


def _centred(loads):
    return wanted(loads) - wanted(loads).mean()


MISTAKES = (
    *(
        Mistake(name, says, function)
        for name, says, function in (
            (
                "gamma left out",
                "`gamma` is not used: a step of 1 is larger than any score, and all tokens would leap.",
                lambda bias, loads, gamma: bias + wanted(loads),
            ),
            (
                "gamma twice",
                "`gamma` is multiplied in twice: once.",
                lambda bias, loads, gamma: bias + gamma * gamma * wanted(loads),
            ),
            (
                "gamma shared out over the parts",
                "`gamma` is divided by the number of parts: one step for the whole batch, of its full size.",
                lambda bias, loads, gamma: bias + gamma / len(loads) * wanted(loads),
            ),
            (
                "gamma once for each part",
                "`gamma` is multiplied by the number of parts: one step for the whole batch, of size `gamma`.",
                lambda bias, loads, gamma: bias + gamma * len(loads) * wanted(loads),
            ),
            (
                "sign of the step as a whole",
                "`gamma` is inside the sign: it then no longer sets the size of the step.",
                lambda bias, loads, gamma: (bias - gamma * excess(loads)).sign(),
            ),
            (
                "old bias forgotten",
                "The old bias is forgotten: the step is *added* to it, and so many small steps add up.",
                lambda bias, loads, gamma: gamma * wanted(loads),
            ),
            *(
                (
                    "old bias scaled",
                    "The old bias is scaled by `gamma` too: it stays whole, and the step is added to it.",
                    lambda bias, loads, gamma, kept=kept: kept(gamma) * bias + gamma * wanted(loads),
                )
                for kept in (lambda gamma: gamma, lambda gamma: 1 - gamma)
            ),
            (
                "multiplied in place of added",
                "The bias is multiplied: one that begins at 0 would never move, and a negative one move the wrong "
                "way. Add the step.",
                lambda bias, loads, gamma: bias * (1 + gamma * wanted(loads)),
            ),
            (
                "sign of the bias",
                "The bias decides its own step: the load does.",
                lambda bias, loads, gamma: bias - gamma * bias.sign(),
            ),
            (
                "nothing moved",
                "It gives the bias back as it came: each has to take a step.",
                lambda bias, loads, gamma: bias + 0,
            ),
            (
                "bias kept above 0",
                "The bias is kept at 0 or above: it may be negative, for only the order of s + b counts.",
                lambda bias, loads, gamma: (bias + gamma * wanted(loads)).clamp(min=0),
            ),
        )
    ),
    *(
        Mistake(
            "centred again",
            "The mean of the biases is subtracted: it changes no choice, for all experts shift alike, but the "
            "method has no such step.",
            function,
        )
        for function in (
            lambda bias, loads, gamma: bias - bias.mean() + gamma * _centred(loads),
            lambda bias, loads, gamma: bias + gamma * _centred(loads),
        )
    ),
    *(
        Mistake(
            "gamma written in",
            "`gamma` is written in as a number: use the argument. It becomes 0 near the end of training.",
            lambda bias, loads, gamma, own=own: bias + own * wanted(loads),
        )
        for own in (1e-1, 1e-2, 1e-3, 1e-4)
    ),
    *(
        Mistake(
            "bias kept in bounds",
            "The bias is kept between -1 and 1: it may grow as large as balance takes, so nothing cuts it off.",
            lambda bias, loads, gamma, bound=bound: bound(bias + gamma * wanted(loads)),
        )
        for bound in (lambda bias: bias.clamp(-1, 1), lambda bias: bias.tanh())
    ),
    Mistake(
        "bias added to the load",
        "The bias is added to the load before that is compared with the mean: only tokens are compared.",
        lambda bias, loads, gamma: bias - gamma * excess(torch.cat((loads, bias[None]))).sign(),
    ),
)
