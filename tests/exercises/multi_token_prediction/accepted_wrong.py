"""Wrong answers to `accepted`, as learners write them."""

import torch
import torch.nn.functional as F
from exercises.answers import Answers

from mini_moe.course.exercises.multi_token_prediction.accepted import EXERCISE

ANSWERS = Answers(EXERCISE)
wrong = ANSWERS.wrong


@wrong("compared at the same position", "all positions")
def _(logits, draft_logits):
    return logits.argmax(-1) == draft_logits.argmax(-1)


@wrong("compared at the same position", "but the last")
def _(logits, draft_logits):
    return (logits.argmax(-1) == draft_logits.argmax(-1))[:, :-1]


@wrong("compared at the same position", "but the first")
def _(logits, draft_logits):
    return logits[:, 1:].argmax(-1) == draft_logits[:, 1:].argmax(-1)


@wrong("module a position later")
def _(logits, draft_logits):
    return logits[:, :-1].argmax(-1) == draft_logits[:, 1:].argmax(-1)


@wrong("model two positions later", "i + 2, as the token")
def _(logits, draft_logits):
    choice, guess = logits.argmax(-1), draft_logits.argmax(-1)
    return choice[:, 2:] == guess[:, :-2]


@wrong("wrapped around", "roll")
def _(logits, draft_logits):
    return logits.argmax(-1).roll(-1, dims=1) == draft_logits.argmax(-1)


@wrong("wrapped around", "the guesses rolled")
def _(logits, draft_logits):
    return logits.argmax(-1) == torch.roll(draft_logits.argmax(-1), 1, dims=1)


@wrong("T positions", "False at the end")
def _(logits, draft_logits):
    same = torch.zeros(logits.shape[:2], dtype=torch.bool)
    same[:, :-1] = logits[:, 1:].argmax(-1) == draft_logits[:, :-1].argmax(-1)
    return same


@wrong("T positions", "False in front, where the token stands that was guessed")
def _(logits, draft_logits):
    same = logits[:, 1:].argmax(-1) == draft_logits[:, :-1].argmax(-1)
    return F.pad(same, (1, 0))


@wrong("a rate in place of a mask", "of all")
def _(logits, draft_logits):
    return (logits[:, 1:].argmax(-1) == draft_logits[:, :-1].argmax(-1)).float().mean()


@wrong("a rate in place of a mask", "of each text")
def _(logits, draft_logits):
    return (logits[:, 1:].argmax(-1) == draft_logits[:, :-1].argmax(-1)).float().mean(-1)


@wrong("a rate in place of a mask", "how many")
def _(logits, draft_logits):
    return torch.eq(logits[:, 1:].argmax(-1), draft_logits[:, :-1].argmax(-1)).sum()


@wrong("a rate in place of a mask", "torch.equal of each text")
def _(logits, draft_logits):
    pairs = zip(logits[:, 1:].argmax(-1), draft_logits[:, :-1].argmax(-1), strict=True)
    return torch.tensor([torch.equal(*pair) for pair in pairs])


@wrong("wrong type", "torch.equal")
def _(logits, draft_logits):
    return torch.equal(logits[:, 1:].argmax(-1), draft_logits[:, :-1].argmax(-1))


@wrong("wrong dtype", "0.0 and 1.0")
def _(logits, draft_logits):
    return (logits[:, 1:].argmax(-1) == draft_logits[:, :-1].argmax(-1)).float()


@wrong("wrong dtype", "0 and 1")
def _(logits, draft_logits):
    return (logits[:, 1:].argmax(-1) == draft_logits[:, :-1].argmax(-1)).long()


@wrong("rejected in place of accepted")
def _(logits, draft_logits):
    return logits[:, 1:].argmax(-1) != draft_logits[:, :-1].argmax(-1)


@wrong("rejected in place of accepted", "a difference as a truth value")
def _(logits, draft_logits):
    return (logits[:, 1:].argmax(-1) - draft_logits[:, :-1].argmax(-1)).bool()


@wrong("all or nothing")
def _(logits, draft_logits):
    same = logits[:, 1:].argmax(-1) == draft_logits[:, :-1].argmax(-1)
    return same.all(1)[:, None].repeat(1, same.shape[1])


@wrong("near logits not told apart", "bfloat16")
def _(logits, draft_logits):
    return logits[:, 1:].bfloat16().argmax(-1) == draft_logits[:, :-1].bfloat16().argmax(-1)


@wrong("near logits not told apart", "a tolerance")
def _(logits, draft_logits):
    choice, guess = (
        (x > x.amax(-1, keepdim=True) - 5e-3).int().argmax(-1) for x in (logits[:, 1:].float(), draft_logits[:, :-1])
    )
    return choice == guess


@wrong("always the same verdict", "all")
def _(logits, draft_logits):
    return torch.ones(logits.shape[0], logits.shape[1] - 1, dtype=torch.bool)


@wrong("only sure drafts", "of the module")
def _(logits, draft_logits):
    sure, guess = draft_logits[:, :-1].float().softmax(-1).max(-1)
    return (guess == logits[:, 1:].argmax(-1)) & (sure > 0.5)


@wrong("all drafts before accepted, too")
def _(logits, draft_logits):
    same = logits[:, 1:].argmax(-1) == draft_logits[:, :-1].argmax(-1)
    return same.int().cumprod(-1) == 1


@wrong("among the best", "the model's two")
def _(logits, draft_logits):
    best = logits[:, 1:].topk(min(2, logits.shape[-1])).indices
    return (best == draft_logits[:, :-1].argmax(-1, keepdim=True)).any(-1)


@wrong("among the best", "the module's three")
def _(logits, draft_logits):
    best = draft_logits[:, :-1].topk(min(3, logits.shape[-1])).indices
    return (best == logits[:, 1:].argmax(-1, keepdim=True)).any(-1)


@wrong("raises RuntimeError", "five best of three")
def _(logits, draft_logits):
    best = logits[:, 1:].topk(5).indices
    return (best == draft_logits[:, :-1].argmax(-1, keepdim=True)).any(-1)


@wrong("all of equals accepted")
def _(logits, draft_logits):
    guess = draft_logits[:, :-1].argmax(-1, keepdim=True)
    return logits[:, 1:].gather(-1, guess).squeeze(-1) >= logits[:, 1:].amax(-1)


@wrong("all of equals accepted", "masks of the highest")
def _(logits, draft_logits):
    highest = [x == x.max(-1, keepdim=True).values for x in (logits[:, 1:], draft_logits[:, :-1])]
    return torch.logical_and(*highest).any(-1)


@wrong("not the first of equals", "topk")
def _(logits, draft_logits):
    return (logits[:, 1:].topk(1).indices == draft_logits[:, :-1].topk(1).indices).squeeze(-1)


@wrong("last of equals", "argsort")
def _(logits, draft_logits):
    choice = logits[:, 1:].argsort(dim=-1, stable=True)[..., -1]
    return choice == draft_logits[:, :-1].argsort(dim=-1, stable=True)[..., -1]


@wrong("not the first of equals", "of the module the last")
def _(logits, draft_logits):
    V = logits.shape[-1]
    return logits[:, 1:].argmax(-1) == V - 1 - draft_logits[:, :-1].flip(-1).argmax(-1)


@wrong("the least likely compared", "as if these were losses")
def _(logits, draft_logits):
    return (-logits[:, 1:]).argmax(-1) == (-draft_logits[:, :-1]).argmax(-1)


@wrong("chosen over the positions")
def _(logits, draft_logits):
    return logits[:, 1:].argmax(1) == draft_logits[:, :-1].argmax(1)


@wrong("highest values compared", "max")
def _(logits, draft_logits):
    return logits[:, 1:].max(-1)[0] == draft_logits[:, :-1].max(-1)[0]


@wrong("highest values compared", "of probabilities")
def _(logits, draft_logits):
    return logits[:, 1:].float().softmax(-1).max(-1).values == draft_logits[:, :-1].float().softmax(-1).max(-1).values


@wrong("all logits compared")
def _(logits, draft_logits):
    return (logits[:, 1:] == draft_logits[:, :-1]).all(-1)


@wrong("all logits compared", "nearly")
def _(logits, draft_logits):
    p, q = logits[:, 1:].softmax(-1), draft_logits[:, :-1].softmax(-1)
    return ((p - q).abs() < 0.1).all(-1)


@wrong("rule of sampling", "p >= q")
def _(logits, draft_logits):
    guess = draft_logits[:, :-1].argmax(-1, keepdim=True)
    p, q = (x.float().softmax(-1).gather(-1, guess)[..., 0] for x in (logits[:, 1:], draft_logits[:, :-1]))
    return p >= q


@wrong("only sure drafts", "more likely than not to the model")
def _(logits, draft_logits):
    guess = draft_logits[:, :-1].argmax(-1, keepdim=True)
    return logits[:, 1:].float().softmax(-1).gather(-1, guess)[..., 0] > 0.5


@wrong("model compared with itself")
def _(logits, draft_logits):
    return logits[:, 1:].argmax(-1) == logits[:, :-1].argmax(-1)


@wrong("one text for all", "the first")
def _(logits, draft_logits):
    return logits[0, 1:].argmax(-1) == draft_logits[:, :-1].argmax(-1)


@wrong("wrong shape", "two positions left out")
def _(logits, draft_logits):
    return (logits[:, 1:].argmax(-1) == draft_logits[:, :-1].argmax(-1))[:, :-1]


@wrong("raises RuntimeError", "one position left out, of the model only")
def _(logits, draft_logits):
    return logits[:, 1:].argmax(-1) == draft_logits.argmax(-1)


@wrong("raises RuntimeError", "view")
def _(logits, draft_logits):
    B, T, V = logits.shape
    choice = logits.view(B * T, V).argmax(-1).view(B, T)
    guess = draft_logits.view(B * T, V).argmax(-1).view(B, T)
    return choice[:, 1:] == guess[:, :-1]


@wrong("changes its input")
def _(logits, draft_logits):
    draft_logits[:, 1:] = draft_logits[:, :-1].clone()
    return logits[:, 1:].argmax(-1) == draft_logits[:, 1:].argmax(-1)


@wrong("refuses a legal input", "another type")
def _(logits, draft_logits):
    if logits.dtype != draft_logits.dtype:
        raise TypeError("one type for both, please")
    return logits[:, 1:].argmax(-1) == draft_logits[:, :-1].argmax(-1)


@wrong("returns None")
def _(logits, draft_logits):
    same = logits[:, 1:].argmax(-1) == draft_logits[:, :-1].argmax(-1)
    same.sum()
