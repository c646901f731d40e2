"""Fixtures of the tests of steering: the tiny Llama as a loaded stage and hooked, and a unit vector."""

import numpy as np
import pytest
from transformers import AutoModelForCausalLM, AutoTokenizer

from probes.lineage import LoadedStage
from probes.models import hooked
from probes.steering import random_directions


@pytest.fixture(scope="session")
def loaded(tiny_llama_dir):
    """The tiny Llama as a loaded stage called "tiny"."""
    model = AutoModelForCausalLM.from_pretrained(tiny_llama_dir)
    return LoadedStage.from_model(model, AutoTokenizer.from_pretrained(tiny_llama_dir), name="tiny")


@pytest.fixture(scope="session")
def model(loaded):
    """The same stage, hooked."""
    return hooked(loaded)


@pytest.fixture(scope="session")
def vector():
    """A random unit vector, as wide as the residual stream of the tiny Llama."""
    return random_directions(1, 32, seed=5)[0].astype(np.float32)
