"""Confusion matrices: what was true against what was said, counts on a heat map, one panel an exam."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import plotly.graph_objects as go
import polars as pl

from probes.errors import InputError
from probes.figures.figure import Figure
from probes.figures.matrix import BLUES
from probes.figures.panels import Grid, columns_that_fit
from probes.figures.presets import Preset, get_preset
from probes.figures.style import INK, label, text_width

Orders = Mapping[str, tuple[Sequence[str], Sequence[str]]]


def confusion(
    answers: pl.DataFrame,
    orders: Orders,
    *,
    title: str | None = None,
    preset: str | Preset | None = None,
) -> Figure:
    """One heat map a panel: rows are the truth, columns the answer, cells how often, shade the share.

    Parameters
    ----------
    answers : columns panel, truth and answer, one row an answer.
    orders : panel -> (truths from the top, answers from the left), all to be shown.

    Raises InputError for a panel without answers, or an answer that `orders` does not name.
    """
    counts = {
        panel: _counts(answers.filter(pl.col("panel") == panel), panel, *orders[panel]) for panel in orders
    }

    def paint(preset: Preset) -> go.Figure:
        side = max(text_width(name) for truths, _ in orders.values() for name in truths) * 0.9 + 2.6
        below = max(text_width(name) for _, said in orders.values() for name in said) * 0.72 + 2.4
        cols = columns_that_fit(preset, len(orders), 12, side + 1.0, side)
        rows = max(len(truths) for truths, _ in orders.values())
        frame = Grid(
            preset,
            len(orders),
            cols,
            2.0 * rows,
            left=side,
            right=1.0,
            gap=(side, below + 1.8),
            below=below,
            title=title,
        )
        for index, (panel, (truths, said)) in enumerate(orders.items()):
            table = counts[panel]
            totals = [max(1, sum(line)) for line in table]
            shares = [[n / total for n in line] for line, total in zip(table, totals, strict=True)]
            frame.add(
                index,
                "heatmap",
                x=[label(name) for name in said],
                y=[label(name) for name in truths],
                z=shares,
                zmin=0,
                zmax=1,
                colorscale=BLUES,
                xgap=1,
                ygap=1,
                showscale=False,
                customdata=table,
                hovertemplate="true %{y}, said %{x}: %{customdata}<extra></extra>",
            )
            for truth, line, share in zip(truths, table, shares, strict=True):
                for name, n, part in zip(said, line, share, strict=True):
                    if n:
                        frame.text(index, str(n), label(name), label(truth), "white" if part > 0.6 else INK)
            frame.head(index, label(panel))
            frame.xaxis(index, title="said", tickangle=-45, ticks="", showline=False, type="category")
            frame.yaxis(
                index,
                title="true",
                ticks="",
                showline=False,
                type="category",
                range=[len(truths) - 0.5, -0.5],
            )
        return frame.finish()

    n = sum(n for table in counts.values() for line in table for n in line)
    return Figure(
        paint,
        kind="confusion",
        caption=f"What was true (rows) and what was said (columns), counts; shade: share of the row (n={n}).",
        reading="Right answers are on the diagonal; the errors to fear are off it, under internal.",
        caveat="An exam is as hard as its questions: what no organism shows, these counts do not cover.",
        alt=f"Confusion matrices: {', '.join(orders)}.",
        preset=get_preset(preset),
    )


def _counts(answers: pl.DataFrame, panel: str, truths: Sequence[str], said: Sequence[str]) -> list[list[int]]:
    if answers.is_empty():
        raise InputError(f"no answers for the panel {panel!r}: expected rows with it")
    strange = (set(answers["truth"]) - set(truths)) | (set(answers["answer"]) - set(said))
    if strange:
        raise InputError(f"panel {panel!r} holds {sorted(map(str, strange))}: expected what its order names")
    told = {
        key: n for *key, n in answers.group_by("truth", "answer").len().iter_rows() for key in [tuple(key)]
    }
    return [[told.get((truth, answer), 0) for answer in said] for truth in truths]
