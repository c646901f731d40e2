"""Write docs/findings.md: the verdicts on the embedded lineage, and what they come to.

    python docs/findings.py [out/survey out/norms]

`probes survey checkpoints/msm-mini` wrote these folders, of attributes and norms; `make findings` runs all.
Their tables are kept in docs/surveys, and the page is made from what is kept there.
"""

from __future__ import annotations

import shutil
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import polars as pl
from pages import interval, number, table, write

import probes
from probes.figures.style import BASELINES
from probes.study.survey import load_survey
from probes.transfer import pooled
from probes.verdicts.summary import TESTS

LINEAGE = Path(__file__).parent.parent / "checkpoints" / "msm-mini"
KEPT = Path(__file__).parent / "surveys"
TABLES = ("results.parquet", "verdicts.parquet", "run.json")
STAGES = {
    "midtrain": "midtraining on documents",
    "sft": "fine-tuning on chats",
    "preference": "preference optimisation",
    "other": "other",
}


def counted(labels: Iterable[str | None]) -> str:
    """`3 inherited, 1 weakened`."""
    counts = Counter("not asked" if label is None else label for label in labels)
    return ", ".join(f"{n} {label}" for label, n in counts.most_common())


def spanned(values: Iterable[float | None]) -> str:
    """The mean over seeds, and their range."""
    seen = [value for value in values if value is not None]
    if not seen:
        return "–"
    mean = number(sum(seen) / len(seen))
    return mean if len(seen) == 1 else f"{mean} ({number(min(seen))} to {number(max(seen))})"


class Page:
    """The page's parts, each from the same surveys, which share no concept."""

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
        about = pl.DataFrame(kinds, schema=["stage", "family", "kind"], orient="row")
        verdicts = pl.concat([survey.verdicts for survey in self.surveys], how="vertical_relaxed")
        self.verdicts = verdicts.join(about, on="stage", maintain_order="left")

    def asked(self) -> str:
        lines = []
        for survey in self.surveys:
            run = survey.run
            seeds = {seed for seed in run["training_seeds"].values() if seed is not None}
            families = len(set(run["families"].values()))
            kinds = "" if families == len(run["families"]) else f" of {families} kinds"
            lines.append(
                f"- {', '.join(f'`{name}`' for name in run['concepts'])}: {len(run['families'])} checkpoints"
                f"{kinds}, training seeds {', '.join(map(str, sorted(seeds)))}, {survey.verdicts.height} "
                f"verdicts; texts read at position `{run['options']['position']}`, shifts tested "
                f"{', '.join(run['options']['shifts'])}, computed in {run['options']['dtype']}, "
                f"seed {run['seed']}."
            )
        return "\n".join(lines) + "\n"

    def verdict_table(self) -> str:
        rows = []
        for (concept, family), some in self.verdicts.group_by("concept", "family", maintain_order=True):
            rows.append(
                [f"`{concept}`", f"`{family}`", counted(some["verdict"]), counted(some["decided_by"])]
                + [spanned(some[test]) for test in TESTS]
            )
        heads = ["concept", "stage", "verdicts", "decided by", *(test.replace("_", " ") for test in TESTS)]
        return table(heads, rows)

    def summary(self) -> str:
        rows = [
            [f"`{concept}`", str(some.height), counted(some["verdict"])]
            for (concept,), some in self.verdicts.group_by("concept", maintain_order=True)
        ]
        return table(["concept", "verdicts", "which"], rows)

    def origins(self) -> str:
        rows = []
        later = self.verdicts.filter(pl.col("kind") != "pretrain")
        for (concept, kind), some in later.group_by("concept", "kind", maintain_order=True):
            rows.append(
                [f"`{concept}`", STAGES[str(kind)], counted(some["origin"]), counted(some["role_origin"])]
            )
        return table(["concept", "the stage", "what can be read there", "what a push does there"], rows)

    def fates(self) -> str:
        rows = []
        later = self.verdicts.filter(pl.col("kind") != "pretrain")
        for (concept, family), some in later.group_by("concept", "family", maintain_order=True):
            source = self.parents[some["stage"][0]] or ""
            before = self.verdicts.filter(pl.col("concept") == concept, pl.col("stage") == source)
            if before["verdict"].to_list() == ["absent"]:
                continue  # what reads nothing has no fate
            parent = self.families.get(source)
            frozen = self._row(concept, family, parent, "auroc", "frozen")
            refit = self._row(concept, family, parent, "auroc", "refit")
            cosine = self._row(concept, family, parent, "cosine", "direction")
            rows.append([f"`{concept}`", f"`{family}`", counted(some["survival"]), frozen, refit, cosine])
        heads = [
            "concept",
            "stage",
            "the parent's direction",
            "its probe, unchanged",
            "a refit there",
            "cosine",
        ]
        return table(heads, rows)

    def baselines(self) -> str:
        """What can be read at base, beside the strongest of the surface."""
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
                [f"`{row['concept']}`", interval(row), str(row["layer"])]
                + [f"{interval(best)} ({BASELINES[best['variant']]})", str(row["n_pairs"])]
            )
        return table(["concept", "probe", "layer", "strongest baseline", "test pairs"], rows)

    def _row(self, concept: object, family: object, source: str | None, measure: str, variant: str) -> str:
        found = self.table.filter(
            pl.col("concept") == concept,
            pl.col("stage") == family,
            pl.col("source_stage") == source,
            pl.col("measure") == measure,
            pl.col("variant") == variant,
        ).to_dicts()
        return interval(found[0]) if found else "–"


def keep(folder: Path) -> None:
    """Copy the tables of a survey's folder, in place of those kept under its name."""
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
            "asked": page.asked(),
            "summary": page.summary(),
            "baselines": page.baselines(),
            "verdicts": page.verdict_table(),
            "origins": page.origins(),
            "fates": page.fates(),
        },
    )


if __name__ == "__main__":
    main()
