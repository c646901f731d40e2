"""Who draws a result. The figures depend on the tables and never the other way round, so the package's face
tells the tables which function draws them (`draw_with`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

_drawer: list[Callable[..., Any]] = []


def draw_with(drawer: Callable[..., Any]) -> None:
    """Let `Result.figure` call `drawer(result, **options)`."""
    _drawer[:] = [drawer]


def drawing(result: Any, **options: Any) -> Any:
    """What the registered drawer makes of `result`."""
    return _drawer[0](result, **options)
