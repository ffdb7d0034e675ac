"""Make a record for ``recorded`` from the folder of a finished run.

    mini-moe train --preset tiny --steps 3000 --out runs/tiny
    python -m mini_moe.course.record runs/tiny tiny

writes ``artifacts/tiny.json``.
"""

import json
import sys
from pathlib import Path

from mini_moe.course.recorded import ARTIFACTS

EVERY = 10  # steps: the curve is the mean of so many


def record(folder, name):
    """Write the record ``name`` from the finished run in ``folder``."""
    run, result = (json.loads((folder / file).read_text()) for file in ("run.json", "result.json"))
    steps = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    tokens_a_step = run["train"]["batch_size"] * run["train"]["context"]
    minutes = sum(tokens_a_step / step["tokens_per_second"] for step in steps) / 60
    losses = [step["loss"] for step in steps]
    means = [sum(losses[i : i + EVERY]) / len(losses[i : i + EVERY]) for i in range(0, len(losses), EVERY)]
    tokens = tokens_a_step * len(steps)
    command = " ".join(["mini-moe", *run["command"][1:]])
    content = {
        "how": f"{tokens / 1e6:.1f} M tokens in {minutes:.0f} minutes, recorded {run['date'][:10]}: `{command}`",
        "bits_per_byte": result["bits_per_byte"],
        "gzip -9": result["gzip -9"],
        "xz -9": result["xz -9"],
        "steps": len(steps),
        "tokens": tokens,
        "minutes": round(minutes, 1),
        "every": EVERY,
        "losses": [round(mean, 4) for mean in means],
        "run": {key: run[key] for key in ("train", "model", "text", "date", "python", "torch", "machine")},
    }
    (ARTIFACTS / f"{name}.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    record(Path(sys.argv[1]), sys.argv[2])
