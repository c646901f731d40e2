"""One concept at one stage: what is measured agrees with its parts, and what is missing is said."""

import pytest
from sklearn.metrics import roc_auc_score

import probes
from probes.measure.assess import assess
from tests.makers import price_concept


@pytest.fixture(scope="module")
def lineage(tiny_lineage_dir):
    return probes.load_lineage(tiny_lineage_dir)


@pytest.fixture(scope="module")
def told(lineage):
    return assess(lineage["mid"], price_concept(), progress=False)


def test_words_read_as_well_so_eight_pairs_leave_it_open_and_the_rest_is_not_measured(lineage, told):
    assert (told.verdict.label, told.verdict.decided_by) == ("inconclusive", "beyond_surface")
    assert set(told.verdict.missing) == {"shift", "sufficient", "necessary", "specific"}
    assert told.verdict.n_to_settle is None or told.verdict.n_to_settle > 8
    decodable = next(f for f in told.verdict.findings if f.test == "decodable")
    acts = told.reading.activations
    test = acts.splits == "test"
    assert decodable.estimate.value == pytest.approx(roc_auc_score(acts.labels[test], told.scores[test]))
    masked = told.table.filter(measure="masked").to_dicts()
    assert masked[0]["layer"] == told.layer


def test_what_is_missing_is_said_instead_of_guessed(lineage, told):
    text = str(told)
    for words in (
        "8 test pairs",
        "no pairs of this reading on a shift axis",
        "no parent stage",
        "one training",
    ):
        assert words in text, words
    assert "choice items" not in text
    concept = price_concept()
    bare = probes.Concept(name=concept.name, examples=concept.examples)
    bare = assess(lineage["mid"], bare, parent=told, masked=False, progress=False)
    assert any("no canonical choice items" in note for note in bare.notes)
    assert not any("no parent" in note for note in bare.notes)
    assert "decodable" in bare.origin
    assert bare.table.filter(measure="masked").is_empty()
