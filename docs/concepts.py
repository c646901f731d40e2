"""Write docs/concepts.md: what the packaged concepts hold, and what of them can be read off the surface.

    python docs/concepts.py [SHIFTS.parquet]

With a table of `probes shifts` it also tells what SmolLM2's probe reads on each axis, per stage in the table.
"""

from __future__ import annotations

import sys
from pathlib import Path

import polars as pl
from pages import told

import probes
from probes.statistics import Estimate

PAGE = Path(__file__).parent / "concepts.md"
HEAD = """# The packaged concepts

Written by `make concepts`. Each is a clause of [the spec](spec.md); see
[how to write one](writing-concepts.md). A second reader, who had not written it, read each set,
labels hidden first; what was marked was mended.

"""
SURFACE = """## What the surface gives away

AUROC of classifiers of the text alone, trained on canonical train and select pairs: the worst of word
n-grams, character n-grams and length with punctuation, on held-out templates (canonical) and on each
shift axis. 95% intervals over pairs. The two pairs of a crossed couple share their acts, which puts such
classifiers near .5 by construction: it says that no list of words gives the label, not that nothing short
of understanding does.

| concept | reading | axis | surface AUROC | worst classifier | pairs |
|---|---|---|---|---|---|
"""
MODEL = """
## What the model reads

AUROC of a logistic probe on the residual stream, fitted on canonical train pairs at the layer chosen on
the selection pairs (tokens of the answer, or of the whole statement): on canonical test pairs, and
carried to each axis; beside it a probe fitted on the axis' own pairs. 95% intervals over pairs.

| concept | stage | axis | carried | refitted there | pairs |
|---|---|---|---|---|---|
"""


def interval(row: dict) -> str:
    return told(Estimate(row["auroc"], row["ci_low"], row["ci_high"], 0))


def contents() -> str:
    lines = ["| concept | readings | canonical pairs | shift pairs | choice items |", "|---|---|---|---|---|"]
    for name in probes.list_concepts():
        concept = probes.load_concept(name)
        moved = {e.pair for e in concept.examples if e.shift}
        readings = ", ".join(concept.readings)
        counts = (readings, concept.n_pairs - len(moved), len(moved), len(concept.choices))
        lines.append(f"| `{name}` | {' | '.join(map(str, counts))} |")
    return "\n".join(lines) + "\n\n"


def surface() -> str:
    lines = []
    for name in probes.list_concepts():
        table = probes.lint(probes.load_concept(name)).table
        pairs = table.filter(pl.col("rows").str.contains("pairs"), pl.col("value").is_null())
        for (rows, axis), group in pairs.group_by("rows", "axis", maintain_order=True):
            worst = group.sort("auroc").to_dicts()[-1]
            reading = str(rows).removesuffix("pairs").strip()
            kind = worst["surface"].replace("_", " ")
            lines.append(
                f"| `{name}` | {reading} | {axis} | {interval(worst)} | {kind} | {worst['n_pairs']} |"
            )
    return "\n".join(lines) + "\n"


def model(path: Path) -> str:
    table = pl.read_parquet(path).filter(pl.col("measure") == "auroc", pl.col("shift_value").is_null())
    lines = []
    for row in table.filter(pl.col("variant").is_in(["probe", "shift_transfer"])).to_dicts():
        same = [pl.col(c).eq_missing(pl.lit(row[c])) for c in ("concept", "stage", "shift")]
        refit = table.filter(pl.col("variant") == "shift_refit", *same).to_dicts()
        own = interval(refit[0] | {"auroc": refit[0]["estimate"]}) if refit else ""
        carried = interval(row | {"auroc": row["estimate"]})
        axis = row["shift"] or "canonical"
        lines.append(
            f"| `{row['concept']}` | {row['stage']} | {axis} | {carried} | {own} | {row['n_pairs']} |"
        )
    return MODEL + "\n".join(lines) + "\n"


def main() -> None:
    page = HEAD + contents() + SURFACE + surface()
    if len(sys.argv) > 1:
        page += model(Path(sys.argv[1]))
    PAGE.write_text(page)
    print(PAGE)


if __name__ == "__main__":
    main()
