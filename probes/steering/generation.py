"""Text from a stage, pushed or not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Unpack

from probes.activations import RunOptions, run_context
from probes.errors import InputError
from probes.models import Intervention, TokenBatch
from probes.models.protocol import GenerateOptions
from probes.steering.prompts import prompt_ids, render_chat


class GenerationOptions(RunOptions, GenerateOptions, total=False):
    """Options of `generate`: those of a run, and those of transformers' own `generate`."""


def generate(
    stage: Any,
    prompts: Sequence[str | Sequence[dict[str, str]]],
    interventions: Sequence[Intervention] = (),
    max_new_tokens: int = 64,
    *,
    system: str | None = None,
    **options: Unpack[GenerationOptions],
) -> list[str]:
    """What the model says after each prompt, in order, special tokens taken off.

    A string is continued as it stands; a list of messages is rendered with the chat template and answered.
    Greedy unless `do_sample=True`, whatever the checkpoint's generation_config says; `options` are those of
    `GenerationOptions`. `interventions` act on every token, of the prompt and of the answer
    (`positions="last"`: on the newest only).

    Raises InputError for no prompts, or for prompts that do not fit into the context with the new tokens,
    TokenizerError for messages that the template refuses.
    """
    if not prompts or isinstance(prompts, str):
        raise InputError("no prompts: expected a non-empty sequence of strings or lists of messages")
    run: Any = {name: value for name, value in options.items() if name in RunOptions.__annotations__}
    generation: Any = {name: value for name, value in options.items() if name not in run}
    context = run_context(stage, **run)
    rows = []
    for prompt in prompts:
        if isinstance(prompt, str):
            rows.append(list(context.tokenizer(prompt)["input_ids"]))
        else:
            rows.append(prompt_ids(render_chat(prompt, context.tokenizer, system), context.tokenizer))
    if not all(rows):
        raise InputError("an empty prompt: there is nothing to continue")
    context.check(token for row in rows for token in row)
    size = max(1, context.tokens(4096) // (max(map(len, rows)) + max_new_tokens))
    said: list[str] = []
    with context.model.intervene(*interventions):
        for start in range(0, len(rows), size):
            batch = TokenBatch.pad(rows[start : start + size], context.pad_id, side="left")
            new = context.model.generate(batch, max_new_tokens, **generation)
            said += [context.tokenizer.decode(ids, skip_special_tokens=True) for ids in new]
    return said
