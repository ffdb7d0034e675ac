"""Wrong answers to `mixture`: what the functions are called with, types, and gradients."""

import torch
from exercises.answers import Answers

from mini_moe.course.exercises.mixture_of_experts.mixture import EXERCISE

ANSWERS = Answers(EXERCISE)
wrong = ANSWERS.wrong


def learner_sums(say, always=lambda x, shared: shared(x)):
    """A learner's loop, with what an expert says of a token and what the shared one adds."""

    def mixture(x_ND, weights_NK, experts_NK, routed, shared):
        rows = []
        for n in range(len(x_ND)):
            y = always(x_ND[n], shared)
            for weight, e in zip(weights_NK[n], experts_NK[n].tolist(), strict=True):
                y = y + say(weight, routed[e], x_ND[n])
            rows.append(y)
        return torch.stack(rows)

    return mixture


wrong("tokens detached", "before the experts")(learner_sums(lambda weight, expert, x: weight * expert(x.detach())))
wrong("tokens detached", "before the shared expert")(
    learner_sums(lambda weight, expert, x: weight * expert(x), lambda x, shared: shared(x.detach()))
)
wrong("weight of 0 skipped")(learner_sums(lambda weight, expert, x: weight * expert(x) if weight else 0))
wrong("a matrix given to a function of one token", "a matrix of one row")(
    learner_sums(lambda weight, expert, x: weight * expert(x[None])[0])
)
wrong("writes into what an expert returned")(
    learner_sums(lambda weight, expert, x: weight * expert(x) if x.requires_grad else expert(x).mul_(weight))
)


@wrong("not in proportion to the weights", "normalised again, where there are several")
def _(x_ND, weights_NK, experts_NK, routed, shared):
    if weights_NK.shape[1] > 1:
        weights_NK = weights_NK / weights_NK.sum(1, keepdim=True)
    return learner_sums(lambda weight, expert, x: weight * expert(x))(x_ND, weights_NK, experts_NK, routed, shared)


@wrong("shared expert not as it is", "gated by what is left to 1, where there are several")
def _(x_ND, weights_NK, experts_NK, routed, shared):
    rest = 1 - weights_NK.sum(1) if weights_NK.shape[1] > 1 else torch.ones(len(x_ND), dtype=x_ND.dtype)
    always = torch.stack([shared(x) for x in x_ND])
    said = learner_sums(lambda weight, expert, x: weight * expert(x), lambda x, shared: 0)
    return said(x_ND, weights_NK, experts_NK, routed, shared) + rest[:, None] * always


@wrong("order of the choices matters", "the first choice counts twice")
def _(x_ND, weights_NK, experts_NK, routed, shared):
    factors = torch.ones_like(weights_NK)
    factors[:, 0] = 2
    mixture = learner_sums(lambda weight, expert, x: weight * expert(x))
    return mixture(x_ND, weights_NK * factors, experts_NK, routed, shared)


@wrong("a matrix given to a function of one token", "the shared expert's")
def _(x_ND, weights_NK, experts_NK, routed, shared):
    y_ND = shared(x_ND)
    rows = []
    for n, y in enumerate(y_ND):
        rows.append(y + sum(weights_NK[n, k] * routed[e](x_ND[n]) for k, e in enumerate(experts_NK[n].tolist())))
    return torch.stack(rows)


@wrong("a matrix given to a function of one token", "all tokens, of which one is kept")
def _(x_ND, weights_NK, experts_NK, routed, shared):
    rows = []
    for n, x in enumerate(x_ND):
        rows.append(shared(x) + sum(w * routed[e](x_ND)[n] for w, e in zip(weights_NK[n], experts_NK[n], strict=True)))
    return torch.stack(rows)


@wrong("a matrix given to a function of one token", "an expert's tokens at once")
def _(x_ND, weights_NK, experts_NK, routed, shared):
    y = torch.stack([shared(x) for x in x_ND])
    for e, expert in enumerate(routed):
        token, choice = torch.where(experts_NK == e)
        if len(token):
            y = y.index_add(0, token, (weights_NK[token, choice, None] * expert(x_ND[token])).to(y.dtype))
    return y


@wrong("given something else than a token", "what another said")
def _(x_ND, weights_NK, experts_NK, routed, shared):
    rows = []
    for x, weights, experts in zip(x_ND, weights_NK, experts_NK, strict=True):
        y, said = shared(x), x
        for weight, e in zip(weights, experts, strict=True):
            said = routed[e](said)
            y = y + weight * said
        rows.append(y)
    return torch.stack(rows)


@wrong("an expert not called", "its output for the first token kept")
def _(x_ND, weights_NK, experts_NK, routed, shared):
    said, rows = {}, []
    for x, weights, experts in zip(x_ND, weights_NK, experts_NK.tolist(), strict=True):
        y = shared(x)
        for weight, e in zip(weights, experts, strict=True):
            y = y + weight * said.setdefault(e, routed[e](x) if e not in said else None)
        rows.append(y)
    return torch.stack(rows)


@wrong("weight looked up by expert", "what is out of range taken round")
def _(x_ND, weights_NK, experts_NK, routed, shared):
    K = weights_NK.shape[1]
    return learner_sums(lambda weight, expert, x: weight * expert(x))(
        x_ND, torch.stack([row[experts % K] for row, experts in zip(weights_NK, experts_NK, strict=True)]),
        experts_NK, routed, shared,
    )  # fmt: skip


@wrong("raises IndexError", "weight looked up by expert")
def _(x_ND, weights_NK, experts_NK, routed, shared):
    rows = []
    for n, x in enumerate(x_ND):
        rows.append(shared(x) + sum(weights_NK[n, e] * routed[e](x) for e in experts_NK[n].tolist()))
    return torch.stack(rows)


@wrong("raises IndexError", "as many choices as experts assumed")
def _(x_ND, weights_NK, experts_NK, routed, shared):
    rows = []
    for n, x in enumerate(x_ND):
        rows.append(shared(x) + sum(weights_NK[n, e] * expert(x) for e, expert in enumerate(routed)))
    return torch.stack(rows)


@wrong("sum not begun anew", "of all")
def _(x_ND, weights_NK, experts_NK, routed, shared):
    y, rows = 0, []
    for x, weights, experts in zip(x_ND, weights_NK, experts_NK, strict=True):
        y = y + shared(x)
        for weight, e in zip(weights, experts, strict=True):
            y = y + weight * routed[e](x)
        rows.append(y)
    return torch.stack(rows)


@wrong("sum not begun anew", "of the chosen")
def _(x_ND, weights_NK, experts_NK, routed, shared):
    y, rows = 0, []
    for x, weights, experts in zip(x_ND, weights_NK, experts_NK, strict=True):
        for weight, e in zip(weights, experts, strict=True):
            y = y + weight * routed[e](x)
        rows.append(y + shared(x))
    return torch.stack(rows)


@wrong("wrong dtype", "collected in float32")
def _(x_ND, weights_NK, experts_NK, routed, shared):
    y = torch.zeros(x_ND.shape)
    for n, x in enumerate(x_ND):
        y[n] = shared(x) + sum(w * routed[e](x) for w, e in zip(weights_NK[n], experts_NK[n], strict=True))
    return y


@wrong("wrong shape", "a single feature's dimension lost")
def _(x_ND, weights_NK, experts_NK, routed, shared):
    mixture = learner_sums(lambda weight, expert, x: weight * expert(x))
    return mixture(x_ND, weights_NK, experts_NK, routed, shared).squeeze(1)


@wrong("changes its input", "where no gradient is needed")
def _(x_ND, weights_NK, experts_NK, routed, shared):
    y = learner_sums(lambda weight, expert, x: weight * expert(x))(x_ND, weights_NK, experts_NK, routed, shared)
    return y if x_ND.requires_grad else x_ND.copy_(y)
