"""Lesson 04, `sequence_balance_loss`: a loss within each sequence."""

import torch

from mini_moe.balance import sequence_balance_loss
from mini_moe.course.checking.exercise import Exercise, Property, Wrong, agrees_with
from mini_moe.course.checking.observe import close
from mini_moe.course.exercises.balance.sequence_balance_loss_mistakes import MISTAKES
from mini_moe.course.exercises.balance.shared import backwards, draw


def _cases_of_loss(generator):
    # In the smallest, both tokens go to one expert. The choices do not follow the scores alone: there is a bias, too.
    scores = torch.tensor([[draw(0.2, 0.45, generator), draw(0.5, 0.8, generator)] for _ in range(2)])[None]
    experts = torch.randint(0, 2, (1,), generator=generator).expand(1, 2, 1)
    yield scores, experts, draw(0.2, 0.8, generator)
    for B, T, E, K in ((2, 3, 4, 2), (3, 4, 5, 3), (2, 1, 3, 1), (1, 3, 2, 2)):
        scores = torch.randn(B, T, E, generator=generator).sigmoid()
        experts = torch.rand(B, T, E, generator=generator).topk(K).indices
        yield backwards(scores), backwards(experts), draw(0.2, 0.8, generator)
    yield torch.full((1, 1, 1), 0.5), torch.zeros(1, 1, 1, dtype=torch.int64), draw(0.2, 0.8, generator)


def _size_of_scores_is_nothing(function, scores, experts, alpha):
    factor_T1 = torch.logspace(-6, 0, scores.shape[1])[:, None]
    if not close(function(factor_T1 * scores, experts, alpha), function(scores, experts, alpha)):
        raise Wrong(
            "A token with all its scores a million times smaller has the same shares s / sum of s, so the loss must "
            "stay. Is each token divided by its own sum, and nothing added to that?",
            mistake="size of scores not divided out",
        )


def _alpha_at_balance(function, scores, experts, alpha):
    E, K = scores.shape[-1], experts.shape[-1]
    even = (torch.arange(E)[:, None] + torch.arange(K)) % E  # E tokens; each expert is chosen K times
    loss = function(scores[:, :1].expand(-1, E, -1), even.expand(len(scores), -1, -1), alpha)
    if not close(loss, torch.full_like(loss, alpha)):
        raise Wrong(
            f"If all experts had the same share of tokens, the loss would have to be `alpha`, here {alpha}. It is "
            f"{loss:.4g}.",
            mistake="balance does not cost alpha",
        )


def _busy_pushed_down(function, scores, experts, alpha):
    E, K = scores.shape[-1], experts.shape[-1]
    if K == E:  # none is busier than others
        return
    to_the_first = torch.arange(K).expand_as(experts)
    scores = scores.requires_grad_()
    gradient = torch.autograd.grad(function(scores, to_the_first, alpha), scores)[0]
    busy = torch.arange(E) < K
    unlike = ((gradient > 0) != busy) | ((gradient < 0) != ~busy)
    if unlike.any():
        numbers = ", ".join(f"{number:.2g}" for number in gradient[unlike.any(dim=-1)][0].tolist())
        turned = ((gradient < 0) == busy) & ((gradient > 0) == ~busy)
        raise Wrong(
            f"If all tokens went to {'expert 0' if K == 1 else f'experts 0 to {K - 1}'}, the gradient to these scores "
            f"would have to be positive, so that a step lowers them, and to all others negative. To the scores of a "
            f"token it is ({numbers}).",
            mistake="busy experts pushed up" if turned.all() else "busy experts not pushed down",
        )


def _sequences_apart(function, scores, experts, alpha):
    pairs = zip(scores.split(1), experts.split(1), strict=True)
    if not close(function(scores, experts, alpha), torch.stack([function(*pair, alpha) for pair in pairs]).mean()):
        raise Wrong(
            "The loss of a batch must be the mean of the losses of its sequences, each taken by itself.",
            mistake="sequences not taken apart",
        )


def _in_proportion_to_alpha(function, scores, experts, alpha):
    if not close(function(scores, experts, 3 * alpha), 3 * function(scores, experts, alpha)):
        raise Wrong("Three times `alpha` must give three times the loss.", mistake="not in proportion to alpha")


def _long_sequence(function, scores, experts, alpha):
    if scores.shape[-1] > 1:  # one such sequence is enough
        return
    T = 2_051
    loss = function(torch.tensor([0.6, 0.2]).repeat(1, T, 1), torch.zeros(1, T, 1, dtype=torch.int64), alpha)
    if not close(loss, torch.full_like(loss, 1.5 * alpha)):
        raise Wrong(
            f"If {T:,} tokens with scores (0.6, 0.2) all went to expert 0, the loss would have to be 1.5 alpha, here "
            f"{1.5 * alpha:.4g}. It is {loss:.4g}: are they counted in a type too small for so many, as bfloat16?",
            mistake="counted in too small a type",
        )


EXERCISE = Exercise(
    reference=sequence_balance_loss,
    cases=_cases_of_loss,
    properties=(
        Property("only a token's shares count, not the size of its scores", _size_of_scores_is_nothing),
        Property("perfect balance costs alpha", _alpha_at_balance),
        Property("its gradient lowers the scores of busy experts", _busy_pushed_down),
        Property("each sequence is judged by itself", _sequences_apart),
        Property("it grows in proportion to alpha", _in_proportion_to_alpha),
        Property("agrees with the library, gradients too", agrees_with(sequence_balance_loss)),
        Property("a sequence may be long", _long_sequence),
    ),
    mistakes=MISTAKES,
    hints=(
        "For each sequence and expert two numbers: f from `experts_BTK` (what was chosen) and the mean share from "
        "`scores_BTE` (what the router would like). Multiply them, add up over experts, take the mean over sequences.",
        "`expert_load(experts_BTK.flatten(1), E)` counts within each sequence, (B, E). For the mean share divide by "
        "`scores_BTE.sum(dim=-1, keepdim=True)` first, and then take the mean over the tokens, `dim=1`.",
        "Four lines. The sizes, from the two shapes. f, of shape (B, E): the loads within each sequence, times one "
        "number made of E, K and T. The mean share, (B, E): each token's scores over their sum, then the mean over "
        "the tokens. And the result: the two multiplied, summed over the experts, averaged over the sequences, times "
        "alpha.",
    ),
    difficulty=2,
    minutes=18,
)
