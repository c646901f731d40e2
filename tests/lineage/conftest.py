"""Fixtures of the tests of `probes.lineage`: checkpoints on disk, and a private copy of them."""

import shutil

import pytest

from tests.checkpoint_makers import logits, make_adapter, make_model, make_tokenizer


@pytest.fixture(scope="session")
def originals(tmp_path_factory):
    """A base folder, an adapter on it, and an adapter on the merge of both: `(folder, expected logits)`."""
    root = tmp_path_factory.mktemp("originals")
    base = make_model()
    base.save_pretrained(root / "base")
    make_tokenizer().save_pretrained(root / "base")
    expected = {"base": logits(base)}
    first = make_adapter(base)
    first.save_pretrained(root / "first")
    expected["first"] = logits(first)
    second = make_adapter(first.merge_and_unload(), seed=2, target_modules=["v_proj"])
    second.save_pretrained(root / "second")
    expected["second"] = logits(second)
    return root, expected


@pytest.fixture
def folder(originals, tmp_path, monkeypatch):
    """A private copy of the original folders, with no hub and a private cache."""
    monkeypatch.setenv("PROBES_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("probes.lineage.hub._folders", {})
    shutil.copytree(originals[0], tmp_path / "files")
    return tmp_path / "files"
