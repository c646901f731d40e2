"""Static images are real files, the same at every export, and a browser that hangs is given up."""

from __future__ import annotations

import re
import shutil
import xml.etree.ElementTree as ElementTree

import pytest

from probes.errors import MissingDependencyError
from probes.figures import choice_rates, export_all, transfer_matrix


def test_a_browser_that_hangs_is_given_up(table, tmp_path, monkeypatch):
    browser = tmp_path / "browser"
    browser.write_text("#!/bin/sh\nexec sleep 20\n")
    browser.chmod(0o755)
    monkeypatch.setenv("BROWSER_PATH", str(browser))
    monkeypatch.setattr("probes.figures.browser.PATIENCE", 0.5)
    with pytest.raises(MissingDependencyError, match="did not answer in 1 s"):
        choice_rates(table).export(tmp_path / "figure.png")
    assert not (tmp_path / "figure.png").exists()


def browser() -> bool:
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
    return any(shutil.which(name) for name in names)


@pytest.mark.skipif(not browser(), reason="no Chrome or Chromium on PATH: static images cannot be made")
def test_images_are_real_files_of_the_right_type_and_size(table, tmp_path):
    figures = {"rates": choice_rates(table), "matrix": transfer_matrix(table)}
    paths = export_all(figures, tmp_path, ["pdf", "svg", "png"], preset="neurips")
    assert [p.name for p in paths] == [f"{n}.{e}" for n in figures for e in ("pdf", "svg", "png")]
    assert sorted(tmp_path.iterdir()) == sorted(paths)
    for path in paths:
        content = path.read_bytes()
        if path.suffix == ".pdf":
            assert content.startswith(b"%PDF-")
            box = content.split(b"/MediaBox [", 1)[1].split(b"]", 1)[0].split()
            assert float(box[2]) == pytest.approx(5.5 * 72, abs=1.5)
        elif path.suffix == ".svg":
            assert ElementTree.fromstring(content).tag.endswith("svg")
            assert b"affordability" in content
        else:
            assert content.startswith(b"\x89PNG\r\n\x1a\n")
            assert int.from_bytes(content[16:20], "big") == pytest.approx(5.5 * 300, abs=2)


@pytest.mark.skipif(not browser(), reason="no Chrome or Chromium on PATH: static images cannot be made")
def test_a_drawing_exported_again_is_the_same_file(table, tmp_path):
    figures = {"one": choice_rates(table), "again": choice_rates(table), "other": transfer_matrix(table)}
    one, again, other = (path.read_bytes() for path in export_all(figures, tmp_path, ["svg"]))
    assert one == again
    # Two drawings in one page must not share the names that they refer to, and each must keep its own.
    named = [set(re.findall(rb'id="([^"]+)"', svg)) for svg in (one, other)]
    meant = [set(re.findall(rb"url\(['\"]?#([^'\")]+)", svg)) for svg in (one, other)]
    assert meant[0].isdisjoint(meant[1])
    for names, references in zip(named, meant, strict=True):
        assert references
        assert references <= names
