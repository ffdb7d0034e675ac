"""How a product over groups of unequal size is cut into equal pieces of work.

A GPU computes a product in tiles, many at once, each by a program that knows only its number. Where groups are
unequal, the number alone does not tell which rows are meant: a small table does.

Letters: E experts, Z tiles.
"""

import torch
from torch import Tensor


def tile_table(ends_E: Tensor, block: int) -> tuple[Tensor, Tensor]:
    """Cut each expert's rows into tiles of ``block`` rows; its last tile may have fewer. No tile spans two experts.

    Args:
        ends_E: where each expert's rows end, the rows being sorted by expert.

    Returns:
        expert_Z: int64, whose rows each tile holds; experts without rows have no tile. Tiles may come in any order.
        row_Z: int64, the first row of each tile; both are empty where there are no rows.

    Raises:
        ValueError: ``block`` is below 1.

    Source: after MegaBlocks, arXiv 2211.15841, section 5.1.3, where a table tells each tile its place. Unlike
    MegaBlocks, which pads the rows of each expert to a multiple of 128 (5.2), tiles may be short here.

    >>> tile_table(torch.tensor([3, 3, 8]), block=4)  # 3 rows, none, 5 rows
    (tensor([0, 2, 2]), tensor([0, 3, 7]))
    """
    if block < 1:
        raise ValueError(f"block must be at least 1, got {block}.")
    count_E = ends_E.diff(prepend=ends_E.new_zeros(1))
    tiles_E = (count_E + block - 1) // block
    expert_Z = torch.arange(len(ends_E), device=ends_E.device).repeat_interleave(tiles_E)
    first_E = tiles_E.cumsum(0) - tiles_E
    place_Z = torch.arange(len(expert_Z), device=ends_E.device) - first_E[expert_Z]
    return expert_Z, (ends_E - count_E)[expert_Z] + place_Z * block
