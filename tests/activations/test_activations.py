"""Extraction against transformers' own forward, the store, and what must be refused."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM, AutoTokenizer

import probes
from probes.activations import Activations, Store, extract_many
from probes.errors import ConceptError, InputError, OutputError, SiteError, TokenizerError
from probes.lineage import LoadedStage
from probes.models.transformers_backend import TransformersBackend
from tests.makers import tiny_llama, tiny_tokenizer

TEXTS = [
    "the cheap old chair",
    "the costly fancy table was sold near Ohio .",
    "a lamp",
    "would you choose the red book or not",
]


@pytest.fixture
def loaded():
    return LoadedStage.from_model(tiny_llama(seed=7), tiny_tokenizer(), name="tiny")


@pytest.fixture
def concept():
    frame = pd.DataFrame(
        {"text": TEXTS * 2, "label": [0, 1] * 4, "pair": ["a", "a", "b", "b", "c", "c", "d", "d"]}
    )
    return probes.Concept.from_frame(frame, pair="pair", name="prices")


def reference(loaded, text):
    """`[layer, token, d_model]` after each block, from transformers alone, one text at a time."""
    ids = loaded.tokenizer(text, return_tensors="pt")["input_ids"]
    kept = []
    hooks = [
        block.register_forward_hook(lambda m, i, o: kept.append(o[0] if isinstance(o, tuple) else o))
        for block in loaded.model.model.layers
    ]
    with torch.no_grad():
        loaded.model(ids)
    for hook in hooks:
        hook.remove()
    return torch.cat(kept).float().numpy()


@pytest.mark.parametrize("batch_tokens", [1, 20, 4096])
def test_values_equal_transformers(loaded, concept, batch_tokens):
    found = extract_many(
        loaded, concept, positions=["last", "mean", "all"], batch_tokens=batch_tokens, progress=False
    )
    row = 0
    for i, text in enumerate(concept.texts(loaded.tokenizer)):
        expected = reference(loaded, text)
        close = {"rtol": 0, "atol": 1e-5 * np.abs(expected).max()}
        np.testing.assert_allclose(found["resid_post", "last"].values[:, i], expected[:, -1], **close)
        np.testing.assert_allclose(found["resid_post", "mean"].values[:, i], expected[:, 1:].mean(1), **close)
        n = expected.shape[1]
        np.testing.assert_allclose(found["resid_post", "all"].values[:, row : row + n], expected, **close)
        row += n
    assert found["resid_post", "all"].labels.shape == (row,)


def test_means_of_half_precision_are_taken_in_single_precision(concept):
    loaded = LoadedStage.from_model(tiny_llama(seed=7).to(torch.bfloat16), tiny_tokenizer(), name="tiny")
    found = extract_many(loaded, concept, positions=["last", "mean"], batch_tokens=1, progress=False)
    for i, text in enumerate(TEXTS):
        states = reference(loaded, text)
        np.testing.assert_array_equal(found["resid_post", "last"].values[:, i], states[:, -1])
        means = states[:, 1:].astype(np.float64).mean(1)
        np.testing.assert_allclose(found["resid_post", "mean"].values[:, i], means, rtol=1e-5, atol=1e-6)


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
        lambda _m, _a, given: ran.append(given["input_ids"].numel()), with_kwargs=True
    )
    found = extract_many(
        loaded, concept, sites=["resid_post", "z"], positions=["last", "mean"], controls=(), progress=False
    )
    hook.remove()
    for i, text in enumerate(concept.texts(loaded.tokenizer)):
        expected = reference(loaded, text)
        close = {"rtol": 0, "atol": 1e-5 * np.abs(expected).max()}
        np.testing.assert_allclose(found["resid_post", "last"].values[:, i], expected[:, -1], **close)
        np.testing.assert_allclose(found["resid_post", "mean"].values[:, i], expected[:, 1:].mean(1), **close)
    assert ran[-1] < 0.6 * sum(len(loaded.tokenizer(text)["input_ids"]) for text in texts)


def test_rows_keep_the_concepts_order_and_labels(loaded, concept):
    acts = probes.extract(loaded, concept, progress=False)
    assert acts.labels.tolist() == [0, 1] * 4
    assert acts.groups.tolist() == ["a", "a", "b", "b", "c", "c", "d", "d"]
    assert acts.layers == [0, 1, 2]
    assert acts.n_pairs == 4
    np.testing.assert_array_equal(acts.values[:, :4], acts.values[:, 4:])


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


def test_controls_are_what_they_say(loaded, concept):
    acts = probes.extract(loaded, concept, position="mean", progress=False)
    ids = loaded.tokenizer(TEXTS[1])["input_ids"]
    table = loaded.model.get_input_embeddings().weight
    np.testing.assert_allclose(acts.controls["embedding"][1], table[ids].mean(0).numpy(), atol=1e-6)
    assert acts.controls["random_init"].shape == acts.values.shape
    assert not np.allclose(acts.controls["random_init"], acts.values)
    again = probes.extract(loaded, concept, position="mean", progress=False)
    np.testing.assert_array_equal(again.controls["random_init"], acts.controls["random_init"])


def test_evidence_span_and_decision_point(loaded):
    frame = [
        {"pair": "p", "label": 1, "text": "the cheap old chair", "evidence": [[4, 9]]},
        {"pair": "p", "label": 0, "text": "the costly old chair", "evidence": [[4, 10]]},
    ]
    concept = probes.Concept(name="spans", examples=frame)
    acts = probes.extract(loaded, concept, position="span", progress=False)
    encoded = loaded.tokenizer(frame[0]["text"], return_offsets_mapping=True)
    inside = [i for i, (s, e) in enumerate(encoded["offset_mapping"]) if s < 9 and e > 4]
    expected = reference(loaded, frame[0]["text"])[:, inside].mean(1)
    np.testing.assert_allclose(acts.values[:, 0], expected, atol=1e-5)
    rest = probes.extract(loaded, concept, position="outside", progress=False)
    others = [i for i in range(1, len(encoded["input_ids"])) if i not in inside]
    expected = reference(loaded, frame[0]["text"])[:, others].mean(1)
    np.testing.assert_allclose(rest.values[:, 0], expected, atol=1e-5)
    whole = [row | {"evidence": [[0, len(row["text"])]]} for row in frame]
    with pytest.raises(ConceptError, match="nothing is outside them"):
        probes.extract(
            loaded, probes.Concept(name="whole", examples=whole), position="outside", progress=False
        )

    chats = [
        {
            "pair": "p",
            "label": label,
            "messages": [
                {"role": "user", "content": "which would you choose"},
                {"role": "assistant", "content": answer},
            ],
        }
        for label, answer in [(1, "the cheap chair"), (0, "the costly chair")]
    ]
    concept = probes.Concept(name="chats", examples=chats)
    acts = probes.extract(loaded, concept, position="decision", progress=False)
    np.testing.assert_allclose(acts.values[:, 0], acts.values[:, 1], atol=1e-5)  # the answer is not read
    prompt = loaded.tokenizer.apply_chat_template(
        chats[0]["messages"][:-1], tokenize=False, add_generation_prompt=True
    )
    np.testing.assert_allclose(acts.values[:, 0], reference(loaded, prompt)[:, -1], atol=1e-5)

    acts = probes.extract(loaded, concept, position="answer", progress=False)
    start = len(loaded.tokenizer(prompt)["input_ids"])
    expected = reference(loaded, concept.texts(loaded.tokenizer)[1])[:, start:].mean(1)
    np.testing.assert_allclose(acts.values[:, 1], expected, atol=1e-5)
    plain = probes.Concept(name="plain", examples=frame)
    read = [probes.extract(loaded, plain, position=p, progress=False).values for p in ("answer", "mean")]
    np.testing.assert_array_equal(*read)


def test_store_reads_what_is_there_and_resumes(loaded, concept, tmp_path, monkeypatch):
    first = probes.extract(loaded, concept, store=tmp_path, progress=False)
    monkeypatch.setattr(TransformersBackend, "read", lambda *a: pytest.fail("computed again"))
    again = probes.extract(loaded, concept, store=tmp_path, progress=False)
    np.testing.assert_array_equal(first.values, again.values)
    np.testing.assert_array_equal(first.controls["random_init"], again.controls["random_init"])
    some = probes.extract(loaded, concept, layers=[1], store=tmp_path, progress=False)
    np.testing.assert_array_equal(some.values[0], first.values[1])


def test_other_weights_are_a_miss(concept, tmp_path):
    stages = [LoadedStage.from_model(tiny_llama(seed), tiny_tokenizer(), name="same name") for seed in (0, 1)]
    one, two = (probes.extract(s, concept, store=tmp_path, progress=False) for s in stages)
    assert one.digest != two.digest
    assert not np.allclose(one.values, two.values)


def test_interrupted_extraction_keeps_its_rows(loaded, concept, tmp_path, monkeypatch):
    from probes.activations import passes

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


def test_save_and_load(loaded, concept, tmp_path):
    acts = probes.extract(loaded, concept, progress=False)
    acts.save(tmp_path / "acts.safetensors")
    back = Activations.load(tmp_path / "acts.safetensors")
    np.testing.assert_array_equal(acts.values, back.values)
    assert back.texts == acts.texts
    assert back.digest == acts.digest
    assert back.splits.tolist() == acts.splits.tolist()
    (tmp_path / "x.safetensors").write_text("nothing")
    with pytest.raises(InputError, match="not a file of activations"):
        Activations.load(tmp_path / "x.safetensors")


def test_shared_ids_need_the_same_meaning(tmp_path):
    raw = json.loads(tiny_tokenizer().backend_tokenizer.to_str())
    vocab = raw["model"]["vocab"]
    vocab["t"], vocab["c"] = vocab["c"], vocab["t"]
    swapped = tiny_tokenizer()
    swapped = type(swapped)(tokenizer_object=Tokenizer.from_str(json.dumps(raw)), pad_token="<|pad|>")
    for name, tokenizer in (("root", tiny_tokenizer()), ("child", swapped)):
        tiny_llama().save_pretrained(tmp_path / name)
        tokenizer.save_pretrained(tmp_path / name)
    (tmp_path / "lineage.toml").write_text(
        '[lineage]\nname = "letters"\n'
        '[stages.root]\nkind = "pretrain"\ncheckpoint = { path = "root" }\n'
        '[stages.child]\nkind = "sft"\nparent = "root"\ncheckpoint = { path = "child" }\n'
    )
    child = probes.load_lineage(tmp_path)["child"]
    bare = probes.Concept.from_frame(pd.DataFrame({"text": ["t c", "c t"], "label": [0, 1]}), name="letters")
    with pytest.raises(TokenizerError, match='use render="own"'):
        probes.extract(child, bare, progress=False)
    acts = probes.extract(child, bare, render="own", progress=False)
    assert (acts.render, acts.lineage) == ("own", "letters")


def test_refusals(loaded, concept, tmp_path):
    with pytest.raises(SiteError, match="layer 9 does not exist: the model has 3 blocks, 0 to 2"):
        probes.extract(loaded, concept, layers=[9], progress=False)
    with pytest.raises(SiteError, match="'nowhere' is not known"):
        probes.extract(loaded, concept, sites="nowhere", progress=False)
    with pytest.raises(InputError, match="position 'middle' is not known"):
        probes.extract(loaded, concept, position="middle", progress=False)
    with pytest.raises(ConceptError, match='"decision" needs messages'):
        probes.extract(loaded, concept, position="decision", progress=False)
    with pytest.raises(ConceptError, match='"span" needs a plain text with evidence'):
        probes.extract(loaded, concept, position="span", progress=False)
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        probes.extract(loaded, concept, store=Store(blocked / "store"), progress=False)
    long = probes.Concept.from_frame(
        pd.DataFrame({"text": ["the chair " * 200, "a lamp"], "label": [0, 1]}), name="long"
    )
    with pytest.raises(ConceptError, match="context window is 128: shorten the text, or cut it"):
        probes.extract(loaded, long, progress=False)
    assert probes.extract(loaded, long, truncate=True, progress=False).values.shape == (3, 2, 32)
