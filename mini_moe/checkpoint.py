"""A run's folder: what is kept, so that a run can be stopped at any moment and lose nothing but seconds.

    .lock                          the number of the process that trains here, which holds a lock on it (``lock.py``)
    run.json                       configuration, text, versions, machine, command
    log.jsonl                      a line for each step
    checkpoints/00000120.safetensors    weights, routing biases and the optimizer's memory after step 120; the last two
    config.json, model.safetensors, tokenizer.json, tokenizer_config.json
                                   the model, for ``hf.load_pretrained`` and for transformers

A file appears under its name only when it is whole and on the disk (written aside, flushed, renamed), so a run that
is killed at any moment leaves the checkpoint before. Should the newest be damaged all the same, the one before serves.
"""

import json
from pathlib import Path

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from mini_moe.files import write_atomically
from mini_moe.model import Transformer

KEPT = 2  # checkpoints


class DamagedRun(ValueError):
    """A run's folder lacks what is needed to go on; the file is named."""


def save_checkpoint(folder: Path, step: int, model: Transformer, optimizer: torch.optim.Optimizer) -> Path:
    """Keep the state after ``step``, and of the older checkpoints only the newest."""
    tensors = {f"model/{name}": tensor for name, tensor in model.state_dict().items()}
    for name, parameter in model.named_parameters():
        for key, value in optimizer.state[parameter].items():
            tensors[f"optimizer/{name}/{key}"] = value
    for cut_off in (folder / "checkpoints").glob(".*"):  # what a killed process was writing
        cut_off.unlink()
    path = folder / "checkpoints" / f"{step:08d}.safetensors"
    write_atomically(path, safetensors.torch.save({name: t.contiguous() for name, t in tensors.items()}))
    for old in _checkpoints(folder)[KEPT:]:
        old.unlink()
    return path


def load_checkpoint(folder: Path, model: Transformer, optimizer: torch.optim.Optimizer) -> tuple[int, list[Path]]:
    """Restore the newest whole checkpoint, in place.

    Returns:
        the step it was taken after (0: the run had none yet), and the damaged files that were passed over.

    Raises:
        DamagedRun: there are checkpoints, and none can be read.
    """
    damaged = []
    for path in _checkpoints(folder):
        try:
            tensors = safetensors.torch.load(path.read_bytes())
        except SafetensorError:
            damaged.append(path)
            continue
        model.load_state_dict(_under(tensors, "model/"))
        for name, parameter in model.named_parameters():
            optimizer.state[parameter] = _under(tensors, f"optimizer/{name}/")
        return int(path.stem), damaged
    if damaged:
        raise DamagedRun(f"{folder} must hold a whole checkpoint, got {len(damaged)} damaged: {damaged[0].name}.")
    return 0, []


def last_step(folder: Path) -> int:
    """The step of the newest checkpoint; 0 if there is none yet."""
    return max((int(path.stem) for path in _checkpoints(folder)), default=0)


def rewind_log(path: Path, step: int) -> None:
    """Drop the lines after ``step``, which the resumed run will write again."""
    kept = []
    for line in path.read_text().splitlines() if path.exists() else []:
        try:
            record = json.loads(line)
        except json.JSONDecodeError:  # the line that was being written when the run was killed
            break
        if record["step"] > step:
            break
        kept.append(record)
    write_atomically(path, "".join(json.dumps(record) + "\n" for record in kept).encode())


def _checkpoints(folder: Path) -> list[Path]:
    """Newest first."""
    return sorted((folder / "checkpoints").glob("????????.safetensors"), reverse=True)


def _under(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
