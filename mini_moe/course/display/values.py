"""Values as a learner wants to see them: shape and dtype first, few digits, nothing wider than a phone can scroll."""

import dataclasses
from textwrap import fill

import numpy as np
from torch import Tensor

LONGEST = 400  # characters of a value that is no tensor
WIDEST = 64  # characters of a line


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
        text = np.array2string(array, precision=digits, suppress_small=True, threshold=48, max_line_width=WIDEST)
        return f"shape {tuple(value.shape)}, {str(value.dtype).removeprefix('torch.')}\n{text}"
    if isinstance(value, (tuple, list)) and any(isinstance(item, Tensor) for item in value):
        fields = getattr(value, "_fields", range(len(value)))
        return "\n".join(f"{field}: {show(item, digits)}" for field, item in zip(fields, value, strict=True))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _show_fields(value, digits)
    text = f"{value:.{digits + 4}g}" if isinstance(value, float) else repr(value)
    return text if len(text) <= LONGEST else text[:LONGEST] + " ..."


def _show_fields(value, digits):
    """What was chosen, a field a line; then, in few lines, what is as it is by default.

    >>> @dataclasses.dataclass
    ... class Plan:
    ...     steps: int
    ...     rate: float = 0.1
    >>> print(_show_fields(Plan(steps=3), digits=4))
    Plan
      steps = 3
      by default: rate = 0.1
    """
    chosen, default = [], []
    for field in dataclasses.fields(value):
        item = getattr(value, field.name)
        text = f"{field.name} = {show(item, digits)}".replace("\n", "\n    ")
        usual = item is field.default or (type(item) is type(field.default) and item == field.default)
        (default if usual else chosen).append(text)
    lines = [type(value).__name__, *(f"  {text}" for text in chosen)]
    if default:
        # No break inside "name = value": blanks that `fill` does not see hold it together.
        texts = (text.replace(" ", "\0") for text in default)
        lines.append(fill("by default: " + ", ".join(texts), WIDEST, initial_indent="  ", subsequent_indent="    "))
    return "\n".join(lines).replace("\0", " ")


def show_pair(got, expected):
    """Both as text, with as many digits as it takes to tell them apart."""
    pair = show(got), show(expected)
    return pair if pair[0] != pair[1] else (show(got, 9), show(expected, 9))
