"""What configs and the headers of weight files tell of a stage, without reading its weights."""

from __future__ import annotations

from typing import Any

from probes.errors import CheckpointError
from probes.lineage.adapter_faults import misfit
from probes.lineage.adapters import adapter_config, check_kind
from probes.lineage.decoders import find_blocks
from probes.lineage.entries import Entry
from probes.lineage.loading import mismatch, model_class, read_config
from probes.lineage.quiet import one_line, quiet_transformers
from probes.lineage.safety import check_remote_code, check_weight_files, read_header
from probes.lineage.sources import adapter_folder, weights_folder


def model_skeleton(entry: Entry, *, allow_pickle: bool = False, trust_remote_code: bool = False) -> Any:
    """The model of a stage without values (on the device "meta"), after checking that its files fit.

    The config has to be that of a decoder with attention, the tensors in the weight files have to have the
    shapes that it makes (where it makes a tensor of that name, and the weights are not quantised), and
    adapters the layers and widths of the model. Whether tensors are missing, what the values are, and what
    only running the model can tell, such as whether it is causal, is not checked.

    Raises
    ------
    CheckpointError
        Something does not fit; the message is that of loading the stage.
    OfflineError
        A file would have to be downloaded and cannot be.

    Example
    -------
    >>> model_skeleton(lineage["mid"].entry).device.type
    'meta'
    """
    import torch
    from transformers import AutoConfig

    base, adapters = entry.adapter_chain()
    who = f"stage {base.name}"
    folder = weights_folder(base, allow_pickle=allow_pickle, trust_remote_code=trust_remote_code)
    config = read_config(folder, who)
    if not trust_remote_code:
        check_remote_code(config, who, folder)
    kind = model_class(config, who, folder)
    try:
        with quiet_transformers(), torch.device("meta"):
            model = kind.from_config(
                AutoConfig.from_pretrained(folder, trust_remote_code=trust_remote_code),
                trust_remote_code=trust_remote_code,
            )
    except Exception as error:  # a config can be wrong in as many ways as there are architectures
        raise CheckpointError(f"{who}: the model in {folder} cannot be built: {one_line(error)}") from error
    find_blocks(model)
    expected = {name: list(tensor.shape) for name, tensor in model.state_dict().items()}
    files = check_weight_files(folder, "model", who, allow_pickle=allow_pickle)
    given = {name: row["shape"] for file in files for name, row in read_header(file, who).items()}
    quantised = "quantization_config" in config
    differing = (
        []
        if quantised
        else [(n, given[n], expected[n]) for n in sorted(given) if n in expected and given[n] != expected[n]]
    )
    if differing:
        raise mismatch(differing, type(model).__name__, who, folder)
    for adapter in adapters:
        _check_adapter(adapter, model, allow_pickle)
    return model


def _check_adapter(adapter: Entry, model: Any, allow_pickle: bool) -> None:
    """Raise CheckpointError for an adapter of a kind that cannot be merged, or that was made for another
    model."""
    who, folder = f"stage {adapter.name}", adapter_folder(adapter, allow_pickle=allow_pickle)
    check_kind(adapter_config(folder, who), who)
    files = check_weight_files(folder, "adapter_model", who, allow_pickle=allow_pickle)
    header = {name: tuple(row["shape"]) for file in files for name, row in read_header(file, who).items()}
    onto = adapter.onto.name if adapter.onto else "its base"
    if reason := misfit(header, model, f"stage {onto} ({type(model).__name__})"):
        raise CheckpointError(f"{who}: {reason} ({folder})")
