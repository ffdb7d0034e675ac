"""Results that took longer than a lesson has: recorded once (see ``record.py``), with all it takes to repeat them."""

import json
from pathlib import Path

ARTIFACTS = Path(__file__).parent.parent / "artifacts"


def recorded(name):
    """The record of that name, a dictionary.

    ``bits_per_byte``, and ``gzip -9`` and ``xz -9`` on the same text; ``losses``, a mean for each ``every`` steps;
    ``minutes``, ``tokens``, ``steps``; and where it comes from: ``how`` (one line) and ``run``.

    Raises:
        ValueError: there is no such record.
    """
    path = ARTIFACTS / f"{name}.json"
    if not path.exists():
        names = ", ".join(sorted(file.stem for file in ARTIFACTS.glob("*.json")))
        raise ValueError(f"name must be one of {names}, got {name!r}.")
    return json.loads(path.read_text(encoding="utf-8"))
