"""Lesson 04, `sequence_balance_loss`: a loss within each sequence."""

import torch

from mini_moe.balance import sequence_balance_loss
from mini_moe.course.checking.exercise import Exercise, Property, Wrong, agrees_with, must_equal
from mini_moe.course.exercises.balance.sequence_balance_loss_mistakes import MISTAKES
from mini_moe.course.exercises.balance.shared import draw


def _cases_of_loss(generator):
    # In the smallest, both tokens go to one expert. The choices do not follow the scores alone: there is a bias, too.
    alone = torch.randint(0, 2, (1,), generator=generator)
    for B, T, E, K in ((1, 2, 2, 1), (2, 3, 4, 2), (2, 4, 5, 3)):
        scores = torch.randn(B, T, E, generator=generator).sigmoid()
        scores = scores if B > 1 else scores.round(decimals=2)  # equal ones would make their order ambiguous
        experts = torch.rand(B, T, E, generator=generator).topk(K).indices if B > 1 else alone.expand(B, T, K)
        yield scores, experts, draw(0.2, 0.8, generator)


def _alpha_at_balance(function, scores, experts, alpha):
    E, K = scores.shape[-1], experts.shape[-1]
    even = (torch.arange(E)[:, None] + torch.arange(K)) % E  # E tokens; each expert is chosen K times
    loss = function(scores[:, :1].expand(-1, E, -1), even.expand(len(scores), -1, -1), alpha)
    must_equal(
        loss,
        torch.full_like(loss, alpha),
        "If all experts had the same share of tokens, the loss would have to be `alpha`.",
    )


def _busy_pushed_down(function, scores, experts, alpha):
    K = experts.shape[-1]
    to_the_first = torch.arange(K).expand_as(experts)
    scores = scores.requires_grad_()
    got, expected = (
        torch.autograd.grad(loss(scores, to_the_first, alpha), scores)[0] for loss in (function, sequence_balance_loss)
    )
    unlike = (got.sign() != expected.sign()).any(dim=-1)
    if unlike.any():
        gradient = ", ".join(f"{number:.2g}" for number in got[unlike][0].tolist())
        raise Wrong(
            f"If all tokens went to the first {K} of the experts, the gradient to their scores would have to be "
            f"positive, so that a step lowers them, and to all others negative. To the scores of a token it is "
            f"({gradient})."
        )


def _size_of_scores_is_nothing(function, scores, experts, alpha):
    factor_T1 = torch.linspace(0.5, 1, scores.shape[1])[:, None]
    must_equal(
        function(factor_T1 * scores, experts, alpha),
        function(scores, experts, alpha),
        "A token with all its scores halved has the same shares s / sum of s: the loss must stay.",
    )


def _sequences_apart(function, scores, experts, alpha):
    pairs = zip(scores.split(1), experts.split(1), strict=True)
    must_equal(
        function(scores, experts, alpha),
        torch.stack([function(*pair, alpha) for pair in pairs]).mean(),
        "The loss of a batch must be the mean of the losses of its sequences, each taken by itself.",
    )


def _in_proportion_to_alpha(function, scores, experts, alpha):
    must_equal(
        function(scores, experts, 3 * alpha),
        3 * function(scores, experts, alpha),
        "Three times `alpha` must give three times the loss.",
    )


EXERCISE = Exercise(
    reference=sequence_balance_loss,
    cases=_cases_of_loss,
    properties=(
        Property("perfect balance costs alpha", _alpha_at_balance),
        Property("its gradient lowers the scores of busy experts", _busy_pushed_down),
        Property("only a token's shares count, not the size of its scores", _size_of_scores_is_nothing),
        Property("each sequence is judged by itself", _sequences_apart),
        Property("it grows in proportion to alpha", _in_proportion_to_alpha),
        Property("agrees with the library, gradients too", agrees_with(sequence_balance_loss)),
    ),
    mistakes=MISTAKES,
    hints=(
        "For each sequence and expert two numbers: f from `experts_BTK` (what was chosen) and P from `scores_BTE` "
        "(what the router would like). Multiply them, add up over experts, take the mean over sequences.",
        "`expert_load(experts_BTK.flatten(1), E)` counts within each sequence, (B, E). For P divide by "
        "`scores_BTE.sum(dim=-1, keepdim=True)` first, and then take the mean over the tokens, `dim=1`.",
        "f_BE = expert_load(experts_BTK.flatten(1), E) * (E / (K * T)), "
        "p_BE = (scores_BTE / scores_BTE.sum(dim=-1, keepdim=True)).mean(dim=1), "
        "then return alpha * (f_BE * p_BE).sum(dim=-1).mean()",
    ),
    difficulty=2,
    minutes=12,
)
