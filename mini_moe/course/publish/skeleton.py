"""The bare bones of a new lesson or exercise, in all the places where it must stand.

    make lesson NAME=08_eight_bits
    make exercise LESSON=08_eight_bits FUNCTION=mini_moe.fp8.encode

What it writes says what is to be filled in, and its tests fail until that is done. All is examined before anything is
written, and what is there is never overwritten.
"""

import ast
import builtins
import importlib
import inspect
import keyword
import re
import subprocess
import symtable
import sys
from pathlib import Path
from string import Template

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

EXERCISES, ANSWERS, MASTERS = Path("mini_moe/course/exercises"), Path("tests/exercises"), Path("solutions")

TITLE = """# $number · $words: what is the question?

> **About 60 minutes.** Needs: lesson ...
>
> **You build** ...
>
> **Papers** ...
>
> **The headline under test** *"..."*
>
> **After a restart** click where you were, then *Run*, *Run All Above Selected Cell*."""
PARTS = ("Predict", "Build", "Explore", "Measure", "Verdict", "Go further")
SETUP = """import torch
from torch import Tensor

from mini_moe.course import Explore, check, hint, quiz, table, verdict

torch.manual_seed(0)"""
STORY = """### Exercise $place · ...

The picture, then a tiny example, then the formula.

**Difficulty** ●○○ · about 5 minutes. Stuck? `hint("$name")`"""
EXERCISE = '''"""Lesson $number, `$name`: ..."""

from mini_moe.course.checking.exercise import Exercise, Property, agrees_with
from $module import $name


def _cases(generator):
    raise NotImplementedError("Cases from small to large, and not tame: CONTRIBUTING.md lists what must be among them.")
    yield


EXERCISE = Exercise(
    reference=$name,
    cases=_cases,
    properties=(
        # What matters comes first, a property each; then the comparison.
        Property("agrees with the library, gradients too", agrees_with($name)),
    ),
    mistakes=(),
    hints=("...", "...", "..."),
    difficulty=1,
    minutes=5,
)
'''
ANSWER = '''"""Answers to `$name`."""

from exercises.answers import Answers, Claims

from mini_moe.course.exercises.$lesson.$name import EXERCISE

ANSWERS = Answers(EXERCISE)
wrong, right = ANSWERS.wrong, ANSWERS.right


class Test$camel(Claims):
    answers = ANSWERS
'''


def lesson(root, name):
    """Write the bones of the lesson ``name``, such as 08_eight_bits; returns the files.

    Raises:
        ValueError: the name is not a number and words, or its number or its words are taken.
    """
    number, _, words = name.partition("_")
    if not re.fullmatch(r"[0-9]{2}(_[a-z][a-z0-9]*)+", name) or keyword.iskeyword(words):
        raise ValueError(f"NAME must be a number of two digits and words, as 08_eight_bits, got {name!r}.")
    folder, tests = root / EXERCISES / words, root / ANSWERS / words
    places = (folder, folder.with_suffix(".py"), tests, tests.with_suffix(".py"))
    if there := [*(root / MASTERS).glob(f"{number}_*"), *(path for path in places if path.exists())]:
        raise ValueError(f"NAME must have a new number and new words, got {name!r}: there is {there[0]}.")
    title = Template(TITLE).substitute(number=number, words=words.replace("_", " ").capitalize())
    cells = [new_markdown_cell(title, id="title"), new_code_cell(SETUP, id="setup")]
    cells += [new_markdown_cell(f"## {part}", id=part.lower().replace(" ", "-")) for part in PARTS]
    return _write(
        {
            root / MASTERS / f"{name}.ipynb": _text(new_notebook(cells=cells, metadata=_METADATA)),
            folder / "__init__.py": f'"""Lesson {number}, ...: ..."""\n',
            folder / "quizzes.py": f'"""Lesson {number}: what a learner is asked before the work."""\n\nQUIZZES = ()\n',
        }
    )


def exercise(root, lesson, path):
    """Write the bones of an exercise on the library's function at ``path``, module and name; returns the files.

    Its cells are put at the end of the master's *Build*, and the master's first code imports what they use.

    Raises:
        ValueError: there is no such lesson, or no such function that can be taught, or its name is taken.
    """
    number, _, words = lesson.partition("_")
    master, folder = root / MASTERS / f"{lesson}.ipynb", root / EXERCISES / words
    if master not in (root / MASTERS).glob("*.ipynb") or not (folder / "__init__.py").exists():
        raise ValueError(f"LESSON must be one that make lesson has made, as 03_mixture_of_experts, got {lesson!r}.")
    function = _function(path)
    module, _, name = path.rpartition(".")
    test = root / ANSWERS / words / f"test_{name}.py"
    if there := [*(root / EXERCISES).rglob(f"{name}.py"), *test.parent.glob(test.name)]:
        raise ValueError(f"FUNCTION must have a name that no exercise has, got {path!r}: there is {there[0]}.")
    notebook = nbformat.read(master, as_version=4)
    cells = notebook.cells
    explore = next((i for i, cell in enumerate(cells) if re.search("^## Explore", cell.source, re.MULTILINE)), 0)
    code = [cell for cell in cells[:explore] if cell.cell_type == "code"]
    if not code:
        raise ValueError(f"LESSON must have a part '## Explore' and code before it, got {lesson!r}.")
    camel = "".join(word.capitalize() for word in name.split("_"))
    place = 1 + sum("### BEGIN SOLUTION" in cell.source for cell in cells)
    names = {"number": number, "lesson": words, "module": module, "name": name, "camel": camel, "place": place}
    new = _cells(function, Template(STORY).substitute(names))
    if taken := {cell.id for cell in cells} & {cell.id for cell in new}:
        raise ValueError(f"FUNCTION must have a name that no cell has, got {path!r}: there is {min(taken)!r}.")
    code[0].source = _tidy(master.with_suffix(".py"), _imports(function, code) + code[0].source).rstrip("\n")
    cells[explore:explore] = new
    bones = {folder / f"{name}.py": EXERCISE, test: ANSWER}
    files = {place: _tidy(place, Template(text).substitute(names)) for place, text in bones.items()}
    return _write(files | {master: _text(notebook)})


def _function(path):
    """The function at ``path``; ValueError unless the library defines it there, with a docstring."""
    module, _, name = path.rpartition(".")
    if not module.startswith("mini_moe.") or f"{module}.".startswith(("mini_moe.course.", "mini_moe.cli.")):
        raise ValueError(f"FUNCTION must be one of the library, as mini_moe.router.route, got {path!r}.")
    try:
        function = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise ValueError(f"FUNCTION must be one of the library, got {path!r}: {error}.") from error
    if not inspect.isfunction(function):
        raise ValueError(f"FUNCTION must be a function, not a class or a value, got {path!r}.")
    home = f"{function.__module__}.{function.__qualname__}"
    if home != path:
        raise ValueError(f"FUNCTION must be named by the file that defines it, {home}, got {path!r}.")
    tree = ast.parse(inspect.getsource(function)).body[0]
    if not ast.get_docstring(tree) or not tree.body[1:]:
        raise ValueError(f"FUNCTION must have a docstring, for the learner to read, and a body, got {path!r}.")
    return function


def _cells(function, story):
    name, slug = function.__name__, function.__name__.replace("_", "-")
    return [
        new_markdown_cell(story, id=slug),
        new_code_cell(_marked(function), id=f"{slug}-code", metadata=_nbgrader(f"{slug}-code", solution=True)),
        new_code_cell(
            f"{name} = check({name})",
            id=f"check-{slug}",
            metadata=_nbgrader(f"check-{name}", grade=True, locked=True, points=1),
        ),
    ]


def _marked(function):
    """The function's source, its body marked as the solution."""
    source = inspect.getsource(function)
    end = ast.parse(source).body[0].body[0].end_lineno  # of the docstring
    lines = source.splitlines()
    body = "\n".join(lines[end:]).strip("\n")
    return "\n".join([*lines[:end], "    ### BEGIN SOLUTION", body, "    ### END SOLUTION"])


def _imports(function, code):
    """Imports, as the function's own file has them, of what it uses and the cells ``code`` do not know yet."""
    module = inspect.getmodule(function)
    used = {node.id for node in ast.walk(ast.parse(inspect.getsource(function))) if isinstance(node, ast.Name)}
    known = {function.__name__, *vars(builtins)}
    for cell in code:
        symbols = symtable.symtable(cell.source, f"cell {cell.id}", "exec").get_symbols()
        known |= {symbol.get_name() for symbol in symbols if symbol.is_assigned() or symbol.is_imported()}
    statements = {}
    for node in ast.parse(inspect.getsource(module)).body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            for alias in list(node.names):
                node.names = [alias]
                statements[alias.asname or alias.name.partition(".")[0]] = ast.unparse(node)
    wanted = sorted(used & vars(module).keys() - known)
    return "".join(statements.get(name, f"from {module.__name__} import {name}") + "\n" for name in wanted)


def _tidy(path, text):
    """The text as ruff would have it in a file at ``path``: imports sorted, lines broken."""
    ours = 'lint.isort.known-first-party = ["mini_moe"]'  # ruff would look for the file, which is not there yet
    for command in (["check", "--fix", "--quiet", "--select=I", f"--config={ours}"], ["format"]):
        ruff = [sys.executable, "-m", "ruff", *command, f"--stdin-filename={path}", "-"]
        text = subprocess.run(ruff, input=text, capture_output=True, check=True, encoding="utf-8").stdout
    return text


def _nbgrader(grade_id, *, grade=False, locked=False, solution=False, **points):
    cell = {"grade": grade, "grade_id": grade_id, "locked": locked, "solution": solution}
    return {"nbgrader": {**cell, **points, "schema_version": 3, "task": False}}


def _write(files):
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="\n")
    return list(files)


def _text(notebook):
    return nbformat.writes(notebook) + "\n"


_METADATA = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def main(arguments):
    """Write what is asked for and tell it; what cannot be written leaves by `SystemExit` with a sentence."""
    try:
        match arguments:
            case ["lesson", name]:
                written = lesson(Path.cwd(), name)
            case ["exercise", name, path]:
                written = exercise(Path.cwd(), name, path)
            case _:
                raise ValueError(f"arguments must be lesson NAME or exercise LESSON FUNCTION, got {arguments}.")
    except (ValueError, SyntaxError) as error:  # a cell of the master may be no Python
        sys.exit(str(error))
    print("\n".join(f"wrote {path.relative_to(Path.cwd())}" for path in written))
    print("What remains to be done: CONTRIBUTING.md, To add an exercise, To add a lesson.")


if __name__ == "__main__":
    main(sys.argv[1:])
