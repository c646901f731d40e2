"""Criteria: frozen, printed, checked, and read from a file."""

import pytest

from probes.errors import InputError
from probes.verdicts import CRITERIA, REPORTED, TESTS, Criteria


def test_criteria_are_frozen_printed_and_checked():
    assert "decodable" in str(CRITERIA)
    assert Criteria(**CRITERIA.to_dict()) == CRITERIA
    with pytest.raises(AttributeError):
        CRITERIA.alpha = 0.5  # pyright: ignore[reportAttributeAccessIssue]
    for wrong in ({"alpha": 0}, {"decodable": 1.5}, {"random_subspaces": 5}):
        with pytest.raises(InputError, match="expected"):
            Criteria(**wrong)


def test_every_test_has_a_threshold_at_the_level_of_the_criteria():
    thresholds = Criteria(alpha=0.01, specific=0.2).thresholds()
    assert set(thresholds) == {*TESTS, *REPORTED}
    assert {threshold.alpha for threshold in thresholds.values()} == {0.01}
    assert (thresholds["specific"].null, thresholds["specific"].worth) == (0.0, 0.2)
    assert (thresholds["shift"].null, thresholds["shift"].worth) == (0.5, 0.65)
    with pytest.raises(InputError, match="no test 'vibes': expected one of competent"):
        CRITERIA.threshold("vibes")


def test_a_file_gives_what_differs_from_the_defaults(tmp_path):
    file = tmp_path / "criteria.toml"
    file.write_text("\ufeffdecodable = 0.8\nrandom_subspaces = 40\n", encoding="utf-8")  # a BOM is no fault
    assert Criteria.read(file) == Criteria(decodable=0.8, random_subspaces=40)
    for text, complaint in (
        ("decodeable = 0.8", "no threshold 'decodeable': expected some of competent"),
        ('decodable = "high"', "decodable = 'high': expected a number"),
        ("decodable = true", "decodable = True: expected a number"),
        ("decodable 0.8", "expected a TOML file of thresholds"),
        ("decodable = 8", "decodable=8: expected a number between 0 and 1"),
    ):
        file.write_text(text)
        with pytest.raises(InputError, match=complaint):
            Criteria.read(file)
    with pytest.raises(InputError, match="expected a TOML file"):
        Criteria.read(tmp_path / "none.toml")
