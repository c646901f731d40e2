"""A tiny build trains, changes outputs, continues where it stopped, and trains nothing twice."""

import importlib
import json
import math
import shutil
import sys

import pytest
import torch
from safetensors.torch import load_file

from probes.errors import MissingDependencyError, RecipeError
from probes.lineage import load_lineage
from probes.training import build
from probes.training.finetune import finetune


def test_build_writes_a_lineage_whose_stages_differ(built):
    lineage, out = built
    names = ["base", "msm", "msm_aft", "msm_aft_dpo", "msm-s1", "msm_aft-s1"]
    assert [stage.name for stage in lineage] == names
    assert [lineage[name].parent for name in names[1:]] == ["base", "msm", "msm_aft", "base", "msm-s1"]
    assert [(lineage[name].arm, lineage[name].seed) for name in ("msm_aft", "msm_aft-s1")] == [
        ("msm", 0),
        ("msm", 1),
    ]
    assert str(lineage["msm_aft"].checkpoint) == "adapters/msm_aft-s0 onto base"
    ids = torch.arange(4, 24)[None]
    logits = [stage.load(device="cpu").model(ids).logits for stage in load_lineage(out)]
    assert (logits[0] - logits[1]).abs().max() > 1e-2
    for one, other in ((1, 2), (2, 3), (1, 4), (4, 5)):
        assert (logits[one] - logits[other]).abs().max() > 1e-3
    card = json.loads((out / "adapters/msm-s0/card.json").read_text())
    assert card["steps"] == 4
    assert len(card["loss"]) == 4
    preference = json.loads((out / "adapters/msm_aft_dpo-s0/card.json").read_text())
    assert preference["loss"][0][1] == pytest.approx(math.log(2), abs=1e-3)  # the reference is the parent
    assert not list(out.glob("adapters/.*"))


def test_child_continues_the_adapter_of_its_parent(built):
    _, out = built
    parent, child = (
        load_file(out / f"adapters/{name}-s0/adapter_model.safetensors") for name in ("msm", "msm_aft")
    )
    assert parent.keys() == child.keys()
    assert {value.dtype for value in child.values()} == {torch.bfloat16}
    first = next(key for key in parent if "lora_A" in key)
    assert (
        torch.cosine_similarity(parent[first].flatten().float(), child[first].flatten().float(), dim=0) > 0.8
    )


def test_a_second_build_trains_nothing_and_a_lost_stage_comes_back_the_same(built):
    lineage, out = built
    recipe = out.parent / "recipe.toml"
    before = {stage.name: stage.fingerprint() for stage in lineage}
    weights = out / "adapters/msm_aft-s0/adapter_model.safetensors"
    untouched = (out / "adapters/msm-s0/adapter_model.safetensors").stat().st_mtime_ns
    build(recipe, out=out, progress=False)
    stamp = weights.stat().st_mtime_ns
    weights.unlink()
    again = build(recipe, stages=["msm_aft"], out=out, progress=False)
    assert weights.stat().st_mtime_ns != stamp
    assert (out / "adapters/msm-s0/adapter_model.safetensors").stat().st_mtime_ns == untouched
    assert {stage.name: stage.fingerprint() for stage in again} == before


def test_what_is_finished_beside_the_recipe_is_copied_into_another_folder_unless_fresh(built, tmp_path):
    lineage, out = built
    beside = tmp_path / "beside"
    shutil.copytree(out / "adapters", beside / "adapters")
    shutil.copytree(out.parent / "base", beside / "base")
    shutil.copy(out.parent / "makers.py", beside)
    recipe = shutil.copy(out.parent / "recipe.toml", beside)
    weights = "adapters/msm-s0/adapter_model.safetensors"
    finished = (beside / weights).stat().st_mtime_ns
    copied = build(recipe, stages=["msm_aft"], out=tmp_path / "copied", progress=False)
    assert [stage.name for stage in copied] == ["base", "msm", "msm_aft"]
    assert all(stage.fingerprint() == lineage[stage.name].fingerprint() for stage in copied)
    assert (tmp_path / "copied" / weights).stat().st_mtime_ns == finished
    fresh = build(recipe, stages=["msm"], out=tmp_path / "fresh", progress=False, fresh=True)
    assert fresh["msm"].fingerprint() == lineage["msm"].fingerprint()
    assert (tmp_path / "fresh" / weights).stat().st_mtime_ns != finished


def test_a_run_cut_short_continues_from_its_checkpoint(tiny, recipe_text, monkeypatch):
    room = importlib.import_module("probes.training.build")

    def cut(model, tokenizer, rows, settings, seed, folder, on_step):
        def stop(step, total, loss):
            on_step(step, total, loss)
            if step == 3:
                raise KeyboardInterrupt

        return finetune(model, tokenizer, rows, settings, seed, folder, stop)

    (tiny / "short.toml").write_text(recipe_text.replace("max_steps = 4", "max_steps = 4\nsave_steps = 2"))
    with monkeypatch.context() as patch:
        patch.setattr(room, "finetune", cut)
        with pytest.raises(KeyboardInterrupt):
            build(tiny / "short.toml", stages=["msm"], out=tiny / "cut", progress=False)
    assert "msm" not in load_lineage(tiny / "cut")
    build(tiny / "short.toml", stages=["msm"], out=tiny / "cut", progress=False)
    card = json.loads((tiny / "cut/adapters/msm-s0/card.json").read_text())
    assert card["resumed"]
    assert card["steps"] == 4


def test_an_unknown_stage_is_named(tmp_path, tiny):
    with pytest.raises(
        RecipeError, match=r"no stage 'msn' in the recipe; expected one of msm, msm_aft, msm_aft_dpo, msm-s1"
    ):
        build(tiny / "recipe.toml", stages=["msn"], out=tmp_path / "o", progress=False)


def test_a_build_tells_what_is_left(built, tiny, capfd):
    (tiny / "out" / "adapters/msm_aft-s1/adapter_model.safetensors").unlink()
    (tiny / "out" / "adapters/msm_aft_dpo-s0/adapter_model.safetensors").unlink()
    build(tiny / "recipe.toml", out=tiny / "out")
    progress = capfd.readouterr().err
    assert "msm_aft_dpo (1/2)" in progress
    assert "1 stages left, about 0 min" in progress


def test_training_without_the_extra_says_what_to_install(tiny, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "trl", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'spec-probes\[train\]'"):
        build(tiny / "recipe.toml", out=tmp_path, progress=False)
