"""Damage and perplexity against plain transformers."""

import numpy as np
import pytest
import torch

from probes.errors import InputError
from probes.steering import Add, damage, perplexity
from tests.steering.makers import SITE

TEXTS = ("the cheap chair was sold in Ohio", "a new lamp made in Kyoto for the table")


def test_damage_is_the_kl_of_plain_transformers(loaded, model, vector):
    addition = Add(SITE, vector, 2.0)
    harm = damage(loaded, [addition], TEXTS)
    for text, kl, nats in zip(TEXTS, harm.kl, harm.nats, strict=True):
        ids = loaded.tokenizer(text, return_tensors="pt").input_ids
        base = loaded.model(ids).logits.log_softmax(-1)
        with model.intervene(addition):
            steered = loaded.model(ids).logits.log_softmax(-1)
            loss = loaded.model(ids, labels=ids).loss.item()
        per_token = torch.nn.functional.kl_div(base, steered, log_target=True, reduction="none").sum(-1)
        assert kl == pytest.approx(per_token[0, :-1].mean().item(), rel=1e-3, abs=1e-5)
        assert nats == pytest.approx(loss, rel=1e-4)
    assert perplexity(loaded, TEXTS, [addition]) == pytest.approx(np.exp(harm.nats.mean()), rel=1e-5)
    assert perplexity(loaded, TEXTS) == pytest.approx(np.exp(harm.nats_intact.mean()), rel=1e-5)


def test_texts_in_which_nothing_is_predicted_are_refused(loaded):
    with pytest.raises(InputError, match="no texts"):
        damage(loaded, [], "one string")
    with pytest.raises(InputError, match="shorter than two tokens"):
        damage(loaded, [], [""])
