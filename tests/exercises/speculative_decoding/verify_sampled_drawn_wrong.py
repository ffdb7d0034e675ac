"""Wrong answers to `verify_sampled`: what the next token is drawn from."""

import torch
from exercises.answers import Answers

from mini_moe.course.exercises.speculative_decoding.verify_sampled import EXERCISE
from mini_moe.speculative import residual

ANSWERS = Answers(EXERCISE)
wrong = ANSWERS.wrong


def learner_draws(
    stays=lambda p, q, draft: p[:, 1],
    goes=lambda p, q, draft: residual(p[:, 0], q),
    join=lambda accepted, stays, goes: torch.where(accepted[:, None], stays, goes),
):
    """A learner's function, with one of the two distributions, or the choice between them, made otherwise."""

    def verify_sampled(p_B2V, q_BV, draft_B, chance_B):
        at = draft_B.unsqueeze(-1)
        ratio_B = (p_B2V[:, 0].gather(-1, at) / q_BV.gather(-1, at)).squeeze(-1)
        accepted = chance_B < ratio_B
        return accepted, join(accepted, stays(p_B2V, q_BV, draft_B), goes(p_B2V, q_BV, draft_B))

    return verify_sampled


def shared_out(x):
    return x / x.sum(dim=-1, keepdim=True)


def without_draft(p, q, draft):
    rest = p[:, 0].clone()
    rest[torch.arange(len(draft)), draft] = 0
    return rest


for mistake, how, goes in (
    ("second place where the draft goes", "", lambda p, q, draft: p[:, 1]),
    ("second place where the draft goes", "its residual", lambda p, q, draft: residual(p[:, 1], q)),
    ("p where the draft goes", "", lambda p, q, draft: p[:, 0]),
    ("q where the draft goes", "", lambda p, q, draft: q),
    ("residual of q", "", lambda p, q, draft: residual(q, p[:, 0])),
    ("only the draft taken out", "not divided by the sum", without_draft),
    ("residual not cut at 0", "absolute", lambda p, q, draft: shared_out((p[:, 0] - q).abs() + 1e-12)),
    ("residual not cut at 0", "negative", lambda p, q, draft: p[:, 0] - q),
    ("residual not cut at 0", "by softmax", lambda p, q, draft: torch.softmax(p[:, 0] - q, -1)),
    ("residual does not add up to 1", "", lambda p, q, draft: torch.relu(p[:, 0] - q)),
    ("residual by softmax", "", lambda p, q, draft: torch.relu(p[:, 0] - q).softmax(-1)),
):
    wrong(mistake, how)(learner_draws(goes=goes))

for mistake, how, stays in (
    ("residual where the draft stays", "", lambda p, q, draft: residual(p[:, 0], q)),
    ("residual where the draft stays", "of the second place", lambda p, q, draft: residual(p[:, 1], q)),
    ("first place where the draft stays", "", lambda p, q, draft: p[:, 0]),
):
    wrong(mistake, how)(learner_draws(stays=stays))

wrong("p where the draft goes", "and where it stays")(
    learner_draws(lambda p, q, draft: p[:, 0], lambda p, q, draft: p[:, 0])
)
wrong("residual where the draft stays", "both of the second place")(
    learner_draws(lambda p, q, draft: residual(p[:, 1], q), lambda p, q, draft: residual(p[:, 1], q))
)
wrong("verdict and distribution do not fit")(
    learner_draws(join=lambda accepted, stays, goes: torch.where(accepted[:, None], goes, stays))
)
wrong("verdict and distribution do not fit", "the verdict alone turned round")(
    lambda *case: (lambda accepted, following: (~accepted, following))(*learner_draws()(*case))
)
wrong("wrong shape", "a token drawn")(
    learner_draws(
        join=lambda accepted, stays, goes: torch.where(accepted[:, None], stays, goes).multinomial(1).squeeze(1)
    )
)
wrong("wrong shape", "the two results exchanged")(lambda *case: learner_draws()(*case)[::-1])
wrong("returns None")(lambda *case: None)
wrong("wrong type", "the distribution alone")(lambda *case: learner_draws()(*case)[1])
wrong("wrong dtype", "in float32")(lambda *case: (lambda one, two: (one, two.float()))(*learner_draws()(*case)))
wrong("NaN or inf", "zero times zero divided by zero")(
    learner_draws(
        goes=lambda p, q, draft: shared_out(torch.relu(p[:, 0] - q)),
        join=lambda accepted, stays, goes: accepted[:, None] * stays + ~accepted[:, None] * goes,
    )
)
wrong("one row for all", "the first row's distribution")(lambda p, *rest: learner_draws()(p[:1].expand_as(p), *rest))


@wrong("only the draft taken out")
def _(p_B2V, q_BV, draft_B, chance_B):
    function = learner_draws(
        goes=lambda p, q, draft: without_draft(p, q, draft).div(1e-12 + 1 - p[range(len(draft)), 0, draft][:, None])
    )
    return function(p_B2V, q_BV, draft_B, chance_B)


@wrong("changes its input")
def _(p_B2V, q_BV, draft_B, chance_B):
    def left_over(p, q, draft):
        left = p[:, 0].clone()
        q.neg_().add_(left).clamp_(min=0)
        return q / q.sum(dim=-1, keepdim=True).clamp(min=1e-12)

    return learner_draws(goes=left_over)(p_B2V, q_BV, draft_B, chance_B)
