"""Which tokens each position reads, shown on one short chat at every stage of a lineage."""

from __future__ import annotations

from typing import Any

from probes.activations.rendering import render_with
from probes.concepts import Concept, Example, Message
from probes.errors import ProbesError, TokenizerError
from probes.lineage import CheckResult, Lineage, check_same_tokens, load_tokenizer, not_here

_ANSWER = "The blue one."
_MESSAGES = (
    Message(role="user", content="Which of the two chairs would you choose?"),
    Message(role="assistant", content=_ANSWER),
)
_CHAT = Concept(
    name="chat", examples=tuple(Example(pair="p", label=label, messages=_MESSAGES) for label in (0, 1))
)
_PLAIN = Concept(
    name="plain", examples=tuple(Example(pair="p", label=label, text=_ANSWER) for label in (0, 1))
)
_SHOWN = ("decision", "answer", "last")


def check_positions(lineage: Lineage, *, download: bool = False) -> list[CheckResult]:
    """Show the text of the tokens that the positions `decision`, `answer` and `last` read, one line a stage.

    Every stage renders one short chat with the lineage's shared chat template and with its own; the line says
    it once where both read the same text. Only tokenizers are loaded.

    Parameters
    ----------
    lineage : the lineage, or a subset of it.
    download : also download what the hub's cache lacks. Without it, such stages are left out.

    Returns
    -------
    One result for each stage: "ok" where the answer that is read is the assistant's words, or where there is
    no chat template, and "error" where it is not or the chat cannot be rendered.

    Example
    -------
    >>> from probes.activations import check_positions
    >>> print(check_positions(lineage.subset(["base"]))[0])
    ok     base: decision reads ' ', answer reads 'The blue one. <|end|> ', last reads ' '
    """
    results = []
    lacking = set() if download else not_here(lineage.origin)
    shared = None
    for stage in lineage:
        if lacking and (stage.name in lacking or lineage.reference_stage in lacking):
            continue
        try:
            shared = shared or lineage.reference_tokenizer()
            own = load_tokenizer(stage.entry)
            rendered_shared, rendered_own = _line(shared), _line(own)
            check_same_tokens(
                stage.name, own, shared, render_with(shared, _CHAT if shared.chat_template else _PLAIN)[0].ids
            )
        except ProbesError as error:
            results.append(CheckResult(stage.name, "error", str(error)))
            continue
        same = rendered_shared == rendered_own
        what = rendered_own if same else f"shared: {rendered_shared}; own: {rendered_own}"
        results.append(CheckResult(stage.name, "ok", what))
    return results


def _line(tokenizer: Any) -> str:
    """The text at each position of the chat; without a chat template, at the last token of a plain text.

    Raises TokenizerError where the answer that is read is not what the assistant says.
    """
    if not tokenizer.chat_template:
        return f"there is no chat template; of a plain text, last reads {_text(tokenizer, _PLAIN, 'last')!r}"
    texts = {position: _text(tokenizer, _CHAT, position) for position in _SHOWN}
    if not texts["answer"].lstrip().startswith(_ANSWER):
        raise TokenizerError(
            f"position answer reads {texts['answer']!r} in a chat that ends with the answer {_ANSWER!r}: the "
            "chat template changes what the assistant says"
        )
    return ", ".join(f"{position} reads {text!r}" for position, text in texts.items())


def _text(tokenizer: Any, concept: Concept, position: str) -> str:
    """What the tokens at a position of the concept's first text say."""
    row = render_with(tokenizer, concept, [position])[0]
    return tokenizer.decode([row.ids[i] for i in row.reads[position]])
