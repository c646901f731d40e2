"""Everything that is read off one stage for one concept, before stages are compared."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from probes.activations import Activations, Store, extract
from probes.concepts import ChoiceItem, Concept
from probes.lineage import LoadedStage
from probes.models import BackendName
from probes.probing import LayerSweep, probe_layers
from probes.steering import ChoiceGradients, choice_gradients


@dataclass(frozen=True)
class StageReading:
    """One stage and one concept: activations, probes at every layer, choices and their gradients."""

    activations: Activations
    sweep: LayerSweep
    gradients: ChoiceGradients | None
    """None for a concept without choice items; `.scores` holds the unpushed choices of the same pass."""

    @property
    def stage(self) -> str:
        return self.activations.stage

    @property
    def concept(self) -> str:
        return self.activations.concept


def read_stage(
    loaded: LoadedStage,
    concept: Concept,
    items: Sequence[ChoiceItem] | None = None,
    *,
    site: str = "resid_post",
    position: str = "mean",
    estimator: str = "logistic",
    store: Store | str | None = None,
    backend: BackendName = "transformers",
    render: str = "shared",
    truncate: bool = False,
    baselines: bool = True,
    seed: int = 0,
    progress: bool = True,
) -> StageReading:
    """Extract, probe every layer, and take the gradient of every choice at every layer.

    `items` defaults to the concept's test items, or to all when no split is marked. `baselines=False` leaves
    out the surface baselines, which are the same at every stage but for the model's own embeddings.
    """
    acts = extract(
        loaded,
        concept,
        site,
        position=position,
        backend=backend,
        store=store,
        render=render,
        truncate=truncate,
        controls=("embedding", "random_init") if baselines else (),
        progress=progress,
    )
    assert isinstance(acts, Activations)
    items = test_items(concept) if items is None else items
    options: dict[str, Any] = {"concept": concept.name, "render": render, "backend": backend, "seed": seed}
    # Probes are fitted by one thread, which leaves room for the model beside it.
    with ThreadPoolExecutor(1) as beside:
        fitting = beside.submit(probe_layers, acts, estimator=estimator, seed=seed, baselines=baselines)
        gradients = (
            choice_gradients(loaded, items, site=site, progress=progress, **options) if items else None
        )
        return StageReading(acts, fitting.result(), gradients)


def test_items(concept: Concept) -> list[ChoiceItem]:
    """The canonical choice items marked `test`; all canonical ones where no split is marked."""
    items = [item for item in concept.choices if item.shift is None]
    return [item for item in items if item.split == "test"] or items
