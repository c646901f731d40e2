"""A model gets as many rows of embeddings as the adapter was trained with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from probes.errors import CheckpointError
from probes.lineage.adapter_faults import PREFIX
from probes.lineage.quiet import quiet_transformers


def fit_rows(
    header: Mapping[str, tuple[int, ...]], config: Any, model: Any, who: str, onto: str
) -> tuple[str, ...]:
    """Give the model as many rows of embeddings and head as the adapter's own have.

    New rows that the adapter does not hold are the mean of the others, so that every load gives the same.

    Parameters
    ----------
    header : the shape of every tensor in the adapter's file.
    config : PEFT's configuration of the adapter.
    model : the model, which is changed.
    who, onto : the adapter's stage and the one it goes onto, for the message.

    Returns
    -------
    What has to be said: which new rows are in no file.

    Raises
    ------
    CheckpointError
        The adapter was trained with another number of rows and does not hold the new ones.
    """
    import torch

    names = {id(module): name for name, module in model.named_modules()}
    embeddings, head = model.get_input_embeddings(), model.get_output_embeddings()
    before = embeddings.weight.shape[0]
    whole = {
        module: rows
        for module in (embeddings, head)
        if module is not None and (rows := _whole_rows(header, names[id(module)])) is not None
    }
    rows = next((n for n in whole.values() if n != before), None) or _added_tokens(config, before)
    if rows is None:
        for module in (embeddings, head):
            name = names.get(id(module), "")
            adapted = _adapted_rows(header, name)
            if adapted is not None and adapted != before and not whole:
                raise CheckpointError(
                    f"{who}: the adapter was trained with {adapted} rows of {name}, stage {onto} has "
                    f"{before}, and the adapter does not hold the others: save it with "
                    "save_embedding_layers=True, or name as onto a stage with that many rows"
                )
        return ()
    with quiet_transformers():
        model.resize_token_embeddings(rows, mean_resizing=False)
    # What the adapter replaces (modules_to_save) does not go into the weight that a tied head shares.
    replaced = tuple(getattr(config, "modules_to_save", None) or ())
    into_base = any(not names[id(module)].endswith(replaced) for module in whole)
    given = {names[id(module)] for module in whole}
    notes = []
    for module in (model.get_input_embeddings(), model.get_output_embeddings()):
        name = _name(model, module)
        is_tied_head = module is not model.get_input_embeddings() and _tied(model)
        if module is None or rows <= before or is_tied_head or name in given or (into_base and _tied(model)):
            continue
        with torch.no_grad():
            module.weight[before:] = module.weight[:before].float().mean(0).to(module.weight.dtype)
        if whole or module is not model.get_input_embeddings():  # else these rows are the trained tokens'
            notes.append(
                f"{rows - before} new rows of {name} are in no file: they are the mean of the other {before}"
            )
    return tuple(notes)


def _name(model: Any, wanted: Any) -> str:
    return next((name for name, module in model.named_modules() if module is wanted), "the embeddings")


def _tied(model: Any) -> bool:
    head = model.get_output_embeddings()
    return head is not None and head.weight is model.get_input_embeddings().weight


def _whole_rows(header: Mapping[str, tuple[int, ...]], name: str) -> int | None:
    """How many rows the adapter holds of the whole weight of a module; None if it does not hold it."""
    keys = (f"{PREFIX}{name}{middle}.weight" for middle in ("", ".base_layer", ".token_adapter.base_layer"))
    return next((header[key][0] for key in keys if key in header), None)


def _adapted_rows(header: Mapping[str, tuple[int, ...]], name: str) -> int | None:
    """How many rows the low-rank matrices of a module are for; None if there are none."""
    if (shape := header.get(f"{PREFIX}{name}.lora_embedding_A")) is not None:
        return shape[1]
    shape = header.get(f"{PREFIX}{name}.lora_B.weight")
    return None if shape is None else shape[0]


def _added_tokens(config: Any, before: int) -> int | None:
    """How many rows the trained token indices need, if the model has fewer."""
    indices = getattr(config, "trainable_token_indices", None) or getattr(config, "token_indices", None) or []
    lists = indices.values() if isinstance(indices, dict) else [indices]
    most = max((index for numbers in lists for index in numbers), default=-1) + 1
    return most if most > before else None
