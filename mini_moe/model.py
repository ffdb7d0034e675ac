"""The whole model: composition only. Embedding, blocks of attention and feed-forward, norm, head, prediction modules.

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

from mini_moe.block import Block
from mini_moe.config import ModelConfig
from mini_moe.dispatch import Dispatch, grouped
from mini_moe.layers import RMSNorm, rotary_angles
from mini_moe.mla import LatentCache
from mini_moe.moe import Experts, Routing
from mini_moe.mtp import MTPModule
from mini_moe.router import Router


class Output(NamedTuple):
    """What the model returns, and each of its prediction modules."""

    logits: Tensor  # (B, T, V)
    routings: list[Routing]  # one for each layer with experts
    hidden: Tensor | None = None  # (B, T, D), after the last norm: what the head reads, and the first prediction module


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
        self.mtp = nn.ModuleList(MTPModule(config, dispatch) for _ in range(config.num_nextn_predict_layers))
        self.mtp.apply(self._initialise)  # after all else, whose first weights then do not depend on it

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
        rotary = self._rotary(past, end, tokens_BT.device)
        x_BTD, routings = self.embed_tokens(tokens_BT), []
        for layer, block in enumerate(self.layers):
            x_BTD, routing = block(x_BTD, rotary, cache[layer] if cache else None, absorbed)
            if routing is not None:
                routings.append(routing)
        hidden_BTD = self.norm(x_BTD)
        return Output(self.lm_head(hidden_BTD), routings, hidden_BTD)

    def predict_further(
        self, hidden_BTD: Tensor, tokens_BT: Tensor, cache: list[LatentCache] | None = None
    ) -> list[Output]:
        """What each prediction module makes of the same text: the first predicts two tokens ahead, the next three.

        The module of depth k reads, at position i, the token at i + k. The last k positions have none: they read
        token 0, and what comes out of them means nothing.

        Args:
            hidden_BTD: from ``forward``.
            tokens_BT: the tokens that ``forward`` was given.
            cache: an empty one for each module, to be filled.

        Source: DeepSeek-V3, arXiv 2412.19437, section 2.2, equations 21 to 23.
        """
        rotary = self._rotary(0, tokens_BT.shape[1], tokens_BT.device)
        outputs = []
        embedding_VD = self.embed_tokens.weight
        for k, module in enumerate(self.mtp):
            hidden_BTD, routing = module(
                hidden_BTD, tokens_BT, k + 1, embedding_VD, rotary, cache[k] if cache else None
            )
            routings = [] if routing is None else [routing]
            outputs.append(Output(self.lm_head(hidden_BTD), routings, hidden_BTD))
        return outputs

    def _rotary(self, start: int, end: int, device: torch.device) -> tuple[Tensor, Tensor]:
        c = self.config
        positions = torch.arange(start, end, device=device)
        return rotary_angles(positions, c.qk_rope_head_dim, c.rope_theta, c.rope_scaling)

    def new_cache(self, batch_size: int, capacity: int, *, modules: bool = False) -> list[LatentCache]:
        """An empty cache for each layer, or for each prediction module, for ``capacity`` positions."""
        weight = self.lm_head.weight
        return [
            LatentCache(self.config, batch_size, capacity, device=weight.device, dtype=weight.dtype)
            for _ in (self.mtp if modules else self.layers)
        ]
