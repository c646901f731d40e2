"""Where the files of a stage come from: folders, the hub and its cache."""

import shutil
from types import SimpleNamespace

import pytest
import torch
from huggingface_hub import errors

from probes.errors import CheckpointError, OfflineError
from tests.checkpoint_makers import lineage_of, logits, of_adapter, of_folder, refused


def fill_hub_cache(hub, repo, revision, source, subfolder=""):
    """What a download leaves behind: refs and a snapshot."""
    place = hub / f"models--{repo.replace('/', '--')}"
    commit = "0123456789abcdef0123456789abcdef01234567"
    (place / "refs").mkdir(parents=True)
    (place / "refs" / revision).write_text(commit)
    shutil.copytree(source, place / "snapshots" / commit / subfolder)


def test_hub_stages_from_the_cache(folder, originals):
    fill_hub_cache(folder.parent / "hub", "org/model", "stage1-step10", folder / "base")
    fill_hub_cache(folder.parent / "hub", "org/adapter", "main", folder / "first", "checkpoint-4")
    lineage = lineage_of(
        folder,
        base='checkpoint = { hub = "org/model", revision = "stage1-step10" }',
        first='checkpoint = { adapter = "org/adapter", subfolder = "checkpoint-4", onto = "base" }',
        other='checkpoint = { hub = "org/model", revision = "stage2" }',
        absent='checkpoint = { adapter = "org/nothing", onto = "base" }',
    )
    for name in ("base", "first"):
        model = lineage[name].load(device="cpu").model
        torch.testing.assert_close(logits(model), originals[1][name], rtol=1e-4, atol=1e-4)
    message = refused(OfflineError, lineage["other"])
    assert message.startswith("hub org/model@stage2: not in the local cache and HF_HUB_OFFLINE is set")
    assert "hf download org/model" in message
    assert "hub org/nothing: not in the local cache" in refused(OfflineError, lineage["absent"])
    with pytest.raises(OfflineError, match="org/model@stage2"):
        lineage["other"].fingerprint()


def hub_error(kind):
    import httpx2

    request = httpx2.Request("GET", "https://hub")
    return kind("said", response=httpx2.Response(404, request=request))


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (errors.RepositoryNotFoundError, "hub org/m@v1: no such repository, or a private one"),
        (errors.GatedRepoError, "hub org/m@v1: access is restricted; accept its conditions"),
        (errors.RevisionNotFoundError, "hub org/m@v1: no revision 'v1' in org/m"),
    ],
)
def test_what_the_hub_says_no_to(folder, monkeypatch, kind, message):
    def model_info(*_, **__):
        raise hub_error(kind)

    monkeypatch.setattr("huggingface_hub.HfApi.model_info", model_info)
    stage = lineage_of(folder, base='checkpoint = { hub = "org/m", revision = "v1" }')["base"]
    assert message in refused(CheckpointError, stage)


def test_only_what_is_needed_is_downloaded(folder, originals, monkeypatch):
    weights = [
        "model-00001-of-00002.safetensors",
        "model-00002-of-00002.safetensors",
        "model.safetensors.index.json",
    ]
    wanted = ["config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", *weights]
    other = [
        "README.md",
        "consolidated.safetensors",
        "pytorch_model.bin",
        "original/consolidated.00.pth",
        "code.py",
    ]
    files = [*wanted, *other, "step-4/config.json", "step-4/pytorch_model.bin", "a/adapter_config.json"]
    siblings = [SimpleNamespace(rfilename=name, size=10, lfs=None) for name in files]
    downloads = []

    def snapshot_download(repo, revision, allow_patterns):
        downloads.append(sorted(allow_patterns))
        return str(folder / "base")

    monkeypatch.setattr(
        "huggingface_hub.HfApi.model_info", lambda *_, **__: SimpleNamespace(siblings=siblings)
    )
    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot_download)
    lineage = lineage_of(
        folder,
        base='checkpoint = { hub = "org/whole" }',
        step='checkpoint = { hub = "org/whole", subfolder = "step-4" }',
        none='checkpoint = { hub = "org/whole", subfolder = "step-5" }',
        empty='checkpoint = { adapter = "org/whole", subfolder = "a", onto = "base" }',
    )
    torch.testing.assert_close(logits(lineage["base"].load(device="cpu").model), originals[1]["base"])
    assert sorted(wanted) in downloads
    assert all("tokenizer" in name for names in downloads if names != sorted(wanted) for name in names)
    assert "hub org/whole/step-4: holds only pickled weights" in refused(CheckpointError, lineage["step"])
    assert "hub org/whole/step-5: holds no weights there (expected config.json)" in (
        refused(CheckpointError, lineage["none"])
    )
    assert "hub org/whole/a: holds no weights beside adapter_config.json" in (
        refused(CheckpointError, lineage["empty"])
    )


def test_folders_that_are_something_else(folder):
    lineage = lineage_of(
        folder,
        base=of_folder(),
        nowhere=of_folder("nowhere"),
        adapter_as_model=of_folder("first"),
        model_as_adapter=of_adapter("base"),
        missing_adapter=of_adapter("adapters-x"),
    )
    assert "files/nowhere: no such folder" in refused(CheckpointError, lineage["nowhere"])
    message = refused(CheckpointError, lineage["adapter_as_model"])
    assert 'is a PEFT adapter; write checkpoint = { adapter = "first", onto = "STAGE" }' in message
    assert "has no adapter_config.json" in refused(CheckpointError, lineage["model_as_adapter"])
    assert "adapters-x: no such folder" in refused(CheckpointError, lineage["missing_adapter"])
    (folder / "base" / "config.json").write_text("{")
    assert "config.json is not valid JSON" in refused(CheckpointError, lineage["base"])
    (folder / "base" / "config.json").write_text('{"model_type": "t5"}')
    assert "(model type t5), which is no causal language model" in refused(CheckpointError, lineage["base"])
    (folder / "base" / "config.json").unlink()
    assert "has no config.json" in refused(CheckpointError, lineage["base"])
