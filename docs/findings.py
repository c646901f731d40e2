"""Write docs/findings.md: the verdicts on the embedded lineage.

    python docs/findings.py [out/survey out/norms]

The folders were written by `probes survey checkpoints/msm-mini`, one for attributes and one for norms. Their
tables are copied to docs/surveys, and the page is made from the copies; without folders, from the copies that
are there. `make findings` runs the surveys and this script.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from textwrap import fill

import polars as pl
from battery import kept_battery
from pages import number, row_with_interval, table, write

import probes
from probes.figures.style import BASELINES
from probes.measure import Battery
from probes.stats.estimates import Estimate
from probes.study import Survey, load_survey
from probes.tables.tests import USE, MeasuredTest, tests_table
from probes.transfer import pooled
from probes.verdicts import CRITERIA, change_label, judge_all, verdict_table

LINEAGE = Path(__file__).parent.parent / "checkpoints" / "msm-mini"
KEPT = Path(__file__).parent / "surveys"
SHOWN = ("competent", "decodable", "shift", "principled", "string", "beyond_surface")
"""The tests in the table of all verdicts."""
TABLES = ("results.parquet", "verdicts.parquet", "run.json")
STAGES = {
    "midtrain": "midtraining on documents",
    "sft": "fine-tuning on chats",
    "preference": "preference optimisation",
    "other": "other",
}


def counted(labels: Iterable[str | None]) -> str:
    """How often each label occurs, the most frequent first: `3 inherited, 1 weakened`."""
    counts = Counter("not measured" if label is None else label for label in labels)
    return ", ".join(f"{n} {label}" for label, n in counts.most_common())


def mean_and_range(values: Iterable[float | None]) -> str:
    """The mean over training seeds with their range in brackets; a dash where nothing was measured."""
    measured = [value for value in values if value is not None]
    if not measured:
        return "–"
    mean = number(sum(measured) / len(measured))
    return (
        mean
        if min(measured) == max(measured)
        else f"{mean} ({number(min(measured))} to {number(max(measured))})"
    )


SETS = {"domestic": "american", "affordability": "affordable"}
"""Concept -> the set of the battery that asks about it (docs/battery.parquet)."""
SAVED = "saved: the stage follows no question"


def asked(battery: Battery, concept: str, family: str) -> list[MeasuredTest]:
    """The tests of the battery at a family of stages; those of a norm were not asked in every form."""
    tests = [MeasuredTest("competent", battery.competence(family))]
    if concept in SETS:
        tests += [
            MeasuredTest(form, battery.contrast({family: 1}, SETS[concept], form=form))
            for form in ("principled", "string")
        ]
    return tests


def judged_again(survey: Survey, battery: Battery) -> pl.DataFrame:
    """The survey's verdicts under today's rules: what it measured of reading, with what the battery measured
    of choices, and what has changed of those since the parent. Origin and survival stay as they were."""
    read = [f"{test}{part}" for test in ("decodable", "shift", "beyond_surface") for part in ("", "_p")]
    found = survey.table.filter(pl.col("measure").is_in(read), variant="finding")
    families, parents = survey.run["families"], survey.run["parents"]
    tables, changes = [], []
    for (stage, concept), rows in found.group_by("stage", "concept", maintain_order=True):
        family = families[stage]
        tests = asked(battery, str(concept), family)
        p_values = {(row["measure"], row["shift"]): row["estimate"] for row in rows.to_dicts()}
        for row in rows.filter(~pl.col("measure").str.ends_with("_p")).iter_rows(named=True):
            estimate = Estimate(row["estimate"], row["ci_low"], row["ci_high"], row["n_pairs"])
            p = p_values.get((f"{row['measure']}_p", row["shift"]))
            tests.append(MeasuredTest(row["measure"], estimate, p, layer=row["layer"], axis=row["shift"]))
        tests += [MeasuredTest(name, reason=SAVED) for name in USE]
        tables.append(tests_table(tests, lineage="msm-mini", stage=str(stage), concept=str(concept)))
        if concept in SETS and parents[stage]:
            weights = {family: 1.0, families[parents[stage]]: -1.0}
            principled, string = (
                battery.contrast(weights, SETS[str(concept)], form=form) for form in ("principled", "string")
            )
            label = change_label(principled, string, CRITERIA)
            changes.append({"stage": stage, "concept": concept, "change": label})
    verdicts = verdict_table(judge_all(pl.concat(tables)))
    verdicts = verdicts.drop("origin", "effect_origin", "survival", "change")
    kept = survey.verdicts.select("stage", "concept", "origin", "survival")
    return verdicts.join(kept, on=["stage", "concept"], maintain_order="left").join(
        pl.DataFrame(changes, schema=dict.fromkeys(("stage", "concept", "change"), pl.String)),
        on=["stage", "concept"],
        how="left",
        maintain_order="left",
    )


class Page:
    """The parts of the page. All are made from the same surveys, and no concept is in two of the surveys."""

    def __init__(self, folders: Iterable[Path]):
        self.surveys = [load_survey(folder) for folder in folders]
        stages = {stage.name: stage for stage in probes.load_lineage(LINEAGE)}
        self.families: dict[str, str] = {}
        self.parents: dict[str, str | None] = {}
        for survey in self.surveys:
            self.families |= survey.run["families"]
            self.parents |= survey.run["parents"]
        self.table = pl.concat(
            pooled(s.table, s.run["families"], s.run["training_seeds"]) for s in self.surveys
        )
        kinds = [(name, family, stages[name].kind) for name, family in self.families.items()]
        kind_of_stage = pl.DataFrame(kinds, schema=["stage", "family", "kind"], orient="row")
        with tempfile.TemporaryDirectory() as folder:  # the kept answers are not touched
            kept = shutil.copy(Path(__file__).parent / "battery.parquet", folder)
            battery = kept_battery(probes.load_lineage(LINEAGE), Path(kept))
        verdicts = pl.concat([judged_again(survey, battery) for survey in self.surveys])
        self.verdicts = verdicts.join(kind_of_stage, on="stage", maintain_order="left")

    def scope(self) -> str:
        """What each survey covers: concepts, checkpoints, seeds, verdicts and settings."""
        lines = []
        for survey in self.surveys:
            run = survey.run
            seeds = {seed for seed in run["training_seeds"].values() if seed is not None}
            families = len(set(run["families"].values()))
            kinds = "" if families == len(run["families"]) else f" of {families} families"
            line = (
                f"- {', '.join(f'`{name}`' for name in run['concepts'])}: {len(run['families'])} checkpoints"
                f"{kinds}, with training seeds {', '.join(map(str, sorted(seeds)))}, gave "
                f"{survey.verdicts.height} verdicts. Activations were taken at position "
                f"`{run['options']['position']}` and computed in {run['options']['dtype']}, transfer was "
                f"tested on {', '.join(run['options']['shifts'])}, and the random seed was {run['seed']}."
            )
            lines.append(fill(line, 120, subsequent_indent="  ", break_on_hyphens=False))
        return "\n".join(lines) + "\n"

    def verdict_table(self) -> str:
        """The verdicts on every concept at every family of stages, with the tests behind them."""
        rows = []
        for (concept, family), some in self.verdicts.group_by("concept", "family", maintain_order=True):
            rows.append(
                [f"`{concept}`", f"`{family}`", counted(some["verdict"]), counted(some["reading"])]
                + [counted(some["change"])]
                + [mean_and_range(some[test]) for test in SHOWN]
            )
        heads = ["concept", "stage", "verdicts", "what reading supports", "change of choices"]
        heads += [test.replace("_", " ") for test in SHOWN]
        return table(heads, rows)

    def summary(self) -> str:
        """How many checkpoints got which verdict, by concept."""
        rows = [
            [f"`{concept}`", str(some.height), counted(some["verdict"]), counted(some["reading"])]
            for (concept,), some in self.verdicts.group_by("concept", maintain_order=True)
        ]
        return table(["concept", "n verdicts", "which", "what reading alone supports"], rows)

    def origins(self) -> str:
        """Origins by concept and kind of stage."""
        rows = []
        later = self.verdicts.filter(pl.col("kind") != "pretrain")
        for (concept, kind), some in later.group_by("concept", "kind", maintain_order=True):
            rows.append([f"`{concept}`", STAGES[str(kind)], counted(some["origin"])])
        return table(["concept", "the stage", "origin of what can be decoded"], rows)

    def survival(self) -> str:
        """What became of the parent's direction, by concept and family of stages."""
        rows = []
        later = self.verdicts.filter(pl.col("kind") != "pretrain")
        for (concept, family), some in later.group_by("concept", "family", maintain_order=True):
            source = self.parents[some["stage"][0]] or ""
            before = self.verdicts.filter(pl.col("concept") == concept, pl.col("stage") == source)
            if before["verdict"].to_list() == ["absent"]:
                continue  # where nothing can be decoded there is no direction to keep
            parent = self.families.get(source)
            frozen = self._row(concept, family, parent, "auroc", "frozen")
            refit = self._row(concept, family, parent, "auroc", "refit")
            cosine = self._row(concept, family, parent, "cosine", "direction")
            rows.append([f"`{concept}`", f"`{family}`", counted(some["survival"]), frozen, refit, cosine])
        heads = [
            "concept",
            "stage",
            "survival of the parent's direction",
            "AUROC of its probe, unchanged",
            "AUROC of a refit",
            "cosine",
        ]
        return table(heads, rows)

    def baselines(self) -> str:
        """What can be decoded in the base model, beside the strongest surface baseline."""
        rows = []
        probe = self.table.filter(
            pl.col("stage") == "base",
            pl.col("measure") == "auroc",
            pl.col("selected"),
            pl.col("variant") == "probe",
        )
        for row in probe.to_dicts():
            here = self.table.filter(
                pl.col("stage") == "base",
                pl.col("concept") == row["concept"],
                pl.col("measure") == "auroc",
                pl.col("variant").is_in(list(BASELINES)[:5]),
            )
            best = here.sort("estimate").to_dicts()[-1]
            rows.append(
                [f"`{row['concept']}`", row_with_interval(row), str(row["layer"])]
                + [f"{row_with_interval(best)} ({BASELINES[best['variant']]})", str(row["n_pairs"])]
            )
        return table(
            ["concept", "AUROC of the probe", "layer", "AUROC of the strongest baseline", "n test pairs"],
            rows,
        )

    def _row(self, concept: object, family: object, source: str | None, measure: str, variant: str) -> str:
        """One measurement of a family as text; a dash where it was not made."""
        rows = self.table.filter(
            pl.col("concept") == concept,
            pl.col("stage") == family,
            pl.col("source_stage") == source,
            pl.col("measure") == measure,
            pl.col("variant") == variant,
        ).to_dicts()
        return row_with_interval(rows[0]) if rows else "–"


def keep(folder: Path) -> None:
    """Copy the tables of a survey's folder to docs/surveys, over those of the same name."""
    kept = KEPT / folder.name
    kept.mkdir(parents=True, exist_ok=True)
    for name in TABLES:
        shutil.copyfile(folder / name, kept / name)


def main() -> None:
    for folder in map(Path, sys.argv[1:]):
        keep(folder)
    page = Page(sorted(KEPT.iterdir(), reverse=True))
    write(
        "findings",
        {
            "scope": page.scope(),
            "summary": page.summary(),
            "baselines": page.baselines(),
            "verdicts": page.verdict_table(),
            "origins": page.origins(),
            "survival": page.survival(),
        },
    )


if __name__ == "__main__":
    main()
