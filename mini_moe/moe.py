"""Mixture of experts: many feed-forward networks, of which each token uses a few.

    s_i = sigmoid(x . e_i)                        affinity of a token to expert i, in float32
    chosen = top K of s_i + b_i                   the bias b steers the choice only
    g_i = scale * s_i / sum of the chosen s_j     the gate weight is unbiased
    y = sum over chosen of g_i FFN_i(x) + FFN_shared(x)

Two forces keep the experts equally busy. The bias: after each optimizer step, b_i rises where expert i had less than
the mean load and falls where it had more; no gradient is involved. And a small loss within each sequence.

Source: DeepSeek-V3, arXiv 2412.19437, section 2.1.2, equations 12 to 20; DeepSeekMoE, arXiv 2401.06066;
auxiliary-loss-free balancing, arXiv 2408.15664.

Departures:
1. ``routed_scaling_factor`` multiplies the gate weights: it stands in the published configuration, not in equation 13.
2. The balance loss counts the experts that were in fact chosen, with bias and groups; the paper counts the top K of s.
3. A group is worth its two best biased scores, as in the published code; the paper sums the best K / M' of s.

Letters: B batch, T tokens of a sequence, N tokens in all (B * T), D model width, E routed experts, K experts per token,
I inner width of an expert, M groups of experts, A parts of a batch.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mini_moe.config import ModelConfig
from mini_moe.dispatch import Dispatch, grouped
from mini_moe.layers import FeedForward


class Routing(NamedTuple):
    """What a layer decided, for the losses and statistics of the trainer."""

    scores_BTE: Tensor
    experts_BTK: Tensor


def affinities(x_ND: Tensor, centroids_ED: Tensor) -> Tensor:
    """How well each token fits each expert: the sigmoid of a dot product, in float32.

        s_ne = sigmoid(x_n . centroid_e)

    Each expert is judged by itself: unlike after a softmax, one expert's gain is not another's loss. Choices hang on
    small differences, so this is computed in float32 whatever the type of ``x_ND``.

    Returns:
        (N, E), float32, in (0, 1)

    Source: arXiv 2412.19437, equation 15; float32 as in the published code.

    >>> affinities(torch.tensor([[1.0, 2.0]]), torch.tensor([[0.0, 0.0], [1.0, 0.0]]))
    tensor([[0.5000, 0.7311]])
    """
    return F.linear(x_ND.float(), centroids_ED.float()).sigmoid()


def limit_to_groups(choice_NE: Tensor, n_group: int, topk_group: int) -> Tensor:
    """Close all but each token's best groups of experts, so that it needs to travel to few machines only.

    The experts stand in ``n_group`` equal groups, in order. A group is worth the sum of its two best scores (of its
    one, if it has no more); the best ``topk_group`` groups keep their scores, all others become -inf.

    Args:
        choice_NE: biased scores; they may be negative, so a closed expert's score must be below all.

    Returns:
        (N, E)

    Source: arXiv 2412.19437, section 2.1.2, node-limited routing.

    >>> limit_to_groups(torch.tensor([[0.9, 0.1, 0.6, 0.5]]), n_group=2, topk_group=1)  # worth 1.0 and 1.1
    tensor([[  -inf,   -inf, 0.6000, 0.5000]])
    """
    groups = choice_NE.unflatten(-1, (n_group, -1))  # (N, M, E / M)
    worth_NM = groups.topk(min(2, groups.shape[-1]), dim=-1).values.sum(dim=-1)
    kept = worth_NM.topk(topk_group, dim=-1).indices
    closed_NM = torch.ones_like(worth_NM, dtype=torch.bool).scatter(-1, kept, False)
    return groups.masked_fill(closed_NM[..., None], float("-inf")).flatten(1)


def route(
    scores_NE: Tensor,
    bias_E: Tensor,
    top_k: int,
    *,
    n_group: int = 1,
    topk_group: int = 1,
    normalize: bool = True,
    scale: float = 1.0,
) -> tuple[Tensor, Tensor]:
    """Choose K experts for each token, and their gate weights.

    The bias takes part in the choice, never in the weights.

    Args:
        scores_NE: from ``affinities``.
        bias_E: added to the scores for the choice.
        top_k: K.
        n_group, topk_group: as in ``limit_to_groups``.
        normalize: divide the weights by their sum.
        scale: multiplies the weights last.

    Returns:
        weights_NK: the gate weights; gradients flow to ``scores_NE``.
        experts_NK: int64, the chosen experts, no expert twice.

    Raises:
        ValueError: the bias is not of E numbers, ``n_group`` does not divide E, or fewer than K experts are open.

    Source: arXiv 2412.19437, equations 13, 14 and 16.

    >>> scores, bias = torch.tensor([[0.6, 0.5, 0.3]]), torch.tensor([0.0, 0.0, 0.4])
    >>> route(scores, bias, top_k=2)  # the bias lifts expert 2 over expert 1, yet it weighs 0.3 / (0.3 + 0.6)
    (tensor([[0.3333, 0.6667]]), tensor([[2, 0]]))
    """
    N, E = scores_NE.shape
    if bias_E.shape != (E,):
        raise ValueError(f"bias must have a number for each of the {E} experts, got shape {tuple(bias_E.shape)}.")
    if not 1 <= topk_group <= n_group or E % n_group or not 1 <= top_k <= topk_group * E // n_group:
        raise ValueError(
            f"n_group must divide E, topk_group be from 1 to n_group, and top_k be at most the experts in topk_group "
            f"groups, got E={E}, n_group={n_group}, topk_group={topk_group}, top_k={top_k}."
        )
    choice_NE = limit_to_groups(scores_NE.detach() + bias_E, n_group, topk_group)
    experts_NK = choice_NE.topk(top_k, dim=-1).indices
    weights_NK = scores_NE.gather(1, experts_NK)
    if normalize:
        weights_NK = weights_NK / (weights_NK.sum(dim=-1, keepdim=True) + 1e-20)
    return weights_NK * scale, experts_NK


def mixture(
    x_ND: Tensor,
    weights_NK: Tensor,
    experts_NK: Tensor,
    routed: Sequence[Callable[[Tensor], Tensor]],
    shared: Callable[[Tensor], Tensor],
) -> Tensor:
    """The layer's definition, one token after the other. Slow on purpose; ``dispatch.py`` computes the same fast.

        y_n = sum_k weights[n, k] * routed[experts[n, k]](x_n) + shared(x_n)

    The shared expert has no gate: it works on every token, with weight 1.

    Args:
        routed: E functions of one token, (D,) -> (D,).
        shared: another such function.

    Returns:
        (N, D)

    Source: arXiv 2412.19437, equation 12.

    >>> double, negate = lambda x: 2 * x, lambda x: -x
    >>> x, weights, experts = torch.tensor([[1.0], [10.0]]), torch.tensor([[0.8], [0.5]]), torch.tensor([[0], [1]])
    >>> mixture(x, weights, experts, [double, negate], shared=lambda x: x)  # 0.8 * 2 + 1 and 0.5 * -10 + 10
    tensor([[2.6000],
            [5.0000]])
    """
    rows = []
    for x_D, weights_K, experts_K in zip(x_ND, weights_NK, experts_NK.tolist(), strict=True):
        y_D = shared(x_D)
        for weight, expert in zip(weights_K, experts_K, strict=True):
            y_D = y_D + weight * routed[expert](x_D)
        rows.append(y_D)
    return torch.stack(rows)


def expert_load(experts: Tensor, n_experts: int) -> Tensor:
    """How many tokens each expert was given.

    Args:
        experts: (..., n) chosen experts.

    Returns:
        (..., n_experts), float32.

    >>> expert_load(torch.tensor([2, 0, 2]), n_experts=4)
    tensor([1., 0., 2., 0.])
    """
    counts = torch.zeros(*experts.shape[:-1], n_experts, dtype=torch.int64, device=experts.device)
    return counts.scatter_add(-1, experts, torch.ones_like(experts)).float()


def load_ratio(load: Tensor) -> float:
    """The busiest expert's load over the mean: 1 is perfect, E / K the worst.

    Args:
        load: (..., E), from ``expert_load``; of several layers the worst counts.

    >>> load_ratio(torch.tensor([1.0, 0.0, 2.0, 1.0]))
    2.0
    """
    load = load.float()
    return (load.amax(dim=-1) / load.mean(dim=-1)).max().item() if load.numel() else 1.0


def sequence_balance_loss(scores_BTE: Tensor, experts_BTK: Tensor, alpha: float) -> Tensor:
    """A loss whose gradient lowers the scores of experts that have more than their share within a sequence.

        f_i = E / (K T) * count_i        share of expert i, 1 at balance; no gradient
        P_i = mean_t (s_ti / sum_j s_tj)
        loss = alpha * sum_i f_i P_i, averaged over sequences; alpha at perfect balance

    Args:
        scores_BTE: affinities.
        experts_BTK: chosen experts.
        alpha: the loss's weight; 1e-4 in DeepSeek-V3.

    Source: arXiv 2412.19437, equations 17 to 20.

    >>> scores, all_to_one = torch.tensor([[[0.9, 0.1], [0.9, 0.1]]]), torch.zeros(1, 2, 1, dtype=torch.int64)
    >>> sequence_balance_loss(scores, all_to_one, alpha=1.0)  # 2 * 0.9 + 0 * 0.1
    tensor(1.8000)
    """
    B, T, E = scores_BTE.shape
    K = experts_BTK.shape[-1]
    f_BE = expert_load(experts_BTK.flatten(1), E) * (E / (K * T))
    p_BE = (scores_BTE / scores_BTE.sum(dim=-1, keepdim=True)).mean(dim=1)
    return alpha * (f_BE * p_BE).sum(dim=-1).mean()


@torch.no_grad()
def update_bias(bias_E: Tensor, loads_AE: Tensor, gamma: float) -> Tensor:
    """The bias for the next step: a little more for idle experts, a little less for busy ones.

        load = sum of the parts
        b_e + gamma * sign(mean load - load_e)

    Once per optimizer step, by the load of the whole batch: a batch may come in A parts, from several machines or
    one after the other, and only their sum counts.

    Args:
        bias_E: the bias in use; it is not changed.
        loads_AE: tokens that each expert was given, a row for each part of the batch.
        gamma: the size of a step; 1e-3 in DeepSeek-V3.

    Raises:
        ValueError: ``loads_AE`` has no row for each part.

    Source: arXiv 2408.15664, algorithm 1.

    >>> update_bias(torch.zeros(3), torch.tensor([[5.0, 1.0, 0.0], [0.0, 2.0, 1.0]]), gamma=0.1)  # 5, 3 and 1
    tensor([-0.1000,  0.0000,  0.1000])
    """
    if loads_AE.ndim != 2 or loads_AE.shape[1:] != bias_E.shape:
        raise ValueError(f"loads_AE must be of shape (parts, {len(bias_E)}), got {tuple(loads_AE.shape)}.")
    load_E = loads_AE.double().sum(dim=0)
    return bias_E + gamma * torch.sign(load_E.mean() - load_E).to(bias_E.dtype)


class Router(nn.Module):
    """The affinity of each token to each expert. (N, D) -> (N, E), float32."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(config.n_routed_experts, config.hidden_size))
        self.register_buffer("e_score_correction_bias", torch.zeros(config.n_routed_experts))

    def forward(self, x_ND: Tensor) -> Tensor:
        with torch.autocast(x_ND.device.type, enabled=False):
            return affinities(x_ND, self.weight)


class Experts(nn.Module):
    """The weights of all routed experts, stacked; the gate's and the up-projection's in one matrix."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        E, D, I = config.n_routed_experts, config.hidden_size, config.moe_intermediate_size
        self.gate_up_proj = nn.Parameter(torch.empty(E, 2 * I, D))
        self.down_proj = nn.Parameter(torch.empty(E, D, I))


class MoE(nn.Module):
    """The feed-forward layer with experts. (B, T, D) -> (B, T, D) and what was decided."""

    def __init__(self, config: ModelConfig, dispatch: Dispatch = grouped):
        super().__init__()
        self.config = config
        self.dispatch = dispatch
        self.gate = Router(config)
        self.experts = Experts(config)
        if config.n_shared_experts:
            self.shared_experts = FeedForward(
                config.hidden_size, config.n_shared_experts * config.moe_intermediate_size
            )

    def forward(self, x_BTD: Tensor) -> tuple[Tensor, Routing]:
        c, x_ND = self.config, x_BTD.flatten(0, 1)
        scores_NE = self.gate(x_ND)
        weights_NK, experts_NK = route(
            scores_NE,
            self.gate.e_score_correction_bias,
            c.num_experts_per_tok,
            n_group=c.n_group,
            topk_group=c.topk_group,
            normalize=c.norm_topk_prob,
            scale=c.routed_scaling_factor,
        )
        y_ND = self.dispatch(x_ND, weights_NK, experts_NK, self.experts.gate_up_proj, self.experts.down_proj)
        if c.n_shared_experts:
            y_ND = y_ND + self.shared_experts(x_ND)
        B = x_BTD.shape[0]
        return y_ND.view_as(x_BTD), Routing(scores_NE.unflatten(0, (B, -1)), experts_NK.unflatten(0, (B, -1)))
