"""Text from a stage, pushed or not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from probes.errors import InputError
from probes.models import BackendName, Intervention, TokenBatch
from probes.steering.prompts import prompt_ids, render_chat
from probes.steering.subjects import subject


def generate(
    stage: Any,
    prompts: Sequence[str | Sequence[dict[str, str]]],
    interventions: Sequence[Intervention] = (),
    max_new_tokens: int = 64,
    *,
    system: str | None = None,
    tokenizer: Any = None,
    render: Literal["shared", "own"] = "shared",
    backend: BackendName = "transformers",
    device: str = "auto",
    dtype: str = "float32",
    batch_tokens: int = 4096,
    **options: Any,
) -> list[str]:
    """What the model says after each prompt, in order, special tokens taken off.

    A string is continued as it stands; a list of messages is rendered with the chat template and answered.
    Greedy unless `do_sample=True`; `options` are those of transformers' `generate`. `interventions` act on
    every token, of the prompt and of the answer (`positions="last"`: on the newest only).

    Raises InputError for no prompts, TokenizerError for messages that the template refuses.
    """
    if not prompts or isinstance(prompts, str):
        raise InputError("no prompts: expected a non-empty sequence of strings or lists of messages")
    who = subject(stage, tokenizer=tokenizer, render=render, backend=backend, device=device, dtype=dtype)
    rows = []
    for prompt in prompts:
        if isinstance(prompt, str):
            rows.append(list(who.tokenizer(prompt)["input_ids"]))
        else:
            rows.append(prompt_ids(render_chat(prompt, who.tokenizer, system), who.tokenizer))
    if not all(rows):
        raise InputError("an empty prompt: there is nothing to continue")
    who.check(token for row in rows for token in row)
    size = max(1, batch_tokens // (max(map(len, rows)) + max_new_tokens))
    said: list[str] = []
    with who.model.intervene(*interventions):
        for start in range(0, len(rows), size):
            batch = TokenBatch.pad(rows[start : start + size], who.pad_id, side="left")
            new = who.model.generate(batch, max_new_tokens, **options)
            said += [who.tokenizer.decode(ids, skip_special_tokens=True) for ids in new]
    return said
