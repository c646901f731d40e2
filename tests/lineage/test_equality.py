"""Stages with equal weights are seen, whatever their files are called and however they are split."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from probes import LoadedStage
from probes.lineage import check, equal_weights
from tests.checkpoint_makers import lineage_of, make_model, make_tokenizer, of_adapter, of_folder
from tests.hub_server import Hub, serving

CHILD = 'parent = "base"'


def test_equal_weights_in_other_files(folder):
    shutil.copytree(folder / "base", folder / "copied")
    model = make_model()
    model.save_pretrained(folder / "resharded", max_shard_size="20KB")
    model.to(torch.bfloat16).save_pretrained(folder / "half")
    model.float().save_pretrained(folder / "widened")
    for name in ("resharded", "half", "widened"):
        make_tokenizer().save_pretrained(folder / name)
    shutil.copytree(folder / "first", folder / "again")
    file = folder / "again" / "adapter_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"base_model_name_or_path": "elsewhere"}))
    lineage = lineage_of(
        folder,
        base=of_folder(),
        copied=of_folder("copied", CHILD),
        resharded=of_folder("resharded", 'parent = "copied"'),
        half=of_folder("half", CHILD),
        widened=of_folder("widened", CHILD),
        first=of_adapter(),
        again=of_adapter("again"),
    )
    equal = {"copied": "base", "resharded": "copied", "widened": "half", "again": "first"}
    assert equal_weights(lineage) == equal
    digests = {stage.name: stage.weights_digest() for stage in lineage}
    assert all(digests[name] == digests[other] for name, other in equal.items())
    assert len(set(digests.values())) == 3
    assert lineage["resharded"].fingerprint() != lineage["base"].fingerprint()
    for quick in (True, False):
        notes = [
            result for result in check(lineage, quick, device="cpu") if "tensor for tensor" in result.what
        ]
        assert {result.stage: result.what for result in notes} == {
            name: f"equals {other}, tensor for tensor" for name, other in equal.items()
        }
        assert {result.level for result in notes} == {"note"}


def test_a_single_value_of_difference(folder):
    shutil.copytree(folder / "base", folder / "near")
    file = folder / "near" / "model.safetensors"
    tensors = load_file(file)
    tensors["model.layers.1.mlp.up_proj.weight"][-1, -1] += 1e-6
    save_file(tensors, file, metadata={"format": "pt"})
    shutil.copytree(folder / "first", folder / "scaled")
    file = folder / "scaled" / "adapter_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"lora_alpha": 9}))
    lineage = lineage_of(
        folder,
        base=of_folder(),
        near=of_folder("near", CHILD),
        first=of_adapter(),
        scaled=of_adapter("scaled"),
        gone=of_folder("gone", CHILD),
    )
    assert equal_weights(lineage) == {}


def test_a_model_in_memory_has_the_digest_of_its_files(folder):
    for name, tied in (("base", True), ("untied", False)):
        if not tied:
            make_model(tied=False).save_pretrained(folder / "untied")
            make_tokenizer().save_pretrained(folder / "untied")
        stage = lineage_of(folder, base=of_folder(name))["base"]
        model = AutoModelForCausalLM.from_pretrained(folder / name, dtype=torch.float32)
        by_hand = LoadedStage.from_model(model, make_tokenizer())
        assert by_hand.weights_digest() == stage.weights_digest() == stage.load().weights_digest()
        assert by_hand.fingerprint != stage.fingerprint()
        with torch.no_grad():
            model.model.norm.weight[0] += 1
        assert by_hand.weights_digest() != stage.weights_digest()


@pytest.mark.parametrize("local", [False, True])
def test_revisions_of_one_set_of_weights_without_a_download(folder, tmp_path, monkeypatch, local):
    make_model(seed=9).save_pretrained(folder / "other")
    with Hub() as hub, serving(hub, tmp_path / "cache", monkeypatch):
        hub.commit("org/model", folder / "base", "step0")
        files = {file.name: file.read_bytes() for file in (folder / "base").iterdir()}
        hub.commit("org/model", {**files, "README.md": b"later"}, "step1000")
        hub.commit("org/model", folder / "other", "step2000")
        revisions = {
            f"s{step}": f'checkpoint = {{ hub = "org/model", revision = "step{step}" }}'
            for step in (0, 1000, 2000)
        }
        if local:
            revisions["s0"] = of_folder()
        lineage = lineage_of(folder, **revisions)
        assert equal_weights(lineage) == {"s1000": "s0"}
        assert [
            r.stage for r in check(lineage, device="cpu") if r.what == "equals s0, tensor for tensor"
        ] == ["s1000"]
        assert hub.fetched(".safetensors") == []
