"""Lesson 04, `update_bias`: the mistakes that people make."""

import torch

from mini_moe.course.checking.exercise import Mistake


def excess(loads):
    """By how much each expert's load is above the mean."""
    return loads.sum(dim=0) - loads.sum(dim=0).mean()


def _step(direction):
    """The update in ``direction(loads)``, for the mistakes."""
    return lambda bias, loads, gamma: bias + gamma * direction(loads)


def _wanted(loads):
    """The right direction."""
    return -excess(loads).sign()


def _centred(loads):
    return _wanted(loads) - _wanted(loads).mean()


def _of_the_sum(direction):
    """``direction(load)`` of the whole batch's load."""
    return lambda loads: direction(loads.sum(dim=0))


def _in_each_part(loads):
    """The direction that each part would give by itself: (A, E)."""
    return (loads.mean(dim=1, keepdim=True) - loads).sign()


def _extremes(loads):
    load = loads.sum(dim=0)
    experts = torch.arange(len(load))
    return (experts == load.argmin()).float() - (experts == load.argmax()).float()


MISTAKES = (
    Mistake(
        "sign turned round",
        "The sign is turned round: it raises the bias of *busy* experts, and they get busier still.",
        _step(lambda loads: -_wanted(loads)),
    ),
    *(
        Mistake(
            "a step for each part",
            "It takes a step for each part of the batch: add up the loads first, then step once. A part is a "
            "micro-batch or a machine's share, and says little by itself.",
            _step(direction),
        )
        for direction in (
            lambda loads: _in_each_part(loads).sum(dim=0),
            lambda loads: _in_each_part(loads.cumsum(dim=0)).sum(dim=0),
            lambda loads: (loads.mean() - loads).sign().sum(dim=0),
        )
    ),
    *(
        Mistake(
            "mean of the parts' signs",
            "The parts vote, each with its own sign: a part with few tokens counts as much as one with many. Add "
            "up the loads first, and take the sign of the sum.",
            _step(direction),
        )
        for direction in (
            lambda loads: _in_each_part(loads).mean(dim=0),
            lambda loads: _in_each_part(loads).sum(dim=0).sign(),
            lambda loads: _in_each_part(loads).median(dim=0).values,
        )
    ),
    *(
        Mistake(
            "a bias for each part",
            "It gives a bias for each part of the batch: add up the parts, `sum(dim=0)`, for all share one bias.",
            _step(direction),
        )
        for direction in (
            _in_each_part,
            lambda loads: (loads.mean() - loads).sign(),
            lambda loads: (loads.mean(dim=0) - loads).sign(),
            lambda loads: (loads.sum(dim=0).mean() - loads).sign(),
        )
    ),
    *(
        Mistake(
            "only one part",
            "Only one part of the batch decides: add up the loads of all parts.",
            _step(lambda loads, part=part: _in_each_part(loads)[part]),
        )
        for part in (0, -1)
    ),
    *(
        Mistake(
            "sum and mean of different things",
            "The load is that of the whole batch and the mean that of one part, or the other way round: both are "
            "of the sum.",
            _step(direction),
        )
        for direction in (
            lambda loads: (loads.mean() - loads.sum(dim=0)).sign(),
            lambda loads: (loads.sum(dim=0).mean() - loads.mean(dim=0)).sign(),
        )
    ),
    *(
        Mistake(
            "in proportion to the distance",
            "The step grows with the distance from the mean: take its `sign`, so that one overcrowded expert does "
            "not throw the biases about.",
            _step(direction),
        )
        for direction in (
            lambda loads: -excess(loads),
            lambda loads: -excess(loads) / loads.sum(dim=0).mean(),
            lambda loads: -excess(loads) / loads.sum(),
            lambda loads: -excess(loads) / excess(loads).abs().max(),
            lambda loads: -excess(loads) / excess(loads).std(),
            lambda loads: -excess(loads) / excess(loads).std(correction=0),
            lambda loads: -excess(loads).tanh(),
            lambda loads: -excess(loads).clamp(-1, 1),
        )
    ),
    *(
        Mistake(
            "the load itself",
            "It subtracts the load itself, so every bias falls: what counts is on which side of the mean it is.",
            _step(direction),
        )
        for direction in (
            _of_the_sum(lambda load: -load),
            _of_the_sum(lambda load: -load / load.sum()),
            _of_the_sum(lambda load: -load / load.mean()),
            _of_the_sum(lambda load: -load / load.max()),
            _of_the_sum(lambda load: -load.softmax(dim=0)),
        )
    ),
    *(
        Mistake(name, says, _step(_of_the_sum(direction)))
        for name, says, directions in (
            (
                "compared with the largest load",
                "Each load is compared with the largest: nearly every bias rises. Compare with the *mean*.",
                (lambda load: (load.max() - load).sign(),),
            ),
            (
                "compared with the smallest load",
                "Each load is compared with the smallest: nearly every bias falls. Compare with the *mean*.",
                (lambda load: (load.min() - load).sign(),),
            ),
            (
                "compared with the median",
                "Each load is compared with the median: compare with the *mean*, which is what each would have at "
                "balance.",
                (lambda load: (load.median() - load).sign(), lambda load: (load.quantile(0.5) - load).sign()),
            ),
            (
                "compared with the middle of the extremes",
                "Each load is compared with the middle between smallest and largest: compare with the *mean*.",
                (lambda load: ((load.max() + load.min()) / 2 - load).sign(),),
            ),
            (
                "compared with a fixed number",
                "A load is compared with a number not of its kind, such as 0, 1, 1 / E or a bias: at balance each "
                "expert has the mean load.",
                (
                    lambda load: (1 / len(load) - load).sign(),
                    lambda load: (1 - load).sign(),
                    lambda load: -load.sign(),
                    lambda load: 1 - 2 * (load > 0).float(),
                ),
            ),
            (
                "moved at balance",
                "An expert with just the mean load is moved, too: its sign is 0, and its bias stays.",
                (
                    lambda load: 1 - 2 * (load > load.mean()).float(),
                    lambda load: 2 * (load < load.mean()).float() - 1,
                ),
            ),
            (
                "only busy experts moved",
                "Only busy experts are moved: idle ones rise by as much.",
                (lambda load: -(load > load.mean()).float(), lambda load: -(load >= load.mean()).float()),
            ),
            (
                "only idle experts moved",
                "Only idle experts are moved: busy ones fall by as much.",
                (lambda load: (load < load.mean()).float(), lambda load: (load <= load.mean()).float()),
            ),
        )
        for direction in directions
    ),
    Mistake(
        "only the extremes moved",
        "Only the busiest and the idlest expert are moved: every one that is not at the mean takes a step.",
        _step(_extremes),
    ),
    *(
        Mistake(name, says, function)
        for name, says, function in (
            (
                "gamma left out",
                "`gamma` is not used: a step of 1 is larger than any score, and all tokens would leap.",
                lambda bias, loads, gamma: bias + _wanted(loads),
            ),
            (
                "gamma twice",
                "`gamma` is multiplied in twice: once.",
                lambda bias, loads, gamma: bias + gamma * gamma * _wanted(loads),
            ),
            (
                "gamma shared out over the parts",
                "`gamma` is divided by the number of parts: one step for the whole batch, of its full size.",
                lambda bias, loads, gamma: bias + gamma / len(loads) * _wanted(loads),
            ),
            (
                "gamma once for each part",
                "`gamma` is multiplied by the number of parts: one step for the whole batch, of size `gamma`.",
                lambda bias, loads, gamma: bias + gamma * len(loads) * _wanted(loads),
            ),
            (
                "sign of the step as a whole",
                "`gamma` is inside the sign: it then no longer sets the size of the step.",
                lambda bias, loads, gamma: (bias - gamma * excess(loads)).sign(),
            ),
            (
                "old bias forgotten",
                "The old bias is forgotten: the step is *added* to it, and so many small steps add up.",
                lambda bias, loads, gamma: gamma * _wanted(loads),
            ),
            *(
                (
                    "old bias scaled",
                    "The old bias is scaled by `gamma` too: it stays whole, and the step is added to it.",
                    lambda bias, loads, gamma, kept=kept: kept(gamma) * bias + gamma * _wanted(loads),
                )
                for kept in (lambda gamma: gamma, lambda gamma: 1 - gamma)
            ),
            (
                "multiplied in place of added",
                "The bias is multiplied: one that begins at 0 would never move, and a negative one move the wrong "
                "way. Add the step.",
                lambda bias, loads, gamma: bias * (1 + gamma * _wanted(loads)),
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
                lambda bias, loads, gamma: (bias + gamma * _wanted(loads)).clamp(min=0),
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
            lambda bias, loads, gamma, own=own: bias + own * _wanted(loads),
        )
        for own in (1e-3, 1e-2, 1e-4)
    ),
)
