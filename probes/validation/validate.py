"""`validate`: the instrument's error rates, from simulations, organisms and exact transforms."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from probes.concepts import Concept
from probes.errors import OutputError
from probes.lineage import LoadedStage, Stage
from probes.tables.result import Result
from probes.tables.writing import check_folder, write_bytes, write_table
from probes.validation.calibration import calibrate
from probes.validation.exam import HALVES, examine, examine_transforms, marks, questions
from probes.verdicts.criteria import CRITERIA, Criteria

KEPT = ("calibration", "organisms", "transforms")
"""What is kept while it is gathered, a table each."""


@dataclass(frozen=True, repr=False)
class Validation(Result):
    """What the exam found.

    `table`, the marks (`probes.validation.exam.marks`) on the held-out half; `answers`, one row an answer;
    `calibration`, coverage, type-I error and power of every interval and test on simulated activations.
    """

    table: pl.DataFrame
    answers: pl.DataFrame
    calibration: pl.DataFrame

    def __repr__(self) -> str:
        return f"Validation({self.answers.height} answers, {self.false_internal} false internal)"

    @property
    def false_internal(self) -> int:
        """How often something that is not internal was called so, on the held-out half."""
        told = self.table.filter((pl.col("exam") == "verdict") & (pl.col("measure") == "false internal"))
        return int(told["k"].sum())


def validate(
    out: str | Path | None = None,
    *,
    stages: Sequence[Stage | LoadedStage] = (),
    concept: Concept | None = None,
    quick: bool = False,
    n_each: int = 12,
    criteria: Criteria = CRITERIA,
    workers: int = 1,
    seed: int = 0,
    progress: bool = True,
) -> Validation:
    """Measure how often the instrument errs where the answer is known.

    Args:
        out: folder for `calibration.parquet`, `answers.parquet`, `marks.parquet` and `run.json`. A call that
            was interrupted goes on there where it stopped; organisms are not kept, their answers are.
        stages, concept: real checkpoints to transform exactly, and what is read in them; none: left out.
        quick: one organism of each kind, of the held-out half, one transform of each, and a tenth of the
            simulations: it shows that the exam runs, not how well it is passed.
        n_each: organisms of each kind in each half.
        workers: processes of one thread.

    Raises OutputError before anything is computed when `out` cannot be written, or holds a validation under
    other settings.
    """
    settings = {"criteria": criteria.to_dict(), "n_each": n_each, "quick": quick, "seed": seed}
    folder = _begun(out, settings) if out is not None else None
    asked = questions(1 if quick else n_each, seed)
    asked = [one for one in asked if one.half == HALVES[1]] if quick else asked
    kept = {name: folder / f"{name}.parquet" if folder else None for name in KEPT}
    simulated = _calibration(kept["calibration"], seed, workers, quick)
    answers = examine(asked, criteria=criteria, workers=workers, keep=kept["organisms"], progress=progress)
    if stages and concept is not None:
        turned = examine_transforms(
            stages,
            concept,
            n_each=1 if quick else 10,
            criteria=criteria,
            keep=kept["transforms"],
            seed=seed,
            progress=progress,
        )
        answers = pl.concat([answers, turned])
    done = Validation(marks(answers), answers, simulated)
    if folder is not None:
        write_table(answers, folder / "answers.parquet")
        write_table(done.table, folder / "marks.parquet")
    return done


def _begun(out: str | Path, settings: dict[str, Any]) -> Path:
    """The folder, which says under what settings it is filled."""
    folder = check_folder(out)
    file, told = folder / "run.json", json.dumps(settings, indent=1) + "\n"
    if file.exists() and file.read_text(encoding="utf-8") != told:
        raise OutputError(f"{file} is of another validation, with other settings: give a new folder")
    write_bytes(file, told.encode())
    return folder


def _calibration(keep: Path | None, seed: int, workers: int, quick: bool) -> pl.DataFrame:
    if keep is not None and keep.exists():
        return pl.read_parquet(keep)
    simulated = calibrate(seed=seed, workers=workers, quick=quick)
    if keep is not None:
        write_table(simulated, keep)
    return simulated
