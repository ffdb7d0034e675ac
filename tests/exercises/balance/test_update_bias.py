"""Answers to `update_bias`: wrong ones as learners write them, right ones each in another way."""

import torch
from exercises.answers import Claims
from exercises.balance import update_bias_more_wrong, update_bias_wrong

ANSWERS = update_bias_wrong.ANSWERS + update_bias_more_wrong.ANSWERS
right = ANSWERS.right


class TestUpdateBias(Claims):
    answers = ANSWERS


@right("without gradient")
@torch.no_grad()
def _(bias_E, loads_AE, gamma):
    load = loads_AE.sum(0)
    return bias_E - gamma * torch.sign(load - load.mean())


@right("a copy, two masks")
def _(bias_E, loads_AE, gamma):
    load = sum(loads_AE)
    new = bias_E.clone()
    new[load > load.mean()] -= gamma
    new[load < load.mean()] += gamma
    return new


@right("where, of the shares")
def _(bias_E, loads_AE, gamma):
    share = loads_AE.mean(0) / loads_AE.mean(0).sum()
    even = share.mean()
    return torch.where(share > even, bias_E - gamma, torch.where(share < even, bias_E + gamma, bias_E))


@right("expert by expert")
def _(bias_E, loads_AE, gamma):
    load = torch.einsum("ae->e", loads_AE).tolist()
    mean = sum(load) / len(load)
    return torch.stack([b + gamma * ((n < mean) - (n > mean)) for b, n in zip(bias_E, load, strict=True)])


@right("compared in whole numbers")
def _(bias_E, loads_AE, gamma):
    load = loads_AE.sum(0).long()
    return bias_E.detach() + gamma * (load.sum() - len(load) * load).sign()
