"""The exam on model organisms: verdicts, origins and survival are asked where the answer was planted.

Three usual pipelines sit the same exam: the accuracy of a probe alone, its AUROC on a held-out split alone,
and steering alone.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, get_args

import numpy as np
import polars as pl
from tqdm import tqdm

from probes.measure import SAVINGS, Plan, StageMeasurement, measure_stage
from probes.organisms import Organism, plant
from probes.organisms.language import Statement
from probes.organisms.planting import Kind
from probes.probing import split_rows
from probes.steering import steerability
from probes.transfer import compare_with, comparison_table
from probes.validation.answers import KeptAnswers, survival_answer
from probes.validation.processes import in_processes
from probes.validation.question import Question
from probes.verdicts import CRITERIA, Criteria, judge_all, judge_survival

USUAL_ACCURACY = 0.8
"""Accuracy at which a pipeline that looks at nothing else calls a concept internal."""
N_NEUTRAL = 64
"""Neutral texts on which the damage of an intervention is measured."""
N_ORDINARY = 256
"""Texts on which a later stage is aligned with the organism's stage."""


def examine(
    questions: Sequence[Question],
    *,
    criteria: Criteria = CRITERIA,
    workers: int = 1,
    keep: str | Path | None = None,
    progress: bool = True,
) -> pl.DataFrame:
    """Plant organisms and ask the toolkit about them. A question takes about a minute.

    The p-values of an organism are corrected over its two stages, as in a survey of it.

    Parameters
    ----------
    questions : the organisms, see `probes.validation.questions`.
    criteria : the thresholds of the verdicts.
    workers : processes, of one thread each.
    keep : a table (.parquet) to which the answers are added after every organism. Organisms that it holds
        already are not examined again, so it must come from the same criteria.
    progress : whether a progress bar is shown on stderr.

    Returns
    -------
    One row an answer, in the columns of `probes.validation.answers.ANSWERS`.

    Raises
    ------
    InputError : no attempt at an organism was admitted, or `keep` is not a table of answers.

    Example
    -------
    An organism whose answers are kept is not planted again:

    >>> from probes.validation import examine, questions
    >>> from probes.validation.answers import KeptAnswers
    >>> first = questions(n_each=1)[0]
    >>> row = {"exam": "verdict", "kind": first.kind, "size": first.size, "seed": first.seed}
    >>> KeptAnswers(folder / "kept.parquet").add([row | {"truth": "internal", "answer": "internal"}])
    >>> table = examine([first], keep=folder / "kept.parquet", progress=False)
    >>> table.select("kind", "seed", "truth", "answer").rows()
    [('internal', 1000, 'internal', 'internal')]
    """
    kept = KeptAnswers(keep)
    of_organisms = kept.table.filter(pl.col("kind").is_in(get_args(Kind)))
    done = set(of_organisms.select("kind", "size", "seed").iter_rows())
    left = [question for question in questions if (question.kind, question.size, question.seed) not in done]
    bar = tqdm(total=len(left), desc="organisms", file=sys.stderr, disable=not progress)
    with bar:
        for rows in in_processes(partial(_answers, criteria=criteria), left, workers):
            kept.add(rows)
            bar.update()
    return kept.table


def organism_plan(organism: Organism, criteria: Criteria = CRITERIA) -> Plan:
    """The plan of a survey, but with neutral texts in the organism's own language.

    Stages are aligned on ordinary text only where the organism has later stages to which a direction is
    compared.

    Example
    -------
    >>> from probes.organisms import Organism
    >>> from probes.validation.exam import organism_plan
    >>> organism = Organism("absent", 0, "small", folder, truth="absent", made_here=False, attempts=1)
    >>> plan = organism_plan(organism)
    >>> plan.position, len(plan.damage_texts), len(plan.alignment_texts)
    ('last', 64, 0)
    """
    alignment = tuple(s.text for s in _ordinary(organism, N_ORDINARY)) if organism.later else ()
    return Plan(
        position="last",
        exchanged="question",
        forms=("asked", "reversed"),
        wordings=1,
        competence_items=0,  # an organism's language has no other questions
        # Without its full stop a statement is not followed by an answer, so these texts ask for none.
        damage_texts=tuple(" ".join(s.tokens[:-1]) for s in _ordinary(organism, N_NEUTRAL)),
        alignment_texts=alignment,
        damage_limit=criteria.damage,
        savings=SAVINGS,
        thresholds=criteria.thresholds(),
    )


def measure_organism(
    organism: Organism, stage: str, plan: Plan, source: StageMeasurement | None = None
) -> StageMeasurement:
    """Measure the organism's concept at one of its stages, with its other concept as a control.

    Parameters
    ----------
    stage : name of the stage.
    source : the measurement of an earlier stage, whose direction will be compared with this one.
    """
    measurements = measure_stage(
        organism.lineage[stage],
        [organism.concept],
        plan,
        others=[organism.other],
        sources=[source] if source else [],
        progress=False,
    )
    return measurements[organism.concept.core.name]


def usual_pipelines(measurement: StageMeasurement) -> dict[str, bool]:
    """Whether each of three usual pipelines would call the concept internal.

    `accuracy_alone` does when the accuracy of the probe on held-out pairs reaches `USUAL_ACCURACY`,
    `split_alone` when its AUROC there is above chance, and `steering_alone` when its direction changes
    choices more than random directions do, all at the layer of the best probe.
    """
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


def _answers(question: Question, criteria: Criteria) -> list[dict[str, Any]]:
    """Plant one organism in a folder that is deleted afterwards; the rows of its answers."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "organism"
        organism = plant(question.kind, question.seed, question.size, home, later=question.later)
        common = {
            "half": question.half,
            "kind": question.kind,
            "size": question.size,
            "seed": question.seed,
            "attempts": organism.attempts,
        }
        return [common | row for row in _answers_about(organism, criteria)]


def _answers_about(organism: Organism, criteria: Criteria) -> Iterator[dict[str, Any]]:
    """What the toolkit says about an organism, beside the truth."""
    plan = organism_plan(organism, criteria)
    before = measure_organism(organism, organism.parent, plan)
    here = measure_organism(organism, organism.stage, plan, before)
    verdicts = judge_all(pl.concat([before.tests, here.tests]), comparison_table([(here, before)]), criteria)
    for judged, measurement in zip(verdicts, (before, here), strict=True):
        yield {
            "exam": "verdict",
            "stage": judged.stage,
            "truth": organism.truths[judged.stage],
            "answer": judged.verdict.label,
            "decided_by": judged.verdict.decided_by,
            "evidence": str(judged),
            **usual_pipelines(measurement),
        }
    if organism.kind in ("internal", "inherited"):
        origins = verdicts[1].origins
        yield {
            "exam": "origin",
            "stage": organism.stage,
            "truth": "made here" if organism.made_here else "inherited",
            "answer": origins["decodable"].label if "decodable" in origins else None,
        }
    for name, truth in organism.later.items():
        plan_of_later = replace(plan, items=0, baselines=False, tests=False)
        later = measure_organism(organism, name, plan_of_later, here)
        survival = judge_survival(compare_with(later, here), criteria)
        yield {"kind": name, "stage": name, "truth": truth, **survival_answer(survival)}


def _ordinary(organism: Organism, n: int) -> list[Statement]:
    """Statements in words that no concept uses, drawn without regard to any concept."""
    return organism.language.sample(np.random.default_rng([organism.seed, 11]), n, "fresh")
