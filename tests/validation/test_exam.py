"""The exam on organisms: each is planted, measured and judged."""

from dataclasses import replace

import pytest

from probes.organisms import plant
from probes.validation import exam, examine, questions
from probes.validation.exam import measure_organism, organism_plan
from probes.verdicts import CRITERIA, judge_all

pytestmark = pytest.mark.slow  # every test plants an organism


def test_an_organism_without_the_latent_is_called_absent_at_both_stages_and_examined_once(
    tmp_path, monkeypatch
):
    one, keep = next(q for q in questions(1) if q.kind == "absent"), tmp_path / "organisms.parquet"
    table = examine([one], keep=keep, progress=False)
    assert table.select("stage", "truth", "answer").rows() == [
        ("parent", "absent", "absent"),
        ("stage", "absent", "absent"),
    ]
    assert not table["split_alone"].any()
    monkeypatch.setattr(exam, "plant", None)  # a second call must not come to it
    assert examine([one], keep=keep, progress=False).equals(table)


def test_an_internal_organism_is_called_internal_made_here_and_its_inverted_answers_persist():
    one = replace(next(q for q in questions(1) if q.kind == "internal"), later=("invert",))
    table = examine([one], progress=False)
    assert table.select("exam", "truth", "answer").rows() == [
        ("verdict", "absent", "absent"),
        ("verdict", "internal", "internal"),
        ("origin", "made here", "made here"),
        ("survival", "persists", "persists"),
    ]


def test_what_damages_everything_counts_for_nothing(tmp_path):
    """The same organism under a damage limit that no intervention keeps is not called internal."""
    organism = plant("internal", 0, "small", tmp_path / "internal")
    labels = {}
    for limit in (0.99, 1e-9):
        criteria = replace(CRITERIA, damage=limit)
        plan = replace(organism_plan(organism, criteria), damage_texts=("the of and in",) * 4)
        measurement = measure_organism(organism, "stage", plan)
        [judged] = judge_all(measurement.tests, criteria=criteria)
        labels[limit] = (judged.verdict.label, judged.verdict.decided_by)
    assert labels[0.99][0] == "internal"
    assert labels[1e-9] == ("inconclusive", "necessary")
    assert "damages neutral text" in judged.verdict.missing["necessary"]
