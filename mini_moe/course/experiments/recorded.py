"""Results that took longer than a lesson has: recorded once (see ``record.py``), with all it takes to repeat them."""

import json
from pathlib import Path

from safetensors.torch import load_file

from mini_moe.hf import load_pretrained, load_tokenizer

ARTIFACTS = Path(__file__).parents[2] / "artifacts"


def recorded(name):
    """The record of that name, a dictionary.

    All tell where they come from: ``how`` (one line), ``run``, ``minutes``, ``tokens``; ``every``: a curve's numbers
    are means of so many steps. ``tiny`` has ``losses``, ``bits_per_byte``, and ``gzip -9`` and ``xz -9`` on the same
    text; a comparison has ``runs``: for each plan, and each of ``seeds``, ``losses``, ``load ratios``,
    ``bits_per_byte`` and ``seconds a step``.

    Raises:
        ValueError: there is no such record.
    """
    path = ARTIFACTS / f"{name}.json"
    if not path.exists():
        raise ValueError(f"name must be one of {_names('*.json')}, got {name!r}.")
    return json.loads(path.read_text(encoding="utf-8"))


def bits(record, plan):
    """Bits per byte of a comparison's plan, for each seed."""
    return [run["bits_per_byte"] for run in record["runs"][plan]]


def seconds(record, plan):
    """Seconds of training, for each seed; the plans of a comparison take turns, so these can be compared."""
    return [run["seconds a step"] * record["train"][plan]["steps"] for run in record["runs"][plan]]


def fastest(rows, *words):
    """Milliseconds, median and quartiles, of a benchmark's fastest contender whose name has all the words."""
    return min(row["ms"] for name, row in rows.items() if all(word in name for word in words))


def checkpoint(name):
    """The trained model of that name, in float32, and its tokenizer.

    Raises:
        ValueError: there is no such checkpoint.
    """
    folder = ARTIFACTS / name
    if not folder.is_dir():
        raise ValueError(f"name must be one of {_names('*/')}, got {name!r}.")
    return load_pretrained(folder), load_tokenizer(folder)


def with_drafter():
    """The model `deep`, its module trained further to say what the model says (record `drafter`); and its tokenizer."""
    model, tokenizer = checkpoint("deep")
    weights = load_file(ARTIFACTS / "drafter.safetensors")
    model.mtp.load_state_dict({name: tensor.float() for name, tensor in weights.items()})
    return model, tokenizer


def _names(pattern):
    return ", ".join(sorted(path.stem for path in ARTIFACTS.glob(pattern)))
