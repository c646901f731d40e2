"""Every number of a transfer matrix stands in its own cell."""

from __future__ import annotations

import polars as pl
import pytest

from probes.figures import transfer_matrix
from tests.makers import SURVEY_CONCEPTS, SURVEY_PARENTS, rows_of, traces

STAGES = list(SURVEY_PARENTS)


@pytest.mark.parametrize(
    ("measure", "across", "diagonal"),
    [
        ("auroc", "frozen", "refit"),
        ("cosine", "direction", "noise_floor"),
        ("cosine_whitened", "direction", "noise_floor"),
        ("steering_slope", "direction", "direction"),
    ],
)
def test_transfer_matrix_puts_each_number_in_its_cell(table, measure, across, diagonal):
    figure = transfer_matrix(table, measure=measure)
    cells = {
        (row["source_stage"], row["stage"], row["concept"]): row
        for row in rows_of(table, measure=measure, variant=across)
        if row["source_stage"] not in (None, row["stage"])
    }
    chosen = {
        (row["stage"], row["concept"]): row["layer"]
        for row in rows_of(table, measure="auroc", variant="probe", selected=True)
    }
    for row in rows_of(table, measure=measure, variant=diagonal):
        home = row["source_stage"] in (None, row["stage"])
        if home and row["layer"] == chosen[row["stage"], row["concept"]]:
            cells[row["stage"], row["stage"], row["concept"]] = row
    for heat, concept in zip(traces(figure, type="heatmap"), SURVEY_CONCEPTS, strict=True):
        assert heat["x"] == heat["y"] == STAGES
        for i, source in enumerate(STAGES):
            for j, target in enumerate(STAGES):
                row = cells[source, target, concept]
                assert heat["z"][i][j] == row["estimate"]
                assert f"{row['ci_high']:.2f}]".removeprefix("0") in heat["customdata"][i][j]
    texts = [note["text"] for note in figure.plotly.to_dict()["layout"]["annotations"]]
    assert len(texts) == 2 * len(STAGES) ** 2 + len(SURVEY_CONCEPTS)


def test_transfer_matrix_leaves_unmeasured_cells_empty(table):
    part = table.filter(~((pl.col("variant") == "frozen") & (pl.col("source_stage") == "aft")))
    heat = traces(transfer_matrix(part), type="heatmap")[0]
    row = heat["z"][STAGES.index("aft")]
    assert [value is None for value in row] == [stage != "aft" for stage in STAGES]
