"""Answers to `mtp_loss`: wrong ones as learners write them, right ones each in another way."""

import torch
import torch.nn.functional as F
from exercises.answers import Claims
from exercises.multi_token_prediction import mtp_loss_cost_wrong, mtp_loss_forms_wrong, mtp_loss_wrong
from exercises.multi_token_prediction.mtp_loss_parts import wide

from mini_moe.course.checking.diagnose import attempt
from mini_moe.course.checking.observe import same_outputs
from mini_moe.course.exercises.multi_token_prediction.mtp_loss_options import OPTIONS, cases_of_options
from mini_moe.data import IGNORE
from mini_moe.mtp import shifted_targets

ANSWERS = mtp_loss_wrong.ANSWERS + mtp_loss_cost_wrong.ANSWERS + mtp_loss_forms_wrong.ANSWERS
right = ANSWERS.right


class TestMtpLoss(Claims):
    answers = ANSWERS

    def test_no_two_mistakes_of_its_options_look_alike(self, exercise):
        seen = [("right", [attempt(OPTIONS.reference, case) for case in cases_of_options()])]
        for mistake in OPTIONS.mistakes:
            mine = [attempt(mistake.function, case) for case in cases_of_options()]
            assert None not in mine, mistake.name
            for name, other in seen:
                alike = all(same_outputs(*pair) for pair in zip(mine, other, strict=True))
                assert name == mistake.name or not alike, f"{mistake.name} and {name}"
            seen.append((mistake.name, mine))

    def test_each_mistake_of_its_options_is_made_and_has_a_name_of_its_own(self, exercise):
        names = {mistake.name for mistake in OPTIONS.mistakes}
        assert names <= {mistake for mistake, _, _ in self.answers.wrongs}
        assert names.isdisjoint(mistake.name for mistake in exercise.mistakes)

    def test_a_diagnosis_of_its_options_is_a_sentence_that_fits_a_card(self):
        for mistake in OPTIONS.mistakes:
            assert mistake.says.endswith(".") and mistake.says.count("`") % 2 == 0, mistake.says
            assert len(mistake.says) <= 240, mistake.says


@right("a mean, where there is a target")
def _(logits, tokens, *, depth=1, document_ids_BT=None):
    targets = shifted_targets(tokens, depth, document_ids_BT)
    if (targets == IGNORE).all():
        return wide(logits).sum() * 0
    return F.cross_entropy(wide(logits).flatten(0, 1), targets.flatten(), ignore_index=IGNORE)


@right("log_softmax, gathered")
def _(logits, tokens, *, depth=1, document_ids_BT=None):
    targets = shifted_targets(tokens, depth, document_ids_BT)
    there = targets != IGNORE
    logs = wide(logits).log_softmax(-1).gather(-1, targets.clamp(min=0).unsqueeze(-1)).squeeze(-1)
    return -(logs * there).sum() / max(int(there.sum()), 1)


@right("logsumexp, of those that count")
def _(logits, tokens, *, depth=1, document_ids_BT=None):
    targets = shifted_targets(tokens, depth, document_ids_BT)
    there = targets != IGNORE
    x, t = wide(logits)[there], targets[there]
    return (x.logsumexp(-1) - x[torch.arange(len(t)), t]).sum() / there.sum().clamp(min=1)


@right("with the vocabulary in the middle, log-probabilities as logits")
def _(logits, tokens, *, depth=1, document_ids_BT=None):
    targets = shifted_targets(tokens, depth, document_ids_BT)
    logs = torch.log_softmax(wide(logits), dim=-1).transpose(1, 2)
    each = F.cross_entropy(logs, targets, reduction="none")
    count = targets.ne(IGNORE).sum()
    return each.sum() / torch.where(count > 0, count, 1)


@right("in float64, with targets of its own")
def _(logits, tokens, *, depth=1, document_ids_BT=None):
    shifted_targets(tokens, depth, document_ids_BT)  # for its errors
    B, T = tokens.shape
    costs = []
    for b in range(B):
        for i in range(T - depth - 1):
            if document_ids_BT is None or document_ids_BT[b, i] == document_ids_BT[b, i + depth + 1]:
                costs.append(-logits[b, i].double().log_softmax(-1)[tokens[b, i + depth + 1]])
    return (torch.stack(costs).mean() if costs else torch.zeros((), dtype=torch.float64)).to(wide(logits).dtype)
