"""Permutations, intervals and probes grow about as their rows do, and not as their square."""

import time
from collections.abc import Callable

import numpy as np
import pytest

from probes.probing.baselines import permuted_labels
from probes.probing.solver import logistic_path
from probes.stats.estimates import mean_interval
from probes.stats.jackknife import auroc_contrast, mean_contrast


def permutation(n: int) -> None:
    groups = np.char.add("r", np.arange(n).astype(str))
    permuted_labels(np.arange(n) % 2, groups, np.random.default_rng(0))
    permuted_labels(np.arange(n) % 2, np.repeat(groups[::2], 2)[:n], np.random.default_rng(0))


def interval(n: int) -> None:
    scores, labels, groups = np.random.default_rng(0).normal(size=n), np.arange(n) % 2, np.arange(n)
    auroc_contrast([scores], [1], labels, groups, null=0.5)
    mean_contrast([scores], [1], groups)
    mean_interval(scores, groups, n_boot=10)


def probe(n: int) -> None:
    rows = np.random.default_rng(0).normal(size=(n, 16))
    logistic_path(rows, (rows[:, 0] > 0).astype(int), [1e-3, 1e-1])


@pytest.mark.parametrize("work", [permutation, interval, probe])
def test_four_times_the_rows_take_less_than_eight_times_as_long(work: Callable[[int], None]):
    def seconds(n: int) -> float:
        start = time.process_time()
        work(n)
        return time.process_time() - start

    work(100)
    small, large = zip(*[(seconds(8_000), seconds(32_000)) for _ in range(5)], strict=True)  # taking turns
    assert min(large) < 8 * min(small)  # the square would be 16


def test_permuted_labels_are_drawn_as_the_plain_loop_over_groups_draws_them():
    def plainly(labels: np.ndarray, groups: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        permuted, single = labels.copy(), np.ones(len(labels), dtype=bool)
        for group in np.unique(groups):
            members = np.flatnonzero(groups == group)
            if len(np.unique(labels[members])) == 2:
                permuted[members] = rng.permutation(labels[members])
                single[members] = False
        names, first, member = np.unique(groups[single], return_index=True, return_inverse=True)
        permuted[single] = rng.permutation(labels[single][first])[member] if len(names) else labels[single]
        return permuted

    draw = np.random.default_rng(0)
    for seed in range(100):
        labels, groups = draw.integers(0, 2, 30), draw.integers(0, 12, 30).astype(str)
        drawn = permuted_labels(labels, groups, np.random.default_rng(seed))
        np.testing.assert_array_equal(drawn, plainly(labels, groups, np.random.default_rng(seed)))
