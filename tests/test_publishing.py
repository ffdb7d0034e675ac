"""What stands around the book names things that are there: the workflow, Binder's files, the page for instructors."""

import ast
import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).parent.parent
WORKFLOW = ROOT / ".github" / "workflows" / "book.yml"
INSTRUCTORS = ROOT / "book" / "instructors.md"
MASTERS = sorted((ROOT / "solutions").glob("*.ipynb"))


def steps():
    """Every step of every job of the workflow."""
    jobs = yaml.safe_load(WORKFLOW.read_text(encoding="utf-8"))["jobs"]
    return [step for job in jobs.values() for step in job["steps"]]


@pytest.mark.parametrize("path", [WORKFLOW, INSTRUCTORS], ids=lambda path: path.name)
def test_what_is_made_is_a_target_of_the_makefile(path):
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    named = re.findall(r"(?:run: |`|^)make (\w+)", path.read_text(encoding="utf-8"), re.MULTILINE)
    assert named and set(named) <= set(targets)


def test_the_workflow_uploads_the_folder_that_the_book_is_built_into():
    uploaded = [step["with"]["path"] for step in steps() if "upload-pages" in step.get("uses", "")]
    assert uploaded == ["book/_build/html"]


def test_binder_and_the_workflow_take_a_python_that_the_package_allows():
    allowed = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["requires-python"]
    versions = [step["with"]["python-version"] for step in steps() if "setup-python" in step.get("uses", "")]
    versions.append((ROOT / ".binder" / "runtime.txt").read_text().strip().removeprefix("python-"))
    assert len(versions) == 2 and all(version in SpecifierSet(allowed) for version in versions)


def test_every_file_that_binder_names_exists():
    script = re.sub("#.*", "", (ROOT / ".binder" / "postBuild").read_text(encoding="utf-8"))
    named = re.findall(r"[\w./*]*(?:/|\.txt)[\w./*]*", script)
    assert len(named) >= 2
    for name in named:
        assert list(ROOT.glob(name)), name


def test_binder_installs_the_package(tmp_path):
    for name in (".binder", "tools"):
        shutil.copytree(ROOT / name, tmp_path / name)
    shutil.copy(ROOT / "constraints.txt", tmp_path)
    (tmp_path / "bin").mkdir()
    python = tmp_path / "bin" / "python"  # installs nothing, but says what it was asked
    python.write_text('#!/bin/sh\necho "$@"\n')
    python.chmod(0o755)
    path = f"{python.parent}{os.pathsep}{os.environ['PATH']}"
    command = ["bash", ".binder/postBuild"]
    asked = subprocess.run(command, cwd=tmp_path, env=os.environ | {"PATH": path}, capture_output=True, text=True)
    assert asked.returncode == 0, asked.stderr
    assert re.search(r"install .*torch==", asked.stdout)
    assert re.search(r"install .*--constraint constraints.txt .*--editable \. ", asked.stdout)


def test_the_syllabus_counts_the_points_of_the_masters():
    page = INSTRUCTORS.read_text(encoding="utf-8")
    code = re.search(r"## Syllabus\s+```\{code-cell\} python\n---\n.*?\n---\n(.*?)\n```", page, re.DOTALL).group(1)
    *statements, shown = ast.parse(code).body
    namespace = {}
    exec(compile(ast.Module(statements, type_ignores=[]), INSTRUCTORS, "exec"), namespace)
    table = eval(compile(ast.Expression(shown.value), INSTRUCTORS, "eval"), namespace).data
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]
    points = [sum(map(int, re.findall(r'"points": (\d+)', master.read_text(encoding="utf-8")))) for master in MASTERS]
    assert min(points) >= 3
    assert [int(row[3]) for row in rows] == [*points, sum(points)]
    assert [master.name in row[1] for master, row in zip(MASTERS, rows, strict=False)] == [True] * len(MASTERS)
    assert int(rows[-1][2]) == sum(int(row[2]) for row in rows[:-1])
