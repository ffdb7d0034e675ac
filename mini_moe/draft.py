"""Who guesses the next token: the prediction module, or the text itself.

A drafter is told what the model kept of every pass (``take_in``), and asked for a guess for each row (``draft``).

Letters: B batch, T tokens of a pass, D model width, V vocabulary.
"""

from typing import NamedTuple, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from mini_moe.decode import Decoder, Norm, Stack, side_by_side, times
from mini_moe.speculative import Choice


class Draft(NamedTuple):
    """A guess for each row."""

    tokens_B: Tensor
    q_BV: Tensor | None  # the distribution they were drawn from; None: they were not drawn
    real: list[bool]  # whether a row has a guess; where not, its token stands for nothing


class Drafts(Protocol):
    """What guesses tokens."""

    def take_in(self, hidden_BTD: Tensor, new: list[list[int]]) -> None:
        """The hidden states of a pass, and the tokens that each row kept of it: none, now and later, if it is done."""

    def draft(self, choice: Choice) -> Draft:
        """Guess what follows all that was taken in."""


class Drafter:
    """The model's first prediction module, ready to decode beside it. It has a cache of its own.

    Args:
        decoder: of the model, with the prompt just read.
        prompt_BT, hidden_BTD: the prompt, and what ``Decoder.read`` returned of it.
    """

    def __init__(self, decoder: Decoder, prompt_BT: Tensor, hidden_BTD: Tensor, capacity: int):
        model, (B, T) = decoder.model, prompt_BT.shape
        module = model.mtp[0]
        self.stack = Stack([module], B, capacity)
        self.hnorm, self.norm = Norm(module.hnorm), Norm(module.shared_head["norm"])
        enorm, (of_token, of_hidden) = Norm(module.enorm), module.eh_proj.weight.chunk(2, dim=1)
        self.token_VD = times(enorm(decoder.embedding)[None], enorm.into(of_token))[0]  # a token's part, for all tokens
        self.w_hidden = self.hnorm.into(of_hidden)
        cache = model.new_cache(B, T, modules=True)
        model.predict_further(hidden_BTD.to(model.norm.weight.dtype), prompt_BT, cache)
        self.stack.adopt(cache[:1])
        self.stack.length = [T - 1] * B  # what it read at the last place was no token

    def extend(self, hidden_BTD: Tensor, tokens_BT: Tensor) -> Tensor:
        """What the head is to read, (B, T, D), of T further positions: the hidden state there, and the token after."""
        x_GMD = times(
            self.hnorm(side_by_side(hidden_BTD)), self.w_hidden, side_by_side(F.embedding(tokens_BT, self.token_VD))
        )
        return self.norm(self.stack(x_GMD.view(hidden_BTD.shape))) * self.norm.weight


class ByModule:
    """The prediction module guesses; it reads all that the model keeps.

    It reads when a guess is wanted: all at once, where the model went on alone for a while.

    Args:
        decoder: of the model, with the prompt just read.
        prompt_BT, hidden_BTD, capacity: as for ``Drafter``.
    """

    def __init__(self, decoder: Decoder, prompt_BT: Tensor, hidden_BTD: Tensor, capacity: int):
        self.decoder, self.module = decoder, Drafter(decoder, prompt_BT, hidden_BTD, capacity)
        self.unread = []  # of passes: hidden states, and tokens that came after them

    def take_in(self, hidden_BTD: Tensor, new: list[list[int]]) -> None:
        T = max(map(len, new))
        self.done, self.missing = [not row for row in new], [T - len(row) for row in new]
        tokens = [row + [0] * absent for row, absent in zip(new, self.missing, strict=True)]
        self.unread.append((hidden_BTD[:, :T], torch.tensor(tokens, device=hidden_BTD.device)))
        if T > 1:
            self._read()

    def draft(self, choice: Choice) -> Draft:
        if self.unread:
            self._read()
        tokens_B, q_BV = choice.choose(self.decoder.logits(self.last_B1D)[:, 0])
        return Draft(tokens_B, q_BV, [True] * len(tokens_B))

    def _read(self) -> None:
        """All that is unread. Rows lack tokens of the last pass only, for every pass of several is read at once."""
        stack, (hidden, tokens) = self.module.stack, zip(*self.unread, strict=True)
        self.unread = []
        stack.length = [0 if done else length for done, length in zip(self.done, stack.length, strict=True)]
        outputs_BTD = self.module.extend(torch.cat(hidden, dim=1), torch.cat(tokens, dim=1))
        stack.length = [length - absent for length, absent in zip(stack.length, self.missing, strict=True)]
        ends = (max(1, outputs_BTD.shape[1] - absent) for absent in self.missing)
        self.last_B1D = torch.cat([row[:, end - 1 : end] for row, end in zip(outputs_BTD.split(1), ends, strict=True)])


class ByNgrams:
    """What followed the last few tokens before will follow them again. Costs nothing, and needs no training.

    Args:
        longest: so many tokens are looked up, and fewer if they never stood together before.

    Source: prompt lookup decoding, github.com/apoorvumang/prompt-lookup-decoding.
    """

    def __init__(self, prompt_BT: Tensor, longest: int = 3):
        self.lengths, self.device = range(1, longest + 1), prompt_BT.device
        self.texts, self.after = [[] for _ in prompt_BT], [{} for _ in prompt_BT]
        self.take_in(None, prompt_BT.tolist())

    def take_in(self, hidden_BTD: Tensor | None, new: list[list[int]]) -> None:
        for text, after, tokens in zip(self.texts, self.after, new, strict=True):
            for token in tokens:
                after |= {tuple(text[-n:]): token for n in self.lengths if n <= len(text)}
                text.append(token)

    def draft(self, choice: Choice) -> Draft:
        guesses = [self._guess(text, after) for text, after in zip(self.texts, self.after, strict=True)]
        tokens_B = torch.tensor([0 if guess is None else guess for guess in guesses], device=self.device)
        return Draft(tokens_B, None, [guess is not None for guess in guesses])

    def _guess(self, text: list[int], after: dict) -> int | None:
        known = (after.get(tuple(text[-n:])) for n in reversed(self.lengths))
        return next((token for token in known if token is not None), None)
