"""The router: which experts a token goes to, and with what weight.

    s_i = sigmoid(x . e_i)                        affinity of a token to expert i, in float32
    chosen = top K of s_i + b_i                   the bias b steers the choice only
    g_i = scale * s_i / sum of the chosen s_j     the gate weight is unbiased

Source: DeepSeek-V3, arXiv 2412.19437, section 2.1.2, equations 13 to 16.

Departures:
1. ``routed_scaling_factor`` multiplies the gate weights: it stands in the published configuration, not in equation 13.
2. A group is worth its two best biased scores, as in the published code. The paper sums the best K divided by the
   number of groups that stay open, 8 / 4 = 2 in DeepSeek-V3, and does not mention the bias there. (The paper writes M
   for those 4 open groups; here M is the number of all groups, 8.)

Letters: N tokens in all, D model width, E routed experts, K experts per token, M groups of experts.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mini_moe.config import ModelConfig


def affinities(x_ND: Tensor, centroids_ED: Tensor) -> Tensor:
    """How well each token fits each expert: the sigmoid of a dot product, in float32.

        s_ne = sigmoid(x_n . centroid_e)

    Each expert is judged by itself: unlike after a softmax, one expert's gain is not another's loss. A choice may
    depend on a small difference, so this is computed in float32 whatever the type of ``x_ND``.

    Returns:
        (N, E), float32, in (0, 1)

    Source: arXiv 2412.19437, equation 15; float32 as in transformers' ``DeepseekV3TopkRouter`` (``inference/model.py``
    in DeepSeek's repository keeps the type that it is given).

    >>> affinities(torch.tensor([[1.0, 2.0]]), torch.tensor([[0.0, 0.0], [1.0, 0.0]]))
    tensor([[0.5000, 0.7311]])
    """
    return F.linear(x_ND.float(), centroids_ED.float()).sigmoid()


def limit_to_groups(choice_NE: Tensor, n_group: int, topk_group: int) -> Tensor:
    """Close all but each token's best groups of experts, so that it needs to travel to few machines only.

    The experts stand in ``n_group`` equal groups, in order. A group is worth the sum of its two best scores (of its
    one, if it has no more); the best ``topk_group`` groups keep their scores, all others become -inf. Of equal groups
    it does not matter which.

    Args:
        choice_NE: scores with their bias; they may be negative, so a closed expert's score must be below all.

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
        ValueError: the bias is not of E numbers, ``n_group`` does not divide E, ``topk_group`` is not from 1 to
            ``n_group``, or K not from 1 to the number of experts that are open.

    Source: arXiv 2412.19437, equations 13, 14 and 16; ``scale`` is from the published configuration.

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


class Router(nn.Module):
    """The affinity of each token to each expert. (N, D) -> (N, E), float32."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(config.n_routed_experts, config.hidden_size))
        self.register_buffer("e_score_correction_bias", torch.zeros(config.n_routed_experts))

    def forward(self, x_ND: Tensor) -> Tensor:
        with torch.autocast(x_ND.device.type, enabled=False):
            return affinities(x_ND, self.weight)
