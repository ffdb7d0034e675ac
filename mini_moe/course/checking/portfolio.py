"""The learner's portfolio: the source of every function that passed, each a file that stands alone.

A function of a notebook leans on that notebook: on its imports, its constants, other functions. `keep` finds what
the source refers to (``symtable`` tells a global from a local of the same name), and writes it all to one file:
imports, then constants, then helpers, then the function.
"""

import ast
import importlib
import inspect
import symtable
from textwrap import dedent
from types import ModuleType

from mini_moe.files import home, write_atomically

_NAMESPACE = "portfolio"  # kept functions are of modules of this name, one each


def source_of(function):
    """The source text of a function or class, from a file or from a notebook cell.

    Raises:
        ValueError: it has none that Python can find, as one made by ``exec`` or written in C.
    """
    try:
        return dedent(inspect.getsource(inspect.unwrap(function))).rstrip() + "\n"
    except (OSError, TypeError) as error:
        name = getattr(function, "__name__", function)
        raise ValueError(f"{name} has no source that Python can find: write it with `def` in a cell.") from error


def keep(function):
    """Write the source of a function, with all that it needs, to the portfolio; returns the path.

    Raises:
        ValueError: it has no source, or needs a global value that no file could hold.
    """
    function = inspect.unwrap(function)
    parts = {"import": [], "constant": [], "definition": []}
    _collect(function, function.__globals__, parts, seen=set())
    groups = ["".join(sorted(set(parts["import"]))), "".join(parts["constant"]), "\n\n".join(parts["definition"])]
    path = _folder() / f"{function.__name__}.py"
    write_atomically(path, "\n\n".join(group for group in groups if group).encode())
    return path


def passed(name):
    """Your function of that name, as it passed its check: from the portfolio, so after a restart, or elsewhere, too.

    Raises:
        ValueError: no such function is kept.
    """
    path = _folder() / f"{name}.py"
    if name not in kept():
        raise ValueError(f"name must be that of a kept function ({', '.join(kept()) or 'none yet'}), got {name!r}.")
    namespace = {"__name__": f"{_NAMESPACE}.{name}", "__file__": str(path)}
    exec(compile(path.read_text(encoding="utf-8"), str(path), "exec"), namespace)
    return namespace[name]


def is_kept(function):
    """Does it come from `passed`, and not from a cell of this notebook?"""
    return getattr(function, "__module__", None) == f"{_NAMESPACE}.{getattr(function, '__name__', None)}"


def kept():
    """The names of the kept functions, sorted."""
    return sorted(path.stem for path in _folder().glob("*.py"))


def _folder():
    return home() / "portfolio"


def _collect(thing, namespace, parts, seen):
    """Append what ``thing`` refers to, and then its own source, to ``parts``; what is used comes before its user."""
    seen.add(thing.__name__)
    source = source_of(thing)
    for name in sorted(_globals_of(source) & namespace.keys() - seen):
        value = namespace[name]
        statement = _import(name, value)
        if statement:
            parts["import"].append(statement)
        elif inspect.isroutine(value) or inspect.isclass(value):
            _collect(inspect.unwrap(value), namespace, parts, seen)
        elif _is_literal(value):
            seen.add(name)
            parts["constant"].append(f"{name} = {value!r}\n")
        else:
            raise ValueError(
                f"{thing.__name__} uses the global `{name}`, a {type(value).__name__} that no file can hold: "
                "make it an argument."
            )
    parts["definition"].append(source)


def _globals_of(source):
    """Names that the source of a definition takes from outside.

    >>> sorted(_globals_of("def f(x, eps=EPS): y = x; return g(y)"))
    ['EPS', 'g']
    """

    def visit(table):
        for symbol in table.get_symbols():
            outer = table.get_type() == "module" and not symbol.is_assigned()
            if symbol.is_referenced() and (outer or symbol.is_global()):
                yield symbol.get_name()
        for child in table.get_children():
            yield from visit(child)

    return set(visit(symtable.symtable(source, "<kept>", "exec")))


def _import(name, value):
    """The statement that makes ``value`` known as ``name``, or None if the notebook made it itself."""
    if isinstance(value, ModuleType):
        return f"import {value.__name__}" + (f" as {name}\n" if value.__name__ != name else "\n")
    module, original = getattr(value, "__module__", None), getattr(value, "__name__", None)
    if module in (None, "__main__") or not original:
        return None
    try:
        known = getattr(importlib.import_module(module), original, None)
    except ImportError:
        return None
    if known is not value:
        return None
    return f"from {module} import {original}" + (f" as {name}\n" if original != name else "\n")


def _is_literal(value):
    try:
        return ast.literal_eval(repr(value)) == value
    except (ValueError, SyntaxError):
        return False
