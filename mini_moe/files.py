"""Where the course keeps its files, and the one way to write them."""

import json
import os
import uuid
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
        with aside.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def write_json(path: Path, content: dict) -> None:
    """The same for a dictionary, in lines that a person can read."""
    write_atomically(path, (json.dumps(content, indent=1) + "\n").encode())
