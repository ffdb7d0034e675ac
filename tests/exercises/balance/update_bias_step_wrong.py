"""Wrong answers to `update_bias`: whose bias moves, by what step, and from where."""

import torch
import torch.nn.functional as F
from exercises.answers import Answers

from mini_moe.course.exercises.balance.update_bias import EXERCISE

ANSWERS = Answers(EXERCISE)
wrong = ANSWERS.wrong


@wrong("moved at balance", "down")
def _(bias_E, loads_AE, gamma):
    load = loads_AE.sum(0)
    new = [b + gamma if n < load.mean() else b - gamma for b, n in zip(bias_E, load, strict=True)]
    return torch.stack(new)


@wrong("only busy experts moved")
def _(bias_E, loads_AE, gamma):
    load = loads_AE.sum(0)
    return torch.where(load > load.mean(), bias_E - gamma, bias_E)


@wrong("only idle experts moved")
def _(bias_E, loads_AE, gamma):
    load = loads_AE.sum(0)
    return bias_E + gamma * (load < load.mean())


@wrong("only the extremes moved")
def _(bias_E, loads_AE, gamma):
    load, new = loads_AE.sum(0), bias_E.clone()
    new[load.argmax()] -= gamma
    new[load.argmin()] += gamma
    return new


@wrong("gamma left out")
def _(bias_E, loads_AE, gamma):
    load = loads_AE.sum(0)
    return bias_E + torch.sign(load.mean() - load)


@wrong("gamma twice")
def _(bias_E, loads_AE, gamma):
    load = loads_AE.sum(0)
    step = gamma * torch.sign(load.mean() - load)
    return bias_E + gamma * step


@wrong("gamma shared out over the parts")
def _(bias_E, loads_AE, gamma):
    load = loads_AE.sum(0)
    for _ in loads_AE:
        bias_E = bias_E + gamma / len(loads_AE) ** 2 * torch.sign(load.mean() - load)
    return bias_E


@wrong("gamma once for each part")
def _(bias_E, loads_AE, gamma):
    load = loads_AE.sum(0)
    for _ in loads_AE:
        bias_E = bias_E + gamma * torch.sign(load.mean() - load)
    return bias_E


@wrong("sign of the step as a whole")
def _(bias_E, loads_AE, gamma):
    load = loads_AE.sum(0)
    return torch.sign(bias_E + gamma * (load.mean() - load))


@wrong("old bias forgotten")
def _(bias_E, loads_AE, gamma):
    load = loads_AE.sum(0)
    bias_E = gamma * torch.sign(load.mean() - load)
    return bias_E


@wrong("old bias scaled", "a running mean")
def _(bias_E, loads_AE, gamma):
    load = loads_AE.sum(0)
    return torch.lerp(bias_E, torch.sign(load.mean() - load), gamma)


@wrong("old bias scaled", "brackets")
def _(bias_E, loads_AE, gamma):
    load = loads_AE.sum(0)
    return gamma * (bias_E + torch.sign(load.mean() - load))


@wrong("multiplied in place of added")
def _(bias_E, loads_AE, gamma):
    load = loads_AE.sum(0)
    return bias_E * (1 + gamma * torch.sign(load.mean() - load))


@wrong("sign of the bias")
def _(bias_E, loads_AE, gamma):
    return bias_E - gamma * torch.sign(bias_E)


@wrong("nothing moved", "the result thrown away")
def _(bias_E, loads_AE, gamma):
    load = loads_AE.sum(0)
    bias_E.add(gamma * torch.sign(load.mean() - load))
    return bias_E


@wrong("bias kept above 0")
def _(bias_E, loads_AE, gamma):
    load = loads_AE.sum(0)
    return F.relu(bias_E + gamma * torch.sign(load.mean() - load))


@wrong("centred again")
def _(bias_E, loads_AE, gamma):
    load = loads_AE.sum(0)
    new = bias_E + gamma * torch.sign(load.mean() - load)
    return new - new.mean()


@wrong("gamma written in")
def _(bias_E, loads_AE, gamma):
    load = loads_AE.sum(0)
    return bias_E + 0.001 * torch.sign(load.mean() - load)


@wrong("changes its input", "+=")
def _(bias_E, loads_AE, gamma):
    load = loads_AE.sum(0)
    bias_E += gamma * torch.sign(load.mean() - load)
    return bias_E


@wrong("changes its input", "a view of it")
def _(bias_E, loads_AE, gamma):
    load, new = loads_AE.sum(0), bias_E.detach()
    new[load > load.mean()] -= gamma
    new[load < load.mean()] += gamma
    return new


@wrong("returns None")
def _(bias_E, loads_AE, gamma):
    load = loads_AE.sum(0)
    bias_E = bias_E + gamma * torch.sign(load.mean() - load)
