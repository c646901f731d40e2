"""The folder of a survey: its content as `Survey`, written and read, and its figures and report made
again."""

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
from probes.tables.comparisons import COMPARISONS
from probes.tables.older import with_current_names
from probes.tables.result import Result
from probes.tables.tests import TESTS
from probes.tables.writing import check_folder, write_table, written_atomically
from probes.transfer import family_parents, pooled

TABLES = ("results", "verdicts", "tests", "comparisons")
"""The names of the tables in a survey's folder."""


@dataclass(repr=False)
class Survey(Result):
    """The results of a survey, and the folder that holds them.

    `probes.survey` makes one, and `probes.load_survey` reads one back.
    """

    table: pl.DataFrame
    """Every measurement, in the columns of `probes.tables.schema.SCHEMA`."""
    verdicts: pl.DataFrame
    """One row for each concept at each stage, in the columns of `probes.verdicts.COLUMNS`."""
    tests: pl.DataFrame
    """The tests that the verdicts were judged from, in the columns of `probes.tables.tests.TESTS`."""
    comparisons: pl.DataFrame
    """The comparisons of stages with their parents, from which origin and survival were judged, in the
    columns of `probes.tables.comparisons.COMPARISONS`."""
    folder: Path
    """The folder."""
    run: dict[str, Any] = field(default_factory=dict)
    """The record of the run, as it stands in `run.json`."""

    @property
    def overview(self) -> pl.DataFrame:
        """One row for each concept at each stage: the verdict, and what the stage knows, uses and keeps."""
        lines = glance(self.table, order=list(self.run["parents"]), parents=self.run["parents"])
        cells = pl.DataFrame([{"concept": line.concept, "stage": line.stage, **line.cells} for line in lines])
        verdicts = self.verdicts.select("concept", "stage", "verdict", "origin", "survival")
        joined = verdicts.join(cells, on=["concept", "stage"], how="right", maintain_order="right")
        labels = pl.col("verdict", "origin", "survival").fill_null("–")
        return joined.select("concept", "stage", labels, *cells.columns[2:])

    def figures(self) -> dict[str, Figure]:
        """Every figure that the table holds the rows for, by name.

        Stages that differ in nothing but their training seed are pooled (`probes.transfer.pooled`). The
        tables in the folder `changes`, where `probes cross` and `probes graft` may write theirs, are drawn
        too.
        """
        parents = self.run["parents"]
        families = {stage: self.run.get("families", {}).get(stage, stage) for stage in parents}
        seeds = self.run.get("training_seeds", {})
        lines = family_parents(parents, families)
        changes = [pl.read_parquet(file) for file in sorted((self.folder / "changes").glob("*.parquet"))]
        table = pl.concat([pooled(self.table, families, seeds), *changes])
        return draw_all(table, order=list(lines), parents=lines)

    def write_report(self, path: str | Path) -> Path:
        """Write the report, one HTML file that needs nothing else.

        Returns
        -------
        The path of the file.

        Raises
        ------
        OutputError : the file cannot be written.
        """
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
    """Read a survey back from its folder.

    Columns that had another name in an older version get today's name (`probes.tables.older`). Folders of
    before version 0.2 hold no tests and comparisons, which are then empty tables.

    Parameters
    ----------
    results : the folder, or the results.parquet in it.

    Raises
    ------
    InputError : it is not the folder of a survey.

    Example
    -------
    >>> from probes.verdicts import COLUMNS
    >>> empty = [pl.DataFrame(schema=columns) for columns in (COLUMNS, TESTS, COMPARISONS)]
    >>> parents = {"base": None, "mid": "base"}
    >>> made = Survey(table, *empty, folder, {"parents": parents})
    >>> made.write_tables()
    >>> made.write_run()
    >>> again = load_survey(folder)
    >>> again.table.equals(table), again.run["parents"]
    (True, {'base': None, 'mid': 'base'})
    """
    folder = Path(results)
    folder = folder.parent if folder.suffix == ".parquet" else folder
    try:
        table = pl.read_parquet(folder / "results.parquet")
        verdicts = with_current_names(pl.read_parquet(folder / "verdicts.parquet"))
        run = json.loads((folder / "run.json").read_text())
        tests, comparisons = (
            pl.read_parquet(file) if file.exists() else pl.DataFrame(schema=schema)
            for file, schema in (
                (folder / "tests.parquet", TESTS),
                (folder / "comparisons.parquet", COMPARISONS),
            )
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
    """Draw the figures of a survey again.

    Parameters
    ----------
    results : a survey's folder, or the results.parquet in it.
    out : the folder that the figures are written to.
    formats : "pdf", "svg", "png" (which need Chrome or Chromium) or "html".
    preset : the size and type of a paper, for example "neurips"; see `probes.draw`.

    Returns
    -------
    The paths of the files.

    Raises
    ------
    InputError : it is not the folder of a survey.
    OutputError : the files cannot be written.
    MissingDependencyError : there is no browser for a format that needs one.

    Example
    -------
    >>> from probes.verdicts import COLUMNS
    >>> empty = [pl.DataFrame(schema=columns) for columns in (COLUMNS, TESTS, COMPARISONS)]
    >>> run = {"parents": {"base": None, "mid": "base"}}
    >>> made = Survey(table, *empty, folder, run)
    >>> made.write_tables()
    >>> made.write_run()
    >>> paths = export_figures(folder, folder / "figures", formats=["html"])
    >>> "layer_profile.html" in [path.name for path in paths]
    True
    """
    survey = load_survey(results)
    return export_all(survey.figures(), check_folder(out), list(formats), preset)


def rebuild_report(results: str | Path, out: str | Path | None = None) -> Path:
    """Write the report of a survey again.

    Parameters
    ----------
    results : a survey's folder, or the results.parquet in it.
    out : the file to write; by default `report.html` in the survey's folder.

    Returns
    -------
    The path of the file.

    Raises
    ------
    InputError : it is not the folder of a survey.
    OutputError : the file cannot be written.

    Example
    -------
    >>> from probes.verdicts import COLUMNS
    >>> empty = [pl.DataFrame(schema=columns) for columns in (COLUMNS, TESTS, COMPARISONS)]
    >>> run = {"lineage": "tiny", "lineage_tree": "base", "parents": {"base": None, "mid": "base"}}
    >>> made = Survey(table, *empty, folder, run)
    >>> made.write_tables()
    >>> made.write_run()
    >>> rebuild_report(folder).name
    'report.html'
    """
    survey = load_survey(results)
    return survey.write_report(Path(out) if out else survey.folder / "report.html")
