"""Wrong answers to `sequence_balance_loss`: sizes, batches, types, and whose gradient it is."""

import torch
import torch.nn.functional as F
from exercises.answers import Answers
from exercises.balance.sequence_balance_loss_parts import counted

from mini_moe.course.exercises.balance.sequence_balance_loss import EXERCISE

ANSWERS = Answers(EXERCISE)
wrong = ANSWERS.wrong


def shares(scores_BTE):
    return scores_BTE / scores_BTE.sum(-1, keepdim=True)


def fair(scores_BTE, experts_BTK):
    return counted(experts_BTK, scores_BTE.shape[-1]) * scores_BTE.shape[-1] / experts_BTK[0].numel()


@wrong("a size written in", "E")
def _(scores_BTE, experts_BTK, alpha):
    f = counted(experts_BTK, scores_BTE.shape[-1]) * 2 / experts_BTK[0].numel()
    return alpha * (f * shares(scores_BTE).mean(1)).sum(-1).mean()


@wrong("a size written in", "T")
def _(scores_BTE, experts_BTK, alpha):
    E, K = scores_BTE.shape[-1], experts_BTK.shape[-1]
    return alpha * (counted(experts_BTK, E) * E / (2 * K) * shares(scores_BTE).mean(1)).sum(-1).mean()


@wrong("B in place of T")
def _(scores_BTE, experts_BTK, alpha):
    (T, _, E), K = scores_BTE.shape, experts_BTK.shape[-1]
    return alpha * (counted(experts_BTK, E) * E / (K * T) * shares(scores_BTE).mean(1)).sum(-1).mean()


@wrong("one sequence's counts for all", "the first")
def _(scores_BTE, experts_BTK, alpha):
    f = fair(scores_BTE, experts_BTK[:1])
    return alpha * (f * shares(scores_BTE).mean(1)).sum(-1).mean()


@wrong("one sequence's counts for all", "the last, in a loop")
def _(scores_BTE, experts_BTK, alpha):
    for experts_TK in experts_BTK:
        f = torch.bincount(experts_TK.flatten(), minlength=scores_BTE.shape[-1]) / experts_TK.numel()
    return alpha * scores_BTE.shape[-1] * torch.einsum("e,bte->bt", f, shares(scores_BTE)).mean()


@wrong("only busy experts charged", "above their share")
def _(scores_BTE, experts_BTK, alpha):
    f = fair(scores_BTE, experts_BTK)
    return alpha * torch.where(f > 1, f * shares(scores_BTE).mean(1), 0).sum(-1).mean()


@wrong("only busy experts charged", "from their share on")
def _(scores_BTE, experts_BTK, alpha):
    f = fair(scores_BTE, experts_BTK)
    return alpha * (f.masked_fill(f < 1, 0) * shares(scores_BTE).mean(1)).sum(-1).mean()


@wrong("balance does not cost alpha", "only what is above the share charged")
def _(scores_BTE, experts_BTK, alpha):
    f = F.relu(fair(scores_BTE, experts_BTK) - 1)
    return alpha * (f * shares(scores_BTE).mean(1)).sum(-1).mean()


@wrong("balance does not cost alpha", "eight experts written in")
def _(scores_BTE, experts_BTK, alpha):
    f = counted(experts_BTK, scores_BTE.shape[-1]) * 8 / experts_BTK[0].numel()
    return alpha * (f * shares(scores_BTE).mean(1)).sum(-1).mean()


_kept = {}


@wrong("balance does not cost alpha", "counts kept for all inputs of these sizes")
def _(scores_BTE, experts_BTK, alpha):
    f = _kept.setdefault((scores_BTE.shape, experts_BTK.shape), fair(scores_BTE, experts_BTK))
    return alpha * (f * shares(scores_BTE).mean(1)).sum(-1).mean()


@wrong("busy experts not pushed down", "the median of the tokens")
def _(scores_BTE, experts_BTK, alpha):
    p = shares(scores_BTE).median(1).values
    return alpha * (fair(scores_BTE, experts_BTK) * p).sum(-1).mean()


@wrong("f squared")
def _(scores_BTE, experts_BTK, alpha):
    f = fair(scores_BTE, experts_BTK)
    return alpha * (f * f * shares(scores_BTE).mean(1)).sum(-1).mean()


@wrong("softmax of the counts")
def _(scores_BTE, experts_BTK, alpha):
    E = scores_BTE.shape[-1]
    f = E * torch.softmax(counted(experts_BTK, E), -1)
    return alpha * (f * shares(scores_BTE).mean(1)).sum(-1).mean()


@wrong("only one token in the mean share")
def _(scores_BTE, experts_BTK, alpha):
    return alpha * (fair(scores_BTE, experts_BTK) * shares(scores_BTE[:, -1])).sum(-1).mean()


@wrong("only one sequence", "the first")
def _(scores_BTE, experts_BTK, alpha):
    f = fair(scores_BTE, experts_BTK)[0]
    return alpha * f @ shares(scores_BTE[0]).mean(0)


@wrong("only one sequence", "the last, in a loop")
def _(scores_BTE, experts_BTK, alpha):
    for scores_TE, f in zip(scores_BTE, fair(scores_BTE, experts_BTK), strict=True):
        loss = alpha * f @ shares(scores_TE).mean(0)
    return loss


@wrong("busy experts not pushed down", "the batch's counts in the place of the first sequence's")
def _(scores_BTE, experts_BTK, alpha):
    (B, T, E), K = scores_BTE.shape, experts_BTK.shape[-1]
    count = torch.bincount(experts_BTK.flatten(), minlength=B * E).view(B, E)
    return alpha * (count * E / (K * T) * shares(scores_BTE).mean(1)).sum(-1).mean()


@wrong("only the worst sequence")
def _(scores_BTE, experts_BTK, alpha):
    f = fair(scores_BTE, experts_BTK)
    return alpha * (f * shares(scores_BTE).mean(1)).sum(-1).amax()


@wrong("sequences not taken apart", "the root of the mean square")
def _(scores_BTE, experts_BTK, alpha):
    loss_B = (fair(scores_BTE, experts_BTK) * shares(scores_BTE).mean(1)).sum(-1)
    return alpha * loss_B.pow(2).mean().sqrt()


@wrong("a loss for each sequence", "one number for a batch of 1")
def _(scores_BTE, experts_BTK, alpha):
    loss_B = alpha * (fair(scores_BTE, experts_BTK) * shares(scores_BTE).mean(1)).sum(-1)
    return loss_B if len(loss_B) > 1 else loss_B.mean()


@wrong("not in proportion to alpha", "1 at most")
def _(scores_BTE, experts_BTK, alpha):
    return min(alpha, 1.0) * (fair(scores_BTE, experts_BTK) * shares(scores_BTE).mean(1)).sum(-1).mean()


@wrong("size of scores not divided out", "a little added to the sum")
def _(scores_BTE, experts_BTK, alpha):
    p = (scores_BTE / (scores_BTE.sum(-1, keepdim=True) + 1e-8)).mean(1)
    return alpha * (fair(scores_BTE, experts_BTK) * p).sum(-1).mean()


@wrong("size of scores not divided out", "more added to the sum")
def _(scores_BTE, experts_BTK, alpha):
    p = (scores_BTE / (0.01 + scores_BTE.sum(-1, keepdim=True))).mean(1)
    return alpha * (fair(scores_BTE, experts_BTK) * p).sum(-1).mean()


@wrong("counted in too small a type", "bfloat16")
def _(scores_BTE, experts_BTK, alpha):
    f = F.one_hot(experts_BTK.flatten(1), scores_BTE.shape[-1]).sum(1).bfloat16().float()
    f = f * scores_BTE.shape[-1] / experts_BTK[0].numel()
    return alpha * (f * shares(scores_BTE).mean(1)).sum(-1).mean()


@wrong("counted in too small a type", "float16")
def _(scores_BTE, experts_BTK, alpha):
    count = counted(experts_BTK, scores_BTE.shape[-1]).half().float()
    return alpha * scores_BTE.shape[-1] / experts_BTK[0].numel() * (count * shares(scores_BTE).mean(1)).sum(-1).mean()


@wrong("counted in too small a type", "uint8")
def _(scores_BTE, experts_BTK, alpha):
    B, T, E = scores_BTE.shape
    count = torch.zeros(B, E, dtype=torch.uint8)
    chosen = experts_BTK.reshape(B, -1)
    count = count.scatter_add(1, chosen, torch.ones_like(chosen, dtype=torch.uint8))
    return alpha * (count * (E / chosen.shape[1]) * shares(scores_BTE).mean(1)).sum(-1).mean()


@wrong("gradient through f, not through the mean share", "straight through the shares")
def _(scores_BTE, experts_BTK, alpha):
    E, p = scores_BTE.shape[-1], shares(scores_BTE)
    hard = F.one_hot(experts_BTK, E).sum(2) + p - p.detach()
    return alpha * E / experts_BTK[0].numel() * (hard.sum(1) * p.mean(1).detach()).sum(-1).mean()


@wrong("gradient through f, not through the mean share", "straight through the scores")
def _(scores_BTE, experts_BTK, alpha):
    hard = F.one_hot(experts_BTK, scores_BTE.shape[-1]).sum(2)
    f = (scores_BTE + (hard - scores_BTE).detach()).sum(1) * scores_BTE.shape[-1] / experts_BTK[0].numel()
    return alpha * (f * shares(scores_BTE.detach()).mean(1)).sum(-1).mean()


@wrong("busy experts pushed up")
def _(scores_BTE, experts_BTK, alpha):
    p = shares(scores_BTE).mean(1)
    return alpha * (fair(scores_BTE, experts_BTK) * (2 * p.detach() - p)).sum(-1).mean()


@wrong("input not used", "the example's value")
def _(scores_BTE, experts_BTK, alpha):
    return torch.tensor(1.8 * alpha)


@wrong("busy experts not pushed down", "counts alone, the scores tied to nothing")
def _(scores_BTE, experts_BTK, alpha):
    return alpha * fair(scores_BTE, experts_BTK).square().mean() + (scores_BTE - scores_BTE.detach()).sum() * 0


@wrong("raises RuntimeError", "a view of what is not in order")
def _(scores_BTE, experts_BTK, alpha):
    B, T, E = scores_BTE.shape
    chosen = experts_BTK.view(B, -1)
    f = F.one_hot(chosen, E).float().mean(1) * E
    return alpha * (f * shares(scores_BTE).mean(1)).sum(-1).mean()
