"""Lessons are made from their masters: the same bytes every time, and nothing of the solution."""

import json

import nbformat
import pytest
from nbgrader.utils import compute_checksum

from mini_moe.course.publish.release import lesson_of, release


def graded(source, cell_id, **kind):
    flags = {"grade": False, "solution": False, "locked": False, "task": False} | kind
    return nbformat.v4.new_code_cell(
        source,
        id=cell_id,
        metadata={"nbgrader": {"grade_id": cell_id, "schema_version": 3, **flags}},
    )


def master():
    check = graded(
        "route = check(route)\n### BEGIN HIDDEN TESTS\nassert secret\n### END HIDDEN TESTS", "check", grade=True
    )
    check.metadata.nbgrader.points = 2
    return nbformat.v4.new_notebook(
        cells=[
            nbformat.v4.new_markdown_cell("# Größe", id="title"),
            graded(
                'def route(x):\n    """Choose."""\n    ### BEGIN SOLUTION\n    return x\n    ### END SOLUTION',
                "route",
                solution=True,
            ),
            check,
        ]
    )


@pytest.fixture
def folders(tmp_path):
    (tmp_path / "solutions").mkdir()
    return tmp_path / "solutions", tmp_path / "lessons"


def write(folder, notebook, name="01_toy.ipynb"):
    nbformat.write(notebook, folder / name)
    return folder / name


def test_a_lesson_has_the_stub_and_no_solution(folders):
    text = lesson_of(write(folders[0], master()))
    title, route, check = nbformat.reads(text, as_version=4).cells
    assert route.source == 'def route(x):\n    """Choose."""\n    # YOUR CODE HERE\n    raise NotImplementedError()'
    assert check.source.strip() == "route = check(route)"
    assert "SOLUTION" not in text
    assert "secret" not in text
    assert "Größe" in text
    assert [title.id, route.id, check.id] == ["title", "route", "check"]


def test_cells_are_locked_and_their_checksums_cover_what_the_learner_gets(folders):
    _, route, check = nbformat.reads(lesson_of(write(folders[0], master())), as_version=4).cells
    assert (route.metadata.deletable, check.metadata.editable) == (False, False)
    assert check.metadata.nbgrader.checksum == compute_checksum(check)


def test_releasing_twice_gives_identical_bytes_and_changes_nothing(folders):
    masters, lessons = folders
    notebook = master()
    notebook.cells[2].execution_count = 7
    write(masters, notebook)
    assert release(masters, lessons) == [f"wrote {lessons / '01_toy.ipynb'}"]
    first = (lessons / "01_toy.ipynb").read_bytes()
    assert release(masters, lessons) == []
    assert (lessons / "01_toy.ipynb").read_bytes() == first
    assert first.endswith(b"}\n")
    assert b'"execution_count": 7' not in first


def test_a_lesson_without_a_master_is_removed(folders):
    masters, lessons = folders
    lessons.mkdir()
    orphan = write(lessons, master(), "09_old.ipynb")
    assert release(masters, lessons) == [f"removed {orphan}: it has no master"]
    assert not orphan.exists()


def spoiled_by_a_missing_id(notebook):
    del notebook.cells[1]["id"]


def spoiled_by_a_shared_id(notebook):
    notebook.cells[1]["id"] = "title"


def spoiled_by_an_output(notebook):
    notebook.cells[1].outputs = [nbformat.v4.new_output("stream", text="1\n")]


def spoiled_by_an_open_region(notebook):
    notebook.cells[1].source = "### BEGIN SOLUTION"


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (spoiled_by_a_missing_id, r"cell 2 \(no id\) must have an id"),
        (spoiled_by_a_shared_id, r"cell 1 \(title\) must have an id of its own"),
        (spoiled_by_an_output, r"cell 2 \(route\) must have no stored outputs"),
        (spoiled_by_an_open_region, "no end solution statement"),
    ],
)
def test_a_sloppy_master_is_refused_by_file_and_cell(folders, spoil, complaint):
    masters, lessons = folders
    notebook = master()
    spoil(notebook)
    (masters / "01_toy.ipynb").write_text(json.dumps(notebook))
    with pytest.raises(ValueError, match=rf"01_toy.ipynb.*{complaint}"):
        release(masters, lessons)
    assert not lessons.exists()
