"""A lineage drawn as a tree, for terminals and notebooks."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from probes.lineage.stages import Lineage, Stage


def tree(lineage: Lineage) -> str:
    """One line a stage: branches, name, kind, arm, seed and where its weights come from."""
    drawn: list[tuple[str, Stage]] = []

    def grow(stage: Stage, lead: str, branch: str, below: str) -> None:
        drawn.append((lead + branch + stage.name, stage))
        children = lineage.children(stage.name)
        for child in children:
            last = child is children[-1]
            grow(child, lead + below, "└─ " if last else "├─ ", "   " if last else "│  ")

    for root in (stage for stage in lineage if stage.parent is None):
        grow(root, "", "", "")
    rows = [(label, *_facts(stage)) for label, stage in drawn]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
    title = f"{lineage.name}: {lineage.description}" if lineage.description else lineage.name
    return "\n".join([title, *lines])


def html_tree(lineage: Lineage) -> str:
    """The same drawing for a notebook."""
    return f'<pre style="line-height:1.3">{escape(tree(lineage))}</pre>'


def _facts(stage: Stage) -> tuple[str, str, str, str]:
    arm = f"arm {stage.arm}" if stage.arm else ""
    seed = f"seed {stage.seed}" if stage.seed is not None else ""
    return stage.kind, arm, seed, str(stage.checkpoint)
