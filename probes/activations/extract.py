"""`extract`: from a stage and a concept to activations, controls included."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from probes.activations import rendering
from probes.activations.activations import Activations
from probes.activations.controls import CONTROLS, mean_embedding, random_init
from probes.activations.reading import read_rows
from probes.activations.store import Store, digest
from probes.concepts import Concept, load_concept
from probes.errors import InputError
from probes.lineage import LoadedStage, Stage, as_loaded
from probes.models import BackendName, HookedModel, hooked
from probes.models.sites import expand


def extract(
    stage: Stage | LoadedStage,
    concept: Concept | str | Path,
    sites: str | Sequence[str] = "resid_post",
    layers: str | int | Sequence[int] = "all",
    position: str = "last",
    backend: BackendName = "transformers",
    store: str | Path | Store | None = None,
    **options: Any,
) -> Activations | dict[str, Activations]:
    """Activations of every example of `concept` at `sites` of `stage`.

    Parameters
    ----------
    sites : a kind of site (see `probes.models.sites.SiteKind`), or several: then a dict kind -> Activations.
    layers : "all", a block index, or several; negative indices count from the end.
    position : where in the text to read, one of `probes.activations.POSITIONS`.
    backend : "transformers" (fast), "transformer_lens" or "nnsight".
    store : folder of the on-disk store; rows that are there are read instead of computed.
    options : those of `extract_many`.

    Returns
    -------
    Activations with `.values` `[layer, example, width]` float32.

    Raises
    ------
    ConceptError, SiteError, TokenizerError, OutputError : see their docstrings.
    """
    kinds = [sites] if isinstance(sites, str) else list(sites)
    found = extract_many(stage, concept, kinds, layers, [position], backend, store, **options)
    return (
        found[kinds[0], position]
        if isinstance(sites, str)
        else {kind: found[kind, position] for kind in kinds}
    )


def extract_many(
    stage: Stage | LoadedStage,
    concept: Concept | str | Path,
    sites: Sequence[str] = ("resid_post",),
    layers: str | int | Sequence[int] = "all",
    positions: Sequence[str] = ("last",),
    backend: BackendName = "transformers",
    store: str | Path | Store | None = None,
    *,
    render: str = "shared",
    truncate: bool = False,
    batch_tokens: int | None = None,
    controls: Sequence[str] = CONTROLS,
    progress: bool = True,
    device: str = "auto",
    dtype: str = "float32",
) -> dict[tuple[str, str], Activations]:
    """Several kinds of site and several positions in one pass; keys are (kind of site, position).

    Parameters
    ----------
    render : "shared" reads the same token ids at every stage of the lineage; "own" the stage's own template.
    truncate : cut texts that are longer than the context window instead of raising ConceptError.
    batch_tokens : tokens per forward, padding included; default 512 on a CPU, whose caches hold what a block
        makes of so many, and 2048 elsewhere.
    controls : inputs of the surface baselines to make as well: "embedding" (free) and "random_init" (one
        more forward, once for all stages of one architecture).
    device, dtype : used when `stage` is not loaded yet.
    """
    unknown = [c for c in controls if c not in CONTROLS]
    if unknown:
        raise InputError(f"control {unknown[0]!r} is not known: expected some of {', '.join(CONTROLS)}")
    loaded = as_loaded(stage, device=device, dtype=dtype)
    concept = concept if isinstance(concept, Concept) else load_concept(concept)
    model = hooked(loaded, backend)
    wanted = {kind: expand(kind, layers, model.n_layers) for kind in sites}
    rows = rendering.render(loaded, concept, positions, render, model.max_positions, truncate)
    identity = _identity(loaded, model, backend)
    if store is not None and not isinstance(store, Store):
        store = Store(store)
    label = f"{loaded.name} · {concept.name}" if progress else None
    values = read_rows(
        lambda: model,
        rows,
        wanted,
        positions,
        shelf=store.shelf(identity) if store is not None else None,
        batch_tokens=batch_tokens,
        label=label,
    )
    made: dict[str, np.ndarray] = {}
    if "embedding" in controls:
        made["embedding"] = mean_embedding(loaded, rows)
    random_values = {}
    if "random_init" in controls:
        label = f"random init · {concept.name}" if progress else None
        random_values = random_init(
            loaded,
            rows,
            wanted,
            positions,
            identity=identity,
            store=store,
            batch_tokens=batch_tokens,
            label=label,
        )
    result = {}
    for kind, group in wanted.items():
        for position in positions:
            repeats = np.array([len(r.ids) if position == "all" else 1 for r in rows])
            result[kind, position] = Activations(
                values=values[kind, position],
                site=kind,
                layers=[site.layer or 0 for site in group],
                position=position,
                labels=np.repeat(concept.labels, repeats),
                groups=np.repeat(concept.groups, repeats),
                splits=np.repeat(concept.splits, repeats),
                templates=np.repeat(concept.templates, repeats),
                texts=[r.text for r, n in zip(rows, repeats, strict=True) for _ in range(n)],
                stage=loaded.name,
                lineage=loaded.lineage.name if loaded.lineage else None,
                concept=concept.name,
                render=render,
                digest=digest(
                    [identity, concept.digest, kind, [str(s) for s in group], position, [r.ids for r in rows]]
                ),
                controls={name: np.repeat(array, repeats, axis=0) for name, array in made.items()}
                | ({"random_init": random_values[kind, position]} if random_values else {}),
            )
    return result


def _identity(loaded: LoadedStage, model: HookedModel, backend: str) -> dict[str, Any]:
    """What identifies a model's activations, beside the tokens themselves."""
    library = {"transformer_lens": ["transformer-lens"], "nnsight": ["nnsight"]}.get(backend, [])
    return {
        "weights": loaded.fingerprint,
        "backend": backend,
        "dtype": str(loaded.model.dtype).removeprefix("torch."),
        "attention": loaded.model.config._attn_implementation,
        "versions": {name: version(name) for name in ["torch", "transformers", *library]},
    }
