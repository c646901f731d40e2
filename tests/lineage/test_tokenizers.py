"""Which tokenizer a stage gets, and how two of them differ."""

from probes.errors import CheckpointError, TokenizerError
from probes.lineage.tokenizer_differences import tokenizer_differences
from tests.checkpoint_makers import OTHER_TEMPLATE, lineage_of, make_tokenizer, of_adapter, of_folder, refused


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


def test_tokenizer_differences():
    plain = make_tokenizer()
    assert tokenizer_differences(plain, make_tokenizer()) == []
    marked = make_tokenizer(template=None)
    marked.eos_token = "<end>"
    assert tokenizer_differences(marked, plain) == [
        "eos_token is '<end>', not '</s>'",
        "it has no chat template",
    ]
