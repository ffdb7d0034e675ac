"""Answers to `sequence_balance_loss`: wrong ones as learners write them, right ones each in another way."""

import torch
import torch.nn.functional as F
from exercises.answers import Claims
from exercises.balance import (
    sequence_balance_loss_factors_wrong,
    sequence_balance_loss_wrong,
    sequence_balance_loss_wrong_sizes,
)
from exercises.balance.sequence_balance_loss_parts import counted

ANSWERS = (
    sequence_balance_loss_wrong.ANSWERS
    + sequence_balance_loss_factors_wrong.ANSWERS
    + sequence_balance_loss_wrong_sizes.ANSWERS
)
right = ANSWERS.right


class TestSequenceBalanceLoss(Claims):
    answers = ANSWERS


@right("sequence by sequence, bincount")
def _(scores_BTE, experts_BTK, alpha):
    E, losses = scores_BTE.size(-1), []
    for scores, experts in zip(scores_BTE, experts_BTK, strict=True):
        f = torch.bincount(experts.flatten(), minlength=E) * E / experts.numel()
        p = (scores / scores.sum(-1, keepdim=True)).mean(0)
        losses.append(torch.dot(f, p))
    return alpha * torch.stack(losses).mean()


@right("one_hot and einsum")
def _(scores_BTE, experts_BTK, alpha):
    B, T, E = scores_BTE.shape
    f = F.one_hot(experts_BTK, E).float().mean(dim=(1, 2)) * E
    p = F.normalize(scores_BTE, p=1, dim=-1).mean(1)
    return alpha / B * torch.einsum("be,be->", f, p)


@right("each chosen expert charged its mean share")
def _(scores_BTE, experts_BTK, alpha):
    p = (scores_BTE / scores_BTE.sum(-1, keepdim=True)).mean(1)
    return alpha * scores_BTE.shape[-1] * p.gather(1, experts_BTK.flatten(1)).mean()


@right("expert by expert, where")
def _(scores_BTE, experts_BTK, alpha):
    B, T, E = scores_BTE.shape
    total, loss = scores_BTE.sum(-1), torch.zeros(())
    for e in range(E):
        f = torch.where(experts_BTK == e, 1.0, 0.0).sum((1, 2)) * E / (experts_BTK.shape[-1] * T)
        loss = loss + (f * (scores_BTE[..., e] / total).mean(1)).mean()
    return alpha * loss


@right("float64 inside")
def _(scores_BTE, experts_BTK, alpha):
    s = scores_BTE.double()
    used = torch.zeros_like(s).scatter_(-1, experts_BTK, 1).mean(1) * s.shape[-1] / experts_BTK.shape[-1]
    return (alpha * (used * (s / s.sum(-1, keepdim=True)).mean(1)).sum(-1).mean()).float()


@right("token by token")
def _(scores_BTE, experts_BTK, alpha):
    (B, T, E), K = scores_BTE.shape, experts_BTK.shape[-1]
    loss = 0
    for scores_TE, experts_TK in zip(scores_BTE, experts_BTK, strict=True):
        chosen = experts_TK.flatten().tolist()
        f = torch.tensor([chosen.count(expert) / (K * T) * E for expert in range(E)])
        loss = loss + sum(f @ (scores_E / scores_E.sum()) for scores_E in scores_TE) / T
    return alpha * loss / B


@right("by logarithms")
def _(scores_BTE, experts_BTK, alpha):
    E = scores_BTE.shape[-1]
    p = scores_BTE.log().softmax(-1).mean(-2)
    return alpha * E * p.gather(-1, experts_BTK.reshape(len(p), -1)).mean(-1).mean()


@right("what is divided is a copy, in place")
def _(scores_BTE, experts_BTK, alpha):
    p = scores_BTE.clone()
    p /= scores_BTE.sum(-1, keepdim=True)
    f = counted(experts_BTK, p.shape[-1]) * p.shape[-1] / experts_BTK[0].numel()
    return torch.vdot(f.flatten(), p.mean(1).flatten()) * (alpha / len(p))
