"""A measurement saved and read back: the same numbers, and one clear line for anything else."""

import numpy as np
import pytest

import probes
from probes.errors import InputError
from probes.measure import Plan, load_measurement, measure_stage
from probes.measure import stage as room
from probes.transfer import compare, compare_with
from tests.makers import price_concept

PLAN = Plan(n_random=50)


@pytest.fixture(scope="module")
def lineage(tiny_lineage_dir):
    return probes.load_lineage(tiny_lineage_dir)


@pytest.fixture(scope="module")
def kept(lineage, tmp_path_factory):
    folder = tmp_path_factory.mktemp("kept")
    base = measure_stage(lineage["base"], [price_concept()], PLAN, keep=folder / "base", progress=False)
    mid = measure_stage(
        lineage["mid"],
        [price_concept()],
        PLAN,
        sources=list(base.values()),
        keep=folder / "mid",
        progress=False,
    )
    return folder, base["prices"], mid["prices"]


def test_what_is_read_back_compares_like_what_was_measured(kept):
    folder, base, mid = kept
    again = [load_measurement(folder / stage / "prices") for stage in ("base", "mid")]
    for before, after in zip((base, mid), again, strict=True):
        assert after.table.equals(before.table)
        assert after.tests.equals(before.tests)
        assert after.plan == before.plan
        assert after.layer == before.layer
        np.testing.assert_array_equal(after.scores, before.scores)
        np.testing.assert_array_equal(after.gradients.values, before.gradients.values)
    assert compare_with(again[1], again[0]).rows() == compare_with(mid, base).rows()
    assert compare({"base": again[0], "mid": again[1]}).equals(compare({"base": base, "mid": mid}))


def test_the_same_inputs_are_not_measured_twice_and_others_are(kept, lineage, monkeypatch):
    folder, base, _ = kept
    monkeypatch.setattr(room, "extract", lambda *a, **k: pytest.fail("measured again"))
    again = measure_stage(lineage["base"], [price_concept()], PLAN, keep=folder / "base", progress=False)
    assert again["prices"].table.equals(base.table)
    for changed in ({"plan": Plan(n_random=51)}, {"seed": 1}, {"concepts": [other_choices()]}):
        arguments = {"concepts": [price_concept()], "plan": PLAN, "seed": 0} | changed
        with pytest.raises(pytest.fail.Exception, match="measured again"):
            measure_stage(lineage["base"], keep=folder / "base", progress=False, **arguments)
    with pytest.raises(pytest.fail.Exception, match="measured again"):
        measure_stage(lineage["control"], [price_concept()], PLAN, keep=folder / "base", progress=False)


def other_choices():
    whole = price_concept()
    return probes.Concept(name=whole.name, examples=whole.examples, choices=whole.choices[:3])


def test_a_damaged_folder_is_named_and_measured_again(lineage, tmp_path):
    plan = Plan(items=0, tests=False, baselines=False, alignment_texts=())
    measure_stage(lineage["base"], [price_concept()], plan, keep=tmp_path, progress=False)
    file = tmp_path / "prices" / "arrays.safetensors"
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(InputError, match="is not a measurement's folder"):
        load_measurement(tmp_path / "prices")
    with pytest.warns(UserWarning, match="measured again, because what was kept is damaged"):
        measure_stage(lineage["base"], [price_concept()], plan, keep=tmp_path, progress=False)
    assert load_measurement(tmp_path / "prices").stage == "base"
    with pytest.raises(InputError, match="is not a measurement's folder"):
        load_measurement(tmp_path / "nowhere")
