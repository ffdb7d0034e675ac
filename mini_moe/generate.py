"""Text from a model, one token at a time.

The prompt goes through the model once and fills the cache (naive attention: many queries, each latent expanded once).
After that each new token is one query against the cached latents (absorbed attention).

Letters: B batch, T tokens of the prompt, V vocabulary.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from mini_moe.model import Transformer


def sample(logits_BV: Tensor, temperature: float, generator: torch.Generator | None = None) -> Tensor:
    """Draw a token for each row. Temperature 0 takes the most likely one.

        p = softmax(logits / temperature)

    Returns:
        (B, 1), int64
    """
    if temperature == 0:
        return logits_BV.argmax(dim=-1, keepdim=True)
    probabilities = (logits_BV.float() / temperature).softmax(dim=-1)
    return torch.multinomial(probabilities, 1, generator=generator)


@torch.inference_mode()
def stream(
    model: Transformer,
    tokens_BT: Tensor,
    max_new_tokens: int,
    *,
    temperature: float = 0.0,
    generator: torch.Generator | None = None,
) -> Iterator[Tensor]:
    """Like ``generate``, but yields each new token, (B, 1), as soon as it is drawn."""
    B, T = tokens_BT.shape
    limit = model.config.max_position_embeddings
    if T == 0:
        raise ValueError("tokens must hold at least one token, got none. Begin with <|endoftext|>.")
    if max_new_tokens < 0 or T + max_new_tokens > limit:
        raise ValueError(f"max_new_tokens must be from 0 to {limit - T} after a prompt of {T}, got {max_new_tokens}.")
    if temperature < 0:
        raise ValueError(f"temperature must be at least 0, got {temperature}.")
    cache = model.new_cache(B, T + max_new_tokens)
    new = tokens_BT
    for _ in range(max_new_tokens):
        logits = model(new, cache, absorbed=cache[0].length > 0).logits
        new = sample(logits[:, -1], temperature, generator)
        yield new


def generate(
    model: Transformer,
    tokens_BT: Tensor,
    max_new_tokens: int,
    *,
    temperature: float = 0.0,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Continue each row of ``tokens_BT`` by ``max_new_tokens`` tokens.

    Args:
        tokens_BT: int64, at least one token a row.
        temperature: 0 takes the most likely token; 1 draws from the model's own distribution.
        generator: makes the draws reproducible.

    Returns:
        (B, T + max_new_tokens): the prompt and what follows.

    Raises:
        ValueError: no prompt, a negative temperature, or more tokens than the model has positions.
    """
    new = stream(model, tokens_BT, max_new_tokens, temperature=temperature, generator=generator)
    return torch.cat((tokens_BT, *new), dim=1)
