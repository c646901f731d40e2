"""`check` says when an adapter names another base than the one it goes onto."""

import json
import shutil

import pytest

from probes.lineage import check
from tests.checkpoint_makers import lineage_of, make_model, make_tokenizer, of_adapter, of_folder

HUB = 'checkpoint = { hub = "org/Model-1B", revision = "step10" }'


def notes(folder, name, onto="base", revision=None, **stages):
    """What `other_base` says of an adapter whose config names `name`, in the words of `check`."""
    from probes.lineage.adapter_base import other_base

    file = folder / "first" / "adapter_config.json"
    config = {"base_model_name_or_path": name, "revision": revision}
    file.write_text(json.dumps(json.loads(file.read_text()) | config))
    stages = {"base": of_folder(), **stages}
    return other_base(lineage_of(folder, **stages, ft=of_adapter("first", onto, ""))["ft"].entry)


def test_another_stage_or_another_folder(folder):
    make_model(seed=9).save_pretrained(folder / "other")
    make_tokenizer().save_pretrained(folder / "other")
    note = notes(folder, str(folder / "other"), other=of_folder("other"))
    assert note.startswith(
        f"adapter_config.json says that it was trained on {folder / 'other'} (stage other), "
    )
    assert note.endswith("goes onto stage base (base): set onto to the stage that it was trained on")
    assert "trained on other, but" in notes(folder, "other")
    assert "trained on org/Other-7B, but" in notes(folder, "org/Other-7B")
    lineage = lineage_of(folder, base=of_folder(), ft=of_adapter("first"))
    for quick in (True, False):
        results = [r for r in check(lineage, quick, device="cpu") if "org/Other-7B" in r.what]
        assert [(r.stage, r.level) for r in results] == [("ft", "note")]


@pytest.mark.parametrize("name", [None, "", "base", "/gone/base", "somebody/base/"])
def test_a_name_that_fits_or_none(folder, name):
    assert notes(folder, name) is None


def test_a_copy_of_the_weights_elsewhere(folder, tmp_path):
    shutil.copytree(folder / "base", tmp_path / "scratch")
    assert notes(folder, str(tmp_path / "scratch")) is None
    make_model(seed=9).save_pretrained(tmp_path / "scratch")
    assert notes(folder, str(tmp_path / "scratch")) is not None


def test_names_on_the_hub(folder):
    for name in ("org/Model-1B", "mirror/model-1b", "/data/Model-1B"):
        assert notes(folder, name, "far", far=HUB) is None
    assert "trained on org/Model-7B" in notes(folder, "org/Model-7B", "far", far=HUB)
    assert notes(folder, "org/Model-1B", "far", "step10", far=HUB) is None
    note = notes(folder, "org/Model-1B", "far", "step20", far=HUB)
    assert "trained on revision step20 of org/Model-1B" in note
    assert note.endswith("which is revision step10")


def test_an_adapter_on_an_adapter_may_name_what_lies_below(folder):
    stages = {"second": of_adapter("second", "base", "")}
    assert notes(folder, "base", "second", **stages) is None
    assert notes(folder, str(folder / "second"), "second", **stages) is None
    assert notes(folder, "mistral", "second", **stages) is not None
