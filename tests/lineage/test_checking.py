"""`check` of a sound lineage and of one with every kind of mistake."""

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
    assert set(dict(levels(quick, "error"))) == {"gone", "far"}
    assert ("idle", "tokenizer loads: 300 ids") in levels(quick, "ok")
    assert any("20 tokens differ" in what for _, what in levels(quick, "note"))
