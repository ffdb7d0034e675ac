"""The main job without a screen: train a model on a text, keep it in a folder, measure it.

``start`` begins a run and ``resume`` goes on with one. What a folder holds is told in ``checkpoint.py``; one process at
a time may be in it. What is chosen by a clock is chosen before the first step (``trial.py``) and kept, so that a run
that is resumed depends on none.
"""

import dataclasses
import errno
import json
import shlex
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from tqdm.auto import tqdm

from mini_moe import data
from mini_moe.checkpoint import DamagedRun, last_step, load_checkpoint, rewind_log, save_checkpoint
from mini_moe.config import ModelConfig
from mini_moe.dispatch import PATHS
from mini_moe.files import append_json, write_json
from mini_moe.hf import save_pretrained
from mini_moe.lock import only_one
from mini_moe.model import Transformer
from mini_moe.progress import clock
from mini_moe.provenance import fingerprint, provenance
from mini_moe.train import PRECISIONS, Diverged, TrainConfig, evaluate, make_optimizer, train
from mini_moe.trial import choose

SECONDS_BETWEEN_CHECKPOINTS = 20.0
NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}  # what a full disk, a quota and a limit of file sizes say


@dataclass(frozen=True)
class Report:
    """How a run ended."""

    folder: Path
    step: int  # steps done
    steps: int  # steps asked for
    bits_per_byte: float | None  # on the held-out text; None if the run was stopped before its end


def start(
    folder: Path,
    model_config: ModelConfig,
    train_config: TrainConfig,
    source: str | None,
    *,
    seconds: float | None = None,
    precision: str | None = None,
    dispatch: str | None = None,
) -> Report:
    """Begin a run in an empty or new folder.

    What stops the training bears a note: what is kept, and how the run goes on.

    Args:
        source: a file or folder of text; None is the embedded corpus.
        seconds: train for so long instead of ``train_config.steps``; measuring and writing come on top.
        precision: of the matrix products; None takes what is faster here, by a few steps of each.
        dispatch: the path of the expert product; None takes what is fastest here, by measurement. Precision and path
            are kept in ``run.json``: they decide the last bits.

    Warns:
        UserWarning: the text's tokens could not be kept; see ``data.load``.

    Raises:
        FileNotFoundError, PermissionError: ``source`` is not there, or may not be read.
        ValueError: ``folder`` is a file, or holds something already; another process trains in it; an argument is out
            of range; or ``source`` has too little text for the vocabulary or the windows.
        Diverged: the loss, its gradient or a weight is no longer a finite number.
        OSError: a file cannot be written, as on a full disk; it is named.
        KeyboardInterrupt: Ctrl-C was pressed twice, or before the training began.
    """
    _must_be_new(folder)
    for name, value, known in (("precision", precision, PRECISIONS), ("dispatch", dispatch, PATHS)):
        if value is not None and value not in known:
            raise ValueError(f"{name} must be one of {', '.join(known)}, got {value!r}.")
    if seconds is not None and not 0 < seconds < 1e9:
        raise ValueError(f"seconds must be above 0 and below 1e9, got {seconds}.")
    dataset = data.load(source, model_config.vocab_size)
    folder.mkdir(parents=True, exist_ok=True)
    with only_one(folder):
        _must_be_new(folder)  # it may have been begun since
        train_config, path = choose(model_config, train_config, dataset, seconds, precision, dispatch)
        torch.manual_seed(train_config.seed)
        model = Transformer(model_config, PATHS[path])
        write_json(folder / "run.json", provenance(model_config, train_config, path, source, dataset))
        with _telling_how_to_go_on(folder, train_config):
            return _go_on(folder, model, make_optimizer(model, train_config), dataset, train_config, done=0)


def _must_be_new(folder: Path) -> None:
    there = next(path for path in (folder, *folder.parents) if path.exists())
    if not there.is_dir():
        raise ValueError(f"folder must be a new folder, got {folder}, and {there} is a file.")
    if (folder / "run.json").exists():
        raise ValueError(
            f"folder must be a new folder, got {folder}, which holds a run. Go on with it: {resume_command(folder)}"
        )
    if found := [path.name for path in folder.glob("*") if not path.name.startswith(".")]:
        raise ValueError(f"folder must be a new or an empty folder, got {folder}, which holds {found[0]}.")


def resume(folder: Path, **changes) -> Report:
    """Go on with the run in ``folder``, with what is left of its steps.

    Args:
        changes: fields of ``TrainConfig`` to change, such as more ``steps`` in all or a lower ``learning_rate``.
            Without any the run ends bit for bit where it would have ended uninterrupted, on the same machine.

    Warns:
        UserWarning: as ``start``.

    Raises:
        DamagedRun: there is no run, its record cannot be read, or no whole checkpoint is left.
        ValueError: the text is no longer the one that the run began with, another process trains in the folder, or a
            change is out of range.
        TypeError: a change names no field of ``TrainConfig``.
        FileNotFoundError, PermissionError, Diverged, OSError, KeyboardInterrupt: as ``start``, with the same notes.
    """
    if not (folder / "run.json").exists():
        raise DamagedRun(f"folder must be the folder of a run, got {folder}, which has no run.json.")
    with only_one(folder):
        record, model_config, train_config, dispatch = _read_record(folder)
        changed = dataclasses.replace(train_config, **changes)
        dataset = data.load(record["source"], model_config.vocab_size)
        if fingerprint(dataset) != record["text"]["fingerprint"]:
            name = record["text"]["name"]
            raise ValueError(f"the text must be the one that the run began with, got another: {name}.")
        torch.manual_seed(changed.seed)
        model = Transformer(model_config, dispatch)
        optimizer = make_optimizer(model, changed)
        done, damaged = load_checkpoint(folder, model, optimizer)
        if changed.steps < done:
            raise ValueError(f"steps must be at least the {done} that are done, got {changed.steps}.")
        for path in damaged:
            print(f"{path} is damaged and is passed over.", file=sys.stderr)
            path.unlink()
        if done:
            print(f"Going on from step {done} of {changed.steps}.", file=sys.stderr)
        else:
            print("No checkpoint was written yet: beginning anew with step 1.", file=sys.stderr)
        with _telling_how_to_go_on(folder, changed):
            if changes:
                write_json(folder / "run.json", record | {"train": dataclasses.asdict(changed)})
            return _go_on(folder, model, optimizer, dataset, changed, done)


def _read_record(folder: Path):
    path = folder / "run.json"
    try:
        record = json.loads(path.read_text())
        return record, ModelConfig(**record["model"]), TrainConfig(**record["train"]), PATHS[record["dispatch"]]
    except (ValueError, KeyError, TypeError) as error:
        raise DamagedRun(f"{path} is damaged, or of another version of this library: {error}") from error


def resume_command(folder: Path) -> str:
    """What to type to go on with a run."""
    return f"mini-moe train --resume {shlex.quote(str(folder))}"


@contextmanager
def _telling_how_to_go_on(folder: Path, config: TrainConfig) -> Iterator[None]:
    """What stops a run from within gets a note: what is kept, and how the run goes on."""
    try:
        yield
    except (Diverged, OSError, KeyboardInterrupt) as error:
        command, when, done = resume_command(folder), "", last_step(folder)
        if isinstance(error, Diverged):
            command += f" --learning-rate {config.learning_rate / 2:g}"
        elif isinstance(error, OSError):
            when = "once there is room, " if error.errno in NO_ROOM else "once that is mended, "
        if done:
            error.add_note(f"The checkpoint of step {done} is kept; {when}go on from there: {command}")
        else:
            error.add_note(f"No checkpoint was written yet; {when}begin anew: {command}")
        raise


def _go_on(folder, model, optimizer, dataset, config, done) -> Report:
    """Train from step ``done`` + 1 to the end, or until Ctrl-C; keep everything; measure at the end."""
    rewind_log(folder / "log.jsonl", done)
    saved_at, saved = time.monotonic(), done
    with _interruptible() as interrupted, tqdm(total=config.steps, initial=done, unit="step", desc="training") as bar:
        for step in train(model, optimizer, dataset.train, config, first_step=done + 1):
            append_json(folder / "log.jsonl", dataclasses.asdict(step))
            done = step.step
            bar.set_postfix_str(f"loss {step.loss:.3f}, {step.tokens_per_second:,.0f} tokens/s", refresh=False)
            bar.update()
            if interrupted or time.monotonic() - saved_at > SECONDS_BETWEEN_CHECKPOINTS:
                _keep(folder, done, model, optimizer)
                saved_at, saved = time.monotonic(), done
            if interrupted:
                break
    if saved < done:
        _keep(folder, done, model, optimizer)
    save_pretrained(model, folder, dataset.tokenizer)
    if done < config.steps:
        return Report(folder, done, config.steps, None)
    bits = evaluate(model, dataset, config)
    with clock("gzip and xz, for comparison"):
        rivals = data.compressed_bits_per_byte(dataset.heldout_text)
    result = {"bits_per_byte": bits, **rivals, "heldout_bytes": dataset.heldout_bytes, "steps": done}
    write_json(folder / "result.json", result)
    return Report(folder, done, config.steps, bits)


def _keep(folder, done, model, optimizer) -> None:
    """Save a checkpoint, but never one that is no good: the ones before are worth more."""
    for name, parameter in model.named_parameters():
        if not parameter.isfinite().all():
            raise Diverged(f"{name} is no longer finite after step {done}. Try a lower learning rate.")
    save_checkpoint(folder, done, model, optimizer)


@contextmanager
def _interruptible() -> Iterator[list]:
    """Within, Ctrl-C fills the list, so that the step in work ends whole; a second Ctrl-C stops at once."""
    pressed = []

    def press(*_):
        pressed.append(True)
        signal.signal(signal.SIGINT, before)
        print("\nStopping after this step (Ctrl-C again to stop at once) ...", file=sys.stderr)

    before = signal.signal(signal.SIGINT, press)
    try:
        yield pressed
    finally:
        signal.signal(signal.SIGINT, before)


def read_result(folder: Path) -> dict:
    """What a finished run measured: bits per byte, and those of the compressors on the same text."""
    return json.loads((folder / "result.json").read_text())
