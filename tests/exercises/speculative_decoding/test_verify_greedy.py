"""Answers to `verify_greedy`: wrong ones as learners write them, right ones each in another way."""

import torch
import torch.nn.functional as F
from exercises.answers import Claims
from exercises.speculative_decoding import verify_greedy_wrong

ANSWERS = verify_greedy_wrong.ANSWERS
wrong, right = ANSWERS.wrong, ANSWERS.right


class TestVerifyGreedy(Claims):
    answers = ANSWERS


@wrong("places compared with each other")
def _(logits, draft):
    now, later = logits.argmax(-1).T
    return now == later, torch.where(now == later, later, now)


@wrong("all of equals accepted")
def _(logits, draft):
    at_draft = logits[:, 0].gather(1, draft[:, None])
    accepted = (at_draft >= logits[:, 0]).all(-1)
    return accepted, torch.where(accepted, logits[:, 1].argmax(-1), logits[:, 0].argmax(-1))


@wrong("last of equals")
def _(logits, draft):
    says = logits.argsort(dim=-1, stable=True)[..., -1]
    accepted = says[:, 0] == draft
    return accepted, torch.where(accepted, says[:, 1], says[:, 0])


@wrong("last of equals", "of the second place")
def _(logits, draft):
    first = logits[:, 0].argmax(-1)
    second = logits[:, 1].sort(dim=-1, stable=True).indices[:, -1]
    return first == draft, torch.where(first == draft, second, first)


@wrong("the least likely chosen")
def _(logits, draft):
    says = (-logits).argmax(-1)
    accepted = says[:, 0] == draft
    return accepted, torch.where(accepted, says[:, 1], says[:, 0])


@wrong("chosen over another axis", "the places")
def _(logits, draft):
    says = logits.argmax(1)
    if logits.shape[-1] == 1:
        says = says.expand(-1, 2)
    accepted = says[:, 0] == draft
    return accepted, torch.where(accepted, says[:, 1], says[:, 0])


@wrong("chosen over another axis", "the rows")
def _(logits, draft):
    first, second = logits.argmax(0).T[:2] if logits.shape[-1] > 1 else logits.argmax(0).expand(2, 2)
    accepted = first == draft
    return accepted, torch.where(accepted, second, first)


@wrong("summed up over the rows", "how many tokens each pass yields")
def _(logits, draft):
    says = logits.argmax(-1)
    accepted = says[:, 0] == draft
    return accepted + 1, torch.where(accepted, says[:, 1], says[:, 0])


@wrong("summed up over the rows", "a rate")
def _(logits, draft):
    says = logits.argmax(-1)
    accepted = says[:, 0] == draft
    return accepted.float().mean(), torch.where(accepted, says[:, 1], says[:, 0])


@wrong("results exchanged")
def _(logits, draft):
    says = logits.argmax(-1)
    accepted = says[:, 0] == draft
    return torch.where(accepted, says[:, 1], says[:, 0]), accepted


@wrong("wrong shape", "a column")
def _(logits, draft):
    says = logits.argmax(-1, keepdim=True)
    accepted = says[:, 0] == draft[:, None]
    return accepted, torch.where(accepted, says[:, 1], says[:, 0])


@wrong("wrong shape", "both tokens of each row")
def _(logits, draft):
    says = logits.argmax(-1)
    return says[:, 0] == draft, says


@wrong("wrong dtype", "0 and 1")
def _(logits, draft):
    says = logits.argmax(-1)
    accepted = (says[:, 0] == draft).long()
    return accepted, says.gather(1, accepted[:, None])[:, 0]


@wrong("wrong dtype", "tokens in 32 bits")
def _(logits, draft):
    says = logits.argmax(-1).int()
    accepted = says[:, 0] == draft
    return accepted, torch.where(accepted, says[:, 1], says[:, 0])


@wrong("wrong type", "lists")
def _(logits, draft):
    says = logits.argmax(-1)
    accepted = torch.equal(says[:, 0], draft)
    return accepted, says[:, 1] if accepted else says[:, 0]


@wrong("wrong number of results")
def _(logits, draft):
    first, second = logits.argmax(-1).unbind(1)
    return first == draft, first, second


@wrong("not the first of equals", "topk")
def _(logits, draft):
    says = logits.topk(1).indices[..., 0]
    accepted = says[:, 0] == draft
    return accepted, torch.where(accepted, says[:, 1], says[:, 0])


@wrong("another result the second time", "drawn")
def _(logits, draft):
    accepted = logits[:, 0].argmax(-1) == draft
    rows = logits[torch.arange(len(draft)), accepted.long()]
    return accepted, torch.multinomial(rows.softmax(-1), 1)[:, 0]


@wrong("changes its input")
def _(logits, draft):
    accepted = logits[:, 0].argmax(-1) == draft
    draft[:] = torch.where(accepted, logits[:, 1].argmax(-1), logits[:, 0].argmax(-1))
    return accepted, draft


@wrong("raises RuntimeError", "view")
def _(logits, draft):
    says = logits.view(-1, logits.shape[-1]).argmax(-1).view(-1, 2)
    return says[:, 0] == draft, torch.where(says[:, 0] == draft, says[:, 1], says[:, 0])


@wrong("returns None")
def _(logits, draft):
    says = logits.argmax(-1)
    torch.where(says[:, 0] == draft, says[:, 1], says[:, 0])


@right("places apart, and the mask as an index")
def _(logits, draft):
    accepted = torch.eq(draft, logits[:, 0].max(-1).indices)
    place = accepted.to(torch.int64)
    return accepted, logits[torch.arange(len(place)), place].argmax(-1)


@right("row by row")
def _(logits, draft):
    accepted, after = [], []
    for (first, second), guess in zip(logits, draft, strict=True):
        accepted.append(int(first.argmax()) == int(guess))
        after.append(int(second.argmax()) if accepted[-1] else int(first.argmax()))
    return torch.tensor(accepted), torch.tensor(after)


@right("written over a copy")
def _(logits, draft):
    after, second = logits.argmax(-1).unbind(1)
    after = after.clone()
    accepted = ~(after != draft)
    after[accepted] = second[accepted]
    return accepted, after


@right("one-hot, and a list as the pair")
def _(logits, draft):
    first, second = (F.one_hot(x.argmax(-1), logits.shape[-1]) for x in (logits[:, 0], logits[:, 1]))
    accepted = (first * F.one_hot(draft, logits.shape[-1])).sum(-1) == 1
    return [accepted, torch.where(accepted[:, None], second, first).nonzero()[:, 1]]


@right("log-probabilities in float64, by arithmetic")
def _(logits, draft):
    says = logits.double().log_softmax(-1).argsort(dim=-1, descending=True, stable=True)[..., 0]
    accepted = says[:, 0] - draft == 0
    return accepted, says[:, 0] + accepted * (says[:, 1] - says[:, 0])


@right("the same draft once more where it is rejected")
def _(logits, draft):
    says = logits.argmax(-1)
    accepted = says[:, 0] == draft
    return accepted, torch.where(accepted, says[:, -1], says[:, -2])
