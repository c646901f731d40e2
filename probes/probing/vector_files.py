"""Files of directions and subspaces: arrays in safetensors, and their origin as JSON in its metadata."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from probes.errors import InputError
from probes.models.sites import Site
from probes.tables.writing import written_atomically


def write_vectors(path: str | Path, kind: str, arrays: Mapping[str, np.ndarray], facts: Any) -> None:
    """Write arrays, with the facts about them, of which `site` is a `Site`.

    Parameters
    ----------
    kind : what is written, "direction" or "subspace".

    Raises
    ------
    OutputError : the file cannot be written.
    """
    text = json.dumps(dict(facts) | {"site": str(facts["site"])})
    with written_atomically(path) as temporary:
        contiguous = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
        save_file(contiguous, temporary, metadata={kind: text})


def read_vectors(path: str | Path, kind: str, names: Iterable[str]) -> dict[str, Any]:
    """The arrays and the facts that `write_vectors` wrote, by name.

    Parameters
    ----------
    names : of all that must be there.

    Raises
    ------
    InputError : the file is missing, or holds something else.
    """
    try:
        with safe_open(str(path), framework="np") as file:
            facts = json.loads((file.metadata() or {})[kind])
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            found = arrays | facts | {"site": Site.parse(facts["site"])}
            return {name: found[name] for name in names}
    except (OSError, SafetensorError, KeyError, TypeError, json.JSONDecodeError) as error:
        raise InputError(
            f"{path}: expected a {kind} written by {kind.capitalize()}.save ({error})"
        ) from error
