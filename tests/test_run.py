"""A run may be stopped at any moment, in any way, and ends as if nothing had happened."""

import errno
import itertools
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from mini_moe import Transformer, cli, config, data, run
from mini_moe.checkpoint import DamagedRun
from mini_moe.cli import main
from mini_moe.files import append_json, write_atomically
from mini_moe.hf import load_pretrained
from mini_moe.train import Diverged, TrainConfig, evaluate, make_optimizer, train

NANO = config.tiny().replace(
    vocab_size=300, hidden_size=32, num_hidden_layers=2, kv_lora_rank=16, intermediate_size=48, moe_intermediate_size=16
)
SETTINGS = TrainConfig(steps=12, batch_size=4, context=32, warmup_steps=2)


def losses_of(folder: Path) -> list[float]:
    return [json.loads(line)["loss"] for line in (folder / "log.jsonl").read_text().splitlines()]


def weights_of(folder: Path) -> bytes:
    return (folder / "model.safetensors").read_bytes()


@pytest.fixture
def uninterrupted(tmp_path, corpus) -> Path:
    run.start(tmp_path / "whole", NANO, SETTINGS, corpus, precision="float32", dispatch="grouped")
    return tmp_path / "whole"


def test_the_same_seed_gives_the_same_run_bit_for_bit(tmp_path, corpus, uninterrupted):
    run.start(tmp_path / "again", NANO, SETTINGS, corpus, precision="float32", dispatch="grouped")
    assert losses_of(tmp_path / "again") == losses_of(uninterrupted)
    assert weights_of(tmp_path / "again") == weights_of(uninterrupted)


def test_bfloat16_runs_are_reproducible_and_learn_like_float32(tmp_path, corpus, uninterrupted):
    for name in ("one", "two"):
        run.start(tmp_path / name, NANO, SETTINGS, corpus, precision="bfloat16", dispatch="grouped")
    assert losses_of(tmp_path / "one") == losses_of(tmp_path / "two") != losses_of(uninterrupted)
    assert losses_of(tmp_path / "one") == pytest.approx(losses_of(uninterrupted), rel=0.02)


@pytest.fixture
def slow_and_careful(monkeypatch):
    """A checkpoint after every step."""
    monkeypatch.setattr(run, "SECONDS_BETWEEN_CHECKPOINTS", -1.0)


def stop_after(monkeypatch, step: int, how) -> None:
    """Let ``how`` happen when ``step`` has been logged."""
    append = run.append_json

    def append_then_stop(path, record):
        append(path, record)
        if record["step"] == step:
            how()

    monkeypatch.setattr(run, "append_json", append_then_stop)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_ctrl_c_saves_and_resuming_ends_bit_for_bit(tmp_path, corpus, monkeypatch, capsys, precision):
    monkeypatch.setitem(cli.PRESETS, "tiny", lambda: NANO)
    arguments = ["train", "--steps", "7", "--data", corpus, "--precision", precision, "--dispatch", "grouped", "--out"]
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    assert main([*arguments, str(whole)]) == 0
    with monkeypatch.context() as patch:
        stop_after(patch, 3, lambda: signal.raise_signal(signal.SIGINT))
        assert main([*arguments, str(stopped)]) == 130
    assert "Stopped after step 3 of 7" in capsys.readouterr().out
    assert len(losses_of(stopped)) == 3
    assert main(["train", "--resume", str(stopped)]) == 0
    assert losses_of(stopped) == losses_of(whole)
    assert weights_of(stopped) == weights_of(whole)


def test_an_unknown_path_of_the_expert_product_is_told_which_there_are(tmp_path, corpus):
    with pytest.raises(ValueError, match="dispatch must be one of loop, sliced, grouped, got 'nonsense'"):
        run.start(tmp_path / "run", NANO, SETTINGS, corpus, precision="float32", dispatch="nonsense")
    assert not (tmp_path / "run").exists()


def test_that_the_tokens_cannot_be_kept_is_told_at_the_line_that_starts_or_resumes(tmp_path, corpus, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("MINI_MOE_HOME", str(tmp_path / "file"))
    for go in (
        lambda: run.start(tmp_path / "run", NANO, SETTINGS, corpus, precision="float32", dispatch="grouped"),
        lambda: run.resume(tmp_path / "run"),
    ):
        with pytest.warns(UserWarning, match="The tokens were not kept") as told:
            go()
        assert (told[0].filename, told[0].lineno) == (__file__, go.__code__.co_firstlineno)


def test_a_run_from_before_the_balance_loss_had_a_scope_goes_on(
    tmp_path, corpus, uninterrupted, monkeypatch, slow_and_careful
):
    folder = tmp_path / "old"
    with monkeypatch.context() as patch:
        stop_after(patch, 3, lambda: signal.raise_signal(signal.SIGINT))
        run.start(folder, NANO, SETTINGS, corpus, precision="float32", dispatch="grouped")
    record = json.loads((folder / "run.json").read_text())
    del record["train"]["balance_scope"]
    (folder / "run.json").write_text(json.dumps(record))
    run.resume(folder)
    assert losses_of(folder) == losses_of(uninterrupted)


def test_a_damaged_record_of_a_run_is_named(uninterrupted):
    path = uninterrupted / "run.json"
    whole = path.read_text()
    for damaged in (whole[:-100], whole.replace('"hidden_size": 32', '"hidden_size": "32"'), "null", "\udcff"):
        path.write_text(damaged, errors="surrogateescape")
        with pytest.raises(DamagedRun, match=r"run\.json is damaged"):
            run.resume(uninterrupted)


def test_a_truncated_newest_checkpoint_is_passed_over(
    tmp_path, corpus, uninterrupted, monkeypatch, slow_and_careful, capsys
):
    folder = tmp_path / "truncated"
    with monkeypatch.context() as patch:
        stop_after(patch, 7, lambda: signal.raise_signal(signal.SIGINT))
        run.start(folder, NANO, SETTINGS, corpus, precision="float32", dispatch="grouped")
    newest = max((folder / "checkpoints").iterdir())
    newest.write_bytes(newest.read_bytes()[:-100])
    report = run.resume(folder)
    told = capsys.readouterr().err
    assert "00000007.safetensors is damaged and is passed over" in told and "Going on from step 6 of 12" in told
    assert report.step == 12
    assert losses_of(folder) == losses_of(uninterrupted)
    assert weights_of(folder) == weights_of(uninterrupted)


def test_a_run_with_only_damaged_checkpoints_is_named(tmp_path, corpus, uninterrupted):
    for path in (uninterrupted / "checkpoints").iterdir():
        path.write_bytes(b"nothing")
    with pytest.raises(DamagedRun, match=r"must hold a whole checkpoint, got \d damaged"):
        run.resume(uninterrupted)


KILLED = """
import os, signal, sys
from pathlib import Path
from mini_moe import run
import test_run

run.SECONDS_BETWEEN_CHECKPOINTS = -1.0
folder, corpus, moment = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
fsync, calls = os.fsync, 0

def kill_at_the_moment(file):
    global calls
    calls += 1
    if calls == moment:
        os.kill(os.getpid(), signal.SIGKILL)
    fsync(file)

os.fsync = kill_at_the_moment
if (folder / "run.json").exists():
    run.resume(folder)
else:
    run.start(folder, test_run.NANO, test_run.SETTINGS, corpus, precision="float32", dispatch="grouped")
"""


@pytest.mark.slow
def test_kill_9_in_the_middle_of_writing_any_file_loses_nothing(tmp_path, corpus, uninterrupted):
    """Each process is killed while it writes its nth file: the run's record, a log, checkpoints, the model."""
    folder = tmp_path / "killed"
    environment = os.environ | {
        "PYTHONPATH": str(Path(__file__).parent),
        "OMP_NUM_THREADS": str(torch.get_num_threads()),
    }
    for moment in (2, 5, 6, 2, 1, 4, 5):
        command = [sys.executable, "-c", KILLED, str(folder), corpus, str(moment)]
        process = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert process.returncode == -signal.SIGKILL, process.stderr
    assert not (folder / "result.json").exists()
    run.resume(folder)
    assert losses_of(folder) == losses_of(uninterrupted)
    assert weights_of(folder) == weights_of(uninterrupted)
    assert not list((folder / "checkpoints").glob(".*"))


@pytest.fixture
def poisoned(monkeypatch):
    """A weight becomes NaN after step 4."""
    make_optimizer = run.make_optimizer

    def poison(model, settings):
        optimizer, step = make_optimizer(model, settings), 0

        def after_step(*_):
            nonlocal step
            step += 1
            if step == 4:
                model.lm_head.weight.data[0, 0] = float("nan")

        optimizer.register_step_post_hook(after_step)
        return optimizer

    with monkeypatch.context() as patch:
        patch.setattr(run, "make_optimizer", poison)
        yield patch


def notes_of(error) -> str:
    return " ".join(error.value.__notes__)


def test_a_loss_that_is_no_number_stops_and_tells_the_last_good_checkpoint(
    tmp_path, corpus, poisoned, slow_and_careful, capsys
):
    folder = tmp_path / "nan"
    with pytest.raises(Diverged, match=r"lm_head\.weight is no longer finite after step 4") as error:
        run.start(folder, NANO, SETTINGS, corpus, precision="float32", dispatch="grouped")
    assert notes_of(error) == (
        f"The checkpoint of step 3 is kept; go on from there: mini-moe train --resume {folder} --learning-rate 0.005"
    )
    poisoned.undo()
    report = run.resume(folder, learning_rate=0.005)
    assert "Going on from step 3 of 12." in capsys.readouterr().err
    assert report.step == SETTINGS.steps
    assert all(loss == loss for loss in losses_of(folder))


def test_a_run_that_stops_before_its_first_checkpoint_says_that_none_is_kept(tmp_path, corpus, poisoned, capsys):
    folder = tmp_path / "nan"
    with pytest.raises(Diverged, match="The loss became nan at step 5") as error:
        run.start(folder, NANO, SETTINGS, corpus, precision="float32", dispatch="grouped")
    assert notes_of(error).startswith("No checkpoint was written yet; begin anew: mini-moe train --resume")
    poisoned.undo()
    run.resume(folder, learning_rate=0.005)
    assert "No checkpoint was written yet: beginning anew with step 1." in capsys.readouterr().err
    assert [json.loads(line)["step"] for line in (folder / "log.jsonl").read_text().splitlines()] == list(range(1, 13))


@pytest.mark.parametrize(
    ("moment", "file", "kept"),
    [
        (2, "log.jsonl", 0),
        (3, "checkpoints/00000001.safetensors", 0),
        (6, "checkpoints/00000004.safetensors", 3),
        (15, "config.json", 12),
        (16, "tokenizer.json", 12),
        (18, "model.safetensors", 12),
        (19, "result.json", 12),
    ],
)
def test_a_full_disk_names_the_file_and_the_step_from_which_the_run_goes_on(
    tmp_path, corpus, uninterrupted, monkeypatch, slow_and_careful, moment, file, kept
):
    """The disk is full when the nth file is written; when there is room again, the run ends as if nothing had been."""
    folder = tmp_path / "full disk"
    fsync, calls = os.fsync, itertools.count(1)

    def full(descriptor):
        if next(calls) == moment:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(descriptor)

    data.load(corpus, NANO.vocab_size, progress=False)  # its files are not the run's
    with monkeypatch.context() as patch, pytest.raises(OSError, match="No space left on device") as error:
        patch.setattr(os, "fsync", full)
        run.start(folder, NANO, SETTINGS, corpus, precision="float32", dispatch="grouped")
    assert error.value.filename == str(folder / file) and str(folder / file) in str(error.value)
    command = f"mini-moe train --resume '{folder}'"
    if kept:
        assert (
            notes_of(error) == f"The checkpoint of step {kept} is kept; once there is room, go on from there: {command}"
        )
    else:
        assert notes_of(error) == f"No checkpoint was written yet; once there is room, begin anew: {command}"
    run.resume(folder)
    assert losses_of(folder) == losses_of(uninterrupted)
    assert weights_of(folder) == weights_of(uninterrupted)


def test_a_disk_that_is_full_before_a_run_has_begun_leaves_a_folder_to_begin_in(tmp_path, corpus, monkeypatch):
    folder = tmp_path / "run"
    data.load(corpus, NANO.vocab_size, progress=False)
    with monkeypatch.context() as patch, pytest.raises(OSError, match=r"run\.json"):
        patch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(errno.ENOSPC, "No space left on device")))
        run.start(folder, NANO, SETTINGS, corpus, precision="float32", dispatch="grouped")
    report = run.start(folder, NANO, SETTINGS, corpus, precision="float32", dispatch="grouped")
    assert report.step == SETTINGS.steps


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a disk that is always full, as Linux has it")
def test_a_log_on_a_full_disk_is_named():
    with pytest.raises(OSError, match=r"No space left on device: '/dev/full'"):
        append_json(Path("/dev/full"), {"step": 1})


def test_a_step_that_diverges_is_not_taken(corpus):
    dataset = data.load(corpus, NANO.vocab_size, progress=False)
    model = Transformer(NANO)
    with torch.no_grad():
        model.lm_head.weight[0, 0] = float("inf")
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(Diverged, match="at step 1"):
        next(train(model, make_optimizer(model, SETTINGS), dataset.train, SETTINGS))
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


def test_training_learns_and_the_quick_look_is_near_the_whole(corpus):
    dataset = data.load(corpus, NANO.vocab_size, progress=False)
    torch.manual_seed(0)
    model, settings = Transformer(NANO), TrainConfig(steps=60, batch_size=8, context=32, warmup_steps=5)
    before = evaluate(model, dataset, settings, progress=False)
    records = list(train(model, make_optimizer(model, settings), dataset.train, settings))
    after = evaluate(model, dataset, settings, progress=False)
    assert after < 0.7 * before
    assert records[-1].loss < 0.7 * records[0].loss
    assert evaluate(model, dataset, settings, n_windows=60, progress=False) == pytest.approx(after, rel=0.1)


def test_bits_per_byte_of_a_model_that_knows_nothing(corpus):
    dataset = data.load(corpus, NANO.vocab_size, progress=False)
    model = Transformer(NANO)
    torch.nn.init.zeros_(model.lm_head.weight)
    tokens = len(dataset.heldout) - 1
    expected = tokens * torch.tensor(NANO.vocab_size).log2().item() / dataset.heldout_bytes
    assert evaluate(model, dataset, SETTINGS, progress=False) == pytest.approx(expected, rel=1e-3)


def test_a_folder_with_a_run_is_not_overwritten(uninterrupted, corpus):
    with pytest.raises(ValueError, match="holds a run"):
        run.start(uninterrupted, NANO, SETTINGS, corpus, precision="float32", dispatch="grouped")
    with pytest.raises(ValueError, match="must be a new or an empty folder"):
        run.start(Path(corpus), NANO, SETTINGS, corpus, precision="float32", dispatch="grouped")


def test_a_changed_text_is_refused_on_resuming(uninterrupted, corpus):
    (Path(corpus) / "more.py").write_text("x = 1\n" * 500)
    with pytest.raises(ValueError, match="the text must be the one"):
        run.resume(uninterrupted)


def test_a_run_folder_loads_as_a_model(uninterrupted):
    model = load_pretrained(uninterrupted)
    assert model.config == NANO
    assert model(torch.zeros(1, 4, dtype=torch.int64)).logits.isfinite().all()


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "file"
    write_atomically(path, b"old")
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]
