"""The report holds every number it promises, asks nothing of the network, and escapes what it prints."""

from __future__ import annotations

from html.parser import HTMLParser

import polars as pl
import pytest

from probes.errors import InputError, OutputError
from probes.figures import choice_rates, draw_all
from probes.report import write_report
from probes.report.glance import glance
from tests.makers import SURVEY_PARENTS, survey_table

STAGES = list(SURVEY_PARENTS)
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
def page(table, tmp_path_factory) -> Page:
    path = write_report(
        tmp_path_factory.mktemp("report") / "report.html",
        table=table,
        figures=draw_all(table, order=STAGES, parents=SURVEY_PARENTS),
        lineage="base\n└── aft <sft>",
        meta={"command": "probes survey <lineage>", "wall time, seconds": {"probing": 12.5}, "seeds": [0, 1]},
        order=STAGES,
        parents=SURVEY_PARENTS,
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


def test_every_number_at_a_glance_is_on_the_page(table, page):
    text = " ".join(page.text.split())
    for row in glance(table, order=STAGES, parents=SURVEY_PARENTS):
        for cell in row.cells.values():
            assert cell in text


PARTS = {
    "origin of the representation: inherited": {"origin": "inherited"},
    "origin of the effect: made here": {"effect_origin": "made here"},
    "the parent's direction: persists": {"survival": "persists"},
}


@pytest.mark.parametrize("part", PARTS)
def test_a_verdict_is_shown_with_what_is_known_of_it_and_its_evidence(small_table, tmp_path, part):
    verdict = {"concept": "prices", "stage": "mid", "verdict": "internal", "evidence": "for: <decodable>"}
    verdicts = pl.DataFrame([verdict | PARTS[part]])
    path = write_report(tmp_path / "report.html", table=small_table, figures={}, verdicts=verdicts)
    text = " ".join(Page(path.read_text(encoding="utf-8")).text.split())
    assert f"prices at mid: internal ; {part}" in text
    assert "for: <decodable>" in text
    assert [other for other in PARTS if other in text] == [part]


def test_every_measurement_is_in_the_folded_tables(table, page):
    cells = set(page.text.split())
    for value in table["estimate"].sample(200, seed=0):
        assert f"{value:.4g}" in cells
    assert sum(tag == "details" for tag, _ in page.tags) == table["measure"].n_unique()


def test_captions_reading_and_provenance_are_printed(table, page):
    assert page.text.count("What could mislead you.") == 9
    assert choice_rates(table).caption in page.text
    for text in ("probes survey <lineage>", "probing: 12.5", "0, 1", "└── aft <sft>"):
        assert text in page.text


def test_names_with_markup_are_escaped(tmp_path):
    table = survey_table(stages=STAGES[:3], layers=15)
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
    assert "Nothing was recorded." in Page(path.read_text(encoding="utf-8")).text


def test_bad_input_and_unwritable_places_are_refused(table, tmp_path):
    with pytest.raises(InputError, match="lacks the columns"):
        write_report(tmp_path / "report.html", table=table.drop("measure"), figures={})
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        write_report(tmp_path / "file" / "report.html", table=table, figures={})
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
