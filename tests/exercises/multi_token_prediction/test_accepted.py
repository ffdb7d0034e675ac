"""Answers to `accepted`: wrong ones as learners write them, right ones each in another way."""

import torch
import torch.nn.functional as F
from exercises.answers import Claims
from exercises.multi_token_prediction import accepted_wrong

ANSWERS = accepted_wrong.ANSWERS
right = ANSWERS.right


class TestAccepted(Claims):
    answers = ANSWERS


@right("chosen first, then moved")
def _(logits, draft_logits):
    return (logits.argmax(-1)[:, 1:] == draft_logits.argmax(-1)[:, :-1]).bool()


@right("max, from the end")
def _(logits, draft_logits):
    T = logits.shape[1]
    _, choice = logits.narrow(1, 1, T - 1).max(dim=-1)
    _, guess = draft_logits.narrow(1, 0, T - 1).max(dim=-1)
    return torch.eq(choice, guess)


@right("position by position")
def _(logits, draft_logits):
    B, T, _ = logits.shape
    same = torch.empty(B, T - 1, dtype=torch.bool)
    for i in range(T - 1):
        same[:, i] = draft_logits[:, i].argmax(-1) == logits[:, i + 1].argmax(-1)
    return same


@right("rolled, the end left out, with log-probabilities")
def _(logits, draft_logits):
    choice = logits.double().log_softmax(-1).argmax(-1).roll(-1, dims=1)
    return (choice == draft_logits.double().log_softmax(-1).argmax(-1))[:, :-1]


@right("one-hot rows")
def _(logits, draft_logits):
    V = logits.shape[-1]
    choice, guess = F.one_hot(logits.argmax(-1), V), F.one_hot(draft_logits.argmax(-1), V)
    return (choice[:, 1:] * guess[:, :-1]).sum(-1) > 0


@right("argsort, stable and falling")
def _(logits, draft_logits):
    choice, guess = (x.argsort(dim=-1, descending=True, stable=True)[..., 0] for x in (logits, draft_logits))
    return ~(choice[:, 1:] != guess[:, :-1])
