"""`Clock`: the wall time of the steps of a long run, for its record."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime


class Clock:
    """The wall time of the steps of a run.

    Example
    -------
    >>> clock = Clock()
    >>> with clock.step("load base"):
    ...     pass
    >>> list(clock.seconds), clock.total() >= 0
    (['load base'], True)
    """

    def __init__(self) -> None:
        self.started = datetime.now(UTC).isoformat(timespec="seconds")
        self.seconds: dict[str, float] = {}
        self._begin = time.perf_counter()

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Time what happens inside the `with` as the step `name`."""
        begin = time.perf_counter()
        yield
        self.seconds[name] = round(time.perf_counter() - begin, 2)

    def total(self) -> float:
        """The seconds since the clock was made."""
        return round(time.perf_counter() - self._begin, 2)
