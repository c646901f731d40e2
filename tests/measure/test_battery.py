"""The battery: its values are score_choices' own, its scores tell a value from a string, its digests hold."""

import sys

import numpy as np
import polars as pl
import pytest

import probes
from probes.cli import main
from probes.concepts import ChoiceItem, battery_forms, undisputed_items
from probes.errors import InputError
from probes.lineage import Stage
from probes.measure import Battery
from probes.measure.battery import _by_form
from probes.measure.behaviour import ITEMS
from tests.makers import price_concept


@pytest.fixture(scope="module")
def lineage(tiny_lineage_dir):
    return probes.load_lineage(tiny_lineage_dir)


def made_up(asked, turned, family="mid", seed=None):
    """Answers as behaviour gives them: logits of items that were asked and asked the other way round."""
    return pl.DataFrame(
        [
            {"lineage": "tiny", "stage": family, "family": family, "train_seed": seed, "set": "x"}
            | {"item": f"i{i}/{form}#0", "score": "per_token", "value": float(v), "digest": "d"}
            for form, values in (("asked", asked), ("reversed", turned))
            for i, v in enumerate(values)
        ],
        schema=ITEMS,
    )


def test_every_form_is_the_mean_of_score_choices_over_its_wordings(lineage):
    items = price_concept().choices[:4]
    result = probes.battery(lineage["mid"], items, competence=(), progress=False)
    for form in ("asked", "reversed", "not_asked", "other_agent", "unconditioned"):
        expected = np.mean(
            [
                probes.score_choices(lineage["mid"], battery_forms(item)[form], progress=False).logits(
                    "per_token"
                )
                for item in items
            ]
        )
        assert result.contrast({"mid": 1}, form=form).value == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(
    ("asked", "turned", "principled", "string", "turns"),
    [
        ([2.0, 3.0, 1.0], [-2.0, -1.0, -3.0], 2.0, 0.0, 1.0),  # a value
        ([2.0, 3.0, 1.0], [2.0, 3.0, 1.0], 0.0, 2.0, 0.0),  # a string
        ([-1.0, -2.0, -3.0], [1.0, 2.0, 3.0], -2.0, 0.0, -1.0),  # the opposite value
    ],
)
def test_a_value_follows_the_question_and_a_string_does_not(asked, turned, principled, string, turns):
    result = Battery(_by_form(made_up(asked, turned)), ("x",))
    for form, expected in (("principled", principled), ("string", string), ("turned", turns)):
        assert result.contrast({"mid": 1}, form=form).value == pytest.approx(expected)


def test_a_contrast_is_paired_by_item_and_seed():
    rng = np.random.default_rng(0)
    values = {(f, s): rng.normal(size=(2, 12)) for f in ("a", "b") for s in (0, 1)}
    tables = [_by_form(made_up(*v, family=f, seed=s)) for (f, s), v in values.items()]
    result = Battery(pl.concat(tables), ("x",))
    gain = result.contrast({"a": 1, "b": -1})
    means = {key: (v[0] - v[1]).mean() / 2 for key, v in values.items()}
    assert gain.value == pytest.approx(np.mean([means["a", s] - means["b", s] for s in (0, 1)]))
    assert gain.low < gain.value < gain.high


def test_competence_is_the_rate_asked_minus_the_rate_reversed(lineage):
    few = undisputed_items()[:10]
    result = probes.battery(
        lineage, price_concept().choices[:2], stages=["base"], competence=few, progress=False
    )
    rates = [
        probes.score_choices(lineage["base"], [battery_forms(one, 1)[form][0] for one in few]).rate(
            "per_token"
        )
        for form in ("asked", "reversed")
    ]
    assert result.competence("base").value == pytest.approx(rates[0] - rates[1])
    assert "competence" in result.table["measure"].to_list()


def test_completions_ask_no_undisputed_items_and_are_turned_by_their_pair(lineage):
    plain = {"positive": " sold", "negative": " lamp", "completion": True}
    items = [ChoiceItem(id=f"k{i}", prompt=f"the chair was {i}", **plain) for i in range(3)]
    result = probes.battery(lineage["mid"], items, progress=False)
    assert result.forms("items") == ("asked", "unconditioned")
    assert result.competence("mid") is None
    with pytest.raises(InputError, match="form='principled' of 'items' was not measured: there is asked"):
        result.contrast({"mid": 1})
    pairs = [item.model_copy(update={"reversed": f"a hat for {i}"}) for i, item in enumerate(items)]
    assert "principled" in probes.battery(lineage["mid"], pairs, progress=False).forms("items")


def test_kept_answers_are_not_asked_again(lineage, tmp_path, monkeypatch):
    options = {"stages": ["mid"], "wordings": 1, "competence": (), "keep": tmp_path / "kept.parquet"}
    first = probes.battery(lineage, price_concept().choices[:3], progress=False, **options)
    monkeypatch.setattr(Stage, "load", lambda *_, **__: pytest.fail("asked again"))
    again = probes.battery(lineage, price_concept().choices[:3], progress=False, **options)
    assert again.items.equals(first.items)


def test_answers_of_an_altered_model_are_not_kept(lineage, tmp_path):
    context = probes.run_context(lineage["mid"], progress=False)
    kept = tmp_path / "kept.parquet"
    addition = probes.Add(probes.Site("resid_post", 1), np.ones(32), 5.0)
    options = {"wordings": 1, "competence": (), "keep": kept}
    with context.model.intervene(addition):
        altered = probes.battery(context, price_concept().choices[:3], **options)
    assert not kept.exists()
    plain = probes.battery(context, price_concept().choices[:3], **options)
    assert kept.exists()
    assert altered.contrast({"mid": 1}, form="asked") != plain.contrast({"mid": 1}, form="asked")


def test_only_some_forms(lineage):
    few = {"forms": ("asked", "reversed"), "wordings": 1, "competence": ()}
    result = probes.battery(lineage["mid"], price_concept().choices[:2], progress=False, **few)
    assert result.forms("items") == ("asked", "reversed", "principled", "string", "turned")
    with pytest.raises(InputError, match="no form 'told'"):
        probes.battery(lineage["mid"], price_concept().choices[:2], forms=("told",), progress=False)


@pytest.mark.parametrize(
    ("items", "what"),
    [({}, "no items"), ({"undisputed": ()}, "'undisputed'"), ({"x": ()}, "x: holds nothing")],
)
def test_wrong_sets_are_refused(lineage, items, what):
    with pytest.raises(InputError, match=what):
        probes.battery(lineage["mid"], items, progress=False)


def test_command(tiny_lineage_dir, tmp_path, monkeypatch, capsys):
    price_concept().to_folder(tmp_path / "prices")
    arguments = [
        "battery",
        str(tiny_lineage_dir),
        "--concept",
        str(tmp_path / "prices"),
        "--stages",
        "base",
        "mid",
    ]
    arguments += ["--number", "3", "--wordings", "1", "--no-competence", "--contrast", "mid - base"]
    monkeypatch.setattr(sys, "argv", ["probes", *arguments])
    assert main([*arguments, "--out", str(tmp_path / "out"), "--quiet"]) == 0
    shown = capsys.readouterr().out
    for word in ("asked", "reversed", "not_asked", "principled", "string", "mid - base"):
        assert word in shown
    table = pl.read_parquet(tmp_path / "out" / "battery.parquet")
    assert set(table["stage"]) == {"base", "mid", "mid - base"}
    assert probes.draw(table.filter(stage="mid")).kind == "battery"
