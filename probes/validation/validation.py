"""`validate`: the toolkit's error rates, from simulated activations, organisms and exact transforms."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl

from probes.concepts import Concept
from probes.errors import OutputError
from probes.lineage import LoadedStage, Stage
from probes.tables.result import Result
from probes.tables.writing import check_folder, write_bytes, write_table
from probes.validation.calibration import calibrate
from probes.validation.changes import examine_changes
from probes.validation.exam import examine
from probes.validation.marking import marks
from probes.validation.question import HALVES, questions
from probes.validation.real import QUICK, examine_real, real_sets
from probes.validation.transforms import examine_transforms
from probes.verdicts import CRITERIA, Criteria

PARTS = ("calibration", "organisms", "transforms", "changes", "real")
"""The tables that are kept while they are filled, so that an interrupted call can go on."""
QUICK_KINDS = ("internal", "represented", "string", "absent")
QUICK_LATER = ("rotate", "project")
"""The organisms of a quick exam, and the later stages of its internal one."""


@dataclass(frozen=True, repr=False)
class Validation(Result):
    """What `validate` measured.

    Example
    -------
    >>> from probes.validation import Validation, marks
    >>> from probes.validation.answers import answers_table
    >>> row = {"exam": "verdict", "half": "held out", "truth": "surface", "answer": "internal"}
    >>> answers = answers_table([row])
    >>> Validation(marks(answers), answers, calibration=marks(answers))
    Validation(1 answers, 1 false internal)
    """

    table: pl.DataFrame
    """The marks of the held-out half, see `probes.validation.marks`."""
    answers: pl.DataFrame
    """One row an answer, in the columns of `probes.validation.ANSWERS`."""
    calibration: pl.DataFrame
    """Coverage, type-I error and power of every interval and test, see `probes.validation.calibrate`."""

    def __repr__(self) -> str:
        return f"Validation({self.answers.height} answers, {self.false_internal} false internal)"

    @property
    def false_internal(self) -> int:
        """How often something that is not internal was called internal, on the held-out half of the organisms
        and of the minimal pairs."""
        asked = pl.col("exam").is_in(["verdict", "real"])
        rows = self.table.filter(asked & (pl.col("measure") == "false internal"))
        return int(rows["k"].sum())


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
    """Measure how often the toolkit errs where the answer is known.

    Parameters
    ----------
    out : folder for `calibration.parquet`, `answers.parquet`, `marks.parquet` and `run.json`. A call that was
        interrupted goes on where it stopped when it is given the same folder again. Organisms are not kept,
        their answers are.
    stages, concept : checkpoints that are transformed exactly, and the concept whose direction is followed in
        them. Where one of the two is not given, nothing is transformed. The first checkpoint is also asked
        about the packaged minimal pairs (`examine_real`), and weights of the next that differs are put into
        some of its blocks, which have to be found (`examine_changes`).
    quick : whether to ask about one organism of each of `QUICK_KINDS`, of the held-out half, and two sets of
        minimal pairs, one used and one not, and to simulate a tenth of the data sets; nothing is transformed.
        That shows that the exam runs, not how well it is passed.
    n_each : organisms of each kind in each half.
    criteria : the thresholds of the verdicts.
    workers : processes, of one thread each.
    seed : draws simulations, organisms and transforms.
    progress : whether progress bars are shown on stderr.

    Raises
    ------
    OutputError : `out` cannot be written, or holds a validation with other settings. It is raised before
        anything is computed.

    Example
    -------
    The exam takes minutes at least. This call is refused at once, because its folder holds another exam:

    >>> from probes.validation import validate
    >>> from probes.verdicts import CRITERIA
    >>> _ = (folder / "run.json").write_text("{}")
    >>> validate(
    ...     folder,
    ...     stages=[stage],
    ...     concept=concept,
    ...     quick=True,
    ...     n_each=12,
    ...     criteria=CRITERIA,
    ...     workers=2,
    ...     seed=0,
    ...     progress=False,
    ... )
    Traceback (most recent call last):
    probes.errors.OutputError: ...run.json belongs to a validation with other settings: give a new folder
    """
    settings = {"criteria": criteria.to_dict(), "n_each": n_each, "quick": quick, "seed": seed}
    folder = _opened(out, settings) if out is not None else None
    organisms = questions(1 if quick else n_each, seed)
    if quick:
        held_out = [question for question in organisms if question.half == HALVES[1]]
        organisms = [
            replace(question, later=QUICK_LATER if question.later else ())
            for question in held_out
            if question.kind in QUICK_KINDS
        ]
    files = {name: folder / f"{name}.parquet" if folder else None for name in PARTS}
    calibration = _calibration(files["calibration"], seed, workers, quick)
    answers = examine(
        organisms, criteria=criteria, workers=workers, keep=files["organisms"], progress=progress
    )
    if stages and concept is not None and not quick:
        of_transforms = examine_transforms(
            stages,
            concept,
            criteria=criteria,
            keep=files["transforms"],
            seed=seed,
            progress=progress,
        )
        answers = pl.concat([answers, of_transforms])
    changed = next((s for s in stages[1:] if s.weights_digest() != stages[0].weights_digest()), None)
    if changed is not None and not quick:
        of_changes = examine_changes(changed, stages[0], keep=files["changes"], seed=seed, progress=progress)
        answers = pl.concat([answers, of_changes])
    if stages:
        sets = real_sets(QUICK if quick else None)
        of_pairs = examine_real(
            stages[0], sets, criteria=criteria, keep=files["real"], quick=quick, progress=progress
        )
        answers = pl.concat([answers, of_pairs])
    validation = Validation(marks(answers), answers, calibration)
    if folder is not None:
        write_table(answers, folder / "answers.parquet")
        write_table(validation.table, folder / "marks.parquet")
    return validation


def _opened(out: str | Path, settings: dict[str, Any]) -> Path:
    """The output folder, in which run.json says under what settings it is filled."""
    folder = check_folder(out)
    file, text = folder / "run.json", json.dumps(settings, indent=1) + "\n"
    if file.exists() and file.read_text(encoding="utf-8") != text:
        raise OutputError(f"{file} belongs to a validation with other settings: give a new folder")
    write_bytes(file, text.encode())
    return folder


def _calibration(keep: Path | None, seed: int, workers: int, quick: bool) -> pl.DataFrame:
    """The calibration that is kept in a file, or a new one, which is then kept there."""
    if keep is not None and keep.exists():
        return pl.read_parquet(keep)
    calibration = calibrate(seed=seed, workers=workers, quick=quick)
    if keep is not None:
        write_table(calibration, keep)
    return calibration
