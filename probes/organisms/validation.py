"""`validate`: the instrument's error rates, from simulations, organisms and exact transforms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from probes.concepts import Concept
from probes.evidence.criteria import CRITERIA, Criteria
from probes.lineage import LoadedStage, Stage
from probes.organisms.calibration import calibrate
from probes.organisms.exam import HALVES, examine, examine_transforms, marks, questions
from probes.outputs import check_folder, write_table
from probes.results import Result


@dataclass(frozen=True, repr=False)
class Validation(Result):
    """What the exam found.

    `table`, the marks (see `probes.organisms.exam.marks`) on the held-out half; `answers`, one row an answer;
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
        out: folder for `calibration.parquet`, `answers.parquet` and `marks.parquet`; a call that
            was interrupted goes on where it stopped (`organisms.parquet`). Organisms are not kept.
        stages, concept: real checkpoints to transform exactly, and what is read in them; none: left out.
        quick: one organism of each kind, of the held-out half, one transform of each, and a tenth of the
            simulations: it shows that the exam runs, not how well it is passed.
        n_each: organisms of each kind in each half.
        workers: processes of one thread.

    Raises OutputError before anything is computed when `out` cannot be written.
    """
    folder = check_folder(out) if out is not None else None
    asked = questions(1 if quick else n_each, seed)
    asked = [one for one in asked if one.half == HALVES[1]] if quick else asked
    simulated = calibrate(seed=seed, workers=workers, quick=quick)
    keep = folder / "organisms.parquet" if folder is not None else None
    answers = examine(asked, criteria=criteria, workers=workers, keep=keep, progress=progress)
    if stages and concept is not None:
        n = 1 if quick else 10
        turned = examine_transforms(
            stages, concept, n_each=n, criteria=criteria, seed=seed, progress=progress
        )
        answers = pl.concat([answers, turned])
    done = Validation(marks(answers), answers, simulated)
    if folder is not None:
        write_table(simulated, folder / "calibration.parquet")
        write_table(answers, folder / "answers.parquet")
        write_table(done.table, folder / "marks.parquet")
    return done
