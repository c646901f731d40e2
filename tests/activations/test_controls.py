"""The inputs of surface baselines against the embedding table and an untrained model."""

import numpy as np
import torch
from transformers import LlamaForCausalLM

import probes
from probes.lineage import LoadedStage
from tests.activations.makers import TEXTS, reference


def test_controls_are_what_they_say(loaded, concept):
    acts = probes.extract(loaded, concept, position="mean", progress=False)
    ids = loaded.tokenizer(TEXTS[1])["input_ids"]
    table = loaded.model.get_input_embeddings().weight
    np.testing.assert_allclose(acts.controls["embedding"][1], table[ids].mean(0).numpy(), atol=1e-6)
    assert acts.controls["random_init"].shape == acts.values.shape
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        untrained = LlamaForCausalLM(loaded.model.config)
    expected = reference(LoadedStage.from_model(untrained, loaded.tokenizer, name="untrained"), TEXTS[1])
    np.testing.assert_allclose(acts.controls["random_init"][:, 1], expected[:, 1:].mean(1), atol=1e-5)
    again = probes.extract(loaded, concept, position="mean", progress=False)
    np.testing.assert_array_equal(again.controls["random_init"], acts.controls["random_init"])
