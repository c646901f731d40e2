"""Write docs/location.md: where SmolLM2 uses the number of a subject, and how far that of another noun.

    python docs/location.py

Both sets of minimal pairs come with the package (`probes/validation/items`). Every result is kept in
docs/location.parquet.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import polars as pl
from pages import DOCS, row_with_interval, table, with_interval, write

import probes
from probes.figures import draw
from probes.locating import Location
from probes.tables.schema import tidy
from probes.tables.writing import write_table

ITEMS = Path(probes.__file__).parent / "validation" / "items"
NAMES = ("subject_number", "attractor_number")
EVERY = 2
LATER = ("msm_domestic", "msm_domestic_aft", "msm_domestic_aft_anti16")
"""The later stages at which the base's subspace is tried."""
REFITS = 2
"""How often the subspace is learned again at the base, for the noise floor of the angles."""


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


def followed(lineage: probes.Lineage, found: Location) -> tuple[str, pl.DataFrame]:
    """One row a later stage: what the base's subspace still does there, what one does that is found anew, and
    the angles between the two. Also the rows of the table."""
    concept = probes.load_concept(ITEMS / "subject_number.jsonl")
    source = found.subspaces["das_4"]
    floor = probes.locate(
        lineage["base"], concept, layers=[found.layer], dimensions=(4,), refits=REFITS
    ).noise_floor
    rows = [["base", "", with_interval(found.share("das_4")), angles(floor)]]
    tables = []
    for name in LATER:
        stage = lineage[name].load()
        frozen = probes.exchange(stage, concept, source)
        there = probes.locate(stage, concept, layers=[found.layer], dimensions=(4,))
        turned = there.subspaces["das_4"].angles(source)
        rows.append([f"`{name}`", with_interval(frozen), with_interval(there.share("das_4")), angles(turned)])
        names = {"stage": name, "source_stage": "base", "concept": concept.name, "layer": found.layer}
        frozen_row = names | {"measure": "exchange_share", "variant": "frozen", "estimate": frozen.value}
        frozen_row |= {"ci_low": frozen.low, "ci_high": frozen.high, "n_pairs": frozen.n}
        turned_rows = [
            names | {"measure": "principal_angle", "variant": f"angle {i}", "estimate": float(angle)}
            for i, angle in enumerate(turned)
        ]
        tables += [tidy([frozen_row, *turned_rows]), there.table]
    heads = ["stage", "the base's subspace", "a subspace found anew", "principal angles (degrees)"]
    return table(heads, rows), pl.concat(tables)


def angles(values: Iterable[float]) -> str:
    """Angles in whole degrees."""
    return ", ".join(f"{value:.0f}" for value in values)


def main() -> None:
    """Measure both sets, follow the subspace, and write the page, its table and its figure."""
    lineage = probes.load_lineage(DOCS.parent / "checkpoints" / "msm-mini")
    base = lineage["base"].load()
    found = {
        name: probes.locate(base, probes.load_concept(ITEMS / f"{name}.jsonl"), every=EVERY) for name in NAMES
    }
    later, rows = followed(lineage, found["subject_number"])
    everything = pl.concat([*(one.table for one in found.values()), rows])
    write_table(everything, DOCS / "location.parquet")
    figure = draw(found["subject_number"].table, "site_search")
    figure.export(DOCS.parent / "figures" / "location.svg")
    write("location", {"effects": effects(found), "shares": shares(found), "later": later})


if __name__ == "__main__":
    main()
