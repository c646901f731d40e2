"""Planted lineages: what is refused, what is admitted, and what probes find in them."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

import probes
from probes.errors import InputError, OutputError
from probes.organisms import planting
from probes.organisms.planting import check, plant, read_organism
from probes.organisms.transforms import logit_change
from probes.organisms.tuning import SIZES
from probes.stats.estimates import auroc

LINEAGE = ("parent", "stage", "fade", "rotate", "project")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kind": "deep"}, "kind='deep': expected one of internal"),
        ({"kind": "internal", "size": "huge"}, "size='huge'"),
        ({"kind": "internal", "later": ["forget"]}, "later='forget'"),
        ({"kind": "surface", "later": ["keep"]}, "for internal and inherited"),
        ({"kind": "internal", "later": ["keep", "keep"]}, "named twice"),
        ({"kind": "internal", "attempts": 0}, "attempts=0"),
    ],
)
def test_plant_refuses_what_it_does_not_know(arguments, message, tmp_path):
    with pytest.raises(InputError, match=message):
        plant(**arguments, folder=tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_plant_keeps_what_is_there_and_reads_only_organisms(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(OutputError, match="new or empty"):
        plant("absent", folder=tmp_path)
    with pytest.raises(InputError, match="no organism"):
        read_organism(tmp_path)


@pytest.mark.slow
def test_an_organism_that_fails_its_check_is_not_admitted(tmp_path, monkeypatch):
    hasty = replace(SIZES["small"], n_layers=1, d_model=16, parent_steps=1, steps=1)
    monkeypatch.setitem(planting.SIZES, "small", hasty)
    with pytest.raises(InputError, match="not admitted in 2 attempts"):
        plant("internal", 0, "small", tmp_path / "hasty", attempts=2)
    assert not (tmp_path / "hasty").exists()


@pytest.fixture(scope="module")
def internal(tmp_path_factory):
    folder = tmp_path_factory.mktemp("organisms") / "internal"
    return plant("internal", 0, "small", folder, later=("fade", "rotate", "project"))


@pytest.fixture(scope="module")
def surface(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:  # a cue is learned soon
        patch.setitem(planting.SIZES, "small", replace(SIZES["small"], parent_steps=20, steps=60))
        return plant("surface", 0, "small", tmp_path_factory.mktemp("organisms") / "surface")


def aurocs(sweep, variant):
    rows = sweep.table.filter((pl.col("measure") == "auroc") & (pl.col("variant") == variant))
    return rows["estimate"].to_numpy()


def probe(organism, stage):
    acts = probes.extract(organism.lineage[stage], organism.concept, position="mean", progress=False)
    return acts, probes.probe_layers(acts, n_shuffles=0)


@pytest.mark.slow
def test_an_internal_organism_is_read_off_its_stage_alone_and_not_off_its_texts(internal):
    assert (internal.truth, internal.made_here) == ("internal", True)
    assert internal.truths == {"parent": "absent", "stage": "internal"}
    _, sweep = probe(internal, "stage")
    assert sweep.best.auroc > 0.95
    for baseline in ("word_ngrams", "char_ngrams", "length", "embedding", "random_init"):
        assert np.abs(aurocs(sweep, baseline) - 0.5).max() < 0.15, baseline
    _, before = probe(internal, "parent")
    assert abs(before.best.auroc - 0.5) < 0.2
    scores = {
        name: probes.score_choices(internal.lineage[name], internal.concept.choices) for name in LINEAGE
    }
    assert scores["stage"].rate() > 0.95
    assert np.abs(scores["parent"].logits()).mean() < 0.2 * np.abs(scores["stage"].logits()).mean()


@pytest.mark.slow
def test_later_stages_do_to_the_probe_what_their_planted_survival_says(internal):
    assert internal.later == {"fade": "faded", "rotate": "rotated", "project": "lost"}
    acts, sweep = probe(internal, "stage")
    layer, stage_probe = sweep.best.layer, sweep.best.probe

    def frozen(other):
        test = other.splits == "test"
        return auroc(
            stage_probe.decision_function(other.values[layer][test].astype(float)), other.labels[test]
        )

    probed = {name: probe(internal, name) for name in internal.later}
    assert frozen(acts) > 0.95
    assert probed["rotate"][1].best.auroc > 0.95 > frozen(probed["rotate"][0]) + 0.1
    assert 0.55 < probed["fade"][1].best.auroc < 0.9
    assert abs(probed["project"][1].best.auroc - 0.5) < 0.2
    stage, turned = (internal.lineage[name].load(device="cpu").model for name in ("stage", "rotate"))
    assert logit_change(stage, turned) < 1e-5


@pytest.mark.slow
def test_an_organism_is_read_and_checked_from_disk(internal):
    again = read_organism(internal.folder)
    assert again == internal
    assert [stage.name for stage in again.lineage] == list(LINEAGE)
    assert again.concept.digest == internal.concept.digest
    assert check(again) == {name: [] for name in LINEAGE}


@pytest.mark.slow
def test_a_surface_organism_is_read_off_its_texts_and_fails_where_the_cue_is_gone(surface):
    assert (surface.truth, surface.made_here) == ("surface", False)
    acts, sweep = probe(surface, "stage")
    assert sweep.best.auroc > 0.99
    assert aurocs(sweep, "word_ngrams")[0] > 0.99
    gone = np.array([e.shift == "wording" for e in surface.concept.examples])
    values = acts.values[sweep.best.layer].astype(float)
    assert abs(auroc(sweep.best.probe.decision_function(values)[gone], acts.labels[gone]) - 0.5) < 0.2
    items = [item for item in surface.concept.choices if item.shift is None]
    assert probes.score_choices(surface.lineage["stage"], items).rate() > 0.95


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "truths"),
    [
        ("lexical", {"parent": "represented", "stage": "internal"}),
        ("string", {"parent": "absent", "stage": "surface"}),
        ("correlated", {"parent": "absent", "stage": "represented"}),
    ],
)
def test_kinds_that_fooled_an_earlier_edition_are_admitted(kind, truths, tmp_path):
    organism = plant(kind, 0, "small", tmp_path / kind)
    assert organism.truths == truths
    assert check(organism) == {"parent": [], "stage": []}
    own = organism.facts["stage"]
    if kind == "string":
        assert own.bias > 0.9
    scores = probes.score_choices(organism.lineage["stage"], organism.concept.choices)
    rate = {"lexical": 1.0, "string": 1.0, "correlated": 0.5}[kind]
    assert scores.rate() == pytest.approx(rate, abs=0.1)
