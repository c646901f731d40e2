"""The container that extraction hands on: activations with the labels and groups they belong to."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Int, Shaped
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from probes.errors import InputError
from probes.tables.writing import written_atomically


@dataclass(frozen=True)
class Activations:
    """Activations of one concept at one kind of site of one stage.

    Row order is the concept's order. With `position="all"` a row is a token instead of an example, and
    labels, groups, splits, templates and texts are repeated for each token of an example.
    """

    values: Float32[np.ndarray, "layer example width"]
    """`[layer, example, width]` float32; `width` is d_model, or n_heads * d_head at `z`."""
    site: str
    """The kind of site: `resid_post`, `attn_out`, ..."""
    layers: list[int]
    """Block index of each row of the first axis of `values`; `[0]` for `embed`."""
    position: str
    labels: Int[np.ndarray, " example"]
    """`[example]` int, 0 or 1."""
    groups: Shaped[np.ndarray, " example"]
    """`[example]` str: the pair an example belongs to, the unit of every split and bootstrap."""
    splits: Shaped[np.ndarray, " example"]
    """`[example]` object: `train`, `select`, `test` or None."""
    templates: Shaped[np.ndarray, " example"]
    """`[example]` object: the scenario template, or None."""
    texts: list[str]
    """What the model read, after the chat template."""
    stage: str
    lineage: str | None
    concept: str
    render: str
    """`shared`: the lineage's one rendering; `own`: the stage's own tokenizer and chat template."""
    digest: str
    """Identifies weights, tokenizer, template, token ids, site, position, dtype, attention, versions."""
    controls: dict[str, Float32[np.ndarray, "*layer example features"]] = field(default_factory=dict)
    """Inputs of the surface baselines: `embedding` `[example, d_model]`, the mean input embedding;
    `random_init` `[layer, example, width]`, the same architecture with random weights."""

    @property
    def n_pairs(self) -> int:
        """Number of independent units."""
        return len(np.unique(self.groups))

    @property
    def columns(self) -> dict[str, str | None]:
        """What identifies measurements made on these activations, as columns of the result tables."""
        return {
            "lineage": self.lineage,
            "stage": self.stage,
            "concept": self.concept,
            "site": self.site,
            "position": self.position,
            "render": self.render,
            "digest": self.digest,
        }

    def save(self, path: str | Path) -> None:
        """Write everything to one safetensors file; raises OutputError."""
        metadata = {
            name: getattr(self, name)
            for name in (
                "site",
                "layers",
                "position",
                "texts",
                "stage",
                "lineage",
                "concept",
                "render",
                "digest",
            )
        }
        metadata |= {name: getattr(self, name).tolist() for name in ("groups", "splits", "templates")}
        arrays = {"values": self.values, "labels": self.labels}
        arrays |= {f"control.{name}": array for name, array in self.controls.items()}
        with written_atomically(path) as temporary:
            save_file(
                {name: np.ascontiguousarray(array) for name, array in arrays.items()},
                temporary,
                metadata={"activations": json.dumps(metadata)},
            )

    @classmethod
    def load(cls, path: str | Path) -> Activations:
        """Read what `save` wrote; raises InputError for any other file."""
        try:
            with safe_open(path, framework="numpy") as file:
                metadata = json.loads((file.metadata() or {})["activations"])
                arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except (SafetensorError, OSError, KeyError) as error:
            raise InputError(
                f"{path} is not a file of activations ({error}): make one with Activations.save"
            ) from None
        controls = {n.removeprefix("control."): a for n, a in arrays.items() if n.startswith("control.")}
        metadata["groups"] = np.array(metadata["groups"])
        metadata |= {name: np.array(metadata[name], dtype=object) for name in ("splits", "templates")}
        return cls(values=arrays["values"], labels=arrays["labels"], controls=controls, **metadata)

    def __repr__(self) -> str:
        layers, rows, width = self.values.shape
        return (
            f"Activations({self.stage!r}, {self.concept!r}, {self.site}@{self.position}: "
            f"{layers} layers x {rows} rows x {width}, {self.n_pairs} pairs)"
        )

    def _repr_html_(self) -> str:
        return f"<code>{escape(repr(self))}</code>"
