"""The bare bones of a new lesson or exercise, in all the places where it must stand.

    make lesson NAME=06_multi_token_prediction
    make exercise LESSON=06_multi_token_prediction FUNCTION=mini_moe.mtp.mtp_loss

What it writes says what is to be filled in, and its tests fail until that is done. What is there is never overwritten.
"""

import importlib
import inspect
import re
import sys
from pathlib import Path
from string import Template
from textwrap import dedent, indent

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
> **The headline under test** *"..."*"""
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
ANSWER = '''"""Answers to `$name`: wrong ones as learners write them, right ones each in another way."""

from exercises.answers import Answers, Claims

from mini_moe.course.exercises.$lesson.$name import EXERCISE

ANSWERS = Answers(EXERCISE)
wrong, right = ANSWERS.wrong, ANSWERS.right


class Test$camel(Claims):
    answers = ANSWERS
'''


def lesson(root, name):
    """Write the bones of the lesson ``name``, such as 06_multi_token_prediction; returns the files.

    Raises:
        ValueError: the name has no number or no word, or the lesson is there already.
    """
    if not re.fullmatch(r"\d\d_[a-z][a-z0-9_]*", name):
        raise ValueError(f"NAME must be a number of two digits and words, as 06_multi_token_prediction, got {name!r}.")
    number, _, words = name.partition("_")
    folder = root / EXERCISES / words
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

    Its cells are put at the end of the master's *Build*.

    Raises:
        ValueError: there is no such lesson or function, or the exercise is there already.
    """
    master = root / MASTERS / f"{lesson}.ipynb"
    if not master.exists():
        raise ValueError(f"LESSON must be the name of a master in {MASTERS}/, got {lesson!r}. See: make lesson")
    module, _, name = path.rpartition(".")
    try:
        function = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(f"FUNCTION must be one of the library, as mini_moe.router.route, got {path!r}.") from error
    number, _, words = lesson.partition("_")
    camel = "".join(word.capitalize() for word in name.split("_"))
    names = {"number": number, "lesson": words, "module": module, "name": name, "camel": camel}
    written = _write(
        {
            root / EXERCISES / words / f"{name}.py": Template(EXERCISE).substitute(names),
            root / ANSWERS / words / f"test_{name}.py": Template(ANSWER).substitute(names),
        }
    )
    notebook = nbformat.read(master, as_version=4)
    explore = next(i for i, cell in enumerate(notebook.cells) if re.search("^## Explore", cell.source, re.MULTILINE))
    place = 1 + sum("### BEGIN SOLUTION" in cell.source for cell in notebook.cells)
    notebook.cells[explore:explore] = _cells(function, Template(STORY).substitute(names, place=place))
    master.write_text(_text(notebook), encoding="utf-8", newline="\n")
    return [*written, master]


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
    source = dedent(inspect.getsource(function)).rstrip()
    body = inspect.getsource(function).split('"""')[-1].strip("\n")
    head = source[: source.rindex('"""') + 3]
    begin, end = (indent(f"### {word} SOLUTION", "    ") for word in ("BEGIN", "END"))
    return f"{head}\n{begin}\n{body.rstrip()}\n{end}"


def _nbgrader(grade_id, *, grade=False, locked=False, solution=False, **points):
    cell = {"grade": grade, "grade_id": grade_id, "locked": locked, "solution": solution}
    return {"nbgrader": {**cell, **points, "schema_version": 3, "task": False}}


def _write(files):
    if there := [path for path in files if path.exists()]:
        raise ValueError(f"the name must be a new one, got that of {there[0]}.")
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

if __name__ == "__main__":
    kind, *names = sys.argv[1:]
    try:
        written = {"lesson": lesson, "exercise": exercise}[kind](Path.cwd(), *names)
    except ValueError as error:
        sys.exit(str(error))
    print("\n".join(f"wrote {path.relative_to(Path.cwd())}" for path in written))
    print("What remains to be done: CONTRIBUTING.md, To add an exercise, To add a lesson.")
