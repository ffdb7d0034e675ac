"""Files of text, read and split into those to train on and those to be measured on.

1. The embedded corpus is Python's own standard library without its tests: about 12 MB of real code on every machine.
2. The split is by file and by a hash of the file's path: it does not move when other files come or go.
3. Whatever cannot be used is skipped with a stated reason.
"""

import hashlib
import os
import platform
import sysconfig
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

MIN_BYTES = 20_000  # of a corpus: below, there is neither a tokenizer to train nor text to hold out
NOT_LIBRARY = {"test", "tests", "idle_test", "site-packages", "dist-packages", "__pycache__"}

Texts = tuple[tuple[str, str], ...]  # (relative path, text)


@dataclass(frozen=True)
class Corpus:
    """The files of a source, split into those to train on and those to be measured on."""

    name: str
    train: Texts
    heldout: Texts
    skipped: tuple[tuple[str, str], ...]  # (relative path, reason)
    notes: tuple[str, ...] = ()  # what else a reader should know: a split inside the text, another encoding

    @property
    def train_bytes(self) -> int:
        return _utf8_bytes(self.train)

    @property
    def heldout_bytes(self) -> int:
        return _utf8_bytes(self.heldout)

    def describe(self) -> str:
        """Files, sizes and all that was left out, in words."""
        kinds = ", ".join(f"{count} {kind}" for kind, count in Counter(kind for _, kind in self.skipped).items())
        text = (
            f"{self.name}: {len(self.train)} files, {self.train_bytes / 1e6:.2f} MB to train on; {len(self.heldout)} "
            f"files, {self.heldout_bytes / 1e6:.2f} MB held out; {len(self.skipped)} skipped ({kinds or 'none'})."
        )
        return " ".join([text, *self.notes])


def read_corpus(source: str | os.PathLike | None = None, *, progress: bool = True) -> Corpus:
    """Reads and splits a source: None for Python's standard library, a file, a folder, or the name of a data set.

    A folder is read with its subfolders, without hidden ones and without following links to folders. Files that are
    binary (a NUL byte in them), empty, unreadable or a second copy are skipped, each with its reason.

    Raises:
        FileNotFoundError: there is no such path or data set.
        PermissionError: the path may not be read.
        ValueError: it holds under 20 kB of text.
    """
    name, entries, skipped = _entries(source)
    files, latin1, seen = [], [], set()
    for path, read in tqdm(entries, desc=f"reading {name}", unit=" files", delay=2, disable=not progress):
        text, remark = _decode(read, seen)
        if text is None:
            skipped.append((path, remark))
        else:
            files.append((path, text))
            latin1 += [path] if remark else []

    train = [file for file in files if not _is_held_out(file[0])]
    heldout = [file for file in files if _is_held_out(file[0])]
    notes = []
    share = _utf8_bytes(heldout) / max(1, _utf8_bytes(files))
    if not 0.01 <= share <= 0.2:
        train, heldout = _split_text(files)
        notes.append("Too few files, or too unequal, to hold some out: the last 5 % of the text are held out instead.")
    if latin1:
        notes.append(
            f"Not UTF-8, read as latin-1: {', '.join(map(repr, latin1[:5]))}{' ...' if len(latin1) > 5 else ''}."
        )
    corpus = Corpus(name, tuple(train), tuple(heldout), tuple(skipped), tuple(notes))
    if corpus.train_bytes + corpus.heldout_bytes < MIN_BYTES:
        raise ValueError(
            f"source must hold at least {MIN_BYTES // 1000} kB of readable text, got {str(source)!r}: "
            f"{_utf8_bytes(files)} bytes. Give it more text files. What was read: {corpus.describe()}"
        )
    return corpus


def _entries(source) -> tuple[str, list[tuple[str, Callable[[], bytes]]], list[tuple[str, str]]]:
    """A name; (relative path, how to read it) of all that may be text, in the order of the paths; what was skipped."""
    if source is None:
        found, skipped = _walk(Path(sysconfig.get_path("stdlib")), without=NOT_LIBRARY)
        library = [entry for entry in found if entry[0].endswith(".py")]
        return f"Python {platform.python_version()} standard library", library, skipped
    path = Path(source).expanduser()
    if not path.exists():
        return str(source), _data_set(str(source)), []
    if not os.access(path, os.R_OK):
        raise PermissionError(f"source must be readable, got {str(source)!r}. Change its permissions, or copy it.")
    if path.is_dir():
        return path.resolve().name, *_walk(path)
    if path.is_file():
        return path.name, [(path.name, path.read_bytes)], []
    raise ValueError(f"source must be a file or a folder, got {str(source)!r}. Save what it gives to a file.")


def _walk(root: Path, without: Iterable[str] = ()):
    found, skipped = [], []

    def skip(path, reason):
        skipped.append((Path(path).relative_to(root).as_posix(), reason))

    for folder, folders, files in os.walk(root, onerror=lambda error: skip(error.filename, "unreadable")):
        for path in [Path(folder, name) for name in folders + files]:
            if path.name.startswith("."):
                skip(path, "hidden")
            elif os.path.isfile(path):
                found.append((path.relative_to(root).as_posix(), path.read_bytes))
            elif not os.path.isdir(path):  # a broken link, a pipe: reading it would fail, or wait for ever
                skip(path, "unreadable")
        folders[:] = [name for name in folders if not name.startswith(".") and name not in without]
    return sorted(found, key=lambda entry: entry[0]), skipped


def _data_set(name):
    """The column "text" of a data set of the package `datasets`: one file a row."""
    wanted = f"source must be a file, a folder or the name of a data set, got {name!r}: there is no such path, and"
    try:
        from datasets import load_dataset
    except ImportError:
        raise FileNotFoundError(f"{wanted} names need `pip install datasets`. Correct the path, or do that.") from None
    try:
        rows = load_dataset(name, split="train")["text"]
    except Exception as error:  # no network, no such name, no such column: each its own class
        raise FileNotFoundError(f"{wanted} no such data set: {error}. Correct the path or the name.") from error
    return [(f"{row:09d}", (text or "").encode) for row, text in enumerate(rows)]


def _decode(read, seen: set[bytes]) -> tuple[str | None, str]:
    """The text and a remark on it ("" or "latin-1"); or None and the reason to skip it."""
    try:
        raw = read()
    except OSError:
        return None, "unreadable"
    if not raw:
        return None, "empty"
    if b"\0" in raw:
        return None, "binary"
    digest = hashlib.sha256(raw).digest()
    if digest in seen:
        return None, "duplicate"
    seen.add(digest)
    try:
        return raw.decode(), ""
    except UnicodeDecodeError:
        return raw.decode("latin-1"), "latin-1"


def _is_held_out(path: str) -> bool:
    """About 5 % of all paths."""
    return int.from_bytes(hashlib.sha256(path.encode(errors="surrogateescape")).digest()[:4], "big") % 100 < 5


def _split_text(files):
    """Cuts the files, taken as one text, near 95 %: after the first end of line there, if one is near."""
    before = sum(len(text) for _, text in files) * 95 // 100  # characters that are still to come before the cut
    train, heldout = [], []
    for path, text in files:
        cut = min(before, len(text))
        before -= cut
        if 0 < cut < len(text):
            cut = text.find("\n", cut, (cut + len(text)) // 2) + 1 or cut
        train.append((path, text[:cut]))
        heldout.append((path, text[cut:]))
    return [file for file in train if file[1]], [file for file in heldout if file[1]]


def _utf8_bytes(files) -> int:
    return sum(len(text.encode()) for _, text in files)
