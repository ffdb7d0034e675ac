"""Lesson 06, `mtp_loss`: what a prediction module's guesses cost."""

import math

import torch
import torch.nn.functional as F

from mini_moe.course.checking.diagnose import recognise
from mini_moe.course.checking.exercise import Exercise, Illegal, Property, Wrong, agrees_with, must_equal, refuses
from mini_moe.course.checking.observe import close
from mini_moe.course.exercises.multi_token_prediction import mtp_loss_cost_mistakes, mtp_loss_target_mistakes
from mini_moe.course.exercises.multi_token_prediction.mtp_loss_options import OPTIONS, cases_of_options
from mini_moe.course.exercises.multi_token_prediction.mtp_loss_parts import by_position
from mini_moe.course.exercises.multi_token_prediction.shared import backwards
from mini_moe.mtp import mtp_loss

# `mtp_loss` takes its options by keyword, and a case is a tuple of plain arguments. So cases leave the options out, and
# a property sets them, and knows the mistakes that only they can show.


def _cases_of_loss(generator):
    def draw(B, T, V, size=2.0):
        logits = size * torch.randn(B, T, V, generator=generator)
        first = torch.randint(0, V, (B, 1), generator=generator)
        return logits, (first + torch.randint(1, max(V, 2), (B, T), generator=generator).cumsum(dim=1)) % V

    yield draw(1, 3, 4)
    yield draw(2, 4, 3)
    yield (*map(backwards, draw(3, 6, 5)),)
    logits, tokens = draw(2, 5, 7)
    yield logits.bfloat16(), tokens
    logits, tokens = draw(3, 7, 4)
    yield logits.bfloat16(), tokens
    yield (*map(backwards, draw(2, 4, 6, size=100.0)),)
    logits, tokens = draw(3, 5, 4)
    yield logits, tokens.int()
    yield torch.zeros(2, 4, 5), tokens[:2, :4]  # it knows nothing
    yield draw(3, 2, 4)  # too short for a target,
    yield draw(2, 1, 3)  # and shorter still
    yield draw(2, 4, 1)  # a vocabulary of one token


def _in_float32(function, logits, tokens):
    for few in (logits.bfloat16(), logits.half()):
        loss = function(few, tokens)
        if loss.dtype != torch.float32 or not close(loss, function(few.float(), tokens)):
            raise Wrong(
                f"Logits in {few.dtype} have a loss of another type, or of another size, than the same numbers in "
                "float32: convert them first, and compute everything after that in float32.",
                mistake="fewer bits than float32",
            )


def _float64_stays(function, logits, tokens):
    wide = logits.double()
    loss = function(wide, tokens)
    if loss.dtype != torch.float64 or not close(loss, mtp_loss(wide, tokens)):
        raise Wrong(
            f"Logits in float64 have a loss of type {loss.dtype}, or with as few digits: float32 *at least* means that "
            "what is wider stays so. Convert only where the type is not float64.",
            mistake="float64 narrowed",
        )


def _knows_nothing(function, logits, tokens):
    V, T = logits.shape[-1], tokens.shape[1]
    loss = function(torch.zeros_like(logits), tokens)
    if T > 2:
        must_equal(
            loss,
            torch.full_like(loss, math.log(V)),
            f"With equal logits, each of {V} tokens has p = 1/{V}: each target costs ln {V} = {math.log(V):.4g} nats, "
            "and so does the mean. "
            f"Yours is {loss:.4g}.",
            "ln V not the cost of knowing nothing",
        )


def _knows_all(function, logits, tokens):
    V, T = logits.shape[-1], tokens.shape[1]
    if T <= 2:
        return
    sure = 100.0 * F.one_hot(tokens.long().roll(-2, dims=1), V).to(logits)
    loss = function(sure, tokens)
    if not abs(loss.item()) < 1e-4:
        raise Wrong(
            "A module of depth 1 that is certain of the token at i + 2 wherever there is one, and right, must cost "
            f"nothing, whatever it guesses where there is none. It costs {loss:.4g}.",
            mistake="certain and right costs something",
        )


def _no_target_no_effect(function, logits, tokens):
    other = logits.clone()
    other[:, -2:] = other[:, -2:].roll(1, dims=-1) * -2
    must_equal(
        function(other, tokens),
        function(logits, tokens),
        "At depth 1 the last two positions have no target, so their logits must have no effect.",
        "positions without a target count",
    )


def _only_differences(function, logits, tokens):
    up = torch.arange(logits.shape[1]).to(logits)[:, None]
    logits = logits.round()  # so that the sums are exact
    must_equal(
        function(logits + up, tokens),
        function(logits, tokens),
        "The same number more for all logits of a position changes no probability, so the loss must stay.",
        "not a softmax over the vocabulary",
    )


def _mean_over_texts(function, logits, tokens):
    must_equal(
        function(torch.cat((logits, logits)), torch.cat((tokens, tokens))),
        function(logits, tokens),
        "The same texts twice must have the same loss: it is a mean over the targets.",
        "not a mean",
    )


def _nothing_to_predict(function, logits, tokens):
    loss = function(logits[:, :1], tokens[:, :1])
    must_equal(
        loss, torch.zeros_like(loss), "A text of one token has no target, so its loss must be 0.", "no target costs"
    )


def _obeys_options(function, logits, tokens):
    if len(tokens) > 1:  # they are the same for every case
        return
    cases = cases_of_options()
    plain, reference = by_position(function), by_position(mtp_loss)
    for case in cases:
        got, expected = plain(*case), reference(*case)
        if not close(got, expected):
            _, _, depth, ids = case
            given = f"`depth={depth}`" + ("" if ids is None else f", `document_ids_BT={ids.tolist()}`")
            known = recognise(OPTIONS, plain, cases)
            says = f"With {given} and random logits the loss is {got:.4g}, where {expected:.4g} is due."
            if known is None:
                raise Wrong(says, mistake="wrong with depth" if ids is None else "wrong with documents")
            raise Wrong(f"{known.says} {says}", mistake=known.name)
        agrees_with(reference)(plain, *case)


def _depth(depth):
    return lambda logits, tokens: Illegal((logits, tokens), "depth", depth, {"depth": depth})


def _ids_of(shape):
    def spoil(logits, tokens):
        given = shape(*tokens.shape)
        if given != tokens.shape:
            ids = torch.zeros(given, dtype=torch.int64)
            return Illegal((logits, tokens), "document_ids_BT.shape", given, {"document_ids_BT": ids})

    return spoil


_SHAPES = lambda B, T: (B, T + 1), lambda B, T: (B + 1, T), lambda B, T: (1, T), lambda B, T: (T,), lambda B, T: (B, 1)

EXERCISE = Exercise(
    reference=mtp_loss,
    cases=_cases_of_loss,
    properties=(
        Property("is computed in float32 at least", _in_float32),
        Property("to know nothing costs ln V", _knows_nothing),
        Property("to be certain and right costs nothing", _knows_all),
        Property("positions without a target do not count", _no_target_no_effect),
        Property("only differences of logits count", _only_differences),
        Property("the same texts twice cost the same", _mean_over_texts),
        Property("without any target it is 0", _nothing_to_predict),
        Property("agrees with the library, gradients too", agrees_with(mtp_loss)),
        Property("depth and documents decide what is a target", _obeys_options),
        Property("float64 stays float64", _float64_stays),
        Property("what `shifted_targets` refuses is refused", refuses(*map(_depth, (-1, -2)), *map(_ids_of, _SHAPES))),
    ),
    mistakes=(*mtp_loss_target_mistakes.MISTAKES, *mtp_loss_cost_mistakes.MISTAKES),
    hints=(
        "The targets are those of `shifted_targets`. What is left is one cross-entropy: the sum over the targets that "
        "exist, over their number. Mind that this number may be 0, and that logits may have 16 bits.",
        "`F.cross_entropy` wants (N, V) logits and (N,) targets, `flatten(0, 1)` and `flatten()`, and takes "
        "`ignore_index` and `reduction`. `.float()` for all but float64, and before it; `.clamp(min=1)` for the "
        "number.",
        "Targets, flat: (B T,). Logits, flat: (B T, V), and in float32 unless they are float64. Their cross-entropy, "
        "summed, without those that are IGNORE: one number. And that, over how many are not IGNORE, at least 1.",
    ),
    difficulty=2,
    minutes=15,
)
