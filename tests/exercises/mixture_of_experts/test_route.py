"""Answers to `route`: wrong ones as learners write them, right ones each in another way."""

import pytest
import torch
import torch.nn.functional as F
from exercises.answers import SEEDS, Claims, drawn
from exercises.mixture_of_experts import route_errors, route_options_wrong, route_wrong
from exercises.mixture_of_experts.route_parts import plain, refuse_illegal

from mini_moe.course.checking.examine import examine
from mini_moe.course.exercises.mixture_of_experts.route import same_under
from mini_moe.course.exercises.mixture_of_experts.route_options import OF_GROUPS, OF_NORMALIZE, OF_SCALE
from mini_moe.router import limit_to_groups

OPTIONS = (OF_NORMALIZE, OF_SCALE, OF_GROUPS)
ANSWERS = route_wrong.ANSWERS + route_options_wrong.ANSWERS + route_errors.ANSWERS
right = ANSWERS.right


class TestRoute(Claims):
    answers = ANSWERS

    @pytest.mark.parametrize("seed", SEEDS)
    @pytest.mark.parametrize("option", OPTIONS, ids=("normalize", "scale", "groups"))
    def test_each_mistake_with_an_option_is_made_and_looks_like_no_other(self, exercise, option, seed):
        cases = list(drawn(exercise, seed).cases(None))
        assert {mistake.name for mistake in option.mistakes} <= {name for name, _, _ in self.answers.wrongs}
        for i, mistake in enumerate(option.mistakes):
            others = [other.function for other in option.mistakes[:i] if other.name != mistake.name]
            for other in (exercise.reference, *others):
                assert not same_under(option.settings, mistake.function, other, cases), mistake.name
            assert mistake.says.endswith(".") and len(mistake.says) <= 240

    def test_a_right_route_is_not_blamed_for_its_limit_to_groups(self, exercise, monkeypatch):
        function, _ = self.answers.rights[0]
        monkeypatch.setitem(globals(), "limit_to_groups", lambda choice, n_group, topk_group: choice.clone())
        assert examine(drawn(exercise, 1), function).mistake == "limit_to_groups not finished"

    def test_a_sentence_tells_the_settings_that_the_printed_input_does_not(self, exercise):
        for mistake, settings in (("scale left out", "`scale=2.5`"), ("groups ignored", "`n_group=2, topk_group=1`")):
            outcome = examine(drawn(exercise, 1), self.answers.making(mistake))
            assert settings in outcome.says and outcome.got is None


@right("argsort, best last")
def _(scores_NE, bias_E, top_k, *, n_group=1, topk_group=1, normalize=True, scale=1.0):
    refuse_illegal(scores_NE, bias_E, top_k, n_group, topk_group)
    choice = limit_to_groups(scores_NE + bias_E, n_group, topk_group)
    experts = torch.argsort(choice, dim=1)[:, -top_k:]
    weights = scores_NE[torch.arange(len(scores_NE))[:, None], experts]
    if normalize:
        weights = weights / weights.sum(1).unsqueeze(1)
    return scale * weights, experts


@right("token by token")
def _(scores_NE, bias_E, top_k, *, n_group=1, topk_group=1, normalize=True, scale=1.0):
    refuse_illegal(scores_NE, bias_E, top_k, n_group, topk_group)
    choice = limit_to_groups(scores_NE + bias_E, n_group, topk_group)
    weights, experts = [], []
    for s, c in zip(scores_NE, choice.tolist(), strict=True):
        best = sorted(range(len(c)), key=lambda e: c[e], reverse=True)[:top_k]
        g = torch.stack([s[e] for e in best])
        weights.append(scale * (g / g.sum() if normalize else g))
        experts.append(torch.tensor(best))
    return torch.stack(weights), torch.stack(experts)


@right("the bias taken off again, float64 inside")
def _(scores_NE, bias_E, top_k, *, n_group=1, topk_group=1, normalize=True, scale=1.0):
    refuse_illegal(scores_NE, bias_E, top_k, n_group, topk_group)
    values, experts = limit_to_groups(scores_NE.double() + bias_E.double(), n_group, topk_group).topk(top_k)
    weights = values - bias_E.double()[experts]
    if normalize:
        weights = F.normalize(weights, p=1, dim=-1)
    return (weights * scale).to(scores_NE.dtype), experts


@right("by number, the conditions in one line")
def _(scores_NE, bias_E, top_k, *, n_group=1, topk_group=1, normalize=True, scale=1.0):
    E = scores_NE.size(1)
    if bias_E.size() != (E,) or n_group < 1 or E % n_group or not 0 < topk_group <= n_group:
        raise ValueError(f"{E=}, {tuple(bias_E.size())}, {n_group=} and {topk_group=} do not go together")
    if not 0 < top_k <= E * topk_group / n_group:
        raise ValueError(f"too many or too few: {top_k}")
    with torch.no_grad():
        experts = limit_to_groups(scores_NE + bias_E, n_group, topk_group).topk(top_k, sorted=False).indices
        chosen = torch.zeros_like(scores_NE).scatter(1, experts.sort(dim=1).values, 1.0)
    weights = (scores_NE * chosen)[chosen.bool()].view(-1, top_k)
    return (weights / weights.sum(1, keepdim=True) if normalize else weights) * scale, experts.sort(dim=1).values


@right("a tiny number added against 0 / 0")
def _(scores_NE, bias_E, top_k, *, n_group=1, topk_group=1, normalize=True, scale=1.0):
    refuse_illegal(scores_NE, bias_E, top_k, n_group, topk_group)
    experts = limit_to_groups(scores_NE + bias_E, n_group, topk_group).topk(top_k).indices
    total = scores_NE.gather(1, experts).sum(-1, keepdim=True) + 1e-9 if normalize else 1
    return plain(scores_NE, bias_E, experts, False) / total * scale, experts
