"""Wrong answers to `verify_greedy`, as learners write them."""

import torch
from exercises.answers import Answers

from mini_moe.course.exercises.speculative_decoding.verify_greedy import EXERCISE

ANSWERS = Answers(EXERCISE)
wrong = ANSWERS.wrong


@wrong("compared with the second place")
def _(logits, draft):
    accepted = logits[:, -1].argmax(-1) == draft
    return accepted, torch.where(accepted, logits[:, 1].argmax(-1), logits[:, 0].argmax(-1))


@wrong("places exchanged")
def _(logits, draft):
    draft_logits, last_logits = logits.unbind(dim=1)
    choice = last_logits.argmax(-1)
    return choice == draft, torch.where(choice == draft, draft_logits.argmax(-1), choice)


@wrong("next token from the other place")
def _(logits, draft):
    says = logits.argmax(-1)
    accepted = draft == says[:, 0]
    return accepted, torch.where(accepted, *says.T)


@wrong("next token from the other place", "the mask as an index")
def _(logits, draft):
    says = logits.argmax(-1)
    accepted = draft == says[:, 0]
    return accepted, says[torch.arange(len(draft)), (~accepted).long()]


@wrong("always the first place")
def _(logits, draft):
    says = logits[:, 0].argmax(-1)
    return says == draft, says


@wrong("always the first place", "the draft where it is accepted")
def _(logits, draft):
    says = logits[:, 0].argmax(-1)
    accepted = says == draft
    return accepted, torch.where(accepted, draft, says)


@wrong("always the second place")
def _(logits, draft):
    return logits[:, 0].argmax(-1) == draft, logits[:, 1].argmax(-1)


@wrong("the draft as the next token")
def _(logits, draft):
    return logits[:, 0].argmax(-1) == draft, draft


@wrong("the rejected draft kept")
def _(logits, draft):
    accepted = logits[:, 0].argmax(-1) == draft
    return accepted, torch.where(accepted, logits[:, 1].argmax(-1), draft)


@wrong("nothing in place of a rejected draft", "0")
def _(logits, draft):
    accepted = logits[:, 0].argmax(-1) == draft
    return accepted, logits[:, 1].argmax(-1) * accepted


@wrong("nothing in place of a rejected draft", "-1")
def _(logits, draft):
    accepted = logits[:, 0].argmax(-1) == draft
    return accepted, logits[:, 1].argmax(-1).masked_fill(~accepted, -1)


@wrong("nothing after an accepted draft")
def _(logits, draft):
    choice = logits[:, 0].argmax(-1)
    accepted = choice == draft
    return accepted, choice.masked_fill(accepted, -1)


@wrong("rejected in place of accepted")
def _(logits, draft):
    first, second = logits.argmax(-1).unbind(1)
    rejected = first != draft
    return rejected, torch.where(rejected, first, second)


@wrong("rejected in place of accepted", "a difference as a truth value")
def _(logits, draft):
    first, second = logits.argmax(-1).unbind(1)
    same = (first - draft).bool()
    return same, torch.where(same, second, first)


@wrong("always the same verdict", "all accepted")
def _(logits, draft):
    return torch.ones_like(draft).bool(), logits[:, 1].argmax(-1)


@wrong("always the same verdict", "compared with itself")
def _(logits, draft):
    says = logits.argmax(-1)
    accepted = says[:, 0] == says[:, 0]
    return accepted, torch.where(says[:, 0] == draft, says[:, 1], says[:, 0])


@wrong("always the same verdict", "none accepted")
def _(logits, draft):
    accepted = torch.zeros(len(draft), dtype=torch.bool)
    return accepted, torch.where(accepted, logits[:, 1].argmax(-1), logits[:, 0].argmax(-1))


@wrong("among the best", "two")
def _(logits, draft):
    best = logits[:, 0].topk(min(2, logits.shape[-1])).indices
    accepted = (best == draft[:, None]).any(-1)
    return accepted, torch.where(accepted, logits[:, 1].argmax(-1), logits[:, 0].argmax(-1))


@wrong("among the best", "three, by rank")
def _(logits, draft):
    at = logits[:, 0].gather(1, draft[:, None])
    accepted = (logits[:, 0] > at).sum(-1) < 3
    return accepted, torch.where(accepted, logits[:, 1].argmax(-1), logits[:, 0].argmax(-1))


@wrong("among the best", "and the next token by its own comparison")
def _(logits, draft):
    best = logits[:, 0].topk(min(2, logits.shape[-1])).indices
    says = logits.argmax(-1)
    return (best == draft[:, None]).any(-1), torch.where(says[:, 0] == draft, says[:, 1], says[:, 0])


@wrong("looked for at both places", "any")
def _(logits, draft):
    says = logits.argmax(-1)
    accepted = (says[:, 0] == draft) | (says[:, 1] == draft)
    return accepted, torch.where(accepted, says[:, 1], says[:, 0])


@wrong("looked for at both places", "all")
def _(logits, draft):
    says = logits.argmax(-1)
    accepted = (says == draft[:, None]).all(-1)
    return accepted, torch.where(accepted, says[:, 1], says[:, 0])


@wrong("the second best in place of a rejected draft")
def _(logits, draft):
    order = logits.sort(dim=-1, descending=True, stable=True).indices
    accepted = order[:, 0, 0] == draft
    return accepted, torch.where(accepted, order[:, 1, 0], order[:, 0, min(1, order.shape[-1] - 1)])


@wrong("rounded to 16 bits")
def _(logits, draft):
    says = logits.to(torch.bfloat16).argmax(-1)
    accepted = says[:, 0] == draft
    return accepted, torch.where(accepted, says[:, 1], says[:, 0])


@wrong("exp of large numbers", "a softmax by hand")
def _(logits, draft):
    e = torch.exp(logits)
    says = (e / e.sum(-1, keepdim=True)).argmax(-1)
    accepted = says[:, 0] == draft
    return accepted, torch.where(accepted, says[:, 1], says[:, 0])


@wrong("values compared")
def _(logits, draft):
    accepted = logits[:, 0].amax(-1) == draft
    return accepted, torch.where(accepted, logits[:, 1].argmax(-1), logits[:, 0].argmax(-1))


@wrong("by a threshold", "more likely than not")
def _(logits, draft):
    p = logits[:, 0].softmax(-1)[torch.arange(len(draft)), draft]
    return p > 0.5, torch.where(p > 0.5, logits[:, 1].argmax(-1), logits[:, 0].argmax(-1))


@wrong("by a threshold", "a tenth")
def _(logits, draft):
    accepted = logits[:, 0].softmax(-1).gather(1, draft[:, None]).squeeze(1) >= 0.1
    return accepted, torch.where(accepted, logits[:, 1].argmax(-1), logits[:, 0].argmax(-1))


@wrong("by a threshold", "nine in ten")
def _(logits, draft):
    accepted = logits[:, 0].log_softmax(-1).gather(1, draft[:, None]).squeeze(1).exp() > 0.9
    return accepted, torch.where(accepted, logits[:, 1].argmax(-1), logits[:, 0].argmax(-1))


@wrong("nearly as likely")
def _(logits, draft):
    p = logits[:, 0].softmax(-1)
    accepted = p.gather(1, draft[:, None]).squeeze(1) > 0.3 * p.max(-1).values
    return accepted, torch.where(accepted, logits[:, 1].argmax(-1), logits[:, 0].argmax(-1))


@wrong("accepted if all are", "one value")
def _(logits, draft):
    says = logits.argmax(-1)
    accepted = (says[:, 0] == draft).all()
    return accepted, torch.where(accepted, says[:, 1], says[:, 0])


@wrong("accepted if all are", "if")
def _(logits, draft):
    says = logits.argmax(-1)
    if (says[:, 0] == draft).all():
        return torch.ones(len(draft), dtype=torch.bool), says[:, 1]
    return torch.zeros(len(draft), dtype=torch.bool), says[:, 0]


@wrong("accepted if all are", "the next token only")
def _(logits, draft):
    says = logits.argmax(-1)
    accepted = says[:, 0] == draft
    return accepted, says[:, 1] if accepted.all() else says[:, 0]


@wrong("accepted if any is")
def _(logits, draft):
    says = logits.argmax(-1)
    accepted = says[:, 0] == draft
    return accepted, says[:, 1] if accepted.any() else says[:, 0]


@wrong("the first row decides")
def _(logits, draft):
    says = logits.argmax(-1)
    accepted = says[:, 0] == draft
    return accepted, says[:, int(accepted[0])]


@wrong("all rows before accepted, too")
def _(logits, draft):
    says = logits.argmax(-1)
    accepted = (says[:, 0] == draft).long().cumprod(0) > 0
    return accepted, torch.where(accepted, says[:, 1], says[:, 0])


@wrong("the first row's logits for all")
def _(logits, draft):
    first, second = logits[0].argmax(-1)
    accepted = first == draft
    return accepted, torch.where(accepted, second, first)


@wrong("every draft with every row", "keepdim")
def _(logits, draft):
    says = logits[:, 0].argmax(-1, keepdim=True)
    accepted = says == draft
    return accepted, torch.where(accepted, logits[:, 1].argmax(-1), logits[:, 0].argmax(-1))


@wrong("every draft with every row", "keepdim everywhere")
def _(logits, draft):
    says = logits.argmax(-1, keepdim=True)
    accepted = says[:, 0] == draft
    return accepted, torch.where(accepted, says[:, 1], says[:, 0])
