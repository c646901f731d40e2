"""What loads, and what is said of a folder or an option that does not fit."""

import pytest
import torch
from safetensors.torch import load_file, save_file

from probes.errors import CheckpointError, InputError
from probes.lineage import as_loaded
from tests.checkpoint_makers import TEMPLATE, lineage_of, logits, make_model, of_adapter, of_folder, refused


def test_a_folder(folder, originals):
    stage = lineage_of(folder, base=of_folder())["base"]
    loaded = stage.load()
    torch.testing.assert_close(logits(loaded.model.cpu()), originals[1]["base"], rtol=0, atol=0)
    assert not loaded.model.training
    assert not any(p.requires_grad for p in loaded.model.parameters())
    assert loaded.name == "base"
    assert loaded.stage is stage
    assert loaded.lineage is stage.lineage
    assert loaded.fingerprint == stage.fingerprint()
    assert loaded.tokenizer.chat_template == TEMPLATE
    assert as_loaded(loaded) is loaded
    assert as_loaded(stage, device="cpu", dtype="float64").model.dtype == torch.float64
    assert as_loaded(stage, attn_implementation="eager").model.config._attn_implementation == "eager"
    assert as_loaded(stage, device_map="cpu").model.device.type == "cpu"


def test_an_adapter_and_one_on_top_of_it(folder, originals):
    lineage = lineage_of(
        folder, base=of_folder(), first=of_adapter(), second=of_adapter("second", "first", 'parent = "first"')
    )
    for name in ("first", "second"):
        loaded = lineage[name].load(device="cpu")
        torch.testing.assert_close(logits(loaded.model), originals[1][name], rtol=1e-4, atol=1e-4)
        assert not any("lora" in key for key in loaded.model.state_dict())
        assert loaded.tokenizer.chat_template == TEMPLATE
    part = lineage.subset(["second"])["second"]
    torch.testing.assert_close(
        logits(part.load(device="cpu").model), originals[1]["second"], rtol=1e-4, atol=1e-4
    )


def test_sharded_weights(folder, originals):
    model = make_model()
    model.save_pretrained(folder / "sharded", max_shard_size="20KB")
    assert len(list((folder / "sharded").glob("*.safetensors"))) > 1
    lineage = lineage_of(folder, base=of_folder(), a=of_folder("sharded", 'parent = "base"'))
    torch.testing.assert_close(logits(lineage["a"].load(device="cpu").model), originals[1]["base"])
    next((folder / "sharded").glob("*00001*.safetensors")).unlink()
    assert "00001" in refused(CheckpointError, lineage["a"])
    assert "is missing" in refused(CheckpointError, lineage["a"])


def test_missing_and_superfluous_tensors(folder):
    stage = lineage_of(folder, base=of_folder())["base"]
    file = folder / "base" / "model.safetensors"
    tensors = load_file(file)
    lost = tensors.pop("model.layers.1.mlp.up_proj.weight")
    save_file(tensors, file, metadata={"format": "pt"})
    message = refused(CheckpointError, stage)
    assert "lacks model.layers.1.mlp.up_proj.weight, which LlamaForCausalLM needs" in message
    save_file(
        {**tensors, "model.layers.1.mlp.up_proj.weight": lost[:, :8].contiguous()},
        file,
        metadata={"format": "pt"},
    )
    message = refused(CheckpointError, stage)
    assert "model.layers.1.mlp.up_proj.weight is [48, 8] in the weights" in message
    assert "LlamaForCausalLM expects [48, 32] by config.json" in message
    extra = {"model.layers.1.mlp.up_proj.weight": lost, "model.layers.1.extra": lost.clone()}
    save_file({**tensors, **extra}, file, metadata={"format": "pt"})
    assert stage.load(device="cpu").ignored_weights == ("model.layers.1.extra",)


def test_devices_and_dtypes_that_are_not(folder):
    stage = lineage_of(folder, base=of_folder())["base"]
    assert "device 'gpu'" in refused(InputError, stage, device="gpu")
    assert "dtype 'float33': expected float32" in refused(InputError, stage, dtype="float33")
    assert "dtype 'int8'" in refused(InputError, stage, dtype="int8")
    if not torch.cuda.is_available():
        assert "device 'cuda:1' is not available here" in refused(InputError, stage, device="cuda:1")
    with pytest.raises(InputError, match=r"expected a stage .* got str; wrap a model with"):
        as_loaded("base")
