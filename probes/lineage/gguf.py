"""A GGUF file is converted once into a plain Hugging Face folder, which loads like any other checkpoint."""

from __future__ import annotations

import io
import json
from contextlib import redirect_stderr
from pathlib import Path

from probes.errors import CheckpointError
from probes.lineage.cache import cache_folder, new_folder
from probes.lineage.hashing import file_digest
from probes.lineage.quiet import one_line, quiet_transformers

_FORMAT = "1"
"""Part of the cache's key: raise it when what is written below changes."""


def converted_folder(file: Path) -> Path:
    """A folder in the user's cache with the float32 safetensors, config and tokenizer of a GGUF file.

    Quantised tensors are dequantised. The cache goes by the file's content, so that a file which has moved is
    not converted again and one which has changed is. Raises CheckpointError when transformers cannot read it.
    """
    folder = cache_folder() / "gguf" / f"{file_digest(file)[:32]}-{_FORMAT}"
    if not folder.is_dir():
        with new_folder(folder) as building:
            _convert(file, building)
    return folder


def _convert(file: Path, folder: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    with open(file, "rb") as start:
        if start.read(4) != b"GGUF":
            raise CheckpointError(f"{file}: not a GGUF file: it does not start with GGUF")
    with quiet_transformers(), redirect_stderr(io.StringIO()):  # the GGUF reader draws a bar of its own
        try:
            tokenizer = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
            model = AutoModelForCausalLM.from_pretrained(
                file.parent, gguf_file=file.name, dtype=torch.float32, trust_remote_code=False
            )
        except Exception as error:  # the reader raises whatever its parsing runs into
            raise CheckpointError(
                f"{file}: cannot be read as GGUF: {type(error).__name__}: {one_line(error)}"
            ) from error
        setattr(model, "is_quantized", False)  # noqa: B010
        model.__dict__.pop("hf_quantizer", None)
        model.config.__dict__.pop("quantization_config", None)
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    _drop_invented_tokens(folder / "tokenizer.json", model.config.vocab_size)


def _drop_invented_tokens(file: Path, rows: int) -> None:
    """Remove tokens past the last embedding: transformers adds `<|endoftext|>` where a GGUF has none."""
    content = json.loads(file.read_text(encoding="utf-8"))
    content["added_tokens"] = [token for token in content["added_tokens"] if token["id"] < rows]
    file.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
