"""Keys of the exam on real weights: against models in which the answer is put there by hand."""

import numpy as np
import pytest
import torch

import probes
from probes.concepts import ChoiceItem
from probes.errors import InputError
from probes.stats.estimates import Estimate
from probes.validation import marks, real_sets
from probes.validation.answers import answers_table
from probes.validation.keys import Key, measured_key

NOUNS = ["chair", "table", "book", "lamp"]


def items(n=12):
    """Pairs in the tiny vocabulary: cheap or costly, and how the text goes on."""
    return [
        ChoiceItem(
            id=f"i{i}",
            prompt=f"the cheap {NOUNS[i % 4]} {'was ' * (i // 4)}near",
            reversed=f"the costly {NOUNS[i % 4]} {'was ' * (i // 4)}near",
            positive=" Ohio",
            negative=" Kyoto",
            completion=True,
        )
        for i in range(n)
    ]


@pytest.fixture
def loaded(tiny_lineage_dir):
    return probes.load_lineage(tiny_lineage_dir)["mid"].load()


def test_a_word_that_the_model_cannot_tell_from_the_other_is_unused(loaded):
    table = loaded.model.get_input_embeddings().weight
    cheap, costly = (loaded.tokenizer.encode(f" {word}")[-1] for word in ("cheap", "costly"))
    with torch.no_grad():
        table[costly] = table[cheap]
    key = measured_key(loaded.model, loaded.tokenizer, items())
    assert (key.label, key.effect.value, key.carried) == ("unused", 0.0, None)


def test_a_word_that_decides_the_answer_is_used_and_its_state_carries_all_of_it(loaded):
    """The two words get large opposite embeddings along a direction that the head reads for the answers."""
    model = loaded.model
    table, head = model.get_input_embeddings().weight, model.get_output_embeddings().weight
    ids = {w: loaded.tokenizer.encode(f" {w}")[-1] for w in ("cheap", "costly", "Ohio", "Kyoto")}
    direction = torch.zeros(table.shape[1])
    direction[5] = 1.0
    with torch.no_grad():
        # Every block but the first adds the mean of the tokens so far to each token.
        for block in model.model.layers:
            block.self_attn.q_proj.weight.zero_()
            block.self_attn.v_proj.weight.copy_(torch.eye(*block.self_attn.v_proj.weight.shape))
            block.self_attn.o_proj.weight.copy_(torch.eye(*block.self_attn.o_proj.weight.shape))
            block.mlp.down_proj.weight.zero_()
        model.model.layers[0].self_attn.o_proj.weight.zero_()
        table[ids["cheap"]], table[ids["costly"]] = 20 * direction, -20 * direction
        head[ids["Ohio"]], head[ids["Kyoto"]] = 9 * direction, -9 * direction
    key = measured_key(model, loaded.tokenizer, items())
    assert key.label == "used", key
    assert key.effect.value > 0.9
    assert key.carried.value > 0.8


def test_labels_need_an_interval_that_says_so():
    whole = Estimate(1.0, 0.95, 1.05, 8)
    assert Key(Estimate(0.02, -0.1, 0.16, 60), None).label == "uncertified"
    assert Key(Estimate(-0.1, -0.14, -0.05, 60), None).label == "unused"
    assert Key(Estimate(0.7, 0.6, 0.8, 60), whole).label == "used"
    assert Key(Estimate(0.7, 0.6, 0.8, 60), Estimate(0.7, 0.6, 0.8, 8)).label == "uncertified"
    assert Key(Estimate(-0.7, -0.8, -0.6, 60), whole).label == "uncertified"


def test_packaged_sets_are_minimal_pairs_in_halves_of_one_size():
    sets = real_sets()
    count = {(one.expected, one.half): 0 for one in sets}
    for one in sets:
        count[one.expected, one.half] += 1
        concept = one.concept
        assert concept.n_pairs == len(concept.choices) >= 50, one.name
        assert len({item.prompt for item in concept.choices}) == len(concept.choices), one.name
        for item in concept.choices:
            assert item.prompt != item.reversed
            assert "{" not in item.prompt + item.reversed
        templates = {item.template for item in concept.choices}
        assert len(templates) >= 5, one.name
    assert set(count.values()) == {8}
    with pytest.raises(InputError, match="no set 'vibes': expected some of number_relative"):
        real_sets(["vibes"])


def test_uncertified_sets_are_left_out_of_the_marks_and_unused_ones_have_three_right_answers():
    row = {"exam": "real", "half": "held out"}
    answers = [
        row | {"truth": "unused", "answer": "represented"},
        row | {"truth": "unused", "answer": "absent"},
        row | {"truth": "unused", "answer": "inconclusive"},
        row | {"truth": "unused", "answer": "internal", "split_alone": True},
        row | {"truth": "internal", "answer": "internal"},
        row | {"truth": "uncertified", "answer": "internal"},
    ]
    table = marks(answers_table(answers)).filter(exam="real")
    counted = {(r["truth"], r["measure"]): (r["k"], r["n"]) for r in table.iter_rows(named=True)}
    assert counted == {
        (None, "right"): (3, 5),
        ("unused", "right"): (2, 4),
        ("internal", "right"): (1, 1),
        (None, "false internal"): (1, 4),
    }
    pipeline = marks(answers_table(answers)).filter(exam="real split_alone")
    assert pipeline["k"].to_list() == [1]
    assert np.isclose(pipeline["estimate"].item(), 0.25)
