"""Doing independent jobs one after the other, or in several processes at a time."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import TypeVar

import torch

Job = TypeVar("Job")
Result = TypeVar("Result")


def in_processes(
    function: Callable[[Job], Result], jobs: Sequence[Job], workers: int = 1, chunksize: int = 1
) -> Iterator[Result]:
    """Results of a function for every job, in the order of the jobs, as they are finished.

    Parameters
    ----------
    function : a function of a module, or a `functools.partial` of one; with several workers it is pickled.
    workers : processes of one thread each. With 1, everything is done in this process.
    chunksize : jobs that are sent to a process at a time.

    Example
    -------
    >>> from probes.validation.processes import in_processes
    >>> list(in_processes(abs, [-2, 1]))
    [2, 1]
    """
    if workers == 1:
        yield from map(function, jobs)
        return
    # A forked process has the locks of its parent's threads but not the threads, so torch and polars would
    # wait for them forever. So processes are started anew.
    fresh = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(
        workers, mp_context=fresh, initializer=torch.set_num_threads, initargs=(1,)
    ) as pool:
        yield from pool.map(function, jobs, chunksize=chunksize)
