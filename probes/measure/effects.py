"""What moves choices at one stage: where to push, how far without damage, and what pushing and silencing do.

Apart from `assess` because it acts on the model where the rest only reads it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from probes.activations import Activations
from probes.concepts import ChoiceItem, Concept
from probes.concepts.neutral import neutral_texts
from probes.lineage import LoadedStage
from probes.measure.reading import StageReading
from probes.models import BackendName
from probes.probing import Direction, class_gap, split_rows
from probes.stats.contrasts import push_effect
from probes.stats.estimates import auroc
from probes.steering import Add, ChoiceGradients, ablate
from probes.steering.damage import damages
from probes.steering.slopes import random_directions
from probes.steering.subjects import subject
from probes.verdicts.criteria import Criteria
from probes.verdicts.verdict import Finding, weigh

NEAR_BEST = 0.05
"""AUROC on the selection pairs by which a layer may fall short of the best and still be pushed at."""
DOSES = (1.0, 0.5, 0.25)
"""Pushes that are tried, in half class gaps: the largest that does no more damage than is allowed counts."""
N_RANDOM = 1999


def selection_items(concept: Concept) -> list[ChoiceItem]:
    """The canonical choice items that may choose a layer."""
    return [item for item in concept.choices if item.shift is None and item.split == "select"]


def pushing_layer(reading: StageReading, ids: Sequence[str], seed: int = 0) -> int:
    """The layer to push at: of those that read the selection pairs almost as well as the best (`NEAR_BEST`),
    the one whose direction moves the selection items most; the best layer where there are no such items."""
    acts, sweep, gradients = reading.activations, reading.sweep, reading.gradients
    known = set(gradients.scores.ids) if gradients is not None else set()
    if gradients is None or not ids or not set(ids) <= known:
        return sweep.best.layer
    select, labels = split_rows(acts, seed).select, np.asarray(acts.labels).astype(int)
    told = {
        layer: float(auroc(sweep.probes[layer].decision_function(values[select]), labels[select]))
        for layer, values in zip(acts.layers, acts.values, strict=True)
    }
    near = [layer for layer, value in told.items() if value >= told[sweep.best.layer] - NEAR_BEST]
    some = gradients.of(ids, gradients.score)
    return max(near, key=lambda layer: float(some.slopes(class_gap(acts, layer, seed)).mean()))


def harmless_dose(
    loaded: LoadedStage,
    push: Direction,
    criteria: Criteria,
    texts: Sequence[str] | None,
    backend: BackendName,
) -> float | None:
    """The largest of `DOSES` whose push stays within the damage limit on neutral text; None: none does."""
    arms = [[Add.along(push, dose * push.gap / push.scale)] for dose in DOSES]
    told = damages(subject(loaded, backend=backend), arms, texts or neutral_texts(16))
    harmless = [d for d, damage in zip(DOSES, told, strict=True) if damage.mean_kl <= criteria.damage]
    return max(harmless, default=None)


def push_findings(
    reading: StageReading,
    ids: Sequence[str],
    direction: Direction,
    dose: float,
    rivals: Mapping[str, Direction],
    criteria: Criteria,
    seed: int,
) -> tuple[np.ndarray, list[Finding]]:
    """What a push of `dose` times half the class gap does, to first order, as a share of the mean absolute
    choice logit. Beside it at the same layer: random directions of the same norm, and other concepts, each
    pushed by the same part of its own half gap. (At one norm a concept that is hardly there would count as
    much as one that is: its direction is what noise leaves, which lies where the model moves most.)"""
    assert reading.gradients is not None
    some: ChoiceGradients = reading.gradients.of(ids, reading.gradients.score)
    size = np.abs(some.scores.logits(some.score)).mean()
    gradient = some.at(direction.site)
    length = dose * direction.gap / size
    effect = length * (gradient @ np.asarray(direction.vector, dtype=float))
    random = length * (random_directions(N_RANDOM, gradient.shape[1], seed) @ gradient.T)
    others = {
        name: dose * rival.gap / size * (gradient @ np.asarray(rival.vector, dtype=float))
        for name, rival in rivals.items()
    }
    told = push_effect(effect, random, others)
    note = f"{dose:g} of half the class gap, layer {direction.site.layer}, {told.n_random} random directions"
    found = [weigh("sufficient", told.effect, criteria, p=told.p_random, note=note, chance=told.chance)]
    if told.specificity is not None:
        gap = told.specificity.gap
        found.append(weigh("specific", gap, criteria, p=gap.p, note=f"against {told.specificity.name}"))
    return effect, found


def ablation_findings(
    loaded: LoadedStage,
    direction: Direction,
    half_way: np.ndarray,
    items: Sequence[ChoiceItem],
    criteria: Criteria,
    texts: Sequence[str] | None,
    backend: BackendName,
    seed: int,
    progress: bool,
) -> list[Finding]:
    """What the choice loses with the direction held half way between the classes at its layer; nothing where
    holding it does more damage to neutral text than is allowed."""
    taken = ablate(
        loaded,
        direction,
        items,
        "site",
        centre=half_way,
        n_random=N_RANDOM,
        first_order=True,
        control_items=None,
        limit=criteria.damage,
        texts=texts,
        backend=backend,
        seed=seed,
        progress=progress,
    )
    if not taken.ok:
        return []
    size = np.abs(taken.unpushed).mean()
    lost = (taken.unpushed - taken.logits["direction"]) / size
    told = push_effect(lost, (taken.unpushed - taken.random) / size)
    note = f"held half way between the classes, {told.n_random} random directions to first order"
    return [weigh("necessary", told.effect, criteria, p=told.p_random, note=note, chance=told.chance)]


def half_way(acts: Activations, layer: int, seed: int) -> np.ndarray:
    """The mean of both classes' mean activations on the training pairs, `[width]`."""
    train = split_rows(acts, seed).train
    values, labels = acts.values[acts.layers.index(layer)][train], np.asarray(acts.labels)[train]
    return np.mean([values[labels == k].mean(0) for k in (0, 1)], axis=0)
