"""A probe at every layer with its controls: the layer is chosen on one split and reported on another."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from jaxtyping import Float32, Float64, Int, Shaped
from threadpoolctl import threadpool_limits

from probes.concepts.surface import text_scores
from probes.errors import InputError
from probes.probing.baselines import permuted_labels
from probes.probing.direction import Direction
from probes.probing.estimators import fit_probe, make_probe
from probes.probing.layer_values import check_finite, site_of
from probes.probing.memory import remembered
from probes.probing.refitting import refit
from probes.probing.splits import Splits, split_rows, units_of
from probes.stats.estimates import Estimate, auroc
from probes.stats.jackknife import Tested, auroc_contrast, mean_contrast
from probes.tables.result import Result
from probes.tables.schema import interval_columns, tidy

if TYPE_CHECKING:
    from probes.activations import Activations


@dataclass(frozen=True)
class LayerProbe:
    """The probe of one layer.

    Attributes
    ----------
    layer : int
        The block that it reads after, 0 is the first.
    direction : Direction
        Its weights at unit length.
    probe : fitted probe
        One of this room's estimators.
    auroc, ci_low, ci_high : float
        Its AUROC on the test split with a 95% interval.

    Example
    -------
    >>> best = probes.probe_layers(probes.extract(stage, concept), baselines=False).best
    >>> str(best.direction.site) == f"resid_post.{best.layer}", best.ci_low <= best.auroc <= best.ci_high
    (True, True)
    """

    layer: int
    direction: Direction
    probe: Any
    auroc: float
    ci_low: float
    ci_high: float


@dataclass(frozen=True)
class LayerSweep(Result):
    """The result of `probe_layers`.

    Attributes
    ----------
    table : polars.DataFrame
        Rows in the columns of `probes.tables.schema.SCHEMA`, all measured on the test split:

        - measure `auroc`, variants `probe` and `random_init` (the same model with random weights): one row a
          layer, `selected` where the select split chose it;
        - measure `auroc`, variant `shuffled_labels`: one row a layer with the mean over permutations, and
          their range in `ci_low` and `ci_high`;
        - measure `auroc`, variants `word_ngrams`, `char_ngrams`, `length` and `embedding`: one row each;
        - measure `accuracy`, variant `probe`: one row a layer;
        - measure `auroc_gap`, variant `probe_minus_best_surface`: one row, at the selected layer.
    best : LayerProbe
        The probe of the selected layer.
    probes : dict of int to fitted probe
        By layer.
    directions : dict of int to Direction
        By layer.
    best_surface : str or None
        The baseline that the gap is measured to; None without baselines.
    surface : dict of str to float array `[example]`
        The scores of every row by each baseline.

    Example
    -------
    >>> sweep = probes.probe_layers(probes.extract(stage, concept), baselines=False, n_shuffles=0)
    >>> sorted(sweep.directions), sweep.table.height  # AUROC and accuracy of three layers
    ([0, 1, 2], 6)
    """

    table: pl.DataFrame = field(repr=False)
    best: LayerProbe
    probes: dict[int, Any] = field(repr=False)
    directions: dict[int, Direction] = field(repr=False)
    best_surface: str | None = None
    surface: dict[str, Float64[np.ndarray, " example"]] = field(default_factory=dict, repr=False)


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

    The strength of regularisation is chosen on inner folds of the train split. The layer is the one with the
    best AUROC on the select split; of equals, the one with the widest margin there (the difference of the
    class means divided by the pooled standard deviation). Results are reported on test pairs, which were not
    used to choose the layer or the regularisation.

    The probe is compared with what can be read without the trained model (the baselines): from n-grams,
    length and punctuation of the texts, from the mean input embedding, and from the same model with random
    weights. The gap is the probe's AUROC minus that of the baseline which does best on the test split. This
    is the one choice that is made on test data, and it can only work against the probe.

    Parameters
    ----------
    acts : Activations
        `values [layer, example, width]` with labels, groups and, where the concept has them, splits and
        templates (see `split_rows`). Its `controls` are the inputs of the baselines `embedding` and
        `random_init`.
    estimator : str
        "logistic", "mass_mean", "lda" or "ridge".
    seed : int
        Of splits that are drawn, and of the permutations.
    baselines : bool
        Whether to fit the baselines. Without them there is no gap.
    n_shuffles : int
        Number of permutations of the labels within pairs, with everything else the same; 0 for none.
    groups : str
        "pair" or "template": what inner folds hold out together, and what intervals count as one unit.

    Returns
    -------
    LayerSweep

    Raises
    ------
    InputError
        For NaN, for a layer whose activations are the same for every text, for a split with too few pairs or
        one class only, and for unknown names.

    Example
    -------
    >>> sweep = probes.probe_layers(probes.extract(stage, concept))
    >>> sweep.table.filter(measure="auroc", variant="probe")["layer"].to_list()
    [0, 1, 2]
    >>> sorted(sweep.table["variant"].unique())
    ['char_ngrams', 'embedding', 'length', 'probe', 'probe_minus_best_surface', 'random_init',
     'shuffled_labels', 'word_ngrams']
    >>> sweep.best.direction.vector.shape
    (32,)
    """
    task = _Task(acts, estimator, seed, groups)
    _check_values(acts, task.splits)
    probes, scores = task.fit(acts.values)
    chosen = task.best_layer(scores)
    for probe, layer in zip(probes, acts.layers, strict=True):
        probe.site = site_of(acts, layer)
    train = task.splits.train
    directions = {
        layer: Direction.of_probe(probe, values[train], task.labels[train], acts, estimator)
        for layer, probe, values in zip(acts.layers, probes, acts.values, strict=True)
    }
    aurocs = [task.auroc(row) for row in scores]
    rows = []
    for i, layer in enumerate(acts.layers):
        where = {"layer": layer, "selected": i == chosen}
        rows.append(task.row("auroc", "probe", aurocs[i], **where))
        rows.append(task.row("accuracy", "probe", task.accuracy(scores[i]), **where))
    if n_shuffles:
        rows += task.shuffled_rows(probes, n_shuffles)
    best_surface, surface = None, {}
    if baselines:
        surface, surface_rows = task.surface()
        rows += surface_rows
        test = task.splits.test
        best_surface = max(surface, key=lambda name: float(auroc(surface[name][test], task.labels[test])))
        gap = task.gap(scores[chosen], surface[best_surface])
        where = {"layer": acts.layers[chosen], "selected": True}
        rows.append(task.row("auroc_gap", "probe_minus_best_surface", gap, **where))

    layer, estimate = acts.layers[chosen], aurocs[chosen]
    best = LayerProbe(layer, directions[layer], probes[chosen], estimate.value, estimate.low, estimate.high)
    by_layer = dict(zip(acts.layers, probes, strict=True))
    return LayerSweep(tidy(rows), best, by_layer, directions, best_surface, surface)


def best_layer(scores: Float64[np.ndarray, "layer example"], labels: Int[np.ndarray, " example"]) -> int:
    """The layer with the best AUROC; of equals the one with the widest margin, then the first.

    Parameters
    ----------
    scores : float array `[layer, example]`
        Of one probe a layer.
    labels : int array `[example]`
        0 or 1.

    Returns
    -------
    int
        The row of `scores`.

    Example
    -------
    >>> best_layer(np.array([[0.0, 1.0, 0.5, 0.4], [0.0, 1.0, 0.1, 0.9]]), np.array([0, 1, 0, 1]))
    1
    """
    positive, negative = scores[:, labels == 1], scores[:, labels == 0]
    spread = np.sqrt((positive.var(1) + negative.var(1)) / 2)
    margin = (positive.mean(1) - negative.mean(1)) / np.where(spread > 0, spread, np.inf)
    return int(np.lexsort((-np.arange(len(scores)), margin, auroc(scores, labels)))[-1])


class _Task:
    """What one call of `probe_layers` measures on: labels, units and splits; and rows of its table."""

    def __init__(self, acts: Activations, estimator: str, seed: int, groups: str) -> None:
        self.acts, self.estimator, self.seed = acts, estimator, seed
        self.splits, self.units = split_rows(acts, seed), units_of(acts, groups)
        self.labels = np.asarray(acts.labels).astype(int)
        test = self.splits.test
        self.test_labels, self.test_units = self.labels[test], self.units[test]
        self.columns = acts.columns | {
            "estimator": estimator,
            "n_pairs": len(np.unique(np.asarray(acts.groups)[test])),
            "n_seeds": 1,
            "seed": seed,
            "selected": False,
        }

    def fit(
        self, values: Float32[np.ndarray, "layer example width"]
    ) -> tuple[list[Any], Float64[np.ndarray, "layer example"]]:
        """A probe for each layer of `values [layer, example, d]`, and its scores of all rows."""
        return _fit_layers(values, self.labels, self.units, self.splits.train, self.estimator)

    def best_layer(self, scores: Float64[np.ndarray, "layer example"]) -> int:
        """The layer of `scores [layer, example]` that the select split chooses."""
        return best_layer(scores[:, self.splits.select], self.labels[self.splits.select])

    def auroc(self, scores: Float64[np.ndarray, " example"]) -> Tested:
        """AUROC on the test split of scores `[example]`."""
        return auroc_contrast([scores[self.splits.test]], [1], self.test_labels, self.test_units, null=0.5)

    def gap(self, scores: Float64[np.ndarray, " example"], other: Float64[np.ndarray, " example"]) -> Tested:
        """AUROC on the test split of scores `[example]` minus that of others."""
        both = [scores[self.splits.test], other[self.splits.test]]
        return auroc_contrast(both, [1, -1], self.test_labels, self.test_units)

    def accuracy(self, scores: Float64[np.ndarray, " example"]) -> Tested:
        """Accuracy on the test split of scores `[example]` at the threshold 0."""
        right = (scores[self.splits.test] > 0) == self.test_labels
        return mean_contrast([right], [1], self.test_units, bounded=True, null=0.5)

    def row(self, measure: str, variant: str, estimate: Estimate, **columns: Any) -> dict[str, Any]:
        """A row of the table. `n_pairs` counts pairs even where the interval is over templates."""
        return {
            **interval_columns(estimate),
            **self.columns,
            "measure": measure,
            "variant": variant,
            **columns,
        }

    def shuffled_rows(self, probes: list[Any], n_shuffles: int) -> Iterator[dict[str, Any]]:
        """A row a layer: the mean and the range of the AUROC with permuted labels, strengths kept."""
        rng = np.random.default_rng(self.seed)
        groups, train, test = np.asarray(self.acts.groups), self.splits.train, self.splits.test
        part = self.splits.names(len(groups))
        permutations = [permuted_labels(self.labels, groups, rng, part) for _ in range(n_shuffles)]
        for layer, values, probe in zip(self.acts.layers, self.acts.values, probes, strict=True):
            fitted = refit(probe, values[train], [labels[train] for labels in permutations])
            chance = np.array(
                [
                    auroc(one.decision_function(values[test]), labels[test])
                    for one, labels in zip(fitted, permutations, strict=True)
                ]
            )
            spread = Estimate(float(chance.mean()), float(chance.min()), float(chance.max()), 0)
            yield self.row("auroc", "shuffled_labels", spread, layer=layer)

    def surface(self) -> tuple[dict[str, Float64[np.ndarray, " example"]], list[dict[str, Any]]]:
        """The scores `[example]` of each baseline, and their rows."""
        acts, train = self.acts, self.splits.train
        scores = dict(_text_scores(list(acts.texts), self.labels, self.units, train))
        estimators = dict.fromkeys(scores, "logistic")
        if "embedding" in acts.controls:
            scores["embedding"] = self.fit(np.asarray(acts.controls["embedding"])[None])[1][0]
        rows = [
            self.row(
                "auroc", name, self.auroc(row), layer=None, estimator=estimators.get(name, self.estimator)
            )
            for name, row in scores.items()
        ]
        if "random_init" in acts.controls:
            untrained = _untrained_scores(
                acts.controls["random_init"], self.labels, self.units, train, self.estimator
            )
            picked = self.best_layer(untrained)
            scores["random_init"] = untrained[picked]
            rows += [
                self.row("auroc", "random_init", self.auroc(row), layer=layer, selected=i == picked)
                for i, (layer, row) in enumerate(zip(acts.layers, untrained, strict=True))
            ]
        return scores, rows


def _fit_layers(
    values: Float32[np.ndarray, "layer example width"],
    labels: Int[np.ndarray, " example"],
    units: Shaped[np.ndarray, " example"],
    train: Int[np.ndarray, " row"],
    estimator: str,
) -> tuple[list[Any], Float64[np.ndarray, "layer example"]]:
    probes = [fit_probe(make_probe(estimator), layer[train], labels[train], units[train]) for layer in values]
    scores = [probe.decision_function(layer) for probe, layer in zip(probes, values, strict=True)]
    return probes, np.stack(scores)


_text_scores = remembered(kept=8)(text_scores)


@remembered(kept=8)
def _untrained_scores(
    values: Float32[np.ndarray, "layer example width"],
    labels: Int[np.ndarray, " example"],
    units: Shaped[np.ndarray, " example"],
    train: Int[np.ndarray, " row"],
    estimator: str,
) -> Float64[np.ndarray, "layer example"]:
    return _fit_layers(values, labels, units, train, estimator)[1]


def _check_values(acts: Activations, splits: Splits) -> None:
    used = np.concatenate([splits.train, splits.select, splits.test])
    for layer, values in zip(acts.layers, acts.values, strict=True):
        check_finite(values[used], acts, layer)
        if (values[splits.train] == values[splits.train[0]]).all():
            raise InputError(
                f"stage {acts.stage!r}, {acts.site} layer {layer}: activations at position {acts.position!r} "
                "are the same for every text, so nothing can be read: leave the layer out or read elsewhere"
            )
