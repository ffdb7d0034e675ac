"""What the benchmarks share: contenders take turns, times are told in pairs, and recorded with their origin.

Contenders of one table take turns in one process, each round in another order, so that a change of the machine's
speed, and what the one before left in the caches, meets all alike. Reported is the median time, and the median of the
ratios of each round, with quartiles. A contender that first takes twenty times as long as the fastest is not run
again, and that one time stands for all: transformers' ``batched_mm`` copies a matrix for every pair.
"""

import datetime
import json
import platform
import random
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from tqdm import tqdm

import mini_moe
from mini_moe.files import write_atomically

IMPLEMENTATIONS = ("eager", "grouped_mm", "batched_mm")  # of transformers' experts
WARM_UP = 3  # rounds that do not count

Contenders = dict[str, Callable[[], object]]


def take_turns(contenders: Contenders, rounds: int, title: str) -> dict[str, list[float]]:
    """Milliseconds of every round that counts. Who is hopeless after the warm-up is left out: its last turn counts."""
    times = {name: [] for name in contenders}
    for turn in tqdm(range(WARM_UP + rounds), desc=title, leave=False, disable=None):
        for name, step in random.Random(turn).sample(list(contenders.items()), len(contenders)):
            if turn >= WARM_UP and times[name][WARM_UP - 1] > 20 * min(t[WARM_UP - 1] for t in times.values()):
                times[name].append(times[name][WARM_UP - 1])
                continue
            start = time.perf_counter()
            step()
            times[name].append((time.perf_counter() - start) * 1e3)
    return {name: values[WARM_UP:] for name, values in times.items()}


def summary(values: list[float]) -> list[float]:
    """Median and quartiles."""
    low, middle, high = statistics.quantiles(values, n=4)
    return [round(value, 3) for value in (middle, low, high)]


def table(title: str, times: dict[str, list[float]], base: str) -> dict[str, dict[str, list[float]]]:
    """Print, and return, the milliseconds of each contender and its ratio to ``base``, round by round."""
    print(f"\n{title}\n  {'':34}{'ms (quartiles)':>24}   times {base} (quartiles)")
    rows = {}
    for name, values in times.items():
        ratios = [value / other for value, other in zip(values, times[base], strict=True)]
        rows[name] = {"ms": summary(values), "ratio": summary(ratios)}
        (ms, low, high), (ratio, least, most) = rows[name].values()
        print(f"  {name:34}{ms:8.2f} ({low:.2f} to {high:.2f})   {ratio:.2f} ({least:.2f} to {most:.2f})")
    return rows


def fastest_of(times: dict[str, list[float]], start: str) -> str:
    return min((name for name in times if name.startswith(start)), key=lambda name: statistics.median(times[name]))


def record(name: str, options: str, results: dict) -> None:
    """Write the results to ``mini_moe/artifacts/NAME.json``, with all it takes to repeat them."""
    cpuinfo = Path("/proc/cpuinfo").read_text().splitlines()
    cpu = next((line.partition(":")[2].strip() for line in cpuinfo if "model name" in line), platform.processor())
    run = {
        "command": f"python tests/benchmarks/{Path(sys.argv[0]).name} --record {options}".strip(),
        "machine": f"{cpu}, {platform.system()} {platform.machine()}",
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "date": datetime.date.today().isoformat(),
        "figures": "median, lower and upper quartile, of the milliseconds and of the ratio to the fastest of its kind",
    }
    target = Path(mini_moe.__file__).parent / "artifacts" / f"{name}.json"
    write_atomically(target, (json.dumps({"run": run, "results": results}, indent=1) + "\n").encode())
    print(f"\nwritten: {target}")
