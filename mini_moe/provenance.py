"""Under what a result was made, so that it can be made again: configuration, text, command, versions, machine."""

import dataclasses
import hashlib
import platform
import sys
from datetime import UTC, datetime
from pathlib import Path

import torch

from mini_moe.config import ModelConfig
from mini_moe.data import Dataset
from mini_moe.train import TrainConfig


def provenance(
    model_config: ModelConfig, train_config: TrainConfig, dispatch: str, source: str | None, dataset: Dataset
) -> dict:
    """All that is needed to go on with a run, and ``circumstances``."""
    return {
        "model": dataclasses.asdict(model_config),
        "train": dataclasses.asdict(train_config),
        "dispatch": dispatch,
        "source": _where(source),
        **circumstances(dataset),
    }


def circumstances(dataset: Dataset) -> dict:
    """Under what a result was made: text, command, date, versions and machine."""
    return {
        "text": {"name": dataset.name, "fingerprint": fingerprint(dataset)},
        "command": sys.argv,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "machine": f"{platform.system()} {platform.machine()}, {torch.get_num_threads()} threads",
    }


def fingerprint(dataset: Dataset) -> str:
    """The same for the same tokens in the same split."""
    return hashlib.sha256(dataset.train.numpy().tobytes() + dataset.heldout.numpy().tobytes()).hexdigest()


def _where(source: str | None) -> str | None:
    """A source that means the same from any folder; the name of a data set stays as it is."""
    path = None if source is None else Path(source).expanduser()
    return str(path.resolve()) if path and path.exists() else source
