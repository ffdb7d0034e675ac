"""The whole model: composition only. Embedding, blocks of attention and feed-forward, norm, head.

Source: DeepSeek-V3, arXiv 2412.19437, section 2.1. Parameters bear their published names, but for the experts,
which are stacked (``hf.py`` knows both forms), so a module's path is the tensor's name less the leading ``model.``.

Departures:
1. The embedding starts with standard deviation 1, not ``initializer_range``. The blocks then write into a stream that
   already is of the size they norm it to; at `tiny`, 60 steps reach 2.43 bits per byte in place of 2.76.

Letters: B batch, T new tokens, N tokens in all (B * T), D model width, V vocabulary.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from mini_moe.config import ModelConfig
from mini_moe.dispatch import Dispatch, grouped
from mini_moe.layers import FeedForward, RMSNorm, rotary_angles
from mini_moe.mla import LatentCache, MultiHeadLatentAttention
from mini_moe.moe import Experts, MoE, Routing
from mini_moe.router import Router


class Output(NamedTuple):
    """What the model returns."""

    logits: Tensor  # (B, T, V)
    routings: list[Routing]  # one for each layer with experts


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


class Transformer(nn.Module):
    """The language model of a ``ModelConfig``, freshly initialised.

    Args:
        config: the model's shape.
        dispatch: the path of the expert product; which one is fastest depends on machine and sizes
            (``dispatch.fastest``). All give the same result but for rounding.

    >>> from mini_moe.config import tiny
    >>> Transformer(tiny())(torch.tensor([[1, 2, 3]])).logits.shape
    torch.Size([1, 3, 1024])
    """

    def __init__(self, config: ModelConfig, dispatch: Dispatch = grouped):
        super().__init__()
        self.config = config
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        self.layers = nn.ModuleList(Block(config, layer, dispatch) for layer in range(config.num_hidden_layers))
        self.norm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        self.apply(self._initialise)

    def _initialise(self, module: nn.Module):
        if isinstance(module, nn.Embedding):
            nn.init.normal_(module.weight)
        elif isinstance(module, nn.Linear | Router | Experts):
            for weight in module.parameters():
                nn.init.normal_(weight, std=self.config.initializer_range)

    def forward(self, tokens_BT: Tensor, cache: list[LatentCache] | None = None, *, absorbed: bool = False) -> Output:
        """Logits of the next token at every position.

        Args:
            tokens_BT: int64, the new tokens.
            cache: from ``new_cache``; holds the tokens before, and takes up the new ones.
            absorbed: compute attention in its absorbed form: the same result, cheaper for few tokens and a long cache.

        Raises:
            ValueError: more positions than ``max_position_embeddings``.
        """
        past = cache[0].length if cache else 0
        end = past + tokens_BT.shape[1]
        limit = self.config.max_position_embeddings
        if end > limit:
            raise ValueError(f"tokens must end by position max_position_embeddings = {limit}, got {end}.")
        positions = torch.arange(past, end, device=tokens_BT.device)
        c = self.config
        rotary = rotary_angles(positions, c.qk_rope_head_dim, c.rope_theta, c.rope_scaling)
        x_BTD, routings = self.embed_tokens(tokens_BT), []
        for layer, block in enumerate(self.layers):
            x_BTD, routing = block(x_BTD, rotary, cache[layer] if cache else None, absorbed)
            if routing is not None:
                routings.append(routing)
        return Output(self.lm_head(self.norm(x_BTD)), routings)

    def new_cache(self, batch_size: int, capacity: int) -> list[LatentCache]:
        """An empty cache for each layer, for ``capacity`` positions."""
        weight = self.lm_head.weight
        return [
            LatentCache(self.config, batch_size, capacity, device=weight.device, dtype=weight.dtype)
            for _ in self.layers
        ]
