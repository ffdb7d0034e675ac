"""Only one process trains in a folder; the second is told which, and one that was killed is in nobody's way."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from test_run import NANO, SETTINGS, weights_of

from mini_moe import run
from mini_moe.lock import only_one

HOLD = """
import sys
from pathlib import Path
from mini_moe.lock import only_one

with only_one(Path(sys.argv[1])):
    print("in", flush=True)
    sys.stdin.read()
"""
START = """
import sys
from pathlib import Path
from mini_moe import run
import test_run

folder, corpus = Path(sys.argv[1]), sys.argv[2]
print("ready", flush=True)
sys.stdin.readline()
try:
    run.start(folder, test_run.NANO, test_run.SETTINGS, corpus, precision="float32", dispatch="grouped")
except ValueError as error:
    sys.exit(str(error))
"""


def python(code, *arguments) -> subprocess.Popen:
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([*sys.path, str(Path(__file__).parent)])}
    process = subprocess.Popen([sys.executable, "-c", code, *map(str, arguments)], env=environment, text=True, **pipes)
    assert process.stdout.readline().strip() in ("in", "ready"), process.stderr.read()
    return process


@pytest.fixture
def holder(tmp_path):
    """A process that is in the folder ``held``."""
    (tmp_path / "held").mkdir()
    with python(HOLD, tmp_path / "held") as process:
        yield process
        process.kill()


def test_a_second_process_is_refused_and_told_which_is_in_the_folder(tmp_path, holder):
    with pytest.raises(ValueError, match=f"process {holder.pid} is training there"), only_one(tmp_path / "held"):
        pass
    holder.communicate()  # it ends
    with only_one(tmp_path / "held"):
        pass


def test_a_process_that_was_killed_is_in_nobodys_way(tmp_path, holder):
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    with only_one(tmp_path / "held"):
        assert (tmp_path / "held" / ".lock").read_text() == str(os.getpid())


def test_the_folder_is_free_after_an_error_and_another_folder_all_the_time(tmp_path):
    (tmp_path / "other").mkdir()
    with pytest.raises(ZeroDivisionError), only_one(tmp_path), only_one(tmp_path / "other"):
        raise ZeroDivisionError
    with (
        only_one(tmp_path),
        pytest.raises(ValueError, match="must be one that no other process trains in"),
        only_one(tmp_path),
    ):
        pass


def test_neither_start_nor_resume_trains_where_another_process_does(tmp_path, corpus, monkeypatch, holder):
    def never(*_, **__):
        raise AssertionError("nothing may be timed or trained without the lock")

    for name in ("choose", "train", "load_checkpoint"):
        monkeypatch.setattr(run, name, never)
    with pytest.raises(ValueError, match=f"process {holder.pid} is training there"):
        run.start(tmp_path / "held", NANO, SETTINGS, corpus)
    (tmp_path / "held" / "run.json").write_text("{}")
    with pytest.raises(ValueError, match=f"process {holder.pid} is training there"):
        run.resume(tmp_path / "held")


@pytest.mark.slow
def test_of_two_starts_in_the_same_moment_exactly_one_trains(tmp_path, corpus):
    run.start(tmp_path / "alone", NANO, SETTINGS, corpus, precision="float32", dispatch="grouped")
    both = [python(START, tmp_path / "run", corpus) for _ in range(2)]
    for process in both:
        process.stdin.write("go\n")
        process.stdin.flush()
    ends = [(process.communicate()[1], process.returncode) for process in both]
    assert sorted(code for _, code in ends) == [0, 1], ends
    (refused,) = (error for error, code in ends if code)
    assert "must be one that no other process trains in" in refused or "which holds a run" in refused
    assert weights_of(tmp_path / "run") == weights_of(tmp_path / "alone")
