"""The digest of a stage's weights alone, and which stages of a lineage have equal weights.

A fingerprint identifies files. Two stages can have different fingerprints and the same weights: under other
file names, in other shards, in a wider dtype. Public repositories have whole revisions that serve one set of
weights.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

from probes.errors import CheckpointError, ProbesError
from probes.lineage.entries import Entry
from probes.lineage.hashing import file_digest
from probes.lineage.hub import HubPart, download_bytes, file_hashes
from probes.lineage.safety import check_weight_files, weight_files
from probes.lineage.sources import adapter_folder, hub_parts, weights_folder

_SAMPLE = 256
"""Values of each tensor that are compared before all are."""
_CHUNK = 1 << 24
_WITHOUT_MEANING = ("base_model_name_or_path", "inference_mode", "revision", "task_type", "peft_version")
"""Keys of adapter_config.json that change nothing in the weights."""


def weights_digest(entry: Entry) -> str:
    """SHA-256, 64 hex digits, over the tensors of a stage: their names, shapes and values in float32.

    It does not depend on file names, shards, dtypes that float32 holds exactly, config and tokenizer. Pickled
    weights are identified by their files. Raises what finding the files raises.

    Example
    -------
    >>> weights_digest(lineage["mid"].entry) == weights_digest(lineage["copy"].entry)
    True
    """
    return _combine(_parts(entry, None))


def model_weights_digest(model: Any) -> str:
    """The `weights_digest` of a model in memory. A weight that two modules share counts under its first name.

    Example
    -------
    >>> model_weights_digest(lineage["base"].load(device="cpu").model) == lineage["base"].weights_digest()
    True
    """
    tensors, seen = {}, set()
    for name, value in model.state_dict().items():
        place = (value.data_ptr(), tuple(value.shape)) if value.numel() else name
        if place not in seen:
            seen.add(place)
            tensors[name] = f"{list(value.shape)} {_values_digest(value, None)}"
    return _combine([_named(tensors)])


def equal_folders(one: Path, other: Path) -> bool:
    """Whether two folders hold the same full weights. Raises CheckpointError if one cannot be read."""
    return all(
        _folder_digest(one, "model", one.name, first) == _folder_digest(other, "model", other.name, first)
        for first in (_SAMPLE, None)
    )


class OneStage(Protocol):
    """What is needed of a `Stage`."""

    name: str
    parent: str | None
    entry: Entry


def equal_weights(lineage: Iterable[OneStage]) -> dict[str, str]:
    """Which stages have the weights of another one, tensor for tensor.

    The first values of each tensor are compared first, and whole tensors only where those agree. A stage
    whose weights would have to be downloaded is compared by the hashes that the hub gives of its files, which
    finds equal files but not equal tensors in other shards. Stages whose files cannot be read are left out.

    Parameters
    ----------
    lineage : a `Lineage`, or any of its stages in order.

    Returns
    -------
    From the name of a stage to that of an earlier one with the same weights, its parent if that is one.

    Example
    -------
    >>> from probes.lineage import equal_weights
    >>> equal_weights(lineage)
    {'copy': 'mid'}
    """
    seen = WeightsSeen()
    found = {stage.name: seen.equal_to(stage.entry, stage.parent) for stage in lineage}
    return {name: other for name, other in found.items() if other is not None}


class WeightsSeen:
    """The stages seen so far, for comparing the next one with them.

    `away` are the bytes to download of each part on the hub, as far as they are known already.
    """

    def __init__(self, away: dict[HubPart, int | None] | None = None) -> None:
        self._entries: list[Entry] = []
        self._samples: dict[str, str] = {}
        self._digests: dict[str, str] = {}
        self._files: dict[str, tuple[str, ...] | None] = {}
        self._away = {} if away is None else away

    def equal_to(self, entry: Entry, parent: str | None) -> str | None:
        """The name of a stage seen before that has the weights of this one, `parent` if it is one of them."""
        earlier = sorted(self._entries, key=lambda other: other.name != parent)
        self._entries.append(entry)
        try:
            return next((other.name for other in earlier if self._equal(entry, other)), None)
        except (ProbesError, OSError):  # its files cannot be read, which loading it says
            self._entries.pop()
            return None

    def _equal(self, one: Entry, other: Entry) -> bool:
        if self._is_away(one) or self._is_away(other):
            hashes = self._hashes(one)
            return hashes is not None and hashes == self._hashes(other)
        if self._sample(one) != self._sample(other):
            return False
        for entry in (one, other):
            if entry.name not in self._digests:
                self._digests[entry.name] = weights_digest(entry)
        return self._digests[one.name] == self._digests[other.name]

    def _sample(self, entry: Entry) -> str:
        if entry.name not in self._samples:
            self._samples[entry.name] = _combine(_parts(entry, _SAMPLE))
        return self._samples[entry.name]

    def _is_away(self, entry: Entry) -> bool:
        """Whether weights of the stage are certainly on the hub and not on this machine."""
        parts = [part for part in hub_parts(entry) if part.need != "tokenizer"]
        for part in parts:
            if part not in self._away:
                self._away[part] = download_bytes(part, allow_pickle=True)
        return any(self._away[part] for part in parts)

    def _hashes(self, entry: Entry) -> tuple[str, ...] | None:
        """The SHA-256 of each file with weights of the stage; None where the hub does not tell one."""
        if entry.name not in self._files:
            self._files[entry.name] = _all_hashes(entry)
        return self._files[entry.name]


def _all_hashes(entry: Entry) -> tuple[str, ...] | None:
    base, adapters = entry.adapter_chain()
    hashes: list[str] = []
    for link in (base, *adapters):
        own = [part for part in hub_parts(link) if part.need == ("weights" if link is base else "adapter")]
        if own:
            given = file_hashes(own[-1])
            if given is None:
                return None
            hashes += sorted(given)
        else:
            hashes += sorted(file_digest(file) for file in _tensor_files(link, link is base))
    return tuple(hashes)


def _tensor_files(link: Entry, is_base: bool) -> list[Path]:
    folder = weights_folder(link, allow_pickle=True) if is_base else adapter_folder(link, allow_pickle=True)
    files = weight_files(folder, "model" if is_base else "adapter_model")
    return [file for file in files if file.suffix != ".json"]


def _parts(entry: Entry, first: int | None) -> list[str]:
    """A digest of the weights under a stage, then of each adapter on them; of `first` values if given."""
    base, adapters = entry.adapter_chain()
    parts = [_folder_digest(weights_folder(base, allow_pickle=True), "model", base.name, first)]
    for adapter in adapters:
        folder = adapter_folder(adapter, allow_pickle=True)
        config = _read_adapter_config(folder / "adapter_config.json", adapter.name)
        config = {key: value for key, value in config.items() if key not in _WITHOUT_MEANING}
        parts.append(_folder_digest(folder, "adapter_model", adapter.name, first))
        parts.append(json.dumps(config, sort_keys=True))
    return parts


def _read_adapter_config(file: Path, name: str) -> dict[str, Any]:
    try:
        return dict(json.loads(file.read_text(encoding="utf-8")))
    except (ValueError, TypeError):
        raise CheckpointError(f"stage {name}: {file} is not valid JSON: save the adapter again") from None


def _folder_digest(folder: Path, stem: str, name: str, first: int | None) -> str:
    files = check_weight_files(folder, stem, f"stage {name}", allow_pickle=True)
    if not files:
        return _combine(f"pickle {file_digest(file)}" for file in weight_files(folder, stem))
    return _named(dict(_tensors(files, first)))


def _tensors(files: Iterable[Path], first: int | None) -> Iterator[tuple[str, str]]:
    from safetensors import safe_open

    for file in files:
        with safe_open(file, framework="pt") as tensors:
            for name in tensors.keys():  # noqa: SIM118
                part = tensors.get_slice(name)
                shape = part.get_shape()
                whole = first is None or not shape
                values = tensors.get_tensor(name) if whole else part[:1]
                yield name, f"{shape} {_values_digest(values, first)}"


def _values_digest(values: Any, first: int | None) -> str:
    import torch

    digest = hashlib.sha256()
    values = values.detach().flatten()[:first]
    for chunk in values.split(_CHUNK):
        narrow = chunk.dtype in (torch.float16, torch.bfloat16)
        piece = chunk.float() if narrow else chunk
        digest.update(f"{piece.dtype}".encode())
        digest.update(piece.cpu().contiguous().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _named(tensors: Mapping[str, str]) -> str:
    return _combine(f"{name} {digest}" for name, digest in sorted(tensors.items()))


def _combine(parts: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
