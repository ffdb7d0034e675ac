"""Lesson 04, what keeps experts busy: counting their load, a loss within each sequence, and a bias that steers."""

import torch
import torch.nn.functional as F

from mini_moe.course.exercise import Exercise, Mistake, Property, Wrong, agrees_with, must_equal
from mini_moe.course.quiz import Option, Quiz
from mini_moe.moe import expert_load, sequence_balance_loss, update_bias


def _draw(low, high, generator):
    """A number between two others, with two digits."""
    return round(low + (high - low) * torch.rand(1, generator=generator).item(), 2)


# --- expert_load ------------------------------------------------------------------------------------------------------


def _cases_of_load(generator):
    yield torch.randint(0, 2, (1,), generator=generator).repeat(2), 3  # one expert twice, the last one never
    for shape, E in (((2, 5), 4), ((2, 3, 4), 6)):
        yield torch.randint(0, E, shape, generator=generator), E


def _every_choice_counts(function, experts, n_experts):
    total = function(experts, n_experts).sum(dim=-1)
    must_equal(
        total, torch.full_like(total, experts.shape[-1]), "Every choice counts once: a row of loads adds up to n."
    )


def _twice_as_many(function, experts, n_experts):
    must_equal(
        function(torch.cat((experts, experts), dim=-1), n_experts),
        2 * function(experts, n_experts),
        "The same choices made twice must give twice the load.",
    )


def _idle_in_place(function, experts, n_experts):
    idle = function(torch.zeros_like(experts), n_experts)[..., 1:]
    must_equal(
        idle,
        torch.zeros_like(idle),
        "If all tokens went to expert 0, the others would still have their place, with load 0.",
    )


def _rows_counted_apart(function, experts, n_experts):
    together = function(torch.stack((experts, torch.zeros_like(experts))), n_experts)
    must_equal(
        together[0], function(experts, n_experts), "A row's loads depend on the rows beside it: count each by itself."
    )


def _chosen(experts, n_experts):
    """1 for each choice and the expert it fell on: (..., n, E)."""
    return F.one_hot(experts, n_experts).float()


def _counts(experts, n_experts):
    return _chosen(experts, n_experts).sum(dim=-2)


def _pooled(experts, n_experts):
    return _counts(experts.flatten(), n_experts)


EXPERT_LOAD = Exercise(
    lesson="balance",
    reference=expert_load,
    cases=_cases_of_load,
    properties=(
        Property("every choice counts once", _every_choice_counts),
        Property("twice the tokens make twice the load", _twice_as_many),
        Property("an idle expert keeps its place, with load 0", _idle_in_place),
        Property("each row is counted by itself", _rows_counted_apart),
        Property("agrees with the library", agrees_with(expert_load)),
    ),
    mistakes=(
        *(
            Mistake(
                "a repeated expert counted once",
                "An expert chosen twice counts once. `load[experts] += 1` does so: it writes each place one time only. "
                "`scatter_add` adds up, and so does a sum of one-hot rows.",
                function,
            )
            for function in (
                lambda experts, n_experts: _counts(experts, n_experts).clamp(max=1),
                lambda experts, n_experts: _pooled(experts, n_experts).clamp(max=1),
                lambda experts, n_experts: (
                    _pooled(experts, n_experts).clamp(max=1).expand(*experts.shape[:-1], -1)  # load[..., experts] += 1
                ),
            )
        ),
        *(
            Mistake(
                "all rows counted together",
                "All rows are counted together: only the *last* dimension of `experts` is counted, and each index "
                "before it, such as a sequence's, keeps loads of its own.",
                lambda experts, n_experts, pool=pool, dtype=dtype: pool(experts, n_experts).to(dtype),
            )
            for pool in (
                _pooled,
                lambda experts, n_experts: _pooled(experts, n_experts).expand(*experts.shape[:-1], -1),
                lambda experts, n_experts: _counts(experts, n_experts).flatten(0, -2).mean(dim=0),
            )
            for dtype in (torch.float32, torch.int64)
        ),
        *(
            Mistake(
                "idle experts left out",
                "Experts that nobody chose are missing at the end, so the width depends on the choices: give the "
                "number of experts, as `minlength` or `num_classes`.",
                lambda experts, n_experts, count=count, dtype=dtype: count(experts).to(dtype),
            )
            for count in (
                lambda experts: F.one_hot(experts).sum(dim=-2),
                lambda experts: experts.flatten().bincount(),
                lambda experts: experts.unique(return_counts=True)[1],
            )
            for dtype in (torch.float32, torch.int64)
        ),
        *(
            Mistake(
                "shares in place of counts",
                "These are shares: give the number of tokens, undivided. Whoever needs shares can divide.",
                function,
            )
            for function in (
                lambda experts, n_experts: _chosen(experts, n_experts).mean(dim=-2),
                lambda experts, n_experts: _chosen(experts, n_experts).mean(dim=-2) * n_experts,
                lambda experts, n_experts: _counts(experts, n_experts) / n_experts,
                lambda experts, n_experts: _counts(experts, n_experts) / experts.numel(),
                lambda experts, n_experts: _pooled(experts, n_experts) / experts.numel(),
            )
        ),
        *(
            Mistake(
                "only one choice counted",
                "Only one choice of each row is counted: all n of them are, the second as much as the first.",
                lambda experts, n_experts, place=place: _counts(experts[..., place], n_experts),
            )
            for place in (slice(1), slice(-1, None))
        ),
        *(
            Mistake(
                "summed over the wrong dimension",
                "The one-hot rows are summed over the wrong dimension: sum over the n choices, the last but one, "
                "`dim=-2`, so that the experts remain.",
                lambda experts, n_experts, dim=dim, dtype=dtype: _chosen(experts, n_experts).sum(dim).to(dtype),
            )
            for dim in (0, 1, -1)
            for dtype in (torch.float32, torch.int64)
        ),
        Mistake(
            "nothing counted",
            "All loads are 0. Without an underscore at its end, an operation such as `scatter_add` leaves its tensor "
            "as it is and gives a new one: return that.",
            lambda experts, n_experts: 0 * _counts(experts, n_experts),
        ),
        Mistake(
            "expert numbers added",
            "It adds the numbers of the experts: each choice adds 1, whichever expert it is.",
            lambda experts, n_experts: _counts(experts, n_experts) * torch.arange(n_experts),
        ),
        Mistake(
            "experts numbered from 1",
            "The experts are numbered from 1 here: they are 0 to n_experts - 1, so expert 0 comes first.",
            lambda experts, n_experts: _counts(experts, n_experts + 1)[..., 1:],
        ),
        Mistake(
            "one expert too few",
            "One expert is missing: there are `n_experts` of them, 0 to n_experts - 1.",
            lambda experts, n_experts: _counts(experts, n_experts)[..., :-1],
        ),
        Mistake(
            "counts added up along the experts",
            "The counts are added up from expert to expert: that tells where each one's tokens begin or end. Here each "
            "expert has its own count.",
            lambda experts, n_experts: _counts(experts, n_experts).cumsum(dim=-1),
        ),
    ),
    hints=(
        "Start with a zero for each expert, then let every choice add 1 in its expert's place.",
        "`counts.scatter_add(-1, experts, ones)` adds up even where an index comes twice; `ones` has the shape of "
        "`experts`. A sum of one-hot rows over the choices, made float, is the same.",
        "counts = torch.zeros(*experts.shape[:-1], n_experts), then return counts.scatter_add(-1, experts, "
        "torch.ones_like(experts, dtype=counts.dtype))",
    ),
    difficulty=1,
    minutes=5,
)

# --- sequence_balance_loss --------------------------------------------------------------------------------------------


def _cases_of_loss(generator):
    # In the smallest, both tokens go to one expert. The choices do not follow the scores alone: there is a bias, too.
    alone = torch.randint(0, 2, (1,), generator=generator)
    for B, T, E, K in ((1, 2, 2, 1), (2, 3, 4, 2), (2, 4, 5, 3)):
        scores = torch.randn(B, T, E, generator=generator).sigmoid()
        scores = scores if B > 1 else scores.round(decimals=2)  # equal ones would make their order ambiguous
        experts = torch.rand(B, T, E, generator=generator).topk(K).indices if B > 1 else alone.expand(B, T, K)
        yield scores, experts, _draw(0.2, 0.8, generator)


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


def _mask(scores, experts):
    """1 where a token chose an expert: (B, T, E)."""
    return _chosen(experts, scores.shape[-1]).sum(dim=2)


def _normalised(scores, dim=-1):
    return scores / scores.sum(dim=dim, keepdim=True)


def _gates(scores, experts):
    return _normalised(scores * _mask(scores, experts))


def _share(count_BE, experts):
    """f of a count."""
    return count_BE * count_BE.shape[-1] / experts[0].numel()


def _f(scores, experts):
    return _share(_mask(scores, experts).sum(dim=1), experts)


def _p(scores, experts):
    return _normalised(scores).mean(dim=1)


def _balance(*, f=_f, p=_p, join=lambda f, p, alpha: alpha * (f * p).sum(dim=-1).mean()):
    """The loss with one thing changed, for the mistakes."""
    return lambda scores, experts, alpha: join(f(scores, experts), p(scores, experts), alpha)


def _straight_through(soft):
    """f of the right value, with the gradient of ``soft(scores, experts)``."""

    def f(scores, experts):
        slope = soft(scores, experts)
        return _share((_mask(scores, experts) + slope - slope.detach()).sum(dim=1), experts)

    return f


SEQUENCE_BALANCE_LOSS = Exercise(
    lesson="balance",
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
    mistakes=(
        Mistake(
            "P detached",
            "P is detached: f is a count and has no gradient, so this loss trains nothing. Detach f, if anything.",
            _balance(p=lambda scores, experts: _p(scores.detach(), experts)),
        ),
        *(
            Mistake(
                "gradient through f",
                "The value is right, but a gradient runs through f, too: f counts tokens and is a constant; only P "
                "learns.",
                _balance(f=_straight_through(soft)),
            )
            for soft in (
                lambda scores, experts: scores,
                lambda scores, experts: scores * _mask(scores, experts),
                lambda scores, experts: _normalised(scores),
                lambda scores, experts: _normalised(scores) * _mask(scores, experts),
                lambda scores, experts: scores.softmax(dim=-1),
                lambda scores, experts: scores / scores.detach() * _mask(scores, experts),
                _gates,
            )
        ),
        Mistake(
            "sum of scores detached",
            "The sum by which the scores are divided is detached: it is part of P, and one expert's share falls as "
            "another's score rises.",
            _balance(p=lambda scores, experts: (scores / scores.sum(dim=-1, keepdim=True).detach()).mean(dim=1)),
        ),
        Mistake(
            "f times f",
            "f is multiplied by itself: it is a count, without gradient, and trains nothing. P has to be the other "
            "factor.",
            _balance(p=_f),
        ),
        *(
            Mistake(
                "P times P",
                "P is multiplied by itself: f, the share of tokens that each expert was *given*, has to be the other "
                "factor.",
                _balance(f=lambda scores, experts, factor=factor: factor(scores, experts) * _p(scores, experts)),
            )
            for factor in (
                lambda scores, experts: 1,
                lambda scores, experts: scores.shape[-1],
                lambda scores, experts: scores.shape[-1] / experts.shape[-1],
            )
        ),
        *(
            Mistake(
                "scores in place of counts",
                "f adds up scores or weights of tokens: it *counts* tokens, 1 for each choice, and has no gradient.",
                _balance(
                    f=lambda scores, experts, soft=soft, per=per: (
                        _share(soft(scores, experts).sum(dim=1), experts) * (experts.shape[-1] if per == "token" else 1)
                    )
                ),
            )
            for soft in (
                lambda scores, experts: scores,
                lambda scores, experts: scores * _mask(scores, experts),
                lambda scores, experts: _normalised(scores) * _mask(scores, experts),
                _gates,
            )
            for per in ("token", "choice")
        ),
        *(
            Mistake(
                "only chosen scores in P",
                "P takes the scores of the chosen experts only: it is the mean over *all* tokens of each expert's "
                "share, chosen or not. (To multiply count and share token by token comes to the same.)",
                _balance(p=p),
            )
            for p in (
                lambda scores, experts: (_normalised(scores) * _mask(scores, experts)).mean(dim=1),
                lambda scores, experts: (
                    (_normalised(scores) * _mask(scores, experts)).sum(dim=1)
                    / _mask(scores, experts).sum(dim=1).clamp(min=1)
                ),
                lambda scores, experts: _gates(scores, experts).mean(dim=1),
                lambda scores, experts: (scores * _mask(scores, experts)).mean(dim=1),
            )
        ),
        Mistake(
            "scores not divided by their sum",
            "The scores are not divided by their sum over the experts: without it, the loss falls when all scores do, "
            "and nothing gets more even.",
            _balance(p=lambda scores, experts: scores.mean(dim=1)),
        ),
        Mistake(
            "softmax of the scores",
            "P is a softmax of the scores: they are sigmoids already; divide them by their sum.",
            _balance(p=lambda scores, experts: scores.softmax(dim=-1).mean(dim=1)),
        ),
        Mistake(
            "divided by the sum after the mean",
            "The mean over tokens is taken first, and its sum divided by after: each *token's* scores are divided by "
            "their own sum, so that all tokens weigh the same.",
            _balance(p=lambda scores, experts: _normalised(scores.mean(dim=1))),
        ),
        *(
            Mistake(
                "divided by the wrong sum",
                "The scores are divided by the wrong sum: it runs over the experts, the last dimension, for each token "
                "by itself.",
                _balance(p=p),
            )
            for p in (
                lambda scores, experts: _normalised(scores, 0).mean(dim=1),
                lambda scores, experts: _normalised(scores, 1).mean(dim=1),
                lambda scores, experts: scores.mean(dim=1) / scores.sum(),
                lambda scores, experts: (scores / scores.gather(-1, experts).sum(dim=-1, keepdim=True)).mean(dim=1),
                lambda scores, experts: F.normalize(scores, dim=-1).mean(dim=1),
                lambda scores, experts: (scores / scores.amax(dim=-1, keepdim=True)).mean(dim=1),
            )
        ),
        *(
            Mistake(
                name,
                f"{what} At balance every f is 1, whatever E, K and T: f = E / (K T) * count.",
                _balance(
                    f=lambda scores, experts, factor=factor: (
                        _mask(scores, experts).sum(dim=1) * factor(scores.shape[-1], *experts.shape[:0:-1])
                    )
                ),
            )
            for name, what, factor in (
                (
                    "E left out",
                    "E is missing in f, or the products are averaged over the experts.",
                    lambda E, K, T: 1 / (K * T),
                ),
                ("K left out", "f is not divided by K, the choices of a token.", lambda E, K, T: E / T),
                ("T left out", "T is missing in f, or P is a sum over the tokens.", lambda E, K, T: E / K),
                ("E and K left out", "f lacks the factor E / K.", lambda E, K, T: 1 / T),
                ("K and T left out", "f is not divided by K T, the choices.", lambda E, K, T: E),
                ("bare counts", "f is the bare count.", lambda E, K, T: 1),
                ("K multiplied", "f is multiplied by K: divide by it.", lambda E, K, T: E * K / T),
                ("E multiplied twice", "f is multiplied by E twice.", lambda E, K, T: E * E / (K * T)),
                ("K divided by twice", "f is divided by K twice.", lambda E, K, T: E / (K * K * T)),
                ("T divided by twice", "f is divided by T twice.", lambda E, K, T: E / (K * T * T)),
                ("f upside down", "The factor of f stands on its head.", lambda E, K, T: K * T / E),
            )
        ),
        *(
            Mistake(
                "f cut to a whole number",
                "`//` cuts the fraction off: divide with `/`, for f is a share, such as 0.67.",
                _balance(f=f),
            )
            for f in (
                lambda scores, experts: _f(scores, experts).floor(),
                lambda scores, experts: _mask(scores, experts).sum(dim=1) * (scores.shape[-1] // experts[0].numel()),
            )
        ),
        *(
            Mistake(
                "only the first choice counted",
                "f counts only the first choice of each token: all K of them count.",
                _balance(
                    f=lambda scores, experts, per=per: _f(scores, experts[..., :1]) / (experts.shape[-1] if per else 1)
                ),
            )
            for per in (False, True)
        ),
        *(
            Mistake(
                "a busy expert counted once",
                "f notes only whether an expert was chosen, not how often: count its tokens.",
                _balance(f=f),
            )
            for f in (
                lambda scores, experts: _f(scores, experts).sign(),
                lambda scores, experts: _share(_f(scores, experts).sign(), experts),
            )
        ),
        *(
            Mistake(
                "chosen again from the scores",
                "It chooses the experts again, from the scores alone: count those in `experts_BTK`, which bias and "
                "groups had a part in.",
                lambda scores, experts, alpha, n=n: _balance()(scores, scores.topk(n(experts)).indices, alpha),
            )
            for n in (lambda experts: experts.shape[-1], lambda experts: 1)
        ),
        *(
            Mistake(
                "over the whole batch",
                "f is taken over the whole batch: then one sequence may lean one way and the next the other. Take f "
                "and P within each sequence, and the mean over sequences last.",
                _balance(f=lambda scores, experts, per=per: per(_f(scores, experts)).expand(len(scores), -1)),
            )
            for per in (lambda f: f.mean(dim=0), lambda f: f.sum(dim=0))
        ),
        *(
            Mistake(name, says, _balance(join=join))
            for name, says, join in (
                (
                    "summed over sequences",
                    "The losses of the sequences are added up: take their mean, so that a larger batch costs no more.",
                    lambda f, p, alpha: alpha * (f * p).sum(),
                ),
                (
                    "a loss for each sequence",
                    "It gives a loss for each sequence: take their mean, for one loss in all.",
                    lambda f, p, alpha: alpha * (f * p).sum(dim=-1),
                ),
                (
                    "divided by the batch twice",
                    "It is divided by the number of sequences twice: f counts within one sequence, K T choices, and "
                    "the mean over sequences comes last.",
                    lambda f, p, alpha: alpha * (f * p).sum(dim=-1).mean() / len(f),
                ),
                (
                    "alpha left out",
                    "`alpha` is not used: at its full size, this loss would drown the one that learns the language.",
                    lambda f, p, alpha: (f * p).sum(dim=-1).mean(),
                ),
                (
                    "alpha twice",
                    "`alpha` is multiplied in twice: once, at the end.",
                    lambda f, p, alpha: alpha * alpha * (f * p).sum(dim=-1).mean(),
                ),
                (
                    "divided by alpha",
                    "It is divided by `alpha`: multiply; `alpha` is small to make the loss small.",
                    lambda f, p, alpha: (f * p).sum(dim=-1).mean() / alpha,
                ),
                (
                    "sign turned round",
                    "The sign is turned round: training makes a loss small, and this one must be small at balance.",
                    lambda f, p, alpha: -alpha * (f * p).sum(dim=-1).mean(),
                ),
                (
                    "0 at balance",
                    "Something is subtracted so that balance costs 0: nearly as good, for a constant trains nothing, "
                    "but the formula has it in; balance costs `alpha`.",
                    lambda f, p, alpha: alpha * ((f * p).sum(dim=-1).mean() - 1),
                ),
                (
                    "f and P added",
                    "f and P are added: their *product* makes the share of a busy expert cost more.",
                    lambda f, p, alpha: alpha * (f + p).sum(dim=-1).mean(),
                ),
            )
        ),
        *(
            Mistake(
                "alpha written in",
                "`alpha` is written in as a number: use the argument.",
                _balance(join=lambda f, p, _, own=own: own * (f * p).sum(dim=-1).mean()),
            )
            for own in (1e-4, 1e-3, 1e-2)
        ),
    ),
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

# --- update_bias ------------------------------------------------------------------------------------------------------

# Loads of the parts of a batch. In all but the first, an expert has just the mean load, however that is rounded: means,
# parts and experts are powers of 2. In the last, three of four parts find the second expert idle, and it is busy all
# the same; and there are experts between the mean and the median, and between the mean and the middle of the extremes.
_PARTS = (
    ((2, 1),),
    ((127, 129, 128, 128),),
    ((7, 0, 1, 0), (0, 5, 3, 0)),
    (
        (10, 9, 1, 0, 0, 0, 0, 0),
        (10, 0, 2, 0, 0, 0, 0, 0),
        (2, 0, 4, 4, 3, 2, 1, 0),
        (4, 0, 1, 3, 3, 3, 1, 1),
    ),
)


def _cases_of_bias(generator):
    for parts in _PARTS:
        loads = torch.tensor(parts, dtype=torch.float32)
        loads = loads[:, torch.randperm(loads.shape[1], generator=generator)]
        bias = torch.randn(loads.shape[1], generator=generator).round(decimals=2)
        yield bias, loads, _draw(0.6, 0.9, generator)


def _excess(loads):
    """By how much each expert's load is above the mean."""
    return loads.sum(dim=0) - loads.sum(dim=0).mean()


def _against_the_load(function, bias, loads, gamma):
    moved = function(bias, loads, gamma) - bias
    busy, idle = _excess(loads) > 0, _excess(loads) < 0
    if (moved[busy] >= 0).any():
        raise Wrong("An expert with more than the mean load must get a smaller bias, so that fewer tokens choose it.")
    if (moved[idle] <= 0).any():
        raise Wrong("An expert with less than the mean load must get a larger bias, so that more tokens choose it.")


def _steps_of_one_size(function, bias, loads, gamma):
    moved = (function(bias, loads, gamma) - bias)[_excess(loads) != 0].abs()
    must_equal(
        moved,
        torch.full_like(moved, gamma),
        "However near or far an expert is from the mean, its bias moves by `gamma`.",
    )


def _still_at_balance(function, bias, loads, gamma):
    even = _excess(loads) == 0
    must_equal(function(bias, loads, gamma)[even], bias[even], "An expert with just the mean load keeps its bias.")


def _only_the_sum(function, bias, loads, gamma):
    must_equal(
        function(bias, loads, gamma),
        function(bias, loads.sum(dim=0, keepdim=True), gamma),
        "The same batch in one part gives another bias: add up the loads of the parts first, then take one step.",
    )


def _step(direction):
    """The update in ``direction(loads)``, for the mistakes."""
    return lambda bias, loads, gamma: bias + gamma * direction(loads)


def _wanted(loads):
    """The right direction."""
    return -_excess(loads).sign()


def _centred(loads):
    return _wanted(loads) - _wanted(loads).mean()


def _of_the_sum(direction):
    """``direction(load)`` of the whole batch's load."""
    return lambda loads: direction(loads.sum(dim=0))


def _in_each_part(loads):
    """The direction that each part would give by itself: (A, E)."""
    return (loads.mean(dim=1, keepdim=True) - loads).sign()


def _extremes(loads):
    load = loads.sum(dim=0)
    experts = torch.arange(len(load))
    return (experts == load.argmin()).float() - (experts == load.argmax()).float()


UPDATE_BIAS = Exercise(
    lesson="balance",
    reference=update_bias,
    cases=_cases_of_bias,
    properties=(
        Property("a busy expert's bias falls, an idle one's rises", _against_the_load),
        Property("every step has the size gamma", _steps_of_one_size),
        Property("an expert with just the mean load keeps its bias", _still_at_balance),
        Property("only the sum of the parts counts", _only_the_sum),
        Property("agrees with the library", agrees_with(update_bias)),
    ),
    mistakes=(
        Mistake(
            "sign turned round",
            "The sign is turned round: it raises the bias of *busy* experts, and they get busier still.",
            _step(lambda loads: -_wanted(loads)),
        ),
        *(
            Mistake(
                "a step for each part",
                "It takes a step for each part of the batch: add up the loads first, then step once. A part is a "
                "micro-batch or a machine's share, and says little by itself.",
                _step(direction),
            )
            for direction in (
                lambda loads: _in_each_part(loads).sum(dim=0),
                lambda loads: _in_each_part(loads.cumsum(dim=0)).sum(dim=0),
                lambda loads: (loads.mean() - loads).sign().sum(dim=0),
            )
        ),
        *(
            Mistake(
                "mean of the parts' signs",
                "The parts vote, each with its own sign: a part with few tokens counts as much as one with many. Add "
                "up the loads first, and take the sign of the sum.",
                _step(direction),
            )
            for direction in (
                lambda loads: _in_each_part(loads).mean(dim=0),
                lambda loads: _in_each_part(loads).sum(dim=0).sign(),
                lambda loads: _in_each_part(loads).median(dim=0).values,
            )
        ),
        *(
            Mistake(
                "a bias for each part",
                "It gives a bias for each part of the batch: add up the parts, `sum(dim=0)`, for all share one bias.",
                _step(direction),
            )
            for direction in (
                _in_each_part,
                lambda loads: (loads.mean() - loads).sign(),
                lambda loads: (loads.mean(dim=0) - loads).sign(),
                lambda loads: (loads.sum(dim=0).mean() - loads).sign(),
            )
        ),
        *(
            Mistake(
                "only one part",
                "Only one part of the batch decides: add up the loads of all parts.",
                _step(lambda loads, part=part: _in_each_part(loads)[part]),
            )
            for part in (0, -1)
        ),
        *(
            Mistake(
                "sum and mean of different things",
                "The load is that of the whole batch and the mean that of one part, or the other way round: both are "
                "of the sum.",
                _step(direction),
            )
            for direction in (
                lambda loads: (loads.mean() - loads.sum(dim=0)).sign(),
                lambda loads: (loads.sum(dim=0).mean() - loads.mean(dim=0)).sign(),
            )
        ),
        *(
            Mistake(
                "in proportion to the distance",
                "The step grows with the distance from the mean: take its `sign`, so that one overcrowded expert does "
                "not throw the biases about.",
                _step(direction),
            )
            for direction in (
                lambda loads: -_excess(loads),
                lambda loads: -_excess(loads) / loads.sum(dim=0).mean(),
                lambda loads: -_excess(loads) / loads.sum(),
                lambda loads: -_excess(loads) / _excess(loads).abs().max(),
                lambda loads: -_excess(loads) / _excess(loads).std(),
                lambda loads: -_excess(loads) / _excess(loads).std(correction=0),
                lambda loads: -_excess(loads).tanh(),
                lambda loads: -_excess(loads).clamp(-1, 1),
            )
        ),
        *(
            Mistake(
                "the load itself",
                "It subtracts the load itself, so every bias falls: what counts is on which side of the mean it is.",
                _step(direction),
            )
            for direction in (
                _of_the_sum(lambda load: -load),
                _of_the_sum(lambda load: -load / load.sum()),
                _of_the_sum(lambda load: -load / load.mean()),
                _of_the_sum(lambda load: -load / load.max()),
                _of_the_sum(lambda load: -load.softmax(dim=0)),
            )
        ),
        *(
            Mistake(name, says, _step(_of_the_sum(direction)))
            for name, says, directions in (
                (
                    "compared with the largest load",
                    "Each load is compared with the largest: nearly every bias rises. Compare with the *mean*.",
                    (lambda load: (load.max() - load).sign(),),
                ),
                (
                    "compared with the smallest load",
                    "Each load is compared with the smallest: nearly every bias falls. Compare with the *mean*.",
                    (lambda load: (load.min() - load).sign(),),
                ),
                (
                    "compared with the median",
                    "Each load is compared with the median: compare with the *mean*, which is what each would have at "
                    "balance.",
                    (lambda load: (load.median() - load).sign(), lambda load: (load.quantile(0.5) - load).sign()),
                ),
                (
                    "compared with the middle of the extremes",
                    "Each load is compared with the middle between smallest and largest: compare with the *mean*.",
                    (lambda load: ((load.max() + load.min()) / 2 - load).sign(),),
                ),
                (
                    "compared with a fixed number",
                    "A load is compared with a number not of its kind, such as 0, 1, 1 / E or a bias: at balance each "
                    "expert has the mean load.",
                    (
                        lambda load: (1 / len(load) - load).sign(),
                        lambda load: (1 - load).sign(),
                        lambda load: -load.sign(),
                        lambda load: 1 - 2 * (load > 0).float(),
                    ),
                ),
                (
                    "moved at balance",
                    "An expert with just the mean load is moved, too: its sign is 0, and its bias stays.",
                    (
                        lambda load: 1 - 2 * (load > load.mean()).float(),
                        lambda load: 2 * (load < load.mean()).float() - 1,
                    ),
                ),
                (
                    "only busy experts moved",
                    "Only busy experts are moved: idle ones rise by as much.",
                    (lambda load: -(load > load.mean()).float(), lambda load: -(load >= load.mean()).float()),
                ),
                (
                    "only idle experts moved",
                    "Only idle experts are moved: busy ones fall by as much.",
                    (lambda load: (load < load.mean()).float(), lambda load: (load <= load.mean()).float()),
                ),
            )
            for direction in directions
        ),
        Mistake(
            "only the extremes moved",
            "Only the busiest and the idlest expert are moved: every one that is not at the mean takes a step.",
            _step(_extremes),
        ),
        *(
            Mistake(name, says, function)
            for name, says, function in (
                (
                    "gamma left out",
                    "`gamma` is not used: a step of 1 is larger than any score, and all tokens would leap.",
                    lambda bias, loads, gamma: bias + _wanted(loads),
                ),
                (
                    "gamma twice",
                    "`gamma` is multiplied in twice: once.",
                    lambda bias, loads, gamma: bias + gamma * gamma * _wanted(loads),
                ),
                (
                    "gamma shared out over the parts",
                    "`gamma` is divided by the number of parts: one step for the whole batch, of its full size.",
                    lambda bias, loads, gamma: bias + gamma / len(loads) * _wanted(loads),
                ),
                (
                    "gamma once for each part",
                    "`gamma` is multiplied by the number of parts: one step for the whole batch, of size `gamma`.",
                    lambda bias, loads, gamma: bias + gamma * len(loads) * _wanted(loads),
                ),
                (
                    "sign of the step as a whole",
                    "`gamma` is inside the sign: it then no longer sets the size of the step.",
                    lambda bias, loads, gamma: (bias - gamma * _excess(loads)).sign(),
                ),
                (
                    "old bias forgotten",
                    "The old bias is forgotten: the step is *added* to it, and so many small steps add up.",
                    lambda bias, loads, gamma: gamma * _wanted(loads),
                ),
                *(
                    (
                        "old bias scaled",
                        "The old bias is scaled by `gamma` too: it stays whole, and the step is added to it.",
                        lambda bias, loads, gamma, kept=kept: kept(gamma) * bias + gamma * _wanted(loads),
                    )
                    for kept in (lambda gamma: gamma, lambda gamma: 1 - gamma)
                ),
                (
                    "multiplied in place of added",
                    "The bias is multiplied: one that begins at 0 would never move, and a negative one move the wrong "
                    "way. Add the step.",
                    lambda bias, loads, gamma: bias * (1 + gamma * _wanted(loads)),
                ),
                (
                    "sign of the bias",
                    "The bias decides its own step: the load does.",
                    lambda bias, loads, gamma: bias - gamma * bias.sign(),
                ),
                (
                    "nothing moved",
                    "It gives the bias back as it came: each has to take a step.",
                    lambda bias, loads, gamma: bias + 0,
                ),
                (
                    "bias kept above 0",
                    "The bias is kept at 0 or above: it may be negative, for only the order of s + b counts.",
                    lambda bias, loads, gamma: (bias + gamma * _wanted(loads)).clamp(min=0),
                ),
            )
        ),
        *(
            Mistake(
                "centred again",
                "The mean of the biases is subtracted: it changes no choice, for all experts shift alike, but the "
                "method has no such step.",
                function,
            )
            for function in (
                lambda bias, loads, gamma: bias - bias.mean() + gamma * _centred(loads),
                lambda bias, loads, gamma: bias + gamma * _centred(loads),
            )
        ),
        *(
            Mistake(
                "gamma written in",
                "`gamma` is written in as a number: use the argument. It becomes 0 near the end of training.",
                lambda bias, loads, gamma, own=own: bias + own * _wanted(loads),
            )
            for own in (1e-3, 1e-2, 1e-4)
        ),
    ),
    hints=(
        "Add up the parts first. Then each expert is above the mean load, below it, or just there.",
        "`loads_AE.sum(dim=0)` is the load of the whole batch. `torch.sign` gives 1, 0 or -1: which way round must "
        "the difference be, so that a busy expert's bias falls?",
        "load_E = loads_AE.sum(dim=0), then return bias_E + gamma * torch.sign(load_E.mean() - load_E)",
    ),
    difficulty=1,
    minutes=6,
)

EXERCISES = (EXPERT_LOAD, SEQUENCE_BALANCE_LOSS, UPDATE_BIAS)

QUIZZES = (
    Quiz(
        "no-balance",
        "Nothing keeps the experts equally busy: only the loss of the next token trains the router. What happens?",
        (
            Option("The load evens out by itself, for each expert finds its own subject.", "Nothing sends a token to "
                   "an expert that is not yet good at it. One that gets no tokens gets no gradient, and stays bad."),
            Option("A few experts win early, get trained, and win still more.", "Only the chosen learn, and the router "
                   "learns to choose who is good. Most of the model's memory is then paid for and never used: this is "
                   "called collapse.", right=True),
            Option("All experts become copies of one another.", "They begin with different weights and see different "
                   "tokens, so they differ. The trouble is that most of them see hardly any."),
            Option("The loss grows without bound.", "It falls, a little less than it could: the model works like a "
                   "smaller one. So look at the load; the loss alone will not tell you."),
        ),
    ),
    Quiz(
        "auxiliary-loss-free",
        "DeepSeek-V3 calls its way of balancing auxiliary-loss-free. Does it train without any auxiliary loss for "
        "balance?",
        (
            Option("Yes: the bias alone keeps the experts busy.", "The bias does the work over a whole batch. But one "
                   "sequence could still send all its tokens to a few experts, and a small loss guards against it."),
            Option("No: a very small loss within each sequence remains.", "Its weight is 1e-4, so small that it hardly "
                   "disturbs the model. The bias, moved without any gradient, does nearly all the work.", right=True),
            Option("No: the bias is a parameter, and its gradient comes from such a loss.", "The bias is no parameter "
                   "and has no gradient. It moves by a fixed step, up or down, by the load alone."),
        ),
    ),
    Quiz(
        "when-to-move-the-bias",
        "A batch is spread over 8 machines, each works on it in 4 micro-batches, and blocks are computed again in the "
        "backward pass. When does the bias move?",
        (
            Option("After each micro-batch, so that it reacts quickly.", "Then micro-batches of one step are routed by "
                   "different biases, and the step is no longer `gamma`. A few tokens also say little about the load."),
            Option("In each forward pass of the router, where the load is known.", "A block that is computed again "
                   "for the backward pass would count its tokens twice, and even choose other experts the second "
                   "time."),
            Option("On each machine, after the optimizer step, by the tokens that it saw.", "The machines would soon "
                   "hold different biases, and so different models. They add up their loads first."),
            Option("Once after the optimizer step, by the load of all micro-batches on all machines.", "One sum, one "
                   "sign, one step of `gamma`, the same everywhere, and outside of any gradient.", right=True),
            Option("In the backward pass, by its gradient.", "It has none: it takes part in the choice alone, and a "
                   "choice cannot be differentiated."),
        ),
    ),
)  # fmt: skip
