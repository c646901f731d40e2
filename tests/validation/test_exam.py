"""The exam: its questions, how answers are marked, one organism through it, and the figure of its results."""

from dataclasses import replace

import polars as pl
import pytest
from scipy.stats import binomtest

from probes.errors import InputError
from probes.figures.confusion import confusion
from probes.organisms import plant
from probes.validation import exam
from probes.validation.exam import ANSWERS, examine, marks, questions
from probes.verdicts import CRITERIA, judge_all


def answers(*rows):
    return pl.DataFrame([dict.fromkeys(ANSWERS) | row for row in rows], schema=ANSWERS)


def test_the_halves_share_no_organism_and_hold_every_kind_in_every_size():
    asked = questions(6)
    by_half = {half: [q for q in asked if q.half == half] for half in ("set", "held out")}
    assert not {q.seed for q in by_half["set"]} & {q.seed for q in by_half["held out"]}
    for group in by_half.values():
        assert len({(q.kind, q.size) for q in group}) == 15
        assert len(group) == 30
    assert all(q.later for q in asked if q.kind == "internal")
    with pytest.raises(InputError, match="at least 1"):
        questions(0)


def test_marks_count_right_answers_and_false_internals_of_one_half_with_exact_intervals():
    rows = [
        {"exam": "verdict", "half": "held out", "truth": "surface", "answer": "surface", "split_alone": True}
    ] * 18
    rows += [
        {"exam": "verdict", "half": "held out", "truth": "surface", "answer": "internal", "split_alone": True}
    ] * 2
    rows += [{"exam": "verdict", "half": "set", "truth": "surface", "answer": "internal"}] * 50
    rows += [{"exam": "fate", "half": "held out", "truth": "lost", "answer": None}]
    told = marks(answers(*rows))
    false = told.filter(exam="verdict", measure="false internal").to_dicts()[0]
    expected = binomtest(2, 20).proportion_ci(0.95)
    assert (false["k"], false["n"]) == (2, 20)
    assert (false["ci_low"], false["ci_high"]) == pytest.approx((expected.low, expected.high))
    assert told.filter(exam="split_alone")["estimate"].to_list() == [1.0]
    assert told.filter(exam="fate", measure="right")["k"].to_list() == [0, 0]


def test_an_organism_without_the_latent_is_called_absent_at_both_stages_and_asked_once(tmp_path, monkeypatch):
    one, keep = next(q for q in questions(1) if q.kind == "absent"), tmp_path / "organisms.parquet"
    told = examine([one], keep=keep, progress=False)
    assert told.select("stage", "truth", "answer").rows() == [
        ("parent", "absent", "absent"),
        ("stage", "absent", "absent"),
    ]
    assert not told["split_alone"].any()
    monkeypatch.setattr(exam, "plant", None)  # a second call must not come to it
    assert examine([one], keep=keep, progress=False).equals(told)


def test_an_internal_organism_is_called_internal_made_here_and_its_inverted_answers_persist():
    one = replace(next(q for q in questions(1) if q.kind == "internal"), later=("invert",))
    told = examine([one], progress=False)
    assert told.select("exam", "truth", "answer").rows() == [
        ("verdict", "absent", "absent"),
        ("verdict", "internal", "internal"),
        ("origin", "made here", "made here"),
        ("fate", "persists", "persists"),
    ]


def test_what_damages_everything_counts_for_nothing(tmp_path):
    """The same organism under a damage limit that no intervention keeps is not called internal."""
    organism = plant("internal", 0, "small", tmp_path / "internal")
    labels = {}
    for limit in (0.99, 1e-9):
        criteria = replace(CRITERIA, damage=limit)
        plan = replace(exam.plan_of(organism, criteria), damage_texts=("the of and in",) * 4)
        measured = exam.measured(organism, "stage", plan)
        [judged] = judge_all(measured.tests, criteria=criteria)
        labels[limit] = (judged.verdict.label, judged.verdict.decided_by)
    assert labels[0.99][0] == "internal"
    assert labels[1e-9] == ("inconclusive", "sufficient")
    assert "damages neutral text" in judged.verdict.missing["sufficient"]


def test_the_confusion_figure_counts_every_answer_and_refuses_unknown_ones():
    rows = pl.DataFrame(
        {
            "panel": ["v"] * 3,
            "truth": ["absent", "absent", "surface"],
            "answer": ["absent", "internal", "surface"],
        }
    )
    orders = {"v": (["absent", "surface"], ["absent", "surface", "internal"])}
    figure = confusion(rows, orders)
    heat = next(trace for trace in figure.plotly.to_dict()["data"] if trace["type"] == "heatmap")
    assert [list(line) for line in heat["customdata"]] == [[1, 0, 1], [0, 1, 0]]
    assert "n=3" in figure.caption
    with pytest.raises(InputError, match="internal"):
        confusion(rows, {"v": (["absent", "surface"], ["absent", "surface"])})
    with pytest.raises(InputError, match="no answers"):
        confusion(rows, {"w": (["absent"], ["absent"])})
