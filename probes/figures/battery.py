"""The behaviour battery: what each stage chooses when it is asked, and when the question is turned round."""

from __future__ import annotations

from collections.abc import Sequence

from probes.figures.dots import Dot, DotList
from probes.figures.figure import Figure
from probes.figures.presets import Preset, get_preset
from probes.figures.rows import (
    Row,
    Table,
    at_stages,
    concepts_of,
    need,
    pick,
    sizes,
    stage_order,
    table_of,
    unique,
)
from probes.figures.style import stage_styles

KEYS = ["stage", "concept", "variant"]
SHOWN = ("asked", "reversed", "not_asked")
FOOT = "filled: asked; hollow: asked the other way round; cross: not asked, only told to say one of them"
BELOW = {"asked": -0.14, "reversed": 0.14, "not_asked": 0.32}
"""How far below its stage each form is drawn."""


def battery_rates(
    table: Table,
    *,
    stages: Sequence[str] | None = None,
    order: Sequence[str] | None = None,
    title: str | None = None,
    preset: str | Preset | None = None,
) -> Figure:
    """Draw how often each stage gives the positive option: asked, asked the other way round, and not asked.

    There is one panel a concept, with the stages down its side. The line between the filled and the hollow
    point is long where a stage follows the question, and short where it says the same whatever is asked.

    Parameters
    ----------
    table : polars.DataFrame or Result
        A tidy table with rows of measure `battery_rate`, as `probes.battery` gives it.
    stages, order, title, preset : optional
        Which stages to draw, in which order, with which title and at which size, as in `probes.draw`.

    Returns
    -------
    Figure

    Raises
    ------
    InputError
        The table has no such rows.

    Examples
    --------
    >>> answers = probes.battery(
    ...     stage, {"prices": concept.choices[:4]}, wordings=1, competence=(), progress=False
    ... )
    >>> figure = battery_rates(answers)
    >>> sorted(trace.name for trace in figure.plotly.data)
    ['mid asked', 'mid joined', 'mid not_asked', 'mid reversed']
    """
    table = table_of(table)
    wanted = "measure 'battery_rate'"
    rows = unique(need(pick(table, "battery_rate", SHOWN), "a battery figure", wanted), KEYS)
    names, rows = at_stages(table, rows, stages, order, "a battery figure")

    def dot(row: Row) -> Dot:
        form = row["variant"]
        symbol = "x-thin" if form == "not_asked" else None
        return Dot(row["stage"], BELOW[form], form == "asked", form, symbol=symbol)

    dots = DotList(
        rows,
        names,
        dot,
        stage_styles(stage_order(table, order)),
        axis="rate of the positive option",
        height=1.9 * len(names) + 0.6,
        foot=FOOT,
        title=title,
        joined=True,
    )
    return Figure(
        dots.paint,
        kind="battery",
        caption=(
            "The share of choice items on which a stage finds the positive option more likely per token, when"
            " it is asked which one it chooses (filled), which one it refuses (hollow), and when it is only"
            " told to say one of the two (cross); means over wordings and both orders of presentation. Bars"
            f" are 95% intervals; the line at .5 means no preference. {sizes(rows)}."
        ),
        how_to_read=(
            "A long line between the filled and the hollow point is a preference that follows the question."
            " All three points moved to the same side is a habit of saying one kind of option, whatever is"
            " asked."
        ),
        caveat=(
            "A stage that does not turn the undisputed items round cannot follow a question at all, and then"
            " nothing here says anything about its preferences."
        ),
        alt=f"Battery of {', '.join(names)} on {', '.join(concepts_of(rows))}.",
        preset=get_preset(preset),
    )
