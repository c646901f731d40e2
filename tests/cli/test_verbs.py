"""What commands print and write, and the exit code."""

import json
import shutil
import subprocess
import sys

import polars as pl
import torch
from safetensors.torch import load_file, save_file

import probes
from probes.tables.schema import SCHEMA


def test_lineage_show_and_check(run, tiny_lineage_dir):
    code, out, err = run("lineage", "show", tiny_lineage_dir)
    assert code == 0
    assert all(name in out for name in ("base", "mid", "copy", "control"))
    code, out, err = run("lineage", "check", tiny_lineage_dir, "--json", "--quiet")
    assert code == 0
    assert err == ""
    assert {row["stage"] for row in json.loads(out)} >= {"base", "mid"}


def test_check_fails_on_an_adapter_that_does_nothing(run, tiny_lineage_dir, tmp_path):
    folder = tmp_path / "lineage"
    shutil.copytree(tiny_lineage_dir, folder)
    weights = load_file(folder / "mid" / "adapter_model.safetensors")
    save_file(
        {k: torch.zeros_like(v) if "lora_B" in k else v for k, v in weights.items()},
        folder / "mid" / "adapter_model.safetensors",
        metadata={"format": "pt"},
    )
    code, out, _ = run("lineage", "check", folder)
    assert code == 1
    assert "error" in out


def test_extract_sweep_steer_and_survival(run, tiny_lineage_dir, prices_dir, tmp_path):
    acts = tmp_path / "acts.safetensors"
    code, out, _ = run(
        "extract",
        tiny_lineage_dir,
        "mid",
        "--concept",
        prices_dir,
        "--out",
        acts,
        "--quiet",
        "--json",
    )
    assert code == 0
    assert json.loads(out)[0]["layers"] == 3
    assert probes.Activations.load(acts).values.shape == (3, 48, 32)

    table = tmp_path / "sweep.parquet"
    code, out, _ = run(
        *("sweep", tiny_lineage_dir, "--stages", "base", "mid", "--concept", prices_dir),
        *("--estimator", "logistic", "mass_mean", "--out", table, "--quiet", "--json"),
    )
    assert code == 0
    rows = pl.read_parquet(table)
    assert rows.columns == list(SCHEMA)
    assert set(rows["stage"]) == {"base", "mid"}
    assert {"logistic", "mass_mean"} <= set(rows["estimator"])
    assert len(json.loads(out)) == rows.height

    code, out, _ = run(
        *("steer", tiny_lineage_dir, "mid", "--concept", prices_dir, "--layer", 1, "--alphas", -2, 2),
        *("--items", 3, "--random", 2, "--source", "base", "--quiet", "--json"),
    )
    assert code == 0
    rows = json.loads(out)
    assert {-2.0, 2.0} <= {row["alpha"] for row in rows}
    assert {row["source_stage"] for row in rows if row["variant"] == "direction"} == {"base"}

    code, out, _ = run(
        "survival", tiny_lineage_dir, "--concept", prices_dir, "--stages", "base", "mid", "--quiet"
    )
    assert code == 0
    assert "frozen" in out


def test_concepts_import_and_list(run, tmp_path):
    csv = tmp_path / "statements.csv"
    csv.write_text("statement,label\nthe sky is blue,1\nthe sky is green,0\n")
    code, out, _ = run("concepts", "import", csv, "--out", tmp_path / "sky")
    assert code == 0
    assert len(probes.load_concept(tmp_path / "sky")) == 2
    code, out, _ = run("concepts", "list", "--json")
    assert {"affordability", "domestic"} <= {row["concept"] for row in json.loads(out)}


def test_doctor(run):
    code, out, _ = run("doctor", "--json")
    assert code == 0
    assert {"python", "torch", "device", "browser"} <= {row["what"] for row in json.loads(out)}


def test_the_command_itself(tiny_lineage_dir):
    done = subprocess.run(
        [sys.executable, "-m", "probes.cli", "lineage", "show", tiny_lineage_dir / "nowhere"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1


def test_one_head_and_one_token_from_the_shell(run, tiny_lineage_dir, prices_dir, tmp_path):
    common = ["--concept", prices_dir, "--quiet", "--device", "cpu"]
    file, table = tmp_path / "head.safetensors", tmp_path / "sweep.parquet"
    where = ["--site", "z", "--head", "1", "--position", "token:-2", "--out", file]
    assert run("extract", tiny_lineage_dir, "mid", *where, *common)[0] == 0
    acts = probes.Activations.load(file)
    assert (acts.head, acts.position) == (1, "token:-2")
    assert not acts.values[..., :8].any()
    assert acts.values[..., 8:16].any()
    where = ["--stages", "base", "--site", "z", "--head", "3", "--out", table]
    assert run("sweep", tiny_lineage_dir, *where, *common)[0] == 0
    assert set(pl.read_parquet(table)["site"]) == {"z head 3"}
    code, _, err = run("sweep", tiny_lineage_dir, "--stages", "base", "--head", "3", *common)
    assert code == 2
    assert "has no heads: extract with sites='z' (--site z)" in err


def test_lineage_check_shows_positions(run, tiny_lineage_dir):
    code, out, _ = run("lineage", "check", tiny_lineage_dir, "--quick", "--positions", "--quiet")
    assert code == 0
    assert out.count("decision reads ' ', answer reads 'The blue one. <|end|> '") == 4


def test_cross_graft_and_difference(run, tiny_lineage_dir, prices_dir, tmp_path):
    two = (tiny_lineage_dir, "mid", "base", "--concept", prices_dir, "--quiet")
    code, out, _ = run("cross", *two, "--every", 3, "--roles", "all", "--json")
    assert code == 0
    rows = json.loads(out)
    assert {row["measure"] for row in rows} >= {"crossing_total", "crossing_below", "crossing_interaction"}
    assert {(row["stage"], row["source_stage"]) for row in rows} == {("mid", "base")}

    table = tmp_path / "grafts.parquet"
    code, out, err = run("graft", *two, "--random", 1, "--all-seeds", "--out", table)
    assert code == 0
    assert "what is grafted is the difference" in err
    assert "graft_put_in" in out
    assert list(pl.read_parquet(table).columns) == list(SCHEMA)

    saved = tmp_path / "v.safetensors"
    code, _, _ = run("difference", *two, "--layer", 2, "--save", saved)
    assert code == 0
    assert probes.Direction.load(saved).site == probes.Site("resid_post", 1)
    code, _, err = run("difference", *two, "--layer", 2)
    assert code != 0
    assert "--layer and --save go together" in err


def test_a_change_is_looked_for_in_a_file_of_items(run, tiny_lineage_dir, prices_dir):
    items = prices_dir / "choices.jsonl"
    code, out, _ = run(
        *("cross", tiny_lineage_dir, "mid", "base", "--items", items, "--number", 3, "--turned"),
        *("--every", 3, "--quiet", "--json"),
    )
    assert code == 0
    rows = [row for row in json.loads(out) if row["measure"] == "crossing_total"]
    assert {row["variant"] for row in rows} == {"asked", "reversed", "principled", "string"}
    assert {row["n_pairs"] for row in rows} == {3}
    assert {row["concept"] for row in rows} == {"choices"}
