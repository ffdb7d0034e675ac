"""Wrong answers to `update_bias`: errors, types and shapes, and what is near the mean."""

import torch
from exercises.answers import Answers

from mini_moe.course.exercises.balance.update_bias import EXERCISE

ANSWERS = Answers(EXERCISE)
wrong = ANSWERS.wrong


def refuse(bias_E, loads_AE):
    if loads_AE.ndim != 2 or loads_AE.shape[1] != len(bias_E):
        raise ValueError(f"loads_AE must be (A, {len(bias_E)}), got {tuple(loads_AE.shape)}.")


def step(load, bias_E):
    return torch.sign(load.mean() - load).to(bias_E.dtype)


@wrong("not refused", "anything")
def _(bias_E, loads_AE, gamma):
    load = loads_AE.sum(0)
    return bias_E + gamma * step(load, bias_E)


@wrong("not refused", "one dimension taken for one part")
def _(bias_E, loads_AE, gamma):
    loads_AE = loads_AE.reshape(-1, len(bias_E))
    return bias_E + gamma * step(loads_AE.sum(0), bias_E)


@wrong("not refused", "three dimensions")
def _(bias_E, loads_AE, gamma):
    if loads_AE.ndim < 2 or loads_AE.shape[-1] != len(bias_E):
        raise ValueError(f"loads_AE must be (A, {len(bias_E)}), got {tuple(loads_AE.shape)}.")
    return bias_E + gamma * step(loads_AE.flatten(0, -2).sum(0), bias_E)


@wrong("not refused", "one column for all experts")
def _(bias_E, loads_AE, gamma):
    if loads_AE.ndim != 2 or loads_AE.shape[1] not in (1, len(bias_E)):
        raise ValueError(f"loads_AE must be (A, {len(bias_E)}), got {tuple(loads_AE.shape)}.")
    return bias_E + gamma * step(loads_AE.sum(0), bias_E)


@wrong("not refused", "the error given back")
def _(bias_E, loads_AE, gamma):
    if loads_AE.ndim != 2 or loads_AE.shape[1] != len(bias_E):
        return ValueError(f"loads_AE must be (A, {len(bias_E)}), got {tuple(loads_AE.shape)}.")
    return bias_E + gamma * step(loads_AE.sum(0), bias_E)


@wrong("another error than documented", "assert")
def _(bias_E, loads_AE, gamma):
    assert loads_AE.ndim == 2 and loads_AE.shape[1] == len(bias_E), loads_AE.shape
    return bias_E + gamma * step(loads_AE.sum(0), bias_E)


@wrong("another error than documented", "columns alone are looked at")
def _(bias_E, loads_AE, gamma):
    if loads_AE.shape[1] != len(bias_E):
        raise ValueError(f"loads_AE must be (A, {len(bias_E)}), got {tuple(loads_AE.shape)}.")
    return bias_E + gamma * step(loads_AE.sum(0), bias_E)


@wrong("not refused", "dimensions alone are looked at")
def _(bias_E, loads_AE, gamma):
    if loads_AE.ndim != 2:
        raise ValueError(f"loads_AE must have 2 dimensions, got {tuple(loads_AE.shape)}.")
    return bias_E + gamma * step(loads_AE.sum(0), bias_E)


@wrong("error without the value")
def _(bias_E, loads_AE, gamma):
    if loads_AE.ndim != 2 or loads_AE.shape[1] != len(bias_E):
        raise ValueError("loads_AE must be (parts, experts).")
    return bias_E + gamma * step(loads_AE.sum(0), bias_E)


@wrong("refuses a legal input", "as many parts as experts")
def _(bias_E, loads_AE, gamma):
    refuse(bias_E, loads_AE)
    if loads_AE.shape[0] >= loads_AE.shape[1]:
        raise ValueError(f"loads_AE looks transposed: {tuple(loads_AE.shape)}.")
    return bias_E + gamma * step(loads_AE.sum(0), bias_E)


@wrong("refuses a legal input", "one part")
def _(bias_E, loads_AE, gamma):
    if loads_AE.squeeze().ndim != 2:
        raise ValueError(f"loads_AE must be (A, {len(bias_E)}), got {tuple(loads_AE.shape)}.")
    return bias_E + gamma * step(loads_AE.sum(0), bias_E)


@wrong("wrong dtype", "that of a sum in float64")
def _(bias_E, loads_AE, gamma):
    refuse(bias_E, loads_AE)
    load = loads_AE.sum(0, dtype=torch.float64)
    return bias_E + gamma * (load.mean() - load).sign()


@wrong("added up in too small a type", "bfloat16")
def _(bias_E, loads_AE, gamma):
    refuse(bias_E, loads_AE)
    return bias_E + gamma * step(loads_AE.sum(0, dtype=torch.bfloat16), bias_E)


@wrong("added up in too small a type", "float16")
def _(bias_E, loads_AE, gamma):
    refuse(bias_E, loads_AE)
    return bias_E + gamma * step(loads_AE.half().sum(0), bias_E)


@wrong("added up in too small a type", "int16")
def _(bias_E, loads_AE, gamma):
    refuse(bias_E, loads_AE)
    return bias_E + gamma * step(loads_AE.short().sum(0, dtype=torch.int16).float(), bias_E)


@wrong("summed over the experts", "always")
def _(bias_E, loads_AE, gamma):
    load = loads_AE.sum(1)
    return bias_E + gamma * torch.sign(load.mean() - load)


@wrong("a busy expert not lowered", "summed over the experts where that runs")
def _(bias_E, loads_AE, gamma):
    refuse(bias_E, loads_AE)
    square = loads_AE.shape[0] == loads_AE.shape[1]
    return bias_E + gamma * step(loads_AE.sum(1 if square else 0), bias_E)


@wrong("compared with the mean of those in use")
def _(bias_E, loads_AE, gamma):
    refuse(bias_E, loads_AE)
    load = loads_AE.sum(0)
    return bias_E + gamma * torch.sign(load.sum() / load.count_nonzero() - load)


@wrong("mean cut to a whole number", "//")
def _(bias_E, loads_AE, gamma):
    refuse(bias_E, loads_AE)
    load = loads_AE.sum(0).long()
    return bias_E + gamma * torch.sign(load.sum() // len(load) - load)


@wrong("mean cut to a whole number", "rounded")
def _(bias_E, loads_AE, gamma):
    load = loads_AE.sum(0)
    return bias_E + gamma * torch.sign(load.mean().round() - load)


@wrong("small distances left alone", "less than a token")
def _(bias_E, loads_AE, gamma):
    refuse(bias_E, loads_AE)
    away = loads_AE.sum(0).mean() - loads_AE.sum(0)
    return bias_E + gamma * torch.where(away.abs() < 1, 0, away.sign())


@wrong("small distances left alone", "a tenth of the mean")
def _(bias_E, loads_AE, gamma):
    load = loads_AE.sum(0)
    mean = load.mean()
    return bias_E + gamma * (1.0 * (load < 0.9 * mean) - 1.0 * (load > 1.1 * mean))


@wrong("bias added to the load")
def _(bias_E, loads_AE, gamma):
    load = loads_AE.sum(0) + bias_E
    return bias_E + gamma * torch.sign(load.mean() - load)


@wrong("bias kept in bounds")
def _(bias_E, loads_AE, gamma):
    load = loads_AE.sum(0)
    return torch.clip(bias_E + gamma * torch.sign(load.mean() - load), -1, 1)


@wrong("in proportion to the distance", "of the largest, at most 1")
def _(bias_E, loads_AE, gamma):
    away = loads_AE.sum(0).mean() - loads_AE.sum(0)
    return bias_E + gamma * away / max(1, away.abs().max())


@wrong("a step of another size than gamma", "in proportion, with a little added below")
def _(bias_E, loads_AE, gamma):
    away = loads_AE.sum(0).mean() - loads_AE.sum(0)
    return bias_E + gamma * away / (away.abs().mean() + 1e-6)


@wrong("a step of another size than gamma", "shared out over the experts")
def _(bias_E, loads_AE, gamma):
    load = loads_AE.sum(0)
    return bias_E + gamma / len(load) * torch.sign(load.mean() - load)


@wrong("gamma written in", "the example's")
def _(bias_E, loads_AE, gamma):
    load = loads_AE.sum(0)
    return bias_E + 0.1 * torch.sign(load.mean() - load)


@wrong("changes its input", "the first part collects the others")
@torch.no_grad()
def _(bias_E, loads_AE, gamma):
    load, *others = loads_AE
    for other in others:
        load += other
    return bias_E + gamma * torch.sign(load.mean() - load)


_seen = {}


@wrong("another result the second time")
def _(bias_E, loads_AE, gamma):
    load = _seen[len(bias_E)] = _seen.get(len(bias_E), 0) + bias_E.new_tensor(range(len(bias_E))) + loads_AE.sum(0)
    return bias_E + gamma * torch.sign(load.mean() - load) * load.sum()
