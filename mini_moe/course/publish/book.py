"""The published book: how a master becomes a page. A Sphinx extension, named in book/_config.yml.

A page is its master, seen as a reader sees it: each exercise shows what a learner gets, then its hints and its
solution, folded. It is executed once and kept, by the content of the master and of all that it computes with; so the
book is built anew only where something has changed.

    python -m mini_moe.course.publish.book

builds it into book/_build/html, from the root of the repository.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import zipfile
from copy import deepcopy
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import nbformat
from nbgrader.preprocessors import ClearSolutions

from mini_moe.course import exercises
from mini_moe.course.display.card import inline

ROOT = Path(__file__).parents[3]
DOWNLOAD = "mini-moe-book.zip"
COMPUTED_WITH = ("mini_moe/**/*.py", "mini_moe/artifacts/**/*", "constraints.txt")  # beside a page's own source
PACKAGES = ("torch", "numpy", "matplotlib")


def reader_view(text):
    """The notebook that stands in the book for a master's ``text``; myst-nb reads masters with this.

    Before each cell that a learner fills stands what they get and three folded hints; the cell itself, with the
    solution, is folded. Where a cell only shows a quiz, its code is left out. The lesson's box leads to the glossary.
    """
    master = nbformat.reads(text, as_version=4)
    given, _ = ClearSolutions()(deepcopy(master), {})
    cells = []
    for cell, stub in zip(master.cells, given.cells, strict=True):
        if cell.cell_type == "markdown":
            cell.source = re.sub(r'Stuck\? `hint\("\w+"\)`', "Stuck? The hints are folded below.", cell.source)
        elif cell.metadata.get("nbgrader", {}).get("solution"):
            cells.append(_markdown(f"{cell.id}-given", f"````python\n{stub.source}\n````"))
            cells.append(_markdown(f"{cell.id}-hints", "\n".join(map(_hints, _taught(cell.source)))))
            cell.source = re.sub(r"^ *### (BEGIN|END) SOLUTION\n?", "", cell.source, flags=re.MULTILINE).rstrip()
            cell.metadata["tags"] = ["hide-input"]
            cell.metadata["mystnb"] = {"code_prompt_show": "Show the solution", "code_prompt_hide": "Hide the solution"}
        elif cell.source.startswith("quiz("):
            cell.metadata["tags"] = ["remove-input"]
        cells.append(cell)
    cells.insert(
        1, _markdown("look-up", "Words: [glossary](../book/glossary.md). Letters: [notation](../book/notation.md).")
    )
    master.cells = cells
    return master


def _markdown(name, source):
    return nbformat.v4.new_markdown_cell(source, id=name)


def _taught(source):
    defined = re.findall(r"^(?:def|class) (\w+)", source, re.MULTILINE)
    return [exercise for exercise in exercises.EXERCISES if exercise.name in defined]


def _hints(exercise):
    return "\n".join(
        f'<details class="mm-fold"><summary>Hint {number} of {len(exercise.hints)} for <code>{exercise.name}</code>'
        f"</summary><p>{inline(hint)}</p></details>"
        for number, hint in enumerate(exercise.hints, start=1)
    )


def setup(app):
    """Called by Sphinx: how pages are executed, what they load, where their buttons lead."""
    root = Path(app.srcdir)
    # The kernels that execute pages inherit these: explorers draw all their states, and progress bars are silent.
    os.environ.update(MINI_MOE_BOOK="1", TQDM_DISABLE="1", MINI_MOE_HOME=str(root / "book" / "_build" / "home"))
    app.add_config_value("masters", digest(root, "solutions/*.ipynb"), "env")  # a page may show what they hold
    app.connect("config-inited", _configure)
    app.connect("source-read", _name_repository)
    app.connect("html-page-context", _mend, priority=502)  # after the theme has made the buttons
    return {"version": "1", "env_version": 1}


def digest(root, *patterns):
    """Sixteen hex digits for the names and the content of files under ``root``, and for what computes: this Python,
    whose library is the lessons' text, and its packages."""
    computing = [sys.version, *(f"{package} {version(package)}" for package in PACKAGES)]
    found = hashlib.sha256("\n".join(computing).encode())
    for path in sorted(path for pattern in patterns for path in root.glob(pattern) if path.is_file()):
        found.update(f"{path.relative_to(root)}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    return found.hexdigest()[:16]


def _configure(app, config):
    root = Path(app.srcdir)
    executed = root / "book" / "_build" / "executed" / digest(root, *COMPUTED_WITH)
    for outdated in set(executed.parent.glob("*")) - {executed}:
        shutil.rmtree(outdated)
    config.nb_execution_cache_path = str(executed)
    # MathJax in one file, from the package that brings it.
    mathjax = Path(find_spec("sphinx-mathjax-offline").origin).parent / "static" / "mathjax" / "tex-svg.js"
    config.html_static_path.append(str(mathjax))
    config.mathjax_path = mathjax.name
    if "GITHUB_REPOSITORY" in os.environ:  # in GitHub Actions: a fork's buttons lead to the fork
        config.html_theme_options["repository_url"] = f"https://github.com/{os.environ['GITHUB_REPOSITORY']}"


def _name_repository(app, docname, source):
    """In the text of the book's own pages {repository} stands for the repository's address."""
    if docname.startswith("book/"):
        source[0] = source[0].replace("{repository}", app.config.html_theme_options["repository_url"])


def _mend(app, pagename, templatename, context, doctree):
    """What the theme and docutils leave to be done on a page."""
    # Who launches a lesson wants to write the answers: the buttons lead to it. Other pages have none.
    for group in list(context.get("header_buttons", ())):
        if group.get("label") == "launch-buttons":
            if not pagename.startswith("solutions/"):
                context["header_buttons"].remove(group)
            for button in group["buttons"]:
                button["url"] = button["url"].replace("/solutions/", "/lessons/")
    # Thebe would fetch live code from elsewhere; no page offers it.
    context["script_files"] = [
        s for s in context["script_files"] if "thebe" not in f"{s.filename} {s.attributes}".lower()
    ]
    # A list must hold list items, and citations are none.
    context["body"] = context.get("body", "").replace('role="list" class="citation-list"', 'class="citation-list"')


def build(root):
    """Build the book of the folder ``root`` into its book/_build/html; returns the exit code.

    A warning is an error. What was executed is kept, also of a build that failed or was interrupted.
    """
    folder = root / "book" / "_build"
    pages, passed = folder / "html", folder / "passed"
    shutil.rmtree(pages, ignore_errors=True)  # or pages that are no more would stay
    if not passed.exists():
        shutil.rmtree(folder / ".doctrees", ignore_errors=True)  # what a failed build has read is not warned of again
    passed.unlink(missing_ok=True)
    program = shutil.which("jupyter-book", path=Path(sys.executable).parent)
    if program is None:
        sys.exit("jupyter-book must be installed beside this Python: make book does it, or pip install -e '.[book]'.")
    options = ["--config", "book/_config.yml", "--toc", "book/_toc.yml", "--path-output", "book"]
    code = subprocess.run([program, "build", ".", *options, "-W", "-n", "--keep-going"], cwd=root).returncode
    if code:
        print("The book was not built: see the warnings above. What was executed is kept.")
    else:
        _pack(pages)
        passed.touch()
    return code


def _pack(pages):
    """The whole book in one file, for who wants to take it along."""
    link = f'href="../{DOWNLOAD}"'.encode()  # leads nowhere from inside
    with zipfile.ZipFile(pages / DOWNLOAD, "w", zipfile.ZIP_DEFLATED) as packed:
        for path in sorted(path for path in pages.rglob("*") if path.is_file() and path.name != DOWNLOAD):
            name = zipfile.ZipInfo(f"mini-moe-book/{path.relative_to(pages).as_posix()}")  # of no date: the same bytes
            packed.writestr(name, path.read_bytes().replace(link, b""), zipfile.ZIP_DEFLATED)


if __name__ == "__main__":
    try:
        sys.exit(build(ROOT))
    except KeyboardInterrupt:
        sys.exit("Interrupted. The same command goes on: what was executed is kept.")
