"""The questions of the exam."""

import pytest

from probes.errors import InputError
from probes.validation import questions


def test_the_halves_share_no_organism_and_hold_every_kind_in_every_size():
    exam = questions(6)
    by_half = {half: [q for q in exam if q.half == half] for half in ("set", "held out")}
    assert not {q.seed for q in by_half["set"]} & {q.seed for q in by_half["held out"]}
    for group in by_half.values():
        assert len({(q.kind, q.size) for q in group}) == 24
        assert len(group) == 48
    assert all(q.later for q in exam if q.kind == "internal")
    with pytest.raises(InputError, match="at least 1"):
        questions(0)
