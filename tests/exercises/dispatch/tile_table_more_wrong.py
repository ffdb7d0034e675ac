"""Wrong answers to `tile_table`."""

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
