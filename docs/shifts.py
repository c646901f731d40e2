"""Write docs/shifts.md: how probes and choices of the embedded lineage carry over to every shift axis.

    python docs/shifts.py [out/shifts]

The folder holds what `probes shifts` wrote: one folder for each precision, in it one table for each stage.
All of them are kept together in docs/shifts.parquet, from which the page is made; without a folder, the table
that is there is used. `make shifts` runs `probes shifts` and this script.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import polars as pl
from pages import number, row_with_interval, table, with_interval, write
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
"""The stages in the figure of every axis. The figure of the worst axis shows all stages."""


def gathered(folder: Path) -> pl.DataFrame:
    """All tables in `folder`, with a column `dtype`: the name of the folder that a table lies in."""
    files = sorted(folder.glob("*/*.parquet"))
    return pl.concat(
        [pl.read_parquet(path).with_columns(dtype=pl.lit(path.parent.name)) for path in files]
    ).unique()


def ordered(measured: pl.DataFrame, lineage: probes.Lineage) -> pl.DataFrame:
    """One row for each measurement of a family of stages, in the order of the lineage and of the axes."""
    families = {stage.name: stage.family for stage in lineage}
    rows = pooled(measured, families, {stage.name: stage.seed for stage in lineage})
    transferred = rows.filter(pl.col("variant") == "shift_transfer", pl.col("measure") == "auroc")
    worst = [worst_axis(some.to_dicts()) for some in transferred.partition_by("concept", "stage")]
    order = [family for family in dict.fromkeys(families.values()) if family in set(rows["stage"])]
    places = ["concept", pl.col("stage").cast(pl.Enum(order)), pl.col("shift").cast(pl.Enum(AXES))]
    return pl.concat([rows, tidy(worst)]).sort(places, maintain_order=True)


def precision(measured: pl.DataFrame, dtype: str) -> str:
    """How far the measurements in another precision are from those in `dtype`."""
    keys = ["stage", "concept", "measure", "variant", "shift"]
    other = measured.filter(pl.col("dtype") != dtype).join(
        measured.filter(pl.col("dtype") == dtype), on=keys, suffix="_here", nulls_equal=True
    )
    chosen_rows = {
        "AUROC, canonical and transferred": pl.col("variant").is_in(["probe", "shift_transfer"]),
        "AUROC, refit": pl.col("variant") == "shift_refit",
        "choice rate": pl.col("variant") == "per_token",
    }
    rows = []
    for (stage, wider), both in other.group_by("stage", "dtype", maintain_order=True):
        for what, chosen in chosen_rows.items():
            some = both.filter(chosen, pl.col("measure").is_in(["auroc", "choice_rate"]))
            apart = (some["estimate_here"] - some["estimate"]).abs().to_numpy()
            if len(apart):
                sizes = (f"{size:.3f}" for size in (np.median(apart), apart.max()))
                rows.append([f"`{stage}`", str(wider), what, str(len(apart)), *sizes])
    heads = ["stage", "compared with", "what", "n numbers", "median difference", "largest difference"]
    return table(heads, rows)


class Page:
    """The parts of the page, all made from the same table."""

    def __init__(self, rows: pl.DataFrame, parents: Mapping[str, str | None]):
        self.rows, self.parents = rows, parents
        self.places = rows.select("concept", "stage").unique(maintain_order=True).rows()

    def one(self, concept: str, stage: str, measure: str, variant: str, axis: str | None) -> dict | None:
        """The one measurement with these properties, or None."""
        rows = self.rows.filter(
            pl.col("concept") == concept,
            pl.col("stage") == stage,
            pl.col("measure") == measure,
            pl.col("variant") == variant,
            pl.col("shift").eq_missing(axis),
        ).to_dicts()
        return rows[0] if rows else None

    def cell(self, *where: str | None) -> str:
        """That measurement as text; a dash where it was not made."""
        row = self.one(*where)  # pyright: ignore[reportArgumentType]
        return row_with_interval(row) if row else "–"

    def scope(self) -> str:
        """How many stages, training seeds, concepts and readings the page is about."""
        stages, concepts = (self.rows[name].unique() for name in ("stage", "concept"))
        runs = self.rows.select(pl.col("n_seeds").fill_null(1).max().over("stage"), "stage").unique()
        often = runs.filter(pl.col("n_seeds") > 1)
        position = self.rows["position"].drop_nulls()[0]
        seeds = f"{often.height} of them with {often['n_seeds'].max()} training seeds, which are pooled"
        return (
            f"The page covers {len(stages)} stages, "
            f"{seeds if often.height else 'each with one training seed'}, and {len(concepts)} readings of "
            f"{len({c.split('/')[0] for c in concepts})} concepts. Activations were taken at position "
            f"`{position}`.\n"
        )

    def counts(self) -> str:
        """How often a canonical probe works on an axis, and how often only a refit does."""
        norm, above = pl.col("concept").str.ends_with("/norm"), pl.col("ci_low") > 0.5
        auroc, on = pl.col("measure") == "auroc", ["concept", "stage"]
        rows = []
        for kind, which in (("attribute", ~norm), ("norm", norm)):
            canonical = self.rows.filter(which, auroc, pl.col("variant") == "probe")
            rows.append([kind, "canonical", *self._medians(canonical), "", "", ""])
            for axis in AXES:
                at = self.rows.filter(which, auroc, pl.col("shift") == axis)
                transferred, refit = (
                    at.filter(pl.col("variant") == f"shift_{v}") for v in ("transfer", "refit")
                )
                if transferred.is_empty():
                    continue
                both = transferred.join(refit, on=on, suffix="_refit")
                alone = both.filter(~above, pl.col("ci_low_refit") > 0.5).height
                rows.append([kind, axis, *self._medians(transferred), *self._medians(refit)[1:], str(alone)])
        heads = ["reading", "axis", "n (concepts x stages)", "median AUROC, transferred", "n above chance"]
        return table(
            [*heads, "median AUROC, refit", "n above chance", "n above chance by the refit alone"], rows
        )

    @staticmethod
    def _medians(rows: pl.DataFrame) -> list[str]:
        """The number of rows, their median estimate, and the number whose interval lies above chance."""
        above = rows.filter(pl.col("ci_low") > 0.5).height
        return [str(rows.height), number(float(np.median(rows["estimate"]))), str(above)]

    def changes(self) -> str:
        """What each stage changed; every concept's reading gives one difference, averaged over its axes."""
        chosen_rows = {
            "canonical": (pl.col("variant") == "probe") & (pl.col("measure") == "auroc"),
            "transferred": (pl.col("variant") == "shift_transfer") & (pl.col("measure") == "auroc"),
            "refit": pl.col("variant") == "shift_refit",
            "choice rate": (pl.col("measure") == "choice_rate") & (pl.col("variant") == "per_token"),
        }
        rows = []
        for stage in self.rows["stage"].unique(maintain_order=True):
            for other in dict.fromkeys(("base", self.parents[stage])):
                if other not in (None, stage) and other in set(self.rows["stage"]):
                    cells = [self._change(chosen, stage, other) for chosen in chosen_rows.values()]
                    rows.append([f"`{stage}`", f"`{other}`", *cells])
        return table(["stage", "minus", *chosen_rows], rows)

    def _change(self, chosen: pl.Expr, stage: str, other: str) -> str:
        here, there = (self.rows.filter(chosen, pl.col("stage") == name) for name in (stage, other))
        both = here.join(there, on=["concept", "shift"], suffix="_other", nulls_equal=True)
        changes = both.group_by("concept").agg((pl.col("estimate") - pl.col("estimate_other")).mean())
        values = changes["estimate"].to_numpy()
        if len(values) < 2:
            return "–"
        low, high = stats.ttest_1samp(values, 0).confidence_interval()
        return with_interval(Estimate(float(values.mean()), low, high, len(values)), signed=True)

    def axes(self) -> str:
        """For every concept's reading the worst axis of each stage, then every axis, in folded sections."""
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
                [f"`{stage}`", str(canonical["n_seeds"] or 1), layer, row_with_interval(canonical)]
                + [row_with_interval(worst), worst["shift"], str(canonical["n_pairs"])]
            )
        heads = ["stage", "n seeds", "layer", "canonical AUROC", "AUROC on the worst axis", "worst axis"]
        return table([*heads, "n canonical pairs"], rows)

    def _every_axis(self, concept: str, stages: list[str]) -> str:
        rows = []
        for stage in stages:
            for axis in (None, *AXES):
                transferred = self.cell(concept, stage, "auroc", "shift_transfer" if axis else "probe", axis)
                chosen = self.one(concept, stage, "choice_rate", "per_token", axis)
                if transferred == "–" and chosen is None:
                    continue
                refit = self.cell(concept, stage, "auroc", "shift_refit", axis)
                rows.append(
                    [f"`{stage}`", axis or "canonical", transferred, refit]
                    + [
                        row_with_interval(chosen) if chosen else "–",
                        str(chosen["n_pairs"]) if chosen else "–",
                    ]
                )
        heads = ["stage", "axis", "AUROC, transferred", "AUROC, refit", "choice rate", "n items"]
        return table(heads, rows)


def main() -> None:
    lineage = probes.load_lineage(LINEAGE)
    if len(sys.argv) > 1:
        gathered(Path(sys.argv[1])).sort(pl.all()).write_parquet(TABLE, compression="zstd")
    measured = pl.read_parquet(TABLE)
    measured = measured.filter(pl.col("shift_value").is_null(), pl.col("measure") != "steadiness")
    dtype = measured["dtype"].mode()[0]
    rows = ordered(measured.filter(pl.col("dtype") == dtype).drop("dtype"), lineage)
    families = {stage.name: stage.family for stage in lineage}
    page = Page(rows, family_parents({stage.name: stage.parent for stage in lineage}, families))
    order = rows["stage"].unique(maintain_order=True).to_list()
    draw(rows, kind="steadiness", order=order, stages=HEADLINE).export(FIGURES / "steadiness.svg")
    draw(rows, kind="worst_axis", order=order).export(FIGURES / "worst_axis.svg")
    parts = {name: getattr(page, name)() for name in ("scope", "counts", "changes", "axes")}
    write("shifts", parts | {"precision": precision(measured, dtype)})


if __name__ == "__main__":
    main()
