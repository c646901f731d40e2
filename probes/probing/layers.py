"""A probe at every layer with its controls: the layer chosen on one split, reported on another."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from probes.errors import InputError
from probes.models.sites import Site
from probes.probing.baselines import permuted_labels, text_scores
from probes.probing.direction import Direction, natural_unit
from probes.probing.estimators import MassMeanProbe, at_same_strength, fit_probe, make_probe, refit
from probes.probing.memory import remembered
from probes.probing.splits import Splits, clusters, split_rows
from probes.stats.estimates import Estimate, auroc
from probes.stats.jackknife import auroc_contrast, mean_contrast
from probes.tables.result import Result
from probes.tables.schema import tidy

if TYPE_CHECKING:
    from probes.activations import Activations


@dataclass(frozen=True)
class LayerProbe:
    """The probe of one layer, its direction, and its AUROC on the test split with a 95% interval."""

    layer: int
    direction: Direction
    probe: Any
    auroc: float
    ci_low: float
    ci_high: float


@dataclass(frozen=True)
class LayerSweep(Result):
    """What `probe_layers` found.

    table: rows of `results.SCHEMA`. measure `auroc`, on the test split, of the variants `probe` and
    `random_init` (a row a layer, `selected` where the select split chose), `shuffled_labels` (a row a layer:
    mean over permutations, `ci_low` and `ci_high` their range), `word_ngrams`, `char_ngrams`, `length` and
    `embedding` (no layer); measure `accuracy`, variant `probe`; measure `auroc_gap`, variant
    `probe_minus_best_surface`, at the selected layer.
    best: the probe of the selected layer. probes, directions: by layer. best_surface: the baseline of the
    gap, None without baselines. surface: scores of every row, `[example]`, by baseline.
    """

    table: pl.DataFrame = field(repr=False)
    best: LayerProbe
    probes: dict[int, Any] = field(repr=False)
    directions: dict[int, Direction] = field(repr=False)
    best_surface: str | None = None
    surface: dict[str, NDArray[np.float64]] = field(default_factory=dict, repr=False)


@threadpool_limits.wrap(limits=1, user_api="blas")  # thousands of small products: threads halve the speed
def probe_layers(
    acts: Activations,
    estimator: str = "logistic",
    seed: int = 0,
    *,
    baselines: bool = True,
    n_shuffles: int = 5,
    groups: str = "pair",
) -> LayerSweep:
    """Fit a probe at every layer on the train split, choose the layer on select, report on test.

    Strengths of regularisation are chosen on inner folds of the train split. The layer is the one with the
    best AUROC on select; of equals the one with the widest margin there (difference of class means over
    pooled standard deviation). The gap is the probe's AUROC minus that of the surface baseline that does best
    on the test split itself: the one choice made on test data, and it can only work against the probe.

    Parameters
    ----------
    acts : Activations
        `values [layer, example, width]`, with labels, groups and, as the concept gives them, splits and
        templates (see `split_rows` for what happens without); `controls` feed `embedding` and `random_init`.
    estimator : str
        `logistic`, `mass_mean`, `lda` or `ridge`.
    seed : int
        Of the drawn splits and the permutations.
    baselines : bool
        Fit the surface baselines; without them there is no gap.
    n_shuffles : int
        Permutations of the labels, by pair, everything else the same; 0 for none.
    groups : str
        `pair` or `template`: what inner folds hold out together and intervals count as one.

    Raises InputError for NaN, features that are all constant, a split with too few pairs or one class, and
    for names that are not known.
    """
    splits = split_rows(acts, seed)
    units = clusters(acts, groups)
    _check_values(acts, splits)
    labels = np.asarray(acts.labels).astype(int)
    test = splits.test
    probes, scores = _fit_layers(acts.values, labels, units, splits.train, estimator)
    chosen = best_layer(scores[:, splits.select], labels[splits.select])
    sites = [Site("embed") if acts.site == "embed" else Site(acts.site, layer) for layer in acts.layers]  # pyright: ignore
    for probe, site in zip(probes, sites, strict=True):
        probe.site = site
    directions = {
        layer: _direction(probe, acts.values[i, splits.train], labels[splits.train], acts, estimator)
        for i, (layer, probe) in enumerate(zip(acts.layers, probes, strict=True))
    }

    common = acts.columns | {
        "estimator": estimator,
        "n_pairs": len(np.unique(np.asarray(acts.groups)[test])),
        "n_seeds": 1,
        "seed": seed,
    }

    def row(measure: str, variant: str, estimate: Estimate, **facts: Any) -> dict[str, Any]:
        numbers = {"estimate": estimate.value, "ci_low": estimate.low, "ci_high": estimate.high}
        return {**common, "measure": measure, "variant": variant, "selected": False, **numbers, **facts}

    def aurocs(rows: NDArray) -> list[Estimate]:
        return [auroc_contrast([row[test]], [1], labels[test], units[test], null=0.5) for row in rows]

    found = aurocs(scores)
    rows = []
    for i, layer in enumerate(acts.layers):
        right = (scores[i, test] > 0) == labels[test]
        accuracy = mean_contrast([right], [1], units[test], bounded=True, null=0.5)
        where = {"layer": layer, "selected": i == chosen}
        rows += [row("auroc", "probe", found[i], **where), row("accuracy", "probe", accuracy, **where)]
    if n_shuffles:
        chance = _shuffled(acts, labels, splits, probes, n_shuffles, seed)
        rows += [
            row(
                "auroc",
                "shuffled_labels",
                Estimate(float(v.mean()), float(v.min()), float(v.max()), 0),
                layer=layer,
            )
            for layer, v in zip(acts.layers, chance, strict=True)
        ]

    best_surface, surface = None, {}
    if baselines:
        surface = dict(_text_scores(list(acts.texts), labels, units, splits.train))
        kinds = dict.fromkeys(surface, "logistic")
        if "embedding" in acts.controls:
            values = np.asarray(acts.controls["embedding"])[None]
            surface["embedding"] = _fit_layers(values, labels, units, splits.train, estimator)[1][0]
        named = zip(surface, aurocs(np.stack(list(surface.values()))), strict=True)
        rows += [
            row("auroc", name, value, layer=None, estimator=kinds.get(name, estimator))
            for name, value in named
        ]
        if "random_init" in acts.controls:
            untrained = _untrained_scores(
                acts.controls["random_init"], labels, units, splits.train, estimator
            )
            picked = best_layer(untrained[:, splits.select], labels[splits.select])
            surface["random_init"] = untrained[picked]
            rows += [
                row("auroc", "random_init", value, layer=layer, selected=i == picked)
                for i, (layer, value) in enumerate(zip(acts.layers, aurocs(untrained), strict=True))
            ]
        best_surface = max(surface, key=lambda name: float(auroc(surface[name][test], labels[test])))
        both = scores[chosen, test], surface[best_surface][test]
        gap = auroc_contrast(both, [1, -1], labels[test], units[test])
        where = {"layer": acts.layers[chosen], "selected": True}
        rows.append(row("auroc_gap", "probe_minus_best_surface", gap, **where))

    layer = acts.layers[chosen]
    estimate = found[chosen]
    best = LayerProbe(layer, directions[layer], probes[chosen], estimate.value, estimate.low, estimate.high)
    by_layer = dict(zip(acts.layers, probes, strict=True))
    return LayerSweep(tidy(rows), best, by_layer, directions, best_surface, surface)


def shuffled_direction(sweep: LayerSweep, acts: Activations, layer: int, seed: int = 0) -> Direction:
    """The control of `sweep.directions[layer]`: refitted at the same strength with labels permuted by pair.

    Its scale and gap are those of the true classes along it. acts and seed as given to `probe_layers`.
    """
    train = split_rows(acts, seed).train
    labels = np.asarray(acts.labels).astype(int)[train]
    fake = permuted_labels(labels, np.asarray(acts.groups)[train], np.random.default_rng(seed))
    probe = at_same_strength(sweep.probes[layer])
    probe.fit(acts.values[list(acts.layers).index(layer), train], fake)
    return replace(sweep.directions[layer], vector=probe.direction_).at(acts, seed)


def class_gap(acts: Activations, layer: int, seed: int = 0) -> Direction:
    """The difference of class means on the training pairs at one layer: the direction to push or to silence.

    A fitted probe's weights read a concept best where they avoid what else varies; the model itself moves
    along the difference of means, so that pushes along it do more (Marks & Tegmark 2023, arXiv 2310.06824).
    acts and seed as given to `probe_layers`. Raises InputError for a layer that was not extracted.
    """
    if layer not in acts.layers:
        raise InputError(f"layer {layer} was not extracted: expected one of {list(acts.layers)}")
    train = split_rows(acts, seed).train
    values, labels = acts.values[list(acts.layers).index(layer), train], np.asarray(acts.labels)[train]
    site = Site(acts.site, layer)  # pyright: ignore[reportArgumentType]
    probe = MassMeanProbe(site=site).fit(values, labels.astype(int))
    return _direction(probe, values, labels.astype(int), acts, "mass_mean")


def best_layer(scores: NDArray, labels: NDArray) -> int:
    """The row of `scores [layer, example]` with the best AUROC, then the widest margin, then the first."""
    positive, negative = scores[:, labels == 1], scores[:, labels == 0]
    spread = np.sqrt((positive.var(1) + negative.var(1)) / 2)
    margin = (positive.mean(1) - negative.mean(1)) / np.where(spread > 0, spread, np.inf)
    return int(np.lexsort((-np.arange(len(scores)), margin, auroc(scores, labels)))[-1])


def _fit_layers(
    values: NDArray, labels: NDArray, units: NDArray, train: NDArray, estimator: str
) -> tuple[list[Any], NDArray[np.float64]]:
    """A probe per layer fitted on the training rows, and its scores of all rows, `[layer, example]`."""
    probes = [fit_probe(make_probe(estimator), layer[train], labels[train], units[train]) for layer in values]
    scores = [probe.decision_function(layer) for probe, layer in zip(probes, values, strict=True)]
    return probes, np.stack(scores)


_text_scores = remembered(kept=8)(text_scores)


@remembered(kept=8)
def _untrained_scores(
    values: NDArray, labels: NDArray, units: NDArray, train: NDArray, estimator: str
) -> NDArray[np.float64]:
    return _fit_layers(values, labels, units, train, estimator)[1]


def _shuffled(
    acts: Activations, labels: NDArray, splits: Splits, probes: list[Any], n_shuffles: int, seed: int
) -> NDArray[np.float64]:
    """Test AUROC `[layer, permutation]` with labels permuted by pair in every split, strengths kept."""
    rng = np.random.default_rng(seed)
    permutations = [permuted_labels(labels, np.asarray(acts.groups), rng) for _ in range(n_shuffles)]
    result = np.empty((len(probes), n_shuffles))
    for i, (values, probe) in enumerate(zip(acts.values, probes, strict=True)):
        fitted = refit(probe, values[splits.train], [fake[splits.train] for fake in permutations])
        for j, (one, fake) in enumerate(zip(fitted, permutations, strict=True)):
            result[i, j] = auroc(one.decision_function(values[splits.test]), fake[splits.test])
    return result


def _direction(probe: Any, X: NDArray, labels: NDArray, acts: Activations, estimator: str) -> Direction:
    scale, gap = natural_unit(X, labels, probe.direction_)
    return Direction(
        vector=probe.direction_,
        site=probe.site,
        position=acts.position,
        stage=acts.stage,
        concept=acts.concept,
        estimator=estimator,
        scale=scale,
        gap=gap,
        digest=acts.digest,
    )


def _check_values(acts: Activations, splits: Splits) -> None:
    used = np.concatenate(list(asdict(splits).values()))
    for layer, values in zip(acts.layers, acts.values, strict=True):
        if not np.isfinite(values[used]).all():
            raise InputError(
                f"stage {acts.stage!r}, {acts.site} layer {layer}: activations hold NaN or infinity; "
                "check the checkpoint, or extract with dtype='float32'"
            )
        if (values[splits.train] == values[splits.train[0]]).all():
            raise InputError(
                f"stage {acts.stage!r}, {acts.site} layer {layer}: activations at position {acts.position!r} "
                "are the same for every text, so nothing can be read: leave the layer out or read elsewhere"
            )
