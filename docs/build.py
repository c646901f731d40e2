"""Write docs/reference.md from the code: the public names with their docstrings, and every command's help.

    python docs/build.py [--check]

`--check` writes nothing and fails when the page is not what the code says.
"""

from __future__ import annotations

import argparse
import inspect
import os
import re
import sys
from pathlib import Path

os.environ["COLUMNS"] = "100"

import probes
from probes.cli import parser

PAGE = Path(__file__).parent / "reference.md"


def signature(name: str) -> str:
    """A public name with its parameters, or with its value where it is a constant."""
    value = getattr(probes, name)
    if isinstance(value, str):
        return f"{name} = {value!r}"
    try:
        parameters = re.sub(r" at 0x[0-9a-f]+", "", str(inspect.signature(value)))
    except ValueError:
        parameters = ""
    return f"{name}{parameters}"


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
    for name in probes.__all__:
        if name != "__version__":
            doc = inspect.getdoc(getattr(probes, name)) or ""
            parts += [f"### `{name}`", f"```python\n{signature(name)}\n```", f"```text\n{doc}\n```"]
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
