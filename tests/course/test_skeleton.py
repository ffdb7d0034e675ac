"""What `make lesson` and `make exercise` write stands in the right places, and its tests ask for the rest."""

import inspect
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from test_structure import functions_of

from mini_moe.course.publish.release import lesson_of
from mini_moe.course.publish.skeleton import exercise, main

ROOT = Path(__file__).parents[2]
MAKE = ("-m", "mini_moe.course.publish.skeleton")
LESSON, FUNCTION = "99_new_lesson", "mini_moe.train.learning_rate"
MASTER = Path("solutions") / f"{LESSON}.ipynb"
# Imported before the course and after it; one name is long, one function is decorated and uses much of its file.
FURTHER = ("mini_moe.cost.training_gpu_hours", "mini_moe.cost.weight_bytes", "mini_moe.train.evaluate")


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """A copy of the project with a new lesson and four exercises in it, the first made as the Makefile does."""
    root = tmp_path_factory.mktemp("project") / "copy"
    for folder in ("mini_moe", "tests"):
        shutil.copytree(ROOT / folder, root / folder, ignore=shutil.ignore_patterns("__pycache__", "artifacts"))
    shutil.copy(ROOT / "pyproject.toml", root)
    for names in (("lesson", LESSON), ("exercise", LESSON, FUNCTION)):
        done = run(root, *MAKE, *names)
        assert (done.returncode, done.stderr) == (0, "")
        assert f"wrote {MASTER}\n" in done.stdout
    for path in FURTHER:
        exercise(root, LESSON, path)
    return root


def run(root, *command):
    environment = os.environ | {"PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
    return subprocess.run([sys.executable, *command], cwd=root, env=environment, capture_output=True, text=True)


def cells_of(text):
    return {cell["id"]: "".join(cell["source"]) for cell in json.loads(text)["cells"]}


def refusal(root, monkeypatch, *names):
    """What ``main`` says as it refuses; asserts that nothing was written."""
    monkeypatch.chdir(root)
    before = {path: path.stat().st_mtime_ns for path in root.parent.rglob("*")}
    with pytest.raises(SystemExit) as exit:
        main(list(names))
    assert {path: path.stat().st_mtime_ns for path in root.parent.rglob("*")} == before
    assert isinstance(exit.value.code, str) and len(exit.value.code.splitlines()) == 1
    return exit.value.code


def test_what_is_written_is_as_ruff_would_have_it(copy):
    folders = ("solutions", "mini_moe/course/exercises/new_lesson", "tests/exercises/new_lesson")
    seen = run(copy, "-m", "ruff", "check", "--show-files", *folders).stdout.splitlines()
    assert len(seen) == 1 + 2 + 2 * 4
    for command in (["check"], ["format", "--check"]):
        done = run(copy, "-m", "ruff", *command, *folders)
        assert done.returncode == 0, done.stdout


def test_a_new_exercise_is_in_the_catalogue_by_its_file_alone(copy):
    done = run(copy, "-m", "pytest", "-v", "tests/exercises/test_catalogue.py", "-k", "exercise")
    assert done.returncode == 0, done.stdout
    for name in ("learning_rate", "training_gpu_hours", "weight_bytes", "evaluate"):
        assert re.search(rf"has_answers\[new_lesson.{name}\.py\] PASSED", done.stdout)


def test_a_new_exercise_is_not_done_until_its_author_has_done_what_its_tests_say(copy):
    done = run(copy, "-m", "pytest", "-q", "-rA", "tests/exercises/new_lesson/test_learning_rate.py")
    assert done.returncode == 1
    assert set(re.findall(r"^(?:FAILED|ERROR) .*::(\w+)", done.stdout, re.MULTILINE)) == {
        "test_no_two_mistakes_look_alike",
        "test_an_exercise_has_enough_answers_and_each_of_its_mistakes_is_made",
        "test_its_hints_are_written",
        "test_a_card_shows_the_whole_of_a_small_input",
    }
    errors = "\n".join(re.findall(r"^E   .*", done.stdout, re.MULTILINE))
    for asked in ("Cases from small to large", "five wrong answers", "three hints", "the mistakes that people make"):
        assert asked in errors


def test_a_new_master_becomes_a_lesson_with_every_part_in_order(copy):
    cells = cells_of(lesson_of(copy / MASTER))
    names = ("learning-rate", "training-gpu-hours", "weight-bytes", "evaluate")
    new = [cell for name in names for cell in (name, f"{name}-code", f"check-{name}")]
    assert list(cells) == ["title", "setup", "predict", "build", *new, "explore", "measure", "verdict", "go-further"]
    assert "### Exercise 1 " in cells["learning-rate"] and 'hint("learning_rate")' in cells["learning-rate"]
    assert "### Exercise 4 " in cells["evaluate"]
    stub = cells["learning-rate-code"]
    assert stub.startswith("def learning_rate(step: int, config: TrainConfig) -> float:")
    assert "[0.5, 1.0, 1.0, 0.625, 0.125]" in stub
    assert stub.endswith('"""\n    # YOUR CODE HERE\n    raise NotImplementedError()')
    assert cells["check-learning-rate"] == "learning_rate = check(learning_rate)"


@pytest.mark.parametrize("path", (FUNCTION, *FURTHER))
def test_the_master_holds_the_library_s_function_as_it_is_and_imports_what_it_uses(copy, path):
    module, _, name = path.rpartition(".")
    cells = cells_of((copy / MASTER).read_text(encoding="utf-8"))
    source = cells[f"{name.replace('_', '-')}-code"]
    library = ROOT.joinpath(*module.split(".")).with_suffix(".py")
    assert functions_of(source)[name] == functions_of(library.read_text(encoding="utf-8"))[name]
    namespace = {}
    exec(cells["setup"] + "\n\n" + source, namespace)
    used = inspect.unwrap(namespace[name]).__code__.co_names
    assert set(used) & vars(sys.modules[module]).keys() <= namespace.keys()


MISNAMED = ("new", "6_new", "06-new", "06_New", "../06_new", "06_new_", "06_", "٠٦_new", "06_class", "")
TAKEN = ("99_other", "98_new_lesson", "98_rotary", "98_answers")


@pytest.mark.parametrize("name", MISNAMED + TAKEN)
def test_a_lesson_s_name_must_be_a_new_number_and_new_words(copy, monkeypatch, name):
    says = refusal(copy, monkeypatch, "lesson", name)
    assert says.startswith("NAME must") and f"got {name!r}" in says


@pytest.mark.parametrize("name", ("06_none", "../solutions/99_new_lesson", "new_lesson", ""))
def test_an_exercise_needs_its_lesson(copy, monkeypatch, name):
    says = refusal(copy, monkeypatch, "exercise", name, "mini_moe.train.train")
    assert says.startswith("LESSON must") and f"got {name!r}" in says


@pytest.mark.parametrize(
    ("path", "why"),
    (
        ("", "one of the library"),
        ("learning_rate", "one of the library"),
        ("math.sqrt", "one of the library"),
        ("mini_moe.course.check.check", "one of the library"),
        ("mini_moe.cli.main", "one of the library"),
        ("mini_moe.none.function", "one of the library"),
        ("mini_moe.train.none", "one of the library"),
        ("mini_moe.train.TrainConfig", "a function"),
        ("mini_moe.train.PRECISIONS", "a function"),
        ("mini_moe.train._stop_unless_finite", "a docstring"),
        ("mini_moe.moe.route", "mini_moe.router.route"),
        ("mini_moe.router.route", "no exercise has"),
        (FUNCTION, "no exercise has"),
    ),
)
def test_an_exercise_needs_a_function_of_the_library_that_can_be_taught(copy, monkeypatch, path, why):
    says = refusal(copy, monkeypatch, "exercise", LESSON, path)
    assert says.startswith("FUNCTION must") and why in says and f"got {path!r}" in says


@pytest.mark.parametrize(
    ("old", "new", "why"),
    (
        ('"id": "go-further"', '"id": "train-code"', "'train-code'"),
        ("## Explore", "## Play", "'## Explore'"),
        ("torch.manual_seed(0)", "%matplotlib inline", "cell setup"),
    ),
)
def test_a_master_that_has_no_place_for_an_exercise_stays_as_it_is(copy, monkeypatch, old, new, why):
    text = (copy / MASTER).read_text(encoding="utf-8")
    assert text.count(old) == 1
    try:
        (copy / MASTER).write_text(text.replace(old, new), encoding="utf-8")
        assert why in refusal(copy, monkeypatch, "exercise", LESSON, "mini_moe.train.train")
    finally:
        (copy / MASTER).write_text(text, encoding="utf-8")


@pytest.mark.parametrize("names", ((), ("lesson",), ("exercise", LESSON), ("poem", LESSON)))
def test_what_is_to_be_made_must_be_told(copy, monkeypatch, names):
    assert f"got {list(names)}" in refusal(copy, monkeypatch, *names)


def test_a_refusal_is_a_line_and_a_failure_to_make(copy):
    done = run(copy, *MAKE, "exercise", LESSON, "mini_moe.train.none")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
