"""Write docs/shifts.md: what stages of the embedded lineage read and choose on every shift axis.

    python docs/shifts.py out/shifts

reads the tables that `probes shifts` wrote there, a file a stage; `make shifts` runs both.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import polars as pl
from pages import interval, number, table, told, write
from scipy import stats

import probes
from probes.concepts.records import AXES
from probes.figures import draw
from probes.statistics import Estimate

ROOT = Path(__file__).parent.parent
LINEAGE = ROOT / "checkpoints" / "msm-mini"
FIGURE = ROOT / "figures" / "steadiness.svg"


def read(folder: Path) -> pl.DataFrame:
    """The rows of whole axes of all tables in `folder`, stages in the order of the lineage."""
    found = pl.concat([pl.read_parquet(path) for path in sorted(folder.glob("*.parquet"))])
    order = [stage.name for stage in probes.load_lineage(LINEAGE) if stage.name in set(found["stage"])]
    whole = found.filter(pl.col("shift_value").is_null())
    return whole.sort(
        "concept", pl.col("stage").cast(pl.Enum(order)), maintain_order=True, nulls_last=True
    ).unique(maintain_order=True)


class Page:
    """The page's parts, each from the same table."""

    def __init__(self, rows: pl.DataFrame):
        self.rows = rows
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
        seeds = ", ".join(map(str, self.rows["seed"].drop_nulls().unique().sort()))
        position = self.rows["position"].drop_nulls()[0]
        return (
            f"{len(stages)} stages, {len(concepts)} readings of "
            f"{len({c.split('/')[0] for c in concepts})} concepts; texts read at position `{position}`, "
            f"seed {seeds}.\n"
        )

    def steadiness(self) -> str:
        rows = []
        for concept, stage in self.places:
            worst = self.rows.filter(
                pl.col("concept") == concept, pl.col("stage") == stage, pl.col("measure") == "steadiness"
            ).to_dicts()[0]
            canonical = self.one(concept, stage, "auroc", "probe", None)
            assert canonical is not None
            rows.append(
                [f"`{concept}`", f"`{stage}`", interval(canonical), str(canonical["layer"])]
                + [interval(worst), worst["shift"], str(canonical["n_pairs"])]
            )
        heads = ["reading", "stage", "canonical", "layer", "worst axis", "which", "canonical pairs"]
        return table(heads, rows)

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
        """What each stage changed against base; each reading gives one difference, its axes averaged."""
        told_by = {
            "canonical": (pl.col("variant") == "probe") & (pl.col("measure") == "auroc"),
            "carried": (pl.col("variant") == "shift_transfer") & (pl.col("measure") == "auroc"),
            "refitted": pl.col("variant") == "shift_refit",
            "choice rate": (pl.col("measure") == "choice_rate") & (pl.col("variant") == "per_token"),
        }
        rows = []
        for stage in self.rows.filter(pl.col("stage") != "base")["stage"].unique(maintain_order=True):
            cells = []
            for chosen in told_by.values():
                here, base = (self.rows.filter(chosen, pl.col("stage") == name) for name in (stage, "base"))
                both = here.join(base, on=["concept", "shift"], suffix="_base", nulls_equal=True)
                changes = both.group_by("concept").agg((pl.col("estimate") - pl.col("estimate_base")).mean())
                values = changes["estimate"].to_numpy()
                if len(values) < 2:
                    cells.append("–")
                    continue
                low, high = stats.ttest_1samp(values, 0).confidence_interval()
                cells.append(told(Estimate(float(values.mean()), low, high, len(values)), signed=True))
            rows.append([f"`{stage}`", *cells])
        return table(["stage", *told_by], rows)

    def axes(self) -> str:
        parts = []
        for concept in dict.fromkeys(concept for concept, _ in self.places):
            rows = []
            for stage in (stage for c, stage in self.places if c == concept):
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
            heads = ["stage", "axis", "carried", "refitted there", "choice rate", "items"]
            parts.append(
                f"<details><summary><code>{concept}</code></summary>\n\n{table(heads, rows)}\n</details>\n"
            )
        return "\n".join(parts)


def main() -> None:
    rows = read(Path(sys.argv[1]))
    page = Page(rows)
    draw(rows, kind="steadiness", order=rows["stage"].unique(maintain_order=True).to_list()).export(FIGURE)
    write(
        "shifts",
        {
            "asked": page.asked(),
            "counted": page.counted(),
            "changes": page.changes(),
            "steadiness": page.steadiness(),
            "axes": page.axes(),
        },
    )


if __name__ == "__main__":
    main()
