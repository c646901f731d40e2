"""Survival curves: what each arm of a lineage keeps from stage to stage, arm beside arm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

from probes.figures.dose import error_bars
from probes.figures.figure import Figure
from probes.figures.panels import Grid
from probes.figures.presets import Preset, get_preset
from probes.figures.rows import (
    Row,
    at_chosen_layer,
    chosen_layers,
    concepts_of,
    limits,
    need,
    one_setting,
    own,
    pick,
    sizes,
    stage_order,
    table_of,
)
from probes.figures.style import (
    CHANCE,
    GREY,
    INK,
    StageStyle,
    axis_title,
    dashes,
    interval,
    label,
    stage_styles,
    text_width,
)

ITSELF = {"auroc": ("refit", "probe"), "accuracy": ("refit", "probe"), "steering_slope": ("direction",)}
FOOT = "filled: fitted at the stage itself; hollow: carried over from the stage of that colour"
CARRIED = {"auroc": "frozen", "accuracy": "frozen"}


@dataclass(frozen=True)
class Arm:
    """One panel: the stages along its axis, and the root-to-leaf paths drawn in it."""

    stages: list[str]
    paths: list[list[str]]

    def fresh(self, path: list[str]) -> int:
        """How many of the path's stages the paths before it have drawn."""
        before = {stage for other in self.paths[: self.paths.index(path)] for stage in other}
        return sum(stage in before for stage in path)


def arms(order: Sequence[str], parents: Mapping[str, str | None] | None) -> list[Arm]:
    """Root-to-leaf paths of the lineage in stage order, those that share more than a root in one arm; without
    `parents` one arm of all stages."""
    if parents is None:
        return [Arm(list(order), [list(order)])]
    kept = set(order)
    leaves = [stage for stage in order if stage not in {parents.get(other) for other in kept}]
    together: dict[tuple[str, ...], list[list[str]]] = {}
    for leaf in leaves:
        path: list[str] = []
        stage: str | None = leaf
        while stage is not None and stage not in path:
            path.append(stage)
            stage = parents.get(stage)
        path = [stage for stage in reversed(path) if stage in kept]
        together.setdefault(tuple(path[:2]), []).append(path)
    drawn = sorted(together.items(), key=lambda arm: order.index(arm[0][-1]))
    return [Arm(list(dict.fromkeys(s for p in paths for s in p)), paths) for _, paths in drawn]


def survival_curves(
    table: Any,
    *,
    measure: str = "auroc",
    order: Sequence[str] | None = None,
    parents: Mapping[str, str | None] | None = None,
    title: str | None = None,
    preset: str | Preset | None = None,
) -> Figure:
    """A measure along every arm, arms side by side, one row of panels per concept, with intervals.

    `measure` is auroc, accuracy, cosine, cosine_whitened or steering_slope. Filled points are refit at the
    stage itself; a dashed line with hollow points is the probe or direction of the stage whose colour it
    has, carried unchanged to the stages after it. Stages that branch off within an arm stand side by side,
    each joined to its parent. `parents` maps a stage to its parent (None for the root) and makes the arms;
    without it all stages stand in one arm. Raises InputError where the table has no such rows.
    """
    table = table_of(table)
    names = stage_order(table, order)
    keys = ["source_stage", "stage", "concept", "variant"]
    wanted = [*ITSELF.get(measure, ()), CARRIED.get(measure, "direction")]
    rows = at_chosen_layer(one_setting(pick(table, measure, wanted), keys), keys, chosen_layers(table))
    itself: dict[tuple[str, str], Row] = {}
    for variant in ITSELF.get(measure, ()):
        for row in rows:
            if own(row) and row["variant"] == variant:
                itself.setdefault((row["stage"], row["concept"]), row)
    across = [row for row in rows if not own(row) and row["variant"] == CARRIED.get(measure, "direction")]
    carried = {(row["source_stage"], row["stage"], row["concept"]): row for row in across}
    used = need(
        [*itself.values(), *carried.values()],
        "a survival figure",
        f"measure {measure!r} and variants among {', '.join(dict.fromkeys(wanted))}",
    )
    names = [
        name for name in names if any(name == row["stage"] or name == row["source_stage"] for row in used)
    ]
    panels = arms(names, parents)
    concepts = concepts_of(used)
    styles = stage_styles(stage_order(table, order))

    def paint(preset: Preset) -> go.Figure:
        frame = _survival_frame(preset, concepts, names, panels, title)
        low, high = limits(measure, used)
        for band, concept in enumerate(concepts):
            for place, arm in enumerate(panels):
                index = band * len(panels) + place
                for path in arm.paths:
                    _path(frame, index, arm, path, concept, itself, carried, styles)
                last = band == len(concepts) - 1
                frame.xaxis(
                    index,
                    tickmode="array",
                    tickvals=list(range(len(arm.stages))),
                    ticktext=[label(name) for name in arm.stages],
                    tickangle=-45,
                    range=[-0.45, len(arm.stages) - 0.55],
                    showticklabels=last,
                )
                frame.yaxis(
                    index,
                    range=[low, high],
                    showticklabels=place == 0,
                    nticks=6,
                    title=axis_title(measure) if place == 0 else None,
                )
                if measure in CHANCE:
                    frame.rule(index, y=CHANCE[measure])
            frame.head(band * len(panels), label(concept))
        return frame.finish()

    return Figure(
        paint,
        kind="survival_curves",
        caption=(
            f"{axis_title(measure)} along each arm of the lineage. Filled: fitted at the stage itself;"
            " hollow, dashed: carried unchanged from the stage of that colour. Bars: 95% intervals."
            f" {sizes(used)}."
        ),
        reading=(
            "A dashed line that stays level says that later training kept what that stage had. Compare an arm"
            " with the arm beside it that lacks the stage in question."
        ),
        caveat=(
            "Frozen probes can stay level while fresh ones move, and both can while behaviour reverts: read"
            " this with the choice rates. A concept that was there from the start survives in every arm."
        ),
        alt=f"{axis_title(measure)} along the arms "
        + "; ".join(" to ".join(path) for arm in panels for path in arm.paths)
        + ".",
        preset=get_preset(preset),
    )


def _survival_frame(
    preset: Preset, concepts: list[str], names: list[str], panels: list[Arm], title: str | None
) -> Grid:
    slant = 0.72 * (max(text_width(name) for name in names) * 0.9) + 1.0
    return Grid(
        preset,
        len(concepts) * len(panels),
        len(panels),
        9,
        left=4.2,
        right=0.8,
        gap=(1.0, 2.2),
        below=slant + 0.6,
        shares=[len(arm.stages) for arm in panels],
        title=title,
        foot=FOOT,
    )


def _path(
    frame: Grid,
    index: int,
    arm: Arm,
    path: list[str],
    concept: str,
    itself: dict[tuple[str, str], Row],
    carried: dict[tuple[str, str, str], Row],
    styles: dict[str, StageStyle],
) -> None:
    """Draw what a path adds to the paths before it, from the stage where it branches off."""
    preset = frame.preset
    fork = max(arm.fresh(path) - 1, 0)
    at = {stage: arm.stages.index(stage) for stage in path}
    points = [(at[stage], itself[stage, concept]) for stage in path[fork:] if (stage, concept) in itself]
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
        frame.add(
            index,
            "scatter",
            x=[place for place, _ in line],
            y=[row["estimate"] for _, row in line],
            mode="lines+markers",
            showlegend=False,
            name=f"from {label(source)}",
            line={"color": style.color, "width": 0.8 * preset.stroke, "dash": dashes(preset)},
            marker={
                "size": 0.5 * preset.em,
                "color": "white",
                "symbol": style.symbol,
                "line": {"color": style.color, "width": 0.12 * preset.em},
            },
            error_y=error_bars([row for _, row in line], style.color, preset),
            customdata=[interval(row) for _, row in line],
            hovertemplate=f"from {label(source)}: %{{customdata}}<extra></extra>",
        )
    if points:
        marks = [styles[row["stage"]] for _, row in points]
        frame.add(
            index,
            "scatter",
            x=[place for place, _ in points],
            y=[row["estimate"] for _, row in points],
            mode="lines+markers",
            showlegend=False,
            name="refit",
            line={"color": GREY, "width": preset.stroke},
            marker={
                "size": 0.6 * preset.em,
                "color": [mark.color for mark in marks],
                "symbol": [mark.symbol for mark in marks],
            },
            error_y=error_bars([row for _, row in points], INK, preset),
            customdata=[interval(row) for _, row in points],
            hovertemplate="fitted here: %{customdata}<extra></extra>",
        )
