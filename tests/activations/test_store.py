"""The store: rows are looked up by content, an interruption loses little, and damage is mended."""

import numpy as np
import pytest

import probes
from probes.activations import Store, passes
from probes.errors import OutputError
from probes.lineage import LoadedStage
from probes.models.transformers_backend import TransformersBackend
from tests.activations.makers import TEXTS
from tests.makers import tiny_llama, tiny_tokenizer


def test_store_reads_what_is_there_and_resumes(loaded, concept, tmp_path, monkeypatch):
    first = probes.extract(loaded, concept, store=tmp_path, progress=False)
    monkeypatch.setattr(TransformersBackend, "read", lambda *a: pytest.fail("computed again"))
    again = probes.extract(loaded, concept, store=tmp_path, progress=False)
    np.testing.assert_array_equal(first.values, again.values)
    np.testing.assert_array_equal(first.controls["random_init"], again.controls["random_init"])
    one_layer = probes.extract(loaded, concept, layers=[1], store=tmp_path, progress=False)
    np.testing.assert_array_equal(one_layer.values[0], first.values[1])


def test_other_weights_are_a_miss(concept, tmp_path):
    stages = [LoadedStage.from_model(tiny_llama(seed), tiny_tokenizer(), name="same name") for seed in (0, 1)]
    one, two = (probes.extract(s, concept, store=tmp_path, progress=False) for s in stages)
    assert one.digest != two.digest
    assert not np.allclose(one.values, two.values)


def test_interrupted_extraction_keeps_its_rows(loaded, concept, tmp_path, monkeypatch):
    monkeypatch.setattr(passes, "ROWS_PER_SHARD", 1)
    whole = probes.extract(loaded, concept, controls=(), progress=False)
    calls = []
    real = passes._read_batch

    def fails_at_third(*args):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(*args)

    monkeypatch.setattr(passes, "_read_batch", fails_at_third)
    with pytest.raises(KeyboardInterrupt):
        probes.extract(loaded, concept, store=tmp_path, controls=(), batch_tokens=1, progress=False)
    kept = len(list(tmp_path.rglob("*.safetensors")))
    assert kept == 2
    calls.append(1)
    done = probes.extract(loaded, concept, store=tmp_path, controls=(), batch_tokens=1, progress=False)
    assert len(calls) == 4 + len(TEXTS) - 2
    np.testing.assert_allclose(done.values, whole.values, atol=1e-5)
    assert not list(tmp_path.rglob("*.part"))


def test_damaged_shard_is_computed_again(loaded, concept, tmp_path):
    first = probes.extract(loaded, concept, store=tmp_path, controls=(), progress=False)
    for shard in tmp_path.rglob("*.safetensors"):
        shard.write_bytes(shard.read_bytes()[:100])
    with pytest.warns(UserWarning, match="damaged and is computed again"):
        again = probes.extract(loaded, concept, store=tmp_path, controls=(), progress=False)
    np.testing.assert_allclose(first.values, again.values, atol=1e-6)


def test_a_store_that_cannot_be_written_is_refused(loaded, concept, tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        probes.extract(loaded, concept, store=Store(blocked / "store"), progress=False)
