"""Wrong answers to `tile_table`: which row a tile starts with, whose it is, and in what form they are given."""

import math
from itertools import pairwise

import torch
from exercises.answers import Answers

from mini_moe.course.exercises.dispatch.tile_table import EXERCISE

ANSWERS = Answers(EXERCISE)
wrong = ANSWERS.wrong


@wrong("tiles span experts", "searchsorted")
def _(ends_E, block):
    row = torch.arange(0, ends_E[-1].item(), block)
    return torch.searchsorted(ends_E, row, right=True), row


@wrong("tiles span experts", "row by row")
def _(ends_E, block):
    experts, rows, e = [], [], 0
    for row in range(int(ends_E[-1])):
        while row >= ends_E[e]:
            e += 1
        if row % block == 0:
            experts.append(e)
            rows.append(row)
    return torch.tensor(experts), torch.tensor(rows)


@wrong("a tile for no rows", "at least one")
def _(ends_E, block):
    experts, rows, start = [], [], 0
    for e, end in enumerate(ends_E.tolist()):
        for i in range(max(1, math.ceil((end - start) / block))):
            experts.append(e)
            rows.append(start + i * block)
        start = end
    return torch.tensor(experts), torch.tensor(rows)


@wrong("last rows dropped", "rounded down")
def _(ends_E, block):
    experts, rows, start = [], [], 0
    for e, end in enumerate(ends_E.tolist()):
        for i in range((end - start) // block):
            experts.append(e)
            rows.append(start + i * block)
        start = end
    return torch.tensor(experts, dtype=torch.int64), torch.tensor(rows, dtype=torch.int64)


@wrong("last rows dropped", "only full tiles")
def _(ends_E, block):
    experts, rows, start = [], [], 0
    for e, end in enumerate(ends_E.tolist()):
        while start + block <= end:
            experts.append(e)
            rows.append(start)
            start += block
        start = end
    return torch.tensor(experts).long(), torch.tensor(rows).long()


@wrong("last rows dropped except of few")
def _(ends_E, block):
    experts, rows, start = [], [], 0
    for e, end in enumerate(ends_E.tolist()):
        if end > start:
            for i in range(max(1, (end - start) // block)):
                experts.append(e)
                rows.append(start + i * block)
        start = end
    return torch.tensor(experts), torch.tensor(rows)


@wrong("one tile too many", "everywhere")
def _(ends_E, block):
    experts, rows, start = [], [], 0
    for e, end in enumerate(ends_E.tolist()):
        for i in range((end - start) // block + 1):
            experts.append(e)
            rows.append(start + i * block)
        start = end
    return torch.tensor(experts), torch.tensor(rows)


@wrong("one tile too many", "except of no rows")
def _(ends_E, block):
    experts, rows, start = [], [], 0
    for e, end in enumerate(ends_E.tolist()):
        count = end - start
        for i in range(count // block + 1 if count else 0):
            experts.append(e)
            rows.append(start + i * block)
        start = end
    return torch.tensor(experts), torch.tensor(rows)


@wrong("one tile each")
def _(ends_E, block):
    starts = torch.cat((torch.zeros(1, dtype=torch.int64), ends_E[:-1]))
    expert = (ends_E > starts).nonzero().flatten()
    return expert, starts[expert]


@wrong("one tile a row")
def _(ends_E, block):
    row = torch.arange(int(ends_E[-1]))
    return torch.searchsorted(ends_E, row, right=True), row


@wrong("ends taken for counts")
def _(ends_E, block):
    experts, rows, start = [], [], 0
    for e, end in enumerate(ends_E.tolist()):
        for i in range(math.ceil(end / block)):
            experts.append(e)
            rows.append(start + i * block)
        start = end
    return torch.tensor(experts), torch.tensor(rows)


@wrong("rows counted within the expert")
def _(ends_E, block):
    experts, rows, start = [], [], 0
    for e, end in enumerate(ends_E.tolist()):
        for row in range(0, end - start, block):
            experts.append(e)
            rows.append(row)
        start = end
    return torch.tensor(experts), torch.tensor(rows)


@wrong("numbers of tiles", "within the expert")
def _(ends_E, block):
    experts, rows, start = [], [], 0
    for e, end in enumerate(ends_E.tolist()):
        for i in range(math.ceil((end - start) / block)):
            experts.append(e)
            rows.append(i)
        start = end
    return torch.tensor(experts), torch.tensor(rows)


@wrong("numbers of tiles", "of all")
def _(ends_E, block):
    counts = torch.diff(ends_E, prepend=torch.tensor([0]))
    expert = torch.arange(len(ends_E)).repeat_interleave(torch.ceil(counts / block).long())
    return expert, torch.arange(len(expert))


@wrong("not times the block")
def _(ends_E, block):
    experts, rows, start = [], [], 0
    for e, end in enumerate(ends_E.tolist()):
        for i in range(math.ceil((end - start) / block)):
            experts.append(e)
            rows.append(start + i)
        start = end
    return torch.tensor(experts), torch.tensor(rows)


@wrong("experts counted from 1")
def _(ends_E, block):
    experts, rows, start = [], [], 0
    for number, end in enumerate(ends_E.tolist(), start=1):
        for row in range(start, end, block):
            experts.append(number)
            rows.append(row)
        start = end
    return torch.tensor(experts), torch.tensor(rows)


@wrong("short tile first")
def _(ends_E, block):
    experts, rows, start = [], [], 0
    for e, end in enumerate(ends_E.tolist()):
        for row in sorted([start, *range(end - block, start, -block)]) if end > start else []:
            experts.append(e)
            rows.append(row)
        start = end
    return torch.tensor(experts, dtype=torch.int64), torch.tensor(rows, dtype=torch.int64)


@wrong("last tile moved back", "into the expert before, if need be")
def _(ends_E, block):
    experts, rows, start = [], [], 0
    for e, end in enumerate(ends_E.tolist()):
        for row in range(start, end, block):
            experts.append(e)
            rows.append(max(0, min(row, end - block)))
        start = end
    return torch.tensor(experts, dtype=torch.int64), torch.tensor(rows, dtype=torch.int64)


@wrong("last tile moved back", "within its expert")
def _(ends_E, block):
    experts, rows, start = [], [], 0
    for e, end in enumerate(ends_E.tolist()):
        for row in range(start, end, block):
            experts.append(e)
            rows.append(max(start, min(row, end - block)))
        start = end
    return torch.tensor(experts, dtype=torch.int64), torch.tensor(rows, dtype=torch.int64)


@wrong("changes its input", "ends made counts")
def _(ends_E, block):
    starts = torch.cat((torch.zeros(1, dtype=torch.int64), ends_E[:-1]))
    ends_E -= starts
    tiles = -(-ends_E // block)
    expert = torch.arange(len(tiles)).repeat_interleave(tiles)
    place = torch.arange(len(expert)) - (tiles.cumsum(0) - tiles)[expert]
    return expert, starts[expert] + place * block


@wrong("wrong shape", "squeezed")
def _(ends_E, block):
    tiles = [(e, row) for e, (a, b) in enumerate(pairwise((0, *ends_E.tolist()))) for row in range(a, b, block)]
    return tuple(torch.tensor(column).squeeze() for column in zip(*tiles, strict=True))


def narrow(expert=torch.int64, row=torch.int64):
    """A right table that was kept in other types on the way."""

    def table(ends_E, block):
        tiles = [(e, r) for e, (a, b) in enumerate(pairwise((0, *ends_E.tolist()))) for r in range(a, b, block)]
        experts, rows = torch.tensor(tiles, dtype=torch.int64).view(-1, 2).unbind(1)
        return experts.to(expert).long(), rows.to(row).long()

    return table


wrong("large numbers", "rows in int16")(narrow(row=torch.int16))
wrong("large numbers", "rows in float16")(narrow(row=torch.float16))
wrong("large numbers", "experts in int8")(narrow(expert=torch.int8))
wrong("large numbers", "experts in uint8")(narrow(expert=torch.uint8))
