"""The exam: what the instrument says of organisms and of exact transforms whose answers are known.

Half of the organisms are for setting thresholds, the other half, `held out`, are for the table. A usual
pipeline sits the same exam: probe accuracy alone, a held-out split alone, steering alone.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
import polars as pl
import torch
from scipy.stats import binomtest
from tqdm import tqdm

from probes.concepts import Concept
from probes.errors import InputError
from probes.lineage import LoadedStage, Stage
from probes.measure.assess import Assessment, assess
from probes.measure.reading import StageReading, read_stage
from probes.organisms.language import Statement
from probes.organisms.later import LATER, Later
from probes.organisms.planting import Kind, Organism, plant
from probes.organisms.transforms import project_out, rotate
from probes.organisms.tuning import SIZES
from probes.probing import Direction, split_rows
from probes.stats.estimates import LEVEL
from probes.steering import steerability
from probes.tables.writing import write_table
from probes.transfer.following import follow, neutral_states
from probes.verdicts import judge_all
from probes.verdicts.criteria import CRITERIA, Criteria

HALVES = ("set", "held out")
USUAL_ACCURACY = 0.8
"""Accuracy at which a pipeline that looks at nothing else calls a concept represented inside."""
N_NEUTRAL = 64
N_ORDINARY = 256

ANSWERS: dict[str, Any] = {
    "exam": pl.String,  # verdict | origin | fate
    "half": pl.String,  # set | held out
    "kind": pl.String,  # of organism, or the transform
    "size": pl.String,
    "seed": pl.Int64,
    "stage": pl.String,
    "truth": pl.String,
    "answer": pl.String,
    "decided_by": pl.String,
    "accuracy_alone": pl.Boolean,  # what usual pipelines call internal
    "split_alone": pl.Boolean,
    "steering_alone": pl.Boolean,
    "attempts": pl.Int64,  # trainings until the organism was admitted
    "evidence": pl.String,
}


@dataclass(frozen=True)
class Question:
    """One organism to plant and examine; `half` says what its answer is for."""

    kind: Kind
    seed: int
    size: str
    half: str
    later: tuple[Later, ...] = ()


def questions(n_each: int = 12, seed: int = 0) -> list[Question]:
    """`n_each` organisms of every kind in each half, over sizes, with every later stage after internal ones.

    Raises InputError for n_each < 1.
    """
    if n_each < 1:
        raise InputError(f"n_each={n_each}: expected at least 1 organism of each kind")
    sizes = list(SIZES)
    return [
        Question(
            kind,
            seed=1000 * (seed + 1) + 500 * HALVES.index(half) + i,
            size=sizes[i % len(sizes)],
            half=half,
            later=tuple(LATER) if kind == "internal" else (),
        )
        for half in HALVES
        for kind in get_args(Kind)
        for i in range(n_each)
    ]


def examine(
    asked: Sequence[Question],
    *,
    criteria: Criteria = CRITERIA,
    workers: int = 1,
    keep: str | Path | None = None,
    progress: bool = True,
) -> pl.DataFrame:
    """Plant and assess organisms: one row an answer, in the columns of `ANSWERS`.

    Args:
        workers: processes, one thread each.
        keep: a table (.parquet) that answers are added to after every organism; what it holds already is not
            asked again. It must come from the same criteria.

    p-values are corrected over the two stages of an organism, as a survey of it would. Raises InputError when
    no attempt at an organism was admitted.
    """
    kept = pl.read_parquet(keep) if keep and Path(keep).exists() else pl.DataFrame(schema=ANSWERS)
    done = set(kept.select("kind", "size", "seed").filter(pl.col("kind").is_in(get_args(Kind))).iter_rows())
    left = [one for one in asked if (one.kind, one.size, one.seed) not in done]
    bar = tqdm(total=len(left), desc="organisms", file=sys.stderr, disable=not progress)
    with bar, _running(left, criteria, workers) as answers:
        for rows in answers:
            kept = pl.concat([kept, _answers(rows)])
            if keep:
                write_table(kept, keep)
            bar.update()
    return kept


@contextmanager
def _running(
    asked: Sequence[Question], criteria: Criteria, workers: int
) -> Iterator[Iterator[list[dict[str, Any]]]]:
    """Rows of one organism after the other, as they are done."""
    jobs = [(one, criteria) for one in asked]
    if workers == 1:
        yield map(_examine, jobs)
        return
    with ProcessPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        yield pool.map(_examine, jobs)


def _answers(rows: Sequence[dict[str, Any]]) -> pl.DataFrame:
    return pl.DataFrame([dict.fromkeys(ANSWERS) | row for row in rows], schema=ANSWERS)


def _examine(job: tuple[Question, Criteria]) -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder:
        return _asked(*job, Path(folder) / "organism")


def _asked(asked: Question, criteria: Criteria, home: Path) -> list[dict[str, Any]]:
    organism = plant(asked.kind, asked.seed, asked.size, home, later=asked.later)
    neutral = [" ".join(s.parts()[0][:-1]) for s in _ordinary(organism, N_NEUTRAL)]  # nothing to answer
    before = _assessed(organism, organism.parent, neutral, criteria)
    here = _assessed(organism, organism.stage, neutral, criteria, before)
    common = {
        "half": asked.half,
        "kind": asked.kind,
        "size": asked.size,
        "seed": asked.seed,
        "attempts": organism.attempts,
    }
    rows = []
    for judged in judge_all([before, here], criteria=criteria):
        name = judged.assessment.reading.stage
        rows.append(
            common
            | {"exam": "verdict", "stage": name, "truth": organism.truths[name]}
            | {"answer": judged.verdict.label, "decided_by": judged.verdict.decided_by}
            | {"evidence": judged.evidence}
            | usual(judged.assessment)
        )
    if organism.truth == "internal":
        made = "made here" if organism.made_here else "inherited"
        answer = here.origin["decodable"].label if "decodable" in here.origin else None
        rows.append(common | {"exam": "origin", "stage": organism.stage, "truth": made, "answer": answer})
    rows += [common | row for row in _fates(organism, here.reading, criteria)]
    return rows


def _assessed(
    organism: Organism,
    stage: str,
    neutral: Sequence[str],
    criteria: Criteria,
    parent: Assessment | None = None,
) -> Assessment:
    return assess(
        organism.lineage[stage],
        organism.concept,
        others=[organism.other],
        parent=parent,
        criteria=criteria,
        position="last",
        texts=neutral,
        progress=False,
    )


def _fates(organism: Organism, source: StageReading, criteria: Criteria) -> Iterator[dict[str, Any]]:
    """Later stages, followed from the organism's own; the alignment is made on ordinary text."""
    if not organism.later:
        return
    neutral = [statement.text for statement in _ordinary(organism, N_ORDINARY)]
    site = source.sweep.best.direction.site
    before = neutral_states(organism.lineage[organism.stage].load(), [site], neutral)[site]
    for name, truth in organism.later.items():
        loaded = organism.lineage[name].load()
        target = read_stage(
            loaded, organism.concept.core, [], position="last", baselines=False, progress=False
        )
        after = neutral_states(loaded, [site], neutral)[site]
        told = follow(source, target, (before, after), criteria=criteria)
        findings = "\n".join(f"{finding.outcome:<8} {finding}" for finding in told.findings)
        yield {
            "exam": "fate",
            "kind": name,
            "stage": name,
            "truth": truth,
            "answer": told.label,
            "decided_by": told.decided_by,
            "evidence": findings,
        }


def _ordinary(organism: Organism, n: int) -> list[Statement]:
    """Statements of the language in words that no concept holds, drawn without regard to any concept."""
    return organism.language.sample(np.random.default_rng([organism.seed, 11]), n, "fresh")


def usual(told: Assessment) -> dict[str, bool]:
    """Whether three usual pipelines would call the concept internal: by the probe's accuracy on held-out
    pairs, by its AUROC there being above chance, and by its direction moving choices more than random ones
    do, at the layer of the best probe."""
    reading, best = told.reading, told.reading.sweep.best
    test = split_rows(reading.activations).test
    right = (told.scores[test] > 0) == np.asarray(reading.activations.labels)[test]
    assert reading.gradients is not None
    pushed = steerability(reading.gradients, best.direction).p_values["direction", best.layer]
    return {
        "accuracy_alone": bool(right.mean() >= USUAL_ACCURACY),
        "split_alone": best.ci_low > 0.5,
        "steering_alone": pushed <= CRITERIA.alpha,
    }


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
    """Fates on exact transforms of real checkpoints: turned (rotated), the concept's direction written by
    nothing any more (lost), left alone (persists); `n_each` of each, over `stages` and seeds. Columns as in
    `ANSWERS`, half `held out`: no threshold was set on them. `keep` as in `examine`.
    """
    kept = pl.read_parquet(keep) if keep and Path(keep).exists() else pl.DataFrame(schema=ANSWERS)
    left = [i for i in range(n_each) if seed + i not in set(kept["seed"])]
    bar = tqdm(total=3 * len(left), desc="transforms", file=sys.stderr, disable=not progress)
    with bar:
        for i in left:
            rows = []
            stage = stages[i % len(stages)]
            loaded = stage if isinstance(stage, LoadedStage) else stage.load()
            source = _read(loaded, concept, position)
            site = source.sweep.best.direction.site
            before = neutral_states(loaded, [site])[site]
            for truth in ("rotated", "lost", "persists"):
                made = _transformed(loaded.model, truth, source.sweep.best.direction, seed + i)
                other = LoadedStage.from_model(made, loaded.tokenizer, name=truth)
                target = _read(other, concept, position)
                after = neutral_states(other, [site])[site]
                told = follow(source, target, (before, after), criteria=criteria)
                rows.append(
                    {
                        "exam": "fate",
                        "half": HALVES[1],
                        "kind": "transform",
                        "size": loaded.name,
                        "seed": seed + i,
                        "stage": truth,
                        "truth": truth,
                        "answer": told.label,
                        "decided_by": told.decided_by,
                        "evidence": "\n".join(f"{f.outcome:<8} {f}" for f in told.findings),
                    }
                )
                bar.update()
            kept = pl.concat([kept, _answers(rows)])
            if keep:
                write_table(kept, keep)
    return kept


def _transformed(model: Any, truth: str, direction: Direction, seed: int) -> Any:
    if truth == "persists":
        return model
    return rotate(model, seed) if truth == "rotated" else project_out(model, direction.vector[None])


def _read(loaded: LoadedStage, concept: Concept, position: str) -> StageReading:
    return read_stage(loaded, concept.core, [], position=position, baselines=False, progress=False)


def marks(answers: pl.DataFrame, half: str = HALVES[1]) -> pl.DataFrame:
    """What the exam comes to on one half: share of right answers by exam and truth, and false `internal`s.

    Columns exam, truth, measure, right, n, estimate, ci_low, ci_high (Clopper & Pearson 1934). Of the false
    `internal`s the interval's upper end is the bound to quote.
    """
    told = answers.filter(pl.col("half") == half)
    rows = []
    for exam in told["exam"].unique(maintain_order=True):
        here = told.filter(pl.col("exam") == exam)
        rows.append(_mark(exam, None, "right", (here["answer"] == here["truth"]).fill_null(False)))
        for truth in here["truth"].unique(maintain_order=True):
            one = here.filter(pl.col("truth") == truth)
            rows.append(_mark(exam, truth, "right", (one["answer"] == truth).fill_null(False)))
    others = told.filter((pl.col("exam") == "verdict") & (pl.col("truth") != "internal"))
    if others.height:
        rows.append(_mark("verdict", None, "false internal", others["answer"] == "internal"))
        for pipeline in ("accuracy_alone", "split_alone", "steering_alone"):
            rows.append(_mark(pipeline, None, "false internal", others[pipeline].fill_null(False)))
    return pl.DataFrame(rows)


def _mark(exam: str, truth: str | None, measure: str, hits: pl.Series) -> dict[str, Any]:
    k, n = int(hits.sum()), len(hits)
    interval = binomtest(k, n).proportion_ci(LEVEL, method="exact")
    return {
        "exam": exam,
        "truth": truth,
        "measure": measure,
        "k": k,
        "n": n,
        "estimate": k / n,
        "ci_low": interval.low,
        "ci_high": interval.high,
    }
