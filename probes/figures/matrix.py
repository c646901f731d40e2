"""Transfer matrix: a probe or direction from every stage, tried at every other, as numbers on a heat map."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go
import polars as pl

from probes.errors import InputError
from probes.figures.figure import Figure, Words
from probes.figures.fitting import columns_that_fit
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
from probes.figures.style import BLUES, INK, RED_BLUE, axis_title
from probes.figures.text import interval, label, number, text_width

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
FROZEN = Words(
    " of the probe that was fitted at one stage (row) and applied unchanged at another (column); on the"
    " diagonal the probe that was refit at the stage itself",
    "Dark cells off the diagonal: what the model represents at one stage can be decoded at the other with the"
    " same probe.",
    "A frozen probe can keep its AUROC while the threshold between its classes drifts. Stages can also share"
    " what the first of them already had: look at the row of the first stage.",
)
COSINE = Words(
    " between the direction fitted at one stage (row) and that fitted at another (column); on the diagonal"
    " the noise floor, which is the cosine between directions refit on resampled pairs of the same stage",
    "Where a cell is as high as the diagonal cells of both its stages, the two directions are as close as"
    " noise allows.",
    "A few dimensions of very large variance can make any two directions look alike or different, so compare"
    " the raw with the whitened cosine. 1 minus the cosine is not the share of a direction that was lost.",
)
WORDS = {
    "auroc": FROZEN._replace(what="AUROC" + FROZEN.what),
    "accuracy": FROZEN._replace(what="Accuracy" + FROZEN.what),
    "cosine": COSINE._replace(what="Cosine" + COSINE.what),
    "cosine_whitened": COSINE._replace(what="Whitened cosine" + COSINE.what),
    "steering_slope": Words(
        "Slope of the choice logit at one stage (column) against the dose of the direction fitted at another"
        " (row)",
        "A coloured cell off the diagonal: the direction from one stage still changes choices at the other.",
        "Slopes hold near dose zero only. Compare them with the range of random directions in the table.",
    ),
}
Cells = dict[tuple[str, str, str], Row]


def transfer_matrix(
    table: Table,
    *,
    measure: str = "auroc",
    stages: Sequence[str] | None = None,
    order: Sequence[str] | None = None,
    title: str | None = None,
    preset: str | Preset | None = None,
) -> Figure:
    """Draw a measure from every stage to every other as a heat map, one panel a concept.

    Rows are the stage that the probe or direction comes from, columns the stage that it is tried at. Cells
    that were not measured stay white. Intervals are shown on hover.

    Parameters
    ----------
    table : polars.DataFrame or Result
        A tidy table with rows of the measure and another `source_stage`.
    measure : str
        `auroc` or `accuracy` (of frozen probes), `cosine`, `cosine_whitened` or `steering_slope`.
    stages, order, title, preset : optional
        Which stages to draw, in which order, with which title and at which size, as in `probes.draw`.

    Returns
    -------
    Figure

    Raises
    ------
    InputError
        There is no transfer matrix of that measure, or the table has no such rows.

    Examples
    --------
    >>> figure = transfer_matrix(table, measure="cosine", order=["base", "mid"])
    >>> np.round(np.array(figure.plotly.data[0].z), 2)
    array([[0.95, 0.88],
           [0.89, 0.95]])
    """
    if measure not in CROSS:
        raise InputError(f"no transfer matrix of {measure!r}; choose one of {', '.join(CROSS)}")
    table = table_of(table)
    names = [name for name in stage_order(table, order) if stages is None or name in stages]
    cells = _cells(table, measure, names)
    rows = list(cells.values())
    concepts = concepts_of(rows)
    scale = _scale(measure, rows)
    words = WORDS[measure]

    def paint(preset: Preset) -> go.Figure:
        grid = _grid(preset, len(concepts), names, title)
        for index, concept in enumerate(concepts):
            _heat_map(grid, index, concept, names, cells, axis_title(measure), scale)
        return grid.finish()

    return Figure(
        paint,
        kind="transfer_matrix",
        caption=f"{words.what}. {sizes(rows)}.",
        how_to_read=words.how_to_read,
        caveat=words.caveat,
        alt=f"{axis_title(measure)} between stages {', '.join(names)}; concepts {', '.join(concepts)}.",
        preset=get_preset(preset),
    )


def _cells(table: pl.DataFrame, measure: str, names: list[str]) -> Cells:
    """(source, target, concept) -> row; the diagonal takes the first variant of `OWN` that was measured."""
    chosen = chosen_layers(table)
    keys = ["source_stage", "stage", "concept", "variant"]
    rows = pick(table, measure, [*CROSS[measure], *OWN[measure]])
    rows = at_chosen_layer(one_setting(rows, keys), keys, chosen)
    cells: Cells = {}
    for variant in dict.fromkeys([*CROSS[measure], *OWN[measure]]):
        for row in rows:
            place = (row["source_stage"] or row["stage"], row["stage"], row["concept"])
            wanted = OWN[measure] if own(row) else CROSS[measure]
            if row["variant"] == variant and variant in wanted and set(place[:2]) <= set(names):
                cells.setdefault(place, row)
    need(
        [row for row in cells.values() if not own(row)],
        "a transfer matrix",
        f"measure {measure!r}, variant {CROSS[measure][0]!r} and another source_stage",
    )
    return cells


def _grid(preset: Preset, count: int, names: list[str], title: str | None) -> Grid:
    """Panels with cells as large as fit, at most 3.4 ems wide."""
    side = max(text_width(name) for name in names) * 0.9 + 1.0
    cols = columns_that_fit(preset, count, len(names) * 2.0, side + 7.2, 1.6)
    room = preset.width_px / preset.em - side - 7.2 - (cols - 1) * 1.6
    cell = min(room / cols / len(names), 3.4)
    slack = room - cell * len(names) * cols
    slant = 0.72 * side
    spacing = Spacing(
        left=side + 2.2, right=5.0 + max(slack, 0), across=1.6, down=slant + 3.4, below=slant + 2.2
    )
    return Grid(preset, count, cols, cell * len(names) * 0.86, spacing, title=title)


def _heat_map(
    grid: Grid,
    index: int,
    concept: str,
    names: list[str],
    cells: Cells,
    measure: str,
    scale: tuple[float, float, list],
) -> None:
    preset, (low, high, colors) = grid.preset, scale
    shown = [label(name) for name in names]
    values = [[cells.get((source, target, concept)) for target in names] for source in names]
    grid.add(
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
        hovertemplate="from %{y}, tried at %{x}: %{customdata}<extra></extra>",
        colorbar={
            "title": {"text": measure, "side": "right", "font": {"size": preset.em}},
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
            grid.text(index, number(row["estimate"]), label(target), label(source), ink)
    grid.head(index, label(concept))
    look = {"ticks": "", "showline": False, "showgrid": False, "type": "category"}
    across, down = [-0.5, len(names) - 0.5], [len(names) - 0.5, -0.5]
    at = "tried at" if grid.lowest(index) else None
    grid.xaxis(index, title=at, tickangle=-45, range=across, **look)
    first = grid.first(index)
    source = "comes from" if first else None
    grid.yaxis(index, title=source, showticklabels=first, range=down, **look)


def _scale(measure: str, rows: list[Row]) -> tuple[float, float, list]:
    """Ends and colours of the scale: one-sided where values are, else centred at 0."""
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
