"""Keeping measurements in folders, and finding those of the same inputs again."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

from probes.activations import RunContext
from probes.concepts import Concept
from probes.errors import InputError
from probes.measure.measurement import StageMeasurement, load_measurement
from probes.measure.plan import Plan


def inputs_digest(
    context: RunContext,
    concepts: Sequence[Concept],
    plan: Plan,
    others: Sequence[Concept],
    sources: Sequence[StageMeasurement],
) -> str:
    """A hash of everything that a measurement depends on."""
    versions = {name: version(name) for name in ("spec-probes", "torch", "transformers", "scikit-learn")}
    texts = [[(concept.name, concept.digest) for concept in group] for group in (concepts, others)]
    sites = sorted(str(source.sweep.best.direction.site) for source in sources)
    options = [context.backend, context.render, context.truncate, context.seed, str(context.model.device)]
    model = context.require_loaded().model
    options += [str(model.dtype), model.config._attn_implementation]
    return context.digest("measurement", versions, texts, plan.to_dict(), sites, options)


def kept_measurements(folders: Mapping[str, Path], digest: str) -> dict[str, StageMeasurement] | None:
    """The measurements in `folders` by the name of the concept.

    None where one is missing, is damaged (which is said in a warning), or was measured on other inputs than
    those of `digest`.
    """
    kept = {}
    for name, folder in folders.items():
        if not (folder / "measurement.json").exists():
            return None
        try:
            measurement = load_measurement(folder)
        except InputError as error:
            warnings.warn(f"measured again, because what was kept is damaged: {error}", stacklevel=3)
            return None
        if measurement.facts["digest"] != digest:
            return None
        kept[name] = measurement
    return kept or None
