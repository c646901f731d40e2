"""What is remembered is found by content."""

import numpy as np

from probes.probing.memory import remembered


def test_what_was_remembered_is_found_by_content_and_forgotten_in_order():
    calls = []

    @remembered(kept=2)
    def double(values, name):
        calls.append(name)
        return 2 * values

    one = np.arange(3.0)
    assert double(one, "a") is double(one.copy(), "a")
    np.testing.assert_array_equal(double(one + 1, "a"), 2 * (one + 1))
    assert double(one.astype(np.float32), "a").dtype == np.float32
    double(one, "a")
    assert len(calls) == 4
