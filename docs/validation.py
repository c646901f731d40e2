"""Write docs/validation.md and figures/validation.svg: how often the toolkit errs.

    python docs/validation.py docs/exam

The folder holds what `probes validate --out docs/exam` wrote, or has written so far.
`make validation` runs that command and this script.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import polars as pl
from pages import number, table, with_interval, write
from scipy.stats import binomtest

from probes.figures.confusion import confusion
from probes.stats.estimates import Estimate
from probes.validation import HALVES, marks, read_answers
from probes.verdicts import CRITERIA

FIGURE = Path(__file__).parent.parent / "figures" / "validation.svg"
TRUTHS = ["absent", "surface", "represented", "internal"]
SURVIVAL = ["persists", "rotated", "faded", "lost"]
PIPELINES = {
    "accuracy_alone": "accuracy of the probe on held-out pairs at least .80",
    "split_alone": "AUROC on held-out pairs above chance",
    "steering_alone": "steering along the probe changes choices more than random directions do",
}
COUNTED = {"right": "right", "false internal": "false `internal`"}
MEASURES = {"coverage": "coverage", "type_one": "type-I error", "power": "power"}


def share(row: dict[str, Any]) -> str:
    """How many of how many, and the share with its interval."""
    estimate = Estimate(row["estimate"], row["ci_low"], row["ci_high"], row["n"])
    return f"{row['k']} of {row['n']}: {with_interval(estimate)}"


def exam(answers: pl.DataFrame, half: str) -> str:
    """How many answers of one half are right, by question and truth."""
    rows = []
    questions = pl.col("exam").is_in(["verdict", "origin", "survival"])
    for row in marks(answers, half).filter(questions).iter_rows(named=True):
        what = row["truth"] or ("all" if row["measure"] == "right" else "not internal")
        rows.append([row["exam"], what, COUNTED[row["measure"]], share(row)])
    return table(["question", "truth", "what is counted", "how many, and the share"], rows)


def bound(answers: pl.DataFrame) -> str:
    """How often the held-out half was falsely called internal, with the one-sided bound."""
    others = answers.filter(
        pl.col("half") == HALVES[1], pl.col("exam") == "verdict", pl.col("truth") != "internal"
    )
    k, n = others.filter(pl.col("answer") == "internal").height, others.height
    upper = binomtest(k, n, alternative="less").proportion_ci(0.95).high
    return (
        f"{k} of {n} verdicts on what is not internal said `internal`; the upper 95% bound of that rate is "
        f"{number(upper)}.\n"
    )


def usual(answers: pl.DataFrame) -> str:
    """How many organisms this toolkit and three usual methods call internal."""
    verdicts = answers.filter(pl.col("half") == HALVES[1], pl.col("exam") == "verdict")
    rows = []
    for truth in TRUTHS:
        here = verdicts.filter(pl.col("truth") == truth)
        ours = here.filter(pl.col("answer") == "internal").height
        called = [here[pipeline].sum() for pipeline in PIPELINES]
        rows.append([truth, str(here.height), str(ours), *map(str, called)])
    return table(["truth", "n", "this toolkit", *PIPELINES.values()], rows)


def transforms(answers: pl.DataFrame) -> str:
    """What was said of the exact transformations of real checkpoints."""
    here = answers.filter(pl.col("kind") == "transform")
    rows = []
    for (truth,), some in here.group_by("truth", maintain_order=True):
        counts = some.group_by("answer").len().sort("len", descending=True).iter_rows()
        stages = ", ".join(f"`{name}`" for name in some["size"].unique(maintain_order=True))
        rows.append([str(truth), str(some.height), ", ".join(f"{a}: {n}" for a, n in counts), stages])
    return table(["truth", "n", "answers", "checkpoints"], rows)


def changes(answers: pl.DataFrame) -> str:
    """How often the blocks in which a change was put were found."""
    here = answers.filter(exam="change")
    k = here.filter(pl.col("answer") == pl.col("truth")).height
    return f"{k} of {here.height} were found exactly.\n" if here.height else "Not measured yet.\n"


def simulated(calibration: pl.DataFrame) -> str:
    """Coverage, type-I error and power of every function, pooled over settings."""
    rows = []
    for (function,), some in calibration.group_by("function", maintain_order=True):
        cells = []
        for measure in MEASURES:
            measured = some.filter(pl.col("measure") == measure)
            if measured.is_empty():
                cells.append("")
                continue
            pooled = (measured["estimate"] * measured["n"]).sum() / measured["n"].sum()
            low, high = float(measured["estimate"].min()), float(measured["estimate"].max())
            cells.append(f"{number(pooled)} ({number(low)} to {number(high)}, n={measured['n'].sum()})")
        if any(cells):
            name = str(function).replace("_", " ")
            rows.append([name, *cells])
    return table(["function", *MEASURES.values()], rows)


def thresholds() -> str:
    """The criteria that the verdicts were given under."""
    return table(["criterion", "value"], [[k, f"{v:g}"] for k, v in CRITERIA.to_dict().items()])


def figure(answers: pl.DataFrame) -> None:
    """Draw the confusion matrices of the held-out half."""
    held_out = answers.filter(pl.col("half") == HALVES[1])
    panels = [
        held_out.filter(pl.col("exam") == question).select(
            pl.lit(question).alias("panel"), "truth", pl.col("answer").fill_null("inconclusive")
        )
        for question in ("verdict", "survival")
    ]
    orders = {
        "verdict": (TRUTHS, [*TRUTHS, "inconclusive"]),
        "survival": (SURVIVAL, [*SURVIVAL, "inconclusive"]),
    }
    confusion(pl.concat(panels), orders).export(FIGURE)


def main() -> None:
    folder = Path(sys.argv[1])
    kept = [folder / f"{name}.parquet" for name in ("organisms", "transforms", "changes")]
    answers = pl.concat([read_answers(file) for file in kept if file.exists()])
    figure(answers)
    parts = {
        "bound": bound(answers),
        "held_out": exam(answers, HALVES[1]),
        "set": exam(answers, HALVES[0]),
        "usual": usual(answers),
        "transforms": transforms(answers),
        "changes": changes(answers),
        "simulated": simulated(pl.read_parquet(folder / "calibration.parquet")),
        "thresholds": thresholds(),
    }
    write("validation", parts)


if __name__ == "__main__":
    main()
