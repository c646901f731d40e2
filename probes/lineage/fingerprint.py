"""Identity by content: what makes two stages the same, whatever they are called and wherever they lie."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from probes.lineage.hub import TOKENIZER_FILES
from probes.lineage.safety import weight_files

if TYPE_CHECKING:
    from probes.lineage.stages import Stage

_CONFIGS = ("config.json", "generation_config.json", "adapter_config.json")

_SETTLED = 2_000_000_000  # ns: a file written more recently may change again within one tick of its clock
_digests: dict[tuple[str, int, int, int], str] = {}


def file_digest(file: Path) -> str:
    """SHA-256 of a file's content; remembered in this process while size, times and inode stay the same."""
    status = file.stat()
    key = (str(file.resolve()), status.st_size, status.st_mtime_ns, status.st_ino)
    if key in _digests:
        return _digests[key]
    with open(file, "rb") as handle:
        digest = hashlib.file_digest(handle, "sha256").hexdigest()
    if time.time_ns() - status.st_mtime_ns > _SETTLED:
        _digests[key] = digest
    return digest


def stage_fingerprint(stage: Stage) -> str:
    """SHA-256 over weights, config, adapter chain, tokenizer files and chat template of a stage."""
    from probes.lineage.sources import adapter_chain, adapter_folder, weights_source
    from probes.lineage.tokenizers import tokenizer_source

    base, adapters = adapter_chain(stage)
    # Pickles are only hashed here, never opened.
    parts = [f"weights:{_weights_digest(weights_source(base, allow_pickle=True))}"]
    for adapter in adapters:
        parts.append(f"adapter:{_weights_digest(adapter_folder(adapter, allow_pickle=True))}")
    parts.append(f"tokenizer:{_tokenizer_digest(tokenizer_source(stage))}")
    return _combine(parts)


def model_fingerprint(model: Any, tokenizer: Any) -> str:
    """SHA-256 over a loaded model's weights and config and its tokenizer's vocabulary and chat template."""
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


def _tokenizer_digest(folder: Path) -> str:
    if folder.is_file():
        return file_digest(folder)
    files = {folder / name for name in TOKENIZER_FILES if (folder / name).is_file()}
    files |= set((folder / "additional_chat_templates").glob("*.jinja"))
    return _files_digest(files, folder)


def _files_digest(files: Iterable[Path], folder: Path) -> str:
    return _combine(f"{file.relative_to(folder).as_posix()}:{file_digest(file)}" for file in sorted(files))


def _combine(parts: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
