"""Tests of whether a concept is decodable: the best probe, baselines, shifted texts, masked evidence."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from probes.activations import Activations, RunContext, extract
from probes.concepts import Concept, Example
from probes.measure.plan import Plan
from probes.models import Site
from probes.probing import LayerProbe, LayerSweep, split_rows
from probes.probing.decoding import max_layer_p
from probes.probing.estimators import fit_probe, make_probe
from probes.stats.contrasts import strongest_baseline
from probes.stats.jackknife import Tested, auroc_contrast
from probes.tables.tests import MeasuredTest


def units_of(acts: Activations, groups: str) -> np.ndarray:
    """The independent unit that each example belongs to, `[example]`: its pair, or its template."""
    return np.asarray(acts.groups if groups == "pair" else acts.templates)


def decodability_tests(
    acts: Activations, sweep: LayerSweep, scores: np.ndarray, plan: Plan, seed: int
) -> Iterator[MeasuredTest]:
    """The tests `decodable` and `beyond_surface`, on the test pairs.

    They are the AUROC of the best layer's probe, whose p-value is corrected for having chosen the best of all
    layers, and its gap to the strongest surface baseline.

    Parameters
    ----------
    scores : `[example]`, the scores of the best layer's probe.
    """
    test, units = split_rows(acts, seed).test, units_of(acts, plan.groups)
    labels = np.asarray(acts.labels).astype(int)
    estimate = auroc_contrast([scores[test]], [1], labels[test], units[test], null=0.5)
    permuted = max_layer_p(acts.values, labels, units, split_rows(acts, seed), seed=seed)
    layer = sweep.best.layer
    yield MeasuredTest("decodable", estimate, p=permuted.p, layer=layer, n_layers=len(acts.layers))
    if not sweep.surface:
        yield MeasuredTest("beyond_surface", reason="no surface baselines were fitted")
        return
    baselines = {name: values[test] for name, values in sweep.surface.items()}
    strongest = strongest_baseline(scores[test], baselines, labels[test], units[test])
    gap = strongest.gap
    yield MeasuredTest("beyond_surface", gap, p=gap.p, layer=layer, against=strongest.name)


def shift_tests(
    context: RunContext,
    acts: Activations,
    best: LayerProbe,
    concept: Concept,
    by_axis: dict[str, list[Example]],
    plan: Plan,
) -> Iterator[MeasuredTest]:
    """The tests `shift`: the best layer's probe, unchanged, on the pairs of each shift axis by itself.

    Parameters
    ----------
    best : the probe that was fitted on canonical pairs.
    by_axis : axis -> the examples that the concept has on it.
    """
    for axis in by_axis if plan.shifts is None else plan.shifts:
        if axis not in by_axis:
            continue
        shifted = Concept(name=concept.name, examples=tuple(by_axis[axis]))
        there = extract(context, shifted, acts.site, layers=[best.layer], position=acts.position, controls=())
        scores = best.probe.decision_function(there.values[0].astype(float))
        estimate = auroc_contrast([scores], [1], there.labels, units_of(there, plan.groups), null=0.5)
        yield MeasuredTest("shift", estimate, p=estimate.p, layer=best.layer, axis=axis)


def masked_auroc(
    context: RunContext, concept: Concept, site: Site, estimator: str = "logistic", groups: str = "pair"
) -> Tested | None:
    """The AUROC of a probe on the mean of the tokens that overlap no evidence, on the test pairs.

    Where the two texts of a pair differ in the evidence alone, such a probe reads the model's state and not
    the words themselves. (A probe's AUROC can fall from .94 to .57 once the tokens that give the label away
    are gone: arXiv 2509.21344.) Evidence that ends a text has no tokens after it, which lowers this AUROC for
    another reason.

    Parameters
    ----------
    site : where the probe is fitted.
    estimator : of the probe: "logistic", "mass_mean", "lda" or "ridge".
    groups : "pair" or "template", the independent units of the interval.

    Returns
    -------
    The AUROC with its interval and p-value, or None for a concept without marked evidence.

    Raises
    ------
    As `probes.extract` does.

    Example
    -------
    >>> from probes.activations import run_context
    >>> context = run_context(stage, progress=False)
    >>> masked_auroc(context, concept, Site("resid_post", 1)).n  # pairs
    8
    """
    if not all(example.evidence and example.text for example in concept.examples):
        return None
    layers: Sequence[int] = [site.layer or 0]
    acts = extract(context, concept, site.kind, layers=layers, position="outside", controls=())
    splits, labels = split_rows(acts, context.seed), np.asarray(acts.labels).astype(int)
    values, units = acts.values[0].astype(np.float64), units_of(acts, groups)
    train, test = splits.train, splits.test
    probe = fit_probe(make_probe(estimator), values[train], labels[train], units[train])
    return auroc_contrast([probe.decision_function(values[test])], [1], labels[test], units[test], null=0.5)
