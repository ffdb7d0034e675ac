"""Lesson 07, `residual`: what a token is drawn from after a draft was rejected."""

import torch
import torch.nn.functional as F

from mini_moe.course.checking.exercise import Exercise, Property, Wrong, agrees_with
from mini_moe.course.checking.observe import close
from mini_moe.course.exercises.speculative_decoding import residual_equal_mistakes, residual_mistakes
from mini_moe.speculative import residual


def _cases_of_residual(generator):
    """Distributions in multiples of a power of 1/2, which add up to 1 exactly: rounding decides nothing."""

    def numbers(most, *shape):
        return torch.randint(most, shape, generator=generator)

    def distribution(V, bits):
        cuts = numbers(2**bits + 1, V - 1).sort().values
        return torch.cat((cuts, torch.tensor([2**bits]))).diff(prepend=torch.tensor([0])) / 2**bits

    def moved(p, most):
        """``p`` with some of one token given to another, and all others as they are."""
        taken = p.argmax().item()
        given = (taken + 1 + numbers(len(p) - 1, 1).item()) % len(p)
        amount = min(p[taken].item() / 2, most)
        return p - amount * F.one_hot(torch.tensor(taken), len(p)) + amount * F.one_hot(torch.tensor(given), len(p))

    def draw(B, V, bits=8, equal=(), most=1.0):
        p, q = (torch.stack([distribution(V, bits) for _ in range(B)]) for _ in range(2))
        for b in range(B if V > 1 else 0):
            if b in equal:
                q[b] = p[b]
            elif b % 2 or most < 1 or torch.equal(p[b], q[b]):
                q[b] = moved(p[b], most)
        return p, q

    order = torch.randperm(3, generator=generator)
    yield torch.tensor([[0.625, 0.125, 0.25]])[:, order], torch.tensor([[0.25, 0.625, 0.125]])[:, order]
    yield draw(2, 4)
    yield draw(3, 2)
    yield draw(1, 3, equal=(0,))
    yield draw(4, 6)
    yield draw(3, 5, equal=(1,))
    yield draw(5, 4, equal=(0, 3, 4))
    p, _ = draw(4, 5)
    yield p, F.one_hot(p.topk(2).indices[:, 1], 5).float()  # a draft that was no chance: q is sure of it
    yield F.one_hot(numbers(3, 5), 3).float(), draw(5, 3)[0]  # the model is sure
    p, q = draw(2, 3)
    yield F.pad(p, (0, 3)), F.pad(q, (3, 0))  # q gives nothing to what p takes
    p, q = draw(4, 7, equal=(2,))
    yield p.T.contiguous().T, q.T.contiguous().T  # neither is contiguous
    p, q = draw(6, 3, equal=(5,))
    yield p.double(), q.double()
    yield draw(2, 300, bits=16)
    yield draw(3, 6, bits=12, most=2**-17)  # they differ by little
    yield draw(3, 4, equal=(0, 1, 2))
    yield draw(1, 1)
    yield draw(2, 1)  # a vocabulary of one token


def _is_distribution(function, p, q):
    result = function(p, q)
    if (result < 0).any():
        raise Wrong("A share is negative: nothing can be drawn from it.", mistake="not a distribution")
    sums = result.sum(dim=-1)
    if not close(sums, torch.ones_like(sums)):
        raise Wrong(
            f"Each row must add up to 1: the sums are {[float(f'{one:.9g}') for one in sums.tolist()][:6]}.",
            mistake="not a distribution",
        )


def _p_where_equal(function, p, q):
    for given in p, q:
        if not close(function(given, given.clone()), given):
            raise Wrong(
                "Where the two are equal no draft is rejected, and nothing is drawn from what comes back; so that it "
                "is a distribution at all, it must be p, in each row by itself.",
                mistake="not p where the two are equal",
            )


def _never_what_q_gave_enough_of(function, p, q):
    result, unequal = function(p, q), (p != q).any(dim=-1, keepdim=True)
    if (result[unequal & (p <= q)] != 0).any():
        raise Wrong(
            "Where q is at least p, a token was drafted often enough: after a rejection it must never be drawn, and "
            "its share must be exactly 0.",
            mistake="drawn though q gave enough",
        )


def _makes_up_for_q(function, p, q):
    stays = torch.minimum(p, q)
    made = stays + (1 - stays.sum(dim=-1, keepdim=True)) * function(p, q)
    if not close(made, p):
        raise Wrong(
            "A draft is drawn and stays with the share min(p, q); in all other passes the token is drawn from your "
            f"result. Both together must give p, and give {_told(made)} where p is {_told(p)} in the first row.",
            mistake="together they do not give p",
        )


def _told(distributions):
    few = ", ".join(f"{share:.3g}" for share in distributions[0, :4].tolist())
    return f"({few}{', and so on' if distributions.shape[1] > 4 else ''})"


def _rows_apart(function, p, q):
    alone = [function(p[b : b + 1], q[b : b + 1]) for b in range(len(p))]
    if not close(function(p, q), torch.cat(alone)):
        raise Wrong(
            "A row alone gives another result than the same row in a batch: each is a distribution of its own.",
            mistake="rows not taken apart",
        )


EXERCISE = Exercise(
    reference=residual,
    cases=_cases_of_residual,
    properties=(
        Property("each row is a distribution", _is_distribution),
        Property("it is p where the two are equal", _p_where_equal),
        Property("what q gave enough of is never drawn", _never_what_q_gave_enough_of),
        Property("drafts that stay and this, together, give p", _makes_up_for_q),
        Property("each row is taken by itself", _rows_apart),
        Property("agrees with the library", agrees_with(residual, constants=("p_BV", "q_BV"))),
    ),
    mistakes=residual_mistakes.MISTAKES + residual_equal_mistakes.MISTAKES,
    hints=(
        "A drafted token stays with the share min(p, q). To make p of it, how much of each token is still lacking? Of "
        "which tokens is nothing lacking?",
        "Lacking is p - q where that is positive, else 0: `clamp(min=0)`. Each row is divided by its own sum, which is "
        "0 where the two are equal. `torch.where(condition, a, b)` may take a (B, 1) as its condition.",
        "Three lines. What is lacking, (B, V). Its sum in each row, (B, 1), so that it divides row by row. And the "
        "choice: the quotient in rows whose sum is positive, p in the others.",
    ),
    difficulty=2,
    minutes=10,
    constants=("p_BV", "q_BV"),
)
