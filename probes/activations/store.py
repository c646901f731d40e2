"""The store of activations on disk. Activations are identified by what was computed, and never by a path.

A *shelf* is the folder of one model identity: a digest of weights, tokenizer, template, dtype, attention
implementation, backend and library versions, which stand in `identity.json` for people to read. A shelf holds
*shards*, which are safetensors files whose header lists their rows. The key of a row is the digest of its
token ids and of the tokens that were read. A shard is written under a temporary name and then renamed. So an
interrupted extraction goes on with the next row, a second concept costs only its own new texts, and two
processes may write to the same shelf.
"""

from __future__ import annotations

import json
import uuid
import warnings
import zlib
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
    """A folder in which activations are kept, with one shelf for each model identity.

    Parameters
    ----------
    folder : the folder; it is made when something is first kept.

    Raises
    ------
    OutputError : the folder cannot be made or written; raised when a shelf is asked for.

    Example
    -------
    >>> from probes.activations import Store
    >>> store = Store(folder / "activations")
    >>> acts = probes.extract(stage, concept, store=store, controls=(), progress=False)
    >>> len(list((folder / "activations").glob("*/identity.json")))
    1
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)

    def shelf(self, identity: Mapping[str, object]) -> Shelf:
        """The shelf of one model identity. It is made when it is not there yet."""
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
    """The rows of one model identity: vectors `[width]` float32, by row key and site."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._where: dict[tuple[str, str], tuple[Path, int]] = {}
        self._sums: dict[Path, dict[str, int]] = {}
        self._sound: dict[tuple[Path, str], bool] = {}
        for shard in sorted(folder.glob("*.safetensors")):
            if not shard.name.startswith("."):  # the temporary file of a process that is writing
                self._index(shard)

    def _index(self, shard: Path) -> None:
        try:
            with safe_open(shard, framework="numpy") as file:
                metadata = file.metadata() or {}
                keys, self._sums[shard] = json.loads(metadata["rows"]), json.loads(metadata["checksums"])
                sites = list(file.keys())
        except FileNotFoundError:
            return  # another process has moved it
        except (SafetensorError, KeyError, ValueError, OSError) as error:
            warnings.warn(
                f"the store's shard {shard} is damaged and is computed again: {error}", stacklevel=4
            )
            return
        for site in sites:
            for row, key in enumerate(keys):
                self._where[key, site] = (shard, row)

    def missing(self, keys: Iterable[str], sites: Sequence[Site]) -> set[str]:
        """The keys whose rows are not on the shelf, whole, at every one of `sites`."""
        return {key for key in keys if not all(self._holds(key, str(site)) for site in sites)}

    def _holds(self, key: str, site: str) -> bool:
        """Whether a row is there and its shard is as it was written; a shard's site is read for this once."""
        if (key, site) not in self._where:
            return False
        shard, _ = self._where[key, site]
        if (shard, site) not in self._sound:
            self._sound[shard, site] = self._is_sound(shard, site)
        return self._sound[shard, site]

    def _is_sound(self, shard: Path, site: str) -> bool:
        try:
            with safe_open(shard, framework="numpy") as file:
                sound = _checksum(file.get_tensor(site)) == self._sums[shard].get(site)
        except (SafetensorError, OSError):
            sound = False
        if not sound:
            warnings.warn(
                f"the store's shard {shard} is damaged at {site} and is computed again: its content does not "
                "have the checksum that it was written with",
                stacklevel=6,
            )
        return sound

    def write(self, keys: Sequence[str], values: Mapping[Site, Float[np.ndarray, "key width"]]) -> None:
        """Keep the rows `values[site]` `[len(keys), width]`, all of them or none.

        Raises OutputError when they cannot be written.
        """
        path = self.folder / f"{uuid.uuid4().hex}.safetensors"
        arrays = {str(site): np.ascontiguousarray(array, dtype=np.float32) for site, array in values.items()}
        try:
            with written_atomically(path) as temporary:
                checksums = {site: _checksum(array) for site, array in arrays.items()}
                metadata = {"rows": json.dumps(list(keys)), "checksums": json.dumps(checksums)}
                save_file(arrays, temporary, metadata=metadata)
        except (OSError, SafetensorError) as error:
            raise OutputError(f"the store {self.folder} cannot be written: {error}") from None
        self._index(path)

    def read(
        self, keys: Sequence[str], sites: Sequence[Site]
    ) -> dict[Site, Float32[np.ndarray, "key width"]]:
        """The rows of `keys` at each site, `[len(keys), width]` float32.

        Every key must be on the shelf; `missing` says which are not.
        """
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


def _checksum(array: np.ndarray) -> int:
    """CRC-32 of the array's bytes, which a flipped bit or a zeroed tail changes."""
    return zlib.crc32(np.ascontiguousarray(array).tobytes())
