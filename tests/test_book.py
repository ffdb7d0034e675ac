"""How a master becomes a page: the view of a reader."""

import ast
import re
from pathlib import Path

import nbformat
import pytest

from mini_moe.course import book

ROOT = Path(__file__).parent.parent
MASTERS = sorted((ROOT / "solutions").glob("*.ipynb"))


def cells_of(notebook):
    return {cell.id: cell.source for cell in notebook.cells}


def view_of(master):
    return book.reader_view(master.read_text(encoding="utf-8"))


def test_a_reader_sees_the_stub_then_hints_and_solution_folded():
    view = view_of(ROOT / "solutions" / "03_mixture_of_experts.ipynb")
    cells = {cell.id: cell for cell in view.cells}
    order = [cell.id for cell in view.cells]
    at = order.index("route-code")
    assert order[at - 3 : at + 2] == ["route", "route-code-given", "route-code-hints", "route-code", "check-route"]
    assert cells["route-code-hints"].source.count("<details") == 3
    assert "hide-input" in cells["route-code"].metadata["tags"]
    assert 'hint("' not in cells["route"].source
    nbformat.validate(view)


@pytest.mark.parametrize("master", MASTERS, ids=lambda path: path.stem)
def test_a_reader_is_given_what_a_learner_gets(master):
    lesson = cells_of(nbformat.read(ROOT / "lessons" / master.name, as_version=4))
    given = {name: text for name, text in cells_of(view_of(master)).items() if name.endswith("-given")}
    assert len(given) >= 3
    for name, text in given.items():
        assert text == f"````python\n{lesson[name.removesuffix('-given')]}\n````"


@pytest.mark.parametrize("master", MASTERS, ids=lambda path: path.stem)
def test_the_view_runs_the_code_of_the_master_without_its_marks(master):
    notebooks = nbformat.read(master, as_version=4), view_of(master)
    first, second = ([cell.source for cell in notebook.cells if cell.cell_type == "code"] for notebook in notebooks)
    assert [ast.dump(ast.parse(code)) for code in first] == [ast.dump(ast.parse(code)) for code in second]
    assert any("### BEGIN SOLUTION" in code for code in first)
    assert not any(re.search("(BEGIN|END) SOLUTION", code) for code in second)


@pytest.mark.parametrize("master", MASTERS, ids=lambda path: path.stem)
def test_every_lesson_leads_to_the_glossary(master):
    assert "(../book/glossary.md)" in view_of(master).cells[1].source
