"""`Grafting`: what the modules of a training stage do to choices when they are put in and taken out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import numpy as np
import polars as pl

from probes.errors import InputError
from probes.locating.weights import Unit
from probes.stats.estimates import Estimate
from probes.stats.jackknife import mean_contrast, ratio_of_means
from probes.tables.result import Result
from probes.tables.schema import interval_columns, tidy

DOSES = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5)
"""The doses of the whole change: 0 is the parent and 1 the child."""
ENOUGH = 0.9
"""The share of the change that the smallest set of modules keeps."""
Way = Literal["put in", "taken out", "from below", "from above"]
WAYS: tuple[Way, ...] = get_args(Way)
"""How modules are grafted: one alone into the parent, one alone out of the child, and all up to one, or all
from one on, into the parent."""


@dataclass(frozen=True, repr=False)
class Grafting(Result):
    """What the modules of a stage do to choices, alone and together.

    Example
    -------
    >>> found = probes.graft(lineage["mid"], lineage["base"], concept.choices, n_random=2, progress=False)
    >>> [str(unit) for unit in found.units], found.effects["asked"].shape[1:3]
    (['attention 0', 'MLP 0', 'attention 1', 'MLP 1', 'attention 2', 'MLP 2'], (4, 6))
    """

    units: list[Unit]
    """The modules whose weights differ between the two stages, from the embeddings upwards."""
    ids: list[str]
    """`[item]`: the test items. The others chose the smallest set."""
    plain: Mapping[str, np.ndarray]
    """Score -> `[training seed, stage, item]`: the choice logits of the parent (0) and of the child (1); the
    scores are those of `Crossing`."""
    effects: Mapping[str, np.ndarray]
    """Score -> `[training seed, way, unit, item]`: how far each graft moves the choices, in the order of
    `ways`: from the parent's, and for "taken out" what is lost of the child's."""
    doses: tuple[float, ...]
    at_doses: Mapping[str, np.ndarray]
    """Score -> `[training seed, dose, item]`: the choice logits of the parent with so much of the whole
    change."""
    smallest: list[list[Unit]]
    """For each training seed the fewest modules found that keep `ENOUGH` of the change on the selection
    items; all of them where none do."""
    kept: Mapping[str, np.ndarray]
    """Score -> `[training seed, item]`: how far those modules alone move the choices from the parent's."""
    random: Mapping[str, np.ndarray]
    """Score -> `[training seed, draw, item]`: how far random updates of the same norm and rank in the same
    modules move them."""
    aim: str
    """The score that the smallest set was searched for."""
    ways: tuple[Way, ...]
    """The ways in which modules were grafted, some of `WAYS`."""
    of_sets: Mapping[str, np.ndarray]
    """Score -> `[training seed, set, item]`: how far the modules of each given set, put in together, move the
    choices."""
    note: str = ""
    """What the two stages have in common, in words."""
    columns: dict[str, Any] = field(default_factory=dict)
    """The columns of `.table` that are the same in every row."""

    def __repr__(self) -> str:
        names = f"{self.columns.get('stage')} and {self.columns.get('source_stage')}"
        few = " and ".join(str(len(units)) for units in self.smallest)
        return (
            f"Grafting({names}: {few} of {len(self.units)} modules keep {ENOUGH:.0%}, {len(self.ids)} items)"
        )

    def total(self, score: str = "asked") -> np.ndarray:
        """`[training seed, item]`: the child's choice logits minus the parent's."""
        parent, child = np.moveaxis(self._of(self.plain, score), 1, 0)
        return child - parent

    def effect(self, unit: Unit, way: Way = "put in", score: str = "asked") -> Estimate:
        """How far one graft moves the choices, in logits, over items and training seeds.

        Raises
        ------
        InputError : there is no such unit, way or score.

        Example
        -------
        >>> found = probes.graft(
        ...     lineage["mid"], lineage["base"], concept.choices, n_random=2, progress=False
        ... )
        >>> found.effect(found.units[0], "taken out").n
        8
        """
        if unit not in self.units or way not in self.ways:
            raise InputError(
                f"no graft of {unit} {way}: expected one of .units, and one of {', '.join(self.ways)}"
            )
        values = self._of(self.effects, score)[:, self.ways.index(way), self.units.index(unit)]
        return mean_contrast([values], [1], self.ids)

    @property
    def kept_share(self) -> Estimate:
        """The share of the change that the smallest set of modules keeps, on the test items."""
        return ratio_of_means(self.kept[self.aim].mean(0), self.total(self.aim).mean(0), self.ids)

    @property
    def table(self) -> pl.DataFrame:
        """Rows in the columns of `probes.tables.schema.SCHEMA`.

        `graft_put_in`, `graft_taken_out`, `graft_from_below` and `graft_from_above`: the effect of a graft in
        logits, at the layer and module (`attn` or `mlp` in the column `site`), with the score as its variant.
        `graft_dose`: the change at a dose (column `alpha`). `graft_total`: the whole change. `graft_kept`:
        the share of the smallest set; `graft_random`: the share of random updates in its place, with the
        range of the draws; `graft_smallest`: a row for each of its modules, with the share of training seeds
        whose set it is in. `graft_set`: the effect of each given set, in logits.
        """
        rows: list[dict[str, Any]] = []
        for score in self.plain:
            total = mean_contrast([self.total(score)], [1], self.ids)
            rows.append({"measure": "graft_total", "variant": score} | interval_columns(total))
            for k in range(self.of_sets[score].shape[1]):
                moved = mean_contrast([self.of_sets[score][:, k]], [1], self.ids)
                name = {"measure": "graft_set", "variant": score, "position": f"set {k}"}
                rows.append(name | interval_columns(moved))
            for number, unit in enumerate(self.units):
                for k, way in enumerate(self.ways):
                    name = {"measure": f"graft_{way.replace(' ', '_')}", "variant": score}
                    estimate = mean_contrast([self.effects[score][:, k, number]], [1], self.ids)
                    rows.append(_place(unit) | name | interval_columns(estimate))
            start = self.plain[score][:, :1]
            for k, dose in enumerate(self.doses):
                moved = mean_contrast([(self.at_doses[score] - start)[:, k]], [1], self.ids)
                name = {"measure": "graft_dose", "variant": score, "alpha": dose}
                rows.append(name | interval_columns(moved))
        whole = self.total(self.aim).mean()
        if whole and any(self.smallest):
            name = {"measure": "graft_kept", "variant": self.aim}
            rows.append(name | interval_columns(self.kept_share))
            shares = self.random[self.aim].mean((0, 2)) / whole
            if len(shares):
                low, high = np.quantile(shares, [0.025, 0.975])
                spread = {"estimate": float(shares.mean()), "ci_low": float(low), "ci_high": float(high)}
                rows.append({"measure": "graft_random", "variant": self.aim} | spread)
        for unit in self.units:
            share = float(np.mean([unit in units for units in self.smallest]))
            if share:
                name = {"measure": "graft_smallest", "variant": self.aim, "estimate": share}
                rows.append(_place(unit) | name)
        seeds = {"n_seeds": len(self.smallest)}
        return tidy(self.columns | seeds | row for row in rows)

    def _of(self, values: Mapping[str, np.ndarray], score: str) -> np.ndarray:
        if score not in values:
            raise InputError(f"no score {score!r}: expected one of {', '.join(values)}")
        return values[score]


def _place(unit: Unit) -> dict[str, Any]:
    """The columns that say where a unit is."""
    site = {"attention": "attn", "MLP": "mlp"}.get(unit.part, unit.part)
    return {"site": site, "layer": unit.layer}
