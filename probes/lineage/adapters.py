"""A PEFT adapter put onto the weights it was trained on, and merged into them."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any

from probes.errors import CheckpointError
from probes.lineage.safety import check_finite, check_weight_files, read_header

_PREFIX = "base_model.model."
_LORA = re.compile(r"\.lora_(A|B|embedding_A|embedding_B)(\.weight)?$")


def merge_adapter(model: Any, folder: Path, who: str, onto: str, *, allow_pickle: bool = False) -> Any:
    """`model` with the adapter in `folder` merged in; `model` is consumed.

    Embeddings that the adapter enlarged are enlarged, layers it trained in full (`modules_to_save`) are
    replaced. Raises CheckpointError, naming the first mismatch, when the adapter does not fit the model, is
    damaged, holds NaN, or is of a kind that cannot be merged (prompt tuning).
    """
    from peft import PeftModel

    files = check_weight_files(folder, "adapter_model", who, allow_pickle=allow_pickle)
    header = {name: tuple(row["shape"]) for file in files for name, row in read_header(file, who).items()}
    _check_kind(folder, who)
    _check_fit(header, model, who, onto)
    for file in files:
        _check_values(file, who)
    _resize(header, model)
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            adapted = PeftModel.from_pretrained(model, str(folder))
            merged = adapted.merge_and_unload()  # pyright: ignore[reportCallIssue]
    except Exception as error:  # PEFT raises whatever building the layers runs into
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise CheckpointError(
            f"{who}: the adapter in {folder} does not fit stage {onto}: {reason}"
        ) from error
    lost = [str(item.message) for item in caught if "missing adapter keys" in str(item.message)]
    if lost:
        named = re.findall(r"'([^']+)'", lost[0])
        layer = re.sub(r"\.lora_.*$", "", named[-1]).removeprefix(_PREFIX) if named else "some layers"
        raise CheckpointError(
            f"{who}: the adapter in {folder} has no weights for {layer}, which its config adapts in stage "
            f"{onto}: it was made for a model with other layers"
        )
    head, embeddings = merged.get_output_embeddings(), merged.get_input_embeddings()
    if head is not None and head.weight is not embeddings.weight:
        merged.config.tie_word_embeddings = False
    return merged


def _check_kind(folder: Path, who: str) -> None:
    from peft import PeftConfig

    try:
        config = PeftConfig.from_pretrained(str(folder))
    except Exception as error:
        raise CheckpointError(
            f"{who}: {folder / 'adapter_config.json'} is not a PEFT configuration: "
            f"{str(error).splitlines()[0]}"
        ) from error
    if config.is_prompt_learning:
        raise CheckpointError(
            f"{who}: {config.peft_type} adapters change the prompt and cannot be merged into weights; "
            "expected LoRA or another weight adapter"
        )


def _check_fit(header: dict[str, tuple[int, ...]], model: Any, who: str, onto: str) -> None:
    """Hold every LoRA matrix against the module it is meant for."""
    modules = dict(model.named_modules())
    target = f"stage {onto} ({type(model).__name__})"
    for key, shape in header.items():
        match = _LORA.search(key)
        if not match:
            continue
        name = key[: match.start()].removeprefix(_PREFIX)
        if name not in modules:
            raise CheckpointError(
                f"{who}: the adapter was made for another architecture: it adapts {name}, which {target} "
                "does not have"
            )
        weight = getattr(modules[name], "weight", None)
        if match[1] not in ("A", "B") or weight is None or weight.ndim != 2 or len(shape) != 2:
            continue
        outer = tuple(weight.shape) if type(modules[name]).__name__ != "Conv1D" else tuple(weight.shape[::-1])
        got, expected = (shape[1], outer[1]) if match[1] == "A" else (shape[0], outer[0])
        if got != expected:
            side = "input" if match[1] == "A" else "output"
            raise CheckpointError(
                f"{who}: the adapter was made for another architecture: its {name} has {side} width {got}, "
                f"{target} has {expected}"
            )


def _check_values(file: Path, who: str) -> None:
    from safetensors import safe_open

    with safe_open(file, framework="pt") as tensors:
        check_finite(((name, tensors.get_tensor(name)) for name in tensors.keys()), f"{who}: {file.name}")  # noqa: SIM118


def _resize(header: dict[str, tuple[int, ...]], model: Any) -> None:
    """Give the model as many embedding rows as the adapter's own embedding or head has."""
    from probes.lineage.quiet import quiet_transformers

    names = {id(module): name for name, module in model.named_modules()}
    embeddings = model.get_input_embeddings()
    for module in (embeddings, model.get_output_embeddings()):
        shape = header.get(f"{_PREFIX}{names.get(id(module))}.weight")
        if shape is not None and shape[0] != embeddings.weight.shape[0]:
            with quiet_transformers():
                model.resize_token_embeddings(shape[0], mean_resizing=False)
            return
