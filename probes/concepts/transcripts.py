"""Transcripts of agents out of logs of Inspect (inspect.aisi.org.uk): `.json` logs and `.eval` archives."""

from __future__ import annotations

import json
import math
import zipfile
from pathlib import Path
from typing import Any

from probes.concepts.concept import Concept
from probes.concepts.files import read_text
from probes.concepts.header import Meta
from probes.concepts.layouts import Pairing, read_messages
from probes.concepts.records import Example
from probes.errors import ConceptError

LABELS = {"C": 1, "I": 0, "1": 1, "0": 0, "true": 1, "false": 0}
"""Values of a score, as text, and the label that each stands for."""

CONDITION = ("scenario", "goal_type", "goal_value", "urgency_type")
"""Metadata of a sample that together name its condition where there is no `condition_id`."""


def is_log(path: Path) -> bool:
    """Whether a file is an Inspect log: an `.eval` archive, or a JSON object with `samples`."""
    if path.suffix == ".eval":
        return True
    head = read_text(path)[:1].strip() if path.suffix == ".json" else ""
    if head != "{":
        return False
    try:
        log = json.loads(read_text(path))
    except json.JSONDecodeError:
        return False
    return "samples" in log


def read_transcripts(path: str | Path, score: str | None = None, name: str | None = None) -> Concept:
    """The transcripts of an Inspect log, labelled by a score.

    Label 1 stands for a score of 1, true or "C", and label 0 for 0, false or "I". Runs of one condition share
    a template, and two of them with opposite labels make a pair. The condition is `metadata.condition_id`, or
    else scenario, goal and urgency, or else the id of the sample; the scenario becomes the domain. A tool
    call is written into the turn that makes it as
    `<tool_call>{"name": ..., "arguments": ...}</tool_call>`, and reasoning as `<think>...</think>`. Samples
    without a score are left out, and `meta.sources` says how many they were.

    Parameters
    ----------
    path : str or Path
        The log.
    score : str, optional
        The scorer, or `scorer.key` where its value holds several numbers. It may be left out when the log
        has one score only.
    name : str, optional
        What the concept is called; by default as the file.

    Raises
    ------
    ConceptError
        Names the file, the sample (1 is the first), the field, the value and what was expected.

    Example
    -------
    >>> import json
    >>> turns = [{"role": "user", "content": "Help?"}]
    >>> samples = [{"id": k, "messages": turns, "scores": {"match": {"value": "CI"[k]}}} for k in (0, 1)]
    >>> path = folder / "log.json"
    >>> _ = path.write_text(json.dumps({"eval": {}, "samples": samples}))
    >>> probes.concepts.read_transcripts(path).labels
    array([1, 0])
    """
    path = Path(path)
    samples = _samples(path)
    pairing, examples, unscored = Pairing("run"), [], 0
    for number, sample in enumerate(samples, 1):
        where = f"{path}, sample {number}"
        if not isinstance(sample, dict):
            raise ConceptError(f"{where}: got {str(sample)[:40]!r}: expected a JSON object")
        if not sample.get("scores"):
            unscored += 1
            continue
        label = _label(sample["scores"], score, where)
        metadata = sample.get("metadata") or {}
        template = _condition(metadata) or str(sample.get("id", number))
        turns = [_turn(turn, f"{where}: messages.{i}") for i, turn in enumerate(sample.get("messages") or [])]
        turns = read_messages([turn for turn in turns if turn["content"]], where)
        try:
            examples.append(
                Example(
                    pair=pairing.name(template, label),
                    label=label,
                    messages=tuple(turns),
                    template=template,
                    domain=metadata.get("scenario"),
                    unmatched=True,
                )
            )
        except ConceptError as error:
            raise ConceptError(f"{where}: {error}") from None
    left_out = f", {unscored} without a score left out" if unscored else ""
    source = f"Inspect log {path.name}: {len(samples)} samples{left_out}."
    try:
        return Concept(name=name or path.stem, examples=tuple(examples), meta=Meta(sources=(source,)))
    except ConceptError as error:
        raise ConceptError(f"{path}: {error}{left_out}") from None


def _condition(metadata: dict[str, Any]) -> str:
    named = metadata.get("condition_id")
    return str(named or "-".join(str(metadata[key]) for key in CONDITION if metadata.get(key)))


def _samples(path: Path) -> list[Any]:
    if path.suffix == ".eval":
        try:
            with zipfile.ZipFile(path) as archive:
                names = sorted(n for n in archive.namelist() if n.startswith("samples/"))
                return [json.loads(archive.read(n)) for n in names]
        except (OSError, ValueError, NotImplementedError, zipfile.BadZipFile) as error:
            raise ConceptError(
                f"{path}: cannot be read ({error}): convert it with `inspect log convert --to json`"
            ) from None
    try:
        log = json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise ConceptError(f"{path}: not JSON at line {error.lineno} ({error.msg}): expected a log") from None
    samples = log.get("samples") if isinstance(log, dict) else None
    if not isinstance(samples, list) or not samples:
        raise ConceptError(
            f"{path}: field 'samples' is missing or empty: expected an Inspect log with samples"
        )
    return samples


def _label(scores: Any, score: str | None, where: str) -> int:
    values: dict[str, Any] = {}
    for scorer, entry in (scores if isinstance(scores, dict) else {}).items():
        value = entry.get("value") if isinstance(entry, dict) else entry
        if isinstance(value, dict):
            values |= {f"{scorer}.{key}": inner for key, inner in value.items()}
        else:
            values[scorer] = value
    name = score if score is not None else next(iter(values), None) if len(values) == 1 else None
    if name not in values:
        names = ", ".join(values) or "none"
        raise ConceptError(f"{where}: field 'scores': {score or 'several'}: expected score= one of {names}")
    value = values[name]
    text = str(value).lower() if isinstance(value, bool) else str(value)
    if isinstance(value, float) and math.isfinite(value) and value == int(value):
        text = str(int(value))
    if text not in LABELS:
        raise ConceptError(
            f"{where}: field 'scores.{name}' got {value!r}: expected 1 or 0, true or false, C or I"
        )
    return LABELS[text]


def _turn(turn: Any, where: str) -> dict[str, Any]:
    if not isinstance(turn, dict):
        raise ConceptError(f"{where} got {str(turn)[:40]!r}: expected role and content")
    written = [_content(turn.get("content"), where)]
    for call in turn.get("tool_calls") or []:
        written.append(_call(call, where))
    if not any(written) and isinstance(turn.get("error"), dict):
        written.append(str(turn["error"].get("message", "")))
    return {"role": turn.get("role"), "content": "\n".join(part for part in written if part.strip())}


def _content(content: Any, where: str) -> str:
    if content is None or isinstance(content, str):
        return content or ""
    written = []
    for part in content if isinstance(content, list) else [content]:
        kind = part.get("type") if isinstance(part, dict) else None
        if kind == "text":
            written.append(part.get("text") or "")
        elif kind == "reasoning":
            written.append(f"<think>{part.get('reasoning') or ''}</think>")
        else:
            raise ConceptError(
                f"{where}: field 'content' holds {kind or str(part)[:40]!r}: expected text or reasoning"
            )
    return "\n".join(written)


def _call(call: Any, where: str) -> str:
    function = call.get("function") if isinstance(call, dict) else None
    name = function.get("name") if isinstance(function, dict) else function
    if not isinstance(name, str):
        raise ConceptError(
            f"{where}: field 'tool_calls' got {str(call)[:40]!r}: expected function and arguments"
        )
    arguments = (function if isinstance(function, dict) else call).get("arguments", {})
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments)
        except json.JSONDecodeError:
            arguments = {"text": arguments}
    return f"<tool_call>{json.dumps({'name': name, 'arguments': arguments}, ensure_ascii=False)}</tool_call>"
