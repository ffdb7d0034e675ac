"""Lesson 07, `verify_sampled`: whether a draft that was drawn may stay, and what the next token is drawn from."""

import torch
import torch.nn.functional as F

from mini_moe.course.checking.exercise import Exercise, Property, Wrong, agrees_with, must_equal
from mini_moe.course.checking.observe import close
from mini_moe.course.exercises.speculative_decoding.verify_sampled_mistakes import MISTAKES
from mini_moe.speculative import verify_sampled

STEPS = 40  # of the chance, from 0 to 1, in counting how often a draft stays
LIKELIER, STAYS, GOES = "likelier", "stays", "goes"  # what becomes of a draft, and why


def _backwards(x):
    """The same numbers, the last dimension first in memory: not contiguous unless some size is 1."""
    return x.permute(*reversed(range(x.ndim))).contiguous().permute(*reversed(range(x.ndim)))


def _row(generator, V, what, near):
    """(p (2, V), q (V), draft, chance), the draft likelier to the model than to q, or less likely, with a chance that
    lets it stay or go. It is ``near`` a bound that others may take for p / q: p, q, or their mean."""
    while True:
        p_2V, q_V = (torch.randn(3, V, generator=generator) * 1.5).softmax(dim=-1).split((2, 1))
        ratio_V = p_2V[0] / q_V[0]
        fit = ratio_V > 1.2 if what == LIKELIER else (ratio_V < 0.8) & (ratio_V > 0.2)
        if fit.any():
            break
    draft = int(torch.where(fit, torch.rand(V, generator=generator), -1.0).argmax())
    p, q, ratio = p_2V[0, draft].item(), q_V[0, draft].item(), ratio_V[draft].item()
    if what == LIKELIER:
        chance = (p + q) / 2 if near else 0.97
    elif what == STAYS:
        chance = (p + ratio) / 2 if near else 0.6 * min(p, ratio)
    else:
        chance = (ratio + q) / 2 if near and ratio < q else (1 + ratio) / 2
    return p_2V, q_V[0], draft, chance


def _drawn(generator, V, *plan, dtype=torch.float32):
    rows = [_row(generator, V, *row) for row in plan]
    p, q, draft, chance = zip(*rows, strict=True)
    p, q = (torch.stack(x).to(dtype) for x in (p, q))
    sums = (x / x.sum(dim=-1, keepdim=True) for x in (p, q))  # in float64 they add up to 1 more exactly
    return *sums, torch.tensor(draft), torch.tensor(chance, dtype=dtype)


def _cases_of_verify_sampled(generator):
    p, q = torch.tensor([[[0.25, 0.75], [0.5, 0.5]]]), torch.tensor([[0.5, 0.5]])
    yield p, q, torch.tensor([0]), torch.tensor([0.625])  # p / q is 0.5
    yield _drawn(generator, 3, (STAYS, True))
    yield _drawn(generator, 4, (LIKELIER, True), (GOES, True))
    yield tuple(map(_backwards, _drawn(generator, 3, (STAYS, False), (GOES, False), (LIKELIER, False), (STAYS, True))))
    plan = [(what, near) for near in (True, False) for what in (GOES, LIKELIER, STAYS)]
    yield tuple(map(_backwards, _drawn(generator, 7, *plan)))
    yield _drawn(generator, 5, *plan[1:4], dtype=torch.float64)
    *drawn, chance = _drawn(generator, 2, *plan, dtype=torch.float64)
    yield *drawn, chance.float()  # as `torch.rand` gives it
    yield _with_zeros(generator)
    yield _unlike_the_likeliest(generator)
    p, q, draft, chance = _drawn(generator, 6, *plan[:5])
    yield p, F.one_hot(draft, 6).float(), draft, torch.tensor((0.0, 0.97, 0.4, 0.02, 0.1))  # nothing else was possible
    p, q, draft, _ = _drawn(generator, 4, *plan[:3])
    yield p, p[:, 0].clone(), draft, torch.tensor((0.999, 0.0, 0.5))  # the two are equal
    yield torch.ones(2, 2, 1), torch.ones(2, 1), torch.zeros(2, dtype=torch.int64), torch.tensor((0.0, 0.9))


def _with_zeros(generator):
    """Impossible drafts, a most unlikely one, one that is certain, tokens that both exclude."""
    p = torch.rand(5, 2, 4, generator=generator).add(0.1)
    p[:, 0] = torch.tensor(
        (
            (0.0, 0.5, 0.25, 0.25),
            (0.75, 0.25, 0.0, 0.0),
            (0.01, 0.5, 0.49, 0.0),
            (0.0, 0.0, 1.0, 0.0),
            (0.5, 0.0, 0.5, 0),
        )
    )
    q = torch.tensor(
        (
            (0.5, 0.25, 0.25, 0.0),
            (0.5, 0.25, 0.25, 0),
            (0.25, 0.25, 0.25, 0.25),
            (0.0, 0.5, 0.5, 0.0),
            (0.25, 0.75, 0, 0),
        )
    )
    chance = torch.tensor((0.0, 0.0, 0.5625, 0.75, 0.25))
    return p / p.sum(dim=-1, keepdim=True), q, torch.tensor((0, 2, 0, 2, 1)), chance


def _unlike_the_likeliest(generator):
    """A draft that goes though the model finds nothing likelier, one that stays where the likeliest would go, and two
    likeliest ones that stay, of probability 0.375 and 0.75."""
    p = torch.rand(4, 2, 4, generator=generator).add(0.1)
    p[:, 0] = torch.tensor(((1, 1, 1, 1), (2, 1, 1, 0), (1.5, 1, 1, 0.5), (0.5, 0.5, 3, 0)))
    q = torch.tensor(((1, 13, 1, 1), (12, 2, 2, 0), (4, 4, 4, 4), (8, 4, 4, 0))) / 16
    return p / p.sum(dim=-1, keepdim=True), q, torch.tensor((1, 1, 0, 2)), torch.tensor((0.9375, 0.75, 0.875, 0.375))


def _likely_ones_stay(function, p, q, draft, chance):
    certain = torch.full_like(chance, 0.999)
    accepted, following = function(p, p[:, 0].clone(), p[:, 0].argmax(dim=-1), certain)
    if not accepted.all():
        raise Wrong(
            "Where q gave the draft the same probability as the model does, p / q is 1: it must stay, whatever the "
            "chance is.",
            mistake="a likely draft rejected",
        )
    must_equal(
        following,
        p[:, 1],
        "Where the draft stays, the next token is drawn from what the model says at the draft: `p_B2V[:, 1]`.",
        "another distribution after a draft that stays",
    )


def _impossible_ones_go(function, p, q, draft, chance):
    p, row = p.clone(), torch.arange(len(p))
    p[row, 0, draft] = 0.0
    if p.shape[-1] == 1 or not bool((p[:, 0].sum(dim=-1) > 0).all()):
        return
    p[:, 0] /= p[:, 0].sum(dim=-1, keepdim=True)
    if function(p, q, draft, torch.zeros_like(chance))[0].any():
        raise Wrong(
            "A draft that the model finds impossible, p = 0, stays where the chance is 0: `less than p / q` lets "
            "none of these through, `<=` does.",
            mistake="an impossible draft accepted",
        )


def _however_small(function, p, q, draft, chance):
    for q_1 in (1e-2, 1e-4, 1e-7):
        for p_1, number, stays in ((q_1, 0.9, True), (q_1 / 2, 0.4, True), (q_1 / 2, 0.6, False)):
            p_122, q_12 = (torch.tensor([[x, 1 - x]], dtype=p.dtype) for x in (p_1, q_1))
            p_122 = p_122[:, None].expand(1, 2, 2)
            drawn = torch.zeros(1, dtype=torch.int64), torch.tensor([number], dtype=chance.dtype)
            if bool(function(p_122, q_12, *drawn)[0]) != stays:
                raise Wrong(
                    f"A draft with p = {p_1:.3g} and q = {q_1:.3g} {'goes' if stays else 'stays'} at a chance of "
                    f"{number}, though p / q is {p_1 / q_1:.3g}. Is something added to q, or q bounded below?",
                    mistake="small probabilities bounded",
                )


def _stays_as_often(function, p, q, draft, chance):
    many = torch.arange(STEPS, dtype=chance.dtype).add(0.5).div(STEPS)
    repeated = (x.repeat_interleave(STEPS, dim=0) for x in (p, q, draft))
    accepted = function(*repeated, many.repeat(len(p)))[0].reshape(len(p), STEPS).double()
    at = torch.arange(len(p))
    due = (p[at, 0, draft] / q[at, draft]).clamp(max=1)
    for share, right, pair in zip(accepted.mean(dim=-1).tolist(), due.tolist(), at.tolist(), strict=True):
        if abs(share - right) > 0.6 / STEPS:
            p_1, q_1 = p[pair, 0, draft[pair]].item(), q[pair, draft[pair]].item()
            raise Wrong(
                f"Of a draft with p = {p_1:.3g} and q = {q_1:.3g}, {share:.0%} stay, over chances from 0 to 1. It "
                f"must be {right:.0%}: p / q, and at most all.",
                mistake="stays too often" if share > right else "goes too often",
            )


def _distributed_as_the_model(function, p, q, draft, chance):
    """P(token) = q times how often it stays, and where another draft goes, what is drawn in its place."""
    V = q.shape[-1]
    every = torch.arange(V)
    for p_2V, q_V in zip(p, q, strict=True):
        stays_V = torch.where(q_V > 0, p_2V[0] / q_V.clamp(min=1e-12), 1.0).clamp(max=1)
        last = torch.full_like(q_V, 1 - 2**-20).to(chance.dtype)
        accepted, instead_VV = function(p_2V.expand(V, 2, V), q_V.expand(V, V), every, last)
        goes_V = torch.where(accepted, torch.zeros_like(q_V), q_V * (1 - stays_V))
        whole_V = q_V * stays_V + goes_V @ instead_VV.to(q_V.dtype)
        must_equal(
            whole_V,
            p_2V[0],
            "Over all drafts that q may give, the text is not distributed as the model's own: where a draft goes, the "
            "token in its place must be drawn from what q gave too little of, `residual`.",
        )


def _rows_apart(function, p, q, draft, chance):
    alone = [function(*(x[b : b + 1] for x in (p, q, draft, chance))) for b in range(len(p))]
    together = function(p, q, draft, chance)
    if not all(close(whole, torch.cat(parts)) for whole, parts in zip(together, zip(*alone, strict=True), strict=True)):
        raise Wrong(
            "A row alone gives another result than the same row in a batch: each has its own draft, chance and "
            "distributions.",
            mistake="rows not apart",
        )


EXERCISE = Exercise(
    reference=verify_sampled,
    cases=_cases_of_verify_sampled,
    properties=(
        Property("a draft as likely to the model as to q stays", _likely_ones_stay),
        Property("a draft that the model finds impossible goes", _impossible_ones_go),
        Property("a draft stays as often as p / q says", _stays_as_often),
        Property("so it is for drafts however unlikely", _however_small),
        Property("each row is taken by itself", _rows_apart),
        Property("the text is distributed as the model's own", _distributed_as_the_model),
        Property("agrees with the library", agrees_with(verify_sampled, ("p_B2V", "q_BV", "chance_B"))),
    ),
    mistakes=MISTAKES,
    hints=(
        "For each row, two numbers decide: what the model gave the drafted token at the first place, and what q gave "
        "it. Then there are two distributions to choose from, one if the draft stays, one if it goes. At which place "
        "does the model say what follows the draft?",
        "`x_BV.gather(1, draft_B[:, None])` takes one number from each row, (B, 1). If the draft goes, its place is "
        "still empty: `residual` of the first place and q. `torch.where` chooses, given a condition of shape (B, 1).",
        "Three lines. p and q of the draft, each (B,). Whether the chance is less than the one divided by the other, "
        "or, without a division, the chance times q less than p: (B,), bool. And, with that as (B, 1), either the "
        "model's second row (B, V) or the residual of its first (B, V).",
    ),
    difficulty=2,
    minutes=15,
    constants=("p_B2V", "q_BV", "chance_B"),
)
