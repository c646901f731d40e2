"""Fixtures of the tests of activations: a tiny stage, and a concept of four texts that each come twice."""

import pandas as pd
import pytest

import probes
from probes.lineage import LoadedStage
from tests.activations.makers import TEXTS
from tests.makers import tiny_llama, tiny_tokenizer


@pytest.fixture
def loaded():
    """A tiny Llama as a loaded stage called "tiny"."""
    return LoadedStage.from_model(tiny_llama(seed=7), tiny_tokenizer(), name="tiny")


@pytest.fixture
def concept():
    """Four pairs; the second two repeat the texts of the first two."""
    frame = pd.DataFrame(
        {"text": TEXTS * 2, "label": [0, 1] * 4, "pair": ["a", "a", "b", "b", "c", "c", "d", "d"]}
    )
    return probes.Concept.from_frame(frame, pair="pair", name="prices")
