"""Text from a model, one token at a time.

The prompt goes through the model once and fills the cache (naive attention: many queries, each latent expanded once).
After that each new token is one query against the cached latents (absorbed attention).

Letters: B batch, T tokens of the prompt, V vocabulary.
"""

import math
from collections.abc import Iterator

import torch
from tokenizers import Tokenizer
from torch import Tensor

from mini_moe.model import Transformer


def sample(logits_BV: Tensor, temperature: float, generator: torch.Generator | None = None) -> Tensor:
    """Draw a token for each row. Temperature 0 takes the most likely one.

        p = softmax(logits / temperature)

    Returns:
        (B, 1), int64

    Raises:
        ValueError: the temperature is negative or not finite.
    """
    _check_temperature(temperature)
    if temperature < torch.finfo(torch.float32).tiny:  # float32 cannot divide by less
        return logits_BV.argmax(dim=-1, keepdim=True)
    below_best = logits_BV.float() - logits_BV.amax(dim=-1, keepdim=True)  # which no temperature makes infinite
    return torch.multinomial((below_best / temperature).softmax(dim=-1), 1, generator=generator)


def _check_temperature(temperature: float) -> None:
    if not 0 <= temperature < math.inf:
        raise ValueError(f"temperature must be a finite number, at least 0, got {temperature}.")


def stream(
    model: Transformer,
    tokens_BT: Tensor,
    max_new_tokens: int,
    *,
    temperature: float = 0.0,
    generator: torch.Generator | None = None,
) -> Iterator[Tensor]:
    """Like ``generate``, but yields each new token, (B, 1), as soon as it is drawn.

    Raises:
        ValueError: as ``generate``, but at once, not with the first token.
    """
    T, limit = tokens_BT.shape[1], model.config.max_position_embeddings
    if T == 0:
        raise ValueError("tokens_BT must be at least one token long, got none. Begin with <|endoftext|>.")
    if limit < T:
        raise ValueError(f"tokens_BT must be at most {limit} tokens long, the model's context, got {T}. Shorten it.")
    if not 0 <= max_new_tokens <= limit - T:
        raise ValueError(
            f"max_new_tokens must be from 0 to {limit - T} after a prompt of {T} tokens, got {max_new_tokens}."
        )
    _check_temperature(temperature)
    return _draw(model, tokens_BT, max_new_tokens, temperature, generator)


@torch.inference_mode()
def _draw(model, tokens_BT, max_new_tokens, temperature, generator):
    B, T = tokens_BT.shape
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
        ValueError: no prompt, more tokens than the model has positions, or a temperature that is negative or not
            finite.
    """
    new = stream(model, tokens_BT, max_new_tokens, temperature=temperature, generator=generator)
    return torch.cat((tokens_BT, *new), dim=1)


def write_text(
    model: Transformer, tokenizer: Tokenizer, prompt: str, max_new_tokens: int, *, temperature: float, seed: int
) -> Iterator[str]:
    """The continuation of ``prompt``, piece by piece as it is written; ends early where the model ends the file.

    Raises:
        ValueError: at once, not with the first piece: as ``generate``, or the prompt is no Unicode text, or the seed
            out of range.
    """
    if any("\ud800" <= character <= "\udfff" for character in prompt):
        raise ValueError(f"prompt must be Unicode text, got half a character in {prompt!r}.")
    if not 0 <= seed < 2**63:
        raise ValueError(f"seed must be from 0 to 2**63 - 1, got {seed}.")
    tokens = torch.tensor([[0, *tokenizer.encode(prompt).ids]])
    generator = torch.Generator().manual_seed(seed)
    return _decoded(stream(model, tokens, max_new_tokens, temperature=temperature, generator=generator), tokenizer)


def _decoded(tokens: Iterator[Tensor], tokenizer: Tokenizer) -> Iterator[str]:
    written, shown = [], ""
    for new in tokens:
        if new.item() == 0:
            break
        written.append(new.item())
        text = tokenizer.decode(written)
        if not text.endswith("\ufffd"):  # else the last character still lacks a byte
            yield text[len(shown) :]
            shown = text
