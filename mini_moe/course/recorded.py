"""Results that took longer than a lesson has: recorded once, with all that is needed to record them again.

    mini-moe train --preset tiny --steps 1500 --out runs/tiny
    python -m mini_moe.course.recorded runs/tiny tiny

makes ``artifacts/tiny.json`` from the run's folder; ``recorded("tiny")`` reads it.
"""

import json
import sys
from pathlib import Path

ARTIFACTS = Path(__file__).parent.parent / "artifacts"
EVERY = 10  # steps: the curve is the mean of so many


def recorded(name):
    """The record of that name: ``bits_per_byte``, ``losses`` (a mean for each ``every`` steps), ``minutes``,
    ``tokens``, ``steps``, and where it comes from in ``how`` (one line) and ``run``.

    Raises:
        ValueError: there is no such record.
    """
    path = ARTIFACTS / f"{name}.json"
    if not path.exists():
        names = ", ".join(sorted(file.stem for file in ARTIFACTS.glob("*.json")))
        raise ValueError(f"name must be one of {names}, got {name!r}.")
    return json.loads(path.read_text(encoding="utf-8"))


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
