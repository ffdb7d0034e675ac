"""Wrong answers to `sequence_balance_loss`: the mean share, where the gradient flows, and E, K or T left out."""

import torch
import torch.nn.functional as F
from exercises.answers import Answers
from exercises.balance.sequence_balance_loss_parts import counted

from mini_moe.balance import expert_load
from mini_moe.course.exercises.balance.sequence_balance_loss import EXERCISE

ANSWERS = Answers(EXERCISE)
wrong = ANSWERS.wrong


@wrong("mean share detached", "detach")
def _(scores_BTE, experts_BTK, alpha):
    E, (T, K) = scores_BTE.shape[-1], experts_BTK.shape[1:]
    f = counted(experts_BTK, E) * E / (K * T)
    p = (scores_BTE / scores_BTE.sum(-1, keepdim=True)).mean(1).detach()
    return alpha * (f * p).sum(-1).mean()


@wrong("mean share detached", "no_grad around too much")
def _(scores_BTE, experts_BTK, alpha):
    E, (T, K) = scores_BTE.shape[-1], experts_BTK.shape[1:]
    with torch.no_grad():
        f = counted(experts_BTK, E) * E / (K * T)
        p = (scores_BTE / scores_BTE.sum(-1, keepdim=True)).mean(1)
    return alpha * (f * p).sum(-1).mean()


@wrong("gradient through f", "straight through the shares")
def _(scores_BTE, experts_BTK, alpha):
    E, (T, K) = scores_BTE.shape[-1], experts_BTK.shape[1:]
    share = scores_BTE / scores_BTE.sum(-1, keepdim=True)
    hard = F.one_hot(experts_BTK, E).sum(2)
    soft = hard + share - share.detach()
    return alpha * (E / (K * T) * soft.sum(1) * share.mean(1)).sum(-1).mean()


@wrong("gradient through f", "chosen scores over themselves")
def _(scores_BTE, experts_BTK, alpha):
    E, (T, K) = scores_BTE.shape[-1], experts_BTK.shape[1:]
    chosen = scores_BTE.gather(-1, experts_BTK)
    ones = chosen / chosen.detach()
    count = torch.zeros_like(scores_BTE).scatter_add(-1, experts_BTK, ones).sum(1)
    share = scores_BTE / scores_BTE.sum(-1, keepdim=True)
    return alpha * (E / (K * T) * count * share.mean(1)).sum(-1).mean()


@wrong("sum of scores detached")
def _(scores_BTE, experts_BTK, alpha):
    E, (T, K) = scores_BTE.shape[-1], experts_BTK.shape[1:]
    total = scores_BTE.detach().sum(-1, keepdim=True)
    p = (scores_BTE / total).mean(1)
    return alpha * (counted(experts_BTK, E) * E / (K * T) * p).sum(-1).mean()


@wrong("f times f")
def _(scores_BTE, experts_BTK, alpha):
    E, (T, K) = scores_BTE.shape[-1], experts_BTK.shape[1:]
    f = counted(experts_BTK, E) * E / (K * T)
    return alpha * f.square().sum(-1).mean()


@wrong("mean share times itself", "as it is")
def _(scores_BTE, experts_BTK, alpha):
    p = (scores_BTE / scores_BTE.sum(-1, keepdim=True)).mean(1)
    return alpha * p.pow(2).sum(-1).mean()


@wrong("mean share times itself", "times E")
def _(scores_BTE, experts_BTK, alpha):
    E = scores_BTE.shape[-1]
    p = (scores_BTE / scores_BTE.sum(-1, keepdim=True)).mean(1)
    f = E * p
    return alpha * (f * p).sum(-1).mean()


@wrong("scores in place of counts", "chosen scores")
def _(scores_BTE, experts_BTK, alpha):
    E, (T, K) = scores_BTE.shape[-1], experts_BTK.shape[1:]
    mask = torch.zeros_like(scores_BTE).scatter(-1, experts_BTK, 1.0)
    f = E / (K * T) * (mask * scores_BTE).sum(1)
    p = (scores_BTE / scores_BTE.sum(-1, keepdim=True)).mean(1)
    return alpha * (f * p).sum(-1).mean()


@wrong("scores in place of counts", "gate weights, 1 a token")
def _(scores_BTE, experts_BTK, alpha):
    E, T = scores_BTE.shape[-1], scores_BTE.shape[1]
    weights = scores_BTE.gather(-1, experts_BTK)
    weights = weights / weights.sum(-1, keepdim=True)
    f = torch.zeros_like(scores_BTE).scatter(-1, experts_BTK, weights).sum(1) * E / T
    p = (scores_BTE / scores_BTE.sum(-1, keepdim=True)).mean(1)
    return alpha * (f * p).sum(-1).mean()


@wrong("scores in place of counts", "all scores")
def _(scores_BTE, experts_BTK, alpha):
    E, (T, K) = scores_BTE.shape[-1], experts_BTK.shape[1:]
    f = scores_BTE.sum(1) * E / (K * T)
    p = (scores_BTE / scores_BTE.sum(-1, keepdim=True)).mean(1)
    return alpha * (f * p).sum(-1).mean()


@wrong("only chosen scores in the mean share", "masked")
def _(scores_BTE, experts_BTK, alpha):
    E, (T, K) = scores_BTE.shape[-1], experts_BTK.shape[1:]
    mask = torch.zeros_like(scores_BTE).scatter(-1, experts_BTK, 1.0)
    f = mask.sum(1) * E / (K * T)
    p = (mask * scores_BTE / scores_BTE.sum(-1, keepdim=True)).mean(1)
    return alpha * (f * p).sum(-1).mean()


@wrong("only chosen scores in the mean share", "the gate weights")
def _(scores_BTE, experts_BTK, alpha):
    E, (T, K) = scores_BTE.shape[-1], experts_BTK.shape[1:]
    chosen = scores_BTE.gather(-1, experts_BTK)
    weights = chosen / chosen.sum(-1, keepdim=True)
    p = torch.zeros_like(scores_BTE).scatter(-1, experts_BTK, weights).mean(1)
    return alpha * (counted(experts_BTK, E) * E / (K * T) * p).sum(-1).mean()


@wrong("only chosen scores in the mean share", "token by token")
def _(scores_BTE, experts_BTK, alpha):
    E, K = scores_BTE.shape[-1], experts_BTK.shape[-1]
    share = scores_BTE / scores_BTE.sum(-1, keepdim=True)
    used = F.one_hot(experts_BTK, E).sum(2)
    return alpha * E / K * (used * share).sum(-1).mean()


@wrong("scores not divided by their sum")
def _(scores_BTE, experts_BTK, alpha):
    B, T, E = scores_BTE.shape
    f = expert_load(experts_BTK.flatten(1), E) * E / (experts_BTK.shape[-1] * T)
    return alpha * (f * scores_BTE.mean(1)).sum(-1).mean()


@wrong("softmax of the scores")
def _(scores_BTE, experts_BTK, alpha):
    B, T, E = scores_BTE.shape
    f = expert_load(experts_BTK.flatten(1), E) * E / (experts_BTK.shape[-1] * T)
    p = F.softmax(scores_BTE, dim=-1).mean(1)
    return alpha * (f * p).sum(-1).mean()


@wrong("divided by the sum after the mean")
def _(scores_BTE, experts_BTK, alpha):
    B, T, E = scores_BTE.shape
    f = expert_load(experts_BTK.flatten(1), E) * E / (experts_BTK.shape[-1] * T)
    p = scores_BTE.sum(1) / scores_BTE.sum((1, 2)).unsqueeze(-1)
    return alpha * (f * p).sum(-1).mean()


@wrong("divided by the wrong sum", "over the tokens")
def _(scores_BTE, experts_BTK, alpha):
    B, T, E = scores_BTE.shape
    f = expert_load(experts_BTK.flatten(1), E) * E / (experts_BTK.shape[-1] * T)
    p = (scores_BTE / scores_BTE.sum(1, keepdim=True)).mean(1)
    return alpha * (f * p).sum(-1).mean()


@wrong("divided by the wrong sum", "of the chosen")
def _(scores_BTE, experts_BTK, alpha):
    B, T, E = scores_BTE.shape
    f = expert_load(experts_BTK.flatten(1), E) * E / (experts_BTK.shape[-1] * T)
    chosen = scores_BTE.gather(-1, experts_BTK)
    p = (scores_BTE / chosen.sum(-1, keepdim=True)).mean(1)
    return alpha * (f * p).sum(-1).mean()


@wrong("divided by the wrong sum", "F.normalize")
def _(scores_BTE, experts_BTK, alpha):
    B, T, E = scores_BTE.shape
    f = expert_load(experts_BTK.flatten(1), E) * E / (experts_BTK.shape[-1] * T)
    return alpha * (f * F.normalize(scores_BTE, dim=-1).mean(1)).sum(-1).mean()


@wrong("E left out", "in f")
def _(scores_BTE, experts_BTK, alpha):
    E = scores_BTE.shape[-1]
    f = counted(experts_BTK, E) / experts_BTK[0].numel()
    p = (scores_BTE / scores_BTE.sum(-1, keepdim=True)).mean(1)
    return alpha * (f * p).sum(-1).mean()


@wrong("E left out", "by a mean over the experts")
def _(scores_BTE, experts_BTK, alpha):
    E = scores_BTE.shape[-1]
    f = counted(experts_BTK, E) * E / experts_BTK[0].numel()
    p = (scores_BTE / scores_BTE.sum(-1, keepdim=True)).mean(1)
    return alpha * (f * p).mean()


@wrong("K left out")
def _(scores_BTE, experts_BTK, alpha):
    B, T, E = scores_BTE.shape
    f = E * F.one_hot(experts_BTK, E).sum(2).float().mean(1)
    p = (scores_BTE / scores_BTE.sum(-1, keepdim=True)).mean(1)
    return alpha * torch.einsum("be,be->b", f, p).mean()


@wrong("T left out", "in f")
def _(scores_BTE, experts_BTK, alpha):
    E, K = scores_BTE.shape[-1], experts_BTK.shape[-1]
    f = counted(experts_BTK, E) * E / K
    p = (scores_BTE / scores_BTE.sum(-1, keepdim=True)).mean(1)
    return alpha * (f * p).sum(-1).mean()


@wrong("T left out", "mean share summed")
def _(scores_BTE, experts_BTK, alpha):
    E, (T, K) = scores_BTE.shape[-1], experts_BTK.shape[1:]
    f = counted(experts_BTK, E) * E / (K * T)
    p = (scores_BTE / scores_BTE.sum(-1, keepdim=True)).sum(1)
    return alpha * (f * p).sum(-1).mean()


@wrong("E and K left out")
def _(scores_BTE, experts_BTK, alpha):
    E, T = scores_BTE.shape[-1], scores_BTE.shape[1]
    p = (scores_BTE / scores_BTE.sum(-1, keepdim=True)).mean(1)
    return alpha * (counted(experts_BTK, E) / T * p).sum(-1).mean()
