"""Text from a model, pass by pass: one token a pass, or two where a draft is accepted.

The prompt goes through the model once and fills the cache (naive attention: many queries, each latent expanded once).
After that ``decode.Decoder`` reads one or two tokens a pass (absorbed attention). With drafts a row keeps one token of
a pass, or two; the caches are rolled back to what it kept, and a row that is done waits for the others.

Letters: B batch, T tokens of the prompt, V vocabulary.
"""

import statistics
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from tokenizers import Tokenizer
from torch import Tensor

from mini_moe.decode import Decoder
from mini_moe.draft import ByModule, ByNgrams, Draft, Drafts
from mini_moe.model import Transformer
from mini_moe.speculative import Choice

DRAFTERS = ("module", "ngram")


@dataclass
class Stats:
    """What a generation took. The prompt is not counted, nor the first token of each row, which it gives."""

    new_tokens: int = 0  # in all rows
    passes: int = 0  # of the model
    drafted: int = 0
    accepted: int = 0
    seconds: float = 0.0
    experts: list[list[Tensor]] = field(default_factory=list, repr=False)  # chosen in each pass, layer by layer

    @property
    def acceptance(self) -> float:
        """Share of the drafts that were accepted; 0 without drafts."""
        return self.accepted / max(1, self.drafted)

    @property
    def tokens_per_second(self) -> float:
        return self.new_tokens / self.seconds if self.seconds else 0.0

    @property
    def distinct_experts(self) -> float:
        """Routed experts whose weights a pass needs; mean over passes and layers."""
        counts = [len(layer.unique()) for layers in self.experts for layer in layers]
        return statistics.mean(counts) if counts else 0.0

    def __str__(self) -> str:
        told = [f"{self.new_tokens} tokens in {self.passes} passes", f"{self.tokens_per_second:.0f} tokens a second"]
        if self.drafted:
            told.insert(1, f"{self.drafted} drafted, {self.accepted} accepted ({self.acceptance:.0%})")
        if any(self.experts):
            told.append(f"{self.distinct_experts:.1f} distinct experts a pass and layer")
        return "; ".join(told)


class Gate:
    """Turns drafting off where too few drafts are accepted, and tries again after a while.

    It judges by the last 32 drafts. It then rests for 64 passes, twice as long each time in a row.

    Args:
        share: of drafts that must be accepted; 0 never turns drafting off.
    """

    WINDOW, REST = 32, 64

    def __init__(self, share: float):
        self.share, self.recent, self.rest, self.next_rest = share, deque(maxlen=self.WINDOW), 0, self.REST

    def is_open(self) -> bool:
        """Whether the next pass is to have drafts. Ask once a pass."""
        self.rest = max(0, self.rest - 1)
        return self.rest == 0

    def note(self, accepted: list[bool]) -> None:
        """What became of the drafts of a pass."""
        self.recent.extend(accepted)
        if len(self.recent) < self.WINDOW:
            return
        if statistics.mean(self.recent) >= self.share:
            self.next_rest = self.REST
        else:
            self.rest, self.next_rest = self.next_rest, 2 * self.next_rest
            self.recent.clear()


class Run:
    """A generation under way: what was written, the caches, and who drafts.

    Args:
        drafter: "module" or "ngram"; None: nobody.
    """

    def __init__(self, model: Transformer, prompt_BT: Tensor, max_new_tokens: int, choice: Choice, drafter: str | None):
        B, T = prompt_BT.shape
        self.choice, self.left = choice, [max_new_tokens - 1] * B
        self.decoder = Decoder(model, B, T + max_new_tokens)
        logits_B1V, hidden_BTD = self.decoder.read(prompt_BT)
        self.drafts: Drafts | None = None
        if drafter == "module":
            self.drafts = ByModule(self.decoder, prompt_BT, hidden_BTD, T + max_new_tokens)
        elif drafter == "ngram":
            self.drafts = ByNgrams(prompt_BT)
        self.last_B = choice.choose(logits_B1V[:, 0])[0]
        self.new = [[token] for token in self.last_B.tolist()]  # of each row, by the latest pass
        self._told(hidden_BTD[:, -1:])

    def _told(self, hidden_BTD: Tensor) -> None:
        if self.drafts is not None:
            self.drafts.take_in(hidden_BTD, self.new)

    def step(self) -> None:
        """A pass over the last token of each row."""
        logits_B1V, hidden_B1D = self.decoder.extend(self.last_B[:, None])
        self.last_B = self.choice.choose(logits_B1V[:, 0])[0]
        self._keep([[token] for token in self.last_B.tolist()], hidden_B1D)

    def draft(self) -> Draft:
        """A guess for each row."""
        return self.drafts.draft(self.choice)

    def verify(self, draft: Draft) -> list[bool]:
        """A pass over the last token and the draft of each row; which drafts were accepted, of those that count."""
        logits_B2V, hidden_B2D = self.decoder.extend(torch.stack((self.last_B, draft.tokens_B), dim=1))
        accepted_B, self.last_B = self.choice.verify(logits_B2V, draft.tokens_B, draft.q_BV)
        accepted = accepted_B.tolist()
        rows = zip(accepted, draft.tokens_B.tolist(), self.last_B.tolist(), strict=True)
        judged = [yes for yes, real, left in zip(accepted, draft.real, self.left, strict=True) if real and left]
        self._keep([[guess, token] if yes else [token] for yes, guess, token in rows], hidden_B2D)
        return judged

    def _keep(self, new: list[list[int]], hidden_BTD: Tensor) -> None:
        """So much of the pass counts; the rest is rolled back. A row that is done is emptied."""
        stack, read = self.decoder.stack, hidden_BTD.shape[1]
        self.new = [tokens[:left] for tokens, left in zip(new, self.left, strict=True)]
        self.left = [left - len(tokens) for left, tokens in zip(self.left, self.new, strict=True)]
        stack.length = [
            length - read + len(tokens) if left else 0
            for length, tokens, left in zip(stack.length, self.new, self.left, strict=True)
        ]
        if any(self.left):
            self._told(hidden_BTD)


@torch.inference_mode()
def stream(
    model: Transformer,
    tokens_BT: Tensor,
    max_new_tokens: int,
    *,
    temperature: float = 0.0,
    generator: torch.Generator | None = None,
    speculative: bool = False,
    drafter: str = "module",
    gate: float = 0.0,
    stats: Stats | None = None,
) -> Iterator[list[list[int]]]:
    """Like ``generate``, but yields the new tokens of each row after every pass: one, two, or none once it is done.

    Args:
        stats: is kept up to date.

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
    _check_drafter(model, drafter if speculative else "ngram")
    if not gate >= 0:
        raise ValueError(f"gate must be a number, at least 0, got {gate}.")
    choice = Choice(temperature, generator)
    if max_new_tokens == 0:
        return iter(())
    run = Run(model, tokens_BT, max_new_tokens, choice, drafter if speculative else None)
    return _passes(run, Gate(gate), Stats() if stats is None else stats)


def _check_drafter(model: Transformer, drafter: str) -> None:
    if drafter not in DRAFTERS:
        raise ValueError(f"drafter must be one of {', '.join(DRAFTERS)}, got {drafter!r}.")
    if drafter == "module" and not len(model.mtp):
        raise ValueError("drafter must be 'ngram' for a model without a prediction module, got 'module'.")


@torch.inference_mode()
def _passes(run: Run, gate: Gate, stats: Stats) -> Iterator[list[list[int]]]:
    yield run.new
    while any(run.left):
        start = time.perf_counter()
        draft = run.draft() if run.drafts is not None and gate.is_open() else None
        if draft is not None and any(draft.real):
            accepted = run.verify(draft)
            gate.note(accepted)
            stats.drafted += len(accepted)
            stats.accepted += sum(accepted)
        else:
            run.step()
        stats.seconds += time.perf_counter() - start
        stats.passes += 1
        stats.new_tokens += sum(map(len, run.new))
        stats.experts.append(run.decoder.stack.experts)
        yield run.new


def generate(
    model: Transformer,
    tokens_BT: Tensor,
    max_new_tokens: int,
    *,
    temperature: float = 0.0,
    generator: torch.Generator | None = None,
    speculative: bool = False,
    drafter: str = "module",
    gate: float = 0.0,
    return_stats: bool = False,
) -> Tensor | tuple[Tensor, Stats]:
    """Continue each row of ``tokens_BT`` by ``max_new_tokens`` tokens.

    Args:
        tokens_BT: int64, at least one token a row.
        temperature: 0 takes the most likely token; 1 draws from the model's own distribution.
        generator: makes the draws reproducible.
        speculative: draft a token for each pass. The text is the same as without (in sampling: its distribution), but
            where rounding decides between two tokens that are equally likely.
        drafter: who drafts: "module", the model's own prediction module, or "ngram", the text so far.
        gate: share of drafts that must be accepted, else drafting is turned off for a while. What pays is measured by
            ``overhead``; 0 always drafts.
        return_stats: return ``Stats``, too.

    Returns:
        (B, T + max_new_tokens): the prompt and what follows.

    Raises:
        ValueError: no prompt, more tokens than the model has positions, a temperature that is negative or not finite,
            an unknown drafter, one that the model does not have, or a negative gate.
    """
    stats = Stats()
    new = [[] for _ in tokens_BT]
    for rows in stream(
        model,
        tokens_BT,
        max_new_tokens,
        temperature=temperature,
        generator=generator,
        speculative=speculative,
        drafter=drafter,
        gate=gate,
        stats=stats,
    ):
        for row, tokens in zip(new, rows, strict=True):
            row += tokens
    text_BT = torch.cat((tokens_BT, torch.tensor(new, dtype=tokens_BT.dtype, device=tokens_BT.device)), dim=1)
    return (text_BT, stats) if return_stats else text_BT


class _Refusal(Choice):
    """The likeliest token, and never a draft."""

    def verify(self, logits_B2V: Tensor, draft_B: Tensor, q_BV: Tensor | None) -> tuple[Tensor, Tensor]:
        return super().verify(logits_B2V, torch.full_like(draft_B, -1), q_BV)


@torch.inference_mode()
def overhead(model: Transformer, tokens_BT: Tensor, *, drafter: str = "module", passes: int = 50) -> float:
    """What drafting and checking add to a plain pass, as a share of it, on this machine: so many drafts must be right.

    Plain passes and passes whose draft is refused, whatever it is, take turns; by the medians of their times.

    Args:
        tokens_BT: a prompt; ``2 passes`` tokens are written after it.

    Raises:
        ValueError: as ``generate``.
    """
    _check_drafter(model, drafter)
    run = Run(model, tokens_BT, 2 * passes + 1, _Refusal(), drafter)
    seconds = {run.step: [], lambda: run.verify(run.draft()): []}
    for _ in range(passes):
        for take, times in seconds.items():
            start = time.perf_counter()
            take()
            times.append(time.perf_counter() - start)
    plain, refused = map(statistics.median, seconds.values())
    return max(0.0, refused / plain - 1)


def write_text(
    model: Transformer,
    tokenizer: Tokenizer,
    prompt: str,
    max_new_tokens: int,
    *,
    temperature: float,
    seed: int,
    **drafting,
) -> Iterator[str]:
    """The continuation of ``prompt``, piece by piece as it is written; ends early where the model ends the file.

    Args:
        drafting: ``speculative``, ``drafter``, ``gate`` and ``stats``, as for ``stream``.

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
    passes = stream(model, tokens, max_new_tokens, temperature=temperature, generator=generator, **drafting)
    return _decoded((token for (row,) in passes for token in row), tokenizer)


def _decoded(tokens: Iterator[int], tokenizer: Tokenizer) -> Iterator[str]:
    written, shown = [], ""
    for new in tokens:
        if new == 0:
            break
        written.append(new)
        text = tokenizer.decode(written)
        if not text.endswith("\ufffd"):  # else the last character still lacks a byte
            yield text[len(shown) :]
            shown = text
