"""What the pass over the texts saves: batches that fit the caches, common beginnings, identical texts."""

import numpy as np
import pandas as pd
import pytest
from transformers import AutoModelForCausalLM, AutoTokenizer

import probes
from probes.activations import extract_many
from probes.lineage import LoadedStage
from probes.models.transformers_backend import TransformersBackend
from tests.activations.makers import TEXTS, reference


def test_a_forward_on_a_cpu_is_no_larger_than_its_caches(loaded, monkeypatch):
    texts = [" ".join([f"w{i + k}" for k in range(30)]) for i in range(60)]
    concept = probes.Concept.from_frame(pd.DataFrame({"text": texts, "label": [0, 1] * 30}), name="many")
    ran, read = [], TransformersBackend.read
    monkeypatch.setattr(
        TransformersBackend,
        "read",
        lambda self, batch, *a: (ran.append(batch.input_ids.numel()), read(self, batch, *a))[1],
    )
    plain = probes.extract(loaded, concept, controls=(), progress=False)
    assert len(ran) > 1
    assert 256 < max(ran) <= 512
    ran.clear()
    one = probes.extract(loaded, concept, controls=(), batch_tokens=10_000, progress=False)
    assert len(ran) == 1
    np.testing.assert_allclose(plain.values, one.values, atol=1e-5)


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_common_beginnings_run_once_and_change_nothing(tiny_llama_dir, attention):
    model = AutoModelForCausalLM.from_pretrained(tiny_llama_dir, attn_implementation=attention)
    loaded = LoadedStage.from_model(model, AutoTokenizer.from_pretrained(tiny_llama_dir), name="tiny")
    words = [f"w{i}" for i in range(40)]
    texts = [" ".join([*TEXTS[0].split(), *words[: i % 5], words[i]]) for i in range(20)]
    frame = pd.DataFrame({"text": texts, "label": [i % 2 for i in range(20)]})
    concept = probes.Concept.from_frame(frame, name="chats")
    ran = []
    hook = model.model.register_forward_pre_hook(
        lambda _m, _a, inputs: ran.append(inputs["input_ids"].numel()), with_kwargs=True
    )
    acts = extract_many(
        loaded, concept, sites=["resid_post", "z"], positions=["last", "mean"], controls=(), progress=False
    )
    hook.remove()
    for i, text in enumerate(concept.texts(loaded.tokenizer)):
        expected = reference(loaded, text)
        close = {"rtol": 0, "atol": 1e-5 * np.abs(expected).max()}
        np.testing.assert_allclose(acts["resid_post", "last"].values[:, i], expected[:, -1], **close)
        np.testing.assert_allclose(acts["resid_post", "mean"].values[:, i], expected[:, 1:].mean(1), **close)
    assert ran[-1] < 0.6 * sum(len(loaded.tokenizer(text)["input_ids"]) for text in texts)


def test_identical_texts_are_computed_once(loaded, concept, monkeypatch):
    seen = []
    read = TransformersBackend.read
    monkeypatch.setattr(
        TransformersBackend,
        "read",
        lambda self, batch, *a: (seen.append(len(batch.input_ids)), read(self, batch, *a))[1],
    )
    probes.extract(loaded, concept, controls=(), progress=False)
    assert sum(seen) == len(TEXTS)
