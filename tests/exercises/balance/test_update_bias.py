"""Answers to `update_bias`: wrong ones as learners write them, right ones each in another way."""

import torch
from exercises.answers import Claims
from exercises.balance import update_bias_step_wrong, update_bias_wrong, update_bias_wrong_forms

ANSWERS = update_bias_wrong.ANSWERS + update_bias_step_wrong.ANSWERS + update_bias_wrong_forms.ANSWERS
right = ANSWERS.right


class TestUpdateBias(Claims):
    answers = ANSWERS


@right("without gradient")
@torch.no_grad()
def _(bias_E, loads_AE, gamma):
    if loads_AE.shape[1:] != bias_E.shape or loads_AE.ndim != 2:
        raise ValueError(f"{loads_AE.shape} does not fit {bias_E.shape}")
    load = loads_AE.sum(0)
    return bias_E - (gamma * torch.sign(load - load.mean())).to(bias_E.dtype)


@right("a copy, two masks")
def _(bias_E, loads_AE, gamma):
    if list(loads_AE.shape[1:]) != [len(bias_E)]:
        raise ValueError(f"one row a part and one column an expert, please: got {list(loads_AE.shape)}")
    load = sum(loads_AE)
    new = bias_E.clone()
    new[load > load.mean()] -= gamma
    new[load < load.mean()] += gamma
    return new


@right("where, of the shares")
def _(bias_E, loads_AE, gamma):
    if loads_AE.dim() != 2:
        raise ValueError(f"expected 2 dimensions, got {loads_AE.dim()}: {tuple(loads_AE.size())}")
    if loads_AE.size(1) != bias_E.numel():
        raise ValueError(f"expected {bias_E.numel()} experts, got {loads_AE.size(1)} in {tuple(loads_AE.size())}")
    share = loads_AE.mean(0) / loads_AE.mean(0).sum()
    even = share.mean()
    return torch.where(share > even, bias_E - gamma, torch.where(share < even, bias_E + gamma, bias_E))


@right("expert by expert")
def _(bias_E, loads_AE, gamma):
    try:
        load = torch.einsum("ae,e->e", loads_AE, torch.ones_like(bias_E)).tolist()
        loads_AE.view(*loads_AE.shape[:1], len(bias_E))
    except RuntimeError:
        raise ValueError(f"loads_AE: {tuple(loads_AE.shape)}") from None
    mean = sum(load) / len(load)
    return torch.stack([b + gamma * ((n < mean) - (n > mean)) for b, n in zip(bias_E, load, strict=True)])


@right("compared in whole numbers")
def _(bias_E, loads_AE, gamma):
    if loads_AE.ndim != 2 or loads_AE.shape[1] != len(bias_E):
        raise ValueError(str(loads_AE.shape))
    load = loads_AE.sum(0).long()
    return bias_E.detach() + gamma * (load.sum() - len(load) * load).sign().to(bias_E.dtype)


@right("float64 inside")
def _(bias_E, loads_AE, gamma):
    if loads_AE.ndim != 2 or loads_AE.shape[1] != len(bias_E):
        raise ValueError(f"loads_AE must be of shape (A, {len(bias_E)}), got {tuple(loads_AE.shape)}.")
    away = loads_AE.double() @ (1 / len(bias_E) - torch.eye(len(bias_E), dtype=torch.float64))
    return torch.add(bias_E.double(), away.sum(0).sign(), alpha=gamma).to(bias_E.dtype)


@right("lists")
def _(bias_E, loads_AE, gamma):
    parts = loads_AE.tolist()
    if loads_AE.ndim != 2 or any(len(part) != len(bias_E) for part in parts):
        raise ValueError(f"loads_AE has the shape {'x'.join(map(str, loads_AE.shape))}")
    load = [sum(column) for column in zip(*parts, strict=True)]
    step = [(n * len(load) < sum(load)) - (n * len(load) > sum(load)) for n in load]
    return bias_E + gamma * torch.tensor(step, dtype=bias_E.dtype)
