"""Write docs/validation.md and figures/validation.svg: how often the instrument errs.

    python docs/validation.py out/validation

reads what `probes validate --out out/validation` wrote, or has written so far; `make validation` runs both.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import polars as pl
from pages import number, table, told, write
from scipy.stats import binomtest

from probes.figures.confusion import confusion
from probes.stats.estimates import Estimate
from probes.validation import HALVES, marks
from probes.verdicts import CRITERIA

FIGURE = Path(__file__).parent.parent / "figures" / "validation.svg"
TRUTHS = ["absent", "surface", "represented", "internal"]
FATES = ["persists", "rotated", "faded", "lost"]
PIPELINES = {
    "accuracy_alone": "accuracy of the probe on held-out pairs at least .80",
    "split_alone": "AUROC on held-out pairs above chance",
    "steering_alone": "a push along the probe moves choices more than random ones",
}
MEASURES = {"coverage": "coverage", "type_one": "type-I error", "power": "power"}


def share(row: dict[str, Any]) -> str:
    estimate = Estimate(row["estimate"], row["ci_low"], row["ci_high"], row["n"])
    return f"{row['k']} of {row['n']}: {told(estimate)}"


def exam(answers: pl.DataFrame, half: str) -> str:
    rows = []
    for row in marks(answers, half).filter(pl.col("exam").is_in(["verdict", "origin", "fate"])).to_dicts():
        what = row["truth"] or ("all" if row["measure"] == "right" else "not internal")
        rows.append([row["exam"], what, row["measure"], share(row)])
    return table(["asked", "true", "measure", "answers"], rows)


def bound(answers: pl.DataFrame) -> str:
    """False `internal`s on the held-out half, with the one-sided bound."""
    others = answers.filter(
        pl.col("half") == HALVES[1], pl.col("exam") == "verdict", pl.col("truth") != "internal"
    )
    k, n = others.filter(pl.col("answer") == "internal").height, others.height
    upper = binomtest(k, n, alternative="less").proportion_ci(0.95).high
    return f"{k} of {n} verdicts on what is not internal said internal; upper 95% bound {number(upper)}.\n"


def usual(answers: pl.DataFrame) -> str:
    verdicts = answers.filter(pl.col("half") == HALVES[1], pl.col("exam") == "verdict")
    rows = []
    for truth in TRUTHS:
        here = verdicts.filter(pl.col("truth") == truth)
        ours = here.filter(pl.col("answer") == "internal").height
        called = [here[pipeline].sum() for pipeline in PIPELINES]
        rows.append([truth, str(here.height), str(ours), *map(str, called)])
    return table(["true", "n", "this instrument", *PIPELINES.values()], rows)


def transforms(answers: pl.DataFrame) -> str:
    here = answers.filter(pl.col("kind") == "transform")
    rows = []
    for (truth,), some in here.group_by("truth", maintain_order=True):
        said = some.group_by("answer").len().sort("len", descending=True).iter_rows()
        stages = ", ".join(f"`{name}`" for name in some["size"].unique(maintain_order=True))
        rows.append([str(truth), str(some.height), ", ".join(f"{a}: {n}" for a, n in said), stages])
    return table(["true", "n", "said", "of"], rows)


def simulated(calibration: pl.DataFrame) -> str:
    rows = []
    for (function,), some in calibration.group_by("function", maintain_order=True):
        cells = []
        for measure in MEASURES:
            found = some.filter(pl.col("measure") == measure)
            if found.is_empty():
                cells.append("")
                continue
            pooled = (found["estimate"] * found["n"]).sum() / found["n"].sum()
            low, high = float(found["estimate"].min()), float(found["estimate"].max())
            cells.append(f"{number(pooled)} ({number(low)} to {number(high)}, n={found['n'].sum()})")
        if any(cells):
            rows.append([str(function).replace("_", " "), *cells])
    return table(["function", *MEASURES.values()], rows)


def thresholds() -> str:
    return table(["criterion", "value"], [[k, f"{v:g}"] for k, v in CRITERIA.to_dict().items()])


def figure(answers: pl.DataFrame) -> None:
    held_out = answers.filter(pl.col("half") == HALVES[1])
    panels = [
        held_out.filter(pl.col("exam") == kind).select(
            pl.lit(panel).alias("panel"), "truth", pl.col("answer").fill_null("inconclusive")
        )
        for kind, panel in (("verdict", "verdict"), ("fate", "survival"))
    ]
    orders = {"verdict": (TRUTHS, [*TRUTHS, "inconclusive"]), "survival": (FATES, [*FATES, "inconclusive"])}
    confusion(pl.concat(panels), orders).export(FIGURE)


def main() -> None:
    folder = Path(sys.argv[1])
    kept = [folder / f"{name}.parquet" for name in ("organisms", "transforms")]
    answers = pl.concat([pl.read_parquet(file) for file in kept if file.exists()])
    figure(answers)
    parts = {
        "bound": bound(answers),
        "held_out": exam(answers, HALVES[1]),
        "set": exam(answers, HALVES[0]),
        "usual": usual(answers),
        "transforms": transforms(answers),
        "simulated": simulated(pl.read_parquet(folder / "calibration.parquet")),
        "thresholds": thresholds(),
    }
    write("validation", parts)


if __name__ == "__main__":
    main()
