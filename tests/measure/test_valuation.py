"""Valuation transfer equals projections computed by hand, and finds a value that was planted."""

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

import probes
from probes.concepts import ChoiceItem
from probes.errors import InputError
from probes.measure import valuation
from probes.measure.valuation import QUESTION, valuation_transfer

NARROW = [
    (f"the red {n} of {p}", f"the blue {n} of {p}")
    for n in ("chair", "lamp", "book")
    for p in ("Ohio", "Lyon")
]
ITEMS = [
    ChoiceItem(
        id=f"i{i}",
        prompt="{first} or {second}",
        positive=f"a cheap {n} in {p}",
        negative=f"a costly {n} in {p}",
    )
    for i, (n, p) in enumerate((n, p) for n in ("table", "lamp", "book") for p in ("Texas", "Kyoto", "Ohio"))
]


@pytest.fixture(scope="module")
def lineage(tiny_lineage_dir):
    return probes.load_lineage(tiny_lineage_dir)


def test_scores_are_projections_on_the_narrow_mean_difference(lineage):
    transfer = valuation_transfer(lineage["mid"], NARROW, ITEMS, progress=False)
    loaded = lineage["mid"].load()

    def state(option):
        chat = [{"role": "user", "content": QUESTION.format(option=option)}]
        text = loaded.tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
        ids = loaded.tokenizer(text, add_special_tokens=False, return_tensors="pt")
        with torch.no_grad():
            return loaded.model(**ids, output_hidden_states=True).hidden_states[1][0, -1].double().numpy()

    liked, disliked = (np.stack([state(pair[side]) for pair in NARROW]) for side in (0, 1))
    direction = liked.mean(0) - disliked.mean(0)
    expected = np.array([state(o) @ direction for item in ITEMS for o in (item.positive, item.negative)])
    assert np.corrcoef(expected, transfer.at(0))[0, 1] > 0.99999
    assert transfer.table.filter(layer=0, variant="valuation_transfer")["estimate"][0] == pytest.approx(
        roc_auc_score(transfer.labels, expected)
    )
    assert transfer.table.filter(variant="narrow", selected=True)["layer"].to_list() == [transfer.best]


def test_a_direction_of_the_value_itself_transfers_and_the_gain_over_the_same_stage_is_zero(lineage):
    taught = [
        (f"the cheap {n} near Lyon", f"the costly {n} near Lyon") for n in ("chair", "lamp", "book", "table")
    ]
    transfer = valuation_transfer(lineage["base"], taught, ITEMS, progress=False)
    assert transfer.table.filter(variant="valuation_transfer")["estimate"].max() > 0.9
    same = transfer.gain(transfer)
    assert (same.value, same.low, same.high) == (0, 0, 0)
    other = valuation_transfer(lineage["base"], NARROW, ITEMS, progress=False)
    layer = transfer.best
    gain = transfer.gain(other)
    assert gain.value == pytest.approx(
        roc_auc_score(transfer.labels, transfer.at(layer)) - roc_auc_score(transfer.labels, other.at(layer))
    )


def test_what_cannot_be_asked_is_refused(lineage):
    with pytest.raises(InputError, match="at least 4"):
        valuation_transfer(lineage["base"], NARROW[:3], ITEMS)
    with pytest.raises(InputError, match=r"\{option\}"):
        valuation_transfer(lineage["base"], NARROW, ITEMS, question="Well?")
    transfer = valuation_transfer(lineage["base"], NARROW, ITEMS, progress=False)
    with pytest.raises(InputError, match="different items"):
        transfer.gain(valuation_transfer(lineage["base"], NARROW, ITEMS[:5], progress=False))
    with pytest.raises(InputError, match="layer 9"):
        transfer.at(9)


def test_the_words_of_the_answer_are_never_read(lineage, monkeypatch):
    scores = valuation_transfer(lineage["mid"], NARROW, ITEMS, progress=False).scores
    monkeypatch.setattr(valuation, "ANSWER", "Quite a cheap chair in Lyon")
    other = valuation_transfer(lineage["mid"], NARROW, ITEMS, progress=False).scores
    np.testing.assert_allclose(other, scores, rtol=1e-4, atol=1e-4)
