"""Wrong answers to `route`: errors, defaults, equal scores, and what stays behind from call to call."""

import torch
from exercises.answers import Answers
from exercises.mixture_of_experts.route_parts import plain, refuse_illegal

from mini_moe.course.exercises.mixture_of_experts.route import EXERCISE
from mini_moe.router import limit_to_groups, route

ANSWERS = Answers(EXERCISE)
wrong = ANSWERS.wrong


def learner_refuses(refuse):
    """A router that is right but for what it refuses."""

    def learner(scores_NE, bias_E, top_k, *, n_group=1, topk_group=1, normalize=True, scale=1.0):
        refuse(scores_NE, bias_E, top_k, n_group, topk_group)
        experts = limit_to_groups(scores_NE + bias_E, n_group, topk_group).topk(top_k).indices
        return plain(scores_NE, bias_E, experts, normalize) * scale, experts

    return learner


@wrong("another error than documented", "nothing checked")
@learner_refuses
def _(scores_NE, bias_E, top_k, n_group, topk_group):
    pass


@wrong("not refused", "a bias of one number stretched")
@learner_refuses
def _(scores_NE, bias_E, top_k, n_group, topk_group):
    if bias_E.shape[-1] == scores_NE.shape[1]:
        refuse_illegal(scores_NE, bias_E.flatten()[: bias_E.shape[-1]], top_k, n_group, topk_group)
    elif len(bias_E) != 1:
        raise ValueError(f"bias must have {scores_NE.shape[1]} numbers, got {len(bias_E)}")


@wrong("another error than documented", "assert")
@learner_refuses
def _(scores_NE, bias_E, top_k, n_group, topk_group):
    E = scores_NE.shape[1]
    assert bias_E.shape == (E,) and E % n_group == 0 and 1 <= topk_group <= n_group, "these do not fit"
    assert 1 <= top_k <= topk_group * E // n_group, "too many experts"


@wrong("another error than documented", "0 groups divided by")
@learner_refuses
def _(scores_NE, bias_E, top_k, n_group, topk_group):
    if scores_NE.shape[1] % n_group == 0:
        refuse_illegal(scores_NE, bias_E, top_k, n_group, topk_group)
    else:
        raise ValueError(f"n_group must divide {scores_NE.shape[1]}, got {n_group}")


@wrong("another error than documented", "the groups not checked")
@learner_refuses
def _(scores_NE, bias_E, top_k, n_group, topk_group):
    refuse_illegal(scores_NE, bias_E, top_k, 1, 1)


@wrong("not refused", "0 experts")
@learner_refuses
def _(scores_NE, bias_E, top_k, n_group, topk_group):
    refuse_illegal(scores_NE, bias_E, top_k or 1, n_group, topk_group)


@wrong("closed experts chosen")
@learner_refuses
def _(scores_NE, bias_E, top_k, n_group, topk_group):
    refuse_illegal(scores_NE, bias_E, 1, n_group, topk_group)
    if top_k not in range(1, scores_NE.shape[1] + 1):
        raise ValueError(f"top_k must be at most {scores_NE.shape[1]}, got {top_k}")


@wrong("error without the value")
@learner_refuses
def _(scores_NE, bias_E, top_k, n_group, topk_group):
    try:
        refuse_illegal(scores_NE, bias_E, top_k, n_group, topk_group)
    except ValueError:
        raise ValueError("these options do not go together") from None


@wrong("refuses a legal input", "as many experts as are open")
def _(scores_NE, bias_E, top_k, *, n_group=1, topk_group=1, normalize=True, scale=1.0):
    if top_k >= topk_group * scores_NE.shape[1] // n_group:
        raise ValueError(f"top_k must be less, got {top_k}")
    return route(scores_NE, bias_E, top_k, n_group=n_group, topk_group=topk_group, normalize=normalize, scale=scale)


@wrong("a single weight not normalised")
def _(scores_NE, bias_E, top_k, *, n_group=1, topk_group=1, normalize=True, scale=1.0):
    normalize = normalize and top_k > 1
    return route(scores_NE, bias_E, top_k, n_group=n_group, topk_group=topk_group, normalize=normalize, scale=scale)


@wrong("wrong shape", "a single choice's dimension lost")
def _(scores_NE, bias_E, top_k, *, n_group=1, topk_group=1, normalize=True, scale=1.0):
    weights, experts = route(
        scores_NE, bias_E, top_k, n_group=n_group, topk_group=topk_group, normalize=normalize, scale=scale
    )
    return weights.squeeze(1), experts.squeeze(1)


@wrong("another default", "scale")
def _(scores_NE, bias_E, top_k, *, n_group=1, topk_group=1, normalize=True, scale=2.5):
    return route(scores_NE, bias_E, top_k, n_group=n_group, topk_group=topk_group, normalize=normalize, scale=scale)


@wrong("another default", "n_group")
def _(scores_NE, bias_E, top_k, *, n_group=None, topk_group=1, normalize=True, scale=1.0):
    if n_group is None:
        n_group = 2 if scores_NE.shape[1] % 2 == 0 and top_k <= scores_NE.shape[1] // 2 else 1
    return route(scores_NE, bias_E, top_k, n_group=n_group, topk_group=topk_group, normalize=normalize, scale=scale)


@wrong("another default", "all groups open")
def _(scores_NE, bias_E, top_k, *, n_group=1, topk_group=None, normalize=True, scale=1.0):
    topk_group = n_group if topk_group is None else topk_group
    return route(scores_NE, bias_E, top_k, n_group=n_group, topk_group=topk_group, normalize=normalize, scale=scale)


@wrong("equal scores", "a threshold")
def _(scores_NE, bias_E, top_k, *, n_group=1, topk_group=1, normalize=True, scale=1.0):
    choice = limit_to_groups(scores_NE.detach() + bias_E, n_group, topk_group)
    mask = choice >= choice.sort(dim=-1, descending=True).values[:, top_k - 1 : top_k]
    experts = mask.nonzero()[:, 1].view(-1, top_k)
    return plain(scores_NE, bias_E, experts, normalize) * scale, experts


@wrong("equal scores", "looked up by their value")
def _(scores_NE, bias_E, top_k, *, n_group=1, topk_group=1, normalize=True, scale=1.0):
    rows = limit_to_groups(scores_NE + bias_E, n_group, topk_group).tolist()
    experts = torch.tensor([[row.index(value) for value in sorted(row)[-top_k:]] for row in rows])
    return plain(scores_NE, bias_E, experts, normalize) * scale, experts


@wrong("too much added to the sum", "1e-5")
def _(scores_NE, bias_E, top_k, *, n_group=1, topk_group=1, normalize=True, scale=1.0):
    experts = limit_to_groups(scores_NE + bias_E, n_group, topk_group).topk(top_k).indices
    weights = scores_NE.gather(1, experts)
    return (weights / (weights.sum(1, keepdim=True) + 1e-5) if normalize else weights) * scale, experts


@wrong("bias taken off again")
def _(scores_NE, bias_E, top_k, *, n_group=1, topk_group=1, normalize=True, scale=1.0):
    values, experts = limit_to_groups(scores_NE + bias_E, n_group, topk_group).topk(top_k)
    weights = values - bias_E[experts]
    return (weights / weights.sum(1, keepdim=True) if normalize else weights) * scale, experts


@wrong("changes its input", "where no gradient is needed")
def _(scores_NE, bias_E, top_k, *, n_group=1, topk_group=1, normalize=True, scale=1.0):
    result = route(scores_NE, bias_E, top_k, n_group=n_group, topk_group=topk_group, normalize=normalize, scale=scale)
    if not scores_NE.requires_grad:
        scores_NE += bias_E
    return result


_choices = {}


@wrong("depends on place or earlier calls")
def _(scores_NE, bias_E, top_k, *, n_group=1, topk_group=1, normalize=True, scale=1.0):
    _, experts = route(
        scores_NE, bias_E, top_k, n_group=n_group, topk_group=topk_group, normalize=normalize, scale=scale
    )
    experts = _choices.setdefault((scores_NE.shape, top_k), experts)
    return plain(scores_NE, bias_E, experts, normalize) * scale, experts


@wrong("an expert twice")
def _(scores_NE, bias_E, top_k, *, n_group=1, topk_group=1, normalize=True, scale=1.0):
    experts = limit_to_groups(scores_NE + bias_E, n_group, topk_group).argmax(-1, keepdim=True).repeat(1, top_k)
    return plain(scores_NE, bias_E, experts, normalize) * scale, experts
