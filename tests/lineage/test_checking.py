"""`check` of a sound lineage and of one with every kind of mistake."""

import json

from transformers import BartConfig, BartForConditionalGeneration, MambaConfig, MambaForCausalLM

from probes.lineage import check
from tests.checkpoint_makers import (
    OTHER_TEMPLATE,
    TEMPLATE,
    lineage_of,
    make_adapter,
    make_model,
    make_tokenizer,
    of_adapter,
    of_folder,
)


def levels(results, level):
    return [(result.stage, result.what) for result in results if result.level == level]


def test_check_of_a_sound_lineage(folder):
    lineage = lineage_of(
        folder, base=of_folder(), first=of_adapter(), second=of_adapter("second", "first", 'parent = "first"')
    )
    results = check(lineage, device="cpu")
    assert {result.level for result in results} == {"ok"}
    lines = [result.what for result in results if result.stage == "second"]
    assert lines[0] == "to download: 0 bytes"
    assert lines[1] == "loads: LlamaForCausalLM, 32 hidden size, 2 layers, 320 embedding rows"
    assert lines[2] == "tokenizer and chat template as first"
    assert lines[3].startswith("the adapter changes the logits of first by ")
    assert str(results[0]) == "ok     base: to download: 0 bytes"


def test_check_reports_what_is_wrong(folder):
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
    results = check(lineage, device="cpu")
    wrong = dict(levels(results, "error"))
    assert set(wrong) == {"idle", "deeper", "gone", "far"}
    assert wrong["idle"].startswith("the adapter does nothing: logits differ from base by 0 (relative)")
    assert wrong["deeper"] == "3 layers, its parent base has 2"
    assert "no such folder" in wrong["gone"]
    assert "org/far: not in the local cache" in wrong["far"]
    notes = levels(results, "note")
    assert [result.level for result in results if result.stage == "far"] == ["error"]
    assert ("deeper", "400 embedding rows, its parent base has 320") in notes
    lines = [what for name, what in notes if name == "deeper"]
    assert any("tokenizer against base: 20 tokens differ" in what for what in lines)
    column = TEMPLATE.index("<end>") + 2
    assert any(f"chat template differs (first at line 1, column {column}: " in what for what in lines)
    quick = check(lineage, quick=True)
    assert set(dict(levels(quick, "error"))) == {"deeper", "gone", "far"}  # an idle adapter takes a forward
    assert dict(levels(quick, "error"))["deeper"] == "3 layers, its parent base has 2"
    assert ("idle", "tokenizer loads: 300 ids") in levels(quick, "ok")
    assert any("20 tokens differ" in what for _, what in levels(quick, "note"))


def test_a_quick_check_finds_misfits_without_loading_a_model(folder):
    """What loading refuses, by configs and headers alone."""
    make_adapter(make_model(rows=320)).save_pretrained(folder / "fits")
    make_adapter(make_model(width=64)).save_pretrained(folder / "wide")
    mamba = MambaConfig(vocab_size=320, hidden_size=32, state_size=4, num_hidden_layers=2)
    MambaForCausalLM(mamba).save_pretrained(folder / "mamba")
    bart = BartConfig(vocab_size=320, d_model=32, encoder_layers=1, decoder_layers=1)
    BartForConditionalGeneration(bart).save_pretrained(folder / "bart")
    make_model().save_pretrained(folder / "mixed")
    config = json.loads((folder / "mixed" / "config.json").read_text())
    (folder / "mixed" / "config.json").write_text(json.dumps(config | {"intermediate_size": 24}))
    for name in ("mamba", "bart", "mixed"):
        make_tokenizer(300, TEMPLATE).save_pretrained(folder / name)
    lineage = lineage_of(
        folder,
        base=of_folder(),
        fits=of_adapter("fits"),
        wide=of_adapter("wide"),
        mamba=of_folder("mamba", 'parent = "base"'),
        bart=of_folder("bart", 'parent = "base"'),
        mixed=of_folder("mixed", 'parent = "base"'),
    )
    quick, full = (dict(levels(check(lineage, quick=q, device="cpu"), "error")) for q in (True, False))
    assert set(quick) == set(full) == {"wide", "mamba", "bart", "mixed"}
    assert "has output width 64, stage base (LlamaForCausalLM) has 32" in quick["wide"]
    assert "has no attention heads" in quick["mamba"]
    assert "which is an encoder-decoder" in quick["bart"]
    assert "weights and config.json belong to different models" in quick["mixed"]
    assert quick == full
