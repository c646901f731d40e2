"""What the measured growth says of a bigger model: exponents, costs of one more, and a survey on paper.

Pure functions of the result files: `growth.json`, `extraction.json` and `probes.json`. Machines are compared
through floating-point operations: what took as long here as so many tokens of the forward takes as long there
as so many tokens of the bigger forward, two operations a parameter and token (Kaplan et al., 2001.08361).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Points = Sequence[Mapping[str, float]]
GRADIENT_TOKENS = 512
"""Tokens whose graph `choice_gradients` holds at once, its default."""
GRAPH_BYTES = 34
"""A token, layer and unit of width keeps so many bytes for the backward pass in half precision, attention
scores left out (Korthikanti et al., 2205.05198)."""


@dataclass(frozen=True)
class Workload:
    """A survey: how much is extracted, steered and fitted. Texts and items are those of one concept."""

    stages: int = 10
    concepts: int = 8
    texts: int = 1000
    items: int = 100
    additions: int = 45
    """Doses times directions that are added, controls included, at the one layer chosen."""
    folds: int = 5
    strengths: int = 7
    labelings: int = 22
    """The labels, 20 permutations and a control task."""


@dataclass(frozen=True)
class Model:
    """A decoder, by its sizes."""

    parameters: float = 32e9
    layers: int = 64
    width: int = 5120


@dataclass(frozen=True)
class Device:
    """An accelerator, by what is assumed of it."""

    memory_gb: float = 80.0
    flops: float = 989e12
    """Peak in half precision, dense."""
    utilisation: float = 0.4
    """Share of the peak that a forward of some thousand tokens reaches."""
    load_gb_s: float = 2.0
    """Gigabytes of weights a second, from a disk or a hub's cache."""


def exponent(points: Points, of: str = "seconds") -> float:
    """Slope of log `of` on log size by least squares: 1 is linear, 0 flat, 2 quadratic."""
    logs = np.log([[p["size"], p[of]] for p in points])
    return float(np.polyfit(logs[:, 0], logs[:, 1], 1)[0])


def line(points: Points, of: str = "seconds") -> tuple[float, float]:
    """`of` at no size at all, and of each one more, by least squares."""
    slope, fixed = np.polyfit([p["size"] for p in points], [p[of] for p in points], 1)
    return float(fixed), float(slope)


def constants(growth: Mapping[str, Any], extraction: Mapping[str, Any]) -> dict[str, float]:
    """What was measured here, free of this machine's speed: costs in tokens of the plain forward.

    `extraction` is a token read at all layers; `gradient` the steerability of one choice item along every
    direction at every layer; `addition` one choice item under one more vector in the middle of the model;
    `batch_mb` what extraction takes above model and result at this model's width.
    """
    setting, axes = growth["setting"], growth["growth"]
    ratios = [run["ratio"] for run in extraction["runs"] if run["position"] == "last"]
    token = line(axes["texts"]["points"])[1] / setting["tokens_per_text"]
    return {
        "extraction": float(max(ratios)),
        "gradient": line(axes["items"]["points"])[1] / token,
        "addition": line(axes["directions"]["points"])[1] / setting["items"] / token,
        "batch_mb": max(size["more_than_model_and_result_mb"] for size in extraction["memory"]),
    }


def hours(
    growth: Mapping[str, Any],
    extraction: Mapping[str, Any],
    probes: Mapping[str, Any],
    work: Workload,
    model: Model,
    device: Device,
) -> dict[str, float]:
    """Hours of each term of a survey of a bigger model.

    All but `probes` are hours of the device. A sweep's problems are fitted in the principal axes of its rows,
    as many as there are rows or dimensions, whichever are fewer, so a problem costs rows times axes; its
    hours are those of the processor that `probes` was measured on.
    """
    cost, setting = constants(growth, extraction), growth["setting"]
    second = device.flops * device.utilisation / (2 * model.parameters)  # tokens of the forward
    cells = work.stages * work.concepts
    tokens = work.texts * setting["tokens_per_text"]
    _, rows, width = probes["activations"]
    rows, there = 0.8 * rows, 0.8 * work.texts  # the training part of five folds
    problems = cells * model.layers * work.folds * work.strengths * work.labelings
    problem = probes["ours_seconds_a_problem"] * there * min(there, model.width) / (rows * min(rows, width))
    seconds = {
        "loading": work.stages * 2 * model.parameters / 1e9 / device.load_gb_s,
        "extraction": cells * tokens * cost["extraction"] / second,
        "random_init": work.concepts * tokens * cost["extraction"] / second,
        "gradients": cells * work.items * cost["gradient"] / second,
        "additions": cells * work.items * work.additions * cost["addition"] / second,
        "probes": problems * problem,
    }
    return {term: value / 3600 for term, value in seconds.items()}


def gigabytes(
    growth: Mapping[str, Any], extraction: Mapping[str, Any], work: Workload, model: Model
) -> dict[str, float]:
    """Gigabytes of each term: on the device in bfloat16, one stage at a time; results in float32."""
    cost, setting = constants(growth, extraction), growth["setting"]
    result = work.texts * model.layers * model.width * 4
    return {
        "weights": 2 * model.parameters / 1e9,
        "batch": cost["batch_mb"] * 2**20 / 1e9 * model.width / setting["width"],
        "graph": GRADIENT_TOKENS * model.layers * model.width * GRAPH_BYTES / 1e9,
        "result": result / 1e9,
        "store": work.stages * work.concepts * result / 1e9,
    }
