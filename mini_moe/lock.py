"""One process at a time in a folder: the operating system's lock on a hidden file, which dies with its holder.

The file stays and says nothing by being there: it is the lock on it that counts, and the system lets go of that when
the process ends, however it ends. So nothing is left over from a process that was killed.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mini_moe.files import naming

if sys.platform == "win32":
    import msvcrt

    def _take(file: int) -> None:
        os.lseek(file, 1 << 20, os.SEEK_SET)  # of the bytes there: the first ones are to be read by others
        msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        os.lseek(file, 0, os.SEEK_SET)
else:
    import fcntl

    def _take(file: int) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


@contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """Within, no other process can enter the same folder, which is there already.

    Raises:
        ValueError: another process is in it; its number is told.
        OSError: the folder is not there, or cannot be written in.
    """
    path = folder / ".lock"
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        try:
            with naming(path):
                _take(file)
        except (BlockingIOError, PermissionError):  # what the two systems call it
            number = os.read(file, 32).decode()
            holder = f"process {number}" if number else "another process"  # it may not have written its number yet
            raise ValueError(
                f"folder must be one that no other process trains in, got {folder}: {holder} is training there. "
                "Wait until that has ended, stop it, or use another folder."
            ) from None
        with naming(path):
            os.ftruncate(file, 0)
            os.write(file, str(os.getpid()).encode())
        yield
    finally:
        os.close(file)
