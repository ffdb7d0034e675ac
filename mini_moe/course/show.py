"""Values as a learner wants to see them: shape and dtype first, few digits, nothing wider than a phone can scroll."""

import numpy as np
from torch import Tensor

LONGEST = 400  # characters of a value that is no tensor


def show(value, digits=4):
    """A value as plain text.

    >>> import torch
    >>> print(show(torch.tensor([[0.5, 2.0]])))
    shape (1, 2), float32
    [[0.5 2. ]]
    """
    if isinstance(value, Tensor):
        array = value.detach().cpu()
        array = array.double().numpy() if array.is_floating_point() else array.numpy()
        text = np.array2string(array, precision=digits, threshold=48, max_line_width=64)
        return f"shape {tuple(value.shape)}, {str(value.dtype).removeprefix('torch.')}\n{text}"
    if isinstance(value, (tuple, list)) and any(isinstance(item, Tensor) for item in value):
        fields = getattr(value, "_fields", range(len(value)))
        return "\n".join(f"{field}: {show(item, digits)}" for field, item in zip(fields, value, strict=True))
    text = f"{value:.{digits + 4}g}" if isinstance(value, float) else repr(value)
    return text if len(text) <= LONGEST else text[:LONGEST] + " ..."


def show_pair(got, expected):
    """Both as text, with as many digits as it takes to tell them apart."""
    pair = show(got), show(expected)
    return pair if pair[0] != pair[1] else (show(got, 9), show(expected, 9))
