"""The rules of the house: imports point one way, lessons come from masters, and a definition is written once."""

import ast
import io
import json
import re
import sys
import tokenize
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from mini_moe import Transformer
from mini_moe.config import tiny
from mini_moe.course.exercises import find
from mini_moe.course.publish.release import lesson_of
from mini_moe.generate import generate
from mini_moe.train import TrainConfig, make_optimizer, train

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "mini_moe"
# Each file may import from the files before it. `course` and `cli` stand above the library.
ORDER = (
    "kernels", "files", "lock", "progress", "warning", "corpus", "data", "config", "fused", "layers", "mla",
    "dispatch", "router", "balance", "moe", "block", "fp8", "mtp", "model", "decode", "speculative", "draft",
    "generate", "cost", "tasks", "train", "trial",
    "provenance", "hf", "checkpoint", "run", "grpo", "distill", "parallel", "course", "cli",
)  # fmt: skip
# And inside `course`, each room from those before it.
ROOMS = ("occasion", "display", "checking", "exercises", "check", "missing", "publish", "experiments")
MASTERS = sorted((ROOT / "solutions").glob("*.ipynb"))


def imports_of(path: Path) -> set[str]:
    """Modules that a file imports when it is imported itself."""
    names = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def place_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


LIBRARY = [path for path in sorted(PACKAGE.rglob("*.py")) if place_of(path) != "course"]


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_one_way(path):
    place = place_of(path)
    if place == "__init__":
        return
    for name in imports_of(path):
        package, _, rest = name.partition(".")
        if package == "mini_moe":
            target = rest.partition(".")[0]
            if target in ("ModelConfig", "Transformer"):  # from mini_moe itself, which imports the model
                target = "model"
            inside = target == place and place in ("course", "kernels")
            assert inside or ORDER.index(target) < ORDER.index(place), f"{path.name} imports {name}"
        if place != "course":
            assert package not in ("IPython", "matplotlib", "transformers", "ipywidgets"), f"{path.name} imports {name}"


def file_of(frame) -> str | None:
    path = Path(frame.f_code.co_filename)
    return place_of(path) if PACKAGE in path.parents else None


def caller_in_the_library(frame):
    while frame is not None and file_of(frame) is None:
        frame = frame.f_back
    return frame and file_of(frame)


@contextmanager
def calls_between_files():
    """The pairs (calling file, called file) inside the library, as the body runs."""
    pairs = set()

    def see(frame, event, _argument):
        if event == "call" and (called := file_of(frame)):
            pairs.add((caller_in_the_library(frame.f_back), called))

    sys.setprofile(see)
    try:
        yield pairs
    finally:
        sys.setprofile(None)


def test_a_batch_of_tokens_goes_one_way_through_the_files():
    model_config = tiny().replace(num_hidden_layers=2)
    model, plan = Transformer(model_config), TrainConfig(steps=1, batch_size=2, context=8)
    tokens = torch.arange(100, dtype=torch.int32)
    optimizer = make_optimizer(model, plan)
    with calls_between_files() as pairs:
        list(train(model, optimizer, tokens, plan))
        generate(model, torch.tensor([[0, 1]]), max_new_tokens=2)
    assert {called for _, called in pairs} >= {"data", "model", "mla", "layers", "moe", "router", "dispatch", "balance"}
    for caller, called in pairs:
        if caller is not None:
            assert ORDER.index(called) <= ORDER.index(caller), f"{caller} is called back from {called}"


@pytest.mark.parametrize("path", sorted((PACKAGE / "course").rglob("*.py")), ids=lambda path: path.stem)
def test_the_rooms_of_the_course_stand_one_above_the_other(path):
    place = path.relative_to(PACKAGE / "course").parts[0].removesuffix(".py")
    for name in imports_of(path) if place != "__init__" else ():
        if name.startswith("mini_moe.course."):
            target = name.split(".")[2]
            assert target == place or ROOMS.index(target) < ROOMS.index(place), f"{path.name} imports {name}"


def lines_of_code(path: Path) -> int:
    """Lines that hold more than a comment or a docstring."""
    tree, source = ast.parse(path.read_text(encoding="utf-8")), path.read_bytes()
    blank = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENCODING}
    tokens = [token for token in tokenize.tokenize(io.BytesIO(source).readline) if token.type not in blank]
    lines = {line for token in tokens[:-1] for line in range(token.start[0], token.end[0] + 1)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef) and ast.get_docstring(node):
            lines -= set(range(node.body[0].lineno, node.body[0].end_lineno + 1))
    return len(lines)


def test_the_library_stays_small():
    assert sum(map(lines_of_code, LIBRARY)) < 3000


def functions_of(source: str) -> dict[str, str]:
    """Top-level functions by name, as syntax without layout and comments."""
    return {node.name: ast.dump(node) for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)}


def public_functions(path: Path) -> list[ast.FunctionDef]:
    """Those of a file and of its classes."""
    bodies = [ast.parse(path.read_text(encoding="utf-8")).body]
    bodies += [node.body for node in bodies[0] if isinstance(node, ast.ClassDef)]
    functions = [node for body in bodies for node in body if isinstance(node, ast.FunctionDef)]
    return [function for function in functions if not function.name.startswith("_")]


@pytest.mark.parametrize("path", LIBRARY, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_function_that_raises_or_warns_says_so(path):
    for function in public_functions(path):
        told = ast.get_docstring(function) or ""
        for node in ast.walk(function):
            if isinstance(node, ast.Raise) and node.exc:
                assert "Raises:" in told, f"{function.name}, line {node.lineno}"
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "warn":
                assert "Warns:" in told, f"{function.name}, line {node.lineno}"


def code_of(notebook: Path) -> str:
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")


@pytest.mark.parametrize("master", MASTERS, ids=lambda path: path.stem)
def test_a_master_defines_a_library_function_as_the_library_does(master):
    library = {}
    for path in LIBRARY:
        library |= functions_of(path.read_text(encoding="utf-8"))
    taught = functions_of(code_of(master))
    assert {name for name in taught if name in library}, "a lesson teaches functions of the library"
    for name in taught.keys() & library.keys():
        assert taught[name] == library[name], name


@pytest.mark.parametrize("master", MASTERS, ids=lambda path: path.stem)
def test_a_lesson_is_what_its_master_gives(master):
    assert (ROOT / "lessons" / master.name).read_text(encoding="utf-8") == lesson_of(master), "run: make lessons"


def test_no_lesson_is_an_orphan_and_none_leaks_a_solution():
    lessons = sorted((ROOT / "lessons").glob("*.ipynb"))
    assert [lesson.name for lesson in lessons] == [master.name for master in MASTERS]
    for lesson in lessons:
        text = lesson.read_text(encoding="utf-8")
        assert "SOLUTION" not in text
        assert text.count("raise NotImplementedError()") == text.count("YOUR CODE HERE") > 0
        assert not any(cell.get("outputs") for cell in json.loads(text)["cells"])


@pytest.mark.parametrize("master", MASTERS, ids=lambda path: path.stem)
def test_a_lesson_tells_what_it_expects_and_where_to_go_on_after_a_restart(master):
    cells = json.loads(master.read_text(encoding="utf-8"))["cells"]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    asserts = [node for source in code for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Assert)]
    assert not asserts, "a lesson says expect(condition, words): a learner who changes something is told, not stopped"
    assert "Run All Above Selected Cell" in "".join(cells[0]["source"])


@pytest.mark.parametrize("master", MASTERS, ids=lambda path: path.stem)
def test_a_lesson_has_every_part_in_order(master):
    cells = json.loads(master.read_text(encoding="utf-8"))["cells"]
    prose = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
    parts = re.findall(r"^## (Predict|Build|Explore|Measure|Verdict|Go further)", prose, flags=re.MULTILINE)
    assert parts == ["Predict", "Build", "Explore", "Measure", "Verdict", "Go further"]
    assert 3 <= code_of(master).count("BEGIN SOLUTION") <= 5
    assert prose.startswith("# ") and "**You build**" in prose and "under test" in prose
    assert "raises-exception" not in master.read_text(encoding="utf-8")


@pytest.mark.parametrize("master", MASTERS, ids=lambda path: path.stem)
def test_money_is_not_set_as_mathematics(master):
    for cell in json.loads(master.read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] == "markdown":
            for paragraph in "".join(cell["source"]).split("\n\n"):
                assert len(re.findall(r"(?<![\\$])\$(?=\d)", paragraph)) < 2, f"write \\$ in: {paragraph}"


@pytest.mark.parametrize("master", MASTERS, ids=lambda path: path.stem)
def test_a_lesson_tells_difficulty_and_minutes_as_the_cards_do(master):
    text = "\n".join("".join(cell["source"]) for cell in json.loads(master.read_text(encoding="utf-8"))["cells"])
    told = re.findall(r'\*\*Difficulty\*\* (●*)○* · about (\d+) minutes?\. Stuck\? `hint\("(\w+)"\)`', text)
    assert len(told) == text.count("### BEGIN SOLUTION")
    for dots, minutes, name in told:
        assert (len(dots), int(minutes)) == (find(name).difficulty, find(name).minutes), name
