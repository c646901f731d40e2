"""The folder of a survey: what is in it, read back, and its figures and report made again from it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from probes.errors import InputError
from probes.figures import Figure, draw_all, export_all
from probes.report import glance, write_report
from probes.tables.older import with_current_names
from probes.tables.result import Result
from probes.tables.writing import check_folder, write_table, written_atomically
from probes.transfer import family_parents, pooled

TABLES = ("results", "verdicts", "tests", "comparisons")


@dataclass(repr=False)
class Survey(Result):
    """All that a survey found, and where it was written.

    `table` is every measurement (columns `probes.tables.schema.SCHEMA`), `verdicts` a row a concept x stage
    (`probes.verdicts.COLUMNS`); `tests` and `comparisons` are what the verdicts were judged from
    (`probes.tables.tests.TESTS`, `probes.tables.comparisons.COMPARISONS`). `run` is the record in `run.json`.
    """

    table: pl.DataFrame
    verdicts: pl.DataFrame
    tests: pl.DataFrame
    comparisons: pl.DataFrame
    folder: Path
    run: dict[str, Any] = field(default_factory=dict)

    @property
    def overview(self) -> pl.DataFrame:
        """One row a concept x stage: the verdict; what it knows, uses and keeps, at the chosen layer."""
        lines = glance(self.table, order=list(self.run["parents"]), parents=self.run["parents"])
        cells = pl.DataFrame([{"concept": line.concept, "stage": line.stage, **line.cells} for line in lines])
        verdicts = self.verdicts.select("concept", "stage", "verdict", "origin", "survival")
        joined = verdicts.join(cells, on=["concept", "stage"], how="right", maintain_order="right")
        labels = pl.col("verdict", "origin", "survival").fill_null("–")
        return joined.select("concept", "stage", labels, *cells.columns[2:])

    def figures(self) -> dict[str, Figure]:
        """Every figure the table holds the rows for, by name; stages that differ in their training seed alone
        are pooled (`probes.transfer.pooled`)."""
        parents = self.run["parents"]
        families = {stage: self.run.get("families", {}).get(stage, stage) for stage in parents}
        seeds = self.run.get("training_seeds", {})
        lines = family_parents(parents, families)
        return draw_all(pooled(self.table, families, seeds), order=list(lines), parents=lines)

    def write_report(self, path: str | Path) -> Path:
        """Write the self-contained HTML report; its path. Raises OutputError."""
        return write_report(
            path,
            table=self.table,
            verdicts=self.verdicts,
            figures=self.figures(),
            lineage=self.run["lineage_tree"],
            meta={k: v for k, v in self.run.items() if k not in ("lineage_tree", "parents")},
            order=list(self.run["parents"]),
            parents=self.run["parents"],
            title=f"{self.run['lineage']}: what each stage knows, uses and keeps",
        )

    def write_tables(self) -> None:
        """Write `results.parquet`, `verdicts.parquet`, `tests.parquet` and `comparisons.parquet`."""
        tables = (self.table, self.verdicts, self.tests, self.comparisons)
        for name, table in zip(TABLES, tables, strict=True):
            write_table(table, self.folder / f"{name}.parquet")

    def write_run(self) -> None:
        """Write `run.json`."""
        with written_atomically(self.folder / "run.json") as temporary:
            temporary.write_text(json.dumps(self.run, indent=1) + "\n")

    def __repr__(self) -> str:
        return f"Survey({self.folder}, {self.table.height} measurements)"


def load_survey(results: str | Path) -> Survey:
    """Read a survey back from its folder or its results.parquet.

    Columns that had another name in an older version get today's (`probes.tables.older`); folders of before
    version 0.2 have no tests and comparisons, which are then empty. Raises InputError when it is not there.
    """
    folder = Path(results)
    folder = folder.parent if folder.suffix == ".parquet" else folder
    try:
        table = pl.read_parquet(folder / "results.parquet")
        verdicts = with_current_names(pl.read_parquet(folder / "verdicts.parquet"))
        run = json.loads((folder / "run.json").read_text())
        tests, comparisons = (
            pl.read_parquet(file) if (file := folder / f"{name}.parquet").exists() else pl.DataFrame()
            for name in TABLES[2:]
        )
    except (OSError, ValueError, pl.exceptions.PolarsError) as error:
        raise InputError(
            f"{folder} is not a survey's folder (results.parquet, verdicts.parquet and run.json are needed): "
            f"{error}"
        ) from None
    return Survey(table, verdicts, tests, comparisons, folder, run)


def export_figures(
    results: str | Path,
    out: str | Path,
    formats: Sequence[str] = ("pdf", "svg", "png"),
    preset: str | None = None,
) -> list[Path]:
    """Draw the figures of a survey's folder (or of a results.parquet) again; the paths written."""
    done = load_survey(results)
    return export_all(done.figures(), check_folder(out), list(formats), preset)


def rebuild_report(results: str | Path, out: str | Path | None = None) -> Path:
    """Write the report of a survey's folder again; its path."""
    done = load_survey(results)
    path = Path(out) if out else done.folder / "report.html"
    done.write_report(path)
    return path
