"""Lesson 05, `tile_table`: rows cut in tiles."""

from itertools import pairwise

import torch

from mini_moe.course.checking.exercise import Exercise, Property, Wrong
from mini_moe.course.exercises.dispatch.tile_table_mistakes import MISTAKES
from mini_moe.kernels.tiles import tile_table


def _cases_of_tiles(generator):
    yield torch.tensor([0, 1]), 2
    yield torch.tensor([1, 3]), 1
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
            raise Wrong(f"A tile belongs to expert {expert}: there are the experts 0 to {len(ends) - 1}.")
        yield expert, row, min(row + block, ends[expert])


def _at_home(function, ends_E, block):
    bounds = list(pairwise((0, *ends_E.tolist())))
    for expert, row, _ in _tiles_of(function, ends_E, block):
        start, end = bounds[expert]
        if not start <= row < end:
            has = f"rows {start} to {end - 1}" if start < end else "no rows"
            raise Wrong(f"A tile of expert {expert} starts at row {row}, but this expert has {has}.")


def _each_row_once(function, ends_E, block):
    times = [0] * int(ends_E[-1])
    for _, row, end in _tiles_of(function, ends_E, block):
        for j in range(row, end):
            times[j] += 1
    for j, n in enumerate(times):
        if n != 1:
            raise Wrong(f"Row {j} is in {n or 'no'} tile{'s' * (n > 1)}: each must be in one, or its result is wrong.")


def _no_rows(function, ends_E, block):
    where = "Without any rows, where `ends_E` is 0 throughout,"
    try:
        results = function(torch.zeros_like(ends_E), block)
    except Exception as error:
        raise Wrong(
            f"{where} it stops, with {type(error).__name__}: {error}", mistake="no rows not foreseen"
        ) from error
    if any(len(result) or result.dtype != torch.int64 for result in results):
        raise Wrong(
            f"{where} both results must be empty and still int64: of an empty list `torch.tensor` makes floats, unless "
            "it is told `dtype=torch.int64`.",
            mistake="no rows not foreseen",
        )


EXERCISE = Exercise(
    reference=tile_table,
    cases=_cases_of_tiles,
    properties=(
        Property("each tile starts at a row of its own expert", _at_home),
        Property("each row is in one tile", _each_row_once),
        Property("no rows at all make empty results, of int64 all the same", _no_rows),
    ),
    mistakes=MISTAKES,
    hints=(
        "An expert with n rows needs n / block tiles, rounded up. Its first tile starts where its rows start, the next "
        "`block` rows later.",
        "With loops: `for row in range(start, end, block)` for each expert. Without: `repeat_interleave(tiles_E)` "
        "writes each expert as often as it has tiles, and a tile's place within its expert is its number less that of "
        "the expert's first tile.",
        "start = 0; for expert, end in enumerate(ends_E.tolist()): collect (expert, row) for row in "
        "range(start, end, block); then start = end. Make two tensors of the two columns, with dtype=torch.int64, "
        "or empty ones would be floats.",
    ),
    difficulty=2,
    minutes=12,
)
