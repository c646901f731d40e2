"""Splits are the concept's own, or drawn."""

import dataclasses

import numpy as np

from probes.probing import (
    split_rows,
)
from tests.probing.makers import simulate


def test_splits_are_the_concept_s_own_or_drawn_by_template_or_pair():
    _, acts = simulate(n_pairs=60)
    own = split_rows(acts)
    assert (acts.splits[own.select] == "select").all()
    bare = dataclasses.replace(acts, splits=np.array([None] * 120, dtype=object))
    drawn = split_rows(bare, seed=1)
    assert [len(part) for part in dataclasses.astuple(drawn)] == [72, 24, 24]
    assert len(np.unique(np.concatenate(dataclasses.astuple(drawn)))) == 120
    assert not np.array_equal(drawn.test, split_rows(bare, seed=2).test)
    templates = np.repeat(np.array([f"t{i}" for i in range(12)], dtype=object), 10)
    by_template = split_rows(dataclasses.replace(bare, templates=templates), seed=1)
    assert not set(templates[by_template.train]) & set(templates[by_template.test])
    partly = acts.splits.copy()
    partly[:4] = None
    assert set(split_rows(dataclasses.replace(acts, splits=partly)).train) == set(own.train) - {0, 1, 2, 3}
