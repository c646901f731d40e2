"""Contrasts against scikit-learn and scipy."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from probes.errors import InputError
from probes.stats.contrasts import difference_in_differences, strongest_baseline
from tests.makers import paired, scored


class TestContrasts:
    def test_values_are_differences_of_sklearns_aurocs(self):
        rng = np.random.default_rng(0)
        labels, groups = paired(30)
        scores = {name: scored(rng, 30, gap) for name, gap in (("a", 2), ("b", 1), ("c", 0.5), ("d", 1.5))}
        area = {name: roc_auc_score(labels, row) for name, row in scores.items()}
        a = scores.pop("a")
        strongest = strongest_baseline(a, scores, labels, groups)
        assert strongest.name == max(scores, key=lambda name: area[name])
        assert strongest.gap.value == pytest.approx(area["a"] - area[strongest.name])
        assert strongest.gap.p == max(gap.p for gap in strongest.gaps.values())
        assert strongest.gap.low == min(gap.low for gap in strongest.gaps.values()) < strongest.gap.high
        four = difference_in_differences(a, scores["b"], scores["c"], scores["d"], labels, groups)
        assert four.value == pytest.approx(area["a"] - area["b"] - area["c"] + area["d"])

    def test_training_seeds_that_differ_widen_the_interval_and_lower_the_claim(self):
        rng = np.random.default_rng(1)
        labels, groups = paired(40)
        parent = scored(rng, 40, 0.5)
        steady = np.stack([parent + 1.0 * labels] * 3)
        shaky = np.stack([parent + gain * labels for gain in (0.1, 1.0, 2.2)])
        narrow, wide = (
            difference_in_differences(arm, parent, parent, parent, labels, groups) for arm in (steady, shaky)
        )
        assert wide.high - wide.low > 2 * (narrow.high - narrow.low)
        assert narrow.p < wide.p

    def test_bad_input_is_refused(self):
        labels, groups = paired(4)
        with pytest.raises(InputError, match="no baselines"):
            strongest_baseline(labels, {}, labels, groups)
