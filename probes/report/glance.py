"""The table "At a glance": for every concept and stage, the few measurements that say most."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from probes.figures.rows import (
    Row,
    at_chosen_layer,
    chosen_layers,
    concepts_of,
    keyed,
    one_setting,
    own,
    pick,
    stage_order,
)
from probes.figures.style import BASELINES
from probes.figures.text import interval, number

SURFACE = ("word_ngrams", "char_ngrams", "length", "embedding", "random_init")
KEYS = ["source_stage", "stage", "concept", "variant"]
COLUMNS = {
    "decodable": "Knows: AUROC of the probe at its chosen layer",
    "surface": "Best surface baseline",
    "gap": "Gap to the best baseline",
    "choice": "Uses: choice rate",
    "slope": "Uses: steering slope, nats per sd, at the first stage's layer (random directions)",
    "frozen": "Keeps: AUROC of the parent's probe",
    "cosine": "Keeps: cosine with the parent (noise floor)",
}


@dataclass(frozen=True)
class GlanceRow:
    """One concept at one stage.

    Parameters
    ----------
    concept, stage : str
    cells : dict of str to str
        A text for each of `probes.report.glance.COLUMNS`; a dash where nothing was measured.

    Examples
    --------
    >>> GlanceRow("prices", "base", {"decodable": ".83 [.79, .87] (layer 2)"}).cells["decodable"]
    '.83 [.79, .87] (layer 2)'
    """

    concept: str
    stage: str
    cells: dict[str, str]


def glance(
    table: pl.DataFrame,
    *,
    order: Sequence[str] | None = None,
    parents: Mapping[str, str | None] | None = None,
) -> list[GlanceRow]:
    """Pick the measurements of a tidy table that say most, concept by concept in stage order.

    Parameters
    ----------
    table : polars.DataFrame
        A tidy table.
    order : sequence of str, optional
        The order of the stages; that of the table by default.
    parents : mapping of str to str or None, optional
        Stage -> its parent, None for the root. Without it the columns on what a stage keeps of its parent are
        dashes.

    Returns
    -------
    list of GlanceRow

    Raises
    ------
    InputError
        Two rows of the table differ and claim the same cell.

    Examples
    --------
    >>> rows = glance(table, order=["base", "mid"], parents={"base": None, "mid": "base"})
    >>> for row in rows:
    ...     print(row.stage, row.cells["choice"], row.cells["cosine"])
    base .45 [.37, .51] –
    mid .43 [.35, .49] .88 [.85, .90] (.93 to .97)
    """
    chosen = chosen_layers(table)
    undosed = pl.col("alpha").is_null()

    def at_layer(measure: str, variants: Sequence[str]) -> dict[tuple, Row]:
        """(variant, source stage, stage, concept) -> the row at the chosen layer."""
        rows = one_setting(pick(table, measure, variants, undosed), KEYS, chosen)
        return {
            (row["variant"], row["source_stage"] or row["stage"], row["stage"], row["concept"]): row
            for row in at_chosen_layer(rows, KEYS, chosen)
        }

    baselines = at_layer("auroc", SURFACE)
    gaps = at_layer("beyond_surface", ["finding"]) or at_layer("auroc_gap", ["probe_minus_best_surface"])
    choices = at_layer("choice_rate", ["summed", "per_token"])
    frozen = at_layer("auroc", ["frozen"])
    cosines = at_layer("cosine", ["direction", "noise_floor"])
    glances = []
    for concept in concepts_of(table.filter(pl.col("concept").is_not_null()).to_dicts()):
        stages = stage_order(table.filter(pl.col("concept") == concept), order)
        slopes = _slopes(table, concept, stages, chosen)
        for stage in stages:
            parent = (parents or {}).get(stage)
            here = (stage, stage, concept)
            surface = [row for key, row in baselines.items() if key[1:] == here]
            best = max(surface, key=lambda row: row["estimate"], default=None)
            choice = choices.get(("summed", *here)) or choices.get(("per_token", *here))
            cells = {
                "decodable": _with_layer(chosen.get((stage, concept))),
                "surface": f"{interval(best)} ({BASELINES[best['variant']]})" if best else "–",
                "gap": _cell(gaps.get(("finding", *here)) or gaps.get(("probe_minus_best_surface", *here))),
                "choice": _cell(choice),
                "slope": _slope(slopes.get(("direction", stage)), slopes.get(("random_direction", stage))),
                "frozen": _cell(frozen.get(("frozen", parent, stage, concept))),
                "cosine": _beside(
                    cosines.get(("direction", parent, stage, concept)), cosines.get(("noise_floor", *here))
                ),
            }
            glances.append(GlanceRow(concept, stage, cells))
    return glances


def _slopes(
    table: pl.DataFrame, concept: str, stages: Sequence[str], chosen: Mapping[tuple, Row]
) -> dict[tuple, Row]:
    """(variant, stage) -> the slope of a stage's own direction, or of random ones, at one layer for all.

    It is the layer that was chosen at the first stage, because layers differ more in their slopes than stages
    do. A stage with a slope at one other layer alone shows that one; each cell names its layer.
    """
    of_concept = table.filter(pl.col("concept") == concept)
    rows = [row for row in pick(of_concept, "steering_slope", ["direction", "random_direction"]) if own(row)]
    by_layer = keyed(one_setting(rows, ["stage", "concept", "variant"], chosen), ["variant", "stage"])
    first = next((chosen[stage, concept]["layer"] for stage in stages if (stage, concept) in chosen), None)
    return {
        key: row
        for key, group in by_layer.items()
        for row in group
        if len(group) == 1 or row["layer"] == first
    }


def _slope(row: Row | None, reference: Row | None) -> str:
    """A slope with its layer, and the range of random directions that it has to be compared with."""
    if row is None:
        return "–"
    alike = reference is not None and reference["layer"] == row["layer"]
    span = _beside(row, reference if alike else None).removeprefix(interval(row))
    return f"{interval(row)} (layer {row['layer']}){span}"


def _cell(row: Row | None) -> str:
    return interval(row) if row else "–"


def _with_layer(row: Row | None) -> str:
    return f"{interval(row)} (layer {row['layer']})" if row else "–"


def _beside(row: Row | None, reference: Row | None) -> str:
    """An estimate with, in parentheses, the range it has to be compared with."""
    if row is None:
        return "–"
    if reference is None:
        return interval(row)
    low, high = reference["ci_low"], reference["ci_high"]
    span = (
        number(reference["estimate"]) if low is None or high is None else f"{number(low)} to {number(high)}"
    )
    return f"{interval(row)} ({span})"


def by_concept(rows: Sequence[GlanceRow]) -> dict[str, list[GlanceRow]]:
    """Group rows by their concept."""
    groups: dict[str, list[GlanceRow]] = {}
    for row in rows:
        groups.setdefault(row.concept, []).append(row)
    return groups
