"""The table "At a glance" shows the tidy table's own numbers."""

from __future__ import annotations

from probes.figures.text import number
from probes.report.glance import COLUMNS, glance
from tests.makers import SURVEY_CONCEPTS, SURVEY_PARENTS, rows_of

STAGES = list(SURVEY_PARENTS)


def test_glance_numbers_are_the_tables_own(table):
    rows = glance(table, order=STAGES, parents=SURVEY_PARENTS)
    lines = {(row.concept, row.stage): row.cells for row in rows}
    assert list(lines) == [(concept, stage) for concept in SURVEY_CONCEPTS for stage in STAGES]

    def row(**wanted):
        (only,) = rows_of(table, **wanted)
        return only

    def shown(line):
        return f"{number(line['estimate'])} [{number(line['ci_low'])}, {number(line['ci_high'])}]"

    for (concept, stage), cells in lines.items():
        at = {"concept": concept, "stage": stage}
        probe = row(measure="auroc", variant="probe", selected=True, **at)
        layer = probe["layer"]
        surface = max(
            (
                row(measure="auroc", variant=v, **at)
                for v in ("word_ngrams", "char_ngrams", "length", "embedding")
            ),
            key=lambda line: line["estimate"],
        )
        first = row(measure="auroc", variant="probe", selected=True, concept=concept, stage=STAGES[0])[
            "layer"
        ]
        slope = row(measure="steering_slope", variant="direction", source_stage=None, layer=first, **at)
        chance = row(measure="steering_slope", variant="random_direction", layer=first, **at)
        span = f"({number(chance['ci_low'])} to {number(chance['ci_high'])})"
        assert cells["decodable"] == f"{shown(probe)} (layer {layer})"
        assert cells["surface"].startswith(shown(surface))
        assert cells["gap"] == shown(row(measure="auroc_gap", **at))
        assert cells["choice"] == shown(row(measure="choice_rate", variant="summed", alpha=None, **at))
        assert cells["slope"] == f"{shown(slope)} (layer {first}) {span}"  # one layer for all stages
        if SURVEY_PARENTS[stage] is None:
            assert cells["frozen"] == cells["cosine"] == "–"
        else:
            back = {"source_stage": SURVEY_PARENTS[stage], **at}
            assert cells["frozen"] == shown(row(measure="auroc", variant="frozen", **back))
            assert cells["cosine"].startswith(shown(row(measure="cosine", variant="direction", **back)))
    assert all(set(cells) == set(COLUMNS) for cells in lines.values())
