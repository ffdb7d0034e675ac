"""The course's side of the project: all that knows of notebooks.

    from mini_moe.course import Explore, check, expect, hint, passed, quiz, table, verdict
    from mini_moe.course import checkpoint, compare, recorded, with_drafter

The library never imports this package; this package imports the library.
"""

from IPython import get_ipython

from mini_moe.course.check import check, hint
from mini_moe.course.checking.portfolio import passed
from mini_moe.course.display.expect import expect
from mini_moe.course.display.explore import Explore
from mini_moe.course.display.figure import image
from mini_moe.course.display.table import table
from mini_moe.course.display.verdict import verdict
from mini_moe.course.exercises import quiz
from mini_moe.course.experiments.compare import compare
from mini_moe.course.experiments.recorded import checkpoint, recorded, with_drafter
from mini_moe.course.missing import explain_missing_names
from mini_moe.course.occasion import in_book

__all__ = [
    "Explore", "check", "checkpoint", "compare", "expect", "hint", "passed", "quiz", "recorded", "table", "verdict",
    "with_drafter",
]  # fmt: skip

if shell := get_ipython():
    explain_missing_names(shell)

# In the published book every figure is shown as an image that says what it shows.
if in_book():
    from matplotlib.figure import Figure

    Figure._repr_html_ = image
