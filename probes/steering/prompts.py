"""From choice items to token ids: both orders of presentation, each option as the assistant's answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from probes.activations import RunContext
from probes.concepts import ORDERS, ChoiceItem, Order
from probes.errors import ConceptError, InputError, TokenizerError
from probes.lineage import apply_template, encode_text, text_ids

Sequenced = tuple[tuple[int, ...], tuple[int, ...]]
"""The token ids of a prompt, and those of an option that continues it."""


@dataclass(frozen=True)
class ChoicePrompt:
    """One choice item as token ids.

    In the first order of presentation the positive option comes first, in the second the negative one. An
    item that does not present its options in the prompt has one order only.
    """

    id: str
    sequences: tuple[Sequenced, ...]
    """(Prompt, positive option) and (prompt, negative option) of the first order, then of the second."""


def prompts_of(
    items: Sequence[ChoiceItem], context: RunContext, system: str | None = None
) -> list[ChoicePrompt]:
    """`choice_prompts` for the model and the tokenizer of a run context.

    It also raises TokenizerError for token ids that mean another token in the stage's own vocabulary.
    """
    prompts = choice_prompts(items, context.tokenizer, system, context.model.max_positions)
    context.check(token for prompt in prompts for ids in prompt.sequences for part in ids for token in part)
    return prompts


def render_column(items: Sequence[ChoiceItem], context: RunContext) -> str:
    """What the column `render` of result tables says of items: "plain" where all are completions, which no
    chat template renders."""
    return "plain" if all(item.completion for item in items) else context.render_name


def choice_prompts(
    items: Sequence[ChoiceItem], tokenizer: Any, system: str | None = None, max_positions: int | None = None
) -> list[ChoicePrompt]:
    """Render and tokenise every choice item.

    A prompt is rendered with the tokenizer's chat template and its generation prompt, or as
    `"prompt\\nAnswer:"` where the tokenizer has no template; the prompt of a completion stays as it is. An
    option continues the tokens of the prompt, as in generation: it is tokenised together with the prompt
    where that leaves the prompt's tokens as they are, and alone otherwise. Either way the whole must decode
    to the same text. The options of an empty prompt are scored after the BOS token (EOS where there is none).

    Parameters
    ----------
    system : a text for the system message. It goes before what that message says already, and is refused for
        completions, which have none.
    max_positions : the context window in tokens; None for no limit.

    Raises
    ------
    InputError : there are no items.
    ConceptError : a prompt and its option are longer than the context window, or a completion is to have a
        system message.
    TokenizerError : the template refuses the messages, or an option does not survive tokenisation.

    Example
    -------
    >>> prompts = choice_prompts(concept.choices, stage.load().tokenizer)
    >>> prompts[0].id, len(prompts[0].sequences)  # two options in each of two orders
    ('c0', 4)
    """
    if not items:
        raise InputError("no choice items: expected at least one")
    return [_prompt(item, tokenizer, system, max_positions) for item in items]


def render_chat(messages: Sequence[dict[str, str]], tokenizer: Any, system: str | None = None) -> str:
    """Messages as the text that the assistant continues; `system` goes into the system message."""
    messages = [dict(message) for message in messages]
    if system is not None and messages and messages[0]["role"] == "system":
        messages[0]["content"] = f"{system}\n\n{messages[0]['content']}"
    elif system is not None:
        messages.insert(0, {"role": "system", "content": system})
    if not tokenizer.chat_template:
        return "\n".join(message["content"] for message in messages) + "\nAnswer:"
    try:
        return apply_template(tokenizer, messages, generation_prompt=True)
    except Exception as error:  # templates are programs and raise what they like
        roles = ", ".join(message["role"] for message in messages)
        raise TokenizerError(f"the chat template refuses messages with roles {roles}: {error}") from error


def prompt_ids(text: str, tokenizer: Any) -> list[int]:
    """The token ids of a rendered prompt. A chat template writes its own special tokens; a plain text gets
    them here."""
    return text_ids(tokenizer, text, not tokenizer.chat_template)


def option_tokens(item: ChoiceItem, order: Order, tokenizer: Any) -> tuple[list[int], list[int]]:
    """The numbers of the prompt's tokens that overlap the first and the second option as presented.

    Raises
    ------
    ConceptError : the item does not present its options, or not as they are written.

    Example
    -------
    >>> item, tokenizer = concept.choices[0], stage.load().tokenizer
    >>> first, second = option_tokens(item, "positive_first", tokenizer)
    >>> first[-1] < second[0]
    True
    """
    if len(item.orders) != len(ORDERS):
        raise ConceptError(
            f"choice {item.id!r} does not present its options: expected {{first}} and {{second}} in it"
        )
    text = render_chat(item.ask(order), tokenizer)
    options = (item.positive, item.negative) if order == ORDERS[0] else (item.negative, item.positive)
    _, offsets = encode_text(tokenizer, text, not tokenizer.chat_template)
    of_options, start = [], 0
    for option in options:
        begin = text.find(option, start)
        start = begin + len(option)
        tokens = [i for i, (a, b) in enumerate(offsets) if a < start and b > begin and b > a]
        if begin < 0 or not tokens:
            raise ConceptError(
                f"choice {item.id!r}: option {option!r} does not stand in its prompt as it is: "
                "write it there in the same words"
            )
        of_options.append(tokens)
    return of_options[0], of_options[1]


def _prompt(item: ChoiceItem, tokenizer: Any, system: str | None, max_positions: int | None) -> ChoicePrompt:
    options = [item.answer("positive"), item.answer("negative")]
    if item.completion:
        if system is not None:
            raise ConceptError(f"choice {item.id!r} is a completion: expected no system message for it")
        texts = [item.prompt or ""]
    else:
        texts = [render_chat(item.ask(order), tokenizer, system) for order in item.orders]
        options = options if tokenizer.chat_template else [f" {option}" for option in options]
    special = bool(item.completion) or not tokenizer.chat_template
    sequences = []
    for text in texts:
        prompt = tuple(text_ids(tokenizer, text, special)) if text else _beginning(tokenizer, item.id)
        if not prompt:
            raise ConceptError(f"choice {item.id!r}: its prompt has no tokens: give it some words")
        for option in options:
            ids = (
                _continuation(text, prompt, option, tokenizer, special, item.id)
                if text
                else tuple(text_ids(tokenizer, option, special_tokens=False))
            )
            if max_positions is not None and len(prompt) + len(ids) > max_positions:
                raise ConceptError(
                    f"choice {item.id!r}: {len(prompt) + len(ids)} tokens, but the model's context window is "
                    f"{max_positions}: shorten the item"
                )
            sequences.append((prompt, ids))
    return ChoicePrompt(item.id, tuple(sequences))


def _beginning(tokenizer: Any, item: str) -> tuple[int, ...]:
    """The token that a text begins after: the tokenizer's BOS, or the end of the text before."""
    first = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.eos_token_id
    if first is None:
        raise TokenizerError(
            f"choice {item!r} has an empty prompt, and the tokenizer has no BOS or EOS token that a text "
            "could begin after: give the item a prompt"
        )
    return (int(first),)


def _continuation(
    text: str, prompt: tuple[int, ...], option: str, tokenizer: Any, special: bool, item: str
) -> tuple[int, ...]:
    """The token ids of `option` after the rendered prompt `text`, whose ids are `prompt`."""
    joint = text_ids(tokenizer, text + option, special)
    if tuple(joint[: len(prompt)]) == prompt and len(joint) > len(prompt):
        return tuple(joint[len(prompt) :])
    alone = text_ids(tokenizer, option, special_tokens=False)
    if not alone or tokenizer.decode([*prompt, *alone]) != tokenizer.decode(joint):
        raise TokenizerError(
            f"choice {item!r}: option {option!r} does not survive tokenisation after its prompt: "
            "change how it starts"
        )
    return tuple(alone)
