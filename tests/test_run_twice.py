"""A lesson's cell can be run again: it gives the same kind of result, and breaks nothing that stands elsewhere."""

import pytest
from walk import MASTERS, Walk, made_by, read_later


@pytest.mark.parametrize("path", MASTERS, ids=lambda path: path.stem)
def test_every_cell_can_be_run_twice(path, monkeypatch):
    monkeypatch.setenv("MINI_MOE_STRICT", "1")
    walk = Walk(path)
    with walk.restarted():
        for cell in walk.code:
            for time in ("first", "second"):
                error = walk.run(cell)
                assert error is None, f"{cell.id}, the {time} time:\n{error}"


@pytest.mark.parametrize("path", MASTERS, ids=lambda path: path.stem)
def test_what_a_function_reads_when_it_is_called_is_made_by_one_cell(path):
    """So an explorer shows the same, whichever cell was run last. What a check returns is the same function again."""
    cells = [cell for cell in Walk(path).code if not cell.id.startswith("check-")]
    for cell in cells:
        for name in read_later(cell.source):
            makers = [other.id for other in cells if name in made_by(other.source)]
            assert len(makers) <= 1, f"`{name}`, which functions of {cell.id} read, is made by {makers}"
