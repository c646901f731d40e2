"""Fixtures of the tests of concepts."""

from __future__ import annotations

import pytest

from tests.concepts.makers import CHOICES, GOOD, honest_rows, lines


@pytest.fixture
def concept_folder(tmp_path):
    """Writes a concept folder out of the good rows, with what a test wants changed."""

    def write(pairs=None, choices=None, header='name = "hats"\n', raw_pairs=None):
        path = tmp_path / "hats"
        path.mkdir()
        if header is not None:
            (path / "concept.toml").write_text(header)
        raw = lines(GOOD if pairs is None else pairs).encode() if raw_pairs is None else raw_pairs
        (path / "pairs.jsonl").write_bytes(raw)
        (path / "choices.jsonl").write_text(lines(CHOICES if choices is None else choices))
        return path

    return write


@pytest.fixture(scope="session")
def honest():
    """Rows and choice items of a concept with which nothing is wrong."""
    return honest_rows()


@pytest.fixture
def quick(monkeypatch):
    """Leaves out the surface classifiers, which take all the time."""
    monkeypatch.setattr("probes.concepts.linting.checks.separation", lambda *_, **__: ([], [], []))
