"""Lesson 07, `verify_greedy`: which drafts are what the model itself says, and what comes next."""

import torch

from mini_moe.course.checking.exercise import Exercise, Property, Wrong, agrees_with
from mini_moe.course.checking.observe import close
from mini_moe.course.exercises.speculative_decoding.verify_greedy_mistakes import MISTAKES
from mini_moe.speculative import verify_greedy


def _cases_of_verify_greedy(generator):
    def number(most):
        return torch.randint(most, (1,), generator=generator).item()

    def draw(B, V, accepts=(True, False, False, True, False)):
        """Logits whose two places choose different tokens, and drafts: right, nearly right, or right a place later."""
        logits, draft = torch.randn(B, 2, V, generator=generator).round(decimals=2), torch.zeros(B, dtype=torch.int64)
        for b in range(B if V > 1 else 0):
            first = number(V)
            second = (first + 1 + number(V - 1)) % V
            for place, token in enumerate((first, second)):
                logits[b, place, token] = logits[b, place].max() + 0.25
            near = logits[b, 0].topk(2).indices[1].item()
            draft[b] = first if accepts[b % len(accepts)] else (second, near)[b % 2]
        return logits, draft

    yield draw(1, 3)
    yield draw(1, 3, accepts=(False,))
    yield draw(2, 4)
    yield draw(3, 2)
    yield draw(3, 6, accepts=(False, True, False))
    yield draw(5, 4)
    yield draw(4, 7, accepts=(False, False, True, True))
    logits, draft = draw(7, 5)
    yield logits.permute(2, 1, 0).contiguous().permute(2, 1, 0), draft  # not contiguous
    logits, draft = draw(4, 8)
    logits[:2, 1] = logits[:2, 0] / 2  # the model says the same token twice
    yield logits, draft
    yield _with_equal_ones(generator), torch.tensor((1, 2, 0, 3, 2))
    logits, draft = draw(6, 3, accepts=(False, True, True))
    yield 40 * logits - 1e4, draft  # all negative
    logits, draft = draw(4, 9)
    yield 1e6 * logits.double(), draft
    logits, draft = draw(5, 300)
    yield 0.3 * logits, draft  # no token is likely
    yield draw(2, 3, accepts=(True,))  # all drafts accepted
    yield draw(3, 5, accepts=(False,))  # and none
    yield draw(1, 1)
    yield draw(2, 1)  # a vocabulary of one token


def _with_equal_ones(generator):
    """Logits of which the highest comes twice or more in most places, (5, 2, 4), one row of either place all equal."""
    first = torch.tensor(((0, 1, 1, 0), (0, 1, 1, 0), (0, 0, 0, 0), (1, 0, 0, 1), (0, 0, 1, 1)))
    second = torch.tensor(((1, 0, 1, 0), (0, 0, 1, 1), (0, 1, 0, 1), (0, 1, 1, 0), (0, 0, 0, 0)))
    lower = torch.randint(1, 9, (5, 2, 1), generator=generator)
    lower[0] = 0  # there the highest logit is 1, as the draft is
    return (torch.stack((first, second), dim=1) - lower).float()


def _undecided(logits):
    """Whether the highest logit comes twice somewhere: that is judged by a property of its own."""
    return bool(((logits == logits.amax(dim=-1, keepdim=True)).sum(dim=-1) > 1).any())


def _right_drafts(function, logits, draft):
    if _undecided(logits):
        return
    says = logits.argmax(dim=-1)
    accepted, after = function(logits, says[:, 0].clone())
    if not accepted.all():
        raise Wrong(
            "With drafts that are what the model says at the first place, each must be accepted.",
            mistake="a right draft rejected",
        )
    if not close(after, says[:, 1]):
        raise Wrong(
            f"With drafts that are all accepted, the next tokens are those that the model says after them, at the "
            f"second place: {says[:, 1].tolist()}, and yours are {after.tolist()}.",
            mistake="wrong token after an accepted draft",
        )


def _wrong_drafts(function, logits, draft):
    V = logits.shape[-1]
    if V == 1 or _undecided(logits):
        return
    says = logits.argmax(dim=-1)
    for more in {1, V - 1}:
        accepted, after = function(logits, (says[:, 0] + more) % V)
        if accepted.any():
            raise Wrong(
                "With drafts that are *not* what the model says at the first place, none may be accepted.",
                mistake="a wrong draft accepted",
            )
        if not close(after, says[:, 0]):
            raise Wrong(
                f"With drafts that are all rejected, the next tokens are those that belong in their place, from the "
                f"first place: {says[:, 0].tolist()}, and yours are {after.tolist()}.",
                mistake="wrong token in place of a rejected draft",
            )


def _only_the_choice(function, logits, draft):
    scale = torch.tensor((8, 1 / 8), dtype=logits.dtype)[:, None]
    for scales in scale, scale.flip(0):
        if not _same(function(scales * logits, draft), function(logits, draft)):
            raise Wrong(
                "With the logits of one place 8 times as large, and those of the other an eighth, another result comes "
                "out. Only *which* token the model says counts, not how surely.",
                mistake="depends on how sure the model is",
            )


def _first_of_equals(function, logits, draft):
    B, _, V = logits.shape
    accepted, after = function(torch.zeros_like(logits), torch.zeros(B, dtype=torch.int64))
    if not accepted.all() or after.any():
        raise Wrong(
            "Where all logits are equal, the model says the first token, 0: `argmax` takes it, as decoding without "
            "drafts does; `topk` and `sort` promise nothing.",
            mistake="not the first of equals",
        )
    if V > 1 and function(torch.zeros_like(logits), torch.full((B,), V - 1))[0].any():
        raise Wrong(
            "Where all logits are equal, the model says the first token, 0, and no other: a draft of another one must "
            "be rejected, or the text would not be that without drafts.",
            mistake="all of equals accepted",
        )


def _rows_apart(function, logits, draft):
    alone = [function(logits[b : b + 1], draft[b : b + 1]) for b in range(len(draft))]
    if not _same(function(logits, draft), [torch.cat(results) for results in zip(*alone, strict=True)]):
        raise Wrong(
            "A row alone gives another result than the same row in a batch: each is a text of its own.",
            mistake="rows not taken apart",
        )


def _same(results, others):
    return all(close(*pair) for pair in zip(results, others, strict=True))


EXERCISE = Exercise(
    reference=verify_greedy,
    cases=_cases_of_verify_greedy,
    properties=(
        Property("a right draft is accepted, and the token after it is next", _right_drafts),
        Property("a wrong draft is rejected, and the next token replaces it", _wrong_drafts),
        Property("only what the model says counts, not how surely", _only_the_choice),
        Property("of equal logits the first is chosen", _first_of_equals),
        Property("each row is taken by itself", _rows_apart),
        Property("agrees with the library", agrees_with(verify_greedy)),
    ),
    mistakes=MISTAKES,
    hints=(
        "What would the model have written without the draft? Its logits at the first place, that of the last token, "
        "say so. And what the logits at the second place say is worth something only if the draft is right.",
        "`argmax(dim=-1)` is what the model says at both places, (B, 2). Compare one of its columns with the draft. "
        "`torch.where(condition, a, b)` takes from a where the condition holds, else from b.",
        "Three lines. The tokens of both places, (B, 2), int64. Where those of the first place equal the draft, (B,), "
        "bool. And this mask together with the choice by it, of two columns, each (B,).",
    ),
    difficulty=1,
    minutes=8,
)
