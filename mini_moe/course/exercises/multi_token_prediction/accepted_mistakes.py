"""Lesson 06, `accepted`: the mistakes that people make."""

import torch
import torch.nn.functional as F

from mini_moe.course.checking.exercise import Mistake
from mini_moe.mtp import accepted


def _later(x):
    return x[:, 1:]


def _but_the_last(x):
    return x[:, :-1]


def _two_later(x):
    return x[:, 2:]


def _whole(x):
    return x


def chosen(x):
    return x.argmax(dim=-1)


def compared(model=_later, draft=_but_the_last, choose=chosen, equal=torch.eq):
    """Whether choices agree, with one thing changed, for the mistakes.

    Args:
        model, draft: which positions, of the logits.
        choose: ``choose(logits)``.
        equal: ``equal(choice of the model, choice of the draft)``.
    """
    return lambda logits, draft_logits: equal(choose(model(logits)), choose(draft(draft_logits)))


def _with_logits(test):
    """With ``test(logits, draft_logits)`` of the right positions, for the mistakes."""
    return lambda logits, draft_logits: test(_later(logits), _but_the_last(draft_logits))


def _at(x, token):
    return x.gather(-1, token[..., None])[..., 0]


def _last_of_equals(x):
    return x.shape[-1] - 1 - x.flip(-1).argmax(dim=-1)


def _among(best, token, k):
    return (best.topk(min(k, best.shape[-1]), dim=-1).indices == token[..., None]).any(dim=-1)


def _same_order(one, other):
    return (one.argsort(dim=-1, stable=True) == other.argsort(dim=-1, stable=True)).all(dim=-1)


def _rates(mask):
    """What people make of a mask: a rate of all, of each text, of each position, and counts."""
    share = mask.float()
    return share.mean(), share.mean(dim=-1), share.mean(dim=0), mask.sum(), mask.sum(dim=-1), mask.all(), mask.all(-1)


def _filled(value):
    return lambda mask: F.pad(mask, (0, 1), value=value)


_AT_ONE_POSITION = ((_later, _later), (_but_the_last, _but_the_last), (_whole, _whole))

MISTAKES = tuple(
    Mistake(name, says, function)
    for name, says, functions in (
        (
            "compared at the same position",
            "Both are taken at position i, where the model chooses the token at i + 1 and the module guesses that at "
            "i + 2. The model chooses this one a position *later*, at i + 1.",
            tuple(compared(*places) for places in _AT_ONE_POSITION),
        ),
        (
            "module a position later",
            "The module is taken a position later than the model: it is the other way round. What the module guesses "
            "at i, the model chooses at i + 1.",
            (compared(_but_the_last, _later),),
        ),
        (
            "model two positions later",
            "The model is taken two positions later, where it chooses the token at i + 3. That at i + 2, which the "
            "module guesses at i, it chooses at i + 1.",
            (
                compared(_two_later, lambda x: x[:, :-2]),
                compared(lambda x: x.roll(-2, dims=1)[:, :-1]),
                compared(lambda x: F.pad(x, (0, 0, 0, 1))[:, 2:]),
            ),
        ),
        (
            "wrapped around",
            "The last guess of the module is compared with the model's first choice, which `roll` has brought round: "
            "it has no partner, and the result has T - 1 positions.",
            (compared(lambda x: x.roll(-1, dims=1), _whole), compared(_whole, lambda x: x.roll(1, dims=1))),
        ),
        (
            "T positions",
            "The result has T positions: the last guess is of a token after the text, which the model has not chosen "
            "yet. Leave it out.",
            tuple(
                lambda logits, draft, pad=pad: pad(accepted(logits, draft))
                for pad in (
                    _filled(False),
                    _filled(True),
                    lambda mask: F.pad(mask, (1, 0)),
                    lambda mask: F.pad(mask, (1, 0), value=True),
                )
            ),
        ),
        (
            "a rate in place of a mask",
            "This sums up: give True or False for each text and position, (B, T - 1). Whoever needs the rate takes "
            "the mean.",
            tuple(lambda logits, draft, i=i: _rates(accepted(logits, draft))[i] for i in range(7)),
        ),
        (
            "rejected in place of accepted",
            "It is True where the two differ: a draft is accepted where they are equal.",
            (compared(equal=torch.ne),),
        ),
        (
            "all or nothing",
            "A text's drafts are accepted together, or not at all: each position is a draft by itself.",
            (
                _with_logits(lambda p, q: (chosen(p) == chosen(q)).all(dim=-1, keepdim=True).expand(p.shape[:2])),
                _with_logits(lambda p, q: (chosen(p) == chosen(q)).any(dim=-1, keepdim=True).expand(p.shape[:2])),
            ),
        ),
        (
            "always the same verdict",
            "All drafts are accepted, or none, whatever the logits are: compare the tokens that the two choose.",
            tuple(lambda logits, draft, verdict=verdict: logits[:, 1:, 0] * 0 == verdict for verdict in (0, 1)),
        ),
        (
            "only sure drafts",
            "Of the right drafts only those count of which the module, or the model, is sure: how sure does not matter "
            "here, only which token is chosen.",
            tuple(
                _with_logits(
                    lambda p, q, least=least, i=i: (
                        (chosen(p) == chosen(q)) & ((p, q)[i].float().softmax(-1).amax(-1) > least)
                    )
                )
                for least in (0.5, 0.8, 0.9)
                for i in (0, 1)
            ),
        ),
        (
            "all drafts before accepted, too",
            "A draft counts only if all before it were accepted: here each position is a draft by itself, made from "
            "the text as it is.",
            (_with_logits(lambda p, q: (chosen(p) == chosen(q)).cumprod(dim=-1).bool()),),
        ),
        (
            "among the best",
            "It is enough to be among the best few: then text would be written that the model does not choose. Only "
            "its first choice counts.",
            tuple(
                _with_logits(lambda p, q, k=k, turn=turn: turn(p, q, k))
                for k in (2, 3, 5)
                for turn in (
                    lambda p, q, k: _among(p, chosen(q), k),
                    lambda p, q, k: _among(q, chosen(p), k),
                )
            ),
        ),
        (
            "all of equals accepted",
            "Where the model's highest logit comes twice, either token is accepted: the model writes only one, the "
            "first, which `argmax` takes. Compare the tokens.",
            (
                _with_logits(lambda p, q: _at(p, chosen(q)) == p.amax(dim=-1)),
                _with_logits(lambda p, q: _at(q, chosen(p)) == q.amax(dim=-1)),
                _with_logits(lambda p, q: ((p == p.amax(-1, True)) & (q == q.amax(-1, True))).any(dim=-1)),
            ),
        ),
        (
            "last of equals",
            "Of equal logits the last is chosen: `argmax` takes the first, and so does the model when it writes.",
            (compared(choose=_last_of_equals),),
        ),
        (
            "the least likely compared",
            "The tokens with the *lowest* logits are compared: the highest one is chosen, `argmax`.",
            (compared(choose=lambda x: x.argmin(dim=-1)),),
        ),
        (
            "chosen over the positions",
            "The highest logit is sought over the positions: a token is chosen over the vocabulary, `argmax(dim=-1)`.",
            (
                lambda logits, draft: _later(logits).argmax(dim=1) == _but_the_last(draft).argmax(dim=1),
                compared(choose=lambda x: x.argmax(dim=1), model=_whole, draft=_whole),
                compared(choose=lambda x: x.argmax(dim=0)),
            ),
        ),
        (
            "highest values compared",
            "The highest *values* are compared, logits or probabilities: two nets are never equally sure. Compare "
            "which token has it, `argmax`.",
            (
                compared(choose=lambda x: x.amax(dim=-1)),
                compared(choose=lambda x: x.float().softmax(dim=-1).amax(dim=-1)),
                compared(choose=lambda x: x.amax(dim=-1), equal=lambda a, b: (a - b).abs() < 1e-3),
            ),
        ),
        (
            "all logits compared",
            "Whole rows of logits or probabilities are compared: the module need not be as sure of everything. Compare "
            "the tokens that they choose, `argmax`.",
            (
                _with_logits(lambda p, q: (p == q).all(dim=-1)),
                _with_logits(lambda p, q: p == q),
                _with_logits(lambda p, q: (p.softmax(dim=-1) - q.softmax(dim=-1)).abs().amax(dim=-1) < 0.1),
                _with_logits(lambda p, q: (p.softmax(dim=-1) == q.softmax(dim=-1)).all(dim=-1)),
                _with_logits(_same_order),
            ),
        ),
        (
            "rule of sampling",
            "It asks how probable the draft is to the model, as one does for a text that is drawn. Here the model "
            "chooses its most likely token: compare the two tokens.",
            (
                _with_logits(
                    lambda p, q: _at(p.float().softmax(-1), chosen(q)) >= _at(q.float().softmax(-1), chosen(q))
                ),
                _with_logits(
                    lambda p, q: _at(p.float().softmax(-1), chosen(q)) > _at(q.float().softmax(-1), chosen(q))
                ),
            ),
        ),
        (
            "model compared with itself",
            "The model's choices are compared with its own of another position: of one of the two, the module's logits "
            "are to be taken.",
            (
                lambda logits, draft: chosen(_later(logits)) == chosen(_but_the_last(logits)),
                lambda logits, draft: chosen(_later(draft)) == chosen(_but_the_last(draft)),
            ),
        ),
        (
            "one text for all",
            "One text's choices are compared with those of every text: each is taken by itself.",
            (
                lambda logits, draft: accepted(logits, draft)[:1].expand(len(logits), -1),
                lambda logits, draft: accepted(logits[:1].expand_as(logits), draft),
            ),
        ),
    )
    for function in functions
)
