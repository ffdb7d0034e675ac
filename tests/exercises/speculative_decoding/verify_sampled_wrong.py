"""Wrong answers to `verify_sampled`: which drafts stay."""

import torch
from exercises.answers import Answers

from mini_moe.course.exercises.speculative_decoding.verify_sampled import EXERCISE
from mini_moe.speculative import residual, verify_greedy

ANSWERS = Answers(EXERCISE)
wrong = ANSWERS.wrong


def learner_accepts(
    accept=lambda p, q, chance: chance < p / q,
    p_of=lambda p, q, draft, rows: p[rows, 0, draft],
    q_of=lambda p, q, draft, rows: q[rows, draft],
):
    """A learner's function, by the ratio and by row numbers, with one part of the decision made otherwise."""

    def verify_sampled(p_B2V, q_BV, draft_B, chance_B):
        rows = torch.arange(draft_B.shape[0])
        p_B, q_B = (of(p_B2V, q_BV, draft_B, rows) for of in (p_of, q_of))
        accepted = accept(p_B, q_B, chance_B)
        return accepted, torch.where(accepted[:, None], p_B2V[:, 1], residual(p_B2V[:, 0], q_BV))

    return verify_sampled


for mistake, how, accept in (
    ("stays where the chance is greater", "", lambda p, q, chance: chance > p / q),
    ("stays where the chance is greater", "or equal", lambda p, q, chance: chance >= p / q),
    ("chance turned round", "", lambda p, q, chance: chance > 1 - p / q),
    ("q / p", "", lambda p, q, chance: chance < q / p),
    ("q / p", "cut off at 1", lambda p, q, chance: chance < (q / p).clamp(max=1)),
    ("equality lets it stay", "", lambda p, q, chance: chance <= p / q),
    ("equality lets it stay", "of the ratio cut off at 1", lambda p, q, chance: chance <= (p / q).clamp(max=1)),
    ("equality lets it stay", "without a division", lambda p, q, chance: ~(chance * q > p)),
    ("q left out", "", lambda p, q, chance: chance < p),
    ("p left out", "", lambda p, q, chance: chance < q),
    ("less of p and q", "", lambda p, q, chance: chance < torch.min(p, q)),
    ("p q", "", lambda p, q, chance: chance < p * q),
    ("p - q", "", lambda p, q, chance: chance < p - q),
    ("p - q", "cut off at 0", lambda p, q, chance: chance < torch.relu(p - q)),
    ("p / (p + q)", "", lambda p, q, chance: chance < p / (p + q)),
    ("chance not used", "p at least q", lambda p, q, chance: p >= q),
    ("chance not used", "more than half as likely", lambda p, q, chance: p / q > 0.5),
    ("chance not used", "a likely token", lambda p, q, chance: p > 0.5),
    ("always the same verdict", "all stay", lambda p, q, chance: torch.ones_like(chance).bool()),
    ("always the same verdict", "none stays", lambda p, q, chance: torch.zeros_like(chance).bool()),
    ("one verdict for all", "all", lambda p, q, chance: (chance < p / q).all().expand_as(chance)),
    ("one verdict for all", "any", lambda p, q, chance: (chance < p / q).any().expand_as(chance)),
    ("one row for all", "the first chance", lambda p, q, chance: chance[0] < p / q),
    ("one row for all", "the last chance", lambda p, q, chance: chance[-1] < p / q),
    ("one row for all", "the first p", lambda p, q, chance: chance < p[0] / q),
    ("another result the second time", "", lambda p, q, chance: torch.rand(len(p)) < p / q),
):
    wrong(mistake, how)(learner_accepts(accept))

for mistake, how, p_of in (
    ("p of the second place", "", lambda p, q, draft, rows: p[rows, 1, draft]),
    ("p or q of another token", "the model's likeliest", lambda p, q, draft, rows: p[:, 0].max(dim=-1).values),
    ("p or q of another token", "q's likeliest", lambda p, q, draft, rows: p[rows, 0, q.argmax(-1)]),
    ("one row for all", "p of the first", lambda p, q, draft, rows: p[0, 0, draft]),
    ("one row for all", "the first draft, p only", lambda p, q, draft, rows: p[:, 0, draft[0]]),
):
    wrong(mistake, how)(learner_accepts(p_of=p_of))

for mistake, how, q_of in (
    ("p or q of another token", "q at its own likeliest", lambda p, q, draft, rows: q.amax(dim=-1)),
    ("p or q of another token", "q at the model's", lambda p, q, draft, rows: q[rows, p[:, 0].argmax(-1)]),
    ("one row for all", "q of the first", lambda p, q, draft, rows: q[0][draft]),
    ("one row for all", "the first draft, q only", lambda p, q, draft, rows: q[:, draft[0]]),
):
    wrong(mistake, how)(learner_accepts(q_of=q_of))


@wrong("only the likeliest stays")
def _(p_B2V, q_BV, draft_B, chance_B):
    accepted_B, _ = verify_greedy(p_B2V, draft_B)
    return accepted_B, torch.where(accepted_B[:, None], p_B2V[:, 1], residual(p_B2V[:, 0], q_BV))


@wrong("only the likeliest stays", "and of these as many as p / q says")
def _(p_B2V, q_BV, draft_B, chance_B):
    rows = torch.arange(len(draft_B))
    accepted_B, _ = verify_greedy(p_B2V, draft_B)
    accepted_B = accepted_B & (chance_B < p_B2V[rows, 0, draft_B] / q_BV[rows, draft_B])
    return accepted_B, torch.where(accepted_B[:, None], p_B2V[:, 1], residual(p_B2V[:, 0], q_BV))


@wrong("wrong dtype", "the verdict a number")
def _(p_B2V, q_BV, draft_B, chance_B):
    accepted_B, next_BV = learner_accepts()(p_B2V, q_BV, draft_B, chance_B)
    return accepted_B.to(p_B2V.dtype), next_BV


@wrong("wrong shape", "all rows against all drafts")
def _(p_B2V, q_BV, draft_B, chance_B):
    accepted = chance_B < p_B2V[:, 0][:, draft_B] / q_BV[:, draft_B]
    return accepted, torch.where(accepted[..., None], p_B2V[:, 1], residual(p_B2V[:, 0], q_BV))


@wrong("wrong shape", "a column")
def _(p_B2V, q_BV, draft_B, chance_B):
    column = draft_B[:, None]
    accepted = chance_B[:, None] < p_B2V[:, 0].gather(1, column) / q_BV.gather(1, column)
    return accepted, torch.where(accepted, p_B2V[:, 1], residual(p_B2V[:, 0], q_BV))


@wrong("wrong shape", "the rows lost where there is one")
def _(p_B2V, q_BV, draft_B, chance_B):
    column = draft_B[:, None]
    p_B, q_B = p_B2V[:, 0].gather(1, column).squeeze(), q_BV.gather(1, column).squeeze()
    accepted = chance_B.squeeze() < p_B / q_B
    return accepted, torch.where(accepted.reshape(-1, 1), p_B2V[:, 1], residual(p_B2V[:, 0], q_BV))


@wrong("stays too often", "no less often than one in ten")
def _(p_B2V, q_BV, draft_B, chance_B):
    return learner_accepts(lambda p, q, chance: (chance < p / q) | ((chance < 0.1) & (p > 0)))(
        p_B2V, q_BV, draft_B, chance_B
    )


for how, function in (
    ("of both", lambda p, q, *rest: learner_accepts()(p.softmax(-1), q.softmax(-1), *rest)),
    ("of p", lambda p, *rest: learner_accepts()(p.softmax(-1), *rest)),
):
    wrong("a softmax of probabilities", how)(function)

wrong("a likely draft rejected", "only less likely ones tried")(
    learner_accepts(lambda p, q, chance: (p < q) & (chance < p / q))
)


# By a student who had not seen the checks.
wrong("small probabilities bounded", "q at least a thousandth")(
    learner_accepts(lambda p, q, c: c < p / q.clamp(min=1e-3))
)
wrong("small probabilities bounded", "something added to q")(learner_accepts(lambda p, q, c: c < p / (q + 1e-5)))
