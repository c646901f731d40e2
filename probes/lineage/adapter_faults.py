"""Why an adapter does not fit: PEFT's errors and silences, said in one line with the layer and the shapes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from probes.errors import CheckpointError
from probes.lineage.quiet import one_line

PREFIX = "base_model.model."
"""How PEFT begins the name of every tensor of an adapter."""
_LORA = re.compile(r"\.lora_(A|B|embedding_A|embedding_B)(\.weight)?$")
_MISMATCH = re.compile(
    r"size mismatch for (\S+): copying a param with shape torch\.Size\((\[.*?\])\) from checkpoint, "
    r"the shape in current model is torch\.Size\((\[.*?\])\)"
)
Shapes = Mapping[str, tuple[int, ...]]


def explain_failure(
    error: Exception, header: Shapes, model: Any, who: str, folder: Path, target: str
) -> CheckpointError:
    """The error to raise when PEFT could not load an adapter.

    Parameters
    ----------
    error : PEFT's.
    header : the shape of every tensor in the adapter's file.
    model : the model it was to be loaded into.
    who, folder, target : the adapter's stage and folder, and the stage it goes onto, for the message.
    """
    if reason := misfit(header, model, target):
        return CheckpointError(f"{who}: {reason} ({folder})")
    if isinstance(error, KeyError):
        return CheckpointError(
            f"{who}: the adapter in {folder} holds no tensor {error}, which its adapter_config.json promises "
            "(modules_to_save or trainable_token_indices): save it again with PEFT's save_pretrained"
        )
    if mismatch := _MISMATCH.search(str(error)):
        layer = mismatch[1].removeprefix(PREFIX).replace(".default", "")
        return CheckpointError(
            f"{who}: the adapter in {folder} does not fit {target}: its {layer} is {mismatch[2]}, but its "
            f"adapter_config.json (r, rank_pattern, target_modules) and the model expect {mismatch[3]}"
        )
    return CheckpointError(f"{who}: the adapter in {folder} does not fit {target}: {one_line(error)}")


def check_complete(
    header: Shapes,
    unplaced: Sequence[str],
    warnings: Sequence[str],
    model: Any,
    who: str,
    folder: Path,
    target: str,
) -> None:
    """Raise CheckpointError if tensors of the adapter have no place, or if places got no tensor.

    `unplaced` are the keys that PEFT dropped, `warnings` what it warned of; the rest is as in
    `explain_failure`.
    """
    missing = [text for text in warnings if "missing adapter keys" in text]
    if unplaced:
        if reason := misfit(header, model, target):
            raise CheckpointError(f"{who}: {reason} ({folder})")
        key = _saved_key(unplaced[0], header)
        more = f" and {len(unplaced) - 1} more tensors" if len(unplaced) > 1 else ""
        raise CheckpointError(
            f"{who}: the adapter in {folder} holds {key.removeprefix(PREFIX)} "
            f"{list(header.get(key, ()))}{more}, which its adapter_config.json does not name "
            "(target_modules, layers_to_transform, modules_to_save): PEFT would drop them; correct the "
            "config, or save the adapter again"
        )
    if missing:
        keys = re.findall(r"'([^']+)'", missing[0])
        layer = re.sub(r"\.lora_.*$", "", keys[-1]).removeprefix(PREFIX) if keys else "some layers"
        raise CheckpointError(
            f"{who}: the adapter in {folder} has no weights for {layer}, which its config adapts in "
            f"{target}: it was made for a model with other layers, or its file is not complete"
        )


def misfit(header: Shapes, model: Any, target: str) -> str | None:
    """Why an adapter was made for another model, by the shapes of its tensors; None where it was not."""
    return _other_layers(header, model, target) or _no_prefix(header)


def _saved_key(key: str, header: Shapes) -> str:
    """The name in the file of a key in which PEFT has inserted the adapter's name."""
    plain = key.replace(".default", "")
    return next((name for name in (key, plain, PREFIX + plain) if name in header), plain)


def _no_prefix(header: Shapes) -> str | None:
    first = next(iter(header), "")
    if not header or any(name.startswith("base_model.") for name in header):
        return None
    return (
        f"the tensors of the adapter have no names of PEFT: {first} does not begin with {PREFIX}; rename "
        "them, or save the adapter with PEFT's save_pretrained"
    )


def _other_layers(header: Shapes, model: Any, target: str) -> str | None:
    """The first LoRA matrix whose layer the model does not have, or has with another width."""
    modules = dict(model.named_modules(remove_duplicate=False))
    for key, shape in header.items():
        match = _LORA.search(key)
        if not match or not key.startswith(PREFIX):
            continue
        name = re.sub(r"(\.base_layer)+$", "", key[: match.start()].removeprefix(PREFIX))
        module = modules.get(name, modules.get(f"{PREFIX}{name}"))
        if module is None:
            reason = f"it adapts {name}, which {target} does not have"
            return f"the adapter was made for another architecture: {reason}"
        weight = getattr(getattr(module, "base_layer", module), "weight", None)
        if match[1] not in ("A", "B") or weight is None or weight.ndim != 2 or len(shape) != 2:
            continue
        outer = (
            tuple(weight.shape) if "Conv1D" not in str(type(module).__mro__) else tuple(weight.shape[::-1])
        )
        width, expected = (shape[1], outer[1]) if match[1] == "A" else (shape[0], outer[0])
        if width != expected:
            side = "input" if match[1] == "A" else "output"
            return (
                f"the adapter was made for another architecture: its {name} has {side} width {width}, "
                f"{target} has {expected}"
            )
    return None
