"""Wrong answers to `update_bias`: parts not added up, and what a load is compared with."""

import torch
from exercises.answers import Answers

from mini_moe.course.exercises.balance.update_bias import EXERCISE

ANSWERS = Answers(EXERCISE)
wrong = ANSWERS.wrong


@wrong("sign turned round", "load minus mean")
def _(bias_E, loads_AE, gamma):
    load = loads_AE.sum(0)
    return bias_E + gamma * torch.sign(load - load.mean())


@wrong("sign turned round", "a minus")
def _(bias_E, loads_AE, gamma):
    load = loads_AE.sum(0)
    return bias_E - gamma * (load.mean() - load).sign()


@wrong("a step for each part", "a loop")
def _(bias_E, loads_AE, gamma):
    for load in loads_AE:
        bias_E = bias_E + gamma * torch.sign(load.mean() - load)
    return bias_E


@wrong("a step for each part", "a running sum")
def _(bias_E, loads_AE, gamma):
    total = torch.zeros_like(bias_E)
    for load in loads_AE:
        total = total + load
        bias_E = bias_E + gamma * torch.sign(total.mean() - total)
    return bias_E


@wrong("mean of the parts' signs", "mean")
def _(bias_E, loads_AE, gamma):
    signs = torch.sign(loads_AE.mean(1, keepdim=True) - loads_AE)
    return bias_E + gamma * signs.mean(0)


@wrong("mean of the parts' signs", "a vote")
def _(bias_E, loads_AE, gamma):
    votes = torch.stack([torch.sign(load.mean() - load) for load in loads_AE]).sum(0)
    return bias_E + gamma * votes.sign()


@wrong("a bias for each part", "parts never added")
def _(bias_E, loads_AE, gamma):
    mean = loads_AE.mean(dim=-1, keepdim=True)
    return bias_E + gamma * torch.sign(mean - loads_AE)


@wrong("a bias for each part", "mean over the parts")
def _(bias_E, loads_AE, gamma):
    return bias_E + gamma * torch.sign(loads_AE.mean(0) - loads_AE)


@wrong("only one part", "the first")
def _(bias_E, loads_AE, gamma):
    load = loads_AE[0]
    return bias_E + gamma * torch.sign(load.mean() - load)


@wrong("only one part", "the last, in a loop")
def _(bias_E, loads_AE, gamma):
    for load in loads_AE:
        new = bias_E + gamma * torch.sign(load.mean() - load)
    return new


@wrong("sum and mean of different things")
def _(bias_E, loads_AE, gamma):
    return bias_E + gamma * torch.sign(loads_AE.mean() - loads_AE.sum(0))


@wrong("in proportion to the distance", "the distance")
def _(bias_E, loads_AE, gamma):
    load = loads_AE.sum(0)
    return bias_E + gamma * (load.mean() - load)


@wrong("in proportion to the distance", "relative to the mean")
def _(bias_E, loads_AE, gamma):
    load = loads_AE.sum(0)
    return bias_E + gamma * (1 - load / load.mean())


@wrong("in proportion to the distance", "of the shares")
def _(bias_E, loads_AE, gamma):
    share = loads_AE.sum(0) / loads_AE.sum()
    return bias_E + gamma * (1 / len(share) - share)


@wrong("in proportion to the distance", "but at most 1")
def _(bias_E, loads_AE, gamma):
    load = loads_AE.sum(0)
    return bias_E + gamma * (load.mean() - load).clamp(-1, 1)


@wrong("the load itself", "as a share")
def _(bias_E, loads_AE, gamma):
    load = loads_AE.sum(0)
    return bias_E - gamma * load / load.sum()


@wrong("the load itself", "as it is")
def _(bias_E, loads_AE, gamma):
    return bias_E - gamma * loads_AE.sum(0)


@wrong("compared with the largest load")
def _(bias_E, loads_AE, gamma):
    load = loads_AE.sum(0)
    return bias_E + gamma * torch.sign(load.amax() - load)


@wrong("compared with the smallest load")
def _(bias_E, loads_AE, gamma):
    load = loads_AE.sum(0)
    return bias_E - gamma * torch.sign(load - load.amin())


@wrong("compared with the median")
def _(bias_E, loads_AE, gamma):
    load = loads_AE.sum(0)
    return bias_E + gamma * torch.sign(load.median() - load)


@wrong("compared with the middle of the extremes")
def _(bias_E, loads_AE, gamma):
    load = loads_AE.sum(0)
    low, high = load.aminmax()
    return bias_E + gamma * torch.sign(0.5 * (low + high) - load)


@wrong("compared with a fixed number", "1 / E")
def _(bias_E, loads_AE, gamma):
    return bias_E + gamma * torch.sign(1 / loads_AE.shape[1] - loads_AE.sum(0))


@wrong("compared with a fixed number", "0")
def _(bias_E, loads_AE, gamma):
    used = loads_AE.sum(0) > 0
    return torch.where(used, bias_E - gamma, bias_E + gamma)


@wrong("moved at balance", "up")
def _(bias_E, loads_AE, gamma):
    load = loads_AE.sum(0)
    return bias_E + torch.where(load > load.mean(), -gamma, gamma)
