"""One block of the model: attention, then a feed-forward network, dense or with experts.

Source: DeepSeek-V3, arXiv 2412.19437, section 2.1.

Letters: B batch, T new tokens, D model width.
"""

from torch import Tensor, nn

from mini_moe.config import ModelConfig
from mini_moe.dispatch import Dispatch
from mini_moe.layers import FeedForward, RMSNorm
from mini_moe.mla import LatentCache, MultiHeadLatentAttention
from mini_moe.moe import MoE, Routing


class Block(nn.Module):
    """x + attention(norm(x)), then x + feed_forward(norm(x)). The first layers' feed-forward is dense."""

    def __init__(self, config: ModelConfig, layer: int, dispatch: Dispatch):
        super().__init__()
        self.input_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.self_attn = MultiHeadLatentAttention(config)
        self.post_attention_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.sparse = layer >= config.first_k_dense_replace
        self.mlp = MoE(config, dispatch) if self.sparse else FeedForward(config.hidden_size, config.intermediate_size)

    def forward(
        self, x_BTD: Tensor, rotary: tuple[Tensor, Tensor], cache: LatentCache | None, absorbed: bool
    ) -> tuple[Tensor, Routing | None]:
        x_BTD = x_BTD + self.self_attn(self.input_layernorm(x_BTD), rotary, cache, absorbed)
        normed = self.post_attention_layernorm(x_BTD)
        y_BTD, routing = self.mlp(normed) if self.sparse else (self.mlp(normed), None)
        return x_BTD + y_BTD, routing
