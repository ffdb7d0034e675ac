"""Make the lessons from their masters: solutions/*.ipynb -> lessons/*.ipynb.

nbgrader's own preprocessors do the work, so that a lesson is what ``nbgrader generate_assignment`` would give, but
without its database, and always the same bytes. Run it in the root of the repository:

    python -m mini_moe.course.publish.release
"""

import json
from collections import Counter
from pathlib import Path

import nbformat
from nbgrader.preprocessors import (
    ClearHiddenTests,
    ClearMarkScheme,
    ClearOutput,
    ClearSolutions,
    ComputeChecksums,
    LockCells,
)

# Checksums last: they cover the cell that the learner gets.
STEPS = (LockCells, ClearSolutions, ClearOutput, ClearHiddenTests, ClearMarkScheme, ComputeChecksums)


def lesson_of(master):
    """The text of the lesson that the notebook file ``master`` stands for.

    Raises:
        ValueError: a cell of the master has no id, the id of another, or stored outputs; or nbgrader refuses it.
    """
    source = master.read_text(encoding="utf-8")
    _refuse_sloppy(master, json.loads(source)["cells"])  # before nbformat, which would invent missing ids
    notebook = nbformat.reads(source, as_version=4)
    try:
        for step in STEPS:
            notebook, _ = step()(notebook, {})
    except RuntimeError as error:
        raise ValueError(f"{master} must have well-formed solution and test regions: {error}") from error
    nbformat.validate(notebook)
    return nbformat.writes(notebook) + "\n"


def _refuse_sloppy(master, cells):
    ids = Counter(cell.get("id") for cell in cells)
    for number, cell in enumerate(cells, start=1):
        name = f"{master}, cell {number} ({cell.get('id', 'no id')})"
        if not cell.get("id"):
            raise ValueError(f'{name} must have an id: give it a short one in words, such as "check-route".')
        if ids[cell["id"]] > 1:
            raise ValueError(f"{name} must have an id of its own, got one that {ids[cell['id']]} cells share.")
        if cell.get("outputs"):
            raise ValueError(f"{name} must have no stored outputs: clear them, the book makes its own.")


def release(masters, lessons):
    """Bring the folder ``lessons`` in line with the folder ``masters``; returns what changed, one line each."""
    wanted = {lessons / master.name: lesson_of(master) for master in sorted(masters.glob("*.ipynb"))}
    changes = []
    for path in sorted(set(lessons.glob("*.ipynb")) - wanted.keys()):
        path.unlink()
        changes.append(f"removed {path}: it has no master")
    lessons.mkdir(exist_ok=True)
    for path, text in wanted.items():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8", newline="\n")
            changes.append(f"wrote {path}")
    return changes


if __name__ == "__main__":
    print("\n".join(release(Path("solutions"), Path("lessons")) or ["Every lesson is up to date."]))
