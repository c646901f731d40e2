"""Layer profile: what a probe reads at every layer, one line a stage, against what the text alone gives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go
import polars as pl

from probes.errors import InputError
from probes.figures.figure import Figure
from probes.figures.panels import Grid, columns_that_fit
from probes.figures.presets import Preset, get_preset
from probes.figures.rows import (
    Row,
    chosen_layers,
    concepts_of,
    keyed,
    limits,
    need,
    one_setting,
    own,
    pick,
    sizes,
    spread,
    stage_order,
    table_of,
    unique,
)
from probes.figures.style import (
    BASELINES,
    CHANCE,
    GREY,
    StageStyle,
    axis_title,
    dashes,
    interval,
    label,
    stage_styles,
    text_width,
    translucent,
)

MAIN = {"auroc": "probe", "accuracy": "probe", "steering_slope": "direction"}
CONTROLS = {
    "auroc": ("word_ngrams", "char_ngrams", "length", "embedding", "random_init", "shuffled_labels"),
    "accuracy": ("word_ngrams", "char_ngrams", "length", "embedding", "random_init", "shuffled_labels"),
    "steering_slope": ("random_direction", "shuffled_labels"),
}
WORDS = {
    "auroc": (
        "AUROC of a probe refit at every layer, on pairs it was not trained on",
        "Height is how well the concept can be decoded; the distance to the highest dashed line is what the"
        " model adds to the text itself. The large marker is the layer chosen on the selection split.",
        "A line near 1 in the first stage as well: the concept was there before the stage in question, and"
        " decodable is not used. The best of many layers flatters; only the marked one was chosen blind.",
    ),
    "steering_slope": (
        "Change of the choice logit per natural unit of the direction added, at zero dose",
        "A line outside the grey band moves choices more than random directions of the same length do.",
        "A slope holds at zero dose only: the dose-response figure shows where it bends and what breaks. The"
        " same slope in the first stage means that the stage in question did not make it.",
    ),
}
WORDS["accuracy"] = (WORDS["auroc"][0].replace("AUROC", "Accuracy"), *WORDS["auroc"][1:])


def layer_profile(
    table: Any,
    *,
    measure: str = "auroc",
    stages: Sequence[str] | None = None,
    order: Sequence[str] | None = None,
    title: str | None = None,
    preset: str | Preset | None = None,
) -> Figure:
    """A measure by layer: one colour per stage, one panel per concept, bands for the 95% intervals.

    `measure` is auroc, accuracy or steering_slope. Baselines without a layer are dashed lines, those with
    one (random_init, shuffled_labels) dotted curves. Where stages differ in a baseline, the strongest stage
    is drawn: the bar the probe has to pass. Raises InputError for another
    measure or where the table has no such rows.
    """
    if measure not in MAIN:
        raise InputError(f"no layer profile of {measure!r}; choose one of {', '.join(MAIN)}")
    table, variant = table_of(table), MAIN[measure]
    rows = need(
        [row for row in pick(table, measure, [variant], pl.col("layer").is_not_null()) if own(row)],
        "a layer profile",
        f"measure {measure!r}, variant {variant!r} and a layer",
    )
    names = [name for name in stage_order(table, order) if stages is None or name in stages]
    rows = need(
        [row for row in one_setting(rows, ["stage", "concept"]) if row["stage"] in names],
        "a layer profile",
        f"stages {list(stages or [])}",
    )
    rows = unique(rows, ["stage", "concept", "layer"])
    model = {(row["stage"], row["concept"]): row for row in rows}
    controls = one_setting(
        [row for row in pick(table, measure, CONTROLS[measure]) if own(row) and row["stage"] in names],
        ["stage", "concept", "variant"],
        model,
    )
    controls = unique(controls, ["stage", "concept", "variant", "layer"])
    chosen = chosen_layers(table)
    styles = stage_styles(stage_order(table, order))
    what, reading, caveat = WORDS[measure]
    concepts = concepts_of(rows)
    peaks = "; ".join(
        f"{stage} on {concept} {interval(row)} at layer {row['layer']}"
        for (stage, concept), row in chosen.items()
        if measure == "auroc" and stage in names
    )

    def paint(preset: Preset) -> go.Figure:
        drawn = [name for name in names if any(row["stage"] == name for row in rows)]
        frame = _frame(preset, concepts, {name: styles[name] for name in drawn}, controls, title)
        low, high = limits(measure, rows + controls)
        for index, concept in enumerate(concepts):
            of_concept = [row for row in rows if row["concept"] == concept]
            depth = [row["layer"] for row in of_concept]
            beside = [row for row in controls if row["concept"] == concept]
            _controls(frame, index, beside, (low, high), [min(depth), max(depth)])
            for stage in drawn:
                line = sorted((r for r in of_concept if r["stage"] == stage), key=lambda r: r["layer"])
                if line:
                    _line(frame, index, stage, line, styles[stage], chosen.get((stage, concept)))
            frame.head(index, label(concept))
            ends = [min(depth) - 0.3, max(depth) + 0.3]
            frame.xaxis(index, title="layer" if frame.lowest(index) else None, range=ends)
            frame.yaxis(
                index,
                range=[low, high],
                title=axis_title(measure) if frame.first(index) else None,
            )
            if measure in CHANCE:
                frame.rule(index, y=CHANCE[measure])
        return frame.finish()

    return Figure(
        paint,
        kind="layer_profile",
        caption=f"{what}. Shaded: 95% intervals. {sizes(rows)}.",
        reading=reading,
        caveat=caveat,
        alt=f"{axis_title(measure)} by layer for {', '.join(names)}; concepts {', '.join(concepts)}. {peaks}",
        preset=get_preset(preset),
    )


def _frame(
    preset: Preset, concepts: list[str], stages: dict[str, StageStyle], controls: list[Row], title: str | None
) -> Grid:
    tag = max((text_width(BASELINES[row["variant"]]) for row in controls), default=0.5)
    side = 0.9 * tag + 1.5
    left = 4.2
    cols = columns_that_fit(preset, len(concepts), 12, left + side, side + 2.6)
    return Grid(
        preset, len(concepts), cols, 11, left=left, right=side, gap=(side + 2.6, 3.6), key=stages, title=title
    )


def _line(
    frame: Grid, index: int, stage: str, line: list[Row], style: StageStyle, chosen: Row | None
) -> None:
    layers = [row["layer"] for row in line]
    banded = [row for row in line if row["ci_low"] is not None and row["ci_high"] is not None]
    if banded:
        frame.band(
            index,
            [row["layer"] for row in banded],
            [row["ci_low"] for row in banded],
            [row["ci_high"] for row in banded],
            translucent(style.color, 0.11),
            name=f"{stage} interval",
            legendgroup=stage,
        )
    frame.add(
        index,
        "scatter",
        x=layers,
        y=[row["estimate"] for row in line],
        mode="lines",
        name=label(stage),
        legendgroup=stage,
        showlegend=index == 0,
        line={"color": style.color, "width": frame.preset.stroke, "dash": style.dash},
        customdata=[interval(row) for row in line],
        hovertemplate=f"{label(stage)}<br>layer %{{x}}: %{{customdata}}<extra></extra>",
    )
    marked = [row for row in line if chosen is not None and row["layer"] == chosen["layer"]]
    if marked:
        frame.add(
            index,
            "scatter",
            x=[marked[0]["layer"]],
            y=[marked[0]["estimate"]],
            mode="markers",
            showlegend=False,
            legendgroup=stage,
            name=f"{stage} chosen",
            marker={
                "size": 0.62 * frame.preset.em,
                "color": style.color,
                "symbol": style.symbol,
                "line": {"color": "white", "width": 0.1 * frame.preset.em},
            },
            customdata=[interval(marked[0])],
            hovertemplate=f"{label(stage)}, chosen layer %{{x}}: %{{customdata}}<extra></extra>",
        )


def _controls(
    frame: Grid, index: int, rows: list[Row], span_y: tuple[float, float], depth: list[int]
) -> None:
    """The strongest stage of each baseline, named at the right edge of the panel."""
    ends = []
    for (variant,), group in keyed(rows, ["variant"]).items():
        strongest = max(keyed(group, ["stage"]).values(), key=lambda of: max(abs(r["estimate"]) for r in of))
        name = BASELINES[variant]
        flat = strongest[0]["layer"] is None
        line = strongest[:1] if flat else sorted(strongest, key=lambda row: row["layer"])
        hover = f"{name} (stage {label(strongest[0]['stage'])}): %{{customdata}}<extra></extra>"
        ends.append((name, line[-1]["estimate"]))
        if flat:
            span, line = depth, line * 2
        else:
            span = [row["layer"] for row in line]
        if variant == "random_direction" and None not in (line[0]["ci_low"], line[0]["ci_high"]):
            lows, highs = [row["ci_low"] for row in line], [row["ci_high"] for row in line]
            frame.band(index, span, lows, highs, "rgba(120,120,120,0.22)", name="random range")
        frame.add(
            index,
            "scatter",
            x=span,
            y=[row["estimate"] for row in line],
            mode="lines",
            showlegend=False,
            name=variant,
            line={
                "color": GREY,
                "width": 0.75 * frame.preset.stroke,
                "dash": dashes(frame.preset, 1.0 if flat else 0.45),
            },
            customdata=[interval(row) for row in line],
            hovertemplate=hover,
        )
    low, high = span_y
    unit = (high - low) / frame.panel_height
    places = spread([value for _, value in ends], 1.08 * frame.preset.small * unit, low, high)
    for (name, value), place in zip(ends, places, strict=True):
        frame.label(index, name, depth[1], value, (value - place) / unit)
