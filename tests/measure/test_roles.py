"""Valuation transfer equals projections worked out by hand, and finds a value that was planted."""

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

import probes
from probes.concepts import ChoiceItem
from probes.errors import ConceptError, InputError
from probes.measure.valuation import ANSWER, QUESTION, valuation_transfer
from probes.steering.exchange import Mediation, mediation
from tests.makers import price_concept

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
    told = valuation_transfer(lineage["mid"], NARROW, ITEMS, progress=False)
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
    found = told.at(0)
    assert np.corrcoef(expected, found)[0, 1] > 0.99999
    assert told.table.filter(layer=0, variant="valuation_transfer")["estimate"][0] == pytest.approx(
        roc_auc_score(told.labels, expected)
    )
    assert ANSWER  # the words after the decision point are never seen by it
    assert told.table.filter(variant="narrow", selected=True)["layer"].to_list() == [told.best]


def test_a_direction_of_the_value_itself_transfers_and_the_gain_over_the_same_stage_is_zero(lineage):
    taught = [
        (f"the cheap {n} near Lyon", f"the costly {n} near Lyon") for n in ("chair", "lamp", "book", "table")
    ]
    told = valuation_transfer(lineage["base"], taught, ITEMS, progress=False)
    assert told.table.filter(variant="valuation_transfer")["estimate"].max() > 0.9
    same = told.gain(told)
    assert (same.value, same.low, same.high) == (0, 0, 0)
    other = valuation_transfer(lineage["base"], NARROW, ITEMS, progress=False)
    layer = told.best
    gain = told.gain(other)
    assert gain.value == pytest.approx(
        roc_auc_score(told.labels, told.at(layer)) - roc_auc_score(told.labels, other.at(layer))
    )


def test_what_cannot_be_asked_is_refused(lineage):
    with pytest.raises(InputError, match="at least 4"):
        valuation_transfer(lineage["base"], NARROW[:3], ITEMS)
    with pytest.raises(InputError, match=r"\{option\}"):
        valuation_transfer(lineage["base"], NARROW, ITEMS, question="Well?")
    told = valuation_transfer(lineage["base"], NARROW, ITEMS, progress=False)
    with pytest.raises(InputError, match="different items"):
        told.gain(valuation_transfer(lineage["base"], NARROW, ITEMS[:5], progress=False))
    with pytest.raises(InputError, match="layer 9"):
        told.at(9)


@pytest.fixture(scope="module")
def attribute(lineage):
    taught = price_concept()
    return probes.probe_layers(
        probes.extract(lineage["mid"], taught, progress=False), baselines=False
    ).directions[1]


def test_exchange_is_the_model_run_by_hand_with_the_projections_swapped(lineage, attribute):
    told = mediation(lineage["mid"], attribute, price_concept().choices[:3], n_random=20)
    assert told.intact == pytest.approx(
        probes.score_choices(lineage["mid"], price_concept().choices[:3]).logits("summed"), abs=1e-4
    )
    loaded = lineage["mid"].load()
    item = price_concept().choices[0]
    vector = torch.tensor(attribute.vector, dtype=torch.float32)
    vector = vector / vector.norm()
    logits = []
    for first, second, sign in ((item.positive, item.negative, 1), (item.negative, item.positive, -1)):
        chat = [{"role": "user", "content": item.prompt.format(first=first, second=second)}]
        text = loaded.tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
        places = loaded.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)[
            "offset_mapping"
        ]
        inside = [
            [i for i, (a, b) in enumerate(places) if b > text.index(o) and a < text.index(o) + len(o)]
            for o in (first, second)
        ]
        assert max(inside[0]) < min(inside[1])
        scores = []
        for option in (first, second):
            ids = [
                i
                for part in (text, option[0].upper() + option[1:])
                for i in loaded.tokenizer(part, add_special_tokens=False)["input_ids"]
            ]

            def swap(module, args, output, inside=inside):
                hidden = output[0] if isinstance(output, tuple) else output
                p = hidden[0] @ vector
                move = p[inside[1]].mean() - p[inside[0]].mean()
                hidden[0, inside[0]] += move * vector
                hidden[0, inside[1]] -= move * vector

            handle = loaded.model.model.layers[1].register_forward_hook(swap)
            with torch.no_grad():
                logprobs = loaded.model(torch.tensor([ids])).logits[0].log_softmax(-1)
            handle.remove()
            start = len(places)
            scores.append(sum(float(logprobs[t - 1, ids[t]]) for t in range(start, len(ids))))
        logits.append(sign * (scores[0] - scores[1]))
    assert told.exchanged[0] == pytest.approx(np.mean(logits), abs=1e-3)
    assert set(told.table["measure"]) == {"exchange_shift", "exchange_p"}
    assert 1 / 21 <= told.p_value <= 1


def test_the_share_of_a_gain_is_one_when_exchange_turns_the_gain_around(lineage, attribute):
    told = mediation(lineage["mid"], attribute, price_concept().choices, n_random=1)
    whole = Mediation(told.ids, np.linspace(1, 2, 10), -np.linspace(1, 2, 10), told.random)
    share = whole.share_of_gain(np.zeros(10))
    assert share.value == pytest.approx(1)
    assert share.low == pytest.approx(1)
    with pytest.raises(InputError, match="gained nothing"):
        whole.share_of_gain(np.full(10, 5.0))
    with pytest.raises(InputError, match="one value an item"):
        whole.share_of_gain(np.zeros(3))


def test_items_that_show_no_options_have_nothing_to_exchange(lineage, attribute):
    bare = ChoiceItem(id="b", prompt="the chair was", positive="cheap", negative="costly")
    with pytest.raises(ConceptError, match="does not present its options"):
        mediation(lineage["mid"], attribute, [bare])
