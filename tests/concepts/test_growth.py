"""The lint grows about as its rows do, and not as their square."""

import time

import numpy as np
import pytest

import probes
from probes.concepts import Concept

WORDS = ["chair", "table", "book", "lamp", "Ohio", "Texas", "red", "blue", "green", "old", "new"]


def rows(n: int, **fields: str) -> list[dict]:
    rng = np.random.default_rng(0)
    texts = [f"{' '.join(rng.choice(WORDS, 6))} {rng.integers(10**6)}" for _ in range(n)]
    return [
        {"text": f"{('costly', 'cheap')[i % 2]} {t}", "label": i % 2, **fields} for i, t in enumerate(texts)
    ]


def seconds_of(concept: Concept) -> float:
    start = time.process_time()
    probes.lint(concept)
    return time.process_time() - start


@pytest.mark.slow
def test_four_times_the_rows_take_less_than_six_times_as_long():
    small, large = (seconds_of(Concept.from_frame(rows(n), name="rows")) for n in (2000, 8000))
    assert large < 6 * small
