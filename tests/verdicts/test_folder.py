"""`probes judge`: the verdicts of a folder again, in a second, by someone who has no model."""

import json
import subprocess
import sys

import polars as pl
import pytest

import probes
from probes.cli import main
from probes.errors import InputError
from probes.study import load_survey
from probes.verdicts import COLUMNS, OPTIONAL
from tests.makers import many_prices


@pytest.fixture(scope="module")
def surveyed(tiny_lineage_dir, tmp_path_factory):
    out = tmp_path_factory.mktemp("judged")
    stages = ["base", "mid"]
    return probes.survey(
        tiny_lineage_dir, [many_prices()], out, stages=stages, quick=True, static=False, progress=False
    )


def test_the_same_criteria_give_the_same_verdicts(surveyed):
    assert probes.judge_folder(surveyed.folder).equals(surveyed.verdicts)


def test_other_criteria_need_nothing_but_the_two_tables(surveyed, tmp_path, capsys):
    (tmp_path / "comparisons.parquet").write_bytes((surveyed.folder / "comparisons.parquet").read_bytes())
    without = surveyed.tests.filter(~pl.col("test").is_in(OPTIONAL))  # the tiny model follows no question
    without.write_parquet(tmp_path / "tests.parquet")
    assert set(probes.judge_folder(tmp_path)["verdict"]) == {"inconclusive"}  # what they use was not asked
    (tmp_path / "criteria.toml").write_text("alpha = 0.001\n")
    out = tmp_path / "verdicts.csv"
    criteria = ["--criteria", str(tmp_path / "criteria.toml")]
    assert main(["judge", str(tmp_path), *criteria, "--out", str(out), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    verdicts = {row["stage"]: (row["verdict"], row["decided_by"]) for row in rows}
    # p is .002 with 500 permutations: not enough at the level of these criteria.
    assert verdicts == dict.fromkeys(("base", "mid"), ("inconclusive", "decodable"))
    assert set(surveyed.verdicts["verdict"]) == {"untestable"}
    assert pl.read_csv(out).columns == list(COLUMNS)


def test_a_folder_without_the_tables_is_refused_in_one_line(tmp_path, capsys):
    assert main(["judge", str(tmp_path)]) == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert "tests.parquet cannot be read" in message
    pl.DataFrame({"test": ["decodable"]}).write_parquet(tmp_path / "tests.parquet")
    with pytest.raises(InputError, match=r"tests.parquet: no column 'lineage'"):
        probes.judge_folder(tmp_path)


def test_judging_loads_no_model_library():
    code = "import sys, probes.verdicts; sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_an_older_folder_is_read_with_todays_names(surveyed, tmp_path):
    for file in ("results.parquet", "run.json"):
        (tmp_path / file).write_bytes((surveyed.folder / file).read_bytes())
    older = surveyed.verdicts.rename({"effect_origin": "role_origin"})
    older.write_parquet(tmp_path / "verdicts.parquet")
    again = load_survey(tmp_path)
    assert again.verdicts.equals(surveyed.verdicts)
    assert again.tests.is_empty()
    assert again.overview.height == 2
