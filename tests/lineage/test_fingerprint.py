"""Fingerprints follow the content of files and nothing else."""

import shutil

from probes.lineage import load_lineage
from tests.checkpoint_makers import lineage_of, of_adapter, of_folder


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
