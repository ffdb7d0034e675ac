"""Wrong answers to `sequence_balance_loss`: the factors K, T, E and alpha, what f counts, and sequences joined."""

import torch
import torch.nn.functional as F
from exercises.answers import Answers
from exercises.balance.sequence_balance_loss_parts import counted

from mini_moe.balance import expert_load
from mini_moe.course.exercises.balance.sequence_balance_loss import EXERCISE

ANSWERS = Answers(EXERCISE)
wrong = ANSWERS.wrong


@wrong("K and T left out")
def _(scores_BTE, experts_BTK, alpha):
    E = scores_BTE.shape[-1]
    p = (scores_BTE / scores_BTE.sum(-1, keepdim=True)).mean(1)
    return alpha * E * (counted(experts_BTK, E) * p).sum(-1).mean()


@wrong("bare counts")
def _(scores_BTE, experts_BTK, alpha):
    p = (scores_BTE / scores_BTE.sum(-1, keepdim=True)).mean(1)
    return alpha * (counted(experts_BTK, scores_BTE.shape[-1]) * p).sum(-1).mean()


@wrong("K multiplied", "a slash too many")
def _(scores_BTE, experts_BTK, alpha):
    E, (T, K) = scores_BTE.shape[-1], experts_BTK.shape[1:]
    p = (scores_BTE / scores_BTE.sum(-1, keepdim=True)).mean(1)
    return alpha * (counted(experts_BTK, E) * E / T * K * p).sum(-1).mean()


@wrong("E multiplied twice")
def _(scores_BTE, experts_BTK, alpha):
    E, (T, K) = scores_BTE.shape[-1], experts_BTK.shape[1:]
    p = (scores_BTE / scores_BTE.sum(-1, keepdim=True)).mean(1)
    return alpha * E * (counted(experts_BTK, E) * E / (K * T) * p).sum(-1).mean()


@wrong("K divided by twice", "a mean over the choices, too")
def _(scores_BTE, experts_BTK, alpha):
    E, K = scores_BTE.shape[-1], experts_BTK.shape[-1]
    f = F.one_hot(experts_BTK, E).float().mean(dim=(1, 2)) * E / K
    p = (scores_BTE / scores_BTE.sum(-1, keepdim=True)).mean(1)
    return alpha * (f * p).sum(-1).mean()


@wrong("T divided by twice", "a mean over the tokens, too")
def _(scores_BTE, experts_BTK, alpha):
    E, (T, K) = scores_BTE.shape[-1], experts_BTK.shape[1:]
    f = F.one_hot(experts_BTK, E).sum(2).float().mean(1) * E / (K * T)
    p = (scores_BTE / scores_BTE.sum(-1, keepdim=True)).mean(1)
    return alpha * (f * p).sum(-1).mean()


@wrong("f cut to a whole number", "after the product")
def _(scores_BTE, experts_BTK, alpha):
    E, (T, K) = scores_BTE.shape[-1], experts_BTK.shape[1:]
    f = F.one_hot(experts_BTK, E).sum((1, 2)) * E // (K * T)
    p = (scores_BTE / scores_BTE.sum(-1, keepdim=True)).mean(1)
    return alpha * (f * p).sum(-1).mean()


@wrong("f upside down")
def _(scores_BTE, experts_BTK, alpha):
    E, (T, K) = scores_BTE.shape[-1], experts_BTK.shape[1:]
    p = (scores_BTE / scores_BTE.sum(-1, keepdim=True)).mean(1)
    return alpha * (counted(experts_BTK, E) / (E / (K * T)) * p).sum(-1).mean()


@wrong("only the first choice counted")
def _(scores_BTE, experts_BTK, alpha):
    E = scores_BTE.shape[-1]
    f = F.one_hot(experts_BTK[:, :, 0], E).float().mean(1) * E
    p = (scores_BTE / scores_BTE.sum(-1, keepdim=True)).mean(1)
    return alpha * (f * p).sum(-1).mean()


@wrong("a busy expert counted once")
def _(scores_BTE, experts_BTK, alpha):
    B, T, E = scores_BTE.shape
    count = torch.zeros(B, E)
    count[torch.arange(B)[:, None], experts_BTK.flatten(1)] += 1
    p = (scores_BTE / scores_BTE.sum(-1, keepdim=True)).mean(1)
    return alpha * (count * E / (experts_BTK.shape[-1] * T) * p).sum(-1).mean()


@wrong("chosen again from the scores")
def _(scores_BTE, experts_BTK, alpha):
    E, (T, K) = scores_BTE.shape[-1], experts_BTK.shape[1:]
    best = torch.topk(scores_BTE, K, dim=-1).indices
    p = (scores_BTE / scores_BTE.sum(-1, keepdim=True)).mean(1)
    return alpha * (counted(best, E) * E / (K * T) * p).sum(-1).mean()


@wrong("chosen again from the scores", "the best one of each token")
def _(scores_BTE, experts_BTK, alpha):
    E = scores_BTE.shape[-1]
    f = F.one_hot(scores_BTE.argmax(-1), E).float().mean(1) * E
    p = (scores_BTE / scores_BTE.sum(-1, keepdim=True)).mean(1)
    return alpha * (f * p).sum(-1).mean()


@wrong("over the whole batch", "both")
def _(scores_BTE, experts_BTK, alpha):
    E, K = scores_BTE.shape[-1], experts_BTK.shape[-1]
    scores, experts = scores_BTE.flatten(0, 1), experts_BTK.flatten(0, 1)
    f = expert_load(experts.flatten(), E) * E / (K * len(scores))
    p = (scores / scores.sum(-1, keepdim=True)).mean(0)
    return alpha * (f * p).sum()


@wrong("over the whole batch", "f alone")
def _(scores_BTE, experts_BTK, alpha):
    E, (T, K) = scores_BTE.shape[-1], experts_BTK.shape[1:]
    f = expert_load(experts_BTK.flatten(), E) * E / (K * T)
    p = (scores_BTE / scores_BTE.sum(-1, keepdim=True)).mean(1)
    return alpha * (f * p).sum(-1).mean()


@wrong("over the whole batch", "means before the product")
def _(scores_BTE, experts_BTK, alpha):
    E, (T, K) = scores_BTE.shape[-1], experts_BTK.shape[1:]
    f = counted(experts_BTK, E) * E / (K * T)
    p = (scores_BTE / scores_BTE.sum(-1, keepdim=True)).mean(1)
    return alpha * (f.mean(0) * p.mean(0)).sum()


@wrong("summed over sequences")
def _(scores_BTE, experts_BTK, alpha):
    E, (T, K) = scores_BTE.shape[-1], experts_BTK.shape[1:]
    loss = 0
    for scores, experts in zip(scores_BTE, experts_BTK, strict=True):
        f = torch.bincount(experts.flatten(), minlength=E) * E / (K * T)
        loss = loss + (f * (scores / scores.sum(-1, keepdim=True)).mean(0)).sum()
    return alpha * loss


@wrong("a loss for each sequence")
def _(scores_BTE, experts_BTK, alpha):
    E, (T, K) = scores_BTE.shape[-1], experts_BTK.shape[1:]
    p = (scores_BTE / scores_BTE.sum(-1, keepdim=True)).mean(1)
    return alpha * (counted(experts_BTK, E) * E / (K * T) * p).sum(-1)


@wrong("divided by the batch twice")
def _(scores_BTE, experts_BTK, alpha):
    E, n_choices = scores_BTE.shape[-1], experts_BTK.numel()
    p = (scores_BTE / scores_BTE.sum(-1, keepdim=True)).mean(1)
    return alpha * (counted(experts_BTK, E) * E / n_choices * p).sum(-1).mean()


@wrong("alpha left out")
def _(scores_BTE, experts_BTK, alpha):
    E, (T, K) = scores_BTE.shape[-1], experts_BTK.shape[1:]
    p = (scores_BTE / scores_BTE.sum(-1, keepdim=True)).mean(1)
    return (counted(experts_BTK, E) * E / (K * T) * p).sum(-1).mean()


@wrong("alpha twice")
def _(scores_BTE, experts_BTK, alpha):
    E, (T, K) = scores_BTE.shape[-1], experts_BTK.shape[1:]
    f = alpha * counted(experts_BTK, E) * E / (K * T)
    p = (scores_BTE / scores_BTE.sum(-1, keepdim=True)).mean(1)
    return alpha * (f * p).sum(-1).mean()


@wrong("divided by alpha")
def _(scores_BTE, experts_BTK, alpha):
    E, (T, K) = scores_BTE.shape[-1], experts_BTK.shape[1:]
    p = (scores_BTE / scores_BTE.sum(-1, keepdim=True)).mean(1)
    return (counted(experts_BTK, E) * E / (K * T) * p).sum(-1).mean() / alpha


@wrong("sign turned round")
def _(scores_BTE, experts_BTK, alpha):
    E, (T, K) = scores_BTE.shape[-1], experts_BTK.shape[1:]
    p = (scores_BTE / scores_BTE.sum(-1, keepdim=True)).mean(1)
    return -alpha * (counted(experts_BTK, E) * E / (K * T) * p).sum(-1).mean()


@wrong("0 at balance")
def _(scores_BTE, experts_BTK, alpha):
    E, (T, K) = scores_BTE.shape[-1], experts_BTK.shape[1:]
    excess = counted(experts_BTK, E) * E / (K * T) - 1
    p = (scores_BTE / scores_BTE.sum(-1, keepdim=True)).mean(1)
    return alpha * (excess * p).sum(-1).mean()


@wrong("f and mean share added")
def _(scores_BTE, experts_BTK, alpha):
    E, (T, K) = scores_BTE.shape[-1], experts_BTK.shape[1:]
    p = (scores_BTE / scores_BTE.sum(-1, keepdim=True)).mean(1)
    return alpha * (counted(experts_BTK, E) * E / (K * T) + p).sum(-1).mean()


@wrong("alpha written in")
def _(scores_BTE, experts_BTK, alpha):
    E, (T, K) = scores_BTE.shape[-1], experts_BTK.shape[1:]
    p = (scores_BTE / scores_BTE.sum(-1, keepdim=True)).mean(1)
    return 1e-4 * (counted(experts_BTK, E) * E / (K * T) * p).sum(-1).mean()


@wrong("wrong type", "a number")
def _(scores_BTE, experts_BTK, alpha):
    E, (T, K) = scores_BTE.shape[-1], experts_BTK.shape[1:]
    p = (scores_BTE / scores_BTE.sum(-1, keepdim=True)).mean(1)
    return alpha * (counted(experts_BTK, E) * E / (K * T) * p).sum(-1).mean().item()


@wrong("changes its input")
def _(scores_BTE, experts_BTK, alpha):
    E, (T, K) = scores_BTE.shape[-1], experts_BTK.shape[1:]
    scores_BTE /= scores_BTE.sum(-1, keepdim=True)
    return alpha * (counted(experts_BTK, E) * E / (K * T) * scores_BTE.mean(1)).sum(-1).mean()
