"""Write docs/shifts.md: what stages of the embedded lineage read and choose on every shift axis.

    python docs/shifts.py [out/shifts]

`probes shifts` wrote tables there, a file a stage in a folder a precision; `make shifts` runs both. They are
kept together in docs/shifts.parquet, which is read when no folder is given.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import polars as pl
from pages import interval, number, table, told, write
from scipy import stats

import probes
from probes.concepts.records import AXES
from probes.figures import draw
from probes.measure.shifts import worst_axis
from probes.stats.estimates import Estimate
from probes.tables.schema import tidy
from probes.transfer import family_parents, pooled

ROOT = Path(__file__).parent.parent
TABLE = ROOT / "docs" / "shifts.parquet"
LINEAGE = ROOT / "checkpoints" / "msm-mini"
FIGURES = ROOT / "figures"
HEADLINE = ["base", "aft", "msm_afford", "msm_afford_aft", "msm_domestic", "msm_domestic_aft"]
"""Stages of the figure that shows every axis; the other figure has them all, on their worst axis."""


def gathered(folder: Path) -> pl.DataFrame:
    """All tables in `folder`, with the `dtype` they were read in: the name of the folder a table lies in."""
    files = sorted(folder.glob("*/*.parquet"))
    return pl.concat(
        [pl.read_parquet(path).with_columns(dtype=pl.lit(path.parent.name)) for path in files]
    ).unique()


def ordered(found: pl.DataFrame, lineage: probes.Lineage) -> pl.DataFrame:
    """The rows of whole axes, training seeds pooled, in the lineage's order."""
    families = {stage.name: stage.family for stage in lineage}
    rows = pooled(found, families, {stage.name: stage.seed for stage in lineage})
    carried = rows.filter(pl.col("variant") == "shift_transfer", pl.col("measure") == "auroc")
    worst = [worst_axis(some.to_dicts()) for some in carried.partition_by("concept", "stage")]
    order = [family for family in dict.fromkeys(families.values()) if family in set(rows["stage"])]
    places = ["concept", pl.col("stage").cast(pl.Enum(order)), pl.col("shift").cast(pl.Enum(AXES))]
    return pl.concat([rows, tidy(worst)]).sort(places, maintain_order=True)


def precision(found: pl.DataFrame, dtype: str) -> str:
    """How far the rows of another precision are from those of `dtype`."""
    keys = ["stage", "concept", "measure", "variant", "shift"]
    other = found.filter(pl.col("dtype") != dtype).join(
        found.filter(pl.col("dtype") == dtype), on=keys, suffix="_here", nulls_equal=True
    )
    told_by = {
        "AUROC, canonical and carried": pl.col("variant").is_in(["probe", "shift_transfer"]),
        "AUROC, refitted": pl.col("variant") == "shift_refit",
        "choice rate": pl.col("variant") == "per_token",
    }
    rows = []
    for (stage, wider), both in other.group_by("stage", "dtype", maintain_order=True):
        for what, chosen in told_by.items():
            some = both.filter(chosen, pl.col("measure").is_in(["auroc", "choice_rate"]))
            apart = (some["estimate_here"] - some["estimate"]).abs().to_numpy()
            if len(apart):
                sizes = (f"{size:.3f}" for size in (np.median(apart), apart.max()))
                rows.append([f"`{stage}`", str(wider), what, str(len(apart)), *sizes])
    return table(["stage", "against", "what", "numbers", "median difference", "largest"], rows)


class Page:
    """The page's parts, each from the same table."""

    def __init__(self, rows: pl.DataFrame, parents: Mapping[str, str | None]):
        self.rows, self.parents = rows, parents
        self.places = rows.select("concept", "stage").unique(maintain_order=True).rows()

    def one(self, concept: str, stage: str, measure: str, variant: str, axis: str | None) -> dict | None:
        found = self.rows.filter(
            pl.col("concept") == concept,
            pl.col("stage") == stage,
            pl.col("measure") == measure,
            pl.col("variant") == variant,
            pl.col("shift").eq_missing(axis),
        ).to_dicts()
        return found[0] if found else None

    def cell(self, *where: str | None) -> str:
        found = self.one(*where)  # pyright: ignore[reportArgumentType]
        return interval(found) if found else "–"

    def asked(self) -> str:
        stages, concepts = (self.rows[name].unique() for name in ("stage", "concept"))
        runs = self.rows.select(pl.col("n_seeds").fill_null(1).max().over("stage"), "stage").unique()
        often = runs.filter(pl.col("n_seeds") > 1)
        position = self.rows["position"].drop_nulls()[0]
        seeds = f"{often.height} of them with {often['n_seeds'].max()} training seeds, pooled"
        return (
            f"{len(stages)} stages, {seeds if often.height else 'one training seed each'}; "
            f"{len(concepts)} readings of {len({c.split('/')[0] for c in concepts})} concepts; "
            f"texts read at position `{position}`.\n"
        )

    def counted(self) -> str:
        """How often a probe on canonical pairs carries over, and how often only a refit reads an axis."""
        norm, reads = pl.col("concept").str.ends_with("/norm"), pl.col("ci_low") > 0.5
        auroc, on = pl.col("measure") == "auroc", ["concept", "stage"]
        rows = []
        for kind, which in (("attribute", ~norm), ("norm", norm)):
            canonical = self.rows.filter(which, auroc, pl.col("variant") == "probe")
            rows.append([kind, "canonical", *self._medians(canonical), "", "", ""])
            for axis in AXES:
                at = self.rows.filter(which, auroc, pl.col("shift") == axis)
                carried, refit = (at.filter(pl.col("variant") == f"shift_{v}") for v in ("transfer", "refit"))
                if carried.is_empty():
                    continue
                both = carried.join(refit, on=on, suffix="_refit")
                alone = both.filter(~reads, pl.col("ci_low_refit") > 0.5).height
                rows.append([kind, axis, *self._medians(carried), *self._medians(refit)[1:], str(alone)])
        heads = ["reading", "axis", "readings x stages", "carried, median", "above chance"]
        return table([*heads, "refitted, median", "above chance", "by the refit alone"], rows)

    @staticmethod
    def _medians(rows: pl.DataFrame) -> list[str]:
        """How many rows, their median, and how many are above chance."""
        above = rows.filter(pl.col("ci_low") > 0.5).height
        return [str(rows.height), number(float(np.median(rows["estimate"]))), str(above)]

    def changes(self) -> str:
        """What each stage changed; each reading gives one difference, its axes averaged."""
        told_by = {
            "canonical": (pl.col("variant") == "probe") & (pl.col("measure") == "auroc"),
            "carried": (pl.col("variant") == "shift_transfer") & (pl.col("measure") == "auroc"),
            "refitted": pl.col("variant") == "shift_refit",
            "choice rate": (pl.col("measure") == "choice_rate") & (pl.col("variant") == "per_token"),
        }
        rows = []
        for stage in self.rows["stage"].unique(maintain_order=True):
            for other in dict.fromkeys(("base", self.parents[stage])):
                if other not in (None, stage) and other in set(self.rows["stage"]):
                    cells = [self._change(chosen, stage, other) for chosen in told_by.values()]
                    rows.append([f"`{stage}`", f"`{other}`", *cells])
        return table(["stage", "against", *told_by], rows)

    def _change(self, chosen: pl.Expr, stage: str, other: str) -> str:
        here, there = (self.rows.filter(chosen, pl.col("stage") == name) for name in (stage, other))
        both = here.join(there, on=["concept", "shift"], suffix="_other", nulls_equal=True)
        changes = both.group_by("concept").agg((pl.col("estimate") - pl.col("estimate_other")).mean())
        values = changes["estimate"].to_numpy()
        if len(values) < 2:
            return "–"
        low, high = stats.ttest_1samp(values, 0).confidence_interval()
        return told(Estimate(float(values.mean()), low, high, len(values)), signed=True)

    def axes(self) -> str:
        """Of every reading the worst axis of each stage, and every axis; folded."""
        parts = []
        for concept in dict.fromkeys(concept for concept, _ in self.places):
            stages = [stage for c, stage in self.places if c == concept]
            parts.append(
                f"<details><summary><code>{concept}</code></summary>\n\n{self._steadiness(concept, stages)}\n"
                f"{self._every_axis(concept, stages)}\n</details>\n"
            )
        return "\n".join(parts)

    def _steadiness(self, concept: str, stages: list[str]) -> str:
        rows = []
        for stage in stages:
            canonical = self.one(concept, stage, "auroc", "probe", None)
            worst = self.rows.filter(
                pl.col("concept") == concept, pl.col("stage") == stage, pl.col("measure") == "steadiness"
            ).to_dicts()[0]
            assert canonical is not None
            layer = "–" if canonical["layer"] is None else str(canonical["layer"])
            rows.append(
                [f"`{stage}`", str(canonical["n_seeds"] or 1), layer, interval(canonical)]
                + [interval(worst), worst["shift"], str(canonical["n_pairs"])]
            )
        return table(["stage", "seeds", "layer", "canonical", "worst axis", "which", "canonical pairs"], rows)

    def _every_axis(self, concept: str, stages: list[str]) -> str:
        rows = []
        for stage in stages:
            for axis in (None, *AXES):
                carried = self.cell(concept, stage, "auroc", "shift_transfer" if axis else "probe", axis)
                chosen = self.one(concept, stage, "choice_rate", "per_token", axis)
                if carried == "–" and chosen is None:
                    continue
                refit = self.cell(concept, stage, "auroc", "shift_refit", axis)
                rows.append(
                    [f"`{stage}`", axis or "canonical", carried, refit]
                    + [interval(chosen) if chosen else "–", str(chosen["n_pairs"]) if chosen else "–"]
                )
        return table(["stage", "axis", "carried", "refitted there", "choice rate", "items"], rows)


def main() -> None:
    lineage = probes.load_lineage(LINEAGE)
    if len(sys.argv) > 1:
        gathered(Path(sys.argv[1])).sort(pl.all()).write_parquet(TABLE, compression="zstd")
    found = pl.read_parquet(TABLE).filter(pl.col("shift_value").is_null(), pl.col("measure") != "steadiness")
    dtype = found["dtype"].mode()[0]
    rows = ordered(found.filter(pl.col("dtype") == dtype).drop("dtype"), lineage)
    families = {stage.name: stage.family for stage in lineage}
    page = Page(rows, family_parents({stage.name: stage.parent for stage in lineage}, families))
    order = rows["stage"].unique(maintain_order=True).to_list()
    draw(rows, kind="steadiness", order=order, stages=HEADLINE).export(FIGURES / "steadiness.svg")
    draw(rows, kind="worst_axis", order=order).export(FIGURES / "worst_axis.svg")
    parts = {name: getattr(page, name)() for name in ("asked", "counted", "changes", "axes")}
    write("shifts", parts | {"precision": precision(found, dtype)})


if __name__ == "__main__":
    main()
