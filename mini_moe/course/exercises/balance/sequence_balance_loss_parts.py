"""Lesson 04, `sequence_balance_loss`: its parts, from which the mistakes are made."""

from mini_moe.course.exercises.balance.shared import chosen


def mask(scores, experts):
    """1 where a token chose an expert: (B, T, E)."""
    return chosen(experts, scores.shape[-1]).sum(dim=2)


def normalised(scores, dim=-1):
    return scores / scores.sum(dim=dim, keepdim=True)


def gates(scores, experts):
    return normalised(scores * mask(scores, experts))


def share(count_BE, experts):
    """f of a count."""
    return count_BE * count_BE.shape[-1] / experts[0].numel()


def f_of(scores, experts):
    return share(mask(scores, experts).sum(dim=1), experts)


def p_of(scores, experts):
    return normalised(scores).mean(dim=1)


def balance(*, f=f_of, p=p_of, join=lambda f, p, alpha: alpha * (f * p).sum(dim=-1).mean()):
    """The loss with one thing changed, for the mistakes."""
    return lambda scores, experts, alpha: join(f(scores, experts), p(scores, experts), alpha)


def straight_through(soft):
    """f of the right value, with the gradient of ``soft(scores, experts)``."""

    def f(scores, experts):
        slope = soft(scores, experts)
        return share((mask(scores, experts) + slope - slope.detach()).sum(dim=1), experts)

    return f
