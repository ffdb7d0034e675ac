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
