"""Lesson 06, `mtp_loss`: the mistakes that people make with its targets, and in taking the mean."""

import torch

from mini_moe.course.checking.exercise import Mistake
from mini_moe.course.exercises.multi_token_prediction.mtp_loss_parts import by_position, lost, mean, nats, wide
from mini_moe.course.exercises.multi_token_prediction.shifted_targets_mistakes import moved, rolled, targets
from mini_moe.mtp import mtp_loss

_right = by_position(mtp_loss)


def _pairs(of_logits, of_tokens):
    """The mean over pairs of slices, each ``slice(x, ahead)``, for the mistakes."""

    def function(logits, tokens, depth=1, ids=None):
        p, t = of_logits(wide(logits), depth + 1), of_tokens(tokens.long(), depth + 1)
        n = min(p.shape[1], t.shape[1])
        return mean(nats(p[:, :n], t[:, :n]), torch.ones(len(t), n), depth)

    return function


def _times(factor):
    """``factor(B, T, V)`` times too much, for the mistakes."""
    return lambda logits, *rest: _right(logits, *rest) * factor(*logits.shape)


def _with_the_end(end):
    return targets(move=lambda tokens, ahead: moved(tokens, ahead, end))


def _last_repeated(tokens, ahead):
    return tokens[:, (torch.arange(tokens.shape[1]) + ahead).clamp(max=tokens.shape[1] - 1)]


def _late(x):
    return torch.cat((torch.zeros_like(x[:, :1]), x[:, :-1]), dim=1)


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
            "logits moved to the right",
            "The logits are moved to the right: at i stand those of i - 1, which are for the token before. Leave them "
            "where they are; only the tokens move.",
            (lambda x, *rest: _right(x.roll(1, dims=1), *rest), lambda x, *rest: _right(_late(x), *rest)),
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
            "sum over each text",
            "The costs of each text are added up, and only these sums averaged: divide by the number of targets, not "
            "of texts.",
            (lost(share=lambda each, there, depth: each.sum() / len(each)),),
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
            "something added to the number",
            "Something is added to the number of targets, so the mean is too small: where there is none, divide by 1, "
            "`clamp(min=1)`.",
            tuple(
                lost(share=lambda each, there, depth, more=more: each.sum() / (there.sum() + more))
                for more in (1, 0.1, 1e-2, 1e-3, 1e-4)
            ),
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
