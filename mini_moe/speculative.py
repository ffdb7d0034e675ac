"""Speculative decoding: guess a token cheaply, let the model check the guess, and keep what it would have said itself.

    draft    somebody guesses the next token: a prediction module, or the text itself (``draft.py``)
    verify   the model reads the last token and the draft in one pass: logits for two places
    accept   is the draft what the model says at the first place? Then the second place counts, too: two tokens
    roll back   else the draft is dropped, also from the cache: one token, as without the draft

The text is the same as without drafts, token for token (in sampling: drawn from the same distribution). A pass over two
tokens pays if it costs little more than a pass over one, and if many drafts are right.

Source: Leviathan et al., arXiv 2211.17192, and Chen et al., arXiv 2302.01318, with one drafted token as DeepSeek-V3
uses it, arXiv 2412.19437, section 5.4.3.

Letters: B batch, V vocabulary. 2 stands for the two places: the last token, and the draft.
"""

import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


def speedup(acceptance: float, overhead: float) -> float:
    """How many times as many tokens a second one draft a pass gives.

        (1 + acceptance) / (1 + overhead)

    A pass yields one token, and another where the draft is accepted. It costs one plain step and what drafting and
    checking add to it. So it pays where acceptance > overhead, and never more than twofold.

    Args:
        acceptance: share of drafts that are accepted.
        overhead: what drafting and checking cost, as a share of a plain step.

    Raises:
        ValueError: the acceptance is not from 0 to 1, the overhead is negative, or one of them is not a number.

    Source: arXiv 2211.17192, theorem 3.8, for one drafted token.

    >>> speedup(acceptance=0.5, overhead=0.25)
    1.2
    """
    if not 0 <= acceptance <= 1:
        raise ValueError(f"acceptance must be from 0 to 1, got {acceptance}.")
    if not overhead >= 0:
        raise ValueError(f"overhead must be at least 0, got {overhead}.")
    return (1 + acceptance) / (1 + overhead)


def verify_greedy(logits_B2V: Tensor, draft_B: Tensor) -> tuple[Tensor, Tensor]:
    """Which drafts are what the model itself says, and what comes next: after the draft, or in its place.

    Args:
        logits_B2V: of the model, at the last token and at the draft.
        draft_B: a guess of the token after the last, for each row.

    Returns:
        (B,), bool: where the draft is accepted.
        (B,), int64: the token after the draft where it is accepted, else the one that belongs in its place.

    >>> logits = torch.zeros(1, 2, 5)
    >>> logits[0, 0, 3] = logits[0, 1, 4] = 1.0  # the model says 3, and after 3 it says 4
    >>> verify_greedy(logits, torch.tensor([3]))
    (tensor([True]), tensor([4]))
    >>> verify_greedy(logits, torch.tensor([2]))
    (tensor([False]), tensor([3]))
    """
    says_B2 = logits_B2V.argmax(dim=-1)
    accepted_B = says_B2[:, 0] == draft_B
    return accepted_B, torch.where(accepted_B, says_B2[:, 1], says_B2[:, 0])


def residual(p_BV: Tensor, q_BV: Tensor) -> Tensor:
    """What a token is drawn from after a draft was rejected: what q gave too little of.

        max(0, p - q) / sum of max(0, p - q),    or p where the two are equal, for then nothing is rejected

    Args:
        p_BV: the model's distribution.
        q_BV: that from which the draft was drawn.

    Returns:
        (B, V): a distribution in each row.

    Source: arXiv 2211.17192, section 2.3.

    >>> residual(torch.tensor([[0.5, 0.25, 0.25]]), torch.tensor([[0.25, 0.75, 0.0]]))
    tensor([[0.5000, 0.0000, 0.5000]])
    """
    lacking_BV = (p_BV - q_BV).clamp(min=0)
    sum_B1 = lacking_BV.sum(dim=-1, keepdim=True)
    return torch.where(sum_B1 > 0, lacking_BV / sum_B1, p_BV)


def verify_sampled(p_B2V: Tensor, q_BV: Tensor, draft_B: Tensor, chance_B: Tensor) -> tuple[Tensor, Tensor]:
    """Which drafts that were drawn may stay, and what the next token is to be drawn from.

    A draft that the model finds at least as likely as q did always stays; another one stays as often as p / q says.
    With ``residual`` for those that go, the text is distributed exactly as the model's own.

    Args:
        p_B2V: the model's distributions, at the last token and at the draft.
        q_BV: the distribution that the draft was drawn from, for each row.
        draft_B: a token for each row.
        chance_B: drawn evenly from [0, 1); the draft stays where this is less than p / q.

    Returns:
        (B,), bool: where the draft is accepted.
        (B, V): the distribution of the token after the draft where it is accepted, else of the one in its place.

    Source: arXiv 2211.17192, algorithm 1.

    >>> p, q = torch.tensor([[[0.25, 0.75], [1.0, 0.0]]]), torch.tensor([[0.5, 0.5]])
    >>> verify_sampled(p, q, draft_B=torch.tensor([0]), chance_B=torch.tensor([0.4]))  # p / q is 0.5
    (tensor([True]), tensor([[1., 0.]]))
    >>> verify_sampled(p, q, draft_B=torch.tensor([0]), chance_B=torch.tensor([0.6]))
    (tensor([False]), tensor([[0., 1.]]))
    """
    of_draft = draft_B[:, None]
    p_B, q_B = p_B2V[:, 0].gather(1, of_draft)[:, 0], q_BV.gather(1, of_draft)[:, 0]
    accepted_B = chance_B * q_B < p_B
    return accepted_B, torch.where(accepted_B[:, None], p_B2V[:, 1], residual(p_B2V[:, 0], q_BV))


def speculate(
    extend: Callable[[Sequence[int], int], Tensor],
    draft: Callable[[Sequence[int]], int],
    prompt: Sequence[int],
    max_new_tokens: int,
) -> list[int]:
    """Greedy speculative decoding of one text, written out. ``generate`` does the same for many, and faster.

    Args:
        extend: the model with its cache. ``extend(tokens, start)`` reads tokens that stand at start, start + 1, ... of
            the text, and returns logits of what follows each, (len(tokens), V). What the cache held from ``start`` on
            is forgotten: this is how it is rolled back.
        draft: guesses the token that follows a text.
        prompt: at least one token.
        max_new_tokens: 1 or more.

    Returns:
        the new tokens, exactly so many.

    >>> after = torch.tensor([1, 2, 3, 0])  # a model that counts: 0 1 2 3 0 1 2 3 ...
    >>> model = lambda tokens, start: torch.eye(4)[after[torch.tensor(tokens)]]
    >>> speculate(model, lambda text: (text[-1] + 1) % 4, prompt=[0, 1], max_new_tokens=5)
    [2, 3, 0, 1, 2]
    """
    text = list(prompt)
    text.append(int(extend(text, 0)[-1].argmax()))
    while len(text) < len(prompt) + max_new_tokens:
        guess = draft(text)
        logits_2V = extend([text[-1], guess], len(text) - 1)
        accepted_B, next_B = verify_greedy(logits_2V[None], torch.tensor([guess]))
        text += [guess, int(next_B)] if accepted_B else [int(next_B)]
    return text[len(prompt) :][:max_new_tokens]


class Choice:
    """How tokens are chosen: the likeliest at temperature 0, else drawn from softmax(logits / temperature).

    Args:
        generator: makes the draws reproducible.

    Raises:
        ValueError: the temperature is negative or not finite.
    """

    def __init__(self, temperature: float = 0.0, generator: torch.Generator | None = None):
        if not 0 <= temperature < math.inf:
            raise ValueError(f"temperature must be a finite number, at least 0, got {temperature}.")
        self.greedy = temperature < torch.finfo(torch.float32).tiny  # float32 cannot divide by less
        self.temperature, self.generator = temperature, generator

    def choose(self, logits_BV: Tensor) -> tuple[Tensor, Tensor | None]:
        """A token for each row, (B,), and the distribution it was drawn from, (B, V), where it was drawn."""
        if self.greedy:
            return logits_BV.argmax(dim=-1), None
        p_BV = self._probabilities(logits_BV)
        return self._draw(p_BV), p_BV

    def verify(self, logits_B2V: Tensor, draft_B: Tensor, q_BV: Tensor | None) -> tuple[Tensor, Tensor]:
        """As ``verify_greedy`` returns it, in sampling, too; without q, nothing else could have been drafted."""
        if self.greedy:
            return verify_greedy(logits_B2V, draft_B)
        p_B2V = self._probabilities(logits_B2V)
        q_BV = F.one_hot(draft_B, p_B2V.shape[-1]).to(p_B2V.dtype) if q_BV is None else q_BV
        chance_B = torch.rand(len(draft_B), generator=self.generator, device=draft_B.device)
        accepted_B, next_BV = verify_sampled(p_B2V, q_BV, draft_B, chance_B)
        return accepted_B, self._draw(next_BV)

    def _probabilities(self, logits: Tensor) -> Tensor:
        below_best = logits - logits.amax(dim=-1, keepdim=True)  # which no temperature makes infinite
        return (below_best / self.temperature).softmax(dim=-1)

    def _draw(self, p_BV: Tensor) -> Tensor:
        return torch.multinomial(p_BV, 1, generator=self.generator)[:, 0]
