"""After a restart a lesson goes on, or says what is to be run first."""

import re

import pytest
from nbformat.v4 import new_code_cell
from walk import MASTERS, Walk


@pytest.mark.parametrize("path", MASTERS, ids=lambda path: path.stem)
def test_after_a_restart_each_section_goes_on_or_says_what_to_run_first(path):
    """Less is run first than the title says: the setup alone. What an error says then is followed by its letter."""
    walk = Walk(path)
    sections = walk.sections()
    (setup,) = sections.pop("setup")
    for heading, cells in sections.items():
        with walk.restarted():
            assert walk.run(setup) is None
            for cell in cells:
                error = walk.run(cell)
                while error and (taken_back := re.findall(r"^    (.* import passed|\w+ = passed\(.*)$", error, re.M)):
                    assert walk.run(_another(walk, "\n".join(taken_back))) is None
                    error = walk.run(cell)
                assert error is None or "Run All Above" in error, f"{heading}, {cell.id}:\n{error}"


def _another(walk, source):
    walk.notebook.cells.append(new_code_cell(source))
    return walk.notebook.cells[-1]
