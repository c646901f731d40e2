"""The hub, for real: huggingface_hub, PEFT and transformers against a local server with its protocol."""

import json
import os
import re
import socket
import subprocess
import sys

import pytest
import torch
from huggingface_hub import constants
from peft import PeftModel

from probes.errors import CheckpointError, OfflineError, OutputError
from probes.lineage import check
from tests.checkpoint_makers import lineage_of, logits, refused
from tests.hub_server import TOKEN, Hub, another_process, serving
from tests.makers import lora_adapter, tiny_llama, tiny_tokenizer

OWN_TEMPLATE = "{% for m in messages %}[{{ m['role'] }}] {{ m['content'] }}{% endfor %}"


@pytest.fixture(scope="module")
def content(tmp_path_factory):
    """Folders as `save_pretrained` writes them, and the logits that each stage must give."""
    root, expected = tmp_path_factory.mktemp("content"), {}
    for seed, name in enumerate(("early", "late", "sharded", "nested/runs/checkpoint-4"), 1):
        model = tiny_llama(seed=seed)
        model.save_pretrained(root / name, max_shard_size="30KB" if name == "sharded" else "1GB")
        tiny_tokenizer().save_pretrained(root / name)
        (root / name / "README.md").write_text("a card")
        expected[name] = logits(model)
    lora_adapter(root / "adapter", tiny_llama(seed=2), seed=7)
    config = json.loads((root / "adapter" / "adapter_config.json").read_text())
    config["base_model_name_or_path"] = "org/elsewhere"
    (root / "adapter" / "adapter_config.json").write_text(json.dumps(config))
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = OWN_TEMPLATE
    tokenizer.save_pretrained(root / "adapter")
    expected["adapter"] = logits(PeftModel.from_pretrained(tiny_llama(seed=2), str(root / "adapter")).eval())
    return root, expected


@pytest.fixture(scope="module")
def server(content):
    root, _ = content
    early = {file.name: file.read_bytes() for file in (root / "early").iterdir()}
    pickled = {name: data for name, data in early.items() if not name.endswith(".safetensors")}
    torch.save(tiny_llama(seed=1).state_dict(), root / "pytorch_model.bin")
    pickled["pytorch_model.bin"] = (root / "pytorch_model.bin").read_bytes()
    with Hub() as hub:
        hub.commit("org/model", {"README.md": b"the checkpoints are in the branches"})
        hub.commit("org/model", root / "early", "stage1-step10")
        hub.commit("org/model", root / "late", "stage2/step20")
        hub.commit(
            "org/model", {k: v for k, v in early.items() if k.startswith(("config", "model"))}, "no-tokenizer"
        )
        hub.commit("org/sharded", root / "sharded")
        hub.commit("org/nested", root / "nested")
        hub.commit("org/adapter", root / "adapter")
        hub.commit("org/gated", root / "early", gated=True)
        hub.commit("org/pickled", pickled)
        yield hub


@pytest.fixture
def hub(server, tmp_path, monkeypatch):
    """The server with an empty log, this process being its client: an empty cache and nobody logged in."""
    server.log.clear()
    server.cut.clear()
    with serving(server, tmp_path, monkeypatch):
        yield server
    server.failing = None


def offline(monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    another_process(monkeypatch)


def stage_of(folder, checkpoint):
    return lineage_of(folder, base=f"checkpoint = {{ {checkpoint} }}")["base"]


def same(loaded, expected):
    """To the rounding between an adapter merged and one that is not, which differs by processor."""
    torch.testing.assert_close(logits(loaded.model), expected, rtol=1e-4, atol=1e-4)


CHAIN = {
    "early": 'checkpoint = { hub = "org/model", revision = "stage1-step10" }',
    "late": 'checkpoint = { hub = "org/model", revision = "stage2/step20" }\nparent = "early"',
    "adapter": 'checkpoint = { adapter = "org/adapter", onto = "late" }\nparent = "late"',
}


def test_revisions_and_an_adapter_with_its_own_tokenizer(hub, content, tmp_path):
    lineage = lineage_of(tmp_path, **CHAIN)
    for name in CHAIN:
        same(lineage[name].load(device="cpu"), content[1][name])
    assert lineage["adapter"].load(device="cpu").tokenizer.chat_template == OWN_TEMPLATE
    assert lineage["late"].load(device="cpu").tokenizer.chat_template != OWN_TEMPLATE
    assert len({stage.fingerprint() for stage in lineage}) == 3
    fetched = hub.fetched()
    assert fetched.count("model.safetensors") == 2
    assert fetched.count("adapter_model.safetensors") == 1
    assert "README.md" not in fetched
    assert not [request for request in hub.log if "org/elsewhere" in request.path]


def test_subfolder(hub, content, tmp_path):
    stage = stage_of(tmp_path, 'hub = "org/nested", subfolder = "runs/checkpoint-4"')
    same(stage.load(device="cpu"), content[1]["nested/runs/checkpoint-4"])
    assert "hub org/nested: holds no weights there (expected config.json); name a revision or subfolder" in (
        refused(CheckpointError, stage_of(tmp_path, 'hub = "org/nested"'))
    )


def test_a_broken_connection_is_resumed_where_it_broke(hub, content, tmp_path, monkeypatch):
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 500)
    shard = "model-00002-of-00006.safetensors"
    hub.cut[shard] = (1000, 1)
    same(stage_of(tmp_path, 'hub = "org/sharded"').load(device="cpu"), content[1]["sharded"])
    ranges = [r.range for r in hub.log if r.method == "GET" and r.path.endswith(shard)]
    assert ranges == [None, "bytes=1000-"]


def test_a_download_that_broke_off_goes_on_with_the_files_it_lacks(hub, content, tmp_path, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda _: None)
    shard = "model-00002-of-00006.safetensors"
    hub.cut[shard] = (0, 100)
    stage = stage_of(tmp_path, 'hub = "org/sharded"')
    message = refused(OfflineError, stage)
    assert message.startswith("hub org/sharded: the download broke off (RemoteProtocolError: ")
    assert "try again: files that are complete are kept" in message
    assert hub.fetched("00001-of-00006.safetensors")
    hub.cut.clear()
    hub.log.clear()
    with monkeypatch.context() as unplugged:
        offline(unplugged)
        message = refused(OfflineError, stage)
        assert message.startswith("hub org/sharded: only partly in the local cache and HF_HUB_OFFLINE is set")
    size = (content[0] / "sharded" / shard).stat().st_size
    (result,) = check(stage.lineage)
    assert result.what.startswith(f"to download: {size:,} bytes; not loaded: ")
    same(stage.load(device="cpu"), content[1]["sharded"])
    assert hub.fetched(".safetensors") == [shard]


def test_gated(hub, content, tmp_path, monkeypatch):
    stage = stage_of(tmp_path, 'hub = "org/gated"')
    message = "hub org/gated: access is restricted; accept its conditions on the hub, then `hf auth login`"
    assert refused(CheckpointError, stage) == message
    (result,) = check(stage.lineage, download=True)
    assert (result.level, result.what) == ("error", message)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    same(stage.load(device="cpu"), content[1]["early"])


@pytest.mark.parametrize(
    ("checkpoint", "message"),
    [
        (
            'hub = "org/nothing"',
            "hub org/nothing: no such repository, or a private one: check the name, or `hf auth login`",
        ),
        (
            'hub = "org/model", revision = "stage3"',
            "hub org/model@stage3: no revision 'stage3' in org/model; its branches and tags are on the hub "
            "page",
        ),
        ('hub = "org/a/b"', "hub 'org/a/b': not a repository id: expected org/name"),
        (
            'hub = "org/model"',
            "hub org/model: holds no weights there (expected config.json); name a revision or subfolder that "
            "does",
        ),
        (
            'hub = "org/pickled"',
            "hub org/pickled: holds only pickled weights (pytorch_model.bin), which can run any code when "
            "opened; use a revision with safetensors, or load the stage with allow_pickle=True if you trust "
            "it",
        ),
        (
            'hub = "org/adapter"',
            "hub org/adapter: holds no weights there (expected config.json); name a revision or subfolder "
            "that does",
        ),
    ],
)
@pytest.mark.parametrize("token", ["", TOKEN], ids=["anonymous", "logged-in"])
def test_what_is_not_there_is_one_line(hub, tmp_path, monkeypatch, checkpoint, message, token):
    if token:
        monkeypatch.setenv("HF_TOKEN", token)
    stage = stage_of(tmp_path, checkpoint)
    assert refused(CheckpointError, stage) == message
    (result,) = check(stage.lineage)
    assert (result.level, result.what) == ("error", message)
    assert hub.fetched() == []


def test_pickles_are_read_when_asked_for(hub, content, tmp_path):
    stage = stage_of(tmp_path, 'hub = "org/pickled"')
    assert "to download: " in check(stage.lineage, allow_pickle=True)[0].what
    same(stage.load(device="cpu", allow_pickle=True), content[1]["early"])


def test_a_checkpoint_without_tokenizer_is_read_with_its_parents(hub, content, tmp_path, monkeypatch):
    bare = 'checkpoint = { hub = "org/model", revision = "no-tokenizer" }\nparent = "early"'
    lineage = lineage_of(tmp_path, early=CHAIN["early"], bare=bare)
    for _ in range(2):
        loaded = lineage["bare"].load(device="cpu")
        same(loaded, content[1]["early"])
        assert loaded.tokenizer.get_vocab() == tiny_tokenizer().get_vocab()
        offline(monkeypatch)


def test_the_cache_is_used_without_a_connection(hub, content, tmp_path, monkeypatch):
    lineage = lineage_of(tmp_path, **CHAIN)
    fingerprints = {stage.name: stage.load(device="cpu").fingerprint for stage in lineage}
    hub.log.clear()
    hub.failing = 503
    another_process(monkeypatch)
    same(lineage["adapter"].load(device="cpu"), content[1]["adapter"])
    hub.failing = None
    hub.log.clear()
    offline(monkeypatch)
    for name in CHAIN:
        loaded = lineage[name].load(device="cpu")
        same(loaded, content[1][name])
        assert loaded.fingerprint == fingerprints[name]
    results = check(lineage)
    assert {f.level for f in results} == {"ok", "note"}
    assert any("the hub cannot be asked" in f.what for f in results)
    assert hub.log == []


def test_what_the_cache_lacks_is_one_line(hub, tmp_path, monkeypatch):
    stage = stage_of(tmp_path, 'hub = "org/model", revision = "stage1-step10"')
    hub.failing = 503
    assert refused(OfflineError, stage).startswith(
        "hub org/model@stage1-step10: not in the local cache and the hub answered 503; connect, or run "
        "`hf download org/model --revision stage1-step10` where"
    )
    hub.failing = None
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    assert "not in the local cache and the hub cannot be reached (ConnectError)" in (
        refused(OfflineError, stage)
    )
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{silent.getsockname()[1]}")
        monkeypatch.setattr(constants, "HF_HUB_ETAG_TIMEOUT", 0.5)
        assert "the hub cannot be reached (ReadTimeout)" in refused(OfflineError, stage)
    offline(monkeypatch)
    assert "not in the local cache and HF_HUB_OFFLINE is set" in refused(OfflineError, stage)
    nested = stage_of(tmp_path, 'hub = "org/nested", subfolder = "runs/checkpoint-4"')
    assert "`hf download org/nested --include 'runs/checkpoint-4/*'`" in refused(OfflineError, nested)


def test_a_cache_that_cannot_be_written(hub, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "file" / "hub"))
    message = refused(OutputError, stage_of(tmp_path, 'hub = "org/sharded"'))
    assert re.match(r"hub org/sharded: the hub cache .*/file/hub cannot be written: Not a dir", message)


def test_check_tells_the_size_and_downloads_nothing(hub, content, tmp_path, monkeypatch):
    root = content[0]
    wanted = {
        "early": sum(f.stat().st_size for f in (root / "early").iterdir() if f.name != "README.md"),
        "late": sum(f.stat().st_size for f in (root / "late").iterdir() if f.name != "README.md"),
        "adapter": sum(f.stat().st_size for f in (root / "adapter").iterdir() if f.name != "README.md"),
    }
    lineage = lineage_of(tmp_path, **CHAIN)
    for lin, total in ((lineage, wanted), (lineage.subset(["adapter"]), {"adapter": None})):
        results = check(lin)
        assert [f.stage for f in results] == list(total)
        for result, size in zip(results, total.values(), strict=True):
            size = size or wanted["late"] + wanted["adapter"]
            assert result.what.startswith(f"to download: {size:,} bytes; not loaded: ")
    assert hub.fetched() == []
    results = check(lineage, download=True, device="cpu")
    assert {f.level for f in results} == {"ok", "note"}
    assert "loads: LlamaForCausalLM" in str(results)
    assert any(f.stage == "adapter" and "the adapter changes the logits of late" in f.what for f in results)
    assert any("chat template differs" in f.what for f in results if f.stage == "adapter")
    hub.log.clear()
    another_process(monkeypatch)
    assert [f.what for f in check(lineage) if "download" in f.what] == ["to download: 0 bytes"] * 3
    assert hub.fetched() == []


def test_a_branch_that_moves(hub, content, tmp_path, monkeypatch):
    hub.commit("org/moving", content[0] / "early")
    stage = stage_of(tmp_path, 'hub = "org/moving"')
    first = stage.load(device="cpu").fingerprint
    hub.commit("org/moving", content[0] / "late")
    assert stage.load(device="cpu").fingerprint == first
    another_process(monkeypatch)
    assert "not loaded" in str(check(stage.lineage))
    loaded = stage.load(device="cpu")
    assert loaded.fingerprint != first
    same(loaded, content[1]["late"])


@pytest.mark.slow
def test_the_command_in_a_process_of_its_own(server, tmp_path):
    lineage_of(tmp_path, **CHAIN)
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "HUGGING", "TRANSFORMERS_"))}
    online = inherited | {"HF_ENDPOINT": server.url, "HF_HOME": str(tmp_path / "hf"), "NO_PROXY": "127.0.0.1"}
    command = [sys.executable, "-m", "probes.cli", "lineage", "check", str(tmp_path), "--quiet"]
    server.log.clear()
    done = subprocess.run(command, env=online, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert [line.split()[:2] for line in lines] == [["note", name] for name in CHAIN]
    assert all(re.search(r"to download: [\d,]+ bytes; not loaded", line) for line in lines)
    assert server.fetched() == []
    cut_off = online | {"HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, env=cut_off, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "")
    lines = done.stdout.splitlines()
    assert [line.split()[:2] for line in lines] == [["error", name] for name in CHAIN]
    assert all("not in the local cache and HF_HUB_OFFLINE is set" in line for line in lines)
