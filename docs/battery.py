"""Write docs/battery.md: whether the choices of the embedded lineage follow the question.

    python docs/battery.py out/battery

The folder holds what `make battery` asked (`items.parquet`). Nothing is asked again that stands there, and
the page says which stages are still missing. All answers are kept in docs/battery.parquet, from which
`make battery` goes on.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

import polars as pl
from pages import DOCS, number, table, with_interval, write

import probes
from probes.concepts import read_choices
from probes.figures import draw
from probes.measure import UNDISPUTED, Battery, formula
from probes.measure.items import spread_items

FOLDER = DOCS.parent / "checkpoints" / "msm-mini"
SETS = ("american", "affordable")
NUMBER, WORDINGS = 24, 2
"""Items of each set and wordings of each form, as `make battery` asks them."""
CONTRASTS: tuple[tuple[Mapping[str, float], str], ...] = (
    ({"msm_domestic": 1, "base": -1}, "american"),
    ({"aft": 1, "base": -1}, "american"),
    ({"msm_domestic_aft": 1, "aft": -1}, "american"),
    ({"msm_domestic_aft": 1, "msm_afford_aft": -1}, "american"),
    ({"msm_domestic_aft_anti16": 1, "msm_domestic_aft": -1}, "american"),
    ({"msm_afford": 1, "base": -1}, "affordable"),
    ({"aft": 1, "base": -1}, "affordable"),
    ({"msm_afford_aft": 1, "aft": -1}, "affordable"),
    ({"msm_afford_aft": 1, "msm_domestic_aft": -1}, "affordable"),
)


def rates(result: Battery, families: list[str], name: str) -> str:
    """One row a family: the rate of the positive option in every form, then the two scores."""
    rows = []
    for family in families:
        forms = {
            form: number(result.contrast({family: 1}, name, form=form, measure="choice_rate").value)
            for form in ("asked", "reversed", "not_asked", "other_agent", "unconditioned")
        }
        scores = [
            with_interval(result.contrast({family: 1}, name, form=form), signed=True)
            for form in ("principled", "string")
        ]
        rows.append([f"`{family}`", _n_seeds(result, family, name), *forms.values(), *scores])
    heads = ["stage", "n seeds", "asked", "reversed", "not asked", "other agent", "unconditioned"]
    return table([*heads, "principled score", "string score"], rows)


def _n_seeds(result: Battery, family: str, name: str) -> str:
    rows = result.items.filter(family=family, set=f"{name}: asked")
    return str(rows["train_seed"].n_unique())


def competence(result: Battery, families: list[str]) -> str:
    """One row a family: undisputed items asked, reversed, and the difference."""
    rows = []
    for family in families:
        asked, turned = (
            result.contrast({family: 1}, UNDISPUTED, form=form, measure="choice_rate")
            for form in ("asked", "reversed")
        )
        able = result.competence(family)
        assert able is not None
        rows.append(
            [f"`{family}`", with_interval(asked), with_interval(turned), with_interval(able, signed=True)]
        )
    return table(["stage", "asked", "reversed", "difference (competence)"], rows)


def contrasts(result: Battery) -> str:
    """One row a contrast: what changed of the principled and of the string score."""
    rows = []
    for weights, name in CONTRASTS:
        if set(weights) <= set(result.items["family"]):
            scores = [
                with_interval(result.contrast(weights, name, form=form), signed=True)
                for form in ("principled", "string", "not_asked")
            ]
            rows.append([f"`{formula(weights)}`", name, *scores])
    return table(["contrast", "items", "principled score", "string score", "not asked"], rows)


def asked(result: Battery, lineage: probes.Lineage) -> str:
    """Which stages were asked, and which are still to be."""
    done = set(result.items["stage"])
    left = [f"`{stage.name}`" for stage in lineage if stage.name not in done]
    text = (
        f"{len(done)} of the {len(lineage)} stages were asked {NUMBER} items of each set, two of each domain"
    )
    return f"{text}.\n" if not left else f"{text}; not yet {', '.join(left)}.\n"


def kept_battery(lineage: probes.Lineage, kept: Path) -> Battery:
    """The battery of every stage whose answers are in a table; nothing is asked again."""
    items = {name: spread_items(read_choices(FOLDER / "items" / f"{name}.jsonl"))[:NUMBER] for name in SETS}
    names = set(pl.read_parquet(kept)["stage"])
    stages = [stage.name for stage in lineage if stage.name in names]
    return probes.battery(lineage, items, stages=stages, wordings=WORDINGS, keep=kept)


def main(folder: Path) -> None:
    """Write the page, its table and its figure."""
    lineage = probes.load_lineage(FOLDER)
    result = kept_battery(lineage, folder / "items.parquet")
    names = set(result.items["stage"])
    families = list(dict.fromkeys(stage.family for stage in lineage if stage.name in names))
    shutil.copyfile(folder / "items.parquet", DOCS / "battery.parquet")
    order = [family for family in families if not family.endswith(("_sft", "_dpo"))]
    figure = draw(result.table, "battery", stages=order, order=order)
    figure.export(DOCS.parent / "figures" / "battery.svg")
    parts = {name: rates(result, families, name) for name in SETS}
    parts |= {"competence": competence(result, families), "contrasts": contrasts(result)}
    write("battery", parts | {"asked": asked(result, lineage)})


if __name__ == "__main__":
    main(Path(sys.argv[1]))
