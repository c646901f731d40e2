"""One stage's direction at another: frozen, refitted, and carried over by an alignment on neutral text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch

from probes.concepts.neutral import neutral_texts
from probes.errors import InputError
from probes.lineage import LoadedStage
from probes.measure.reading import StageReading
from probes.models import BackendName, Site, TokenBatch
from probes.models.base import batches_by_length
from probes.probing import split_rows
from probes.probing.frozen_scores import margin_kept
from probes.stats.alignment import procrustes
from probes.stats.jackknife import Tested, auroc_contrast
from probes.steering.interventions import after_first
from probes.steering.subjects import subject
from probes.verdicts.criteria import CRITERIA, Criteria
from probes.verdicts.survival import Fate, Following, judge_fate


def neutral_states(
    stage: LoadedStage,
    sites: Sequence[Site],
    texts: Sequence[str] | None = None,
    *,
    backend: BackendName = "transformers",
    batch_tokens: int = 2048,
) -> dict[Site, np.ndarray]:
    """`[token, width]` by site, in one forward: activations of neutral texts, each without its first token.

    `texts` defaults to the toolkit's. The same texts give the same rows in the same order at every stage that
    shares the tokenizer.
    """
    who = subject(stage, backend=backend)
    rows = [who.tokenizer(text)["input_ids"] for text in (neutral_texts() if texts is None else texts)]
    who.check(token for row in rows for token in row)
    kept: dict[Site, dict[int, np.ndarray]] = {site: {} for site in sites}
    with torch.inference_mode():
        for chosen in batches_by_length([len(row) for row in rows], batch_tokens):
            batch = TokenBatch.pad([rows[i] for i in chosen], who.pad_id)
            real = after_first(batch.attention_mask)
            for site, values in who.model.read(batch, list(kept)).items():
                kept[site] |= {
                    i: row[mask].numpy() for i, row, mask in zip(chosen, values, real, strict=True)
                }
    return {
        site: np.concatenate([found[i] for i in range(len(rows))]).astype(np.float64)
        for site, found in kept.items()
    }


def follow(
    source: StageReading,
    target: StageReading,
    states: tuple[np.ndarray, np.ndarray] | None = None,
    *,
    criteria: Criteria = CRITERIA,
    groups: Literal["pair", "template"] = "pair",
    seed: int = 0,
) -> Fate:
    """What became of the source stage's probe, at the layer chosen there, at the target stage.

    Args:
        states: `neutral_states` of source and target at that layer, for the alignment; without them a
            direction that no longer reads is neither rotated nor lost but inconclusive.

    All AUROCs are on the same test pairs and compared pair by pair. The aligned probe keeps its weights and
    is given the target's activations turned into the source's space. Raises InputError when the two stages
    were not read on the same pairs.
    """
    ours, theirs = source.activations, target.activations
    if not np.array_equal(ours.groups, theirs.groups) or not np.array_equal(ours.labels, theirs.labels):
        raise InputError(f"{source.stage} and {target.stage} were read on different pairs: expected the same")
    layer = source.sweep.best.layer
    test = split_rows(ours, seed).test
    labels = np.asarray(ours.labels).astype(int)[test]
    units = np.asarray(ours.groups if groups == "pair" else ours.templates)[test]
    probe, own = source.sweep.probes[layer], target.sweep.probes[layer]
    before = ours.values[ours.layers.index(layer)][test].astype(np.float64)
    after = theirs.values[theirs.layers.index(layer)][test].astype(np.float64)
    read, refit, frozen = (
        probe.decision_function(before),
        own.decision_function(after),
        probe.decision_function(after),
    )

    def contrast(*rows: np.ndarray) -> Tested:
        """AUROC of one row, or of one minus another."""
        return auroc_contrast(rows, [1, -1][: len(rows)], labels, units, null=0.5 if len(rows) == 1 else 0.0)

    realigned = turned = None
    if states is not None:
        back = procrustes(states[1], states[0])
        vector = np.asarray(source.sweep.best.direction.vector, dtype=np.float64)
        turned = float(vector @ back.directions(vector))
        realigned = margin_kept(probe.decision_function(back.activations(after)), read, labels, units)
    found = Following(
        source=contrast(read),
        refit=contrast(refit),
        refit_drop=contrast(read, refit),
        frozen=contrast(frozen),
        frozen_gap=contrast(refit, frozen),
        kept=margin_kept(frozen, read, labels, units),
        realigned=realigned,
        turned=turned,
    )
    return judge_fate(found, criteria)
