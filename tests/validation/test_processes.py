"""Jobs in several processes: the same results in the same order as in one."""

import pytest

from probes.validation.processes import in_processes


@pytest.mark.parametrize(("workers", "chunksize"), [(1, 1), (2, 1), (2, 2)])
def test_results_are_in_the_order_of_the_jobs(workers, chunksize):
    assert list(in_processes(abs, [-3, 1, -2, 0], workers, chunksize)) == [3, 1, 2, 0]
