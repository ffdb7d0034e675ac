"""Lesson 06, `mtp_loss`: the mistakes that people make, but for those that only an option shows."""

import math

import torch
import torch.nn.functional as F

from mini_moe.course.checking.exercise import Mistake
from mini_moe.course.exercises.multi_token_prediction.mtp_loss_parts import by_position, lost, mean, nats, wide
from mini_moe.course.exercises.multi_token_prediction.shifted_targets_mistakes import moved, rolled, targets
from mini_moe.data import IGNORE
from mini_moe.mtp import mtp_loss

_right = by_position(mtp_loss)


def _changed(change):
    """The right loss, changed at the end, for the mistakes."""
    return lambda *case: change(_right(*case))


def _with_logits(change):
    """The loss of ``change(logits)``, for the mistakes."""
    return lost(widen=lambda logits: change(wide(logits)))


def _pairs(of_logits, of_tokens):
    """The mean over pairs of slices, each ``slice(x, ahead)``, for the mistakes."""

    def function(logits, tokens, depth=1, ids=None):
        p, t = of_logits(wide(logits), depth + 1), of_tokens(tokens.long(), depth + 1)
        n = min(p.shape[1], t.shape[1])
        return mean(nats(p[:, :n], t[:, :n]), torch.ones(len(t), n), depth)

    return function


def _hits(logits, goal):
    return ((logits.argmax(dim=-1) == goal) & (goal != IGNORE)).to(logits)


def _probability(logits, goal):
    there = goal != IGNORE
    return logits.softmax(dim=-1).gather(-1, goal.where(there, 0)[..., None])[..., 0] * there


def _squares(logits, goal):
    there = goal != IGNORE
    wanted = F.one_hot(goal.where(there, 0), logits.shape[-1])
    return (logits.softmax(dim=-1) - wanted).square().sum(dim=-1) * there


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


def _times(factor):
    """``factor(B, T, V)`` times too much, for the mistakes."""
    return lambda logits, *rest: _right(logits, *rest) * factor(*logits.shape)


def _with_the_end(end):
    return targets(move=lambda tokens, ahead: moved(tokens, ahead, end))


def _last_repeated(tokens, ahead):
    return tokens[:, (torch.arange(tokens.shape[1]) + ahead).clamp(max=tokens.shape[1] - 1)]


MISTAKES = tuple(
    Mistake(name, says, function)
    for name, says, functions in (
        (
            "target of depth 0",
            "At position i it expects the token at i + 1, the model's own target. Where `depth` is left out it is 1, "
            "and the target is that at i + depth + 1.",
            (
                lost(target=targets(ahead=lambda depth: depth)),
                lost(target=targets(move=lambda tokens, ahead: rolled(tokens, ahead - 1))),
                _pairs(lambda x, ahead: x[:, : 1 - ahead], lambda x, ahead: x[:, ahead - 1 :]),
            ),
        ),
        (
            "target one too far",
            "At position i it expects the token at i + depth + 2: it is that at i + depth + 1.",
            (
                lost(target=targets(ahead=lambda depth: depth + 2)),
                lost(target=targets(move=lambda tokens, ahead: rolled(tokens, ahead + 1))),
            ),
        ),
        (
            "tokens not moved",
            "At position i it expects the token at i, which is read there: take the targets of `shifted_targets`.",
            (lost(target=targets(ahead=lambda depth: 0)),),
        ),
        (
            "wrapped around",
            "The last positions are to predict tokens from the beginning: `roll` brings back what it pushes out. They "
            "have no target.",
            (
                lost(target=targets(move=rolled)),
                lost(target=targets(move=lambda t, n: t.reshape(-1).roll(-n).view_as(t))),
            ),
        ),
        (
            "last token repeated",
            "The last positions are to predict the last token again: they have no target.",
            (lost(target=targets(move=_last_repeated)),),
        ),
        (
            "token 0 after the end",
            "The last positions are to predict token 0: they have no target, so put IGNORE there, and leave it out.",
            (lost(target=_with_the_end(0)),),
        ),
        (
            "logits moved the wrong way",
            "Logits and tokens are moved against each other the wrong way: the logits at i meet the token at "
            "i - depth - 1, which came before.",
            (
                lost(target=targets(ahead=lambda depth: -depth - 1)),
                lost(target=targets(move=lambda tokens, ahead: rolled(tokens, -ahead))),
            ),
        ),
        (
            "both moved",
            "Logits and tokens are both moved, so the logits at i meet the token at i: move the tokens only, and leave "
            "out the *last* logits.",
            (_pairs(lambda x, ahead: x[:, ahead:], lambda x, ahead: x[:, ahead:]),),
        ),
        (
            "logits moved by one, too",
            "The logits are moved by one, too, as for the next token: those at i meet the token at i + depth. Leave "
            "the logits where they are.",
            (
                _pairs(lambda x, ahead: x[:, 1:], lambda x, ahead: x[:, ahead:]),
                _pairs(lambda x, ahead: x[:, 1:-1], lambda x, ahead: x[:, ahead:]),
            ),
        ),
        (
            "mean over all positions",
            "It divides by the number of all positions, B T: those without a target cost nothing, but count. Divide by "
            "the number of targets.",
            (lost(share=lambda each, there, depth: each.mean()),),
        ),
        (
            "divided by B (T - 1)",
            "It divides by B (T - 1), the number of *next* tokens: at depth 1 there are fewer targets. Count those "
            "that are not IGNORE.",
            tuple(
                lost(share=lambda each, there, depth, least=least: each.sum() / max(each[:, 1:].numel(), least))
                for least in (1, 1e-9)
            ),
        ),
        (
            "sum in place of mean",
            "The costs are added up: divide by the number of targets, so that long texts and large batches weigh no "
            "more.",
            (lost(share=lambda each, there, depth: each.sum()),),
        ),
        (
            "mean of a row, sum over rows",
            "The costs are added up over the texts, or divided by too little: it is the mean over all targets, of all "
            "texts.",
            (_times(lambda B, T, V: B), lost(share=lambda each, there, depth: each.sum() / each.shape[1])),
        ),
        (
            "divided by the vocabulary",
            "It divides by the size of the vocabulary, too: the mean is over targets, and each has one cost.",
            (_times(lambda B, T, V: 1 / V),),
        ),
        (
            "one added to the number",
            "One is added to the number of targets, so the mean is too small: where there is none, divide by 1, "
            "`clamp(min=1)`.",
            (lost(share=lambda each, there, depth: each.sum() / (there.sum() + 1)),),
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
        (
            "only one text",
            "Only one text of the batch counts: the mean is over the targets of all.",
            tuple(lambda x, t, *rest, b=b: _right(x[b : b + 1 or None], t[b : b + 1 or None], *rest) for b in (0, -1)),
        ),
        (
            "only one target",
            "Only one target of each text counts: the mean is over all of them.",
            (
                lambda x, t, *rest: _right(x[:, :3], t[:, :3], *rest),
                lambda x, t, *rest: _right(x[:, -3:], t[:, -3:], *rest),
            ),
        ),
    )
    for function in functions
)


def _logs(logs, goal):
    """The entries of (B, T, V) at the targets, 0 where there is none."""
    there = goal != IGNORE
    return logs.gather(-1, goal.where(there, 0)[..., None])[..., 0] * there
