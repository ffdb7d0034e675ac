"""On what occasion a notebook runs: for a learner, for an exam, or to make a page of the book."""

import os


def in_book():
    """Is this run to make a page of the published book, where no kernel and no learner are?"""
    return os.environ.get("MINI_MOE_BOOK") == "1"


def strict():
    """Must what a lesson expects come true? So it is in the book, and under test by ``MINI_MOE_STRICT=1``."""
    return in_book() or os.environ.get("MINI_MOE_STRICT") == "1"


def graded():
    """Is this the exam? nbgrader says so whenever it validates or autogrades; others by ``MINI_MOE_GRADING=1``."""
    return os.environ.get("MINI_MOE_GRADING") == "1" or "NBGRADER_EXECUTION" in os.environ
