"""`extract` and `extract_many`: from a stage and a concept to activations."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Unpack

import numpy as np

from probes.activations import rendering
from probes.activations.activations import Activations
from probes.activations.context import RunContext, RunOptions, run_context
from probes.activations.controls import CONTROLS, mean_embedding, random_init
from probes.activations.passes import read_rows
from probes.concepts import Concept, load_concept
from probes.errors import InputError
from probes.lineage import LoadedStage, Stage
from probes.models.sites import expand
from probes.tables.digests import json_digest


def extract(
    stage: Stage | LoadedStage | RunContext,
    concept: Concept | str | Path,
    sites: str = "resid_post",
    layers: str | int | Sequence[int] = "all",
    position: str = "last",
    *,
    controls: Sequence[str] = CONTROLS,
    **run: Unpack[RunOptions],
) -> Activations:
    """The activations of every example of a concept at one kind of site of a stage.

    Parameters
    ----------
    stage : a stage, a loaded stage or a run context.
    concept : a concept, the name of a packaged one, or a path.
    sites : the kind of site, one of `probes.models.KINDS`; `extract_many` takes several.
    layers : "all", the index of a block, or several; negative indices count from the end.
    position : where in the text activations are read, as `probes.activations.POSITIONS` says.
    controls : the inputs of surface baselines that are made as well: "embedding" (which costs nothing) and
        "random_init" (one more forward, once for all stages of one architecture).
    run : see `probes.activations.RunOptions`; `backend` and `store` are among them.

    Returns
    -------
    Activations with `.values` `[layer, example, width]` float32, in the order of the concept's examples.

    Raises
    ------
    ConceptError : a text is too long, or lacks what the position needs.
    SiteError : the model does not have the site or the layer.
    TokenizerError : there is no chat template for a chat, or a token id means another token at this stage.
    OutputError : the store cannot be written.

    Example
    -------
    >>> acts = probes.extract(stage, concept, position="mean", progress=False)
    >>> acts.values.shape, acts.layers, acts.n_pairs
    ((3, 48, 32), [0, 1, 2], 24)
    """
    if not isinstance(sites, str):
        raise InputError(
            f"sites={sites!r}: extract takes one kind of site; for several call probes.extract_many"
        )
    return extract_many(stage, concept, [sites], layers, [position], controls=controls, **run)[
        sites, position
    ]


def extract_many(
    stage: Stage | LoadedStage | RunContext,
    concept: Concept | str | Path,
    sites: Sequence[str] = ("resid_post",),
    layers: str | int | Sequence[int] = "all",
    positions: Sequence[str] = ("last",),
    *,
    controls: Sequence[str] = CONTROLS,
    **run: Unpack[RunOptions],
) -> dict[tuple[str, str], Activations]:
    """The activations at several kinds of site and several positions, from one pass over the texts.

    Parameters
    ----------
    stage, concept, layers, controls, run : as in `extract`. By default a forward takes 512 tokens on a CPU,
        whose caches hold the activations of a block for about that many, and 2048 elsewhere (`batch_tokens`).
    sites : kinds of site, each one of `probes.models.KINDS`.
    positions : where in the text activations are read, each as `probes.activations.POSITIONS` says.

    Returns
    -------
    (kind of site, position) -> Activations.

    Raises
    ------
    As `extract` does.

    Example
    -------
    >>> acts = probes.extract_many(stage, concept, ["resid_post", "z"], positions=["last"], progress=False)
    >>> sorted(acts)
    [('resid_post', 'last'), ('z', 'last')]
    """
    unknown = [c for c in controls if c not in CONTROLS]
    if unknown:
        raise InputError(f"control {unknown[0]!r} is not known: expected some of {', '.join(CONTROLS)}")
    context = run_context(stage, **run)
    loaded, model, store = context.require_loaded(), context.model, context.store
    if store is not None and (why := context.alteration()):
        warnings.warn(f"the store is neither read nor written: {why}", stacklevel=2)
        store = None
    concept = load_concept(concept)
    wanted = {kind: expand(kind, layers, model.n_layers) for kind in sites}
    rows = rendering.render(
        loaded,
        concept,
        positions,
        context.render,
        model.max_positions,
        context.truncate,
        context.tokenizer,
    )
    identity = _identity(loaded, context.backend)
    label = f"{loaded.name} · {concept.name}" if context.progress else None
    values = read_rows(
        lambda: model,
        rows,
        wanted,
        positions,
        shelf=store.shelf(identity) if store is not None else None,
        batch_tokens=context.batch_tokens,
        label=label,
    )
    by_text: dict[str, np.ndarray] = {}
    if "embedding" in controls:
        by_text["embedding"] = mean_embedding(loaded, rows)
    random_values = {}
    if "random_init" in controls:
        label = f"random init · {concept.name}" if context.progress else None
        random_values = random_init(
            loaded,
            rows,
            wanted,
            positions,
            identity=identity,
            store=store,
            batch_tokens=context.batch_tokens,
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
                lineage=context.lineage,
                concept=concept.name,
                render=context.render,
                digest=json_digest(
                    [identity, concept.digest, kind, [str(s) for s in group], position, [r.ids for r in rows]]
                ),
                controls={name: np.repeat(array, repeats, axis=0) for name, array in by_text.items()}
                | ({"random_init": random_values[kind, position]} if random_values else {}),
            )
    return result


def _identity(loaded: LoadedStage, backend: str) -> dict[str, Any]:
    """What a model's activations depend on, beside the tokens themselves."""
    library = {"transformer_lens": ["transformer-lens"], "nnsight": ["nnsight"]}.get(backend, [])
    return {
        "weights": loaded.fingerprint,
        "backend": backend,
        "dtype": str(loaded.model.dtype).removeprefix("torch."),
        "attention": loaded.model.config._attn_implementation,
        "versions": {name: version(name) for name in ["torch", "transformers", *library]},
    }
