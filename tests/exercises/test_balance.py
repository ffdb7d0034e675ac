"""Lesson 04: wrong answers as beginners write them, each with its name; right ones, each written differently."""

import torch
import torch.nn.functional as F
from exercises.answers import Answers, Claims

from mini_moe.course.exercises import balance
from mini_moe.moe import expert_load

ANSWERS = Answers(balance)
wrong, right = ANSWERS.wrong, ANSWERS.right

LOAD = balance.EXPERT_LOAD
LOSS = balance.SEQUENCE_BALANCE_LOSS
BIAS = balance.UPDATE_BIAS


class TestBalance(Claims):
    answers = ANSWERS


# --- expert_load ------------------------------------------------------------------------------------------------------


@wrong(LOAD, "a repeated expert counted once", "written by index, row by row")
def _(experts, n_experts):
    load = torch.zeros(*experts.shape[:-1], n_experts)
    for row, chosen in zip(load.view(-1, n_experts), experts.reshape(-1, experts.shape[-1]), strict=True):
        row[chosen] += 1
    return load


@wrong(LOAD, "a repeated expert counted once", "written by index, all at once")
def _(experts, n_experts):
    load = torch.zeros(n_experts)
    load[experts] += 1
    return load


@wrong(LOAD, "a repeated expert counted once", "written by index, in every row")
def _(experts, n_experts):
    load = torch.zeros(*experts.shape[:-1], n_experts)
    load[..., experts] += 1
    return load


@wrong(LOAD, "a repeated expert counted once", "scatter_ without add")
def _(experts, n_experts):
    return torch.zeros(*experts.shape[:-1], n_experts).scatter_(-1, experts, 1.0)


@wrong(LOAD, "a repeated expert counted once", "any")
def _(experts, n_experts):
    return (experts.unsqueeze(-1) == torch.arange(n_experts)).any(-2).float()


@wrong(LOAD, "all rows counted together", "bincount of all")
def _(experts, n_experts):
    return torch.bincount(experts.flatten(), minlength=n_experts).float()


@wrong(LOAD, "all rows counted together", "integers")
def _(experts, n_experts):
    return torch.bincount(experts.reshape(-1), minlength=n_experts)


@wrong(LOAD, "all rows counted together", "a loop over the experts")
def _(experts, n_experts):
    return torch.stack([(experts == e).sum() for e in range(n_experts)]).float()


@wrong(LOAD, "all rows counted together", "the mean of the rows")
def _(experts, n_experts):
    per_row = F.one_hot(experts, n_experts).float().sum(-2)
    return per_row.view(-1, n_experts).mean(0)


@wrong(LOAD, "idle experts left out", "bincount")
def _(experts, n_experts):
    return torch.bincount(experts.flatten()).to(torch.float32)


@wrong(LOAD, "idle experts left out", "one_hot")
def _(experts, n_experts):
    return F.one_hot(experts).sum(-2).float()


@wrong(LOAD, "idle experts left out", "unique")
def _(experts, n_experts):
    numbers, counts = torch.unique(experts, return_counts=True)
    return counts


@wrong(LOAD, "shares in place of counts", "mean of one-hot rows")
def _(experts, n_experts):
    return F.one_hot(experts, n_experts).float().mean(dim=-2)


@wrong(LOAD, "shares in place of counts", "divided by the sum")
def _(experts, n_experts):
    load = F.one_hot(experts, n_experts).sum(-2).float()
    return load / load.sum(-1, keepdim=True)


@wrong(LOAD, "shares in place of counts", "1 at balance")
def _(experts, n_experts):
    load = F.one_hot(experts, n_experts).sum(-2).float()
    return load / load.mean(-1, keepdim=True)


@wrong(LOAD, "shares in place of counts", "divided by the number of experts")
def _(experts, n_experts):
    return F.one_hot(experts, n_experts).sum(-2) / n_experts


@wrong(LOAD, "only one choice counted", "the first")
def _(experts, n_experts):
    first = experts[..., 0]
    return F.one_hot(first, n_experts).float()


@wrong(LOAD, "only one choice counted", "the last, each overwriting the one before")
def _(experts, n_experts):
    for k in range(experts.shape[-1]):
        load = (experts[..., k, None] == torch.arange(n_experts)).float()
    return load


@wrong(LOAD, "summed over the wrong dimension", "the first")
def _(experts, n_experts):
    return F.one_hot(experts, n_experts).sum(dim=0).float()


@wrong(LOAD, "summed over the wrong dimension", "the second")
def _(experts, n_experts):
    return F.one_hot(experts, n_experts).sum(1)


@wrong(LOAD, "summed over the wrong dimension", "the experts")
def _(experts, n_experts):
    return F.one_hot(experts, n_experts).sum(-1).float()


@wrong(LOAD, "nothing counted")
def _(experts, n_experts):
    load = torch.zeros(*experts.shape[:-1], n_experts)
    load.scatter_add(-1, experts, torch.ones_like(experts, dtype=load.dtype))
    return load


@wrong(LOAD, "expert numbers added")
def _(experts, n_experts):
    load = torch.zeros(*experts.shape[:-1], n_experts)
    return load.scatter_add(-1, experts, experts.float())


@wrong(LOAD, "experts numbered from 1")
def _(experts, n_experts):
    return torch.stack([(experts == e).sum(-1) for e in range(1, n_experts + 1)], dim=-1).float()


@wrong(LOAD, "one expert too few")
def _(experts, n_experts):
    return torch.stack([(experts == e).sum(-1) for e in range(n_experts - 1)], dim=-1).float()


@wrong(LOAD, "counts added up along the experts")
def _(experts, n_experts):
    return torch.stack([(experts <= e).float().sum(-1) for e in range(n_experts)], dim=-1)


@wrong(LOAD, "wrong dtype", "one_hot, summed")
def _(experts, n_experts):
    return F.one_hot(experts, n_experts).sum(dim=-2)


@wrong(LOAD, "wrong dtype", "zeros like the input")
def _(experts, n_experts):
    load = experts.new_zeros(*experts.shape[:-1], n_experts)
    return load.scatter_add(-1, experts, torch.ones_like(experts))


@wrong(LOAD, "wrong shape", "transposed")
def _(experts, n_experts):
    return torch.stack([(experts == e).float().sum(-1, keepdim=True) for e in range(n_experts)], dim=-1)


@wrong(LOAD, "wrong type", "a list")
def _(experts, n_experts):
    return [(experts == e).sum().item() for e in range(n_experts)]


@wrong(LOAD, "raises RuntimeError", "bincount of rows")
def _(experts, n_experts):
    return torch.bincount(experts, minlength=n_experts).float()


@right(LOAD, "one_hot")
def _(experts, n_experts):
    return F.one_hot(experts, num_classes=n_experts).sum(-2).to(torch.float32)


@right(LOAD, "bincount, row by row")
def _(experts, n_experts):
    rows = [torch.bincount(row, minlength=n_experts) for row in experts.reshape(-1, experts.shape[-1])]
    return torch.stack(rows).view(*experts.shape[:-1], n_experts).float()


@right(LOAD, "one bincount, rows told apart by an offset")
def _(experts, n_experts):
    rows = experts.reshape(-1, experts.shape[-1])
    numbers = rows + n_experts * torch.arange(len(rows))[:, None]
    load = torch.bincount(numbers.flatten(), minlength=n_experts * len(rows))
    return load.float().reshape(*experts.shape[:-1], n_experts)


@right(LOAD, "a loop over the experts")
def _(experts, n_experts):
    return torch.stack([(experts == e).sum(-1) for e in range(n_experts)], -1).float()


@right(LOAD, "a loop over the choices")
def _(experts, n_experts):
    load = torch.zeros((*experts.shape[:-1], n_experts))
    for k in range(experts.shape[-1]):
        load += torch.where(experts[..., k : k + 1] == torch.arange(n_experts), 1.0, 0.0)
    return load


@right(LOAD, "einsum")
def _(experts, n_experts):
    return torch.einsum("...ne->...e", torch.eye(n_experts)[experts])


# --- sequence_balance_loss --------------------------------------------------------------------------------------------


def counted(experts_BTK, E):
    return F.one_hot(experts_BTK, E).sum(dim=(1, 2)).float()


@wrong(LOSS, "P detached", "detach")
def _(scores_BTE, experts_BTK, alpha):
    E, (T, K) = scores_BTE.shape[-1], experts_BTK.shape[1:]
    f = counted(experts_BTK, E) * E / (K * T)
    p = (scores_BTE / scores_BTE.sum(-1, keepdim=True)).mean(1).detach()
    return alpha * (f * p).sum(-1).mean()


@wrong(LOSS, "P detached", "no_grad around too much")
def _(scores_BTE, experts_BTK, alpha):
    E, (T, K) = scores_BTE.shape[-1], experts_BTK.shape[1:]
    with torch.no_grad():
        f = counted(experts_BTK, E) * E / (K * T)
        p = (scores_BTE / scores_BTE.sum(-1, keepdim=True)).mean(1)
    return alpha * (f * p).sum(-1).mean()


@wrong(LOSS, "gradient through f", "straight through the shares")
def _(scores_BTE, experts_BTK, alpha):
    E, (T, K) = scores_BTE.shape[-1], experts_BTK.shape[1:]
    share = scores_BTE / scores_BTE.sum(-1, keepdim=True)
    hard = F.one_hot(experts_BTK, E).sum(2)
    soft = hard + share - share.detach()
    return alpha * (E / (K * T) * soft.sum(1) * share.mean(1)).sum(-1).mean()


@wrong(LOSS, "gradient through f", "chosen scores over themselves")
def _(scores_BTE, experts_BTK, alpha):
    E, (T, K) = scores_BTE.shape[-1], experts_BTK.shape[1:]
    chosen = scores_BTE.gather(-1, experts_BTK)
    ones = chosen / chosen.detach()
    count = torch.zeros_like(scores_BTE).scatter_add(-1, experts_BTK, ones).sum(1)
    share = scores_BTE / scores_BTE.sum(-1, keepdim=True)
    return alpha * (E / (K * T) * count * share.mean(1)).sum(-1).mean()


@wrong(LOSS, "sum of scores detached")
def _(scores_BTE, experts_BTK, alpha):
    E, (T, K) = scores_BTE.shape[-1], experts_BTK.shape[1:]
    total = scores_BTE.detach().sum(-1, keepdim=True)
    p = (scores_BTE / total).mean(1)
    return alpha * (counted(experts_BTK, E) * E / (K * T) * p).sum(-1).mean()


@wrong(LOSS, "f times f")
def _(scores_BTE, experts_BTK, alpha):
    E, (T, K) = scores_BTE.shape[-1], experts_BTK.shape[1:]
    f = counted(experts_BTK, E) * E / (K * T)
    return alpha * f.square().sum(-1).mean()


@wrong(LOSS, "P times P", "as it is")
def _(scores_BTE, experts_BTK, alpha):
    p = (scores_BTE / scores_BTE.sum(-1, keepdim=True)).mean(1)
    return alpha * p.pow(2).sum(-1).mean()


@wrong(LOSS, "P times P", "times E")
def _(scores_BTE, experts_BTK, alpha):
    E = scores_BTE.shape[-1]
    p = (scores_BTE / scores_BTE.sum(-1, keepdim=True)).mean(1)
    f = E * p
    return alpha * (f * p).sum(-1).mean()


@wrong(LOSS, "scores in place of counts", "chosen scores")
def _(scores_BTE, experts_BTK, alpha):
    E, (T, K) = scores_BTE.shape[-1], experts_BTK.shape[1:]
    mask = torch.zeros_like(scores_BTE).scatter(-1, experts_BTK, 1.0)
    f = E / (K * T) * (mask * scores_BTE).sum(1)
    p = (scores_BTE / scores_BTE.sum(-1, keepdim=True)).mean(1)
    return alpha * (f * p).sum(-1).mean()


@wrong(LOSS, "scores in place of counts", "gate weights, 1 a token")
def _(scores_BTE, experts_BTK, alpha):
    E, T = scores_BTE.shape[-1], scores_BTE.shape[1]
    weights = scores_BTE.gather(-1, experts_BTK)
    weights = weights / weights.sum(-1, keepdim=True)
    f = torch.zeros_like(scores_BTE).scatter(-1, experts_BTK, weights).sum(1) * E / T
    p = (scores_BTE / scores_BTE.sum(-1, keepdim=True)).mean(1)
    return alpha * (f * p).sum(-1).mean()


@wrong(LOSS, "scores in place of counts", "all scores")
def _(scores_BTE, experts_BTK, alpha):
    E, (T, K) = scores_BTE.shape[-1], experts_BTK.shape[1:]
    f = scores_BTE.sum(1) * E / (K * T)
    p = (scores_BTE / scores_BTE.sum(-1, keepdim=True)).mean(1)
    return alpha * (f * p).sum(-1).mean()


@wrong(LOSS, "only chosen scores in P", "masked")
def _(scores_BTE, experts_BTK, alpha):
    E, (T, K) = scores_BTE.shape[-1], experts_BTK.shape[1:]
    mask = torch.zeros_like(scores_BTE).scatter(-1, experts_BTK, 1.0)
    f = mask.sum(1) * E / (K * T)
    p = (mask * scores_BTE / scores_BTE.sum(-1, keepdim=True)).mean(1)
    return alpha * (f * p).sum(-1).mean()


@wrong(LOSS, "only chosen scores in P", "the gate weights")
def _(scores_BTE, experts_BTK, alpha):
    E, (T, K) = scores_BTE.shape[-1], experts_BTK.shape[1:]
    chosen = scores_BTE.gather(-1, experts_BTK)
    weights = chosen / chosen.sum(-1, keepdim=True)
    p = torch.zeros_like(scores_BTE).scatter(-1, experts_BTK, weights).mean(1)
    return alpha * (counted(experts_BTK, E) * E / (K * T) * p).sum(-1).mean()


@wrong(LOSS, "only chosen scores in P", "token by token")
def _(scores_BTE, experts_BTK, alpha):
    E, K = scores_BTE.shape[-1], experts_BTK.shape[-1]
    share = scores_BTE / scores_BTE.sum(-1, keepdim=True)
    used = F.one_hot(experts_BTK, E).sum(2)
    return alpha * E / K * (used * share).sum(-1).mean()


@wrong(LOSS, "scores not divided by their sum")
def _(scores_BTE, experts_BTK, alpha):
    B, T, E = scores_BTE.shape
    f = expert_load(experts_BTK.flatten(1), E) * E / (experts_BTK.shape[-1] * T)
    return alpha * (f * scores_BTE.mean(1)).sum(-1).mean()


@wrong(LOSS, "softmax of the scores")
def _(scores_BTE, experts_BTK, alpha):
    B, T, E = scores_BTE.shape
    f = expert_load(experts_BTK.flatten(1), E) * E / (experts_BTK.shape[-1] * T)
    p = F.softmax(scores_BTE, dim=-1).mean(1)
    return alpha * (f * p).sum(-1).mean()


@wrong(LOSS, "divided by the sum after the mean")
def _(scores_BTE, experts_BTK, alpha):
    B, T, E = scores_BTE.shape
    f = expert_load(experts_BTK.flatten(1), E) * E / (experts_BTK.shape[-1] * T)
    p = scores_BTE.sum(1) / scores_BTE.sum((1, 2)).unsqueeze(-1)
    return alpha * (f * p).sum(-1).mean()


@wrong(LOSS, "divided by the wrong sum", "over the tokens")
def _(scores_BTE, experts_BTK, alpha):
    B, T, E = scores_BTE.shape
    f = expert_load(experts_BTK.flatten(1), E) * E / (experts_BTK.shape[-1] * T)
    p = (scores_BTE / scores_BTE.sum(1, keepdim=True)).mean(1)
    return alpha * (f * p).sum(-1).mean()


@wrong(LOSS, "divided by the wrong sum", "of the chosen")
def _(scores_BTE, experts_BTK, alpha):
    B, T, E = scores_BTE.shape
    f = expert_load(experts_BTK.flatten(1), E) * E / (experts_BTK.shape[-1] * T)
    chosen = scores_BTE.gather(-1, experts_BTK)
    p = (scores_BTE / chosen.sum(-1, keepdim=True)).mean(1)
    return alpha * (f * p).sum(-1).mean()


@wrong(LOSS, "divided by the wrong sum", "F.normalize")
def _(scores_BTE, experts_BTK, alpha):
    B, T, E = scores_BTE.shape
    f = expert_load(experts_BTK.flatten(1), E) * E / (experts_BTK.shape[-1] * T)
    return alpha * (f * F.normalize(scores_BTE, dim=-1).mean(1)).sum(-1).mean()


@wrong(LOSS, "E left out", "in f")
def _(scores_BTE, experts_BTK, alpha):
    E = scores_BTE.shape[-1]
    f = counted(experts_BTK, E) / experts_BTK[0].numel()
    p = (scores_BTE / scores_BTE.sum(-1, keepdim=True)).mean(1)
    return alpha * (f * p).sum(-1).mean()


@wrong(LOSS, "E left out", "by a mean over the experts")
def _(scores_BTE, experts_BTK, alpha):
    E = scores_BTE.shape[-1]
    f = counted(experts_BTK, E) * E / experts_BTK[0].numel()
    p = (scores_BTE / scores_BTE.sum(-1, keepdim=True)).mean(1)
    return alpha * (f * p).mean()


@wrong(LOSS, "K left out")
def _(scores_BTE, experts_BTK, alpha):
    B, T, E = scores_BTE.shape
    f = E * F.one_hot(experts_BTK, E).sum(2).float().mean(1)
    p = (scores_BTE / scores_BTE.sum(-1, keepdim=True)).mean(1)
    return alpha * torch.einsum("be,be->b", f, p).mean()


@wrong(LOSS, "T left out", "in f")
def _(scores_BTE, experts_BTK, alpha):
    E, K = scores_BTE.shape[-1], experts_BTK.shape[-1]
    f = counted(experts_BTK, E) * E / K
    p = (scores_BTE / scores_BTE.sum(-1, keepdim=True)).mean(1)
    return alpha * (f * p).sum(-1).mean()


@wrong(LOSS, "T left out", "P summed")
def _(scores_BTE, experts_BTK, alpha):
    E, (T, K) = scores_BTE.shape[-1], experts_BTK.shape[1:]
    f = counted(experts_BTK, E) * E / (K * T)
    p = (scores_BTE / scores_BTE.sum(-1, keepdim=True)).sum(1)
    return alpha * (f * p).sum(-1).mean()


@wrong(LOSS, "E and K left out")
def _(scores_BTE, experts_BTK, alpha):
    E, T = scores_BTE.shape[-1], scores_BTE.shape[1]
    p = (scores_BTE / scores_BTE.sum(-1, keepdim=True)).mean(1)
    return alpha * (counted(experts_BTK, E) / T * p).sum(-1).mean()


@wrong(LOSS, "K and T left out")
def _(scores_BTE, experts_BTK, alpha):
    E = scores_BTE.shape[-1]
    p = (scores_BTE / scores_BTE.sum(-1, keepdim=True)).mean(1)
    return alpha * E * (counted(experts_BTK, E) * p).sum(-1).mean()


@wrong(LOSS, "bare counts")
def _(scores_BTE, experts_BTK, alpha):
    p = (scores_BTE / scores_BTE.sum(-1, keepdim=True)).mean(1)
    return alpha * (counted(experts_BTK, scores_BTE.shape[-1]) * p).sum(-1).mean()


@wrong(LOSS, "K multiplied", "a slash too many")
def _(scores_BTE, experts_BTK, alpha):
    E, (T, K) = scores_BTE.shape[-1], experts_BTK.shape[1:]
    p = (scores_BTE / scores_BTE.sum(-1, keepdim=True)).mean(1)
    return alpha * (counted(experts_BTK, E) * E / T * K * p).sum(-1).mean()


@wrong(LOSS, "E multiplied twice")
def _(scores_BTE, experts_BTK, alpha):
    E, (T, K) = scores_BTE.shape[-1], experts_BTK.shape[1:]
    p = (scores_BTE / scores_BTE.sum(-1, keepdim=True)).mean(1)
    return alpha * E * (counted(experts_BTK, E) * E / (K * T) * p).sum(-1).mean()


@wrong(LOSS, "K divided by twice", "a mean over the choices, too")
def _(scores_BTE, experts_BTK, alpha):
    E, K = scores_BTE.shape[-1], experts_BTK.shape[-1]
    f = F.one_hot(experts_BTK, E).float().mean(dim=(1, 2)) * E / K
    p = (scores_BTE / scores_BTE.sum(-1, keepdim=True)).mean(1)
    return alpha * (f * p).sum(-1).mean()


@wrong(LOSS, "T divided by twice", "a mean over the tokens, too")
def _(scores_BTE, experts_BTK, alpha):
    E, (T, K) = scores_BTE.shape[-1], experts_BTK.shape[1:]
    f = F.one_hot(experts_BTK, E).sum(2).float().mean(1) * E / (K * T)
    p = (scores_BTE / scores_BTE.sum(-1, keepdim=True)).mean(1)
    return alpha * (f * p).sum(-1).mean()


@wrong(LOSS, "f cut to a whole number", "after the product")
def _(scores_BTE, experts_BTK, alpha):
    E, (T, K) = scores_BTE.shape[-1], experts_BTK.shape[1:]
    f = F.one_hot(experts_BTK, E).sum((1, 2)) * E // (K * T)
    p = (scores_BTE / scores_BTE.sum(-1, keepdim=True)).mean(1)
    return alpha * (f * p).sum(-1).mean()


@wrong(LOSS, "f upside down")
def _(scores_BTE, experts_BTK, alpha):
    E, (T, K) = scores_BTE.shape[-1], experts_BTK.shape[1:]
    p = (scores_BTE / scores_BTE.sum(-1, keepdim=True)).mean(1)
    return alpha * (counted(experts_BTK, E) / (E / (K * T)) * p).sum(-1).mean()


@wrong(LOSS, "only the first choice counted")
def _(scores_BTE, experts_BTK, alpha):
    E = scores_BTE.shape[-1]
    f = F.one_hot(experts_BTK[:, :, 0], E).float().mean(1) * E
    p = (scores_BTE / scores_BTE.sum(-1, keepdim=True)).mean(1)
    return alpha * (f * p).sum(-1).mean()


@wrong(LOSS, "a busy expert counted once")
def _(scores_BTE, experts_BTK, alpha):
    B, T, E = scores_BTE.shape
    count = torch.zeros(B, E)
    count[torch.arange(B)[:, None], experts_BTK.flatten(1)] += 1
    p = (scores_BTE / scores_BTE.sum(-1, keepdim=True)).mean(1)
    return alpha * (count * E / (experts_BTK.shape[-1] * T) * p).sum(-1).mean()


@wrong(LOSS, "chosen again from the scores")
def _(scores_BTE, experts_BTK, alpha):
    E, (T, K) = scores_BTE.shape[-1], experts_BTK.shape[1:]
    best = torch.topk(scores_BTE, K, dim=-1).indices
    p = (scores_BTE / scores_BTE.sum(-1, keepdim=True)).mean(1)
    return alpha * (counted(best, E) * E / (K * T) * p).sum(-1).mean()


@wrong(LOSS, "chosen again from the scores", "the best one of each token")
def _(scores_BTE, experts_BTK, alpha):
    E = scores_BTE.shape[-1]
    f = F.one_hot(scores_BTE.argmax(-1), E).float().mean(1) * E
    p = (scores_BTE / scores_BTE.sum(-1, keepdim=True)).mean(1)
    return alpha * (f * p).sum(-1).mean()


@wrong(LOSS, "over the whole batch", "both")
def _(scores_BTE, experts_BTK, alpha):
    E, K = scores_BTE.shape[-1], experts_BTK.shape[-1]
    scores, experts = scores_BTE.flatten(0, 1), experts_BTK.flatten(0, 1)
    f = expert_load(experts.flatten(), E) * E / (K * len(scores))
    p = (scores / scores.sum(-1, keepdim=True)).mean(0)
    return alpha * (f * p).sum()


@wrong(LOSS, "over the whole batch", "f alone")
def _(scores_BTE, experts_BTK, alpha):
    E, (T, K) = scores_BTE.shape[-1], experts_BTK.shape[1:]
    f = expert_load(experts_BTK.flatten(), E) * E / (K * T)
    p = (scores_BTE / scores_BTE.sum(-1, keepdim=True)).mean(1)
    return alpha * (f * p).sum(-1).mean()


@wrong(LOSS, "over the whole batch", "means before the product")
def _(scores_BTE, experts_BTK, alpha):
    E, (T, K) = scores_BTE.shape[-1], experts_BTK.shape[1:]
    f = counted(experts_BTK, E) * E / (K * T)
    p = (scores_BTE / scores_BTE.sum(-1, keepdim=True)).mean(1)
    return alpha * (f.mean(0) * p.mean(0)).sum()


@wrong(LOSS, "summed over sequences")
def _(scores_BTE, experts_BTK, alpha):
    E, (T, K) = scores_BTE.shape[-1], experts_BTK.shape[1:]
    loss = 0
    for scores, experts in zip(scores_BTE, experts_BTK, strict=True):
        f = torch.bincount(experts.flatten(), minlength=E) * E / (K * T)
        loss = loss + (f * (scores / scores.sum(-1, keepdim=True)).mean(0)).sum()
    return alpha * loss


@wrong(LOSS, "a loss for each sequence")
def _(scores_BTE, experts_BTK, alpha):
    E, (T, K) = scores_BTE.shape[-1], experts_BTK.shape[1:]
    p = (scores_BTE / scores_BTE.sum(-1, keepdim=True)).mean(1)
    return alpha * (counted(experts_BTK, E) * E / (K * T) * p).sum(-1)


@wrong(LOSS, "divided by the batch twice")
def _(scores_BTE, experts_BTK, alpha):
    E, n_choices = scores_BTE.shape[-1], experts_BTK.numel()
    p = (scores_BTE / scores_BTE.sum(-1, keepdim=True)).mean(1)
    return alpha * (counted(experts_BTK, E) * E / n_choices * p).sum(-1).mean()


@wrong(LOSS, "alpha left out")
def _(scores_BTE, experts_BTK, alpha):
    E, (T, K) = scores_BTE.shape[-1], experts_BTK.shape[1:]
    p = (scores_BTE / scores_BTE.sum(-1, keepdim=True)).mean(1)
    return (counted(experts_BTK, E) * E / (K * T) * p).sum(-1).mean()


@wrong(LOSS, "alpha twice")
def _(scores_BTE, experts_BTK, alpha):
    E, (T, K) = scores_BTE.shape[-1], experts_BTK.shape[1:]
    f = alpha * counted(experts_BTK, E) * E / (K * T)
    p = (scores_BTE / scores_BTE.sum(-1, keepdim=True)).mean(1)
    return alpha * (f * p).sum(-1).mean()


@wrong(LOSS, "divided by alpha")
def _(scores_BTE, experts_BTK, alpha):
    E, (T, K) = scores_BTE.shape[-1], experts_BTK.shape[1:]
    p = (scores_BTE / scores_BTE.sum(-1, keepdim=True)).mean(1)
    return (counted(experts_BTK, E) * E / (K * T) * p).sum(-1).mean() / alpha


@wrong(LOSS, "sign turned round")
def _(scores_BTE, experts_BTK, alpha):
    E, (T, K) = scores_BTE.shape[-1], experts_BTK.shape[1:]
    p = (scores_BTE / scores_BTE.sum(-1, keepdim=True)).mean(1)
    return -alpha * (counted(experts_BTK, E) * E / (K * T) * p).sum(-1).mean()


@wrong(LOSS, "0 at balance")
def _(scores_BTE, experts_BTK, alpha):
    E, (T, K) = scores_BTE.shape[-1], experts_BTK.shape[1:]
    excess = counted(experts_BTK, E) * E / (K * T) - 1
    p = (scores_BTE / scores_BTE.sum(-1, keepdim=True)).mean(1)
    return alpha * (excess * p).sum(-1).mean()


@wrong(LOSS, "f and P added")
def _(scores_BTE, experts_BTK, alpha):
    E, (T, K) = scores_BTE.shape[-1], experts_BTK.shape[1:]
    p = (scores_BTE / scores_BTE.sum(-1, keepdim=True)).mean(1)
    return alpha * (counted(experts_BTK, E) * E / (K * T) + p).sum(-1).mean()


@wrong(LOSS, "alpha written in")
def _(scores_BTE, experts_BTK, alpha):
    E, (T, K) = scores_BTE.shape[-1], experts_BTK.shape[1:]
    p = (scores_BTE / scores_BTE.sum(-1, keepdim=True)).mean(1)
    return 1e-4 * (counted(experts_BTK, E) * E / (K * T) * p).sum(-1).mean()


@wrong(LOSS, "wrong type", "a number")
def _(scores_BTE, experts_BTK, alpha):
    E, (T, K) = scores_BTE.shape[-1], experts_BTK.shape[1:]
    p = (scores_BTE / scores_BTE.sum(-1, keepdim=True)).mean(1)
    return alpha * (counted(experts_BTK, E) * E / (K * T) * p).sum(-1).mean().item()


@wrong(LOSS, "changes its input")
def _(scores_BTE, experts_BTK, alpha):
    E, (T, K) = scores_BTE.shape[-1], experts_BTK.shape[1:]
    scores_BTE /= scores_BTE.sum(-1, keepdim=True)
    return alpha * (counted(experts_BTK, E) * E / (K * T) * scores_BTE.mean(1)).sum(-1).mean()


@right(LOSS, "sequence by sequence, bincount")
def _(scores_BTE, experts_BTK, alpha):
    E, losses = scores_BTE.size(-1), []
    for scores, experts in zip(scores_BTE, experts_BTK, strict=True):
        f = torch.bincount(experts.flatten(), minlength=E) * E / experts.numel()
        p = (scores / scores.sum(-1, keepdim=True)).mean(0)
        losses.append(torch.dot(f, p))
    return alpha * torch.stack(losses).mean()


@right(LOSS, "one_hot and einsum")
def _(scores_BTE, experts_BTK, alpha):
    B, T, E = scores_BTE.shape
    f = F.one_hot(experts_BTK, E).float().mean(dim=(1, 2)) * E
    p = F.normalize(scores_BTE, p=1, dim=-1).mean(1)
    return alpha / B * torch.einsum("be,be->", f, p)


@right(LOSS, "each chosen expert charged its P")
def _(scores_BTE, experts_BTK, alpha):
    p = (scores_BTE / scores_BTE.sum(-1, keepdim=True)).mean(1)
    return alpha * scores_BTE.shape[-1] * p.gather(1, experts_BTK.flatten(1)).mean()


@right(LOSS, "expert by expert, where")
def _(scores_BTE, experts_BTK, alpha):
    B, T, E = scores_BTE.shape
    total, loss = scores_BTE.sum(-1), torch.zeros(())
    for e in range(E):
        f = torch.where(experts_BTK == e, 1.0, 0.0).sum((1, 2)) * E / (experts_BTK.shape[-1] * T)
        loss = loss + (f * (scores_BTE[..., e] / total).mean(1)).mean()
    return alpha * loss


@right(LOSS, "float64 inside")
def _(scores_BTE, experts_BTK, alpha):
    s = scores_BTE.double()
    used = torch.zeros_like(s).scatter_(-1, experts_BTK, 1).mean(1) * s.shape[-1] / experts_BTK.shape[-1]
    return (alpha * (used * (s / s.sum(-1, keepdim=True)).mean(1)).sum(-1).mean()).float()


# --- update_bias ------------------------------------------------------------------------------------------------------


@wrong(BIAS, "sign turned round", "load minus mean")
def _(bias_E, loads_AE, gamma):
    load = loads_AE.sum(0)
    return bias_E + gamma * torch.sign(load - load.mean())


@wrong(BIAS, "sign turned round", "a minus")
def _(bias_E, loads_AE, gamma):
    load = loads_AE.sum(0)
    return bias_E - gamma * (load.mean() - load).sign()


@wrong(BIAS, "a step for each part", "a loop")
def _(bias_E, loads_AE, gamma):
    for load in loads_AE:
        bias_E = bias_E + gamma * torch.sign(load.mean() - load)
    return bias_E


@wrong(BIAS, "a step for each part", "a running sum")
def _(bias_E, loads_AE, gamma):
    total = torch.zeros_like(bias_E)
    for load in loads_AE:
        total = total + load
        bias_E = bias_E + gamma * torch.sign(total.mean() - total)
    return bias_E


@wrong(BIAS, "mean of the parts' signs", "mean")
def _(bias_E, loads_AE, gamma):
    signs = torch.sign(loads_AE.mean(1, keepdim=True) - loads_AE)
    return bias_E + gamma * signs.mean(0)


@wrong(BIAS, "mean of the parts' signs", "a vote")
def _(bias_E, loads_AE, gamma):
    votes = torch.stack([torch.sign(load.mean() - load) for load in loads_AE]).sum(0)
    return bias_E + gamma * votes.sign()


@wrong(BIAS, "a bias for each part", "parts never added")
def _(bias_E, loads_AE, gamma):
    mean = loads_AE.mean(dim=-1, keepdim=True)
    return bias_E + gamma * torch.sign(mean - loads_AE)


@wrong(BIAS, "a bias for each part", "mean over the parts")
def _(bias_E, loads_AE, gamma):
    return bias_E + gamma * torch.sign(loads_AE.mean(0) - loads_AE)


@wrong(BIAS, "only one part", "the first")
def _(bias_E, loads_AE, gamma):
    load = loads_AE[0]
    return bias_E + gamma * torch.sign(load.mean() - load)


@wrong(BIAS, "only one part", "the last, in a loop")
def _(bias_E, loads_AE, gamma):
    for load in loads_AE:
        new = bias_E + gamma * torch.sign(load.mean() - load)
    return new


@wrong(BIAS, "sum and mean of different things")
def _(bias_E, loads_AE, gamma):
    return bias_E + gamma * torch.sign(loads_AE.mean() - loads_AE.sum(0))


@wrong(BIAS, "in proportion to the distance", "the distance")
def _(bias_E, loads_AE, gamma):
    load = loads_AE.sum(0)
    return bias_E + gamma * (load.mean() - load)


@wrong(BIAS, "in proportion to the distance", "relative to the mean")
def _(bias_E, loads_AE, gamma):
    load = loads_AE.sum(0)
    return bias_E + gamma * (1 - load / load.mean())


@wrong(BIAS, "in proportion to the distance", "of the shares")
def _(bias_E, loads_AE, gamma):
    share = loads_AE.sum(0) / loads_AE.sum()
    return bias_E + gamma * (1 / len(share) - share)


@wrong(BIAS, "in proportion to the distance", "but at most 1")
def _(bias_E, loads_AE, gamma):
    load = loads_AE.sum(0)
    return bias_E + gamma * (load.mean() - load).clamp(-1, 1)


@wrong(BIAS, "the load itself", "as a share")
def _(bias_E, loads_AE, gamma):
    load = loads_AE.sum(0)
    return bias_E - gamma * load / load.sum()


@wrong(BIAS, "the load itself", "as it is")
def _(bias_E, loads_AE, gamma):
    return bias_E - gamma * loads_AE.sum(0)


@wrong(BIAS, "compared with the largest load")
def _(bias_E, loads_AE, gamma):
    load = loads_AE.sum(0)
    return bias_E + gamma * torch.sign(load.amax() - load)


@wrong(BIAS, "compared with the smallest load")
def _(bias_E, loads_AE, gamma):
    load = loads_AE.sum(0)
    return bias_E - gamma * torch.sign(load - load.amin())


@wrong(BIAS, "compared with the median")
def _(bias_E, loads_AE, gamma):
    load = loads_AE.sum(0)
    return bias_E + gamma * torch.sign(load.median() - load)


@wrong(BIAS, "compared with the middle of the extremes")
def _(bias_E, loads_AE, gamma):
    load = loads_AE.sum(0)
    low, high = load.aminmax()
    return bias_E + gamma * torch.sign(0.5 * (low + high) - load)


@wrong(BIAS, "compared with a fixed number", "1 / E")
def _(bias_E, loads_AE, gamma):
    return bias_E + gamma * torch.sign(1 / loads_AE.shape[1] - loads_AE.sum(0))


@wrong(BIAS, "compared with a fixed number", "0")
def _(bias_E, loads_AE, gamma):
    used = loads_AE.sum(0) > 0
    return torch.where(used, bias_E - gamma, bias_E + gamma)


@wrong(BIAS, "moved at balance", "up")
def _(bias_E, loads_AE, gamma):
    load = loads_AE.sum(0)
    return bias_E + torch.where(load > load.mean(), -gamma, gamma)


@wrong(BIAS, "moved at balance", "down")
def _(bias_E, loads_AE, gamma):
    load = loads_AE.sum(0)
    new = [b + gamma if n < load.mean() else b - gamma for b, n in zip(bias_E, load, strict=True)]
    return torch.stack(new)


@wrong(BIAS, "only busy experts moved")
def _(bias_E, loads_AE, gamma):
    load = loads_AE.sum(0)
    return torch.where(load > load.mean(), bias_E - gamma, bias_E)


@wrong(BIAS, "only idle experts moved")
def _(bias_E, loads_AE, gamma):
    load = loads_AE.sum(0)
    return bias_E + gamma * (load < load.mean())


@wrong(BIAS, "only the extremes moved")
def _(bias_E, loads_AE, gamma):
    load, new = loads_AE.sum(0), bias_E.clone()
    new[load.argmax()] -= gamma
    new[load.argmin()] += gamma
    return new


@wrong(BIAS, "gamma left out")
def _(bias_E, loads_AE, gamma):
    load = loads_AE.sum(0)
    return bias_E + torch.sign(load.mean() - load)


@wrong(BIAS, "gamma twice")
def _(bias_E, loads_AE, gamma):
    load = loads_AE.sum(0)
    step = gamma * torch.sign(load.mean() - load)
    return bias_E + gamma * step


@wrong(BIAS, "gamma shared out over the parts")
def _(bias_E, loads_AE, gamma):
    load = loads_AE.sum(0)
    for _ in loads_AE:
        bias_E = bias_E + gamma / len(loads_AE) ** 2 * torch.sign(load.mean() - load)
    return bias_E


@wrong(BIAS, "gamma once for each part")
def _(bias_E, loads_AE, gamma):
    load = loads_AE.sum(0)
    for _ in loads_AE:
        bias_E = bias_E + gamma * torch.sign(load.mean() - load)
    return bias_E


@wrong(BIAS, "sign of the step as a whole")
def _(bias_E, loads_AE, gamma):
    load = loads_AE.sum(0)
    return torch.sign(bias_E + gamma * (load.mean() - load))


@wrong(BIAS, "old bias forgotten")
def _(bias_E, loads_AE, gamma):
    load = loads_AE.sum(0)
    bias_E = gamma * torch.sign(load.mean() - load)
    return bias_E


@wrong(BIAS, "old bias scaled", "a running mean")
def _(bias_E, loads_AE, gamma):
    load = loads_AE.sum(0)
    return torch.lerp(bias_E, torch.sign(load.mean() - load), gamma)


@wrong(BIAS, "old bias scaled", "brackets")
def _(bias_E, loads_AE, gamma):
    load = loads_AE.sum(0)
    return gamma * (bias_E + torch.sign(load.mean() - load))


@wrong(BIAS, "multiplied in place of added")
def _(bias_E, loads_AE, gamma):
    load = loads_AE.sum(0)
    return bias_E * (1 + gamma * torch.sign(load.mean() - load))


@wrong(BIAS, "sign of the bias")
def _(bias_E, loads_AE, gamma):
    return bias_E - gamma * torch.sign(bias_E)


@wrong(BIAS, "nothing moved", "the result thrown away")
def _(bias_E, loads_AE, gamma):
    load = loads_AE.sum(0)
    bias_E.add(gamma * torch.sign(load.mean() - load))
    return bias_E


@wrong(BIAS, "bias kept above 0")
def _(bias_E, loads_AE, gamma):
    load = loads_AE.sum(0)
    return F.relu(bias_E + gamma * torch.sign(load.mean() - load))


@wrong(BIAS, "centred again")
def _(bias_E, loads_AE, gamma):
    load = loads_AE.sum(0)
    new = bias_E + gamma * torch.sign(load.mean() - load)
    return new - new.mean()


@wrong(BIAS, "gamma written in")
def _(bias_E, loads_AE, gamma):
    load = loads_AE.sum(0)
    return bias_E + 0.001 * torch.sign(load.mean() - load)


@wrong(BIAS, "changes its input", "+=")
def _(bias_E, loads_AE, gamma):
    load = loads_AE.sum(0)
    bias_E += gamma * torch.sign(load.mean() - load)
    return bias_E


@wrong(BIAS, "changes its input", "a view of it")
def _(bias_E, loads_AE, gamma):
    load, new = loads_AE.sum(0), bias_E.detach()
    new[load > load.mean()] -= gamma
    new[load < load.mean()] += gamma
    return new


@wrong(BIAS, "raises RuntimeError", "summed over the experts")
def _(bias_E, loads_AE, gamma):
    load = loads_AE.sum(1)
    return bias_E + gamma * torch.sign(load.mean() - load)


@wrong(BIAS, "returns None")
def _(bias_E, loads_AE, gamma):
    load = loads_AE.sum(0)
    bias_E = bias_E + gamma * torch.sign(load.mean() - load)


@right(BIAS, "without gradient")
@torch.no_grad()
def _(bias_E, loads_AE, gamma):
    load = loads_AE.sum(0)
    return bias_E - gamma * torch.sign(load - load.mean())


@right(BIAS, "a copy, two masks")
def _(bias_E, loads_AE, gamma):
    load = sum(loads_AE)
    new = bias_E.clone()
    new[load > load.mean()] -= gamma
    new[load < load.mean()] += gamma
    return new


@right(BIAS, "where, of the shares")
def _(bias_E, loads_AE, gamma):
    share = loads_AE.mean(0) / loads_AE.mean(0).sum()
    even = share.mean()
    return torch.where(share > even, bias_E - gamma, torch.where(share < even, bias_E + gamma, bias_E))


@right(BIAS, "expert by expert")
def _(bias_E, loads_AE, gamma):
    load = torch.einsum("ae->e", loads_AE).tolist()
    mean = sum(load) / len(load)
    return torch.stack([b + gamma * ((n < mean) - (n > mean)) for b, n in zip(bias_E, load, strict=True)])


@right(BIAS, "compared in whole numbers")
def _(bias_E, loads_AE, gamma):
    load = loads_AE.sum(0).long()
    return bias_E.detach() + gamma * (load.sum() - len(load) * load).sign()
