"""`StageMeasurement`: all that was measured of a concept at a stage, saved in a folder and read back."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from probes.activations import Activations
from probes.errors import InputError
from probes.models import Site
from probes.probing import LayerSweep
from probes.probing.saving import restored_sweep, sweep_arrays
from probes.steering import ChoiceGradients, ChoiceScores
from probes.tables.result import Result
from probes.tables.schema import tidy
from probes.tables.writing import check_folder, written_atomically

_FILES = (
    "measurement.json",
    "table.parquet",
    "tests.parquet",
    "activations.safetensors",
    "arrays.safetensors",
)


@dataclass(frozen=True, repr=False)
class StageMeasurement(Result):
    """What was measured of one concept at one stage, under one plan.

    The arrays are what a comparison of stages needs. `measure_stage` makes measurements.
    """

    table: pl.DataFrame
    """Every measurement, in the columns of `probes.tables.schema.SCHEMA`; figures are drawn from it."""
    tests: pl.DataFrame
    """The tests, in the columns of `probes.tables.tests.TESTS`; verdicts are judged from them."""
    activations: Activations
    """The activations of the concept's texts at every layer."""
    sweep: LayerSweep
    """The probes that were fitted on them, one for each layer."""
    choices: ChoiceScores | None
    """The intact choices; None where no choice items were scored."""
    gradients: ChoiceGradients | None
    """The gradients of the choices at every layer; None where they were not taken."""
    scores: np.ndarray
    """`[example]`: the scores of the best layer's probe."""
    by_item: Mapping[str, np.ndarray]
    """`[item]` each, as far as they were measured: "principled" and "string", the scores of the battery in
    logits per token, and "used", how far the exchange of the best subspace moves the choice, as a share of
    the mean choice."""
    item_ids: Mapping[str, list[str]]
    """The names of the items of each entry of `by_item`."""
    neutral: Mapping[Site, np.ndarray]
    """Site -> `[token, width]`, the activations of the plan's alignment texts."""
    plan: str
    """The plan in words, as it is printed."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """The seed, the units of the intervals, and the digest of the inputs."""

    @property
    def stage(self) -> str:
        """The name of the stage."""
        return self.activations.stage

    @property
    def concept(self) -> str:
        """The name of the concept."""
        return self.activations.concept

    @property
    def layer(self) -> int:
        """The layer whose probe did best on the selection pairs."""
        return self.sweep.best.layer

    @property
    def space(self) -> tuple[str, tuple[int, ...], int]:
        """The kind of site, the layers and the width: what two stages must share to be compared."""
        return space_of(self.activations)

    @property
    def seed(self) -> int:
        """The seed of the splits."""
        return int(self.facts["seed"])

    def __repr__(self) -> str:
        made = self.tests.filter(pl.col("estimate").is_not_null())["test"].unique(maintain_order=True)
        return f"StageMeasurement({self.concept} at {self.stage}: layer {self.layer}; {', '.join(made)})"

    def save(self, folder: str | Path) -> Path:
        """Write everything into a folder, which `load_measurement` reads.

        Returns
        -------
        The path of the folder.

        Raises
        ------
        OutputError : the folder cannot be written.

        Example
        -------
        >>> from probes.measure import Plan, load_measurement, measure_stage
        >>> plan = Plan(items=0, baselines=False, tests=False, alignment_texts=())
        >>> measured = measure_stage(stage, [concept], plan, progress=False)["prices"]
        >>> load_measurement(measured.save(folder / "prices"))
        StageMeasurement(prices at mid: layer ...; )
        """
        folder = check_folder(folder)
        arrays = {"scores": self.scores} | sweep_arrays(self.sweep)
        arrays |= {f"by_item.{name}": values for name, values in self.by_item.items()}
        arrays |= {f"neutral.{site}": values for site, values in self.neutral.items()}
        choices = gradients = None
        if self.choices is not None:
            arrays |= {f"choices.{name}": getattr(self.choices, name) for name in ("summed", "per_token")}
            choices = {"ids": self.choices.ids, "columns": self.choices.columns}
        if self.gradients is not None:
            arrays |= {"gradients": self.gradients.values}
            gradients = {
                name: getattr(self.gradients, name) for name in ("site", "layers", "score", "columns")
            }
        about = {
            "plan": self.plan,
            "facts": dict(self.facts),
            "choices": choices,
            "gradients": gradients,
            "item_ids": dict(self.item_ids),
            "best_surface": self.sweep.best_surface,
            "estimator": self.sweep.best.direction.estimator,
        }
        replace(self.activations, controls={}).save(folder / "activations.safetensors")
        with written_atomically(folder / "arrays.safetensors") as temporary:
            save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, temporary)
        for name in ("table", "tests"):
            with written_atomically(folder / f"{name}.parquet") as temporary:
                getattr(self, name).write_parquet(temporary)
        # This file is written last, because it says that all others are there.
        with written_atomically(folder / "measurement.json") as temporary:
            temporary.write_text(json.dumps(about, indent=1) + "\n")
        return folder


def space_of(acts: Activations) -> tuple[str, tuple[int, ...], int]:
    """The kind of site, the layers and the width of activations."""
    return acts.site, tuple(acts.layers), acts.values.shape[2]


def folder_name(concept: str) -> str:
    """The name of a concept as that of a folder: "privacy/norm" becomes "privacy-norm"."""
    return re.sub(r"[^\w.-]+", "-", concept)


def load_measurement(folder: str | Path) -> StageMeasurement:
    """Read what `StageMeasurement.save` wrote.

    The inputs and scores of the surface baselines are not kept, because no comparison of stages needs them;
    their AUROCs are in `table`.

    Raises
    ------
    InputError : the folder is not there, or holds something else.

    Example
    -------
    >>> from probes.measure import Plan, measure_stage
    >>> plan = Plan(items=0, baselines=False, tests=False, alignment_texts=())
    >>> measured = measure_stage(stage, [concept], plan, progress=False)["prices"]
    >>> again = load_measurement(measured.save(folder / "prices"))
    >>> again.table.equals(measured.table), again.layer == measured.layer
    (True, True)
    """
    folder = Path(folder)
    try:
        about = json.loads((folder / "measurement.json").read_text(encoding="utf-8"))
        table, tests = (pl.read_parquet(folder / f"{name}.parquet") for name in ("table", "tests"))
        with safe_open(folder / "arrays.safetensors", framework="numpy") as file:
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        acts = Activations.load(folder / "activations.safetensors")
        choices = None
        if about["choices"]:
            scores = {name: arrays[f"choices.{name}"] for name in ("summed", "per_token")}
            choices = ChoiceScores(**about["choices"], **scores)
        gradients = None
        if about["gradients"] and choices:
            gradients = ChoiceGradients(values=arrays["gradients"], scores=choices, **about["gradients"])
        sweep = restored_sweep(acts, table, arrays, about["estimator"], about["best_surface"])
        return StageMeasurement(
            table=table,
            tests=tests,
            activations=acts,
            sweep=sweep,
            choices=choices,
            gradients=gradients,
            scores=arrays["scores"],
            by_item={name: arrays[f"by_item.{name}"] for name in about["item_ids"]},
            item_ids=about["item_ids"],
            neutral={
                Site.parse(name.removeprefix("neutral.")): values
                for name, values in arrays.items()
                if name.startswith("neutral.")
            },
            plan=about["plan"],
            facts=about["facts"],
        )
    except (OSError, ValueError, KeyError, SafetensorError, pl.exceptions.PolarsError) as error:
        raise InputError(
            f"{folder} is not a measurement's folder ({', '.join(_FILES)} are needed): {error}"
        ) from None


def rows_of_tests(tests: pl.DataFrame, common: Mapping[str, Any]) -> pl.DataFrame:
    """The tests that were made as rows of the result table: `<test>` and, where it has one, `<test>_p`."""
    rows = []
    for row in tests.filter(pl.col("estimate").is_not_null()).iter_rows(named=True):
        where = dict(common) | {"variant": "finding", "layer": row["layer"], "shift": row["axis"]}
        numbers = {name: row[name] for name in ("estimate", "ci_low", "ci_high")} | {"n_pairs": row["n"]}
        rows.append(where | numbers | {"measure": row["test"]})
        if row["p"] is not None and row["test"] != "masked":
            rows.append(where | {"measure": f"{row['test']}_p", "estimate": row["p"], "n_pairs": row["n"]})
    return tidy(rows)
