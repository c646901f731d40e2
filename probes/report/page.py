"""Writes the report: one HTML file that holds figures, tables and provenance and needs no network."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from string import Template
from typing import Any

import polars as pl
from plotly.offline import get_plotlyjs

from probes.figures import Figure
from probes.figures.rows import Table, sizes, stage_order, table_of
from probes.figures.style import AXIS, stage_styles
from probes.report.glance import COLUMNS, by_concept, glance
from probes.tables.writing import write_bytes

TITLES = {
    "layer_profile": "Knows: what a probe can decode at every layer",
    "steadiness": "Knows: how well a probe generalises along each shift axis",
    "worst_axis": "Knows: how well a probe generalises along its worst shift axis",
    "choice_rates": "Uses: which option each stage prefers",
    "site_search": "Uses: at which layer and tokens a choice can be moved",
    "crossing_map": "Made: whether a stage's lower or upper blocks carry its change",
    "graft_bars": "Made: which modules carry a stage's change",
    "graft_dose": "Made: how choices change with the dose of a stage's change",
    "battery": "Uses: whether choices follow the question or are the same whatever is asked",
    "steering_profile": "Uses: at which layers steering changes choices",
    "dose_response": "Uses: how much steering changes choices, and what it breaks",
    "survival_curves": "Keeps: what survives along each arm",
    "transfer_auroc": "Keeps: how well the probe of one stage works at another",
    "transfer_cosine": "Keeps: how alike the directions of two stages are",
    "transfer_cosine_whitened": "Keeps: how alike the directions of two stages are after whitening",
    "transfer_steering": "Keeps: whether the direction of one stage still steers another",
}
VERDICT_PARTS = {
    "origin": "origin of the representation",
    "effect_origin": "origin of the effect",
    "survival": "the parent's direction",
}
"""Column of `verdicts.parquet` -> what the report calls it."""


def write_report(
    path: str | Path,
    *,
    table: Table,
    figures: Mapping[str, Figure],
    verdicts: pl.DataFrame | None = None,
    lineage: str = "",
    meta: Mapping[str, Any] | None = None,
    order: Sequence[str] | None = None,
    parents: Mapping[str, str | None] | None = None,
    title: str = "Spec probes: report",
) -> Path:
    """Write the report of a tidy table to one self-contained HTML file. All text in it is escaped.

    Parameters
    ----------
    path : str or Path
        The file to write.
    table : polars.DataFrame or Result
        A tidy table.
    figures : mapping of str to Figure
        Figures under the names that `probes.figures.draw_all` gives them; another name is its own heading.
    verdicts : polars.DataFrame, optional
        Columns `concept`, `stage`, `verdict` and `evidence`, which is folded under each verdict, and any of
        `sentence` (the verdict in one plain sentence), `origin`, `effect_origin` and `survival`.
    lineage : str
        The lineage as a text tree.
    meta : mapping, optional
        What made the numbers: digests, versions, seeds, the command, the wall time of each step. Mappings
        inside it are shown as lists.
    order : sequence of str, optional
        The order of the stages, which also gives each its colour; that of the table by default.
    parents : mapping of str to str or None, optional
        Stage -> its parent, None for the root; for the columns on what a stage keeps.
    title : str

    Returns
    -------
    Path
        The file that was written.

    Raises
    ------
    InputError
        The table is not tidy.
    OutputError
        The file cannot be written.

    Examples
    --------
    >>> import polars as pl
    >>> verdict = {"concept": "prices", "stage": "mid", "verdict": "internal", "evidence": "for: decodable"}
    >>> path = write_report(
    ...     path=folder / "report.html",
    ...     table=table,
    ...     figures=probes.figures.draw_all(table, order=["base", "mid"]),
    ...     verdicts=pl.DataFrame([verdict | {"effect_origin": "made here"}]),
    ...     lineage="base, then mid",
    ...     meta={"command": "probes survey lineage.toml", "seed": 0},
    ...     order=["base", "mid"],
    ...     parents={"base": None, "mid": "base"},
    ...     title="Prices",
    ... )
    >>> "origin of the effect: made here" in path.read_text(encoding="utf-8")
    True
    """
    table = table_of(table)
    page = Template(_resource("page.html")).substitute(
        title=_text(title),
        css=_resource("page.css"),
        plotly=get_plotlyjs(),
        run=_run(table, lineage, order),
        verdicts=_verdicts(verdicts),
        glance=_glance(table, order, parents),
        figures="\n".join(_figure(name, figure) for name, figure in figures.items())
        or "<p>There are no figures.</p>",
        tables=_tables(table),
        provenance=_provenance(meta or {}),
    )
    return write_bytes(path, page.encode("utf-8"))


def _resource(name: str) -> str:
    return resources.files("probes.report").joinpath(name).read_text(encoding="utf-8")


def _text(value: Any) -> str:
    return html.escape(str(value), quote=True)


def _run(table: pl.DataFrame, lineage: str, order: Sequence[str] | None) -> str:
    def names(column: str) -> str:
        return (
            ", ".join(_text(name) for name in table[column].drop_nulls().unique(maintain_order=True)) or "–"
        )

    facts = {
        "Lineage": names("lineage"),
        "Stages": ", ".join(_text(stage) for stage in stage_order(table, order)),
        "Concepts": names("concept"),
        "Behind each number": _text(sizes(table.to_dicts())),
        "Seeds of resampling": names("seed"),
        "Site, position": f"{names('site')}; {names('position')}",
        "Rendering": names("render"),
    }
    items = "".join(f"<dt>{name}</dt><dd>{value}</dd>" for name, value in facts.items())
    tree = f'<pre aria-label="The lineage as a tree">{_text(lineage)}</pre>' if lineage else ""
    return f"<dl>{items}</dl>{tree}"


def _grid(
    head: Sequence[str], body: Sequence[Sequence[str]], caption: str, kind: str, row_head: bool = True
) -> str:
    """Make a table of cells that are HTML already, inside a box that scrolls sideways."""
    top = "".join(f'<th scope="col">{cell}</th>' for cell in head)
    lines = []
    for cells in body:
        first = f'<th scope="row">{cells[0]}</th>' if row_head else f"<td>{cells[0]}</td>"
        lines.append(f"<tr>{first}{''.join(f'<td>{cell}</td>' for cell in cells[1:])}</tr>")
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{caption}"><table class="{kind}">'
        f"<caption>{caption}</caption><thead><tr>{top}</tr></thead><tbody>{''.join(lines)}</tbody></table></div>"
    )


def _glance(
    table: pl.DataFrame, order: Sequence[str] | None, parents: Mapping[str, str | None] | None
) -> str:
    styles = stage_styles(stage_order(table, order))

    def stage(name: str) -> str:
        dot = f'<span class="dot" style="background:{styles[name].color}" aria-hidden="true"></span>'
        return dot + _text(name)

    def cell(text: str) -> str:
        return " ".join(
            f"<small>{_text(part)}</small>" if place else _text(part)
            for place, part in enumerate(re.findall(r"\[.*?\]|\(.*?\)|[^\s\[(][^\[(]*", text))
        )

    groups = by_concept(glance(table, order=order, parents=parents))
    return "".join(
        _grid(
            ["Stage", *(_text(name) for name in COLUMNS.values())],
            [[stage(row.stage), *(cell(row.cells[key]) for key in COLUMNS)] for row in rows],
            _text(f"{concept}: {sizes(table.filter(pl.col('concept') == concept).to_dicts())}"),
            "glance",
        )
        for concept, rows in groups.items()
    )


def _verdicts(verdicts: pl.DataFrame | None) -> str:
    if verdicts is None or verdicts.is_empty():
        return "<p>No verdict was reached.</p>"
    folded = []
    for row in verdicts.iter_rows(named=True):
        parts = [f"<b>{_text(row['verdict'])}</b>"]
        parts += [f"{name}: {_text(row[key])}" for key, name in VERDICT_PARTS.items() if row.get(key)]
        head = f"{_text(row['concept'])} at {_text(row['stage'])}: {'; '.join(parts)}"
        said = f"<br>{_text(row['sentence'])}" if row.get("sentence") else ""
        folded.append(
            f"<details><summary>{head}{said}</summary><pre>{_text(row['evidence'])}</pre></details>"
        )
    return "".join(folded)


def _figure(name: str, figure: Figure) -> str:
    heading = TITLES.get(name, name)
    return (
        f"<figure><h3>{_text(heading)}</h3>"
        f'<div class="scroll" tabindex="0" role="img" aria-label="{_text(figure.alt)}">'
        f'<div class="plot" style="min-width:{figure.width:.0f}px">'
        f"{figure.html(include_js=False)}</div></div>"
        f"<figcaption><p>{_text(figure.caption)}</p><p><b>How to read it.</b> {_text(figure.how_to_read)}</p>"
        f"<p><b>What could mislead you.</b> {_text(figure.caveat)}</p></figcaption></figure>"
    )


def _tables(table: pl.DataFrame) -> str:
    folded = []
    for measure in table["measure"].drop_nulls().unique(maintain_order=True):
        rows = table.filter(pl.col("measure") == measure).drop("measure")
        rows = rows.drop([column for column in rows.columns if rows[column].is_null().all()])
        body = [[_value(value) for value in line] for line in rows.iter_rows()]
        name = _text(AXIS.get(measure, measure))
        inside = _grid([_text(column) for column in rows.columns], body, name, "full", row_head=False)
        folded.append(f"<details><summary>{name}: {rows.height} rows</summary>{inside}</details>")
    return "".join(folded)


def _value(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else _text(value)


def _provenance(meta: Mapping[str, Any]) -> str:
    if not meta:
        return "<p>Nothing was recorded.</p>"
    return (
        "<dl>"
        + "".join(f"<dt>{_text(key)}</dt><dd>{_nested(value)}</dd>" for key, value in meta.items())
        + "</dl>"
    )


def _nested(value: Any) -> str:
    if isinstance(value, Mapping):
        return "<br>".join(f"{_text(key)}: {_nested(inner)}" for key, inner in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(_nested(inner) for inner in value)
    return _value(value)
