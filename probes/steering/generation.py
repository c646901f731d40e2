"""Text from a stage, with or without interventions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Unpack

from probes.activations import AnyStage, RunOptions, run_context
from probes.errors import InputError
from probes.lineage import text_ids
from probes.models import Intervention, TokenBatch
from probes.models.protocol import GenerateOptions
from probes.steering.prompts import prompt_ids, render_chat


class GenerationOptions(RunOptions, GenerateOptions, total=False):
    """Options of `generate`: those of a run, and those of transformers' own `generate`."""


def generate(
    stage: AnyStage,
    prompts: Sequence[str | Sequence[dict[str, str]]],
    interventions: Sequence[Intervention] = (),
    max_new_tokens: int = 64,
    *,
    system: str | None = None,
    **options: Unpack[GenerationOptions],
) -> list[str]:
    """What the model says after each prompt.

    Parameters
    ----------
    stage : a stage, a loaded stage, a hooked model or a run context.
    prompts : a string is continued as it stands; a list of messages is rendered with the chat template and
        answered.
    interventions : what is changed in the model. They act on every token of the prompt and of the answer, or
        with `positions="last"` on the newest token only.
    max_new_tokens : the longest answer, in tokens.
    system : a text for the system message of the prompts that are messages.
    options : see `GenerationOptions`. Decoding is greedy unless `do_sample=True`, whatever the checkpoint's
        generation_config says.

    Returns
    -------
    The texts, in the order of the prompts, without special tokens.

    Raises
    ------
    InputError : there are no prompts, one is empty, or one does not fit into the context with the new tokens.
    TokenizerError : the chat template refuses the messages.

    Example
    -------
    >>> addition = probes.Add(probes.Site("resid_post", 1), np.ones(32), alpha=50.0)
    >>> plain = probes.generate(stage, ["the cheap", "a fancy"], max_new_tokens=4, progress=False)
    >>> steered = probes.generate(
    ...     stage, ["the cheap", "a fancy"], [addition], max_new_tokens=4, progress=False
    ... )
    >>> len(plain), plain == steered
    (2, False)
    """
    if not prompts or isinstance(prompts, str):
        raise InputError("no prompts: expected a non-empty sequence of strings or lists of messages")
    run: Any = {name: value for name, value in options.items() if name in RunOptions.__annotations__}
    generation: Any = {name: value for name, value in options.items() if name not in run}
    context = run_context(stage, **run)
    rows = []
    for prompt in prompts:
        if isinstance(prompt, str):
            rows.append(text_ids(context.tokenizer, prompt))
        else:
            rows.append(prompt_ids(render_chat(prompt, context.tokenizer, system), context.tokenizer))
    if not all(rows):
        raise InputError("a prompt is empty, so there is nothing to continue: give each prompt some words")
    context.check(token for row in rows for token in row)
    size = max(1, context.tokens(4096) // (max(map(len, rows)) + max_new_tokens))
    texts: list[str] = []
    with context.model.intervene(*interventions):
        for start in range(0, len(rows), size):
            batch = TokenBatch.pad(rows[start : start + size], context.pad_id, side="left")
            new = context.model.generate(batch, max_new_tokens, **generation)
            texts += [context.tokenizer.decode(ids, skip_special_tokens=True) for ids in new]
    return texts
