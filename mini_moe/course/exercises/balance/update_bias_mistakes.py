"""Lesson 04, `update_bias`: the mistakes that people make."""

import torch

from mini_moe.course.checking.exercise import Mistake
from mini_moe.course.exercises.balance.update_bias_parts import excess, of_the_sum, step, wanted
from mini_moe.course.exercises.balance.update_bias_step_mistakes import MISTAKES as STEP_MISTAKES


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
        step(lambda loads: -wanted(loads)),
    ),
    *(
        Mistake(
            "a step for each part",
            "It takes a step for each part of the batch: add up the loads first, then step once. A part is a "
            "micro-batch or a machine's share, and says little by itself.",
            step(direction),
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
            step(direction),
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
            step(direction),
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
            step(lambda loads, part=part: _in_each_part(loads)[part]),
        )
        for part in (0, -1)
    ),
    *(
        Mistake(
            "sum and mean of different things",
            "The load is that of the whole batch and the mean that of one part, or the other way round: both are "
            "of the sum.",
            step(direction),
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
            step(direction),
        )
        for direction in (
            lambda loads: -excess(loads),
            lambda loads: -excess(loads) / loads.sum(dim=0).mean(),
            lambda loads: -excess(loads) / loads.sum(),
            lambda loads: -excess(loads) / excess(loads).abs().max(),
            lambda loads: -excess(loads) / excess(loads).abs().max().clamp(min=1),
            lambda loads: -excess(loads) / (excess(loads).square().sum() / (loads.shape[1] - 1)).sqrt(),
            lambda loads: -excess(loads) / excess(loads).std(correction=0),
            lambda loads: -excess(loads).tanh(),
            lambda loads: -excess(loads).clamp(-1, 1),
        )
    ),
    *(
        Mistake(
            "the load itself",
            "It subtracts the load itself, so every bias falls: what counts is on which side of the mean it is.",
            step(direction),
        )
        for direction in (
            of_the_sum(lambda load: -load),
            of_the_sum(lambda load: -load / load.sum()),
            of_the_sum(lambda load: -load / load.mean()),
            of_the_sum(lambda load: -load / load.max()),
            of_the_sum(lambda load: -load.softmax(dim=0)),
        )
    ),
    *(
        Mistake(name, says, step(of_the_sum(direction)))
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
                "compared with the mean of those in use",
                "Each load is compared with the mean of those experts that have tokens: the mean is over all of them.",
                (lambda load: (load[load > 0].mean() - load).sign(),),
            ),
            (
                "mean cut to a whole number",
                "The mean is rounded to a whole number: it may lie between two, and then no load is just there.",
                (
                    lambda load: (load.mean().floor() - load).sign(),
                    lambda load: (load.mean().round() - load).sign(),
                    lambda load: (load.mean().ceil() - load).sign(),
                ),
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
        step(_extremes),
    ),
    Mistake(
        "summed over the experts",
        "The loads are summed over the experts, and one number is left for each part: add up the parts, `sum(dim=0)`.",
        step(lambda loads: wanted(loads.T)),
    ),
    *(
        Mistake(
            "small distances left alone",
            "An expert a little off the mean is not moved: only one with just the mean load takes no step.",
            step(lambda loads, near=near: wanted(loads) * ~near(excess(loads).abs(), loads.sum(dim=0).mean())),
        )
        for near in (
            lambda distance, mean: distance < 1,
            lambda distance, mean: distance <= 1,
            lambda distance, mean: distance < 0.01 * mean,
            lambda distance, mean: distance < 0.1 * mean,
        )
    ),
    *STEP_MISTAKES,
)
