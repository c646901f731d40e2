"""The on-disk store of activations, identified by what was computed and never by a path.

A *shelf* is a folder for one model identity (digest of weights, tokenizer, template, dtype, attention
implementation, backend and library versions) with a readable `identity.json`. Its shards are safetensors
files, each written whole under a temporary name and then renamed, whose header lists the rows they hold; a
row's key is the digest of its token ids and of the tokens read. So an interrupted extraction resumes at the
next row, a second concept costs only its own new texts, and two processes may write the same shelf.
"""

from __future__ import annotations

import json
import uuid
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float, Float32
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from probes.errors import OutputError
from probes.models.sites import Site
from probes.tables.digests import json_digest
from probes.tables.writing import written_atomically


class Store:
    """A folder of shelves. Raises OutputError when the folder cannot be made or written."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)

    def shelf(self, identity: Mapping[str, object]) -> Shelf:
        """The shelf of one model identity, made when it is not there."""
        folder = self.folder / json_digest(dict(identity))[:32]
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if not (folder / "identity.json").exists():
                with written_atomically(folder / "identity.json") as temporary:
                    temporary.write_text(json.dumps(identity, indent=1, sort_keys=True))
        except OSError as error:
            raise OutputError(
                f"the store {self.folder} cannot be written: {error.strerror or error}"
            ) from None
        return Shelf(folder)


class Shelf:
    """Rows of one model identity: `[width]` float32 vectors, by row key and site."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._where: dict[tuple[str, str], tuple[Path, int]] = {}
        for shard in sorted(folder.glob("*.safetensors")):
            self._index(shard)

    def _index(self, shard: Path) -> None:
        try:
            with safe_open(shard, framework="numpy") as file:
                keys = json.loads((file.metadata() or {})["rows"])
                sites = list(file.keys())
        except (SafetensorError, KeyError, ValueError, OSError) as error:
            warnings.warn(
                f"the store's shard {shard} is damaged and is computed again: {error}", stacklevel=4
            )
            return
        for site in sites:
            for row, key in enumerate(keys):
                self._where[key, site] = (shard, row)

    def missing(self, keys: Iterable[str], sites: Sequence[Site]) -> set[str]:
        """The keys that are not here at every one of `sites`."""
        return {key for key in keys if any((key, str(site)) not in self._where for site in sites)}

    def write(self, keys: Sequence[str], values: Mapping[Site, Float[np.ndarray, "key width"]]) -> None:
        """Keep `values[site]` `[len(keys), width]`; all of it or nothing."""
        path = self.folder / f"{uuid.uuid4().hex}.safetensors"
        arrays = {str(site): np.ascontiguousarray(array, dtype=np.float32) for site, array in values.items()}
        try:
            with written_atomically(path) as temporary:
                save_file(arrays, temporary, metadata={"rows": json.dumps(list(keys))})
        except (OSError, SafetensorError) as error:
            raise OutputError(f"the store {self.folder} cannot be written: {error}") from None
        self._index(path)

    def read(
        self, keys: Sequence[str], sites: Sequence[Site]
    ) -> dict[Site, Float32[np.ndarray, "key width"]]:
        """`[len(keys), width]` float32 for each site; every key must be here (see `missing`)."""
        wanted: dict[Path, list[tuple[int, Site, int]]] = {}
        for site in sites:
            for out, key in enumerate(keys):
                shard, row = self._where[key, str(site)]
                wanted.setdefault(shard, []).append((out, site, row))
        result: dict[Site, np.ndarray] = {}
        for shard, places in wanted.items():
            with safe_open(shard, framework="numpy") as file:
                for site in {site for _, site, _ in places}:
                    array = file.get_tensor(str(site))
                    if site not in result:
                        result[site] = np.empty((len(keys), array.shape[1]), dtype=np.float32)
                    out, rows = zip(*((o, r) for o, s, r in places if s == site), strict=True)
                    result[site][list(out)] = array[list(rows)]
        return result
