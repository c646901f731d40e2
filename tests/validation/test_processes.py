"""Jobs in several processes: the same results in the same order as in one."""

import numpy as np
import polars as pl
import pytest
import torch

from probes.validation.processes import in_processes


@pytest.mark.slow
@pytest.mark.parametrize(("workers", "chunksize"), [(1, 1), (2, 1), (2, 2)])
def test_results_are_in_the_order_of_the_jobs(workers, chunksize):
    assert list(in_processes(abs, [-3, 1, -2, 0], workers, chunksize)) == [3, 1, 2, 0]


def threaded(size):
    """Work that polars and torch do in threads of their own."""
    frame = pl.DataFrame({"name": [str(i % 7) for i in range(size)], "value": np.arange(size)})
    kept = frame.filter(pl.col("name").is_in(["1", "2"])).group_by("name").agg(pl.col("value").sum())
    x = torch.ones(size, requires_grad=True)
    return int(kept["value"].sum()) + int(torch.autograd.grad((x * x).sum(), x)[0].sum())


@pytest.mark.slow
def test_threads_that_the_parent_used_do_not_stop_a_process():
    here = threaded(5000)
    assert list(in_processes(threaded, [5000, 5000, 5000], workers=2)) == [here] * 3
