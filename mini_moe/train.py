"""Training: one loss, one optimizer step after the other, and the measure that counts.

    loss = cross-entropy of the next token + lambda * mean over prediction modules of theirs (``mtp.py``)
         + sum over layers of the balance loss
    learning rate: rises over ``warmup_steps``, then falls in a straight line; one step after the last it would be 0
    after each step: the routing bias moves by gamma towards balance

A step is a pure function of the weights, the optimizer's memory, the step's number and the configuration: batches are
drawn from (seed, step), and nothing else is random. So a run that is stopped and resumed ends bit for bit where it
would have ended (``checkpoint.py`` keeps what is needed).

Source: DeepSeek-V3, arXiv 2412.19437, section 4.2; straight to zero: Bergsma et al., arXiv 2502.15938.

Departures:
1. The published schedule holds the learning rate for two thirds of a run of months; short runs gain by falling at once.
2. The bias moves to the end, and ten times as fast (gamma 1e-2): a run here has hundreds of steps, not hundreds of
   thousands. The paper stops it for the last 3 % of the tokens.
3. The embedding learns 30 times and the head twice as fast as the matrices between, and neither decays: AdamW moves
   every number by about the learning rate, and an embedding's numbers are of size 1 where a matrix's are of size 0.1.
   At `tiny` this and the faster bias took 100 steps from 2.36 bits per byte to 2.29, a first beta of 0.8 in place of
   0.9 to 2.24.
4. Muon (orthogonalised momentum, for the matrices) was measured, too: after 200 steps it equals AdamW within the noise
   of two seeds, at 20 ms more per step. It does not pay here.

Letters: B batch, T tokens of a sequence, V vocabulary.
"""

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm.auto import tqdm

from mini_moe import data
from mini_moe.balance import batch_balance_loss, expert_load, load_ratio, sequence_balance_loss, update_bias
from mini_moe.config import rules_of
from mini_moe.model import Output
from mini_moe.moe import MoE, Routing
from mini_moe.mtp import mtp_loss

PRECISIONS = ("float32", "bfloat16")
BALANCE_LOSSES = {"sequence": sequence_balance_loss, "batch": batch_balance_loss}


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """Everything that decides a run but the model and the text.

    Raises:
        ValueError: a field is of another type, or out of its range.
    """

    steps: int  # optimizer steps, 1..
    batch_size: int = 8  # sequences per step, 1..
    context: int = 256  # tokens per sequence, 1..
    learning_rate: float = 1e-2  # of the matrices, at its highest, > 0
    embedding_factor: float = 30.0  # so many times faster the embedding learns, > 0
    head_factor: float = 2.0  # and so many times the output head, > 0
    warmup_steps: int = 20  # 0..
    weight_decay: float = 0.1  # of the matrices, 0..
    grad_clip: float = 1.0  # largest norm of the whole gradient, > 0
    balance_alpha: float = 1e-4  # weight of the balance loss, 0..
    balance_scope: str = "sequence"  # what that loss keeps even: each sequence by itself, or the whole "batch"
    bias_gamma: float = 1e-2  # step of the routing bias, 0..
    mtp_lambda: float = 0.3  # weight of the prediction modules' loss, 0..; without modules it has no effect
    precision: str = "float32"  # of the matrix products, or "bfloat16"; weights, norms and the loss are always float32
    seed: int = 0  # of the first weights and of the batches, 0..2**63 - 1

    def __post_init__(self):
        must = rules_of(self)
        must(self.precision in PRECISIONS, "precision", f"one of {', '.join(PRECISIONS)}")
        must(self.balance_scope in BALANCE_LOSSES, "balance_scope", f"one of {', '.join(BALANCE_LOSSES)}")
        for name in ("steps", "batch_size", "context"):
            must(getattr(self, name) >= 1, name, "at least 1")
        must(0 <= self.seed < 2**63, "seed", "from 0 to 2**63 - 1")
        for name in ("learning_rate", "embedding_factor", "head_factor", "grad_clip"):
            must(0 < getattr(self, name) < math.inf, name, "a positive number")
        for name in ("warmup_steps", "weight_decay", "balance_alpha", "bias_gamma", "mtp_lambda"):
            must(0 <= getattr(self, name) < math.inf, name, "a finite number, at least 0")


class Diverged(ArithmeticError):
    """The loss or its gradient stopped being a number; the weights are still those of the step before."""


class Losses(NamedTuple):
    """What a step minimises is the sum of the three."""

    next_token: Tensor  # mean cross-entropy, nats per token
    mtp: Tensor  # lambda times the mean over prediction modules of theirs
    balance: Tensor  # summed over layers, those of the modules too


@dataclass(frozen=True)
class Step:
    """What is told of a step; a line of the log."""

    step: int  # of which this is the first: 1
    loss: float  # cross-entropy of the next token, nats
    mtp: float  # of the prediction modules, nats, times lambda; 0 where there is none
    balance: float
    learning_rate: float
    grad_norm: float  # before clipping
    load_ratio: float  # load of the busiest expert over the mean, in the worst layer; 1 is perfect
    tokens_per_second: float


def bits_per_byte(nats: float, n_bytes: int) -> float:
    """How many bits a model spends on each byte of a text.

    A bit is the surprise of a fair coin, -ln 1/2 nats. Unlike the loss per token, this compares models with different
    tokenizers, and compressors.

    Args:
        nats: -ln p, summed over all tokens of the text.
        n_bytes: bytes of the text in UTF-8.

    >>> bits_per_byte(nats=8 * math.log(2), n_bytes=4)  # eight times a fair coin
    2.0
    """
    return nats / (math.log(2) * n_bytes)


def losses(output: Output, further: list[Output], inputs_BT: Tensor, targets_BT: Tensor, config: TrainConfig) -> Losses:
    """The three terms of the loss; targets of ``data.IGNORE`` do not count.

    Args:
        output: of the model, for these inputs.
        further: of its prediction modules, from ``predict_further``.
    """
    next_token = F.cross_entropy(output.logits.flatten(0, 1).float(), targets_BT.flatten(), ignore_index=data.IGNORE)
    documents = data.document_ids(inputs_BT)
    each = (
        mtp_loss(ahead.logits, inputs_BT, depth=depth, document_ids_BT=documents)
        for depth, ahead in enumerate(further, start=1)
    )
    nothing = next_token.new_zeros(())
    mtp = config.mtp_lambda * sum(each, nothing) / max(1, len(further))
    balance_loss = BALANCE_LOSSES[config.balance_scope]
    terms = (balance_loss(*routing, config.balance_alpha) for made in (output, *further) for routing in made.routings)
    return Losses(next_token, mtp, sum(terms, nothing))


def make_optimizer(model: nn.Module, config: TrainConfig) -> torch.optim.Optimizer:
    """AdamW. Embedding and head learn faster than the rest; only the matrices between them decay.

    Each group's ``factor`` multiplies the learning rate of the step.
    """
    groups = {
        name: {"params": [], "factor": factor, "weight_decay": decay}
        for name, factor, decay in (
            ("matrices", 1.0, config.weight_decay),
            ("vectors", 1.0, 0.0),
            ("embedding", config.embedding_factor, 0.0),
            ("head", config.head_factor, 0.0),
        )
    }
    for name, parameter in model.named_parameters():
        if name.startswith("embed"):
            group = "embedding"
        elif name.startswith(("lm_head", "head")):
            group = "head"
        else:
            group = "matrices" if parameter.ndim >= 2 else "vectors"
        groups[group]["params"].append(parameter)
    return torch.optim.AdamW(list(groups.values()), lr=config.learning_rate, betas=(0.8, 0.95), fused=True)


def learning_rate(step: int, config: TrainConfig) -> float:
    """The learning rate of a step, counted from 1.

    >>> config = TrainConfig(steps=10, warmup_steps=2, learning_rate=1.0)
    >>> [learning_rate(step, config) for step in (1, 2, 3, 6, 10)]
    [0.5, 1.0, 1.0, 0.625, 0.125]
    """
    if step <= config.warmup_steps:
        return config.learning_rate * step / config.warmup_steps
    return config.learning_rate * (config.steps - step + 1) / (config.steps - config.warmup_steps)


def balance_routers(model: nn.Module, routings: list[Routing], gamma: float) -> float:
    """Move the bias of every router by the load of this step; return the worst load over the mean."""
    loads, layers = [], [module for module in model.modules() if isinstance(module, MoE)]
    for moe, routing in zip(layers, routings, strict=True):
        load_E = expert_load(routing.experts_BTK.flatten(), moe.config.n_routed_experts)
        bias = moe.gate.e_score_correction_bias
        bias.copy_(update_bias(bias, load_E[None], gamma))
        loads.append(load_E)
    return load_ratio(torch.stack(loads)) if loads else 1.0


def train(
    model: nn.Module, optimizer: torch.optim.Optimizer, tokens: Tensor, config: TrainConfig, first_step: int = 1
) -> Iterator[Step]:
    """Train ``model`` in place, and tell of every step when it is done.

    Args:
        model: a ``Transformer``, or another that returns an ``Output``; without hidden states nothing further is
            predicted.
        optimizer: from ``make_optimizer``, with its memory where a run goes on.
        tokens: a long row of training tokens, from ``data.load``.
        first_step: the step to begin with, 1 for a fresh run.

    Raises:
        Diverged: the loss or the gradient is not finite. The step was not taken.
    """
    for step in range(first_step, config.steps + 1):
        start = time.perf_counter()
        inputs_BT, targets_BT = data.batch(
            tokens, step, batch_size=config.batch_size, seq_len=config.context, seed=config.seed
        )
        with torch.autocast(inputs_BT.device.type, torch.bfloat16, enabled=config.precision == "bfloat16"):
            output = model(inputs_BT)
            further = model.predict_further(output.hidden, inputs_BT) if output.hidden is not None else []
        loss = losses(output, further, inputs_BT, targets_BT, config)
        sum(loss).backward()
        norm = nn.utils.clip_grad_norm_(model.parameters(), config.grad_clip)
        _stop_unless_finite(step, loss.next_token, norm)
        for group in optimizer.param_groups:
            group["lr"] = group["factor"] * learning_rate(step, config)
        optimizer.step()
        optimizer.zero_grad()
        routings = [routing for made in (output, *further) for routing in made.routings]
        worst_ratio = balance_routers(model, routings, config.bias_gamma)
        yield Step(
            step=step,
            loss=loss.next_token.item(),
            mtp=loss.mtp.item(),
            balance=loss.balance.item(),
            learning_rate=learning_rate(step, config),
            grad_norm=norm.item(),
            load_ratio=worst_ratio,
            tokens_per_second=inputs_BT.numel() / (time.perf_counter() - start),
        )


def _stop_unless_finite(step: int, loss: Tensor, norm: Tensor) -> None:
    for name, value in (("loss", loss), ("gradient's norm", norm)):
        if not value.isfinite():
            raise Diverged(f"The {name} became {value.item()} at step {step}. Try a lower learning rate.")


@torch.inference_mode()
def evaluate(
    model: nn.Module, dataset: data.Dataset, config: TrainConfig, *, n_windows: int | None = None, progress=True
) -> float:
    """Bits per byte on the held-out text, in windows of ``config.context`` tokens.

    Args:
        n_windows: take only so many windows, spread over the text, for a quick look: the bytes are then estimated
            from the text's mean bytes per token. None takes the whole text, exactly.
    """
    inputs_NT, targets_NT = data.windows(dataset.heldout, config.context)
    if n_windows is not None and n_windows < len(inputs_NT):
        spread = torch.linspace(0, len(inputs_NT) - 1, n_windows).long()
        inputs_NT, targets_NT = inputs_NT[spread], targets_NT[spread]
    nats = 0.0
    batches = list(zip(inputs_NT.split(config.batch_size), targets_NT.split(config.batch_size), strict=True))
    for inputs, targets in tqdm(batches, desc="held-out text", unit="batch", leave=False, disable=not progress):
        logits = model(inputs).logits
        nats += F.cross_entropy(
            logits.flatten(0, 1).float(), targets.flatten(), ignore_index=data.IGNORE, reduction="sum"
        ).item()
    measured = (targets_NT != data.IGNORE).sum().item() / (len(dataset.heldout) - 1)
    return bits_per_byte(nats, dataset.heldout_bytes * measured)
