"""The page of costs says what was measured and no more; what it says of a bigger model is arithmetic."""

import re
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from probes.errors import InputError
from probes.figures.growth import growth as growth_figure

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT / "docs"), str(ROOT / "benchmarks")]

import common  # noqa: E402
from extrapolation import Device, Model, Workload, constants, exponent, gigabytes, hours, line  # noqa: E402

import benchmarks as page  # noqa: E402


def points(cost, sizes=(2, 4, 8)) -> list[dict[str, float]]:
    return [{"size": size, "seconds": cost(size), "peak_mb": 700.0} for size in sizes]


def growth_result() -> dict:
    """A second a text of 10 tokens, 3 an item, 2 a direction for 4 items, fixed costs everywhere."""
    costs = {"texts": lambda n: 5 + n, "items": lambda n: 1 + 3 * n, "directions": lambda n: 7 + 2 * n}
    axes = {axis: {"what": axis, "points": points(cost)} for axis, cost in costs.items()}
    setting = {"parameters": 1e8, "layers": 30, "width": 512, "tokens_per_text": 10, "items": 4}
    return {"growth": axes, "setting": setting}


def extraction_result() -> dict:
    run = {"texts": 4, "tokens": 40, "seconds": [1.0, 1.1], "dtype": "float32"}
    run |= {"ratio_per_repeat": [1.01, 1.03], "ratio": 1.02}
    memory = {"texts": 4, "model_mb": 500, "result_mb": 9, "before_mb": 900, "peak_mb": 1000}
    return {
        "runs": [{**run, "position": "last"}, {**run, "position": "mean", "ratio": 2.0}],
        "memory": [{**memory, "more_than_model_and_result_mb": 100}],
    }


PROBES = {"activations": [3, 500, 100], "ours_seconds_a_problem": 0.01}


@pytest.mark.parametrize("power", [0, 1, 2])
def test_exponent_is_the_power(power):
    assert exponent(points(lambda n: 3.0 * n**power)) == pytest.approx(power, abs=1e-9)
    assert exponent(points(lambda n: 3.0 * n**power), "peak_mb") == pytest.approx(0, abs=1e-9)


def test_line_is_the_fixed_cost_and_that_of_one_more():
    assert line(points(lambda n: 5 + 0.25 * n)) == pytest.approx((5, 0.25))


def test_constants_are_in_tokens_of_the_forward():
    """A token costs .1 s: an item is 30 of them, a direction for one item 5; means are not what is asked."""
    costs = constants(growth_result(), extraction_result())
    assert costs == pytest.approx({"extraction": 1.02, "gradient": 30, "addition": 5, "batch_mb": 100})


def test_hours_are_operations_over_those_of_the_device():
    work = Workload(stages=2, concepts=3, texts=100, items=10, additions=4, folds=5, strengths=1, labelings=2)
    model = Model(parameters=1e9, layers=8, width=50)
    device = Device(flops=4e12, utilisation=0.5, load_gb_s=1.0)  # 1000 tokens a second
    spent = hours(growth_result(), extraction_result(), PROBES, work, model, device)
    seconds = {term: 3600 * value for term, value in spent.items()}
    assert seconds == pytest.approx(
        {
            "loading": 2 * 2,
            "extraction": 2 * 3 * 100 * 10 * 1.02 / 1000,
            "random_init": 3 * 100 * 10 * 1.02 / 1000,
            "gradients": 2 * 3 * 10 * 30 / 1000,
            "additions": 2 * 3 * 10 * 4 * 5 / 1000,
            "probes": 2 * 3 * 8 * 5 * 2 * 0.01 * (80 * 50) / (400 * 100),
        }
    )
    twice = hours(growth_result(), extraction_result(), PROBES, work, Model(2e9, 8, 50), device)
    assert twice["extraction"] == pytest.approx(2 * spent["extraction"])
    assert twice["probes"] == spent["probes"]


def test_gigabytes_are_those_of_arrays():
    work = Workload(stages=2, concepts=3, texts=100)
    sizes = gigabytes(growth_result(), extraction_result(), work, Model(1e9, 8, 1024))
    assert sizes["weights"] == pytest.approx(2)
    assert sizes["batch"] == pytest.approx(2 * 100 * 2**20 / 1e9)
    assert sizes["result"] == pytest.approx(np.empty((8, 100, 1024), np.float32).nbytes / 1e9)
    assert sizes["store"] == pytest.approx(6 * sizes["result"])


def test_the_page_has_every_part_and_tells_what_is_missing():
    places = re.findall(r"^{{(\w+)}}$", (ROOT / "docs" / "benchmarks.template.md").read_text(), re.MULTILINE)
    parts = page.parts({})
    assert sorted(places) == sorted(parts)
    assert all("measured yet" in part for part in parts.values())
    some = page.parts({"growth": growth_result()})
    assert "measured yet" in some["paper"]
    assert "exponent" in some["growth"]


def test_the_page_tells_ratios_with_their_spread_and_computes_the_rest():
    parts = page.parts({"growth": growth_result(), "extraction": extraction_result(), "probes": PROBES})
    assert "1.02 (1.01 to 1.03)" in parts["runs"]
    assert "GPU-hours" in parts["paper"]
    assert "steepest last step is that of items" in parts["growth"]
    assert parts["store"].startswith("Not measured yet")


def test_a_peer_that_is_faster_is_said_to_be_and_one_that_failed_why():
    ours = {"ratio": 1.0, "ratio_per_repeat": [0.95, 1.05], "versions": {"spec-probes": "1"}}
    quick = {"ratio": 0.5, "ratio_per_repeat": [0.4, 0.6], "versions": {"nnterp": "2"}}
    even = {"ratio": 1.1, "ratio_per_repeat": [1.0, 1.2], "versions": {}}
    slow = {"ratio": 3.0, "ratio_per_repeat": [2.9, 3.1], "versions": {}}
    text = page.peers(
        {
            "jobs": {
                "extracting": {
                    "ours": ours,
                    "nnterp": quick,
                    "nnsight": even,
                    "transformers": slow,
                    "steering_vectors": {"failed": "no such version"},
                }
            }
        },
        "extracting",
        {"difference": "largest difference"},
    )
    lines = text.splitlines()[2:]
    assert "**faster**: .50 of our time" in lines[1]
    assert "no difference beyond the spread" in lines[2]
    assert "3.00 times ours" in lines[3]
    assert "could not be run: no such version" in lines[4]
    assert len({line.count("|") for line in text.splitlines()}) == 1


def test_every_test_the_page_names_exists():
    named = re.findall(r"`(test_\w+)`", (ROOT / "docs" / "benchmarks.template.md").read_text())
    assert len(named) > 10
    written = "".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    for name in named:
        assert f"def {name}(" in written, name


def test_batches_hold_every_row_once_within_the_budget():
    rows = [[1] * n for n in (3, 9, 1, 4, 4, 2)]
    batches = common.batches(rows, 9)
    assert sorted(i for batch in batches for i in batch) == list(range(6))
    assert all(len(batch) * len(rows[batch[0]]) <= 9 for batch in batches)
    left, right = (common.padded([[5, 6], [7]], side) for side in ("left", "right"))
    assert left["input_ids"].tolist() == [[5, 6], [0, 7]]
    assert right["input_ids"].tolist() == [[5, 6], [7, 0]]
    assert left["position_ids"].tolist() == [[0, 1], [0, 0]]


def test_the_figure_of_growth_is_relative_to_the_smallest_size():
    rows = [{"axis": "texts", **p} for p in points(lambda n: 10.0 * n)]
    figure = growth_figure(pl.DataFrame(rows))
    time, linear, memory, _ = figure.plotly.to_dict()["data"]
    assert list(time["x"]) == list(time["y"]) == [1, 2, 4]
    assert list(linear["y"]) == [1, 4]
    assert list(memory["y"]) == [1, 1, 1]
    assert figure.plotly.layout.yaxis.type == "log"
    with pytest.raises(InputError, match="above zero"):
        growth_figure(pl.DataFrame([{"axis": "texts", "size": 1, "seconds": 0.0, "peak_mb": 1.0}]))
