"""One way to identify content: SHA-256 of a canonical JSON text."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any


def json_digest(content: Any, default: Callable[[Any], Any] | None = None) -> str:
    """64 hex digits that identify `content`: anything JSON can say, whatever the order of its keys.

    `default` turns what JSON does not know into something it does, as in `json.dumps`.

    Example
    -------
    >>> json_digest({"b": 1, "a": [2]}) == json_digest({"a": [2], "b": 1})
    True
    """
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=default).encode()).hexdigest()
