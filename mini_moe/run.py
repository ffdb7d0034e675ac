"""The main job without a screen: train a model on a text, keep it in a folder, measure it, let it write.

``start`` begins a run and ``resume`` goes on with one; both end in ``finish``. What a folder holds is told in
``checkpoint.py``. A few steps are timed first, to choose the faster precision and, where a run is given seconds instead
of steps, to set the number of steps once and for all: a run that is resumed depends on no clock.
"""

import dataclasses
import hashlib
import json
import platform
import signal
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import torch
from tokenizers import Tokenizer
from tqdm.auto import tqdm

from mini_moe import data
from mini_moe.checkpoint import DamagedRun, load_checkpoint, rewind_log, save_checkpoint
from mini_moe.config import ModelConfig
from mini_moe.dispatch import PATHS, fastest
from mini_moe.files import write_json
from mini_moe.generate import stream
from mini_moe.hf import save_pretrained
from mini_moe.model import Transformer
from mini_moe.train import PRECISIONS, Diverged, TrainConfig, evaluate, make_optimizer, train

TRIAL_STEPS = 7  # in each precision, before a run
SECONDS_BETWEEN_CHECKPOINTS = 20.0


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

    Args:
        source: a file or folder of text; None is the embedded corpus.
        seconds: train for so long instead of ``train_config.steps``; measuring and writing come on top.
        precision: of the matrix products; None takes what is faster here, by a few steps of each.
        dispatch: the path of the expert product; None takes what is fastest here, by measurement. Precision and path
            are kept in ``run.json``: they decide the last bits.

    Raises:
        ValueError: the folder holds a run already, or an argument is out of range.
    """
    if (folder / "run.json").exists():
        raise ValueError(f"out must be a new folder, got {folder}, which holds a run. Go on with it: --resume {folder}")
    if found := [path.name for path in folder.glob("*") if not path.name.startswith(".")]:
        raise ValueError(f"out must be a new or an empty folder, got {folder}, which holds {found[0]}.")
    for name, value, known in (("precision", precision, PRECISIONS), ("dispatch", dispatch, PATHS)):
        if value is not None and value not in known:
            raise ValueError(f"{name} must be one of {', '.join(known)}, got {value!r}.")
    if seconds is not None and not seconds > 0:
        raise ValueError(f"seconds must be above 0, got {seconds}.")
    dataset = data.load(source, model_config.vocab_size)
    folder.mkdir(parents=True, exist_ok=True)
    tokens_a_step = train_config.batch_size * train_config.context
    precisions = [precision] if precision else PRECISIONS
    paths = {name: dispatch or fastest(model_config, tokens_a_step, name) for name in precisions}
    if seconds is not None or precision is None:
        step_seconds = {
            name: _seconds_of_a_step(
                Transformer(model_config, PATHS[paths[name]]),
                dataclasses.replace(train_config, steps=TRIAL_STEPS, precision=name),
                dataset.train,
            )
            for name in precisions
        }
        precision = min(step_seconds, key=step_seconds.get)
        if seconds is not None:
            train_config = dataclasses.replace(train_config, steps=max(1, round(seconds / step_seconds[precision])))
    train_config = dataclasses.replace(train_config, precision=precision)
    torch.manual_seed(train_config.seed)
    model = Transformer(model_config, PATHS[paths[precision]])
    write_json(folder / "run.json", _provenance(model_config, train_config, paths[precision], source, dataset))
    return _go_on(folder, model, make_optimizer(model, train_config), dataset, train_config, done=0)


def _seconds_of_a_step(model: Transformer, trial: TrainConfig, tokens: torch.Tensor) -> float:
    """The median of a few steps of a model that is then thrown away; the first two are not counted."""
    steps = train(model, make_optimizer(model, trial), tokens, trial)
    bar = tqdm(steps, total=trial.steps, desc=f"timing {trial.precision}", unit="step", leave=False)
    return trial.batch_size * trial.context / statistics.median(step.tokens_per_second for step in list(bar)[2:])


def resume(folder: Path, **changes) -> Report:
    """Go on with the run in ``folder``, with what is left of its steps.

    Args:
        changes: fields of ``TrainConfig`` to change, such as more ``steps`` in all or a lower ``learning_rate``.
            Without any the run ends bit for bit where it would have ended uninterrupted, on the same machine.

    Raises:
        DamagedRun: there is no run, or no whole checkpoint.
        ValueError: the text is no longer the one that the run began with.
    """
    try:
        record = json.loads((folder / "run.json").read_text())
        model_config, train_config = ModelConfig(**record["model"]), TrainConfig(**record["train"])
        dispatch = PATHS[record["dispatch"]]
    except (FileNotFoundError, NotADirectoryError):
        raise DamagedRun(f"resume must name the folder of a run, got {folder}, which has no run.json.") from None
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise DamagedRun(
            f"{folder / 'run.json'} is damaged, or of another version of this library: {error}."
        ) from error
    dataset = data.load(record["source"], model_config.vocab_size)
    if _fingerprint(dataset) != record["text"]["fingerprint"]:
        raise ValueError(f"the text must be the one that the run began with, got another: {record['text']['name']}.")
    torch.manual_seed(train_config.seed)
    model = Transformer(model_config, dispatch)
    optimizer = make_optimizer(model, train_config)
    done, damaged = load_checkpoint(folder, model, optimizer)
    for path in damaged:
        print(f"{path} is damaged; going on from step {done} instead.", file=sys.stderr)
        path.unlink()
    if changes:
        train_config = dataclasses.replace(train_config, **changes)
        if train_config.steps < done:
            raise ValueError(f"steps must be at least the {done} that are done, got {train_config.steps}.")
        write_json(folder / "run.json", record | {"train": dataclasses.asdict(train_config)})
    return _go_on(folder, model, optimizer, dataset, train_config, done)


def _go_on(folder, model, optimizer, dataset, config, done) -> Report:
    """Train from step ``done`` + 1 to the end, or until Ctrl-C; keep everything; measure at the end."""
    rewind_log(folder / "log.jsonl", done)
    saved_at, saved = time.monotonic(), done
    with (
        _interruptible() as interrupted,
        (folder / "log.jsonl").open("a") as log,
        tqdm(total=config.steps, initial=done, unit="step", desc="training") as bar,
    ):
        for step in train(model, optimizer, dataset.train, config, first_step=done + 1):
            _write(log, step)
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


def write_text(model: Transformer, tokenizer: Tokenizer, prompt: str, max_new_tokens: int, *, temperature, seed):
    """The continuation of ``prompt``, piece by piece as it is written; ends early where the model ends the file."""
    tokens = torch.tensor([[0, *tokenizer.encode(prompt).ids]])
    generator = torch.Generator().manual_seed(seed)
    written, shown = [], ""
    for new in stream(model, tokens, max_new_tokens, temperature=temperature, generator=generator):
        if new.item() == 0:
            break
        written.append(new.item())
        text = tokenizer.decode(written)
        if not text.endswith("\ufffd"):  # else the last character still lacks a byte
            yield text[len(shown) :]
            shown = text


def read_result(folder: Path) -> dict:
    """What a finished run measured: bits per byte, and those of the compressors on the same text."""
    return json.loads((folder / "result.json").read_text())


def _provenance(model_config, train_config, dispatch, source, dataset) -> dict:
    return {
        "model": dataclasses.asdict(model_config),
        "train": dataclasses.asdict(train_config),
        "dispatch": dispatch,
        "source": _where(source),
        **circumstances(dataset),
    }


def circumstances(dataset: data.Dataset) -> dict:
    """Under what a result was made: text, command, date, versions and machine."""
    return {
        "text": {"name": dataset.name, "fingerprint": _fingerprint(dataset)},
        "command": sys.argv,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "machine": f"{platform.system()} {platform.machine()}, {torch.get_num_threads()} threads",
    }


def _where(source: str | None) -> str | None:
    """A source that means the same from any folder; the name of a data set stays as it is."""
    path = None if source is None else Path(source).expanduser()
    return str(path.resolve()) if path and path.exists() else source


def _fingerprint(dataset: data.Dataset) -> str:
    return hashlib.sha256(dataset.train.numpy().tobytes() + dataset.heldout.numpy().tobytes()).hexdigest()


def _write(log, step) -> None:
    log.write(json.dumps(dataclasses.asdict(step)) + "\n")
    log.flush()
