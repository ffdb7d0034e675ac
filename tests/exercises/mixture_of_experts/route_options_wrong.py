"""Wrong answers to `route`: the weights' sum, `scale` and the groups, and results of another form."""

import torch
from exercises.answers import Answers
from exercises.mixture_of_experts.route_parts import plain

from mini_moe.course.exercises.mixture_of_experts.route import EXERCISE
from mini_moe.course.exercises.mixture_of_experts.route_options import OF_GROUPS, OF_NORMALIZE, OF_SCALE
from mini_moe.router import limit_to_groups

ANSWERS = Answers(EXERCISE)
wrong = ANSWERS.wrong


OPTIONS = (OF_NORMALIZE, OF_SCALE, OF_GROUPS)


@wrong("normalised over the tokens", "no dim")
def _(scores_NE, bias_E, top_k, *, n_group=1, topk_group=1, normalize=True, scale=1.0):
    experts = (scores_NE + bias_E).topk(top_k).indices
    weights = scores_NE.gather(1, experts)
    return weights / weights.sum() * scale, experts


@wrong("equal weights")
def _(scores_NE, bias_E, top_k, *, n_group=1, topk_group=1, normalize=True, scale=1.0):
    experts = (scores_NE + bias_E).topk(top_k).indices
    return torch.ones(experts.shape) / top_k * scale, experts


@wrong("weights of other experts", "topk of the scores")
def _(scores_NE, bias_E, top_k, *, n_group=1, topk_group=1, normalize=True, scale=1.0):
    weights, _ = scores_NE.topk(top_k)
    _, experts = (scores_NE + bias_E).topk(top_k)
    return weights / weights.sum(-1, keepdim=True) * scale, experts


@wrong("weights and experts out of step", "the experts sorted for the weights")
def _(scores_NE, bias_E, top_k, *, n_group=1, topk_group=1, normalize=True, scale=1.0):
    experts = (scores_NE + bias_E).topk(top_k).indices
    return plain(scores_NE, bias_E, experts.sort(-1).values, normalize) * scale, experts


@wrong("router detached", "all in no_grad")
def _(scores_NE, bias_E, top_k, *, n_group=1, topk_group=1, normalize=True, scale=1.0):
    with torch.no_grad():
        experts = limit_to_groups(scores_NE + bias_E, n_group, topk_group).topk(top_k).indices
        return plain(scores_NE, bias_E, experts, normalize) * scale, experts


@wrong("gradient missing", "detached, by number")
def _(scores_NE, bias_E, top_k, *, n_group=1, topk_group=1, normalize=True, scale=1.0):
    scores_NE = scores_NE.detach()
    experts = limit_to_groups(scores_NE + bias_E, n_group, topk_group).topk(top_k).indices.sort(-1).values
    return plain(scores_NE, bias_E, experts, normalize) * scale, experts


@wrong("sum detached")
def _(scores_NE, bias_E, top_k, *, n_group=1, topk_group=1, normalize=True, scale=1.0):
    experts = limit_to_groups(scores_NE + bias_E, n_group, topk_group).topk(top_k).indices
    weights = scores_NE.gather(1, experts)
    if normalize:
        weights = weights / weights.sum(-1, keepdim=True).detach()
    return weights * scale, experts


@wrong("normalize ignored")
def _(scores_NE, bias_E, top_k, *, n_group=1, topk_group=1, normalize=True, scale=1.0):
    experts = limit_to_groups(scores_NE + bias_E, n_group, topk_group).topk(top_k).indices
    return plain(scores_NE, bias_E, experts, True) * scale, experts


@wrong("scale left out")
def _(scores_NE, bias_E, top_k, *, n_group=1, topk_group=1, normalize=True, scale=1.0):
    experts = limit_to_groups(scores_NE + bias_E, n_group, topk_group).topk(top_k).indices
    return plain(scores_NE, bias_E, experts, normalize), experts


@wrong("scale left out", "by number")
def _(scores_NE, bias_E, top_k, *, n_group=1, topk_group=1, normalize=True, scale=1.0):
    experts = limit_to_groups(scores_NE + bias_E, n_group, topk_group).topk(top_k).indices.sort(-1).values
    return plain(scores_NE, bias_E, experts, normalize), experts


@wrong("scaled before normalising", "the weights")
def _(scores_NE, bias_E, top_k, *, n_group=1, topk_group=1, normalize=True, scale=1.0):
    experts = limit_to_groups(scores_NE + bias_E, n_group, topk_group).topk(top_k).indices
    weights = scores_NE.gather(1, experts) * scale
    if normalize:
        weights = weights / weights.sum(-1, keepdim=True)
    return weights, experts


@wrong("scaled before normalising", "the scores")
def _(scores_NE, bias_E, top_k, *, n_group=1, topk_group=1, normalize=True, scale=1.0):
    scores_NE = scale * scores_NE
    experts = limit_to_groups(scores_NE + bias_E, n_group, topk_group).topk(top_k).indices
    return plain(scores_NE, bias_E, experts, normalize), experts


@wrong("divided by scale")
def _(scores_NE, bias_E, top_k, *, n_group=1, topk_group=1, normalize=True, scale=1.0):
    experts = limit_to_groups(scores_NE + bias_E, n_group, topk_group).topk(top_k).indices
    return plain(scores_NE, bias_E, experts, normalize) / scale, experts


@wrong("scale only where normalised")
def _(scores_NE, bias_E, top_k, *, n_group=1, topk_group=1, normalize=True, scale=1.0):
    experts = limit_to_groups(scores_NE + bias_E, n_group, topk_group).topk(top_k).indices
    weights = scores_NE.gather(1, experts)
    if normalize:
        weights = scale * weights / weights.sum(-1, keepdim=True)
    return weights, experts


@wrong("scaled before normalising", "an else that should not be")
def _(scores_NE, bias_E, top_k, *, n_group=1, topk_group=1, normalize=True, scale=1.0):
    experts = limit_to_groups(scores_NE + bias_E, n_group, topk_group).topk(top_k).indices
    weights = scores_NE.gather(1, experts)
    return (weights / weights.sum(-1, keepdim=True) if normalize else weights * scale), experts


@wrong("scaled twice")
def _(scores_NE, bias_E, top_k, *, n_group=1, topk_group=1, normalize=True, scale=1.0):
    experts = limit_to_groups(scores_NE + bias_E, n_group, topk_group).topk(top_k).indices
    weights = plain(scores_NE, bias_E, experts, normalize) * scale
    return weights * scale, experts


@wrong("scale added")
def _(scores_NE, bias_E, top_k, *, n_group=1, topk_group=1, normalize=True, scale=1.0):
    experts = limit_to_groups(scores_NE + bias_E, n_group, topk_group).topk(top_k).indices
    return plain(scores_NE, bias_E, experts, normalize) + scale, experts


@wrong("groups ignored", "never called")
def _(scores_NE, bias_E, top_k, *, n_group=1, topk_group=1, normalize=True, scale=1.0):
    experts = (scores_NE + bias_E).topk(top_k).indices
    return plain(scores_NE, bias_E, experts, normalize) * scale, experts


@wrong("groups ignored", "the limited scores not kept")
def _(scores_NE, bias_E, top_k, *, n_group=1, topk_group=1, normalize=True, scale=1.0):
    choice = scores_NE + bias_E
    limit_to_groups(choice, n_group, topk_group)
    experts = choice.topk(top_k, sorted=False).indices
    return plain(scores_NE, bias_E, experts, normalize) * scale, experts


@wrong("groups chosen without the bias")
def _(scores_NE, bias_E, top_k, *, n_group=1, topk_group=1, normalize=True, scale=1.0):
    experts = (limit_to_groups(scores_NE, n_group, topk_group) + bias_E).topk(top_k).indices
    return plain(scores_NE, bias_E, experts, normalize) * scale, experts


@wrong("experts chosen without the bias in groups")
def _(scores_NE, bias_E, top_k, *, n_group=1, topk_group=1, normalize=True, scale=1.0):
    choice = scores_NE + bias_E
    if n_group > 1:
        closed = limit_to_groups(choice, n_group, topk_group) == -torch.inf
        choice = scores_NE.masked_fill(closed, -torch.inf)
    experts = choice.topk(top_k).indices
    return plain(scores_NE, bias_E, experts, normalize) * scale, experts


@wrong("closed experts at 0")
def _(scores_NE, bias_E, top_k, *, n_group=1, topk_group=1, normalize=True, scale=1.0):
    choice = limit_to_groups(scores_NE + bias_E, n_group, topk_group)
    choice = torch.where(choice.isfinite(), choice, 0.0)
    experts = choice.topk(top_k).indices
    return plain(scores_NE, bias_E, experts, normalize) * scale, experts


@wrong("n_group - topk_group groups")
def _(scores_NE, bias_E, top_k, *, n_group=1, topk_group=1, normalize=True, scale=1.0):
    choice = scores_NE + bias_E
    if n_group > 1:
        choice = limit_to_groups(choice, n_group, n_group - topk_group)
    experts = choice.topk(top_k).indices
    return plain(scores_NE, bias_E, experts, normalize) * scale, experts


@wrong("raises RuntimeError", "n_group and topk_group exchanged")
def _(scores_NE, bias_E, top_k, *, n_group=1, topk_group=1, normalize=True, scale=1.0):
    experts = limit_to_groups(scores_NE + bias_E, topk_group, n_group).topk(top_k).indices
    return plain(scores_NE, bias_E, experts, normalize) * scale, experts


@wrong("wrong dtype", "experts as int32")
def _(scores_NE, bias_E, top_k, *, n_group=1, topk_group=1, normalize=True, scale=1.0):
    experts = limit_to_groups(scores_NE + bias_E, n_group, topk_group).topk(top_k).indices
    return plain(scores_NE, bias_E, experts, normalize) * scale, experts.int()


@wrong("wrong type", "the weights alone")
def _(scores_NE, bias_E, top_k, *, n_group=1, topk_group=1, normalize=True, scale=1.0):
    experts = limit_to_groups(scores_NE + bias_E, n_group, topk_group).topk(top_k).indices
    return plain(scores_NE, bias_E, experts, normalize) * scale


@wrong("results exchanged")
def _(scores_NE, bias_E, top_k, *, n_group=1, topk_group=1, normalize=True, scale=1.0):
    experts = limit_to_groups(scores_NE + bias_E, n_group, topk_group).topk(top_k).indices
    return experts, plain(scores_NE, bias_E, experts, normalize) * scale


@wrong("changes its input", "scores += bias")
def _(scores_NE, bias_E, top_k, *, n_group=1, topk_group=1, normalize=True, scale=1.0):
    kept = scores_NE.clone()
    scores_NE += bias_E
    experts = limit_to_groups(scores_NE, n_group, topk_group).topk(top_k).indices
    return plain(kept, bias_E, experts, normalize) * scale, experts


@wrong("sum of the highest scores")
def _(scores_NE, bias_E, top_k, *, n_group=1, topk_group=1, normalize=True, scale=1.0):
    experts = limit_to_groups(scores_NE + bias_E, n_group, topk_group).topk(top_k).indices
    weights = scores_NE.gather(1, experts)
    return weights / scores_NE.sort(-1).values[:, -top_k:].sum(-1, keepdim=True) * scale, experts


@wrong("weights and experts out of step", "the experts sorted")
def _(scores_NE, bias_E, top_k, *, n_group=1, topk_group=1, normalize=True, scale=1.0):
    experts = limit_to_groups(scores_NE + bias_E, n_group, topk_group).topk(top_k).indices
    return plain(scores_NE, bias_E, experts, normalize) * scale, experts.sort(-1).values


@wrong("weights and experts out of step", "the weights sorted")
def _(scores_NE, bias_E, top_k, *, n_group=1, topk_group=1, normalize=True, scale=1.0):
    experts = limit_to_groups(scores_NE + bias_E, n_group, topk_group).topk(top_k).indices
    return plain(scores_NE, bias_E, experts, normalize).sort(-1)[0] * scale, experts


@wrong("scaled twice", "where normalised")
def _(scores_NE, bias_E, top_k, *, n_group=1, topk_group=1, normalize=True, scale=1.0):
    experts = limit_to_groups(scores_NE + bias_E, n_group, topk_group).topk(top_k).indices
    weights = plain(scores_NE, bias_E, experts, normalize) * (scale if normalize else 1)
    return weights * scale, experts


@wrong("scale in the choice", "the scores scaled, the bias not")
def _(scores_NE, bias_E, top_k, *, n_group=1, topk_group=1, normalize=True, scale=1.0):
    scores_NE = scores_NE * scale
    experts = limit_to_groups(scores_NE + bias_E, n_group, topk_group).topk(top_k).indices
    return plain(scores_NE, bias_E, experts, normalize) * (scale if normalize else 1), experts


@wrong("one group kept")
def _(scores_NE, bias_E, top_k, *, n_group=1, topk_group=1, normalize=True, scale=1.0):
    if top_k * n_group <= scores_NE.shape[1]:
        topk_group = 1
    experts = limit_to_groups(scores_NE + bias_E, n_group, topk_group).topk(top_k).indices
    return plain(scores_NE, bias_E, experts, normalize) * scale, experts


@wrong("equally many from each group")
def _(scores_NE, bias_E, top_k, *, n_group=1, topk_group=1, normalize=True, scale=1.0):
    choice = limit_to_groups(scores_NE + bias_E, n_group, topk_group)
    experts = choice.topk(top_k).indices
    if top_k % topk_group == 0:
        size, each = scores_NE.shape[1] // n_group, top_k // topk_group
        rows = [[m * size + e for m in range(n_group) if row[m * size] > -torch.inf
                 for e in torch.tensor(row[m * size : m * size + size]).topk(each).indices.tolist()]
                for row in choice.tolist()]  # fmt: skip
        experts = torch.tensor(rows)
    return plain(scores_NE, bias_E, experts, normalize) * scale, experts


@wrong("wrong with groups", "the lowest of the open groups kept")
def _(scores_NE, bias_E, top_k, *, n_group=1, topk_group=1, normalize=True, scale=1.0):
    choice = scores_NE + bias_E
    closed = limit_to_groups(-choice, n_group, topk_group).isinf() if n_group > 1 else torch.zeros_like(choice).bool()
    experts = choice.masked_fill(closed, -torch.inf).topk(top_k).indices
    return plain(scores_NE, bias_E, experts, normalize) * scale, experts
