"""Lesson 03: wrong answers as beginners write them, each with its name; right ones, each written differently."""

import math

import pytest
import torch
import torch.nn.functional as F
from exercises.answers import Answers, Claims, drawn

from mini_moe.config import ModelConfig, tiny
from mini_moe.course.check import examine
from mini_moe.course.exercises import mixture_of_experts
from mini_moe.course.exercises.mixture_of_experts import same_under
from mini_moe.moe import limit_to_groups

ANSWERS = Answers(mixture_of_experts)
wrong, right = ANSWERS.wrong, ANSWERS.right

AFFINITIES = mixture_of_experts.AFFINITIES
ROUTE = mixture_of_experts.ROUTE
GROUPS = mixture_of_experts.LIMIT_TO_GROUPS
MIXTURE = mixture_of_experts.MIXTURE
SPLIT = mixture_of_experts.SPLIT_EXPERTS
OPTIONS = (mixture_of_experts.OF_NORMALIZE, mixture_of_experts.OF_SCALE, mixture_of_experts.OF_GROUPS)


class TestMixtureOfExperts(Claims):
    answers = ANSWERS

    @pytest.mark.parametrize("seed", (1, 20, 300))
    @pytest.mark.parametrize("option", OPTIONS, ids=("normalize", "scale", "groups"))
    def test_each_mistake_with_an_option_is_made_and_looks_like_no_other(self, option, seed):
        cases = list(drawn(ROUTE, seed).cases(None))
        assert {mistake.name for mistake in option.mistakes} <= {name for _, name, _, _ in ANSWERS.wrongs}
        for i, mistake in enumerate(option.mistakes):
            others = [other.function for other in option.mistakes[:i] if other.name != mistake.name]
            for other in (ROUTE.reference, *others):
                assert not same_under(option.settings, mistake.function, other, cases), mistake.name
            assert mistake.says.endswith(".") and len(mistake.says) <= 240

    def test_a_right_route_is_not_blamed_for_its_limit_to_groups(self, monkeypatch):
        function = next(function for exercise, _, function, _ in ANSWERS.rights if exercise is ROUTE)
        monkeypatch.setitem(globals(), "limit_to_groups", lambda choice, n_group, topk_group: choice.clone())
        assert examine(drawn(ROUTE, 1), function).mistake == "limit_to_groups not finished"

    def test_a_sentence_tells_the_settings_that_the_printed_input_does_not(self):
        for exercise, mistake, settings in (
            (ROUTE, "scale left out", "`scale=2.5`"),
            (ROUTE, "groups ignored", "`n_group=2, topk_group=1`"),
            (GROUPS, "groups of one expert", "`n_group=6, topk_group=1`"),
            (SPLIT, "rounded without an error", "`m = 3`"),
        ):
            function = next(
                function for other, name, function, _ in ANSWERS.wrongs if (other, name) == (exercise, mistake)
            )
            outcome = examine(drawn(exercise, 1), function)
            assert settings in outcome.says and outcome.got is None


# --- affinities -------------------------------------------------------------------------------------------------------


@wrong(AFFINITIES, "softmax in place of sigmoid", "F.softmax")
def _(x_ND, centroids_ED):
    logits = F.linear(x_ND.float(), centroids_ED.float())
    return F.softmax(logits, dim=-1)


@wrong(AFFINITIES, "softmax in place of sigmoid", "by hand")
def _(x_ND, centroids_ED):
    e = torch.exp(x_ND.float() @ centroids_ED.float().T)
    return e / e.sum(1, keepdim=True)


@wrong(AFFINITIES, "softmax over the tokens")
def _(x_ND, centroids_ED):
    return torch.softmax(torch.einsum("nd,ed->ne", x_ND.float(), centroids_ED.float()), 0)


@wrong(AFFINITIES, "no sigmoid")
def _(x_ND, centroids_ED):
    return torch.einsum("nd,ed->ne", x_ND.float(), centroids_ED.float())


@wrong(AFFINITIES, "sigmoid twice")
def _(x_ND, centroids_ED):
    scores = torch.sigmoid(x_ND.float() @ centroids_ED.float().mT)
    return torch.sigmoid(scores)


@wrong(AFFINITIES, "sign of the exponent")
def _(x_ND, centroids_ED):
    z = x_ND.float() @ centroids_ED.float().T
    return 1 / (1 + torch.exp(z))


@wrong(AFFINITIES, "another bend", "tanh")
def _(x_ND, centroids_ED):
    return torch.tanh(x_ND.float() @ centroids_ED.float().T)


@wrong(AFFINITIES, "another bend", "exp")
def _(x_ND, centroids_ED):
    return (x_ND.float() @ centroids_ED.float().T).exp()


@wrong(AFFINITIES, "normalised over the experts")
def _(x_ND, centroids_ED):
    s = torch.sigmoid(x_ND.float() @ centroids_ED.float().T)
    return s / s.sum(-1, keepdim=True)


@wrong(AFFINITIES, "cosine in place of dot product", "F.cosine_similarity, then a sigmoid")
def _(x_ND, centroids_ED):
    return F.cosine_similarity(x_ND.float()[:, None], centroids_ED.float()[None], dim=-1).sigmoid()


@wrong(AFFINITIES, "cosine in place of dot product", "without the sigmoid")
def _(x_ND, centroids_ED):
    x, c = x_ND.float(), centroids_ED.float()
    return (x / x.norm(dim=-1, keepdim=True)) @ (c / c.norm(dim=-1, keepdim=True)).T


@wrong(AFFINITIES, "cosine in place of dot product", "centroids of length 1")
def _(x_ND, centroids_ED):
    c = centroids_ED.float()
    return torch.sigmoid(x_ND.float() @ (c / c.norm(dim=1, keepdim=True)).T)


@wrong(AFFINITIES, "distance in place of dot product")
def _(x_ND, centroids_ED):
    difference = x_ND.float()[:, None] - centroids_ED.float()
    return torch.sigmoid(-difference.norm(dim=-1))


@wrong(AFFINITIES, "divided by the root of D")
def _(x_ND, centroids_ED):
    scores = x_ND.float() @ centroids_ED.float().T / math.sqrt(x_ND.shape[-1])
    return scores.sigmoid()


@wrong(AFFINITIES, "mean in place of sum")
def _(x_ND, centroids_ED):
    return (x_ND.float().unsqueeze(1) * centroids_ED.float()).mean(-1).sigmoid()


@wrong(AFFINITIES, "sigmoid before the sum")
def _(x_ND, centroids_ED):
    return torch.sigmoid(x_ND.float().unsqueeze(1) * centroids_ED.float()).sum(-1)


@wrong(AFFINITIES, "sigmoid of the token")
def _(x_ND, centroids_ED):
    return torch.sigmoid(x_ND.float()) @ centroids_ED.float().T


@wrong(AFFINITIES, "not in float32", "the type forgotten")
def _(x_ND, centroids_ED):
    return torch.sigmoid(x_ND @ centroids_ED.T)


@wrong(AFFINITIES, "not in float32", "converted after the product")
def _(x_ND, centroids_ED):
    logits = F.linear(x_ND, centroids_ED).to(torch.float32)
    return logits.sigmoid()


@wrong(AFFINITIES, "not in float32", "converted at the end")
def _(x_ND, centroids_ED):
    return F.linear(x_ND, centroids_ED).sigmoid().float()


@wrong(AFFINITIES, "not in float32", "half")
def _(x_ND, centroids_ED):
    return torch.sigmoid((x_ND.half() @ centroids_ED.half().T).to(torch.float32))


@wrong(AFFINITIES, "softmax in place of sigmoid", "after a sigmoid")
def _(x_ND, centroids_ED):
    return F.linear(x_ND.float(), centroids_ED.float()).sigmoid().softmax(dim=-1)


@wrong(AFFINITIES, "another bend", "silu")
def _(x_ND, centroids_ED):
    z = F.linear(x_ND.float(), centroids_ED.float())
    return z * torch.sigmoid(z)


@wrong(AFFINITIES, "wrong dtype", "left in float64")
def _(x_ND, centroids_ED):
    return F.linear(x_ND.double(), centroids_ED.double()).sigmoid()


@wrong(AFFINITIES, "transposed")
def _(x_ND, centroids_ED):
    return torch.sigmoid(torch.einsum("nd,ed->en", x_ND.float(), centroids_ED.float()))


@wrong(AFFINITIES, "centroids detached")
def _(x_ND, centroids_ED):
    return F.linear(x_ND.float(), centroids_ED.data.float()).sigmoid()


@wrong(AFFINITIES, "tokens detached")
def _(x_ND, centroids_ED):
    return F.linear(x_ND.detach().float(), centroids_ED.float()).sigmoid()


@wrong(AFFINITIES, "router detached", "no_grad")
def _(x_ND, centroids_ED):
    with torch.no_grad():
        return F.linear(x_ND.float(), centroids_ED.float()).sigmoid()


@wrong(AFFINITIES, "raises RuntimeError", "centroids not transposed")
def _(x_ND, centroids_ED):
    return torch.sigmoid(x_ND.float() @ centroids_ED.float())


@wrong(AFFINITIES, "returns None")
def _(x_ND, centroids_ED):
    s = F.linear(x_ND.float(), centroids_ED.float())
    s.sigmoid_()


@right(AFFINITIES, "einsum and the exponential")
def _(x_ND, centroids_ED):
    return 1 / (1 + torch.exp(-torch.einsum("nd,ed->ne", x_ND.float(), centroids_ED.float())))


@right(AFFINITIES, "float64 inside")
def _(x_ND, centroids_ED):
    return torch.special.expit(x_ND.double() @ centroids_ED.double().T).float()


@right(AFFINITIES, "expert by expert")
def _(x_ND, centroids_ED):
    columns = [torch.sigmoid((x_ND.float() * centroid).sum(-1)) for centroid in centroids_ED.float()]
    return torch.stack(columns, dim=1)


@right(AFFINITIES, "in place, on its own scores")
def _(x_ND, centroids_ED):
    return torch.matmul(centroids_ED.to(torch.float32), x_ND.to(torch.float32).T).T.contiguous().sigmoid_()


# --- route ------------------------------------------------------------------------------------------------------------


def learner_routes(choose, weigh):
    """A learner's function with all options right, but for what it is given: most answers differ in one line only."""

    def route(scores_NE, bias_E, top_k, *, n_group=1, topk_group=1, normalize=True, scale=1.0):
        choice_NE = limit_to_groups(choose(scores_NE, bias_E), n_group, topk_group)
        experts_NK = torch.topk(choice_NE, top_k, dim=1)[1]
        return weigh(scores_NE, bias_E, experts_NK, normalize) * scale, experts_NK

    return route


def biased(s, b):
    return s + b


def plain(s, b, experts, normalize):
    weights = torch.gather(s, 1, experts)
    return weights / weights.sum(1, keepdim=True) if normalize else weights


wrong(ROUTE, "bias ignored", "one line forgotten")(learner_routes(lambda s, b: s, plain))
wrong(ROUTE, "bias subtracted", "sign")(learner_routes(lambda s, b: s - b, plain))
wrong(ROUTE, "bias multiplied", "times")(learner_routes(lambda s, b: s * b, plain))
wrong(ROUTE, "bias multiplied", "times 1 + b")(learner_routes(lambda s, b: s + s * b, plain))
wrong(ROUTE, "bias alone", "expanded")(learner_routes(lambda s, b: b.repeat(len(s), 1), plain))
wrong(ROUTE, "lowest chosen", "minus")(learner_routes(lambda s, b: -s - b, plain))
wrong(ROUTE, "scores changed before the choice", "F.softmax")(learner_routes(lambda s, b: F.softmax(s, -1) + b, plain))
wrong(ROUTE, "scores changed before the choice", "divided by their sum")(
    learner_routes(lambda s, b: s / s.sum(-1, keepdim=True) + b, plain)
)
wrong(ROUTE, "scores changed before the choice", "sigmoid")(learner_routes(lambda s, b: s.sigmoid() + b, plain))


@wrong(ROUTE, "scores changed before the choice", "and in the weights")
def _(scores_NE, bias_E, top_k, *, n_group=1, topk_group=1, normalize=True, scale=1.0):
    scores_NE = torch.softmax(scores_NE, dim=-1)
    experts = limit_to_groups(scores_NE + bias_E, n_group, topk_group).topk(top_k).indices
    return plain(scores_NE, bias_E, experts, normalize) * scale, experts


@wrong(ROUTE, "lowest chosen", "argsort, the wrong end")
def _(scores_NE, bias_E, top_k, *, n_group=1, topk_group=1, normalize=True, scale=1.0):
    experts = (scores_NE + bias_E).argsort(dim=-1)[:, :top_k]
    return plain(scores_NE, bias_E, experts, normalize) * scale, experts


@wrong(ROUTE, "always the first K")
def _(scores_NE, bias_E, top_k, *, n_group=1, topk_group=1, normalize=True, scale=1.0):
    experts = torch.arange(top_k).repeat(len(scores_NE), 1)
    weights = scores_NE[:, :top_k]
    return weights / weights.sum(-1, keepdim=True), experts


@wrong(ROUTE, "one choice for the whole batch", "the mean")
def _(scores_NE, bias_E, top_k, *, n_group=1, topk_group=1, normalize=True, scale=1.0):
    experts = (scores_NE.mean(0) + bias_E).topk(top_k).indices.expand(len(scores_NE), top_k)
    return plain(scores_NE, bias_E, experts, normalize) * scale, experts


@wrong(ROUTE, "one choice for the whole batch", "the first token's")
def _(scores_NE, bias_E, top_k, *, n_group=1, topk_group=1, normalize=True, scale=1.0):
    experts = (scores_NE + bias_E)[0].topk(top_k).indices
    experts = torch.stack([experts] * len(scores_NE))
    return plain(scores_NE, bias_E, experts, normalize) * scale, experts


@wrong(ROUTE, "no top-k", "in their order")
def _(scores_NE, bias_E, top_k, *, n_group=1, topk_group=1, normalize=True, scale=1.0):
    experts = torch.arange(scores_NE.shape[1]).repeat(scores_NE.shape[0], 1)
    return plain(scores_NE, bias_E, experts, normalize) * scale, experts


@wrong(ROUTE, "no top-k", "sorted")
def _(scores_NE, bias_E, top_k, *, n_group=1, topk_group=1, normalize=True, scale=1.0):
    experts = torch.sort(scores_NE + bias_E, descending=True)[1]
    return plain(scores_NE, bias_E, experts, normalize) * scale, experts


@wrong(ROUTE, "zeros for the rest")
def _(scores_NE, bias_E, top_k, *, n_group=1, topk_group=1, normalize=True, scale=1.0):
    N, E = scores_NE.shape
    choice = scores_NE + bias_E
    threshold = choice.topk(top_k).values[:, -1:]
    weights = scores_NE * (choice >= threshold)
    return weights / weights.sum(-1, keepdim=True), torch.arange(E).repeat(N, 1)


@wrong(ROUTE, "bias in the weight", "topk's values")
def _(scores_NE, bias_E, top_k, *, n_group=1, topk_group=1, normalize=True, scale=1.0):
    weights, experts = limit_to_groups(scores_NE + bias_E, n_group, topk_group).topk(top_k)
    if normalize:
        weights = weights / weights.sum(-1, keepdim=True)
    return weights * scale, experts


@wrong(ROUTE, "bias in the weight", "scores overwritten, not normalised")
def _(scores_NE, bias_E, top_k, *, n_group=1, topk_group=1, normalize=True, scale=1.0):
    scores_NE = scores_NE + bias_E
    experts = scores_NE.topk(top_k).indices
    return scores_NE.gather(1, experts) * scale, experts


@wrong(ROUTE, "bias in the weight", "best last")
def _(scores_NE, bias_E, top_k, *, n_group=1, topk_group=1, normalize=True, scale=1.0):
    choice = scores_NE + bias_E
    experts = choice.argsort(-1)[:, -top_k:]
    return plain(choice, bias_E, experts, normalize) * scale, experts


@wrong(ROUTE, "bias in the weight", "softmax of the chosen")
def _(scores_NE, bias_E, top_k, *, n_group=1, topk_group=1, normalize=True, scale=1.0):
    values, experts = (scores_NE + bias_E).topk(top_k)
    return values.softmax(-1), experts


@wrong(ROUTE, "normalised over all experts", "before the choice")
def _(scores_NE, bias_E, top_k, *, n_group=1, topk_group=1, normalize=True, scale=1.0):
    experts = limit_to_groups(scores_NE + bias_E, n_group, topk_group).topk(top_k).indices
    if normalize:
        scores_NE = scores_NE / scores_NE.sum(-1, keepdim=True)
    return scores_NE.gather(1, experts) * scale, experts


@wrong(ROUTE, "normalised over all experts", "by number")
def _(scores_NE, bias_E, top_k, *, n_group=1, topk_group=1, normalize=True, scale=1.0):
    experts = (scores_NE + bias_E).topk(top_k).indices.sort(-1)[0]
    return scores_NE.gather(1, experts) / scores_NE.sum(-1, keepdim=True) * scale, experts


@wrong(ROUTE, "sum of the biased scores")
def _(scores_NE, bias_E, top_k, *, n_group=1, topk_group=1, normalize=True, scale=1.0):
    values, experts = (scores_NE + bias_E).topk(top_k)
    return scores_NE.gather(1, experts) / values.sum(-1, keepdim=True) * scale, experts


@wrong(ROUTE, "softmax over the chosen")
def _(scores_NE, bias_E, top_k, *, n_group=1, topk_group=1, normalize=True, scale=1.0):
    experts = limit_to_groups(scores_NE + bias_E, n_group, topk_group).topk(top_k).indices
    weights = scores_NE.gather(1, experts)
    if normalize:
        weights = F.softmax(weights, dim=-1)
    return weights * scale, experts


@wrong(ROUTE, "softmax over all")
def _(scores_NE, bias_E, top_k, *, n_group=1, topk_group=1, normalize=True, scale=1.0):
    experts = limit_to_groups(scores_NE + bias_E, n_group, topk_group).topk(top_k).indices
    return F.softmax(scores_NE, dim=-1).gather(1, experts) * scale, experts


@wrong(ROUTE, "sigmoid again")
def _(scores_NE, bias_E, top_k, *, n_group=1, topk_group=1, normalize=True, scale=1.0):
    experts = limit_to_groups(scores_NE + bias_E, n_group, topk_group).topk(top_k).indices
    return plain(scores_NE.sigmoid(), bias_E, experts, normalize) * scale, experts


@wrong(ROUTE, "not normalised", "forgotten")
def _(scores_NE, bias_E, top_k, *, n_group=1, topk_group=1, normalize=True, scale=1.0):
    experts = limit_to_groups(scores_NE + bias_E, n_group, topk_group).topk(top_k).indices
    return scores_NE.gather(1, experts) * scale, experts


@wrong(ROUTE, "not normalised", "the flag inverted")
def _(scores_NE, bias_E, top_k, *, n_group=1, topk_group=1, normalize=True, scale=1.0):
    experts = limit_to_groups(scores_NE + bias_E, n_group, topk_group).topk(top_k).indices
    return plain(scores_NE, bias_E, experts, not normalize) * scale, experts


@wrong(ROUTE, "mean in place of sum")
def _(scores_NE, bias_E, top_k, *, n_group=1, topk_group=1, normalize=True, scale=1.0):
    experts = (scores_NE + bias_E).topk(top_k).indices
    weights = scores_NE.gather(1, experts)
    return weights / weights.mean(-1, keepdim=True), experts


@wrong(ROUTE, "divided by the largest")
def _(scores_NE, bias_E, top_k, *, n_group=1, topk_group=1, normalize=True, scale=1.0):
    experts = (scores_NE + bias_E).topk(top_k).indices
    weights = scores_NE.gather(1, experts)
    return weights / weights.max(dim=-1, keepdim=True)[0], experts


@wrong(ROUTE, "divided by their length")
def _(scores_NE, bias_E, top_k, *, n_group=1, topk_group=1, normalize=True, scale=1.0):
    experts = (scores_NE + bias_E).topk(top_k).indices
    weights = scores_NE.gather(1, experts)
    return weights / torch.linalg.norm(weights, dim=-1, keepdim=True), experts


@wrong(ROUTE, "normalised over the tokens", "dim=0")
def _(scores_NE, bias_E, top_k, *, n_group=1, topk_group=1, normalize=True, scale=1.0):
    experts = (scores_NE + bias_E).topk(top_k).indices
    weights = scores_NE.gather(1, experts)
    return weights / weights.sum(0) * scale, experts


@wrong(ROUTE, "normalised over the tokens", "no dim")
def _(scores_NE, bias_E, top_k, *, n_group=1, topk_group=1, normalize=True, scale=1.0):
    experts = (scores_NE + bias_E).topk(top_k).indices
    weights = scores_NE.gather(1, experts)
    return weights / weights.sum() * scale, experts


@wrong(ROUTE, "equal weights")
def _(scores_NE, bias_E, top_k, *, n_group=1, topk_group=1, normalize=True, scale=1.0):
    experts = (scores_NE + bias_E).topk(top_k).indices
    return torch.ones(experts.shape) / top_k * scale, experts


@wrong(ROUTE, "weights of other experts", "topk of the scores")
def _(scores_NE, bias_E, top_k, *, n_group=1, topk_group=1, normalize=True, scale=1.0):
    weights, _ = scores_NE.topk(top_k)
    _, experts = (scores_NE + bias_E).topk(top_k)
    return weights / weights.sum(-1, keepdim=True) * scale, experts


@wrong(ROUTE, "weights of other experts", "sorted after the fact")
def _(scores_NE, bias_E, top_k, *, n_group=1, topk_group=1, normalize=True, scale=1.0):
    experts = (scores_NE + bias_E).topk(top_k).indices
    return plain(scores_NE, bias_E, experts.sort(-1).values, normalize) * scale, experts


@wrong(ROUTE, "router detached", "all in no_grad")
def _(scores_NE, bias_E, top_k, *, n_group=1, topk_group=1, normalize=True, scale=1.0):
    with torch.no_grad():
        experts = limit_to_groups(scores_NE + bias_E, n_group, topk_group).topk(top_k).indices
        return plain(scores_NE, bias_E, experts, normalize) * scale, experts


@wrong(ROUTE, "gradient missing", "detached, by number")
def _(scores_NE, bias_E, top_k, *, n_group=1, topk_group=1, normalize=True, scale=1.0):
    scores_NE = scores_NE.detach()
    experts = limit_to_groups(scores_NE + bias_E, n_group, topk_group).topk(top_k).indices.sort(-1).values
    return plain(scores_NE, bias_E, experts, normalize) * scale, experts


@wrong(ROUTE, "sum detached")
def _(scores_NE, bias_E, top_k, *, n_group=1, topk_group=1, normalize=True, scale=1.0):
    experts = limit_to_groups(scores_NE + bias_E, n_group, topk_group).topk(top_k).indices
    weights = scores_NE.gather(1, experts)
    if normalize:
        weights = weights / weights.sum(-1, keepdim=True).detach()
    return weights * scale, experts


@wrong(ROUTE, "normalize ignored")
def _(scores_NE, bias_E, top_k, *, n_group=1, topk_group=1, normalize=True, scale=1.0):
    experts = limit_to_groups(scores_NE + bias_E, n_group, topk_group).topk(top_k).indices
    return plain(scores_NE, bias_E, experts, True) * scale, experts


@wrong(ROUTE, "scale left out")
def _(scores_NE, bias_E, top_k, *, n_group=1, topk_group=1, normalize=True, scale=1.0):
    experts = limit_to_groups(scores_NE + bias_E, n_group, topk_group).topk(top_k).indices
    return plain(scores_NE, bias_E, experts, normalize), experts


@wrong(ROUTE, "scale left out", "by number")
def _(scores_NE, bias_E, top_k, *, n_group=1, topk_group=1, normalize=True, scale=1.0):
    experts = limit_to_groups(scores_NE + bias_E, n_group, topk_group).topk(top_k).indices.sort(-1).values
    return plain(scores_NE, bias_E, experts, normalize), experts


@wrong(ROUTE, "scaled before normalising", "the weights")
def _(scores_NE, bias_E, top_k, *, n_group=1, topk_group=1, normalize=True, scale=1.0):
    experts = limit_to_groups(scores_NE + bias_E, n_group, topk_group).topk(top_k).indices
    weights = scores_NE.gather(1, experts) * scale
    if normalize:
        weights = weights / weights.sum(-1, keepdim=True)
    return weights, experts


@wrong(ROUTE, "scaled before normalising", "the scores")
def _(scores_NE, bias_E, top_k, *, n_group=1, topk_group=1, normalize=True, scale=1.0):
    scores_NE = scale * scores_NE
    experts = limit_to_groups(scores_NE + bias_E, n_group, topk_group).topk(top_k).indices
    return plain(scores_NE, bias_E, experts, normalize), experts


@wrong(ROUTE, "divided by scale")
def _(scores_NE, bias_E, top_k, *, n_group=1, topk_group=1, normalize=True, scale=1.0):
    experts = limit_to_groups(scores_NE + bias_E, n_group, topk_group).topk(top_k).indices
    return plain(scores_NE, bias_E, experts, normalize) / scale, experts


@wrong(ROUTE, "scale only where normalised")
def _(scores_NE, bias_E, top_k, *, n_group=1, topk_group=1, normalize=True, scale=1.0):
    experts = limit_to_groups(scores_NE + bias_E, n_group, topk_group).topk(top_k).indices
    weights = scores_NE.gather(1, experts)
    if normalize:
        weights = scale * weights / weights.sum(-1, keepdim=True)
    return weights, experts


@wrong(ROUTE, "scaled before normalising", "an else that should not be")
def _(scores_NE, bias_E, top_k, *, n_group=1, topk_group=1, normalize=True, scale=1.0):
    experts = limit_to_groups(scores_NE + bias_E, n_group, topk_group).topk(top_k).indices
    weights = scores_NE.gather(1, experts)
    return (weights / weights.sum(-1, keepdim=True) if normalize else weights * scale), experts


@wrong(ROUTE, "scaled twice")
def _(scores_NE, bias_E, top_k, *, n_group=1, topk_group=1, normalize=True, scale=1.0):
    experts = limit_to_groups(scores_NE + bias_E, n_group, topk_group).topk(top_k).indices
    weights = plain(scores_NE, bias_E, experts, normalize) * scale
    return weights * scale, experts


@wrong(ROUTE, "scale added")
def _(scores_NE, bias_E, top_k, *, n_group=1, topk_group=1, normalize=True, scale=0.0):
    experts = limit_to_groups(scores_NE + bias_E, n_group, topk_group).topk(top_k).indices
    return plain(scores_NE, bias_E, experts, normalize) + scale, experts


@wrong(ROUTE, "groups ignored", "never called")
def _(scores_NE, bias_E, top_k, *, n_group=1, topk_group=1, normalize=True, scale=1.0):
    experts = (scores_NE + bias_E).topk(top_k).indices
    return plain(scores_NE, bias_E, experts, normalize) * scale, experts


@wrong(ROUTE, "groups ignored", "the limited scores not kept")
def _(scores_NE, bias_E, top_k, *, n_group=1, topk_group=1, normalize=True, scale=1.0):
    choice = scores_NE + bias_E
    limit_to_groups(choice, n_group, topk_group)
    experts = choice.topk(top_k, sorted=False).indices
    return plain(scores_NE, bias_E, experts, normalize) * scale, experts


@wrong(ROUTE, "groups chosen without the bias")
def _(scores_NE, bias_E, top_k, *, n_group=1, topk_group=1, normalize=True, scale=1.0):
    experts = (limit_to_groups(scores_NE, n_group, topk_group) + bias_E).topk(top_k).indices
    return plain(scores_NE, bias_E, experts, normalize) * scale, experts


@wrong(ROUTE, "experts chosen without the bias in groups")
def _(scores_NE, bias_E, top_k, *, n_group=1, topk_group=1, normalize=True, scale=1.0):
    choice = scores_NE + bias_E
    if n_group > 1:
        closed = limit_to_groups(choice, n_group, topk_group) == -torch.inf
        choice = scores_NE.masked_fill(closed, -torch.inf)
    experts = choice.topk(top_k).indices
    return plain(scores_NE, bias_E, experts, normalize) * scale, experts


@wrong(ROUTE, "closed experts at 0")
def _(scores_NE, bias_E, top_k, *, n_group=1, topk_group=1, normalize=True, scale=1.0):
    choice = limit_to_groups(scores_NE + bias_E, n_group, topk_group)
    choice = torch.where(choice.isfinite(), choice, 0.0)
    experts = choice.topk(top_k).indices
    return plain(scores_NE, bias_E, experts, normalize) * scale, experts


@wrong(ROUTE, "n_group - topk_group groups")
def _(scores_NE, bias_E, top_k, *, n_group=1, topk_group=1, normalize=True, scale=1.0):
    choice = scores_NE + bias_E
    if n_group > 1:
        choice = limit_to_groups(choice, n_group, n_group - topk_group)
    experts = choice.topk(top_k).indices
    return plain(scores_NE, bias_E, experts, normalize) * scale, experts


@wrong(ROUTE, "raises RuntimeError", "n_group and topk_group exchanged")
def _(scores_NE, bias_E, top_k, *, n_group=1, topk_group=1, normalize=True, scale=1.0):
    experts = limit_to_groups(scores_NE + bias_E, topk_group, n_group).topk(top_k).indices
    return plain(scores_NE, bias_E, experts, normalize) * scale, experts


@wrong(ROUTE, "wrong dtype", "experts as int32")
def _(scores_NE, bias_E, top_k, *, n_group=1, topk_group=1, normalize=True, scale=1.0):
    experts = limit_to_groups(scores_NE + bias_E, n_group, topk_group).topk(top_k).indices
    return plain(scores_NE, bias_E, experts, normalize) * scale, experts.int()


@wrong(ROUTE, "wrong type", "the weights alone")
def _(scores_NE, bias_E, top_k, *, n_group=1, topk_group=1, normalize=True, scale=1.0):
    experts = limit_to_groups(scores_NE + bias_E, n_group, topk_group).topk(top_k).indices
    return plain(scores_NE, bias_E, experts, normalize) * scale


@wrong(ROUTE, "results exchanged")
def _(scores_NE, bias_E, top_k, *, n_group=1, topk_group=1, normalize=True, scale=1.0):
    experts = limit_to_groups(scores_NE + bias_E, n_group, topk_group).topk(top_k).indices
    return experts, plain(scores_NE, bias_E, experts, normalize) * scale


@wrong(ROUTE, "changes its input", "scores += bias")
def _(scores_NE, bias_E, top_k, *, n_group=1, topk_group=1, normalize=True, scale=1.0):
    kept = scores_NE.clone()
    scores_NE += bias_E
    experts = limit_to_groups(scores_NE, n_group, topk_group).topk(top_k).indices
    return plain(kept, bias_E, experts, normalize) * scale, experts


@right(ROUTE, "argsort, best last")
def _(scores_NE, bias_E, top_k, *, n_group=1, topk_group=1, normalize=True, scale=1.0):
    choice = limit_to_groups(scores_NE + bias_E, n_group, topk_group)
    experts = torch.argsort(choice, dim=1)[:, -top_k:]
    weights = scores_NE[torch.arange(len(scores_NE))[:, None], experts]
    if normalize:
        weights = weights / weights.sum(1).unsqueeze(1)
    return scale * weights, experts


@right(ROUTE, "a mask over all experts, read by number")
def _(scores_NE, bias_E, top_k, *, n_group=1, topk_group=1, normalize=True, scale=1.0):
    choice = limit_to_groups(scores_NE.detach() + bias_E, n_group, topk_group)
    mask = choice >= choice.sort(dim=-1, descending=True).values[:, top_k - 1 : top_k]
    weights = scores_NE * mask
    if normalize:
        weights = weights / weights.sum(dim=-1, keepdim=True)
    experts = mask.nonzero()[:, 1].view(-1, top_k)
    return (scale * weights)[mask].view(-1, top_k), experts


@right(ROUTE, "token by token")
def _(scores_NE, bias_E, top_k, *, n_group=1, topk_group=1, normalize=True, scale=1.0):
    choice = limit_to_groups(scores_NE + bias_E, n_group, topk_group)
    weights, experts = [], []
    for s, c in zip(scores_NE, choice.tolist(), strict=True):
        best = sorted(range(len(c)), key=lambda e: c[e], reverse=True)[:top_k]
        g = torch.stack([s[e] for e in best])
        weights.append(scale * (g / g.sum() if normalize else g))
        experts.append(torch.tensor(best))
    return torch.stack(weights), torch.stack(experts)


@right(ROUTE, "the bias taken off again, float64 inside")
def _(scores_NE, bias_E, top_k, *, n_group=1, topk_group=1, normalize=True, scale=1.0):
    values, experts = limit_to_groups(scores_NE.double() + bias_E.double(), n_group, topk_group).topk(top_k)
    weights = values - bias_E.double()[experts]
    if normalize:
        weights = F.normalize(weights, p=1, dim=-1)
    return (weights * scale).to(scores_NE.dtype), experts


# --- limit_to_groups --------------------------------------------------------------------------------------------------


def learner_groups(worth, close=lambda groups, closed: groups.masked_fill(closed, -math.inf)):
    """A learner's function with the worth and the closing that it is given."""

    def limit_to_groups(choice_NE, n_group, topk_group):
        N, E = choice_NE.shape
        groups = choice_NE.view(N, n_group, E // n_group)
        best = worth(groups).topk(topk_group, dim=1).indices
        closed = torch.ones(N, n_group).scatter(1, best, 0.0).bool()
        return close(groups, closed.unsqueeze(-1)).reshape(N, E)

    return limit_to_groups


def two_best(groups):
    return groups.topk(min(2, groups.size(-1)))[0].sum(-1)


def closing(value):
    return lambda groups, closed: torch.where(closed, value, groups)


wrong(GROUPS, "masked with 0", "where")(learner_groups(two_best, closing(0.0)))
wrong(GROUPS, "masked with 0", "times the mask")(learner_groups(two_best, lambda groups, closed: groups * ~closed))
wrong(GROUPS, "a large number in place of -inf", "-1e9")(learner_groups(two_best, closing(-1e9)))
wrong(GROUPS, "a large number in place of -inf", "the smallest float")(
    learner_groups(two_best, closing(torch.finfo(torch.float32).min))
)
wrong(GROUPS, "closed with +inf", "float('inf')")(learner_groups(two_best, closing(float("inf"))))
wrong(GROUPS, "a group is worth its best", "max")(learner_groups(lambda groups: groups.max(-1)[0]))
wrong(GROUPS, "a group is worth all its experts", "sum")(learner_groups(lambda groups: groups.sum(-1)))
wrong(GROUPS, "a group is worth all its experts", "mean")(learner_groups(lambda groups: groups.mean(-1)))
wrong(GROUPS, "another worth", "the first two")(
    learner_groups(lambda groups: groups[:, :, 0] + groups[:, :, 1:2].sum(-1))
)
wrong(GROUPS, "another worth", "the second best")(
    learner_groups(lambda groups: groups.sort(-1, descending=True)[0][..., :2][..., -1])
)
wrong(GROUPS, "another worth", "after a sigmoid")(learner_groups(lambda groups: two_best(torch.sigmoid(groups))))
wrong(GROUPS, "a group is worth its worst", "an ascending sort")(
    learner_groups(lambda groups: groups.sort(-1)[0][..., :2].sum(-1))
)
wrong(GROUPS, "topk_group experts counted", "with the right mask")(
    lambda choice_NE, n_group, topk_group: learner_groups(
        lambda groups: groups.sort(-1, descending=True)[0][..., :topk_group].sum(-1)
    )(choice_NE, n_group, topk_group)
)
wrong(GROUPS, "groups of one expert", "topk(2)")(learner_groups(lambda groups: groups.topk(2)[0].sum(-1)))
wrong(GROUPS, "groups of one expert", "the second by its place")(
    learner_groups(lambda groups: groups.sort(-1).values[..., -1] + groups.sort(-1).values[..., -2])
)
wrong(GROUPS, "NaN or inf", "0 times infinity")(
    learner_groups(two_best, lambda groups, closed: groups + closed * -math.inf)
)
wrong(GROUPS, "mask inverted", "closed taken for open")(
    learner_groups(two_best, lambda groups, closed: groups.masked_fill(~closed, -math.inf))
)
wrong(GROUPS, "the mask alone", "as floats")(learner_groups(two_best, lambda groups, closed: (~closed) + 0 * groups))


@wrong(GROUPS, "the worst groups kept")
def _(choice_NE, n_group, topk_group):
    groups = choice_NE.reshape(len(choice_NE), n_group, -1)
    order = groups.topk(2).values.sum(-1).argsort(-1)
    closed = torch.ones(order.shape, dtype=torch.bool).scatter(1, order[:, :topk_group], False)
    return groups.masked_fill(closed[..., None], -math.inf).flatten(1)


@wrong(GROUPS, "n_group - topk_group kept")
def _(choice_NE, n_group, topk_group):
    groups = choice_NE.reshape(len(choice_NE), n_group, -1)
    order = two_best(groups).argsort(-1)
    closed = torch.zeros(order.shape, dtype=torch.bool).scatter(1, order[:, :topk_group], True)
    return groups.masked_fill(closed[..., None], -math.inf).flatten(1)


@wrong(GROUPS, "one group kept")
def _(choice_NE, n_group, topk_group):
    groups = choice_NE.reshape(len(choice_NE), n_group, -1)
    worth = two_best(groups)
    return groups.masked_fill((worth < worth.max(-1, keepdim=True)[0])[..., None], -math.inf).flatten(1)


@wrong(GROUPS, "one choice of groups for all tokens", "the mean")
def _(choice_NE, n_group, topk_group):
    groups = choice_NE.reshape(len(choice_NE), n_group, -1)
    kept = two_best(groups).mean(0).topk(topk_group).indices
    out = torch.full_like(groups, -math.inf)
    out[:, kept] = groups[:, kept]
    return out.flatten(1)


@wrong(GROUPS, "one choice of groups for all tokens", "the first token's")
def _(choice_NE, n_group, topk_group):
    groups = choice_NE.reshape(len(choice_NE), n_group, -1)
    kept = two_best(groups)[0].topk(topk_group).indices
    closed = torch.ones(n_group, dtype=torch.bool)
    closed[kept] = False
    return groups.masked_fill(closed[:, None], -math.inf).flatten(1)


@wrong(GROUPS, "experts dealt round")
def _(choice_NE, n_group, topk_group):
    groups = choice_NE.reshape(len(choice_NE), -1, n_group)
    worth = groups.topk(min(2, groups.shape[1]), dim=1).values.sum(1)
    closed = torch.ones_like(worth, dtype=torch.bool).scatter(1, worth.topk(topk_group).indices, False)
    return groups.masked_fill(closed[:, None], -math.inf).flatten(1)


@wrong(GROUPS, "n_group as the size of a group")
def _(choice_NE, n_group, topk_group):
    groups = choice_NE.reshape(len(choice_NE), -1, n_group)
    worth = two_best(groups)
    closed = torch.ones_like(worth, dtype=torch.bool).scatter(1, worth.topk(topk_group).indices, False)
    return groups.masked_fill(closed[..., None], -math.inf).flatten(1)


@wrong(GROUPS, "experts closed one by one")
def _(choice_NE, n_group, topk_group):
    n = topk_group * choice_NE.size(1) // n_group
    values, indices = choice_NE.topk(n)
    return torch.full_like(choice_NE, -math.inf).scatter(1, indices, values)


@wrong(GROUPS, "only the two best kept")
def _(choice_NE, n_group, topk_group):
    groups = choice_NE.reshape(len(choice_NE), n_group, -1)
    values, places = groups.topk(min(2, groups.size(-1)))
    kept = values.sum(-1).topk(topk_group).indices
    closed = torch.ones(groups.shape[:2], dtype=torch.bool).scatter(1, kept, False)
    best = torch.full_like(groups, -math.inf).scatter(-1, places, values)
    return best.masked_fill(closed[..., None], -math.inf).flatten(1)


@wrong(GROUPS, "groups' numbers taken for experts'")
def _(choice_NE, n_group, topk_group):
    kept = two_best(choice_NE.unflatten(1, (n_group, -1))).topk(topk_group).indices
    closed = torch.ones_like(choice_NE, dtype=torch.bool).scatter(1, kept, False)
    return choice_NE.masked_fill(closed, -math.inf)


@wrong(GROUPS, "nothing closed", "masked_fill not kept")
def _(choice_NE, n_group, topk_group):
    groups = choice_NE.unflatten(1, (n_group, -1))
    worth = two_best(groups)
    closed = torch.ones_like(worth, dtype=torch.bool).scatter(1, worth.topk(topk_group).indices, False)
    groups.masked_fill(closed[..., None], -math.inf)
    return groups.flatten(1)


@wrong(GROUPS, "changes its input", "masked_fill_")
def _(choice_NE, n_group, topk_group):
    groups = choice_NE.view(len(choice_NE), n_group, -1)
    worth = two_best(groups)
    closed = torch.ones_like(worth, dtype=torch.bool).scatter(1, worth.topk(topk_group).indices, False)
    groups.masked_fill_(closed[..., None], -math.inf)
    return choice_NE


@wrong(GROUPS, "wrong shape", "not flattened")
def _(choice_NE, n_group, topk_group):
    groups = choice_NE.unflatten(1, (n_group, -1))
    worth = two_best(groups)
    closed = torch.ones_like(worth, dtype=torch.bool).scatter(1, worth.topk(topk_group).indices, False)
    return groups.masked_fill(closed[..., None], -math.inf)


@right(GROUPS, "a threshold")
def _(choice_NE, n_group, topk_group):
    groups = choice_NE.reshape(len(choice_NE), n_group, -1)
    worth = groups.sort(dim=-1, descending=True).values[..., :2].sum(-1)
    threshold = worth.sort(descending=True).values[:, topk_group - 1]
    closed = worth < threshold[:, None]
    return torch.where(closed.repeat_interleave(groups.shape[-1], 1), -torch.inf, choice_NE)


@right(GROUPS, "token by token, slices")
def _(choice_NE, n_group, topk_group):
    size = choice_NE.shape[1] // n_group
    out = torch.full_like(choice_NE, -math.inf)
    for n, row in enumerate(choice_NE.tolist()):
        worth = [sum(sorted(row[m * size : (m + 1) * size])[-2:]) for m in range(n_group)]
        for m in sorted(range(n_group), key=worth.__getitem__)[n_group - topk_group :]:
            out[n, m * size : (m + 1) * size] = choice_NE[n, m * size : (m + 1) * size]
    return out


@right(GROUPS, "mean of the two best, one-hot groups")
def _(choice_NE, n_group, topk_group):
    size = choice_NE.shape[1] // n_group
    worth = choice_NE.unflatten(1, (n_group, size)).topk(2 if size > 1 else 1).values.mean(-1)
    is_open = F.one_hot(worth.argsort(1)[:, -topk_group:], n_group).sum(1)
    return choice_NE.masked_fill(is_open.repeat_interleave(size, dim=1) == 0, -math.inf)


# --- mixture ----------------------------------------------------------------------------------------------------------


@wrong(MIXTURE, "shared left out")
def _(x_ND, weights_NK, experts_NK, routed, shared):
    rows = []
    for n in range(len(x_ND)):
        rows.append(sum(weights_NK[n, k] * routed[experts_NK[n, k]](x_ND[n]) for k in range(experts_NK.shape[1])))
    return torch.stack(rows)


@wrong(MIXTURE, "shared added K times")
def _(x_ND, weights_NK, experts_NK, routed, shared):
    y = torch.zeros_like(x_ND)
    for n in range(len(x_ND)):
        for k in range(experts_NK.shape[1]):
            y[n] += weights_NK[n, k] * routed[experts_NK[n, k]](x_ND[n]) + shared(x_ND[n])
    return y


@wrong(MIXTURE, "shared gated", "every choice's weight")
def _(x_ND, weights_NK, experts_NK, routed, shared):
    y = torch.zeros_like(x_ND)
    for n in range(len(x_ND)):
        for k in range(experts_NK.shape[1]):
            y[n] += weights_NK[n, k] * (routed[experts_NK[n, k]](x_ND[n]) + shared(x_ND[n]))
    return y


@wrong(MIXTURE, "shared gated", "what is left to 1")
def _(x_ND, weights_NK, experts_NK, routed, shared):
    y = (1 - weights_NK.sum(-1, keepdim=True)) * shared(x_ND)
    for n in range(len(x_ND)):
        for k in range(experts_NK.shape[1]):
            y[n] += weights_NK[n, k] * routed[experts_NK[n, k]](x_ND[n])
    return y


@wrong(MIXTURE, "shared scaled")
def _(x_ND, weights_NK, experts_NK, routed, shared):
    y = shared(x_ND) / experts_NK.shape[1]
    for n in range(len(x_ND)):
        for k in range(experts_NK.shape[1]):
            y[n] += weights_NK[n, k] * routed[experts_NK[n, k]](x_ND[n])
    return y


@wrong(MIXTURE, "gate weights dropped")
def _(x_ND, weights_NK, experts_NK, routed, shared):
    rows = []
    for x, experts in zip(x_ND, experts_NK, strict=True):
        y = shared(x)
        for e in experts:
            y = y + routed[e](x)
        rows.append(y)
    return torch.stack(rows)


@wrong(MIXTURE, "averaged", "over the choices")
def _(x_ND, weights_NK, experts_NK, routed, shared):
    rows = []
    for x, w, experts in zip(x_ND, weights_NK, experts_NK, strict=True):
        outs = torch.stack([routed[e](x) for e in experts])
        rows.append((w[:, None] * outs).mean(0) + shared(x))
    return torch.stack(rows)


@wrong(MIXTURE, "averaged", "without weights")
def _(x_ND, weights_NK, experts_NK, routed, shared):
    rows = []
    for x, experts in zip(x_ND, experts_NK, strict=True):
        rows.append(torch.stack([routed[e](x) for e in experts]).mean(0) + shared(x))
    return torch.stack(rows)


@wrong(MIXTURE, "weights normalised again", "divided")
def _(x_ND, weights_NK, experts_NK, routed, shared):
    weights_NK = weights_NK / weights_NK.sum(-1, keepdim=True)
    rows = []
    for x, w, experts in zip(x_ND, weights_NK, experts_NK, strict=True):
        rows.append(w @ torch.stack([routed[e](x) for e in experts]) + shared(x))
    return torch.stack(rows)


@wrong(MIXTURE, "weights normalised again", "softmax")
def _(x_ND, weights_NK, experts_NK, routed, shared):
    rows = []
    for x, w, experts in zip(x_ND, weights_NK.softmax(-1), experts_NK, strict=True):
        rows.append(w @ torch.stack([routed[e](x) for e in experts]) + shared(x))
    return torch.stack(rows)


@wrong(MIXTURE, "weight squared")
def _(x_ND, weights_NK, experts_NK, routed, shared):
    rows = []
    for x, w, experts in zip(x_ND, weights_NK, experts_NK, strict=True):
        outs = torch.stack([weight * routed[e](x) for weight, e in zip(w, experts, strict=True)])
        rows.append(w @ outs + shared(x))
    return torch.stack(rows)


@wrong(MIXTURE, "weight on the input")
def _(x_ND, weights_NK, experts_NK, routed, shared):
    rows = []
    for x, w, experts in zip(x_ND, weights_NK, experts_NK, strict=True):
        rows.append(sum(routed[e](x * weight) for weight, e in zip(w, experts, strict=True)) + shared(x))
    return torch.stack(rows)


@wrong(MIXTURE, "weights and experts out of step", "experts sorted")
def _(x_ND, weights_NK, experts_NK, routed, shared):
    rows = []
    for x, w, experts in zip(x_ND, weights_NK, experts_NK, strict=True):
        rows.append(w @ torch.stack([routed[e](x) for e in sorted(experts.tolist())]) + shared(x))
    return torch.stack(rows)


@wrong(MIXTURE, "weights and experts out of step", "a mask over the experts")
def _(x_ND, weights_NK, experts_NK, routed, shared):
    rows = []
    for n, x in enumerate(x_ND):
        y, k = shared(x), 0
        for e, expert in enumerate(routed):
            if e in experts_NK[n]:
                y = y + weights_NK[n, k] * expert(x)
                k += 1
        rows.append(y)
    return torch.stack(rows)


@wrong(MIXTURE, "number of the choice as the expert")
def _(x_ND, weights_NK, experts_NK, routed, shared):
    y = shared(x_ND)
    for k in range(weights_NK.shape[1]):
        y = y + weights_NK[:, k : k + 1] * routed[k](x_ND)
    return y


@wrong(MIXTURE, "experts counted from 1")
def _(x_ND, weights_NK, experts_NK, routed, shared):
    y = shared(x_ND)
    for n in range(len(x_ND)):
        for k in range(experts_NK.shape[1]):
            y[n] += weights_NK[n, k] * routed[experts_NK[n, k] - 1](x_ND[n])
    return y


@wrong(MIXTURE, "one token's choice for all", "experts")
def _(x_ND, weights_NK, experts_NK, routed, shared):
    y = shared(x_ND)
    for k, e in enumerate(experts_NK[0].tolist()):
        y = y + weights_NK[:, k, None] * routed[e](x_ND)
    return y


@wrong(MIXTURE, "one token's choice for all", "weights, too")
def _(x_ND, weights_NK, experts_NK, routed, shared):
    y = shared(x_ND)
    for weight, e in zip(weights_NK[0], experts_NK[0], strict=True):
        y = y + weight * routed[e](x_ND)
    return y


@wrong(MIXTURE, "one token's choice for all", "the last's, left over from a loop")
def _(x_ND, weights_NK, experts_NK, routed, shared):
    for token in range(len(x_ND)):
        weights, experts = weights_NK[token], experts_NK[token]
    rows = []
    for x in x_ND:
        rows.append(shared(x) + sum(w * routed[e](x) for w, e in zip(weights, experts, strict=True)))
    return torch.stack(rows)


@wrong(MIXTURE, "first choice only", "a return in the loop")
def _(x_ND, weights_NK, experts_NK, routed, shared):
    def of_one(x, weights, experts):
        y = shared(x)
        for weight, e in zip(weights, experts, strict=True):
            y = y + weight * routed[e](x)
            return y

    return torch.stack([of_one(*row) for row in zip(x_ND, weights_NK, experts_NK, strict=True)])


@wrong(MIXTURE, "last choice only", "= in place of +=")
def _(x_ND, weights_NK, experts_NK, routed, shared):
    rows = []
    for x, weights, experts in zip(x_ND, weights_NK, experts_NK, strict=True):
        for weight, e in zip(weights, experts, strict=True):
            y = weight * routed[e](x)
        rows.append(y + shared(x))
    return torch.stack(rows)


@wrong(MIXTURE, "every expert asked")
def _(x_ND, weights_NK, experts_NK, routed, shared):
    return torch.stack([expert(x_ND) for expert in routed]).sum(0) + shared(x_ND)


@wrong(MIXTURE, "one after the other", "the experts in a chain")
def _(x_ND, weights_NK, experts_NK, routed, shared):
    rows = []
    for x, weights, experts in zip(x_ND, weights_NK, experts_NK, strict=True):
        always = shared(x)
        for weight, e in zip(weights, experts, strict=True):
            x = weight * routed[e](x)
        rows.append(x + always)
    return torch.stack(rows)


@wrong(MIXTURE, "one after the other", "the shared one first")
def _(x_ND, weights_NK, experts_NK, routed, shared):
    rows = []
    for x, weights, experts in zip(shared(x_ND), weights_NK, experts_NK, strict=True):
        rows.append(x + sum(weight * routed[e](x) for weight, e in zip(weights, experts, strict=True)))
    return torch.stack(rows)


@wrong(MIXTURE, "one after the other", "the sum so far")
def _(x_ND, weights_NK, experts_NK, routed, shared):
    rows = []
    for x, weights, experts in zip(x_ND, weights_NK, experts_NK, strict=True):
        y = shared(x)
        for weight, e in zip(weights, experts, strict=True):
            y = y + weight * routed[e](y)
        rows.append(y)
    return torch.stack(rows)


@wrong(MIXTURE, "one after the other", "the token overwritten")
def _(x_ND, weights_NK, experts_NK, routed, shared):
    rows = []
    for x, weights, experts in zip(x_ND, weights_NK, experts_NK, strict=True):
        always = shared(x)
        for weight, e in zip(weights, experts, strict=True):
            x = x + weight * routed[e](x)
        rows.append(x + always)
    return torch.stack(rows)


@wrong(MIXTURE, "shared subtracted")
def _(x_ND, weights_NK, experts_NK, routed, shared):
    rows = []
    for x, weights, experts in zip(x_ND, weights_NK, experts_NK, strict=True):
        rows.append(sum(weight * routed[e](x) for weight, e in zip(weights, experts, strict=True)) - shared(x))
    return torch.stack(rows)


@wrong(MIXTURE, "input added", "started with x")
def _(x_ND, weights_NK, experts_NK, routed, shared):
    rows = []
    for x, weights, experts in zip(x_ND, weights_NK, experts_NK, strict=True):
        y = x + shared(x)
        for weight, e in zip(weights, experts, strict=True):
            y = y + weight * routed[e](x)
        rows.append(y)
    return torch.stack(rows)


@wrong(MIXTURE, "router detached", "tolist")
def _(x_ND, weights_NK, experts_NK, routed, shared):
    rows = []
    for x, weights, experts in zip(x_ND, weights_NK.tolist(), experts_NK.tolist(), strict=True):
        y = shared(x)
        for weight, e in zip(weights, experts, strict=True):
            y = y + weight * routed[e](x)
        rows.append(y)
    return torch.stack(rows)


@wrong(MIXTURE, "adds into what `shared` returned", "row by row")
def _(x_ND, weights_NK, experts_NK, routed, shared):
    rows = []
    for x, weights, experts in zip(x_ND, weights_NK, experts_NK, strict=True):
        y = shared(x)
        for weight, expert in zip(weights, experts, strict=True):
            y += weight * routed[expert](x)
        rows.append(y)
    return torch.stack(rows)


@wrong(MIXTURE, "adds into what `shared` returned", "all rows at once")
def _(x_ND, weights_NK, experts_NK, routed, shared):
    y = shared(x_ND)
    for n in range(len(x_ND)):
        for k in range(experts_NK.shape[1]):
            y[n] += weights_NK[n, k] * routed[experts_NK[n, k]](x_ND[n])
    return y


@wrong(MIXTURE, "wrong shape", "one row for each choice")
def _(x_ND, weights_NK, experts_NK, routed, shared):
    rows = []
    for x, weights, experts in zip(x_ND, weights_NK, experts_NK, strict=True):
        for weight, e in zip(weights, experts, strict=True):
            rows.append(weight * routed[e](x) + shared(x))
    return torch.stack(rows)


@wrong(MIXTURE, "wrong type", "a list of rows")
def _(x_ND, weights_NK, experts_NK, routed, shared):
    return [shared(x) for x in x_ND]


@wrong(MIXTURE, "raises TypeError", "a list of functions called")
def _(x_ND, weights_NK, experts_NK, routed, shared):
    return routed(x_ND) + shared(x_ND)


@right(MIXTURE, "expert by expert, with a mask")
def _(x_ND, weights_NK, experts_NK, routed, shared):
    y = shared(x_ND)
    for e, expert in enumerate(routed):
        weight = (weights_NK * (experts_NK == e)).sum(-1, keepdim=True)
        y = y + weight * expert(x_ND)
    return y


@right(MIXTURE, "expert by expert, only its tokens")
def _(x_ND, weights_NK, experts_NK, routed, shared):
    y = torch.stack([shared(x) for x in x_ND])
    for e, expert in enumerate(routed):
        token, choice = torch.where(experts_NK == e)
        if len(token):
            y = y.index_add(0, token, weights_NK[token, choice, None] * expert(x_ND[token]))
    return y


@right(MIXTURE, "all outputs, then einsum")
def _(x_ND, weights_NK, experts_NK, routed, shared):
    outputs = torch.stack([torch.stack([expert(x) for expert in routed]) for x in x_ND])  # (N, E, D)
    chosen = outputs.take_along_dim(experts_NK[..., None], dim=1)
    return torch.einsum("nk,nkd->nd", weights_NK, chosen) + torch.stack([shared(x) for x in x_ND])


@right(MIXTURE, "index by index, added in place")
def _(x_ND, weights_NK, experts_NK, routed, shared):
    y_ND = torch.zeros_like(x_ND)
    for n in range(x_ND.shape[0]):
        for k in range(experts_NK.shape[1]):
            y_ND[n] += weights_NK[n, k] * routed[int(experts_NK[n, k])](x_ND[n])
        y_ND[n] += shared(x_ND[n])
    return y_ND


# --- split_experts ----------------------------------------------------------------------------------------------------


def learner_splits(*, checked=True, **fields):
    """A learner's function with the fields that it is given, as functions of the config and m."""

    def split_experts(config, m):
        if checked and config.moe_intermediate_size % m != 0:
            raise ValueError(f"m must divide {config.moe_intermediate_size}, got {m}.")
        return config.replace(**{name: value(config, m) for name, value in fields.items()})

    return split_experts


E = {"n_routed_experts": lambda c, m: m * c.n_routed_experts}
K = {"num_experts_per_tok": lambda c, m: m * c.num_experts_per_tok}
S = {"n_shared_experts": lambda c, m: m * c.n_shared_experts}
I = {"moe_intermediate_size": lambda c, m: c.moe_intermediate_size // m}

wrong(SPLIT, "K not multiplied", "forgotten")(learner_splits(**E, **S, **I))
wrong(SPLIT, "I not divided", "forgotten")(learner_splits(**E, **K, **S))
wrong(SPLIT, "E not multiplied", "forgotten")(learner_splits(**K, **S, **I))
wrong(SPLIT, "shared experts not multiplied", "forgotten")(learner_splits(**E, **K, **I))
wrong(SPLIT, "m shared experts", "one cut in m")(learner_splits(**E, **K, **I, n_shared_experts=lambda c, m: m))
wrong(SPLIT, "only E multiplied", "more experts")(learner_splits(**E))
wrong(SPLIT, "only I divided", "smaller experts")(learner_splits(**I))
wrong(SPLIT, "K and shared experts not multiplied", "cut, but not chosen")(learner_splits(**E, **I))
wrong(SPLIT, "I and shared experts as they were", "more of both")(learner_splits(**E, **K))
wrong(SPLIT, "I multiplied", "times m")(
    learner_splits(**E, **K, **S, moe_intermediate_size=lambda c, m: c.moe_intermediate_size * m)
)
wrong(SPLIT, "dense layers cut", "the wrong field")(
    learner_splits(**E, **K, **S, intermediate_size=lambda c, m: c.intermediate_size // m)
)
wrong(SPLIT, "dense layers cut", "both")(
    learner_splits(**E, **K, **S, **I, intermediate_size=lambda c, m: c.intermediate_size // m)
)
wrong(SPLIT, "hidden size divided", "too")(
    learner_splits(**E, **K, **S, **I, hidden_size=lambda c, m: c.hidden_size // m)
)
wrong(SPLIT, "groups multiplied", "both")(
    learner_splits(**E, **K, **S, **I, n_group=lambda c, m: c.n_group * m, topk_group=lambda c, m: c.topk_group * m)
)
wrong(SPLIT, "scaling factor changed", "divided")(
    learner_splits(**E, **K, **S, **I, routed_scaling_factor=lambda c, m: c.routed_scaling_factor / m)
)
wrong(SPLIT, "inner width a float", "a single slash")(
    learner_splits(**E, **K, **S, moe_intermediate_size=lambda c, m: c.moe_intermediate_size / m)
)
wrong(SPLIT, "rounded without an error", "//")(learner_splits(checked=False, **E, **K, **S, **I))
wrong(SPLIT, "rounded without an error", "round")(
    learner_splits(checked=False, **E, **K, **S, moe_intermediate_size=lambda c, m: round(c.moe_intermediate_size / m))
)


@wrong(SPLIT, "other fields lost", "from tiny")
def _(config, m):
    if config.moe_intermediate_size % m:
        raise ValueError
    fields = {name: value(config, m) for name, value in {**E, **K, **S, **I}.items()}
    return tiny().replace(**fields)


@wrong(SPLIT, "other fields lost", "those with a default")
def _(config, m):
    names = ("vocab_size", "hidden_size", "num_hidden_layers", "intermediate_size", "num_attention_heads",
             "kv_lora_rank", "qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim")  # fmt: skip
    fields = {name: value(config, m) for name, value in {**E, **K, **S, **I}.items()}
    return ModelConfig(**{name: getattr(config, name) for name in names}, **fields)


@wrong(SPLIT, "nothing split", "the copy not kept")
def _(config, m):
    if config.moe_intermediate_size % m:
        raise ValueError
    config.replace(n_routed_experts=config.n_routed_experts * m)
    return config


@wrong(SPLIT, "raises FrozenInstanceError")
def _(config, m):
    config.n_routed_experts *= m
    config.num_experts_per_tok *= m
    config.moe_intermediate_size //= m
    return config


@wrong(SPLIT, "raises AssertionError", "the wrong kind of error")
def _(config, m):
    assert config.moe_intermediate_size % m == 0
    return learner_splits(**E, **K, **S, **I)(config, m)


@wrong(SPLIT, "raises ValueError", "the number of experts need not be divided")
def _(config, m):
    if config.n_routed_experts % m:
        raise ValueError(f"m must divide the experts, got {m}.")
    return learner_splits(**E, **K, **S, **I)(config, m)


@wrong(SPLIT, "wrong type", "the numbers alone")
def _(config, m):
    return config.n_routed_experts * m, config.num_experts_per_tok * m, config.moe_intermediate_size // m


@wrong(SPLIT, "returns None")
def _(config, m):
    config.replace(n_routed_experts=config.n_routed_experts * m)


@right(SPLIT, "divmod")
def _(config, m):
    width, rest = divmod(config.moe_intermediate_size, m)
    if rest:
        raise ValueError(f"no whole width: {config.moe_intermediate_size} / {m}")
    times_m = {
        name: getattr(config, name) * m for name in ("n_routed_experts", "num_experts_per_tok", "n_shared_experts")
    }
    return config.replace(moe_intermediate_size=width, **times_m)


@right(SPLIT, "all fields in a dictionary")
def _(config, m):
    if config.moe_intermediate_size != m * int(config.moe_intermediate_size / m):
        raise ValueError
    fields = dict(vars(config))
    fields["moe_intermediate_size"] = int(fields["moe_intermediate_size"] / m)
    for name in ("n_routed_experts", "num_experts_per_tok", "n_shared_experts"):
        fields[name] *= m
    return ModelConfig(**fields)


@right(SPLIT, "step by step")
def _(config, m):
    if config.moe_intermediate_size % m:
        raise ValueError("m must divide the inner width")
    config = config.replace(n_routed_experts=m * config.n_routed_experts)
    config = config.replace(num_experts_per_tok=m * config.num_experts_per_tok)
    config = config.replace(n_shared_experts=m * config.n_shared_experts)
    return config.replace(moe_intermediate_size=config.moe_intermediate_size // m)
