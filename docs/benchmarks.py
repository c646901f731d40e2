"""Write docs/benchmarks.md and figures/growth.svg: what the work costs, beside doing it otherwise.

    python docs/benchmarks.py [benchmarks/results]

reads what the scripts in `benchmarks/` wrote, or have written so far: what there is no file of is told to be
not measured yet. `make bench` runs all of it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import polars as pl
from pages import number, table, write

from probes.figures.growth import growth as growth_figure

ROOT = Path(__file__).parent.parent
sys.path.append(str(ROOT / "benchmarks"))

from extrapolation import Device, Model, Workload, exponent, gigabytes, hours, line  # noqa: E402

Told = Mapping[str, Any]
FIGURE = ROOT / "figures" / "growth.svg"
EXPECTED = {
    "texts": "linear",
    "layers": "flat: the blocks run anyway",
    "depth": "linear",
    "concepts": "linear",
    "stages": "linear, but the first has no adapter to merge",
    "directions": "linear, the blocks below shared",
    "items": "linear",
}
NAMES = {
    "ours": "this toolkit",
    "transformers": "transformers, `output_hidden_states`",
    "transformer_lens": "TransformerLens, `run_with_cache`",
    "nnsight": "nnsight, `trace`",
    "nnterp": "nnterp, `get_token_activations`",
    "steering_vectors": "steering-vectors",
    "sae_probes": "sae-probes, `find_best_reg`",
}
TERMS = {
    "loading": "loading every stage",
    "reading": "reading every text at every stage",
    "random_init": "reading every text once with random weights",
    "gradients": "steerability, every layer and direction",
    "pushes": "doses and random directions at one layer",
    "probes": "probe sweep at every layer, controls included",
    "weights": "weights of one stage, on the device",
    "batch": "a batch being read, on the device",
    "graph": "a graph of gradients, on the device",
    "result": "activations of one concept at one stage, in memory",
    "store": "all activations, on disk",
}


def results(folder: Path) -> dict[str, Any]:
    """Name of a result file -> what it says."""
    return {file.stem: json.loads(file.read_text()) for file in sorted(folder.glob("*.json"))}


def missing(script: str) -> str:
    return f"Not measured yet: `python benchmarks/{script}.py` does it.\n"


def spread(told: Told) -> str:
    """A ratio, and the lowest and highest of its repeats."""
    each = told["ratio_per_repeat"]
    return f"{number(told['ratio'])} ({number(min(each))} to {number(max(each))})"


def small(value: float) -> str:
    """Two significant digits, or whole numbers."""
    return f"{value:.0f}" if abs(value) >= 10 else f"{value:.2g}"


def runs(extraction: Told) -> str:
    if "runs" not in extraction:
        return missing("extraction")
    rows = [
        [run["dtype"], run["position"], spread(run), str(len(run["seconds"])), str(run["texts"])]
        + [f"{run['tokens']:,}"]
        for run in extraction["runs"]
    ]
    return table(["compute", "position", "over the bare forward", "repeats", "texts", "tokens"], rows)


def error(extraction: Told) -> str:
    if "error" not in extraction:
        return missing("extraction")
    told = extraction["error"]
    rows = [
        [position, small(one["max"]), small(one["max_over_largest_of_layer"])]
        + [small(one["median_relative_norm"])]
        + [small(one["auroc_change_median"]), small(one["auroc_change_max"])]
        for position, one in told.items()
        if isinstance(one, dict)
    ]
    heads = ["position", "largest", "of a layer's largest value", "median, of a vector's length"]
    heads += ["AUROC, median layer", "AUROC, worst layer"]
    return f"{told['texts']} texts of `{told['concept']}`:\n\n" + table(heads, rows)


def memory(extraction: Told) -> str:
    if "memory" not in extraction:
        return missing("extraction")
    fields = ("texts", "model_mb", "result_mb", "before_mb", "peak_mb", "more_than_model_and_result_mb")
    rows = [[f"{one[field]:.0f}" for field in fields] for one in extraction["memory"]]
    heads = ["texts", "model", "result", "process before", "peak", "peak less before and result"]
    return table([heads[0], *(f"{head} (MB)" for head in heads[1:])], rows)


def blocks(extraction: Told) -> str:
    if "blocks" not in extraction:
        return missing("extraction")
    rows = [[str(one["layer"]), str(one["blocks_run"])] for one in extraction["blocks"]]
    return table(["site at layer", "blocks run"], rows)


def store(extraction: Told) -> str:
    if "store" not in extraction:
        return missing("extraction")
    told = extraction["store"]
    what = {
        "first": "a first concept",
        "second": "a second one, half its texts in the first",
        "new_texts_alone": "those of its texts that are new, without a store",
        "unchanged": "the second again",
    }
    rows = [
        [words, str(told[name]["texts"]), f"{told[name]['tokens_run']:,}", number(told[name]["seconds"])]
        for name, words in what.items()
    ]
    reading = ["the store's files, read and no more", "", "", number(told["reading_files"]["seconds"])]
    return table(["extraction of", "texts", "tokens run", "seconds"], [*rows, reading])


def sweep(probes: Told) -> str:
    if "ratio_all" not in probes:
        return missing("sweep")
    seconds, rows = probes["seconds_wall_and_processor"], []
    for name, ours, theirs, n in (
        ("labels, permutations, control task", "ours", "sklearn", "problems"),
        ("labels alone", "ours_true", "sklearn_true", "problems_true_labels"),
    ):
        ratios = [
            [a[clock] / b[clock] for a, b in zip(seconds[theirs], seconds[ours], strict=True)]
            for clock in (0, 1)
        ]
        key = "ratio_all" if ours == "ours" else "ratio_true_labels"
        rows.append(
            [name, str(probes[n])]
            + [
                spread({"ratio": probes[key][clock], "ratio_per_repeat": each})
                for clock, each in zip(("wall", "processor"), ratios, strict=True)
            ]
        )
    text = table(["fitted to", "problems", "scikit-learn over ours, wall", "processor"], rows)
    layers, n_rows, width = probes["activations"]
    excess, aurocs = probes["objective_excess_max"], probes["auroc_difference_max"]
    text += (
        f"\n{layers} layers, {n_rows} rows, width {width}; scikit-learn on {probes['sampled_problems']} of"
        f" the problems, scaled. Largest excess of an objective over scikit-learn's at tolerance 1e-10:"
        f" {small(excess['sklearn_1e-10'])}; largest difference of a held-out AUROC from it:"
        f" {small(aurocs['sklearn_1e-10'])}.\n"
    )
    return text + (probekit(probes) if "probekit_a_problem" in probes else "")


def probekit(probes: Told) -> str:
    """probekit's batched solver at each strength beside our mean over all of them."""
    ours, rows = probes["ours_seconds_a_problem"], []
    for strength, told in probes["probekit_a_problem"].items():
        if isinstance(told, str):
            rows.append([strength, f"failed: {told}", ""])
        else:
            times = told["seconds"] / ours
            rows.append([strength, small(told["seconds"]), f"{small(times)}{' (faster)' * (times < 1)}"])
    return (
        "\nprobekit's batched solver, four labelings of one strength at once, beside our mean over all of the"
        " sweep:\n\n" + table(["C", "probekit, seconds a problem", "times ours"], rows)
    )


def steering(told: Told) -> str:
    if "ratio" not in told:
        return missing("steering")
    row = [spread(told), str(len(told["ratio_per_repeat"])), str(told["settings"]), str(told["items"])]
    row.append(small(told["largest_difference_in_a_choice_logit"]))
    return table(
        ["hook and rerun over ours", "repeats", "settings", "items", "largest difference of a logit"], [row]
    )


def beside(theirs: Told, ours: Told) -> str:
    """Whether another library is faster: only if no repeat of one is within the range of the other."""
    mine, other = ours["ratio_per_repeat"], theirs["ratio_per_repeat"]
    times = number(theirs["ratio"] / ours["ratio"])
    if max(other) < min(mine):
        return f"**faster**: {times} of our time"
    return f"{times} times ours" if min(other) > max(mine) else "no difference beyond the spread"


def peers(told: Told, job: str, more: Mapping[str, str]) -> str:
    """A table of one job: over the yardstick, beside ours, and what else was measured, `more` key -> head."""
    libraries = told.get("jobs", {}).get(job)
    if not libraries or "failed" in libraries["ours"]:
        return missing("peers")
    rows = []
    for library, one in libraries.items():
        if "failed" in one:
            rows.append([NAMES[library], f"could not be run: {one['failed']}", *[""] * (len(more) + 1)])
            continue
        version = one["versions"].get(library.replace("_", "-") if library != "ours" else "spec-probes", "")
        against = "" if library == "ours" else beside(one, libraries["ours"])
        cells = [_cell(one.get(key)) for key in more]
        rows.append([f"{NAMES[library]} {version}".strip(), spread(one), against, *cells])
    return table(["", "over the yardstick", "beside ours", *more.values()], rows)


def _cell(value: Any) -> str:
    if isinstance(value, Sequence):
        return ", ".join(number(each) for each in value)
    return "" if value is None else small(value)


def doublings(growth: Told) -> str:
    if "growth" not in growth:
        return missing("growth")
    rows = []
    for axis, told in growth["growth"].items():
        points = told["points"]
        sizes = ", ".join(str(p["size"]) for p in points)
        rows.append(
            [f"{axis}: {sizes}", ", ".join(small(p["seconds"]) for p in points)]
            + [number(exponent(points)), number(exponent(points[-2:])), EXPECTED[axis]]
            + [", ".join(f"{p['peak_mb']:.0f}" for p in points), number(exponent(points, "peak_mb"))]
        )
    heads = ["axis and sizes", "seconds", "exponent", "of the last step", "expected", "peak (MB)", "exponent"]
    worst = max(growth["growth"], key=lambda axis: exponent(growth["growth"][axis]["points"][-2:]))
    steepest = exponent(growth["growth"][worst]["points"][-2:])
    each = "; ".join(
        f"{axis} {small(fixed)} s and {small(one)} s more each"
        for axis, told in growth["growth"].items()
        for fixed, one in [line(told["points"])]
    )
    return (
        table(heads, rows)
        + f"\nSteepest last step: {worst}, {number(steepest)}. As lines: {each}.\n"
        + "\n![growth of time and memory](../figures/growth.svg)\n"
    )


def paper(found: Told) -> str:
    """The survey of a 32B model, from the measured constants and the assumptions named beside them."""
    growth, extraction, probes = (found.get(name, {}) for name in ("growth", "extraction", "probes"))
    lacking = {
        "growth": not {"texts", "directions", "items"} <= set(growth.get("growth", {})),
        "extraction": not {"runs", "memory"} <= set(extraction),
        "sweep": "ours_seconds_a_problem" not in probes,
    }
    if any(lacking.values()):
        return "\n".join(missing(script) for script, lacks in lacking.items() if lacks)
    work, model, device = Workload(), Model(), Device()
    spent = hours(growth, extraction, probes, work, model, device)
    on_device = {term: value for term, value in spent.items() if term != "probes"}
    held = gigabytes(growth, extraction, work, model)
    on_card = sum(held[term] for term in ("weights", "batch", "graph"))
    most = max(on_device, key=lambda term: on_device[term])
    dominating = max(spent, key=lambda term: spent[term])
    text = table(
        ["term", "hours", "share of the device's"],
        [
            [TERMS[term], small(value), f"{value / sum(on_device.values()):.0%}"]
            for term, value in on_device.items()
        ]
        + [[f"{TERMS['probes']} (on the processor measured here)", small(spent["probes"]), ""]],
    )
    text += (
        f"\n**{small(sum(on_device.values()))} GPU-hours**, most of them {TERMS[most]}. What dominates in all"
        f" is {TERMS[dominating]}: {small(spent[dominating])} hours.\n\n"
    )
    text += table(["term", "GB"], [[TERMS[term], small(value)] for term, value in held.items()])
    fits = "fits" if on_card <= device.memory_gb else "does not fit"
    text += f"\n{on_card:.0f} GB on the device, which {fits} in {device.memory_gb:.0f} GB.\n\nAssumed: "
    assumed = {**asdict(work), **asdict(model), **asdict(device)}
    return text + ", ".join(f"{name.replace('_', ' ')} {value:g}" for name, value in assumed.items()) + ".\n"


def machines(found: Told) -> str:
    """What each file was measured on; peers by the machine of our own side of the first job."""
    rows = []
    for name, told in found.items():
        if name == "peers":
            told = next(iter(told["jobs"].values()))["ours"]
        if "machine" not in told:
            continue
        versions = ", ".join(f"{library} {number}" for library, number in told["versions"].items())
        rows.append([f"`{name}.json`", told["machine"], str(told["threads"]), versions])
    if not rows:
        return "Nothing was measured yet.\n"
    return table(["result", "machine", "threads", "versions"], rows)


def parts(found: Told) -> dict[str, str]:
    """Every part of the page from the results there are."""
    extraction, other = found.get("extraction", {}), found.get("peers", {})
    told = {part.__name__: part(extraction) for part in (runs, error, memory, blocks, store)}
    return told | {
        "sweep": sweep(found.get("probes", {})),
        "steering": steering(found.get("steering", {})),
        "reading": peers(
            other,
            "reading",
            {
                "difference": "largest difference",
                "difference_last_layer": "at the last layer",
                "more_memory_mb": "memory (MB)",
            },
        ),
        "fitting": peers(other, "fitting", {"test_aurocs": "test AUROC of each layer"}),
        "pushing": peers(
            other,
            "pushing",
            {"settings": "settings", "largest_difference_in_a_choice_logit": "largest difference of a logit"},
        ),
        "growth": doublings(found.get("growth", {})),
        "paper": paper(found),
        "machines": machines(found),
    }


def main() -> None:
    found = results(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "benchmarks" / "results")
    if "growth" in found:
        points = [
            {"axis": axis, **point}
            for axis, told in found["growth"]["growth"].items()
            for point in told["points"]
        ]
        growth_figure(pl.DataFrame(points)).export(FIGURE)
    write("benchmarks", parts(found))


if __name__ == "__main__":
    main()
