"""The lint as a whole: honest concepts pass, own tables are read, the report, the command."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

import probes
from probes.cli import main
from probes.concepts import (
    list_concepts,
    load_concept,
)
from probes.concepts.linting import lint
from probes.errors import ConceptError
from tests.concepts.makers import SHIFTS, concept_of, issues_of


def test_an_honest_concept_passes(honest):
    report = probes.lint(concept_of(*honest))
    assert report.passed, str(report)
    assert str(report) == "made: passed"
    table = report.table
    assert set(table["rows"]) == {"attribute pairs", "norm pairs", "choice options"}
    assert set(table["axis"]) == {"canonical", *SHIFTS}
    assert set(table["surface"]) == {"word_ngrams", "char_ngrams", "length"}
    values = table.filter(rows="attribute pairs", axis="language")["value"]
    assert set(values) == {None, "es", "zh"}
    assert (table["ci_low"] <= table["auroc"]).all()
    assert (table["auroc"] <= table["ci_high"]).all()


@pytest.mark.slow
def test_people_s_own_tables_are_read_on_folds():
    rng = np.random.default_rng(0)
    nouns = [f"thing{n}" for n in range(60)]
    leaky = [{"text": f"the {n} is {('no ', '')[k % 2]}good", "label": k % 2} for k, n in enumerate(nouns)]
    report = lint(leaky)
    assert "pairs: no train and test splits, so surface AUROCs are out of fold" in report.notes
    assert {f.check for f in report.findings} >= {"surface", "balance"}
    assert report.table.filter(surface="word_ngrams")["auroc"].item() > 0.95
    fair = [{"text": f"the {n} is good", "label": int(rng.integers(2))} for n in nouns]
    assert not issues_of(lint(fair), "surface")
    few = lint(leaky[:4])
    assert any("were not fitted" in note or "too few" in note for note in few.notes)
    with pytest.raises(ConceptError, match="only label 1"):
        lint([{"text": "a", "label": 1}])


def test_report_counts_the_rest_and_is_json(honest, quick):
    rows, items = honest
    edited = [r | {"text": r["text"] + "!"} if r["label"] == 0 and "shift" in r else r for r in rows]
    report = lint(concept_of(edited, items))
    sides = next(f for f in report.findings if f.check == "sides")
    assert len(sides.offenders) == 200
    text = report.text()
    assert "    and 195 more\n  " in text
    assert "    do: make them the same there" in text
    as_json = json.loads(json.dumps(report.to_dict()))
    assert as_json["passed"] is False
    assert len(next(f for f in as_json["findings"] if f["check"] == "sides")["offenders"]) == 200
    assert len(as_json["surface"]) == report.table.height
    assert "made" in report._repr_html_()
    assert repr(report) == f"LintReport('made', {len(report.findings)} findings)"


def test_command(capsys, tmp_path, honest):
    good = concept_of(*honest).to_folder(tmp_path / "good")
    bad = tmp_path / "bad.csv"
    bad.write_text("text,label\n" + "".join(f"{'yes' if n % 2 else 'no'} {n},{n % 2}\n" for n in range(40)))
    assert main(["concepts", "lint", str(good)]) == 0
    assert capsys.readouterr().out.startswith("made: passed")
    assert main(["concepts", "lint", str(good), str(bad), "--json"]) == 1
    reports = json.loads(capsys.readouterr().out)
    assert [(r["concept"], r["passed"]) for r in reports] == [("made", True), ("bad", False)]
    assert main(["concepts", "lint", "nobody"]) == 2
    assert re.match(r"error: no concept 'nobody'", capsys.readouterr().err)


@pytest.mark.slow
@pytest.mark.parametrize("name", list_concepts())
def test_packaged_concepts_pass(name):
    report = lint(load_concept(name))
    assert report.passed, str(report)
