"""Before a run its precision and the path of the expert product are measured, or taken as given; it keeps them."""

import json
import signal

import pytest
from test_run import NANO, SETTINGS, stop_after

from mini_moe import cli, dispatch, run, trial
from mini_moe.cli import main


def never(*_):
    raise AssertionError("This path of the expert product was not asked for.")


@pytest.fixture
def counted_loop(monkeypatch) -> list[int]:
    """Grows with each call of ``loop``; the other paths must not be called."""
    calls, loop = [], run.PATHS["loop"]
    for name in run.PATHS:
        monkeypatch.setitem(run.PATHS, name, never)
    monkeypatch.setitem(run.PATHS, "loop", lambda *arguments: calls.append(len(calls)) or loop(*arguments))
    return calls


def test_a_run_keeps_the_path_of_the_expert_product_it_was_given(tmp_path, corpus, monkeypatch, counted_loop):
    monkeypatch.setitem(cli.PRESETS, "tiny", lambda: NANO)
    out, layers = str(tmp_path / "run"), NANO.num_hidden_layers - NANO.first_k_dense_replace
    arguments = ["train", "--steps", "5", "--data", corpus, "--precision", "float32", "--dispatch", "loop"]
    with monkeypatch.context() as patch:
        stop_after(patch, 3, lambda: signal.raise_signal(signal.SIGINT))
        assert main([*arguments, "--out", out]) == 130
    assert len(counted_loop) == 3 * layers
    monkeypatch.setattr(run, "evaluate", lambda *_: 2.0)  # it would call the path, too
    assert main(["train", "--resume", out]) == 0
    assert len(counted_loop) == 5 * layers


def test_a_run_takes_and_records_the_path_that_was_measured_fastest(tmp_path, corpus, monkeypatch, counted_loop):
    measured = []

    def fastest(*arguments):
        measured.append(arguments)
        return "loop"

    monkeypatch.setattr(trial, "fastest", fastest)
    run.start(tmp_path / "run", NANO, SETTINGS, corpus)
    assert json.loads((tmp_path / "run" / "run.json").read_text())["dispatch"] == "loop"
    assert measured == [(NANO, SETTINGS.batch_size * SETTINGS.context, name) for name in ("float32", "bfloat16")]
    assert len(counted_loop) >= SETTINGS.steps


@pytest.mark.parametrize("faster", ["float32", "bfloat16"])
def test_a_run_takes_the_path_of_its_own_precision(tmp_path, corpus, monkeypatch, counted_loop, faster):
    monkeypatch.setattr(trial, "fastest", lambda *arguments: "loop" if arguments[2] == faster else "sliced")
    monkeypatch.setattr(trial, "_seconds_of_a_step", lambda _, config, __: float(config.precision != faster))
    run.start(tmp_path / "run", NANO, SETTINGS, corpus)
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert (record["train"]["precision"], record["dispatch"]) == (faster, "loop")
    assert counted_loop


@pytest.mark.parametrize("least", dispatch.PATHS)
def test_the_fastest_path_is_that_of_the_least_time(least, monkeypatch):
    asked = set()

    def seconds(path, *sizes):
        asked.add(sizes)
        return 0.5 if path is dispatch.PATHS[least] else 2.0

    monkeypatch.setattr(dispatch, "seconds", seconds)
    assert dispatch.fastest(NANO, 64, "bfloat16") == least
    assert asked == {(NANO, 64, "bfloat16")}
