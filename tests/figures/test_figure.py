"""A figure becomes files, whole or not at all, and keeps names as text."""

from __future__ import annotations

import json

import polars as pl
import pytest

from probes.errors import InputError, MissingDependencyError, OutputError
from probes.figures import choice_rates, layer_profile


def test_names_with_markup_stay_text(table):
    nasty = "<b>x</b><script>alert(1)</script>"
    renamed = table.with_columns(pl.col("stage").replace("base", nasty))
    page = layer_profile(renamed).html(include_js=False)
    assert "<script>alert" not in page
    assert "<b>x" not in json.dumps(layer_profile(renamed).plotly.to_dict()["layout"]["annotations"])


def test_html_export_needs_no_browser(table, tmp_path, monkeypatch):
    monkeypatch.setenv("BROWSER_PATH", str(tmp_path / "nothing"))
    path = choice_rates(table).export(tmp_path / "new" / "rates.html")
    page = path.read_text()
    assert page.lower().startswith("<!doctype html>")
    assert 'src="http' not in page
    assert [p.name for p in path.parent.iterdir()] == ["rates.html"]


def test_exports_that_cannot_be_written_are_refused(table, tmp_path, monkeypatch):
    figure = choice_rates(table)
    with pytest.raises(InputError, match="end the name in"):
        figure.export(tmp_path / "rates.tiff")
    with pytest.raises(InputError, match="no figure preset"):
        figure.export(tmp_path / "rates.html", preset="poster")
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        figure.export(tmp_path / "file" / "rates.html")
    monkeypatch.setenv("BROWSER_PATH", str(tmp_path / "nothing"))
    with pytest.raises(MissingDependencyError, match="install one") as error:
        figure.export(tmp_path / "rates.pdf")
    assert "\n" not in str(error.value)
    assert not (tmp_path / "rates.pdf").exists()
