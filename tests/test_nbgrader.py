"""nbgrader gives no green light and no points to what is open or wrong, with no setting of ours and in any folder."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest
from worksheet import write_worksheet

pytest.importorskip("nbgrader")
pytestmark = pytest.mark.slow


def nbgrader(*arguments, folder):
    """What ``nbgrader`` prints when it is run in ``folder``, in this environment, configuration and data of its own."""
    programs = Path(sys.executable).parent
    own = {f"JUPYTER_{kind}_DIR": str(folder / kind.lower()) for kind in ("CONFIG", "DATA", "RUNTIME")}
    own |= {"IPYTHONDIR": str(folder / "ipython"), "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}
    environment = os.environ | own
    environment.pop("MINI_MOE_GRADING", None)
    command = [programs / "nbgrader", *arguments]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_validating_what_is_open_fails_in_every_check(tmp_path):
    write_worksheet(tmp_path / "sheet.ipynb", "open")
    told = nbgrader("validate", "sheet.ipynb", folder=tmp_path)
    assert "VALIDATION FAILED ON 2 CELL(S)" in told and "Success" not in told
    for name in ("kv_cache_bytes_per_token", "utilization"):
        assert f"    ○ Not written yet: {name}\n" in told


def test_validating_what_is_wrong_tells_the_mistake_and_no_traceback(tmp_path):
    (tmp_path / "work").mkdir()
    write_worksheet(tmp_path / "work" / "sheet.ipynb", "wrong")
    told = nbgrader("validate", "work/sheet.ipynb", folder=tmp_path)
    assert "VALIDATION FAILED ON 1 CELL(S)" in told and "Success" not in told
    error = told.partition("The error was:")[2]
    assert "✗ Not right yet: kv_cache_bytes_per_token" in error
    assert "cache of plain multi-head attention" in " ".join(error.split())
    assert "Traceback" not in error and "ExerciseFailed" not in error
    assert "..." not in error, "nbgrader cuts long lines"


def test_validating_what_is_solved_succeeds_and_keeps_nothing(tmp_path):
    write_worksheet(tmp_path / "sheet.ipynb", "solved")
    told = nbgrader("validate", "sheet.ipynb", folder=tmp_path)
    assert told == "Success! Your notebook passes all the tests.\n"
    assert not (Path(os.environ["MINI_MOE_HOME"]) / "portfolio").exists()


def test_autograding_gives_points_to_what_passes_alone(tmp_path):
    (tmp_path / "source" / "00").mkdir(parents=True)
    write_worksheet(tmp_path / "source" / "00" / "sheet.ipynb", "open")
    nbgrader("generate_assignment", "00", folder=tmp_path)
    points = {"open": 0, "wrong": 1, "solved": 2}
    for student in points:
        handed_in = tmp_path / "submitted" / student / "00"
        handed_in.mkdir(parents=True)
        write_worksheet(handed_in / "sheet.ipynb", student)
    nbgrader("autograde", "00", folder=tmp_path)
    nbgrader("export", folder=tmp_path)
    with (tmp_path / "grades.csv").open(newline="") as grades:
        assert {row["student_id"]: float(row["score"]) for row in csv.DictReader(grades)} == points
