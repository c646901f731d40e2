"""The command line: what it prints, and that bad input ends in one clear line with nothing written."""

import importlib
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import GPT2Config, GPT2LMHeadModel

import probes
from probes.cli import main, parser
from probes.tables.schema import SCHEMA
from tests.makers import lora_adapter, price_concept, tiny_llama, tiny_tokenizer

MANIFEST = """
[lineage]
name = "bad"
[stages.base]
kind = "pretrain"
checkpoint = { path = "base" }
"""


def run(capsys, *argv):
    """Exit code, standard output, standard error."""
    capsys.readouterr()
    code = main([str(a) for a in argv])
    out, err = capsys.readouterr()
    return code, out, err


def test_public_names_are_exactly_those_of_the_stub():
    stub = (Path(probes.__file__).parent / "__init__.pyi").read_text(encoding="utf-8")
    listed = re.findall(r"^from \.[\w.]+ import (\w+) as \1$", stub, re.MULTILINE)
    assert sorted(probes.__all__) == sorted(listed)
    for name in listed:
        assert getattr(probes, name) is not None
    importlib.import_module("probes.study.survival")
    assert callable(probes.survival)  # a module of that name does not take its place


def test_every_verb_has_help_with_an_example(capsys):
    verbs = ["survey", "extract", "sweep", "steer", "survival", "judge", "figures", "report", "doctor"]
    nested = [["lineage", v] for v in ("show", "check", "build")] + [
        ["concepts", v] for v in ("list", "import")
    ]
    for verb in [[v] for v in verbs] + nested:
        with pytest.raises(SystemExit) as stop:
            main([*verb, "--help"])
        told = capsys.readouterr().out
        assert stop.value.code == 0
        assert f"probes {' '.join(verb)}" in told.split("example:")[1]
        assert "--json" in told


def test_every_verb_reads_the_same_position_unless_told():
    survey = parser().parse_args(["survey", "x", "--concept", "c", "--out", "o"])
    extract = parser().parse_args(["extract", "x", "y", "--concept", "c", "--out", "o"])
    assert survey.position == extract.position == "mean"


def test_lineage_show_and_check(capsys, tiny_lineage_dir):
    code, out, err = run(capsys, "lineage", "show", tiny_lineage_dir)
    assert code == 0
    assert all(name in out for name in ("base", "mid", "copy", "control"))
    code, out, err = run(capsys, "lineage", "check", tiny_lineage_dir, "--json", "--quiet")
    assert code == 0
    assert err == ""
    assert {row["stage"] for row in json.loads(out)} >= {"base", "mid"}


def test_check_fails_on_an_adapter_that_does_nothing(capsys, tiny_lineage_dir, tmp_path):
    folder = tmp_path / "lineage"
    shutil.copytree(tiny_lineage_dir, folder)
    weights = load_file(folder / "mid" / "adapter_model.safetensors")
    save_file(
        {k: torch.zeros_like(v) if "lora_B" in k else v for k, v in weights.items()},
        folder / "mid" / "adapter_model.safetensors",
        metadata={"format": "pt"},
    )
    code, out, _ = run(capsys, "lineage", "check", folder)
    assert code == 1
    assert "error" in out


def test_extract_sweep_steer_and_survival(capsys, tiny_lineage_dir, prices_dir, tmp_path):
    acts = tmp_path / "acts.safetensors"
    code, out, _ = run(
        capsys,
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
        capsys,
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
        capsys,
        *("steer", tiny_lineage_dir, "mid", "--concept", prices_dir, "--layer", 1, "--alphas", -2, 2),
        *("--items", 3, "--random", 2, "--source", "base", "--quiet", "--json"),
    )
    assert code == 0
    told = json.loads(out)
    assert {-2.0, 2.0} <= {row["alpha"] for row in told}
    assert {row["source_stage"] for row in told if row["variant"] == "direction"} >= {"base"}

    code, out, _ = run(
        capsys, "survival", tiny_lineage_dir, "--concept", prices_dir, "--stages", "base", "mid", "--quiet"
    )
    assert code == 0
    assert "frozen" in out


def test_concepts_import_and_list(capsys, tmp_path):
    csv = tmp_path / "statements.csv"
    csv.write_text("statement,label\nthe sky is blue,1\nthe sky is green,0\n")
    code, out, _ = run(capsys, "concepts", "import", csv, "--out", tmp_path / "sky")
    assert code == 0
    assert len(probes.load_concept(tmp_path / "sky")) == 2
    code, out, _ = run(capsys, "concepts", "list", "--json")
    assert {"affordability", "domestic"} <= {row["concept"] for row in json.loads(out)}


def test_doctor(capsys):
    code, out, _ = run(capsys, "doctor", "--json")
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


# Bad input. Each case makes a broken copy of a good lineage or concept and says what must be told.


def manifest(folder, text):
    (folder / "lineage.toml").write_text(text)


def stage(name, checkpoint, parent="base"):
    return f'[stages.{name}]\nkind = "sft"\nparent = "{parent}"\ncheckpoint = {checkpoint}\n'


def missing_manifest(folder):
    (folder / "lineage.toml").unlink()


def unknown_key(folder):
    manifest(folder, MANIFEST + 'colour = "red"\n')


def unknown_parent(folder):
    manifest(folder, MANIFEST + stage("child", '{ path = "base" }', parent="nobody"))


def cycle(folder):
    manifest(
        folder,
        MANIFEST + stage("a", '{ path = "base" }', parent="b") + stage("b", '{ path = "base" }', parent="a"),
    )


def adapter_for_another_architecture(folder):
    torch.manual_seed(0)
    config = GPT2Config(vocab_size=400, n_embd=32, n_layer=2, n_head=4, n_positions=64)
    other = get_peft_model(
        GPT2LMHeadModel(config), LoraConfig(r=2, target_modules=["c_attn"], fan_in_fan_out=True)
    )
    other.save_pretrained(folder / "other")
    manifest(folder, MANIFEST + stage("child", '{ adapter = "other", onto = "base" }'))


def adapter_of_another_width(folder):
    wide = tiny_llama()
    wide.config.hidden_size = 64
    torch.manual_seed(0)
    lora_adapter(folder / "wide", type(wide)(wide.config))
    manifest(folder, MANIFEST + stage("child", '{ adapter = "wide", onto = "base" }'))


def tokenizer_of_another_size(folder):
    tokenizer = tiny_tokenizer()
    tokenizer.add_tokens([f"<extra{i}>" for i in range(50)])
    tokenizer.save_pretrained(folder / "base")


def truncated_safetensors(folder):
    path = folder / "base" / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1000])


def nan_weights(folder):
    path = folder / "base" / "model.safetensors"
    weights = load_file(path)
    weights["model.layers.1.mlp.up_proj.weight"][3, 4] = float("nan")
    save_file(weights, path, metadata={"format": "pt"})


def pickle_checkpoint(folder):
    path = folder / "base" / "model.safetensors"
    torch.save(load_file(path), folder / "base" / "pytorch_model.bin")
    path.unlink()


def hub_id_while_offline(folder):
    manifest(folder, MANIFEST + stage("child", '{ hub = "somebody/something" }'))


LINEAGES = {
    missing_manifest: r"lineage\.toml",
    unknown_key: r"lineage\.toml.*colour",
    unknown_parent: r"lineage\.toml.*nobody",
    cycle: r"lineage\.toml.*circle: a -> b -> a",
    adapter_for_another_architecture: r"child.*c_attn",
    adapter_of_another_width: r"child",
    tokenizer_of_another_size: r"base.*token",
    truncated_safetensors: r"model\.safetensors",
    nan_weights: r"NaN in model\.layers\.1\.mlp\.up_proj\.weight",
    pickle_checkpoint: r"pytorch_model\.bin",
    hub_id_while_offline: r"somebody/something.*offline",
}


def one_line(err):
    assert err.startswith("error: "), err
    assert err.count("\n") == 1, err
    return err


@pytest.mark.parametrize("breaks", LINEAGES, ids=lambda f: f.__name__)
def test_bad_lineages(capsys, tmp_path, breaks, prices_dir):
    folder, out = tmp_path / "lineage", tmp_path / "out"
    folder.mkdir()
    tiny_llama().save_pretrained(folder / "base")
    tiny_tokenizer().save_pretrained(folder / "base")
    manifest(folder, MANIFEST)
    breaks(folder)
    before = sorted(tmp_path.rglob("*"))
    code, told, err = run(
        capsys, "sweep", folder, "--concept", prices_dir, "--out", out / "table.parquet", "--quiet"
    )
    assert code == 2
    assert told == ""
    assert re.search(LINEAGES[breaks], one_line(err), re.IGNORECASE), err
    assert [p for p in sorted(tmp_path.rglob("*")) if p.is_file()] == [p for p in before if p.is_file()]


def pair(**changes):
    return {"pair": "p", "label": 1, "text": "the cheap chair"} | changes


CONCEPTS = {
    "one_class": ([pair(), pair(pair="q")], "only label 1"),
    "empty_text": ([pair(text=""), pair(label=0)], "text"),
    "duplicate_pair_id": ([pair(), pair(), pair(label=0)], "already has label 1"),
    "label_two": ([pair(label=2), pair(label=0)], "label.*2"),
    "too_long": ([pair(text="the cheap chair " * 200), pair(label=0)], "context window is 128.*--truncate"),
    "not_json": ("{nonsense\n", "pairs.jsonl"),
}


@pytest.mark.parametrize("case", CONCEPTS)
def test_bad_concepts(capsys, tmp_path, case, tiny_lineage_dir):
    rows, expected = CONCEPTS[case]
    folder = price_concept().to_folder(tmp_path / "concept")
    text = rows if isinstance(rows, str) else "".join(json.dumps(row) + "\n" for row in rows)
    (folder / "pairs.jsonl").write_text(text)
    code, told, err = run(
        capsys,
        *("sweep", tiny_lineage_dir, "--stages", "base", "--concept", folder),
        *("--out", tmp_path / "out.csv", "--quiet"),
    )
    assert code == 2
    assert told == ""
    assert re.search(expected, one_line(err)), err
    assert not (tmp_path / "out.csv").exists()


def test_other_bad_arguments(capsys, tmp_path, tiny_lineage_dir, prices_dir):
    blocked = tmp_path / "file"
    blocked.write_text("kept")
    survey = ["survey", tiny_lineage_dir, "--concept", prices_dir, "--quiet"]
    steer = ["steer", tiny_lineage_dir, "--concept", prices_dir, "--quiet"]
    extract = ["extract", tiny_lineage_dir, "--concept", prices_dir, "--quiet"]
    cases = [
        ([*survey, "--out", blocked / "out"], "cannot be written"),
        ([*survey, "--out", tmp_path / "new", "--stages", "nobody"], "nobody"),
        ([*survey, "--out", tmp_path / "new", "--seeds", "7", "--stages", "mid"], "no stage"),
        (["survival", tiny_lineage_dir, "--concept", "nonsense"], "nonsense"),
        ([*steer, "mid", "--layer", "9"], "layer 9 does not exist"),
        ([*extract, "mid", "--layers", "9", "--out", blocked], "layer 9 does not exist"),
        ([*extract, "nobody", "--out", tmp_path / "x"], "nobody"),
        (["sweep", tiny_lineage_dir, "--concept", prices_dir, "--out", tmp_path / "x.docx"], ".parquet"),
        (["figures", tmp_path, "--out", tmp_path / "new"], "not a survey's folder"),
        (["concepts", "import", tmp_path / "none.csv", "--out", tmp_path / "new"], "none.csv"),
    ]  # fmt: skip
    for argv, expected in cases:
        code, out, err = run(capsys, *argv)
        assert code == 2, argv
        assert out == "", argv
        assert expected in one_line(err), (argv, err)
    assert blocked.read_text() == "kept"
    assert not (tmp_path / "x").exists()
