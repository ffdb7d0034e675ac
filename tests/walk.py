"""Walk through a lesson cell by cell, as a learner does: again, out of order, after a restart."""

import symtable
from contextlib import contextmanager
from pathlib import Path

import nbformat
from nbclient import NotebookClient

MASTERS = sorted((Path(__file__).parent.parent / "solutions").glob("*.ipynb"))


class Walk:
    """A lesson's cells and a kernel that runs them one at a time."""

    def __init__(self, path):
        self.notebook = nbformat.read(path, as_version=4)
        self.client = NotebookClient(self.notebook, timeout=300, kernel_name="python3", allow_errors=True)
        self.code = [cell for cell in self.notebook.cells if cell.cell_type == "code"]

    @contextmanager
    def restarted(self):
        """A kernel that knows nothing yet."""
        with self.client.setup_kernel():
            yield

    def run(self, cell):
        """Run a cell; what its error says, or None."""
        self.client.execute_cell(cell, self.notebook.cells.index(cell))
        errors = [output for output in cell.outputs if output.output_type == "error"]
        return "\n".join(errors[0].traceback) if errors else None

    def sections(self):
        """The code cells of each section, by its heading; what stands before the first is the setup's."""
        sections, heading = {}, "setup"
        for cell in self.notebook.cells:
            if cell.cell_type == "code":
                sections.setdefault(heading, []).append(cell)
            else:
                headings = [line for line in cell.source.splitlines() if line.startswith("## ")]
                heading = headings[-1] if headings else heading
        return sections


def made_by(source):
    """Names that a cell binds at its top level."""
    table = symtable.symtable(source, "cell", "exec")
    return {symbol.get_name() for symbol in table.get_symbols() if symbol.is_assigned() or symbol.is_imported()}


def read_later(source):
    """Names that functions and classes of a cell take from the notebook when they are called."""

    def visit(table, later):
        for symbol in table.get_symbols() if later else ():
            if symbol.is_global() and symbol.is_referenced():
                yield symbol.get_name()
        for child in table.get_children():
            at_once = child.get_name() in ("listcomp", "setcomp", "dictcomp", "genexpr")
            yield from visit(child, later or not at_once)

    return set(visit(symtable.symtable(source, "cell", "exec"), later=False))
