"""The run context: resolved once, and what of it may still be changed."""

import pytest

import probes
from probes.activations import Store, run_context
from probes.errors import InputError
from probes.models import hooked


def test_a_context_gives_the_same_activations_as_its_stage(loaded, concept):
    context = run_context(loaded, progress=False)
    acts = probes.extract(context, concept, controls=())
    assert acts.digest == probes.extract(loaded, concept, controls=(), progress=False).digest
    assert context.columns == {"lineage": None, "stage": "tiny"}


def test_only_what_does_not_change_the_model_may_be_changed(loaded, tmp_path):
    context = run_context(loaded, progress=False)
    changed = run_context(context, seed=3, store=tmp_path, truncate=True)
    assert (changed.seed, changed.truncate, changed.model) == (3, True, context.model)
    assert isinstance(changed.store, Store)
    with pytest.raises(InputError, match="'dtype' cannot be changed in a run context: give a stage"):
        run_context(context, dtype="bfloat16")


def test_options_that_do_not_exist_are_refused(loaded):
    with pytest.raises(InputError, match="'batch_size' is not an option of a run: expected one of backend"):
        run_context(loaded, batch_size=3)
    with pytest.raises(InputError, match='render=\'mine\': expected "shared" or "own"'):
        run_context(loaded, render="mine")


def test_a_hooked_model_has_no_identity(loaded, concept):
    context = run_context(hooked(loaded), progress=False)
    assert (context.name, context.loaded, context.lineage) == ("model", None, None)
    with pytest.raises(InputError, match="cannot be identified: give a stage"):
        probes.extract(context, concept, controls=())


def test_a_digest_follows_the_weights_and_the_inputs(loaded):
    context = run_context(loaded, progress=False)
    assert context.digest("a", [1]) == context.digest("a", [1])
    assert context.digest("a", [1]) != context.digest("a", [2])
    other = run_context(hooked(loaded), progress=False)
    assert context.digest("a") != other.digest("a")
