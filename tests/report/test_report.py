"""The report holds every number it promises, asks nothing of the network, and escapes what it prints."""

from __future__ import annotations

from html.parser import HTMLParser

import polars as pl
import pytest
from tests.figures.test_figures import CONCEPTS, PARENTS, STAGES, synthetic_table

from probes.errors import InputError, OutputError
from probes.figures import choice_rates, draw_all
from probes.figures.style import number
from probes.report import write_report
from probes.report.glance import COLUMNS, glance

VOID = {"meta", "br", "link", "img", "input", "hr"}


class Page(HTMLParser):
    """Text, attributes and nesting of a page, scripts and styles apart."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []
        self.tags: list[tuple[str, dict]] = []
        self.text = ""
        self.feed(source)
        self.close()

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.tags.append((tag, attributes))
        self.links += [attributes[key] for key in ("src", "href") if attributes.get(key)]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("script", "style"):
            self.text += data + " "


@pytest.fixture(scope="module")
def table() -> pl.DataFrame:
    return synthetic_table()


@pytest.fixture(scope="module")
def page(table, tmp_path_factory) -> Page:
    path = write_report(
        tmp_path_factory.mktemp("report") / "report.html",
        table=table,
        figures=draw_all(table, order=STAGES, parents=PARENTS),
        lineage="base\n└── aft <sft>",
        meta={"command": "probes survey <lineage>", "wall time, seconds": {"probing": 12.5}, "seeds": [0, 1]},
        order=STAGES,
        parents=PARENTS,
    )
    return Page(path.read_text(encoding="utf-8"))


def test_nothing_is_fetched(page):
    assert page.links
    assert all(link.startswith("#") for link in page.links)
    assert sum(tag == "script" for tag, _ in page.tags) == 2 + 9  # config, plotly.js once, one a figure
    policy = next(a["content"] for t, a in page.tags if t == "meta" and "http-equiv" in a)
    assert "default-src 'none'" in policy
    assert "http" not in policy


def test_the_page_is_well_formed_and_labelled(page):
    assert page.open == []
    assert [tag for tag, _ in page.tags if tag == "h1"] == ["h1"]
    assert all("scope" in a for tag, a in page.tags if tag == "th")
    labels = [a.get("aria-label") for tag, a in page.tags if a.get("role") == "img"]
    assert len(labels) == 9
    assert all(labels)
    identifiers = [a["id"] for _, a in page.tags if "id" in a]
    assert {link[1:] for link in page.links} <= set(identifiers)


def test_glance_numbers_are_the_tables_own(table, page):
    lines = {(line.concept, line.stage): line.cells for line in glance(table, order=STAGES, parents=PARENTS)}
    assert list(lines) == [(concept, stage) for concept in CONCEPTS for stage in STAGES]

    def row(**wanted):
        found = table
        for column, value in wanted.items():
            found = found.filter(pl.col(column).is_null() if value is None else pl.col(column) == value)
        assert found.height == 1
        return found.row(0, named=True)

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
        slope = row(measure="steering_slope", variant="direction", source_stage=None, layer=layer, **at)
        chance = row(measure="steering_slope", variant="random_direction", layer=layer, **at)
        assert cells["decodable"] == f"{shown(probe)} (layer {layer})"
        assert cells["surface"].startswith(shown(surface))
        assert cells["gap"] == shown(row(measure="auroc_gap", **at))
        assert cells["choice"] == shown(row(measure="choice_rate", variant="summed", alpha=None, **at))
        assert cells["slope"] == f"{shown(slope)} ({number(chance['ci_low'])} to {number(chance['ci_high'])})"
        if PARENTS[stage] is None:
            assert cells["frozen"] == cells["cosine"] == "–"
        else:
            back = {"source_stage": PARENTS[stage], **at}
            assert cells["frozen"] == shown(row(measure="auroc", variant="frozen", **back))
            assert cells["cosine"].startswith(shown(row(measure="cosine", variant="direction", **back)))
    flat = " ".join(page.text.split())
    for cells in lines.values():
        for text in cells.values():
            assert text in flat
    assert len(next(iter(lines.values()))) == len(COLUMNS)


def test_every_measurement_is_in_the_folded_tables(table, page):
    cells = set(page.text.split())
    for value in table["estimate"].sample(200, seed=0):
        assert f"{value:.4g}" in cells
    assert sum(tag == "details" for tag, _ in page.tags) == table["measure"].n_unique()


def test_captions_reading_and_provenance_are_printed(table, page):
    assert page.text.count("What would fool you.") == 9
    assert choice_rates(table).caption in page.text
    for text in ("probes survey <lineage>", "probing: 12.5", "0, 1", "└── aft <sft>"):
        assert text in page.text


def test_names_with_markup_are_escaped(tmp_path):
    table = synthetic_table(stages=STAGES[:3], layers=15)
    nasty = '<script>alert("x")</script>'
    renamed = table.with_columns(
        pl.col("stage").replace("base", nasty),
        pl.col("source_stage").replace("base", nasty),
        pl.col("concept").replace("domestic", "<img src=x onerror=alert(2)>"),
    )
    path = write_report(
        tmp_path / "report.html", table=renamed, figures=draw_all(renamed), lineage=nasty,
        meta={nasty: nasty}, title=nasty,
    )  # fmt: skip
    source = path.read_text(encoding="utf-8")
    assert "<script>alert" not in source
    assert "<img src=x" not in source
    parsed = Page(source)
    assert sum(tag == "script" for tag, _ in parsed.tags) == 2 + 9
    assert nasty in parsed.text


def test_a_table_with_little_in_it_still_makes_a_page(table, tmp_path):
    little = table.filter(pl.col("measure") == "choice_rate", pl.col("alpha").is_null())
    path = write_report(tmp_path / "report.html", table=little, figures=draw_all(little))
    assert "Not recorded." in Page(path.read_text(encoding="utf-8")).text


def test_bad_input_and_unwritable_places_are_refused(table, tmp_path):
    with pytest.raises(InputError, match="lacks the columns"):
        write_report(tmp_path / "report.html", table=table.drop("measure"), figures={})
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        write_report(tmp_path / "file" / "report.html", table=table, figures={})
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
