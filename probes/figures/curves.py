"""Survival curves: what each arm of a lineage keeps from stage to stage, arm beside arm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go
import polars as pl

from probes.errors import InputError
from probes.figures.arms import Arm, arms
from probes.figures.figure import Figure
from probes.figures.fitting import limits
from probes.figures.marks import error_bars
from probes.figures.panels import Grid, Spacing
from probes.figures.presets import Preset, get_preset
from probes.figures.rows import (
    Row,
    Table,
    at_chosen_layer,
    chosen_layers,
    concepts_of,
    need,
    one_setting,
    own,
    pick,
    sizes,
    stage_order,
    table_of,
)
from probes.figures.style import CHANCE, GREY, INK, StageStyle, axis_title, dashes, stage_styles
from probes.figures.text import interval, label, text_width

ITSELF = {"auroc": ("refit", "probe"), "accuracy": ("refit", "probe"), "steering_slope": ("direction",)}
CARRIED = {"auroc": "frozen", "accuracy": "frozen"}
LINES = "on dashed lines are carried unchanged from the stage of that colour"
NO_LINES = (
    "are carried unchanged from the stage of that colour. Points are not joined, because the stages' parents"
    " were not given"
)
FOOT = "filled: fitted at the stage itself; hollow: carried over from the stage of that colour"


@dataclass(frozen=True)
class _Estimates:
    """What is drawn: estimates of what was fitted at a stage itself, and of what was carried over to it."""

    itself: dict[tuple[str, str], Row]
    """(stage, concept) -> row."""
    carried: dict[tuple[str, str, str], Row]
    """(source stage, stage, concept) -> row."""

    @property
    def rows(self) -> list[Row]:
        return [*self.itself.values(), *self.carried.values()]


def survival_curves(
    table: Table,
    *,
    measure: str = "auroc",
    stages: Sequence[str] | None = None,
    order: Sequence[str] | None = None,
    parents: Mapping[str, str | None] | None = None,
    title: str | None = None,
    preset: str | Preset | None = None,
) -> Figure:
    """Draw a measure along every arm of a lineage, arms side by side, one row of panels a concept.

    Filled points are fitted at the stage itself. A dashed line with hollow points is the probe or direction
    of the stage whose colour it has, carried unchanged to the stages after it. Stages that branch off within
    an arm stand side by side, each joined to its parent. Bars are 95% intervals.

    Parameters
    ----------
    table : polars.DataFrame or Result
        A tidy table with rows of the measure and another `source_stage`.
    measure : str
        `auroc`, `accuracy`, `cosine`, `cosine_whitened` or `steering_slope`.
    parents : mapping of str to str or None, optional
        Stage -> its parent, None for the root. It makes the arms; without it all stages stand in one arm and
        no points are joined, because a line would say that one stage was trained from the other.
    stages, order, title, preset : optional
        Which stages to draw, in which order, with which title and at which size, as in `probes.draw`.

    Returns
    -------
    Figure

    Raises
    ------
    InputError
        The table has no such rows, or not the stages named.

    Examples
    --------
    >>> figure = survival_curves(table, parents={"base": None, "mid": "base"})
    >>> [(trace.name, np.round(trace.y, 2).tolist()) for trace in figure.plotly.data]
    [('from base', [0.93, 0.9]), ('refit', [0.93, 0.94])]
    """
    table = table_of(table)
    whole = table
    if stages is not None:
        every = stage_order(table, order)
        if missing := [stage for stage in stages if stage not in every]:
            raise InputError(f"no stage {missing[0]!r} in this table; it has {', '.join(every)}")
        kept = list(stages)
        source = pl.col("source_stage")
        table = table.filter(pl.col("stage").is_in(kept), source.is_null() | source.is_in(kept))
    estimates = _estimates(table, measure)
    used = estimates.rows
    drawn = {row[column] for row in used for column in ("stage", "source_stage")}
    names = [stage for stage in stage_order(table, order) if stage in drawn]
    panels = arms(names, parents)
    concepts = concepts_of(used)
    styles = stage_styles(stage_order(whole, order))  # a stage has its colour whatever is drawn
    name = axis_title(measure)

    def paint(preset: Preset) -> go.Figure:
        grid = _grid(preset, len(concepts), names, panels, title)
        low, high = limits(measure, used)
        for row, concept in enumerate(concepts):
            for place, arm in enumerate(panels):
                index = row * len(panels) + place
                for path in arm.paths:
                    _path(grid, index, arm, path, concept, estimates, styles)
                grid.xaxis(
                    index,
                    tickmode="array",
                    tickvals=list(range(len(arm.stages))),
                    ticktext=[label(stage) for stage in arm.stages],
                    tickangle=-45,
                    range=[-0.45, len(arm.stages) - 0.55],
                    showticklabels=row == len(concepts) - 1,
                )
                grid.yaxis(
                    index,
                    range=[low, high],
                    showticklabels=place == 0,
                    nticks=6,
                    title=name if place == 0 else None,
                )
                if measure in CHANCE:
                    grid.rule(index, y=CHANCE[measure])
            grid.head(row * len(panels), label(concept))
        return grid.finish()

    return Figure(
        paint,
        kind="survival_curves",
        caption=(
            f"{name[:1].upper()}{name[1:]} along each arm of the lineage. Filled points are fitted at the"
            f" stage itself; hollow points {NO_LINES if parents is None else LINES}. Bars are 95%"
            f" intervals. {sizes(used)}."
        ),
        how_to_read=(
            f"{'Dashed lines that stay' if parents is not None else 'Hollow points of one colour that stay'}"
            " level say that later training kept what that stage had. Compare an arm with the arm beside it"
            " that lacks the stage in question."
        ),
        caveat=(
            "Frozen probes can stay level while fresh ones move, and both can stay level while behaviour goes"
            " back to what it was, so look at the choice rates as well. A concept that was there from the"
            " start survives in every arm."
        ),
        alt=f"{name} along the arms "
        + "; ".join(" to ".join(path) for arm in panels for path in arm.paths)
        + ".",
        preset=get_preset(preset),
    )


def _estimates(table: pl.DataFrame, measure: str) -> _Estimates:
    """The rows of a measure at the chosen layers, of the first variant that was measured."""
    fitted_here, carried_over = ITSELF.get(measure, ()), CARRIED.get(measure, "direction")
    keys = ["source_stage", "stage", "concept", "variant"]
    variants = [*fitted_here, carried_over]
    rows = at_chosen_layer(one_setting(pick(table, measure, variants), keys), keys, chosen_layers(table))
    itself: dict[tuple[str, str], Row] = {}
    for variant in fitted_here:
        for row in rows:
            if own(row) and row["variant"] == variant:
                itself.setdefault((row["stage"], row["concept"]), row)
    across = [row for row in rows if not own(row) and row["variant"] == carried_over]
    carried = {(row["source_stage"], row["stage"], row["concept"]): row for row in across}
    estimates = _Estimates(itself, carried)
    need(
        estimates.rows,
        "a survival figure",
        f"measure {measure!r} and variants among {', '.join(dict.fromkeys(variants))}",
    )
    return estimates


def _grid(preset: Preset, n_concepts: int, names: list[str], panels: list[Arm], title: str | None) -> Grid:
    """A column of panels for each arm, as wide as it has stages, with room for slanted stage names."""
    slant = 0.72 * (max(text_width(name) for name in names) * 0.9) + 1.0
    return Grid(
        preset,
        n_concepts * len(panels),
        len(panels),
        9,
        Spacing(left=4.2, right=0.8, across=1.0, down=2.2, below=slant + 0.6),
        shares=[len(arm.stages) for arm in panels],
        title=title,
        foot=FOOT,
    )


def _path(
    grid: Grid,
    index: int,
    arm: Arm,
    path: list[str],
    concept: str,
    estimates: _Estimates,
    styles: Mapping[str, StageStyle],
) -> None:
    """Draw what a path adds to the paths before it, from the stage where it branches off."""
    preset, itself, carried = grid.preset, estimates.itself, estimates.carried
    fork = max(arm.shared(path) - 1, 0)
    at = {stage: arm.stages.index(stage) for stage in path}
    for begin, source in enumerate(path):
        shift = 0.07 * (begin + 1)
        line = [
            (at[stage] + shift, carried[source, stage, concept])
            for stage in path[max(fork, begin + 1) :]
            if (source, stage, concept) in carried
        ]
        if not line or (fork > begin and len(line) == 1):
            continue
        style = styles[source]
        if begin >= fork and (source, concept) in itself:
            line = [(at[source], itself[source, concept]), *line]
        _points(
            grid,
            index,
            line,
            style.color,
            f"from {label(source)}",
            name=f"from {label(source)}",
            joined=arm.joined,
            line={"color": style.color, "width": 0.8 * preset.stroke, "dash": dashes(preset)},
            marker={
                "size": 0.5 * preset.em,
                "color": "white",
                "symbol": style.symbol,
                "line": {"color": style.color, "width": 0.12 * preset.em},
            },
        )
    points = [(at[stage], itself[stage, concept]) for stage in path[fork:] if (stage, concept) in itself]
    if points:
        marks = [styles[row["stage"]] for _, row in points]
        _points(
            grid,
            index,
            points,
            INK,
            "fitted here",
            name="refit",
            joined=arm.joined,
            line={"color": GREY, "width": preset.stroke},
            marker={
                "size": 0.6 * preset.em,
                "color": [mark.color for mark in marks],
                "symbol": [mark.symbol for mark in marks],
            },
        )


def _points(
    grid: Grid,
    index: int,
    points: Sequence[tuple[float, Row]],
    color: str,
    hover: str,
    joined: bool,
    **trace: Any,
) -> None:
    """Estimates at places along the axis, `joined` by a line or not, with error bars of a colour; `hover`
    says what they are."""
    rows = [row for _, row in points]
    grid.add(
        index,
        "scatter",
        x=[place for place, _ in points],
        y=[row["estimate"] for row in rows],
        mode="lines+markers" if joined else "markers",
        showlegend=False,
        error_y=error_bars(rows, color, grid.preset),
        customdata=[interval(row) for row in rows],
        hovertemplate=f"{hover}: %{{customdata}}<extra></extra>",
        **trace,
    )
