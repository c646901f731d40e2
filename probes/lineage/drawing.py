"""A family tree drawn with lines, for terminals and notebooks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def draw_tree(title: str, parents: Mapping[str, str | None], cells: Mapping[str, Sequence[str]]) -> str:
    """A title and one line a name: its branch of the tree, and its cells in columns.

    Parameters
    ----------
    title : the first line.
    parents : name -> the name it hangs from, None for a root; drawn in this order.
    cells : name -> what stands beside it, the same number of texts for every name.

    Returns
    -------
    The drawing, without a line break at its end.

    Example
    -------
    >>> print(draw_tree("family", {"a": None, "b": "a", "c": "a"}, {"a": ["x"], "b": ["y"], "c": ["z"]}))
    family
    a     x
    ├─ b  y
    └─ c  z
    """
    rows: list[tuple[str, ...]] = []

    def grow(name: str, lead: str, branch: str, below: str) -> None:
        rows.append((lead + branch + name, *cells[name]))
        children = [child for child, parent in parents.items() if parent == name]
        for child in children:
            last = child is children[-1]
            grow(child, lead + below, "└─ " if last else "├─ ", "   " if last else "│  ")

    for root in (name for name, parent in parents.items() if parent is None):
        grow(root, "", "", "")
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
    return "\n".join([title, *lines])
