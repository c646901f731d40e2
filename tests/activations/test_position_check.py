"""`check_positions`: what each position reads, one line a stage."""

import probes
from probes.activations import check_positions
from tests.makers import tiny_llama, tiny_tokenizer

THINKING = (
    "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|><think>{% endif %}"
)


def lineage_with(folder, **templates):
    text = '[lineage]\nname = "templates"\n'
    for name, template in templates.items():
        tokenizer = tiny_tokenizer()
        tokenizer.chat_template = template
        tiny_llama().save_pretrained(folder / name)
        tokenizer.save_pretrained(folder / name)
        parent = "" if name == next(iter(templates)) else f'parent = "{next(iter(templates))}"\n'
        kind = "sft" if parent else "pretrain"
        text += f'[stages.{name}]\nkind = "{kind}"\n{parent}checkpoint = {{ path = "{name}" }}\n'
    (folder / "lineage.toml").write_text(text)
    return probes.load_lineage(folder)


def test_a_line_a_stage_says_what_is_read(tmp_path):
    shouting = "{% for m in messages %}<|{{ m.role }}|>{{ m.content | upper }}<|end|>{% endfor %}"
    lineage = lineage_with(tmp_path, base=None, thinks=THINKING, shouts=shouting)
    base, thinks, shouts = check_positions(lineage)
    reads = "decision reads '<|assistant|>', answer reads 'The blue one.<|end|>', last reads '<|end|>'"
    assert (thinks.level, thinks.what) == ("ok", reads)
    assert base.what == f"shared: {reads}; own: there is no chat template; of a plain text, last reads '.'"
    assert shouts.level == "error"
    assert "changes what the assistant says" in shouts.what


def test_a_lineage_without_any_chat_template_reads_plain_texts(tmp_path):
    (line,) = check_positions(lineage_with(tmp_path, base=None))
    assert str(line) == "ok     base: there is no chat template; of a plain text, last reads '.'"
