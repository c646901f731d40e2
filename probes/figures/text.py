"""How names and numbers are written in figures and in the report."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from typing import Any


def label(name: str) -> str:
    """Write a stage or concept name as plain text: plotly would otherwise read tags in it.

    Examples
    --------
    >>> label("<b>base</b>")
    '&lt;b&gt;base&lt;/b&gt;'
    """
    return html.escape(str(name), quote=False)


def wrapped(name: str, width: float) -> str:
    """Break a name into lines of about `width` characters, after underscores, hyphens and spaces.

    Examples
    --------
    >>> wrapped("msm_afford_aft", 8)
    'msm_<br>afford_<br>aft'
    """
    lines = [""]
    for piece in re.findall(r"[^_\- ]*[_\- ]*", str(name)):
        if lines[-1] and len(lines[-1]) + len(piece.rstrip("_- ")) > width:
            lines.append("")
        lines[-1] += piece
    return "<br>".join(label(line) for line in lines)


def text_width(text: str) -> float:
    """Estimate the width of a text in ems: a character of Arial is a little over half an em wide."""
    return 0.56 * len(text)


def number(value: float | None, digits: int = 2) -> str:
    """Write a number without a leading zero and with a true minus sign; a dash stands for no value.

    Examples
    --------
    >>> number(-0.125, 3), number(1.5), number(None)
    ('−.125', '1.50', '–')
    """
    if value is None or value != value:
        return "–"
    text = f"{value:.{digits}f}"
    if float(text) == 0:
        text = text.lstrip("-")
    sign, unsigned = ("−", text[1:]) if text.startswith("-") else ("", text)
    return sign + (unsigned[1:] if unsigned.startswith("0.") else unsigned)


def interval(row: Mapping[str, Any]) -> str:
    """Write the estimate of a row with its interval, or alone where the row has no interval.

    Examples
    --------
    >>> interval({"estimate": 0.83, "ci_low": 0.79, "ci_high": 0.87})
    '.83 [.79, .87]'
    """
    if row["ci_low"] is None or row["ci_high"] is None:
        return number(row["estimate"])
    return f"{number(row['estimate'])} [{number(row['ci_low'])}, {number(row['ci_high'])}]"
