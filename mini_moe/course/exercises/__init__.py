"""All exercises and quizzes: a folder for each lesson, in it a file for each exercise, and ``quizzes.py``.

A file that defines ``EXERCISE`` is an exercise, of the function whose name it bears. Where the mistakes that people
make do not fit beside its cases and properties, they stand in ``NAME_mistakes.py``; what several exercises of a lesson
use stands in ``shared.py``.
"""

import difflib
import importlib
import pkgutil

_modules = [importlib.import_module(found.name) for found in pkgutil.walk_packages(__path__, prefix=f"{__name__}.")]

EXERCISES = tuple(module.EXERCISE for module in _modules if hasattr(module, "EXERCISE"))
QUIZZES = tuple(quiz for module in _modules for quiz in getattr(module, "QUIZZES", ()))

for _all in (EXERCISES, QUIZZES):
    _names = [item.name for item in _all]
    assert len(set(_names)) == len(_names), f"names must be unique, got {sorted(_names)}"


def get(name):
    """The exercise of that name, or None."""
    return next((exercise for exercise in EXERCISES if exercise.name == name), None)


def find(name):
    """The exercise of that name.

    Raises:
        ValueError: there is none; the message has the names that are near.
    """
    return _named(name, EXERCISES, "an exercise")


def quiz(name):
    """The quiz of that name, to be the last expression of a cell; ValueError as in `find`."""
    return _named(name, QUIZZES, "a quiz")


def _named(name, items, kind):
    names = {item.name: item for item in items}
    if name not in names:
        near = difflib.get_close_matches(str(name), names) or sorted(names)
        raise ValueError(f"name must be that of {kind}, got {name!r}. Did you mean {' or '.join(near) or 'nothing'}?")
    return names[name]
