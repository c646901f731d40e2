"""A survey of a tiny lineage from end to end: files, numbers that agree with their parts, a second run."""

import json
import re
import shutil

import polars as pl
import pytest

import probes
from probes.cli import main
from probes.errors import InputError
from probes.measure import stage as stage_room
from probes.tables.schema import SCHEMA
from probes.verdicts import COLUMNS, CRITERIA, judge_all, verdict_table
from tests.makers import many_prices, price_concept, tiny_llama, tiny_tokenizer


def places():
    """The other concept of the survey, with so few pairs that nothing is decided."""
    prices = price_concept()
    return probes.Concept(name="places", examples=prices.examples, choices=prices.choices[:4])


@pytest.fixture(scope="module")
def surveyed(tiny_lineage_dir, tmp_path_factory):
    out = tmp_path_factory.mktemp("survey")
    return probes.survey(tiny_lineage_dir, [many_prices(), places()], out, static=False, progress=False), out


def test_files_of_the_contract(surveyed):
    done, out = surveyed
    table = pl.read_parquet(out / "results.parquet")
    assert table.columns == list(SCHEMA)
    assert table.equals(done.table)
    assert table.is_duplicated().sum() == 0
    run = json.loads((out / "run.json").read_text())
    assert set(run["fingerprints"]) == {"base", "mid", "copy", "control"}
    assert run["fingerprints"]["mid"] == run["fingerprints"]["copy"] != run["fingerprints"]["base"]
    assert run["notes"] == ["copy equals mid, tensor for tensor"]
    assert run["versions"]["torch"]
    assert run["seconds"]["total"] > 0
    page = re.sub(r"<script.*?</script>", "", (out / "report.html").read_text(), flags=re.DOTALL)
    assert "prices" in page
    assert not re.search(r'(src|href)="https?://', page)


def test_every_stage_and_concept_is_complete(surveyed):
    done, _ = surveyed
    wanted = {
        ("auroc", "probe"), ("auroc", "word_ngrams"), ("auroc", "char_ngrams"), ("auroc", "length"),
        ("auroc", "embedding"), ("auroc", "random_init"), ("auroc", "shuffled_labels"),
        ("auroc_gap", "probe_minus_best_surface"), ("auroc", "frozen"), ("auroc", "refit"),
        ("cosine", "direction"), ("cosine", "noise_floor"), ("cosine_whitened", "direction"),
        ("battery_logit", "principled"), ("battery_logit", "string"),
        ("choice_rate", "summed"), ("choice_rate", "per_token"), ("choice_logit", "summed"),
    }  # fmt: skip
    for stage in ("base", "mid", "copy", "control"):
        for concept in ("prices", "places"):
            here = done.table.filter((pl.col("stage") == stage) & (pl.col("concept") == concept))
            found = set(here.select("measure", "variant").iter_rows())
            assert wanted <= found, (stage, concept, wanted - found)
    # The tiny model follows no question, so nothing is pushed.
    assert done.table.filter(measure="steering_slope").is_empty()
    assert done.table.filter(pl.col("alpha").is_not_null()).is_empty()


def test_verdicts_are_judged_by_the_saved_criteria_and_come_with_their_evidence(surveyed):
    done, out = surveyed
    verdicts = pl.read_parquet(out / "verdicts.parquet")
    assert verdicts.equals(done.verdicts)
    assert verdicts.columns == list(COLUMNS)
    assert set(verdicts.select("stage", "concept").iter_rows()) == {
        (stage, concept) for stage in ("base", "mid", "copy", "control") for concept in ("prices", "places")
    }
    decided = {
        concept: set(verdicts.filter(concept=concept).select("verdict", "decided_by").iter_rows())
        for concept in ("prices", "places")
    }
    # The tiny model follows no question, so nothing can be said of what its choices use.
    assert decided == {name: {("untestable", "competent")} for name in ("prices", "places")}
    assert verdicts["string"].is_not_null().all()
    assert all(text.startswith("The stage does not follow questions") for text in verdicts["sentence"])
    # Without the battery and the exchanges, reading is left, and no pair is on a shift axis.
    reading = done.tests.filter(pl.col("test").is_in(["decodable", "beyond_surface"]))
    read = verdict_table(judge_all(reading, done.comparisons))
    assert set(read.filter(concept="prices")["decided_by"]) == {"shift"}
    assert set(read["verdict"]) == {"inconclusive"}
    assert verdicts["beyond_surface"].is_not_null().all()  # reported, and in no verdict
    assert json.loads((out / "run.json").read_text())["criteria"] == CRITERIA.to_dict()
    copied = verdicts.filter(stage="copy", concept="prices").to_dicts()[0]
    before = verdicts.filter(stage="mid", concept="prices").to_dicts()[0]
    assert copied["decodable"] == before["decodable"]  # the same weights
    assert (copied["survival"], copied["origin"]) == ("persists", "inherited")
    assert set(verdicts.filter(stage="base")["survival"]) == {None}  # nothing before it
    assert copied["evidence"].startswith(copied["verdict"])
    finding = done.table.filter(stage="mid", concept="prices", measure="decodable", variant="finding")
    assert finding["estimate"].to_list() == [before["decodable"]]
    page = (out / "report.html").read_text()
    assert f"prices at mid: <b>{before['verdict']}</b>" in page


def test_numbers_are_those_of_the_rooms(surveyed, tiny_lineage_dir):
    done, _ = surveyed
    stage = probes.load_lineage(tiny_lineage_dir)["mid"]
    acts = probes.extract(stage, many_prices(), position="mean", progress=False)
    sweep = probes.probe_layers(acts)
    here = done.table.filter(
        (pl.col("stage") == "mid") & (pl.col("concept") == "prices") & (pl.col("variant") == "probe")
    )
    chosen = here.filter(pl.col("selected") & (pl.col("measure") == "auroc"))
    assert chosen["layer"].to_list() == [sweep.best.layer]
    assert chosen["estimate"].to_list() == pytest.approx([sweep.best.auroc])


def test_overview_has_a_row_for_each_concept_and_stage(surveyed):
    done, _ = surveyed
    assert done.overview.height == 8
    assert done.overview.null_count().sum_horizontal().item() == 0


def test_a_second_run_reads_what_was_measured_and_says_the_same(surveyed, tiny_lineage_dir, monkeypatch):
    done, out = surveyed
    monkeypatch.setattr(stage_room, "extract", lambda *a, **k: pytest.fail("measured again"))
    again = probes.survey(tiny_lineage_dir, [many_prices(), places()], out, static=False, progress=False)
    assert again.table.equals(done.table)
    assert again.verdicts.equals(done.verdicts)


def test_report_and_figures_from_the_folder(surveyed, tmp_path, capsys):
    _, out = surveyed
    assert main(["report", str(out), "--out", str(tmp_path / "again.html")]) == 0
    assert (tmp_path / "again.html").stat().st_size > 1_000_000  # plotly.js is inside
    assert main(["figures", str(out), "--out", str(tmp_path / "figures"), "--format", "html"]) == 0
    written = capsys.readouterr().out.split()
    assert str(tmp_path / "figures" / "layer_profile.html") in written


def test_changes_that_were_written_into_the_folder_are_drawn(
    surveyed, tiny_lineage_dir, prices_dir, tmp_path
):
    _, out = surveyed
    folder = tmp_path / "survey"
    shutil.copytree(out, folder)
    assert "crossing_map" not in probes.load_survey(folder).figures()
    two = (tiny_lineage_dir, "mid", "base", "--concept", prices_dir, "--every", "3", "--quiet")
    assert main(["cross", *map(str, two), "--out", str(folder / "changes" / "crossing.parquet")]) == 0
    assert "crossing_map" in probes.load_survey(folder).figures()
    assert main(["report", str(folder)]) == 0
    assert (
        "whether a stage&#x27;s lower or upper blocks carry its change"
        in (folder / "report.html").read_text()
    )


def test_no_concept_is_refused(tiny_lineage_dir, tmp_path):
    with pytest.raises(InputError, match="at least one concept"):
        probes.survey(tiny_lineage_dir, [], tmp_path)


def test_two_concepts_of_one_name_are_refused_before_anything_is_measured(tiny_lineage_dir, tmp_path):
    other = probes.Concept(name="prices", examples=places().examples)
    with pytest.raises(InputError, match="2 of the concepts are named 'prices': give each a name of its own"):
        probes.survey(tiny_lineage_dir, [price_concept(), other], tmp_path / "out", progress=False)
    assert not (tmp_path / "out").exists()


def test_a_typo_in_an_axis_is_refused(tiny_lineage_dir, tmp_path):
    with pytest.raises(InputError, match="'wordng' is not a shift axis"):
        probes.survey(tiny_lineage_dir, [price_concept()], tmp_path, shifts=["wordng"], progress=False)


@pytest.fixture(scope="module")
def uneven(tmp_path_factory):
    """base -> wide (another width) -> same (the width of base, so another than its parent's)."""
    folder = tmp_path_factory.mktemp("uneven")
    models = {
        "base": tiny_llama(seed=3),
        "wide": tiny_llama(seed=4, hidden_size=64),
        "same": tiny_llama(seed=3),
    }
    for name, model in models.items():
        model.save_pretrained(folder / name)
        tiny_tokenizer().save_pretrained(folder / name)
    parents = {"base": None, "wide": "base", "same": "wide"}
    text = '[lineage]\nname = "uneven"\n'
    for name, parent in parents.items():
        kind = f'kind = "sft"\nparent = "{parent}"' if parent else 'kind = "pretrain"'
        text += f'\n[stages.{name}]\n{kind}\ncheckpoint = {{ path = "{name}" }}\n'
    (folder / "lineage.toml").write_text(text)
    return folder


def test_stages_of_other_widths_are_measured_and_not_compared(uneven, tmp_path, capsys):
    done = probes.survey(uneven, [many_prices()], tmp_path, quick=True, static=False, progress=False)
    assert done.verdicts["stage"].to_list() == ["base", "wide", "same"]
    assert set(done.verdicts["survival"]) == {None}
    assert "not compared with a parent stage" in done.verdicts["evidence"][1]
    assert "wide has 3 blocks of width 64, its parent base 3 of width 32" in capsys.readouterr().err
    assert done.run["notes"][0] == "same equals base, tensor for tensor"
    assert len(done.run["notes"]) == 3
    frozen = done.table.filter(measure="auroc", variant="frozen").select("source_stage", "stage")
    assert set(frozen.iter_rows()) == {
        ("base", "base"), ("base", "same"), ("same", "base"), ("same", "same"), ("wide", "wide"),
    }  # fmt: skip
    life = probes.survival(probes.load_lineage(uneven), many_prices(), progress=False)
    assert life.outcomes().is_empty()
    matrix = life.matrix("auroc", "frozen")
    assert matrix.filter(source_stage="base").select("base", "wide", "same").row(0)[1] is None
