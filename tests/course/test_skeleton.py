"""What `make lesson` and `make exercise` write stands in the right places, and its tests ask for the rest."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mini_moe.course.publish.release import lesson_of
from mini_moe.course.publish.skeleton import exercise, lesson

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """A copy of the project with a new lesson and an exercise in it, made as CONTRIBUTING tells."""
    root = tmp_path_factory.mktemp("project")
    for folder in ("mini_moe", "tests"):
        shutil.copytree(ROOT / folder, root / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", root)
    lesson(root, "99_new_lesson")
    exercise(root, "99_new_lesson", "mini_moe.train.learning_rate")
    return root


def run(root, *command):
    environment = os.environ | {"PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
    return subprocess.run([sys.executable, *command], cwd=root, env=environment, capture_output=True, text=True)


def test_a_new_exercise_is_known_by_its_file_alone(copy):
    done = run(copy, "-c", "from mini_moe.course.exercises import find; print(find('learning_rate').name)")
    assert (done.stdout, done.stderr) == ("learning_rate\n", "")


def test_a_new_exercise_is_not_done_until_it_has_cases_and_answers(copy):
    done = run(copy, "-m", "pytest", "-q", "tests/exercises/new_lesson/test_learning_rate.py")
    assert "enough_answers" in done.stdout and "not tame" in done.stdout
    assert " passed" not in done.stdout.splitlines()[-1] or " failed" in done.stdout.splitlines()[-1]


def test_a_new_master_becomes_a_lesson_with_every_part_in_order(copy):
    cells = json.loads(lesson_of(copy / "solutions" / "99_new_lesson.ipynb"))["cells"]
    ids = [cell["id"] for cell in cells]
    new = ["learning-rate", "learning-rate-code", "check-learning-rate"]
    assert ids == ["title", "setup", "predict", "build", *new, "explore", "measure", "verdict", "go-further"]
    story, stub, check = ("".join(cells[ids.index(name)]["source"]) for name in new)
    assert "### Exercise 1" in story and 'hint("learning_rate")' in story
    assert stub.startswith("def learning_rate(step: int, config: TrainConfig) -> float:")
    assert "[0.5, 1.0, 1.0, 0.625, 0.125]" in stub and stub.endswith(
        "# YOUR CODE HERE\n    raise NotImplementedError()"
    )
    assert check == "learning_rate = check(learning_rate)"


def test_the_master_holds_the_library_s_function_as_it_is(copy):
    from test_structure import code_of, functions_of

    taught = functions_of(code_of(copy / "solutions" / "99_new_lesson.ipynb"))["learning_rate"]
    assert taught == functions_of((ROOT / "mini_moe" / "train.py").read_text(encoding="utf-8"))["learning_rate"]


@pytest.mark.parametrize("name", ("new", "6_new", "06-new", "06_New", "../06_new", ""))
def test_a_lesson_s_name_must_be_a_number_and_words(tmp_path, name):
    with pytest.raises(ValueError, match="NAME must be"):
        lesson(tmp_path, name)
    assert not list(tmp_path.iterdir())


def test_nothing_that_is_there_is_overwritten(copy):
    with pytest.raises(ValueError, match="99_new_lesson"):
        lesson(copy, "99_new_lesson")
    with pytest.raises(ValueError, match="learning_rate"):
        exercise(copy, "99_new_lesson", "mini_moe.train.learning_rate")


@pytest.mark.parametrize("path", ("mini_moe.train.no_such", "no_such.function", "learning_rate", ""))
def test_a_function_that_is_not_there_is_refused(copy, path):
    with pytest.raises(ValueError, match="FUNCTION must be"):
        exercise(copy, "99_new_lesson", path)


def test_an_exercise_needs_its_lesson(tmp_path):
    with pytest.raises(ValueError, match="LESSON must be"):
        exercise(tmp_path, "06_none", "mini_moe.train.learning_rate")
