"""A stage's identity by content: two stages with the same fingerprint are the same, whatever they are called
and wherever they lie."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from probes.lineage.entries import Entry
from probes.lineage.hashing import file_digest
from probes.lineage.hub import TOKENIZER_FILES
from probes.lineage.safety import weight_files
from probes.lineage.sources import adapter_folder, weights_source
from probes.lineage.tokenizers import tokenizer_source

_CONFIGS = ("config.json", "generation_config.json", "adapter_config.json")


def files_fingerprint(entry: Entry) -> str:
    """SHA-256, 64 hex digits, over the files of a stage: weights, config, adapters, tokenizer, chat template.

    Files that are not on this machine are downloaded. Raises what finding them raises.

    Example
    -------
    >>> files_fingerprint(lineage["mid"].entry) == files_fingerprint(lineage["copy"].entry)
    True
    """
    base, adapters = entry.adapter_chain()
    # Pickles are only hashed here and never opened, so they need no permission.
    parts = [f"weights:{_weights_digest(weights_source(base, allow_pickle=True))}"]
    for adapter in adapters:
        parts.append(f"adapter:{_weights_digest(adapter_folder(adapter, allow_pickle=True))}")
    parts.append(f"tokenizer:{_tokenizer_digest(tokenizer_source(entry))}")
    return _combine(parts)


def model_fingerprint(model: Any, tokenizer: Any) -> str:
    """SHA-256, 64 hex digits, over a model in memory: weights and config, tokenizer and chat template.

    It is not the `files_fingerprint` of the files that the model may have been loaded from.

    Example
    -------
    >>> loaded = stage.load(device="cpu")
    >>> len(model_fingerprint(loaded.model, loaded.tokenizer))
    64
    """
    import torch

    digest = hashlib.sha256()
    for name, value in sorted(model.state_dict().items()):
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
        digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    config = {key: value for key, value in model.config.to_dict().items() if not key.startswith("_")}
    digest.update(json.dumps(config, sort_keys=True, default=str).encode())
    digest.update(json.dumps(sorted(tokenizer.get_vocab().items())).encode())
    digest.update(json.dumps(tokenizer.chat_template, sort_keys=True).encode())
    backend = getattr(tokenizer, "backend_tokenizer", None)
    digest.update((backend.to_str() if backend is not None else type(tokenizer).__name__).encode())
    return digest.hexdigest()


def _weights_digest(source: Path) -> str:
    if source.is_file():
        return file_digest(source)
    files = set(weight_files(source, "model") + weight_files(source, "adapter_model"))
    files |= {source / name for name in _CONFIGS if (source / name).is_file()}
    return _files_digest(files, source)


def _tokenizer_digest(source: Path) -> str:
    if source.is_file():
        return file_digest(source)
    files = {source / name for name in TOKENIZER_FILES if (source / name).is_file()}
    files |= set((source / "additional_chat_templates").glob("*.jinja"))
    return _files_digest(files, source)


def _files_digest(files: Iterable[Path], folder: Path) -> str:
    return _combine(f"{file.relative_to(folder).as_posix()}:{file_digest(file)}" for file in sorted(files))


def _combine(parts: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
