"""What keeps the experts equally busy.

Two forces do. The bias of the router moves after each optimizer step, with no gradient:

    b_i <- b_i + gamma * sign(mean load - load_i)

And a small loss is added to that of the next token; it counts within each sequence, or over the whole batch.

Source: DeepSeek-V3, arXiv 2412.19437, section 2.1.2, equations 17 to 20, and section 4.5.3; auxiliary-loss-free
balancing, arXiv 2408.15664.

Departures:
1. The balance loss counts the experts that were in fact chosen, with bias and groups; equation 18 counts the top K of
   the unbiased s. Without a bias and groups the two are the same.

Letters: B sequences of a batch, T tokens of a sequence, E routed experts, K experts per token, A parts of a batch.
"""

import torch
from torch import Tensor


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

        f_i = E / (K T) * count_i                    expert i's part of the choices, 1 at balance; no gradient
        mean_share_i = mean_t (s_ti / sum of s_t)    P_i in the paper
        loss = alpha * sum_i f_i mean_share_i        averaged over sequences; alpha at perfect balance

    Args:
        scores_BTE: affinities, float32.
        experts_BTK: chosen experts; the paper counts the top K of the affinities instead, without the bias.
        alpha: the loss's weight; 1e-4 in DeepSeek-V3.

    Source: arXiv 2412.19437, equations 17 to 20.

    >>> scores, all_to_one = torch.tensor([[[0.9, 0.1], [0.9, 0.1]]]), torch.zeros(1, 2, 1, dtype=torch.int64)
    >>> sequence_balance_loss(scores, all_to_one, alpha=1.0)  # 2 * 0.9 + 0 * 0.1
    tensor(1.8000)
    """
    B, T, E = scores_BTE.shape
    K = experts_BTK.shape[-1]
    f_BE = expert_load(experts_BTK.flatten(1), E) * (E / (K * T))
    mean_share_BE = (scores_BTE / scores_BTE.sum(dim=-1, keepdim=True)).mean(dim=1)
    return alpha * (f_BE * mean_share_BE).sum(dim=-1).mean()


def batch_balance_loss(scores_BTE: Tensor, experts_BTK: Tensor, alpha: float) -> Tensor:
    """``sequence_balance_loss`` over the whole batch, as if it were one long sequence.

    It asks for less: a sequence may keep to a few experts, as long as other sequences use the rest.

    Source: arXiv 2412.19437, section 4.5.3.

    >>> scores = torch.tensor([[[0.9, 0.1]], [[0.1, 0.9]]])  # two sequences of one token
    >>> experts = torch.tensor([[[0]], [[1]]])  # each has an expert of its own
    >>> sequence_balance_loss(scores, experts, alpha=1.0), batch_balance_loss(scores, experts, alpha=1.0)
    (tensor(1.8000), tensor(1.))
    """
    return sequence_balance_loss(scores_BTE.flatten(0, 1)[None], experts_BTK.flatten(0, 1)[None], alpha)


@torch.no_grad()
def update_bias(bias_E: Tensor, loads_AE: Tensor, gamma: float) -> Tensor:
    """The bias for the next step: a little more for idle experts, a little less for busy ones.

    The load decides: an expert below the mean load rises by ``gamma``, one above it falls by as much, and one with just
    the mean load stays. This happens once per optimizer step, by the load of the whole batch: a batch may come in A
    parts, from several machines or one after the other, and only their sum counts.

    Args:
        bias_E: the bias in use; it is not changed.
        loads_AE: tokens that each expert was given, a row for each part of the batch.
        gamma: the size of a step; 1e-3 in DeepSeek-V3, and 0 for the last 500 billion tokens.

    Raises:
        ValueError: ``loads_AE`` has other than two dimensions, or not a column for each expert.

    Source: arXiv 2408.15664, algorithm 1.

    >>> update_bias(torch.zeros(3), torch.tensor([[5.0, 1.0, 0.0], [0.0, 2.0, 1.0]]), gamma=0.1)  # 5, 3 and 1
    tensor([-0.1000,  0.0000,  0.1000])
    """
    if loads_AE.ndim != 2 or loads_AE.shape[1:] != bias_E.shape:
        raise ValueError(f"loads_AE must be of shape (parts, {len(bias_E)}), got {tuple(loads_AE.shape)}.")
    load_E = loads_AE.double().sum(dim=0)
    return bias_E + gamma * torch.sign(load_E.mean() - load_E).to(bias_E.dtype)
