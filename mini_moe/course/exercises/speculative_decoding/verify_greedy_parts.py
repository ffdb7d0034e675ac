"""Lesson 07, `verify_greedy`: what its mistakes are made of."""

import torch


def chosen(x):
    return x.argmax(dim=-1)


def last_of_equals(x):
    return x.shape[-1] - 1 - x.flip(-1).argmax(dim=-1)


def right(says, draft):
    return says[:, 0] == draft


def by_verdict(accepted, first, second, draft):
    return torch.where(accepted, second, first)


def verified(accept=right, after=by_verdict, choose=chosen):
    """With one thing changed, for the mistakes.

    Args:
        accept: ``accept(tokens of both places, draft)``.
        after: ``after(accepted, token of the first place, of the second, draft)``.
        choose: ``choose(logits)``, of both places.
    """

    def function(logits, draft):
        says = choose(logits)
        accepted = accept(says, draft)
        return accepted, after(accepted, says[:, 0], says[:, 1], draft)

    return function


def by_logits(accept):
    """Accepted where ``accept(logits of the first place, draft)``: with the next token by that, and by the truth."""

    def with_next(after):
        def function(logits, draft):
            accepted = accept(logits[:, 0], draft)
            return accepted, after(accepted, chosen(logits[:, 0]), chosen(logits[:, 1]), draft)

        return function

    return with_next(by_verdict), with_next(where_right)


def second_best(best):
    """In place of a rejected draft the last of ``best(logits of the first place)``."""
    return lambda logits, draft: verified(
        after=lambda accepted, first, second, draft: torch.where(accepted, second, best(logits[:, 0])[:, -1])
    )(logits, draft)


def of_draft(x, draft):
    return x.gather(-1, draft[:, None])[:, 0]


def likely(least):
    return lambda logits, draft: of_draft(logits.softmax(dim=-1), draft) > least


def near_best(part):
    def accept(logits, draft):
        p = logits.softmax(dim=-1)
        return of_draft(p, draft) >= part * p.amax(dim=-1)

    return accept


def among(k):
    return lambda logits, draft: (logits.topk(min(k, logits.shape[-1])).indices == draft[:, None]).any(dim=-1)


def one_verdict(decide):
    """A verdict on all rows, in each of the two results, and in both."""

    def one(accepted):
        return decide(accepted).expand_as(accepted)

    def for_all(says, draft):
        return one(right(says, draft))

    return (
        verified(lambda says, draft: decide(right(says, draft))),
        verified(for_all),
        verified(for_all, lambda accepted, first, second, draft: torch.where(first == draft, second, first)),
        verified(after=lambda accepted, first, second, draft: torch.where(one(accepted), second, first)),
    )


def always(verdict):
    return lambda says, draft: torch.full_like(draft, verdict, dtype=torch.bool)


def exchanged(accepted, first, second, draft):
    return torch.where(accepted, first, second)


def where_right(accepted, first, second, draft):
    return torch.where(first == draft, second, first)


def counts(count, after=by_verdict):
    """``count(accepted)`` in place of the mask."""

    def function(logits, draft):
        accepted, following = verified()(logits, draft)
        return count(accepted), following

    return function


def every_draft(says, draft):
    return says[:, :1] == draft
