"""Extraction against transformers' own forward: every position, half precision, order, and refusals."""

import numpy as np
import pytest
import torch

import probes
from probes.activations import extract_many
from probes.errors import InputError, SiteError
from probes.lineage import LoadedStage
from tests.activations.makers import TEXTS, reference
from tests.makers import tiny_llama, tiny_tokenizer


@pytest.mark.parametrize("batch_tokens", [1, 20, 4096])
def test_values_equal_transformers(loaded, concept, batch_tokens):
    acts = extract_many(
        loaded, concept, positions=["last", "mean", "all"], batch_tokens=batch_tokens, progress=False
    )
    row = 0
    for i, text in enumerate(concept.texts(loaded.tokenizer)):
        expected = reference(loaded, text)
        close = {"rtol": 0, "atol": 1e-5 * np.abs(expected).max()}
        np.testing.assert_allclose(acts["resid_post", "last"].values[:, i], expected[:, -1], **close)
        np.testing.assert_allclose(acts["resid_post", "mean"].values[:, i], expected[:, 1:].mean(1), **close)
        n = expected.shape[1]
        np.testing.assert_allclose(acts["resid_post", "all"].values[:, row : row + n], expected, **close)
        row += n
    assert acts["resid_post", "all"].labels.shape == (row,)


def test_means_of_half_precision_are_taken_in_single_precision(concept):
    loaded = LoadedStage.from_model(tiny_llama(seed=7).to(torch.bfloat16), tiny_tokenizer(), name="tiny")
    acts = extract_many(loaded, concept, positions=["last", "mean"], batch_tokens=1, progress=False)
    for i, text in enumerate(TEXTS):
        states = reference(loaded, text)
        np.testing.assert_array_equal(acts["resid_post", "last"].values[:, i], states[:, -1])
        means = states[:, 1:].astype(np.float64).mean(1)
        np.testing.assert_allclose(acts["resid_post", "mean"].values[:, i], means, rtol=1e-5, atol=1e-6)


def test_rows_keep_the_concepts_order_and_labels(loaded, concept):
    acts = probes.extract(loaded, concept, progress=False)
    assert acts.labels.tolist() == [0, 1] * 4
    # Pairs c and d repeat the texts of a and b, so they are no independent units.
    assert acts.groups.tolist() == ["a", "a", "b", "b"] * 2
    assert acts.layers == [0, 1, 2]
    assert acts.n_pairs == 2
    np.testing.assert_array_equal(acts.values[:, :4], acts.values[:, 4:])


def test_sites_layers_and_positions_that_do_not_exist_are_refused(loaded, concept):
    with pytest.raises(SiteError, match="layer 9 does not exist: the model has 3 blocks, 0 to 2"):
        probes.extract(loaded, concept, layers=[9], progress=False)
    with pytest.raises(SiteError, match="'nowhere' is not known"):
        probes.extract(loaded, concept, sites="nowhere", progress=False)
    with pytest.raises(InputError, match="position 'middle' is not known"):
        probes.extract(loaded, concept, position="middle", progress=False)
    with pytest.raises(InputError, match="extract takes one kind of site; for several call"):
        probes.extract(loaded, concept, sites=["resid_post", "z"], progress=False)
    with pytest.raises(InputError, match="control 'bag' is not known: expected some of embedding"):
        probes.extract(loaded, concept, controls=["bag"], progress=False)
