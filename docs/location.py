"""Write docs/location.md: where SmolLM2 uses the number of a subject, and how far that of another noun.

    python docs/location.py

Both sets of minimal pairs come with the package (`probes/validation/items`). Every result is kept in
docs/location.parquet.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl
from pages import DOCS, row_with_interval, table, with_interval, write

import probes
from probes.figures import draw
from probes.locating import Location
from probes.tables.writing import write_table

ITEMS = Path(probes.__file__).parent / "validation" / "items"
NAMES = ("subject_number", "attractor_number")
EVERY = 2


def shares(found: dict[str, Location]) -> str:
    """One row a variant: the share of the text's effect that its exchange has, beside random subspaces."""
    subject = found["subject_number"].table
    rows = []
    for row in subject.filter(measure="exchange_share").iter_rows(named=True):
        if not row["variant"].endswith("_random"):
            name = row["variant"]
            random = subject.filter(measure="exchange_share", variant=f"{name}_random").to_dicts()
            erased = subject.filter(measure="erased_share", variant=name).to_dicts()
            rows.append(
                [
                    name.replace("_", " "),
                    row_with_interval(row),
                    *(row_with_interval(one[0]) if one else "" for one in (random, erased)),
                ]
            )
    return table(
        ["exchanged", "share of the text's effect", "random subspaces", "share lost when erased"], rows
    )


def effects(found: dict[str, Location]) -> str:
    """One row a set: what exchanging the text does to the choice, and the chosen site."""
    rows = []
    for name, one in found.items():
        rows.append(
            [name.replace("_", " "), str(len(one.ids)), with_interval(one.text_effect, signed=True)]
            + [str(one.layer), one.role, with_interval(one.used), f"{one.p_value:.3f}"]
        )
    heads = [
        "exchanged",
        "n items",
        "effect of the text (logits)",
        "layer",
        "tokens",
        "best subspace's share",
        "p",
    ]
    return table(heads, rows)


def main() -> None:
    """Measure both sets, and write the page, its table and its figure."""
    base = probes.load_lineage(DOCS.parent / "checkpoints" / "msm-mini")["base"].load()
    found = {
        name: probes.locate(base, probes.load_concept(ITEMS / f"{name}.jsonl"), every=EVERY) for name in NAMES
    }
    everything = pl.concat([one.table for one in found.values()])
    write_table(everything, DOCS / "location.parquet")
    figure = draw(found["subject_number"].table, "site_search")
    figure.export(DOCS.parent / "figures" / "location.svg")
    write("location", {"effects": effects(found), "shares": shares(found)})


if __name__ == "__main__":
    main()
