"""The manifests of public lineages: they can be read, drawn, and checked without a connection."""

from pathlib import Path

import pytest
from huggingface_hub import constants

from probes.cli import main
from probes.lineage import check, load_lineage
from probes.lineage.records import AdapterCheckpoint, HubCheckpoint
from tests.hub_server import TOKEN, Hub, serving
from tests.makers import lora_adapter, tiny_llama, tiny_tokenizer

PUBLIC = Path(__file__).parents[2] / "checkpoints" / "public"
NAMES = [
    "msm-paper-llama",
    "olmo2-1b",
    "olmo2-7b",
    "olmo3-7b",
    "pythia-160m",
    "smollm2-135m",
    "smollm3-3b",
    "tulu3-8b",
]


def test_every_public_manifest_is_listed_here():
    assert sorted(path.parent.name for path in PUBLIC.glob("*/lineage.toml")) == NAMES
    page = (PUBLIC.parent / "README.md").read_text()
    assert all(f"| `public/{name}` |" in page for name in NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_reading_and_drawing(name, capsys):
    lineage = load_lineage(PUBLIC / name)
    assert lineage.name == name
    assert [stage.name for stage in lineage if stage.parent is None] == [lineage.root.name]
    assert lineage.root.kind == "pretrain"
    assert len({str(stage.checkpoint) for stage in lineage}) == len(lineage)
    assert "# Not verified against the hub" in (PUBLIC / name / "lineage.toml").read_text()
    assert main(["lineage", "show", str(PUBLIC / name)]) == 0
    drawn = capsys.readouterr().out
    assert all(f"{stage.name} " in drawn and str(stage.checkpoint) in drawn for stage in lineage)


@pytest.mark.parametrize("name", NAMES)
def test_checking_without_a_connection_is_one_line_a_stage(name, capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    assert main(["lineage", "check", str(PUBLIC / name), "--quiet"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(load_lineage(PUBLIC / name))
    for line, stage in zip(lines, load_lineage(PUBLIC / name), strict=True):
        assert line.split()[:2] == ["error", stage.name]
        own = str(stage.checkpoint).partition(" onto ")[0]
        assert f" hub {own}: not in the local cache and HF_HUB_OFFLINE is set; " in line


@pytest.mark.parametrize("name", ["msm-paper-llama", "olmo2-1b"])
def test_a_manifest_end_to_end_with_tiny_models_under_its_names(name, tmp_path, monkeypatch):
    lineage = load_lineage(PUBLIC / name)
    with Hub() as hub, serving(hub, tmp_path, monkeypatch):
        for seed, stage in enumerate(lineage):
            folder, source = tmp_path / stage.name, stage.checkpoint
            if isinstance(source, AdapterCheckpoint):
                lora_adapter(folder, tiny_llama(seed=0), seed=seed)
                tiny_tokenizer().save_pretrained(folder)
                hub.commit(source.adapter, folder, source.revision or "main")
            elif isinstance(source, HubCheckpoint):
                tiny_llama(seed=seed).save_pretrained(folder)
                tiny_tokenizer().save_pretrained(folder)
                gated = source.hub.startswith("meta-llama/")
                hub.commit(source.hub, folder, source.revision or "main", gated=gated)
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        assert [(f.stage, f.level) for f in check(lineage)] == [(stage.name, "note") for stage in lineage]
        assert hub.fetched() == []
        results = check(lineage, download=True, device="cpu")
        assert {f.level for f in results} == {"ok"}, results
        assert [f.stage for f in results if f.what.startswith("loads: ")] == list(lineage.stages)
        assert len({stage.fingerprint() for stage in lineage}) == len(lineage)
