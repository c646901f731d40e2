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
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import polars as pl
import torch
from scipy.stats import binomtest
from tqdm import tqdm

from probes.concepts import Concept
from probes.concepts.neutral import neutral_texts
from probes.errors import InputError
from probes.lineage import LoadedStage, Stage
from probes.measure import LADDER_SAVINGS, Plan, StageMeasurement, measure_stage
from probes.organisms.language import Statement
from probes.organisms.later import LATER, Later
from probes.organisms.planting import Kind, Organism, plant
from probes.organisms.transforms import project_out, rotate
from probes.organisms.tuning import SIZES
from probes.probing import Direction, split_rows
from probes.stats.estimates import LEVEL
from probes.steering import steerability
from probes.tables.writing import write_table
from probes.transfer import compare_with, comparison_table
from probes.verdicts import judge_all, judge_survival
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
    plan = plan_of(organism, criteria)
    before = measured(organism, organism.parent, plan)
    here = measured(organism, organism.stage, plan, before)
    common = {
        "half": asked.half,
        "kind": asked.kind,
        "size": asked.size,
        "seed": asked.seed,
        "attempts": organism.attempts,
    }
    rows = []
    verdicts = judge_all(pl.concat([before.tests, here.tests]), comparison_table([(here, before)]), criteria)
    for judged, measurement in zip(verdicts, (before, here), strict=True):
        rows.append(
            common
            | {"exam": "verdict", "stage": judged.stage, "truth": organism.truths[judged.stage]}
            | {"answer": judged.verdict.label, "decided_by": judged.verdict.decided_by}
            | {"evidence": str(judged)}
            | usual(measurement)
        )
    if organism.truth == "internal":
        made = "made here" if organism.made_here else "inherited"
        origins = verdicts[1].origins
        answer = origins["decodable"].label if "decodable" in origins else None
        rows.append(common | {"exam": "origin", "stage": organism.stage, "truth": made, "answer": answer})
    rows += [common | row for row in _survivals(organism, here, plan, criteria)]
    return rows


def plan_of(organism: Organism, criteria: Criteria) -> Plan:
    """What a survey would measure, but on the organism's own neutral text. Stages are aligned on ordinary
    text where there are later ones to follow a direction to."""
    ordinary = (
        tuple(statement.text for statement in _ordinary(organism, N_ORDINARY)) if organism.later else ()
    )
    return Plan(
        position="last",
        selection_items=True,
        damage_texts=tuple(" ".join(s.tokens[:-1]) for s in _ordinary(organism, N_NEUTRAL)),
        alignment_texts=ordinary,
        damage_limit=criteria.damage,
        savings=LADDER_SAVINGS,
        thresholds=criteria.thresholds(),
    )


def measured(
    organism: Organism, stage: str, plan: Plan, source: StageMeasurement | None = None
) -> StageMeasurement:
    measured = measure_stage(
        organism.lineage[stage],
        [organism.concept],
        plan,
        others=[organism.other],
        sources=[source] if source else [],
        progress=False,
    )
    return measured[organism.concept.core.name]


def _survivals(
    organism: Organism, source: StageMeasurement, plan: Plan, criteria: Criteria
) -> Iterator[dict[str, Any]]:
    """What becomes of the organism's own direction at each later stage; the exam calls it `fate`."""
    for name, truth in organism.later.items():
        later = measured(organism, name, replace(plan, items=0, baselines=False, tests=False), source)
        survival = judge_survival(compare_with(later, source), criteria)
        yield {
            "exam": "fate",
            "kind": name,
            "stage": name,
            "truth": truth,
            "answer": survival.label,
            "decided_by": survival.decided_by,
            "evidence": "\n".join(f"{finding.outcome:<8} {finding}" for finding in survival.findings),
        }


def _ordinary(organism: Organism, n: int) -> list[Statement]:
    """Statements of the language in words that no concept holds, drawn without regard to any concept."""
    return organism.language.sample(np.random.default_rng([organism.seed, 11]), n, "fresh")


def usual(measurement: StageMeasurement) -> dict[str, bool]:
    """Whether three usual pipelines would call the concept internal: by the probe's accuracy on held-out
    pairs, by its AUROC there being above chance, and by its direction moving choices more than random ones
    do, at the layer of the best probe."""
    acts, best = measurement.activations, measurement.sweep.best
    test = split_rows(acts).test
    right = (measurement.scores[test] > 0) == np.asarray(acts.labels)[test]
    assert measurement.gradients is not None
    p = steerability(measurement.gradients, best.direction).p_values["direction", best.layer]
    return {
        "accuracy_alone": bool(right.mean() >= USUAL_ACCURACY),
        "split_alone": best.ci_low > 0.5,
        "steering_alone": p <= CRITERIA.alpha,
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
    """Survival on exact transforms of real checkpoints: turned (rotated), the concept's direction written by
    nothing any more (lost), left alone (persists); `n_each` of each, over `stages` and seeds. Columns as in
    `ANSWERS`, half `held out`: no threshold was set on them. `keep` as in `examine`.
    """
    kept = pl.read_parquet(keep) if keep and Path(keep).exists() else pl.DataFrame(schema=ANSWERS)
    left = [i for i in range(n_each) if seed + i not in set(kept["seed"])]
    texts = neutral_texts()
    plan = Plan(position=position, items=0, baselines=False, tests=False, alignment_texts=texts)
    bar = tqdm(total=3 * len(left), desc="transforms", file=sys.stderr, disable=not progress)
    with bar:
        for i in left:
            rows = []
            stage = stages[i % len(stages)]
            loaded = stage if isinstance(stage, LoadedStage) else stage.load()
            [source] = measure_stage(loaded, [concept], plan, progress=False).values()
            for truth in ("rotated", "lost", "persists"):
                made = _transformed(loaded.model, truth, source.sweep.best.direction, seed + i)
                other = LoadedStage.from_model(made, loaded.tokenizer, name=truth)
                [later] = measure_stage(other, [concept], plan, sources=[source], progress=False).values()
                survival = judge_survival(compare_with(later, source), criteria)
                rows.append(
                    {
                        "exam": "fate",
                        "half": HALVES[1],
                        "kind": "transform",
                        "size": loaded.name,
                        "seed": seed + i,
                        "stage": truth,
                        "truth": truth,
                        "answer": survival.label,
                        "decided_by": survival.decided_by,
                        "evidence": "\n".join(f"{f.outcome:<8} {f}" for f in survival.findings),
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
