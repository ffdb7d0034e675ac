"""A training step of ours against transformers' DeepseekV3 with the same configuration, and against the limit.

    python tests/benchmarks/train_step.py [tiny small] [--compile]     on a quiet machine; about five minutes

Every setting of ours and of transformers takes its turn, step by step, in one process, so that a change of the
machine's speed meets all alike; what is reported are medians, and ratios of medians to transformers' *fastest* setting.
The limit is the time of the step's matrix products alone: the same shapes, in the faster of float32 and bfloat16.
"""

import argparse
import statistics
import time
from collections import defaultdict

import torch
import torch.nn.functional as F
from torch.profiler import ProfilerActivity, profile
from tqdm import tqdm
from transformers import DeepseekV3Config, DeepseekV3ForCausalLM

from mini_moe import Transformer, config
from mini_moe.hf import config_to_hf
from mini_moe.train import TrainConfig, make_optimizer, train

BATCH = {"tiny": 16, "small": 8}
CONTEXT = 256
SEEN = CONTEXT // 2  # positions that a token looks at, on average


class Ours:
    """Steps of `mini_moe.train.train`, batches, clipping, balance and all."""

    def __init__(self, model_config, batch_size, precision):
        torch.manual_seed(0)
        model = Transformer(model_config)
        settings = TrainConfig(steps=10_000, batch_size=batch_size, context=CONTEXT, precision=precision)
        tokens = torch.randint(model_config.vocab_size, (1_000_000,), dtype=torch.int32)
        self.steps = train(model, make_optimizer(model, settings), tokens, settings)

    def step(self):
        next(self.steps)


class Theirs:
    """Forward, loss, backward, clipping and a fused AdamW step of transformers' model."""

    def __init__(self, model_config, batch_size, *, experts, autocast, compiled=False):
        torch.manual_seed(0)
        fields = DeepseekV3Config(**config_to_hf(model_config), use_cache=False)
        self.model = DeepseekV3ForCausalLM._from_config(
            fields, attn_implementation="sdpa", experts_implementation=experts
        )
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=1e-3, fused=True)
        self.autocast, self.batch_size, self.vocabulary = autocast, batch_size, model_config.vocab_size
        self.loss = torch.compile(self._loss, dynamic=False) if compiled else self._loss

    def _loss(self, inputs, targets):
        logits = self.model(inputs).logits
        return F.cross_entropy(logits.flatten(0, 1).float(), targets.flatten())

    def step(self):
        tokens = torch.randint(self.vocabulary, (self.batch_size, CONTEXT + 1))
        with torch.autocast("cpu", torch.bfloat16, enabled=self.autocast):
            loss = self.loss(tokens[:, :-1].contiguous(), tokens[:, 1:].contiguous())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad()
        loss.item()


def seconds_of(step) -> float:
    start = time.perf_counter()
    step()
    return time.perf_counter() - start


def products(c, batch_size: int) -> list[tuple[int, int, int, int]]:
    """(how many, rows, inner, columns) of all matrix products of a forward pass; backward has each twice."""
    N, D, H = batch_size * CONTEXT, c.hidden_size, c.num_attention_heads
    attention = [
        (1, N, D, H * c.qk_head_dim), (1, N, D, c.kv_lora_rank + c.qk_rope_head_dim),
        (1, N, c.kv_lora_rank, H * (c.qk_nope_head_dim + c.v_head_dim)), (1, N, H * c.v_head_dim, D),
        (batch_size * H, CONTEXT, c.qk_head_dim, SEEN), (batch_size * H, CONTEXT, SEEN, c.v_head_dim),
    ]  # fmt: skip
    I, shared = c.moe_intermediate_size, c.n_shared_experts * c.moe_intermediate_size
    rows = N * c.num_experts_per_tok // c.n_routed_experts
    dense = [(1, N, D, 2 * c.intermediate_size), (1, N, c.intermediate_size, D)]
    sparse = [
        (c.n_routed_experts, rows, D, 2 * I), (c.n_routed_experts, rows, I, D), (1, N, D, c.n_routed_experts),
        (1, N, D, 2 * shared), (1, N, shared, D),
    ]  # fmt: skip
    layers = c.num_hidden_layers * attention + c.first_k_dense_replace * dense
    return [*layers, *(c.num_hidden_layers - c.first_k_dense_replace) * sparse, (1, N, D, c.vocab_size)]


def limit(c, batch_size: int, dtype: torch.dtype) -> float:
    """Seconds for the products of a step, forward and backward, each shape at the median of seven tries."""
    shapes = defaultdict(int)
    for count, m, k, n in products(c, batch_size):
        for shape in ((m, k, n), (m, n, k), (k, m, n)):  # forward, gradient of the input, gradient of the weights
            shapes[count, *shape] += 1
    total = 0.0
    for (count, m, k, n), times in shapes.items():
        a, b = torch.randn(count, m, k, dtype=dtype), torch.randn(count, n, k, dtype=dtype).transpose(1, 2)
        product = (lambda a=a, b=b: torch.mm(a[0], b[0])) if count == 1 else (lambda a=a, b=b: torch.bmm(a, b))
        total += times * statistics.median(seconds_of(product) for _ in range(7))
    return total


def where_time_goes(contender) -> None:
    """The ten operations that take most of one step, by their own time."""
    with profile(activities=[ProfilerActivity.CPU]) as record:
        contender.step()
    events = sorted(record.key_averages(), key=lambda event: -event.self_cpu_time_total)
    whole = sum(event.self_cpu_time_total for event in events)
    for event in events[:10]:
        print(f"    {event.self_cpu_time_total / whole:6.1%}  {event.key}")


def compare(size: str, rounds: int, with_compile: bool) -> None:
    model_config, batch_size = getattr(config, size)(), BATCH[size]
    contenders = {
        "mini_moe, float32": Ours(model_config, batch_size, "float32"),
        "mini_moe, bfloat16": Ours(model_config, batch_size, "bfloat16"),
        "transformers, float32": Theirs(model_config, batch_size, experts="grouped_mm", autocast=False),
        "transformers, autocast": Theirs(model_config, batch_size, experts="grouped_mm", autocast=True),
        "transformers, float32, expert loop": Theirs(model_config, batch_size, experts="eager", autocast=False),
    }
    if with_compile:
        for name, autocast in (("float32", False), ("autocast", True)):
            contenders[f"transformers, {name}, compiled"] = Theirs(
                model_config, batch_size, experts="grouped_mm", autocast=autocast, compiled=True
            )
    times = {name: [] for name in contenders}
    for turn in tqdm(range(rounds + 2), desc=f"{size}: rounds", leave=False):
        for name, contender in contenders.items():
            seconds = seconds_of(contender.step)
            if turn >= 2:
                times[name].append(seconds)
    medians = {name: statistics.median(values) for name, values in times.items()}
    ours, theirs = (
        min((name for name in medians if name.startswith(library)), key=medians.get)
        for library in ("mini_moe", "transformers")
    )
    floor = min(limit(model_config, batch_size, dtype) for dtype in (torch.float32, torch.bfloat16))
    print(f"\n{size}: batch {batch_size} x {CONTEXT}, {torch.get_num_threads()} threads, torch {torch.__version__}")
    for name, median in medians.items():
        rate = batch_size * CONTEXT / median
        spread = f"{min(times[name]) * 1e3:.0f} to {max(times[name]) * 1e3:.0f}"
        print(f"  {name:36} {median * 1e3:7.0f} ms ({spread})  {rate:7,.0f} tokens/s")
    print(f"  {'the matrix products alone':36} {floor * 1e3:7.0f} ms")
    ratio = statistics.median(long / short for short, long in zip(times[ours], times[theirs], strict=True))
    print(f"  {ours} is {ratio:.2f} times as fast as {theirs}, in the median of {rounds} pairs")
    print(f"  where a step of {ours} goes:")
    where_time_goes(contenders[ours])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sizes", nargs="*", choices=[*BATCH, []], default=list(BATCH))
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--compile", action="store_true", help="transformers compiled, too: five minutes more a size")
    options = parser.parse_args()
    for size in options.sizes or BATCH:
        compare(size, options.rounds, options.compile)
