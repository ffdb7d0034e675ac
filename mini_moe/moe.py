"""Mixture of experts: many feed-forward networks, of which each token uses a few.

    y = sum over chosen of g_i FFN_i(x) + FFN_shared(x)

Which experts are chosen, and the gate weights g_i, are the router's (``router.py``); what keeps the experts equally
busy stands in ``balance.py``; how the chosen ones are computed fast, in ``dispatch.py``.

Source: DeepSeek-V3, arXiv 2412.19437, section 2.1.2, equation 12; DeepSeekMoE, arXiv 2401.06066.

Letters: B batch, T tokens of a sequence, N tokens in all (B * T), D model width, E routed experts, K experts per token,
I inner width of an expert.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from mini_moe.config import ModelConfig
from mini_moe.dispatch import Dispatch, grouped
from mini_moe.layers import FeedForward
from mini_moe.router import Router, route


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

    Source: arXiv 2412.19437, equation 12, without the residual x_n, which is added outside the layer.

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


class Experts(nn.Module):
    """The weights of all routed experts, stacked; the gate's and the up-projection's in one matrix."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        E, D, I = config.n_routed_experts, config.hidden_size, config.moe_intermediate_size
        self.gate_up_proj = nn.Parameter(torch.empty(E, 2 * I, D))
        self.down_proj = nn.Parameter(torch.empty(E, D, I))


class Routing(NamedTuple):
    """What a layer decided, for the losses and statistics of the trainer."""

    scores_BTE: Tensor
    experts_BTK: Tensor


class MoE(nn.Module):
    """The feed-forward network with experts. (B, T, D) -> (B, T, D) and what was decided."""

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
