"""The exam on exact transforms: what is asked, and what is not asked twice."""

import pytest

from probes.lineage import LoadedStage
from probes.validation import examine_transforms, transforms
from tests.makers import price_concept, tiny_llama, tiny_tokenizer


@pytest.mark.slow
def test_every_transform_is_asked_of_the_stages_in_turn_and_only_once(tmp_path, monkeypatch):
    stages = [
        LoadedStage.from_model(tiny_llama(seed), tiny_tokenizer(), name=f"stage-{seed}") for seed in (3, 4)
    ]
    keep = tmp_path / "transforms.parquet"
    table = examine_transforms(stages, price_concept(), n_each=2, keep=keep, progress=False)
    assert table.select("size", "seed", "truth").rows() == [
        (f"stage-{3 + i}", i, truth) for i in (0, 1) for truth in ("rotated", "lost", "persists")
    ]
    assert set(table["exam"]) == {"survival"}
    assert set(table["half"]) == {"held out"}
    # With 8 test pairs an answer may be open, but it must not be wrong.
    assert all(row["answer"] in (row["truth"], "inconclusive") for row in table.iter_rows(named=True))
    assert set(table.filter(truth="rotated")["answer"]) == {"rotated"}
    monkeypatch.setattr(transforms, "measure_stage", None)  # a second call must not come to it
    again = examine_transforms(stages, price_concept(), n_each=2, keep=keep, progress=False)
    assert again.equals(table)
