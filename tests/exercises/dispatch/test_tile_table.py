"""Answers to `tile_table`: wrong ones as learners write them, right ones each in another way."""

import torch
import torch.nn.functional as F
from exercises.answers import Claims
from exercises.dispatch import tile_counts_wrong, tile_rows_wrong

ANSWERS = tile_rows_wrong.ANSWERS + tile_counts_wrong.ANSWERS
right = ANSWERS.right


class TestTileTable(Claims):
    answers = ANSWERS


@right("two loops")
def _(ends_E, block):
    if block < 1:
        raise ValueError(f"block must be 1 or more, got {block}.")
    experts, rows, start = [], [], 0
    for e, end in enumerate(ends_E.tolist()):
        for row in range(start, end, block):
            experts.append(e)
            rows.append(row)
        start = end
    return torch.tensor(experts, dtype=torch.int64), torch.tensor(rows, dtype=torch.int64)


@right("rows that begin a tile, searchsorted")
def _(ends_E, block):
    if block < 1:
        raise ValueError(f"block must be 1 or more, got {block}.")
    row = torch.arange(int(ends_E[-1]))
    expert = torch.searchsorted(ends_E, row, right=True)
    first = F.pad(ends_E, (1, 0))[expert]
    begins = (row - first) % block == 0
    return expert[begins], row[begins]


@right("cat of aranges, math.ceil")
def _(ends_E, block):
    if block < 1:
        raise ValueError(f"block must be 1 or more, got {block}.")
    starts = [0, *ends_E[:-1].tolist()]
    rows = [torch.arange(a, b, block) for a, b in zip(starts, ends_E.tolist(), strict=True)]
    return torch.cat([torch.full_like(r, e) for e, r in enumerate(rows)]), torch.cat(rows)


@right("the last tile first")
def _(ends_E, block):
    if block < 1:
        raise ValueError(f"block must be 1 or more, got {block}.")
    counts = torch.diff(ends_E, prepend=torch.tensor([0]))
    table = [(e, int(end - count) + i * block)
             for e, (end, count) in enumerate(zip(ends_E, counts, strict=True))
             for i in range(-(-int(count) // block))]  # fmt: skip
    return tuple(torch.tensor(table[::-1], dtype=torch.int64).view(-1, 2).unbind(1))


@right("a grid of all tiles there could be")
def _(ends_E, block):
    if block < 1:
        raise ValueError(f"block must be 1 or more, got {block}.")
    counts = torch.diff(ends_E, prepend=torch.tensor([0]))
    offsets = torch.arange(0, int(counts.max()), block)
    mask = offsets < counts[:, None]
    return mask.nonzero()[:, 0], ((ends_E - counts)[:, None] + offsets)[mask]
