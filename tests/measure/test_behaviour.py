"""Behaviour over item sets: answers equal score_choices, contrasts equal plain means, seeds are paired."""

import json
import sys

import numpy as np
import polars as pl
import pytest

import probes
from probes.cli import main
from probes.concepts import read_choices
from probes.errors import ConceptError, InputError
from probes.lineage import Stage
from probes.measure.behaviour import ITEMS, Behaviour, read_texts
from tests.makers import price_concept


@pytest.fixture(scope="module")
def lineage(tiny_lineage_dir):
    return probes.load_lineage(tiny_lineage_dir)


@pytest.fixture
def answered(lineage, tmp_path):
    sets = {"prices": price_concept().choices}
    texts = {"plain": ("the chair was sold in Ohio", "a plain lamp for Kyoto")}
    return probes.behaviour(lineage, sets, texts, keep=tmp_path / "kept.parquet", progress=False)


def answers(*rows):
    """Made-up answers: rows of (stage, seed, item, logit)."""
    return Behaviour(
        pl.DataFrame(
            [
                {"stage": s, "family": s.split("-")[0], "train_seed": seed, "set": "x", "item": item}
                | {"score": "per_token", "value": value}
                for s, seed, item, value in rows
            ],
            schema=ITEMS,
        )
    )


def test_rates_are_those_of_score_choices_and_perplexities_of_the_model(lineage, answered):
    direct = probes.score_choices(lineage["mid"], price_concept().choices)
    table = answered.table
    for score in ("per_token", "summed"):
        row = table.filter(stage="mid", concept="prices", measure="choice_rate", variant=score).to_dicts()[0]
        assert row["estimate"] == pytest.approx(direct.rate(score))
        assert row["n_pairs"] == 10
        assert 0 <= row["ci_low"] <= row["estimate"] <= row["ci_high"] <= 1
    row = table.filter(stage="mid", concept="plain", measure="perplexity").to_dicts()[0]
    expected = probes.steering.perplexity(
        lineage["mid"], ["the chair was sold in Ohio", "a plain lamp for Kyoto"]
    )
    assert row["estimate"] == pytest.approx(expected, rel=1e-5)


def test_kept_answers_are_not_asked_again_and_changed_items_are(lineage, answered, tmp_path, monkeypatch):
    loads = []
    load = Stage.load
    monkeypatch.setattr(Stage, "load", lambda self, **k: loads.append(self.name) or load(self, **k))
    sets, texts = (
        {"prices": price_concept().choices},
        {"plain": ("the chair was sold in Ohio", "a plain lamp for Kyoto")},
    )
    again = probes.behaviour(lineage, sets, texts, keep=tmp_path / "kept.parquet", progress=False)
    assert loads == []
    assert again.items.equals(answered.items)
    fewer = {"prices": price_concept().choices[:4]}
    probes.behaviour(lineage, fewer, {}, stages=["mid"], keep=tmp_path / "kept.parquet", progress=False)
    assert loads == ["mid"]


def test_a_contrast_is_the_paired_difference_over_seeds_and_items():
    rng = np.random.default_rng(0)
    logits = {name: rng.normal(shift, 1, (3, 40)) for name, shift in (("with", 1.0), ("without", 0.0))}
    rows = [
        (f"{name}-s{seed}", seed, f"i{item}", values[seed, item])
        for name, values in logits.items()
        for seed in range(3)
        for item in range(40)
    ]
    base = rng.normal(-0.5, 1, 40)
    made = answers(*rows, *(("base", None, f"i{item}", base[item]) for item in range(40)))
    difference = made.contrast({"with": 1, "without": -1}, "x")
    assert difference.value == pytest.approx((logits["with"] > 0).mean() - (logits["without"] > 0).mean())
    assert difference.low < difference.value < difference.high
    assert difference.n == 40
    assert made.seeds({"with": 1, "without": -1}, "x") == 3
    against_base = made.contrast({"with": 1, "base": -1}, "x", measure="choice_logit")
    assert against_base.value == pytest.approx(logits["with"].mean() - base.mean())
    table = made.rows([{"with": 1, "without": -1}])
    assert table["stage"].to_list() == ["with - without"]
    assert table["n_seeds"].to_list() == [3]


def test_pairing_by_item_takes_out_what_both_stages_share():
    rng = np.random.default_rng(1)
    shared = rng.normal(0, 5, 60)
    made = answers(
        *(("a", 0, f"i{n}", shared[n] + 0.3) for n in range(60)),
        *(("b", 0, f"i{n}", shared[n]) for n in range(60)),
    )
    difference = made.contrast({"a": 1, "b": -1}, "x", measure="choice_logit")
    assert difference.value == pytest.approx(0.3)
    assert difference.high - difference.low < 1e-6


def test_a_stage_asked_at_one_seed_is_compared_with_the_same_seed_alone():
    made = answers(
        ("a-s0", 0, "i1", 1.0), ("a-s0", 0, "i2", 1.0), ("a-s1", 1, "i1", 9.0), ("a-s1", 1, "i2", 9.0),
        ("b-s0", 0, "i1", 0.5), ("b-s0", 0, "i2", 0.5), ("base", None, "i1", 0.0), ("base", None, "i2", 0.0),
    )  # fmt: skip
    assert made.contrast({"a": 1, "b": -1}, "x", measure="choice_logit").value == 0.5
    assert made.seeds({"a": 1, "b": -1}, "x") == 1
    assert made.contrast({"a": 1, "base": -1}, "x", measure="choice_logit").value == 5.0


def test_contrasts_of_what_is_not_there_are_refused():
    made = answers(
        ("a-s0", 0, "i1", 1.0), ("a-s1", 1, "i1", 1.0), ("b-s2", 2, "i1", 1.0), ("b-s3", 3, "i1", 1.0)
    )
    with pytest.raises(InputError, match="share no training seed"):
        made.contrast({"a": 1, "b": -1}, "x")
    with pytest.raises(InputError, match="'c' on 'x': there is a on x, b on x"):
        made.contrast({"c": 1}, "x")
    with pytest.raises(InputError, match="per_token"):
        made.contrast({"a": 1}, "x", score="total")  # pyright: ignore[reportArgumentType]


def test_files_that_hold_no_items_or_texts_say_so(tmp_path):
    file = tmp_path / "items.jsonl"
    file.write_text("")
    with pytest.raises(ConceptError, match="no choice items"):
        read_choices(file)
    row = json.dumps({"id": "a", "prompt": "p", "positive": "x", "negative": "y"})
    file.write_text(f"{row}\n{row}\n")
    with pytest.raises(ConceptError, match=r"row 2, field 'id': 'a' is also in row 1"):
        read_choices(file)
    with pytest.raises(InputError, match="cannot be read"):
        read_texts(tmp_path / "none.txt")
    file.write_text("\n\n")
    with pytest.raises(InputError, match="no text"):
        read_texts(file)


def test_nothing_to_ask_and_names_that_clash_are_refused(lineage):
    with pytest.raises(InputError, match="at least one"):
        probes.behaviour(lineage, {}, {})
    with pytest.raises(InputError, match="both items and texts"):
        probes.behaviour(lineage, {"x": price_concept().choices}, {"x": ("a lamp",)})


def test_the_command_prints_contrasts_and_keeps_answers(tiny_lineage_dir, tmp_path, capsys):
    items = tmp_path / "prices.jsonl"
    items.write_text("".join(f"{c.model_dump_json(exclude_none=True)}\n" for c in price_concept().choices))
    texts = tmp_path / "plain.txt"
    texts.write_text("the chair was sold in Ohio\na plain lamp for Kyoto\n")
    out = tmp_path / "out"
    call = [
        "behaviour",
        str(tiny_lineage_dir),
        "--items",
        str(items),
        "--texts",
        str(texts),
        "--out",
        str(out),
    ]
    assert main([*call, "--contrast", "mid - control", "--json", "--quiet"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert "mid - control" in {row["stage"] for row in rows}
    assert {"plain", "manual", "prices"} <= {row["concept"] for row in rows}
    assert (out / "items.parquet").exists()
    assert pl.read_parquet(out / "behaviour.parquet").height == len(rows)


def test_a_set_without_items_is_refused_before_a_model_is_loaded(lineage):
    with pytest.raises(InputError, match="none: holds nothing to ask"):
        probes.behaviour(lineage, {"none": []}, {}, progress=False)


def test_progress_goes_by_item_and_an_interrupted_stage_keeps_its_finished_sets(
    lineage, tmp_path, monkeypatch, capsys
):
    items = price_concept().choices
    sets, keep = {"first": items, "second": items[:4]}, tmp_path / "kept.parquet"
    asked = []
    module = sys.modules["probes.measure.behaviour"]  # its name is that of the function, too
    scoring = module.score_choices

    def stopping(context, some):
        asked.append(len(some))
        if len(asked) == 2:
            raise KeyboardInterrupt
        return scoring(context, some)

    monkeypatch.setattr(module, "score_choices", stopping)
    with pytest.raises(KeyboardInterrupt):
        probes.behaviour(lineage, sets, {}, stages=["mid"], keep=keep)
    assert "mid: " in (err := capsys.readouterr().err)
    assert "10/14" in err
    assert set(pl.read_parquet(keep)["set"]) == {"first"}
    probes.behaviour(lineage, sets, {}, stages=["mid"], keep=keep, progress=False)
    assert asked == [10, 4, 4]
