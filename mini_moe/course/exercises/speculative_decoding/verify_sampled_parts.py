"""Lesson 07, `verify_sampled`: the function with one part made otherwise, for the mistakes."""

import torch

from mini_moe.speculative import residual


def less(p, q, chance):
    return chance * q < p


def drafted(x_BV, draft_B):
    return x_BV.gather(1, draft_B[:, None])[:, 0]


def second(p_B2V, q_BV, draft_B):
    return p_B2V[:, 1]


def residual_of_first(p_B2V, q_BV, draft_B):
    return residual(p_B2V[:, 0], q_BV)


def verified(accept=less, stays=second, goes=residual_of_first, of=None, verdict=lambda accepted: accepted):
    """`verify_sampled` with one thing changed, for the mistakes.

    Args:
        accept: ``accept(p_B, q_B, chance_B)``.
        stays, goes: ``stays(p_B2V, q_BV, draft_B)``, the distribution where the draft stays, and where it goes.
        of: ``of(p_B2V, q_BV, draft_B)``, what p_B and q_B are.
        verdict: what is made of which drafts are accepted.
    """

    def function(p_B2V, q_BV, draft_B, chance_B):
        case = p_B2V, q_BV, draft_B
        p_B, q_B = of(*case) if of else (drafted(p_B2V[:, 0], draft_B), drafted(q_BV, draft_B))
        accepted_B = verdict(accept(p_B, q_B, chance_B))
        return accepted_B, torch.where(accepted_B[:, None], stays(*case), goes(*case))

    return function


def normal(x_BV):
    return x_BV / x_BV.sum(dim=-1, keepdim=True).clamp(min=1e-12)


def without_draft(p_B2V, q_BV, draft_B):
    return p_B2V[:, 0].scatter(1, draft_B[:, None], 0.0)


def if_likeliest(p_B2V, q_BV, draft_B, chance_B):
    likeliest_B = p_B2V[:, 0].argmax(dim=-1) == draft_B
    return likeliest_B, torch.where(likeliest_B[:, None], p_B2V[:, 1], residual(p_B2V[:, 0], q_BV))


def greedy_and_drawn(p_B2V, q_BV, draft_B, chance_B):
    likeliest_B = p_B2V[:, 0].argmax(dim=-1) == draft_B
    likeliest_B &= chance_B * drafted(q_BV, draft_B) < drafted(p_B2V[:, 0], draft_B)
    return likeliest_B, torch.where(likeliest_B[:, None], p_B2V[:, 1], residual(p_B2V[:, 0], q_BV))


def with_row(index, row):
    """All rows are given what stands in one of them, of the argument with this index."""

    def function(*case):
        case = list(case)
        case[index] = case[index][row : row + 1 or None].expand_as(case[index])
        p_B2V, q_BV, draft_B, chance_B = case
        return verified()(p_B2V, q_BV, draft_B, chance_B)

    return function


def of_rows(of_p, of_q):
    """What stands in the first row decides: nowhere (0), the draft (1), the distribution (2) or both (3)."""

    def first(x_BV, draft_B, which):
        x_BV = x_BV[:1].expand_as(x_BV) if which & 2 else x_BV
        return drafted(x_BV, draft_B[:1].expand_as(draft_B) if which & 1 else draft_B)

    return verified(of=lambda p, q, draft: (first(p[:, 0], draft, of_p), first(q, draft, of_q)))


def verdict_alone_turned_round(*case):
    accepted_B, next_BV = verified()(*case)
    return ~accepted_B, next_BV
