"""A warning shows the caller's line, however many of this library's own calls lie between."""

import sys
import warnings


def warn(message: str) -> None:
    """A UserWarning at the line outside this package that led here.

    From Python 3.12 on, ``warnings.warn`` does this by itself, with ``skip_file_prefixes``.
    """
    frame, level = sys._getframe(1), 2
    while frame.f_back and frame.f_globals.get("__name__", "").startswith("mini_moe."):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, stacklevel=level)
