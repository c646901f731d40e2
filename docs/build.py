"""Write docs/reference.md from the code: docstrings of public names and results, and every command's help.

    python docs/build.py [--check]

`--check` writes nothing and fails when the page is not what the code says.
"""

from __future__ import annotations

import argparse
import ast
import dataclasses
import inspect
import os
import re
import sys
import textwrap
from collections.abc import Iterable, Iterator
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from types import FunctionType
from typing import Any, get_args, get_type_hints

os.environ["COLUMNS"] = "100"

import probes
from probes.cli import parser
from probes.errors import ProbesError

OURS = (FunctionType, classmethod, staticmethod, property, cached_property)
PAGE = Path(__file__).parent / "reference.md"


def signature(name: str, value: Any) -> str:
    """A name with its parameters, or with its value where it is a constant."""
    if isinstance(value, str):
        return f"{name} = {value!r}"
    try:
        parameters = re.sub(r" at 0x[0-9a-f]+", "", str(inspect.signature(value)))
    except (TypeError, ValueError):
        parameters = ""
    return f"{name}{parameters}"


def entry(name: str, value: Any, level: int = 3) -> list[str]:
    """The blocks of the page on one function or class."""
    doc = inspect.getdoc(value) or ""
    return [f"{'#' * level} `{name}`", f"```python\n{signature(name, value)}\n```", f"```text\n{doc}\n```"]


def class_entry(name: str, cls: type) -> list[str]:
    """The blocks of the page on a class: its docstring, its fields, and its own and inherited methods."""
    parts = entry(name, cls)
    if fields := list(fields_of(cls)):
        parts += ["Fields:", "```text\n" + "\n".join(fields) + "\n```"]
    for member in dir(cls):
        value = inspect.getattr_static(cls, member)
        if member.startswith("_") or not isinstance(value, OURS) or not is_documented_here(cls, member):
            continue
        called = getattr(cls, member) if not isinstance(value, property | cached_property) else None
        doc = inspect.getdoc(getattr(value, "func", value)) or ""
        head = signature(f"{name}.{member}", called) if called else f"{name}.{member}"
        parts.append(f"```text\n{head}\n\n{textwrap.indent(doc, '    ')}\n```")
    return parts


def is_documented_here(cls: type, member: str) -> bool:
    """Whether a member was written in this package, and has a docstring of its own."""
    owner = next((c for c in cls.__mro__ if member in vars(c)), object)
    value = inspect.getattr_static(cls, member)
    function = value.fget if isinstance(value, property) else getattr(value, "func", value)
    return owner.__module__.startswith("probes") and bool(getattr(function, "__doc__", None) or "")


def fields_of(cls: type) -> Iterator[str]:
    """The annotated attributes of a class that have a docstring below them, with that docstring."""
    for owner in reversed(cls.__mro__):
        if not owner.__module__.startswith("probes"):
            continue
        body = ast.parse(textwrap.dedent(inspect.getsource(owner))).body[0].body  # pyright: ignore
        for field, below in pairwise(body):
            if isinstance(field, ast.AnnAssign) and isinstance(below, ast.Expr):
                doc = " ".join(ast.literal_eval(below.value).split())
                text = f"{ast.unparse(field.target)}: {ast.unparse(field.annotation)}"
                yield text + "\n" + textwrap.fill(doc, 92, initial_indent="    ", subsequent_indent="    ")


def results(names: Iterable[str]) -> dict[str, type]:
    """The classes of the package that public functions return and that are not public names themselves, and
    the classes that their fields hold."""
    known = {getattr(probes, name) for name in names}
    waiting = [getattr(probes, name) for name in names]
    found: dict[str, type] = {}
    while waiting:
        hints = annotations_of(waiting.pop())
        for cls in (c for hint in hints for c in classes_in(hint)):
            ours = cls.__module__.startswith("probes") and not issubclass(cls, ProbesError)
            if ours and cls not in known and not getattr(cls, "_is_protocol", False):
                known.add(cls)
                found[cls.__name__] = cls
                waiting.append(cls)
    return dict(sorted(found.items()))


def annotations_of(value: Any) -> list[Any]:
    """What a function returns; what the fields of a dataclass hold."""
    try:
        hints = get_type_hints(value)
    except (NameError, TypeError):
        return []
    if inspect.isfunction(value):
        return [hints.get("return")]
    return [hints[f.name] for f in dataclasses.fields(value)] if dataclasses.is_dataclass(value) else []


def classes_in(hint: Any) -> Iterator[type]:
    """The classes that a type hint names, also inside of containers and unions."""
    if get_args(hint):
        for part in get_args(hint):
            yield from classes_in(part)
    elif inspect.isclass(hint):
        yield hint


def commands(parent: argparse.ArgumentParser) -> list[argparse.ArgumentParser]:
    """The parsers of all commands that can be run, depth first."""
    groups = [a for a in parent._actions if isinstance(a, argparse._SubParsersAction)]
    if not groups:
        return [parent]
    return [leaf for group in groups for child in group.choices.values() for leaf in commands(child)]


def page() -> str:
    """The text of the reference page."""
    parts = [
        "# Reference",
        "This page is made by `make docs` from the docstrings of the code; do not edit it."
        " The [glossary](glossary.md) explains its words.",
        "## Python",
        "Every name is imported from `probes`. The errors that are named here are drawn as a tree in"
        " `probes/errors.py`.",
    ]
    names: list[str] = [name for name in dir(probes) if name != "__version__"]
    for name in names:
        value = getattr(probes, name)
        parts += class_entry(name, value) if inspect.isclass(value) else entry(name, value)
    parts += ["## Results", "What the functions above return, and what that holds."]
    for name, cls in results(names).items():
        parts += class_entry(name, cls)
    parts.append("## Commands")
    for command in commands(parser()):
        parts += [f"### `{command.prog}`", f"```text\n{command.format_help().strip()}\n```"]
    return "\n\n".join(parts) + "\n"


def main() -> int:
    check = "--check" in sys.argv[1:]
    text = page()
    if check:
        if not PAGE.exists() or PAGE.read_text() != text:
            print(f"{PAGE} is not what the code says: run `make docs`", file=sys.stderr)
            return 1
        return 0
    PAGE.write_text(text)
    print(PAGE)
    return 0


if __name__ == "__main__":
    sys.exit(main())
