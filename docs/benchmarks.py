"""Write docs/benchmarks.md and figures/growth.svg: what the work costs, beside doing it in other ways.

    python docs/benchmarks.py [benchmarks/results]

The folder holds what the scripts in `benchmarks/` wrote, or have written so far; where a file is missing, the
page says "not measured yet". `make bench` runs those scripts and this one.
"""

from __future__ import annotations

import json
import statistics
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

Measured = Mapping[str, Any]
FIGURE = ROOT / "figures" / "growth.svg"
EXPECTED = {
    "texts": "linear",
    "layers": "flat: the blocks run anyway",
    "depth": "linear",
    "concepts": "linear",
    "stages": "linear, but the first has no adapter to merge",
    "directions": "linear, with the blocks below shared",
    "items": "linear",
    "probed": "linear",
    "linted": "linear, with classifiers fitted on 4,000 texts at most",
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
    "extraction": "extracting every text at every stage",
    "random_init": "extracting every text once with random weights",
    "gradients": "steerability at every layer, along every direction",
    "additions": "steering at one layer, with all doses and random directions",
    "probes": "the probe sweep at every layer, controls included",
    "weights": "weights of one stage, on the device",
    "batch": "one batch of texts, on the device",
    "graph": "one graph of gradients, on the device",
    "result": "activations of one concept at one stage, in memory",
    "store": "all activations, on disk",
}
"""Term of the extrapolation -> what it is."""
ASSUMED = {
    "texts": "texts of a concept",
    "items": "choice items of a concept",
    "additions": "interventions (doses times directions, controls included)",
    "folds": "folds of the cross-validation",
    "strengths": "strengths of regularisation",
    "labelings": "labelings (the labels, permutations, a control task)",
    "width": "width of the model",
    "memory_gb": "memory of the device (GB)",
    "flops": "peak operations of the device (per second)",
    "utilisation": "share of that peak that is reached",
    "load_gb_s": "speed of loading weights (GB per second)",
}
"""Assumption -> what it is, where its name alone does not say it."""


def results(folder: Path) -> dict[str, Any]:
    """Name of a result file -> its content."""
    return {file.stem: json.loads(file.read_text()) for file in sorted(folder.glob("*.json"))}


def missing(script: str) -> str:
    """What stands in place of a table that was not measured."""
    return f"Not measured yet: `python benchmarks/{script}.py` does it.\n"


def spread(measured: Measured) -> str:
    """A ratio, and in brackets the lowest and the highest of its repeats."""
    each = measured["ratio_per_repeat"]
    return f"{number(measured['ratio'])} ({number(min(each))} to {number(max(each))})"


def small(value: float) -> str:
    """Two significant digits, or whole numbers."""
    return f"{value:.0f}" if abs(value) >= 10 else f"{value:.2g}"


def runs(extraction: Measured) -> str:
    """Time of extraction over that of the bare forward pass."""
    if "runs" not in extraction:
        return missing("extraction")
    rows = [
        [run["dtype"], run["position"], spread(run), str(len(run["seconds"])), str(run["texts"])]
        + [f"{run['tokens']:,}"]
        for run in extraction["runs"]
    ]
    heads = [
        "computed in",
        "position",
        "time over that of the bare forward",
        "n repeats",
        "n texts",
        "n tokens",
    ]
    return table(heads, rows)


def error(extraction: Measured) -> str:
    """What bfloat16 changes in the values and in the AUROC of a probe."""
    if "error" not in extraction:
        return missing("extraction")
    measured = extraction["error"]
    rows = [
        [position, small(one["max"]), small(one["max_over_largest_of_layer"])]
        + [small(one["median_relative_norm"])]
        + [small(one["auroc_change_median"]), small(one["auroc_change_max"])]
        for position, one in measured.items()
        if isinstance(one, dict)
    ]
    heads = ["position", "largest difference", "as a share of the layer's largest value"]
    heads += ["median difference, as a share of a vector's length"]
    heads += ["change of AUROC, median layer", "change of AUROC, worst layer"]
    return f"(n = {measured['texts']} texts of `{measured['concept']}`)\n\n" + table(heads, rows)


def memory(extraction: Measured) -> str:
    """Peak memory by number of texts."""
    if "memory" not in extraction:
        return missing("extraction")
    fields = ("texts", "model_mb", "result_mb", "before_mb", "peak_mb", "more_than_model_and_result_mb")
    rows = [[f"{one[field]:.0f}" for field in fields] for one in extraction["memory"]]
    heads = ["n texts", "model", "result", "process before", "peak", "peak minus process before and result"]
    return table([heads[0], *(f"{head} (MB)" for head in heads[1:])], rows)


def blocks(extraction: Measured) -> str:
    """How many blocks run for a site at a layer."""
    if "blocks" not in extraction:
        return missing("extraction")
    rows = [[str(one["layer"]), str(one["blocks_run"])] for one in extraction["blocks"]]
    return table(["site at layer", "n blocks run"], rows)


def store(extraction: Measured) -> str:
    """What the store saves when texts come again."""
    if "store" not in extraction:
        return missing("extraction")
    measured = extraction["store"]
    what = {
        "first": "extracting a first concept",
        "second": "extracting a second one, half of whose texts are in the first",
        "new_texts_alone": "extracting its new texts only, without a store",
        "unchanged": "extracting the second again",
    }
    rows = [
        [words, str(one["texts"]), f"{one['tokens_run']:,}", number(one["seconds"])]
        for words, one in ((words, measured[name]) for name, words in what.items())
    ]
    files = [
        "reading the store's files and nothing else",
        "",
        "",
        number(measured["reading_files"]["seconds"]),
    ]
    return table(["what", "n texts", "n tokens run", "seconds"], [*rows, files])


def sweep(probes: Measured) -> str:
    """Speed of the batched probe sweep beside scikit-learn and probekit."""
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
    heads = ["fitted to", "n problems", "time of scikit-learn over ours", "by processor time"]
    text = table(heads, rows)
    layers, n_rows, width = probes["activations"]
    excess, aurocs = probes["objective_excess_max"], probes["auroc_difference_max"]
    text += (
        f"\nThe activations have {layers} layers, {n_rows} rows and width {width}. scikit-learn fitted"
        f" {probes['sampled_problems']} of the problems, and its time is scaled up. At tolerance 1e-10, no"
        f" objective of ours exceeds scikit-learn's by more than {small(excess['sklearn_1e-10'])}, and no"
        f" held-out AUROC differs from its by more than {small(aurocs['sklearn_1e-10'])}.\n"
    )
    return text + (probekit(probes) if "probekit_a_problem" in probes else "")


def probekit(probes: Measured) -> str:
    """probekit's batched solver at each strength, beside our mean over all strengths."""
    ours, rows = probes["ours_seconds_a_problem"], []
    for strength, measured in probes["probekit_a_problem"].items():
        if isinstance(measured, str):
            rows.append([strength, f"failed: {measured}", ""])
        else:
            times = measured["seconds"] / ours
            rows.append([strength, small(measured["seconds"]), f"{small(times)}{' (faster)' * (times < 1)}"])
    return (
        "\nprobekit also has a batched solver. It fitted four labelings of one strength C at once, and its"
        " time is compared with our mean over the whole sweep.\n\n"
        + table(["C", "probekit, seconds per problem", "times ours"], rows)
    )


def steering(measured: Measured) -> str:
    """Speed of the steering sweep beside a hook and a rerun for each setting."""
    if "ratio" not in measured:
        return missing("steering")
    row = [spread(measured), str(len(measured["ratio_per_repeat"])), str(measured["settings"])]
    row += [str(measured["items"]), small(measured["largest_difference_in_a_choice_logit"])]
    heads = ["time of hook and rerun over ours", "n repeats", "n settings", "n items"]
    return table([*heads, "largest difference of a logit (nats)"], [row])


def beside(theirs: Measured, ours: Measured) -> str:
    """Whether another library is faster or slower: only where the ranges of the repeats do not overlap."""
    mine, other = ours["ratio_per_repeat"], theirs["ratio_per_repeat"]
    times = number(theirs["ratio"] / ours["ratio"])
    if max(other) < min(mine):
        return f"**faster**: {times} of our time"
    return f"{times} times ours" if min(other) > max(mine) else "no difference beyond the spread"


def peers(measured: Measured, job: str, more: Mapping[str, str]) -> str:
    """The table of one job: time over the yardstick, beside ours, and more columns (key -> heading)."""
    libraries = measured.get("jobs", {}).get(job)
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
    return table(["library", "time over the yardstick", "beside ours", *more.values()], rows)


def mixtures(mixing: Measured) -> str:
    """What it costs to find where a stage's change lives, in passes over the items."""
    if "rows" not in mixing:
        return missing("mixing")
    rows = [
        [f"`probes.{row['what']}`", str(row["items"]), f"{row['seconds']:.0f}", in_passes(row["passes"])]
        for row in mixing["rows"]
    ]
    return table(["what", "n items", "seconds", "passes over the items"], rows)


def in_passes(each: Sequence[float]) -> str:
    """The median number of passes, and that by the slowest and the fastest pass."""
    return f"{statistics.median(each):.0f} ({min(each):.0f} to {max(each):.0f})"


def _cell(value: Any) -> str:
    if isinstance(value, Sequence):
        return ", ".join(number(each) for each in value)
    return "" if value is None else small(value)


def doublings(growth: Measured) -> str:
    """How time and memory grow as one quantity doubles."""
    if "growth" not in growth:
        return missing("growth")
    rows = []
    for axis, measured in growth["growth"].items():
        points = measured["points"]
        sizes = ", ".join(str(p["size"]) for p in points)
        rows.append(
            [f"{axis}: {sizes}", ", ".join(small(p["seconds"]) for p in points)]
            + [number(exponent(points)), number(exponent(points[-2:])), EXPECTED[axis]]
            + [", ".join(f"{p['peak_mb']:.0f}" for p in points), number(exponent(points, "peak_mb"))]
        )
    heads = ["what, and its sizes", "seconds", "exponent", "exponent of the last step", "expected"]
    heads += ["peak (MB)", "exponent of the peak"]
    worst = max(growth["growth"], key=lambda axis: exponent(growth["growth"][axis]["points"][-2:]))
    steepest = exponent(growth["growth"][worst]["points"][-2:])
    lines = [
        [axis, small(fixed), small(one)]
        for axis, measured in growth["growth"].items()
        for fixed, one in [line(measured["points"])]
    ]
    return (
        table(heads, rows)
        + f"\nThe steepest last step is that of {worst}, with an exponent of {number(steepest)}. Fitted as"
        + " straight lines, the costs are:\n\n"
        + table(["what", "seconds in any case", "seconds for each one more"], lines)
        + "\n![Time and memory against size, each relative to the smallest size](../figures/growth.svg)\n"
    )


def paper(measured: Measured) -> str:
    """What a survey of a 32B model would cost, from the measured constants and the stated assumptions."""
    growth, extraction, probes = (measured.get(name, {}) for name in ("growth", "extraction", "probes"))
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
        f"\nThe sum is **{small(sum(on_device.values()))} GPU-hours**, and most of them go into"
        f" {TERMS[most]}. The longest of all terms is {TERMS[dominating]}, with"
        f" {small(spent[dominating])} hours.\n\n"
    )
    text += table(["term", "GB"], [[TERMS[term], small(value)] for term, value in held.items()])
    fits = "fits" if on_card <= device.memory_gb else "does not fit"
    text += f"\nThis is {on_card:.0f} GB on the device, which {fits} in {device.memory_gb:.0f} GB.\n\n"
    assumed = {**asdict(work), **asdict(model), **asdict(device)}
    rows = [[ASSUMED.get(name, name), f"{value:g}"] for name, value in assumed.items()]
    return text + table(["assumption", "value"], rows)


def machines(measured: Measured) -> str:
    """The machine and the versions of each result file; for peers, those of our own side of the first job."""
    rows = []
    for name, result in measured.items():
        if name == "peers":
            result = next(iter(result["jobs"].values()))["ours"]
        if "machine" not in result:
            continue
        versions = ", ".join(f"{library} {number}" for library, number in result["versions"].items())
        rows.append([f"`{name}.json`", result["machine"], str(result["threads"]), versions])
    if not rows:
        return "Nothing was measured yet.\n"
    return table(["result", "machine", "n threads", "versions"], rows)


def parts(measured: Measured) -> dict[str, str]:
    """Every part of the page, from the results that are there."""
    extraction, other = measured.get("extraction", {}), measured.get("peers", {})
    of_extraction = {part.__name__: part(extraction) for part in (runs, error, memory, blocks, store)}
    return of_extraction | {
        "sweep": sweep(measured.get("probes", {})),
        "steering": steering(measured.get("steering", {})),
        "extracting": peers(
            other,
            "extracting",
            {
                "difference": "largest difference",
                "difference_last_layer": "largest difference at the last layer",
                "more_memory_mb": "memory (MB)",
            },
        ),
        "fitting": peers(other, "fitting", {"test_aurocs": "test AUROC of each layer"}),
        "steering_peers": peers(
            other,
            "steering",
            {
                "settings": "n settings",
                "largest_difference_in_a_choice_logit": "largest difference of a logit (nats)",
            },
        ),
        "mixtures": mixtures(measured.get("mixing", {})),
        "growth": doublings(measured.get("growth", {})),
        "paper": paper(measured),
        "machines": machines(measured),
    }


def main() -> None:
    measured = results(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "benchmarks" / "results")
    if "growth" in measured:
        points = [
            {"axis": axis, **point}
            for axis, growth in measured["growth"]["growth"].items()
            for point in growth["points"]
        ]
        growth_figure(pl.DataFrame(points)).export(FIGURE)
    write("benchmarks", parts(measured))


if __name__ == "__main__":
    main()
