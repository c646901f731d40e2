"""The exam on changed blocks: they are known, and they have to be found."""

import pytest

import probes
from probes.errors import InputError
from probes.validation import examine_changes, marks


def test_changed_blocks_are_found_where_they_were_put(tiny_lineage_dir, tmp_path):
    lineage = probes.load_lineage(tiny_lineage_dir)
    kept = tmp_path / "changes.parquet"
    answers = examine_changes(lineage["mid"], lineage["base"], n=6, keep=kept, progress=False)
    assert answers["truth"].to_list() == answers["answer"].to_list()
    assert answers["truth"].n_unique() > 2
    again = examine_changes(lineage["mid"], lineage["base"], n=6, keep=kept, progress=False)
    assert again.equals(answers)
    [mark] = marks(answers).to_dicts()
    assert (mark["exam"], mark["k"], mark["n"]) == ("change", 6, 6)
    with pytest.raises(InputError, match="the same blocks"):
        examine_changes(lineage["copy"], lineage["mid"], progress=False)
