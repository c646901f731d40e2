"""Write docs/where-it-lives.md: in which layers, tokens and modules the changes of the embedded lineage live.

    python docs/where_it_lives.py out/changes

The folder keeps one table for each pair of stages and each measurement, so that a call that was interrupted
goes on where it stopped. All of them together are docs/where-it-lives.parquet.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import polars as pl
from pages import DOCS, number, row_with_interval, table, with_interval, write

import probes
from probes.concepts import read_choices
from probes.figures import crossing_map, draw
from probes.locating import seed_pairs
from probes.locating.weights import Unit
from probes.measure.items import spread_items
from probes.stats.estimates import Estimate
from probes.tables.schema import tidy
from probes.tables.writing import write_table
from probes.validation import examine_changes

FOLDER = DOCS.parent / "checkpoints" / "msm-mini"
FIGURES = DOCS.parent / "figures"
PAIRS = (
    ("msm_domestic", "base", "american"),
    ("msm_domestic_aft", "aft", "american"),
    ("msm_domestic_aft_anti16", "msm_domestic_aft", "american"),
    ("msm_afford", "base", "affordable"),
    ("msm_afford_aft", "aft", "affordable"),
)
"""Child, parent, and the items that are asked. All training seeds that both have are pooled."""
GRAFTED = PAIRS[:3]
"""The pairs whose modules are grafted: those whose choices change."""
CROSS_ITEMS, GRAFT_ITEMS, DIFFERENCE_ITEMS = 16, 16, 24
WAYS = ("put in", "taken out")
WIDEST = 2.0
"""The width of an interval above which a share is not shown."""
EVERY = 5
ROLES = ("all", "options", "last", "answer")
SHOWN = (5, 10, 15, 20, 25, 30)
LATER = (("msm_domestic_aft", "aft"), ("msm_domestic_aft_anti16", "aft"), ("aft", "base"))
"""The pairs of stages in which the difference of the first pair is tried."""


def items(name: str, n: int) -> list[probes.concepts.ChoiceItem]:
    """Choice items of a set, drawn over its domains."""
    return spread_items(read_choices(FOLDER / "items" / f"{name}.jsonl"), 0)[:n]


def kept(file: Path, make: Callable[[], pl.DataFrame]) -> pl.DataFrame:
    """The table of a file, made and written if it is not there yet."""
    if not file.exists():
        write_table(make(), file)
    return pl.read_parquet(file)


def named(result: pl.DataFrame, concept: str) -> pl.DataFrame:
    return result.with_columns(concept=pl.lit(concept))


def crossings(lineage: probes.Lineage, folder: Path) -> pl.DataFrame:
    """The crossings of all pairs."""

    def cross(child: str, parent: str, name: str) -> pl.DataFrame:
        stages = seed_pairs(lineage, child, parent)
        asked = items(name, CROSS_ITEMS)
        return named(probes.cross(*stages, asked, turned=True, every=EVERY, roles=ROLES).table, name)

    return pl.concat(
        kept(folder / f"cross-{child}-{parent}.parquet", lambda p=(child, parent, name): cross(*p))
        for child, parent, name in PAIRS
    )


def grafts(lineage: probes.Lineage, folder: Path) -> pl.DataFrame:
    """The grafts of the pairs whose choices change. The modules of the first pair's smallest set, for each
    training seed, are also grafted by themselves in the later pairs."""
    tables: list[pl.DataFrame] = []
    for child, parent, name in GRAFTED:
        sets = [_smallest(tables[1])] if len(tables) > 1 else []

        def graft(
            child: str = child, parent: str = parent, name: str = name, sets: Sequence = sets
        ) -> pl.DataFrame:
            stages = seed_pairs(lineage, child, parent)
            return named(probes.graft(*stages, items(name, GRAFT_ITEMS), sets=sets, ways=WAYS).table, name)

        tables.append(kept(folder / f"graft-{child}-{parent}.parquet", graft))
    return pl.concat(tables)


def _smallest(table_: pl.DataFrame) -> list[Unit]:
    """The modules that are in the smallest set of at least two training seeds of three."""
    rows = table_.filter(pl.col("measure") == "graft_smallest", pl.col("estimate") > 0.5)
    parts = {"attn": "attention", "mlp": "MLP"}
    return [Unit(row["layer"], parts[row["site"]]) for row in rows.iter_rows(named=True)]


def differences(lineage: probes.Lineage, folder: Path) -> pl.DataFrame:
    """What the difference of the first pair carries there and in later pairs, for the first training seed."""
    child, parent, name = PAIRS[0]
    asked = items(name, DIFFERENCE_ITEMS)
    first, second = asked[0::2], asked[1::2]

    def measure() -> pl.DataFrame:
        made = probes.difference(lineage[child], lineage[parent], first, role="answer", every=EVERY)
        tables = [made.table]
        for other in ((child, parent), *LATER):
            tables.append(probes.carried(made, *(lineage[one] for one in other), second).table)
        tables.append(angles(lineage, made))
        return named(pl.concat(tables), name)

    return kept(folder / f"difference-{child}-{parent}.parquet", measure)


def angles(lineage: probes.Lineage, made: probes.locating.StageDifference) -> pl.DataFrame:
    """The cosine between the difference and the attribute's class means and probe, at every layer."""
    acts = probes.extract(lineage["msm_domestic"], probes.load_concept("domestic").core, position="mean")
    rows = []
    for estimator in ("mass_mean", "logistic"):
        found = probes.probe_layers(acts, estimator=estimator, baselines=False).directions
        for layer in made.layers:
            if layer - 1 in found:
                rows.append(
                    made.columns
                    | {
                        "measure": "difference_cosine",
                        "variant": f"{estimator} of domestic",
                        "site": "resid_pre",
                        "layer": layer,
                        "position": made.role,
                        "estimate": probes.probing.cosine(made.direction(layer), found[layer - 1]),
                    }
                )
    return tidy(rows)


def known_answers(lineage: probes.Lineage) -> str:
    """How often blocks that were given the weights of another stage were found, as in the exam."""
    child, parent = lineage["msm_afford"], lineage["base"]
    answers = examine_changes(child, parent, keep=DOCS / "exam" / "changes.parquet")
    k = answers.filter(pl.col("truth") == pl.col("answer")).height
    return f"{k} of {answers.height} were found exactly.\n"


def one(rows: pl.DataFrame, **columns: object) -> dict | None:
    """The row with these values."""
    found = rows.filter(**columns).to_dicts()
    return found[0] if found else None


def pair(child: str, parent: str) -> str:
    return f"`{child}` over `{parent}`"


def totals(crossed: pl.DataFrame) -> str:
    """One row a pair: how far the child's choices are from the parent's."""
    rows = []
    for child, parent, name in PAIRS:
        here = crossed.filter(stage=child, source_stage=parent, measure="crossing_total")
        cells = [signed(one(here, variant=score)) for score in ("asked", "principled", "string")]
        n = here.row(0, named=True)
        rows.append([pair(child, parent), name, str(n["n_pairs"]), str(n["n_seeds"]), *cells])
    heads = ["change", "items", "n items", "n seeds", "asked", "principled score", "string score"]
    return table(heads, rows)


def signed(row: Mapping | None) -> str:
    if row is None:
        return ""
    return with_interval(
        Estimate(row["estimate"], row["ci_low"], row["ci_high"], row["n_pairs"] or 0), signed=True
    )


def by_layer(crossed: pl.DataFrame) -> str:
    """One row a pair and role: what the child's states carry of the string score's change, by layer."""
    rows = []
    for child, parent, _ in GRAFTED:
        here = crossed.filter(stage=child, source_stage=parent, measure="crossing_below", variant="string")
        for role in ROLES:
            cells = [signed(one(here, layer=layer, position=role)) for layer in SHOWN]
            rows.append([pair(child, parent) if role == "all" else "", role, *cells])
    return table(["change", "tokens", *(f"layer {layer}" for layer in SHOWN)], rows)


def interactions(crossed: pl.DataFrame) -> str:
    """One row a pair: the largest interaction of lower and upper blocks, over layers."""
    rows = []
    for child, parent, _ in GRAFTED:
        here = crossed.filter(
            stage=child,
            source_stage=parent,
            measure="crossing_interaction",
            variant="string",
            position="all",
        )
        row = max(here.iter_rows(named=True), key=lambda row: abs(row["estimate"]))
        rows.append([pair(child, parent), str(row["layer"]), signed(row)])
    return table(["change", "layer", "largest interaction (string score)"], rows)


def modules(grafted: pl.DataFrame) -> str:
    """One row a pair: the smallest set of modules, and what it keeps."""
    rows = []
    for child, parent, _ in GRAFTED:
        here = grafted.filter(stage=child, source_stage=parent)
        small = here.filter(measure="graft_smallest")
        names = [
            f"{row['site']} {row['layer']}"
            + ("" if row["estimate"] == 1 else f" ({number(row['estimate'])})")
            for row in small.iter_rows(named=True)
        ]
        kept_row, random = one(here, measure="graft_kept"), one(here, measure="graft_random")
        rows.append(
            [
                pair(child, parent),
                signed(one(here, measure="graft_total", variant="asked")),
                ", ".join(names),
                known(kept_row),
                row_with_interval(random) if random else "",
            ]
        )
    heads = ["change", "all of it", "smallest sets (share of seeds)", "share kept", "random updates there"]
    return table(heads, rows)


def known(row: Mapping | None) -> str:
    """A share, or a dash where it is of a change that is not clear of 0, so that it could be anything."""
    return row_with_interval(row) if row and row["ci_high"] - row["ci_low"] < WIDEST else "–"


def single(grafted: pl.DataFrame) -> str:
    """One row a pair: the modules that do most when they are put in, and when they are taken out."""
    rows = []
    for child, parent, _ in GRAFTED:
        here = grafted.filter(stage=child, source_stage=parent, variant="asked")
        cells = []
        for measure in ("graft_put_in", "graft_taken_out"):
            some = here.filter(measure=measure).sort(pl.col("estimate").abs(), descending=True).head(3)
            cells.append(
                "; ".join(f"{row['site']} {row['layer']} {signed(row)}" for row in some.iter_rows(named=True))
            )
        rows.append([pair(child, parent), *cells])
    return table(["change", "most when put in alone", "most when taken out alone"], rows)


def doses(grafted: pl.DataFrame) -> str:
    """One row a pair: the change at every dose of the weights."""
    rows, alphas = [], sorted(grafted.filter(measure="graft_dose")["alpha"].unique())
    for child, parent, _ in GRAFTED:
        here = grafted.filter(stage=child, source_stage=parent, measure="graft_dose", variant="asked")
        rows.append([pair(child, parent), *(signed(one(here, alpha=alpha)) for alpha in alphas)])
    return table(["change", *(f"dose {alpha:g}" for alpha in alphas)], rows)


def undone(grafted: pl.DataFrame) -> str:
    """What the adversarial steps did to the modules that the change before lives in."""
    child, parent, _ = GRAFTED[2]
    here = grafted.filter(stage=child, source_stage=parent)
    row = one(here, measure="graft_set", variant="asked")
    whole = one(here, measure="graft_total", variant="asked")
    before = one(grafted, stage=parent, source_stage="aft", measure="graft_total", variant="asked")
    return table(
        ["what was done", "change of the choice logit when asked"],
        [
            [f"{pair(parent, 'aft')}", signed(before)],
            [f"{pair(child, parent)}: all modules", signed(whole)],
            [f"{pair(child, parent)}: only the modules of the smallest set above", signed(row)],
        ],
    )


def carries(measured: pl.DataFrame) -> str:
    """Three rows a pair of stages: what whole states and the difference do to the choices, by layer."""
    child, parent, _ = PAIRS[0]
    rows = []
    for other in ((child, parent), *LATER):
        for measure, estimator, words in (
            ("difference_put_in", "whole", "whole states"),
            ("difference_put_in", "mean", "the difference, added"),
            ("difference_taken_out", "mean", "the difference, taken out"),
        ):
            here = measured.filter(
                stage=other[0],
                source_stage=other[1],
                measure=measure,
                estimator=estimator,
                variant="asked",
            )
            cells = [signed(one(here, layer=layer)) for layer in SHOWN]
            rows.append([pair(*other) if estimator == "whole" else "", words, *cells])
    return table(["change", "exchanged", *(f"layer {layer}" for layer in SHOWN)], rows)


def alike(measured: pl.DataFrame) -> str:
    """One row a layer: how long the difference is, how well it is known, and what it is like."""
    child, parent, _ = PAIRS[0]
    here = measured.filter(stage=child, source_stage=parent)
    rows = []
    for layer in SHOWN:
        cells = []
        for measure, variant in (
            ("difference_norm", "items"),
            ("difference_norm", "neutral"),
            ("difference_cosine", "halves"),
            ("difference_cosine", "neutral"),
            ("difference_cosine", "mass_mean of domestic"),
            ("difference_cosine", "logistic of domestic"),
        ):
            row = one(here, measure=measure, variant=variant, layer=layer)
            cells.append(number(row["estimate"]) if row and row["estimate"] is not None else "")
        rows.append([str(layer), *cells])
    heads = ["layer", "length on items", "length on neutral text", "cosine of two halves"]
    return table([*heads, "with neutral", "with class means", "with the probe"], rows)


def figures(crossed: pl.DataFrame, grafted: pl.DataFrame) -> None:
    """The crossing of the first two pairs, and the grafts and doses of the first."""
    shown = crossed.filter(
        pl.col("stage").is_in([child for child, *_ in PAIRS[:2]]),
        pl.col("variant").is_in(["asked", "string"]),
    )
    crossing_map(shown).export(FIGURES / "crossing.svg")
    first = grafted.filter(stage=PAIRS[0][0])
    draw(first, "graft_bars").export(FIGURES / "grafts.svg")
    draw(grafted, "graft_dose").export(FIGURES / "doses.svg")


def main() -> None:
    """Measure what is not kept yet, and write the page, its table and its figures."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    lineage = probes.load_lineage(FOLDER)
    crossed, grafted = crossings(lineage, folder), grafts(lineage, folder)
    measured = differences(lineage, folder)
    write_table(pl.concat([crossed, grafted, measured]), DOCS / "where-it-lives.parquet")
    figures(crossed, grafted)
    parts = {
        "known": known_answers(lineage),
        "totals": totals(crossed),
        "by_layer": by_layer(crossed),
        "interactions": interactions(crossed),
        "modules": modules(grafted),
        "single": single(grafted),
        "doses": doses(grafted),
        "undone": undone(grafted),
        "carries": carries(measured),
        "alike": alike(measured),
    }
    write("where-it-lives", parts)


if __name__ == "__main__":
    main()
