"""Lesson 03, `route`: the router in parts, of which each mistake changes one."""

import functools

import torch

from mini_moe.course.exercises.mixture_of_experts.shared import share
from mini_moe.router import limit_to_groups, route


def by_expert(function, **options):
    """``function`` as a matrix (N, E) of gate weights, 0 for who rests: the order of the choices is free."""

    @functools.wraps(route)  # whose parameters' names a message tells
    def dense(scores, bias, top_k):
        weights, experts = function(scores, bias, top_k, **options)
        return torch.zeros_like(scores).scatter_add(-1, experts, weights)

    return dense


def best_biased(scores, bias, top_k, n_group, topk_group):
    return limit_to_groups(scores + bias, n_group, topk_group).topk(top_k, dim=-1).indices


def score(scores, bias, experts, normalize, scale):
    weights = scores.gather(-1, experts)
    if normalize:
        weights = share(weights)
    return weights * scale


def routed(*, choose=best_biased, weigh=score):
    """The router with one thing changed, for the mistakes."""

    def function(scores, bias, top_k, *, n_group=1, topk_group=1, normalize=True, scale=1.0):
        experts = choose(scores, bias, top_k, n_group, topk_group)
        return weigh(scores, bias, experts, normalize, scale), experts

    return function


def choice_by(value):
    """The router that chooses the highest of ``value(scores, bias)``."""
    return routed(choose=lambda s, b, k, n_group, topk_group: value(s, b).topk(k, dim=-1).indices.expand(len(s), -1))
