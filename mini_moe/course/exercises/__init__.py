"""All exercises and quizzes: each module of this package is a lesson and may define ``EXERCISES`` and ``QUIZZES``."""

import difflib
import importlib
import pkgutil

_lessons = [importlib.import_module(f"{__name__}.{found.name}") for found in pkgutil.iter_modules(__path__)]

EXERCISES = tuple(exercise for lesson in _lessons for exercise in getattr(lesson, "EXERCISES", ()))
QUIZZES = tuple(quiz for lesson in _lessons for quiz in getattr(lesson, "QUIZZES", ()))

for _all in (EXERCISES, QUIZZES):
    _names = [item.name for item in _all]
    assert len(set(_names)) == len(_names), f"names must be unique, got {sorted(_names)}"


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
