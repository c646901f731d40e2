"""A direction in activation space, with where it came from and the natural unit of a push along it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray

from probes.errors import InputError
from probes.models.sites import Site
from probes.probing.layer_values import values_at
from probes.probing.splits import split_rows
from probes.probing.vector_files import read_vectors, write_vectors

if TYPE_CHECKING:
    from probes.activations import Activations


@dataclass(frozen=True, eq=False)
class Direction:
    """A unit vector at a site, and where it came from.

    Parameters
    ----------
    vector : float32 array `[d]`
        Of length 1, or 0 when the two classes did not differ at all. It cannot be written to.
    site : Site
        The place in the model that it belongs to.
    position : str
        The token position that the activations were read at.
    stage, concept, estimator : str
        What it was fitted on, and how.
    scale : float
        The natural unit of a push: the standard deviation of the training activations' projections on the
        vector, pooled within the two classes, in units of activation.
    gap : float
        Half the distance between the class means along the vector, in units of activation.
    digest : str
        Identifies the activations that it was fitted on.

    Raises
    ------
    InputError
        For a vector that is not one finite row of length 1 or 0.

    Example
    -------
    >>> from probes.models import Site
    >>> made = probes.Direction(
    ...     vector=[0.6, 0.8], site=Site("resid_post", 2), position="last", stage="mid", concept="prices",
    ...     estimator="mass_mean", scale=1.5, gap=0.7, digest="",
    ... )
    >>> made.vector
    array([0.6, 0.8], dtype=float32)
    """

    vector: NDArray[np.float32] = field(repr=False)
    site: Site
    position: str
    stage: str
    concept: str
    estimator: str
    scale: float
    gap: float
    digest: str

    def __post_init__(self) -> None:
        vector = np.array(self.vector, dtype=np.float32)
        norm = float(np.linalg.norm(vector)) if vector.ndim == 1 and np.isfinite(vector).all() else np.nan
        if not (norm == 0 or abs(norm - 1) < 1e-3):
            raise InputError(
                f"direction of shape {vector.shape} and length {norm:.3g}: expected a unit vector [d]"
            )
        vector.flags.writeable = False
        object.__setattr__(self, "vector", vector)

    @classmethod
    def of_probe(
        cls,
        probe: Any,
        X: Float[np.ndarray, "n d"],
        labels: Int[np.ndarray, " n"],
        acts: Activations,
        estimator: str,
    ) -> Direction:
        """The direction of a fitted probe, with its natural unit measured on the rows it was fitted on.

        Parameters
        ----------
        probe : fitted probe
            Its `direction_` and `site` are taken.
        X : float array `[n, d]`
            The activations that it was fitted on.
        labels : int array `[n]`
            Their labels, 0 or 1.
        acts : Activations
            What the rows come from: stage, concept, position and digest are taken.
        estimator : str
            The name of the estimator.

        Example
        -------
        >>> acts = probes.extract(stage, concept)
        >>> probe = probes.MassMeanProbe(site=Site("resid_post", 2)).fit(acts.values[2], acts.labels)
        >>> Direction.of_probe(probe, acts.values[2], acts.labels, acts, "mass_mean").stage
        'mid'
        """
        scale, gap = natural_unit(X, labels, probe.direction_)
        return cls(
            vector=probe.direction_,
            site=probe.site,
            position=acts.position,
            stage=acts.stage,
            concept=acts.concept,
            estimator=estimator,
            scale=scale,
            gap=gap,
            digest=acts.digest,
        )

    def at(self, acts: Activations, seed: int = 0) -> Direction:
        """The same vector with `scale` and `gap` as they are at another stage.

        A push on that stage is then in the stage's own natural unit.

        Parameters
        ----------
        acts : Activations
            Of the other stage. `scale` and `gap` are measured on the train split.
        seed : int
            As given to `probe_layers`, so that the splits are the same.

        Raises
        ------
        InputError
            When the layer was not extracted, or the widths differ.

        Example
        -------
        >>> direction = probes.probe_layers(probes.extract(stage, concept)).best.direction
        >>> there = direction.at(probes.extract(lineage["base"], concept))
        >>> there.stage, bool((there.vector == direction.vector).all()), there.scale == direction.scale
        ('mid', True, False)
        """
        values = values_at(acts, self.site, self.vector.size)
        train = split_rows(acts, seed).train
        scale, gap = natural_unit(values[train], np.asarray(acts.labels)[train].astype(int), self.vector)
        return dataclasses.replace(self, scale=scale, gap=gap)

    def save(self, path: str | Path) -> None:
        """Write a safetensors file with the vector, and everything else as JSON in its metadata.

        Raises
        ------
        OutputError
            When the file cannot be written.

        Example
        -------
        >>> direction = probes.probe_layers(probes.extract(stage, concept)).best.direction
        >>> direction.save(folder / "prices.safetensors")
        >>> probes.Direction.load(folder / "prices.safetensors").site == direction.site
        True
        """
        facts = {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.name != "vector"}
        write_vectors(path, "direction", {"vector": self.vector}, facts)

    @classmethod
    def load(cls, path: str | Path) -> Direction:
        """Read what `save` wrote.

        Raises
        ------
        InputError
            For a file that is missing or holds something else.

        Example
        -------
        >>> probes.probing.class_gap(probes.extract(stage, concept), 2).save(folder / "prices.safetensors")
        >>> probes.Direction.load(folder / "prices.safetensors").concept
        'prices'
        """
        return cls(**read_vectors(path, "direction", [field.name for field in dataclasses.fields(cls)]))

    def _repr_html_(self) -> str:
        facts = {
            "concept": self.concept,
            "stage": self.stage,
            "site": f"{self.site}, position {self.position}",
            "estimator": self.estimator,
            "width": self.vector.size,
            "scale": f"{self.scale:.4g}",
            "half gap": f"{self.gap:.4g}",
        }
        cells = "".join(f"<tr><th>{name}</th><td>{value}</td></tr>" for name, value in facts.items())
        return f"<table><caption>Direction</caption>{cells}</table>"


def natural_unit(
    X: Float[np.ndarray, "n d"], labels: Int[np.ndarray, " n"], vector: Float[np.ndarray, " d"]
) -> tuple[float, float]:
    """The `scale` and `gap` of activations along a unit vector (see `Direction`).

    Parameters
    ----------
    X : float array `[n, d]`
        Activations.
    labels : int array `[n]`
        0 or 1.
    vector : float array `[d]`
        Of length 1.

    Returns
    -------
    scale : float
        The standard deviation of the projections, pooled within the two classes.
    gap : float
        Half the distance between the class means.

    Example
    -------
    >>> natural_unit(np.array([[0.0], [2.0], [4.0], [6.0]]), np.array([0, 0, 1, 1]), np.array([1.0]))
    (1.414, 2.0)
    """
    projections = np.asarray(X, dtype=np.float64) @ np.asarray(vector, dtype=np.float64)
    means = np.array([projections[labels == k].mean() for k in (0, 1)])
    pooled = ((projections - means[labels]) ** 2).sum() / (len(labels) - 2)
    return float(np.sqrt(pooled)), float(means[1] - means[0]) / 2
