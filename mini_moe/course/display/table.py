"""A plain table of results, as text and as HTML."""

import html
from dataclasses import dataclass

from mini_moe.course.display.style import STYLE


@dataclass(frozen=True)
class Table:
    """A header and rows of cells; numbers are shown as they are given, so format them first.

    >>> print(Table(("claim", "measured"), (("bits", "2.1"), ("seconds", "60"))))
    claim    measured
    bits     2.1
    seconds  60
    """

    header: tuple[str, ...]
    rows: tuple[tuple, ...]

    def __str__(self):
        lines = [[str(cell) for cell in row] for row in (self.header, *self.rows)]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        return "\n".join(
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
        )

    __repr__ = __str__

    def html(self):
        """The table as a fragment of HTML that scrolls sideways where the page is narrow."""
        head = "".join(f'<th scope="col">{html.escape(str(cell))}</th>' for cell in self.header)
        rows = "".join(
            "<tr>" + "".join(f"<td>{html.escape(str(cell))}</td>" for cell in row) + "</tr>" for row in self.rows
        )
        return (
            f'{STYLE}<div class="mm-table" tabindex="0" role="region" aria-label="{html.escape(str(self.header[0]))}">'
            f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
        )

    def _repr_mimebundle_(self, include=None, exclude=None):
        return {"text/plain": str(self), "text/html": self.html()}


def table(header, *rows):
    """The `Table` of these rows, to be the last expression of a cell.

    Raises:
        ValueError: a row has more or fewer cells than the header.
    """
    for row in rows:
        if len(row) != len(header):
            raise ValueError(f"rows must have {len(header)} cells as the header has, got {len(row)}: {row}.")
    return Table(tuple(header), tuple(map(tuple, rows)))
