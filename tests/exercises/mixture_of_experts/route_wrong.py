"""Wrong answers to `route`: which experts are chosen, and by which weights."""

import torch
import torch.nn.functional as F
from exercises.answers import Answers
from exercises.mixture_of_experts.route_parts import learner_routes, plain

from mini_moe.course.exercises.mixture_of_experts.route import EXERCISE
from mini_moe.course.exercises.mixture_of_experts.route_options import OF_GROUPS, OF_NORMALIZE, OF_SCALE
from mini_moe.router import limit_to_groups

ANSWERS = Answers(EXERCISE)
wrong = ANSWERS.wrong


OPTIONS = (OF_NORMALIZE, OF_SCALE, OF_GROUPS)


wrong("bias ignored", "one line forgotten")(learner_routes(lambda s, b: s, plain))


wrong("bias subtracted", "sign")(learner_routes(lambda s, b: s - b, plain))


wrong("bias multiplied", "times")(learner_routes(lambda s, b: s * b, plain))


wrong("bias multiplied", "times 1 + b")(learner_routes(lambda s, b: s + s * b, plain))


wrong("bias alone", "expanded")(learner_routes(lambda s, b: b.repeat(len(s), 1), plain))


wrong("lowest chosen", "minus")(learner_routes(lambda s, b: -s - b, plain))


wrong("scores changed before the choice", "F.softmax")(learner_routes(lambda s, b: F.softmax(s, -1) + b, plain))


wrong("scores changed before the choice", "divided by their sum")(
    learner_routes(lambda s, b: s / s.sum(-1, keepdim=True) + b, plain)
)


wrong("scores changed before the choice", "sigmoid")(learner_routes(lambda s, b: s.sigmoid() + b, plain))


@wrong("scores changed before the choice", "and in the weights")
def _(scores_NE, bias_E, top_k, *, n_group=1, topk_group=1, normalize=True, scale=1.0):
    scores_NE = torch.softmax(scores_NE, dim=-1)
    experts = limit_to_groups(scores_NE + bias_E, n_group, topk_group).topk(top_k).indices
    return plain(scores_NE, bias_E, experts, normalize) * scale, experts


@wrong("lowest chosen", "argsort, the wrong end")
def _(scores_NE, bias_E, top_k, *, n_group=1, topk_group=1, normalize=True, scale=1.0):
    experts = (scores_NE + bias_E).argsort(dim=-1)[:, :top_k]
    return plain(scores_NE, bias_E, experts, normalize) * scale, experts


@wrong("always the first K")
def _(scores_NE, bias_E, top_k, *, n_group=1, topk_group=1, normalize=True, scale=1.0):
    experts = torch.arange(top_k).repeat(len(scores_NE), 1)
    weights = scores_NE[:, :top_k]
    return weights / weights.sum(-1, keepdim=True), experts


@wrong("one choice for the whole batch", "the mean")
def _(scores_NE, bias_E, top_k, *, n_group=1, topk_group=1, normalize=True, scale=1.0):
    experts = (scores_NE.mean(0) + bias_E).topk(top_k).indices.expand(len(scores_NE), top_k)
    return plain(scores_NE, bias_E, experts, normalize) * scale, experts


@wrong("one choice for the whole batch", "the first token's")
def _(scores_NE, bias_E, top_k, *, n_group=1, topk_group=1, normalize=True, scale=1.0):
    experts = (scores_NE + bias_E)[0].topk(top_k).indices
    experts = torch.stack([experts] * len(scores_NE))
    return plain(scores_NE, bias_E, experts, normalize) * scale, experts


@wrong("no top-k", "in their order")
def _(scores_NE, bias_E, top_k, *, n_group=1, topk_group=1, normalize=True, scale=1.0):
    experts = torch.arange(scores_NE.shape[1]).repeat(scores_NE.shape[0], 1)
    return plain(scores_NE, bias_E, experts, normalize) * scale, experts


@wrong("no top-k", "sorted")
def _(scores_NE, bias_E, top_k, *, n_group=1, topk_group=1, normalize=True, scale=1.0):
    experts = torch.sort(scores_NE + bias_E, descending=True)[1]
    return plain(scores_NE, bias_E, experts, normalize) * scale, experts


@wrong("zeros for the rest")
def _(scores_NE, bias_E, top_k, *, n_group=1, topk_group=1, normalize=True, scale=1.0):
    N, E = scores_NE.shape
    choice = scores_NE + bias_E
    threshold = choice.topk(top_k).values[:, -1:]
    weights = scores_NE * (choice >= threshold)
    return weights / weights.sum(-1, keepdim=True), torch.arange(E).repeat(N, 1)


@wrong("bias in the weight", "topk's values")
def _(scores_NE, bias_E, top_k, *, n_group=1, topk_group=1, normalize=True, scale=1.0):
    weights, experts = limit_to_groups(scores_NE + bias_E, n_group, topk_group).topk(top_k)
    if normalize:
        weights = weights / weights.sum(-1, keepdim=True)
    return weights * scale, experts


@wrong("bias in the weight", "scores overwritten, not normalised")
def _(scores_NE, bias_E, top_k, *, n_group=1, topk_group=1, normalize=True, scale=1.0):
    scores_NE = scores_NE + bias_E
    experts = scores_NE.topk(top_k).indices
    return scores_NE.gather(1, experts) * scale, experts


@wrong("bias in the weight", "best last")
def _(scores_NE, bias_E, top_k, *, n_group=1, topk_group=1, normalize=True, scale=1.0):
    choice = scores_NE + bias_E
    experts = choice.argsort(-1)[:, -top_k:]
    return plain(choice, bias_E, experts, normalize) * scale, experts


@wrong("bias in the weight", "softmax of the chosen")
def _(scores_NE, bias_E, top_k, *, n_group=1, topk_group=1, normalize=True, scale=1.0):
    values, experts = (scores_NE + bias_E).topk(top_k)
    return values.softmax(-1), experts


@wrong("normalised over all experts", "before the choice")
def _(scores_NE, bias_E, top_k, *, n_group=1, topk_group=1, normalize=True, scale=1.0):
    experts = limit_to_groups(scores_NE + bias_E, n_group, topk_group).topk(top_k).indices
    if normalize:
        scores_NE = scores_NE / scores_NE.sum(-1, keepdim=True)
    return scores_NE.gather(1, experts) * scale, experts


@wrong("normalised over all experts", "by number")
def _(scores_NE, bias_E, top_k, *, n_group=1, topk_group=1, normalize=True, scale=1.0):
    experts = (scores_NE + bias_E).topk(top_k).indices.sort(-1)[0]
    return scores_NE.gather(1, experts) / scores_NE.sum(-1, keepdim=True) * scale, experts


@wrong("sum of the biased scores")
def _(scores_NE, bias_E, top_k, *, n_group=1, topk_group=1, normalize=True, scale=1.0):
    values, experts = (scores_NE + bias_E).topk(top_k)
    return scores_NE.gather(1, experts) / values.sum(-1, keepdim=True) * scale, experts


@wrong("softmax over the chosen")
def _(scores_NE, bias_E, top_k, *, n_group=1, topk_group=1, normalize=True, scale=1.0):
    experts = limit_to_groups(scores_NE + bias_E, n_group, topk_group).topk(top_k).indices
    weights = scores_NE.gather(1, experts)
    if normalize:
        weights = F.softmax(weights, dim=-1)
    return weights * scale, experts


@wrong("softmax over all")
def _(scores_NE, bias_E, top_k, *, n_group=1, topk_group=1, normalize=True, scale=1.0):
    experts = limit_to_groups(scores_NE + bias_E, n_group, topk_group).topk(top_k).indices
    return F.softmax(scores_NE, dim=-1).gather(1, experts) * scale, experts


@wrong("sigmoid again")
def _(scores_NE, bias_E, top_k, *, n_group=1, topk_group=1, normalize=True, scale=1.0):
    experts = limit_to_groups(scores_NE + bias_E, n_group, topk_group).topk(top_k).indices
    return plain(scores_NE.sigmoid(), bias_E, experts, normalize) * scale, experts


@wrong("not normalised", "forgotten")
def _(scores_NE, bias_E, top_k, *, n_group=1, topk_group=1, normalize=True, scale=1.0):
    experts = limit_to_groups(scores_NE + bias_E, n_group, topk_group).topk(top_k).indices
    return scores_NE.gather(1, experts) * scale, experts


@wrong("not normalised", "the flag inverted")
def _(scores_NE, bias_E, top_k, *, n_group=1, topk_group=1, normalize=True, scale=1.0):
    experts = limit_to_groups(scores_NE + bias_E, n_group, topk_group).topk(top_k).indices
    return plain(scores_NE, bias_E, experts, not normalize) * scale, experts


@wrong("mean in place of sum")
def _(scores_NE, bias_E, top_k, *, n_group=1, topk_group=1, normalize=True, scale=1.0):
    experts = (scores_NE + bias_E).topk(top_k).indices
    weights = scores_NE.gather(1, experts)
    return weights / weights.mean(-1, keepdim=True), experts


@wrong("divided by the largest")
def _(scores_NE, bias_E, top_k, *, n_group=1, topk_group=1, normalize=True, scale=1.0):
    experts = (scores_NE + bias_E).topk(top_k).indices
    weights = scores_NE.gather(1, experts)
    return weights / weights.max(dim=-1, keepdim=True)[0], experts


@wrong("divided by their length")
def _(scores_NE, bias_E, top_k, *, n_group=1, topk_group=1, normalize=True, scale=1.0):
    experts = (scores_NE + bias_E).topk(top_k).indices
    weights = scores_NE.gather(1, experts)
    return weights / torch.linalg.norm(weights, dim=-1, keepdim=True), experts


@wrong("normalised over the tokens", "dim=0")
def _(scores_NE, bias_E, top_k, *, n_group=1, topk_group=1, normalize=True, scale=1.0):
    experts = (scores_NE + bias_E).topk(top_k).indices
    weights = scores_NE.gather(1, experts)
    return weights / weights.sum(0) * scale, experts
