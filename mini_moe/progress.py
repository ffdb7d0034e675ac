"""A sign of life from calls that do not tell how far they are."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread

from tqdm.auto import tqdm


@contextmanager
def clock(description: str, shown: bool = True) -> Iterator[None]:
    """Within, the time that has passed is shown, twice a second, if what runs there lets go of Python's lock."""
    ended = Event()
    with tqdm(desc=description, bar_format="{desc}: {elapsed}", disable=not shown) as bar:

        def tick():
            while not ended.wait(0.5):
                bar.refresh()

        thread = Thread(target=tick, daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()
