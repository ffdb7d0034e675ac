"""Lesson 07, `residual`: what its mistakes are made of."""

import torch


def lacking(p, q):
    return (p - q).clamp(min=0)


def total(x):
    return x.sum(dim=-1, keepdim=True)


def divided(x):
    return x / total(x)


def both(*functions):
    """Each function as it is, and with p in rows where the two are equal: for the mistakes."""

    def mended(function):
        return lambda p, q: torch.where((p == q).all(dim=-1, keepdim=True), p, function(p, q))

    return (*functions, *map(mended, functions))


def without(token):
    """p without one token, ``token(p, q)``."""
    return lambda p, q: divided(p.scatter(-1, token(p, q)[:, None], 0.0))


def or_p(condition):
    """What is lacking, divided by its sum, or p where ``condition(p, q)`` does not hold."""
    return lambda p, q: torch.where(condition(p, q), divided(lacking(p, q)), p)
