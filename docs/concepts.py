"""Write docs/concepts.md: what the packaged concepts hold, and what the surface of their texts gives away.

    python docs/concepts.py

What a probe decodes of them in the base model comes from the table of docs/shifts.md.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl
from pages import row_with_interval, table, write

import probes

PROBED = Path(__file__).parent / "shifts.parquet"


def contents() -> str:
    """The table of concepts: readings, and numbers of pairs and choice items."""
    rows = []
    for name in probes.list_concepts():
        concept = probes.load_concept(name)
        moved = {e.pair for e in concept.examples if e.shift}
        counts = (concept.n_pairs - len(moved), len(moved), len(concept.choices))
        rows.append([f"`{name}`", ", ".join(concept.readings), *map(str, counts)])
    return table(["concept", "readings", "n canonical pairs", "n shift pairs", "n choice items"], rows)


def surface(probed: pl.DataFrame) -> str:
    """The table of axes: the best classifier of the text alone, and beside it the probe in the base model."""
    rows = []
    for name in probes.list_concepts():
        lint = probes.lint(probes.load_concept(name)).table
        pairs = lint.filter(pl.col("rows").str.contains("pairs"), pl.col("value").is_null())
        for (kind, axis), group in pairs.group_by("rows", "axis", maintain_order=True):
            best = group.sort("auroc").to_dicts()[-1]
            reading = str(kind).removesuffix("pairs").strip()
            text_alone = row_with_interval(best | {"estimate": best["auroc"]})
            classifier = best["surface"].replace("_", " ")
            probe = probe_cells(probed, name, reading, str(axis))
            rows.append(
                [f"`{name}`", reading, str(axis), text_alone, classifier, str(best["n_pairs"]), *probe]
            )
    heads = ["concept", "reading", "axis", "surface AUROC", "best classifier", "n pairs"]
    return table([*heads, "AUROC of the probe in SmolLM2", "layer"], rows)


def probe_cells(probed: pl.DataFrame, name: str, reading: str, axis: str) -> tuple[str, str]:
    """The AUROC of the probe on one axis of a concept's reading, and the probe's layer."""
    canonical = axis == "canonical"
    row = probed.filter(
        pl.col("concept") == (f"{name}/norm" if reading == "norm" else name),
        pl.col("measure") == "auroc",
        pl.col("variant") == ("probe" if canonical else "shift_transfer"),
        pl.col("shift").eq_missing(None if canonical else axis),
        pl.col("shift_value").is_null(),
    ).to_dicts()[0]
    return row_with_interval(row), str(row["layer"])


def main() -> None:
    probed = pl.read_parquet(PROBED).filter(pl.col("stage") == "base")
    write("concepts", {"contents": contents(), "surface": surface(probed)})


if __name__ == "__main__":
    main()
