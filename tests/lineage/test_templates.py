"""Chats and texts as tokens: templates that reason, that write the day or chance; tokens put after a text."""

import re

import pytest
from tokenizers.processors import TemplateProcessing

import probes
from probes.activations import check_positions
from probes.errors import TokenizerError
from probes.lineage import check
from probes.lineage.templates import (
    answer_start,
    appended_tokens,
    apply_template,
    changes_by_itself,
    encode_text,
    split_markers,
    text_ids,
    tokens_before,
)
from tests.makers import tiny_llama, tiny_tokenizer

CHAT = [{"role": "user", "content": "which chair"}, {"role": "assistant", "content": "the cheap lamp"}]


def turns(words="m.content", before="", prompt=""):
    asked = f"{{% if add_generation_prompt %}}<|assistant|>{prompt}{{% endif %}}"
    return (
        f"{{% for m in messages %}}<|{{{{ m.role }}}}|>{before}{{{{ {words} }}}}<|end|>{{% endfor %}}{asked}"
    )


LAST_THINKS = "{% if loop.last and m.role == 'assistant' %}<think></think> {% endif %}"
THINKING = {
    "the prompt thinks and the chat does not": turns(prompt="<think>"),
    "the chat thinks and the prompt does not": turns(before=LAST_THINKS),
    "reasoning is taken out": turns("m.content.split('</think>')[-1]", prompt="<think>"),
    "words are stripped": turns("m.content | trim", before=" "),
    "the space belongs to the prompt": turns(before=" ", prompt=" "),
}
ANSWERS = ["the cheap lamp", " which chair ", "<think>so</think>the lamp", "é1 lamp"]


def with_template(template):
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = template
    return tokenizer


def two_stages(folder, base, later):
    """A lineage of a base and a stage after it, each a tiny model with its own tokenizer."""
    for name, tokenizer in (("base", base), ("later", later)):
        tiny_llama(vocab_size=max(400, len(tokenizer))).save_pretrained(folder / name)
        tokenizer.save_pretrained(folder / name)
    (folder / "lineage.toml").write_text(
        '[lineage]\nname = "two"\n'
        '[stages.base]\nkind = "pretrain"\ncheckpoint = { path = "base" }\n'
        '[stages.later]\nkind = "sft"\nparent = "base"\ncheckpoint = { path = "later" }\n'
    )
    return probes.load_lineage(folder)


@pytest.mark.parametrize("template", THINKING.values(), ids=THINKING)
@pytest.mark.parametrize("answer", ANSWERS)
def test_the_answer_is_found_in_the_rendered_chat(template, answer):
    tokenizer = with_template(template)
    chat = [CHAT[0], {"role": "assistant", "content": answer}]
    text = apply_template(tokenizer, chat)
    said = text[answer_start(tokenizer, chat) :]
    last_words = answer.split("</think>")[-1].strip()
    assert said.replace("<think>so</think>", "").lstrip().startswith(last_words)
    start = tokens_before(tokenizer, text, answer_start(tokenizer, chat))
    ids, offsets = encode_text(tokenizer, text, special_tokens=False)
    assert all(end <= answer_start(tokenizer, chat) for _, end in offsets[:start])
    assert tokenizer.decode(ids[start:]).lstrip().startswith(said.strip()[:3])


def test_a_slow_tokenizer_counts_the_same_tokens():
    tokenizer = tiny_tokenizer()

    class Slow:
        is_fast, bos_token_id = False, None

        def __call__(self, text, return_offsets_mapping=False, **options):
            assert not return_offsets_mapping
            return tokenizer(text, **options)

    text = apply_template(tokenizer, CHAT)
    for start in range(len(text)):
        assert tokens_before(Slow(), text, start) == tokens_before(tokenizer, text, start)


def test_a_template_that_does_not_write_the_answer_is_refused():
    tokenizer = with_template("<|user|>{{ messages[0].content }}<|end|>")
    with pytest.raises(TokenizerError, match="does not write the last message"):
        answer_start(tokenizer, CHAT)


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{{ strftime_now('%d %b %Y, %-m') }}\n {{ messages[0].content }}", "26 Jul 2024, 7\n which chair"),
        (
            "{% if not date_string is defined %}{% set date_string = strftime_now('%Y') %}{% endif %}"
            "{{ date_string }} {{ messages[0].content }}",
            "26 Jul 2024 which chair",
        ),
        ("{{ strftime_now('%F %T %%d %e') }}", "2024-07-26 00:00:00 %d 26"),
        ("\n  {%- if strftime_now is defined %}{{ strftime_now('%A %%') }}{% endif %}", "Friday %"),
    ],
)
def test_every_day_is_the_same_day_to_a_template(template, text):
    tokenizer = with_template(template)
    assert apply_template(tokenizer, CHAT) == text
    assert "as on 26 Jul 2024" in changes_by_itself(tokenizer)


def test_a_date_that_is_only_mentioned_is_not_written():
    tokenizer = with_template("{% if tools %}{{ strftime_now('%Y') }}{% endif %}{{ messages[0].content }}")
    assert changes_by_itself(tokenizer) is None


def test_markers_are_those_that_are_written_not_those_that_are_mentioned():
    later, reference = tiny_tokenizer(), tiny_tokenizer()
    later.add_tokens(["<|tool|>", "<@user>"], special_tokens=True)
    reference.chat_template = (
        "{% if tools %}<|tool|>{% endif %}{% for m in messages %}<@{{ m.role }}>{{ m.content }}{% endfor %}"
    )
    assert split_markers(later, reference) == ("<@user>",)


def test_several_templates_without_a_default_are_refused():
    with pytest.raises(TokenizerError, match="no chat template that is the default"):
        apply_template(with_template({"tool_use": "a", "rag": "b"}), CHAT)


def test_a_template_of_chance_is_named():
    tokenizer = with_template("{{ ['a', 'b', 'c', 'd'] | random }}{{ messages[0].content }}")
    assert "it uses chance" in changes_by_itself(tokenizer)
    assert changes_by_itself(tiny_tokenizer()) is None


@pytest.mark.parametrize(
    ("single", "appended"),
    [("$A <|end|>", 1), ("<|user|> $A", 0), ("<|user|> $A <|end|> <|pad|>", 2), ("$A", 0)],
)
def test_what_is_put_after_a_text_is_left_out(single, appended):
    tokenizer = tiny_tokenizer()
    plain = text_ids(tokenizer, "the chair")
    specials = [(t, tokenizer.convert_tokens_to_ids(t)) for t in re.findall(r"<\|\w+\|>", single)]
    tokenizer._tokenizer.post_processor = TemplateProcessing(single=single, special_tokens=specials)
    before = [i for t, i in specials if single.index(t) < single.index("$A")]
    assert appended_tokens(tokenizer) == appended
    assert text_ids(tokenizer, "the chair") == before + plain
    assert text_ids(tokenizer, "the chair<|end|>") == [*before, *plain, tokenizer.eos_token_id]  # its own


def test_check_tells_of_cut_markers_dates_and_appended_tokens(tmp_path):
    later = tiny_tokenizer()
    later.add_tokens(["<|go|>"], special_tokens=True)
    later.chat_template = "{{ strftime_now('%Y') }}<|go|>{% for m in messages %}{{ m.content }}{% endfor %}"
    later._tokenizer.post_processor = TemplateProcessing(single="$A <|end|>", special_tokens=[("<|end|>", 1)])
    base = tiny_tokenizer()
    base.chat_template = None
    assert split_markers(later, base) == ()  # without a template there is nothing to cut
    lineage = two_stages(tmp_path, base, later)
    for quick in (True, False):
        notes = [r.what for r in check(lineage, quick=quick, device="cpu") if r.stage == "later"]
        assert any("writes '<|go|>'" in n and "(base's) knows no token" in n for n in notes)
        assert any("as on 26 Jul 2024" in n for n in notes)
        assert any("puts '<|end|>' after every text" in n for n in notes)
    with pytest.warns(UserWarning, match=r"stage later: the shared chat template writes '<\|go\|>'"):
        context = probes.run_context(lineage["later"], device="cpu")
    assert context.render == "shared"
    assert probes.run_context(lineage["later"], device="cpu", render="own").render == "own"


def test_a_check_reports_a_broken_reference_tokenizer_and_goes_on(tmp_path):
    lineage = two_stages(tmp_path, tiny_tokenizer(), tiny_tokenizer())
    (tmp_path / "base" / "tokenizer.json").write_text("{")
    for quick in (True, False):
        results = check(lineage, quick=quick, device="cpu")
        assert "tokenizer" in next(r.what for r in results if r.level == "error")
        assert any(r.stage == "later" and r.level == "ok" for r in results)
    assert {r.level for r in check_positions(lineage)} == {"error"}
    loaded = lineage["later"].load(device="cpu")
    assert probes.run_context(loaded, render="own").render == "own"  # it needs no reference
