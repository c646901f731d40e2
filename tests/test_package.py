"""The public names of the package."""

import importlib
import re
from pathlib import Path

import probes


def test_public_names_are_exactly_those_of_the_stub():
    stub = (Path(probes.__file__).parent / "__init__.pyi").read_text(encoding="utf-8")
    listed = re.findall(r"^from \.[\w.]+ import (\w+) as \1$", stub, re.MULTILINE)
    assert sorted(probes.__all__) == sorted(listed)
    for name in listed:
        assert getattr(probes, name) is not None
    importlib.import_module("probes.study.survival")
    assert callable(probes.survival)  # a module of that name does not take its place
