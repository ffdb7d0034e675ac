"""Lesson 06, `accepted`: where a draft is what the model itself would choose."""

import torch
import torch.nn.functional as F

from mini_moe.course.checking.exercise import Exercise, Property, Wrong, agrees_with, must_equal
from mini_moe.course.checking.observe import close
from mini_moe.course.exercises.multi_token_prediction.accepted_mistakes import MISTAKES
from mini_moe.course.exercises.multi_token_prediction.shared import backwards
from mini_moe.mtp import accepted


def _cases_of_accepted(generator):
    def draw(B, T, V):
        """Logits in which every second draft agrees, so that both happens."""
        logits, draft = (torch.randn(B, T, V, generator=generator).round(decimals=2) for _ in range(2))
        agrees = (torch.arange(B)[:, None] + torch.arange(T - 1)) % 2 == 0
        choice = logits[:, 1:].argmax(dim=-1)
        if V > 1:  # off where it would agree by chance
            guess = torch.where(agrees, choice, (choice + torch.randint(1, V, choice.shape, generator=generator)) % V)
            draft[:, :-1] += 4 * F.one_hot(guess, V)
        return logits, draft

    yield draw(1, 3, 2)
    yield draw(2, 4, 3)
    for logits, draft in (draw(3, 5, 6), draw(2, 7, 4), draw(2, 9, 12)):
        yield backwards(logits), backwards(draft)
    logits, draft = draw(2, 6, 5)
    yield 50 * logits - 1e3, (0.1 * draft - 5).bfloat16()  # one is surer than the other, and all are negative
    logits, draft = (torch.randint(0, 2, (3, 8, 4), generator=generator).float() for _ in range(2))  # many equal ones
    logits[0, 1:4] = torch.tensor(((0, 1, 1, 0), (0, 0, 1, 0), (0, 1, 1, 0)))
    draft[0, :3] = torch.tensor(((0, 0, 1, 0), (0, 1, 1, 0), (1, 0, 1, 0)))
    logits[1, 1] = draft[1, 0] = torch.tensor((1, 0, 1, 0))
    yield logits, draft
    yield draw(2, 2, 3)
    yield draw(2, 1, 4)  # nothing to compare
    yield draw(1, 1, 1)
    yield draw(2, 3, 1)  # a vocabulary of one token


def _undecided(logits):
    """Whether the highest logit comes twice somewhere: that is judged by a property of its own."""
    return bool(((logits == logits.amax(dim=-1, keepdim=True)).sum(dim=-1) > 1).any())


def _near_ones_told_apart(function, logits, draft):
    def right(low, high):
        """Whether it knows that of these two logits the second is the higher one, wherever it stands."""
        model, guess = torch.tensor([[[0.0, 0.0], [low, high]]]), torch.tensor([[[0.0, 1.0], [0.0, 0.0]]])
        turns = [(x, y) for x in (model, model.flip(-1)) for y in (guess, guess.flip(-1))]
        return all(close(function(*pair), accepted(*pair)) for pair in turns)

    if right(0.0, 10.0) and not right(10.0, 10.001):
        raise Wrong(
            "Of the model's logits 10 and 10.001 the second is higher, yet it is not taken for the choice, or not it "
            "alone: is something rounded to 16 bits, or near enough?",
            mistake="near logits not told apart",
        )


def _always_right(function, logits, draft):
    if _undecided(logits):
        return
    same = torch.cat((logits[:, 1:], logits[:, :1]), dim=1)
    if not function(logits, same).all():
        raise Wrong(
            "A module whose logits at i are the model's own at i + 1 is always right: each of its drafts must be "
            "accepted.",
            mistake="a right draft not accepted",
        )


def _always_wrong(function, logits, draft):
    V = logits.shape[-1]
    if V > 1 and not _undecided(logits):
        others = F.one_hot((logits.argmax(dim=-1) + 1) % V, V).to(draft.dtype).roll(-1, dims=1)
        if function(logits, others).any():
            raise Wrong(
                "A module that always guesses another token than the model chooses at i + 1 is always wrong: none of "
                "its drafts may be accepted.",
                mistake="a wrong draft accepted",
            )


def _only_the_choice(function, logits, draft):
    if not close(function(8 * logits, draft / 8), function(logits, draft)):
        raise Wrong(
            "With the model's logits 8 times as large, and the module's an eighth, another result comes out. Only "
            "*which* token is chosen counts, not how surely.",
            mistake="depends on how sure they are",
        )


def _ends_have_no_partner(function, logits, draft):
    def other(x, place):
        changed = x.clone()
        changed[:, place] = -x[:, place]
        return changed

    must_equal(
        function(other(logits, 0), other(draft, -1)),
        function(logits, draft),
        "The model's logits at position 0 choose the token at 1, which no module guesses, and the module's last guess "
        "is of a token after the text: neither may have an effect.",
        "ends compared",
    )


def _first_of_equals(function, logits, draft):
    V = logits.shape[-1]
    for turned in (False, True):
        first = F.one_hot(torch.zeros(logits.shape[:2], dtype=torch.int64), V).float()
        pair = (first, torch.zeros_like(first)) if turned else (torch.zeros_like(first), first)
        if not function(*pair).all():
            raise Wrong(
                "Where all logits are equal, the token that is chosen is the first, 0, by the model as by the module: "
                "`argmax` takes it, as decoding does; `topk` and `sort` promise nothing.",
                mistake="not the first of equals",
            )


def _texts_apart(function, logits, draft):
    alone = [function(logits[b : b + 1], draft[b : b + 1]) for b in range(len(logits))]
    if not close(function(logits, draft), torch.cat(alone)):
        raise Wrong(
            "A text alone gives another result than the same text in a batch: each is taken by itself.",
            mistake="texts not taken apart",
        )


EXERCISE = Exercise(
    reference=accepted,
    cases=_cases_of_accepted,
    properties=(
        Property("near logits are told apart", _near_ones_told_apart),
        Property("a module that is always right is always accepted", _always_right),
        Property("one that is always wrong is never accepted", _always_wrong),
        Property("only the choice counts, not how sure it is", _only_the_choice),
        Property("of equal logits the first is chosen", _first_of_equals),
        Property("the ends, which have no partner, have no effect", _ends_have_no_partner),
        Property("each text is taken by itself", _texts_apart),
        Property("agrees with the library", agrees_with(accepted)),
    ),
    mistakes=MISTAKES,
    hints=(
        "Both have a favourite token at each position. Which two of these favourites are for the same token of the "
        "text? The module at i is for the token at i + 2; where is the model's for that one?",
        "`argmax(dim=-1)` is the token with the highest logit. The model's choice stands one position later than the "
        "guess of the module: leave out the model's first and the module's last.",
        "One line. The model's logits but the first, (B, T - 1, V), and the module's but the last, (B, T - 1, V); of "
        "each the token chosen, (B, T - 1); and whether they are equal.",
    ),
    difficulty=1,
    minutes=8,
)
