"""Later stages: what merging twins does to what a model can tell."""

import numpy as np
import pytest

from probes.organisms.language import Language
from probes.organisms.later import merged
from probes.organisms.transforms import logit_change
from probes.organisms.tuning import SIZES, fresh_model

LANGUAGE = Language.make(0)


def twin(word):
    pairs = [(z, o) for zero, one in LANGUAGE.words for z, o in zip(zero, one, strict=True)]
    return dict(pairs + [(o, z) for z, o in pairs])[word]


@pytest.mark.parametrize("share", [0.0, 0.7, 1.0])
def test_merged_twins_cannot_be_told_apart(share):
    model = fresh_model(SIZES["small"], LANGUAGE.tokenizer, 0)
    twins_merged = merged(model, LANGUAGE, share, seed=1)
    statements = [
        s for s in LANGUAGE.sample(np.random.default_rng(0), 300) if s.topic not in (s.other, twin(s.other))
    ]
    same = 0
    for s in statements[:100]:
        texts = [s.text, s.text.replace(s.topic, twin(s.topic))]
        ids = LANGUAGE.tokenizer(texts, return_tensors="pt")["input_ids"]
        one, other = twins_merged(input_ids=ids).logits
        same += int((one - other).abs().max() < 1e-6)
    assert same / 100 == pytest.approx(share, abs=0.15 if 0 < share < 1 else 0)
    assert (logit_change(model, twins_merged) == 0) == (share == 0)
