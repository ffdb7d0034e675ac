"""Lesson 05, `tile_table`: the mistakes that people make."""

import torch

from mini_moe.course.checking.exercise import Mistake
from mini_moe.kernels.tiles import tile_table


def _up(count, block):
    """Tiles that ``count`` rows need."""
    return (count + block - 1) // block


def _tiled(
    *,
    tiles=lambda count, end, block: _up(count, block),
    expert=lambda expert_Z: expert_Z,
    row=lambda start, end, place, block: start + place * block,
):
    """The table with one step changed, for the mistakes; ``place`` is a tile's number within its expert."""

    def function(ends_E, block):
        count_E = ends_E.diff(prepend=ends_E.new_zeros(1))
        tiles_E = tiles(count_E, ends_E, block)
        expert_Z = torch.arange(len(ends_E)).repeat_interleave(tiles_E)
        place_Z = torch.arange(len(expert_Z)) - (tiles_E.cumsum(0) - tiles_E)[expert_Z]
        return expert(expert_Z), row((ends_E - count_E)[expert_Z], ends_E[expert_Z], place_Z, block)

    return function


def _spanning(right):
    """Tiles of ``block`` rows from the first row to the last, each given to the expert of its first row."""

    def function(ends_E, block):
        row_Z = torch.arange(0, int(ends_E[-1]), block)
        return torch.searchsorted(ends_E, row_Z, right=right), row_Z

    return function


def _only(keep):
    """The right tiles of which ``keep(expert, offset, ends, block)`` holds; offset: from the expert's start."""

    def function(ends_E, block):
        expert_Z, row_Z = tile_table(ends_E, block)
        start_E = ends_E - ends_E.diff(prepend=ends_E.new_zeros(1))
        kept_Z = keep(expert_Z, row_Z - start_E[expert_Z], ends_E, block)
        return expert_Z[kept_Z], row_Z[kept_Z]

    return function


def _before_empty(expert_Z, offset_Z, ends_E, block):
    empty = (ends_E.diff(prepend=ends_E.new_zeros(1)) == 0).nonzero().flatten()
    return expert_Z < (empty[0] if len(empty) else len(ends_E))


def _cut_at_multiples(ends_E, block):
    """Every row that begins an expert, or is a multiple of the block."""
    row_Z = torch.arange(int(ends_E[-1]))
    expert_Z = torch.searchsorted(ends_E, row_Z, right=True)
    cut_Z = (row_Z % block == 0) | (expert_Z.diff(prepend=expert_Z[:1] - 1) > 0)
    return expert_Z[cut_Z], row_Z[cut_Z]


MISTAKES = (
    *(
        Mistake(
            "tiles span experts",
            "The rows are cut as if they were all one expert's: each expert's first row starts a new tile, for a "
            "tile is multiplied by one matrix.",
            _spanning(right),
        )
        for right in (True, False)
    ),
    Mistake(
        "a tile for no rows",
        "An expert without rows has a tile: it has none, 0 rows need 0 tiles.",
        _tiled(tiles=lambda count, end, block: _up(count, block).clamp(min=1)),
    ),
    Mistake(
        "last rows dropped",
        "The number of tiles is rounded down, and an expert's last rows are in none: round up, "
        "`(count + block - 1) // block`.",
        _tiled(tiles=lambda count, end, block: count // block),
    ),
    Mistake(
        "last rows dropped except of few",
        "The number of tiles is rounded down, if to no less than 1: round up, `(count + block - 1) // block`.",
        _tiled(tiles=lambda count, end, block: (count // block).clamp(min=1) * (count > 0)),
    ),
    *(
        Mistake(
            "one tile too many",
            "`count // block + 1` is one too many where the rows fill their tiles, or where there are none: round "
            "up, `(count + block - 1) // block`.",
            _tiled(tiles=tiles),
        )
        for tiles in (
            lambda count, end, block: count // block + 1,
            lambda count, end, block: (count // block + 1) * (count > 0),
        )
    ),
    Mistake(
        "one tile each",
        "Each expert has one tile, however many its rows: a tile holds `block` rows at most.",
        _tiled(tiles=lambda count, end, block: count.clamp(max=1)),
    ),
    Mistake(
        "one tile a row",
        "Each row has a tile of its own: a tile holds `block` rows.",
        _tiled(tiles=lambda count, end, block: count, row=lambda start, end, place, block: start + place),
    ),
    Mistake(
        "ends taken for counts",
        "`ends_E` is taken for the numbers of rows: these are the differences, `ends_E.diff(prepend=...)`.",
        _tiled(tiles=lambda count, end, block: _up(end, block)),
    ),
    Mistake(
        "rows counted within the expert",
        "The rows are counted from each expert's own first: count through all rows, so add where the expert starts.",
        _tiled(row=lambda start, end, place, block: place * block),
    ),
    *(
        Mistake(
            "numbers of tiles",
            "These are numbers of tiles: tile z of an expert starts `z * block` rows after the expert's first.",
            _tiled(row=row),
        )
        for row in (
            lambda start, end, place, block: torch.arange(len(place)),
            lambda start, end, place, block: place,
        )
    ),
    Mistake(
        "not times the block",
        "The next tile of an expert starts one row after the last: it starts `block` rows after.",
        _tiled(row=lambda start, end, place, block: start + place),
    ),
    Mistake(
        "as if all tiles were full",
        "Tile z starts at row `z * block` only if all tiles before are full: the last of each expert may have "
        "fewer rows.",
        _tiled(row=lambda start, end, place, block: torch.arange(len(place)) * block),
    ),
    Mistake(
        "tiles not counted anew",
        "Tiles are counted through all experts: within each expert they are counted anew, its first tile starts at "
        "its first row.",
        _tiled(row=lambda start, end, place, block: start + torch.arange(len(place)) * block),
    ),
    Mistake(
        "every expert starts at 0",
        "Every expert's tiles start at row 0: its rows start where those of the expert before end.",
        _tiled(tiles=lambda count, end, block: _up(end, block), row=lambda start, end, place, block: place * block),
    ),
    Mistake(
        "boundary on the wrong side",
        "An expert's first tile is given to an expert before: row `ends_E[e]` is the first that is *not* expert "
        "e's. `torch.searchsorted` wants `right=True`.",
        lambda ends_E, block: (
            torch.searchsorted(ends_E, tile_table(ends_E, block)[1]),
            tile_table(ends_E, block)[1],
        ),
    ),
    Mistake(
        "cut at multiples of the block",
        "The rows are cut wherever their number is a multiple of `block`: count from each expert's first row, and only "
        "its last tile may be short.",
        _cut_at_multiples,
    ),
    Mistake(
        "ends added up",
        "`ends_E` is added up once more, as if it held numbers of rows: it holds the ends, added up already.",
        lambda ends_E, block: tile_table(ends_E.cumsum(0), block),
    ),
    Mistake(
        "first expert left out",
        "The first expert's rows are in no tile: they start at 0, which has to stand before the ends, "
        "`ends_E.diff(prepend=...)`.",
        _only(lambda expert, offset, ends, block: expert > 0),
    ),
    Mistake(
        "last expert left out",
        "The last expert's rows are in no tile: E experts have E ends, and start at a 0 before them.",
        _only(lambda expert, offset, ends, block: expert < len(ends) - 1),
    ),
    Mistake(
        "stops at an empty expert",
        "It stops at the first expert without rows: go on with the next.",
        _only(_before_empty),
    ),
    Mistake(
        "two tiles at most",
        "No expert has more than two tiles: it has as many as its rows need.",
        _only(lambda expert, offset, ends, block: offset < 2 * block),
    ),
    Mistake(
        "as many tiles as the busiest",
        "Every expert has as many tiles as the one with most rows: each has as many as its own rows need.",
        _tiled(tiles=lambda count, end, block: _up(count, block).max().expand_as(count)),
    ),
    Mistake(
        "block not used",
        "Whatever `block` is, tiles have 4 rows, as in the example: they have `block` rows.",
        lambda ends_E, block: tile_table(ends_E, 4),
    ),
    Mistake(
        "one row too few",
        "Tiles have `block - 1` rows: from row r on, `block` rows go up to r + block - 1, and the next is r + block.",
        lambda ends_E, block: tile_table(ends_E, max(block - 1, 1)),
    ),
    Mistake(
        "short tile first",
        "The short tile comes first, for tiles are cut from an expert's end: begin at its first row, the last tile may "
        "be short.",
        _tiled(
            row=lambda start, end, place, block: (
                start + (place > 0) * ((end - start - 1) % block + 1 + (place - 1) * block)
            )
        ),
    ),
    *(
        Mistake(
            "last tile moved back",
            "An expert's last tile is moved back until it is full: its rows are then computed twice, or are another "
            "expert's. Leave it short.",
            _tiled(row=row),
        )
        for row in (
            lambda start, end, place, block: torch.minimum(start + place * block, end - block).clamp(min=0),
            lambda start, end, place, block: torch.maximum(torch.minimum(start + place * block, end - block), start),
        )
    ),
    Mistake(
        "counted from the end",
        "The rows are counted from where the expert's rows end: they start where those of the expert before end.",
        _tiled(row=lambda start, end, place, block: end + place * block),
    ),
    Mistake(
        "same start for all tiles",
        "All tiles of an expert start at its first row: each starts `block` rows after the one before it.",
        _tiled(row=lambda start, end, place, block: start),
    ),
    *(
        Mistake(
            "ends of tiles",
            "These are the rows where tiles end: give the first row of each.",
            _tiled(row=row),
        )
        for row in (
            lambda start, end, place, block: torch.minimum(start + (place + 1) * block, end),
            lambda start, end, place, block: torch.minimum(start + (place + 1) * block, end) - 1,
            lambda start, end, place, block: start + (place + 1) * block,
        )
    ),
    Mistake(
        "experts numbered anew",
        "The experts that have rows are numbered anew: keep their numbers, for they say which matrix a tile meets.",
        _tiled(expert=lambda expert_Z: expert_Z.unique(return_inverse=True)[1]),
    ),
    Mistake(
        "experts counted from 1",
        "The experts are numbered from 1: they are numbered from 0, as their matrices are.",
        _tiled(expert=lambda expert_Z: expert_Z + 1),
    ),
    Mistake(
        "results exchanged",
        "The two results are exchanged: first the experts, then the rows.",
        lambda *case: tile_table(*case)[::-1],
    ),
)
