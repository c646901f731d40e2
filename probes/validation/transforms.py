"""The exam on exact transforms of real checkpoints: what became of a direction is known from the
transform."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl
from tqdm import tqdm

from probes.concepts import Concept
from probes.concepts.neutral import neutral_texts
from probes.lineage import LoadedStage, Stage
from probes.measure import Plan, measure_stage
from probes.organisms import project_out, rotate
from probes.probing import Direction
from probes.transfer import compare_with
from probes.validation.answers import KeptAnswers, survival_answer
from probes.validation.question import HALVES
from probes.verdicts import CRITERIA, Criteria, judge_survival

TRUTHS = ("rotated", "lost", "persists")
"""What becomes of the direction under each transform."""


def examine_transforms(
    stages: Sequence[Stage | LoadedStage],
    concept: Concept,
    *,
    n_each: int = 10,
    criteria: Criteria = CRITERIA,
    position: str = "mean",
    keep: str | Path | None = None,
    seed: int = 0,
    progress: bool = True,
) -> pl.DataFrame:
    """Transform real checkpoints exactly, and ask the toolkit what became of a concept's direction.

    There are three transforms: the residual stream is turned by a random rotation (the direction is
    `rotated`), the direction is removed from every map that writes it (`lost`), and nothing is done
    (`persists`). No threshold was set on these answers, so all of them are of the half `held out`.

    Parameters
    ----------
    stages : the checkpoints, taken in turn.
    concept : whose direction is compared.
    n_each : how often each transform is made.
    criteria : the thresholds.
    position : token position of the activations, see `probes.extract`.
    keep : a table (.parquet) to which answers are added as they come in. What it holds is not done again.
    seed : draws the rotations.
    progress : whether a progress bar is shown on stderr.

    Returns
    -------
    One row an answer, in the columns of `probes.validation.answers.ANSWERS`.

    Raises
    ------
    CheckpointError : a stage is not built like Llama, so that it cannot be transformed exactly.

    Example
    -------
    Answers that are kept are not asked for again:

    >>> from probes.validation import examine_transforms
    >>> from probes.validation.answers import KeptAnswers
    >>> row = {"exam": "survival", "size": "mid", "seed": 0, "truth": "rotated", "answer": "rotated"}
    >>> KeptAnswers(folder / "kept.parquet").add([row])
    >>> table = examine_transforms([stage], concept, n_each=1, keep=folder / "kept.parquet", progress=False)
    >>> table.select("size", "seed", "truth", "answer").rows()
    [('mid', 0, 'rotated', 'rotated')]
    """
    kept = KeptAnswers(keep)
    left = [i for i in range(n_each) if seed + i not in set(kept.table["seed"])]
    plan = Plan(position=position, items=0, baselines=False, tests=False, alignment_texts=neutral_texts())
    bar = tqdm(total=len(TRUTHS) * len(left), desc="transforms", file=sys.stderr, disable=not progress)
    with bar:
        for i in left:
            rows = []
            stage = stages[i % len(stages)]
            loaded = stage if isinstance(stage, LoadedStage) else stage.load()
            [source] = measure_stage(loaded, [concept], plan, progress=False).values()
            for truth in TRUTHS:
                model = _transformed(loaded.model, truth, source.sweep.best.direction, seed + i)
                after = LoadedStage.from_model(model, loaded.tokenizer, name=truth)
                [later] = measure_stage(after, [concept], plan, sources=[source], progress=False).values()
                rows.append(
                    {
                        "half": HALVES[1],
                        "kind": "transform",
                        "size": loaded.name,
                        "seed": seed + i,
                        "stage": truth,
                        "truth": truth,
                        **survival_answer(judge_survival(compare_with(later, source), criteria)),
                    }
                )
                bar.update()
            kept.add(rows)
    return kept.table


def _transformed(model: Any, truth: str, direction: Direction, seed: int) -> Any:
    """The model after the transform that makes `truth` true of the direction."""
    if truth == "persists":
        return model
    return rotate(model, seed) if truth == "rotated" else project_out(model, direction.vector[None])
