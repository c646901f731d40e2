"""How numbers, intervals and tables look in Markdown: what the scripts that write pages of numbers share."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from probes.stats.estimates import Estimate

DOCS = Path(__file__).parent


def number(value: float, signed: bool = False) -> str:
    """Two decimals, without the zero before the point."""
    text = f"{value:+.2f}" if signed else f"{value:.2f}"
    return re.sub(r"^([+-]?)0\.", r"\1.", text)


def with_interval(estimate: Estimate, signed: bool = False) -> str:
    """The value, and its interval in brackets: `.90 [.80, .95]`."""
    low, high = number(estimate.low, signed), number(estimate.high, signed)
    return f"{number(estimate.value, signed)} [{low}, {high}]"


def row_with_interval(row: Mapping[str, Any]) -> str:
    """The estimate of one row of a tidy table, and its interval in brackets."""
    return with_interval(Estimate(row["estimate"], row["ci_low"], row["ci_high"], row["n_pairs"] or 0))


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table: a line of column headings, then one line for each row."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def write(name: str, parts: Mapping[str, str]) -> None:
    """Write docs/<name>.md from docs/<name>.template.md: each line `{{part}}` is replaced by that part."""
    text = (DOCS / f"{name}.template.md").read_text()
    for part, content in parts.items():
        text = text.replace(f"{{{{{part}}}}}\n", content)
    page = DOCS / f"{name}.md"
    page.write_text(text)
    print(page)
