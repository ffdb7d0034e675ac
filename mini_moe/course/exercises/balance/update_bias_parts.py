"""Lesson 04, `update_bias`: its parts, from which the mistakes are made."""


def excess(loads):
    """By how much each expert's load is above the mean."""
    return loads.sum(dim=0) - loads.sum(dim=0).mean()


def step(direction):
    """The update in ``direction(loads)``, for the mistakes."""
    return lambda bias, loads, gamma: bias + gamma * direction(loads)


def wanted(loads):
    """The right direction."""
    return -excess(loads).sign()


def of_the_sum(direction):
    """``direction(load)`` of the whole batch's load."""
    return lambda loads: direction(loads.sum(dim=0))
