"""What a notebook shows of a concept: how many examples and choice items there are of each kind."""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import Sequence

from probes.concepts.records import AXES, SPLITS, ChoiceItem, Example


def html_summary(
    name: str, definition: str, examples: Sequence[Example], choices: Sequence[ChoiceItem]
) -> str:
    """The name, the definition and a table of counts by split, reading, shift and axis, as HTML.

    Example
    -------
    >>> html_summary("hats", "what one wears", [Example(pair="h", label=1, text="a hat")], [])
    '<b>hats</b>: what one wears<table>...<td>all</td><td></td><td>1</td><td>0</td>...</table>'
    """
    rows = [("all", "", len(examples), len(choices))]
    for axis in ("split", "reading", "shift", *AXES):
        n_examples = Counter(getattr(example, axis) for example in examples)
        n_items = Counter(getattr(item, axis) for item in choices)
        values = sorted((set(n_examples) | set(n_items)) - {None}, key=_split_first)
        rows += [(axis, value, n_examples[value], n_items[value]) for value in values]
    cells = "".join(
        f"<tr><td>{axis}</td><td>{html.escape(str(value))}</td><td>{n}</td><td>{m}</td></tr>"
        for axis, value, n, m in rows
    )
    return (
        f"<b>{html.escape(name)}</b>: {html.escape(definition)}"
        "<table><tr><th>axis</th><th>value</th><th>examples</th><th>choice items</th></tr>"
        f"{cells}</table>"
    )


def _split_first(value: str) -> tuple[int, str]:
    return (SPLITS.index(value) if value in SPLITS else len(SPLITS), value)
