"""What can be read without the words that say it, against scikit-learn's AUROC on the same rows."""

import pytest
from sklearn.metrics import roc_auc_score

import probes
from probes.activations import run_context
from probes.concepts import Concept, Example
from probes.measure.decodability import masked_auroc
from probes.models import Site
from probes.probing import LogisticProbe

WORD = {1: "cheap", 0: "costly"}


@pytest.fixture(scope="module")
def lineage(tiny_lineage_dir):
    return probes.load_lineage(tiny_lineage_dir)


def test_outside_the_evidence_the_words_tell_nothing_and_the_state_may(lineage):
    examples = [
        Example(
            pair=f"{i}", label=k, text=f"a chair sold in Ohio was {WORD[k]} and red {i} .",
            evidence=((25, 25 + len(WORD[k])),), split=("train", "select", "test")[i % 3],
        )
        for i in range(36)
        for k in (1, 0)
    ]  # fmt: skip
    marked = Concept(name="prices", examples=tuple(examples))
    context = run_context(lineage["mid"], progress=False)
    words = masked_auroc(context, marked, Site("embed", None), estimator="mass_mean")
    assert (words.value, words.n) == (0.5, 12)
    site = Site("resid_post", 1)
    state = masked_auroc(context, marked, site)
    acts = probes.extract(context, marked, "resid_post", layers=[1], position="outside", controls=())
    train, test = (acts.splits == part for part in ("train", "test"))
    probe = LogisticProbe().fit(acts.values[0][train].astype(float), acts.labels[train])
    expected = roc_auc_score(acts.labels[test], probe.decision_function(acts.values[0][test].astype(float)))
    assert state.value == pytest.approx(expected)
    assert state.value > 0.9
    bare = Concept(name="bare", examples=tuple(e.model_copy(update={"evidence": ()}) for e in examples))
    assert masked_auroc(context, bare, site) is None
