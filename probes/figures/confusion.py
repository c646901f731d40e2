"""Confusion matrices: the truth against the answer, counts on a heat map, one panel an exam."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import plotly.graph_objects as go
import polars as pl

from probes.errors import InputError
from probes.figures.figure import Figure
from probes.figures.fitting import columns_that_fit
from probes.figures.panels import Grid, Spacing
from probes.figures.presets import Preset, get_preset
from probes.figures.style import BLUES, INK
from probes.figures.text import label, text_width

Orders = Mapping[str, tuple[Sequence[str], Sequence[str]]]
"""Panel -> (truths from the top, answers from the left)."""
Counts = list[list[int]]


def confusion(
    answers: pl.DataFrame,
    orders: Orders,
    *,
    title: str | None = None,
    preset: str | Preset | None = None,
) -> Figure:
    """Draw one heat map a panel: rows are the truth, columns the answer, and each cell says how often.

    The shade of a cell is its share of the row.

    Parameters
    ----------
    answers : polars.DataFrame
        Columns `panel`, `truth` and `answer`, one row an answer.
    orders : mapping of str to (truths, answers)
        For each panel, the truths from the top and the answers from the left. All of them are shown.
    title, preset : optional
        With which title and at which size to draw, as in `probes.draw`.

    Returns
    -------
    Figure

    Raises
    ------
    InputError
        A panel has no answers, or there is one that `orders` does not name.

    Examples
    --------
    >>> import polars as pl
    >>> answers = {"panel": "exam", "truth": ["yes", "yes", "no"], "answer": ["yes", "no", "no"]}
    >>> figure = confusion(pl.DataFrame(answers), {"exam": (["yes", "no"], ["yes", "no"])})
    >>> np.array(figure.plotly.data[0].customdata)
    array([[1, 1],
           [0, 1]])
    """
    counts = {
        panel: _counts(answers.filter(pl.col("panel") == panel), panel, *orders[panel]) for panel in orders
    }

    def paint(preset: Preset) -> go.Figure:
        side = max(text_width(name) for truths, _ in orders.values() for name in truths) * 0.9 + 2.6
        below = max(text_width(name) for _, columns in orders.values() for name in columns) * 0.72 + 2.4
        rows = max(len(truths) for truths, _ in orders.values())
        grid = Grid(
            preset,
            len(orders),
            columns_that_fit(preset, len(orders), 12, side + 1.0, side),
            2.0 * rows,
            Spacing(left=side, right=1.0, across=side, down=below + 1.8, below=below),
            title=title,
        )
        for index, (panel, (truths, columns)) in enumerate(orders.items()):
            _heat_map(grid, index, counts[panel], truths, columns)
            grid.head(index, label(panel))
        return grid.finish()

    n = sum(n for table in counts.values() for line in table for n in line)
    return Figure(
        paint,
        kind="confusion",
        caption=(
            "How often each truth (row) was given each answer (column). The shade is the share of the row"
            f" (n={n})."
        ),
        how_to_read=(
            "Right answers are on the diagonal. The errors to fear most are off the diagonal in the column"
            " `internal`."
        ),
        caveat=(
            "An exam is as hard as its questions: these counts say nothing about cases that no model organism"
            " shows."
        ),
        alt=f"Confusion matrices: {', '.join(orders)}.",
        preset=get_preset(preset),
    )


def _heat_map(grid: Grid, index: int, counts: Counts, truths: Sequence[str], answers: Sequence[str]) -> None:
    totals = [max(1, sum(line)) for line in counts]
    shares = [[n / total for n in line] for line, total in zip(counts, totals, strict=True)]
    grid.add(
        index,
        "heatmap",
        x=[label(name) for name in answers],
        y=[label(name) for name in truths],
        z=shares,
        zmin=0,
        zmax=1,
        colorscale=BLUES,
        xgap=1,
        ygap=1,
        showscale=False,
        customdata=counts,
        hovertemplate="truth %{y}, answer %{x}: %{customdata}<extra></extra>",
    )
    for truth, line, row in zip(truths, counts, shares, strict=True):
        for name, n, share in zip(answers, line, row, strict=True):
            if n:
                grid.text(index, str(n), label(name), label(truth), "white" if share > 0.6 else INK)
    look = {"ticks": "", "showline": False, "type": "category"}
    grid.xaxis(index, title="answer", tickangle=-45, **look)
    grid.yaxis(index, title="truth", range=[len(truths) - 0.5, -0.5], **look)


def _counts(answers: pl.DataFrame, panel: str, truths: Sequence[str], columns: Sequence[str]) -> Counts:
    if answers.is_empty():
        raise InputError(f"no answers for the panel {panel!r}: expected at least one row with it")
    strange = (set(answers["truth"]) - set(truths)) | (set(answers["answer"]) - set(columns))
    if strange:
        raise InputError(
            f"panel {panel!r} holds {sorted(map(str, strange))}, which its order does not name: expected"
            f" truths among {list(truths)} and answers among {list(columns)}"
        )
    pairs = answers.select("truth", "answer").rows()
    return [[pairs.count((truth, answer)) for answer in columns] for truth in truths]
