"""Mediation: the exchange run by hand on plain transformers, and the share of a gain."""

import numpy as np
import pytest
import torch

import probes
from probes.concepts import ChoiceItem
from probes.errors import ConceptError, InputError
from probes.steering import Mediation, mediation
from tests.makers import price_concept
from tests.steering.makers import table_row


@pytest.fixture(scope="module")
def lineage(tiny_lineage_dir):
    return probes.load_lineage(tiny_lineage_dir)


@pytest.fixture(scope="module")
def attribute(lineage):
    taught = price_concept()
    return probes.probe_layers(
        probes.extract(lineage["mid"], taught, progress=False), baselines=False
    ).directions[1]


def test_exchange_is_the_model_run_by_hand_with_the_projections_swapped(lineage, attribute):
    result = mediation(lineage["mid"], attribute, price_concept().choices[:3], n_random=20)
    assert result.intact == pytest.approx(
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
    assert result.exchanged[0] == pytest.approx(np.mean(logits), abs=1e-3)
    assert set(result.table["measure"]) == {"exchange_shift", "exchange_p"}
    shift = abs((result.intact - result.exchanged).mean())
    as_large = sum(abs((result.intact - random).mean()) >= shift for random in result.random)
    assert result.p_value == (1 + as_large) / 21
    assert table_row(result.table, "exchange_p", "direction")["estimate"] == result.p_value


def test_the_share_of_a_gain_is_one_when_exchange_turns_the_gain_around(lineage, attribute):
    result = mediation(lineage["mid"], attribute, price_concept().choices, n_random=1)
    whole = Mediation(result.ids, np.linspace(1, 2, 10), -np.linspace(1, 2, 10), result.random)
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
