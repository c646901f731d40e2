"""The table of answers: its columns, files of an older version, and what is kept while it is filled."""

import polars as pl
import pytest

from probes.errors import InputError
from probes.validation.answers import ANSWERS, KeptAnswers, answers_table, read_answers


def test_a_table_has_all_columns_and_refuses_no_row_that_lacks_some():
    table = answers_table([{"exam": "verdict", "seed": 3}])
    assert table.schema == pl.Schema(ANSWERS)
    assert table.row(0, named=True) == dict.fromkeys(ANSWERS) | {"exam": "verdict", "seed": 3}


def test_what_version_0_1_called_fate_is_read_as_survival_and_nothing_else_changes(tmp_path):
    rows = [
        {"exam": "verdict", "kind": "surface", "truth": "surface", "answer": "surface"},
        {"exam": "fate", "kind": "fade", "truth": "faded", "answer": "fate"},
    ]
    answers_table(rows).write_parquet(tmp_path / "older.parquet")
    table = read_answers(tmp_path / "older.parquet")
    assert table.equals(answers_table([rows[0], rows[1] | {"exam": "survival"}]))
    kept = KeptAnswers(tmp_path / "older.parquet")
    kept.add([{"exam": "survival"}])
    assert read_answers(tmp_path / "older.parquet")["exam"].to_list() == ["verdict", "survival", "survival"]


@pytest.mark.parametrize("content", [None, b"text", "table"])
def test_a_file_that_holds_no_answers_is_refused_by_name(tmp_path, content):
    file = tmp_path / "answers.parquet"
    if content == "table":
        pl.DataFrame({"other": [1]}).write_parquet(file)
    elif content:
        file.write_bytes(content)
    with pytest.raises(InputError, match=r"answers\.parquet: no table of answers"):
        read_answers(file)
