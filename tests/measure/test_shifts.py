"""Shift transfer against scikit-learn's AUROC on the same rows, a planted reversal, and a refusal."""

import json

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import roc_auc_score

import probes
from probes.cli import main
from probes.concepts import ChoiceItem, Concept, Example
from probes.errors import InputError
from probes.measure import shift_transfer
from tests.makers import price_concept

CHEAP = {1: "cheap", 0: "costly"}


def moved(axis, value, n, template, reverse=False):
    """`n` pairs on one axis; `reverse` swaps which word the label goes with."""
    return [
        Example(
            pair=f"{axis}-{value}-{i}", label=k, text=template.format(CHEAP[k != reverse], i), split="test",
            shift=axis, **{axis: value}, template=f"x-{axis}",
        )
        for i in range(n)
        for k in (1, 0)
    ]  # fmt: skip


@pytest.fixture(scope="module")
def concept():
    base = price_concept()
    shifts = [
        *moved("wording", "paraphrase", 8, "the {} chair was sold in Ohio red {}"),
        *moved("wording", "indirect", 4, "the {} table was sold in Texas blue {}"),
        *moved("pressure", "urgency", 8, "the {} lamp was sold in Lyon green {}", reverse=True),
    ]
    item = ChoiceItem(
        id="w1", prompt="which {first} or {second}", positive="cheap", negative="costly", split="test",
        shift="wording", wording="paraphrase",
    )  # fmt: skip
    return Concept(name="prices", examples=(*base.examples, *shifts), choices=(*base.choices, item))


@pytest.fixture(scope="module")
def lineage(tiny_lineage_dir):
    return probes.load_lineage(tiny_lineage_dir)


@pytest.fixture(scope="module")
def transfer(lineage, concept):
    return shift_transfer(lineage["mid"], concept, position="mean", progress=False)


def row(table, measure, variant, axis, value=None):
    def same(column, wanted):
        return pl.col(column).is_null() if wanted is None else pl.col(column) == wanted

    rows = table.filter(
        pl.col("measure") == measure, pl.col("variant") == variant, same("shift", axis),
        same("shift_value", value),
    )  # fmt: skip
    assert rows.height == 1, rows
    return rows.to_dicts()[0]


def test_the_canonical_probe_is_scored_on_each_axis_alone(lineage, concept, transfer):
    acts = probes.extract(lineage["mid"], concept, position="mean", controls=(), progress=False)
    best = transfer.sweep.best
    scores = best.probe.decision_function(acts.values[acts.layers.index(best.layer)])
    for axis, value, n in (("wording", None, 12), ("wording", "paraphrase", 8), ("pressure", None, 8)):
        rows = [
            i for i, e in enumerate(concept.examples)
            if e.shift == axis and value in (None, getattr(e, axis))
        ]  # fmt: skip
        carried = row(transfer.table, "auroc", "shift_transfer", axis, value)
        assert carried["estimate"] == pytest.approx(roc_auc_score(acts.labels[rows], scores[rows]))
        assert carried["n_pairs"] == n
        assert carried["ci_low"] <= carried["estimate"] <= carried["ci_high"]
        right = np.mean((scores[rows] > 0) == acts.labels[rows])
        assert row(transfer.table, "accuracy", "shift_transfer", axis, value)["estimate"] == pytest.approx(
            right
        )
    assert transfer.table.filter(pl.col("shift_value") == "indirect").is_empty(), "four pairs are too few"


def test_a_reversed_axis_is_the_worst_though_a_refit_reads_it(transfer):
    kept = row(transfer.table, "auroc", "shift_transfer", "wording")
    lost = row(transfer.table, "auroc", "shift_transfer", "pressure")
    assert kept["estimate"] > 0.9
    assert lost["estimate"] < 0.1
    assert row(transfer.table, "auroc", "shift_refit", "pressure")["estimate"] > 0.9
    worst = row(transfer.table, "steadiness", "worst_axis", "pressure")
    assert worst["estimate"] == lost["estimate"]
    assert row(transfer.table, "auroc", "probe", None)["selected"]
    assert "worst axis pressure" in repr(transfer)


def test_a_refit_is_not_tried_on_an_act_it_saw_with_the_other_label(lineage):
    """Couples share two acts, right in one scenario and wrong in the other: nothing but the acts is there to
    learn, and what is learnt of them is the wrong way round for the rest of the couple."""
    acts = [
        ("chair", "table"),
        ("book", "lamp"),
        ("Ohio", "Texas"),
        ("Lyon", "Kyoto"),
        ("near", "far"),
        ("red", "blue"),
    ]
    crossed = [
        Example(
            pair=f"{scenario}-{right}", label=label, text=f"the {scenario} was sold in {act}", split="test",
            shift="domain", domain="shop", template=f"x-{right}",
        )
        for right, wrong in acts
        for scenario in ("cheap", "costly")
        for act, label in ((right, int(scenario == "cheap")), (wrong, int(scenario == "costly")))
    ]  # fmt: skip
    concept = Concept(name="crossed", examples=(*price_concept().examples, *crossed))
    transfer = shift_transfer(lineage["mid"], concept, position="mean", progress=False)
    assert row(transfer.table, "auroc", "shift_refit", "domain")["estimate"] > 0.4


def test_an_axis_of_two_templates_is_refitted(lineage):
    """One template is left to train on, so that the strength is chosen on its pairs."""
    rows = [
        Example(
            pair=f"t{t}-{k}", label=label, text=f"{opening} a {word} {thing}", split="test",
            shift="domain", domain="shop", template=f"t{t}",
        )
        for t, opening in enumerate(("He saw", "They sold"))
        for k, thing in enumerate(("cup", "hat", "bed", "car", "pen", "rug"))
        for word, label in (("cheap", 1), ("costly", 0))
    ]  # fmt: skip
    concept = Concept(name="two", examples=(*price_concept().examples, *rows))
    transfer = shift_transfer(lineage["mid"], concept, position="mean", progress=False)
    assert row(transfer.table, "auroc", "shift_refit", "domain")["n_pairs"] == 12


def test_choices_have_rows_by_axis(transfer):
    rates = transfer.table.filter(pl.col("measure") == "choice_rate", pl.col("variant") == "summed")
    assert dict(zip(rates["shift"], rates["n_pairs"], strict=True)) == {None: 8, "wording": 1}


def test_a_concept_without_shifts_is_refused(lineage):
    with pytest.raises(InputError, match="concept 'prices' has no shift pairs"):
        shift_transfer(lineage["mid"], price_concept(), progress=False)


def test_figure_shows_every_axis(transfer):
    figure = transfer.figure()
    assert figure.kind == "steadiness"
    names = {trace.name for trace in figure.plotly.data}
    assert {"mid canonical", "mid wording", "mid pressure"} <= names
    filled = [t.name for t in figure.plotly.data if t.name and t.marker.color not in (None, "white")]
    assert filled == ["mid pressure"]


def test_figure_of_the_worst_axis_names_it(transfer):
    figure = transfer.figure(kind="worst_axis")
    worst = row(transfer.table, "steadiness", "worst_axis", "pressure")
    drawn = {trace.name: trace.x[0] for trace in figure.plotly.data if trace.name}
    canonical = row(transfer.table, "auroc", "probe", None)["estimate"]
    assert drawn == {"mid pressure": worst["estimate"], "mid canonical": canonical}
    assert "pressure" in [note.text for note in figure.plotly.layout.annotations]


def test_command(tiny_lineage_dir, concept, tmp_path, capsys):
    concept.to_folder(tmp_path / "prices")
    out = tmp_path / "shifts.parquet"
    command = ["shifts", str(tiny_lineage_dir), "--concept", str(tmp_path / "prices"), "--stages", "mid"]
    assert main([*command, "--position", "mean", "--out", str(out), "--json", "--quiet"]) == 0
    lines = json.loads(capsys.readouterr().out)
    assert {line["measure"] for line in lines} >= {"auroc", "steadiness", "choice_rate"}
    assert pl.read_parquet(out).height == len(lines)
