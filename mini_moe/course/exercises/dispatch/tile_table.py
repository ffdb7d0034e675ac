"""Lesson 05, `tile_table`: rows cut in tiles."""

from itertools import pairwise

import torch

from mini_moe.course.checking.exercise import Exercise, Illegal, Property, Wrong, refuses
from mini_moe.course.exercises.dispatch.shared import keeps_nothing, takes_many
from mini_moe.course.exercises.dispatch.tile_table_mistakes import MISTAKES
from mini_moe.kernels.tiles import tile_table


def _cases_of_tiles(generator):
    yield torch.tensor([0, 1]), 2
    yield torch.tensor([1, 3]), 1
    yield torch.tensor([1]), 1
    yield torch.tensor([3, 3, 8]), 4
    yield torch.tensor([0, 0, 7, 7]), 3
    yield torch.tensor([4, 8, 8, 16]), 4
    yield torch.tensor([5]), 2
    counts = torch.randint(0, 9, (6,), generator=generator)
    yield counts.cumsum(0) + 2, 3


def _tiles_of(function, ends_E, block):
    """Expert, first row and end of each tile, the end being where the tile or the expert is over."""
    ends = ends_E.tolist()
    for expert, row in zip(*(result.tolist() for result in function(ends_E, block)), strict=True):
        if not 0 <= expert < len(ends):
            says = f"A tile belongs to expert {expert}: there are the experts 0 to {len(ends) - 1}."
            raise Wrong(says, mistake="no such expert")
        yield expert, row, min(row + block, ends[expert])


def _at_home(function, ends_E, block):
    bounds = list(pairwise((0, *ends_E.tolist())))
    for expert, row, _ in _tiles_of(function, ends_E, block):
        start, end = bounds[expert]
        if not start <= row < end:
            has = f"rows {start} to {end - 1}" if start < end else "no rows"
            says = f"A tile of expert {expert} starts at row {row}, but this expert has {has}."
            raise Wrong(says, mistake="not a row of its expert")


def _each_row_once(function, ends_E, block):
    times = [0] * int(ends_E[-1])
    for _, row, end in _tiles_of(function, ends_E, block):
        for j in range(row, end):
            times[j] += 1
    for j, n in enumerate(times):
        if n != 1:
            says = f"Row {j} is in {n or 'no'} tile{'s' * (n > 1)}: each must be in one, or its result is wrong."
            raise Wrong(says, mistake="rows in several tiles" if n else "rows in no tile")


def _no_rows(function, ends_E, block):
    where = "Without any rows, where `ends_E` is 0 throughout,"
    try:
        results = function(torch.zeros_like(ends_E), block)
    except Exception as error:
        raise Wrong(
            f"{where} it stops, with {type(error).__name__}: {error}", mistake="no rows not foreseen"
        ) from error
    if any(len(result) for result in results):
        raise Wrong(f"{where} there is a tile: it would hold no rows.", mistake="no rows not foreseen")
    if any(result.dtype != torch.int64 for result in results):
        raise Wrong(
            f"{where} both results must still be int64: of an empty list `torch.tensor` makes floats, unless it is "
            "told `dtype=torch.int64`.",
            mistake="no rows not foreseen",
        )


def _all_right(function, ends_E, block):
    _at_home(function, ends_E, block)
    _each_row_once(function, ends_E, block)


def _twins(times, ends_E, block):
    """The same counts of rows, over and over, and in the reverse order."""
    count_E = ends_E.diff(prepend=ends_E.new_zeros(1)).repeat(times)
    return (count_E.cumsum(0), block), ((count_E.flip(0) + torch.arange(len(count_E)) % 2).cumsum(0), block)


def _block(number, ends=lambda ends_E: ends_E):
    return lambda ends_E, block: Illegal((ends(ends_E), number), "block", number, why="A tile has one row or more.")


# More experts than 8 bits can number, and more rows than 16.
_MANY = torch.zeros(300, dtype=torch.int64).index_fill(0, torch.tensor([130, 131, 299]), 23_456).cumsum(0)

EXERCISE = Exercise(
    reference=tile_table,
    cases=_cases_of_tiles,
    properties=(
        Property("a call has no effect on the next", keeps_nothing(_all_right, _twins)),
        Property("each tile starts at a row of its own expert", _at_home),
        Property("each row is in one tile", _each_row_once),
        Property("no rows at all make empty results, of int64 all the same", _no_rows),
        Property(
            "many experts and many rows are taken",
            takes_many(
                _all_right, lambda ends_E, block: len(ends_E) == 1, ("300 experts and 70,368 rows", _MANY, 1000)
            ),
        ),
        Property(
            "a block below 1 is refused",
            refuses(_block(0), _block(-1), _block(-3), _block(0, torch.zeros_like), _block(-1, torch.zeros_like)),
        ),
    ),
    mistakes=MISTAKES,
    hints=(
        "An expert with n rows needs n / block tiles, rounded up. Its first tile starts where its rows start, the next "
        "`block` rows later.",
        "With loops: `for row in range(start, end, block)` for each expert. Without: `repeat_interleave(tiles_E)` "
        "writes each expert as often as it has tiles, and a tile's place within its expert is its number less that of "
        "the expert's first tile.",
        "First refuse a block below 1. Then two empty lists and a start of 0. The outer loop goes through the experts "
        "and their ends, the inner one through the first rows of this expert's tiles, and adds to both lists; after "
        "the inner one, this end is the next start. Last, two tensors, of dtype=torch.int64: empty ones are floats.",
    ),
    difficulty=3,
    minutes=25,
)
