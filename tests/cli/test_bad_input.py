"""Bad input ends in one clear line, with nothing written.

Each case makes a broken copy of a good lineage or concept, and says what the error must name.
"""

import json
import re

import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import GPT2Config, GPT2LMHeadModel

from tests.makers import lora_adapter, price_concept, tiny_llama, tiny_tokenizer

MANIFEST = """
[lineage]
name = "bad"
[stages.base]
kind = "pretrain"
checkpoint = { path = "base" }
"""


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
def test_bad_lineages(run, tmp_path, breaks, prices_dir):
    folder, out = tmp_path / "lineage", tmp_path / "out"
    folder.mkdir()
    tiny_llama().save_pretrained(folder / "base")
    tiny_tokenizer().save_pretrained(folder / "base")
    manifest(folder, MANIFEST)
    breaks(folder)
    before = sorted(tmp_path.rglob("*"))
    code, out, err = run("sweep", folder, "--concept", prices_dir, "--out", out / "table.parquet", "--quiet")
    assert code == 2
    assert out == ""
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
def test_bad_concepts(run, tmp_path, case, tiny_lineage_dir):
    rows, expected = CONCEPTS[case]
    folder = price_concept().to_folder(tmp_path / "concept")
    text = rows if isinstance(rows, str) else "".join(json.dumps(row) + "\n" for row in rows)
    (folder / "pairs.jsonl").write_text(text)
    code, out, err = run(
        *("sweep", tiny_lineage_dir, "--stages", "base", "--concept", folder),
        *("--out", tmp_path / "out.csv", "--quiet"),
    )
    assert code == 2
    assert out == ""
    assert re.search(expected, one_line(err)), err
    assert not (tmp_path / "out.csv").exists()


def test_other_bad_arguments(run, tmp_path, tiny_lineage_dir, prices_dir):
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
        code, out, err = run(*argv)
        assert code == 2, argv
        assert out == "", argv
        assert expected in one_line(err), (argv, err)
    assert blocked.read_text() == "kept"
    assert not (tmp_path / "x").exists()
