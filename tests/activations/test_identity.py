"""What is kept under a model's name was computed by that model: hooks, edits, threads, damage."""

import shutil
import threading

import numpy as np
import pytest
import torch

import probes
from probes.activations import Store
from probes.models import Site, hooked
from tests.makers import price_concept, tiny_llama, tiny_tokenizer


@pytest.fixture
def loaded():
    return probes.LoadedStage.from_model(tiny_llama(), tiny_tokenizer(), "tiny")


def values(loaded, store=None, concept=None):
    return probes.extract(loaded, concept or price_concept(), store=store, controls=(), progress=False).values


def intervention(loaded):
    return hooked(loaded).intervene(probes.Add(Site("resid_post", 0), torch.ones(32), alpha=10.0))


def test_what_an_intervention_makes_is_not_kept_under_the_plain_models_name(loaded, tmp_path):
    plain = values(loaded)
    with (
        intervention(loaded),
        pytest.warns(UserWarning, match="neither read nor written: hooks are registered"),
    ):
        steered = values(loaded, tmp_path)
    assert np.abs(steered - plain).max() > 1
    np.testing.assert_array_equal(values(loaded, tmp_path), plain)
    with intervention(loaded), pytest.warns(UserWarning, match="neither read nor written"):
        np.testing.assert_array_equal(
            values(loaded, tmp_path), steered
        )  # and the plain ones are not handed out


@pytest.mark.parametrize("register", ["register_forward_hook", "register_forward_pre_hook"])
def test_a_hook_of_the_users_own_bypasses_the_store(loaded, tmp_path, register):
    plain = values(loaded)

    def change(_module, *args):
        return args[-1] + 5 if register == "register_forward_hook" else (args[0][0] + 5, *args[0][1:])

    handle = getattr(loaded.model.model.layers[1], register)(change)
    with pytest.warns(UserWarning, match="neither read nor written"):
        values(loaded, tmp_path)
    handle.remove()
    np.testing.assert_array_equal(values(loaded, tmp_path), plain)


def test_hooks_that_transformers_leaves_behind_do_not_matter(loaded, tmp_path):
    loaded.model(torch.tensor([[5, 6, 7]]), output_hidden_states=True)
    values(loaded, tmp_path)  # a warning would fail this test
    assert list(tmp_path.glob("*/*.safetensors"))


@pytest.mark.parametrize("how", ["in place", "through data", "replaced"])
def test_edited_weights_are_not_looked_up_under_the_old_fingerprint(loaded, tmp_path, how):
    values(loaded, tmp_path)
    layer = loaded.model.model.layers[0].mlp.down_proj
    with torch.no_grad():
        if how == "in place":
            layer.weight.mul_(3)
        elif how == "through data":
            layer.weight.data *= 3
        else:
            layer.weight = torch.nn.Parameter(layer.weight * 3, requires_grad=False)
    edited = values(loaded)
    with pytest.warns(UserWarning, match="weights were edited after the stage was loaded"):
        np.testing.assert_array_equal(values(loaded, tmp_path), edited)


def test_two_threads_get_their_own_activations(loaded):
    concepts = [
        probes.Concept(
            name=f"c{k}",
            examples=[
                {"pair": f"p{i}", "label": label, "text": f"the {word} chair {k} {i} was sold"}
                for i in range(60)
                for label, word in ((1, "cheap"), (0, "costly"))
            ],
        )
        for k in range(2)
    ]
    alone = [values(loaded, concept=concept) for concept in concepts]
    together: dict[tuple[int, int], np.ndarray] = {}

    def run(attempt, k):
        together[attempt, k] = values(loaded, concept=concepts[k])

    for attempt in range(3):
        threads = [threading.Thread(target=run, args=(attempt, k)) for k in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(together) == 6
    for (_, k), found in together.items():
        np.testing.assert_array_equal(found, alone[k])


def one_shard(store):
    [shard] = store.glob("*/*.safetensors")
    return shard


@pytest.mark.parametrize("damage", ["one bit", "a zeroed tail", "cut off", "a header of zeros"])
def test_damage_is_found_said_and_computed_again(loaded, tmp_path, damage):
    plain = values(loaded, tmp_path)
    shard = one_shard(tmp_path)
    content = bytearray(shard.read_bytes())
    start = 8 + int.from_bytes(content[:8], "little")
    if damage == "one bit":
        content[start + 103] ^= 4
    elif damage == "a zeroed tail":
        content[-4000:] = bytes(4000)
    elif damage == "cut off":
        del content[-100:]
    else:
        content[:64] = bytes(64)
    shard.write_bytes(content)
    with pytest.warns(UserWarning, match="damaged"):
        np.testing.assert_array_equal(values(loaded, tmp_path), plain)


def test_a_shard_that_another_process_is_writing_is_left_alone(loaded, tmp_path):
    plain = values(loaded, tmp_path)
    shard = one_shard(tmp_path)
    (shard.parent / f".{'0' * 32}-abcd.safetensors").write_bytes(b"")
    np.testing.assert_array_equal(values(loaded, tmp_path), plain)  # a warning would fail this test
    moved = shard.parent / f".{shard.stem}-abcd.safetensors"
    shard.rename(moved)
    np.testing.assert_array_equal(values(loaded, tmp_path), plain)
    moved.rename(shard)
    np.testing.assert_array_equal(values(loaded, tmp_path), plain)


def test_a_shard_that_goes_away_after_it_was_indexed_is_computed_again(loaded, tmp_path, monkeypatch):
    plain = values(loaded, tmp_path)
    index = Store.shelf

    def shelf_of_a_moment_ago(self, identity):
        shelf = index(self, identity)
        shutil.rmtree(shelf.folder)
        shelf.folder.mkdir()
        return shelf

    monkeypatch.setattr(Store, "shelf", shelf_of_a_moment_ago)
    with pytest.warns(UserWarning, match="damaged"):
        np.testing.assert_array_equal(values(loaded, tmp_path), plain)
