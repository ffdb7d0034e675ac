"""Where the course keeps its files, and the ways to write them."""

import json
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def home() -> Path:
    """What the course can rebuild and what the learner made: $MINI_MOE_HOME, else ~/.mini_moe."""
    return Path(os.environ.get("MINI_MOE_HOME") or "~/.mini_moe").expanduser()


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that at any moment ``path`` holds either the old content or the new, whole and on the disk.

    The folder is made if need be. Two processes may write the same file: the last one wins.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        with naming(path), aside.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def write_json(path: Path, content: dict) -> None:
    """The same for a dictionary, in lines that a person can read."""
    write_atomically(path, (json.dumps(content, indent=1) + "\n").encode())


def append_json(path: Path, content: dict) -> None:
    """Add a line to a file of such lines. What was cut off by a full disk or a crash can only be the last one."""
    with naming(path), path.open("a") as file:
        file.write(json.dumps(content) + "\n")


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """An error of the system tells which file it is about, also where, as on a full disk, it did not know."""
    try:
        yield
    except OSError as error:
        if error.errno is not None and error.filename is None:
            error.filename = str(path)
        raise
