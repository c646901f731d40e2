"""Transfer matrix: a probe or direction from every stage, tried at every other, as numbers on a heat map."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from probes.errors import InputError
from probes.figures.figure import Figure
from probes.figures.panels import Grid, columns_that_fit
from probes.figures.presets import Preset, get_preset
from probes.figures.rows import (
    Row,
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
from probes.figures.style import INK, axis_title, interval, label, number, text_width

BLUES = [[0, "#f7fbff"], [0.35, "#c6dbef"], [0.7, "#4292c6"], [1, "#08306b"]]
RED_BLUE = [[0, "#b2182b"], [0.25, "#f4a582"], [0.5, "#f7f7f7"], [0.75, "#92c5de"], [1, "#2166ac"]]
CROSS = {
    "auroc": ("frozen",),
    "accuracy": ("frozen",),
    "cosine": ("direction",),
    "cosine_whitened": ("direction",),
    "steering_slope": ("direction",),
}
OWN = {
    "auroc": ("frozen", "refit", "probe"),
    "accuracy": ("frozen", "refit", "probe"),
    "cosine": ("noise_floor",),
    "cosine_whitened": ("noise_floor",),
    "steering_slope": ("direction",),
}
WORDS = {
    "auroc": (
        "AUROC of the probe from one stage (row), frozen, on the activations of another (column); on the"
        " diagonal the probe refit at that stage",
        "Dark off the diagonal: what one stage made can be read in the other with the same probe.",
        "A frozen probe can keep its AUROC while its threshold drifts, and stages can share what the first"
        " one already had: look at the row of the first stage.",
    ),
    "cosine": (
        "Cosine between the direction fitted at one stage (row) and the one at another (column); on the"
        " diagonal the noise floor, the cosine between refits on resampled pairs of that stage",
        "An entry as high as its diagonal entries is as close to them as noise allows: the same direction.",
        "A few dimensions of huge variance can make any two directions look alike or different: compare the"
        " raw with the whitened cosine. 1 minus the cosine is not a share of what was lost.",
    ),
    "steering_slope": (
        "Change of the choice logit at one stage (column) per unit of the direction from another (row)",
        "Colour off the diagonal: a direction from one stage still moves choices at the other.",
        "Slopes hold at zero dose. Compare with the range of random directions in the table.",
    ),
}
WORDS["cosine_whitened"] = (WORDS["cosine"][0].replace("Cosine", "Whitened cosine", 1), *WORDS["cosine"][1:])
WORDS["accuracy"] = (WORDS["auroc"][0].replace("AUROC", "Accuracy"), *WORDS["auroc"][1:])


def transfer_matrix(
    table: Any,
    *,
    measure: str = "auroc",
    stages: Sequence[str] | None = None,
    order: Sequence[str] | None = None,
    title: str | None = None,
    preset: str | Preset | None = None,
) -> Figure:
    """Stage by stage heat map of a measure, one panel per concept, intervals on hover.

    Rows are the stage the probe or direction comes from, columns the stage it is tried at. `measure` is
    auroc or accuracy (frozen probes), cosine, cosine_whitened or steering_slope. Cells that were not measured
    stay white. Raises InputError for another measure or where the table has no such rows.
    """
    if measure not in CROSS:
        raise InputError(f"no transfer matrix of {measure!r}; choose one of {', '.join(CROSS)}")
    table = table_of(table)
    names = [name for name in stage_order(table, order) if stages is None or name in stages]
    cells, rows = _cells(table, measure, names)
    concepts = concepts_of(rows)
    low, high, colors = _scale(measure, rows)
    what, reading, caveat = WORDS[measure]

    def paint(preset: Preset) -> go.Figure:
        side = max(text_width(name) for name in names) * 0.9 + 1.0
        share = len(names) * 2.0
        cols = columns_that_fit(preset, len(concepts), share, side + 7.2, 1.6)
        room = preset.width_px / preset.em - side - 7.2 - (cols - 1) * 1.6
        cell = min(room / cols / len(names), 3.4)
        slack = room - cell * len(names) * cols
        slant = 0.72 * side
        frame = Grid(
            preset,
            len(concepts),
            cols,
            cell * len(names) * 0.86,
            left=side + 2.2,
            right=5.0 + max(slack, 0),
            gap=(1.6, slant + 3.4),
            below=slant + 2.2,
            title=title,
        )
        shown = [label(name) for name in names]
        for index, concept in enumerate(concepts):
            values = [[cells.get((s, t, concept)) for t in names] for s in names]
            frame.add(
                index,
                "heatmap",
                x=shown,
                y=shown,
                z=[[row and row["estimate"] for row in line] for line in values],
                zmin=low,
                zmax=high,
                colorscale=colors,
                xgap=1,
                ygap=1,
                showscale=index == 0,
                hoverongaps=False,
                name=label(concept),
                customdata=[[interval(row) if row else "" for row in line] for line in values],
                hovertemplate="from %{y}, at %{x}: %{customdata}<extra></extra>",
                colorbar={
                    "title": {"text": axis_title(measure), "side": "right", "font": {"size": preset.em}},
                    "tickfont": {"size": preset.small},
                    "thickness": 0.8 * preset.em,
                    "outlinewidth": 0,
                    "x": 1,
                    "xanchor": "left",
                    "xpad": 0.8 * preset.em,
                    "len": 1,
                    "ypad": 0,
                    "nticks": 6,
                },
            )
            for (source, target, of), row in cells.items():
                if of == concept:
                    ink = _ink(row["estimate"], low, high)
                    frame.text(index, number(row["estimate"]), label(target), label(source), ink)
            frame.head(index, label(concept))
            frame.xaxis(
                index,
                title="tried at" if frame.lowest(index) else None,
                tickangle=-45,
                ticks="",
                showline=False,
                showgrid=False,
                type="category",
                range=[-0.5, len(names) - 0.5],
            )
            frame.yaxis(
                index,
                title="comes from" if frame.first(index) else None,
                showticklabels=frame.first(index),
                ticks="",
                showline=False,
                showgrid=False,
                type="category",
                range=[len(names) - 0.5, -0.5],
            )
        return frame.finish()

    return Figure(
        paint,
        kind="transfer_matrix",
        caption=f"{what}. {sizes(rows)}.",
        reading=reading,
        caveat=caveat,
        alt=f"{axis_title(measure)} between stages {', '.join(names)}; concepts {', '.join(concepts)}.",
        preset=get_preset(preset),
    )


def _cells(table: Any, measure: str, names: list[str]) -> tuple[dict[tuple[str, str, str], Row], list[Row]]:
    """(source, target, concept) -> row; the diagonal takes the first variant of `OWN` that was measured."""
    chosen = chosen_layers(table)
    keys = ["source_stage", "stage", "concept", "variant"]
    rows = pick(table, measure, [*CROSS[measure], *OWN[measure]])
    rows = at_chosen_layer(one_setting(rows, keys), keys, chosen)
    cells: dict[tuple[str, str, str], Row] = {}
    for variant in dict.fromkeys([*CROSS[measure], *OWN[measure]]):
        for row in rows:
            place = (row["source_stage"] or row["stage"], row["stage"], row["concept"])
            wanted = OWN[measure] if own(row) else CROSS[measure]
            if row["variant"] == variant and variant in wanted and set(place[:2]) <= set(names):
                cells.setdefault(place, row)
    across = [row for row in cells.values() if not own(row)]
    need(
        across,
        "a transfer matrix",
        f"measure {measure!r}, variant {CROSS[measure][0]!r} and another source_stage",
    )
    return cells, list(cells.values())


def _scale(measure: str, rows: list[Row]) -> tuple[float, float, list]:
    values = [row["estimate"] for row in rows]
    if measure in ("auroc", "accuracy"):
        return min(0.5, *values), 1.0, BLUES
    if measure.startswith("cosine"):
        return (0.0, 1.0, BLUES) if min(values) >= -0.05 else (-1.0, 1.0, RED_BLUE)
    widest = max(abs(value) for value in values) or 1.0
    return -widest, widest, RED_BLUE


def _ink(value: float, low: float, high: float) -> str:
    """White on dark cells, dark on light ones."""
    share = (value - low) / (high - low)
    if low < 0:
        return "white" if abs(share - 0.5) > 0.38 else INK
    return "white" if share > 0.6 else INK
