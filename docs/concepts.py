"""Write docs/concepts.md: what the packaged concepts hold, and what of them can be read off the surface.

    python docs/concepts.py

What a probe reads there in the model before midtraining comes from the table of docs/shifts.md.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl
from pages import interval

import probes

PAGE = Path(__file__).parent / "concepts.md"
PROBED = Path(__file__).parent / "shifts.parquet"
HEAD = """# The packaged concepts

Written by `make concepts`. Each is a clause of [the spec](spec.md); see
[how to write one](writing-concepts.md). A second reader, who had not written it, read each set,
labels hidden first; what was marked was mended. Later four fresh readers judged ten random pairs of every
axis (four of every language), labels hidden but the two sides of a pair in view: of 1,240 texts they gave
every one its label, of 160 choices all but one misread and one ambiguous item; 42 of the 620 pairs they
called unclear, unnatural or off in a fact. All but one of those were mended, with the pairs that share
their words.

"""
SURFACE = """## What the surface gives away

AUROC of classifiers of the text alone, trained on canonical train and select pairs: the worst of word
n-grams, character n-grams and length with punctuation, on held-out templates (canonical) and on each
shift axis. 95% intervals over pairs. The two pairs of a crossed couple share their acts, which puts such
classifiers near .5 by construction: it says that no list of words gives the label, not that nothing short
of understanding does.

The last columns are a logistic probe on the residual stream of SmolLM2-135M-Instruct, before any midtraining
(`make shifts`): fitted on canonical train pairs, at the layer chosen on the selection pairs, and carried to
each axis unchanged. [All stages](shifts.md).

| concept | reading | axis | surface AUROC | worst classifier | pairs | SmolLM2 AUROC | layer |
|---|---|---|---|---|---|---|---|
"""


def contents() -> str:
    lines = ["| concept | readings | canonical pairs | shift pairs | choice items |", "|---|---|---|---|---|"]
    for name in probes.list_concepts():
        concept = probes.load_concept(name)
        moved = {e.pair for e in concept.examples if e.shift}
        readings = ", ".join(concept.readings)
        counts = (readings, concept.n_pairs - len(moved), len(moved), len(concept.choices))
        lines.append(f"| `{name}` | {' | '.join(map(str, counts))} |")
    return "\n".join(lines) + "\n\n"


def surface(probed: pl.DataFrame) -> str:
    lines = []
    for name in probes.list_concepts():
        table = probes.lint(probes.load_concept(name)).table
        pairs = table.filter(pl.col("rows").str.contains("pairs"), pl.col("value").is_null())
        for (rows, axis), group in pairs.group_by("rows", "axis", maintain_order=True):
            worst = group.sort("auroc").to_dicts()[-1]
            reading = str(rows).removesuffix("pairs").strip()
            kind = worst["surface"].replace("_", " ")
            model = read(probed, name, reading, str(axis))
            read_off = interval(worst | {"estimate": worst["auroc"]})
            cells = [f"`{name}`", reading, str(axis), read_off, kind, str(worst["n_pairs"]), *model]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def read(probed: pl.DataFrame, name: str, reading: str, axis: str) -> tuple[str, str]:
    """What the probe reads of a concept on an axis, and at which layer."""
    canonical = axis == "canonical"
    found = probed.filter(
        pl.col("concept") == (f"{name}/norm" if reading == "norm" else name),
        pl.col("measure") == "auroc",
        pl.col("variant") == ("probe" if canonical else "shift_transfer"),
        pl.col("shift").eq_missing(None if canonical else axis),
        pl.col("shift_value").is_null(),
    ).to_dicts()[0]
    return interval(found), str(found["layer"])


def main() -> None:
    probed = pl.read_parquet(PROBED).filter(pl.col("stage") == "base")
    PAGE.write_text(HEAD + contents() + SURFACE + surface(probed))
    print(PAGE)


if __name__ == "__main__":
    main()
