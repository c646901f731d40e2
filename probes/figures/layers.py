"""Layer profile: a measure at every layer, one line a stage, beside baselines made from the text alone."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go
import polars as pl

from probes.errors import InputError
from probes.figures.figure import Figure, Words
from probes.figures.fitting import columns_that_fit, limits, spread
from probes.figures.marks import interval_band
from probes.figures.panels import Grid, Spacing
from probes.figures.presets import Preset, get_preset
from probes.figures.rows import (
    Row,
    Table,
    chosen_layers,
    concepts_of,
    keyed,
    need,
    one_setting,
    own,
    pick,
    sizes,
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
    stage_styles,
    translucent,
)
from probes.figures.text import interval, label, text_width

MAIN = {"auroc": "probe", "accuracy": "probe", "steering_slope": "direction"}
CONTROLS = {
    "auroc": ("word_ngrams", "char_ngrams", "length", "embedding", "random_init", "shuffled_labels"),
    "accuracy": ("word_ngrams", "char_ngrams", "length", "embedding", "random_init", "shuffled_labels"),
    "steering_slope": ("random_direction", "shuffled_labels"),
}
PROBE = Words(
    " of a probe that was fitted at each layer, on pairs that it was not trained on",
    "The height of a line says how well the concept can be decoded; its distance to the highest dashed line"
    " is what the model adds to the text itself. The large marker is the layer that the selection split"
    " chose.",
    "A line near 1 at the first stage as well means that the concept was there before the stage in question,"
    " and a concept that can be decoded need not be used. The best of many layers looks better than it is:"
    " only the marked layer was chosen without looking at these pairs.",
)
WORDS = {
    "auroc": PROBE._replace(what="AUROC" + PROBE.what),
    "accuracy": PROBE._replace(what="Accuracy" + PROBE.what),
    "steering_slope": Words(
        "Slope of the choice logit against the dose of the direction that is added, at dose zero",
        "Where a line leaves the grey band, its direction changes choices more than random directions of the"
        " same length do.",
        "A slope holds near dose zero only: the dose-response figure shows where it bends and what breaks."
        " The same slope at the first stage means that the stage in question did not make it.",
    ),
}


def layer_profile(
    table: Table,
    *,
    measure: str = "auroc",
    stages: Sequence[str] | None = None,
    order: Sequence[str] | None = None,
    title: str | None = None,
    preset: str | Preset | None = None,
) -> Figure:
    """Draw a measure by layer: one line a stage, one panel a concept, and bands for the 95% intervals.

    Baselines without a layer are dashed lines, those with one (random_init, shuffled_labels) dotted curves.
    Where stages differ in a baseline, that of the stage where it is strongest is drawn, because it is what
    the probe has to exceed.

    Parameters
    ----------
    table : polars.DataFrame or Result
        A tidy table with rows of the measure at every layer.
    measure : str
        `auroc`, `accuracy` or `steering_slope`.
    stages, order, title, preset : optional
        Which stages to draw, in which order, with which title and at which size, as in `probes.draw`.

    Returns
    -------
    Figure

    Raises
    ------
    InputError
        There is no layer profile of that measure, or the table has no such rows.

    References
    ----------
    Hewitt, Liang (2019), Designing and Interpreting Probes with Control Tasks: why controls are drawn.

    Examples
    --------
    >>> figure = layer_profile(table, stages=["mid"])
    >>> print(figure.alt)
    AUROC by layer for mid; concepts prices. mid on prices .76 [.72, .80] at layer 3
    """
    if measure not in MAIN:
        raise InputError(f"no layer profile of {measure!r}; choose one of {', '.join(MAIN)}")
    table = table_of(table)
    names = [name for name in stage_order(table, order) if stages is None or name in stages]
    rows, controls = _rows(table, measure, names)
    chosen = chosen_layers(table)
    styles = stage_styles(stage_order(table, order))
    words = WORDS[measure]
    concepts = concepts_of(rows)
    peaks = "; ".join(
        f"{stage} on {concept} {interval(row)} at layer {row['layer']}"
        for (stage, concept), row in chosen.items()
        if measure == "auroc" and stage in names
    )

    def paint(preset: Preset) -> go.Figure:
        drawn = [name for name in names if any(row["stage"] == name for row in rows)]
        grid = _grid(preset, concepts, {name: styles[name] for name in drawn}, controls, title)
        low, high = limits(measure, rows + controls)
        for index, concept in enumerate(concepts):
            of_concept = [row for row in rows if row["concept"] == concept]
            depth = [row["layer"] for row in of_concept]
            beside = [row for row in controls if row["concept"] == concept]
            _controls(grid, index, beside, (low, high), [min(depth), max(depth)])
            for stage in drawn:
                line = sorted((r for r in of_concept if r["stage"] == stage), key=lambda r: r["layer"])
                if line:
                    _line(grid, index, stage, line, styles[stage], chosen.get((stage, concept)))
            grid.head(index, label(concept))
            ends = [min(depth) - 0.3, max(depth) + 0.3]
            grid.xaxis(index, title="layer" if grid.lowest(index) else None, range=ends)
            grid.yaxis(
                index,
                range=[low, high],
                title=axis_title(measure) if grid.first(index) else None,
            )
            grid.rule(index, y=CHANCE[measure])
        return grid.finish()

    return Figure(
        paint,
        kind="layer_profile",
        caption=f"{words.what}. Shaded bands are 95% intervals. {sizes(rows)}.",
        how_to_read=words.how_to_read,
        caveat=words.caveat,
        alt=f"{axis_title(measure)} by layer for {', '.join(names)}; concepts {', '.join(concepts)}. {peaks}",
        preset=get_preset(preset),
    )


def _rows(table: pl.DataFrame, measure: str, names: list[str]) -> tuple[list[Row], list[Row]]:
    """The rows of the stages' own probes or directions at every layer, and those of their controls."""
    variant = MAIN[measure]
    rows = need(
        [row for row in pick(table, measure, [variant], pl.col("layer").is_not_null()) if own(row)],
        "a layer profile",
        f"measure {measure!r}, variant {variant!r} and a layer",
    )
    rows = need(
        [row for row in one_setting(rows, ["stage", "concept"]) if row["stage"] in names],
        "a layer profile",
        f"a stage among {names}",
    )
    rows = unique(rows, ["stage", "concept", "layer"])
    controls = one_setting(
        [row for row in pick(table, measure, CONTROLS[measure]) if own(row) and row["stage"] in names],
        ["stage", "concept", "variant"],
        {(row["stage"], row["concept"]): row for row in rows},
    )
    return rows, unique(controls, ["stage", "concept", "variant", "layer"])


def _grid(
    preset: Preset, concepts: list[str], stages: dict[str, StageStyle], controls: list[Row], title: str | None
) -> Grid:
    """Panels with room to their right for the names of the controls."""
    tag = max((text_width(BASELINES[row["variant"]]) for row in controls), default=0.5)
    side = 0.9 * tag + 1.5
    left = 4.2
    cols = columns_that_fit(preset, len(concepts), 12, left + side, side + 2.6)
    spacing = Spacing(left=left, right=side, across=side + 2.6, down=3.6)
    return Grid(preset, len(concepts), cols, 11, spacing, key=stages, title=title)


def _line(grid: Grid, index: int, stage: str, line: list[Row], style: StageStyle, chosen: Row | None) -> None:
    """The measure of one stage along the layers, its interval, and a marker at the chosen layer."""
    layers = [row["layer"] for row in line]
    interval_band(
        grid,
        index,
        layers,
        line,
        translucent(style.color, 0.11),
        name=f"{stage} interval",
        legendgroup=stage,
    )
    grid.add(
        index,
        "scatter",
        x=layers,
        y=[row["estimate"] for row in line],
        mode="lines",
        name=label(stage),
        legendgroup=stage,
        showlegend=index == 0,
        line={"color": style.color, "width": grid.preset.stroke, "dash": style.dash},
        customdata=[interval(row) for row in line],
        hovertemplate=f"{label(stage)}<br>layer %{{x}}: %{{customdata}}<extra></extra>",
    )
    marked = [row for row in line if chosen is not None and row["layer"] == chosen["layer"]]
    if marked:
        grid.add(
            index,
            "scatter",
            x=[marked[0]["layer"]],
            y=[marked[0]["estimate"]],
            mode="markers",
            showlegend=False,
            legendgroup=stage,
            name=f"{stage} chosen",
            marker={
                "size": 0.62 * grid.preset.em,
                "color": style.color,
                "symbol": style.symbol,
                "line": {"color": "white", "width": 0.1 * grid.preset.em},
            },
            customdata=[interval(marked[0])],
            hovertemplate=f"{label(stage)}, chosen layer %{{x}}: %{{customdata}}<extra></extra>",
        )


def _controls(grid: Grid, index: int, rows: list[Row], span_y: tuple[float, float], depth: list[int]) -> None:
    """Each baseline where it is strongest, named at the right edge of the panel."""
    ends = []
    for (variant,), group in keyed(rows, ["variant"]).items():
        strongest = max(keyed(group, ["stage"]).values(), key=lambda of: max(abs(r["estimate"]) for r in of))
        name = BASELINES[variant]
        flat = strongest[0]["layer"] is None
        if flat:
            line, layers = strongest[:1] * 2, depth
        else:
            line = sorted(strongest, key=lambda row: row["layer"])
            layers = [row["layer"] for row in line]
        ends.append((name, line[-1]["estimate"]))
        if variant == "random_direction":
            interval_band(grid, index, layers, line, "rgba(120,120,120,0.22)", name="random range")
        stage = label(strongest[0]["stage"])
        grid.add(
            index,
            "scatter",
            x=layers,
            y=[row["estimate"] for row in line],
            mode="lines",
            showlegend=False,
            name=variant,
            line={
                "color": GREY,
                "width": 0.75 * grid.preset.stroke,
                "dash": dashes(grid.preset, 1.0 if flat else 0.45),
            },
            customdata=[interval(row) for row in line],
            hovertemplate=f"{name} (stage {stage}): %{{customdata}}<extra></extra>",
        )
    low, high = span_y
    unit = (high - low) / grid.panel_height
    places = spread([value for _, value in ends], 1.08 * grid.preset.small * unit, low, high)
    for (name, value), place in zip(ends, places, strict=True):
        grid.label(index, name, depth[1], value, (value - place) / unit)
