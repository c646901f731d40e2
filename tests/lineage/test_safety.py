"""Weights that are damaged, are not numbers, or could run code are refused before they are used."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from probes.errors import CheckpointError
from tests.checkpoint_makers import lineage_of, logits, make_model, of_adapter, of_folder, refused


def test_damaged_safetensors(folder):
    stage = lineage_of(folder, base=of_folder())["base"]
    file = folder / "base" / "model.safetensors"
    whole = file.read_bytes()
    file.write_bytes(whole[:-100])
    message = refused(CheckpointError, stage)
    assert f"{file} is cut short: {len(whole) - 100:,} bytes, its header promises {len(whole):,}" in message
    file.write_bytes(whole[:20])
    assert "not a safetensors file, or cut short in its header" in refused(CheckpointError, stage)
    file.write_bytes(whole[:8] + b"#" * 40 + whole[48:])
    assert "its safetensors header cannot be read" in refused(CheckpointError, stage)
    file.write_bytes(whole + b"\0")
    assert "is damaged" in refused(CheckpointError, stage)
    file.write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    assert "git-lfs pointer, not the weights; run `git lfs pull`" in refused(CheckpointError, stage)
    file.write_bytes(b"")
    assert "not a safetensors file" in refused(CheckpointError, stage)
    file.unlink()
    assert "holds no weights: expected model.safetensors" in refused(CheckpointError, stage)


@pytest.mark.parametrize(("value", "named"), [(float("nan"), "NaN"), (float("inf"), "infinity")])
def test_weights_that_are_not_numbers(folder, value, named):
    lineage = lineage_of(folder, base=of_folder(), first=of_adapter())
    for name, file in (("base", "model"), ("first", "adapter_model")):
        path = folder / name / f"{file}.safetensors"
        whole = path.read_bytes()
        tensors = load_file(path)
        broken = sorted(tensors)[-1]
        tensors[broken].view(-1)[3] = value
        save_file(tensors, path, metadata={"format": "pt"})
        message = refused(CheckpointError, lineage[name])
        assert message.startswith(f"stage {name}: ")
        assert f"weights hold {named} in {broken}" in message.replace("adapter_model.safetensors: ", "")
        path.write_bytes(whole)


def test_pickles_only_when_asked_for(folder, originals):
    lineage = lineage_of(folder, base=of_folder(), first=of_adapter())
    file = folder / "base" / "model.safetensors"
    torch.save(load_file(file), folder / "base" / "pytorch_model.bin")
    file.unlink()
    message = refused(CheckpointError, lineage["base"])
    assert "pytorch_model.bin is a pickle" in message
    assert "allow_pickle=True" in message
    model = lineage["base"].load(device="cpu", allow_pickle=True).model
    torch.testing.assert_close(logits(model), originals[1]["base"])
    adapter = folder / "first" / "adapter_model.safetensors"
    torch.save(load_file(adapter), adapter.with_suffix(".bin"))
    adapter.unlink()
    model = lineage["first"].load(device="cpu", allow_pickle=True).model
    torch.testing.assert_close(logits(model), originals[1]["first"], rtol=1e-4, atol=1e-4)
    make_model().save_pretrained(folder / "base")
    assert "adapter_model.bin is a pickle" in refused(CheckpointError, lineage["first"])


def test_remote_code_only_when_asked_for(folder):
    stage = lineage_of(folder, base=of_folder())["base"]
    config = folder / "base" / "config.json"
    content = json.loads(config.read_text())
    content |= {"model_type": "my_own", "auto_map": {"AutoModelForCausalLM": "modeling_own.Own"}}
    config.write_text(json.dumps(content))
    (folder / "base" / "modeling_own.py").write_text("raise SystemExit('ran')")
    message = refused(CheckpointError, stage)
    assert "runs its own code (modeling_own.Own)" in message
    assert "trust_remote_code=True" in message
