"""Lesson 06, `mtp_loss`: the mistakes that people make with what a target costs."""

import math

import torch
import torch.nn.functional as F

from mini_moe.course.checking.exercise import Mistake
from mini_moe.course.exercises.multi_token_prediction.mtp_loss_parts import by_position, lost, wide
from mini_moe.data import IGNORE
from mini_moe.mtp import mtp_loss

_right = by_position(mtp_loss)


def _changed(change):
    """The right loss, changed at the end, for the mistakes."""
    return lambda *case: change(_right(*case))


def _with_logits(change):
    """The loss of ``change(logits)``, for the mistakes."""
    return lost(widen=lambda logits: change(wide(logits)))


def _hits(logits, goal):
    return ((logits.argmax(dim=-1) == goal) & (goal != IGNORE)).to(logits)


def _probability(logits, goal):
    there = goal != IGNORE
    return logits.softmax(dim=-1).gather(-1, goal.where(there, 0)[..., None])[..., 0] * there


def _squares(logits, goal):
    there = goal != IGNORE
    wanted = F.one_hot(goal.where(there, 0), logits.shape[-1])
    return (logits.softmax(dim=-1) - wanted).square().sum(dim=-1) * there


def _binary(logits, goal):
    there = goal != IGNORE
    wanted = F.one_hot(goal.where(there, 0), logits.shape[-1]).to(logits)
    return F.binary_cross_entropy_with_logits(logits, wanted, reduction="none").sum(dim=-1) * there


def _logs(logs, goal):
    """The entries of (B, T, V) at the targets, 0 where there is none."""
    there = goal != IGNORE
    return logs.gather(-1, goal.where(there, 0)[..., None])[..., 0] * there


def _in_type(widen):
    """With a result in float32 at least, and logits of another type before, for the mistakes."""
    return lambda logits, *rest: lost(widen=widen)(logits, *rest).to(torch.promote_types(logits.dtype, torch.float32))


# The sum over all positions, of the type of the logits. How it is rounded depends on how they are laid out.
_NARROW = (
    lambda logits, goal: F.cross_entropy(logits.mT, goal, ignore_index=IGNORE, reduction="sum"),
    lambda logits, goal: F.cross_entropy(logits.flatten(0, 1), goal.flatten(), ignore_index=IGNORE, reduction="sum"),
)
# It is divided, then widened, or the other way round.
_SHARES = (
    lambda total, there, depth: (total / there.sum().clamp(min=1)).to(torch.promote_types(total.dtype, torch.float32)),
    lambda total, there, depth: total.to(torch.promote_types(total.dtype, torch.float32)) / there.sum().clamp(min=1),
)


MISTAKES = tuple(
    Mistake(name, says, function)
    for name, says, functions in (
        (
            "main loss added",
            "The loss of the model itself is added: what is wanted is that of the module alone. Training adds the two "
            "up elsewhere.",
            tuple(
                lambda *case, weight=weight: weight * _right(*case) + _right(*case[:2], 0, *case[3:])
                for weight in (1, 0.3)
            ),
        ),
        (
            "softmax before cross_entropy",
            "A softmax is taken twice: `cross_entropy` wants logits, and takes it itself.",
            (_with_logits(lambda x: x.softmax(dim=-1)), _with_logits(lambda x: x.sigmoid())),
        ),
        (
            "softmax over the positions",
            "The softmax runs over the positions: the tokens of the *vocabulary* compete, `dim=-1`.",
            (lost(cost=lambda x, goal: -_logs(x.log_softmax(dim=1), goal)),),
        ),
        (
            "bits in place of nats",
            "This is bits: the loss is in nats, with the natural logarithm.",
            (_changed(lambda loss: loss / math.log(2)),),
        ),
        (
            "perplexity",
            "This is the perplexity, the exponential of the loss: give the loss itself.",
            (_changed(torch.exp), _changed(lambda loss: 2**loss)),
        ),
        (
            "sign turned",
            "The sign is turned: training would then make the right token *less* likely. A cost is -ln p.",
            (_changed(torch.neg),),
        ),
        (
            "probability in place of its logarithm",
            "These are probabilities: the cost of a target is -ln p.",
            (
                lost(cost=_probability),
                lost(cost=lambda logits, goal: -_probability(logits, goal)),
                lost(cost=lambda logits, goal: (goal != IGNORE).to(logits) - _probability(logits, goal)),
            ),
        ),
        (
            "something added to the probability",
            "Something is added to the probability before the logarithm, or it is kept from being small: a target "
            "that seems impossible then costs too little. `cross_entropy` needs no such help.",
            tuple(
                lost(cost=lambda x, goal, kept=kept, e=e: -kept(_probability(x, goal), e).log() * (goal != IGNORE))
                for e in (1e-5, 1e-6, 1e-7, 1e-8, 1e-9, 1e-10, 1e-12)
                for kept in (lambda p, e: p + e, lambda p, e: p.clamp(min=e))
            ),
        ),
        (
            "each token of the vocabulary by itself",
            "This is the binary cross-entropy, which judges each token of the vocabulary by itself: here they compete, "
            "by one softmax.",
            (lost(cost=_binary), lost(cost=lambda x, goal: _binary(x, goal) / x.shape[-1])),
        ),
        (
            "vocabulary and positions mixed up",
            "The logits are reshaped where they should be transposed, and numbers of several positions become one "
            "softmax: lay out positions and targets alike, `flatten(0, 1)` and `flatten()`.",
            (_with_logits(lambda x: x.reshape(x.shape[0], x.shape[2], x.shape[1]).mT),),
        ),
        (
            "hits counted",
            "It counts how often `argmax` is right, or wrong: that has no gradient, and nothing would be learned from "
            "it. The cost of a target is -ln p.",
            (lost(cost=_hits), lost(cost=lambda logits, goal: (goal != IGNORE).to(logits) - _hits(logits, goal))),
        ),
        (
            "squared error",
            "It takes the squared error of the probabilities: the cost of a target is -ln p, the cross-entropy.",
            (lost(cost=_squares), lost(cost=lambda x, goal: _squares(x, goal) / x.shape[-1])),
        ),
        (
            "logit in place of probability",
            "It takes the logits of the targets themselves, without the softmax: -ln p is wanted, and p depends on all "
            "logits of the position.",
            (lost(cost=lambda x, goal: -_logs(x, goal)), lost(cost=lambda x, goal: _logs(x, goal))),
        ),
        (
            "lambda included",
            "The loss is multiplied by lambda: the weight of the module is given where the losses are added up.",
            (_changed(lambda loss: 0.3 * loss), _changed(lambda loss: 0.1 * loss)),
        ),
        (
            "computed in 16 bits",
            "Logits of 16 bits are not widened before the softmax, and digits get lost: convert them, `.float()`, "
            "first.",
            (
                _in_type(lambda logits: logits),
                lost(widen=lambda logits: logits.bfloat16().to(wide(logits))),
                lost(widen=lambda logits: logits.half().to(wide(logits))),
                *(lost(cost=cost, widen=lambda x: x, share=share) for cost in _NARROW for share in _SHARES),
            ),
        ),
        (
            "rounded",
            "The loss is rounded, which also takes its gradient away: round where you print.",
            tuple(_changed(lambda loss, digits=digits: loss.round(decimals=digits)) for digits in (1, 2, 3, 4)),
        ),
        (
            "labels smoothed",
            "The labels are smoothed: here the target has all of the probability, `label_smoothing=0`.",
            (lost(cost=lambda x, goal: F.cross_entropy(x.mT, goal, reduction="none", label_smoothing=0.1)),),
        ),
    )
    for function in functions
)
