"""What answers to `route` are made of."""

import torch

from mini_moe.router import limit_to_groups


def learner_routes(choose, weigh):
    """A learner's function with all options right, but for what it is given: most answers differ in one line only."""

    def route(scores_NE, bias_E, top_k, *, n_group=1, topk_group=1, normalize=True, scale=1.0):
        choice_NE = limit_to_groups(choose(scores_NE, bias_E), n_group, topk_group)
        experts_NK = torch.topk(choice_NE, top_k, dim=1)[1]
        return weigh(scores_NE, bias_E, experts_NK, normalize) * scale, experts_NK

    return route


def biased(s, b):
    return s + b


def plain(s, b, experts, normalize):
    weights = torch.gather(s, 1, experts)
    return weights / weights.sum(1, keepdim=True) if normalize else weights


def refuse_illegal(scores_NE, bias_E, top_k, n_group, topk_group):
    """What most right answers begin with, and wrong ones whose fault is elsewhere."""
    E = scores_NE.shape[1]
    if tuple(bias_E.shape) != (E,):
        raise ValueError(f"a bias of {tuple(bias_E.shape)} for {E} experts")
    if n_group < 1 or E % n_group:
        raise ValueError(f"{E} experts cannot stand in {n_group} groups")
    if topk_group not in range(1, n_group + 1):
        raise ValueError(f"{topk_group} of {n_group} groups cannot be open")
    if top_k not in range(1, E // n_group * topk_group + 1):
        raise ValueError(f"{top_k} experts cannot be chosen of those open")
