"""The expert product, path against path, and the layer around it, against dense layers and transformers'.

    python tests/benchmarks/dispatch.py [--record]     on a quiet machine; under four minutes

How it is measured stands in ``turns.py``. ``--record`` writes the figures to ``mini_moe/artifacts/dispatch.json``.
"""

import argparse
from collections.abc import Callable

import torch
from torch import Tensor, nn
from transformers import DeepseekV3Config
from transformers.models.deepseek_v3.modeling_deepseek_v3 import DeepseekV3MoE
from turns import IMPLEMENTATIONS, fastest_of, record, table, take_turns

from mini_moe.config import ModelConfig, small, tiny
from mini_moe.dispatch import PATHS, Dispatch
from mini_moe.hf import config_to_hf
from mini_moe.layers import FeedForward
from mini_moe.moe import MoE

TOKENS = 2048
PRECISIONS = ("float32", "bfloat16")
EXPERTS = (4, 8, 16, 32, 64)


def backward(function: Callable[..., Tensor], inputs: list[Tensor], precision: str) -> Callable[[], object]:
    """One forward and backward pass."""

    def step():
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
            y = function()
        return torch.autograd.grad(y, inputs, torch.ones_like(y))

    return step


def path(dispatch: Dispatch, c: ModelConfig, n_tokens: int, precision: str) -> Callable[[], object]:
    """The routed experts alone, over random choices."""
    torch.manual_seed(0)
    E, K, D, I = c.n_routed_experts, c.num_experts_per_tok, c.hidden_size, c.moe_intermediate_size
    experts_NK = torch.rand(n_tokens, E).topk(K).indices
    shapes = ((n_tokens, D), (n_tokens, K), (E, 2 * I, D), (E, D, I))
    x_ND, weights_NK, *matrices = inputs = [torch.randn(shape).mul_(0.1).requires_grad_() for shape in shapes]
    return backward(lambda: dispatch(x_ND, weights_NK, experts_NK, *matrices), inputs, precision)


def layer(module: nn.Module, c: ModelConfig, precision: str) -> Callable[[], object]:
    """A whole layer, dense or sparse, ours or transformers'."""
    x_BTD = torch.randn(8, TOKENS // 8, c.hidden_size, requires_grad=True)

    def output():
        y = module(x_BTD)
        return y[0] if isinstance(y, tuple) else y

    return backward(output, [x_BTD, *module.parameters()], precision)


def decoding(module: nn.Module, c: ModelConfig, precision: str) -> Callable[[], object]:
    """One token, forward only, as when text is generated."""
    x_BTD = torch.randn(1, 1, c.hidden_size)

    @torch.no_grad()
    def step():
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
            return module(x_BTD)

    return step


def ours(c: ModelConfig, dispatch: Dispatch = PATHS["grouped"]) -> MoE:
    """Random weights, the same each time: the router chooses at random, as at the start of training."""
    torch.manual_seed(0)
    module = MoE(c, dispatch)
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=c.initializer_range)
    return module


def theirs(c: ModelConfig, implementation: str) -> DeepseekV3MoE:
    """transformers' layer with our weights."""
    fields = DeepseekV3Config(**config_to_hf(c))
    fields._experts_implementation = implementation
    module = DeepseekV3MoE(fields)
    module.load_state_dict(ours(c).state_dict())
    return module


def paths_table(name: str, c: ModelConfig, n_tokens: int, rounds: int) -> dict:
    contenders = {
        f"{dispatch}, {precision}": path(PATHS[dispatch], c, n_tokens, precision)
        for precision in PRECISIONS
        for dispatch in PATHS
    }
    title = f"paths, {name}, {n_tokens:,} tokens, forward and backward"
    times = take_turns(contenders, rounds, title)
    return table(title, times, fastest_of(times, ""))


def decoding_table(name: str, c: ModelConfig, rounds: int) -> dict:
    contenders = {}
    for precision in PRECISIONS:
        for dispatch in PATHS:
            contenders[f"{dispatch}, {precision}"] = decoding(ours(c, PATHS[dispatch]), c, precision)
        for implementation in IMPLEMENTATIONS:
            contenders[f"transformers, {implementation}, {precision}"] = decoding(
                theirs(c, implementation), c, precision
            )
    title = f"decoding, {name}: one token through one layer, forward"
    times = take_turns(contenders, rounds, title)
    return table(title, times, fastest_of(times, ""))


def layer_table(name: str, c: ModelConfig, rounds: int) -> dict:
    """The MoE layer against dense ones of the same active and of the same total size, and against transformers'."""
    shared, I = c.n_shared_experts, c.moe_intermediate_size
    active, total = ((experts + shared) * I for experts in (c.num_experts_per_tok, c.n_routed_experts))
    contenders = {}
    for precision in PRECISIONS:
        contenders |= {
            f"MoE, {precision}": layer(ours(c), c, precision),
            f"dense, same active size, {precision}": layer(FeedForward(c.hidden_size, active), c, precision),
            f"dense, same total size, {precision}": layer(FeedForward(c.hidden_size, total), c, precision),
        }
        for implementation in IMPLEMENTATIONS:
            contenders[f"transformers, {implementation}, {precision}"] = layer(theirs(c, implementation), c, precision)
    title = f"layers, {name}, {TOKENS:,} tokens, forward and backward"
    times = take_turns(contenders, rounds, title)
    rows = table(title, times, fastest_of(times, "MoE"))
    best = {kind: fastest_of(times, kind) for kind in ("MoE", "dense, same active", "transformers")}
    print("  fastest of each kind: " + "; ".join(best.values()))
    return rows


def experts_table(c: ModelConfig, rounds: int) -> dict:
    """More experts for the same work: the active size stays, the stored size grows."""
    contenders = {
        f"E = {E}, {precision}": path(PATHS["grouped"], c.replace(n_routed_experts=E), TOKENS, precision)
        for precision in PRECISIONS
        for E in EXPERTS
    }
    title = f"number of experts, grouped, {TOKENS:,} tokens, forward and backward"
    times = take_turns(contenders, rounds, title)
    return table(title, times, fastest_of(times, f"E = {EXPERTS[0]}, "))


def main(rounds: int) -> dict:
    presets = {"tiny": tiny(), "small": small()}
    results = {}
    for name, c in presets.items():
        results[f"paths, {name}"] = paths_table(name, c, TOKENS, rounds)
        results[f"decoding, {name}"] = decoding_table(name, c, 20 * rounds)
        results[f"layers, {name}"] = layer_table(name, c, rounds)
    results["experts, small"] = experts_table(small(), rounds)
    return results


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--record", action="store_true", help="write mini_moe/artifacts/dispatch.json")
    options = parser.parse_args()
    results = main(options.rounds)
    if options.record:
        record("dispatch", f"--rounds {options.rounds}", results)
