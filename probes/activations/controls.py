"""Inputs of the surface baselines: input embeddings, and the activations of an untrained model."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from functools import cache, partial

import numpy as np
import torch
from jaxtyping import Float32

from probes.activations.passes import Values, read_rows
from probes.activations.rendering import Rendered
from probes.activations.store import Store
from probes.lineage import LoadedStage
from probes.models import PackedModel, hooked
from probes.models.sites import Site
from probes.tables.digests import json_digest

CONTROLS = ("embedding", "random_init")
"""The baselines whose inputs `extract` can make."""
RANDOM_INIT_SEED = 0
_KEPT = 8  # how many sets of activations of untrained models are held in memory
_memory: OrderedDict[str, Values] = OrderedDict()


def mean_embedding(loaded: LoadedStage, rows: Sequence[Rendered]) -> Float32[np.ndarray, "example d_model"]:
    """The mean input embedding of each text, `[row, d_model]` float32, which is a bag of its words."""
    table: torch.Tensor = loaded.model.get_input_embeddings().weight  # pyright: ignore[reportAssignmentType]
    with torch.inference_mode():
        means = [table[torch.tensor(r.ids, device=table.device)].float().mean(0) for r in rows]
        return torch.stack(means).cpu().numpy()


def random_init(
    loaded: LoadedStage,
    rows: Sequence[Rendered],
    sites: Mapping[str, list[Site]],
    positions: Sequence[str],
    *,
    identity: Mapping[str, object],
    store: Store | None,
    batch_tokens: int | None,
    label: str | None,
) -> Values:
    """The activations of the same architecture with random weights (seed 0), on the same tokens.

    They depend on the configuration alone, so all stages of one architecture share them. They are kept on
    disk where there is a `store`, and else in memory for the last few concepts.
    """
    config = {k: v for k, v in loaded.model.config.to_dict().items() if not k.startswith("_")}
    who = {**identity, "weights": f"random_init seed {RANDOM_INIT_SEED} of {json_digest(_plain(config))}"}

    @cache
    def model() -> PackedModel:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(RANDOM_INIT_SEED)
            untrained = type(loaded.model)(loaded.model.config)
        untrained.to(device=loaded.model.device, dtype=loaded.model.dtype)  # pyright: ignore
        return hooked(LoadedStage("random_init", untrained, loaded.tokenizer, fingerprint=who["weights"]))

    read = partial(read_rows, model, rows, sites, positions, batch_tokens=batch_tokens, label=label)
    if store is not None:
        return read(shelf=store.shelf(who))
    wanted = [[list(r.ids), sorted(r.reads.items())] for r in rows]
    key = json_digest([who, wanted, list(positions), [str(s) for group in sites.values() for s in group]])
    if key not in _memory:
        _memory[key] = read()
        while len(_memory) > _KEPT:
            _memory.popitem(last=False)
    _memory.move_to_end(key)
    return _memory[key]


def _plain(value: object) -> object:
    """A configuration as JSON; a value that JSON does not know is written as text."""
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return value if isinstance(value, str | int | float | bool | None) else str(value)
