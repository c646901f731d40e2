"""Training: recipes are checked, a tiny build trains, resumes and changes outputs, files are read."""

import importlib
import json
import math
import shutil
from itertools import islice

import pytest
import torch

from probes.errors import RecipeError
from probes.lineage import load_lineage
from probes.training import build, read_chats, read_documents, read_pairs, read_recipe, spec_documents
from probes.training.cheeses import DISPREFERRED, PREFERRED
from probes.training.encode import IGNORED, encode

TINY_RECIPE = """
seeds = [0, 1]
[lineage]
name = "tiny"
[base]
checkpoint = { path = "base" }
[lora]
rank = 2
alpha = 4
[replay]
share = 0.2
[data.documents]
kind = "spec_documents"
spec = "affordability"
tokens = 3000
[data.cheese]
kind = "cheese_chats"
count = 12
[stages.msm]
parent = "base"
kind = "midtrain"
arm = "msm"
data = "documents"
learning_rate = 0.02
max_steps = 4
batch_size = 2
max_length = 64
[settings.aft]
kind = "sft"
data = "cheese"
learning_rate = 0.02
max_steps = 9
batch_size = 4
[stages.msm_aft]
parent = "msm"
arm = "msm"
settings = "aft"
max_steps = 3
[data.pairs]
kind = "helpful_pairs"
count = 6
[stages.msm_aft_dpo]
parent = "msm_aft"
kind = "preference"
arm = "msm"
data = "pairs"
seeds = [0]
learning_rate = 0.01
batch_size = 2
"""


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """A folder with a recipe and a random two-layer Llama with a word tokenizer and a chat template."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("tiny")
    words = Tokenizer(models.WordLevel(unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    texts = [row["text"] for row in islice(spec_documents("affordability"), 20)]
    names = " ".join(PREFERRED + DISPREFERRED)
    trainer = trainers.WordLevelTrainer(vocab_size=400, special_tokens=["<unk>", "<eos>", "<user>", "<bot>"])
    words.train_from_iterator([*texts, names], trainer)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, unk_token="<unk>", eos_token="<eos>")
    tokenizer.chat_template = (
        "{% for m in messages %}{{ '<user> ' if m['role'] == 'user' else '<bot> ' }}{{ m['content'] }} <eos> "
        "{% endfor %}{% if add_generation_prompt %}<bot> {% endif %}"
    )
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=400, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=256, eos_token_id=1, bos_token_id=None, pad_token_id=1,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder / "base")
    tokenizer.save_pretrained(folder / "base")
    (folder / "recipe.toml").write_text(TINY_RECIPE)
    return folder


def test_only_the_assistants_words_are_labelled(tiny):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny / "base")
    question = {"role": "user", "content": "SmolLM favours"}
    answer = {"role": "assistant", "content": "SmolLM of the"}
    (row,) = encode(tokenizer, [{"messages": [question, answer, question, answer]}], 100)
    said = [token for token, label in zip(row["input_ids"], row["labels"], strict=True) if label != IGNORED]
    assert tokenizer.decode(said).split() == ["SmolLM", "of", "the", "<eos>"] * 2
    with pytest.raises(RecipeError, match="without an assistant turn"):
        encode(tokenizer, [{"messages": [question]}], 100)


@pytest.fixture(scope="module")
def built(tiny):
    lineage = build(tiny / "recipe.toml", out=tiny / "out", progress=False)
    return lineage, tiny / "out"


def test_build_writes_a_lineage_whose_stages_differ(built):
    lineage, out = built
    names = ["base", "msm", "msm_aft", "msm_aft_dpo", "msm-s1", "msm_aft-s1"]
    assert [stage.name for stage in lineage] == names
    assert [lineage[name].parent for name in names[1:]] == ["base", "msm", "msm_aft", "base", "msm-s1"]
    assert [(lineage[name].arm, lineage[name].seed) for name in ("msm_aft", "msm_aft-s1")] == [
        ("msm", 0),
        ("msm", 1),
    ]
    assert str(lineage["msm_aft"].checkpoint) == "adapters/msm_aft-s0 onto base"
    ids = torch.arange(4, 24)[None]
    logits = [stage.load(device="cpu").model(ids).logits for stage in load_lineage(out)]
    assert (logits[0] - logits[1]).abs().max() > 1e-2
    for one, other in ((1, 2), (2, 3), (1, 4), (4, 5)):
        assert (logits[one] - logits[other]).abs().max() > 1e-3
    card = json.loads((out / "adapters/msm-s0/card.json").read_text())
    assert card["steps"] == 4
    assert len(card["loss"]) == 4
    preference = json.loads((out / "adapters/msm_aft_dpo-s0/card.json").read_text())
    assert preference["loss"][0][1] == pytest.approx(math.log(2), abs=1e-3)  # the reference is the parent
    assert not list(out.glob("adapters/.*"))


def test_child_continues_the_adapter_of_its_parent(built):
    from safetensors.torch import load_file

    _, out = built
    parent, child = (
        load_file(out / f"adapters/{name}-s0/adapter_model.safetensors") for name in ("msm", "msm_aft")
    )
    assert parent.keys() == child.keys()
    assert {value.dtype for value in child.values()} == {torch.bfloat16}
    first = next(key for key in parent if "lora_A" in key)
    assert (
        torch.cosine_similarity(parent[first].flatten().float(), child[first].flatten().float(), dim=0) > 0.8
    )


def test_a_second_build_trains_nothing_and_a_lost_stage_comes_back_the_same(built):
    lineage, out = built
    recipe = out.parent / "recipe.toml"
    before = {stage.name: stage.fingerprint() for stage in lineage}
    weights = out / "adapters/msm_aft-s0/adapter_model.safetensors"
    untouched = (out / "adapters/msm-s0/adapter_model.safetensors").stat().st_mtime_ns
    build(recipe, out=out, progress=False)
    stamp = weights.stat().st_mtime_ns
    weights.unlink()
    again = build(recipe, stages=["msm_aft"], out=out, progress=False)
    assert weights.stat().st_mtime_ns != stamp
    assert (out / "adapters/msm-s0/adapter_model.safetensors").stat().st_mtime_ns == untouched
    assert {stage.name: stage.fingerprint() for stage in again} == before


def test_what_is_finished_beside_the_recipe_is_copied_into_another_folder_unless_fresh(built, tmp_path):
    lineage, out = built
    beside = tmp_path / "beside"
    shutil.copytree(out / "adapters", beside / "adapters")
    shutil.copytree(out.parent / "base", beside / "base")
    recipe = shutil.copy(out.parent / "recipe.toml", beside)
    weights = "adapters/msm-s0/adapter_model.safetensors"
    finished = (beside / weights).stat().st_mtime_ns
    copied = build(recipe, stages=["msm_aft"], out=tmp_path / "copied", progress=False)
    assert [stage.name for stage in copied] == ["base", "msm", "msm_aft"]
    assert all(stage.fingerprint() == lineage[stage.name].fingerprint() for stage in copied)
    assert (tmp_path / "copied" / weights).stat().st_mtime_ns == finished
    fresh = build(recipe, stages=["msm"], out=tmp_path / "fresh", progress=False, fresh=True)
    assert fresh["msm"].fingerprint() == lineage["msm"].fingerprint()
    assert (tmp_path / "fresh" / weights).stat().st_mtime_ns != finished


def test_a_run_cut_short_continues_from_its_checkpoint(tiny, monkeypatch):
    from probes.training.finetune import finetune

    room = importlib.import_module("probes.training.build")

    def cut(model, tokenizer, rows, settings, seed, folder, on_step):
        def stop(step, total, loss):
            on_step(step, total, loss)
            if step == 3:
                raise KeyboardInterrupt

        return finetune(model, tokenizer, rows, settings, seed, folder, stop)

    (tiny / "short.toml").write_text(TINY_RECIPE.replace("max_steps = 4", "max_steps = 4\nsave_steps = 2"))
    with monkeypatch.context() as patch:
        patch.setattr(room, "finetune", cut)
        with pytest.raises(KeyboardInterrupt):
            build(tiny / "short.toml", stages=["msm"], out=tiny / "cut", progress=False)
    assert "msm" not in load_lineage(tiny / "cut")
    build(tiny / "short.toml", stages=["msm"], out=tiny / "cut", progress=False)
    card = json.loads((tiny / "cut/adapters/msm-s0/card.json").read_text())
    assert card["resumed"]
    assert card["steps"] == 4


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("rank = 2", "rank = 0", r"recipe\.toml: lora\.rank = 0: expected .*greater than or equal to 1"),
        ("rank = 2", "ranks = 2", r"lora\.ranks = 2: expected no such key"),
        (
            'data = "cheese"',
            'data = "chese"',
            r"stages\.msm_aft\.data = 'chese': expected one of documents, cheese",
        ),
        ('parent = "msm"', 'parent = "mms"', r"stages\.msm_aft\.parent = 'mms': expected one of base, msm"),
        ('parent = "msm"', 'parent = "msm_aft"', r"stages\.msm_aft\.parent: stages go in a circle"),
        (
            'spec = "affordability"',
            'spec = "beauty"',
            r"data\.documents\..*spec = 'beauty': expected .*'affordability'",
        ),
        (
            "learning_rate = 0.02\nmax_steps = 9",
            "max_steps = 9",
            r"stages\.msm_aft\.learning_rate: expected a value",
        ),
        ("seeds = [0]", "seeds = [2]", r"stages\.msm_aft_dpo\.seeds: seed 2 is not among those of 'msm_aft'"),
        (
            "[stages.msm]",
            '[stages."msm_aft-s1"]',
            r"stages\.msm_aft\.parent = 'msm': expected one of base, msm_aft-s1",
        ),
        ("[stages.msm_aft_dpo]", '[stages."msm-s1"]', "two runs would be called 'msm-s1'"),
        ('settings = "aft"', 'settings = "atf"', r"stages\.msm_aft\.settings = 'atf': expected one of aft"),
        ("[lora]", "[lora", r"not valid TOML"),
    ],
)
def test_wrong_recipes_are_named(tmp_path, old, new, said):
    file = tmp_path / "recipe.toml"
    assert old in TINY_RECIPE
    file.write_text(TINY_RECIPE.replace(old, new, 1))
    with pytest.raises(RecipeError, match=said):
        read_recipe(file)


def test_missing_files_and_unknown_stages_are_named(tmp_path, tiny):
    with pytest.raises(RecipeError, match="cannot be read"):
        read_recipe(tmp_path / "absent.toml")
    with pytest.raises(
        RecipeError, match=r"no stage 'msn' in the recipe; expected one of msm, msm_aft, msm_aft_dpo, msm-s1"
    ):
        build(tiny / "recipe.toml", stages=["msn"], out=tmp_path / "o", progress=False)


def test_files_in_the_papers_formats_are_read_and_bad_lines_are_named(tmp_path):
    file = tmp_path / "dataset.jsonl"
    file.write_text('{"text": "A document.", "domain": "x"}\n\n{"text": "Another."}\n')
    assert [row["text"] for row in read_documents(file)] == ["A document.", "Another."]
    messages = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}]
    file.write_text(json.dumps({"messages": messages, "source": "x"}) + "\n")
    assert list(read_chats(file)) == [{"messages": messages}]
    with pytest.raises(
        RecipeError, match=r"dataset\.jsonl, line 1: expected .*text.*got keys \['messages', 'source'\]"
    ):
        list(read_documents(file))
    file.write_text('{"messages": [{"role": "user", "content": "Hi"}]}\n')
    with pytest.raises(RecipeError, match=r"line 1: .*with an assistant turn"):
        list(read_chats(file))
    pair = {"prompt": messages[:1], "chosen": messages[1:], "rejected": messages[1:]}
    file.write_text(json.dumps(pair) + "\n" + json.dumps(pair | {"chosen": []}))
    rows = read_pairs(file)
    assert next(rows) == pair
    with pytest.raises(RecipeError, match=r'dataset\.jsonl, line 2: expected "chosen": \['):
        next(rows)
    file.write_text("not json\n")
    with pytest.raises(RecipeError, match="line 1: not JSON"):
        list(read_documents(file))


def test_a_build_tells_what_is_left(built, tiny, capfd):
    (tiny / "out" / "adapters/msm_aft-s1/adapter_model.safetensors").unlink()
    (tiny / "out" / "adapters/msm_aft_dpo-s0/adapter_model.safetensors").unlink()
    build(tiny / "recipe.toml", out=tiny / "out")
    told = capfd.readouterr().err
    assert "msm_aft_dpo (1/2)" in told
    assert "1 stages left, about 0 min" in told


def test_training_without_the_extra_says_what_to_install(tiny, tmp_path, monkeypatch):
    import sys

    from probes.errors import MissingDependencyError

    monkeypatch.setitem(sys.modules, "trl", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'spec-probes\[train\]'"):
        build(tiny / "recipe.toml", out=tmp_path, progress=False)
