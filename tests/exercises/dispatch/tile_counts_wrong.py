"""Wrong answers to `tile_table`: how many tiles an expert has."""

import math
from itertools import pairwise

import torch
from exercises.answers import Answers

from mini_moe.course.exercises.dispatch.tile_table import EXERCISE

ANSWERS = Answers(EXERCISE)
wrong = ANSWERS.wrong


@wrong("as if all tiles were full")
def _(ends_E, block):
    counts = torch.diff(ends_E, prepend=torch.tensor([0]))
    expert = torch.arange(len(ends_E)).repeat_interleave(torch.ceil(counts / block).long())
    return expert, torch.arange(len(expert)) * block


@wrong("tiles not counted anew")
def _(ends_E, block):
    experts, rows, start, i = [], [], 0, 0
    for e, end in enumerate(ends_E.tolist()):
        for _ in range(math.ceil((end - start) / block)):
            experts.append(e)
            rows.append(start + i * block)
            i += 1
        start = end
    return torch.tensor(experts), torch.tensor(rows)


@wrong("every expert starts at 0")
def _(ends_E, block):
    experts, rows, start = [], [], 0
    for e, end in enumerate(ends_E.tolist()):
        for row in range(start, end, block):
            experts.append(e)
            rows.append(row)
    return torch.tensor(experts), torch.tensor(rows)


@wrong("boundary on the wrong side")
def _(ends_E, block):
    rows = [torch.arange(a, b, block) for a, b in pairwise((0, *ends_E.tolist()))]
    row = torch.cat(rows)
    return torch.searchsorted(ends_E, row), row


@wrong("counted from the end")
def _(ends_E, block):
    experts, rows, start = [], [], 0
    for e, end in enumerate(ends_E.tolist()):
        n_tiles = math.ceil((end - start) / block)
        start = end
        for i in range(n_tiles):
            experts.append(e)
            rows.append(start + i * block)
    return torch.tensor(experts), torch.tensor(rows)


@wrong("same start for all tiles")
def _(ends_E, block):
    counts = torch.diff(ends_E, prepend=torch.tensor([0]))
    tiles = -(-counts // block)
    return torch.arange(len(ends_E)).repeat_interleave(tiles), (ends_E - counts).repeat_interleave(tiles)


@wrong("ends of tiles", "cut off")
def _(ends_E, block):
    experts, rows, start = [], [], 0
    for e, end in enumerate(ends_E.tolist()):
        while start < end:
            start = min(start + block, end)
            experts.append(e)
            rows.append(start)
    return torch.tensor(experts), torch.tensor(rows)


@wrong("ends of tiles", "not cut off")
def _(ends_E, block):
    experts, rows, start = [], [], 0
    for e, end in enumerate(ends_E.tolist()):
        while start < end:
            start += block
            experts.append(e)
            rows.append(start)
        start = end
    return torch.tensor(experts), torch.tensor(rows)


@wrong("experts numbered anew")
def _(ends_E, block):
    experts, rows, start = [], [], 0
    ends = [end for end in ends_E.unique().tolist() if end]
    for e, end in enumerate(ends):
        for row in range(start, end, block):
            experts.append(e)
            rows.append(row)
        start = end
    return torch.tensor(experts), torch.tensor(rows)


@wrong("results exchanged")
def _(ends_E, block):
    experts, rows, start = [], [], 0
    for e, end in enumerate(ends_E.tolist()):
        for row in range(start, end, block):
            experts.append(e)
            rows.append(row)
        start = end
    return torch.tensor(rows), torch.tensor(experts)


@wrong("wrong type", "lists")
def _(ends_E, block):
    experts, rows, start = [], [], 0
    for e, end in enumerate(ends_E.tolist()):
        for row in range(start, end, block):
            experts.append(e)
            rows.append(row)
        start = end
    return experts, rows


@wrong("wrong type", "one tensor of pairs")
def _(ends_E, block):
    table, start = [], 0
    for e, end in enumerate(ends_E.tolist()):
        table += [(e, row) for row in range(start, end, block)]
        start = end
    return torch.tensor(table)


@wrong("wrong dtype", "a quotient left a float")
def _(ends_E, block):
    counts = torch.diff(ends_E, prepend=torch.tensor([0]))
    tiles = torch.ceil(counts / block)
    expert = torch.arange(len(ends_E)).repeat_interleave(tiles.long())
    place = torch.arange(len(expert)) - (tiles.cumsum(0) - tiles)[expert]
    return expert, (ends_E - counts)[expert] + place * block


@wrong("no rows not foreseen", "floats")
def _(ends_E, block):
    experts, rows, start = [], [], 0
    for e, end in enumerate(ends_E.tolist()):
        for row in range(start, end, block):
            experts.append(e)
            rows.append(row)
        start = end
    return torch.tensor(experts), torch.tensor(rows)


@wrong("no rows not foreseen", "columns of nothing")
def _(ends_E, block):
    table, start = [], 0
    for e, end in enumerate(ends_E.tolist()):
        table += [(e, row) for row in range(start, end, block)]
        start = end
    return tuple(torch.tensor(table).unbind(1))


@wrong("cut at multiples of the block")
def _(ends_E, block):
    experts, rows, start = [], [], 0
    for e, end in enumerate(ends_E.tolist()):
        while start < end:
            experts.append(e)
            rows.append(start)
            start = min(end, (start // block + 1) * block)
    return torch.tensor(experts, dtype=torch.int64), torch.tensor(rows, dtype=torch.int64)


def of_bounds(bounds, experts=lambda numbers: numbers):
    """The table of experts whose rows are the pairs (start, end) of ``bounds(ends)``."""

    def table(ends_E, block):
        numbered = list(enumerate(bounds(ends_E.tolist())))
        tiles = [(e, row) for e, (start, end) in experts(numbered) for row in range(start, end, block)]
        return tuple(torch.tensor(tiles, dtype=torch.int64).view(-1, 2).unbind(1))

    return table


def sums(ends):
    """Running sums."""
    return torch.tensor(ends).cumsum(0).tolist()


def until_empty(numbered):
    """Those before the first without rows."""
    return [some for i, some in enumerate(numbered) if all(end > start for _, (start, end) in numbered[: i + 1])]


wrong("ends added up")(of_bounds(lambda ends: pairwise((0, *sums(ends)))))
wrong("first expert left out")(of_bounds(lambda ends: [(0, 0), *pairwise(ends)]))
wrong("last expert left out")(of_bounds(lambda ends: pairwise((0, *ends[:-1]))))
wrong("stops at an empty expert")(of_bounds(lambda ends: pairwise((0, *ends)), until_empty))


@wrong("two tiles at most")
def _(ends_E, block):
    experts, rows = [], []
    for e, (start, end) in enumerate(pairwise((0, *ends_E.tolist()))):
        if start < end:
            experts.append(e)
            rows.append(start)
        if start + block < end:
            experts.append(e)
            rows.append(start + block)
    return torch.tensor(experts), torch.tensor(rows)


@wrong("as many tiles as the busiest")
def _(ends_E, block):
    counts = ends_E.diff(prepend=ends_E.new_zeros(1))
    tiles = math.ceil(counts.max() / block)
    grid = (ends_E - counts)[:, None] + block * torch.arange(tiles)
    return torch.arange(len(ends_E)).repeat_interleave(tiles), grid.flatten()


@wrong("block not used", "always 4")
def _(ends_E, block):
    return of_bounds(lambda ends: pairwise((0, *ends)))(ends_E, 4)


@wrong("one row too few")
def _(ends_E, block):
    return of_bounds(lambda ends: pairwise((0, *ends)))(ends_E, block - 1 or 1)


def checked(check):
    """A right table, after ``check(block)``."""

    def table(ends_E, block):
        check(block)
        return of_bounds(lambda ends: pairwise((0, *ends)))(ends_E, max(1, abs(block)))

    return table


def zero_only(block):
    """Refuse 0."""
    if block == 0:
        raise ValueError(f"block must not be {block}")


def no_value(block):
    """Refuse what is to be refused, but do not say what it was."""
    if block < 1:
        raise ValueError("block must be larger")


def asserted(block):
    """Refuse by an assert."""
    assert block > 0, f"block is {block}"


def too_much(block):
    """Refuse 1, too."""
    if block <= 1:
        raise ValueError(f"block must be above 1, got {block}.")


wrong("not refused", "nothing is")(checked(lambda block: None))
wrong("not refused", "0 alone is")(checked(zero_only))
wrong("error without the value")(checked(no_value))
wrong("another error than documented", "an assert")(checked(asserted))
wrong("refuses a legal input", "a block of 1")(checked(too_much))


@wrong("another error than documented", "a division by 0")
def _(ends_E, block):
    counts = ends_E.diff(prepend=ends_E.new_zeros(1)).tolist()
    starts = [0, *ends_E.tolist()]
    tiles = [(e, starts[e] + i * block) for e, count in enumerate(counts) for i in range(-(-count // block))]
    return tuple(torch.tensor(tiles, dtype=torch.int64).view(-1, 2).unbind(1))


@wrong("not refused", "where there are no rows")
def _(ends_E, block):
    tiles = []
    for e, (start, end) in enumerate(pairwise((0, *ends_E.tolist()))):
        if start < end:
            if block < 1:
                raise ValueError(f"block must be 1 or more, got {block}.")
            tiles += [(e, row) for row in range(start, end, block)]
    return tuple(torch.tensor(tiles, dtype=torch.int64).view(-1, 2).unbind(1))
