"""A PEFT adapter is put onto the weights it was trained on and merged into them."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any

from probes.errors import CheckpointError
from probes.lineage.quiet import first_line, quiet_transformers
from probes.lineage.safety import check_finite, check_weight_files, read_header

_PREFIX = "base_model.model."
_LORA = re.compile(r"\.lora_(A|B|embedding_A|embedding_B)(\.weight)?$")


def merge_adapter(model: Any, folder: Path, who: str, onto: str, *, allow_pickle: bool = False) -> Any:
    """A model with an adapter merged into its weights.

    Embeddings are enlarged if the adapter enlarged them, and layers that it trained in full
    (`modules_to_save`) are replaced.

    Parameters
    ----------
    model : a transformers model. It is changed, and must not be used afterwards.
    folder : the adapter's folder, as PEFT saves it.
    who, onto : the adapter's stage and the name of the stage it goes onto, for error messages.
    allow_pickle : also read pickled weights, which can run any code when they are opened.

    Raises
    ------
    CheckpointError
        The adapter does not fit the model (the message names the first mismatch), is damaged, holds NaN, or
        is of a kind that cannot be merged, such as prompt tuning.
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
        raise CheckpointError(
            f"{who}: the adapter in {folder} does not fit stage {onto}: {first_line(error)}"
        ) from error
    missing = [str(item.message) for item in caught if "missing adapter keys" in str(item.message)]
    if missing:
        keys = re.findall(r"'([^']+)'", missing[0])
        layer = re.sub(r"\.lora_.*$", "", keys[-1]).removeprefix(_PREFIX) if keys else "some layers"
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
            f"{who}: {folder / 'adapter_config.json'} is not a PEFT configuration: {first_line(error)}"
        ) from error
    if config.is_prompt_learning:
        raise CheckpointError(
            f"{who}: {config.peft_type} adapters change the prompt and cannot be merged into weights; "
            "expected LoRA or another weight adapter"
        )


def _check_fit(header: dict[str, tuple[int, ...]], model: Any, who: str, onto: str) -> None:
    """Compare the shape of every LoRA matrix with the module it is meant for."""
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
        width, expected = (shape[1], outer[1]) if match[1] == "A" else (shape[0], outer[0])
        if width != expected:
            side = "input" if match[1] == "A" else "output"
            raise CheckpointError(
                f"{who}: the adapter was made for another architecture: its {name} has {side} width {width}, "
                f"{target} has {expected}"
            )


def _check_values(file: Path, who: str) -> None:
    from safetensors import safe_open

    with safe_open(file, framework="pt") as tensors:
        check_finite(((name, tensors.get_tensor(name)) for name in tensors.keys()), f"{who}: {file.name}")  # noqa: SIM118


def _resize(header: dict[str, tuple[int, ...]], model: Any) -> None:
    """Give the model as many rows of embeddings as the adapter's own embeddings or head have."""
    names = {id(module): name for name, module in model.named_modules()}
    embeddings = model.get_input_embeddings()
    for module in (embeddings, model.get_output_embeddings()):
        shape = header.get(f"{_PREFIX}{names.get(id(module))}.weight")
        if shape is not None and shape[0] != embeddings.weight.shape[0]:
            with quiet_transformers():
                model.resize_token_embeddings(shape[0], mean_resizing=False)
            return
